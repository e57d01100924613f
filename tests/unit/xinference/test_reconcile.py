# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler against a server, and as the program that is installed: one file, without Ansible."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import types
import venv
import zipfile
from pathlib import Path

import attacker
import pytest
from servers.xinference import PASSWORD, XinferenceServer
from servers.xinference.models import Refused

from ansible_collections.modelops.inference.plugins.module_utils import _json
from ansible_collections.modelops.inference.plugins.module_utils._session import Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record, Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import (
    actions,
    login,
    program,
    reconcile,
    repairs,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import state as kept_state
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import status as told_status
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import turn as one_turn
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.actions import Repair
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.options import Options
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.state import (
    ReconcilerState,
    load_state,
    paused,
    save_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.status import (
    metrics as metrics_of,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.status import shown, state_line

NAME = "ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.reconcile"
SCOPES = ["models:list", "models:read", "models:write", "models:register"]
OWN_PASSWORD = "reconciler-pass-1"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(repairs, "SETTLE", 0.1)
    monkeypatch.setattr(repairs, "BACKOFF", 0.4)
    monkeypatch.setattr(repairs, "LISTED", 1.0)
    monkeypatch.setattr(one_turn, "_LOOK", 0.05)
    monkeypatch.setattr(reconcile, "_WATCH", 0.05)
    monkeypatch.setattr(one_turn, "_WORKERS", 0.5)


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "reconciler"
    path.mkdir()
    return path


@pytest.fixture
def server():
    with XinferenceServer("4.1.0") as running:
        running.accounts.add_user("reconciler", OWN_PASSWORD, SCOPES)
        yield running


@pytest.fixture
def declare(directory, apply, server, llm, embedding):
    """Has the module launch models and remember them; returns their UIDs."""

    def run(*models, **options):
        models = list(models) or [llm(), embedding()]
        result = apply(server, models, remember=str(directory / "declared.json"), prove="never", **options)
        assert not result.failed, result["msg"]
        server.forget()
        return [model["uid"] for model in models]

    return run


@pytest.fixture
def run(directory, server):
    """``run()`` -> exit status of one turn; the password is the reconciler's own."""
    password = directory / "password"
    password.write_text(OWN_PASSWORD + "\n")

    def turn(*more, endpoint=None):
        command = ["--directory", str(directory), "run", "--endpoint", endpoint or server.url, "--release", "4.1.0"]
        return reconcile.main([*command, "--password-file", str(password), "--ready-timeout", "1", *more])

    return turn


@pytest.fixture
def status(directory):
    return lambda: json.loads((directory / "status.json").read_text())


@pytest.fixture
def later(server, monkeypatch):
    """``later(seconds)``: so much later, for the reconciler and its server, without waiting. Pauses are as long as for users."""
    monkeypatch.setattr(repairs, "BACKOFF", 30.0)
    ahead = 0.0

    def move(seconds):
        nonlocal ahead
        ahead += seconds
        server._started -= seconds

    clock = types.SimpleNamespace(**{**vars(time), "time": lambda: time.time() + ahead})
    for module in (actions, kept_state, login, one_turn, reconcile, told_status):
        monkeypatch.setattr(module, "time", clock)
    return move


def restart(server):
    """The server forgets its models, as at a restart."""
    server.models.models.clear()
    server.models.launches.clear()
    server._started = time.time() + 100  # further than the tolerance, whatever the time between two tests


def test_files_of_another_user_that_root_reads_and_writes(tmp_path, capsys):
    """An operator pauses, resumes and asks for the status as root, while the service's user swaps the files."""
    directory = tmp_path / "reconciler"
    directory.mkdir()
    settings = Options(str(directory))
    other = attacker.secret(tmp_path / "outside")
    other.write_text(json.dumps({"refused": {"why": attacker.SECRET}, "models": {}}))
    before = other.read_text()
    (directory / "state.json").write_text("{}")
    (directory / "paused.json").write_text("{}")
    attacker.owns(directory)
    with attacker.swaps(directory / "state.json", other), attacker.swaps(directory / "paused.json", other):
        for _number in attacker.times(0.9):
            assert reconcile.pause(settings, 60, "") == 0
            assert attacker.SECRET not in str(load_state(settings))
            assert reconcile.resume(settings) == 0
    assert other.read_text() == before and stat.S_IMODE(other.stat().st_mode) == 0o600
    save_state(settings, ReconcilerState())
    about = (directory / "state.json").lstat()
    assert (stat.S_IFMT(about.st_mode), about.st_uid) == (stat.S_IFREG, directory.stat().st_uid)


def test_nothing_to_do_where_nothing_was_declared(run, status, server):
    assert run() == 0
    assert status()["result"] == "nothing is declared" and server.requests == []


def test_what_runs_is_left_alone_for_a_constant_number_of_requests(declare, run, status, server):
    declare()
    assert run() == 0
    assert status()["result"] == "as declared"
    assert {row["state"] for row in status()["models"].values()} == {"ready"}
    assert server.requests == [
        ("GET", "/status"),
        ("GET", "/v1/cluster/auth"),
        ("POST", "/token"),
        ("GET", "/v1/models/instances"),
        ("GET", "/v1/models"),
    ]


def test_after_a_restart_the_models_come_back_under_the_same_uids(declare, run, status, server, directory, capsys):
    uids = declare()
    run()
    bodies = {uid: dict(server.models.models[uid].body) for uid in uids}
    restart(server)
    assert run() == 0
    assert {uid: server.models.models[uid].body for uid in uids} == bodies
    assert server.models.launches == uids
    assert [row["launches"] for row in status()["models"].values()] == [1, 1]
    assert "minilm  loading (launch 1)" in capsys.readouterr().out
    # The next run of the module knows them as its own.
    launched = Store(str(directory / "declared.json")).load().launched
    assert launched["tiny"]["created"] == int(server.models.models["tiny"].launched)


def test_what_belongs_on_a_drained_worker_waits_for_it(declare, run, server, status, directory, embedding, llm):
    (address,) = server.models.workers
    declare(llm(), embedding(worker=address))
    record = Record(Store(str(directory / "declared.json")))
    record.drain(address, {"tiny": 0}, {})
    restart(server)
    assert run() == 0 and not server.models.models and not status()["models"]
    record.undrain(address)
    assert run() in (0, 3) and set(server.models.models) == {"tiny", "minilm"}


OTHER = "127.0.0.2:51955"
ADDED = ("POST", "/v1/models/minilm/replicas")


@pytest.fixture
def spread(declare, run, server, embedding):
    """``spread()``: minilm has a replica on each of two workers; returns it."""

    def make(**options):
        server.models.workers.append(OTHER)
        declare(embedding(replicas=2, **options))
        model = server.models.models["minilm"]
        model.places[1] = OTHER
        assert run() == 0
        server.forget()
        return model

    return make


@pytest.fixture
def lose(spread, run, server, later):
    """``lose()``: the other worker is gone for as long as one takes to come back."""

    def gone(*more, **options):
        model = spread(**options)
        server.models.leave(OTHER)
        run(*more)
        later(repairs.RETURNS)
        return model

    return gone


def row_of(status):
    return status()["models"]["minilm"]


@pytest.mark.parametrize("seconds", [20, 600])
def test_a_lost_worker_has_the_configured_time_to_come_back(spread, run, server, later, seconds):
    spread()
    server.models.leave(OTHER)
    run("--return-timeout", str(seconds))
    later(seconds - 10)
    run("--return-timeout", str(seconds))
    assert server.changes() == []
    later(10)
    run("--return-timeout", str(seconds))
    assert server.changes() == [ADDED]


def test_a_replica_that_went_with_its_worker_is_restored(spread, run, server, status, directory, later, capsys):
    model = spread()
    server.models.leave(OTHER)
    capsys.readouterr()
    assert run() == 3 and server.changes() == []
    assert capsys.readouterr().out.splitlines()[0].endswith("minilm  fewer replicas: 1 of 2")
    row = row_of(status)
    assert (row["state"], row["replicas"], row["differs"]) == ("fewer replicas", {"wanted": 2, "ready": 1}, [])
    metrics = (directory / "metrics.prom").read_text().replace('{uid="minilm"}', "").splitlines()
    for line in ("model_ready 1", "model_replicas_wanted 2", "model_replicas_ready 1", "exit_status 3"):
        assert f"modelops_reconcile_{line}" in metrics
    assert reconcile.main(["--directory", str(directory), "status"]) == 3
    assert "minilm  fewer replicas for 0 s, 1 of 2 replicas serve" in capsys.readouterr().out
    later(repairs.RETURNS - 10)
    assert run() == 3 and server.changes() == [], "its worker may be about to come back"
    later(10)
    run()
    assert server.changes() == [ADDED]
    assert len(model.replicas) == 2 and not model.gone
    assert "another one loads (launch 1)" in capsys.readouterr().out
    assert run() == 0
    row = row_of(status)
    assert (row["state"], row["replicas"], row["launches"]) == ("ready", {"wanted": 2, "ready": 2}, 1)
    assert len(server.changes()) == 1


def test_a_worker_that_comes_back_in_time_brings_its_own(lose, run, server):
    model = lose()
    server.models.workers.append(OTHER)
    model.gone.clear()
    assert run() == 0 and server.changes() == []


def test_a_worker_that_is_back_is_given_the_time_of_a_launch_for_what_it_had(lose, run, server, later):
    """It is registered before it loads, and lists what it had when all of it has loaded."""
    model = lose()
    server.models.workers.append(OTHER)
    for _minute in range(5):
        assert run() == 3 and server.changes() == []
        later(60)
    model.gone.clear()
    assert run() == 0 and server.changes() == []


def test_what_a_person_took_away_is_reported(spread, run, server, status, later):
    model = spread()
    server.models.remove_replica("minilm", 1)
    for _turn in range(2):
        assert run() == 0 and server.changes() == []
        later(repairs.RETURNS)
    assert (row_of(status)["differs"], model.replicas) == (["replicas 1 -> 2"], [0])


def test_nothing_is_added_beside_what_comes(lose, run, server, later):
    model = lose()
    model.extra_replicas, model.adding[2] = 1, time.time() + 10_000
    for _turn in range(2):
        assert run() == 3 and server.changes() == []
        later(repairs.RETURNS)


def test_all_that_went_with_a_worker_is_restored_without_another_pause(declare, run, server, status, later, embedding):
    server.models.workers.append(OTHER)
    declare(embedding(replicas=4))
    model = server.models.models["minilm"]
    model.places.update(dict.fromkeys((1, 2, 3), OTHER))
    assert run() == 0
    server.models.leave(OTHER)
    run("--attempts", "1")
    later(repairs.RETURNS)
    for _replica in range(3):
        assert run("--attempts", "1") == 3
    assert run("--attempts", "1") == 0
    assert (len(model.replicas), server.changes().count(ADDED)) == (4, 3)


def test_a_model_that_gave_up_on_a_replica_is_launched_when_the_others_end(lose, run, server, status, later):
    lose()
    server.behave("minilm", full=True)
    run("--attempts", "1")
    assert run("--attempts", "1") == 5 and row_of(status)["serves"]
    server.behave("minilm")
    del server.models.models["minilm"]
    run("--attempts", "1")
    assert not row_of(status)["serves"] or "minilm" in server.models.models
    later(repairs.SETTLE)
    run("--attempts", "1")
    assert "minilm" in server.models.models and run("--attempts", "1") in (0, 3)


def test_a_lost_replica_that_was_added_does_not_keep_its_number(lose, run, server):
    model = lose()
    model.labelled.add(1)
    run()
    assert server.changes() == [("DELETE", "/v1/models/minilm/replicas/1"), ADDED]
    assert len(model.replicas) == 2 and run() == 0


def test_where_no_worker_has_room_it_pauses_and_gives_up_and_the_rest_serves(
    lose, run, server, status, directory, later
):
    lose()
    server.behave("minilm", full=True)
    assert run("--attempts", "2") == 3 and run("--attempts", "2") == 3
    assert server.changes() == [ADDED], "it is not asked for before its time"
    row = row_of(status)
    assert (row["state"], row["serves"]) == ("waiting", True)
    assert row["error"].startswith("another replica: ") and "No worker has capacity" in row["error"]
    later(40)
    assert run("--attempts", "2") == 5
    later(10_000)
    assert run("--attempts", "2") == 5 and len(server.changes()) == 2
    row = row_of(status)
    assert (row["state"], row["serves"], row["replicas"]["ready"]) == ("gave up", True, 1)
    server.behave("minilm")
    assert reconcile.main(["--directory", str(directory), "resume"]) == 0
    run()
    later(repairs.RETURNS)
    run()
    assert run() == 0 and row_of(status)["replicas"]["ready"] == 2


def test_a_replica_that_takes_long_is_not_waited_for_nor_asked_for_twice(lose, run, server, status, monkeypatch):
    monkeypatch.setattr(actions, "_ADDED", 0.2)
    lose()
    server.behave("minilm", added=3)
    assert run() == 3
    assert run() == 3 and row_of(status)["serves"]
    assert server.changes() == [ADDED]
    time.sleep(3)
    assert run() == 0 and len(server.changes()) == 1


def test_a_replica_that_does_not_come_up_is_a_failure(lose, run, server, status, monkeypatch):
    monkeypatch.setattr(actions, "_ADDED", 0.1)
    monkeypatch.setattr(repairs, "LISTED", 0.5)
    lose()
    server.behave("minilm", added=0.3, error="CUDA out of memory")
    run()
    time.sleep(0.5)
    assert run() == 3 and len(server.changes()) == 1
    assert (row_of(status)["state"], row_of(status)["attempts"]) == ("waiting", 1)
    assert row_of(status)["error"] == "another replica did not start; see the server's log"


@pytest.mark.parametrize("why", ["before 3.2", "spread", "otherwise different"])
def test_replicas_that_cannot_be_added_are_only_reported(lose, run, server, status, why):
    more = ("--release", "3.1.0") if why == "before 3.2" else ()
    model = lose(*more, **({"n_worker": 2} if why == "spread" else {}))
    if why == "otherwise different":
        model.body["model_engine"] = "vllm"
    assert run(*more) == 0 and server.changes() == []
    assert row_of(status)["state"] == "ready" and "replicas 1 -> 2" in row_of(status)["differs"]


def test_what_a_drained_worker_had_waits_for_it(spread, run, server, status, directory, later):
    model = spread()
    record = Record(Store(str(directory / "declared.json")))
    server.models.leave(OTHER)
    had = {"minilm": {"here": 1, "of": 2, "created": int(model.launched)}}
    record.drain(OTHER, {}, had, left=True)
    run()
    later(repairs.RETURNS)
    assert run() == 0 and server.changes() == []
    assert row_of(status)["differs"] == ["replicas 1 -> 2"]
    # A person added it elsewhere. What goes from now on is none of the drained worker's.
    third = "127.0.0.3:51955"
    server.models.workers.append(third)
    server.models.add_replica("minilm", {"replica_config": {"devices": [{"worker_ip": third}]}})
    assert run() == 0
    server.models.leave(third)
    run()
    later(repairs.RETURNS)
    run()
    assert ADDED in server.changes() and run() == 0


def test_nothing_is_added_while_a_drained_worker_may_get_it(lose, run, server, status, directory):
    lose()
    server.models.workers.append(OTHER)
    record = Record(Store(str(directory / "declared.json")))
    record.drain(OTHER, {}, {})
    assert run() == 0 and server.changes() == []
    assert row_of(status)["differs"] == ["replicas 1 -> 2"]


def test_a_replica_goes_where_the_declaration_says(lose, run, server):
    model = lose(worker=server.models.workers[0])
    server.models.workers.insert(0, "127.0.0.0:51955")
    run()
    assert model.worker_of(1) == model.worker == server.models.workers[1] and run() == 0


def test_a_definition_that_vanished_is_registered_again(declare, run, server):
    declare()
    restart(server)
    server.models.definitions["LLM"].clear()
    assert run() == 0
    assert "tiny" in server.models.definitions["LLM"]


def test_a_worker_that_came_later_gets_the_definition_before_the_model_is_launched(declare, run, server, directory):
    (address,) = server.models.workers
    declare(workers=[address])
    server.models.workers.append("127.0.0.2:9998")
    restart(server)
    run()
    posts = [path for method, path in server.requests if method == "POST" and path.startswith("/v1/model_reg")]
    assert len(posts) == 2 and set(server.models.models) == {"tiny", "minilm"}
    assert Store(str(directory / "declared.json")).load().told["LLM tiny"] == [address, "127.0.0.2:9998"]


def test_a_model_that_the_server_brings_back_itself_is_waited_for(declare, run, server):
    declare()
    restart(server)
    server.behave("tiny", seconds=0.6)
    server.models.launch({"model_uid": "tiny", "model_name": "tiny", "model_engine": "llama.cpp"})
    assert run() == 0
    assert server.models.launches == ["tiny", "minilm"]


def test_a_launch_that_is_refused_as_a_duplicate_is_no_failure(declare, run, server, status, monkeypatch):
    """Somebody launches between the look and the launch."""
    declare()
    restart(server)
    look = Repair.launch

    def overtaken(self, *args):
        model = self.model
        if model.uid == "tiny" and "tiny" not in server.models.models:
            server.models.launch(dict(model.body))
        return look(self, *args)

    monkeypatch.setattr(Repair, "launch", overtaken)
    assert run() == 0
    assert status()["models"]["tiny"]["attempts"] == 0


def test_a_launch_whose_answer_is_lost_is_not_sent_twice(declare, run, server):
    declare()
    restart(server)
    server.fault("reset_after", verb="POST", path="^/v1/models$")
    assert run() == 0
    assert sorted(server.models.launches) == ["minilm", "tiny"]


def test_what_runs_otherwise_is_reported_and_left_alone(declare, run, server, status, capsys):
    declare()
    server.models.models["tiny"].body["quantization"] = "Q8_0"
    server.models.definitions["LLM"]["tiny"]["model_specs"][0]["quantization"] = "Q8_0"
    server.models.models["minilm"].extra_replicas = 1
    assert run() == 0
    assert status()["models"]["minilm"]["differs"] == ["replicas 2 -> 1"]
    assert server.changes() == []
    said = capsys.readouterr().out.splitlines()
    assert any(line.endswith("minilm  ready, runs otherwise than declared: replicas 2 -> 1") for line in said)
    assert said[-1].endswith("as declared, but for what differs")


def test_a_model_that_cannot_be_launched_is_tried_again_later_and_given_up(declare, run, server, status, later, capsys):
    declare()
    restart(server)
    server.behave("tiny", seconds=0.05, error="CUDA out of memory")
    assert run("--attempts", "2") == 3
    assert status()["models"]["tiny"]["state"] == "waiting" and status()["models"]["minilm"]["state"] == "ready"
    launches = len(server.models.launches)
    assert run("--attempts", "2") == 3 and len(server.models.launches) == launches, "it is not tried before its time"
    later(40)
    assert run("--attempts", "2") == 5
    assert status()["result"] == "gave up"
    assert status()["models"]["tiny"]["error"] == "CUDA out of memory"
    assert "tiny  gave up: CUDA out of memory" in capsys.readouterr().out
    launches = len(server.models.launches)
    later(1000)
    assert run("--attempts", "2") == 5 and len(server.models.launches) == launches
    assert capsys.readouterr().out == "", "the log is not filled with what it said before"


@pytest.mark.parametrize("how", ["resume", "restart", "another declaration", "a worker"])
def test_what_was_given_up_is_tried_again_when_something_changed(
    declare, run, server, status, directory, llm, embedding, how
):
    declare()
    restart(server)
    server.behave("tiny", seconds=0.05, error="no such file")
    assert run("--attempts", "1") == 5
    server.behave("tiny")
    if how == "resume":
        assert reconcile.main(["--directory", str(directory), "resume"]) == 0
    elif how == "restart":
        server._started += 50
    elif how == "a worker":
        server.models.workers.append("127.0.0.1:51955")
    else:
        store = Store(str(directory / "declared.json"))
        declared = store.load()
        next(m for m in declared.models if m["uid"] == "tiny")["request_limits"] = 4
        store.save(declared)
    assert run("--attempts", "1") == 0
    assert status()["models"]["tiny"]["state"] == "ready"


@pytest.fixture
def deadly(monkeypatch):
    """``deadly()``: from now on a launch brings down the server, and with it this program."""

    def launch(client, body):
        raise SystemExit

    return lambda: monkeypatch.setattr(Client, "launch", launch)


def test_a_model_that_brings_down_the_server_is_given_up(declare, run, server, status, llm, deadly):
    declare(llm())
    restart(server)
    deadly()
    for attempt, exit_status in ((1, 3), (2, 5)):
        with pytest.raises(SystemExit):
            run("--attempts", "2")
        server._started += 100
        assert run("--attempts", "2") == exit_status
        assert status()["models"]["tiny"]["attempts"] == attempt
        time.sleep(0.5)
    assert "the server was restarted while it was being launched" in status()["models"]["tiny"]["error"]


def test_a_worker_that_comes_back_does_not_have_a_launch_on_its_way_forgotten(declare, run, server, llm, deadly):
    declare(llm())
    restart(server)
    deadly()
    with pytest.raises(SystemExit):
        run("--attempts", "1")
    server.models.workers.append("127.0.0.1:51955")
    assert run("--attempts", "1") == 5


def test_a_launch_that_could_not_be_sent_is_no_attempt(declare, run, server, directory, llm, monkeypatch):
    declare(llm())
    restart(server)

    def launch(client, body):
        raise Unreachable("refused", sent=False)

    monkeypatch.setattr(Client, "launch", launch)
    assert run() == 4
    assert load_state(Options(str(directory))).models["tiny"].attempts == 0


def test_a_model_whose_process_is_stuck_is_ended_and_launched_anew(declare, run, server, status, monkeypatch):
    declare()
    server.models.models["tiny"].error = "stuck in stopping state"
    assert run() == 3
    assert status()["models"]["tiny"]["state"] == "broken" and server.changes() == []
    monkeypatch.setattr(repairs, "BROKEN_FOR", 0.0)
    assert run() == 3
    assert ("DELETE", "/v1/models/tiny") in server.requests
    assert run() == 0
    assert status()["models"]["tiny"]["state"] == "ready"


def test_a_worker_that_is_about_to_mend_a_model_is_not_disturbed(declare, run, server, status, monkeypatch):
    """The server refuses to end a model of which the worker makes the process anew."""
    declare()
    tiny = server.models.models["tiny"]
    tiny.error = "in stopping state"
    monkeypatch.setattr(repairs, "BROKEN_FOR", 0.2)

    def refuse(uid):
        raise Refused(400, f"{uid}-rep0 is launching")

    monkeypatch.setattr(server.models, "terminate", refuse)
    for _turn in range(3):
        assert run() == 3
        time.sleep(0.25)
    assert status()["models"]["tiny"]["state"] == "broken"
    assert [verb for verb, path in server.requests if verb == "DELETE" or path.endswith("/cancel")] == [
        "DELETE",
        "DELETE",
    ]
    tiny.error = None
    assert run() == 0 and status()["models"]["tiny"]["attempts"] == 0


def test_a_model_that_says_ready_and_is_not_listed_is_broken(declare, run, server, status, monkeypatch):
    declare()
    listed = server.models.listed
    monkeypatch.setattr(server.models, "listed", lambda: [row for row in listed() if row["id"] != "tiny"])
    assert run() == 3
    assert status()["models"]["tiny"]["state"] == "broken"


def test_a_launch_that_hangs_is_cancelled(declare, run, server, status, directory, llm):
    declare(llm(launch_timeout=30))
    restart(server)
    server.behave("tiny", hangs=True)
    store = Store(str(directory / "declared.json"))
    declared = store.load()
    declared.models[0]["launch_timeout"] = 1
    store.save(declared)
    assert run() == 3
    assert status()["models"]["tiny"]["error"] == "not ready within 1 s"
    assert ("POST", "/v1/models/tiny/cancel") in server.requests


def test_no_more_than_five_are_launched_at_once_and_the_urgent_ones_first(declare, run, server, embedding):
    models = [embedding(uid=f"m{n}", name="minilm", priority=10 - n) for n in range(8)]
    declare(*models)
    restart(server)
    for n in range(8):
        server.behave(f"m{n}", seconds=2)
    server.models.most_loading = 0
    assert run() == 0
    assert server.models.most_loading == 5
    assert server.models.launches[:5] == ["m7", "m6", "m5", "m4", "m3"]


# -- when it holds still ---------------------------------------------------------------------------------------------


def test_while_it_is_paused_nothing_is_sent(declare, run, server, status, directory, capsys):
    declare()
    run()
    restart(server)
    server.forget()
    assert reconcile.main(["--directory", str(directory), "pause", "--for", "2h", "--reason", "new disks"]) == 0
    assert run() == 0
    assert server.requests == [] and status()["paused"]["reason"] == "new disks"
    assert "modelops_reconcile_paused 1" in (directory / "metrics.prom").read_text()
    capsys.readouterr()
    assert reconcile.main(["--directory", str(directory), "status"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("paused, 0 s ago, Xinference 4.1.0 on http://127.0.0.1:") and ": new disks" in text
    assert reconcile.main(["--directory", str(directory), "resume"]) == 0
    assert run() == 0 and sorted(server.models.launches) == ["minilm", "tiny"]


def test_what_serves_is_ready_for_as_long_as_before_resume(declare, run, server, status, directory):
    declare()
    run()
    since = status()["models"]["tiny"]["since"]
    assert reconcile.main(["--directory", str(directory), "resume"]) == 0
    run()
    assert status()["models"]["tiny"]["since"] == since


def test_a_pause_ends_by_itself(directory):
    reconcile.main(["--directory", str(directory), "pause", "--for", "1s"])
    settings = Options(str(directory))
    assert paused(settings)["until"] > time.time()
    time.sleep(1.1)
    assert paused(settings) is None


def test_it_does_not_come_between_a_run_of_ansible(declare, run, server, status, directory):
    declare()
    run()
    restart(server)
    store = Store(str(directory / "declared.json"))
    with store.lock():
        assert run() == 0
    assert status()["result"] == "a run of Ansible is at work" and server.models.launches == []
    assert status()["models"]["tiny"]["state"] == "unknown", "the server was restarted"
    declared = store.load()
    declared.busy_until = time.time() + 60
    store.save(declared)
    assert run() == 0 and server.models.launches == []
    declared.busy_until = time.time() - 1
    store.save(declared)
    assert run() == 0 and len(server.models.launches) == 2


def test_it_is_held_off_until_the_models_of_a_run_are_known(declare, run, server, status, directory, llm, apply):
    declare()
    restart(server)
    command = ["--directory", str(directory), "hold"]
    assert reconcile.main([*command, "900"]) == 0
    assert run() == 0 and status()["result"] == "a run of Ansible is at work" and server.models.launches == []
    assert 890 < Store(str(directory / "declared.json")).load().busy_until - time.time() <= 900
    declare(llm())
    server.models.models.clear()
    assert run() == 0 and status()["result"] == "as declared", "the run has ended it"
    assert reconcile.main([*command, "0"]) == 0
    assert not Store(str(directory / "declared.json")).load().busy


def test_a_server_that_does_not_answer_is_waited_for(declare, run, status, server):
    declare()
    assert run(endpoint="http://127.0.0.1:9") == 4
    assert status()["result"] == "the server does not answer" and "http://127.0.0.1:9" in status()["message"]
    server.models.workers.clear()
    assert run() == 4
    assert "no worker has registered" in status()["message"]


def test_workers_that_were_there_before_are_waited_for(declare, run, server):
    server.models.workers.append("127.0.0.1:51955")
    declare()
    run()
    restart(server)
    missing = server.models.workers.pop()
    threading.Timer(0.2, server.models.workers.append, [missing]).start()
    begun = time.monotonic()
    assert run() == 0
    assert time.monotonic() - begun > 0.2


def test_a_server_in_trouble_is_no_error(declare, run, server, status):
    declare()
    server.fault("status", verb="GET", path="^/v1/models/instances$", status=500)
    assert run() == 4
    assert run() == 0


def test_a_refused_password_is_tried_once_until_the_file_changes(declare, run, server, status, directory):
    declare()
    (directory / "password").write_text("another-password\n")
    assert run() == 6
    assert "refused the password of 'reconciler'" in status()["message"]
    assert [run() for _again in range(3)] == [6, 6, 6]
    assert server.accounts.failures == 1
    assert "another-password" not in (directory / "status.json").read_text()
    (directory / "password").write_text(OWN_PASSWORD + "\n")
    assert run() == 0


def test_a_ban_is_sat_out(declare, run, server, status, directory):
    declare()
    server.accounts.banned = True
    assert run() == 6 and "in an hour" in status()["message"]
    server.accounts.banned = False
    server.forget()
    assert run() == 6 and ("POST", "/token") not in server.requests
    state = json.loads((directory / "state.json").read_text())
    state["refused"]["until"] = time.time() - 1
    (directory / "state.json").write_text(json.dumps(state))
    assert run() == 0


def test_without_a_password_it_says_so(declare, run, directory, status):
    declare()
    (directory / "password").unlink()
    assert run() == 6 and "cannot be read" in status()["message"]


def test_without_authentication_it_needs_no_password(directory, apply, embedding):
    with XinferenceServer("2.12.0", auth=False) as server:
        apply(server, [embedding()], remember=str(directory / "declared.json"), prove="never")
        restart(server)
        command = ["--directory", str(directory), "run", "--endpoint", server.url, "--release", "2.12.0"]
        assert reconcile.main(command) == 0
        assert server.models.launches == ["minilm"]


def test_it_needs_no_more_than_its_permissions(declare, run, server):
    declare()
    restart(server)
    server.models.definitions["LLM"].clear()
    server.accounts.users["reconciler"]["permissions"] = ["models:list", "models:write", "models:register"]
    assert run() == 0


def test_a_state_file_that_is_broken_starts_anew(declare, run, directory):
    declare()
    (directory / "state.json").write_text('{"models": {"tiny": {"of": "another release"}}}')
    assert run() == 0


def test_an_error_is_told_and_changes_nothing(declare, run, status, directory, server):
    declare()
    (directory / "declared.json").write_text('{"format": 99}')
    assert run() == 1
    assert status()["result"] == "error" and "declared.json" in status()["message"]
    assert server.changes() == []


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"models": {"a": 1}}, "models is of the type dict"),
        ({"models": ["a"]}, "models.0 is of the type str"),
        ({"models": [{}]}, "'uid' is missing"),
        ({"models": [{"uid": "a"}]}, "its models are not in the format of this release (KeyError"),
        ({"launched": {"tiny": []}}, "launched.tiny is of the type list"),
        ({"settings": {"launch_timeout": "1"}}, "settings.launch_timeout is of the type str"),
        ({"settings": {"drained": [1]}}, "settings.drained is of the type list"),
        ({"busy_until": True}, "busy_until is of the type bool"),
    ],
)
def test_what_is_declared_is_held_against_its_types(declare, run, status, directory, server, capsys, changed, why):
    declare()
    path = directory / "declared.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    assert run() == 1
    assert str(path) in status()["message"] and why in status()["message"] and "Remove it" in status()["message"]
    assert "Traceback" not in "".join(capsys.readouterr()) and server.changes() == []


@pytest.mark.parametrize("name", ["declared.json", "state.json", "status.json", "paused.json"])
def test_a_file_that_somebody_let_grow_is_not_read(declare, run, status, directory, monkeypatch, name):
    declare()
    monkeypatch.setattr(_json, "LIMIT", 1 << 20)
    (directory / name).write_text(json.dumps({"until": None, "fill": "x" * (2 << 20)}))
    code = run()
    if name == "declared.json":
        assert code == 1 and f"{directory / name} cannot be read: it is larger than 1 MiB" in status()["message"]
    else:
        assert code == 0 and status()["result"] == "as declared"


@pytest.mark.parametrize(
    "row", [[], {"attempts": "x"}, {"next_try": "x"}, {"replicas": [1]}, {"differs": None}, {"replicas": ["a", "b"]}]
)
def test_a_state_of_other_types_starts_anew(run, declare, directory, row):
    declare()
    (directory / "state.json").write_text(json.dumps({"models": {"tiny": row}}))
    assert run() == 0


# -- what others read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[]", "{}", '{"time": "x"}', "{", "null"])
def test_a_status_that_is_none_is_named(directory, capsys, text):
    (directory / "status.json").write_text(text)
    assert reconcile.main(["--directory", str(directory), "status"]) == 1
    assert f"{directory / 'status.json'} is not in the format of this program. Remove it" in capsys.readouterr().err


def test_what_was_wrong_before_a_model_was_ready_is_not_told_of_it(declare, run, directory, status, capsys):
    declare()
    assert run() == 0
    state = json.loads((directory / "state.json").read_text())
    state["models"]["tiny"].update(error="CUDA out of memory", attempts=1)
    (directory / "state.json").write_text(json.dumps(state))
    assert run() == 0 and status()["models"]["tiny"]["error"] is None
    capsys.readouterr()
    assert reconcile.main(["--directory", str(directory), "status"]) == 0
    assert "CUDA" not in capsys.readouterr().out
    kept = json.loads((directory / "state.json").read_text())["models"]["tiny"]
    assert kept["error"] == "CUDA out of memory", "for the next failure"


def test_status_and_metrics_are_for_everybody_and_secrets_for_nobody(declare, run, directory, tmp_path, llm):
    declare(llm(envs={"HF_TOKEN": "hf_secret_token"}))
    metrics = tmp_path / "textfile"
    metrics.mkdir()
    assert run("--metrics-dir", str(metrics)) == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir() if path.suffix != ".lock"}
    assert modes.pop("password") and modes == {
        "declared.json": 0o600,
        "state.json": 0o600,
        "status.json": 0o644,
        "metrics.prom": 0o644,
    }
    text = (metrics / "modelops_reconcile.prom").read_text()
    assert text == (directory / "metrics.prom").read_text()
    assert 'modelops_reconcile_model_ready{uid="tiny"} 1\n' in text
    assert "# TYPE modelops_reconcile_model_launches_total counter\n" in text
    for name in ("status.json", "metrics.prom", "state.json"):
        assert "hf_secret_token" not in (directory / name).read_text()


