# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dify_models beyond a model's fields: states, types, credentials of others, pruning, two runs at a time, the budget."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from dify_examples import EMBEDDING, KEY, LOCKED_XINFERENCE, NAMED, PROFILES_IN_ORDER, RUN, XINFERENCE, model
from servers.dify import PROFILES, Credential, DifyServer, Fault, Model, Served, Upstream
from servers.dify.app import Reply
from servers.dify.server import EMAIL, PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils._dify.api import session

OTHER = "http://10.1.2.3:9997"


@pytest.fixture(params=NAMED)
def named(request):
    with DifyServer(request.param) as server:
        yield server


def stored(server, name="my-llm", type="llm"):
    return server.workspace.models[name, type]


def add(server, name, *credentials, type="llm", **values):
    """A model as somebody else registered it; the first credential is the active one."""
    values = {
        "server_url": XINFERENCE,
        "model_uid": "qwen2.5-instruct",
        "invoke_timeout": "60",
        "max_retries": "3",
        **values,
    }
    item = Model(name, type, listed=True, shown=values)
    if server.profile.named:
        item.credentials = [Credential(credential, dict(values)) for credential in credentials]
        item.active = item.credentials[0].id
        item.shown = item.credentials[0].values
    server.workspace.models[name, type] = item
    return item


def changing(server):
    """The requests that change models."""
    return [
        (verb, path.rsplit("/", 1)[1])
        for verb, path, body in server.log
        if verb != "GET" and "/model-providers/" in path
    ]


# --- the budget ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["password", "session_file", "admin_key"])
def test_requests_of_a_run_without_a_change(dify, dify_models, tmp_path, login):
    """50 models: the login, two requests for the workspace and the list, and one for each model."""
    options = {}
    if login == "admin_key":
        if dify.profile.admin_key != "yes":
            return
        dify.state.admin_key = "adminkey-123"
        options = dict(email=None, password=None, admin_key="adminkey-123", workspace=dify.workspace.id)
    if login == "session_file":
        options = {"session_file": str(tmp_path / "session")}
    dify.backend.upstreams[XINFERENCE].models.update({f"m{n}": Served("LLM", ("chat",)) for n in range(50)})
    many = [model(name=f"m{n}", model_uid=f"m{n}") for n in range(50)]
    assert dify_models(dify, many, **options).changed
    again = dify_models(dify, many, **options)
    assert not again.failed and not again.changed
    assert sum(again["requests"].values()) == len(dify.log) == 50 + (4 if login == "password" else 3)
    assert len(dify.sent("POST", "/login")) == (login == "password")
    # Releases 1.8 to 1.9.2 tell keys in clear there.
    assert dify.sent("GET", "/model-providers") == []


# --- types ---------------------------------------------------------------------------------------------------------


def test_types_of_xinference(dify, dify_models):
    declared = [
        model(type="LLM"),
        model(name="sd", type="image", model_uid="sd-turbo"),
        {**EMBEDDING, "type": "embedding"},
        model(name="wan", type="video", model_uid="wan", state="absent"),
        model(name="whisper", type="audio", abilities=["audio2text"], model_uid="whisper-large-v3"),
        model(name="flux", type="flexible", model_uid="flux"),
        model(name="hum", type="audio", abilities=["audio2audio"], model_uid="hum"),
        model(name="cosy", type="audio", abilities=["text2audio"], model_uid="CosyVoice-300M-SFT", api_key="any"),
    ]
    for action in ("register", "none"):
        result = dify_models(dify, declared)
        assert not result.failed, result["msg"]
        rows = [(row["name"], row["type"], row["action"]) for row in result["models"]]
        assert rows == [
            ("my-llm", "llm", action),
            ("sd", "image", "skip"),
            ("bge-m3", "text-embedding", action),
            ("wan", "video", "skip"),
            ("whisper", "speech2text", action),
            ("flux", "flexible", "skip"),
            ("hum", "audio", "skip"),
            ("cosy", "tts", action),
        ]
    skipped = [row for row in result["models"] if row["action"] == "skip"]
    assert {row["state"] for row in skipped} == {"skipped"}
    assert "no type for image models" in skipped[0]["why"]
    assert "neither transcribes nor speaks" in skipped[3]["why"]


def test_only_skipped_models(newest, dify_models):
    result = dify_models(newest, [model(type="image")], workspace=None)
    assert not result.failed and not result.changed and result["plan"] == []


# --- states --------------------------------------------------------------------------------------------------------


