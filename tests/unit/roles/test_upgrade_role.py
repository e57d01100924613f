# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade returns to, and which part of which host it changes, from what the probe found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import emulated

ROLE = Path(__file__).resolve().parents[3] / "roles" / "xinference"
NEW, OLD = "4.1.0-aaaaaaaaaaaa", "4.0.1-bbbbbbbbbbbb"
MARKER = "/opt/xinference/etc/xinference-worker.upgrading"


def found(current, previous="", files=(), runs=""):
    files = {path: {} for path in files}
    return {
        "xinference_found": {"current": current, "previous": previous, "files": files, "service": {"release": runs}}
    }


RETURNS, KIND = "{{ _xinference_return_to }}", "{{ _xinference_auth_kind }}"
FIRST = "{{ _xinference_supervisor_first }}"
#: Expression, variables, and what it is then.
CASES = {
    # It returns to what runs, or after a run that broke off to what ran.
    "before": (RETURNS, found(OLD, "3.5.0-c"), OLD),
    "broken off before the link": (RETURNS, found(OLD, "3.5.0-c", [MARKER]), OLD),
    "broken off after it": (RETURNS, found(NEW, OLD, [MARKER]), OLD),
    "only another configuration": (RETURNS, found(NEW, OLD, runs=NEW), ""),
    "the other part of the host has changed the link": (RETURNS, found(NEW, OLD, runs=OLD), OLD),
    # A supervisor comes last where nobody says otherwise.
    "auto": (FIRST, {"xinference_upgrade_supervisor": "auto"}, "False"),
    "first": (FIRST, {"xinference_upgrade_supervisor": "first"}, "True"),
    "last": (FIRST, {"xinference_upgrade_supervisor": "last"}, "False"),
    # Authentication is that of the release that runs.
    "inventory": (KIND, {"xinference_version": "4.1.0"}, "database"),
    "rolled back": (KIND, {"xinference_version": "4.1.0", "_xinference_version": "2.12.0"}, "file"),
}


def test_what_the_roles_variables_make_of_what_was_found(tmp_path):
    tasks = [
        {
            "ansible.builtin.copy": {"dest": str(tmp_path / name), "content": expression, "mode": "0600"},
            "vars": {"_xinference_part": "worker", "_xinference_release": NEW, **variables},
        }
        for name, (expression, variables, _expected) in CASES.items()
    ]
    files = [str(ROLE / part / "main.yml") for part in ("defaults", "vars")]
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local"]
    done = subprocess.run(
        [*command, tmp_path / "play.yml", "-e", json.dumps({"ansible_python_interpreter": sys.executable})],
        env={**os.environ, **emulated.called_in_process()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = {name: (tmp_path / name).read_text().strip() for name in CASES}
    assert said == {name: expected for name, (_expression, _variables, expected) in CASES.items()}