def test_the_servers_words_are_told_without_secrets(declare, run, server, directory, llm, capsys):
    declare(llm(envs={"PGPASSWORD": "pg-1", "RANK": "7"}))
    restart(server)
    server.behave("tiny", seconds=0.05, error="line 7: pg-1 was refused by https://me:mine@hub.example/x")
    assert run("--attempts", "1") == 5
    told = "line 7: ******** was refused by https://********@hub.example/x"
    assert told in (directory / "status.json").read_text() and told in capsys.readouterr().out
    assert "mine" not in (directory / "state.json").read_text()


def test_what_was_not_looked_at_is_unknown(declare, run, server, status, directory, later, capsys):
    """The server is dead, or the reconciler does not run: neither status nor metrics say that a model serves."""
    metrics, told = directory / "metrics.prom", ["--directory", str(directory), "status"]
    declare()
    assert run() == 0
    seen = status()["models"]["tiny"]["seen"]
    assert reconcile.main(told) == 0 and "tiny    ready for 0 s" in capsys.readouterr().out
    assert f'modelops_reconcile_model_seen_seconds{{uid="tiny"}} {seen}\n' in metrics.read_text()

    later(600)
    assert reconcile.main(told) == 4, "no turn for ten minutes"
    text = capsys.readouterr().out
    assert "since then it did not run" in text and "  tiny    unknown, ready 10 min" in text and "ready for" not in text

    assert run(endpoint="http://127.0.0.1:9") == 4
    row = status()["models"]["tiny"]
    assert (row["state"], row["last"], row["seen"], row["serves"]) == ("unknown", "ready", seen, None)
    assert row["replicas"] == {"wanted": 1, "ready": None}
    for name in ("ready", "replicas_ready", "differs"):
        assert f'modelops_reconcile_model_{name}{{uid="tiny"}} NaN\n' in metrics.read_text()
    assert f'modelops_reconcile_model_seen_seconds{{uid="tiny"}} {seen}\n' in metrics.read_text()
    capsys.readouterr()
    assert reconcile.main(told) == 4 and "  tiny    unknown, ready 10 min" in capsys.readouterr().out

    assert run() == 0 and status()["models"]["tiny"]["state"] == "ready", "it is back"
    assert 'modelops_reconcile_model_ready{uid="tiny"} 1\n' in metrics.read_text()