def test_present_with_defaults_leaves_what_people_set(dify, dify_models):
    declared = model(state="present_with_defaults", api_key="a-key-of-ours")
    assert dify_models(dify, [declared])["plan"] == ["+ register llm my-llm"]
    stored(dify).shown.update(max_retries="9", server_url=OTHER)
    stored(dify).enabled = False
    if dify.profile.named:
        stored(dify).credentials.append(Credential("API KEY 1", {}))
    for check in (True, False):
        result = dify_models(
            dify, [{**declared, "enabled": True}], check=check, clean_credentials=True, update_secret="always"
        )
        assert not result.failed and not result.changed and changing(dify) == []
    assert stored(dify).shown["max_retries"] == "9"


def test_present_with_defaults_brings_a_model_back_as_it_was(named, dify_models):
    item = add(named, "my-llm", "API KEY 1", max_retries="9")
    item.listed, item.active, item.shown = False, None, {}
    result = dify_models(named, [model(state="present_with_defaults")])
    assert not result.failed, result["msg"]
    assert item.listed and item.shown["max_retries"] == "9" and len(item.credentials) == 1
    assert not dify_models(named, [model(state="present_with_defaults")]).changed


def test_ignored(dify, dify_models):
    ignored = {"name": "my-llm", "type": "llm", "state": "ignored"}
    result = dify_models(dify, [ignored], prune=True)
    assert not result.changed and result["models"][0]["state"] == "absent"
    dify_models(dify, [model()])
    result = dify_models(dify, [ignored], prune=True, prune_server_urls=[XINFERENCE])
    assert not result.changed and result["models"][0]["state"] == "active"


def test_ignored_models_are_not_read(dify, dify_models):
    dify.faults = [Fault("status", "GET", "/models/credentials$", times=99)]
    result = dify_models(dify, [{"name": f"m{n}", "type": "llm", "state": "ignored"} for n in range(9)], prune=True)
    assert not result.failed and len(dify.log) == 4


@pytest.mark.parametrize("kept", ["removed by a run", "removed by a person"])
def test_a_model_that_was_removed_while_disabled_comes_back_enabled(dify, dify_models, kept):
    dify_models(dify, [model(enabled=False)])
    dify_models(dify, [{"name": "my-llm", "type": "llm", "state": "absent"}])
    if kept == "removed by a person" and dify.profile.named:
        stored(dify).credentials.append(Credential("modelops.inference", {"server_url": XINFERENCE}))
    result = dify_models(dify, [model()])
    assert not result.failed, result["msg"]
    assert result["models"][0]["state"] == "active" and stored(dify).enabled
    assert "warnings" not in result
    assert not dify_models(dify, [model()]).changed
    dify_models(dify, [{"name": "my-llm", "type": "llm", "state": "absent"}])
    assert dify_models(dify, [model(enabled=False)])["models"][0]["state"] == "disabled"


# --- what Dify cannot read, or does not list -------------------------------------------------------------------------


def fail_to_read(server, name):
    answer = server.app.answer

    def failing(request):
        broken = request.verb == "GET" and request.query.get("model") == name
        return Reply(500, {"code": "unknown", "message": "Internal Server Error"}) if broken else answer(request)

    server.app.answer = failing


@pytest.mark.parametrize("check", [True, False])
def test_one_model_that_cannot_be_read(dify, dify_models, check):
    declared = [model(), model(name="broken", model_uid="qwen2-vl"), EMBEDDING]
    dify_models(dify, declared[1:2])
    fail_to_read(dify, "broken")
    result = dify_models(dify, declared, check=check)
    assert result.failed and "1 of 3 models failed" in result["msg"] and "read llm broken" in result["msg"]
    assert result["plan"] == ["+ register llm my-llm", "+ register text-embedding bge-m3"]
    assert [row["action"] for row in result["models"]] == ["register", "unknown", "register"]
    assert [row["state"] for row in result["models"]] == ["absent" if check else "active", "active"] + [
        "absent" if check else "active"
    ]
    assert "Internal Server Error" in result["models"][1]["error"]
    assert len(dify.workspace.listed()) == (1 if check else 3)


def test_prune_takes_nothing_where_a_model_cannot_be_read(named, dify_models):
    dify_models(named, [model(), EMBEDDING, model(name="broken", model_uid="qwen2-vl")])
    fail_to_read(named, "broken")
    result = dify_models(named, [model()], prune=True)
    assert result.failed and result["plan"] == []
    assert [(row["name"], row["action"]) for row in result["models"]] == [
        ("my-llm", "none"),
        ("bge-m3", "none"),
        ("broken", "unknown"),
    ]
    assert result["models"][1]["why"] == "not pruned: llm broken failed"
    assert stored(named, "broken").listed and stored(named, "bge-m3", "text-embedding").listed


