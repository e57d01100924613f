# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that a person may write in the place of a right one, kind by kind, for every variable that the kind is about: pure."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest
from test_refusals import CUSTOM, LLM, LOCAL, TARGET, USER, refused

from ansible_collections.modelops.inference.plugins.plugin_utils._site import undefined
from ansible_collections.modelops.inference.plugins.plugin_utils._site.kinds import MOST
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PlaybookNeeds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import ALL, SPECS, Inventory, Settings
from ansible_collections.modelops.inference.plugins.plugin_utils._validation import validated

SECRET = "Orange/7+Kettle' \"ü%"
LAN = {"xinference_host": "10.1.2.3", "xinference_models": [LLM]}
DEFINED = {"name": "c", "path": "/m", "size": 1, "definition": {"family": "qwen2.5-instruct"}}

LINES = ["a\nb", "a\x00b", "a\tb", "a\x7fb", "a\rb"]
NO_NUMBER = [
    float("nan"),
    float("inf"),
    float("-inf"),
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "1e400",
    "12abc",
    "",
    " ",
    "0x10",
    "１２",
]
#: By type what no variable of it takes.
WRONG_TYPES = {
    "int": [
        True,
        False,
        "yes",
        1.5,
        "1.5",
        "1 2",
        [],
        [1],
        {},
        "1e3",
        10**30,
        -(10**30),
        MOST + 1,
        "9" * 40,
        "9" * 5000,
        *NO_NUMBER,
    ],
    "float": [True, "yes", [], {}, [1.0], 1e300, "1e300", "9" * 5000, *NO_NUMBER],
    "bool": ["", "maybe", "2", 2, -1, 1.5, float("nan"), [], {}, [True]],
    "str": [[], {}, ["x"], {"a": 1}, True, *LINES],
    "path": [[], {}, ["x"], {"a": 1}, True, *LINES],
    "list": [True, {}, {"a": 1}, {1: 2}],
    "dict": [True, 1, 1.5, "a=1", "x", "{'a': 1}", [], ["x"], [{}], [["a", 1]]],
}


def wrong_of(option):
    """Values of another type; of words such as false a boolean is one."""
    return [
        value
        for value in WRONG_TYPES[option.get("type", "str")]
        if not (isinstance(value, bool) and option.get("default") == "false")
    ]


def in_one_line(found, *names):
    return (
        bool(found)
        and all(isinstance(line, str) and len(line.splitlines()) == 1 and len(line) < 700 for line in found)
        and all(any(name in line for line in found) for name in names)
    )


@pytest.mark.parametrize("name", sorted(SPECS.options))
def test_a_value_of_another_type_is_refused(name):
    option = SPECS.options[name]
    wrong = wrong_of(option)
    if "default" in option or option.get("type", "str") not in ("str", "path"):
        wrong = [None, *wrong]
    for value in wrong:
        assert in_one_line(refused({name: value}, roles=[SPECS.roles[name]]), name), repr(value)[:80]
    for value in ("nope", " present") if "choices" in option and option.get("type") != "list" else ():
        assert in_one_line(refused({name: value}), name)
    for value in ([None], [["a"]], [{"a": 1}], ["a\nb"]) if option.get("type") == "list" else ():
        assert in_one_line(refused({name: value}), name), value
    for key in (1, None, True, ("a",), "", "no such") if option.get("options") and option.get("type") == "dict" else ():
        assert in_one_line(refused({name: {key: 1}}), name), key


PARTS = [
    (name, key, part) for name, option in SPECS.options.items() for key, part in (option.get("options") or {}).items()
]


@pytest.mark.parametrize("name, key, part", PARTS, ids=[f"{name}.{key}" for name, key, _part in PARTS])
def test_a_part_of_another_type_is_refused(name, key, part):
    whole = {"dify_targets": [TARGET], "xinference_users": [USER], "xinference_hub": {"source": "huggingface"}}.get(
        name, {}
    )
    if SPECS.options[name].get("type") == "list":
        whole = whole or [{"part": "driver", "path": __file__, "checksum": "A" * 64}]
    for value in wrong_of(part):
        given = [{**whole[0], key: value}] if isinstance(whole, list) else {**whole, key: value}
        assert in_one_line(refused({name: given}), name), repr(value)[:80]