def test_a_server_that_dies_during_a_look_leaves_nothing_known(declare, run, server, status):
    declare()
    assert run() == 0
    server.fault("status", verb="GET", path="^/v1/models$", status=500)
    assert run() == 4
    assert {row["state"] for row in status()["models"].values()} == {"unknown"}


def test_a_long_interval_is_no_silence(declare, run, later, directory, capsys):
    declare()
    assert run("--interval", "600") == 0
    later(620)
    assert reconcile.main(["--directory", str(directory), "status"]) == 0
    assert "ready for 10 min" in capsys.readouterr().out


def test_what_has_never_been_looked_at_says_so():
    row = shown(repairs.Known("d", launches=1), None, False)
    assert state_line(row, 1e9, False) == "unknown, not looked at yet"
    status = {"time": 1.5, "exit": 4, "paused": None, "models": {"tiny": row}}
    assert 'modelops_reconcile_model_seen_seconds{uid="tiny"} NaN\n' in metrics_of(status)


def test_a_uid_cannot_break_the_metrics():
    row = shown(repairs.Known("d", repairs.READY, launches=1), 1.0, True)
    text = metrics_of({"time": 1.5, "exit": 0, "paused": None, "models": {'a"b\\c': row}})
    assert 'modelops_reconcile_model_ready{uid="a\\"b\\\\c"} 1\n' in text


