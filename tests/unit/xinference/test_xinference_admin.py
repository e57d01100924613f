# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_admin through its main(), against test servers of every recorded release."""

from __future__ import annotations

import contextlib
import json
import os
import stat

import attacker
import pytest
from servers.xinference import PASSWORD, SETUP_TOKEN, XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import secret_files


@pytest.fixture
def admin(run_module):
    """``admin(server, check=True, keys=[...], ...)`` -> result of xinference_admin."""

    def run(server, *, check=False, **options):
        options.setdefault("password", PASSWORD)
        return run_module("xinference_admin", {"endpoint": server.url, **options}, check=check)

    return run


@pytest.fixture
def unclaimed():
    with XinferenceServer("4.1.0", claimed=False) as server:
        yield server


@pytest.fixture
def setup_log(tmp_path):
    """A server's log as it is after two starts."""
    path = tmp_path / "xinference.log"
    lines = [
        "  FIRST-RUN SETUP REQUIRED",
        "  Setup token: an-older-one",
        "restarted",
        f"  Setup token: {SETUP_TOKEN}",
        "up",
    ]
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "client_key"


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def value_of(server, name):
    return next(row["key"] for row in server.accounts.keys if row["name"] == name)


# -- the claim -----------------------------------------------------------------------------------------------------


def test_a_server_that_nobody_claimed_is_claimed_with_the_token_of_its_log(admin, unclaimed, setup_log):
    result = admin(unclaimed, setup_log=setup_log)
    assert not result.failed, result["msg"]
    assert result.changed and result["plan"] == ["+ claim administrator admin"]
    assert (result["auth"], result["claimed"], result["needs_setup"]) == ("database", True, False)
    assert result["version"] == "4.1.0"
    assert unclaimed.accounts.users["admin"]["password"] == PASSWORD
    text = json.dumps(result)
    assert SETUP_TOKEN not in text and PASSWORD not in text
    assert not admin(unclaimed, setup_log=setup_log).changed


def test_the_token_can_be_given(admin, unclaimed):
    assert admin(unclaimed, setup_token=SETUP_TOKEN)["claimed"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "None was given (setup_token) or found (setup_log)"),
        ({"setup_token": "wrong-token"}, "It was given or found"),
    ],
)
def test_a_claim_without_the_right_token(admin, unclaimed, options, why):
    result = admin(unclaimed, **options)
    assert result.failed and "Invalid setup token" in result["msg"] and why in result["msg"]
    assert "wrong-token" not in json.dumps(result)


def test_a_log_that_cannot_be_read(admin, unclaimed, tmp_path):
    result = admin(unclaimed, setup_log=str(tmp_path / "none.log"))
    assert result.failed and "setup_log" in result["msg"] and "none.log cannot be read" in result["msg"]


def test_3_x_asks_for_no_token(admin):
    with XinferenceServer("4.1.0", claimed=False, setup_token="") as server:
        assert admin(server)["claimed"]


def test_a_password_that_is_too_short_is_refused_before_the_claim(admin, unclaimed):
    result = admin(unclaimed, password="short", setup_token=SETUP_TOKEN)
    assert result.failed and "requires at least 8 characters" in result["msg"]
    assert unclaimed.counts["POST"] == 0


@pytest.mark.each_core("xinference_admin")
def test_check_mode_predicts_the_claim_and_sends_nothing(admin, unclaimed, setup_log, key_file):
    unclaimed.strict_check = True
    options = {"setup_log": setup_log, "keys": [{"name": "dify", "path": str(key_file)}]}
    options["users"] = [{"name": "viewer", "password": "viewer-pass", "permissions": ["models:list"]}]
    predicted = admin(unclaimed, check=True, **options)
    assert not predicted.failed, predicted["msg"]
    assert predicted["needs_setup"] and not predicted["claimed"] and predicted["version"] is None
    assert unclaimed.violations == [] and unclaimed.counts["POST"] == 0 and not key_file.exists()
    unclaimed.strict_check = False
    done = admin(unclaimed, **options)
    assert (
        done["plan"]
        == predicted["plan"]
        == [
            "+ claim administrator admin",
            "+ create user viewer",
            "+ create key dify",
        ]
    )
    assert done["diff"] == predicted["diff"]


def test_a_server_claimed_by_someone_else_is_reported_after_one_attempt(admin, newest):
    result = admin(newest, password="another-password")
    assert result.failed
    for text in ("claimed by someone else, or with another password", "tried once", "xinference-reset-auth-password"):
        assert text in result["msg"]
    assert newest.accounts.failures == 1 and newest.counts["POST"] == 1
    assert "another-password" not in json.dumps(result)


def test_a_banned_address(admin, newest):
    newest.accounts.banned = True
    assert "the ban lasts an hour" in admin(newest)["msg"]