NO_ADDRESS = [
    "mirror.local/x",
    "http:/x",
    "://x",
    "http://",
    "http:// x",
    "http://x y",
    "javascript:x",
    "http://x:0",
    "http://x:99999",
    "http://x:abc",
    "http://x:",
    "http://[::1",
    "https//x",
    "https://?x",
    "http://:80",
    "http://-x",
    "http://a..b",
    "http://10.0.0",
    "http://224.0.0.1",
    "http://$(id)/",
    "http://x`y`",
    "http://x\\y",
    "//x/y",
]


@pytest.mark.parametrize(
    "place",
    [
        lambda url: {"xinference_index": {"index_url": url}},
        lambda url: {"xinference_index": {"extra_index_urls": [url]}},
        lambda url: {"xinference_index": {"find_links": [url]}},
        lambda url: {"xinference_index": {"python_mirror": url}},
        lambda url: {"xinference_index": {"proxy": url}},
        lambda url: {"xinference_hub": {"source": "huggingface", "endpoint": url}},
        lambda url: {"xinference_environment": {"HF_ENDPOINT": url}},
        lambda url: {"accelerator_repositories": {"nvidia": {"url": url}}},
        lambda url: {"capture_endpoint": url},
        lambda url: {"dify_capture_url": url},
        lambda url: {"dify_targets": [{**TARGET, "url": url}]},
        lambda url: {"dify_targets": [{**TARGET, "proxy": url}]},
        lambda url: {"dify_targets": [{**TARGET, "server_url": url}]},
        lambda url: {"dify_targets": [{**TARGET, "server_urls": {"gpu01": url}}]},
        lambda url: {"dify_targets": [{**TARGET, "overrides": {"m": {"server_url": url}}}]},
        lambda url: {"xinference_models": [{**LLM, "dify": {"server_url": url}}]},
        lambda url: {"xinference_models": [{**LLM, "source": {"url": url, "checksum": f"sha256:{'a' * 64}"}}]},
        lambda url: {
            "xinference_models": [
                {**CUSTOM, "definition": {**CUSTOM["definition"], "virtual_env": {"packages": [], "index_url": url}}}
            ]
        },
    ],
)
def test_a_wrong_address_is_refused_everywhere(place):
    for url in NO_ADDRESS:
        variables = place(url)
        assert in_one_line(refused({**LAN, **variables}), next(iter(variables))), url
    # Whatever is wrong with it, its login is not told.
    for url in (
        "http://me:{}@x y",
        "//me:{}@x",
        "me:{}@x",
        "ftp://me:{}@x",
        "http://me:{}@x:0",
        "http://me:{}@[::1",
        "http://me:{}@",
    ):
        found = refused({**LAN, **place(url.format("Tr0ub4dor"))})
        assert found and "Tr0ub4dor" not in "".join(found), url


@pytest.mark.parametrize(
    "variables",
    [
        *[{"xinference_environment": {name: "a b"}} for name in ("HTTPS_PROXY", "http_proxy", "ALL_PROXY")],
        {"xinference_environment": {"https_proxy": "http://proxy:99999"}},
        {"xinference_index": {"ca_path": "certificates.pem"}},
        *[{"xinference_index": {"trusted_hosts": [host]}} for host in ("", "a b", "http://x", "x/y")],
        *[{"capture_endpoint": url} for url in ("http://h:9997/v1", "http://h?x", "http://me:x@h")],
        *[{"dify_capture_url": url} for url in ("http://h:9997/v1", "http://h/x", "http://me:x@h")],
        *[{"dify_targets": [{**TARGET, "url": url}]} for url in ("http://d?x", "http://d#x", "http://d/console/api")],
        *[{**LAN, "dify_targets": [{**TARGET, "server_url": url}]} for url in ("http://me:x@lan", "http://me@lan")],
        {**LAN, "dify_targets": [{**TARGET, "server_urls": {"gpu01": []}}]},
        *[{name: "10.1.2.3"} for name in ("dify_run_on", "xinference_weights_seed")],
        {"dify_run_on": ""},
        {"dify_cluster_hosts": ["gpu99"]},
        {"xinference_host": "127.evil.example", "xinference_auth": False},
        *[
            {"xinference_host": host}
            for host in ("224.0.0.1", "255.255.255.255", "::ffff:127.0.0.1", "[::1]", "127.1", "0x7f.1")
        ],
        *[{"xinference_service": name} for name in ("a@", "xinference.service")],
        *[{name: user} for name in ("xinference_user", "xinference_group") for user in ("1000", 1000, "0")],
        *[{"xinference_cluster": name} for name in (".", "..")],
        *[{"xinference_memory_max": size} for size in ("0", "0%", "0G", "101%")],
        *[{"xinference_rollback_to": name} for name in ("../x", "a/b", "$(id)", " ", ".", "4.1 0")],
    ],
    ids=lambda variables: f"{variables}"[:60],
)
def test_a_value_that_cannot_work_is_refused(variables):
    assert in_one_line(refused(variables), list(variables)[-1])


