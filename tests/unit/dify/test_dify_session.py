# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DifySession: one login a play, its renewal, the admin key, patience with the plugin daemon."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from dify_examples import PROFILES_IN_ORDER, model
from servers.dify import PROFILES, DifyServer, Fault
from servers.dify.server import EMAIL, PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils._dify.api import session, state_files
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import DifyError
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.paths import CURRENT
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.workspace_switch import WorkspaceSwitch
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

ADMIN_KEY = "adminkey-123"
PROVIDERS = f"{CURRENT}/model-providers"
WITH_ADMIN_KEY = [version for version, profile in PROFILES.items() if profile.admin_key == "yes"]


def logins(server):
    return len(server.sent("POST", "/login"))


def refreshes(server):
    return len(server.sent("POST", "/refresh-token"))


def read(dify_session):
    return dify_session.call("GET", PROVIDERS, "list the providers").json


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "session.json")


# --- the session file ----------------------------------------------------------------------------------------------


def test_the_second_task_sends_no_login(dify, opened, file):
    read(opened(dify, session_file=file))
    dify.log.clear()
    read(opened(dify, session_file=file))
    assert [path for verb, path, body in dify.log] == ["/console/api/setup", PROVIDERS]
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600


def test_several_difys_and_accounts_share_a_file(dify, newest, opened, file):
    dify.state.add_account("ops@example.com", PASSWORD, "admin")
    for _round in range(2):
        for server, email in ((dify, EMAIL), (dify, "ops@example.com"), (newest, EMAIL)):
            dify_session = opened(server, email=email, session_file=file)
            with WorkspaceSwitch(dify_session).in_workspace(None):
                assert dify_session.workspace.role == ("owner" if email == EMAIL else "admin")
    assert (logins(dify), logins(newest)) == (2, 1)


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '"text"', '{"KEY": 1}', '{"KEY": {"headers": {}}}', "OLD"])
def test_what_cannot_be_used_is_replaced(newest, opened, file, content):
    opened(newest, session_file=file)
    with open(file, encoding="utf-8") as kept:
        good = json.load(kept)
    (key,) = good
    old = {key: {**good[key], "since": time.time() - state_files.LIFE - 1}}
    with open(file, "w", encoding="utf-8") as kept:
        kept.write(json.dumps(old) if content == "OLD" else content.replace("KEY", key))
    for _round in range(2):
        read(opened(newest, session_file=file))
    assert logins(newest) == 2


def test_a_kept_login_that_dify_refuses_is_refreshed(dify, opened, file):
    opened(dify, session_file=file)
    dify.state.tokens.clear()
    for _round in range(2):
        read(opened(dify, session_file=file))
    assert (logins(dify), refreshes(dify)) == (1, 1)


def test_a_kept_login_that_cannot_be_refreshed_leads_to_one_login(dify, opened, file):
    opened(dify, session_file=file)
    dify.state.tokens.clear()
    dify.state.refresh_tokens.clear()
    for _round in range(2):
        read(opened(dify, session_file=file))
    assert (logins(dify), refreshes(dify)) == (2, 1)


def test_a_login_kept_by_an_older_release(opened, file):
    """Dify was upgraded in between, at the same address: Bearer before, cookies now."""
    with DifyServer("1.8.1") as old, DifyServer("1.16.0-rc1") as new:
        opened(old, session_file=file)
        with open(file, encoding="utf-8") as kept:
            text = kept.read().replace(old.url, new.url)
        with open(file, "w", encoding="utf-8") as kept:
            kept.write(text)
        dify_session = opened(new, session_file=file)
        read(dify_session)
        assert (logins(new), refreshes(new)) == (1, 1)
        assert "Authorization" not in dify_session.http.headers


def test_a_wrong_password_is_not_tried_twice(dify, opened, file):
    opened(dify, session_file=file)
    dify.state.tokens.clear()
    dify.state.refresh_tokens.clear()
    dify_session = opened(dify, password="Wrong1234567", session_file=file)
    with pytest.raises(DifyError, match="password is wrong"):
        read(dify_session)
    for _again in range(3):
        with pytest.raises(DifyError, match="does not accept the new session"):
            read(dify_session)
    assert dify.state.accounts[EMAIL].failures == 1


