# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences of releases before 3.0: both demo models on each of them, in one order.

They have no authentication by default, one replica count for a model's life, other names of replicas, and of 1.x no
autostart; their launches take longer.
"""

from __future__ import annotations

import pytest
from real_server import OLD, row

from ansible_collections.modelops.inference.plugins.module_utils import _session
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client


@pytest.fixture(scope="module", params=OLD)
def server(request, start):
    started = start(request.param)
    started.wait()
    yield started
    started.stop()


@pytest.fixture
def claimed(server):
    """Nobody claims a server without authentication."""
    return server


@pytest.fixture
def speaker(server):
    return Client(_session.Session(server.url), "admin", None)


def test_both_models_are_launched_and_serve(server, apply, models):
    predicted = apply(models, check=True)
    assert not predicted.failed, predicted["msg"]
    result = apply(models)
    assert not result.failed, result["msg"]
    assert result["version"] == server.version
    assert result["plan"] == predicted["plan"]
    assert [m["state"] for m in result["models"]] == ["ready", "ready"]
    assert row(result, "gemma3-270m")["proof"]["kind"] == "chat"
    assert row(result, "minilm")["proof"]["detail"] == "384 dimensions"


def test_a_second_run_changes_nothing(apply, models):
    for check in (False, True):
        result = apply(models, check=check)
        assert not result.failed, result["msg"]
        assert not result.changed and result["plan"] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"engine": "lama.cpp"}, "no engine 'lama.cpp'; nearest: llama.cpp"),
        ({"path": "/no/such.gguf"}, "path /no/such.gguf does not exist"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_changes(apply, models, change, why):
    result = apply([*models, {**models[0], "uid": "other", **change}])
    assert result.failed and why in result["msg"] and not result.changed


def test_a_launch_that_takes_too_long_leaves_nothing_behind(apply, models, speaker):
    slow = {**models[1], "uid": "slow", "name": "minilm", "launch_timeout": 1}
    result = apply([models[1], slow])
    assert result.failed and "slow: not ready within 1 s (launch_timeout); the launch was cancelled" in result["msg"]
    assert row(result, "minilm")["proof"]["ok"]
    assert speaker.presence("slow") == releases.UNKNOWN and "slow" not in speaker.models()


def test_more_replicas_replace_the_model_and_only_when_told(apply, models):
    two = {**models[1], "replicas": 2}
    kept = apply([two])
    assert not kept.failed and row(kept, "minilm")["differs"] == ["replicas 1 -> 2"]
    result = apply([two], replace=True)
    assert not result.failed, result["msg"]
    minilm = row(result, "minilm")
    assert (minilm["action"], minilm["replicas"]) == ("replaced", {"wanted": 2, "ready": 2})
    assert minilm["proof"]["ok"] and not apply([two], replace=True).changed


def test_what_somebody_launches_is_waited_for_and_prune_leaves_it(server, apply, models, speaker, tmp_path):
    gemma = {**models[0], "state": "absent"}
    memory = {"remember": str(tmp_path / "declared.json"), "prune": True}
    assert not apply([gemma, {**models[1], "state": "absent"}]).failed
    speaker.launch(
        {"model_uid": "theirs", "model_name": "minilm", "model_type": "embedding", "enable_virtual_env": False}
    )
    theirs = {"uid": "theirs", "name": "minilm", "type": "embedding"}
    ours = {**models[1], "definition": None, "path": None}
    result = apply([theirs, ours], **memory)
    assert not result.failed, result["msg"]
    assert [m["action"] for m in result["models"]] == ["adopted", "launched"]
    assert apply([theirs], **memory)["plan"] == ["- terminate minilm"]
    assert apply([], **memory)["plan"] == [] and set(speaker.models()) == {"theirs"}
    assert apply([{"uid": "theirs", "state": "absent"}])["plan"] == ["- terminate theirs"]
    assert speaker.models() == {}
