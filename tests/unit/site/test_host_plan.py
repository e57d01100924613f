# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps for a host, their order, and why a host is refused: pure."""

from __future__ import annotations

import hashlib
import json

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import reconcile
from ansible_collections.modelops.inference.plugins.plugin_utils._site import reading
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.release import HostRelease, index, logins
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import Run, calls

NEW, OLD = "4.1.0-aaaaaaaaaaaa", "4.0.1-bbbbbbbbbbbb"
MARKER = "/opt/xinference/etc/xinference-worker.upgrading"
FOR_A_GPU = {"uid": "big", "engine": "vLLM", "gpu_memory": "6 GiB"}
HEARS = {"uid": "hear", "name": "whisper-tiny", "type": "audio"}
SOURCE = {"url": "https://h/tiny.gguf", "checksum": "sha256:" + "a" * 64, "headers": {"X": "s3cret-token"}}


def models(*given):
    return {"xinference_models": list(given)}


# --- steps -------------------------------------------------------------------------------------------------------------


def test_a_new_host_gets_everything_in_order(host):
    plan = HostPlan.of(host(models({"uid": "tiny", "engine": "llama.cpp", "source": SOURCE})))
    assert list(plan.steps) == ["python", "release", "weights", "administrator", "service"]
    assert plan.refusals == ()


