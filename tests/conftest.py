# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of all Python tests: a module runs in-process through its main(), as Ansible would run it.

Tests run on the newest ansible-core. Those marked `each_core` run on each of the others, too: of every module, action plugin, role and
playbook the smallest that would notice another release's argument parsing, check mode, action plugins or templates. Which ones a test
is for stands in its mark (tests/unit/core/test_each_core.py).
"""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common import warnings

sys.path.insert(0, str(Path(__file__).parent))

COLLECTION = "ansible_collections.modelops.inference.plugins"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that share a fixture of their module run in one process; of the others each runs in the one that is free."""
    for item in items:
        definitions = itertools.chain(*item._fixtureinfo.name2fixturedefs.values())
        if any(definition.scope == "module" for definition in definitions):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


class Result(dict):
    """A module's JSON result; ``failed`` is always there."""

    @property
    def failed(self) -> bool:
        return bool(self.get("failed"))

    @property
    def changed(self) -> bool:
        return bool(self.get("changed"))


@pytest.fixture
def run_module(capsys):
    """``run_module("xinference_models", {...}, check=True)`` -> Result."""

    # ansible-core 2.18 has no ansible.module_utils.testing; the two names below exist, or do no harm, in all.
    def run(name: str, params: dict, *, check: bool = False, diff: bool = True) -> Result:
        module = importlib.import_module(f"{COLLECTION}.modules.{name}")
        args = dict(params, _ansible_check_mode=check, _ansible_diff=diff, _ansible_remote_tmp="/tmp")
        encoded = json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
        capsys.readouterr()
        warnings._global_warnings.clear()  # those of a module that ran in this process before
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(basic, "_ANSIBLE_ARGS", encoded)
            patch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
            # A test that imported an action plugin made this process a controller, which shows warnings by itself.
            patch.setattr("ansible.module_utils._internal.is_controller", False, raising=False)
            module.main()
        out = capsys.readouterr().out.strip()
        told = json.loads(out.splitlines()[-1])
        # By it a module tells ansible-core 2.22 which values are secrets; nobody else sees it.
        told.pop("_ansible_new_secrets", None)
        return Result({"failed": False}, **told)

    return run