@pytest.mark.parametrize(
    "name, values",
    [
        ("xinference_extras", ["a b", "a;b", "-e .", "../x", "a]", "", "[all]", "vllm>=1", "$(id)"]),
        (
            "xinference_packages",
            ["-e .", "--index-url x", "-r /etc/x", "a b", "==1", "", "a==", "a>=", "a=1", "$(id)", ";"],
        ),
        ("xinference_constraints", ["-c x", "--extra-index-url=x", "a b", "==1", "", "a==", "a=1", "/srv/x.whl"]),
        ("xinference_denied_packages", ["a b", "a>=1", "", "-x", "a==1 b", "../x"]),
    ],
)
def test_a_wrong_package_is_refused(name, values):
    for value in values:
        assert in_one_line(refused({name: [value]}), name), value


@pytest.mark.parametrize(
    "name, values",
    [
        (
            "xinference_python",
            ["", "$(id)", "a b", "3.11; x", "-x", "bin/python", "~/python", "3.x", "/usr/bin/python3 -c x", "/$(x)"],
        ),
        ("xinference_bundle_python", ["3.8", "3", "x", "3.1", ">=3.10", "3.11; x", "/usr/bin/python3"]),
        (
            "xinference_bundle_platform",
            ["x86_64", "linux", "a b", "x86_64-", "aarch64_manylinux_2_28", "$(id)", "../x"],
        ),
    ],
)
def test_a_wrong_python_or_platform_is_refused(name, values):
    for value in values:
        assert in_one_line(refused({name: value}), name), value


@pytest.mark.parametrize("name", ["xinference_dir", "xinference_home", "xinference_models_dir", "xinference_cache_dir"])
def test_a_directory_that_cannot_be_one(name):
    for path in ("/opt/x:y", f"/opt/{'x' * 300}", "/opt/x\u2028y", "/opt/x\u00a0y", "file:///opt/x", "C:\\x"):
        assert in_one_line(refused({name: path}), name), path
    found = refused({name: "/opt/x;y"})
    # Those that follow from it by default are not told, too.
    assert len(found) == 1 and found[0].startswith(f"{name} must not have ;")
    if name != "xinference_dir":
        assert in_one_line(
            refused({name: "/opt/xinference/python/x"}), f"{name} (/opt/xinference/python/x) is in python"
        )


@pytest.mark.parametrize(
    "key, values",
    [
        ("uid", ["a\u2028b", "a\x85b", "a\u200bb", "\ufeffa", "a%2Fb", "a\\b", "a" * 101, "ä" * 101, "a-rep1"]),
        ("engine", ["", "a b"]),
        ("format", ["", "a b"]),
        ("quantization", ["", "a b"]),
        ("name", [" ", "a "]),
        ("replicas", [0, -1, float("inf"), 10**30]),
        ("gpus_per_replica", ["²", "-1", "x", "1.5"]),
        ("gpu_indices", [[0, 0], [-1], [10**30]]),
        ("worker", ["", " ", "a b", "$(id)", "10.0.0", "gpu01:0", "gpu01:x", "gpu01:1:2", "::1"]),
        ("download_hub", ["", "nohub", 7]),
        ("gpu_memory", ["", "x", "-1", "0", "0%", "101%", "1.5 G", "nan", "inf"]),
        ("draft_model", [{"tokens": 0}, {"tokens": -1}, {"path": "rel"}]),
        (
            "lora",
            [
                [{"name": "a", "path": "rel"}],
                [{"name": "", "path": "/a"}],
                [{"name": "a", "path": "/a"}, {"name": "a", "path": "/b"}],
            ],
        ),
        ("engine_options", [{"": 1}, {"a b": 1}, {1: 2}, {True: 1}, {"max-model-len": 1}]),
        ("virtual_env_packages", [["-e ."], ["--index-url x"], [" "]]),
        (
            "envs",
            [{name: "1"} for name in (True, None, 7, "A\n", "A B", "1A", "A-B", "A$(x)")]
            + [{"A": None}, {"A": ["1"]}, {"A": "1\x00"}],
        ),
        ("context_length", [0, -1, float("nan"), 10**30]),
        (
            "dify",
            [
                {"credential_name": "a\nb"},
                {"enabled": "maybe"},
                {"invoke_timeout": True},
                {"server_url": "http://me:x@lan"},
            ],
        ),
    ],
)
def test_a_wrong_field_of_a_model_is_refused(key, values):
    for value in values:
        assert in_one_line(refused({"xinference_models": [{**LLM, key: value}]}), "xinference_models"), value


