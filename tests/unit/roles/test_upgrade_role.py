# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade returns to, and which part of which host it changes, from what the probe found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Of these roles an inventory is run on the oldest ansible-core, too.
pytestmark = pytest.mark.newest

ROLE = Path(__file__).resolve().parents[3] / "roles" / "xinference"
NEW, OLD = "4.1.0-aaaaaaaaaaaa", "4.0.1-bbbbbbbbbbbb"
MARKER = "/opt/xinference/etc/xinference-worker.upgrading"


@pytest.fixture
def said(tmp_path):
    """``said({name: (expression, variables)})`` -> by name what the role's variables make of it."""

    def run(cases):
        tasks = [
            {
                "ansible.builtin.copy": {"dest": str(tmp_path / name), "content": expression, "mode": "0600"},
                "vars": {"_xinference_part": "worker", "_xinference_release": NEW, **variables},
            }
            for name, (expression, variables) in cases.items()
        ]
        files = [str(ROLE / part / "main.yml") for part in ("defaults", "vars")]
        play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": tasks}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local"]
        command += [tmp_path / "play.yml", "-e", json.dumps({"ansible_python_interpreter": sys.executable})]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return {name: (tmp_path / name).read_text().strip() for name in cases}

    return run


def found(current, previous="", files=(), runs=""):
    files = {path: {} for path in files}
    return {
        "xinference_found": {"current": current, "previous": previous, "files": files, "service": {"release": runs}}
    }


def test_it_returns_to_what_runs_or_after_a_run_that_broke_off_to_what_ran(said):
    returns = "{{ _xinference_return_to }}"
    assert said(
        {
            "before": (returns, found(OLD, "3.5.0-c")),
            "broken off before the link": (returns, found(OLD, "3.5.0-c", [MARKER])),
            "broken off after it": (returns, found(NEW, OLD, [MARKER])),
            "only another configuration": (returns, found(NEW, OLD, runs=NEW)),
            "the other part of the host has changed the link": (returns, found(NEW, OLD, runs=OLD)),
        }
    ) == {
        "before": OLD,
        "broken off before the link": OLD,
        "broken off after it": OLD,
        "only another configuration": "",
        "the other part of the host has changed the link": OLD,
    }


def test_a_supervisor_comes_last_where_nobody_says_otherwise(said):
    first = "{{ _xinference_supervisor_first }}"
    order = {word: (first, {"xinference_upgrade_supervisor": word}) for word in ("auto", "first", "last")}
    assert said(order) == {"auto": "False", "first": "True", "last": "False"}


def test_authentication_is_that_of_the_release_that_runs(said):
    kind = "{{ _xinference_auth_kind }}"
    inventory = {"xinference_version": "4.1.0"}
    assert said(
        {"inventory": (kind, inventory), "rolled back": (kind, {**inventory, "_xinference_version": "2.12.0"})}
    ) == {"inventory": "database", "rolled back": "file"}
