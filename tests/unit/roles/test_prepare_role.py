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

import pytest
import yaml

from ansible_collections.modelops.inference.plugins.module_utils._xinference import reconcile

# Of these roles an inventory is run on the oldest ansible-core, too.
pytestmark = pytest.mark.newest

ROLE = Path(__file__).resolve().parents[3] / "roles" / "xinference"


@pytest.fixture
def prepare(tmp_path):
    """``prepare(owners)`` -> the directories that differ, by their names; runs the role's tasks for them.

    :param owners: name of a directory -> uid that the probe found. The service's user is who runs this.
    """

    def run(**owners):
        places = {"home": tmp_path / "home", "reconciler": tmp_path / "xinference" / "reconciler"}
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        root, models = tmp_path / "xinference", tmp_path / "models"
        files = {str(path): {"uid": os.geteuid()} for path in (root, models)}
        files.update({str(places[name]): {"uid": uid} for name, uid in owners.items()})
        outcome = tmp_path / "outcome.json"
        variables = {
            "xinference_dir": str(root),
            "xinference_home": str(places["home"]),
            "xinference_models_dir": str(models),
            "xinference_user": user,
            "xinference_group": group,
            "xinference_found": {"system": {"root": True}, "user": {"id": os.geteuid()}, "files": files},
        }
        content = "{{ [_xinference_directories_differ, _xinference_handed_over] | to_json }}"
        copy = {"ansible.builtin.copy": {"dest": str(outcome), "content": content, "mode": "0600"}}
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [str(ROLE / part / "main.yml") for part in ("defaults", "vars")],
            "tasks": [copy, {"ansible.builtin.import_tasks": str(ROLE / "tasks" / "prepare.yml")}],
        }
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", tmp_path / "play.yml"]
        command += ["-e", json.dumps({**variables, "ansible_python_interpreter": sys.executable})]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        differs, handed_over = json.loads(outcome.read_text())
        return differs, sorted(Path(path).name for path in handed_over)

    return run


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_data_of_another_user_is_handed_over_and_its_modes_and_links_stay(prepare, tmp_path):
    secrets, outside = tmp_path / "xinference" / "reconciler", tmp_path / "outside"
    secrets.mkdir(parents=True)
    outside.mkdir()
    for path in (secrets / "password", outside / "file"):
        path.write_text("x")
        path.chmod(0o600)
    (secrets / "link").symlink_to(outside)
    # A directory on another disk.
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    (tmp_path / "home" / "logs").mkdir(mode=0o700)
    outside.chmod(0o700)
    assert prepare(home=54321, reconciler=54321) == (True, ["home", "reconciler"])
    assert (mode(secrets / "password"), mode(outside), mode(outside / "file")) == (0o600, 0o700, 0o600)
    assert (mode(secrets), mode(tmp_path / "disk"), mode(tmp_path / "disk" / "logs")) == (0o755, 0o750, 0o700)


def test_each_directory_of_the_service_is_asked_about(prepare):
    own = os.geteuid()
    assert prepare(home=own, reconciler=own) == (False, [])
    assert prepare(home=own, reconciler=own + 1) == (True, ["reconciler"])
    assert prepare(home=own) == (True, [])


def test_the_reconciler_is_held_off_before_the_service_is_restarted():
    tasks = yaml.safe_load((ROLE / "tasks" / "service.yml").read_text())
    held = next(n for n, task in enumerate(tasks) if "hold" in str(task.get("ansible.builtin.command")))
    restarted = next(n for n, task in enumerate(tasks) if "modelops.inference.xinference_service" in task)
    assert held < restarted
    words = tasks[held]["ansible.builtin.command"]["argv"][2:]
    assert reconcile._parser().parse_args(words).seconds == 900
