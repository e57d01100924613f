# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service as it must be, against what was read of the host: pure."""

from __future__ import annotations

import hashlib
import re
import subprocess

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._site.release import HostRelease
from ansible_collections.modelops.inference.plugins.plugin_utils._site.service import Service, command, environment

MANAGERS = ("systemd", "supervisord")
GROUPS = {"accelerator": {"groups": ["render", "video"]}}
ETC = "/opt/xinference/etc/xinference"


def of(host):
    return Service.of(host, HostRelease.of(host))


def managed(manager, **found):
    return {**found, "service": {"manager": manager, **found.get("service", {})}}


@pytest.fixture
def installed(host):
    """``installed(manager, part, variables)`` -> what is read where all of it is as it must be."""

    def make(manager="systemd", part="local", variables=None):
        first = host(variables, part, managed(manager))
        release, service = HostRelease.of(first), of(first)
        texts = {each.path: (each.content, each.mode) for each in service.files}
        texts[first.found["service"]["path"]] = (service.unit, "0644")
        return {
            "files": {
                path: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "mode": mode, "uid": 7}
                for path, (text, mode) in texts.items()
            },
            "current": release.id,
            "service": {"manager": manager, "active": "running", "enabled": True, "config": service.config},
        }

    return make


@pytest.mark.parametrize("part", ["local", "supervisor", "worker"])
@pytest.mark.parametrize("manager", MANAGERS)
def test_a_host_that_has_all_of_it_does_not_differ(host, installed, manager, part):
    service = of(host(None, part, installed(manager, part)))
    assert not service.differs and service.differences == ()


@pytest.mark.parametrize("manager", MANAGERS)
def test_each_change_is_another_configuration_of_its_own(host, manager):
    """Under supervisord the command is in the start script, not in the service's file."""
    hosts = [
        host({}, found=managed(manager)),
        host({"xinference_port": 9996}, found=managed(manager)),
        host({"xinference_environment": {"A": "b"}}, found=managed(manager)),
        host({"xinference_version": "4.0.1"}, found=managed(manager)),
        host({}, found=managed(manager, **GROUPS)),
    ]
    release = HostRelease.of(hosts[0]).id
    hosts.append(host({}, found=managed(manager), built={"id": release, "built": "today"}))
    assert len({of(each).config for each in hosts}) == len(hosts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"service": {"active": "stopped"}}, "it is stopped"),
        ({"service": {"enabled": False}}, "it does not start with the host"),
        ({"service": {"config": "0123456789ab"}}, "its process runs with an old configuration"),
        ({"current": "4.0.1-a"}, "it must run release 4.1.0-"),
        ({"files": {"/etc/systemd/system/xinference.service": {"sha256": "x"}}}, "xinference.service differs"),
        ({"files": {f"{ETC}.env": {"sha256": "x"}}}, f"{ETC}.env differs"),
        ({"files": {f"{ETC}.env": {"mode": "0644"}}}, f"{ETC}.env differs"),
        ({"files": {f"{ETC}.env": {}}}, f"{ETC}.env differs"),
    ],
)
def test_each_difference_is_told(host, installed, change, words):
    found = installed()
    for key, value in change.items():
        if isinstance(value, dict):
            for name, each in value.items():
                found[key][name] = {**found[key][name], **each} if isinstance(each, dict) and each else each
        else:
            found[key] = value
    service = of(host(None, found=found))
    assert service.differs and len(service.differences) == 1 and words in service.differences[0], service.differences


def test_other_bounds_of_packages_of_models_restart_nothing(host, installed):
    service = of(host({"xinference_denied_packages": ["evil"]}, found=installed()))
    assert service.differs and not service.differences
    assert (service.files[-1].path, service.files[-1].mode) == ("/opt/xinference/home/uv.toml", "0644")
    assert '"evil<0.dev0"' in service.files[-1].content


def test_packages_of_models_are_bounded_as_the_release_is_unless_a_model_names_a_build(host):
    """A worker's inventory says nothing of models: its supervisor's does."""
    ours = {"xinference_models": [{"uid": "a"}, {"uid": "b", "virtual_env_packages": ["vllm==0.33.0+cu129"]}]}
    torch = {"xinference_torch": "cu126"}
    assert '"vllm<0.20"' in of(host(torch)).files[-1].content
    assert '"vllm<0.20"' not in of(host({**torch, **ours})).files[-1].content
    assert '"vllm<0.20"' not in of(host(torch, "worker", supervisor=ours)).files[-1].content
    assert '"vllm<0.20"' in of(host({**torch, **ours}, "worker")).files[-1].content


