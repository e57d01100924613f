# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker of a cluster is drained: against the test server of each release."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest
from servers.xinference import PASSWORD, XinferenceServer, package

from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining import (
    drain,
    leave,
    plan_drain,
    undrain,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import operations

ONE, TWO, THREE = "10.0.0.1:9998", "10.0.0.2:9998", "10.0.0.3:9998"
TRIAL = "modelops-try-10.0.0.1-9998"
EMBEDDING = {"model_name": "bge-m3", "model_type": "embedding", "model_engine": "sentence_transformers"}


@pytest.fixture
def cluster():
    with XinferenceServer("4.1.0", workers=(ONE, TWO, THREE)) as server:
        yield server


@pytest.fixture
def run(run_module, memory):
    def run(server, state="drained", *, worker=ONE, check=False, **options):
        options = {"remember": memory, "password": PASSWORD, "ready_timeout": 3, **options}
        return run_module(
            "xinference_drain", {"endpoint": server.url, "worker": worker, "state": state, **options}, check=check
        )

    return run


@pytest.fixture
def xoscar(monkeypatch):
    """In the environment of a server there is xoscar, which reaches its processes."""

    def reaches(server):
        for name, module in package(server).items():
            monkeypatch.setitem(sys.modules, name, module)

    monkeypatch.setattr(leave, "_QUIET", 0.1)
    monkeypatch.setattr(leave, "_PAUSE", 0.01)
    return reaches


@pytest.fixture
def asked(cluster):
    """Somebody asks all the time; most requests take longer than a worker needs to end."""
    end = threading.Event()

    def ask():
        while not end.wait(0.01):
            cluster.ask("emb", 0.3)

    thread = threading.Thread(target=ask)
    cluster.serve("emb", **EMBEDDING, replica=2)
    cluster.models.models["emb"].places.update({0: ONE, 1: TWO})
    thread.start()
    time.sleep(0.1)
    yield
    end.set()
    thread.join()


def places(server, uid):
    model = server.models.models[uid]
    return sorted(model.worker_of(number) for number in model.replicas)


@pytest.mark.each_core("xinference_drain")
def test_a_replica_is_added_elsewhere_and_the_worker_is_forgotten(cluster, run, memory):
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    result = run(cluster)
    assert result.changed and not result.failed, result
    (where,) = result["models"][0]["places"]
    assert result["plan"] == [f"+ add replica emb (on {where})"]
    assert places(cluster, "emb") == sorted([ONE, where]) and where != ONE
    cluster.leave(ONE)
    assert run(cluster, "left")["plan"] == ["- clear replica emb 0"]
    assert places(cluster, "emb") == [where]
    assert not run(cluster, "left").changed
    assert not run(cluster).changed
    assert _drained(memory) == {ONE: {}}
    cluster.models.workers.append(ONE)
    assert run(cluster, "undrained").changed
    assert not run(cluster, "undrained").changed


def test_a_run_that_broke_before_the_worker_left_adds_nothing_twice(cluster, run):
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    run(cluster)
    again = run(cluster)
    assert not again.changed and again["models"][0]["action"] == "moved"
    assert len(places(cluster, "emb")) == 2


def test_a_run_that_broke_half_way_goes_on(cluster, run):
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    cluster.serve("other", **EMBEDDING, worker_ip=ONE)
    cluster.fault("status", path="/v1/models/other/replicas", status=503)
    broken = run(cluster)
    assert broken.failed and "still serves its models" in broken["msg"] and "other" in broken["msg"]
    again = run(cluster)
    assert not again.failed and [line.split()[3] for line in again["plan"]] == ["other"]
    assert len(places(cluster, "emb")) == len(places(cluster, "other")) == 2


def test_what_does_not_answer_elsewhere_gets_no_requests(cluster, run, monkeypatch):
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    add = drain.Drain._add

    def add_broken(self, move):
        add(self, move)
        cluster.fault("status", path="/v1/embeddings", times=99)

    monkeypatch.setattr(drain.Drain, "_add", add_broken)
    broken = run(cluster)
    assert broken.failed and "the added replica was removed" in broken["msg"], broken
    assert places(cluster, "emb") == [ONE]


def test_a_worker_that_does_not_answer_can_be_drained(cluster, run, warned):
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    cluster.fault("status", path="/v1/embeddings", times=99)
    assert not run(cluster).failed and len(places(cluster, "emb")) == 2
    assert "emb did not answer before" in warned[-1]


@pytest.mark.each_core("xinference_drain")
def test_check_mode_tells_and_sends_nothing(run, memory):
    with XinferenceServer("4.1.0", workers=(ONE, TWO), strict_check=True) as server:
        server.serve("emb", **EMBEDDING, worker_ip=ONE)
        result = run(server, check=True)
        assert result["plan"] == [f"+ add replica emb (on {TWO})"]
        assert not server.violations


def test_an_idle_worker_is_no_change_but_for_the_note(cluster, run):
    cluster.serve("emb", **EMBEDDING, worker_ip=TWO)
    assert run(cluster)["plan"] == []
    assert not run(cluster).changed


def test_the_workers_of_a_batch_do_not_move_to_one_another(cluster, run):
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    cluster.serve("other", **EMBEDDING, worker_ip=TWO)
    for worker in (ONE, TWO):
        assert not run(cluster, worker=worker).failed
    assert THREE in places(cluster, "emb") and places(cluster, "other") == [TWO, THREE]
    # Again, as after a run that broke off.
    assert not run(cluster, worker=ONE).changed and not run(cluster, worker=TWO).changed
    for worker in (ONE, TWO):
        cluster.leave(worker)
        assert not run(cluster, "left", worker=worker).failed
    assert places(cluster, "emb") == places(cluster, "other") == [THREE]


def test_a_replica_on_a_worker_of_the_batch_is_no_other_one(cluster, run):
    cluster.serve("emb", **EMBEDDING, replica=2)
    cluster.models.models["emb"].places.update({0: ONE, 1: TWO})
    assert not run(cluster, worker=ONE).failed
    second = run(cluster, worker=TWO)
    assert not second.failed, second["msg"]
    for worker in (ONE, TWO):
        cluster.leave(worker)
    assert places(cluster, "emb") == [THREE, THREE]


def test_the_last_worker_of_a_batch_stops_with_force_alone(run):
    with XinferenceServer("4.1.0", workers=(ONE, TWO)) as server:
        server.serve("emb", **EMBEDDING, worker_ip=ONE)
        assert not run(server, worker=ONE).failed
        refused = run(server, worker=TWO)
        assert refused.failed and "emb stops: there is no other worker" in refused["msg"]


def test_a_replica_that_lands_on_a_worker_of_the_batch_is_taken_back(cluster, run, monkeypatch):
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    assert not run(cluster, worker=TWO).failed
    place = {"replica_config": {"devices": [{"worker_ip": TWO}]}}
    monkeypatch.setattr(plan_drain, "_place", lambda rows, rest: place)
    result = run(cluster)
    why = f"placed the new replica on {TWO}, which is drained; the added replica was removed"
    assert result.failed and why in result["msg"]
    assert places(cluster, "emb") == [ONE]


def test_a_model_of_the_only_worker_stops_with_force_alone(run):
    with XinferenceServer("4.1.0", workers=(ONE,)) as server:
        server.serve("emb", **EMBEDDING)
        refused = run(server)
        assert refused.failed and not refused.changed
        assert "emb stops: there is no other worker" in refused["msg"] and "xinference_drain_force" in refused["msg"]
        assert run(server, force=True)["plan"] == ["- stop emb (there is no other worker)"]


def test_what_is_declared_for_the_worker_is_not_moved(cluster, run, memory, apply, embedding):
    done = apply(cluster, [embedding(worker=ONE)], remember=memory, workers=[ONE])
    assert not done.failed, done["msg"]
    refused = run(cluster)
    assert refused.failed and "minilm stops: it is declared for this worker" in refused["msg"]
    assert run(cluster, force=True)["models"][0]["action"] == "stop"
    cluster.leave(ONE)
    assert not run(cluster, "left").failed
    assert _drained(memory) == {ONE: {"minilm": 0}}
    # It comes back with the worker.
    assert f"not its worker {ONE}" in run(cluster, "undrained", ready_timeout=1)["msg"]
    cluster.models.workers.append(ONE)
    back = run(cluster, "undrained")
    assert back["plan"] == ["+ launch minilm (it was stopped for the worker)", f"- forget that it is drained {ONE}"]
    assert places(cluster, "minilm") == [ONE] and not _drained(memory)


def test_a_run_that_has_the_worker_forgets_that_it_was_drained(cluster, run, memory, apply, embedding):
    assert not apply(cluster, [embedding(worker=ONE)], remember=memory, workers=[ONE]).failed
    assert not run(cluster, force=True).failed
    cluster.leave(ONE)
    assert not run(cluster, "left").failed
    cluster.models.workers.append(ONE)
    done = apply(cluster, [embedding(worker=ONE)], remember=memory, workers=[ONE])
    assert not done.failed and places(cluster, "minilm") == [ONE] and not _drained(memory)


@pytest.mark.parametrize("prune", [False, True])
def test_a_run_during_the_drain_leaves_out_what_waits_and_forgets_nothing(
    cluster, run, memory, apply, embedding, warned, prune
):
    declared = [embedding(worker=ONE), embedding(uid="other")]
    assert not apply(cluster, declared, remember=memory, workers=[ONE, TWO, THREE]).failed
    assert not run(cluster, force=True).failed
    cluster.leave(ONE)
    assert not run(cluster, "left").failed
    # The run may know of the others, or of none.
    for workers in ([TWO, THREE], []):
        during = apply(cluster, declared, remember=memory, workers=workers, prune=prune, cluster=True)
        assert not during.failed and not during.changed, during
        assert [model["uid"] for model in during["models"]] == ["other"]
        assert f"minilm is skipped because its worker {ONE} is drained" in warned[-1]
    cluster.models.workers.append(ONE)
    back = run(cluster, "undrained")
    assert back["plan"] == ["+ launch minilm (it was stopped for the worker)", f"- forget that it is drained {ONE}"]
    assert places(cluster, "minilm") == [ONE]
    after = apply(cluster, declared, remember=memory, workers=[ONE, TWO, THREE], prune=prune)
    assert not after.failed and not after.changed and len(after["models"]) == 2


def test_what_was_stopped_for_lack_of_room_waits_until_it_is_declared_for_another_worker(
    run, memory, apply, embedding, warned
):
    with XinferenceServer("4.1.0", workers=(ONE,)) as server:
        assert not apply(server, [embedding()], remember=memory, workers=[ONE]).failed
        assert not run(server, force=True).failed
        server.leave(ONE)
        assert not run(server, "left").failed
        server.models.workers.append(TWO)
        during = apply(server, [embedding()], remember=memory, workers=[TWO])
        assert not during.failed and not during.changed and "minilm is skipped" in warned[-1]
        moved = apply(server, [embedding(worker=TWO)], remember=memory, workers=[TWO])
        assert not moved.failed and places(server, "minilm") == [TWO]


def test_what_waits_is_the_same_in_every_slice_of_a_run(cluster, run, memory, apply, embedding):
    assert not apply(cluster, [embedding(worker=ONE)], remember=memory, workers=[ONE]).failed
    assert not run(cluster, force=True).failed
    cluster.leave(ONE)
    assert not run(cluster, "left").failed
    options = {"remember": memory, "workers": [TWO], "wait": 0}
    declared = [embedding(worker=ONE), embedding(uid="other"), {"uid": "gone", "state": "absent"}]
    result = apply(cluster, declared, **options)
    assert not result.failed and result["pending"], result
    while result["pending"]:
        result = apply(cluster, declared, resume=result["resume"], **options)
        assert not result.failed, result
    assert [(row["uid"], row["state"]) for row in result["models"]] == [("other", "ready"), ("gone", "absent")]


def test_what_was_registered_while_the_worker_was_away_is_registered_again_for_it(
    cluster, run, memory, apply, embedding
):
    declared, workers = [embedding(worker=ONE), embedding(uid="other", name="minilm")], [TWO, THREE]
    assert not apply(cluster, declared, remember=memory, workers=[ONE, *workers]).failed
    assert not run(cluster, force=True).failed
    cluster.leave(ONE)
    assert not run(cluster, "left").failed
    declared = [{**model, "definition": {"dimensions": 384, "max_tokens": 128}} for model in declared]
    assert not apply(cluster, declared, remember=memory, workers=workers, replace=True).failed
    cluster.models.workers.append(ONE)
    cluster.forget()
    assert not run(cluster, "undrained").failed
    posts = [path for method, path in cluster.requests if method == "POST" and path.startswith("/v1/model_reg")]
    assert len(posts) == 1 and places(cluster, "minilm") == [ONE]
    assert not apply(cluster, declared, remember=memory, workers=[ONE, *workers]).changed


def test_no_later_launch_names_the_worker(cluster, run, memory, apply, embedding):
    done = apply(cluster, [embedding()], remember=memory)
    assert not done.failed, done["msg"]
    with open(memory) as file:
        known = json.load(file)
    (where,) = places(cluster, "minilm")
    known["launched"]["minilm"]["placed"] = {"worker_ip": where}
    with open(memory, "w") as file:
        json.dump(known, file)
    assert not run(cluster, worker=where).failed
    with open(memory) as file:
        assert json.load(file)["launched"]["minilm"]["placed"] == {}


def _drained(path):
    return _remembered(path)["settings"].get("drained")


def test_without_room_the_other_replicas_go_on_with_a_warning(run, warned):
    with XinferenceServer("4.1.0", workers=(ONE, TWO), cards={ONE: [24], TWO: [24]}) as server:
        llm = {"model_name": "qwen3", "model_engine": "vLLM", "model_size_in_billions": 8, "model_format": "pytorch"}
        spread = [{"devices": [{"worker_ip": one, "gpu_idx": [0]}]} for one in (ONE, TWO)]
        server.serve("qwen", **llm, replica=2, replica_config=spread)
        server.models.held["qwen"] = {one: {"0": 22 * 1024**3} for one in (ONE, TWO)}
        result = run(server)
        assert not result.failed, result["msg"]
        assert result["models"][0]["action"] == "fewer" and result["plan"] == []
        assert "qwen continues with 1 of 2 replicas" in warned[0]


@pytest.mark.parametrize(("release", "why"), [("2.12.0", "cannot add a replica"), ("1.17.1", "cannot add a replica")])
def test_old_releases_launch_it_elsewhere_with_a_gap(run, release, why):
    with XinferenceServer(release, workers=(ONE, TWO), auth=False) as server:
        server.serve("emb", **EMBEDDING, worker_ip=ONE)
        refused = run(server)
        assert refused.failed and why in refused["msg"] and "xinference_drain_gaps" in refused["msg"]
        assert places(server, "emb") == [ONE]
        result = run(server, gaps=True)
        assert not result.failed, result["msg"]
        assert places(server, "emb") == [TWO]
        server.leave(ONE)
        assert not run(server, "left").failed


def test_1_17_forgets_a_model_with_its_worker():
    with XinferenceServer("1.17.1", workers=(ONE, TWO), auth=False) as server:
        server.serve("emb", **EMBEDDING, replica=2)
        server.models.models["emb"].places[1] = TWO
        server.leave(ONE)
        assert "emb" not in server.models.models


def test_a_worker_that_does_not_go_is_named(cluster, run):
    result = run(cluster, "left", ready_timeout=0)
    assert result.failed and ONE in result["msg"] and "Check that its service is stopped" in result["msg"]


def test_a_place_is_taken_out_of_what_is_launched_later():
    assert drain.unpinned({"worker_ip": ONE, "gpu_memory_utilization": 0.4}, ONE) == {"gpu_memory_utilization": 0.4}
    assert drain.unpinned({"worker_ip": TWO}, ONE) is None
    spread = [{"devices": [{"worker_ip": TWO}]}, {"devices": [{"worker_ip": ONE}]}]
    assert drain.unpinned({"replica_config": spread, "n_gpu": "auto"}, ONE) == {"n_gpu": "auto"}


# -- a worker that comes back --------------------------------------------------------------------------------------------


@pytest.fixture
def pair():
    with XinferenceServer("4.1.0", workers=(ONE, TWO)) as server:
        yield server


def spread(server, uid="emb"):
    """A model that somebody launched on both workers."""
    server.serve(uid, **EMBEDDING, replica=2)
    server.models.models[uid].places.update({0: ONE, 1: TWO})


def goes_and_comes(server, run, worker, **options):
    """Both steps of a drain, and the worker is back."""
    done = run(server, worker=worker, returns=True, force=True, **options)
    assert not done.failed, done["msg"]
    server.leave(worker)
    assert not run(server, "left", worker=worker).failed
    server.models.workers.append(worker)
    return done


def tried(server):
    return [uid for uid in server.models.launches if uid.startswith("modelops-try-")]


def test_a_worker_that_comes_back_is_given_what_it_had(pair, run, memory, warned):
    spread(pair)
    for worker in (ONE, TWO):
        done = goes_and_comes(pair, run, worker)
        assert done["plan"] == [] and done["models"][0]["action"] == "fewer" and not warned
        assert done["progress"] == ["emb  continues with 1 of 2 replicas until the worker is back"]
        back = run(pair, "undrained", worker=worker)
        assert back["plan"] == [
            f"+ add replica emb (on {worker}, which had it)",
            f"- forget that it is drained {worker}",
        ]
        assert back["models"][0]["places"] == [worker]
        assert places(pair, "emb") == [ONE, TWO] and not tried(pair) and not warned
        assert not run(pair, "undrained", worker=worker).changed and not _remembered(memory)["had"]


def test_a_declared_model_is_given_back_too_and_the_site_finds_it_as_declared(pair, run, memory, apply, embedding):
    assert not apply(pair, [embedding(replicas=2)], remember=memory, workers=[ONE, TWO]).failed
    model = pair.models.models["minilm"]
    model.places.update({0: ONE, 1: TWO})
    goes_and_comes(pair, run, ONE)
    assert not run(pair, "undrained").failed and places(pair, "minilm") == [ONE, TWO]
    assert not apply(pair, [embedding(replicas=2)], remember=memory, workers=[ONE, TWO]).changed


def test_what_is_declared_with_fewer_replicas_meanwhile_is_not_given_back(pair, run, memory, apply, embedding):
    assert not apply(pair, [embedding(replicas=2)], remember=memory, workers=[ONE, TWO]).failed
    pair.models.models["minilm"].places.update({0: ONE, 1: TWO})
    goes_and_comes(pair, run, ONE)
    assert not apply(pair, [embedding()], remember=memory, workers=[TWO]).failed
    assert not run(pair, "undrained").failed and places(pair, "minilm") == [TWO]


def test_check_mode_tells_what_comes_back_and_sends_nothing(pair, run):
    spread(pair)
    goes_and_comes(pair, run, ONE)
    pair.strict_check = True
    pair.models.workers.remove(ONE)  # it is to be started yet
    told = run(pair, "undrained", check=True)
    assert told["plan"][0] == f"+ add replica emb (on {ONE}, which had it)" and not pair.violations


def test_without_returns_what_goes_is_served_elsewhere_first(cluster, run):
    spread(cluster)
    done = run(cluster)
    assert done["models"][0]["action"] == "add" and len(places(cluster, "emb")) == 3


def test_a_model_that_loads_when_the_worker_is_back_is_waited_for(pair, run, warned):
    spread(pair)
    goes_and_comes(pair, run, ONE)
    pair.kill("emb", seconds=2)  # its process; the worker makes it anew
    assert not run(pair, "undrained").failed and places(pair, "emb") == [ONE, TWO] and not warned


def test_a_model_that_does_not_get_ready_is_told(pair, run, warned):
    spread(pair)
    goes_and_comes(pair, run, ONE)
    pair.kill("emb", seconds=600)
    assert not run(pair, "undrained", launch_timeout=1).failed and not tried(pair)
    assert warned == [
        "emb continues with 1 of 2 replicas: it is not ready",
        f"{ONE} is back, but no model verifies it: emb is not ready",
    ]


def test_what_went_with_a_worker_that_does_not_come_back_is_served_elsewhere(cluster, run, memory):
    spread(cluster)
    goes_and_comes(cluster, run, ONE)
    cluster.models.workers.remove(ONE)  # its upgrade broke off
    assert run(cluster, returns=True)["plan"] == []
    done = run(cluster)
    (where,) = done["models"][0]["places"]
    assert done["plan"] == [f"+ add replica emb (on {where})"] and places(cluster, "emb") == sorted([TWO, where])
    assert not run(cluster, "left").changed and not run(cluster).changed
    cluster.models.workers.append(ONE)
    assert not run(cluster, "undrained").failed and len(places(cluster, "emb")) == 2


def test_what_went_and_has_no_place_elsewhere_is_told(pair, run, memory, apply, embedding, warned):
    declared = embedding(replicas=2, worker=ONE)
    assert not apply(pair, [declared], remember=memory, workers=[ONE, TWO]).failed
    pair.models.models["minilm"].places.update({0: ONE, 1: TWO})
    # As long as it was declared for none.
    known = _remembered(memory)
    known["models"][0]["worker"] = None
    _remember(memory, known)
    goes_and_comes(pair, run, ONE)
    pair.models.workers.remove(ONE)
    known = _remembered(memory)
    known["models"][0]["worker"] = ONE
    _remember(memory, known)
    done = run(pair)
    assert done["plan"] == [] and done["models"][0]["action"] == "fewer"
    assert warned[-1] == "minilm continues with 1 of 2 replicas: it is declared for this worker (worker)"


def test_a_release_that_cannot_add_says_so_and_the_worker_is_tried(run, warned):
    with XinferenceServer("2.12.0", workers=(ONE, TWO), auth=False) as server:
        spread(server)
        goes_and_comes(server, run, ONE)
        assert not warned
        back = run(server, "undrained")
        assert not back.failed and tried(server), back
        assert "emb continues with 1 of 2 replicas: Xinference 2.12.0 cannot add" in warned[-1]


def test_what_does_not_answer_on_the_worker_is_taken_back_and_the_next_run_goes_on(pair, run):
    spread(pair)
    spread(pair, "other")
    goes_and_comes(pair, run, ONE)
    pair.models.broken.add(ONE)
    failed = run(pair, "undrained")
    assert failed.failed and "emb does not serve there: embedding proof failed" in failed["msg"]
    assert "the added replica was removed" in failed["msg"]
    assert places(pair, "emb") == places(pair, "other") == [TWO]
    # Its old release is back: it goes and comes once more.
    pair.models.broken.clear()
    goes_and_comes(pair, run, ONE)
    assert not run(pair, "undrained").failed
    assert places(pair, "emb") == places(pair, "other") == [ONE, TWO]


def test_a_run_that_broke_between_adding_and_proving_is_proven_by_the_next_one(pair, run, monkeypatch):
    spread(pair)
    goes_and_comes(pair, run, ONE)
    add = undrain.Undrain._add

    def add_and_die(self, move):
        add(self, move)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(undrain.Undrain, "_add", add_and_die)
        with pytest.raises(KeyboardInterrupt):
            run(pair, "undrained")
    assert places(pair, "emb") == [ONE, TWO]
    pair.models.broken.add(ONE)
    failed = run(pair, "undrained")
    assert failed.failed and "emb has replicas there and does not answer" in failed["msg"], failed
    pair.models.broken.clear()
    assert not run(pair, "undrained").failed and places(pair, "emb") == [ONE, TWO]


def test_what_is_back_already_is_not_taken_away_for_a_bad_replica_elsewhere(pair, run):
    spread(pair)
    goes_and_comes(pair, run, ONE)
    pair.models.add_replica("emb", {"replica_config": {"devices": [{"worker_ip": ONE}]}})
    pair.models.broken.add(TWO)
    failed = run(pair, "undrained")
    assert failed.failed and "emb has replicas there and does not answer" in failed["msg"]
    assert places(pair, "emb") == [ONE, TWO]


def test_of_two_replicas_of_which_one_does_not_come_up_none_stays(cluster, run):
    cluster.serve("emb", **EMBEDDING, replica=2, worker_ip=ONE)
    add = cluster.models.begin_replica

    def once(uid, body=None):
        cluster.fault("status", path="/v1/models/emb/replicas", status=503)
        return add(uid, body)

    cluster.models.begin_replica = once
    failed = run(cluster)
    assert failed.failed and "the added replica was removed" in failed["msg"], failed
    assert places(cluster, "emb") == [ONE, ONE]
    cluster.models.begin_replica = add
    assert not run(cluster).failed and len(places(cluster, "emb")) == 4


def test_a_model_with_all_its_replicas_there_moves_and_the_worker_is_tried(pair, run, memory, warned):
    pair.serve("emb", **EMBEDDING, worker_ip=ONE)
    llm = {
        "model_name": "qwen3",
        "model_engine": "llama.cpp",
        "model_size_in_billions": "0_6",
        "model_format": "ggufv2",
    }
    pair.serve("llm", **llm, worker_ip=ONE)
    done = goes_and_comes(pair, run, ONE)
    assert {row["uid"]: row["action"] for row in done["models"]} == {"emb": "add", "llm": "add"}
    back = run(pair, "undrained")
    assert back["plan"][0] == f"+ try emb (on {ONE} under a temporary UID, and terminate it)"
    assert "emb  answered on 10.0.0.1:9998 under another UID, terminated" in back["progress"][-1]
    assert tried(pair) == ["modelops-try-10.0.0.1-9998"] and set(pair.models.models) == {"emb", "llm"}
    assert places(pair, "emb") == places(pair, "llm") == [TWO]
    assert not warned and "modelops-try" not in json.dumps(_remembered(memory)) and not pair.models.autostart
    assert not run(pair, "undrained").changed and len(tried(pair)) == 1


def test_a_worker_on_which_nothing_answers_fails_and_nobody_noticed(pair, run):
    pair.serve("emb", **EMBEDDING, worker_ip=ONE)
    goes_and_comes(pair, run, ONE)
    pair.models.broken.add(ONE)
    failed = run(pair, "undrained")
    assert failed.failed and f"{ONE} is back at" in failed["msg"] and "embedding proof failed" in failed["msg"]
    assert set(pair.models.models) == {"emb"} and places(pair, "emb") == [TWO]
    # With its old release.
    pair.models.broken.clear()
    assert not run(pair, "undrained").failed and len(tried(pair)) == 2


def test_a_trial_that_does_not_load_fails(pair, run):
    pair.serve("emb", **EMBEDDING, worker_ip=ONE)
    goes_and_comes(pair, run, ONE)
    pair.behave("modelops-try-10.0.0.1-9998", error="no such engine", once=True)
    failed = run(pair, "undrained")
    assert failed.failed and "no such engine" in failed["msg"], failed


def test_a_trial_that_a_broken_run_left_is_hidden_and_ended_by_the_next(pair, run, memory, apply, embedding):
    assert not apply(pair, [embedding(worker=TWO)], remember=memory, workers=[ONE, TWO]).failed
    pair.serve(TRIAL, **EMBEDDING, worker_ip=ONE)
    assert run(pair, check=True)["models"] == [] and TRIAL in pair.models.models
    assert run(pair)["models"] == [] and set(pair.models.models) == {"minilm"}


def test_a_trial_that_a_broken_run_left_is_ended_by_a_run_of_the_site(pair, memory, apply, embedding):
    options = {"remember": memory, "workers": [ONE, TWO], "prune": True}
    assert not apply(pair, [embedding(worker=TWO)], **options).failed
    pair.serve(TRIAL, **EMBEDDING, worker_ip=ONE)
    # One that does not know whether a drain is at work leaves it.
    assert not apply(pair, [embedding(worker=TWO)], workers=[ONE, TWO]).changed and TRIAL in pair.models.models
    told = apply(pair, [embedding(worker=TWO)], check=True, **options)
    assert told["plan"] == [f"- terminate {TRIAL} (left by an interrupted drain)"] and TRIAL in pair.models.models
    done = apply(pair, [embedding(worker=TWO)], **options)
    assert done.changed and done["plan"] == told["plan"] and [row["uid"] for row in done["models"]] == ["minilm"]
    assert set(pair.models.models) == {"minilm"} and not apply(pair, [embedding(worker=TWO)], **options).changed


def test_a_trial_that_failed_and_stays_listed_is_no_change(pair, memory, apply, embedding):
    assert not apply(pair, [embedding()], remember=memory).failed
    pair.behave(TRIAL, error="no such engine")
    pair.models.launch({"model_uid": TRIAL, **EMBEDDING})
    pair.models.models[TRIAL].known = False
    assert not apply(pair, [embedding()], remember=memory).changed


def test_a_trial_that_does_not_end_hides_no_reason(pair, run, monkeypatch):
    pair.serve("emb", **EMBEDDING, worker_ip=ONE)
    goes_and_comes(pair, run, ONE)
    pair.models.broken.add(ONE)
    monkeypatch.setattr(operations, "_GONE_TIMEOUT", 0)
    with monkeypatch.context() as patch:
        patch.setattr(pair.models, "terminate", lambda uid: {})
        failed = run(pair, "undrained")
    assert failed.failed and "embedding proof failed" in failed["msg"] and "It may still run" in failed["msg"]
    assert TRIAL in pair.models.models
    monkeypatch.undo()
    pair.models.broken.clear()
    assert not run(pair, "undrained").failed and set(pair.models.models) == {"emb"}


def test_a_worker_that_had_nothing_is_not_tried(pair, run, warned):
    pair.serve("emb", **EMBEDDING, worker_ip=TWO)
    goes_and_comes(pair, run, ONE)
    pair.forget()
    assert run(pair, "undrained")["plan"] == [f"- forget that it is drained {ONE}"]
    assert not pair.requests and not warned


def test_a_worker_without_room_for_a_trial_is_told(run, warned):
    with XinferenceServer("4.1.0", workers=(ONE, TWO), cards={ONE: [24], TWO: [24]}) as server:
        place = [{"devices": [{"worker_ip": ONE, "gpu_idx": [0]}]}]
        llm = {"model_name": "qwen3", "model_engine": "vLLM", "model_size_in_billions": 8, "model_format": "pytorch"}
        server.serve("qwen", **llm, replica_config=place)
        goes_and_comes(server, run, ONE)
        server.models.cards[ONE] = [2]
        back = run(server, "undrained")
        assert not back.failed and not tried(server), back
        assert "no model verifies it: qwen has no room there" in warned[-1]


def test_a_drain_after_a_failed_one_goes_by_what_the_model_had(cluster, run, memory):
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    cluster.serve("other", **EMBEDDING, worker_ip=ONE)
    for _again in range(3):
        cluster.fault("status", path="/v1/models/other/replicas", status=503)
        assert run(cluster).failed
        # The worker was not stopped, and is to be used again (upgrade_return.yml).
        assert not run(cluster, "undrained").failed and not _drained(memory)
        assert len(places(cluster, "emb")) == 2 and places(cluster, "other") == [ONE] and not tried(cluster)
    # Added replicas also count on a worker that is drained afterwards.
    (added,) = set(places(cluster, "emb")) - {ONE}
    assert run(cluster, worker=added)["models"][0]["action"] == "moved"
    assert not run(cluster, "undrained", worker=added).failed
    assert not run(cluster).failed
    cluster.leave(ONE)
    assert not run(cluster, "left").failed
    assert places(cluster, "emb") == [added] and len(places(cluster, "other")) == 1


def test_a_declared_model_never_gets_more_replicas_than_declared(cluster, run, memory, apply, embedding):
    assert not apply(cluster, [embedding()], remember=memory).failed
    (where,) = places(cluster, "minilm")
    for _again in range(2):
        assert not run(cluster, worker=where).failed
        assert not run(cluster, "undrained", worker=where).failed
        assert len(places(cluster, "minilm")) == 2


def test_a_note_of_an_earlier_release_is_read(cluster, run, memory, apply, embedding):
    assert not apply(cluster, [embedding(worker=ONE)], remember=memory, workers=[ONE]).failed
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    assert not run(cluster, force=True).failed
    cluster.leave(ONE)
    assert not run(cluster, "left").failed
    known = _remembered(memory)
    del known["had"]
    with open(memory, "w") as file:
        json.dump(known, file)
    cluster.models.workers.append(ONE)
    assert run(cluster, "undrained")["plan"] == [
        "+ launch minilm (it was stopped for the worker)",
        f"- forget that it is drained {ONE}",
    ]
    assert places(cluster, "minilm") == [ONE]


def test_the_workers_of_a_batch_come_back_with_what_there_was(cluster, run):
    spread(cluster)
    for worker in (ONE, TWO):
        assert not run(cluster, worker=worker, returns=True).failed
    # The second one found no other replica that stays.
    assert places(cluster, "emb") == [ONE, TWO, THREE]
    for worker in (ONE, TWO):
        cluster.leave(worker)
        assert not run(cluster, "left", worker=worker).failed
    cluster.models.workers += [ONE, TWO]
    for worker in (ONE, TWO):
        assert not run(cluster, "undrained", worker=worker).failed
    assert places(cluster, "emb") == [ONE, THREE] and tried(cluster) == ["modelops-try-10.0.0.2-9998"]


def _remember(path, known):
    with open(path, "w") as file:
        json.dump(known, file)


def _remembered(path):
    with open(path) as file:
        return json.load(file)


def test_a_worker_that_leaves_answers_what_it_was_asked(cluster, run, xoscar, asked, warned):
    xoscar(cluster)
    run(cluster, returns=True)
    result = run(cluster, "leaving")
    assert (
        not result.failed
        and not result.changed
        and result["progress"][0].startswith("emb-rep0  no open requests after")
    )
    assert places(cluster, "emb") == [TWO]
    cluster.leave(ONE)
    assert cluster.models.cut == 0 and not warned
    assert run(cluster, "left")["plan"] == []
    cluster.models.workers.append(ONE)
    assert run(cluster, "undrained")["plan"][0] == f"+ add replica emb (on {ONE}, which had it)"
    assert places(cluster, "emb") == [ONE, TWO]


def test_one_that_leaves_at_once_does_not(cluster, run, asked):
    """The behavior of the real server, and the reason for this step."""
    run(cluster, returns=True)
    cluster.leave(ONE)
    assert cluster.models.cut


def test_requests_that_take_too_long_are_named(cluster, run, xoscar, warned):
    xoscar(cluster)
    cluster.serve("emb", **EMBEDDING, replica=2)
    cluster.models.models["emb"].places.update({0: ONE, 1: TWO})
    cluster.ask("emb", 60)
    run(cluster, returns=True)
    assert not run(cluster, "leaving", requests_timeout=1).failed
    assert f"1 requests of {ONE} are still open after 1 s" in warned[-1]


def test_the_last_replica_of_a_model_is_not_taken_out(cluster, run, xoscar):
    xoscar(cluster)
    cluster.serve("emb", **EMBEDDING, worker_ip=ONE)
    cluster.serve("other", **EMBEDDING, replica=2)
    cluster.models.models["other"].places.update({0: ONE, 1: TWO})
    for worker in (ONE, TWO):  # of a batch: neither counts on the other
        run(cluster, worker=worker, force=True, returns=True)
    cluster.models.models["emb"].removed_replicas.update(set(cluster.models.models["emb"].replicas) - {0})
    cluster.models.models["other"].removed_replicas.update(set(cluster.models.models["other"].replicas) - {0, 1})
    for worker in (ONE, TWO):
        assert not run(cluster, "leaving", worker=worker).failed
    assert places(cluster, "emb") == [ONE] and places(cluster, "other") == [ONE, TWO]


def test_a_drain_that_broke_off_between_is_not_undone_half(cluster, run, xoscar):
    xoscar(cluster)
    cluster.serve("emb", **EMBEDDING, replica=2)
    cluster.models.models["emb"].places.update({0: ONE, 1: TWO})
    run(cluster, returns=True)
    run(cluster, "leaving")
    broken = run(cluster, "undrained")
    assert broken.failed and "gets no more requests for emb-rep0: its drain was interrupted" in broken["msg"]
    # Again, it waits for the same.
    cluster.models.models["emb"].under_way[0] = [time.time() + 0.5]
    begun = time.monotonic()
    assert (
        not run(cluster, returns=True).failed and run(cluster, "leaving")["progress"] and time.monotonic() - begun > 0.5
    )
    cluster.leave(ONE)
    run(cluster, "left")
    cluster.models.workers.append(ONE)
    assert not run(cluster, "undrained").failed
    assert places(cluster, "emb") == [ONE, TWO]


@pytest.mark.parametrize("there", [True, False])
def test_a_worker_ends_without_that_too(cluster, run, xoscar, monkeypatch, warned, there):
    cluster.serve("emb", **EMBEDDING, replica=2)
    cluster.models.models["emb"].places.update({0: ONE, 1: TWO})
    monkeypatch.setitem(sys.modules, "xoscar", None)
    if not there:
        cluster.leave(ONE)
    assert not run(cluster, "leaving").failed
    assert [f"requests of {ONE} may fail when it stops" in text for text in warned] == [True] * there
    assert places(cluster, "emb") == [ONE, TWO] if there else [TWO]


def test_check_mode_and_older_releases_take_nothing_out(run, xoscar):
    for release, check in (("4.1.0", True), ("2.12.0", False)):
        with XinferenceServer(release, workers=(ONE, TWO)) as server:
            xoscar(server)
            server.serve("emb", **EMBEDDING, replica=2)
            server.models.models["emb"].places.update({0: ONE, 1: TWO})
            assert not run(server, "leaving", check=check).failed
            assert places(server, "emb") == [ONE, TWO]
