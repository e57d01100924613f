# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refusals of a host's variables, kind by kind: pure."""

from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.modelops.inference.plugins.plugin_utils._site import amounts, kinds, undefined, users
from ansible_collections.modelops.inference.plugins.plugin_utils._site import refusals as site
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PLAYBOOKS, PlaybookNeeds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import ALL, SPECS, Inventory, Settings

LOCAL = Inventory("gpu01", ["xinference_local"], {"all": ["gpu01", "gpu02"]}, ["gpu01", "gpu02"])
SUPERVISOR = Inventory("gpu01", ["xinference_supervisors"], {"all": ["gpu01"]}, ["gpu01"])
WORKER = Inventory("gpu01", ["xinference_workers"], {"all": ["gpu01"]}, ["gpu01"])
BOTH = Inventory("gpu01", ["xinference_supervisors", "xinference_workers"], {"all": ["gpu01"]}, ["gpu01"])
SECRET = "Orange-7-Kettle"
USER = {"name": "ann", "password": SECRET}
LLM = {"uid": "m", "engine": "vLLM"}
TARGET = {"name": "office", "url": "http://dify", "email": "ops@example.com", "password": SECRET}
ASCEND = {"part": "driver", "path": "/nowhere.run", "checksum": "A" * 64}
CUSTOM = {
    **LLM,
    "path": "/m",
    "size": 1,
    "definition": {"family": "qwen2.5-instruct", "context_length": 2048, "abilities": ["chat"]},
}


def refused(variables, inventory=LOCAL, roles=ALL, installs=True):
    return of_needs(variables, PlaybookNeeds(tuple(roles), installs=installs), inventory)


def of_needs(variables, needs, inventory=LOCAL):
    return site.refusals(Settings(variables, inventory), variables, needs, names=["gpu01"])


def defined(**given):
    return {"xinference_models": [{**CUSTOM, "definition": {**CUSTOM["definition"], **given}}]}


