# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dify_models through main(), against every recorded release of Dify."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from dify_examples import EMBEDDING, KEY, LOCKED_XINFERENCE, NAMED, XINFERENCE, model
from servers.dify import Backend, Credential, DifyServer, Fault
from servers.dify.app import Reply
from servers.dify.server import EMAIL, PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils._dify.models import provider_models

ALL_TYPES = [
    model(),
    EMBEDDING,
    model(name="rr", type="rerank", model_uid="bge-reranker-v2-m3"),
    model(name="whisper", type="speech2text", model_uid="whisper-large-v3"),
    model(name="cosy", type="tts", model_uid="CosyVoice-300M-SFT", api_key="any-key-at-all"),
]


def stored(server, name="my-llm", type="llm"):
    return server.workspace.models[name, type]


def writes(server):
    """Requests that could change something, the login left out."""
    return [
        (verb, path.rsplit("/", 1)[1])
        for verb, path, body in server.log
        if verb != "GET" and not path.endswith(("/login", "/workspaces/current"))
    ]


# --- the way of a model --------------------------------------------------------------------------------------------


@pytest.mark.each_core("dify_models")
def test_register_then_nothing(dify, dify_models):
    result = dify_models(dify, ALL_TYPES)
    assert not result.failed, result["msg"]
    assert result.changed
    assert result["plan"][0] == "+ register llm my-llm"
    assert [row["action"] for row in result["models"]] == ["register"] * 5
    assert [row["state"] for row in result["models"]] == ["active"] * 5
    assert result["version"] == dify.profile.version
    assert result["workspace"] == {"id": dify.workspace.id, "name": "admin's Workspace"}
    credential = result["models"][0]["credential_name"]
    assert credential == ("modelops.inference" if dify.profile.named else None)
    assert stored(dify).shown["invoke_timeout"] == "60"

    again = dify_models(dify, ALL_TYPES)
    assert not again.failed and not again.changed
    assert again["plan"] == []
    assert again["diff"]["before"] == again["diff"]["after"] == {}
    assert [row["action"] for row in again["models"]] == ["none"] * 5
    assert writes(dify) == []
    # The documented budget: 4 requests and one per model.
    assert sum(again["requests"].values()) == 4 + 5 == len(dify.log)


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("server_url", "http://10.1.2.3:9998", "server_url"),
        ("model_uid", "qwen2-vl", "model_uid"),
        ("invoke_timeout", 120, "invoke_timeout"),
        ("max_retries", 0, "max_retries"),
        ("api_key", "sk-a-new-and-long-key", "api_key"),
    ],
)
def test_update_of_a_field(dify, dify_models, field, value, shown):
    dify.backend.upstreams["http://10.1.2.3:9998"] = dify.backend.upstreams[XINFERENCE]
    dify_models(dify, [model()])
    before = [(c.id, c.name) for c in stored(dify).credentials]
    result = dify_models(dify, [model(**{field: value})])
    assert not result.failed, result["msg"]
    assert result.changed
    assert (
        len(result["plan"]) == 1
        and result["plan"][0].startswith("~ update llm my-llm (")
        and shown in result["plan"][0]
    )
    assert stored(dify).shown[field] == str(value)
    assert [(c.id, c.name) for c in stored(dify).credentials] == before
    assert "sk-a-new" not in json.dumps(result)
    assert not dify_models(dify, [model(**{field: value})]).changed


def test_hidden_url_can_be_forced(dify_models):
    """0.15 shows of a server URL only its scheme and the port's end, so another host is not noticed."""
    with DifyServer("0.15.3") as server:
        server.backend.upstreams["http://10.1.2.3:9997"] = server.backend.upstreams[XINFERENCE]
        dify_models(server, [model()])
        moved = model(server_url="http://10.1.2.3:9997")
        assert not dify_models(server, [moved]).changed
        assert dify_models(server, [moved], update_secret="always").changed
        assert stored(server).shown["server_url"] == "http://10.1.2.3:9997"


@pytest.mark.each_core("dify_models")
def test_absent(dify, dify_models):
    dify_models(dify, [model(), EMBEDDING])
    gone = {"name": "my-llm", "type": "llm", "state": "absent"}
    check = dify_models(dify, [gone], check=True)
    assert check.changed and check["plan"] == ["- remove llm my-llm"]
    result = dify_models(dify, [gone])
    assert result.changed and result["plan"] == ["- remove llm my-llm"]
    assert result["models"][0]["action"] == "remove" and result["models"][0]["state"] == "absent"
    assert not stored(dify).listed and not stored(dify).credentials
    assert stored(dify, "bge-m3", "text-embedding").listed
    assert not dify_models(dify, [gone]).changed
    # Before 1.8 there is nothing but the model; from then on the model goes first.
    if dify.profile.named:
        dify_models(dify, [model()])
        dify_models(dify, [gone])
        assert writes(dify) == [("DELETE", "models"), ("DELETE", "credentials")]


