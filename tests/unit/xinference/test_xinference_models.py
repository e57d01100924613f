# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_models through its main(), against test servers of every recorded release."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import threading
import time

import pytest
from servers.xinference import PASSWORD, PROFILES, XinferenceServer
from servers.xinference.models import Refused

from ansible_collections.modelops.inference.plugins.module_utils import _directory, _disk, _session
from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import launch, operations, proof

NO_ANSWER = "http://127.0.0.1:9"
# GET /status, /v1/cluster/auth, /v1/cluster/version, /v1/models, /v1/models/instances, /v1/autostart/models
READS = 6


def row(result, uid):
    """The row of one model in a result."""
    return next(model for model in result["models"] if model["uid"] == uid)


# -- the way of a model --------------------------------------------------------------------------------------------


def test_two_custom_models_are_registered_launched_and_proven(apply, xinference, llm, embedding):
    result = apply(xinference, [llm(tags=["chat"]), embedding()])
    assert not result.failed, result["msg"]
    assert result.changed
    assert result["version"] == xinference.profile.version
    assert result["plan"] == [
        "+ register definition tiny",
        "+ launch tiny",
        "+ register definition minilm",
        "+ launch minilm",
    ]
    tiny, minilm = row(result, "tiny"), row(result, "minilm")
    assert (tiny["state"], tiny["action"], tiny["tags"]) == ("ready", "launched", ["chat"])
    assert tiny["replicas"] == {"wanted": 1, "ready": 1}
    assert tiny["workers"] == ["127.0.0.1:51954"]
    assert (tiny["size"], tiny["quantization"], tiny["context_length"]) == ("0_27", "Q4_K_M", 2048)
    assert set(tiny["abilities"]) == {"chat", "vision"}
    assert tiny["proof"]["kind"] == "chat" and tiny["proof"]["ok"] and tiny["proof"]["latency_ms"] >= 0
    assert minilm["proof"] == {
        "kind": "embedding",
        "ok": True,
        "latency_ms": minilm["proof"]["latency_ms"],
        "detail": "384 dimensions",
    }
    assert minilm["dimensions"] == 384
    body = xinference.models.models["tiny"].body
    assert body["n_ctx"] == 2048 and body["enable_virtual_env"] is False


@pytest.mark.each_core("xinference_models")
def test_a_second_run_changes_nothing(apply, xinference, llm, embedding):
    apply(xinference, [llm(), embedding()])
    xinference.forget()
    result = apply(xinference, [llm(), embedding()])
    assert not result.failed and not result.changed
    assert result["plan"] == [] and result["progress"] == []
    assert [m["action"] for m in result["models"]] == ["none", "none"]
    assert xinference.changes() == []


def test_proofs_do_not_wait_for_each_other(apply, newest, llm, embedding, monkeypatch):
    both = threading.Barrier(2, timeout=10)
    alone = proof.prove

    def prove(*words):
        both.wait()
        return alone(*words)

    monkeypatch.setattr(proof, "prove", prove)
    result = apply(newest, [llm(), embedding()])
    assert not result.failed, result["msg"]
    assert [model["proof"]["ok"] for model in result["models"]] == [True, True]


@pytest.mark.parametrize("count", [1, 10, 100])
def test_requests_of_a_run_that_changes_nothing_do_not_grow(apply, newest, count):
    names = [f"m{number}" for number in range(count)]
    for name in names:
        newest.serve(name, model_name="bge-m3", model_type="embedding", model_engine="sentence_transformers")
    models = [{"uid": n, "name": "bge-m3", "type": "embedding", "autostart": False} for n in names]
    result = apply(newest, models, prove="never")
    assert not result.changed
    assert result["requests"] == {"GET": READS, "POST": 1}


@pytest.mark.parametrize(("count", "reads"), [(1, 1), (3, 3), (4, 1), (20, 1)])
def test_requests_for_definitions_do_not_grow(apply, newest, embedding, count, reads):
    models = [embedding(uid=f"e{number}") for number in range(count)]
    apply(newest, models, prove="never")
    result = apply(newest, models, prove="never")
    assert not result.changed
    assert result["requests"] == {"GET": READS + reads, "POST": 1}


def test_without_authentication_nobody_logs_in(apply, llm):
    with XinferenceServer("4.1.0", auth=False) as server:
        assert apply(server, [llm()], password=None).changed
        assert ("POST", "/token") not in server.requests


@pytest.mark.each_core("xinference_models")
def test_check_mode_tells_what_a_run_does_and_sends_nothing(apply, xinference, llm, embedding):
    xinference.serve("old", model_name="bge-m3", model_type="embedding")
    models = [llm(), embedding(), {"uid": "old", "state": "absent"}]
    xinference.strict_check = True
    predicted = apply(xinference, models, check=True)
    assert not predicted.failed, predicted["msg"]
    assert xinference.violations == [] and xinference.changes() == []
    assert [m["state"] for m in predicted["models"]] == ["absent", "absent", "ready"]
    xinference.strict_check = False
    done = apply(xinference, models)
    for key in ("changed", "plan", "diff"):
        assert predicted[key] == done[key]
    assert [m["action"] for m in predicted["models"]] == ["launched", "launched", "terminated"]
    assert [m["action"] for m in done["models"]] == ["launched", "launched", "terminated"]
    xinference.strict_check = True
    assert not apply(xinference, models, check=True).changed


@pytest.mark.each_core("xinference_models")
def test_a_model_is_terminated(apply, xinference):
    xinference.serve("old", model_name="bge-m3", model_type="embedding")
    result = apply(xinference, [{"uid": "old", "state": "absent"}])
    assert result["plan"] == ["- terminate old"] and row(result, "old")["state"] == "absent"
    assert result["progress"] == ["old  terminated"]
    assert not apply(xinference, [{"uid": "old", "state": "absent"}]).changed


def test_what_is_not_declared_is_not_touched(apply, newest, llm):
    newest.serve("other", model_name="bge-m3", model_type="embedding")
    apply(newest, [llm()])
    assert "other" in newest.models.models


def test_what_runs_already_is_adopted(apply, xinference):
    xinference.serve("bge-m3", model_type="embedding", model_engine="sentence_transformers")
    result = apply(xinference, [{"uid": "bge-m3", "type": "embedding", "autostart": False}])
    assert not result.failed and not result.changed
    assert row(result, "bge-m3")["proof"]["ok"]


def test_a_model_that_is_loading_is_waited_for(apply, xinference):
    xinference.behave("bge-m3", seconds=0.4)
    xinference.models.launch({"model_name": "bge-m3", "model_type": "embedding"})
    result = apply(xinference, [{"uid": "bge-m3", "type": "embedding"}])
    assert not result.failed, result["msg"]
    assert not result.changed and row(result, "bge-m3")["action"] == "adopted"
    assert row(result, "bge-m3")["state"] == "ready"
    assert xinference.models.launches == ["bge-m3"]


def test_the_name_of_a_worker_is_resolved(apply, embedding):
    with XinferenceServer("4.1.0", workers=("127.0.0.1:9998", "127.0.0.2:9998")) as server:
        for uid, worker, ip in (("a", "localhost:9998", "127.0.0.1:9998"), ("b", "127.0.0.2", "127.0.0.2")):
            result = apply(server, [embedding(uid=uid, worker=worker)])
            assert not result.failed, result["msg"]
            assert server.models.models[uid].body["worker_ip"] == ip
        unknown = apply(server, [embedding(worker="no-such-host.invalid")])
        assert unknown.failed and "no-such-host.invalid" in unknown["msg"]