def test_tasks_at_the_same_time_log_in_once(dify, opened, file):
    dify.faults = [Fault("slow", "POST", "/login$", times=9, seconds=0.2)]
    failed = []

    def task():
        try:
            read(opened(dify, session_file=file))
        except Exception as exc:
            failed.append(exc)

    for expired in (False, True):
        if expired:
            dify.state.tokens.clear()
        threads = [threading.Thread(target=task) for _number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert (logins(dify), refreshes(dify)) == (1, int(expired))


def test_a_file_that_others_can_read_is_refused(newest, opened, file, tmp_path):
    with open(file, "w", encoding="utf-8"):
        os.chmod(file, 0o644)
    link = tmp_path / "link"
    link.symlink_to(file)
    for path in (file, str(link), str(tmp_path / "none" / "file"), str(tmp_path)):
        with pytest.raises(ModelopsError, match=r"session_file: \S+ (must be|cannot be opened)"):
            opened(newest, session_file=path)
    assert logins(newest) == 0


def test_nothing_of_the_file_comes_out(dify, dify_models, file):
    results = [dify_models(dify, [model()], session_file=file) for _round in range(2)]
    assert results[0].changed and not results[1].failed and not results[1].changed
    tokens = [*dify.state.tokens, *dify.state.refresh_tokens, *(csrf for email, csrf in dify.state.tokens.values())]
    with open(file, encoding="utf-8") as kept:
        assert tokens[0] in kept.read()
    assert not [token for token in tokens if token in json.dumps(results)]


def test_check_mode_keeps_the_login_too(dify, dify_models, file):
    dify_models(dify, [model()], check=True, session_file=file)
    dify_models(dify, [model()], session_file=file)
    assert logins(dify) == 0  # of the second call; the log starts anew with each


# --- a login that expires ------------------------------------------------------------------------------------------


def test_expiry_in_the_middle(dify, dify_models):
    dify.faults = [Fault("expired", "POST", r"/models(/credentials)?$")]
    result = dify_models(dify, [model()])
    assert not result.failed, result["msg"]
    assert result["models"][0]["state"] == "active"
    assert (logins(dify), refreshes(dify)) == (1, 1)
    sent = dify.sent("POST", "/refresh-token")[0]
    assert (sent is None) == dify.profile.cookies


def test_expiry_in_the_middle_where_the_refresh_is_refused(dify, dify_models):
    dify.faults = [Fault("expired", "POST", r"/models(/credentials)?$"), Fault("status", path="/refresh", status=401)]
    result = dify_models(dify, [model()])
    assert not result.failed, result["msg"]
    assert (logins(dify), refreshes(dify)) == (2, 1)


def test_every_expiry_is_renewed(newest, opened):
    dify_session = opened(newest)
    for _round in range(3):
        read(dify_session)
        newest.state.tokens.clear()
    read(dify_session)
    assert (logins(newest), refreshes(newest)) == (1, 3)


def test_a_login_that_is_never_accepted_is_not_renewed(dify, opened):
    if not dify.profile.cookies:
        dify.state.tokens = type("Forgets", (dict,), {"get": lambda *args: None})()
    else:
        dify.faults = [Fault("no_cookie", times=99)]
    dify_session = opened(dify)
    for _round in range(2):
        with pytest.raises(DifyError, match=r"drops? (the )?cookies"):
            read(dify_session)
    assert (logins(dify), refreshes(dify)) == (1, 0)


def test_workspace_is_set_back_after_an_expiry(dify, dify_models):
    dify.state.add_workspace("Research", admin="owner")
    home = dify.state.accounts[EMAIL].current
    dify.faults = [Fault("expired", "GET", "/models$"), Fault("html", "GET", "/models$", status=200)]
    result = dify_models(dify, [model()], workspace="Research")
    assert result.failed and "HTML page" in result["msg"]
    assert dify.state.accounts[EMAIL].current == home


def test_workspace_is_set_back_though_the_login_expired_at_the_end(dify, dify_models):
    dify.state.add_workspace("Research", admin="owner")
    home = dify.state.accounts[EMAIL].current
    dify_models(dify, [model()], workspace="Research")
    dify.faults = [Fault("slow", "POST", "/switch$"), Fault("expired", "POST", "/switch$")]
    assert not dify_models(dify, [model()], workspace="Research").failed
    assert dify.state.accounts[EMAIL].current == home
    assert refreshes(dify) == 1


# --- the admin key -------------------------------------------------------------------------------------------------


def as_admin(server, **options):
    server.state.admin_key = ADMIN_KEY
    options = {"admin_key": ADMIN_KEY, "workspace": server.workspace.id, **options}
    return {"email": None, "password": None, **options}


@pytest.mark.parametrize("version", WITH_ADMIN_KEY)
def test_admin_key_does_all_without_a_login(dify_models, version):
    with DifyServer(version) as server:
        other = server.state.add_workspace("Research", admin="owner")
        for space in (server.workspace, other):
            options = as_admin(server, workspace=space.id.upper())
            result = dify_models(server, [model()], **options)
            assert not result.failed, result["msg"]
            assert result.changed and result["workspace"] == {"id": space.id, "name": space.name}
            assert ("my-llm", "llm") in space.models
            assert not dify_models(server, [model()], **options).changed
            check = dify_models(server, [model(max_retries=9)], check=True, **options)
            assert check["plan"] == ["~ update llm my-llm (max_retries 3 -> 9)"]
            assert logins(server) == 0 and server.sent("POST", "/switch") == []
            assert ADMIN_KEY not in json.dumps({**result, "invocation": None})


def test_admin_key_where_dify_takes_none(dify_models):
    with DifyServer("1.9.2") as server:
        result = dify_models(server, [model()], **as_admin(server))
        assert result.failed and "1.9.2 to 1.10" in result["msg"] and "email and password" in result["msg"]
        assert [path for verb, path, body in server.log] == ["/console/api/setup"]


@pytest.mark.parametrize("version", WITH_ADMIN_KEY)
@pytest.mark.parametrize("changed", [{"admin_key": "nope"}, {"workspace": "00000000-0000-0000-0000-000000000000"}])
def test_admin_key_that_is_refused(dify_models, version, changed):
    with DifyServer(version) as server:
        result = dify_models(server, [model()], **as_admin(server, **changed))
        assert result.failed and "ADMIN_API_KEY_ENABLE" in result["msg"] and "workspace of that ID" in result["msg"]
        assert len(server.log) == 2 and "nope" not in result["msg"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"workspace": "Research"}, "not an ID"),
        ({"workspace": None}, "workspace"),
        ({"email": EMAIL, "password": PASSWORD}, "mutually exclusive"),
        ({"admin_key": None}, "email, admin_key"),
        ({"admin_key": None, "email": EMAIL}, "email, password"),
    ],
)
def test_options_that_do_not_go_together(newest, dify_models, changed, words):
    result = dify_models(newest, [model()], **as_admin(newest, **changed))
    assert result.failed and words in result["msg"]
    assert newest.log == []