@pytest.mark.each_core("dify_models")
def test_check_mode_tells_and_sends_nothing(dify, dify_models):
    dify_models(dify, [model(), EMBEDDING])
    wanted = [model(max_retries=7), {**EMBEDDING, "state": "absent"}, model(name="new", model_uid="qwen2-vl")]
    check = dify_models(dify, wanted, check=True)
    assert not check.failed
    assert writes(dify) == []
    done = dify_models(dify, wanted)
    assert check["plan"] == done["plan"]
    assert check["diff"] == done["diff"]
    assert [row["action"] for row in check["models"]] == [row["action"] for row in done["models"]]
    assert not dify_models(dify, wanted, check=True).changed


def test_unknown_stored_keys_and_last_slash_do_not_count(dify, dify_models):
    dify_models(dify, [model(server_url=f"{XINFERENCE}/")])
    stored(dify).shown.update(context_length=1, server_url=f"{XINFERENCE}/")
    assert not dify_models(dify, [model()]).changed
    assert not dify_models(dify, [model(server_url=f"{XINFERENCE}/")]).changed


# --- the key -------------------------------------------------------------------------------------------------------


def test_key_is_kept_where_none_is_given(dify, dify_models):
    locked = model(server_url=LOCKED_XINFERENCE)
    assert not dify_models(dify, [{**locked, "api_key": KEY}]).failed
    assert not dify_models(dify, [locked]).changed
    assert dify_models(dify, [{**locked, "max_retries": 9}]).changed
    assert stored(dify).shown["api_key"] == KEY


