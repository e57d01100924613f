# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences between releases, and helpers around a request."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers.xinference import PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils import _session
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import client, releases


def connected(server, check_mode=False):
    made = client.Client(_session.Session(server.url, check_mode=check_mode, retries=0), "admin", PASSWORD)
    made.login()
    return made


@pytest.mark.parametrize(("url", "header"), [("http://10.0.0.5:9997", "close"), ("https://llm.example.com", None)])
def test_a_connection_is_kept_where_a_new_one_costs_a_tls_handshake(url, header):
    session = _session.Session(url)
    client.Client(session, "admin", PASSWORD)
    assert session.headers.get("Connection") == header


def test_one_of_two_threads_renews_the_token(newest):
    speaker = connected(newest)
    speaker._fresh_until = 0.0
    newest.forget()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _turn: speaker.get("/v1/models"), range(2)))
    assert [path for _verb, path in newest.requests].count("/v1/auth/refresh") == 1


def test_what_is_under_a_uid(xinference):
    speaker = connected(xinference)
    assert speaker.presence("m") == releases.UNKNOWN
    xinference.behave("m", hangs=True)
    xinference.models.launch({"model_uid": "m", "model_name": "bge-m3", "model_type": "embedding"})
    assert speaker.presence("m") == releases.LOADING
    xinference.models.models["m"].behaviour.hangs = False
    xinference.models.models["m"].launched -= 10
    assert speaker.presence("m") == releases.RUNNING
    xinference.fault("status", path="/v1/models/m", status=500)
    assert speaker.presence("m") == releases.RUNNING, "an error of a model that exists"


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        (400, "[address=1, pid=2] Model not found in the model list, uid: m", releases.UNKNOWN),
        (400, "[address=1, pid=2] Model not found in the model list, uid: m-0", releases.LOADING),
        (400, "[address=1, pid=2] Model not found in the model list, uid: m-rep0", releases.LOADING),
        (400, "the model is in stopping state", releases.RUNNING),
        (503, "Model is loading, please retry later", releases.LOADING),
        (500, "boom", releases.RUNNING),
        (200, "", releases.RUNNING),
    ],
)
def test_how_a_description_is_read(status, detail, expected):
    answer = type("Answer", (), {"status": status, "detail": detail})()
    assert releases.presence(answer, "m") == expected


def test_in_check_mode_nothing_that_changes_is_sent(newest):
    speaker = connected(newest, check_mode=True)
    newest.forget()
    for call in (
        lambda: speaker.launch({"model_uid": "m"}),
        lambda: speaker.terminate("m"),
        lambda: speaker.cancel("m", 1),
        lambda: speaker.register("LLM", {"model_name": "m"}),
        lambda: speaker.unregister("LLM", "m"),
        lambda: speaker.claim("t"),
    ):
        with pytest.raises(_session.CheckModeViolation):
            call()
    assert newest.requests == []


def test_a_token_is_replaced_before_it_ends(newest):
    newest.accounts.token_life = 2
    speaker = connected(newest)

    time.sleep(1.6)
    newest.accounts.token_life = 1800
    speaker.models()
    assert newest.requests[-2:] == [("POST", "/v1/auth/refresh"), ("GET", "/v1/models")]
    speaker.models()
    assert newest.requests[-1] == ("GET", "/v1/models") and newest.accounts.failures == 0


def test_a_refresh_that_is_refused_becomes_a_login(newest):
    newest.accounts.token_life = 2
    speaker = connected(newest)
    newest.accounts.refresh_tokens.clear()
    newest.accounts.token_life = 1800

    time.sleep(1.6)
    speaker.models()
    assert [path for _verb, path in newest.requests[-3:]] == ["/v1/auth/refresh", "/token", "/v1/models"]


def test_a_refused_token_is_not_tried_again(newest):
    speaker = connected(newest)
    newest.accounts.tokens.clear()
    newest.forget()
    with pytest.raises(_session.ApiError, match="401"):
        speaker.models()
    assert newest.requests == [("GET", "/v1/models")]


def test_uids_are_quoted(newest):
    speaker = connected(newest)
    speaker.presence("a b%2Fc")
    assert newest.requests[-1] == ("GET", "/v1/models/a%20b%252Fc")


def test_the_end_of_a_log(tmp_path):
    path = tmp_path / "log"
    path.write_text("\n".join(f"line {number}" for number in range(100)) + "\nSetup token: abc\n")
    text = log.tail(str(path), lambda text: text.replace("line 99", "LINE"))
    assert text.startswith(f"\nLast lines of {path}:\nline 8") and text.endswith("LINE\nSetup token: ********")
    assert log.tail(str(tmp_path / "none")) == log.tail(None) == ""
    assert log.setup_token(str(path)) == "abc"
    path.write_bytes(b"\xff\xfe no token\n")
    assert log.setup_token(str(path)) is None and "no token" in log.tail(str(path))