PLUGINS = [version for version in PROFILES_IN_ORDER if PROFILES[version].plugins]


@pytest.mark.parametrize("version", PLUGINS)
def test_a_list_that_is_too_short_after_a_restart_is_read_again(dify_models, monkeypatch, version):
    pauses = []
    time = SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pauses.append)
    monkeypatch.setattr(session, "time", time)
    with DifyServer(version) as server:
        dify_models(server, [model(), EMBEDDING])
        for check, declared in ((True, model()), (False, model()), (False, model(max_retries=9))):
            server.faults = [Fault("unlisted", "GET", "/models$", times=4)]
            pauses.clear()
            result = dify_models(server, [declared, EMBEDDING], check=check, daemon_timeout=60)
            assert not result.failed, result["msg"]
            assert result.changed == (declared != model()) and "warnings" not in result
            assert [row["state"] for row in result["models"]] == ["active", "active"]
            assert pauses == [1, 2, 4]
        server.faults = [Fault("unlisted", "GET", "/models$", times=99)]
        check = dify_models(server, [declared], check=True)
        assert not check.failed and not check.changed and "does not list it" in str(check["warnings"])
        assert check["models"][0]["state"] == "unknown"
        result = dify_models(server, [declared])
        assert result.failed and "does not list it" in result["msg"] and "daemon_timeout (0 s)" in result["msg"]


def test_enabled(dify, dify_models):
    dify_models(dify, [model()])
    for wanted, plan in ((False, "(enabled True -> False)"), (True, "(enabled False -> True)")):
        for check in (True, False):
            result = dify_models(dify, [model(enabled=wanted)], check=check)
            assert result["plan"] == [f"~ update llm my-llm {plan}"]
        assert result["models"][0]["state"] == ("active" if wanted else "disabled")
        assert changing(dify) == [("PATCH", "enable" if wanted else "disable")]
        assert "warnings" not in result
        assert not dify_models(dify, [model(enabled=wanted)]).changed
        assert not dify_models(dify, [model()]).changed


def test_registered_disabled(dify, dify_models):
    result = dify_models(dify, [model(enabled=False), EMBEDDING])
    assert not result.failed, result["msg"]
    assert [row["state"] for row in result["models"]] == ["disabled", "active"]
    assert not dify_models(dify, [model(enabled=False), EMBEDDING]).changed
    both = dify_models(dify, [model(enabled=True, max_retries=8)])
    assert both["plan"] == ["~ update llm my-llm (max_retries 3 -> 8, enabled False -> True)"]
    assert both["models"][0]["state"] == "active" and stored(dify).shown["max_retries"] == "8"


# --- what Dify offers then ------------------------------------------------------------------------------------------


def asked_for(server):
    """The model types whose active models were asked for."""
    return [path.rsplit("/", 1)[1] for verb, path, body in server.log if "/models/model-types/" in path]


def test_dify_is_asked_for_the_active_models_of_changed_types(dify, dify_models):
    """Once a type, and only where something was registered, updated or enabled."""
    three = [model(), model(name="vl", model_uid="qwen2-vl"), EMBEDDING]
    expected = (
        ({"check": True}, three, []),
        ({}, three, ["llm", "text-embedding"]),
        ({}, three, []),
        ({}, [model(max_retries=9), *three[1:]], ["llm"]),
        ({}, [model(max_retries=9, enabled=False), *three[1:]], []),
        ({}, [model(max_retries=9, enabled=True), *three[1:]], ["llm"]),
        ({}, [{**EMBEDDING, "state": "absent"}], []),
    )
    for options, declared, types in expected:
        result = dify_models(dify, declared, **options)
        assert not result.failed, result["msg"]
        assert asked_for(dify) == types
        if result.changed and not options:
            # Login, workspace and list twice but for the login, one for each model, one to read each changed one back.
            writes = len(changing(dify))
            changes = len(result["plan"])
            assert len(dify.log) == 6 + len(declared) + writes + changes + len(types)


def test_a_model_that_dify_does_not_offer(dify, dify_models):
    dify.faults = [Fault("inactive", "POST", r"/models(/credentials)?$", message="credential-removed")]
    result = dify_models(dify, [model(), EMBEDDING])
    assert result.failed and result.changed
    assert "1 of 2" in result["msg"]
    assert result["plan"] == ["+ register llm my-llm", "+ register text-embedding bge-m3"]
    error = result["models"][0]["error"]
    for words in (dify.url, "llm my-llm", "as credential-removed", "does not offer it", "Model Provider", "container"):
        assert words in error
    assert [row["state"] for row in result["models"]] == ["credential-removed", "active"]
    assert "error" not in result["models"][1]
    again = dify_models(dify, [model(), EMBEDDING])
    assert not again.failed and not again.changed and "credential-removed" in str(again["warnings"])