def test_key_from_a_file(dify, dify_models, tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    result = dify_models(dify, [model(server_url=LOCKED_XINFERENCE, api_key_file=str(file))])
    assert not result.failed, result["msg"]
    assert stored(dify).shown["api_key"] == KEY
    missing = dify_models(dify, [model(api_key_file=str(tmp_path / "none"))])
    assert missing.failed and "cannot be read" in missing["msg"] and not dify.log


@pytest.mark.parametrize(("policy", "changed"), [("on_create", False), ("when_changed", True), ("always", True)])
def test_policy_with_another_key(dify, dify_models, policy, changed):
    dify_models(dify, [model(api_key="first-long-key")])
    result = dify_models(dify, [model(api_key="other-long-one")], update_secret=policy)
    assert result.changed is changed
    assert stored(dify).shown["api_key"] == ("other-long-one" if changed else "first-long-key")


def test_policy_always_sends_the_same_key_again(dify, dify_models):
    dify_models(dify, [model(api_key="first-long-key")])
    assert not dify_models(dify, [model(api_key="first-long-key")]).changed
    result = dify_models(dify, [model(api_key="first-long-key")], update_secret="always")
    assert result.changed and not result.failed
    assert "first-long-key" not in json.dumps(result)


def test_nothing_secret_comes_out(dify, dify_models):
    result = dify_models(dify, [model(server_url=LOCKED_XINFERENCE, api_key="wrong-key-here", model_uid="bge-m3")])
    assert result.failed
    text = json.dumps(result)
    assert "wrong-key-here" not in text.replace('"api_key": "wrong-key-here"', "")  # invocation is hidden by Ansible
    assert PASSWORD not in result["msg"]
    for token in dify.state.tokens:
        assert token not in text


@pytest.mark.parametrize("url", ["http://ops:s3cr3t%21pw@10.1.2.3:9997", "http://ops:s3cr3t%21pw@10.1.2.3:9997/v1"])
def test_a_password_in_a_server_url_is_not_shown(dify, dify_models, url):
    """Xinference is out of reach there; and with /v1 nothing is sent."""
    dify.faults = [
        Fault("refused", "POST", r"/models(/credentials)?$", times=9, message=f"Connection refused: {url} s3cr3t!pw")
    ]
    result = dify_models(dify, [model(server_url=url)])
    assert result.failed and "http://********@10.1.2.3:9997" in result["msg"]
    dify.faults = []
    dify.backend.upstreams[url] = dify.backend.upstreams[XINFERENCE]
    results = [result, dify_models(dify, [model(server_url=url)]), dify_models(dify, [model()])]
    for result in results:
        text = json.dumps({**result, "invocation": None})
        assert "s3cr3t" not in text


# --- credentials ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=NAMED)
def named(request):
    with DifyServer(request.param) as server:
        yield server


def test_credentials_of_others_stay_and_the_active_one_is_used(named, dify_models):
    dify_models(named, [model()])
    other = Credential("API KEY 1", dict(stored(named).shown))
    stored(named).credentials.append(other)
    result = dify_models(named, [model(max_retries=9)])
    assert result.changed
    assert len(stored(named).credentials) == 2
    assert other.values["max_retries"] == "3"


def test_a_removed_model_comes_back_with_its_credential(named, dify_models):
    dify_models(named, [model()])
    kept = stored(named).credentials[0].id
    item = stored(named)
    item.listed, item.active, item.shown = False, None, {}  # removed in the browser: its credential stays
    check = dify_models(named, [model(max_retries=9)], check=True)
    assert check["plan"] == ["+ register llm my-llm (with its credential 'modelops.inference')"]
    result = dify_models(named, [model(max_retries=9)])
    assert not result.failed, result["msg"]
    assert result["models"][0] == {
        "name": "my-llm",
        "type": "llm",
        "action": "register",
        "state": "active",
        "credential_id": kept,
        "credential_name": "modelops.inference",
    }
    assert [c.id for c in stored(named).credentials] == [kept]
    assert stored(named).shown["max_retries"] == "9"
    assert not dify_models(named, [model(max_retries=9)]).changed


def test_a_model_that_lost_its_active_credential(named, dify_models):
    """Dify before 1.16 goes on listing it with the dead credential's values."""
    dify_models(named, [model()])
    other = Credential("other", {**stored(named).shown, "max_retries": "1"})
    stored(named).credentials.append(other)
    stored(named).credentials.pop(0)
    stored(named).active = None
    if not named.profile.zombies:
        stored(named).listed, stored(named).shown = False, {}
    result = dify_models(named, [model()])
    assert not result.failed, result["msg"]
    assert result["models"][0]["credential_id"] == other.id
    assert len(stored(named).credentials) == 1
    assert stored(named).shown["max_retries"] == "3"
    assert not dify_models(named, [model()]).changed


@pytest.mark.parametrize("zombie", [False, True])
def test_a_credential_of_somebody_else_is_left_alone(named, dify_models, zombie):
    """It is for another server, and holds a key that nobody can read."""
    if zombie and not named.profile.zombies:
        return
    dify_models(named, [model()])
    values = {**stored(named).shown, "server_url": "http://10.9.9.9:9997", "api_key": "sk-of-somebody-else"}
    theirs = Credential("API KEY 1", dict(values))
    stored(named).credentials[:] = [theirs]
    stored(named).active = None
    if not zombie:
        stored(named).listed, stored(named).shown = False, {}
    result = dify_models(named, [model()])
    assert not result.failed, result["msg"]
    assert theirs.values == values
    assert result["models"][0]["credential_name"] == "modelops.inference"
    assert sorted(c.name for c in stored(named).credentials) == ["API KEY 1", "modelops.inference"]
    assert not dify_models(named, [model()]).changed


def test_a_hidden_server_url_does_not_tell_whose_a_credential_is(named, dify_models):
    """Dify 1.8 and later with the plugin up to 0.0.4: another host with the same port looks the same."""
    named.profile = named.app.profile = replace(named.profile, secret_url=True)
    dify_models(named, [model()])
    values = {**stored(named).shown, "server_url": "http://10.9.9.9:19997", "api_key": "sk-of-somebody-else"}
    theirs = Credential("API KEY 1", dict(values))
    stored(named).credentials[:] = [theirs]
    stored(named).listed, stored(named).active, stored(named).shown = False, None, {}
    result = dify_models(named, [model()])
    assert not result.failed, result["msg"]
    assert theirs.values == values
    assert result["models"][0]["credential_name"] == "modelops.inference"
    assert not dify_models(named, [model()]).changed


def test_a_left_over_credential_keeps_its_key(named, dify_models):
    dify_models(named, [model()])
    item = stored(named)
    item.credentials[0].name = "API KEY 1"
    item.credentials[0].values["api_key"] = KEY
    item.listed, item.active, item.shown = False, None, {}
    result = dify_models(named, [model()])
    assert not result.failed, result["msg"]
    assert [(c.name, c.values["api_key"]) for c in item.credentials] == [("API KEY 1", KEY)]
    assert not dify_models(named, [model()]).changed


def test_absent_takes_left_over_credentials_too(named, dify_models):
    dify_models(named, [model()])
    stored(named).credentials += [Credential("a", {}), Credential("b", {})]
    stored(named).listed, stored(named).active, stored(named).shown = False, None, {}
    gone = {"name": "my-llm", "type": "llm", "state": "absent"}
    result = dify_models(named, [gone])
    assert result["plan"] == ["- remove llm my-llm (3 credentials left)"]
    assert stored(named).credentials == []
    assert not dify_models(named, [gone]).changed


def test_name_of_the_credential_is_for_a_new_one(named, dify_models):
    dify_models(named, [model(credential_name="first")])
    assert [c.name for c in stored(named).credentials] == ["first"]
    assert not dify_models(named, [model(credential_name="second")]).changed
    dify_models(named, [model(credential_name="second", max_retries=4)])
    assert [c.name for c in stored(named).credentials] == ["first"]


# --- refused before anything is sent -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ([model(), model(model_uid="qwen2-vl")], "given twice"),
        ([model(model_uid="a/b")], "refuses"),
        ([model(model_uid="a?b")], "refuses"),
        ([model(model_uid="a#b")], "refuses"),
        ([model(server_url="http://10.0.0.1:9997/v1")], "/v1"),
        ([model(server_url="10.0.0.1:9997")], "not an address"),
        ([model(server_url="  ")], "server_url is empty"),
        ([model(model_uid="")], "model_uid is empty"),
        ([model(credential_name="n" * 31)], "30 characters"),
        ([model(server_url="http://localhost:9997")], "loopback"),
        ([model(server_url="http://0.0.0.0:9997")], "loopback"),
        ([{"name": "x", "type": "llm"}], "server_url"),
        ([model(type="text2img")], "text2img"),
    ],
)
def test_wrong_input(newest, dify_models, models, words):
    result = dify_models(newest, models, allow_loopback=False)
    assert result.failed and words in result["msg"]
    assert newest.log == []


