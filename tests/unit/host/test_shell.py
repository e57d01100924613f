# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment of a program on a host, independent of the user who runs Ansible."""

from __future__ import annotations

import json
import sys

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._host.service import supervisord_service
from ansible_collections.modelops.inference.plugins.module_utils._host.system import shell

TELL = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture(autouse=True)
def operator(monkeypatch):
    monkeypatch.setenv("OPERATORS_SECRET", "Orange-7-Kettle")
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:3128")
    monkeypatch.setenv("LANG", "C.UTF-8")


def test_a_program_that_works_for_the_run_has_all_of_it():
    told = json.loads(shell.run([sys.executable, "-c", TELL], "", env={"OURS": "1"}))
    assert told["OPERATORS_SECRET"] == "Orange-7-Kettle" and told["OURS"] == "1"


def test_one_that_works_as_the_server_would_has_a_few_names_of_it():
    told = json.loads(shell.run([sys.executable, "-c", TELL], "", env={"OURS": "1"}, clean=True))
    assert not told.keys() - {*shell.INHERITED, "OURS", "LC_CTYPE"}
    assert told["OURS"] == "1" and told["LANG"] == "C.UTF-8" and "PATH" in told


SUPERVISORD = f"""#!{sys.executable}
import json, os, socket, sys, time
directory = os.path.dirname(sys.argv[2])
with open(os.path.join(directory, "environment.json"), "w") as file:
    json.dump(dict(os.environ), file)
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.path.join(directory, "supervisor.sock"))
listener.listen()
if os.fork():
    os._exit(0)
for stream in (0, 1, 2):
    os.close(stream)
time.sleep(5)
"""


def test_supervisord_is_started_without_it(tmp_path, monkeypatch):
    program = tmp_path / "environment" / "bin" / "supervisord"
    program.parent.mkdir(parents=True)
    program.write_text(SUPERVISORD)
    program.chmod(0o755)
    manager = supervisord_service.Supervisord("xinference", str(tmp_path))
    monkeypatch.setattr(manager, "_socket", str(tmp_path / "supervisor.sock"))
    manager._ensure_up()
    told = json.loads((tmp_path / "environment.json").read_text())
    assert not told.keys() - {*shell.INHERITED, "LC_CTYPE"}
