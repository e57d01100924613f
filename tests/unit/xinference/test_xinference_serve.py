# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_serve through its main() and its action plugin, against test servers of every recorded release."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from servers.xinference import PASSWORD, SETUP_TOKEN, XinferenceServer

from ansible_collections.modelops.inference.plugins.action import xinference_serve as action
from ansible_collections.modelops.inference.plugins.plugin_utils import _progress, _slices

EMBEDDING = {"name": "e", "type": "embedding", "path": "/m/e", "definition": {"dimensions": 384, "max_tokens": 256}}


@pytest.fixture
def whole(tmp_path, llm):
    """Options of everything that a run can be asked for."""
    return {
        "keys": [{"name": "client", "path": str(tmp_path / "client_key")}],
        "users": [{"name": "viewer", "password": "viewer-pass", "permissions": ["models:list"]}],
        "definitions": [EMBEDDING],
        "models": [llm()],
        "remember": str(tmp_path / "declared.json"),
    }


@pytest.fixture
def serve(run_module):
    """``serve(server, {option: value}, check=True)`` -> result."""

    def run(server, options, *, check=False):
        given = {"endpoint": server.url, "password": PASSWORD, "definitions": [], "models": [], **options}
        server.strict_check = check
        result = run_module("xinference_serve", given, check=check)
        assert server.violations == []
        server.strict_check = False
        return result

    return run


