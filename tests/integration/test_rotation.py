# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every secret of a real server is replaced while a client asks all the time and the reconciler takes one turn after the other."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time

import pytest
import requests
from real_server import PASSWORD, TESTED, environment
from servers.repeated import repeated

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import program, reconcile
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import secret_files

PERMISSIONS = ["models:list", "models:write", "models:register"]


@pytest.fixture(scope="module")
def server(start):
    """One of its own: its administrator gets other passwords."""
    return start(TESTED)


@pytest.fixture
def models(models):
    return [model for model in models if model["uid"] == "minilm"]


@pytest.fixture
def directory(tmp_path, admin, apply, models):
    """The reconciler's, with the model that is remembered and the password of its user."""
    path = tmp_path / "reconciler"
    path.mkdir()
    user = {"name": "reconciler", "password_path": str(path / "password"), "permissions": PERMISSIONS}
    for result in (admin(users=[user]), apply(models, remember=str(path / "declared.json"), prove="never")):
        assert not result.failed, result["msg"]
    return path


@pytest.fixture
def turning(directory, claimed, tmp_path):
    """``with turning() as statuses``: one turn after the other, and the exit status of each."""
    path = tmp_path / "modelops-reconcile"
    path.write_bytes(program.archive(reconcile.__name__, str(environment(TESTED) / "python")))
    path.chmod(0o755)
    command = [path, "--directory", directory, "run", "--endpoint", claimed.url]
    command += ["--password-file", directory / "password"]

    @contextlib.contextmanager
    def run():
        told = []

        def turn():
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
            told.append(done.stdout + done.stderr)
            return done.returncode

        try:
            with repeated(turn, 0) as statuses:
                yield statuses
        finally:
            # Not before: a module is told by the last line that its process prints.
            print(*told)

    return run


def another_turn(statuses, turns=2):
    """Waits for a turn that began after this call."""
    wanted, end = len(statuses) + turns, time.monotonic() + 300
    while len(statuses) < wanted and time.monotonic() < end:
        time.sleep(0.2)
    assert len(statuses) >= wanted


def takes(server, name, password):
    """Whether the server takes the password."""
    body = {"username": name, "password": password}
    return requests.post(f"{server.url}/token", json=body, timeout=30).status_code == 200


def test_no_request_fails_and_no_turn_while_every_secret_is_replaced(
    claimed, directory, turning, run_module, tmp_path, monkeypatch
):
    own = tmp_path / "admin_password"
    own.write_text(PASSWORD + "\n")
    url = {"endpoint": claimed.url}
    login = {**url, "password_file": str(own)}
    places = {"admin": own, "reconciler": directory / "password"}
    options = {
        "admin": {**url, "path": str(own)},
        "reconciler": {
            **login,
            "user": "reconciler",
            "path": str(places["reconciler"]),
            "remember": str(directory / "declared.json"),
        },
    }
    old_key = claimed.key_file.read_text().strip()
    write, results = secret_files.write, []

    def rotated(module, **given):
        results.append(run_module(module, given))
        assert not results[-1].failed, results[-1]["msg"]
        return results[-1]

    with turning() as statuses, claimed.asked("minilm", pause=0.05) as answers:
        another_turn(statuses)
        for name, path in places.items():
            old = path.read_text().strip()

            def full(what, where, value, held=str(path)):
                if where == held:
                    raise ModelopsError("the disk is full")
                write(what, where, value)

            # A run breaks off after the server has changed the password, and before the file has it.
            with monkeypatch.context() as patch:
                patch.setattr(secret_files, "write", full)
                broken = run_module("xinference_password", options[name])
            assert broken.failed and broken["changed"] and "the disk is full" in broken["msg"]
            noted = path.with_name(path.name + ".next")
            new = noted.read_text().strip()
            assert path.read_text().strip() == old and takes(claimed, name, new) and not takes(claimed, name, old)
            another_turn(statuses)
            assert "the rotation continues" in rotated("xinference_password", **options[name])["plan"][0]
            assert path.read_text().strip() == new and not noted.exists()
            # And one that does not.
            rotated("xinference_password", **options[name])
            assert takes(claimed, name, path.read_text().strip()) and not takes(claimed, name, new)
            another_turn(statuses)
        key = {**login, "path": str(claimed.key_file)}
        rotated("xinference_key", **key, state="begun")
        another_turn(statuses, 1)
        rotated("xinference_key", **key, state="finished")
        # Back to the one that the other tests know.
        rotated("xinference_password", **options["admin"], new_password=PASSWORD)
        another_turn(statuses, 1)
    print(f"{len(answers)} requests, {len(statuses)} turns")
    assert {answer for when, answer in answers} == {200} and len(answers) > 50
    assert set(statuses) == {0}
    assert own.read_text().strip() == PASSWORD and takes(claimed, "admin", PASSWORD)
    new_key = claimed.key_file.read_text().strip()
    for secret in (old_key, new_key, PASSWORD, places["reconciler"].read_text().strip()):
        assert secret not in json.dumps(results)
    refused = requests.get(f"{claimed.url}/v1/models", headers={"Authorization": f"Bearer {old_key}"}, timeout=30)
    assert refused.status_code == 401 and new_key != old_key