def test_under_supervisord_the_services_user_owns_the_environment(host, installed):
    found = installed("supervisord")
    assert of(host(None, found=found)).files[0].owner == "xinference"
    found["files"][f"{ETC}.env"]["uid"] = 0
    assert of(host(None, found=found)).differences == (f"{ETC}.env differs",)
    # Without root it is who connects.
    assert of(host(None, found=managed("supervisord", system={"root": False}))).files[0].owner is None


def test_the_process_is_told_its_configuration(host):
    service = of(host())
    assert service.files[0].content.endswith(f'\nMODELOPS_CONFIG="{service.config}"\n')


# --- environment -------------------------------------------------------------------------------------------------------

#: Variables, and lines of the file; None has one without that name.
LINES = [
    ({}, 'PATH="/opt/xinference/current/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"', True),
    ({"xinference_environment": {"PATH": "/x"}}, 'PATH="/x"', True),
    ({"xinference_environment": {"A": 'b"c$d`e\\f', "N": 5}}, 'A="b\\"c\\$d\\`e\\\\f"', True),
    ({"xinference_environment": {"N": 5}}, 'N="5"', True),
    ({"xinference_auth": False}, 'XINFERENCE_AUTH_ADVANCED="0"', True),
    ({"xinference_auth": False, "xinference_version": "2.12.0"}, 'XINFERENCE_AUTH_ADVANCED="0"', False),
    ({}, 'XINFERENCE_AUTH_ADVANCED="0"', False),
    ({"xinference_hub": {"source": "modelscope", "token": "t"}}, 'MODELSCOPE_API_TOKEN="t"', True),
    ({"xinference_hub": {"source": "modelscope"}}, 'XINFERENCE_MODEL_SRC="modelscope"', True),
    ({"xinference_hub": {"source": "huggingface", "endpoint": "https://m"}}, 'HF_ENDPOINT="https://m"', True),
    ({"xinference_hub": {"source": "huggingface", "token": ""}}, 'HF_TOKEN=""', False),
    ({"xinference_offline": True}, 'HF_HUB_OFFLINE="1"', True),
    ({"xinference_offline": True, "xinference_hub": {"source": "csghub"}}, 'HF_HUB_OFFLINE="1"', False),
    ({"xinference_offline": True, "xinference_hub": {"source": "csghub"}}, 'XINFERENCE_MODEL_SRC="csghub"', True),
    ({"xinference_bundle": "/srv/bundle"}, 'UV_OFFLINE="1"', True),
]


@pytest.mark.parametrize(("variables", "line", "there"), LINES)
def test_the_environment(host, variables, line, there):
    lines = environment(host(variables)).splitlines()
    assert (line in lines) is there and "" not in lines, lines


#: Variables, and the lines of the service's environment that follow.
HUBS = [
    ({}, []),
    ({"xinference_hub": {"source": "huggingface"}}, ['XINFERENCE_MODEL_SRC="huggingface"']),
    (
        {"xinference_hub": {"source": "huggingface", "endpoint": "https://mirror", "token": 'a"b$c'}},
        ['HF_ENDPOINT="https://mirror"', 'HF_TOKEN="a\\"b\\$c"', 'XINFERENCE_MODEL_SRC="huggingface"'],
    ),
    (
        {"xinference_hub": {"source": "modelscope", "token": "t"}, "xinference_environment": {"HF_TOKEN": "u"}},
        ['HF_TOKEN="u"', 'MODELSCOPE_API_TOKEN="t"', 'XINFERENCE_MODEL_SRC="modelscope"'],
    ),
    (
        {
            "xinference_hub": {"source": "csghub", "endpoint": "https://a"},
            "xinference_environment": {"XINFERENCE_CSG_ENDPOINT": "https://b"},
        },
        ['XINFERENCE_CSG_ENDPOINT="https://b"', 'XINFERENCE_MODEL_SRC="csghub"'],
    ),
]


@pytest.mark.parametrize(("variables", "lines"), HUBS)
def test_a_hub_is_told_in_the_words_of_its_client(host, variables, lines):
    told = re.findall(r"^(?:HF_|MODELSC|XINFERENCE_(?:CSG|MODEL)).*", environment(host(variables)), re.MULTILINE)
    assert sorted(told) == lines