@pytest.mark.parametrize("url", ["dify.example.com", "http://", "http://127.0.0.1:1/console/api"])
def test_wrong_url(newest, dify_models, url):
    result = dify_models(newest, [model()], url=url)
    assert result.failed and "url: " in result["msg"]


# --- the login -----------------------------------------------------------------------------------------------------


def test_password_travels_as_the_release_wants_it(dify, dify_models):
    dify_models(dify, [model()])
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    sent = dify.sent("POST", "/login")
    assert [body["password"] for body in sent] == [encoded if dify.profile.base64_password else PASSWORD]


def test_wrong_password_is_tried_once(dify, dify_models):
    result = dify_models(dify, [model()], password="Wrong1234567")
    assert result.failed
    assert "password is wrong" in result["msg"] and "not repeated" in result["msg"]
    assert "Wrong1234567" not in result["msg"] and base64.b64encode(b"Wrong1234567").decode() not in result["msg"]
    assert len(dify.sent("POST", "/login")) == 1
    assert dify.state.accounts[EMAIL].failures == 1
    assert [path for verb, path, body in dify.log] == ["/console/api/setup", "/console/api/login"]


def test_unknown_email(dify, dify_models):
    result = dify_models(dify, [model()], email="nobody@example.com")
    assert result.failed and ("no such account" in result["msg"] or "e-mail" in result["msg"])


def test_locked_account(dify, dify_models):
    dify.state.accounts[EMAIL].failures = 6
    result = dify_models(dify, [model()])
    assert result.failed and "locked" in result["msg"] and "24 hours" in result["msg"]
    assert len(dify.log) == 2


def test_account_without_a_workspace(dify, dify_models):
    dify.state.add_account("lonely@example.com", PASSWORD)
    result = dify_models(dify, [model()], email="lonely@example.com")
    assert result.failed and "Add it to a workspace" in result["msg"]


def test_behind_https_the_cookies_are_returned_by_their_names(dify, dify_models):
    """Dify names them __Host- and marks them Secure; over plain HTTP a cookie jar would drop them."""
    dify.state.https = True
    assert dify_models(dify, [model()]).changed
    assert not dify_models(dify, [model()]).changed


def test_editor_may_not(dify, dify_models):
    dify.state.add_account("ed@example.com", PASSWORD, "editor")
    result = dify_models(dify, [model()], email="ed@example.com", check=True)
    assert result.failed and "editor" in result["msg"] and "owner or admin" in result["msg"]


def test_not_set_up(dify_models):
    for version in ("0.15.3", "1.16.0-rc1"):
        with DifyServer(version, fresh=True) as server:
            result = dify_models(server, [model()])
            assert result.failed and "not been set up" in result["msg"] and "/install" in result["msg"]
            server.state.init_password = "secret"
            result = dify_models(server, [model()])
            assert result.failed and "INIT_PASSWORD" in result["msg"]