# --- the plugin daemon ---------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only while somebody waits: the pauses."""
    pauses = []
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pauses.append))
    return pauses


def test_a_refused_login_is_tried_once_by_a_play(newest, opened, tmp_path):
    """Six failures lock the account for a day, and a play has more tasks than that."""
    file = str(tmp_path / "session")
    for _task in range(8):
        with pytest.raises(ModelopsError, match="password is wrong"):
            opened(newest, password="Wrong1234567", session_file=file)
    assert newest.state.accounts[EMAIL].failures == 1
    assert "Wrong1234567" not in Path(file).read_text()
    read(opened(newest, session_file=file))  # the right one is another password
    read(opened(newest, password="Wrong1234567", session_file=file))  # the login that is there counts


def test_a_refused_login_is_tried_again_later(newest, opened, tmp_path, monkeypatch):
    """The account was locked, or the password was set anew in Dify."""
    file = str(tmp_path / "session")
    with pytest.raises(ModelopsError) as first:
        opened(newest, password="Another1234567", session_file=file)
    assert file not in str(first.value)
    with pytest.raises(ModelopsError) as again:
        opened(newest, password="Another1234567", session_file=file)
    for words in ("password is wrong", f"session_file {file}", "within 10 minutes", "remove the file"):
        assert words in str(again.value)
    newest.state.accounts[EMAIL].password = "Another1234567"
    now = time.time()
    monkeypatch.setattr(state_files, "time", SimpleNamespace(time=lambda: now + state_files.REFUSED_FOR + 1))
    read(opened(newest, password="Another1234567", session_file=file))
    assert newest.state.accounts[EMAIL].failures == 0


