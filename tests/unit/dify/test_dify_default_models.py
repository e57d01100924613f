# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dify_default_models: its plan, and the module through main() against every recorded release of Dify."""

from __future__ import annotations

import urllib.request

import pytest
from servers.dify import DifyServer, Fault, Model
from servers.dify.app import Reply
from servers.dify.server import PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils._dify.models import defaults
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.defaults import DefaultModel
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

WANTED = {"rerank": "rr", "llm": "second", "text-embedding": "bge-m3"}
ORDER = ["llm", "text-embedding", "rerank"]


@pytest.fixture
def dify(dify):
    """A Dify with two active models of each of three types, and no default."""
    fill(dify)
    return dify


def fill(server):
    for name, model_type in (
        *(("first", model_type) for model_type in ORDER),
        ("second", "llm"),
        ("bge-m3", "text-embedding"),
        ("rr", "rerank"),
    ):
        server.workspace.models[name, model_type] = Model(name, model_type, listed=True)


@pytest.fixture
def set_defaults(of_dify):
    """``set_defaults(server, {...}, check=False, **options)`` -> Result of the module."""

    def run(server, wanted, *, check=False, **options):
        return of_dify("dify_default_models", server, {"defaults": wanted, **options}, check=check)

    return run


# --- pure ----------------------------------------------------------------------------------------------------------


def test_wanted_in_the_order_of_types():
    found = defaults.declared_defaults({**WANTED, "tts": {"name": "t", "provider": "own"}}, "p")
    assert list(found) == [*ORDER, "tts"]
    assert found["tts"] == DefaultModel("own", "t") and found["llm"] == DefaultModel("p", "second")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"embedding": "x"}, "did you mean text-embedding?"),
        ({"Text_Embedding": "x"}, "did you mean text-embedding?"),
        ({"embeddings": "x"}, "did you mean text-embedding?"),
        ({"LLM": "x"}, "did you mean llm?"),
        ({"chat": "x"}, "did you mean llm?"),
        ({"reranker": "x"}, "did you mean rerank?"),
        ({"audio2text": "x"}, "did you mean speech2text?"),
        ({"image": "x"}, "The types are llm, text-embedding"),
        ({"llm": ""}, "give the model's name"),
        ({"llm": ["x"]}, "give the model's name"),
        ({"llm": {"name": "x", "providr": "y"}}, "name and provider"),
    ],
)
def test_wrong_wishes(wanted, words):
    with pytest.raises(ModelopsError) as failed:
        defaults.declared_defaults(wanted, "p")
    assert words in str(failed.value)


def test_plan():
    wanted = {"llm": DefaultModel("p", "a"), "tts": DefaultModel("p", "t"), "rerank": DefaultModel("p", "r")}
    actual = {"llm": DefaultModel("q", "a"), "tts": None}
    assert defaults.plan(wanted, actual).lines == ["~ set default llm (provider q -> p)", "+ set default tts (t)"]


# --- the module ----------------------------------------------------------------------------------------------------


@pytest.mark.each_core("dify_default_models")
def test_set_then_nothing(dify, set_defaults):
    result = set_defaults(dify, WANTED)
    assert not result.failed, result["msg"]
    assert result.changed and [row["type"] for row in result["defaults"]] == ORDER
    assert result["plan"] == [
        "~ set default llm (name first -> second)",
        "~ set default text-embedding (name first -> bge-m3)",
        "~ set default rerank (name first -> rr)",
    ]
    assert dify.workspace.defaults == {"llm": "second", "text-embedding": "bge-m3", "rerank": "rr"}
    assert [len(body["model_settings"]) for body in dify.sent("POST", "/default-model")] == [1, 1, 1]
    assert result["version"] == dify.profile.version and result["workspace"]["id"] == dify.workspace.id

    again = set_defaults(dify, WANTED)
    assert not again.failed and not again.changed and again["plan"] == []
    assert {row["action"] for row in again["defaults"]} == {"none"}
    assert sum(again["requests"].values()) == 3 + 2 * 3 == len(dify.log)
    assert dify.sent("POST", "/default-model") == []


def test_check_mode_reads_nothing_that_writes(dify, set_defaults):
    check = set_defaults(dify, WANTED, check=True)
    assert not check.failed and not check.changed and dify.workspace.defaults == {}
    assert {row["action"] for row in check["defaults"]} == {"unknown"}
    assert "llm, text-embedding, rerank were not compared" in check["not_compared"]
    assert "were not compared" in str(check["warnings"])
    # One that is yet to be registered is not the default.
    pending = [{"type": "llm", "name": "coming"}]
    check = set_defaults(dify, {**WANTED, "llm": "coming"}, pending=pending, check=True)
    assert check.changed and len(check["plan"]) == 1 and "~ set default llm (name unknown -> coming" in check["plan"][0]
    assert check["diff"]["before"]["default llm"]["name"] == "unknown"
    assert [row["action"] for row in check["defaults"]] == ["set", "unknown", "unknown"]
    assert "text-embedding, rerank were not compared" in check["not_compared"]


