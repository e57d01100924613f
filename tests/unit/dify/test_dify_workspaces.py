# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dify_workspaces against the test servers: all workspaces of an account with one login."""

from __future__ import annotations

import json

import pytest
from servers.dify import DifyServer
from servers.dify.server import EMAIL, PASSWORD
from servers.dify.xinference import Backend, Upstream, default_models
from servers.xinference import XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin import workspace_plugin
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.models_step import ModelsStep

CHAT = {"uid": "qwen2.5-instruct", "type": "LLM", "abilities": ["chat"], "tags": ["chat"], "state": "ready"}
EMBEDDING = {"uid": "bge-m3", "type": "embedding", "abilities": [], "tags": ["rag"], "state": "ready"}


@pytest.fixture
def cluster():
    """An Xinference that serves both and wants a key, as the option has it."""
    with XinferenceServer() as server:
        key = server.accounts.add_key("dify", 1)["key"]
        server.serve("qwen2.5-instruct", model_engine="llama.cpp")
        server.serve("bge-m3", model_type="embedding")
        about = {"cluster": "one", "url": server.url, "loopback": False, "api_key_file": "/secrets/client_key"}
        yield {**about, "api_key": key, "models": [CHAT, EMBEDDING]}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(workspace_plugin, "POLL", 0.05)


@pytest.fixture
def office(cluster):
    with DifyServer("1.16.0-rc1", backend=backend(cluster)) as server:
        server.state.add_workspace("Research", plugin=False, admin="owner")
        server.state.packages.tells_latest = True
        yield server


def backend(cluster):
    return Backend({cluster["url"]: Upstream(default_models(), key=cluster["api_key"])})


@pytest.fixture
def workspaces(of_dify, cluster):
    """``workspaces(server, check=False, task=..., **target)`` -> Result, in which nothing is a secret."""

    def run(server, *, check=False, options=None, task="register", **target):
        named = {"name": "office", "allow_loopback": True, **target}
        sources = {name: value for name, value in cluster.items() if name != "loopback"}
        given = {"targets": [named], "clusters": [sources], "complete": True, "task": task, **(options or {})}
        result = of_dify("dify_workspaces", server, given, check=check)
        for secret in (cluster["api_key"], PASSWORD):
            assert secret not in json.dumps(result)
        return result

    return run


def states(result, what):
    return {row["workspace"]: row[what].get("msg") or bool(row[what].get("skipped")) or "done" for row in result}


EVERYTHING = {
    "workspaces": ["", "Research", "nosuch"],
    "plugin": {"state": "present"},
    "defaults": {"llm": CHAT["uid"]},
}


@pytest.mark.each_core("dify_workspaces")
def test_one_login_for_all_workspaces_and_one_that_fails_keeps_none_from_being_done(office, workspaces):
    first = workspaces(office, **EVERYTHING)
    assert not first.failed and first.changed
    assert len(office.sent("POST", "/login")) == 1
    rows = first["workspaces"]
    wrong = states(rows, "plugin").pop("nosuch")
    assert "the account is in no workspace 'nosuch'" in wrong
    for what in ("plugin", "models", "defaults"):
        found = states(rows, what)
        assert [found[""], found["Research"]] == ["done", "done"]
        assert found["nosuch"] in (True, wrong)
    for space in office.state.workspaces.values():
        assert {name for name, kind in space.models} == {CHAT["uid"], EMBEDDING["uid"]}
        assert space.defaults == {"llm": CHAT["uid"]} and space.plugin is not None
    assert len(first["diff"]) == 3  # Research had no plugin; the first active model is the default already
    # In and back: once for each workspace, not for each step.
    assert len(office.sent("POST", "/switch")) == 2
    again = workspaces(office, **EVERYTHING)
    assert not again.changed and not again["plan"] and "diff" not in again


def test_check_mode_sends_no_change_and_compares_the_current_workspace_only(office, workspaces):
    result = workspaces(office, check=True, **{**EVERYTHING, "workspaces": ["", "Research"]})
    here, research = result["workspaces"]
    assert result.changed and not office.workspace.models
    assert [row["action"] for row in here["models"]["models"]] == ["register", "register"]
    assert here["defaults"]["defaults"][0]["action"] == "set"
    assert all("is not the account's current" in research[what]["not_compared"] for what in ("plugin", "models"))


def test_without_the_plugin_check_mode_asks_for_no_models(office, workspaces):
    office.workspace.plugin = None
    (row,) = workspaces(office, check=True, plugin={"state": "present"})["workspaces"]
    assert row["plugin"]["action"] == "install" and row["models"] == {"skipped": True}


def test_a_password_is_tried_once(office, workspaces):
    result = workspaces(office, options={"password": "Wrong1234567"}, **EVERYTHING)
    assert office.state.accounts[EMAIL].failures == 1
    assert all("password is wrong" in row["plugin"]["msg"] for row in result["workspaces"])
    assert all(row["models"] == row["defaults"] == {"skipped": True} for row in result["workspaces"])
    assert "Wrong1234567" not in json.dumps(result)