def test_a_model_that_people_disabled_is_not_to_be_offered(dify, dify_models):
    dify_models(dify, [model()])
    stored(dify).enabled = False
    result = dify_models(dify, [model(max_retries=9)])
    assert not result.failed and result.changed and asked_for(dify) == []
    assert result["models"][0]["state"] == "disabled"


def test_a_model_that_stays_disabled_though_it_is_enabled(dify, dify_models):
    dify_models(dify, [model(enabled=False)])
    answer = dify.app.answer
    dify.app.answer = lambda request: Reply(body={"result": "success"}) if request.verb == "PATCH" else answer(request)
    result = dify_models(dify, [model(enabled=True)])
    assert result.failed and "has it as disabled" in result["msg"]


@pytest.mark.parametrize("listed", ["nobody", "somebody/xinference/xinference"])
def test_a_model_that_is_offered_by_another_provider_alone(dify, dify_models, listed):
    offering(dify, listed, "active")
    result = dify_models(dify, [model()])
    assert result.failed and "under another provider" in result["msg"]


@pytest.mark.parametrize("status", ["ready", None])
def test_a_status_that_nobody_knows_yet(dify, dify_models, status):
    offering(dify, dify.profile.provider, status)
    result = dify_models(dify, [model()])
    assert not result.failed and "warnings" not in result
    assert result["models"][0]["state"] == (status or "unknown")


def offering(server, provider, status):
    """Lists name another provider or status than they do."""
    answer = server.app.answer

    def changed(request):
        reply = answer(request)
        items = (reply.body or {}).get("data") or [] if request.verb == "GET" else []
        if "/models/model-types/" in request.path:
            items = [dict(item, provider=provider) for item in items]
            reply.body["data"] = items
            items = [entry for item in items for entry in item["models"]]
        for item in items:
            item["status"] = status
        return reply

    server.app.answer = changed


def test_the_provider_by_its_short_name(dify, dify_models):
    result = dify_models(dify, [model()], provider="xinference")
    assert not result.failed, result["msg"]
    assert asked_for(dify) == ["llm"]


# --- load balancing, where it is licensed -----------------------------------------------------------------------------

UNNAMED = [version for version in PROFILES_IN_ORDER if not PROFILES[version].named]


@pytest.fixture(params=UNNAMED)
def unnamed(request):
    with DifyServer(request.param) as server:
        yield server


def balance(server, *credentials, **item):
    """A model whose load somebody has balanced among itself and another server."""
    found = stored(server)
    other = {**found.shown, "server_url": OTHER, "api_key": "sk-of-the-other-server"}
    found.balanced = True
    found.balancing = [
        {"id": "id-1", "name": "__inherit__", "enabled": True, "values": {}},
        {"id": "id-2", "name": "other", "enabled": False, "values": other, **item},
    ]
    return found, copy.deepcopy(found.balancing)


def test_an_update_leaves_load_balancing_on(unnamed, dify_models):
    """Dify stores credentials only in a request that switches it off."""
    dify_models(unnamed, [model()])
    item, before = balance(unnamed)
    result = dify_models(unnamed, [model(max_retries=9)])
    assert not result.failed, result["msg"]
    assert item.shown["max_retries"] == "9"
    assert item.balanced and item.balancing == before
    off, on = unnamed.sent("POST", "/models")
    assert off["load_balancing"] == {"enabled": False, "configs": []} and "credentials" not in on
    assert "sk-" not in json.dumps(on)
    assert not dify_models(unnamed, [model(max_retries=9)]).changed


def test_load_balancing_survives_a_refused_update(unnamed, dify_models):
    dify_models(unnamed, [model()])
    item, before = balance(unnamed)
    result = dify_models(unnamed, [model(model_uid="nosuch")])
    assert result.failed and not result.changed and result["plan"] == []
    assert "does not serve" in result["msg"]
    assert item.balanced and item.balancing == before


def test_load_balancing_that_cannot_be_switched_on_again(unnamed, dify_models):
    dify_models(unnamed, [model()])
    balance(unnamed)
    answer = unnamed.app.answer

    def refused(request):
        on = request.verb == "POST" and (request.json.get("load_balancing") or {}).get("enabled")
        return Reply(500, {"code": "unknown", "message": "no"}) if on else answer(request)

    unnamed.app.answer = refused
    result = dify_models(unnamed, [model(max_retries=9)])
    assert result.failed and result.changed
    assert "load balancing off" in result["msg"] and "Model Provider" in result["msg"]