@pytest.mark.parametrize("password_file", [None, "none", "empty"])
def test_a_missing_password_is_asked_for(admin, newest, tmp_path, password_file):
    (tmp_path / "empty").touch()
    path = str(tmp_path / password_file) if password_file else None
    result = admin(newest, password=None, password_file=path)
    assert result.failed and newest.counts["POST"] == 0
    assert {None: "neither password nor password_file", "none": f"{path} cannot be read", "empty": "is empty"}[
        password_file
    ] in result["msg"]
    for hint in ("Someone claimed this server earlier", "xinference_admin_password", "xinference-reset-auth-password"):
        assert hint in result["msg"]


def test_a_password_is_asked_for_before_a_server_is_claimed(admin, unclaimed, tmp_path):
    result = admin(unclaimed, password=None, password_file=str(tmp_path / "none"))
    assert result.failed and "It is not claimed yet" in result["msg"] and "by someone else" not in result["msg"]


def test_a_server_without_authentication_needs_no_password_file(admin, tmp_path):
    with XinferenceServer("4.1.0", auth=False) as server:
        result = admin(server, password=None, password_file=str(tmp_path / "none"))
    assert not result.failed and result["auth"] == "none"


# -- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.each_core("xinference_admin")
def test_a_key_is_made_and_kept_in_a_file(admin, newest, key_file):
    keys = [{"name": "dify", "path": str(key_file), "description": "for Dify"}]
    result = admin(newest, keys=keys)
    assert not result.failed, result["msg"]
    assert result["plan"] == ["+ create key dify"]
    assert result["client_keys"] == [{"name": "dify", "path": str(key_file), "state": "present"}]
    key = value_of(newest, "dify")
    assert key_file.read_text() == key + "\n" and mode(key_file) == 0o600
    assert key not in json.dumps(result) and newest.accounts.keys[0]["description"] == "for Dify"
    newest.forget()
    again = admin(newest, keys=keys)
    assert not again.changed and key not in json.dumps(again)
    assert again["requests"] == {"GET": 4, "POST": 1}


def test_a_lost_file_is_written_again(admin, newest, key_file):
    keys = [{"name": "dify", "path": str(key_file)}]
    admin(newest, keys=keys)
    before = key_file.read_text()
    key_file.unlink()
    result = admin(newest, keys=keys)
    assert result["plan"] == [f"+ write file {key_file} (key dify: it is readable again by its name)"]
    assert key_file.read_text() == before and len(newest.accounts.keys) == 1


def test_a_key_that_the_server_no_longer_knows_is_made_anew(admin, newest, key_file):
    keys = [{"name": "dify", "path": str(key_file)}]
    admin(newest, keys=keys)
    before = key_file.read_text()
    newest.accounts.keys.clear()
    predicted = admin(newest, check=True, keys=keys)
    assert predicted["plan"] == ["+ create key dify (the server no longer knows it)"]
    assert key_file.read_text() == before
    result = admin(newest, keys=keys)
    assert result["plan"] == predicted["plan"] and key_file.read_text() == value_of(newest, "dify") + "\n" != before
    assert mode(key_file) == 0o600


def test_a_file_with_another_key_is_replaced_by_the_named_one(admin, newest, key_file):
    key_file.write_text("xf-of-another-server\n")
    row = newest.accounts.add_key("dify", 1)
    result = admin(newest, keys=[{"name": "dify", "path": str(key_file)}])
    assert result["plan"] == [f"+ write file {key_file} (key dify: the key in the file is no longer valid)"]
    assert key_file.read_text() == row["key"] + "\n"


def test_a_file_that_others_can_read_is_closed(admin, newest, key_file):
    keys = [{"name": "dify", "path": str(key_file)}]
    admin(newest, keys=keys)
    key_file.chmod(0o644)
    result = admin(newest, keys=keys)
    assert result["plan"] == [f"~ change file {key_file} (mode other -> 0600)"] and mode(key_file) == 0o600


def test_a_directory_that_is_not_there(admin, newest, tmp_path):
    result = admin(newest, keys=[{"name": "dify", "path": str(tmp_path / "none" / "key")}])
    assert result.failed and "cannot be written" in result["msg"]
    assert newest.accounts.keys == [], "a key that nobody has is not left behind"


def test_a_key_that_was_put_in_before_the_first_start_is_verified(admin, newest, key_file):
    newest.accounts.add_key("dify", 1, "sk-chosen-before", revealable=False)
    known = {"name": "dify", "key": "sk-chosen-before"}
    result = admin(newest, keys=[known])
    assert not result.changed and "sk-chosen-before" not in json.dumps(result)
    assert admin(newest, keys=[{**known, "path": str(key_file)}]).changed
    assert key_file.read_text() == "sk-chosen-before\n"
    assert not admin(newest, keys=[{**known, "path": str(key_file)}]).changed