def test_all_replicas_are_waited_for(apply, newest):
    newest.behave("bge-m3", apart=0.6)
    result = apply(newest, [{"uid": "bge-m3", "type": "embedding", "replicas": 2}])
    assert not result.failed, result["msg"]
    assert row(result, "bge-m3")["replicas"] == {"wanted": 2, "ready": 2}


def test_a_model_whose_process_died_is_waited_for(apply, newest):
    newest.serve("bge-m3", model_type="embedding", model_engine="sentence_transformers")
    newest.kill("bge-m3")
    result = apply(newest, [{"uid": "bge-m3", "type": "embedding", "autostart": False}])
    assert not result.failed and not result.changed, result["msg"]
    assert row(result, "bge-m3")["action"] == "adopted" and newest.models.launches == []


def test_a_model_whose_process_died_for_good_is_launched(apply, newest):
    newest.serve("bge-m3", model_type="embedding", model_engine="sentence_transformers")
    newest.kill("bge-m3", lost=True)
    result = apply(newest, [{"uid": "bge-m3", "type": "embedding", "autostart": False}])
    assert not result.failed, result["msg"]
    assert result.changed and row(result, "bge-m3")["action"] == "launched"
    assert newest.models.launches == ["bge-m3"]


def test_a_loading_model_that_turns_out_otherwise_is_reported(apply, newest, warned):
    newest.behave("q", seconds=0.3)
    newest.models.launch({"model_name": "qwen3", "model_uid": "q", "model_engine": "llama.cpp", "quantization": "Q4_0"})
    result = apply(newest, [{"uid": "q", "name": "qwen3", "engine": "llama.cpp", "quantization": "Q8_0"}])
    assert row(result, "q")["state"] == "differs"
    assert "quantization Q4_0 -> Q8_0" in warned[0]


def test_a_loading_model_that_is_to_be_absent_is_cancelled(apply, xinference):
    xinference.behave("bge-m3", hangs=True)
    xinference.models.launch({"model_name": "bge-m3", "model_type": "embedding"})
    result = apply(xinference, [{"uid": "bge-m3", "state": "absent"}])
    assert result["plan"] == ["- terminate bge-m3"] and not result.failed
    assert not xinference.models.models["bge-m3"].known


def test_the_leftover_of_a_failed_launch_is_cleared_and_launched_anew(apply, xinference):
    xinference.behave("bge-m3", error="out of memory", seconds=0)
    xinference.models.launch({"model_name": "bge-m3", "model_type": "embedding"})
    xinference.models.settle()
    del xinference.models.behaviours["bge-m3"]
    result = apply(xinference, [{"uid": "bge-m3", "type": "embedding"}])
    assert result["plan"] == ["+ launch bge-m3"] and row(result, "bge-m3")["state"] == "ready"
    absent = [{"uid": "nope", "state": "absent"}]
    xinference.models.launch({"model_name": "nope", "model_type": "embedding"})
    assert not apply(xinference, absent).changed


def test_a_broken_model_is_terminated_before_it_is_launched_anew(apply, xinference):
    xinference.serve("bge-m3", model_type="embedding")
    xinference.models.models["bge-m3"].error = "the process died"
    result = apply(xinference, [{"uid": "bge-m3", "type": "embedding"}])
    assert result["plan"] == ["+ launch bge-m3 (was failed)"]
    assert not result.failed and row(result, "bge-m3")["state"] == "ready"
    assert ("DELETE", "/v1/models/bge-m3") in xinference.requests


# -- what differs --------------------------------------------------------------------------------------------------


def test_a_difference_is_a_warning_unless_told_to_replace(apply, xinference, llm, warned, memory):
    apply(xinference, [llm()], remember=memory)
    warned.clear()
    other = llm(request_limits=2)
    kept = apply(xinference, [other], remember=memory)
    assert not kept.failed and not kept.changed and kept["plan"] == []
    assert row(kept, "tiny")["state"] == "differs" and row(kept, "tiny")["differs"] == ["request_limits none -> 2"]
    assert warned == ["tiny differs and was not replaced (replace: true would): request_limits none -> 2"]
    assert row(kept, "tiny")["proof"]["ok"], "it serves, although not as declared"
    replaced = apply(xinference, [other], replace=True, remember=memory)
    assert replaced["plan"] == ["~ replace tiny (request_limits none -> 2)"]
    assert replaced["diff"]["before"] == {"tiny": {"request_limits": None}}
    assert replaced["diff"]["after"] == {"tiny": {"request_limits": 2}}
    assert row(replaced, "tiny")["action"] == "replaced"
    assert not apply(xinference, [other], replace=True, remember=memory).changed


# -- replicas ------------------------------------------------------------------------------------------------------


def test_the_number_of_replicas_changes_in_place(apply, newest, llm):
    apply(newest, [llm()])
    first = newest.models.models["tiny"].launched
    for number, plan in ((2, "~ scale tiny (replicas 1 -> 2)"), (1, "~ scale tiny (replicas 2 -> 1)")):
        predicted = apply(newest, [llm(replicas=number)], check=True)
        result = apply(newest, [llm(replicas=number)])
        assert result["plan"] == predicted["plan"] == [plan]
        assert row(result, "tiny")["action"] == "scaled"
        assert row(result, "tiny")["replicas"] == {"wanted": number, "ready": number}
        assert newest.models.autostart["tiny"]["launch"]["replica"] == number
        assert not apply(newest, [llm(replicas=number)]).changed
    assert newest.models.models["tiny"].launched == first, "it was never launched anew"


def test_a_lost_replica_does_not_keep_its_number(apply, newest, embedding):
    """Of one that was added the server lists the name, as long as that is listed no other one may have it."""
    apply(newest, [embedding()])
    newest.models.workers.append("127.0.0.2:1")
    newest.models.add_replica("minilm", {"replica_config": {"devices": [{"worker_ip": "127.0.0.2:1"}]}})
    newest.models.leave("127.0.0.2:1")
    newest.forget()
    result = apply(newest, [embedding(replicas=2)])
    assert not result.failed, result["msg"]
    path = "/v1/models/minilm/replicas"
    assert [r for r in newest.changes() if "replicas" in r[1]] == [("DELETE", path + "/1"), ("POST", path)]
    assert row(result, "minilm")["replicas"] == {"wanted": 2, "ready": 2}


def test_a_surge_starts_the_new_replica_first(apply, newest, embedding):
    apply(newest, [embedding()])
    longer = embedding(definition={"dimensions": 384, "max_tokens": 128})
    newest.forget()
    result = apply(newest, [longer], replace="surge")
    assert not result.failed, result["msg"]
    assert result["plan"] == [
        "~ register definition minilm (definition.max_tokens 256 -> 128)",
        "~ replace minilm (definition.max_tokens 256 -> 128)",
    ]
    path = "/v1/models/minilm/replicas"
    assert [r for r in newest.changes() if "replicas" in r[1]] == [("POST", path), ("DELETE", path + "/0")]
    assert ("DELETE", "/v1/models/minilm") not in newest.requests
    assert row(result, "minilm")["action"] == "replaced"
    assert not apply(newest, [longer], replace="surge").changed