def test_load_balancing_that_is_off_stays_off(unnamed, dify_models):
    dify_models(unnamed, [model()])
    item, before = balance(unnamed)
    item.balanced = False
    assert dify_models(unnamed, [model(max_retries=9)]).changed
    assert not item.balanced and item.balancing == before
    assert len(changing(unnamed)) == 1


def test_named_credentials_leave_load_balancing_alone(named, dify_models):
    add(named, "my-llm", "API KEY 1", "API KEY 2", "API KEY 3")
    used = stored(named).credentials[1]
    item, before = balance(named, credential_id=used.id)
    result = dify_models(named, [model(max_retries=9, enabled=True)], clean_credentials=True)
    assert not result.failed, result["msg"]
    assert item.balanced and item.balancing == before
    # A credential takes its part of the load with it.
    assert [c.name for c in item.credentials] == ["API KEY 1", "API KEY 2"]
    assert not any("load_balancing" in (body or {}) for verb, path, body in named.log)
    assert not dify_models(named, [model(max_retries=9)], clean_credentials=True).changed


# --- the context length --------------------------------------------------------------------------------------------


def test_a_context_length_of_an_earlier_launch_is_refreshed(dify, dify_models):
    dify.backend.cache_seconds = 0
    dify_models(dify, [model()])
    assert not dify_models(dify, [model(context_length=32768)]).changed
    dify.backend.upstreams[XINFERENCE].models["qwen2.5-instruct"].extras["context_length"] = 8192
    for check in (True, False):
        result = dify_models(dify, [model(context_length=8192)], check=check)
        assert result["plan"] == ["~ update llm my-llm (context_length 32768 -> 8192)"]
    assert stored(dify).shown["context_length"] == 8192
    assert "warnings" not in result
    assert not dify_models(dify, [model(context_length=8192)]).changed


def test_a_context_length_that_the_plugin_remembers(dify, dify_models):
    dify_models(dify, [model()])
    relaunched = Served("LLM", ("chat",), {"context_length": 8192})
    dify.backend.upstreams[XINFERENCE].models["qwen2.5-instruct"] = relaunched
    result = dify_models(dify, [model(context_length=8192)])
    assert not result.failed and len(changing(dify)) == 1
    assert "five minutes" in str(result["warnings"]) and "32768 instead of 8192" in str(result["warnings"])
    dify.backend.cache_seconds = 0
    assert dify_models(dify, [model(context_length=8192)]).changed
    assert not dify_models(dify, [model(context_length=8192)]).changed


def test_a_context_length_of_another_type_does_not_count(dify, dify_models):
    dify_models(dify, [EMBEDDING])
    assert not dify_models(dify, [{**EMBEDDING, "context_length": 512}]).changed


# --- credentials ---------------------------------------------------------------------------------------------------


def test_cleaning(named, dify_models):
    item = add(named, "my-llm", "API KEY 1", "API KEY 2", "modelops.inference")
    keeps = item.credentials[0]
    assert not dify_models(named, [model()]).changed
    check = dify_models(named, [model()], check=True, clean_credentials=True)
    assert check.changed and "API KEY 2" in check["plan"][0] and "'modelops.inference'" in check["plan"][0]
    result = dify_models(named, [model()], clean_credentials=True)
    assert result["plan"] == check["plan"]
    assert changing(named) == [("DELETE", "credentials")] * 2
    assert item.credentials == [keeps] and item.listed and item.active == keeps.id
    assert not dify_models(named, [model()], clean_credentials=True).changed


def test_cleaning_a_model_that_lost_its_active_credential(named, dify_models):
    """1.8 to 1.12 list it still, 1.16 does not: in both one credential is made active before the others go."""
    item = add(named, "my-llm", "dead", "API KEY 2", "API KEY 3", max_retries="1")
    item.credentials.pop(0)
    item.active = None
    if not named.profile.zombies:
        item.listed, item.shown = False, {}
    result = dify_models(named, [model()], clean_credentials=True)
    assert not result.failed, result["msg"]
    assert len(item.credentials) == 1 and item.active == item.credentials[0].id and item.listed
    assert item.shown["max_retries"] == "3"
    assert not dify_models(named, [model()], clean_credentials=True).changed