# --- the address ---------------------------------------------------------------------------------------------------


def test_nobody_listens(newest, dify_models):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = dify_models(newest, [model()], url=url, connect_timeout=1)
    assert result.failed and result["msg"].count(url) == 1
    assert "cannot be reached" in result["msg"] and "Check that Dify runs" in result["msg"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("redirect", status=301, location="https://dify.example.com/console/api/setup"), "redirects to https://"),
        (Fault("html", status=200), "not Dify's API"),
        (Fault("no_version"), "X-Version"),
        (Fault("status", status=404), "404"),
    ],
)
def test_another_server_answers(newest, dify_models, fault, words):
    newest.faults = [fault]
    result = dify_models(newest, [model()])
    assert result.failed and words in result["msg"]
    assert newest.sent("POST", "/login") == []


def test_proxy_page_instead_of_an_answer(dify, dify_models):
    dify.faults = [Fault("html", path="/models$", status=200)]
    result = dify_models(dify, [model()])
    assert result.failed and "HTML page" in result["msg"] and "reverse proxy" in result["msg"]


# --- errors of a model ---------------------------------------------------------------------------------------------


def failing(dify, dify_models, *models, **options):
    result = dify_models(dify, list(models), **options)
    assert result.failed
    for words in (dify.url, "workspace 'admin's Workspace'"):
        assert words in result["msg"]
    return result


def test_xinference_out_of_reach(dify, dify_models):
    result = failing(dify, dify_models, model(server_url="http://10.255.0.1:9997"))
    container = "plugin_daemon" if dify.profile.plugins else "api"
    assert "cannot reach Xinference at http://10.255.0.1:9997" in result["msg"] and container in result["msg"]
    assert "llm my-llm" in result["msg"]


def test_unknown_uid(dify, dify_models):
    result = failing(dify, dify_models, model(model_uid="nosuch"))
    assert "does not serve the model UID 'nosuch'" in result["msg"]


def test_key_missing(dify, dify_models):
    result = failing(dify, dify_models, model(server_url=LOCKED_XINFERENCE))
    assert "requires an API key" in result["msg"]


def test_wrong_type(dify, dify_models):
    result = failing(dify, dify_models, model(model_uid="bge-m3"))
    assert ("with another type than llm" in result["msg"]) or (
        dify.profile.plugin_exceptions == "500" and "gives no reason" in result["msg"] and "log" in result["msg"]
    )
    result = failing(dify, dify_models, model(type="rerank"))
    assert "with another type than rerank" in result["msg"]


def test_tts_of_the_built_in_provider_wants_a_key(dify_models):
    with DifyServer("0.15.3") as server:
        result = failing(server, dify_models, {**ALL_TYPES[4], "api_key": None})
        assert "any value" in result["msg"]


def test_plugin_is_not_installed(dify, dify_models):
    if not dify.profile.plugins:
        result = failing(dify, dify_models, model(), provider="nosuch")
        assert "no Xinference provider nosuch" in result["msg"]
        return
    dify.workspace.plugin = None
    result = failing(dify, dify_models, model(), EMBEDDING, check=True)
    assert "install" in result["msg"] and "langgenius/xinference" in result["msg"]
    assert result["msg"].count("does not exist") == 1


def test_plugin_daemon_is_down(dify, dify_models):
    dify.state.daemon_up = False
    if dify.profile.plugins:
        assert "plugin_daemon" in failing(dify, dify_models, model())["msg"]
    else:
        assert dify_models(dify, [model()]).changed


def test_one_bad_model_does_not_stop_the_others(dify, dify_models):
    bad = model(name="bad", model_uid="nosuch")
    result = dify_models(dify, [bad, model(), EMBEDDING])
    assert result.failed and result.changed
    assert "1 of 3 models failed" in result["msg"]
    assert result["plan"] == ["+ register llm my-llm", "+ register text-embedding bge-m3"]
    assert result["diff"]["after"].keys() == {"llm my-llm", "text-embedding bge-m3"}
    assert [row["state"] for row in result["models"]] == ["absent", "active", "active"]
    assert "does not serve" in result["models"][0]["error"]
    assert all("error" not in row for row in result["models"][1:])
    assert stored(dify).listed and stored(dify, "bge-m3", "text-embedding").listed
    again = dify_models(dify, [bad, model(), EMBEDDING])
    assert again.failed and not again.changed and again["plan"] == []