@pytest.fixture
def play(run_module, monkeypatch):
    """``play({...})`` -> result of the action plugin, with the module run in this process; ``play.executions`` has the options."""
    monkeypatch.setattr(_slices, "LAUNCH_SLICE", 1)
    monkeypatch.setattr(_progress.display, "display", lambda line, *_args, **_kwargs: play.screen.append(line))
    monkeypatch.setattr(action.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def play(options, async_val=0):
        plugin = action.ActionModule.__new__(action.ActionModule)
        plugin._task = SimpleNamespace(
            args=options, async_val=async_val, no_log=False, get_name=lambda: "Launch the models"
        )

        def execute(module_name, module_args, task_vars):
            play.executions.append(dict(module_args))
            return dict(run_module(module_name.rsplit(".", 1)[1], module_args))

        plugin._execute_module = execute
        play.executions, play.screen = [], []
        return plugin.run(task_vars={})

    return play


PLAN = [
    "+ create user viewer",
    "+ create key client",
    "+ register embedding e",
    "+ register definition tiny",
    "+ launch tiny",
]


@pytest.mark.each_core("xinference_serve")
def test_one_run_does_everything_and_check_mode_says_it_before(serve, newest, whole, tmp_path):
    predicted = serve(newest, whole, check=True)
    assert newest.changes() == [] and not (tmp_path / "client_key").exists()
    done = serve(newest, whole)
    assert not done.failed, done["msg"]
    assert done["plan"] == predicted["plan"] == PLAN and done["diff"] == predicted["diff"]
    headers = [part["before_header"].partition(" on ")[0].partition(" of ")[0] for part in done["diff"]]
    assert headers == ["users and keys", "definitions", "models"]
    assert (done["auth"], done["claimed"], done["version"], done["pending"]) == ("database", True, "4.1.0", False)
    assert [row["action"] for row in done["definitions"]] == ["registered"]
    assert done["client_keys"] == [{"name": "client", "path": str(tmp_path / "client_key"), "state": "present"}]
    assert done["models"][0]["proof"]["ok"]
    text = json.dumps(done)
    assert PASSWORD not in text and "viewer-pass" not in text and newest.accounts.keys[0]["key"] not in text


@pytest.mark.each_core("xinference_serve")
def test_a_run_that_changes_nothing_logs_in_once(serve, newest, whole):
    serve(newest, whole)
    newest.forget()
    again = serve(newest, whole)
    assert not again.failed and not again.changed and again["plan"] == [] and again["diff"] == []
    assert newest.changes() == []
    assert [path for verb, path in newest.requests if verb == "POST"] == ["/token", "/v1/chat/completions"]
    # auth, setup, the key, version, users; status, definition, models, instances; the same of the models, and the autostart
    assert again["requests"] == {"GET": 14, "POST": 2}
    paths = [path for _verb, path in newest.requests]
    for path in ("/v1/cluster/auth", "/v1/admin/setup/status", "/v1/cluster/version", "/token"):
        assert paths.count(path) == 1, path


def test_every_release_is_served(serve, xinference, llm):
    options = {"models": [llm()]}
    if xinference.profile.auth == "database" and xinference.auth:
        options["users"] = [{"name": "viewer", "password": "viewer-pass", "permissions": []}]
    first = serve(xinference, options)
    assert not first.failed, first["msg"]
    assert not serve(xinference, options).changed


def test_without_authentication_nobody_logs_in(serve, llm):
    with XinferenceServer("4.1.0", auth=False) as server:
        assert serve(server, {"models": [llm()], "password": None}).changed
        assert ("POST", "/token") not in server.requests
        assert [path for _verb, path in server.requests].count("/v1/cluster/auth") == 1


# -- what fails ----------------------------------------------------------------------------------------------------------


def test_what_follows_a_wrong_password_is_not_begun_and_named(serve, newest, whole):
    result = serve(newest, {**whole, "password": "another-password"})
    assert result.failed and not result.changed
    assert "tried once" in result["msg"]
    assert result["msg"].endswith(
        "This was administrator, users and keys of the run. Not started because of it: definitions, models."
    )
    assert newest.changes() == [] and newest.counts["POST"] == 1


def test_what_follows_a_refused_definition_is_not_begun_and_what_was_done_is_told(serve, newest, whole):
    result = serve(newest, {**whole, "definitions": [{**EMBEDDING, "path": "/no/where"}]})
    assert result.failed and result.changed and result["plan"] == PLAN[:3]
    assert "1 of 1 definitions" in result["msg"] and result["definitions"][0]["error"]
    assert result["msg"].endswith("This was definitions of the run. Not started because of it: models.")
    assert newest.models.models == {}


def test_a_model_that_fails_leaves_the_rest_done(serve, newest, whole):
    newest.behave("tiny", error="CUDA out of memory")
    result = serve(newest, whole)
    assert result.failed and result.changed and result["plan"] == PLAN
    assert "CUDA out of memory" in result["msg"] and "Not started" not in result["msg"]
    assert [row["state"] for row in result["models"]] == ["failed"] and result["client_keys"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"users": [{"name": "a"}, {"name": "a"}]}, "'a' is declared more than once"),
        ({"definitions": [EMBEDDING, EMBEDDING]}, "'e' is declared 2 times"),
        ({"models": [{"uid": "a/b", "type": "embedding"}]}, "a/b"),
        ({"prune": True, "remember": None}, "prune needs remember"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(serve, newest, whole, options, why):
    result = serve(newest, {**whole, **options})
    assert result.failed and why in result["msg"] and newest.requests == []


def test_check_mode_does_not_claim_a_server_and_says_what_it_cannot_tell(serve, whole, warned):
    with XinferenceServer("4.1.0", claimed=False) as server:
        predicted = serve(server, whole, check=True)
        assert predicted["plan"] == ["+ claim administrator admin", *PLAN[:2]] and "models" not in predicted
        assert predicted["needs_setup"] and not predicted["pending"] and server.counts["POST"] == 0
        assert "definitions and models cannot be compared" in warned[-1]
        done = serve(server, {**whole, "setup_token": SETUP_TOKEN})
        assert done["plan"] == ["+ claim administrator admin", *PLAN]


def test_a_definition_that_check_mode_would_register_is_not_known_to_the_server(serve, newest, embedding):
    model = {key: value for key, value in embedding(name="e").items() if key != "definition"}
    result = serve(newest, {"definitions": [EMBEDDING], "models": [model]}, check=True)
    assert result.failed and "has no embedding model 'e'" in result["msg"]
    assert result["plan"] == ["+ register embedding e"]


def test_definitions_for_workers_that_came_later_need_a_cluster(serve, whole, embedding):
    workers = ("10.0.0.1:9998",)
    with XinferenceServer("4.1.0", workers=workers) as server:
        options = {**whole, "models": [], "workers": list(workers)}
        serve(server, options)
        server.models.workers.append("10.0.0.2:9998")
        told = serve(server, options)
        assert told["plan"] == ["~ register embedding e (definition.workers none -> 10.0.0.2:9998)"]
        server.models.workers.append("10.0.0.3:9998")
        assert not serve(server, {**options, "workers": [], "cluster": False}).changed


# -- the action plugin -----------------------------------------------------------------------------------------------------


@pytest.fixture
def args(newest, whole):
    return {"endpoint": newest.url, "password": PASSWORD, **whole}


def test_later_slices_resume_the_models_and_nothing_else(play, newest, args):
    newest.behave("tiny", seconds=2.5)
    result = play(args)
    assert not result["failed"] and result["changed"] and not result["pending"], result
    assert len(play.executions) > 1 and result["plan"] == PLAN and len(result["diff"]) == 3
    assert result["client_keys"] and result["definitions"][0]["action"] == "registered"
    assert play.screen[-1].startswith("  tiny  ready after ") and result["progress"] == [
        line.strip() for line in play.screen
    ]
    count = [path for _verb, path in newest.requests].count
    assert count("/v1/admin/users") == 2 and count("/v1/admin/setup/status") == 1  # read and made; asked once
    assert count("/token") == len(play.executions)


@pytest.mark.each_core("xinference_serve")
def test_a_run_that_changes_nothing_is_one_execution_and_shows_nothing(play, args):
    play(args)
    result = play(args)
    assert not result["changed"] and len(play.executions) == 1 and play.screen == []


def test_a_users_wait_is_one_execution(play, newest, args):
    newest.behave("tiny", hangs=True)
    result = play({**args, "wait": 0})
    assert result["pending"] and len(play.executions) == 1 and result["plan"] == PLAN


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"models": [{"uid": "x", "engin": "vLLM"}]}, "^model 'x': no option 'engin'; nearest: engine$"),
        ({"models": [{"uid": "x"}]}, "x: an LLM needs engine"),
        ({"definitions": [{"name": "x", "type": "embeding"}]}, "value of type must be one of"),
        ({"definitions": [EMBEDDING, EMBEDDING]}, "'e' is declared 2 times"),
        ({"keys": [{"name": "client"}]}, "'client' has neither path nor key"),
        ({"users": [{"name": "admin", "state": "absent"}]}, "does not remove itself"),
    ],
)
def test_what_is_wrong_with_a_list_is_told_before_the_host_is_touched(play, args, options, why):
    with pytest.raises(AnsibleActionFail, match=why):
        play({**args, **options})
    assert play.executions == []


def test_async_is_refused(play, args):
    with pytest.raises(AnsibleActionFail, match="xinference_serve does not support async"):
        play(args, async_val=60)