@pytest.mark.parametrize("ours", ["modelops.inference", None])
def test_the_plan_names_what_goes_with_a_registration(named, dify_models, ours):
    """A removed model left credentials: one is taken up, or one added, and with clean_credentials the others go."""
    item = add(named, "my-llm", *filter(None, (ours, "API KEY 2")), server_url=OTHER)
    item.listed, item.active, item.shown = False, None, {}
    check = dify_models(named, [model()], check=True, clean_credentials=True)
    taken = "with its credential 'modelops.inference', " if ours else ""
    assert check["plan"] == [f"+ register llm my-llm ({taken}without its other credentials 'API KEY 2')"]
    kept = dify_models(named, [model(state="present_with_defaults")], check=True, clean_credentials=True)
    assert "without" not in kept["plan"][0]
    result = dify_models(named, [model()], clean_credentials=True)
    assert not result.failed, result["msg"]
    assert result["plan"] == check["plan"]
    assert [c.name for c in item.credentials] == ["modelops.inference"]
    assert not dify_models(named, [model()], clean_credentials=True).changed


def test_update_and_cleaning_in_one_run(named, dify_models):
    item = add(named, "my-llm", "API KEY 1", "API KEY 2")
    result = dify_models(named, [model(max_retries=9)], clean_credentials=True)
    assert changing(named) == [("PUT", "credentials"), ("DELETE", "credentials")]
    assert result["plan"] == [
        "~ update llm my-llm (without its other credentials 'API KEY 2', max_retries 3 -> 9)",
    ]
    assert len(item.credentials) == 1 and item.shown["max_retries"] == "9"


def test_no_zombie_stays_behind_a_removal(named, dify_models):
    add(named, "my-llm", "API KEY 1", "modelops.inference", "x")
    seen = []
    answer = named.app.answer

    def watched(request):
        reply = answer(request)
        item = named.workspace.models["my-llm", "llm"]
        seen.append(item.listed and item.active is None)
        return reply

    named.app.answer = watched
    assert dify_models(named, [{"name": "my-llm", "type": "llm", "state": "absent"}]).changed
    assert not any(seen)
    assert not stored(named).listed and not stored(named).credentials


def test_a_new_key_without_a_gap(dify, dify_models):
    """Both keys work for a while in Xinference; Dify has one of them at every moment."""
    upstream = dify.backend.upstreams[LOCKED_XINFERENCE]
    dify_models(dify, [model(server_url=LOCKED_XINFERENCE, api_key=KEY)])
    credentials = [(c.id, c.name) for c in stored(dify).credentials]
    upstream.key = "a-new-key-for-xinference"
    usable = []
    answer = dify.app.answer

    def watched(request):
        reply = answer(request)
        item = stored(dify)
        usable.append(item.listed and item.shown.get("api_key") in (KEY, upstream.key))
        return reply

    dify.app.answer = watched
    result = dify_models(dify, [model(server_url=LOCKED_XINFERENCE, api_key=upstream.key)])
    assert result.changed and not result.failed and all(usable)
    assert len(changing(dify)) == 1
    assert stored(dify).shown["api_key"] == upstream.key
    assert [(c.id, c.name) for c in stored(dify).credentials] == credentials


@pytest.mark.parametrize("what", ["removed", "activated"])
def test_another_run_is_faster_with_a_credential(named, dify_models, what):
    item = add(named, "my-llm", "API KEY 1")
    if what == "activated":
        item.listed, item.active, item.shown = False, None, {}
    answer = named.app.answer

    def overtaken(request):
        if what == "removed" and request.verb == "PUT" and item.credentials:
            item.credentials.clear()
            item.listed, item.active, item.shown = False, None, {}
        if what == "activated" and request.path.endswith("/switch"):
            item.listed, item.active, item.shown = True, item.credentials[0].id, item.credentials[0].values
        return answer(request)

    named.app.answer = overtaken
    result = dify_models(named, [model(max_retries=9)])
    assert not result.failed, result["msg"]
    assert item.listed and item.shown["max_retries"] == "9" and len(item.credentials) == 1


@pytest.mark.parametrize(("stored_retries", "sent"), [("3", 1), ("7", 2), (None, 1)])
def test_a_500_of_dify_may_be_another_run_that_was_faster(dify, dify_models, stored_retries, sent):
    """Dify's database takes a model once; the loser of two runs gets a 500 without a word."""
    answer = dify.app.answer
    writes = []

    def overtaken(request):
        if request.verb == "GET" or not re.search("/models(/credentials)?$", request.path):
            return answer(request)
        writes.append(request.verb)
        if len(writes) > 1:
            return answer(request)
        if stored_retries:
            request.json["credentials"]["max_retries"] = stored_retries
            answer(request)
        return dify.app.internal_error().reply

    dify.app.answer = overtaken
    result = dify_models(dify, [model()])
    assert len(writes) == sent
    if stored_retries is None:
        assert result.failed and "register llm my-llm: Internal Server Error" in result["msg"]
        return
    assert not result.failed, result["msg"]
    assert stored(dify).shown["max_retries"] == "3" and len(stored(dify).credentials) <= 1
    dify.app.answer = answer
    assert not dify_models(dify, [model()]).changed


