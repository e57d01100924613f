# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's program on a host."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.program import reconciler


@pytest.mark.each_core("xinference_reconciler")
def test_it_is_installed_once_and_removed(run_module, tmp_path):
    options = {"path": str(tmp_path)}
    path = tmp_path / "tools" / "modelops-reconcile"
    predicted = run_module("xinference_reconciler", options, check=True)
    assert predicted.changed and not path.exists()
    done = run_module("xinference_reconciler", options)
    assert done["plan"] == predicted["plan"] == [f"+ install {path}"] and done["program"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert path.read_bytes().startswith(f"#!{tmp_path}/current/bin/python\n".encode())
    assert path.read_bytes() == reconciler(str(tmp_path))
    assert not run_module("xinference_reconciler", options).changed
    assert [p.name for p in path.parent.iterdir()] == ["modelops-reconcile"]
    gone = {**options, "state": "absent"}
    assert run_module("xinference_reconciler", gone, check=True).changed and path.exists()
    assert run_module("xinference_reconciler", gone)["plan"] == [f"- remove {path}"]
    assert not path.exists() and not run_module("xinference_reconciler", gone).changed


def test_another_program_is_replaced(run_module, tmp_path):
    path = tmp_path / "tools" / "modelops-reconcile"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    done = run_module("xinference_reconciler", {"path": str(tmp_path)})
    assert done["plan"][0].startswith(f"~ install {path} (program ")
    path.chmod(0o700)
    assert run_module("xinference_reconciler", {"path": str(tmp_path)})["plan"] == [
        f"~ install {path} (mode 0700 -> 0755)"
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.each_core("xinference_reconciler")
def test_the_payload_of_the_module_holds_what_the_controller_has(tmp_path):
    """Run by Ansible: what it sends to a host makes the program that the plan compares with."""
    collections = next(path for path in sys.path if (Path(path) / "ansible_collections" / "modelops").is_dir())
    tasks = [{"modelops.inference.xinference_reconciler": {"path": str(tmp_path)}}]
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": collections, "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", tmp_path / "play.yml"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "tools" / "modelops-reconcile").read_bytes() == reconciler(str(tmp_path))