def test_a_wrong_field_of_a_definition_is_refused():
    for key, value in (
        ("family", ""),
        ("context_length", 10**30),
        ("extra", {1: 2}),
        ("extra", {"context_length": 4096}),
        ("hub", "nohub"),
        ("virtual_env", {"packages": ["-e ."]}),
    ):
        models = [{**CUSTOM, "definition": {**CUSTOM["definition"], key: value}}]
        assert in_one_line(refused({"xinference_models": models}), "xinference_models"), (key, value)
    for name in ("", ".", "..", "a b", "a/b", "a" * 101, "a" * 2000):
        assert in_one_line(
            refused({"xinference_definitions": [{**DEFINED, "name": name}]}), "xinference_definitions"
        ), name


@pytest.mark.parametrize(
    "key, values",
    [
        ("name", ["", " "]),
        ("email", ["x", "a b@x"]),
        ("model_name", ["{uid", "uid}", "{{uid}", "{}", " ", "{nope}"]),
        ("overrides", [{1: {"name": "x"}}, *({"m": {"credential_name": each}} for each in ([], {}, True, "a\nb"))]),
        (
            "overrides",
            [
                {"m": {"enabled": "maybe"}},
                {"m": {"name": True}},
                {"m": {"invoke_timeout": "１"}},
                {"m": {"max_retries": 1.5}},
            ],
        ),
        ("defaults", [{1: "m"}, {"llm": ""}]),
        ("prove_from", [{"command": ""}, {"command": ["docker", " "]}]),
        ("proxy", ["ftp://x", "proxy:3128"]),
    ],
)
def test_a_wrong_key_of_a_target_is_refused(key, values):
    for value in values:
        assert in_one_line(refused({**LAN, "dify_targets": [{**TARGET, key: value}]}), "dify_targets"), value


def test_the_last_model_is_removed_by_an_empty_list():
    assert refused({"models_prune": True}) == refused({"models_prune": True, "xinference_models": []}) == []


def test_a_fact_that_is_given_as_a_variable():
    assert refused({"xinference_clusters": "mine"}) == [
        "xinference_clusters is a fact that this collection sets: did you mean xinference_cluster?"
    ]
    assert refused({"xinference_clusters": {"default": {}}}) == []


class Given:
    """Variables as the action has them."""

    def __init__(self, given):
        self.given, self.undefined = {"inventory_hostname": "gpu01", **given}, {}

    def settings(self):
        return Settings(self.given, LOCAL)


def test_a_cluster_of_two_lines_is_told_in_one():
    said = validated(Given({"xinference_cluster": "a\nb"}), PlaybookNeeds(ALL))["msg"]
    assert said.splitlines()[0].startswith("gpu01 (cluster a\\nb): xinference_cluster has a line break")
    assert len(said.splitlines()) == 2


def forms(secret):
    """As an error may write it."""
    quoted = {urllib.parse.quote(secret), urllib.parse.quote(secret, safe="")}
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode(), *quoted}


@pytest.mark.parametrize(
    "value", [f"{SECRET}\nx", f"{SECRET}\x00", [SECRET], {"a": SECRET}, {SECRET: "a"}, [{SECRET: SECRET}]]
)
def test_no_sentence_tells_a_secret(value):
    secrets = {name for name, option in SPECS.options.items() if option.get("no_log")}
    given = [{name: value} for name in secrets]
    given += [{name: value} for name in ("dify_targets", "xinference_users", "xinference_hub")]
    given += [{"dify_targets": [{**TARGET, key: value}]} for key in ("password", "admin_key")]
    given += [
        {"xinference_users": [{**USER, "password": value}]},
        {"xinference_hub": {"source": "huggingface", "token": value}},
    ]
    given += [{"xinference_environment": {"HF_TOKEN": value}}, {"xinference_models": [{**LLM, "envs": {"A": value}}]}]
    source = {"url": "https://x/y.gguf", "checksum": f"sha256:{'a' * 64}", "headers": {"Authorization": value}}
    given += [{"xinference_models": [{**LLM, "source": source}]}]
    assert len(secrets) > 3
    for variables in given:
        found = validated(Given({**LAN, **variables}), PlaybookNeeds(ALL)).get("msg", "")
        if not (isinstance(value, str) and "models" in str(variables) and "Authorization" in str(variables)):
            assert found, variables
        assert not [form for form in forms(SECRET) if form in found], variables