def test_a_given_key_that_does_not_work(admin, newest):
    result = admin(newest, keys=[{"name": "dify", "key": "sk-unknown-key"}])
    assert result.failed and f"{newest.url} does not accept the given key" in result["msg"]
    assert "modelops.inference.rotate" in result["msg"]
    assert "sk-unknown-key" not in json.dumps(result)


@pytest.mark.parametrize(
    ("row", "why"),
    [({"revealable": False}, "cannot show it again"), ({"enabled": False}, "does not work (enabled: False)")],
)
def test_a_key_that_cannot_be_used_is_told(admin, newest, key_file, row, why):
    newest.accounts.add_key("dify", 1, **row)
    result = admin(newest, keys=[{"name": "dify", "path": str(key_file)}])
    assert result.failed and why in result["msg"] and not key_file.exists()


@pytest.mark.each_core("xinference_admin")
def test_a_key_is_removed_with_its_file(admin, newest, key_file):
    admin(newest, keys=[{"name": "dify", "path": str(key_file)}])
    gone = [{"name": "dify", "path": str(key_file), "state": "absent"}]
    result = admin(newest, keys=gone)
    assert result["plan"] == ["- delete key dify", f"- delete file {key_file}"]
    assert newest.accounts.keys == [] and not key_file.exists()
    assert not admin(newest, keys=gone).changed


def test_a_key_of_another_user(admin, newest, key_file):
    owner = newest.accounts.add_user("dify", "dify-password", ["models:list"])
    admin(newest, keys=[{"name": "dify", "path": str(key_file), "owner": "dify"}])
    assert newest.accounts.keys[0]["user_id"] == owner["id"]
    result = admin(newest, keys=[{"name": "second", "path": str(key_file) + "2", "owner": "nobody"}])
    assert result.failed and "there is no user 'nobody'" in result["msg"]


# -- users ---------------------------------------------------------------------------------------------------------


def test_users(admin, newest):
    viewer = {"name": "viewer", "password": "viewer-pass", "permissions": ["models:list"]}
    assert admin(newest, users=[viewer])["plan"] == ["+ create user viewer"]
    assert not admin(newest, users=[viewer]).changed
    assert not admin(newest, users=[{"name": "viewer"}]).changed, "permissions that are not given are left alone"
    result = admin(newest, users=[{"name": "viewer", "permissions": ["models:read", "models:list"]}])
    assert result["plan"] == ["~ change user viewer (permissions ['models:list'] -> ['models:list', 'models:read'])"]
    assert newest.accounts.users["viewer"]["permissions"] == ["models:list", "models:read"]
    gone = [{"name": "viewer", "state": "absent"}]
    assert admin(newest, users=gone)["plan"] == ["- delete user viewer"]
    assert not admin(newest, users=gone).changed
    assert "admin" in newest.accounts.users


def test_a_password_that_is_made_on_the_host(admin, newest, tmp_path):
    path = tmp_path / "password"
    user = {"name": "reconciler", "password_path": str(path), "permissions": ["models:list"]}
    plan = ["+ create user reconciler", f"+ write file {path}"]
    assert admin(newest, users=[user], check=True)["plan"] == plan and not path.exists()
    done = admin(newest, users=[user])
    password = path.read_text().strip()
    assert done["plan"] == plan and len(password) >= 24 and password not in json.dumps(done)
    assert newest.accounts.users["reconciler"]["password"] == password
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not admin(newest, users=[user]).changed
    path.unlink()
    assert admin(newest, users=[user])["plan"] == [
        "~ change user reconciler (password (hidden))",
        f"+ write file {path}",
    ]
    assert newest.accounts.users["reconciler"]["password"] == path.read_text().strip() != password
    # A server whose users were lost gets the user with the password that the file holds.
    del newest.accounts.users["reconciler"]
    assert admin(newest, users=[user])["plan"] == plan[:1]
    assert newest.accounts.users["reconciler"]["password"] == path.read_text().strip()


def test_a_link_in_place_of_a_password_is_not_followed(admin, newest, tmp_path):
    (tmp_path / "other").write_text("another secret\n")
    path = tmp_path / "password"
    path.symlink_to("other")
    user = {"name": "reconciler", "password_path": str(path), "permissions": []}
    result = admin(newest, users=[user])
    assert result.failed and f"users: {path} is not read: it is a symbolic link" in result["msg"]
    path.unlink()
    os.mkfifo(path)
    assert "it is not a regular file" in admin(newest, users=[user])["msg"]
    assert newest.changes() == [] and "reconciler" not in newest.accounts.users