# --- pruning -------------------------------------------------------------------------------------------------------


def test_prune_takes_only_what_is_ours(named, dify_models):
    dify_models(named, [model(), EMBEDDING, model(name="old", model_uid="qwen2-vl")])
    add(named, "of-a-person", "API KEY 1")
    add(named, "shared", "modelops.inference", "API KEY 1")
    add(named, "other-site", "other.site")
    check = dify_models(named, [model()], prune=True, check=True)
    assert check["plan"] == ["- remove llm old", "- remove text-embedding bge-m3"]
    result = dify_models(named, [model()], prune=True)
    assert not result.failed, result["msg"]
    assert result["plan"] == check["plan"]
    assert [(row["name"], row["action"], row["state"]) for row in result["models"]] == [
        ("my-llm", "none", "active"),
        ("old", "remove", "absent"),
        ("bge-m3", "remove", "absent"),
    ]
    listed = {item.name for item in named.workspace.listed()}
    assert listed == {"my-llm", "of-a-person", "shared", "other-site"}
    assert not dify_models(named, [model()], prune=True).changed
    again = dify_models(named, [model()], prune=True, prune_prefix="other.site")
    assert again["plan"] == ["- remove llm other-site"]


@pytest.mark.parametrize("urls", [[], [f"{OTHER}/"]])
def test_prune_names_what_an_upgrade_of_dify_renamed(named, dify_models, urls):
    add(named, "old", "API_KEY1", server_url=OTHER if urls else XINFERENCE)
    add(named, "elsewhere", "API_KEY1", server_url="http://10.9.9.9:9997")
    result = dify_models(named, [model()], prune=True, prune_server_urls=urls)
    assert not result.failed and result["plan"] == ["+ register llm my-llm"]
    assert len(result["warnings"]) == 1
    warning = str(result["warnings"])
    assert "Not pruned" in warning and "llm old" in warning and "elsewhere" not in warning and "1.8" in warning
    ignored = {"name": "old", "type": "llm", "state": "ignored"}
    assert "warnings" not in dify_models(named, [model(), ignored], prune=True, prune_server_urls=urls)


@pytest.mark.parametrize("prefix", ["", " "])
def test_prune_of_everybody_is_refused(newest, dify_models, prefix):
    result = dify_models(newest, [model()], prune=True, prune_prefix=prefix)
    assert result.failed and "prune_prefix is empty" in result["msg"] and newest.log == []


def test_prune_by_server_url(dify_models):
    with DifyServer("1.7.2") as server:
        server.backend.upstreams[OTHER] = Upstream(server.backend.upstreams[XINFERENCE].models)
        dify_models(server, [model(), EMBEDDING, model(name="elsewhere", server_url=OTHER)])
        result = dify_models(server, [model()], prune=True)
        assert result["plan"] == ["- remove text-embedding bge-m3"]
        assert not dify_models(server, [model()], prune=True).changed
        result = dify_models(server, [model()], prune=True, prune_server_urls=[f"{OTHER}/"])
        assert result["plan"] == ["- remove llm elsewhere"]
        assert dify_models(server, [], prune=True, prune_server_urls=[XINFERENCE])["plan"] == ["- remove llm my-llm"]


def test_prune_takes_nothing_where_the_server_url_is_hidden(dify_models):
    with DifyServer("0.15.3") as server:
        dify_models(server, [model(), EMBEDDING])
        result = dify_models(server, [model()], prune=True, prune_server_urls=[XINFERENCE])
        assert not result.failed and not result.changed
        assert "hides" in str(result["warnings"]) and "text-embedding bge-m3" in str(result["warnings"])


def test_without_prune_nothing_goes(dify, dify_models):
    dify_models(dify, [model(), EMBEDDING])
    assert not dify_models(dify, [model()]).changed
    assert sum(dify.counts.values()) == 5


RENAMED = {"name": "chat", "model_uid": model()["model_uid"]}


@pytest.fixture(params=["0.15.3", *NAMED])
def pruned(request, dify_models):
    """Runs dify_models with prune at a Dify that has what an earlier run registered, where it tells whose that is."""
    with DifyServer("1.7.2" if request.param == "0.15.3" else request.param) as server:
        dify_models(server, [model(), EMBEDDING])
        server.backend.cache_seconds = 0  # as five minutes later

        def run(*models, **options):
            return dify_models(server, list(models), prune=True, prune_server_urls=[XINFERENCE], **options)

        run.server = server
        yield run