#: Variables, and words of the one sentence that refuses them; with the inventory where it is another one.
WRONG = [
    # Names of environment variables, and values.
    *[
        ({"xinference_environment": {name: "1"}}, "is not a name of")
        for name in ("A$(touch /x)", "A; b", "A-B", "1A", "", "A B", "A=B", "A\nB", "Ä", 7, True, None)
    ],
    ({"xinference_environment": {"A": None}}, "xinference_environment, A is empty (null)"),
    ({"xinference_environment": {"A": ["1"]}}, "xinference_environment, A must be one text, not a list"),
    ({"xinference_environment": {"A": {"b": 1}}}, "xinference_environment, A must be one text, not a mapping"),
    ({"xinference_environment": {"A": f"{SECRET}\nB=1"}}, "may hold a line break (xinference_environment, A)"),
    ({"xinference_environment": {"A": "1\x00"}}, "may hold a line break (xinference_environment, A)"),
    ({"xinference_environment": {"HOME": "/x"}}, "sets HOME, which the role sets"),
    ({"xinference_environment": {"XINFERENCE_AUTH_DB_PATH": "/x"}}, "sets XINFERENCE_AUTH_DB_PATH"),
    ({"xinference_environment": "A=1"}, "xinference_environment must be a mapping, not a text"),
    ({"xinference_hub": {"token": SECRET}}, "xinference_hub needs source"),
    ({"xinference_hub": {"source": "huggingface", "endpoint": "mirror"}}, "endpoint must begin with http"),
    # Service, user, cluster.
    *[
        ({"xinference_service": name}, "xinference_service must be a name of a service")
        for name in ("../../../../tmp/x", "a b", "a;b", "$(id)", "", ".x", "-x", "a/b", "x" * 101)
    ],
    ({"xinference_service": "a\nb"}, "xinference_service has a line break"),
    ({"xinference_service": "xinf"}, "this host is supervisor and worker with one service each", BOTH),
    ({"xinference_user": "a;b"}, "xinference_user must be a name of a user"),
    ({"xinference_group": "a b"}, "xinference_group must be a name of a group"),
    *[({"xinference_cluster": name}, "xinference_cluster must be a name") for name in ("", "a b", "a/b", "a@b", "{a}")],
    # Addresses.
    *[
        ({"xinference_host": host}, words)
        for host, words in {
            "$(id)": "neither an IPv4 address nor a host name",
            "a;b": "neither an IPv4 address nor a host name",
            "10.0.0": "is not an IPv4 address",
            "2130706433": "is not an IPv4 address",
            "a b": "neither an IPv4 address nor a host name",
            "::1": "Xinference joins address and port with a colon",
            "": "A standalone server needs an address",
            "127.0.0.1\n": "xinference_host has a line break",
        }.items()
    ],
    ({"xinference_host": None}, "xinference_host must be one text, but is empty"),
    ({"xinference_host": "0.0.0.0"}, "which the other hosts of the cluster cannot call", SUPERVISOR),
    ({"xinference_host": "10.1.2.3", "xinference_auth": False}, "anyone who reaches the port could run code"),
    ({"xinference_metrics_host": "$(id)"}, "xinference_metrics_host is neither an IPv4 address nor a host name"),
    *[
        ({name: [network]}, f"{name} has {network!r}, which is not an IPv4 network")
        for name in ("xinference_networks", "xinference_api_networks")
        for network in ("10.0.0.1; drop", "10.0.0.0/33", "anywhere", "fd00::/8", "")
    ],
    ({"xinference_networks": ["10.0.0.0/8", None]}, "xinference_networks, item 2 is empty"),
    ({"xinference_firewall": True}, "closes the API port for all networks except xinference_api_networks"),
    ({"xinference_weights_seed": "gpu99"}, "xinference_weights_seed is 'gpu99', which is not a host of the inventory"),
    # Ports.
    *[
        ({name: port}, f"{name} must be between 1 and 65535")
        for name in ("xinference_port", "xinference_supervisor_port", "xinference_worker_port")
        for port in (0, -1, 65536, "70000", "-9997")
    ],
    *[
        ({name: port}, f"{name} must be between 1 and 65535, or 0 for a random one")
        for name in ("xinference_metrics_port", "xinference_weights_port")
        for port in (-1, 65536)
    ],
    ({"xinference_port": "http"}, "xinference_port must be a whole number in digits, not 'http'"),
    ({"xinference_port": True}, "xinference_port must be a whole number in digits, not the boolean True"),
    ({"xinference_port": 9999}, "must be three ports (they are 9999, 9999 and 9998)"),
    ({"xinference_metrics_port": 9997}, "xinference_metrics_port is 9997, the port of xinference_port"),
    ({"xinference_weights_port": 5, "xinference_metrics_port": 5}, "are the same port"),
    ({"xinference_firewall_except_ports": [22, 0]}, "xinference_firewall_except_ports has 0"),
    *[
        ({"xinference_port_range": ports}, "must be the first and the last port in ascending order")
        for ports in ([60999, 32768], [1], [1, 2, 3], [0, 5], [5, 65536], [7, 7])
    ],
    # Numbers.
    *[
        ({name: least - 1}, f"{name} must be at least {least} (it is {least - 1}")
        for name, least in amounts.LEAST.items()
    ],
    *[({name: "soon"}, " number in digits, not 'soon'") for name in amounts.LEAST],
    ({"xinference_free_gib": "nan"}, "xinference_free_gib must be a number in digits, not 'nan'"),
    ({"xinference_free_gib": float("inf")}, "xinference_free_gib must be a number in digits, not the number inf"),
    ({"xinference_max_fail_percentage": 101}, "must be between 0 and 100"),
    *[
        ({"xinference_serial": [batch]}, "xinference_serial must be a number or a percentage of hosts")
        for batch in ("0", "-1", "0%", "101%", "all")
    ],
    *[({"xinference_upgrade_batch": batch}, "xinference_upgrade_batch must be a number") for batch in ("0", "", "few")],
    *[
        ({"xinference_memory_max": size}, "xinference_memory_max must be a size")
        for size in ("64 G", "lots", "-1", "64G; x")
    ],
    *[
        ({"xinference_index": {key: value}}, f"xinference_index, {key} has an address that does not begin with")
        for key, value in {
            "index_url": f"me:{SECRET}@pypi.local/simple",
            "extra_index_urls": ["https://pypi.local/simple", "pypi.local"],
            "python_mirror": "mirror.local/pythons",
            "proxy": "proxy:3128",
        }.items()
    ],
    *[
        (
            {"xinference_python": python},
            f"or the path of a Python on the host (it is '{python}')",
        )
        for python in ("2.7", "3.8", "3.1", ">=2.7,<3", "4", ">=3.12,<3.10")
    ],
    ({"xinference_bundle_work": ""}, "xinference_bundle_work is empty"),
    ({"capture_dest": ""}, "capture_dest is empty"),
    ({"xinference_cache_dir": ""}, "xinference_cache_dir must be an absolute path"),
    # Values that YAML reads otherwise than written.
    *[
        ({name: number}, f"{name} is the number {number}, the same as {number}0. Put the version in quotes: {name}: ")
        for name in (
            "xinference_version",
            "xinference_bundle_python",
            "xinference_rollback_to",
            "accelerator_driver_branch",
        )
        for number in (4.1, 580.9)
    ],
    ({"xinference_index": {"timeout": 0}}, "xinference_index, timeout must be at least 1"),
    ({"accelerator_huge_pages": -1}, "accelerator_huge_pages must be a number of pages"),
    ({"accelerator_reboot_timeout": 0}, "must be at least 1 second (they are 0 and 120)"),
    # Directories.
    ({"xinference_home": "/opt/xinference"}, "xinference_home is xinference_dir itself"),
    *[
        ({"xinference_home": f"/opt/xinference/{part}"}, f"is in {part.partition('/')[0]} of xinference_dir")
        for part in (
            "secrets",
            "secrets/x",
            "releases/4.1.0",
            "tools",
            "etc",
            "reconciler",
            "current",
            "bundle",
            "supervisor",
        )
    ],
    (
        {"xinference_home": "/opt/me"},
        "xinference_home (/opt/me) contains xinference_dir (/opt/me/x)",
        LOCAL,
        {"xinference_dir": "/opt/me/x"},
    ),
    (
        {"xinference_models_dir": "/opt/xinference/home"},
        "xinference_home and xinference_models_dir are the same directory",
    ),
    (
        {"xinference_models_dir": "/opt/xinference/home/m"},
        "xinference_models_dir (/opt/xinference/home/m) is inside xinference_home",
    ),
    ({"xinference_models_dir": "/opt/xinference/./home/"}, "must be dedicated directories"),
    ({"xinference_models_dir": "/opt/xinference/secrets"}, "is in secrets of xinference_dir"),
    *[
        ({name: f"/srv/a{letter}b"}, f"{name} must not have {letter} in its path")
        for name in ("xinference_dir", "xinference_home", "xinference_models_dir", "xinference_cache_dir")
        for letter in "%$\"'`;&|<>*?#\\"
    ],
    ({"xinference_dir": "/opt/my xinference"}, "must have no space in their paths"),
    ({"xinference_dir": "/opt/my\nxinference"}, "xinference_dir has a line break"),
    ({"xinference_dir": "/opt"}, "must be dedicated directories, such as /opt/xinference"),
    ({"xinference_dir": "opt/x"}, "must be dedicated directories, such as /opt/xinference"),
    ({"xinference_dir": "~/x"}, "must be dedicated directories, such as /opt/xinference"),
    ({"xinference_dir": "/opt/../etc/x"}, "xinference_dir must have no '..' in its path"),
    ({"xinference_dir": "/etc/xinference"}, "xinference_dir is /etc/xinference, which belongs to the system"),
    ({"xinference_home": "/var/lib"}, "xinference_home is /var/lib, which belongs to the system"),
    *[
        ({"xinference_cache_dir": path}, "belongs to the system")
        for path in ("/", "/etc", "/etc/uv", "/usr", "/tmp", "//")
    ],
    ({"xinference_cache_dir": "cache"}, "xinference_cache_dir must be an absolute path without spaces"),
    (
        {"xinference_cache_dir": "/opt/xinference/secrets"},
        "xinference_cache_dir (/opt/xinference/secrets) is in secrets",
    ),
    ({"xinference_cache_dir": "/opt/xinference/home/uv"}, "is inside xinference_home"),
    ({"models_reconcile_metrics_dir": "metrics"}, "models_reconcile_metrics_dir must be an absolute path"),
    ({"models_reconcile_metrics_dir": "/var/$(id)"}, "models_reconcile_metrics_dir must not have"),
    # Users.
    (
        {"xinference_admin_password": 12345678},
        "xinference_admin_password must be one text, not a number: put it in quotes",
    ),
    ({"xinference_admin_password": "1234567"}, "xinference_admin_password must have at least 8 characters"),
    ({"xinference_admin_user": "a b"}, "xinference_admin_user must be a name without spaces"),
    ({"xinference_admin_user": ""}, "xinference_admin_user must be a name without spaces"),
    ({"xinference_client_key": SECRET}, "xinference_client_key must be 'sk-' and at least 13 letters or digits"),
    (
        {"xinference_client_key": "sk-" + "a" * 14, "xinference_version": "2.12.0"},
        "xinference_client_key must be 'sk-' and exactly 13 letters or digits",
    ),
    ({"xinference_users": [{"name": "ann"}]}, "xinference_users, ann: password is missing"),
    ({"xinference_users": [{"name": "ann", "password": ""}]}, "xinference_users, ann: password is missing"),
    (
        {"xinference_users": [{"name": "ann", "password": "1234567"}]},
        "xinference_users, ann: password must have at least 8",
    ),
    ({"xinference_users": [{"name": "ann", "password": 12345678}]}, "ann, password must be one text, not a number"),
    (
        {"xinference_users": [{**USER, "permissions": ["models:lst"]}]},
        "permissions has 'models:lst', which is unknown",
    ),
    ({"xinference_users": [USER, USER]}, "xinference_users has ann 2 times"),
    ({"xinference_users": [{**USER, "name": "admin"}]}, "a user that the role creates"),
    ({"xinference_users": [{**USER, "name": "reconciler"}]}, "a user that the role creates"),
    ({"xinference_users": [{**USER, "name": "a b"}]}, "a user name must have no spaces"),
    # Releases.
    *[
        ({"xinference_version": version}, "xinference_version must be a version such as 4.1.0")
        for version in ("newest", "", "4", "4.1.0; x", "4.1.0.2", "1!4.1.0", "4.1.0+cpu")
    ],
    # Two spellings of a version would be two releases of the same packages.
    *[
        (
            {"xinference_version": version},
            f"xinference_version is '{version}'. Write it as the release's own name: '{name}'.",
        )
        for version, name in {
            "v4.1.0": "4.1.0",
            "4.1": "4.1.0",
            "4.10": "4.10.0",
            "4.01.0": "4.1.0",
            "4.1rc1": "4.1.0rc1",
            "1.11.0-post1": "1.11.0.post1",
        }.items()
    ],
    *[
        (
            {"xinference_extras": [extra]},
            f"xinference_extras has '{extra}', which Xinference 4.1.0 does not have; {hint}",
        )
        for extra, hint in {
            "vlm": "did you mean vllm?",
            "llama-cppp": "did you mean llama-cpp?",
            "llamacpp": "did you mean llama-cpp?",
            "transformer": "did you mean transformers?",
            "gguf": "there are all, anthropic",
        }.items()
    ],
    ({"xinference_version": "2.6.1"}, "is not installed. Choose another version"),
    ({"xinference_extras": "all"}, "xinference_extras must be a list, not text: write [all]"),
    ({"xinference_extras": True}, "xinference_extras must be a list, not a boolean"),
    ({"xinference_torch": "cuda"}, "xinference_torch must be auto, cpu, default"),
    ({"xinference_offline": True, "xinference_models": [{**LLM, "virtual_env": True}]}, "virtual_env is true for m"),
    # Models.
    *[
        ({"xinference_models": [{**LLM, "uid": uid}]}, words)
        for uid, words in {
            ".": "could never be terminated",
            "..": "could never be terminated",
            " ": "must not be blank",
            "": "has 0 characters",
            "a\nb": "has a line break",
            "a\x00b": "has a line break",
            "a/b": "contains /",
        }.items()
    ],
    ({"xinference_models": [LLM, LLM]}, "declared 2 times"),
    ({"xinference_models": [{**LLM, "engnie": "x"}]}, "no option 'engnie'; nearest: engine"),
    (
        {"xinference_models": [{**LLM, "name": "qwen3", "replicas": "two"}]},
        "xinference_models, m, replicas must be a whole",
    ),
    ({"xinference_models": ["m"]}, "xinference_models, item 1 must be a mapping, not a text"),
    ({"xinference_models": {"uid": "m"}}, "xinference_models must be a list, not a mapping"),
    (
        {"xinference_models": [{**LLM, "replicas": 2, "gpus_per_replica": 4, "gpu_indices": [0, 1, 2, 3]}]},
        "2 replicas with gpus_per_replica 4 take 8 GPUs, and gpu_indices names 4",
    ),
    (
        {"xinference_models": [{**LLM, "dify": {"server_url": "lan:9997"}}]},
        "dify: server_url 'lan:9997' is not an address",
    ),
    ({"xinference_models": [{**LLM, "dify": {"server_url": "http://lan/v1"}}]}, "ends in /v1"),
    ({"xinference_models": [{**LLM, "dify": {"credential_name": "n" * 31}}]}, "credential_name has 31 characters"),
    ({"xinference_models": [{**LLM, "dify": {"invoke_timeout": 0}}]}, "invoke_timeout must be a number, at least 1"),
    (defined(abilities=["fly"]), "definition.abilities has 'fly'"),
    (defined(context_length=-1), "definition.context_length must be at least 1"),
    (defined(family="/models/x"), "definition.family must be the name of a built-in model"),
    (defined(extra={"model_name": "x"}), "definition.extra may not have model_name"),
    (defined(virtual_env={"packages": [], "index_url": f"https://me:{SECRET}@x"}), "virtual_env.index_url has a login"),
    (
        {"xinference_definitions": [{"name": "c", "path": "/m", "size": 1, "definition": {"family": "a/b"}}]},
        "definitions: c: definition.family must be the name of a built-in model",
    ),
    ({"xinference_definitions": [{"name": "c", "fromat": "x"}]}, "no option 'fromat'; nearest: format"),
    ({"models_replace": "banana"}, "models_replace must be false or true or surge (it is 'banana')"),
    ({"models_prove": "pear"}, "models_prove must be never or changed or always (it is 'pear')"),
    # Difys.
    *[
        ({"dify_targets": [{**TARGET, "server_url": url}]}, f"dify_targets: office: {words}")
        for url, words in {
            "lan:9997": "server_url 'lan:9997' is not an address",
            "ftp://lan": "server_url 'ftp://lan' is not an address",
            "http://lan:9997/v1": "server_url 'http://lan:9997/v1' ends in /v1",
            "http://lan:9997/x": "server_url 'http://lan:9997/x' must be an address",
            "http://lan:0": "server_url 'http://lan:0' is not an address",
            "http://lan:70000": "server_url 'http://lan:70000' is not an address",
        }.items()
    ],
    ({"dify_targets": [{**TARGET, "server_urls": {"gpu01": "lan"}}]}, "server_urls of gpu01 'lan' is not an address"),
    (
        {"dify_targets": [{**TARGET, "overrides": {"m": {"server_url": "lan"}}}]},
        "overrides of m: server_url 'lan' is not an address",
    ),
    ({"dify_targets": [{**TARGET, "credential_name": "n" * 31}]}, "credential_name has 31 characters; Dify allows 30"),
    (
        {"dify_targets": [{**TARGET, "password": ""}]},
        "dify_targets: office: password is empty: give email and password, or admin_key",
    ),
    (
        {"dify_targets": [{**TARGET, "password": 12345678}]},
        "dify_targets, office, password must be one text, not a number",
    ),
    ({"dify_targets": [{**TARGET, "plugin": {"package": "/nowhere.difypkg"}}]}, "cannot be read on this machine"),
    # Accelerators.
    ({"accelerator": "cuda"}, "accelerator is 'cuda', not one of auto, nvidia"),
    ({"accelerator_driver_branch": "latest"}, "accelerator_driver_branch must be a branch such as 580"),
    (
        {"accelerator_repositories": {"nvidia": {"url": f"https://me:{SECRET}@mirror.example/"}}},
        "accelerator_repositories: the url or key of nvidia contains a login",
    ),
    (
        {"accelerator_repositories": {"nvidia": {"url": "mirror.local/x"}}},
        "accelerator_repositories: the url of nvidia must begin with https://, http:// or file:///.",
    ),
    (
        {"accelerator_repositories": {"nvidia": {"key": "/nope/key.asc"}}},
        "accelerator_repositories: the key of nvidia is neither a URL nor a file on the controller.",
    ),
    ({"accelerator_ascend_files": [ASCEND, ASCEND]}, "accelerator_ascend_files names a part twice (driver, driver)."),
    (
        {"accelerator_ascend_files": [{**ASCEND, "checksum": "1"}]},
        "each checksum of accelerator_ascend_files must be a SHA-256",
    ),
    (
        {"accelerator_ascend_files": [{**ASCEND, "path": __file__}]},
        f", not {'A' * 64}. Copy the file again, or correct its entry.",
    ),
    ({"accelerator_ascend_files": [ASCEND]}, "driver: /nowhere.run is not on the controller."),
    # Names.
    *[
        ({name: "x"}, f"{name} is not a variable of this collection: did you mean {meant}?")
        for name, meant in {
            "xinference_hosts": "xinference_host",
            "xinference_extra": "xinference_extras",
            "xinference_dirr": "xinference_dir",
            "acelerator": "accelerator",
            "model_replace": "models_replace",
            "XINFERENCE_PORT": "xinference_port",
        }.items()
    ],
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: f"{case[0]}"[:60])
def test_what_cannot_be_right_is_refused_in_one_line(case):
    variables, words, inventory, more = (*case, *(LOCAL, {})[len(case) - 2 :])
    found = refused({**variables, **more}, inventory)
    assert len([line for line in found if words in line]) == 1, found
    assert not [line for line in found if "\n" in line or SECRET in line]
    # The line names the wrong variable.
    assert any(
        name in line for line in found for name in (*variables, "models:", "definitions:", "Choose another version")
    )