def test_a_metrics_directory_that_cannot_be_written_stops_nothing(declare, run, capsys):
    declare()
    assert run("--metrics-dir", "/no/such/directory") == 0
    assert "/no/such/directory cannot be written" in capsys.readouterr().out


def test_status_tells_what_a_person_needs(declare, run, server, directory, capsys):
    assert reconcile.main(["--directory", str(directory), "status"]) == 1
    declare()
    restart(server)
    server.behave("tiny", seconds=0.05, error="CUDA out of memory")
    run()
    capsys.readouterr()
    assert reconcile.main(["--directory", str(directory), "status"]) == 3
    text = capsys.readouterr().out
    assert text.startswith("on the way, 0 s ago") and "CUDA out of memory" in text and "next launch in" in text


# -- the program -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python that has requests, as Xinference's environment, and no Ansible."""
    path = tmp_path_factory.mktemp("environment")
    venv.create(path, with_pip=False, symlinks=True)
    site = next(path.glob("lib/python*/site-packages"))
    for name in ("requests", "urllib3", "idna", "certifi", "charset_normalizer"):
        origin = Path(importlib.util.find_spec(name).origin)
        (site / name).symlink_to(origin.parent, target_is_directory=True)
    python = path / "bin" / "python"
    missing = subprocess.run([python, "-c", "import ansible"], capture_output=True, text=True, check=False)
    assert "No module named 'ansible'" in missing.stderr
    return str(python)