#: In the words of ansible-core 2.18 and of 2.21.
UNREADABLE = [
    ("Syntax error in template: unexpected end of template, expected 'end of print statement'.", "has a syntax error"),
    (
        "template error while templating string: Expected an expression, got 'x'. String: {% if x. ",
        "has a syntax error",
    ),
    ("Syntax error in template: No filter named 'nowhere'.", "uses 'nowhere', which is not an installed plugin"),
    ("Syntax error in template: No test named 'nowhere'.", "uses 'nowhere'"),
    (
        "template error while templating string: Could not load \"nowhere\": 'Invalid plugin FQCN'. String: {{ 1 | nowhere }}",
        "uses 'nowhere'",
    ),
    ("The lookup plugin 'my.own.nowhere' was not found.", "uses 'my.own.nowhere'"),
    ("lookup plugin (nowhere) not found", "uses 'nowhere'"),
    ("Error rendering template: division by zero", ""),
    ("The lookup plugin 'file' failed: Unable to access the file '/nowhere'", ""),
]


@pytest.mark.parametrize("error, words", UNREADABLE)
def test_a_template_that_no_run_can_render(error, words):
    found = undefined.unreadable(error, "xinference_port", "{{ x")
    assert found.startswith("xinference_port: its template ") and words in found if words else found == ""


def of_groups(host, groups, variables):
    """Refusals of the groups of a host."""
    own = [group for group, hosts in groups.items() if host in hosts]
    about = Inventory(host, own, groups, [host], lambda name: variables.get(name, {}))
    return refused(variables.get(host, {}), about)


def test_a_host_in_groups_that_contradict_each_other():
    workers, heads = "xinference_workers", "xinference_supervisors"
    (line,) = of_groups("a", {"xinference_local": ["a"], workers: ["a"], heads: ["b"]}, {})
    assert line.startswith("it is in xinference_local and in xinference_supervisors or xinference_workers, too.")
    (line,) = of_groups("a", {workers: ["a"]}, {})
    assert line.startswith("its cluster 'default' has no supervisor.") and line.endswith(
        "clusters with a supervisor: none."
    )
    clusters = {"a": {"xinference_cluster": "prd"}, "b": {"xinference_cluster": "prod"}}
    (line,) = of_groups("a", {workers: ["a"], heads: ["b"]}, clusters)
    assert line.startswith("its cluster 'prd' has no supervisor.") and line.endswith(
        "clusters with a supervisor: prod."
    )
    for host in "ab":
        (line,) = of_groups(host, {heads: ["a", "b"]}, {})
        assert "cluster 'default' has two supervisors" in line
    assert of_groups("a", {heads: ["a", "b"]}, {"b": {"xinference_cluster": 7}}) == []
    assert of_groups("a", {heads: ["a", "b"], workers: ["a", "c"]}, {"b": {"xinference_cluster": 7}}) == []
    assert of_groups("c", {heads: ["a"], workers: ["c"]}, {}) == []


def test_other_playbooks_do_not_judge_the_groups():
    about = Inventory("a", ["xinference_workers"], {"xinference_workers": ["a"]}, ["a"])
    assert refused({}, about, installs=False) == []