@pytest.mark.parametrize("inventory", [LOCAL, SUPERVISOR, WORKER, BOTH], ids=["local", "supervisor", "worker", "both"])
def test_the_defaults_are_right(inventory):
    assert refused({}, inventory) == []
    assert refused(dict(SPECS.defaults), inventory) == []


#: As people write them, and Ansible takes them.
RIGHT = [
    {"xinference_port": "9997", "xinference_worker_port": "8000", "xinference_metrics_port": "0"},
    {"xinference_firewall": "yes", "xinference_api_networks": ["0.0.0.0/0", "10.1.2.3", "10.1.2.3/8"]},
    {"xinference_auth": "false", "xinference_allow_unauthenticated": "true", "xinference_host": "0.0.0.0"},
    {"xinference_auth": "no", "xinference_host": "127.0.0.1"},
    {"xinference_auth": False, "xinference_host": "localhost"},
    *[{"models_replace": word} for word in ("false", "true", "surge", True, False, "True")],
    {"models_prove": "Never"},
    {"xinference_cluster": 7},
    {"xinference_user": "", "xinference_group": ""},
    {"xinference_user": "svc_ai@example.com"},
    {
        "xinference_networks": "10.0.0.0/8,10.1.0.0/16",
        "xinference_port_range": [32768, 60999],
        "xinference_firewall_except_ports": "22, 80",
    },
    {"xinference_environment": {"A": "", "B": 1, "C": True, "_d1": 2.5, "HTTPS_PROXY": "http://u:p@proxy:3128"}},
    {"xinference_environment": {"A": kinds.UNKNOWN}, "xinference_port": kinds.UNKNOWN},
    {"xinference_hub": {"source": "huggingface", "endpoint": "https://hf-mirror.example", "token": SECRET}},
    {
        "xinference_dir": "/srv/a-b_c.d/x",
        "xinference_home": "/data/xinference",
        "xinference_models_dir": "/data/models",
    },
    {"xinference_dir": "/home/me/.local/modelops", "xinference_cache_dir": "/root/.cache/uv"},
    {"xinference_dir": "/tmp/pytest-of-me/pytest-0/host1", "xinference_cache_dir": "/cache"},
    {"xinference_home": "/opt/xinference/home2", "xinference_models_dir": "/opt/xinference/weights"},
    {"xinference_version": "4.1.0rc1", "xinference_torch": "rocm7.2"},
    {"xinference_version": "3.0.0", "xinference_client_key": "sk-" + "a" * 32},
    {"xinference_version": "2.12.0", "xinference_client_key": "sk-" + "a" * 13},
    {"xinference_users": [{**USER, "permissions": [*users.PERMISSIONS]}, {"name": "bob", "state": "absent"}]},
    {"xinference_users": [{"name": "ann", "password": kinds.UNKNOWN, "permissions": kinds.UNKNOWN}]},
    {"xinference_serial": [2, "25%"], "xinference_max_fail_percentage": 0, "xinference_upgrade_batch": "20%"},
    {"xinference_serial": 5, "xinference_upgrade_batch": 2},
    {"xinference_memory_max": "64G", "xinference_free_gib": 0.5, "xinference_upgrade_window": 0},
    {"xinference_metrics_host": "::", "xinference_weights_seed": "gpu02"},
    {"xinference_models": [LLM, CUSTOM | {"uid": "c"}, {"uid": "gone", "state": "absent"}]},
    {
        "xinference_models": [
            {**LLM, "gpus_per_replica": 2, "replicas": "2", "gpu_indices": [0, 1, 2, 3], "size": "0_6"}
        ]
    },
    {"xinference_models": [{**LLM, "name": kinds.UNKNOWN}], "dify_targets": [{**TARGET, "url": kinds.UNKNOWN}]},
    {"dify_targets": [TARGET | {"server_url": "http://lan:9997", "model_name": None, "plugin": None, "proxy": None}]},
    {"dify_targets": [TARGET | {"server_url": "http://lan:9997/"}, {**TARGET, "name": "lab", "allow_loopback": True}]},
    {"accelerator_driver_branch": "580.95.05", "accelerator_cuda": "13"},
    {"xinference_extras": ["llama_cpp", "TRT-LLM", "vllm"]},
    # Nobody knows the extras of a release to come.
    {"xinference_extras": ["brain"], "xinference_version": "4.2.0"},
    {"accelerator_driver_branch": 580},
    # No zero can be lost at their end.
    {"accelerator_driver_branch": 580.95, "xinference_version": "1.11.0.post1", "xinference_python": 3.11},
    *[
        {"xinference_python": python}
        for python in ("3.9", "3.13t", "/usr/bin/python3", ">=3.9", "3", "==3.12.*", "python3.11")
    ],
    {
        "xinference_index": {
            "index_url": "HTTPS://pypi.local",
            "extra_index_urls": ["/srv/simple", "file:///srv"],
            "python_mirror": "/srv",
        }
    },
    {
        "xinference_index": {
            "index_url": kinds.UNKNOWN,
            "extra_index_urls": [kinds.UNKNOWN],
            "proxy": "socks5h://proxy:1",
        }
    },
    {"_raw_params": "my_own_word --x", "my_own": 4.1},
    {
        "my_own_variable": None,
        "xinference_site_name": "x",
        "models": [],
        "hosts": [],
        "rotated": 1,
        "ansible_port": "ssh",
    },
    {"capture_endpoint": "http://127.0.0.1:9997", "capture_password": SECRET, "capture_dest": None},
]