def test_check_mode_before_the_models_are_registered(dify, set_defaults):
    """Where a type has no active model Dify has nothing to choose, so that its default can be read."""
    dify.workspace.models.clear()
    refused = set_defaults(dify, WANTED, check=True)
    assert refused.failed and "it has none" in refused["msg"]
    pending = [{"type": model_type, "name": name} for model_type, name in WANTED.items()]
    check = set_defaults(dify, WANTED, pending=pending, check=True)
    assert check.changed and check["plan"][0] == "+ set default llm (second)"
    assert "not_compared" not in check
    assert set_defaults(dify, WANTED, pending=pending).failed


def test_model_that_is_not_active(dify, set_defaults):
    dify.workspace.models["second", "llm"].enabled = False
    for check in (True, False):
        result = set_defaults(dify, {"llm": "second"}, check=check)
        assert result.failed and not result.changed
        assert "'second'" in result["msg"] and "active are 'first' (" in result["msg"]
        assert "workspace 'admin's Workspace'" in result["msg"]
    assert dify.workspace.defaults == {}


def test_provider_by_name(dify, set_defaults):
    own = {"llm": {"name": "second", "provider": dify.profile.provider}}
    assert set_defaults(dify, own).changed
    assert not set_defaults(dify, {"llm": "second"}, provider=dify.profile.provider).changed
    result = set_defaults(dify, {"llm": {"name": "second", "provider": "other"}})
    assert result.failed and "provider other" in result["msg"]


def test_wrong_type_is_refused_before_anything_is_sent(dify, set_defaults):
    result = set_defaults(dify, {"embedding": "bge-m3"})
    assert result.failed and "did you mean text-embedding?" in result["msg"] and dify.log == []


def test_one_failure_does_not_stop_the_others(dify, set_defaults):
    dify.faults = [Fault("status", "POST", "/default-model$")]
    result = set_defaults(dify, WANTED)
    assert result.failed and result.changed and "1 of 3 defaults failed" in result["msg"]
    assert "error" in result["defaults"][0] and "error" not in result["defaults"][1]
    assert dify.workspace.defaults["rerank"] == "rr"


def test_a_model_that_is_not_there_does_not_stop_the_others(dify, set_defaults):
    wanted = {**WANTED, "llm": "nosuch"}
    check = set_defaults(dify, wanted, check=True)
    assert check.failed and [row["action"] for row in check["defaults"]] == ["none", "unknown", "unknown"]
    assert "text-embedding, rerank were not compared" in check["not_compared"]
    result = set_defaults(dify, wanted)
    assert result.failed and result.changed and "1 of 3 defaults failed" in result["msg"]
    assert "active are 'first' (" in result["defaults"][0]["error"]
    assert [row["action"] for row in result["defaults"]] == ["none", "set", "set"]
    assert dify.workspace.defaults == {"text-embedding": "bge-m3", "rerank": "rr"}
    again = set_defaults(dify, wanted)
    assert again.failed and not again.changed


def test_lost_answer_is_read_back(dify, set_defaults):
    dify.faults = [Fault("reset_after", "POST", "/default-model$")]
    result = set_defaults(dify, {"llm": "second"})
    assert not result.failed, result["msg"]
    assert result.changed and len(dify.sent("POST", "/default-model")) == 1


def test_default_that_somebody_else_sets(dify, set_defaults):
    dify.app.routes = [
        (verb, path, ignore if verb == "POST" and path.pattern.endswith("/default-model") else handler)
        for verb, path, handler in dify.app.routes
    ]
    result = set_defaults(dify, {"llm": "second"})
    assert result.failed and not result.changed and "still has 'first'" in result["msg"]


def ignore(request):
    return Reply(body={"result": "success"})


def test_plugin_daemon_is_down(dify, set_defaults):
    """Dify would answer that there is no default."""
    dify.state.daemon_up = False
    result = set_defaults(dify, WANTED)
    assert result.failed == dify.profile.plugins
    if dify.profile.plugins:
        assert "plugin_daemon" in result["msg"] and dify.sent("POST", "/default-model") == []


def test_editor(dify, set_defaults):
    dify.state.add_account("ed@example.com", PASSWORD, "editor")
    result = set_defaults(dify, WANTED, email="ed@example.com", check=True)
    assert result.failed and "owner or admin" in result["msg"]


def test_other_workspace(dify, set_defaults):
    other = dify.state.add_workspace("Research", admin="owner")
    other.models["second", "llm"] = Model("second", "llm", listed=True)
    check = set_defaults(dify, {"llm": "second"}, workspace="Research", check=True)
    assert not check.changed and "not the account's current" in check["not_compared"]
    assert check["defaults"][0]["action"] == "unknown"
    other.models["first", "llm"] = Model("first", "llm", listed=True)
    other.defaults["llm"] = "first"
    assert set_defaults(dify, {"llm": "second"}, workspace="Research").changed
    assert other.defaults == {"llm": "second"} and dify.workspace.defaults == {}


def test_the_test_server_notices_a_read_that_writes():
    with DifyServer("1.8.1", strict_check=True) as server:
        fill(server)
        server.app.who = lambda request: (None, server.workspace)
        urllib.request.urlopen(f"{server.url}/console/api/workspaces/current/default-model?model_type=llm").read()
        assert server.violations == ["GET /console/api/workspaces/current/default-model wrote a default"]