def test_a_model_that_was_changed_half_way(dify, dify_models):
    dify_models(dify, [model()])
    dify.faults = [Fault("status", "PATCH", "/disable$", times=9)]
    result = dify_models(dify, [model(max_retries=9, enabled=False), model(name="sd", type="image")])
    assert result.failed and result.changed
    assert result["plan"] == ["~ update llm my-llm (max_retries 3 -> 9, enabled True -> False)"]
    assert stored(dify).shown["max_retries"] == "9"
    assert [row["state"] for row in result["models"]] == ["active", "skipped"]
    assert "disable llm my-llm" in result["models"][0]["error"]


@pytest.mark.parametrize("path", ["/models", "/model-types/llm"])
def test_what_was_done_is_told_where_dify_fails_afterwards(dify, dify_models, path):
    answer = dify.app.answer

    def fails_after(request):
        late = ("my-llm", "llm") in dify.workspace.models and request.verb == "GET" and request.path.endswith(path)
        return Reply(500, {"code": "unknown", "message": "Internal Server Error"}) if late else answer(request)

    dify.app.answer = fails_after
    result = dify_models(dify, [model(), model(name="sd", type="image")])
    assert result.failed and result.changed
    assert result["plan"] == ["+ register llm my-llm"] and "llm my-llm" in result["diff"]["after"]
    assert [row["action"] for row in result["models"]] == ["register", "skip"]


def test_what_was_there_survives_a_failed_update(dify, dify_models):
    dify_models(dify, [model()])
    before = dict(stored(dify).shown)
    result = dify_models(dify, [model(server_url="http://10.255.0.1:9997", model_uid="nosuch")])
    assert result.failed and not result.changed
    assert result["models"][0]["state"] == "active"
    assert stored(dify).shown == before


def test_disabled_in_dify_is_left_so_and_told(dify, dify_models):
    dify_models(dify, [model()])
    stored(dify).enabled = False
    result = dify_models(dify, [model()])
    assert not result.failed and not result.changed
    assert result["models"][0]["state"] == "disabled"
    assert "disabled" in str(result["warnings"])


# --- the network ---------------------------------------------------------------------------------------------------


def test_lost_answer_is_read_back_before_anything_is_repeated(dify, dify_models):
    for verb in ("POST", "POST|PUT"):  # register, then update
        dify.faults = [Fault("reset_after", verb, r"/models(/credentials)?$")]
        result = dify_models(dify, [model(max_retries=3 if verb == "POST" else 8)])
        assert not result.failed, result["msg"]
        assert result.changed
        assert len(writes(dify)) == 1
        assert len(stored(dify).credentials) == (1 if dify.profile.named else 0)


def test_request_that_never_arrived_is_repeated(dify, dify_models):
    dify.faults = [Fault("reset", "POST", r"/models(/credentials)?$")]
    result = dify_models(dify, [model()])
    assert not result.failed, result["msg"]
    assert stored(dify).listed
    assert len(stored(dify).credentials) == (1 if dify.profile.named else 0)


def test_login_is_not_repeated_after_a_reset(dify, dify_models):
    dify.faults = [Fault("reset", "POST", "/login$")]
    result = dify_models(dify, [model()])
    assert result.failed
    assert len(dify.sent("POST", "/login")) == 1


def test_slow_validation_is_not_asked_for_twice(newest, dify_models, monkeypatch):
    monkeypatch.setattr(provider_models, "VALIDATION_MARGIN", 0)
    newest.faults = [Fault("slow", "POST", "/models/credentials$", seconds=1.5)]
    result = dify_models(newest, [model(invoke_timeout=1)], request_timeout=1)
    assert result.failed and "nothing is added twice" in result["msg"]
    assert len(writes(newest)) == 1
    assert not dify_models(newest, [model(invoke_timeout=1)]).changed


def test_lost_removal(dify, dify_models):
    dify_models(dify, [model()])
    dify.faults = [Fault("reset_after", "DELETE", "/models$")]
    result = dify_models(dify, [{"name": "my-llm", "type": "llm", "state": "absent"}])
    assert not result.failed, result["msg"]
    assert not stored(dify).listed and not stored(dify).credentials


def test_one_500_is_an_error_with_where_to_look(dify, dify_models):
    dify.faults = [Fault("status", "POST", r"/models(/credentials)?$")]
    result = failing(dify, dify_models, model(), EMBEDDING)
    assert "log" in result["msg"] and "1 of 2" in result["msg"]