@pytest.mark.parametrize("variables", RIGHT, ids=lambda variables: f"{variables}"[:60])
def test_what_people_write_is_taken(variables):
    # Where Difys are, the server has to listen for them.
    more = {"xinference_host": "10.1.2.3"} if "dify_targets" in variables and "xinference_host" not in variables else {}
    assert refused({**variables, **more}) == []


#: Values of every type, which may be meant or not: none of them may be met by a traceback.
ANY = [
    None,
    0,
    -1,
    7,
    2.5,
    True,
    False,
    "",
    " ",
    "x",
    "a\nb",
    "\x00",
    "../x",
    "yes",
    [],
    [None],
    [1],
    ["x"],
    [[]],
    [{}],
]
ANY += [{}, {"a": 1}, {"a": None}, {1: 2}, {None: []}, {"name": None}, [{"name": 1, "uid": None}], [{"name": ["x"]}]]
ANY += [kinds.UNKNOWN, [kinds.UNKNOWN], {"a": kinds.UNKNOWN}, float("nan"), "9" * 400, "%", "{{", ["a", 1, None, {}]]


@pytest.mark.parametrize("name", sorted(SPECS.options))
def test_no_value_of_a_variable_is_met_by_a_traceback(name):
    for number, value in enumerate(ANY):
        roles = ALL if number % 4 == 0 else [SPECS.roles[name]]
        found = refused({name: value}, [LOCAL, BOTH, WORKER][number % 3], roles)
        assert all(isinstance(line, str) and "\n" not in line for line in found), (value, found)