def test_of_several_replicas_one_is_replaced_after_the_other(apply, newest, embedding):
    apply(newest, [embedding(replicas=2)])
    longer = embedding(replicas=2, definition={"dimensions": 384, "max_tokens": 128})
    newest.forget()
    assert apply(newest, [longer], replace=True)["changed"]
    path = "/v1/models/minilm/replicas"
    steps = [r for r in newest.changes() if "replicas" in r[1]]
    assert steps == [("DELETE", path + "/0"), ("POST", path), ("DELETE", path + "/1"), ("POST", path)]


def test_a_surge_whose_new_replica_does_not_load_leaves_the_old_one(apply, newest, embedding):
    apply(newest, [embedding()])
    newest.fault("status", verb="POST", path="/v1/models/minilm/replicas", status=503)
    longer = embedding(definition={"dimensions": 384, "max_tokens": 128})
    result = apply(newest, [longer], replace="surge")
    assert result.failed and "503" in result["msg"]
    assert newest.models.models["minilm"].status == "READY"
    assert newest.models.definitions["embedding"]["minilm"]["max_tokens"] == 256, "the old definition is back"


# -- a replacement that fails ----------------------------------------------------------------------------------------


def test_what_ran_before_runs_again_when_its_replacement_fails(apply, newest, llm, memory):
    apply(newest, [llm()], remember=memory)
    newest.behave("tiny", error="CUDA out of memory", once=True)
    other = llm(request_limits=2, definition={"family": "gemma-3-it", "context_length": 4096, "abilities": ["chat"]})
    result = apply(newest, [other], replace=True, remember=memory)
    assert result.failed
    assert "CUDA out of memory" in result["msg"] and "The previous model runs again" in result["msg"]
    assert newest.models.models["tiny"].status == "READY"
    assert "request_limits" not in newest.models.models["tiny"].body
    assert newest.models.definitions["LLM"]["tiny"]["context_length"] == 2048
    assert not apply(newest, [llm()], remember=memory).changed


def test_a_model_that_cannot_be_ended_keeps_its_definition(apply, newest, llm, monkeypatch):
    apply(newest, [llm()])
    monkeypatch.setattr(operations, "_GONE_TIMEOUT", 0.2)
    newest.models.terminate = lambda uid: None
    other = llm(definition={"family": "gemma-3-it", "context_length": 4096, "abilities": ["chat"]})
    result = apply(newest, [other], replace=True)
    assert result.failed and "The running model continues to serve" in result["msg"]
    assert newest.models.definitions["LLM"]["tiny"]["context_length"] == 2048


def test_the_error_of_a_run_ends_with_one_table_of_what_happened(apply, newest, llm, embedding):
    newest.behave("tiny", error="CUDA out of memory")
    lines = apply(newest, [llm(), embedding()])["msg"].splitlines()
    assert lines[0].startswith("1 of 2 models on http://") and lines[1] == "tiny: CUDA out of memory"
    head = next(number for number, line in enumerate(lines) if line.startswith("model UID"))
    assert [line.split()[:5] for line in lines[head + 1 : head + 3]] == [
        ["tiny", "LLM", "failed", "launched", "0/1"],
        ["minilm", "embedding", "ready", "launched", "1/1"],
    ]


# -- what is remembered ----------------------------------------------------------------------------------------------


def test_what_was_launched_is_remembered_for_the_next_run(apply, xinference, llm, embedding, memory):
    apply(xinference, [llm(envs={"HF_TOKEN": "hf_secret"}), embedding()], remember=memory)
    assert stat.S_IMODE(os.stat(memory).st_mode) == 0o600
    found = json.loads(pathlib.Path(memory).read_text())
    assert [m["uid"] for m in found["models"]] == ["tiny", "minilm"]
    assert found["launched"]["tiny"]["body"]["envs"] == {"HF_TOKEN": "hf_secret"}
    assert found["launched"]["tiny"]["created"] == int(xinference.models.models["tiny"].launched)
    assert found["busy_until"] is None


def test_prune_terminates_what_was_launched_and_is_not_declared(apply, xinference, llm, embedding, memory):
    xinference.serve("by-hand", model_name="bge-m3", model_type="embedding")
    apply(xinference, [llm(), embedding()], remember=memory)
    kept = apply(xinference, [llm()], remember=memory)
    assert not kept.changed and "minilm" in xinference.models.models
    predicted = apply(xinference, [llm()], remember=memory, prune=True, check=True)
    result = apply(xinference, [llm()], remember=memory, prune=True)
    assert result["plan"] == predicted["plan"] == ["- terminate minilm"]
    assert row(result, "minilm")["state"] == "absent" and row(result, "minilm")["declared"] == "absent"
    assert sorted(xinference.models.models) == ["by-hand", "tiny"]
    assert not apply(xinference, [llm()], remember=memory, prune=True).changed


def test_prune_needs_to_remember(apply, newest, llm):
    assert "prune needs remember" in apply(newest, [llm()], prune=True)["msg"]


def test_check_mode_remembers_nothing(apply, newest, llm, memory):
    apply(newest, [llm()], remember=memory, check=True)
    assert not os.path.exists(memory)


def test_what_somebody_else_launched_under_a_uid_of_ours_is_not_pruned(apply, newest, llm, embedding, memory):
    apply(newest, [llm(), embedding(autostart=False)], remember=memory)
    newest.models.models["minilm"].launched -= 600
    assert not apply(newest, [llm()], remember=memory, prune=True).changed
    assert "minilm" in newest.models.models


def test_an_entry_of_what_is_absent_and_does_not_run_goes(apply, newest, llm, embedding, memory):
    apply(newest, [llm(), embedding()], remember=memory)
    newest.models.models.clear()
    result = apply(newest, [{"uid": "tiny", "state": "absent"}], remember=memory, prune=True)
    assert sorted(result["plan"]) == ["- remove from autostart minilm", "- remove from autostart tiny"]
    assert newest.models.autostart == {}


def test_what_is_left_alone_is_brought_back_as_it_runs(apply, newest, llm, memory):
    apply(newest, [llm()], remember=memory)
    apply(newest, [llm(request_limits=2)], remember=memory)
    found = json.loads(pathlib.Path(memory).read_text())["models"]
    assert [(m["uid"], m["request_limits"]) for m in found] == [("tiny", None)]


def test_check_mode_needs_no_place_to_remember(apply, newest, llm, tmp_path):
    result = apply(newest, [llm()], remember=str(tmp_path / "none" / "declared.json"), check=True)
    assert not result.failed, result["msg"]


def test_a_slice_keeps_its_secrets_out_of_the_result(apply, newest, llm, memory):
    apply(newest, [llm(envs={"HF_TOKEN": "hf_of_yesterday"})], remember=memory)
    newest.behave("tiny", seconds=1, error="CUDA out of memory", once=True)
    models = [llm(envs={"HF_TOKEN": "hf_of_today__"})]
    options = {"remember": memory, "replace": True, "wait": 0}
    result = apply(newest, models, **options)
    assert result["pending"] and list(result["resume"]) == ["path"]
    assert stat.S_IMODE(os.stat(result["resume"]["path"]).st_mode) == 0o600
    while result["pending"]:
        time.sleep(0.1)
        path, result = result["resume"]["path"], apply(newest, models, resume=result["resume"], **options)
        if result.failed:
            break
    assert "The previous model runs again" in result["msg"] and not os.path.exists(path)
    assert newest.models.models["tiny"].body["envs"] == {"HF_TOKEN": "hf_of_yesterday"}
    assert "hf_of_yesterday" not in str(result)