# --- workspaces ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["name", "id"])
def test_other_workspace_and_back(dify, dify_models, by):
    other = dify.state.add_workspace("Research", admin="owner")
    home = dify.state.accounts[EMAIL].current
    result = dify_models(dify, [model()], workspace=getattr(other, by))
    assert not result.failed, result["msg"]
    assert result.changed and result["workspace"] == {"id": other.id, "name": "Research"}
    assert ("my-llm", "llm") in other.models and not dify.workspace.models
    assert dify.state.accounts[EMAIL].current == home
    assert [body["tenant_id"] for body in dify.sent("POST", "/switch")] == [other.id, home]
    assert not dify_models(dify, [model()], workspace="Research").changed


def test_workspace_is_set_back_after_a_failure(dify, dify_models):
    dify.state.add_workspace("Research", admin="owner")
    home = dify.state.accounts[EMAIL].current
    assert dify_models(dify, [model(model_uid="nosuch")], workspace="Research").failed
    assert dify.state.accounts[EMAIL].current == home
    dify.faults = [Fault("html", "GET", "/models$", status=200)]
    assert dify_models(dify, [model()], workspace="Research").failed
    assert dify.state.accounts[EMAIL].current == home


def test_workspace_that_cannot_be_set_back(newest, dify_models):
    newest.state.add_workspace("Research", admin="owner")
    newest.faults = [
        Fault("html", "GET", "/models$", status=200),
        Fault("status", "POST", "/workspaces/switch$", times=0),
    ]
    switches = []
    answer = newest.app.answer

    def second_switch_fails(request):
        if request.path.endswith("/switch"):
            switches.append(request)
            newest.faults[1].times = 1
        return answer(request)

    newest.app.answer = second_switch_fails
    result = dify_models(newest, [model()], workspace="Research")
    assert result.failed and "HTML page" in result["msg"] and "could not be set back" in result["msg"]


def test_workspace_is_set_back_though_the_answer_to_the_switch_was_lost(dify, dify_models):
    dify.state.add_workspace("Research", admin="owner")
    home = dify.state.accounts[EMAIL].current
    dify.faults = [Fault("reset_after", "POST", "/switch$")]
    result = dify_models(dify, [model()], workspace="Research")
    assert result.failed and "switch to the workspace 'Research'" in result["msg"]
    assert dify.state.accounts[EMAIL].current == home


@pytest.mark.parametrize("wanted", [None, "Research"])
def test_somebody_else_switches_the_account(dify, dify_models, wanted):
    dify.state.add_workspace("Research", admin="owner")
    third = dify.state.add_workspace("Third", admin="owner")
    home = dify.state.accounts[EMAIL].current
    answer = dify.app.answer

    def switched(request):
        reply = answer(request)
        if request.verb == "POST" and "/model-providers/" in request.path:
            dify.state.accounts[EMAIL].current = third.id
        return reply

    dify.app.answer = switched
    options = {"workspace": wanted} if wanted else {}
    result = dify_models(dify, [model()], **options)
    assert result.failed and "switched the account to the workspace 'Third'" in result["msg"]
    assert result.changed and result["plan"] == ["+ register llm my-llm"]
    assert result["models"][0]["state"] == "unknown"
    assert dify.state.accounts[EMAIL].current == (home if wanted else third.id)


def test_nothing_is_written_to_the_workspace_of_another_run(dify, dify_models):
    research = dify.state.add_workspace("Research", admin="owner")
    third = dify.state.add_workspace("Third", admin="owner")
    answer = dify.app.answer

    def switched(request):
        reply = answer(request)
        if request.verb == "GET" and request.path.endswith("/models"):
            dify.state.accounts[EMAIL].current = third.id
        return reply

    dify.app.answer = switched
    result = dify_models(dify, [model(), EMBEDDING], workspace="Research")
    assert result.failed and "switched the account to the workspace 'Third'" in result["msg"]
    assert not result.changed and {row["state"] for row in result["models"]} == {"unknown"}
    assert not third.models and not research.models


@pytest.mark.parametrize("file", [True, False])
def test_sigterm_puts_the_workspace_back(dify, dify_models, tmp_path, file):
    dify.state.add_workspace("Research", admin="owner")
    home = dify.state.accounts[EMAIL].current
    answer = dify.app.answer
    options = {"workspace": "Research", **({"session_file": str(tmp_path / "login")} if file else {})}

    def killed(request):
        if request.verb == "GET" and request.path.endswith("/models"):
            os.kill(os.getpid(), signal.SIGTERM)
        return answer(request)

    handler = signal.getsignal(signal.SIGTERM)
    dify.app.answer = killed
    result = dify_models(dify, [model()], **options)
    assert (
        result.failed
        and "stopped by SIGTERM. The account is back in the workspace 'admin's Workspace'" in result["msg"]
    )
    assert not any(space.models for space in dify.state.workspaces.values())
    assert dify.state.accounts[EMAIL].current == home and signal.getsignal(signal.SIGTERM) == handler


