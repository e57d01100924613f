# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker that was started and whose supervisor is not in the run, against the test server and against nobody."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import emulated
import pytest
from servers.xinference import XinferenceServer

PLAYBOOKS = Path(__file__).parent / "playbooks"


@pytest.fixture
def play(tmp_path):
    """``play(port)`` -> (return code, output on one line) of a run with a worker whose supervisor is at this port."""

    def run(port, **more):
        (tmp_path / "etc").mkdir()
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        groups = {
            "xinference_supervisors": {
                "hosts": {"s": {**host, "xinference_host": "127.0.0.1", "xinference_port": port}}
            },
            "xinference_workers": {"hosts": {"w": {**host, "xinference_host": "127.0.0.3"}}},
        }
        (tmp_path / "hosts.json").write_text(json.dumps(groups))
        variables = {
            "xinference_dir": str(tmp_path),
            "xinference_service_manager": "supervisord",
            "xinference_start_timeout": 5,
            **more,
        }
        words = ["-i", tmp_path / "hosts.json", PLAYBOOKS / "worker.yml", "--limit", "w", "-e", json.dumps(variables)]
        done = emulated.play(*words)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


def test_a_supervisor_that_is_down_is_not_waited_for(play):
    started = time.monotonic()
    code, output = play(9)
    assert code == 0, output
    assert "w: its worker waits for the supervisor at http://127.0.0.1:9, which does not answer" in output
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("known, said", [((), "knows no worker"), (("127.0.0.2:9998",), "knows 127.0.0.2:9998")])
def test_a_worker_that_does_not_join_is_named_with_what_to_do(play, known, said):
    with XinferenceServer("4.1.0", workers=known) as server:
        port = int(server.url.rpartition(":")[2])
        code, output = play(port)
    assert code != 0
    assert "w (cluster default): its worker at 127.0.0.3:9998 did not join within 5 s." in output, output
    assert f"The supervisor at http://127.0.0.1:{port} {said}, and service xinference-worker is stopped." in output
    assert "run the same playbook again" in output


def test_the_start_of_the_supervisor_on_the_same_host_is_none_of_the_worker(play):
    code, output = play(9, this_part=False)
    assert code == 0 and "waits for the supervisor" not in output, output


def test_a_worker_that_is_there_has_joined(play):
    with XinferenceServer("4.1.0", workers=("127.0.0.3:9998",)) as server:
        code, output = play(int(server.url.rpartition(":")[2]))
    assert code == 0, output
