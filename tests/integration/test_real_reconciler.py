# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's program on a real server, as the user with few rights that the role makes for it."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
import requests
from real_server import TESTED, environment

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import program, reconcile

PERMISSIONS = ["models:list", "models:write", "models:register"]


@pytest.fixture(scope="module")
def server(start):
    """One of its own: it is killed."""
    return start(TESTED)


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "reconciler"
    path.mkdir()
    return path


@pytest.fixture
def models(models):
    """Without the server's own autostart, which would be faster."""
    return [{**model, "autostart": False} for model in models]


@pytest.fixture
def declared(directory, admin, apply, models):
    """Both models run and are remembered."""
    user = {"name": "reconciler", "password_path": str(directory / "password"), "permissions": PERMISSIONS}
    result = admin(users=[user])
    assert not result.failed, result["msg"]
    options = {"remember": str(directory / "declared.json"), "prove": "never"}
    result = apply(models, **options)
    assert not result.failed, result["msg"]
    return options


@pytest.fixture
def turn(directory, claimed, tmp_path):
    """``turn()`` -> what one run of the program left."""
    path = tmp_path / "modelops-reconcile"
    path.write_bytes(program.archive(reconcile.__name__, str(environment(TESTED) / "python")))
    path.chmod(0o755)
    options = ["--endpoint", claimed.url, "--password-file", directory / "password"]

    def run():
        command = [path, "--directory", directory, "run", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
        print(done.stdout, done.stderr)
        return done

    return run


def answers(server, uid="minilm"):
    body = {"model": uid, "input": "Is anybody there?"}
    return requests.post(f"{server.url}/v1/embeddings", json=body, headers=server.headers, timeout=60).status_code


def test_after_a_crash_the_models_come_back_under_the_same_uids(declared, claimed, turn, apply, models):
    claimed.kill()
    begun = time.monotonic()
    claimed.start()
    done = turn()
    print(f"both models serve {time.monotonic() - begun:.0f} s after the start of the server")
    assert done.returncode == 0, done.stdout + done.stderr
    for uid in ("gemma3-270m", "minilm"):
        assert f"{uid}  loading (launch 1)" in done.stdout
    listed = requests.get(f"{claimed.url}/v1/models", headers=claimed.headers, timeout=30).json()["data"]
    assert {model["id"] for model in listed} == {"gemma3-270m", "minilm"}
    assert answers(claimed) == 200
    assert turn().returncode == 0
    again = apply(models, **declared)
    assert not again.failed and not again.changed, "the next run of the module knows them as its own"


def test_a_model_process_that_is_killed_under_traffic_serves_again(declared, claimed, turn):
    with claimed.asked("minilm") as told:
        os.kill(claimed.model_processes()["minilm-rep0"], signal.SIGKILL)
        begun = time.monotonic()
        time.sleep(5)
        end = begun + 240
        while time.monotonic() < end:
            done = turn()
            if done.returncode == 0 and told[-1][1] == 200:
                break
            time.sleep(5)
        print(f"it served again after {time.monotonic() - begun:.0f} s")
    assert done.returncode == 0 and told[-1][1] == 200, done.stdout


def test_a_model_that_somebody_terminated_comes_back(declared, claimed, turn, apply):
    gone = apply([{"uid": "minilm", "state": "absent"}], prove="never")
    assert not gone.failed, gone["msg"]
    assert turn().returncode == 0
    assert answers(claimed) == 200