def test_no_value_of_a_key_is_met_by_a_traceback():
    target = SPECS.options["dify_targets"]["options"]
    model = site.models.models_run.MODEL_OPTIONS
    definition = site.models.models_run.registration.OPTIONS
    for value in (
        None,
        True,
        -1,
        "",
        "a\nb",
        [],
        [None],
        [{}],
        {},
        {1: 2},
        {"a": None},
        float("nan"),
        kinds.UNKNOWN,
        [kinds.UNKNOWN],
    ):
        for key in target:
            refused({"dify_targets": [{**TARGET, key: value}], "xinference_models": [LLM]})
        for key in model:
            refused({"xinference_models": [{**LLM, key: value}], "dify_targets": [TARGET]})
        for key in definition:
            refused(defined(**{key: value}))
        for key in model["dify"]["options"]:
            refused({"xinference_models": [{**LLM, "dify": {key: value}}]})
            refused({"dify_targets": [{**TARGET, "overrides": {"m": {key: value}}}], "xinference_models": [LLM]})
        for key in ("name", "password", "permissions", "state"):
            refused({"xinference_users": [{**USER, key: value}]})


def test_the_targets_of_every_host_are_judged():
    wrong = {"dify_targets": [{**TARGET, "server_url": "lan"}]}
    for inventory in (LOCAL, SUPERVISOR, WORKER, BOTH):
        assert any("is not an address" in line for line in refused(wrong, inventory))