def test_a_server_that_fails_over_its_autostart_serves_all_the_same(apply, newest, llm):
    newest.fault("status", verb="GET", path="/v1/autostart/models", status=500, times=9)
    result = apply(newest, [llm()])
    assert not result.failed, result["msg"]


# -- the server's autostart ------------------------------------------------------------------------------------------


def test_the_autostart_holds_what_runs_as_declared(apply, newest, llm, embedding):
    apply(newest, [llm(envs={"A": "secret"}, priority=10), embedding(), embedding(uid="cpu", gpus_per_replica="none")])
    assert {uid: row["priority"] for uid, row in newest.models.autostart.items()} == {"tiny": 10, "minilm": 100}
    again = apply(newest, [llm(envs={"A": "secret"}, priority=10), embedding()])
    assert not again.changed, "a value that the server hides is no difference"
    newest.models.autostart["tiny"]["launch"]["n_ctx"] = 1
    del newest.models.autostart["minilm"]
    mended = apply(newest, [llm(envs={"A": "secret"}, priority=10), embedding()])
    assert mended["plan"] == ["~ add to autostart tiny", "+ add to autostart minilm"]
    assert newest.models.autostart["tiny"]["launch"]["n_ctx"] == 2048
    gone = apply(
        newest, [llm(autostart=False, envs={"A": "secret"}, priority=10), {"uid": "minilm", "state": "absent"}]
    )
    assert gone["plan"] == ["- terminate minilm", "- remove from autostart tiny"]
    assert newest.models.autostart == {}


WORKER = "10.0.0.1:9998"


@pytest.fixture
def clustered():
    with XinferenceServer("4.1.0", workers=(WORKER,)) as server:
        yield server


@pytest.mark.parametrize("cluster", [{"workers": [WORKER]}, {"cluster": True}])
def test_a_cluster_has_no_entries(apply, clustered, llm, embedding, memory, cluster):
    done = apply(clustered, [llm(), embedding()], remember=memory, **cluster)
    assert not done.failed and clustered.models.autostart == {}, done
    assert not apply(clustered, [llm(), embedding()], remember=memory, **cluster).changed


def test_a_cluster_drops_the_entries_of_what_was_launched_here(apply, clustered, llm, embedding, memory):
    for uid in ("hand", "other"):
        clustered.serve(uid, model_name="bge-m3", model_type="embedding", model_engine="sentence_transformers")
        launch = {"model_uid": uid, "model_name": "bge-m3"}
        clustered.models.autostart[uid] = {"enabled": True, "priority": 1, "launch": launch}
    hand = {"uid": "hand", "name": "bge-m3", "type": "embedding"}
    declared = [llm(), hand]
    assert not apply(clustered, [*declared, embedding()], remember=memory).failed
    assert sorted(clustered.models.autostart) == ["hand", "minilm", "other", "tiny"]
    seen = apply(clustered, declared, remember=memory, workers=[WORKER], check=True)
    # Also of what is not declared any more; not of what somebody else launched.
    assert sorted(seen["plan"]) == ["- remove from autostart minilm", "- remove from autostart tiny"]
    assert sorted(clustered.models.autostart) == ["hand", "minilm", "other", "tiny"]
    assert apply(clustered, declared, remember=memory, workers=[WORKER])["plan"] == seen["plan"]
    assert sorted(clustered.models.autostart) == ["hand", "other"]
    assert not apply(clustered, declared, remember=memory, workers=[WORKER]).changed


def test_a_cluster_drops_the_entry_of_what_differs_too(apply, clustered, llm, memory):
    assert not apply(clustered, [llm()], remember=memory).failed
    other = [llm(engine_options={"n_ctx": 1024})]
    result = apply(clustered, other, remember=memory, workers=[WORKER])
    assert result["plan"] == ["- remove from autostart tiny"] and clustered.models.autostart == {}
    assert result["models"][0]["state"] == "differs"


def test_without_a_memory_the_placement_in_an_entry_stays(apply, newest, llm):
    apply(newest, [llm()])
    newest.models.autostart["tiny"]["launch"]["n_gpu_layers"] = 7
    assert not apply(newest, [llm()]).changed


def test_a_new_secret_reaches_the_autostart(apply, newest, llm, memory):
    apply(newest, [llm(envs={"A": "secret1"})], remember=memory)
    apply(newest, [llm(envs={"A": "secret2"})], remember=memory, replace=True)
    assert newest.models.autostart["tiny"]["launch"]["envs"] == {"A": "secret2"}


def test_a_definition_that_differs_is_registered_anew_when_told_to_replace(apply, xinference, llm):
    apply(xinference, [llm()])
    longer = llm(definition={"family": "gemma-3-it", "context_length": 4096, "abilities": ["chat"]})
    kept = apply(xinference, [longer])
    assert row(kept, "tiny")["differs"] == ["definition.context_length 2048 -> 4096"] and not kept.changed
    replaced = apply(xinference, [longer], replace=True)
    assert replaced["plan"] == [
        "~ register definition tiny (definition.context_length 2048 -> 4096)",
        "~ replace tiny (definition.context_length 2048 -> 4096)",
    ]
    assert xinference.models.definitions["LLM"]["tiny"]["context_length"] == 4096
    assert row(replaced, "tiny")["context_length"] == 4096
    assert not apply(xinference, [longer]).changed


def test_a_definition_that_the_server_refuses_leaves_the_old_one_and_the_model(apply, newest, embedding, tmp_path):
    apply(newest, [embedding()])
    newest.fault("status", verb="POST", path="model_registrations", status=400)
    result = apply(newest, [embedding(definition={"dimensions": 768, "max_tokens": 256})], replace=True)
    assert result.failed and "register the definition of 'minilm'" in result["msg"]
    assert newest.models.definitions["embedding"]["minilm"]["dimensions"] == 384
    assert newest.models.models["minilm"].status == "READY"
    assert ("DELETE", "/v1/models/minilm") not in newest.requests


@pytest.mark.parametrize("before", [False, True])
def test_a_definition_whose_registration_fails_after_it_was_taken_does_not_stay(apply, newest, embedding, before):
    if before:
        assert not apply(newest, [embedding()], prove="never").failed
    register, failures = newest.models.register, ["No space left on device"]

    def fails(*given):
        register(*given)
        if failures:
            raise Refused(500, failures.pop())

    newest.models.register = fails
    result = apply(newest, [embedding(definition={"dimensions": 768, "max_tokens": 256})], replace=True, prove="never")
    assert result.failed and "register the definition of 'minilm'" in result["msg"] and "No space left" in result["msg"]
    found = newest.models.definitions["embedding"]
    assert [row["dimensions"] for row in found.values()] == ([384] if before else [])


def test_a_definition_of_somebody_who_was_faster_stays(apply, newest, embedding):
    register = newest.models.register

    def faster(*given):
        register(*given)
        register(*given)

    newest.models.register = faster
    result = apply(newest, [embedding()], prove="never")
    assert result.failed and "already registered" in result["msg"]
    assert list(newest.models.definitions["embedding"]) == ["minilm"]


def test_a_definition_that_was_removed_is_put_back(apply, xinference, embedding):
    apply(xinference, [embedding()])
    xinference.models.definitions["embedding"].clear()
    result = apply(xinference, [embedding()])
    assert result["plan"] == ["+ register definition minilm"] and not result.failed
    assert xinference.models.launches == ["minilm"]
    assert not apply(xinference, [embedding()]).changed


