# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dify_key: every credential that holds an old key gets the new one, and nothing else changes."""

from __future__ import annotations

import json

import pytest
from dify_examples import EMBEDDING, model
from servers.dify import Backend, Credential, Fault
from servers.dify.xinference import Upstream, default_models

from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.rotation import (
    KeyChange,
    fields,
    holders,
    problems,
)

OLD, NEW, OTHER = "sk-old4567890123", "xf-new4567890123", "sk-oth4567890123"
KEYS = [{"cluster": "gpu01", "old": [OLD[:7]], "new": NEW}]


@pytest.fixture
def dify_key(of_dify):
    def run(server, *, keys=None, check=False, **options):
        result = of_dify("dify_key", server, {"keys": KEYS if keys is None else keys, **options}, check=check)
        for key in (OLD, NEW, OTHER):
            assert key not in json.dumps(result)
        return result

    return run


def test_what_is_sent_is_what_is_there():
    stored = {"server_url": "http://********", "model_uid": "m", "api_key": "sk-old************23", "extra": None}
    stored["server_url"] = "http:/************97"
    assert fields(stored, NEW) == {"server_url": "[__HIDDEN__]", "model_uid": "m", "api_key": NEW}


def test_wrong_keys_are_refused():
    refused = problems([KeyChange("a", ("sk-",), None), KeyChange("b", ("xf-new1",), NEW)], check=False)
    assert (
        len(refused) == 3
        and "has no new key" in refused[0]
        and "first 6" in refused[1]
        and "no difference" in refused[2]
    )
    assert problems([KeyChange("a", ("sk-old4",), None)], check=True) == []


def test_who_keeps_an_old_key_valid():
    call = {"name": "office", "workspace": "Research"}
    rows = [
        {"cluster": "one", "error": "e1"},
        {"cluster": "two", "error": "e2"},
        {"cluster": None, "error": "e3"},
        {"cluster": "one"},
    ]
    results = [{"_call": call, "models": rows, "msg": "3 failed"}, {"_call": {"name": "lab"}, "msg": "refused"}]
    assert holders(results, "one") == [
        "Dify office, workspace Research: e1",
        "Dify office, workspace Research: e3",
        "Dify lab: refused",
    ]
    assert holders([{"_call": call, "models": rows[3:]}], "one") == []


@pytest.mark.each_core("dify_key")
def test_the_new_key_replaces_the_old_one_and_nothing_else(dify, dify_key, dify_models):
    mine = [model(api_key=OLD, invoke_timeout=77), {**EMBEDDING, "api_key": OLD}]
    theirs = model(name="theirs", api_key=OTHER)
    assert not dify_models(dify, [*mine, theirs]).failed
    before = {key: dict(item.shown) for key, item in dify.workspace.models.items()}

    predicted = dify_key(dify, keys=[{"cluster": "gpu01", "old": [OLD[:7]]}], check=True)
    assert not predicted.failed and predicted.changed and len(predicted["plan"]) == 2
    done = dify_key(dify)
    assert not done.failed and done["plan"] == predicted["plan"], done["msg"] if done.failed else done
    assert {(row["name"], row["cluster"], row["action"]) for row in done["models"]} == {
        ("my-llm", "gpu01", "update"),
        ("bge-m3", "gpu01", "update"),
    }
    after = {key: dict(item.shown) for key, item in dify.workspace.models.items()}
    for key, shown in before.items():
        wanted = OTHER if key[0] == "theirs" else NEW
        assert after[key] == {**shown, "api_key": wanted}
    again = dify_key(dify)
    assert not again.changed and again["models"] == []
    assert not [
        verb for verb, path, _body in dify.log if verb != "GET" and not path.endswith(("/login", "/workspaces/current"))
    ]


def test_credentials_that_are_not_active(newest, dify_key, dify_models):
    assert not dify_models(newest, [model(api_key=OLD)]).failed
    item = newest.workspace.models["my-llm", "llm"]
    item.credentials.append(Credential("second", dict(item.shown)))
    done = dify_key(newest)
    assert not done.failed and len(done["models"]) == 2, done
    assert [each.values["api_key"] for each in item.credentials] == [NEW, NEW]


def test_one_that_dify_refuses_is_named_and_the_others_get_the_key(newest, dify_key, dify_models):
    assert not dify_models(newest, [model(api_key=OLD), {**EMBEDDING, "api_key": OLD}]).failed
    newest.app.backend = Backend({model()["server_url"]: Upstream(default_models(), key=OLD)})
    failed = dify_key(newest)
    assert failed.failed and "may still have the old key" in failed["msg"]
    assert any(row.get("error") for row in failed["models"]) and failed["models"][-1]["cluster"] == "gpu01"
    newest.app.backend = Backend({model()["server_url"]: Upstream(default_models())})
    newest.faults.append(Fault("daemon", verb="PUT", path="credentials"))
    assert dify_key(newest).failed
    done = dify_key(newest)
    assert not done.failed
    assert {item.shown["api_key"] for item in newest.workspace.models.values()} == {NEW}