#: One wrong variable of each subject, and the playbooks that it stops.
SUBJECTS = [
    ({"xinference_dir": "/etc"}, set(PLAYBOOKS)),
    ({"xinference_drain_host": "gpu01"}, set(PLAYBOOKS)),
    ({"_raw_params": "xinference_keep_data"}, set(PLAYBOOKS)),
    ({"xinference_models": [{**LLM, "engnie": "x"}]}, {"site", "bundle", "upgrade", "rollback", "restart"}),
    ({"models_replace": "banana"}, {"site", "bundle", "upgrade", "rollback", "restart"}),
    ({"models_prunee": "yes"}, {"site", "bundle", "upgrade", "rollback", "restart"}),
    ({"dify_targets": [{**TARGET, "server_url": "lan"}]}, {"site", "bundle", "rotate"}),
    ({"accelerator_huge_pages": -1}, {"site", "bundle", "upgrade"}),
    ({"accelerator_state": "abssent"}, {"site", "bundle", "upgrade", "remove", "decommission"}),
    ({"accelerator_stat": "absent"}, {"site", "bundle", "upgrade", "remove", "decommission"}),
    ({"dify_capture_dest": 7, "dify_capture_desst": "x"}, {"site", "bundle", "rotate", "capture"}),
    ({"xinference_version": "2.6.1"}, {"site", "bundle", "upgrade"}),
    ({"xinference_users": [{**USER, "permissions": ["banana"]}]}, {"site", "bundle", "upgrade", "rollback", "restart"}),
    ({"xinference_users": {}}, {"site", "bundle", "upgrade", "rollback", "restart"}),
    ({"xinference_admin_password": "short"}, set(PLAYBOOKS)),
    # A host with a server that anyone reaches can be drained and removed.
    (
        {"xinference_auth": False, "xinference_host": "10.1.2.3"},
        {"site", "bundle", "upgrade", "rollback", "restart"},
    ),
]


