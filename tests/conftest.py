# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all Python tests share: a module is run in-process through its main(), as Ansible would run it.

Tests that use ansible-core are marked `ansible`. The others have nothing that another release of it could break. Long ones of which
smaller ones beside them run the same roles are marked `newest`: those are enough on each of the other releases.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import sys
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common import warnings

sys.path.insert(0, str(Path(__file__).parent))

COLLECTION = "ansible_collections.modelops.inference.plugins"


def pytest_collection_modifyitems(items):
    for item in items:
        uses = "run_module" in item.fixturenames or uses_ansible(item.module.__name__)
        if uses and not item.get_closest_marker("newest"):
            item.add_marker("ansible")


@functools.cache
def uses_ansible(name: str) -> bool:
    """Whether a test's module, or what it takes from the collection or the tests, has anything of ansible-core or starts it."""
    seen, todo = set(), {name}
    while todo:
        module = sys.modules[todo.pop()]
        seen.add(module.__name__)
        values = vars(module).values()
        taken = {each.__name__ if inspect.ismodule(each) else str(getattr(each, "__module__", "")) for each in values}
        if any(other.startswith("ansible.") for other in taken) or '"ansible-' in inspect.getsource(module):
            return True
        todo |= {other for other in taken - seen if other.startswith((COLLECTION, "servers", "emulated", "conftest"))}
    return False


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
