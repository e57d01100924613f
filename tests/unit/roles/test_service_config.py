# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a running process is restarted for: the digest that role xinference starts it with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROLE = Path(__file__).resolve().parents[3] / "roles" / "xinference"
CHANGES = {"nothing": {}, "port": {"xinference_port": 9996}, "environment": {"xinference_environment": {"A": "b"}}}


@pytest.fixture
def digests(tmp_path):
    """``digests("supervisord")`` -> by what changed, the digest."""

    def run(manager):
        found = {
            "system": {"root": True, "accelerators": []},
            "service": {"manager": manager, "scope": "system"},
            "release": {"built": "today"},
        }
        files = [str(ROLE / part / "main.yml") for part in ("defaults", "vars")]
        copies = [
            {
                "ansible.builtin.copy": {
                    "dest": str(tmp_path / name),
                    "content": "{{ _xinference_config }}",
                    "mode": "0600",
                },
                "vars": change,
            }
            for name, change in CHANGES.items()
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
