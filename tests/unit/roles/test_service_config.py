# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a running process is restarted for, the digest that role xinference starts it with; and the groups that it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import emulated
import pytest

ROLE = Path(__file__).resolve().parents[3] / "roles" / "xinference"
MANAGERS = ("systemd", "supervisord")
CHANGES = {
    "nothing": {},
    "port": {"xinference_port": 9996},
    "environment": {"xinference_environment": {"A": "b"}},
    "groups": {"_xinference_groups": ["render", "video"]},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By the manager of services: the digest by what changed, the unit and the start script."""
    tmp_path = tmp_path_factory.mktemp("service")
    tasks = []
    for manager in MANAGERS:
        found = {
            "system": {"root": True, "accelerators": []},
            "user": {"id": 7},
            "resolved": {"/opt/xinference": "/home/disk", "/opt/xinference/models": "/tmp/models"},
            "service": {"manager": manager, "scope": "system", "active": "stopped"},
            "files": {},
            "gpus": [{"index": 0}],
            "release": {"built": "today"},
            "accelerator": {"torch": {"backend": "cpu"}, "groups": []},
        }
        texts = {name: ("_xinference_service_wanted.config", change) for name, change in CHANGES.items()}
        # A % means something to systemd.
        change = {**CHANGES["groups"], "xinference_home": "/srv/a#b?c%20d"}
        texts |= {name: (f"_xinference_{name}", change) for name in ("unit", "script")}
        ours = {"xinference_models": [{"uid": "a"}, {"uid": "b", "virtual_env_packages": ["vllm==0.33.0+cu129"]}]}
        # A worker's inventory says nothing of models: its supervisor's does.
        said = {"_xinference_said": ours}
        for name, more in (("bounds", {}), ("bounds-own", ours), ("bounds-said", said)):
            told = {**more, "xinference_torch": "cu126", "xinference_denied_packages": ["evil"]}
            texts[name] = ("_xinference_service_wanted.files[-1] | to_json", told)
        built = {"id": "r", "llama_cpp": {"build": "cpu", "index": "https://wheels.example.org"}}
        told = {"_xinference_release": "r", "xinference_release_result": {"release": built}}
        for name, more in (
            ("cards", {}),
            ("cards-offline", {"xinference_offline": True}),
            ("cards-other", {"_xinference_release": "s"}),
        ):
            texts[name] = ("_xinference_devices | to_json", {**told, **more})
        for seconds in (10, 600):
            slow = {"xinference_start_timeout": seconds}
            texts[f"unit-{seconds}"] = ("_xinference_unit", slow)
            texts[f"environment-{seconds}"] = ("_xinference_service_wanted.files[0].content", slow)
        for name, (expression, change) in texts.items():
            dest = str(tmp_path / f"{manager}-{name}")
            copy = {"dest": dest, "content": f"{{{{ {expression} }}}}", "mode": "0600"}
            tasks.append({"ansible.builtin.copy": copy, "vars": {**change, "xinference_found": found}})
    files = [str(ROLE / part / "main.yml") for part in ("defaults", "vars")]
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    # A lookup searches beside the playbook.
    (tmp_path / "templates").symlink_to(ROLE / "templates")
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local"]
    done = subprocess.run(
        [*command, tmp_path / "play.yml", "-e", json.dumps({"ansible_python_interpreter": sys.executable})],
        env={**os.environ, **emulated.called_in_process()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        manager: {file.name.partition("-")[2]: file.read_text() for file in tmp_path.glob(f"{manager}-*")}
        for manager in MANAGERS
    }


@pytest.mark.parametrize("manager", MANAGERS)
def test_another_command_and_another_environment_are_another_configuration(made, manager):
    """Under supervisord the command is in the start script, not in the service's file."""
    found = [made[manager][name] for name in CHANGES]
    assert len(set(found)) == len(found), found


@pytest.mark.parametrize(
    "name, found",
    [
        ("cards", {"build": "cpu", "index": "https://wheels.example.org", "virtual_env": True}),
        ("cards-offline", {"build": "cpu", "index": "https://wheels.example.org", "virtual_env": False}),
        ("cards-other", {"virtual_env": True}),
    ],
)
def test_the_models_are_placed_by_the_llama_cpp_of_the_release_that_runs(made, name, found):
    assert json.loads(made["systemd"][name]) == [{"index": 0, "llama_cpp": found}]


@pytest.mark.parametrize("manager", MANAGERS)
def test_what_xinference_installs_for_a_model_is_bounded_as_the_release_is(made, manager):
    file = json.loads(made[manager]["bounds"])
    assert (file["path"], file["mode"]) == ("/opt/xinference/home/uv.toml", "0644")
    assert '"vllm<0.20"' in file["content"] and '"evil<0.dev0"' in file["content"]
    for name in ("bounds-own", "bounds-said"):
        assert '"vllm<0.20"' not in json.loads(made[manager][name])["content"]


def test_systemd_gives_the_service_the_groups_of_the_cards(made):
    groups = "\nGroup=xinference\n# Of the cards' device nodes.\nSupplementaryGroups=render video\n"
    assert groups in made["systemd"]["unit"]


def test_systemd_hides_nothing_that_links_lead_to(made):
    assert "\nProtectHome=read-only\n" in made["systemd"]["unit"] and "\nPrivateTmp=no\n" in made["systemd"]["unit"]


def test_the_server_gives_up_no_earlier_than_the_run_does(made):
    """It looks every five seconds for its own parts."""
    for seconds, times, interval in ((10, 5, 40), (600, 120, 300)):
        for manager in MANAGERS:
            lines = made[manager][f"environment-{seconds}"].splitlines()
            assert f'XINFERENCE_SUBPOOL_LAUNCH_TIMEOUT="{max(seconds, 60)}"' in lines
            assert f'XINFERENCE_HEALTH_CHECK_FAILURE_THRESHOLD="{times}"' in lines
            assert "" not in lines
        assert f"\nStartLimitIntervalSec={interval}\n" in made["systemd"][f"unit-{seconds}"]


def test_a_home_with_signs_that_mean_something_to_systemd(made):
    for line in ("WorkingDirectory=/srv/a#b?c%%20d", "ReadWritePaths=/srv/a#b?c%%20d"):
        assert f"\n{line}\n" in made["systemd"]["unit"]


def test_under_supervisord_the_start_script_changes_the_user_with_his_groups_and_those(made, tmp_path):
    assert "user=" not in made["supervisord"]["unit"]
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"id": '[ "$1" = -u ] && echo 0 || echo "990 44"', "setpriv": 'echo "$@"'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    script = tmp_path / "script"
    script.write_text(made["supervisord"]["script"])
    done = subprocess.run(
        ["/bin/sh", script], env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"--reuid=xinference --regid=xinference --groups=990,44,render,video /bin/sh {script} clean\n"
