# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a running process is restarted for, the digest that role xinference starts it with; and the groups that it has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Of these roles an inventory is run on the oldest ansible-core, too.
pytestmark = pytest.mark.newest

ROLE = Path(__file__).resolve().parents[3] / "roles" / "xinference"
CHANGES = {
    "nothing": {},
    "port": {"xinference_port": 9996},
    "environment": {"xinference_environment": {"A": "b"}},
    "groups": {"_xinference_groups": ["render", "video"]},
}


@pytest.fixture
def digests(tmp_path):
    """``digests("supervisord")`` -> by what changed, the digest."""

    def run(manager):
        found = {
            "system": {"root": True, "accelerators": []},
            "service": {"manager": manager, "scope": "system", "active": "stopped"},
            "files": {},
            "release": {"built": "today"},
            "accelerator": {"torch": {"backend": "cpu"}, "groups": []},
        }
        files = [str(ROLE / part / "main.yml") for part in ("defaults", "vars")]
        copies = [
            {
                "ansible.builtin.copy": {
                    "dest": str(tmp_path / name),
                    "content": "{{ _xinference_service_wanted.config }}",
                    "mode": "0600",
                },
                "vars": change,
            }
            for name, change in CHANGES.items()
        ] + [
            {
                "ansible.builtin.copy": {
                    "dest": str(tmp_path / name),
                    "content": "{{ " + name + " }}",
                    "mode": "0600",
                },
                # A % means something to systemd.
                "vars": {**CHANGES["groups"], "xinference_home": "/srv/a#b?c%20d"},
            }
            for name in ("_xinference_unit", "_xinference_script")
        ]
        play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": copies}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        # A lookup searches beside the playbook.
        (tmp_path / "templates").symlink_to(ROLE / "templates")
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local"]
        extra = {"xinference_found": found, "ansible_python_interpreter": sys.executable}
        command += [tmp_path / "play.yml", "-e", json.dumps(extra)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return {name: (tmp_path / name).read_text() for name in CHANGES}

    return run


@pytest.mark.parametrize("manager", ["systemd", "supervisord"])
def test_another_command_and_another_environment_are_another_configuration(digests, manager):
    """Under supervisord the command is in the start script, not in the service's file."""
    found = digests(manager)
    assert len(set(found.values())) == len(found), found


def test_systemd_gives_the_service_the_groups_of_the_cards(digests, tmp_path):
    digests("systemd")
    unit = (tmp_path / "_xinference_unit").read_text()
    assert "\nGroup=xinference\n# Of the cards' device nodes.\nSupplementaryGroups=render video\n" in unit
    assert "\nWorkingDirectory=/srv/a#b?c%%20d\n" in unit and "\nReadWritePaths=/srv/a#b?c%%20d\n" in unit


def test_under_supervisord_the_start_script_changes_the_user_with_his_groups_and_those(digests, tmp_path):
    digests("supervisord")
    assert "user=" not in (tmp_path / "_xinference_unit").read_text()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"id": '[ "$1" = -u ] && echo 0 || echo "990 44"', "setpriv": 'echo "$@"'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    script = tmp_path / "_xinference_script"
    done = subprocess.run(
        ["/bin/sh", script], env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"--reuid=xinference --regid=xinference --groups=990,44,render,video /bin/sh {script}\n"