def test_a_run_that_was_killed_is_put_right_by_the_next(dify, dify_models, tmp_path):
    """Its session file tells where the account belongs; where a person has moved it since, it stays."""
    research = dify.state.add_workspace("Research", admin="owner")
    third = dify.state.add_workspace("Third", admin="owner")
    account = dify.state.accounts[EMAIL]
    home = account.current
    login = {"session_file": str(tmp_path / "login")}
    for moved in (False, True):

        def dies(request, answer=dify.app.answer):
            if request.verb == "GET" and request.path.endswith("/models"):
                dify.faults = [Fault("reset", "POST", "/workspaces/switch$", times=9)]
            return answer(request)

        before, dify.app.answer = dify.app.answer, dies
        result = dify_models(dify, [model()], workspace="Research", **login)
        assert result.failed and "could not be set back" in result["msg"] and ".." not in result["msg"]
        assert account.current == research.id
        dify.faults, dify.app.answer = [], before
        if moved:
            account.current = third.id
            assert dify_models(dify, [EMBEDDING], **login)["workspace"]["id"] == third.id
            continue
        check = dify_models(dify, [model()], check=True, **login)
        assert check.failed and "left the account in the workspace 'Research'" in check["msg"]
        result = dify_models(dify, [model()], **login)
        assert not result.failed and result["workspace"]["id"] == home == account.current


def test_the_current_workspace_needs_no_switch(dify, dify_models):
    for wanted in (dify.workspace.id, dify.workspace.name):
        assert not dify_models(dify, [model()], workspace=wanted).failed
        assert dify.sent("POST", "/switch") == []


def test_check_mode_does_not_switch(dify, dify_models):
    other = dify.state.add_workspace("Research", admin="owner")
    result = dify_models(dify, [model()], workspace="Research", check=True)
    assert not result.failed and not result.changed
    assert "not the account's current workspace" in result["not_compared"]
    assert result["not_compared"] in str(result["warnings"])
    assert result["workspace"]["id"] == other.id
    assert result["models"][0]["action"] == result["models"][0]["state"] == "unknown"


def test_unknown_and_ambiguous_workspace(dify, dify_models):
    result = dify_models(dify, [model()], workspace="Nowhere")
    assert result.failed and "no workspace 'Nowhere'" in result["msg"] and "admin's Workspace" in result["msg"]
    twins = [dify.state.add_workspace("Twin", admin="owner") for dummy in range(2)]
    result = dify_models(dify, [model()], workspace="Twin")
    assert result.failed and all(twin.id in result["msg"] for twin in twins)
    assert not dify_models(dify, [model()], workspace=twins[1].id).failed


def test_editor_of_the_other_workspace(dify, dify_models):
    dify.state.add_workspace("Research", admin="editor")
    home = dify.state.accounts[EMAIL].current
    result = dify_models(dify, [model()], workspace="Research")
    assert result.failed and "editor" in result["msg"]
    assert dify.state.accounts[EMAIL].current == home


# --- a real Xinference behind the test server ----------------------------------------------------------------------


@pytest.fixture
def xinference():
    """Answers what the real one answers for one model, with a key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path == "/v1/models/minilm"
            allowed = self.headers.get("Authorization") == "Bearer key-of-the-stub"
            body = {"model_type": "embedding"} if known and allowed else {"detail": "no"}
            data = json.dumps(body).encode()
            self.send_response(401 if not allowed else 200 if known else 400)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_test_server_can_ask_a_real_xinference(dify_models, xinference):
    minilm = model(
        name="minilm", type="text-embedding", server_url=xinference, model_uid="minilm", api_key="key-of-the-stub"
    )
    with DifyServer("1.9.2", backend=Backend({}, live=True, cache_seconds=0)) as server:
        assert "requires an API key" in dify_models(server, [{**minilm, "api_key": "other"}])["msg"]
        assert "does not serve" in dify_models(server, [{**minilm, "model_uid": "nosuch"}])["msg"]
        assert "another type than rerank" in dify_models(server, [{**minilm, "type": "rerank"}])["msg"]
        assert "cannot reach" in dify_models(server, [{**minilm, "server_url": "http://127.0.0.1:9"}])["msg"]
        assert dify_models(server, [minilm])["models"][0]["state"] == "active"
