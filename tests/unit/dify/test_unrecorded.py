# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dify_models with releases between the recorded ones, which combine their ways: a model's whole life."""

from __future__ import annotations

import pytest
from dify_examples import EMBEDDING, XINFERENCE, model
from servers.dify import UNRECORDED, Credential, DifyServer, Fault
from servers.dify.server import EMAIL

NAMED = [version for version, profile in UNRECORDED.items() if profile.named]


@pytest.fixture(params=list(UNRECORDED))
def between(request):
    with DifyServer(request.param) as server:
        yield server


def test_the_life_of_a_model(between, dify_models, tmp_path):
    other = between.state.add_workspace("Research", admin="owner")
    home = between.state.accounts[EMAIL].current
    options = {"workspace": "Research", "session_file": str(tmp_path / "session")}
    steps = [
        ([model(), EMBEDDING], ["+ register llm my-llm", "+ register text-embedding bge-m3"]),
        ([model(max_retries=9), EMBEDDING], ["~ update llm my-llm (max_retries 3 -> 9)"]),
        ([model(max_retries=9, enabled=False)], ["~ update llm my-llm (enabled True -> False)"]),
        ([model(max_retries=9, enabled=True)], ["~ update llm my-llm (enabled False -> True)"]),
        ([{"name": "my-llm", "type": "llm", "state": "absent"}], ["- remove llm my-llm"]),
    ]
    for models, plan in steps:
        for expected in (plan, []):
            result = dify_models(between, models, **options)
            assert not result.failed, result["msg"]
            assert result["plan"] == expected and result.changed == bool(expected)
    assert result["version"] == between.profile.version
    assert list(other.models) and other.listed()[0].name == "bge-m3" and len(other.listed()) == 1
    assert not other.models["my-llm", "llm"].credentials
    assert between.state.accounts[EMAIL].current == home and not between.workspace.models
    assert between.state.accounts[EMAIL].failures == 0


def test_lost_answers_and_an_expiry(between, dify_models):
    between.faults = [
        Fault("expired", "GET", "/models$"),
        Fault("reset_after", "POST", r"/models(/credentials)?$"),
        Fault("reset_after", "PUT"),
        Fault("reset_after", "DELETE", "/models$"),
    ]
    for wanted in (model(), model(max_retries=9)):
        result = dify_models(between, [wanted])
        assert not result.failed, result["msg"]
        assert len(between.workspace.models["my-llm", "llm"].credentials) == int(between.profile.named)
    assert dify_models(between, [model(state="absent")]).changed
    assert between.workspace.listed() == []


@pytest.mark.parametrize("between", NAMED, indirect=True)
def test_a_model_that_lost_its_active_credential(between, dify_models):
    dify_models(between, [model()])
    item = between.workspace.models["my-llm", "llm"]
    item.credentials = [Credential("other", {**item.shown, "max_retries": "1"})]
    item.active = None
    assert not dify_models(between, [model()]).failed
    assert len(item.credentials) == 1 and item.shown["max_retries"] == "3"
    assert not dify_models(between, [model()]).changed


def test_admin_key(between, dify_models):
    between.state.admin_key = "adminkey-123"
    options = dict(email=None, password=None, admin_key="adminkey-123", workspace=between.workspace.id)
    result = dify_models(between, [model()], **options)
    if between.profile.admin_key == "csrf":
        assert result.failed and "1.9.2 to 1.10" in result["msg"]
    else:
        assert result.changed and not dify_models(between, [model()], **options).changed


def test_errors(between, dify_models):
    result = dify_models(between, [model(model_uid="bge-m3")])
    silent = between.profile.plugin_exceptions == "500"
    assert ("docker compose logs" if silent else "with another type than llm") in result["msg"]
    result = dify_models(between, [model()], password="Wrong1234567")
    assert "password is wrong" in result["msg"] and between.state.accounts[EMAIL].failures == 1


def test_prune(between, dify_models):
    dify_models(between, [model(), EMBEDDING])
    result = dify_models(between, [model()], prune=True, prune_server_urls=[XINFERENCE])
    assert result["plan"] == ([] if between.profile.secret_url else ["- remove text-embedding bge-m3"])