@pytest.mark.parametrize("kind", ["reset_after", "slow"])
def test_a_login_whose_answer_was_lost_is_tried_once_by_a_play(newest, opened, tmp_path, kind):
    """Dify may have counted it as a failure, and the next task does not know better."""
    file = str(tmp_path / "session")
    newest.faults = [Fault(kind, "POST", "/login$", times=9, seconds=1)]
    for _task in range(3):
        with pytest.raises(ModelopsError, match="may have been counted"):
            opened(newest, session_file=file, request_timeout=0.3)
    assert logins(newest) == 1


def test_reads_wait_for_the_daemon(newest, opened, clock):
    newest.faults = [Fault("daemon", "GET", "/model-providers$", times=5)]
    dify_session = opened(newest, daemon_timeout=60)
    read(dify_session)
    assert clock == [1, 2, 4, 8, 10]
    newest.faults = [Fault("daemon", "GET", "/model-providers$", times=1)]
    read(dify_session)
    assert clock[5:] == [1]


@pytest.mark.parametrize(
    "message",
    [
        "req_id: 3a7b PluginDaemonInternalServerError: no available node, plugin not found",
        "req_id: 3a7b PluginDaemonInternalServerError: no available node: langgenius/xinference plugin runtime not found",
        "PluginDaemonInnerError: Request to Plugin Daemon Service failed-500",
        "PluginDaemonInternalServerError: Server error '502 Bad Gateway' for url 'http://plugin_daemon:5002/plugin/x'",
    ],
)
def test_what_dify_says_of_a_restarted_daemon(newest, opened, clock, message):
    newest.faults = [Fault("daemon", "GET", "/model-providers$", times=2, message=message)]
    read(opened(newest, daemon_timeout=60))
    assert clock == [1, 2]
    newest.faults = [Fault("daemon", "GET", "/model-providers$", message=message)]
    with pytest.raises(DifyError, match="plugin daemon does not answer"):
        read(opened(newest, daemon_timeout=0))


def test_waiting_ends_and_is_shared(newest, opened, clock):
    newest.state.daemon_up = False
    dify_session = opened(newest, daemon_timeout=20)
    for _round in range(3):
        with pytest.raises(DifyError, match=r"daemon_timeout is 20 s.*plugin_daemon"):
            read(dify_session)
    assert clock == [1, 2, 4, 8]


@pytest.mark.parametrize("version", [version for version in PROFILES_IN_ORDER if PROFILES[version].plugins])
def test_a_registration_waits_for_the_daemon(dify_models, clock, version):
    with DifyServer(version) as server:
        server.faults = [Fault("daemon", "POST", r"/models(/credentials)?$", times=1)]
        result = dify_models(server, [model()], daemon_timeout=60)
        assert not result.failed, result["msg"]
        assert len(server.workspace.models["my-llm", "llm"].credentials) == int(server.profile.named)


def test_what_may_not_be_repeated_is_not(newest, opened, clock):
    dify_session = opened(newest, daemon_timeout=60)
    newest.faults = [Fault("daemon", "POST", times=99)]
    with pytest.raises(DifyError, match="plugin daemon"):
        dify_session.call("POST", f"{CURRENT}/plugin/install/marketplace", "install", json={})
    assert clock == []
    with pytest.raises(DifyError, match="plugin daemon"):
        dify_session.call(
            "POST", f"{CURRENT}/default-model", "set the default", idempotent=True, json={"model_settings": []}
        )
    assert clock