def test_a_file_of_somebody_else_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "password"
    path.write_text("another secret\n")
    stat_of = os.fstat

    def fstat(handle):
        about = stat_of(handle)
        return os.stat_result([*about[:4], 54321, *about[5:]]) if stat.S_ISREG(about.st_mode) else about

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(ModelopsError, match="belongs to the user 54321, who is not the directory's owner"):
        secret_files._read("users", str(path))


def test_a_file_is_given_to_its_owner_before_it_has_a_name_to_swap(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda handle, *owner: given.append((isinstance(handle, int), *owner)))
    monkeypatch.setattr(os, "chown", lambda *args, **kwargs: pytest.fail("by its name"))
    path = tmp_path / "password"
    path.symlink_to("/etc/hostname")
    about = os.lstat(path)
    secret_files.write("users", str(path), "secret")
    assert given == [(True, about.st_uid, about.st_gid)] and not path.is_symlink()
    assert path.read_text() == "secret\n" and [p.name for p in tmp_path.iterdir()] == ["password"]


def test_a_user_who_swaps_the_file_of_a_password(tmp_path):
    path = tmp_path / "reconciler" / "password"
    path.parent.mkdir()
    path.write_text("theirs")
    attacker.owns(path.parent)
    other = attacker.secret(tmp_path / "outside")
    read = set()
    with attacker.swaps(path, other, "theirs"):
        for number in attacker.times(0.9):
            with contextlib.suppress(ModelopsError):
                read.add(secret_files._read("users", str(path))[0])
                secret_files.write("users", str(path), f"new {number}")
    assert attacker.SECRET not in read
    assert other.read_text() == attacker.SECRET and stat.S_IMODE(other.stat().st_mode) == 0o600
    assert other.stat().st_uid == os.geteuid()


def test_what_was_done_before_a_failure_is_told(admin, newest, key_file):
    newest.fault("status", verb="POST", path="/v1/admin/keys")
    users = [{"name": "viewer", "password": "viewer-pass"}]
    result = admin(newest, users=users, keys=[{"name": "dify", "path": str(key_file)}])
    assert result.failed and result.changed and "viewer" in newest.accounts.users


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"users": [{"name": "new"}]}, "needs a password to be created"),
        ({"users": [{"name": "admin", "state": "absent"}]}, "does not remove itself"),
        ({"users": [{"name": "a"}, {"name": "a"}]}, "users: 'a' is declared more than once"),
        ({"keys": [{"name": "a", "path": "/k"}, {"name": "a", "path": "/l"}]}, "keys: 'a' is declared more than once"),
        ({"keys": [{"name": "a"}]}, "has neither path nor key"),
        ({"keys": [{"name": "a", "pth": "/k"}]}, "keys[0]: no option 'pth'; nearest: path"),
    ],
)
def test_what_cannot_be_meant_is_refused(admin, newest, options, why):
    result = admin(newest, **options)
    assert result.failed and why in result["msg"]
    assert newest.changes() == []


# -- servers that are not managed ----------------------------------------------------------------------------------


def test_a_server_without_authentication_is_reported(admin, key_file, xinference, warned):
    xinference.auth = False
    result = admin(xinference, password=None)
    assert warned == []
    assert not result.failed and not result.changed
    assert (result["auth"], result["claimed"], result["needs_setup"]) == ("none", False, False)
    assert result["version"] == xinference.profile.version
    assert result["requests"] == {"GET": 2}
    asked = admin(xinference, password=None, keys=[{"name": "dify", "path": str(key_file)}])
    assert not asked.changed and "so no users and keys were created" in warned[0]


@pytest.mark.parametrize("version", ["1.17.1", "2.12.0"])
def test_a_server_with_a_file_of_users_is_only_verified(admin, key_file, version):
    with XinferenceServer(version, auth=True) as server:
        server.accounts.add_key("dify", 1, "sk-of-the-file")
        result = admin(server, keys=[{"name": "dify", "key": "sk-of-the-file"}])
        assert not result.failed, result["msg"]
        assert not result.changed and result["auth"] == "legacy" and result["claimed"]
        asked = admin(server, users=[{"name": "viewer"}], keys=[{"name": "dify", "path": str(key_file)}])
        assert asked.failed and "--auth-config" in asked["msg"] and "of the declared keys, dify" in asked["msg"]
        wrong = admin(server, password="another-one")
        assert wrong.failed and "--auth-config has another password" in wrong["msg"]


def test_a_server_that_does_not_answer(run_module, tmp_path):
    log = tmp_path / "log"
    log.write_text("no module named torch\n")
    options = {"endpoint": "http://127.0.0.1:9", "ready_timeout": 0, "log_path": str(log), "password": "x"}
    result = run_module("xinference_admin", options)
    assert result.failed and "no module named torch" in result["msg"]
