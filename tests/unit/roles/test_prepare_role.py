# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of a service that ran as another user, and what comes before a restart, by the tasks of the role xinference."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import emulated
import pytest
import yaml

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import options

ROLE = Path(__file__).resolve().parents[3] / "roles" / "xinference"


@pytest.fixture
def prepare(tmp_path):
    """``prepare(host=paths, ...)`` -> by host whether its directories differ; runs the role's tasks for each.

    :param paths: that the probe found to differ. The service's user is who runs this.
    """

    def run(**hosts):
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        inventory = {}
        for host, paths in hosts.items():
            top = tmp_path / host
            inventory[host] = {
                "xinference_dir": str(top / "xinference"),
                "xinference_home": str(top / "home"),
                "xinference_models_dir": str(top / "models"),
                "xinference_found": {
                    "system": {"root": True},
                    "user": {"id": os.geteuid()},
                    "directories": {"differ": paths, "refused": []},
                },
            }
        common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        common |= {"xinference_user": user, "xinference_group": group}
        content = "{{ _xinference_directories_differ | to_json }}"
        dest = f"{tmp_path}/{{{{ inventory_hostname }}}}.json"
        copy = {"ansible.builtin.copy": {"dest": dest, "content": content, "mode": "0600"}}
        include = {"name": "modelops.inference.xinference", "tasks_from": "prepare"}
        play = {"hosts": "all", "gather_facts": False, "tasks": [copy, {"ansible.builtin.import_role": include}]}
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": inventory, "vars": common}}))
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", tmp_path / "hosts.json"]
        env = {**os.environ, **emulated.called_in_process()}
        done = subprocess.run([*command, tmp_path / "play.yml"], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return {host: json.loads((tmp_path / f"{host}.json").read_text()) for host in hosts}

    return run


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_directories_get_their_modes_and_what_is_in_them_keeps_its_own(prepare, tmp_path):
    top, outside = tmp_path / "moved", tmp_path / "outside"
    secrets = top / "xinference" / "reconciler"
    secrets.mkdir(parents=True)
    outside.mkdir()
    for path in (secrets / "password", outside / "file"):
        path.write_text("x")
        path.chmod(0o600)
    (secrets / "link").symlink_to(outside)
    # A directory on another disk.
    (tmp_path / "disk").mkdir()
    (top / "home").symlink_to(tmp_path / "disk")
    (top / "home" / "logs").mkdir(mode=0o700)
    outside.chmod(0o700)
    old = os.umask(0o077)
    try:
        assert prepare(moved=[str(top / "home")], same=[]) == {"moved": True, "same": False}
    finally:
        os.umask(old)
    assert (mode(secrets / "password"), mode(outside), mode(outside / "file")) == (0o600, 0o700, 0o600)
    assert (mode(secrets), mode(tmp_path / "disk"), mode(tmp_path / "disk" / "logs")) == (0o755, 0o750, 0o700)
    for host in ("moved", "same"):
        made = [tmp_path / host / "xinference" / name for name in ("", "etc", "releases", "tools")]
        assert {mode(path) for path in made} == {0o755}


def test_the_reconciler_is_held_off_before_the_service_is_restarted():
    tasks = yaml.safe_load((ROLE / "tasks" / "service.yml").read_text())
    held = next(n for n, task in enumerate(tasks) if "hold" in str(task.get("ansible.builtin.command")))
    restarted = next(n for n, task in enumerate(tasks) if "modelops.inference.xinference_service" in task)
    assert held < restarted
    words = tasks[held]["ansible.builtin.command"]["argv"][2:]
    assert options.parser().parse_args(words).seconds == 900
