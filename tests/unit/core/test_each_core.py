# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each module, action plugin, role and playbook has a test that runs on each ansible-core."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def marked():
    """The names in marks `each_core` of all tests."""
    names = set()
    for file in (ROOT / "tests" / "unit").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "each_core":
                names |= {argument.value for argument in node.args}
    return names


def test_everything_that_ansible_runs_has_a_test_on_each_core():
    plugins = {
        file.stem for kind in ("modules", "action", "callback") for file in (ROOT / "plugins" / kind).glob("*.py")
    }
    roles = {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}
    playbooks = {file.name for file in (ROOT / "playbooks").glob("*.yml") if file.suffixes == [".yml"]}
    assert marked() == plugins | roles | playbooks