def test_what_xinference_does_not_serve_there_is_not_registered(office, workspaces, cluster):
    nosuch = {**CHAT, "uid": "nosuch"}
    clusters = [
        {name: value for name, value in {**cluster, "models": [nosuch, EMBEDDING]}.items() if name != "loopback"}
    ]
    result = workspaces(office, options={"clusters": clusters})
    assert {row["uid"]: row["ok"] for row in result["proofs"]} == {"nosuch": False, "bge-m3": True}
    assert "it does not run; running models: bge-m3, qwen2.5-instruct" in str(result["proofs"])
    assert list(office.workspace.models) == [("bge-m3", "text-embedding")]


@pytest.mark.parametrize(
    ("proxied", "words"),
    [
        (True, "proven from Dify's network only"),
        (False, "asked from Dify's network: http://xinference.invalid:9997: URLError"),
        (None, "prove_from, so that its command runs python3 in Dify's network"),
    ],
)
def test_asked_from_difys_own_network(cluster, workspaces, proxied, words):
    """Here its only way is a proxy, which the test Xinference plays."""
    inside = "http://xinference.invalid:9997"
    with DifyServer(
        "1.16.0-rc1", backend=Backend({inside: Upstream(default_models(), key=cluster["api_key"])})
    ) as server:
        by = {True: cluster["url"], False: "http://127.0.0.1:9"}.get(proxied)
        command = ["env", f"http_proxy={by}"] if by else ["/nosuch/program"]
        result = workspaces(server, server_url=inside, prove_from={"command": command})
        assert [row["ok"] for row in result["proofs"]] == [proxied is True] * 2
        assert words in result["proofs"][0]["why"]
        assert bool(server.workspace.models) == (proxied is True)


def test_a_login_in_an_address_is_told_nowhere(office, workspaces, cluster):
    url = cluster["url"].replace("://", "://svc:hunter2@")
    result = workspaces(office, server_url=url, prove_from={"command": ["env"]}, check=True)
    assert "hunter2" not in json.dumps(result)
    shown = url.replace("svc:hunter2", "********")
    assert f"asked from Dify's network: {shown}: it answers 401 to GET /v1/models" in result["proofs"][0]["why"]


def test_with_an_admin_key(office, workspaces):
    office.state.admin_key = "dify-admin-key-0123456789"
    spaces = [*office.state.workspaces]
    login = {"email": None, "password": None, "admin_key": office.state.admin_key}
    result = workspaces(office, options=login, workspaces=[*spaces, "Research"], plugin={"state": "present"})
    assert not office.sent("POST", "/login") and office.state.admin_key not in json.dumps(result)
    assert all(len(space.models) == 2 for space in office.state.workspaces.values())
    assert "'Research' is not an ID" in result["workspaces"][2]["plugin"]["msg"]


def test_an_error_that_nobody_expected_is_of_one_workspace(office, workspaces, monkeypatch):
    converge = ModelsStep.run

    def broken(self, dify, within):
        if dify.workspace.name == "Research":
            raise KeyError("Research")
        return converge(self, dify, within)

    monkeypatch.setattr(ModelsStep, "run", broken)
    result = workspaces(office, **{**EVERYTHING, "workspaces": ["Research", ""], "defaults": {}})
    assert "did not expect: KeyError" in states(result["workspaces"], "models")["Research"]
    assert len(office.workspace.models) == 2
    assert office.state.accounts[EMAIL].current == office.workspace.id


def test_a_target_without_the_plugin(office, workspaces):
    (row,) = workspaces(office, plugin={"state": "absent"})["workspaces"]
    assert office.workspace.plugin is None and row["models"] == {"skipped": True}


def test_the_workspaces_are_read_with_one_login(office, workspaces):
    workspaces(office, workspaces=["", "Research"], plugin={"state": "present"})
    result = workspaces(office, task="read", workspaces=["", "Research", "nosuch"])
    assert len(office.sent("POST", "/login")) == 1 and not result.changed and not result["proofs"]
    assert [row["read"]["workspace"]["name"] for row in result["workspaces"][:2]] == ["admin's Workspace", "Research"]
    assert all(len(row["read"]["models"]) == 2 for row in result["workspaces"][:2])
    assert "'nosuch'" in result["workspaces"][2]["read"]["msg"]


def test_keys_are_replaced_in_all_workspaces(office, workspaces, cluster):
    workspaces(office, workspaces=["", "Research"], plugin={"state": "present"})
    new = "sk-replaced-567890"
    office.backend.upstreams[cluster["url"]] = Upstream(default_models(), key=new)
    keys = [{"cluster": "one", "old": [cluster["api_key"][:7]], "api_key": new}]
    given = {"workspaces": ["", "nosuch", "Research"], "options": {"clusters": keys}, "task": "replace_keys"}
    result = workspaces(office, **given)
    assert new not in json.dumps(result) and len(office.sent("POST", "/login")) == 1
    for space in office.state.workspaces.values():
        assert {model.shown["api_key"] for model in space.models.values()} == {new}
    assert "'nosuch'" in result["workspaces"][1]["keys"]["msg"]
    assert "no new key" in str(workspaces(office, **{**given, "options": {"clusters": [{**keys[0], "api_key": ""}]}}))
