# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs after a crash: a dedicated server is killed, and its list for the next start is broken."""

from __future__ import annotations

import os
import signal
import sqlite3
import time

import pytest
from real_server import PASSWORD, TESTED, row

from ansible_collections.modelops.inference.plugins.module_utils import _session
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client


@pytest.fixture(scope="module")
def server(start):
    started = start(TESTED)
    yield started
    started.stop()


@pytest.fixture
def speaker(claimed):
    client = Client(_session.Session(claimed.url), "admin", PASSWORD)
    client.login()
    return client


def test_a_model_whose_process_was_killed_answers_again(claimed, apply, models):
    """Xinference makes the process anew, and meanwhile tells an error without a reason; the run waits, or launches."""
    assert not apply(models).failed
    victim = claimed.model_processes()["minilm-rep0"]
    with claimed.asked("minilm", pause=1):
        os.kill(victim, signal.SIGKILL)
        time.sleep(3)
        result = apply(models)
    assert not result.failed, result["msg"]
    assert all(m["proof"]["ok"] for m in result["models"])
    assert row(result, "gemma3-270m")["action"] == "none"
    assert claimed.model_processes()["minilm-rep0"] != victim
    assert not apply(models).changed


def test_a_server_killed_during_a_launch_gets_what_is_declared_from_the_next_run(claimed, apply, models, speaker):
    third = {**models[1], "uid": "third", "name": "minilm"}
    assert {uid for uid, entry in speaker.autostart().items() if entry["enabled"]} == {"gemma3-270m", "minilm"}
    begun = apply([*models, third], wait=0)
    assert not begun.failed and begun["pending"]
    claimed.kill()
    claimed.start()
    result = apply([*models, third])
    assert not result.failed, result["msg"]
    assert [m["state"] for m in result["models"]] == ["ready"] * 3
    assert all(m["proof"]["ok"] for m in result["models"])
    assert len(claimed.model_processes()) == 3
    assert not apply([*models, third]).changed


def test_a_broken_autostart_entry_is_written_anew(claimed, apply, models, speaker):
    declared = [models[1], {"uid": "third", "state": "absent"}, {"uid": "gemma3-270m", "state": "absent"}]
    assert not apply(declared).failed
    claimed.stop()
    with sqlite3.connect(claimed.home / "launch_history.db") as database:
        done = database.execute("update launch_history set data = '{broken' where model_uid = 'minilm'")
        assert done.rowcount == 1
    claimed.start()
    result = apply(declared)
    assert not result.failed, result["msg"]
    assert row(result, "minilm")["proof"]["ok"]
    assert not apply(declared).changed
    speaker.login()
    assert speaker.autostart()["minilm"]["launch"]["model_name"] == "minilm"
