# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import os
import stat

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.modules import xinference_bootstrap

GIVEN = dict(auth_config=None, password=None, client_key=None, username="admin", reconciler_password=None)


def lines(users=None, file=None, kept=(), **given):
    return xinference_bootstrap.make_plan(dict(GIVEN, **given), users, file, dict.fromkeys(kept, "x")).lines


def test_a_fresh_server_gets_everything():
    assert lines() == ["+ generate admin_password", "+ generate client_key", "+ create administrator admin"]


def test_an_empty_database_is_as_good_as_none():
    assert lines(users=0)[-1] == "+ create administrator admin"


def test_a_claimed_server_is_left_alone():
    assert lines(users=2) == []


def test_given_and_kept_secrets_are_not_generated():
    assert lines(password="long enough", kept=["client_key"]) == ["+ create administrator admin"]


def test_before_3_0_the_file_counts():
    assert lines(auth_config="/a", users=2)[-1] == "+ create administrator admin"
    assert lines(auth_config="/a", file={}) == []


@pytest.fixture
def args(tmp_path):
    return dict(home=str(tmp_path / "home"), secrets=str(tmp_path / "secrets"))


@pytest.mark.each_core("xinference_bootstrap")
def test_file_for_auth_config(tmp_path, args, run_module):
    path = tmp_path / "home" / "auth" / "auth_config.json"
    result = run_module("xinference_bootstrap", dict(args, auth_config=str(path)))
    assert result.changed and result["claimed"] is False
    users = json.loads(path.read_text())["user_config"]
    key = (tmp_path / "secrets" / "client_key").read_text().strip()
    password = (tmp_path / "secrets" / "admin_password").read_text().strip()
    assert users[0] == {"username": "admin", "password": password, "permissions": ["admin"], "api_keys": []}
    assert users[1]["permissions"] == ["models:list", "models:read"] and users[1]["api_keys"] == [key]
    # Xinference before 3.0 does not start with a key of another length.
    assert len(key) == 16
    for secret in (key, password):
        assert secret not in json.dumps(result)
    for file in (path, tmp_path / "secrets" / "client_key", tmp_path / "secrets" / "admin_password"):
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "secrets").st_mode) == 0o700
    assert run_module("xinference_bootstrap", dict(args, auth_config=str(path))).changed is False


@pytest.mark.each_core("xinference_bootstrap")
def test_what_another_run_made_meanwhile_is_left_alone(tmp_path, args, run_module, monkeypatch):
    """Both saw a new host; the second waits for the first, and looks again."""
    given = dict(args, auth_config=str(tmp_path / "home" / "auth" / "auth_config.json"))

    @contextlib.contextmanager
    def waits(_path):
        monkeypatch.undo()
        assert run_module("xinference_bootstrap", given).changed
        yield

    monkeypatch.setattr(xinference_bootstrap.uv_tools, "one_at_a_time", waits)
    result = run_module("xinference_bootstrap", given)
    assert not result.changed and result["claimed"]
    user = json.loads((tmp_path / "home/auth/auth_config.json").read_text())["user_config"][0]
    assert user["password"] == (tmp_path / "secrets/admin_password").read_text().strip()


def test_check_mode_writes_nothing(tmp_path, args, run_module):
    result = run_module("xinference_bootstrap", args, check=True)
    assert result.changed and os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(password="short"), "at least 8"),
        (dict(client_key="xf-0123456789abcdef"), "'sk-' followed by at least 13"),
        (dict(client_key="sk-0123456789abcdef", auth_config="/a"), "exactly 13"),
    ],
)
def test_secrets_that_the_server_would_not_take(args, run_module, tmp_path, wrong, message):
    result = run_module("xinference_bootstrap", dict(args, **wrong))
    assert result.failed and message in result["msg"]
    assert os.listdir(tmp_path) == []


def test_the_reconciler_is_a_user_of_the_file_without_the_rights_of_an_administrator(tmp_path, args, run_module):
    path, password = tmp_path / "auth_config.json", tmp_path / "password"
    without = dict(args, auth_config=str(path))
    run_module("xinference_bootstrap", without)
    options = dict(without, reconciler_password=str(password))
    done = run_module("xinference_bootstrap", options)
    assert done["plan"] == ["+ create user reconciler"] and password.read_text().strip() not in json.dumps(done)
    users = {user["username"]: user for user in json.loads(path.read_text())["user_config"]}
    assert set(users) == {"admin", "client", "reconciler"}
    assert users["reconciler"]["password"] == password.read_text().strip()
    assert "admin" not in users["reconciler"]["permissions"] and "models:start" in users["reconciler"]["permissions"]
    assert not run_module("xinference_bootstrap", options).changed
    password.unlink()
    assert run_module("xinference_bootstrap", options).changed
    users = [user for user in json.loads(path.read_text())["user_config"] if user["username"] == "reconciler"]
    assert [user["password"] for user in users] == [password.read_text().strip()]


def test_a_user_who_swaps_the_reconcilers_password(tmp_path):
    path = tmp_path / "reconciler" / "password"
    path.parent.mkdir()
    path.write_text("theirs")
    attacker.owns(path.parent)
    other = attacker.secret(tmp_path / "outside")
    with attacker.swaps(path, other):
        for _number in attacker.times(0.9):
            made = xinference_bootstrap._reconciler({"reconciler_password": str(path)})
            assert made["password"] != attacker.SECRET
    assert other.read_text() == attacker.SECRET and stat.S_IMODE(other.stat().st_mode) == 0o600
    assert xinference_bootstrap._reconciler({"reconciler_password": str(path)})["password"] == path.read_text().strip()
    assert (path.lstat().st_uid, stat.S_IMODE(path.lstat().st_mode)) == (path.parent.stat().st_uid, 0o600)