@pytest.mark.parametrize("variables, playbooks", SUBJECTS, ids=[str(variables) for variables, _needs in SUBJECTS])
def test_a_playbook_is_refused_for_what_it_needs(variables, playbooks):
    # Variables of the playbook itself are checked elsewhere.
    needs = {name: each._replace(own=None) for name, each in PLAYBOOKS.items()}
    assert {name for name, each in needs.items() if of_needs(variables, each)} == playbooks


def test_a_server_without_authentication_has_no_secret_to_replace():
    variables = {"xinference_auth": False, "rotate": ["client_key"]}
    (found,) = of_needs(variables, PLAYBOOKS["rotate"])
    assert found.startswith("xinference_auth is false, so the server has no users") and "Nothing was changed" in found


def test_an_address_of_a_cluster_that_nobody_named_is_told_in_words():
    (found,) = refused({"xinference_auth": False}, WORKER, ["xinference"])
    assert "xinference_host is an address of the network, so anyone" in found


@pytest.mark.parametrize("playbook", ["drain", "undrain", "decommission"])
@pytest.mark.parametrize(
    ("variables", "inventory", "words"),
    [
        ({}, WORKER, "no worker is named. Name the workers with --limit or -e xinference_drain_hosts=..."),
        # A limit that only leaves out hosts names none.
        ({"ansible_limit": "!gpu02"}, WORKER, "no worker is named."),
        ({"ansible_limit": "all:!gpu02"}, WORKER, ""),
        ({"ansible_limit": "!gpu02,gpu01"}, WORKER, ""),
        ({"xinference_drain_hosts": "gpu01"}, WORKER, ""),
        ({"xinference_drain_hosts": "gpu01"}, BOTH, ""),
        ({"ansible_limit": "gpu01"}, SUPERVISOR, "not a worker of a cluster (group xinference_workers), so its models"),
        ({"ansible_limit": "gpu01"}, LOCAL, "ansible-playbook modelops.inference.remove --limit gpu01."),
    ],
)
def test_only_workers_that_are_named_are_stopped(playbook, variables, inventory, words):
    found = of_needs(variables, PLAYBOOKS[playbook], inventory)
    assert len(found) == bool(words) and all(words in each for each in found)


def test_a_role_is_judged_by_its_own_variables():
    variables = {"xinference_port": 0, "models_replace": "banana", "accelerator_huge_pages": -1, "dify_targets": 7}
    for role, word in zip(["xinference", "models", "accelerator", "dify"], variables):
        (line,) = refused(variables, roles=[role])
        assert word in line


@pytest.mark.parametrize(
    "words, meant",
    [
        ("models_prune", {"models_prune": "models_prune=true"}),
        ("x xinference_port 9998", {"xinference_port": "xinference_port=VALUE"}),
        ("model_prune", {"model_prune": "models_prune=true"}),
        ("my_own_word --x", {}),
    ],
)
def test_a_word_of_the_command_line_that_ansible_takes_no_variable_from(words, meant):
    told = [f"-e {word} has no value, so Ansible ignores it. Write -e {whole}." for word, whole in meant.items()]
    assert refused({"_raw_params": words}) == told
    assert refused({"_raw_params": words}, roles=["accelerator"]) == []


class Number(float):
    """As ansible-core since 2.19 tells where a value of the inventory stands."""


class Whole(int):
    """The same."""


class Key(str):
    """As every ansible-core tells where the name of a variable stands."""