#: As people write them, and the programs take them.
RIGHT = [
    *[
        {"xinference_index": {"index_url": url, "extra_index_urls": [url], "find_links": [url]}}
        for url in (
            "https://u:p@pypi.local:8443/root/pypi/+simple/",
            "http://10.1.2.3/x",
            "https://[fd00::1]/simple",
            "file:///srv/x",
            "/srv/x",
            "https://münchen.example/simple",
        )
    ],
    {
        "xinference_index": {
            "trusted_hosts": ["pypi.local", "pypi.local:8443", "10.1.2.3", "[fd00::1]", "*"],
            "ca_path": "~/ca.pem",
        }
    },
    *[
        {"xinference_environment": {"HTTPS_PROXY": proxy, "no_proxy": "a b"}}
        for proxy in ("", "proxy:3128", "http://u:p@proxy:1", "socks5h://x")
    ],
    {
        "xinference_packages": [
            "vllm>=0.11,<0.12",
            "a[b,c]>=1",
            "a @ https://x/y.whl",
            "a; python_version < '3.12'",
            "git+https://x/y.git@v1",
            "/srv/x.whl",
            "./x.whl",
            "x.whl",
            "a==1.0+cu126",
            "a == 1.0",
            "https://u:p@x/y-1-py3-none-any.whl",
        ]
    },
    {"xinference_constraints": ["torch<3", "a==1; python_version < '3.12'"], "xinference_extras": ["llama-cpp", "all"]},
    *[
        {"xinference_python": python}
        for python in ("3.12.4", "~=3.11", "cpython-3.12", "pypy3.10", "cpython@3.12", "/opt/py-3.11/bin/python")
    ],
    *[{"xinference_bundle_python": python} for python in ("", "3.9", "3.12.4", "3.13t")],
    *[
        {"xinference_bundle_platform": name}
        for name in ("", "aarch64-manylinux_2_28", "x86_64-unknown-linux-gnu", "x86_64-manylinux2014")
    ],
    *[{"xinference_memory_max": size} for size in ("64G", "1.5T", "100%", "512M", "infinity", "")],
    *[{"xinference_rollback_to": name} for name in ("", "4.1.0", "4.1.0-1f0a9c33d2ab", "4.1.0rc1")],
    *[{"xinference_start_timeout": number} for number in ("300", 300.0, "+5", " 60 ", "30.0", MOST)],
    *[{"xinference_free_gib": number} for number in ("1.5", ".5", "1e1", 0, 20)],
    *[{"xinference_metrics_port": number} for number in (0, "0", 9090)],
    *[
        {"xinference_dir": path}
        for path in ("/opt/ä/x", "/opt/x+y", "/opt/x@y", "/opt/x,y", "/usr/local/xinference", "/var/lib/xinference")
    ],
    {"capture_endpoint": "http://127.0.0.1:9997/"},
    {"capture_endpoint": "https://ai.example/prefix"},
    {"dify_run_on": "gpu02", "dify_cluster_hosts": ["gpu01", "gpu02"], "dify_capture_url": "http://10.1.2.3:9997"},
    *[
        {"xinference_models": [{**LLM, "uid": uid}]}
        for uid in ("模型", "a b", "a.b_c-d@e:f", "A" * 100, "a-rep", "...", 7)
    ],
    *[
        {"xinference_models": [{**LLM, **given}]}
        for given in (
            {"gpu_memory": "20GiB"},
            {"gpu_memory": 0.9},
            {"gpu_memory": "90%"},
            {"gpu_memory": "24 GiB"},
            {"worker": "gpu01"},
            {"worker": "10.1.2.3:9998"},
            {"replicas": 2, "gpu_indices": [0, 0]},
            {"download_hub": "csghub"},
            {"draft_model": {}},
            {"lora": [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b"}]},
            {"engine_options": {"a": None, "b_1": [1]}},
            {"name": ""},
            {"envs": {"A": "", "_b": 1, "C": True, "D": "$(x)"}},
            {"dify": {"name": "x", "enabled": "yes", "credential_name": "n" * 30}},
            {"virtual_env_packages": ["vllm==0.11", "#system_numpy#"]},
            {"gpus_per_replica": 0},
            {"state": "absent", "gpu_memory": "x"},
        )
    ],
    *[
        {**LAN, "dify_targets": [{**TARGET, **given}]}
        for given in (
            {"proxy": "socks5h://u:p@proxy:1"},
            {"url": "https://x.example/dify"},
            {"url": "http://[fd00::1]:80/"},
            {"model_name": "{uid}@{cluster}"},
            {"overrides": {"m": {"enabled": False, "max_retries": 0, "invoke_timeout": "60"}}},
            {"workspaces": "a"},
            {"server_urls": {"gpu01": None}},
            {"prove_from": {"command": ["docker", "exec", "x"]}},
            {"credential_name": ""},
            {"name": "Büro 2"},
        )
    ],
]


@pytest.mark.parametrize("variables", RIGHT, ids=lambda variables: f"{variables}"[:70])
def test_a_right_value_passes(variables):
    assert refused(variables) == []


def test_a_boolean_of_any_spelling_passes():
    apart = {"models_prune", "xinference_auth", "xinference_firewall", "xinference_bundle_on_host"}
    for name in (name for name, option in SPECS.options.items() if option.get("type") == "bool" and name not in apart):
        for value in (True, False, "yes", "no", "on", "off", "true", "False", 1, 0, "1", "0"):
            assert refused({name: value}, roles=[SPECS.roles[name]]) == []