#: Variables, part, what was read, and the steps.
STEPS = {
    "of a bundle": ({"xinference_bundle": "/b"}, "local", {}, ["bundle", "release", "administrator", "service"]),
    "without users": ({"xinference_auth": False}, "local", {}, ["python", "release", "service"]),
    "its user is missing": (
        {},
        "local",
        {"user": {"id": -1}},
        ["python", "directories", "release", "administrator", "service"],
    ),
    "a worker": ({}, "worker", {}, ["python", "network", "release", "service"]),
    "a worker that is drained": (
        {},
        "worker",
        {"files": {"/opt/xinference/etc/xinference-worker.drained": {"mode": "0644"}}},
        ["python", "release"],
    ),
    "a firewall": (
        {"xinference_firewall": True},
        "worker",
        {"firewall": {"differs": True, "plan": ["+ write file /x"], "refused": ""}},
        ["python", "network", "firewall", "release", "service"],
    ),
    "a firewall that is as it must be": (
        {"xinference_firewall": True},
        "worker",
        {"firewall": {"differs": False, "plan": [], "refused": ""}},
        ["python", "network", "release", "service"],
    ),
    "another release": (
        {},
        "local",
        {"current": OLD, "auth_users": 2},
        ["python", "release", "backup", "service"],
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps(host, name):
    variables, part, found, steps = STEPS[name]
    assert list(HostPlan.of(host(variables, part, found)).steps) == steps


def test_a_release_that_is_on_the_host_is_not_built(host):
    wanted = HostRelease.of(host()).id
    plan = HostPlan.of(host(None, found={"releases": [wanted], "auth_users": 2}))
    assert list(plan.steps) == ["release", "service"] and not plan.release.unbuilt
    plan = HostPlan.of(host(None, found={"releases": [wanted], "current": wanted, "lock_drift": ["numpy is 2"]}))
    assert plan.release.unbuilt and plan.steps["release"] == "numpy is 2"


def test_nobody_is_made_administrator_of_a_server_that_has_users_or_needs_none(host):
    assert "administrator" not in HostPlan.of(host(None, found={"auth_users": 2})).steps
    old = {"xinference_version": "2.12.0", "models_reconcile": True}
    config = {"files": {"/opt/xinference/etc/xinference.auth.json": {"mode": "0600"}}}
    assert "administrator" in HostPlan.of(host(old)).steps
    assert "administrator" in HostPlan.of(host(old, found=config)).steps
    assert "administrator" not in HostPlan.of(host({**old, "models_reconcile": False}, found=config)).steps


@pytest.mark.parametrize(
    ("part", "variables", "endpoint"),
    [
        ("local", {}, "http://127.0.0.1:9997"),
        ("local", {"xinference_host": "0.0.0.0", "xinference_port": 80}, "http://127.0.0.1:80"),
        ("supervisor", {}, "http://10.1.1.2:9997"),
        ("worker", {}, "http://10.1.1.1:9997"),
    ],
)
def test_how_the_host_reaches_its_server(host, part, variables, endpoint):
    assert HostPlan.of(host(variables, part)).data["endpoint"] == endpoint


def test_the_api_is_asked_on_the_supervisors_host(host):
    told = HostPlan.of(host(None, "worker", supervisor={"xinference_dir": "/srv/x"})).data["api"]
    assert told == {"host": "head", "directory": "/srv/x", "log": "/srv/x/home/logs/xinference.log"}
    assert HostPlan.of(host()).data["api"]["host"] == "gpu01"


def test_the_plan_is_data_and_has_no_secret(host):
    secret = {"xinference_admin_password": "s3cret-token", "xinference_environment": {"A": "s3cret-token"}}
    text = json.dumps(HostPlan.of(host({**secret, **models({"uid": "m", "engine": "x", "source": SOURCE})})).data)
    assert "s3cret-token" not in text and '"tiny-aaaaaaaaaaaa"' in text


def test_cards_are_told_what_llama_cpp_of_the_release_computes_on(host):
    built = {"llama_cpp": {"build": "cpu", "index": "https://wheels.example.org"}}
    cards = {"gpus": [{"index": 0}]}
    wanted = HostRelease.of(host()).id

    def told(variables=None, **record):
        return HostPlan.of(host(variables, found=cards, built={**built, **record})).data["gpus"][0]["llama_cpp"]

    assert told(id=wanted) == {**built["llama_cpp"], "virtual_env": True}
    assert told(id="another") == {"virtual_env": True}
    assert told({"xinference_offline": True})["virtual_env"] is False
    assert told({"xinference_environment": {"XINFERENCE_ENABLE_VIRTUAL_ENV": 0}})["virtual_env"] is False


# --- release -----------------------------------------------------------------------------------------------------------


def was(current, previous="", upgrading=False, runs=""):
    files = {MARKER: {"mode": "0644"}} if upgrading else {}
    return {"current": current, "previous": previous, "files": files, "service": {"release": runs}}


@pytest.mark.parametrize(
    ("found", "back"),
    [
        # It returns to what runs, or after a run that broke off to what ran.
        (was(OLD, "3.5.0-c"), OLD),
        (was(OLD, "3.5.0-c", upgrading=True), OLD),
        (was(NEW, OLD, upgrading=True), OLD),
        (was(NEW, OLD, runs=NEW), ""),
        # The other part of the host has changed the link.
        (was(NEW, OLD, runs=OLD), OLD),
    ],
)
def test_what_an_upgrade_returns_to(host, found, back):
    assert HostRelease.of(host(None, "worker", found, step="upgrade", release=NEW)).return_to == back
    assert HostRelease.of(host(None, "worker", found, step="restart", release=NEW)).return_to == ""


def test_authentication_is_that_of_the_release_that_runs(host):
    assert host().authentication == "database"
    assert host(release="2.12.0-abc").authentication == "file"
    assert host({"xinference_version": "2.12.0"}).authentication == "file"
    assert host({"xinference_auth": False}, release="2.12.0-abc").authentication == "none"


def test_every_part_of_a_declaration_names_another_release(host):
    given = [
        {},
        {"xinference_extras": ["vllm"]},
        {"xinference_packages": ["a"]},
        {"xinference_constraints": ["a<2"]},
        {"xinference_index": {"constraints": ["b<2"]}},
        {"xinference_python": ">=3.11"},
        {"xinference_python_source": "uv"},
        {"xinference_torch": "cu126"},
        {"xinference_version": "4.0.1"},
    ]
    assert len({HostRelease.of(host(each)).id for each in given}) == len(given)
    assert (
        HostRelease.of(host({"xinference_packages": ["b", "a"]})).id
        == HostRelease.of(host({"xinference_packages": ["a", "b"]})).id
    )


def test_packages_come_from_an_index_or_a_bundle(host):
    login = {"xinference_index": {"index_url": "https://ann:p@ss@h/simple", "extra_index_urls": ["https://t0ken@g/"]}}
    assert index(host(login)) == {**login["xinference_index"], "denied": []}
    assert "t0ken" in logins(host(login).settings) and logins(host().settings) == []
    of_bundle = index(host({**login, "xinference_bundle": "/b"}))
    assert of_bundle["find_links"] == ["/opt/xinference/bundle/wheels"] and "index_url" not in of_bundle
    on_host = index(host({"xinference_bundle": "/b", "xinference_bundle_on_host": True}))
    assert on_host["python_mirror"] == "/b/python"


# --- refusals ----------------------------------------------------------------------------------------------------------

TORCH = {"accelerator": {"refusals": ["this host has cards of amd and nvidia"]}}
#: Variables, what was read, and words of the one refusal; empty where nothing is refused.
REFUSED = {
    "no GPU": (models(FOR_A_GPU), {}, "this host has none to use, and model big would run on the CPU."),
    "no GPU for two": (models(FOR_A_GPU, {**FOR_A_GPU, "uid": "c"}), {}, "and models big, c would"),
    "a GPU": (models(FOR_A_GPU), {"accelerator": {"accelerator": "nvidia"}}, ""),
    "elsewhere": (models({**FOR_A_GPU, "worker": "10.1.2.3"}, {**FOR_A_GPU, "state": "absent"}), {}, ""),
    "no build": (
        {},
        TORCH,
        "is unknown: this host has cards of amd and nvidia. Or set xinference_torch to the build.",
    ),
    "a named build": ({"xinference_torch": "rocm7.2"}, TORCH, ""),
    "unreadable": ({}, {"auth_unreadable": "/x/auth.db cannot be read."}, "/x/auth.db cannot be read."),
    "unasked": ({"xinference_auth": False}, {"auth_unreadable": "/x/auth.db cannot be read."}, ""),
    "before 3": ({"xinference_version": "2.12.0"}, {"auth_unreadable": "/x/auth.db cannot be read."}, ""),
    "swappable": ({}, {"directories": {"refused": ["/opt belongs to xinference."]}}, "/opt belongs to xinference."),
    "read only": (
        {},
        {"disk": {"writable": False}},
        "root may not write to /opt, where xinference_dir (/opt/xinference) is: its",
    ),
    "theirs": (
        {},
        {"port": {"listening": True, "by": "process 7 (python -m xinference.deploy.local)"}},
        "capture -e capture_endpoint=http://127.0.0.1:9997). Stop it, or set xinference_port.",
    ),
    # Of what is no Xinference there is nothing to capture.
    "web": (
        {},
        {"port": {"listening": True, "by": "process 7 (nginx)"}},
        "is in use by process 7 (nginx). Stop it, or set",
    ),
    "ours": ({}, {"port": {"listening": True, "ours": True}}, ""),
    "by hand": ({}, {"service": {"refusal": "/x is not a file of this collection."}}, "/x is not a file of this"),
    "its reconciler": ({}, {"services": {"xinference-reconcile": {"refusal": "/y is not."}}}, "/y is not."),
    "deaf": ({**models(HEARS), "xinference_environment": {"PATH": "/opt/bin"}}, {}, "has none in /opt/bin."),
    "hears": (models(HEARS), {"ffmpeg": "/usr/bin/ffmpeg"}, ""),
    "hears elsewhere": (models({**HEARS, "worker": "hears"}), {}, ""),
    "small": ({}, {"disk": {"free_bytes": 5 << 30}}, "/opt has 5.0 GiB free, the installation needs 10.0 GiB."),
    "small with a GPU": ({"xinference_torch": "cu126"}, {"disk": {"free_bytes": 12 << 30}}, "needs 16.0 GiB."),
    "small, and enough": ({"xinference_free_gib": 3}, {"disk": {"free_bytes": 5 << 30}}, ""),
    "another system": ({}, {"system": {"architecture": "riscv64"}}, "Debian GNU/Linux 12 on riscv64 is not supported."),
    "no root": (
        {},
        {"system": {"root": False, "user": "ann"}},
        "running the service as xinference needs root, but the connection user is ann.",
    ),
    "no root, no place": (
        {"xinference_user": ""},
        {"system": {"root": False, "user": "ann"}, "disk": {"writable": False}},
        "ann may not write to /opt, where xinference_dir (/opt/xinference) must be created.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(host, name):
    variables, found, words = REFUSED[name]
    refused = HostPlan.of(host(variables, found=found)).refusals
    assert len(refused) == bool(words) and all(words in each for each in refused), refused
    # Asking a host refuses nothing.
    assert HostPlan.of(host(variables, found=found, step="other")).refusals == ()


def test_a_host_where_nothing_is_done_is_not_judged(host):
    wanted = host({"xinference_auth": False})
    plan = HostPlan.of(wanted)
    files = {each.path: {"mode": each.mode, "sha256": _sha256(each.content)} for each in plan.service.files}
    found = {
        "current": plan.release.id,
        "releases": [plan.release.id],
        "files": {**files, wanted.found["service"]["path"]: {"sha256": _sha256(plan.service.unit)}},
        "service": {"active": "running", "enabled": True, "config": plan.service.config},
        "disk": {"free_bytes": 0},
        "ffmpeg": "",
    }
    plan = HostPlan.of(host({"xinference_auth": False}, found=found))
    assert plan.steps == {} and plan.refusals == ()


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_what_is_malicious_is_told_with_the_remedy(host):
    plan = HostPlan.of(host(None, found={"denied": [{"release": OLD, "text": "/x has litellm 1.82.7."}]}))
    assert len(plan.notes) == 1
    assert plan.notes[0].startswith(
        "gpu01 (cluster gpu01): /x has litellm 1.82.7. Treat all secrets that this host can read"
    )


@pytest.mark.parametrize("models", [{}, "a", [{"uid": "m", "source": {"url": "x"}}, "b"], [{"lora": 7}]])
def test_a_list_of_models_that_is_half_edited_stops_nothing_that_does_not_install(host, models):
    half = host({"xinference_models": models}, "worker", supervisor={"xinference_models": models}, step="other")
    assert reading.options([half])["resolve"] and HostPlan.of(half).steps == {}


# --- the reading and the modules ---------------------------------------------------------------------------------------


def test_a_host_that_takes_wheels_only_needs_no_compiler(host):
    assert reading.options([host()])["extras"] == ["all"]
    assert reading.options([host({"xinference_index": {"no_index": True}})])["extras"] == []


@pytest.mark.parametrize(
    ("variables", "part", "accelerator"),
    [({}, "local", "auto"), ({}, "supervisor", "none"), ({"accelerator_state": "absent"}, "local", "none")],
)
def test_a_supervisor_computes_with_nothing(host, variables, part, accelerator):
    assert reading.options([host(variables, part)])["accelerator"]["accelerator"] == accelerator


def test_the_firewall_is_compared_where_there_is_one(host):
    assert not {"network", "firewall"} & {*reading.options([host({}, "worker")])}
    asked = reading.options([host({"xinference_firewall": True}, "worker")])
    assert asked["network"]["name"] == "gpu01" and asked["firewall"]["name"] == "inference"
    assert asked["firewall"]["peers"] == [peer["name"] for peer in asked["network"]["peers"]] != []
    alone = reading.options([host({"xinference_firewall": True})])
    assert alone["firewall"]["peers"] == [] and "network" not in alone


def test_one_reading_tells_of_a_supervisor_and_its_own_worker(host):
    parts = [host({}, part, parts=["supervisor", "worker"]) for part in ("supervisor", "worker")]
    asked = reading.options(parts)
    assert (asked["service"], asked["port"]) == ("xinference-supervisor", 9997)
    assert asked["co_located"] == {"service": "xinference-worker", "port": 9998}
    files = {file.rpartition("/")[2] for file in asked["files"]}
    assert {"xinference-supervisor.env", "xinference-worker.env", "xinference-worker.drained"} <= files
    assert reading.options(parts[:1])["co_located"] is None
    co_located = {"service": {"path": "/worker"}, "port": {"listening": True}}
    found = {**parts[0].found, "co_located": co_located}
    worker, supervisor = reading.of_part(found, "worker"), reading.of_part(found, "supervisor")
    assert (worker["service"], worker["port"], worker["services"]) == (co_located["service"], co_located["port"], {})
    assert supervisor["service"] == parts[0].found["service"]
    assert reading.of_part(parts[1].found, "worker") == parts[1].found


def test_a_host_makes_no_plan_of_itself(host):
    """A plan names the machine that a step runs on (delegate_to)."""
    forged = {"api": {"host": "localhost"}}
    said = {"plan": forged, "changes": True, "declared": forged, "co_located": {"plan": forged, "port": {}}, "gpus": []}
    parts = [host({}, part, parts=["supervisor", "worker"]) for part in ("supervisor", "worker")]
    assert reading.without_plan(said, reading.options(parts)) == {"gpus": [], "co_located": {"port": {}}}
    assert reading.without_plan(said, reading.options(parts[1:])) == {"gpus": []}


def test_a_worker_that_goes_or_is_drained_is_none_of_its_cluster(host):
    card = {"gpus": [{"index": 0}]}
    told = HostPlan.of(host(None, "worker", card)).data["worker"]
    assert (told["host"], told["address"]) == ("gpu01", "10.1.1.2:9998")
    assert told["gpus"][0]["worker"] == "10.1.1.2:9998"
    marker = {"files": {"/opt/xinference/etc/xinference-worker.drained": {"mode": "0644"}}}
    drained = HostPlan.of(host(None, "worker", marker))
    assert drained.data["worker"] == {} and "gpu01 is drained: it stays stopped" in drained.notes[0]
    assert HostPlan.of(host({"xinference_state": "absent"}, "worker")).data["worker"] == {}
    assert HostPlan.of(host(None, "supervisor")).data["worker"] == {}


def test_a_host_that_is_both_computes(host):
    assert (
        reading.options([host({}, "supervisor", parts=["supervisor", "worker"])])["accelerator"]["accelerator"]
        == "auto"
    )


def test_a_login_is_the_inventorys_or_the_hosts_file(host):
    options = calls("reload", HostPlan.of(host()), Run(), {})[0].options
    assert options["password_file"] == "/opt/xinference/secrets/admin_password" and "password" not in options
    options = calls("reload", HostPlan.of(host({"xinference_admin_password": "Secret123"})), Run(), {})[0].options
    assert options["password"] == "Secret123" and "password_file" not in options


def test_the_python_that_was_found_is_installed(host):
    known = {"xinference_python_found": {"python": "3.12", "python_source": "host"}}
    options = calls("release", HostPlan.of(host()), Run(known), {})[0].options
    assert (options["python"], options["python_source"], options["activate"]) == ("3.12", "host", False)
    options = calls("release", HostPlan.of(host()), Run(), {})[0].options
    assert options["python"] == ">=3.10,<3.14"


def test_no_header_of_weights_is_in_the_options_for_a_bundle(host):
    given = {"xinference_bundle": "/b", **models({"uid": "m", "engine": "x", "source": SOURCE})}
    call = calls("bundle", HostPlan.of(host(given)), Run(), {})[0]
    assert call.options["sources"] == [{"url": SOURCE["url"], "checksum": SOURCE["checksum"]}]


def test_the_reconciler_is_held_off_as_its_program_takes_it(host):
    there = {"files": {"/opt/xinference/tools/modelops-reconcile": {"mode": "0755"}}}
    words = calls("hold", HostPlan.of(host(found=there)), Run(), {})[0].options["argv"][2:]
    assert reconcile.parser().parse_args(words).seconds == 900
    assert calls("hold", HostPlan.of(host()), Run(), {}) == []
    assert calls("hold", HostPlan.of(host(None, "worker", there)), Run(), {}) == []


def test_the_reconcilers_user_is_made_where_role_models_is_in_the_play(host):
    def users(**variables):
        return calls("users", HostPlan.of(host(variables)), Run(), {})[0].options["users"]

    assert users() == []
    assert [each["state"] for each in users(models_reconcile=True)] == ["present"]
    assert [each["state"] for each in users(models_reconcile=False)] == ["absent"]
    assert users(models_reconcile=True, xinference_auth=False) == []


# --- a server that runs ------------------------------------------------------------------------------------------------


def test_a_worker_is_drained_as_its_supervisors_variables_say(host):
    theirs = {"xinference_dir": "/srv/x", "xinference_admin_password": "Secret123"}
    theirs["xinference_environment"] = {"XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU": "0"}
    known = {"hostvars": {"gpu01": {"xinference_worker": {"host": "gpu01", "gpus": [{"index": 0}]}}}}
    plan = HostPlan.of(host({"xinference_admin_password": "another one"}, "worker", supervisor=theirs))
    call = calls("drain", plan, Run(known), {})[0]
    told = {
        name: call.options[name]
        for name in ("worker", "endpoint", "password", "remember", "devices", "gpu_sharing", "state")
    }
    assert call.interpreter == "/srv/x/current/bin/python" and told == {
        "worker": "10.1.1.2:9998",
        "endpoint": "http://10.1.1.1:9997",
        "password": "Secret123",
        "remember": "/srv/x/reconciler/declared.json",
        "devices": [{"index": 0}],
        "gpu_sharing": False,
        "state": "drained",
    }


def test_what_was_served_is_watched_but_what_waits_for_a_worker(host):
    rows = [{"uid": "a", "declared": "present"}, {"uid": "b", "declared": "absent"}]
    assert calls("answers", HostPlan.of(host()), Run({"xinference_models_result": {"models": rows}}), {})[0].options[
        "uids"
    ] == ["a"]
    assert "uids" not in calls("answers", HostPlan.of(host()), Run(), {})[0].options