@pytest.mark.parametrize("placed", ["number", "key"])
@pytest.mark.parametrize(
    "name, line, told",
    [
        (
            "xinference_version",
            "xinference_version: 4.10  # the newest",
            "xinference_version 4.10 ({}:1) is the number 4.1",
        ),
        ("xinference_version", "a: 1", "xinference_version is the number 4.1, the same as 4.10"),
        ("xinference_cluster", "'xinference_cluster': 4.10", "xinference_cluster 4.10 ({}:1) is the number 4.1"),
        ("xinference_version", "gpu01 xinference_version=4.10 a=1", "xinference_version 4.10 ({}:1) is the number 4.1"),
        ("xinference_version", "{a: 1, xinference_version: 4.10}", "xinference_version 4.10 ({}:1) is the number 4.1"),
        ("xinference_version", "xinference_version: 4.1", "Put the version in quotes: xinference_version: '4.1.0'."),
        ("xinference_rollback_to", "a: 1", "Put the version in quotes: xinference_rollback_to: '4.1.0'."),
        ("xinference_cluster", "a: 1", ""),
    ],
)
def test_a_number_in_the_place_of_a_text_is_told_as_it_is_written(tmp_path, placed, name, line, told):
    path, number, key = tmp_path / "all.yml", Number(4.1), Key(name)
    path.write_text(line + "\n")
    column = line.find("4.1") + 1 if "=" not in line else None
    if placed == "number":
        number.ansible_pos = (str(path), 1, column)
    else:
        key.ansible_pos = (str(path), 1, line.find(name) + 1)
    found = refused({key: number})
    assert [each for each in found if told and told.format(path) in each] == found and bool(found) == bool(told)


@pytest.mark.parametrize("placed", ["number", "key"])
@pytest.mark.parametrize("item", ["{uid: m, engine: vLLM, size: 0_6}", "{uid: m, engine: vLLM, size: 0.60}"])
def test_a_size_whose_line_is_left_out_of_a_number(tmp_path, placed, item):
    path = tmp_path / "models.yml"
    path.write_text(f"xinference_models:\n  - {item}\n")
    size = yaml.safe_load(path.read_text())["xinference_models"][0]["size"]
    size, key = (Whole if isinstance(size, int) else Number)(size), Key("size")
    at = path.read_text().splitlines()[1].index("size") + 1
    if placed == "number":
        size.ansible_pos = (str(path), 2, at + 6)
    else:
        key.ansible_pos = (str(path), 2, at)
    found = refused({"xinference_models": [{**LLM, key: size}]})
    if "0_6" in item:
        (line,) = found
        assert f"xinference_models, m: size 0_6 ({path}:2) is the number 6" in line and "size: '0_6'" in line
    else:
        assert found == []


@pytest.mark.parametrize(
    "error, told",
    [
        ("'vault_a' is undefined", "'vault_a', which is undefined. Define it, or correct the name."),
        ("'deep' is undefined", "'deep' in other, which is undefined."),
        ("'dict object' has no attribute 'a'", "'a', which is undefined."),
        ("No variable named 'a' was found.", "'a', which is undefined."),
        ("No variable found with this name: a", "'a', which is undefined."),
        ("Mandatory variable 'a' not defined.", "'a', which is undefined."),
        ("object of type 'HostVarsVars' has no attribute 'a'", "'a' of another host that does not define it."),
        ("hostvars['gone']", "the host 'gone', which the inventory lacks."),
        ("\"hostvars['gone']\" is undefined", "the host 'gone', which the inventory lacks."),
        ("'xinference_found' is undefined", ""),
        ("'_models_later' is undefined", ""),
        ("division by zero", ""),
    ],
)
def test_an_undefined_name_is_told_in_the_words_of_every_ansible(error, told):
    given = {"xinference_port": "{{ vault_a ~ other ~ a }}", "other": "{{ deep }}"}
    found = undefined.sentence(error, "xinference_port", given["xinference_port"], given)
    assert found.startswith(f"xinference_port: its template needs {told}" if told else "") and bool(found) == bool(told)


def test_weights_through_a_firewall_of_another_cluster_need_a_port():
    theirs = {"gpu02": {"xinference_firewall": "yes"}}
    about = Inventory(
        "gpu01", ["xinference_local"], {"all": ["gpu01", "gpu02"]}, ["gpu01", "gpu02"], theirs.__getitem__
    )
    (line,) = refused({"xinference_weights_seed": "gpu02"}, about)
    assert "its weights come from gpu02, whose firewall" in line
    theirs["gpu02"]["xinference_weights_port"] = 20001
    assert refused({"xinference_weights_seed": "gpu02"}, about) == []


def test_what_is_told_of_models_and_difys_names_no_secret():
    model = {**LLM, "envs": {"HF_TOKEN": SECRET}, "source": {"url": f"https://me:{SECRET}@x/y"}, "sise": 1}
    found = refused({"xinference_models": [model], "dify_targets": [{**TARGET, "passwrd": SECRET}]})
    assert found and SECRET not in "".join(found)


def test_every_number_of_the_roles_has_a_bound():
    bound = {*amounts.LEAST, "xinference_max_fail_percentage", "accelerator_cuda", "accelerator_huge_pages"}
    bound |= {name for name in SPECS.options if re.search(r"_port$|accelerator_\w+_timeout$", name)}
    numbers = {name for name, option in SPECS.options.items() if option.get("type") in ("int", "float")}
    assert numbers == bound & numbers == numbers and not set(amounts.LEAST) - numbers