def test_a_server_that_keeps_what_it_unregistered_is_told_on(apply, newest, embedding):
    apply(newest, [embedding()], prove="never")
    newest.models.unregister = lambda *_args: None
    changed = embedding(definition={"dimensions": 768, "max_tokens": 256})
    result = apply(newest, [changed], replace=True)
    assert result.failed and "reported that it unregistered 'minilm', but still has it" in result["msg"]
    assert newest.models.models["minilm"].status == "READY"


# -- weights that were fetched before --------------------------------------------------------------------------------


def test_the_path_of_a_source_is_what_was_fetched_for_it(apply, newest, llm, gguf):
    source = {"package": "tiny-gguf==1.0"}
    fetched = {"tiny-gguf-1.0": {"source": source, "path": gguf}, "tiny-gguf": {"source": {}, "path": "/no/such"}}
    result = apply(newest, [llm(path=None, source=source)], weights=fetched)
    assert not result.failed, result["msg"]
    spec = newest.models.definitions["LLM"]["tiny"]["model_specs"][0]
    assert spec["model_uri"] == f"file://{gguf}"


def test_a_source_that_was_not_fetched_is_refused(apply, newest, llm):
    result = apply(newest, [llm(path=None, source={"package": "tiny-gguf==1.0"})])
    assert result.failed and "'tiny': its weights" in result["msg"] and "are not on this host" in result["msg"]
    assert newest.requests == []


def test_check_mode_predicts_with_weights_that_are_still_to_be_fetched(apply, newest, llm):
    result = apply(newest, [llm(path=None, source={"package": "tiny-gguf==1.0"})], check=True)
    assert not result.failed, result["msg"]
    assert result["plan"] == ["+ register definition tiny", "+ launch tiny"] and newest.changes() == []
    missing = apply(newest, [llm(path="/no/such/file.gguf")], check=True)
    assert missing.failed and "does not exist on this machine" in missing["msg"]


def test_what_dify_needs_to_know_is_returned_as_it_was_given(apply, newest, llm):
    given = {"name": "Chat", "invoke_timeout": 9}
    assert apply(newest, [llm(dify=given)])["models"][0]["dify"] == given
    assert apply(newest, [llm()])["models"][0]["dify"] == {}


def test_an_absent_model_needs_no_weights(apply, newest, llm):
    assert not apply(newest, [llm(path=None, source={"package": "tiny-gguf==1.0"}, state="absent")]).failed


# -- refused before anything changes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"uid": "x", "engin": "vLLM"}, "model 'x': no option 'engin'; nearest: engine"),
        (
            {"uid": "x", "definition": {"contxt_length": 1}},
            "model 'x'.definition: no option 'contxt_length'; nearest: context_length",
        ),
        ({"uid": "x", "type": "llm"}, "value of type must be one of: LLM"),
        ({"uid": "x", "source": {}}, "model 'x': weights: a source must have one of package, url and file, not none"),
        ({"uid": "x", "dify": {"type": "chat"}}, "value of type must be one of: llm"),
        ({"uid": "x"}, "an LLM needs engine"),
        ({"uid": "x", "engine": "vLLM", "path": "/no/such"}, "path /no/such does not exist"),
        ({"uid": "a/b", "engine": "vLLM"}, "/ ? # \\"),
    ],
)
def test_wrong_input_is_refused_without_a_request(apply, newest, model, why):
    result = apply(newest, [model])
    assert result.failed and why in result["msg"]
    assert newest.requests == []


def test_a_duplicate_uid_is_refused(apply, newest, llm):
    result = apply(newest, [llm(), llm()])
    assert result.failed and "UID 'tiny' is declared 2 times" in result["msg"]
    assert newest.requests == []


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (
            {"uid": "qwen-3", "engine": "vLLM"},
            "has no LLM model 'qwen-3'; nearest: qwen3. A custom model needs definition",
        ),
        ({"uid": "bge-m3", "engine": "vLLM"}, "'bge-m3' is an embedding model: give type: embedding"),
        ({"uid": "qwen3", "type": "rerank"}, "'qwen3' is an LLM model: give type: LLM"),
        ({"uid": "bge-m33", "type": "embedding"}, "has no embedding model 'bge-m33'; nearest: bge-m3"),
        ({"uid": "bge-rerank", "type": "rerank"}, "has no rerank model 'bge-rerank'; nearest: bge-reranker-v2-m3"),
        ({"uid": "sdturbo", "type": "image"}, "has no image model 'sdturbo'; nearest: sd-turbo"),
        ({"uid": "qwen3", "engine": "lama.cpp"}, "no engine 'lama.cpp'; nearest: llama.cpp; on http://127.0.0.1:"),
        ({"uid": "qwen3", "engine": "mlx"}, "engine MLX cannot run 'qwen3': Failed to import mlx_lm"),
        ({"uid": "qwen3", "engine": "vLLM", "virtual_env": False}, "is not installed on http://127.0.0.1:"),
        (
            {"uid": "qwen3", "engine": "llama.cpp", "format": "ggufv2", "quantization": "Q99"},
            "has no 'qwen3' with quantization Q99 for engine llama.cpp; it has Q4_0, Q4_K_M, Q8_0",
        ),
        (
            {"uid": "qwen3", "engine": "llama.cpp", "format": "ggufv2", "quantization": "Q9_K_M"},
            "with quantization Q9_K_M for engine llama.cpp; nearest: Q4_K_M; it has Q4_0, Q4_K_M, Q8_0",
        ),
        (
            {"uid": "qwen3", "engine": "llama.cpp", "format": "awq"},
            "with format awq for engine llama.cpp; it has ggufv2",
        ),
        ({"uid": "qwen3", "engine": "llama.cpp", "size": "7"}, "with size 7 for engine llama.cpp; it has 0_6"),
    ],
)
def test_what_the_server_cannot_run_is_refused_and_what_it_can_is_named(apply, xinference, model, why):
    result = apply(xinference, [{"uid": "other", "name": "bge-m3", "type": "embedding"}, model])
    assert result.failed and why in result["msg"]
    assert xinference.changes() == []


def test_an_engine_is_taken_in_any_case(apply, newest):
    assert not apply(newest, [{"uid": "qwen3", "engine": "LLAMA.CPP", "size": "0.6", "quantization": "Q4_0"}]).failed


def test_an_engine_of_a_custom_model_that_nobody_knows_is_refused_before_it_is_registered(apply, xinference, llm):
    result = apply(xinference, [llm(engine="lama-cpp")])
    assert result.failed and "no engine 'lama-cpp'; nearest: llama.cpp" in result["msg"]
    assert xinference.changes() == []


def test_a_custom_model_must_not_be_called_like_a_built_in_one(apply, xinference, llm):
    result = apply(xinference, [llm(name="qwen3")], replace=True)
    assert result.failed and "'qwen3' is a built-in LLM model" in result["msg"]
    assert xinference.changes() == []


# -- launches that go wrong ----------------------------------------------------------------------------------------