def test_prune_takes_the_old_name_after_the_new_one_is_there(pruned):
    check = pruned(model(**RENAMED), EMBEDDING, check=True)
    assert check["plan"] == ["+ register llm chat", "- remove llm my-llm"] and "warnings" not in check
    pruned.server.log.clear()
    result = pruned(model(**RENAMED), EMBEDDING)
    assert not result.failed, result["msg"]
    assert result["plan"] == check["plan"] and "warnings" not in result
    verbs = [verb for verb, path, _body in pruned.server.log if "/models" in path and verb in ("POST", "DELETE")]
    assert verbs[0] == "POST" and set(verbs[1:]) == {"DELETE"}
    assert {item.name for item in pruned.server.workspace.listed()} == {"chat", "bge-m3"}
    assert not pruned(model(**RENAMED), EMBEDDING).changed


@pytest.mark.parametrize(
    ("declared", "reason", "plan"),
    [
        # Xinference is down at the address that the inventory names.
        ([model(name="chat", server_url=OTHER)], "llm chat failed", []),
        # One of many failed: nothing goes, whatever it is.
        (
            [model(**RENAMED), model(name="late", model_uid="nosuch")],
            "llm late failed",
            ["+ register llm chat"],
        ),
        # The role's own proof failed, or Xinference does not serve the model.
        ([{"name": "chat", "type": "llm", "state": "pending"}], "llm chat cannot be registered yet", []),
    ],
)
def test_prune_leaves_the_old_names_while_a_model_is_missing(pruned, declared, reason, plan):
    result = pruned(*declared)
    assert {"my-llm", "bge-m3"} <= {item.name for item in pruned.server.workspace.listed()}
    assert result["plan"] == plan and result.changed == bool(plan)
    kept = {row["name"]: row for row in result["models"] if "why" in row}
    assert set(kept) == {"my-llm", "bge-m3"}
    for row in kept.values():
        assert (row["action"], row["state"], row["why"]) == ("none", "active", f"not pruned: {reason}")
    warning = str(result["warnings"])
    assert f"Not pruned: llm my-llm, text-embedding bge-m3. {reason}." in warning and "run this again" in warning
    if declared[0].get("state") == "pending":
        assert not result.failed and pruned(*declared, check=True)["plan"] == []


def test_prune_leaves_the_old_name_while_the_new_one_is_disabled(pruned, dify_models):
    dify_models(pruned.server, [model(**RENAMED, enabled=False)])
    for check in (True, False):
        result = pruned(model(**RENAMED), check=check)
        assert not result.failed and result["plan"] == ["- remove text-embedding bge-m3"]
        assert result["models"][1]["why"] == (
            "not pruned: llm chat with the same model UID 'qwen2.5-instruct' is not active"
        )
    assert {item.name for item in pruned.server.workspace.listed()} == {"my-llm", "chat"}
    # Disabled by the inventory nobody waits for it.
    assert pruned(model(**RENAMED, enabled=False))["plan"] == ["- remove llm my-llm"]


# --- two runs at the same time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["checked in time", "checked too early"])
@pytest.mark.parametrize("version", PROFILES_IN_ORDER)
def test_two_runs_end_with_one_credential(version, names, tmp_path):
    """Both read that there is no model before either registers it.

    Dify looks whether a credential's name is free, tries the model, and stores it; nothing keeps the name in between.
    """
    both_have_read = threading.Barrier(2, timeout=60)
    with DifyServer(version) as server:
        if names == "checked too early":
            server.app._need_free_name = lambda *args: None
        waiting = iter([both_have_read] * 2)
        send = server._send

        def send_together(http, reply, fault):
            if http.command == "GET" and "/models/credentials" in http.path:
                barrier = next(waiting, None)
                if barrier:
                    barrier.wait()
            send(http, reply, fault)

        server._send = send_together
        params = {"url": server.url, "email": EMAIL, "password": PASSWORD, "allow_loopback": True, "models": [model()]}
        args = json.dumps({"ANSIBLE_MODULE_ARGS": {**params, "_ansible_remote_tmp": str(tmp_path)}})
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        runs = [
            subprocess.Popen([sys.executable, "-c", RUN, args], stdout=subprocess.PIPE, env=environment)
            for _number in range(2)
        ]
        results = [json.loads(run.communicate(timeout=120)[0].splitlines()[-1]) for run in runs]
        for result in results:
            assert not result.get("failed"), result["msg"]
            assert result["changed"] and result["models"][0]["state"] == "active"
        item = stored(server)
        assert item.listed and item.shown["max_retries"] == "3"
        assert [c.name for c in item.credentials] == ["modelops.inference"] * server.profile.named
        if server.profile.named:
            assert item.active == item.credentials[0].id
            assert {result["models"][0]["credential_id"] for result in results} == {item.active}