@pytest.fixture(scope="module")
def installed(bare_python, tmp_path_factory):
    path = tmp_path_factory.mktemp("xinference") / "tools" / "modelops-reconcile"
    path.parent.mkdir()
    path.write_bytes(program.archive(NAME, bare_python))
    path.chmod(0o755)
    return path


@pytest.fixture
def switch(bare_python, tmp_path):
    """``switch(version)``: that release of Xinference is the one on the host; returns the program of its installation."""
    base, path = tmp_path / "xinference", tmp_path / "xinference" / "tools" / "modelops-reconcile"
    path.parent.mkdir(parents=True)
    path.write_bytes(program.reconciler(str(base)))
    path.chmod(0o755)

    def make(version):
        release = base / "releases" / f"{version}-0123456789ab"
        shutil.copytree(Path(bare_python).parents[1], release, symlinks=True)
        (next(release.glob("lib/python*/site-packages")) / f"xinference-{version}.dist-info").mkdir()
        (base / "new").symlink_to(release)
        (base / "new").replace(base / "current")
        return path

    return make


def call(installed, *arguments):
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "JOURNAL_STREAM")}
    environment["COLUMNS"] = "300"
    return subprocess.run([installed, *arguments], capture_output=True, text=True, check=False, env=environment)


def test_the_program_runs_without_ansible(installed, declare, server, directory):
    uids = declare()
    (directory / "password").write_text(OWN_PASSWORD)
    restart(server)
    options = ["--endpoint", server.url, "--release", "4.1.0", "--password-file", directory / "password"]
    done = call(installed, "--directory", directory, "run", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(server.models.launches) == sorted(uids)
    assert "tiny  loading (launch 1)" in done.stdout and OWN_PASSWORD not in done.stdout + done.stderr
    told = call(installed, "--directory", directory, "status")
    assert told.returncode == 0 and told.stdout.startswith("as declared")


def test_after_a_rollback_it_launches_for_the_release_that_runs(switch, declare, server, directory, status, llm):
    """No run of Ansible with another inventory comes between."""
    options = ["--endpoint", server.url, "--password-file", directory / "password"]
    declare(llm(context_length=1024, engine_options={}))
    (directory / "password").write_text(OWN_PASSWORD)
    sent = {}
    for version in ("4.1.0", "4.0.1"):
        path = switch(version)
        restart(server)
        done = call(path, "--directory", directory, "run", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert status()["release"] == version
        sent[version] = dict(server.models.models["tiny"].body)
    assert sent["4.1.0"]["context_length"] == 1024 and "context_length" not in sent["4.0.1"]
    assert sent["4.0.1"]["n_ctx"] == 1024


def test_the_loop_ends_when_another_release_is_current(switch, server, directory):
    """Its service starts it anew, with the Python of that release."""
    path = switch("4.1.0")
    options = ["--endpoint", server.url, "--interval", "600", "--password-file", directory / "password"]
    process = subprocess.Popen([path, "--directory", directory, "loop", *options], stdout=subprocess.DEVNULL)
    try:
        wait_for((directory / "status.json").exists)
        switch("4.0.1")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(10)


def test_without_xinference_it_says_so(installed, declare, server, directory, status):
    declare()
    (directory / "password").write_text(OWN_PASSWORD)
    options = ["--endpoint", server.url, "--password-file", directory / "password"]
    assert call(installed, "--directory", directory, "run", *options).returncode == 1
    assert "has no 'xinference'" in status()["message"] and server.changes() == []


@pytest.fixture
def loop(installed, server, directory):
    """The loop, with turns so far apart that none comes by itself."""
    options = ["--endpoint", server.url, "--release", "4.1.0", "--username", "admin", "--interval", "600"]
    (directory / "password").write_text(PASSWORD)
    command = [installed, "--directory", directory, "loop", *options, "--password-file", directory / "password"]

    @contextlib.contextmanager
    def running():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for((directory / "status.json").exists)
            yield
        finally:
            process.terminate()
            process.wait(10)

    return running


def test_the_loop_notices_a_restart(loop, declare, server):
    declare()
    with loop():
        restart(server)
        wait_for(lambda: len(server.models.launches) == 2)
    assert sorted(server.models.launches) == ["minilm", "tiny"]


def test_the_loop_notices_the_first_run_of_ansible_and_a_restart_after_it(loop, declare, server, status):
    with loop():
        assert status()["result"] == "nothing is declared"
        declare()
        wait_for(lambda: status()["result"] == "as declared")
        assert {row["state"] for row in status()["models"].values()} == {"ready"}
        restart(server)
        wait_for(lambda: len(server.models.launches) == 2)
    assert sorted(server.models.launches) == ["minilm", "tiny"]


def test_the_status_of_before_a_run_of_ansible_says_so(installed, directory, declare, run, status):
    run()
    told = call(installed, "--directory", directory, "status").stdout
    assert told.startswith("nothing is declared") and "Ansible" not in told
    declare()
    assert (
        "a run of Ansible, or a drain, was at work since then"
        in call(installed, "--directory", directory, "status").stdout
    )
    run()
    assert "Ansible" not in call(installed, "--directory", directory, "status").stdout


def wait_for(condition):
    end = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < end, "it did not happen within 40 s"
        time.sleep(0.1)


def test_help_tells_all_commands_and_statuses(installed):
    text = call(installed, "--help").stdout
    for word in ("run", "loop", "status", "pause", "resume", "hold", "5  gave up on a model"):
        assert word in text
    assert str(installed.parent.parent / "reconciler") in text, "its directory lies beside"
    for command in ("run", "loop", "status", "pause", "resume", "hold"):
        assert call(installed, command, "--help").returncode == 0
    wrong = call(installed, "run")
    assert wrong.returncode == 2 and "--endpoint" in wrong.stderr


def test_the_same_sources_are_the_same_program():
    assert program.archive(NAME, "/a/python") == program.archive(NAME, "/a/python")
    assert program.archive(NAME, "/a/python").startswith(b"#!/a/python\n")


def test_the_program_holds_all_that_its_modules_import(tmp_path):
    file = tmp_path / "program"
    file.write_bytes(program.archive(NAME, "/a/python"))
    with zipfile.ZipFile(file) as held:
        sources = {name.removesuffix(".py").replace("/", "."): held.read(name) for name in held.namelist()}
    nodes = [node for source in sources.values() for node in ast.walk(ast.parse(source))]
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and "ansible_collections" in node.module]
    assert len(imports) > 30
    for node in imports:
        for name in (f"{node.module}.{alias.name}" for alias in node.names):
            # From a package a module is imported, which is a file; from a module a name that is none.
            assert (name in sources) == (node.module not in sources), name


def test_it_says_where_requests_is_missing(installed, directory):
    options = ["--directory", directory, "run", "--endpoint", "http://127.0.0.1:9", "--release", "4.1.0"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", installed, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "has no 'requests'" in done.stderr