def test_a_failure_without_a_reason_names_the_log_and_the_worker_that_writes_it(apply, llm):
    with XinferenceServer("4.1.0", workers=("10.0.0.2:9998",)) as server:
        server.behave("tiny", seconds=0.1, error=" ")
        result = apply(server, [llm()], log_path="/srv/home/logs/xinference.log")
        assert "see its log: /srv/home/logs/xinference.log on the host of worker 10.0.0.2:9998" in result["msg"]
        assert row(apply(server, [llm()]), "tiny")["error"] == "the server gives no reason; see its log"


def test_a_model_that_fails_does_not_stop_the_others(apply, xinference, llm, embedding, tmp_path):
    log = tmp_path / "xinference.log"
    log.write_text(
        f"starting\nSetup token: abcdefgh12345\nAuthorization: Bearer tok.en\nkey xf-abcdefghijk\n{PASSWORD}\nOOM\n"
    )
    xinference.behave("tiny", seconds=0.1, error="CUDA out of memory")
    result = apply(xinference, [llm(), embedding()], log_path=str(log))
    assert result.failed and result.changed
    assert "1 of 2 models" in result["msg"] and "tiny: CUDA out of memory" in result["msg"]
    assert f"Last lines of {log}" in result["msg"] and "OOM" in result["msg"]
    for secret in ("abcdefgh12345", "tok.en", "xf-abcdefghijk", PASSWORD):
        assert secret not in json.dumps(result)
    assert (row(result, "tiny")["state"], row(result, "tiny")["error"]) == ("failed", "CUDA out of memory")
    assert (row(result, "minilm")["state"], row(result, "minilm")["proof"]["ok"]) == ("ready", True)
    del xinference.models.behaviours["tiny"]
    again = apply(xinference, [llm(), embedding()])
    assert again["plan"] == ["+ launch tiny"] and not again.failed


def test_the_cause_of_a_failed_launch_is_shown_and_not_this_collections_own_looks(apply, newest, llm, tmp_path):
    log = tmp_path / "xinference.log"

    def entry(text, after=0, level="ERROR"):
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + after))
        return f"{when}.100Z {level} xinference.core.worker pid:7 role:local address:127.0.0.1:1 node:vm {text}\n"

    looks = entry("[request b] Leave describe_model, error: Model not found in the model list, uid: tiny", 5)
    log.write_text(
        entry("[request a] Leave launch_builtin_model, error: an older one of tiny", -500)
        + entry("[request c] Enter launch_builtin_model, model_uid=tiny-rep0,envs={'HF_TOKEN': 'hf_geheim'}", 1, "INFO")
        + entry("[request c] Leave launch_builtin_model, error: Failed to download, elapsed time: 66 s", 2)
        + "Traceback (most recent call last):\n  File x\nsocket.gaierror: [Errno -2] Name or service not known\n"
        + (looks + "Traceback\n  frame\n" * 30) * 3
    )
    newest.behave("tiny", seconds=0.1, error=" ")
    told = apply(newest, [llm()], log_path=str(log))["msg"]
    assert told.endswith(
        f"Errors of these launches in {log}:\n  socket.gaierror: [Errno -2] Name or service not known\n  Failed to download"
    )


def test_a_launch_that_takes_too_long_is_cancelled(apply, xinference, llm, embedding):
    xinference.behave("tiny", hangs=True)
    result = apply(xinference, [llm(launch_timeout=1), embedding()])
    assert result.failed and "tiny: not ready within 1 s (launch_timeout); the launch was cancelled" in result["msg"]
    assert ("POST", "/v1/models/tiny/cancel") in xinference.requests
    assert not xinference.models.models["tiny"].known, "no half-launched UID stays"
    assert row(result, "minilm")["state"] == "ready"


def test_a_cancel_that_comes_too_early_is_sent_again(apply, newest):
    newest.behave("bge-m3", hangs=True, deaf=0.5)
    newest.models.launch({"model_name": "bge-m3", "model_type": "embedding"})
    result = apply(newest, [{"uid": "bge-m3", "state": "absent"}])
    assert not result.failed and not newest.models.models["bge-m3"].known
    assert newest.requests.count(("POST", "/v1/models/bge-m3/cancel")) > 1


def test_a_model_that_does_not_go_is_told(apply, newest, monkeypatch):
    monkeypatch.setattr(operations, "_GONE_TIMEOUT", 0.2)
    newest.serve("bge-m3", model_type="embedding")
    newest.models.terminate = lambda uid: None
    result = apply(newest, [{"uid": "bge-m3", "state": "absent"}])
    assert result.failed and "bge-m3: 'bge-m3' is still on" in result["msg"] and "was told to end: 200" in result["msg"]


def test_a_model_that_the_server_forgets_fails(apply, newest, llm, monkeypatch):
    monkeypatch.setattr(launch, "_LISTED", 0.3)
    newest.behave("tiny", seconds=0.1, forgets=True, hangs=True)
    result = apply(newest, [llm()])
    assert result.failed and "the server no longer knows it" in result["msg"]


def test_a_launch_that_is_refused_at_once(apply, newest, llm):
    newest.fault("status", verb="POST", path="^/v1/models$", status=503)
    result = apply(newest, [llm()])
    assert result.failed and "launch 'tiny'" in result["msg"] and "503" in result["msg"]


@pytest.mark.parametrize("kind", ["reset", "reset_after"])
def test_a_launch_whose_answer_is_lost_is_looked_for(apply, xinference, llm, kind):
    xinference.fault(kind, verb="POST", path="^/v1/models$")
    result = apply(xinference, [llm()])
    assert not result.failed, result["msg"]
    assert xinference.models.launches == ["tiny"], "launched once, whether or not the first request arrived"


def test_a_server_that_stops_answering_while_models_load(apply, newest, llm, monkeypatch):
    monkeypatch.setattr(launch, "_SILENCE", 0.2)
    monkeypatch.setitem(_session.Session.__init__.__kwdefaults__, "retries", 0)
    newest.behave("tiny", hangs=True)

    def stop():
        while not newest.models.launches:
            time.sleep(0.05)
        time.sleep(0.3)  # until the launch was answered
        newest.fault("reset", times=1000)

    threading.Thread(target=stop, daemon=True).start()
    result = apply(newest, [llm()])
    assert result.failed and "tiny: the server stopped answering" in result["msg"]
    assert result.changed


def test_a_disk_that_is_full_is_named_with_what_mends_it(apply, newest, llm, memory, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_directory.Directory, "write", full)
    monkeypatch.setattr(_disk, "_full", lambda usage: True)
    result = apply(newest, [llm()], remember=memory)
    assert result.failed and f"{memory} cannot be written: No space left on device" in result["msg"]
    assert re.search(r"The file system of \S+ has [\d.]+ of [\d.]+ GiB free[.] Make room there", result["msg"])


