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

from ansible_collections.modelops.inference.plugins.module_utils._xinference import reconcile

ROLE = Path(__file__).resolve().parents[3] / "roles" / "xinference"


@pytest.fixture
def prepare(tmp_path):
    """``prepare(host=owners, ...)`` -> by host whether its directories differ, and which, by name; runs the role's tasks for each.

    :param owners: name of a directory -> uid that the probe found. The service's user is who runs this.
    """

    def run(**hosts):
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        inventory = {}
        for host, owners in hosts.items():
            top = tmp_path / host
            places = {"home": top / "home", "reconciler": top / "xinference" / "reconciler"}
            root, models = top / "xinference", top / "models"
            files = {str(path): {"uid": os.geteuid()} for path in (root, models)}
            files.update({str(places[name]): {"uid": uid} for name, uid in owners.items()})
            inventory[host] = {
                "xinference_dir": str(root),
                "xinference_home": str(places["home"]),
                "xinference_models_dir": str(models),
                "xinference_found": {"system": {"root": True}, "user": {"id": os.geteuid()}, "files": files},
            }
        common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        common |= {"xinference_user": user, "xinference_group": group}
        content = "{{ [_xinference_directories_differ, _xinference_handed_over] | to_json }}"
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
        made = {host: json.loads((tmp_path / f"{host}.json").read_text()) for host in hosts}
        return {host: (differs, sorted(Path(path).name for path in paths)) for host, (differs, paths) in made.items()}

    return run


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_data_of_another_user_is_handed_over_and_its_modes_and_links_stay(prepare, tmp_path):
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
    own = os.geteuid()
    assert prepare(
        moved={"home": 54321, "reconciler": 54321},
        # Each directory of the service is asked about.
        same={"home": own, "reconciler": own},
        reconciler={"home": own, "reconciler": own + 1},
        new={"home": own},
    ) == {
        "moved": (True, ["home", "reconciler"]),
        "same": (False, []),
        "reconciler": (True, ["reconciler"]),
        "new": (True, []),
    }
    assert (mode(secrets / "password"), mode(outside), mode(outside / "file")) == (0o600, 0o700, 0o600)
    assert (mode(secrets), mode(tmp_path / "disk"), mode(tmp_path / "disk" / "logs")) == (0o755, 0o750, 0o700)


def test_the_reconciler_is_held_off_before_the_service_is_restarted():
    tasks = yaml.safe_load((ROLE / "tasks" / "service.yml").read_text())
    held = next(n for n, task in enumerate(tasks) if "hold" in str(task.get("ansible.builtin.command")))
    restarted = next(n for n, task in enumerate(tasks) if "modelops.inference.xinference_service" in task)
    assert held < restarted
    words = tasks[held]["ansible.builtin.command"]["argv"][2:]
    assert reconcile._parser().parse_args(words).seconds == 900