@pytest.mark.parametrize(("seconds", "times", "interval"), [(10, 5, 40), (600, 120, 300)])
def test_the_server_gives_up_no_earlier_than_the_run_does(host, seconds, times, interval):
    """It looks every five seconds for its own parts."""
    slow = host({"xinference_start_timeout": seconds})
    lines = environment(slow).splitlines()
    assert f'XINFERENCE_SUBPOOL_LAUNCH_TIMEOUT="{max(seconds, 60)}"' in lines
    assert f'XINFERENCE_HEALTH_CHECK_FAILURE_THRESHOLD="{times}"' in lines
    assert f"\nStartLimitIntervalSec={interval}\n" in of(slow).unit
    # The threshold of a supervisor also says when a dead worker is given up.
    assert "THRESHOLD" not in environment(host({"xinference_start_timeout": seconds}, "supervisor"))


@pytest.mark.parametrize(
    ("part", "variables", "words"),
    [
        ("local", {}, "xinference-local --log-level INFO --host 127.0.0.1 --port 9997"),
        ("local", {"xinference_metrics_port": 9000}, "--port 9997 --metrics-exporter-port 9000"),
        ("supervisor", {"xinference_metrics_port": 9000}, "--host 10.1.1.2 --port 9997 --supervisor-port 9999"),
        ("worker", {}, "--host 10.1.1.2 --endpoint http://10.1.1.1:9997 --worker-port 9998"),
        ("local", {"xinference_version": "2.12.0"}, "--auth-config /opt/xinference/etc/xinference.auth.json"),
        ("worker", {"xinference_version": "2.12.0"}, "--worker-port 9998"),
    ],
)
def test_the_command(host, part, variables, words):
    assert command(host(variables, part)).endswith(words)


# --- files -------------------------------------------------------------------------------------------------------------


def test_systemd_gives_the_service_the_groups_of_the_cards(host):
    groups = "\nGroup=xinference\n# Of the cards' device nodes.\nSupplementaryGroups=render video\n"
    assert groups in of(host(None, found=GROUPS)).unit


def test_systemd_hides_nothing_that_links_lead_to(host):
    links = {"resolved": {"/opt/xinference": "/home/disk", "/opt/xinference/models": "/tmp/models"}}
    unit = of(host(None, found=links)).unit
    assert "\nProtectHome=read-only\n" in unit and "\nPrivateTmp=no\n" in unit
    unit = of(host()).unit
    assert "\nProtectHome=yes\n" in unit and "\nPrivateTmp=yes\n" in unit
    models = {"xinference_models": [{"uid": "m", "path": "/home/m"}]}
    assert "\nProtectHome=read-only\n" in of(host(models)).unit
    assert "ProtectHome" not in of(host({"xinference_hardening": False})).unit
    assert "ProtectHome" not in of(host(None, found=managed("systemd", service={"scope": "user"}))).unit


def test_a_home_with_signs_that_mean_something_to_systemd(host):
    unit = of(host({"xinference_home": "/srv/a#b?c%20d"})).unit
    for line in ("WorkingDirectory=/srv/a#b?c%%20d", "ReadWritePaths=/srv/a#b?c%%20d"):
        assert f"\n{line}\n" in unit


@pytest.mark.parametrize("manager", MANAGERS)
def test_a_percent_begins_nothing_in_a_unit(host, manager):
    names = ("home", "dir", "cluster", "metrics_host", "log_level", "user", "group", "service", "memory_max")
    percent = host({f"xinference_{name}": f"/a%{name}" for name in names}, found=managed(manager))
    assert not re.findall(r"(?<!%)%(?!%)", of(percent).unit)


def test_under_supervisord_the_start_script_changes_the_user_with_his_groups_and_those(host, tmp_path):
    service = of(host(None, found=managed("supervisord", **GROUPS)))
    assert "user=" not in service.unit
    assert "\nuser=xinference\n" in of(host(None, found=managed("supervisord"))).unit
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"id": '[ "$1" = -u ] && echo 0 || echo "990 44"', "setpriv": 'echo "$@"'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    script = tmp_path / "script"
    script.write_text(service.files[1].content)
    done = subprocess.run(
        ["/bin/sh", script], env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"--reuid=xinference --regid=xinference --groups=990,44,render,video /bin/sh {script} clean\n"