@pytest.fixture
def holder(memory):
    """Somebody else who holds the lock; ends when told."""
    text = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(); sys.stdin.read()"
    words = [sys.executable, "-c", text, memory + ".lock"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def test_a_run_that_waits_for_another_one_says_for_whom(apply, newest, llm, memory, holder):
    first = apply(newest, [llm()], remember=memory, wait=0)
    assert (first["pending"], first.changed, newest.requests) == (True, False, [])
    assert f"(process {holder.pid}), which holds {memory}.lock" in first["progress"][0]
    again = apply(newest, [llm()], remember=memory, wait=0, resume=first["resume"])
    assert again["resume"] == first["resume"], "the wait began with the first one"
    holder.stdin.close()
    holder.wait()
    result = apply(newest, [llm()], remember=memory, resume=first["resume"])
    assert not result.failed and not result["pending"] and row(result, "tiny")["state"] == "ready"


def test_a_run_does_not_wait_for_another_one_for_ever(apply, newest, llm, memory, holder, monkeypatch):
    monkeypatch.setattr(locks, "WAIT", 0.3)
    result = apply(newest, [llm()], remember=memory, wait=0, resume={"path": None, "since": time.time() - 1})
    assert (
        result.failed and "declared.json.lock is locked by" in result["msg"] and f"ps -fp {holder.pid}" in result["msg"]
    )


@pytest.mark.parametrize("parallel", [0, -1])
def test_a_run_in_which_nothing_may_start_is_refused(apply, newest, llm, parallel):
    result = apply(newest, [llm()], parallel=parallel)
    assert result.failed and f"parallel (models_parallel) must be at least 1, not {parallel}" in result["msg"]
    assert newest.requests == []
    assert launch.Work(None, [], [], parallel=parallel).parallel == 1, "nor does anybody else wait for ever"


def test_a_replica_that_is_lost_again_and_again_is_not_replaced_for_ever(apply, newest, embedding, monkeypatch):
    apply(newest, [embedding()])
    monkeypatch.setattr(launch, "add_replica", lambda *_args: None)
    result = apply(newest, [embedding(replicas=2, launch_timeout=1)])
    assert (
        result.failed
        and "minilm: its replicas still differ from the declaration after 3 s (launch_timeout" in result["msg"]
    )


def test_a_worker_in_place_is_waited_for(apply):
    with XinferenceServer("4.1.0", auth=False, workers=()) as server:
        result = apply(server, [{"uid": "bge-m3", "type": "embedding"}], ready_timeout=0)
        assert result.failed and "no worker has registered" in result["msg"]
        threading.Timer(0.3, lambda: server.models.workers.append("127.0.0.1:7")).start()
        assert not apply(server, [{"uid": "bge-m3", "type": "embedding"}], ready_timeout=10).failed


def test_a_refusal_of_the_placement_names_the_way_past_it(apply, newest, llm, warned):
    model = llm(engine_options=None, engine="vLLM")
    refused = apply(newest, [model], check=True)
    assert refused.failed and "tiny: vLLM needs a GPU" in refused["msg"]
    assert "set its check_placement: false" in refused["msg"]
    assert not apply(newest, [{**model, "check_placement": False}], check=True).failed
    assert any("tiny: vLLM needs a GPU" in text for text in warned)


def test_no_more_than_the_servers_limit_load_at_once_and_priority_goes_first(apply, newest):
    newest.models.default.seconds = 0.6
    # Together they need more memory than this machine may have.
    small = {"name": "bge-m3", "type": "embedding", "check_placement": False}
    models = [{"uid": f"m{n}", "priority": 100 - n, **small} for n in range(12)]
    result = apply(newest, models)
    assert not result.failed, result["msg"]
    assert newest.models.most_loading == 5
    assert newest.models.launches == [f"m{n}" for n in reversed(range(12))]


# -- the server and the login ----------------------------------------------------------------------------------------


def test_a_server_that_does_not_answer(run_module, llm, tmp_path):
    log = tmp_path / "xinference.log"
    log.write_text("RuntimeError: port in use\n")
    options = {"endpoint": NO_ANSWER, "models": [llm()], "ready_timeout": 0, "log_path": str(log)}
    result = run_module("xinference_models", options)
    assert result.failed
    for text in (NO_ANSWER, "ready_timeout", "Check that the service runs there.", "RuntimeError: port in use"):
        assert text in result["msg"]


def test_what_is_no_xinference_is_told_at_once(run_module, newest, llm):
    result = run_module("xinference_models", {"endpoint": newest.url + "/v1", "models": [llm()], "password": PASSWORD})
    assert result.failed and "must have no path such as /v1" in result["msg"]


def test_a_wrong_password_is_tried_once(apply, llm):
    for version in PROFILES:
        with XinferenceServer(version, auth=True) as server:
            result = apply(server, [llm()], password="wrong-one")
            assert result.failed and "refused the password of 'admin'" in result["msg"]
            assert "wrong-one" not in json.dumps(result)
            assert server.counts["POST"] == 1 and server.accounts.failures == 1


def test_a_missing_password_is_asked_for_before_any_attempt(apply, newest, llm):
    result = apply(newest, [llm()], password=None)
    assert result.failed and "the password of 'admin' is missing" in result["msg"]
    assert newest.counts["POST"] == 0


def test_without_authentication_no_password_file_is_read(apply, llm, tmp_path):
    with XinferenceServer("4.1.0", auth=False) as server:
        assert not apply(server, [llm()], password=None, password_file=str(tmp_path / "none")).failed


def test_a_password_file_is_read(apply, newest, llm, tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    assert not apply(newest, [llm()], password=None, password_file=str(path)).failed


def test_a_server_that_nobody_claimed_is_told(apply, llm):
    with XinferenceServer("4.1.0", claimed=False) as server:
        result = apply(server, [llm()])
        assert result.failed and "no administrator yet" in result["msg"] and "xinference_admin" in result["msg"]


def test_a_banned_address_is_told(apply, newest, llm):
    newest.accounts.banned = True
    result = apply(newest, [llm()])
    assert result.failed and "banned" in result["msg"]


def test_a_user_who_may_not_manage_is_told(apply, newest, llm):
    newest.accounts.add_user("viewer", "viewer-pass", ["models:list"])
    result = apply(newest, [llm()], username="viewer", password="viewer-pass")
    assert result.failed and "'viewer' lacks a permission" in result["msg"]


def test_a_token_that_ends_while_models_load_is_replaced(apply, llm):
    for version in ("2.12.0", "4.1.0"):
        with XinferenceServer(version, auth=True, token_life=2) as server:
            server.behave("tiny", seconds=3)
            result = apply(server, [llm()])
            assert not result.failed, result["msg"]
            assert server.accounts.failures == 0, "no request was sent with a dead token"
            how = "/v1/auth/refresh" if version == "4.1.0" else "/token"
            assert [path for _verb, path in server.requests].count(how) >= (1 if version == "4.1.0" else 2)


# -- proof ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prove", "asked"), [("never", []), ("changed", ["minilm"]), ("always", ["bge-m3", "minilm"])])
def test_which_models_are_proven(apply, newest, embedding, prove, asked):
    newest.serve("bge-m3", model_type="embedding")
    result = apply(newest, [{"uid": "bge-m3", "type": "embedding"}, embedding()], prove=prove)
    assert [m["uid"] for m in result["models"] if m["proof"]] == asked


def test_a_model_that_does_not_answer_fails_the_run(apply, xinference, llm, embedding):
    xinference.behave("tiny", answers=False)
    result = apply(xinference, [llm(), embedding()])
    assert result.failed and result.changed and "tiny: chat proof failed: 500" in result["msg"]
    assert row(result, "tiny")["state"] == "ready" and not row(result, "tiny")["proof"]["ok"]
    assert row(result, "minilm")["proof"]["ok"]


def test_vectors_of_another_length_fail_the_run(apply, newest, embedding):
    newest.behave("minilm", dimensions=768)
    result = apply(newest, [embedding()])
    assert result.failed and "the vector has 768 dimensions, not 384" in result["msg"]


def test_a_new_model_that_the_server_does_not_see_yet_is_waited_for(apply, xinference, embedding):
    xinference.behave("minilm", hidden=0.5)
    assert not apply(xinference, [embedding()]).failed


def test_such_a_wait_ends(apply, newest, embedding):
    newest.behave("minilm", hidden=60)
    result = apply(newest, [embedding()], prove_timeout=1)
    assert result.failed and "minilm: embedding proof failed: 404" in result["msg"]


# -- secrets -------------------------------------------------------------------------------------------------------


def test_environment_variables_are_kept_out_of_the_result(apply, newest, llm):
    envs = {"HF_TOKEN": "hf_abcdefghijkl", "API_KEY": "k1", "CUDA_VISIBLE_DEVICES": "0"}
    result = apply(newest, [llm(envs=envs)])
    text = json.dumps(result)
    assert newest.models.models["tiny"].body["envs"] == envs
    assert "hf_abcdefghijkl" not in text and PASSWORD not in text and '"k1"' not in text
    assert result["requests"]["GET"] > 0 and row(result, "tiny")["size"] == "0_27", "a 0 is not masked everywhere"


# -- slices --------------------------------------------------------------------------------------------------------


def test_a_run_can_be_taken_up_by_a_later_execution(apply, xinference, llm, embedding):
    xinference.behave("tiny", seconds=2)
    models = [llm(), embedding(), {"uid": "gone", "state": "absent"}]
    xinference.serve("gone", model_name="bge-m3", model_type="embedding")
    result, lines = apply(xinference, models, wait=1), []
    first = result
    executions = 1
    while result["pending"]:
        assert not result.failed and result.changed and "models" not in result
        lines += result["progress"]
        result = apply(xinference, models, wait=1, resume=result["resume"])
        executions += 1
    assert executions > 1
    lines += result["progress"]
    assert not result.failed, result["msg"]
    assert (result["plan"], result["diff"], result.changed) == (first["plan"], first["diff"], True)
    assert [m["action"] for m in result["models"]] == ["launched", "launched", "terminated"]
    assert lines[0].startswith("MODEL ") and [line.split()[0] for line in lines[1:3]] == ["tiny", "minilm"]
    assert lines[3] == "gone  terminated" and [line for line in lines if line.startswith("tiny  ready after")]
    assert len(lines) == len(set(lines)), "one line for each change of state"
    assert sum(result["requests"].values()) == sum(xinference.counts.values())


def test_wait_0_only_starts(apply, newest, llm):
    newest.behave("tiny", hangs=True)
    result = apply(newest, [llm()], wait=0)
    assert result["pending"] and result.changed and newest.models.launches == ["tiny"]


def test_the_launch_timeout_counts_across_executions(apply, newest, llm):
    newest.behave("tiny", hangs=True)
    models = [llm(launch_timeout=1)]
    result = apply(newest, models, wait=0)
    time.sleep(1.1)
    result = apply(newest, models, wait=5, resume=result["resume"])
    assert result.failed and "launch_timeout" in result["msg"] and result.changed


def test_the_download_is_shown(apply, newest):
    newest.behave("bge-m3", seconds=1.2, download=16_400_000_000)
    result = apply(newest, [{"uid": "bge-m3", "type": "embedding"}])
    downloading = [line for line in result["progress"] if "downloading" in line]
    assert downloading and "GB)" in downloading[0] and " % (" in downloading[0]
    assert result["progress"][-2].startswith("bge-m3  loading on 127.0.0.1")
    assert result["progress"][-1].startswith("bge-m3  ready after ")


# -- a worker that came later ---------------------------------------------------------------------------------------


def test_definitions_are_registered_again_for_a_worker_that_came_later(apply, newest, embedding):
    model, came = embedding(), {"new_workers": ["10.1.0.2:9998"]}
    assert not apply(newest, [model]).failed
    launched = newest.models.models[model["uid"]].launched
    told = apply(newest, [model], check=True, **came)
    assert told.changed and "10.1.0.2:9998" in json.dumps(told["diff"])
    newest.forget()
    result = apply(newest, [model], **came)
    assert result.changed and not result.failed
    assert [method for method, path in newest.requests if path.startswith("/v1/model_reg")].count("POST") == 1
    # A running model is not affected.
    assert row(result, model["uid"])["action"] == "none" and newest.models.models[model["uid"]].launched == launched
    assert not apply(newest, [model]).changed


def registered(server):
    return [method for method, path in server.requests if path.startswith("/v1/model_reg")].count("POST")


def test_a_worker_that_was_away_is_told_by_the_next_run_that_sees_it(apply, clustered, embedding, memory):
    options = {"remember": memory, "workers": [WORKER]}
    assert not apply(clustered, [embedding()], **options).failed
    clustered.models.workers.append("10.0.0.2:9998")  # by a run that was limited to it
    seen = apply(clustered, [embedding()], check=True, **options)
    assert seen.changed and "10.0.0.2:9998" in json.dumps(seen["diff"])
    clustered.forget()
    told = apply(clustered, [embedding()], **options)
    assert told.changed and not told.failed and registered(clustered) == 1
    assert not apply(clustered, [embedding()], **options).changed
    # One that leaves and comes back missed nothing.
    clustered.leave("10.0.0.2:9998")
    assert not apply(clustered, [embedding()], **options).changed
    clustered.models.workers.append("10.0.0.2:9998")
    assert not apply(clustered, [embedding()], **options).changed


def test_what_a_worker_took_with_it_is_served_elsewhere_by_the_next_run(apply, embedding, memory):
    second, third = "10.0.0.2:9998", "10.0.0.3:9998"
    with XinferenceServer("4.1.0", workers=(WORKER, second)) as server:
        declared = [embedding(replicas=2)]
        assert not apply(server, declared, remember=memory, workers=[WORKER, second]).failed
        model = server.models.models["minilm"]
        model.places[1] = second
        server.leave(second)
        server.models.workers.append(third)
        result = apply(server, declared, remember=memory, workers=[WORKER, third])
        assert not result.failed and "~ scale minilm (replicas 1 -> 2)" in result["plan"]
        assert sorted(model.worker_of(number) for number in model.replicas) == [WORKER, third]
        assert not apply(server, declared, remember=memory, workers=[WORKER, third]).changed


def test_a_server_of_its_own_is_told_nothing_twice(apply, newest, embedding, memory):
    assert not apply(newest, [embedding()], remember=memory).failed
    newest.models.workers[:] = ["127.0.0.1:40001"]  # its port is another one after each start
    for model in newest.models.models.values():
        model.places.clear()
    assert not apply(newest, [embedding()], remember=memory).changed


def test_what_somebody_else_registered_counts_as_told(apply, clustered, embedding, memory):
    assert not apply(clustered, [embedding()]).failed
    clustered.models.autostart.clear()
    options = {"remember": memory, "workers": [WORKER]}
    assert not apply(clustered, [embedding()], **options).changed
    clustered.models.workers.append("10.0.0.2:9998")
    assert apply(clustered, [embedding()], **options).changed


def test_a_definition_that_only_the_supervisor_has_is_registered_all_the_same(apply, newest, embedding):
    register, refused = newest.models.register, []

    def refuses_once(model_type, body, worker=None):
        if not refused:
            refused.append(body["model_name"])
            raise Refused(400, f"Model name conflicts with existing model {body['model_name']}")
        return register(model_type, body, worker)

    newest.models.register = refuses_once
    assert not apply(newest, [embedding()]).failed and refused == ["minilm"]
