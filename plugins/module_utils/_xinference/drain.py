# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker that is to end: what it serves is served elsewhere first. Private to the collection.

``decide`` is pure. Replicas of the worker are not deleted: while the server deletes one it still gives it requests, which
fail (4.1.0: for seconds). A worker that leaves by SIGINT gives up all its routes at once, so it is left to do that, and what
then remains of its replicas in the server's lists is cleared afterwards. It ends in that moment, and with it the requests that it
has; so before, `Drain.answered` has the supervisor give it no more of them, and waits for those.

A worker that comes back is given what it had, as far as that was not served elsewhere meanwhile. Where nothing comes back to it, one
of the models that it had is launched there under a UID that nobody uses (`client.TRY`), asked, and ended again.
"""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan
from ansible_collections.modelops.inference.plugins.module_utils._session import TimedOut
from ansible_collections.modelops.inference.plugins.module_utils._xinference import (
    actors,
    autostart,
    cluster,
    definitions,
    launch,
    models,
    placement,
    progress,
    proof,
    releases,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.client import TRY, Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declared import Memory, Store

# What becomes of a model whose worker leaves: its replicas are added elsewhere, it is ended and launched elsewhere, it goes
# on with the replicas that it has elsewhere, or it ends. MOVED is what an earlier run has done.
ADD, RELAUNCH, FEWER, STOP, MOVED = "add", "relaunch", "fewer", "stop", "moved"
# Seconds for which the reconciler keeps away, between the moving and the end of the worker.
_AWAY = 900.0
# Seconds without a request under way after which none comes any more: the API asks for a replica a moment before it sends it one.
_QUIET = 3.0
_PAUSE = 0.2
# Keys of a launch request that name a place.
_PLACES = ("worker_ip", "gpu_idx", "replica_config")


@dataclass
class Move:
    """What is done with one model.

    :param here: its replicas on the worker.  :param others: those elsewhere.
    :param places: for ADD, of each new replica what `Client.add_replica` takes.
    :param placed: for RELAUNCH, the keys of the launch request that name the place.
    :param why: for FEWER and STOP, and why RELAUNCH has a gap.
    """

    model: models.Model
    action: str
    here: int
    others: int
    places: list[dict[str, t.Any]] = field(default_factory=list)
    placed: dict[str, t.Any] = field(default_factory=dict)
    why: str = ""

    @property
    def uid(self) -> str:
        return self.model.uid


@dataclass
class Trial:
    """A launch that tries a worker.

    :param model: what runs elsewhere.  :param copied: the same under a UID that nobody uses.
    :param placed: keys of the launch request that name the place.
    """

    model: models.Model
    copied: models.Model
    placed: dict[str, t.Any]


@dataclass
class Return:
    """What a worker that is back gets.

    :param launches: declared models that were stopped for it.
    :param moves: its replicas that went: ADD, or FEWER where that cannot be.
    :param proves: UID -> model, of what it had; those that it serves then have to answer.
    :param trial: where nothing of that comes back.  :param why: why there can be none.
    """

    launches: list[models.Model] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    proves: dict[str, models.Model] = field(default_factory=dict)
    trial: Trial | None = None
    why: str = ""


@dataclass(frozen=True)
class Settings:
    """How a drain behaves; the options of the module of the same names."""

    worker: str
    force: bool = False
    gaps: bool = False
    returns: bool = False
    devices: t.Sequence[t.Mapping[str, t.Any]] | None = None
    gpu_sharing: bool = True
    launch_timeout: float = 1800
    ready_timeout: float = 300
    prove_timeout: float = 60
    requests_timeout: float = 60


# -- pure ------------------------------------------------------------------------------------------------------------


def leftovers(instances: t.Mapping[str, t.Mapping[str, t.Any]], worker: str) -> list[tuple[str, int]]:
    """(UID, id) of replicas of a worker that has left, of models that go on."""
    return [
        (uid, int(row["replica_id"]))
        for uid, instance in sorted(instances.items())
        if models.replicas(instance)
        for row in instance.get("replica_statuses") or []
        if row.get("worker_address") == worker and row.get("status") == "TERMINATED"
    ]


def spared(instances: t.Mapping[str, t.Mapping[str, t.Any]], worker: str, leaving: t.Collection[str]) -> set[str]:
    """The replicas of a worker that their models can do without: others serve elsewhere. Pure.

    :param leaving: addresses of other workers that are drained: what is there does not count.
    """
    spare = set()
    for instance in instances.values():
        rows = models.replicas(instance)
        away = [row for row in rows if row.get("worker_address") not in {worker, *leaving}]
        if any(row["status"] == "READY" for row in away):
            spare |= {str(row["replica_model_uid"]) for row in rows if row.get("worker_address") == worker}
    return spare


def unlisted(held: t.Iterable[str], instances: t.Mapping[str, t.Mapping[str, t.Any]]) -> set[str]:
    """Of the replicas whose processes a worker has, those that the server gives no requests. Pure."""
    known = {row.get("replica_model_uid") for one in instances.values() for row in one.get("replica_statuses") or []}
    return {replica for replica in held if replica not in known and re.search(r"-rep\d+$", replica)}


def model_of(uid: str, actual: models.Actual) -> models.Model:
    """What runs under a UID as a model: as it is declared, else as it is remembered, entered or told."""
    declared = actual.declared.get(uid)
    if declared is not None:
        return models.desired([declared], exists=lambda path: True)[0]
    row, known = actual.models.get(uid) or {}, actual.remembered(uid)
    model = models.undeclared_model(uid, row.get("model_name", uid), row.get("model_type", "LLM"))
    entry = ((actual.autostart or {}).get(uid) or {}).get("launch")
    if known is None and entry and not any(autostart.hides(value) for value in entry.values()):
        known = {key: value for key, value in entry.items() if value is not None}
    told = {key: row[key] for key in models.REPORTED.values() if row.get(key) is not None}
    model.body = dict(known) if known is not None else {**told, "model_uid": uid}
    for option, key in models.LAUNCH_KEYS.items():
        model.options[option] = model.body.get(key)
    model.options.update(state="present", replicas=int(row.get("replica") or 1), worker=None)
    # Of what is not declared nobody said that it belongs where it is.
    for key in _PLACES:
        model.body.pop(key, None)
    model.options["gpu_indices"] = None
    return model


def lacking(
    actual: models.Actual, noted: t.Mapping[str, t.Mapping[str, t.Any]], leaving: t.Collection[str]
) -> set[str]:
    """UIDs of models that a worker had and that run with fewer replicas than there were to be, as an upgrade that broke off
    leaves them. Pure.

    :param noted: what is noted of that worker.
    """
    found = set()
    for uid, row in noted.items():
        live = [
            one for one in models.replicas(actual.instances.get(uid) or {}) if one.get("worker_address") not in leaving
        ]
        if actual.created(uid) == row["created"] and 0 < len(live) < row["of"]:
            found.add(uid)
    return found


def decide(
    actual: models.Actual,
    found: cluster.Cluster,
    wanted: t.Mapping[str, models.Model],
    worker: str,
    goals: t.Mapping[str, int] | None = None,
    leaving: t.Collection[str] = (),
    returns: bool = False,
) -> list[Move]:
    """What is done with each model on a worker. Pure.

    :param found: the cluster, with that worker.  :param wanted: the models on it, by UID.
    :param goals: how many replicas each is to have without the worker; as many as there are where it is not named.
    :param leaving: addresses of other workers that are drained, which may still serve: nothing moves to them, and what they
        have does not count.
    :param returns: whether the worker comes back soon: then what serves elsewhere, too, goes on with that.
    """
    rest = replace(found, workers=[one for one in found.workers if one.address not in {worker, *leaving}], local=False)
    booked: list[models.Decision] = []
    moves = []
    for uid, model in sorted(wanted.items(), key=lambda item: (item[1].options["priority"] or 100, item[0])):
        rows = [row for row in models.replicas(actual.instances[uid]) if row.get("worker_address") not in leaving]
        here = sum(1 for row in rows if row.get("worker_address") == worker)
        others = len(rows) - here
        if (goals or {}).get(uid, len(rows)) <= others:
            moves.append(Move(model, MOVED, here, others))
        else:
            missing = (goals or {}).get(uid, len(rows)) - others
            ready = sum(1 for row in rows if row.get("worker_address") != worker and row.get("status") == "READY")
            enough = ready if returns else 0
            move = _move(model, here, others, missing, actual, rest, booked, worker, enough)
            if not here and move.action in (RELAUNCH, STOP):  # what runs does not depend on the worker
                move = Move(model, FEWER, here, others, why=move.why)
            moves.append(move)
    return moves


def _move(
    model: models.Model,
    here: int,
    others: int,
    missing: int,
    actual: models.Actual,
    rest: cluster.Cluster,
    booked: list[models.Decision],
    worker: str,
    enough: int,
) -> Move:
    """:param enough: how many replicas elsewhere are enough until the worker is back; 0 where it does not come back soon."""
    version = actual.version
    if model.options["worker"] in (worker, worker.rsplit(":", 1)[0]):
        return Move(model, STOP, here, others, why="it is declared for this worker (worker)")
    if not rest.workers:
        return Move(model, STOP, here, others, why="there is no other worker")
    if enough and releases.survives_worker(version) and (model.options["n_worker"] or 1) == 1:
        return Move(model, FEWER, here, others)
    if others and not releases.survives_worker(version):
        gap = f"Xinference {version} forgets a model whose worker leaves, with its replicas elsewhere"
    else:
        gap = _cannot_grow(model, actual)
    if not gap:
        return _added(model, here, others, missing, actual, rest, booked)
    if others and releases.survives_worker(version) and (model.options["n_worker"] or 1) == 1:
        return Move(model, FEWER, here, others, why=gap)
    placed, why = _relaunched(model, here + others, actual, rest, booked)
    if why:
        return Move(model, STOP, here, others, why=why)
    return Move(model, RELAUNCH, here, others, placed=placed, why=gap)


def _cannot_grow(model: models.Model, actual: models.Actual) -> str:
    """Why no replica can be added to a running model; empty where one can."""
    if not releases.adds_replicas(actual.version):
        return f"Xinference {actual.version} cannot add a replica to a running model"
    if (model.options["n_worker"] or 1) > 1:
        return "it is spread over several workers, and Xinference cannot add a replica to such a model"
    return "" if actual.state(model.uid) == "ready" else "it is not ready"


def _added(
    model: models.Model,
    here: int,
    others: int,
    missing: int,
    actual: models.Actual,
    rest: cluster.Cluster,
    booked: list[models.Decision],
) -> Move:
    """As many of its replicas elsewhere as there is room for; where it has others, none at the worst."""
    why = ""
    there = len(models.replicas(actual.instances[model.uid]))
    for count in range(missing, 0, -1):
        grown = _sized(model, there + count)
        decision = models.Decision(grown, models.SCALE)
        rows, problems = _placed([*booked, decision], actual, rest)
        if problems:
            why = "; ".join(problems)
            continue
        booked.append(decision)
        mine: dict[int, list[dict[str, t.Any]]] = {}
        for row in rows:
            if row["model"] == model.uid and row["source"] not in placement.THERE:
                mine.setdefault(row["replica"], []).append(row)
        places = [_place(cells, rest) for _number, cells in sorted(mine.items())] or [{}] * count
        less = f"there is room for {count} of {missing} replicas elsewhere: {why}" if count < missing else ""
        return Move(model, ADD, here, others, places=places, why=less)
    return Move(model, FEWER if others else STOP, here, others, why=why)


def _sized(model: models.Model, count: int) -> models.Model:
    """The model with so many replicas, wherever there is room."""
    options = model.options.copy()
    options.update(replicas=count, gpu_indices=None)
    return replace(model, options=options)


def _placed(
    decisions: t.Sequence[models.Decision], actual: models.Actual, rest: cluster.Cluster
) -> tuple[list[dict[str, t.Any]], list[str]]:
    result = placement.plan([d.model for d in decisions], decisions, actual, rest)
    last = decisions[-1].model.uid
    return result.rows, [text.replace(f"models: {last}: ", "") for text in result.problems]


def _place(rows: t.Sequence[t.Mapping[str, t.Any]], rest: cluster.Cluster) -> dict[str, t.Any]:
    """Where a replica goes, as ``POST /v1/models/{uid}/replicas`` takes it."""
    address = rows[0]["worker"]
    device: dict[str, t.Any] = {"worker_ip": address}
    cards = [row["card"] for row in rows if isinstance(row["card"], int)]
    if cards:
        device.update(gpu_idx=cards, n_gpu=len(cards))
    elif any(worker.address == address and worker.cards for worker in rest.workers):
        device["n_gpu"] = 0
    return {"replica_config": {"devices": [device]}}


def _relaunched(
    model: models.Model, count: int, actual: models.Actual, rest: cluster.Cluster, booked: list[models.Decision]
) -> tuple[dict[str, t.Any], str]:
    """Keys of the launch request that place the whole model elsewhere, or why there is no place for it."""
    decision = models.Decision(_sized(model, count), models.REPLACE)
    decisions = [*booked, decision]
    result = placement.plan([d.model for d in decisions], decisions, actual, rest)
    if result.problems:
        return {}, "; ".join(text.replace(f"models: {model.uid}: ", "") for text in result.problems)
    booked.append(decision)
    keys = dict(result.launch_keys.get(model.uid) or {})
    if "replica_config" not in keys and (model.options["n_worker"] or 1) == 1:
        # The worker that is drained still takes models, so another one is named.
        row = next((row for row in result.rows if row["model"] == model.uid), None)
        keys.setdefault("worker_ip", row["worker"] if row else rest.workers[0].address)
    return keys, ""


def had(
    wanted: t.Mapping[str, models.Model],
    actual: models.Actual,
    worker: str,
    leaving: t.Collection[str],
    noted: t.Mapping[str, t.Mapping[str, t.Any]],
    grown: t.Sequence[t.Mapping[str, t.Any]] = (),
) -> dict[str, dict[str, t.Any]]:
    """What a worker has, as `Declared.had` has it: how many replicas of each model are there, of how many that there are to be. Pure.

    What an earlier run noted holds, of the same launch: that run may have added replicas, or ended the worker.

    :param noted: what is noted of that worker.  :param grown: what is noted of workers that are not drained.
    """
    found = {uid: dict(row) for uid, row in noted.items() if uid not in wanted}
    for uid, model in wanted.items():
        rows = [row for row in models.replicas(actual.instances[uid]) if row.get("worker_address") not in leaving]
        here = sum(1 for row in rows if row.get("worker_address") == worker)
        created = actual.created(uid)
        before = [notes[uid] for notes in (noted, *grown) if (notes.get(uid) or {}).get("created") == created]
        count = min((row["of"] for row in before), default=len(rows))
        if uid in actual.declared:
            count = min(max(len(rows), count), model.options["replicas"])
        same = noted[uid]["here"] if uid in noted and noted[uid] in before else 0
        found[uid] = {"here": max(here, same), "of": count, "created": created}
    return found


def returning(
    actual: models.Actual,
    found: cluster.Cluster,
    wanted: t.Mapping[str, models.Model],
    worker: str,
    noted: t.Mapping[str, t.Mapping[str, t.Any]],
) -> list[Move]:
    """What a worker that is back gets of what it had: ADD, or FEWER where that cannot be. Pure.

    :param wanted: the models that it had and that run, by UID.
    """
    there = replace(found, workers=[one for one in found.workers if one.address == worker], local=False)
    booked: list[models.Decision] = []
    moves = []
    for uid, model in sorted(wanted.items(), key=lambda item: (item[1].options["priority"] or 100, item[0])):
        row, live = noted[uid], len(models.replicas(actual.instances[uid]))
        count = min(row["of"], model.options["replicas"]) if uid in actual.declared else row["of"]
        missing = min(row["here"], count - live)
        if missing <= 0 or not _may_be_on(worker, model) or actual.created(uid) != row["created"]:
            continue
        gap = _cannot_grow(model, actual)
        if gap:
            moves.append(Move(model, FEWER, 0, live, why=gap))
            continue
        move = _added(model, 0, live, missing, actual, there, booked)
        named = {"replica_config": {"devices": [{"worker_ip": worker}]}}
        moves.append(replace(move, places=[place or named for place in move.places]))
    return moves


def trial_of(
    actual: models.Actual, found: cluster.Cluster, wanted: t.Mapping[str, models.Model], worker: str
) -> tuple[Trial | None, str]:
    """What tries a worker, or why nothing can: what loads the fastest, an embedding or rerank model, else the smallest. Pure.

    :param wanted: the models that it had and that run, by UID.
    """
    there = replace(found, workers=[one for one in found.workers if one.address == worker], local=False)
    uid, why = TRY + worker.replace(":", "-"), "none of the models that it had runs any more"

    def weight(model: models.Model) -> tuple[t.Any, ...]:
        row = actual.models.get(model.uid) or {}
        size = str(row.get("model_size_in_billions") or model.options["size"] or "").replace("_", ".")
        asked = proof.kind_of(model.type, row.get("model_ability") or []) != "describe"
        number = float(size) if size.replace(".", "", 1).isdigit() else float("inf")
        return (not asked, model.type == "LLM", number, model.uid)

    for model in sorted(wanted.values(), key=weight):
        if (model.options["n_worker"] or 1) > 1:
            why = f"{model.uid} is spread over several workers"
            continue
        if not _may_be_on(worker, model):
            why = f"{model.uid} is declared for another worker"
            continue
        if "model_name" not in model.body:  # somebody else's, of which the server tells that only while it is ready
            why = f"{model.uid} is not ready"
            continue
        body = {key: value for key, value in model.body.items() if key not in _PLACES}
        copied = replace(_sized(model, 1), uid=uid, body={**body, "model_uid": uid, "replica": 1})
        copied.options["uid"] = uid
        if not there.workers:  # in check mode it is not back yet
            return Trial(model, copied, {"worker_ip": worker}), ""
        known = replace(there, checkpoints={uid: found.checkpoints.get(model.uid)})
        placed, problem = _relaunched(copied, 1, actual, known, [])
        if not problem:
            return Trial(model, copied, placed), ""
        why = f"{model.uid} has no room there: {problem}"
    return None, why


def comes_back(
    actual: models.Actual,
    found: cluster.Cluster,
    launches: list[models.Model],
    wanted: dict[str, models.Model],
    worker: str,
    noted: t.Mapping[str, t.Mapping[str, t.Any]],
    left: bool,
) -> Return:
    """What a worker that is back gets. Pure.

    :param wanted: the models that it had and that run, by UID.  :param left: whether it is known to have left.
    """
    serves = any(_is_on(worker, actual.instances[uid]) for uid in wanted)
    if serves and not left:  # it serves what it served
        return Return(launches)
    result = Return(launches, returning(actual, found, wanted, worker, noted), wanted)
    if noted and not serves and not launches and not any(move.places for move in result.moves):
        result.trial, result.why = trial_of(actual, found, wanted, worker)
    return result


def _is_on(worker: str, instance: t.Mapping[str, t.Any]) -> bool:
    return any(row.get("worker_address") == worker for row in models.replicas(instance))


def _may_be_on(worker: str, model: models.Model) -> bool:
    """Whether a model is not declared for another worker."""
    return model.options["worker"] in (None, worker, worker.rsplit(":", 1)[0])


def plan_of(moves: t.Sequence[Move], header: str) -> Plan:
    plan = Plan(header)
    for move in moves:
        for place in move.places:
            where = place["replica_config"]["devices"][0]["worker_ip"] if place else "another worker"
            plan.add("add", "add replica", move.uid, why=f"on {where}")
        if move.action == RELAUNCH:
            plan.add("change", "relaunch", move.uid, why=f"with a gap: {move.why}")
        elif move.action == STOP:
            plan.add("remove", "stop", move.uid, why=move.why)
    return plan


def _goal(move: Move, goals: t.Mapping[str, int]) -> int:
    """How many replicas a model is to have without the worker; 0 of one that stops."""
    return 0 if move.action == STOP and not move.others else goals[move.uid]


def refusals(moves: t.Sequence[Move], settings: Settings) -> list[str]:
    """Why the worker is not drained: one line for each model that would not be served, or not all the time."""
    lines = []
    for move in moves:
        if move.action == STOP and not settings.force:
            went = f"goes on with {move.others} replicas" if move.others else "stops"
            if not move.others:
                lines.append(f"{move.uid} {went}: {move.why}")
        elif move.action == RELAUNCH and not (settings.gaps or settings.force):
            lines.append(f"{move.uid} does not answer while it is launched elsewhere: {move.why}")
    return lines


def unpinned(placed: t.Mapping[str, t.Any], worker: str) -> dict[str, t.Any] | None:
    """What the placement added to a launch request, without the place where that names the worker; None where it does not."""
    named = str(placed.get("replica_config") or "") + str(placed.get("worker_ip") or "")
    if worker not in named and placed.get("worker_ip") != worker.rsplit(":", 1)[0]:
        return None
    return {key: value for key, value in placed.items() if key not in _PLACES}


# -- a run -----------------------------------------------------------------------------------------------------------


class Drain:
    """One execution of the module.

    :ivar lines: what was done, for the screen.  :ivar warnings: what a person should know and nothing was refused for.
    """

    def __init__(self, client: Client, settings: Settings, store: Store):
        self.client, self.settings, self.store = client, settings, store
        self.lines: list[str] = []
        self.warnings: list[str] = []
        #: Other workers that are drained.
        self.leaving: t.Collection[str] = ()
        client.sees_tries = True

    def drained(self) -> dict[str, t.Any]:
        """Serves elsewhere what the worker serves; the worker itself goes on until its service is stopped.

        :raises ModelopsError: something would stop, or a model did not come up elsewhere; nothing was taken away then.
        """
        client, worker = self.client, self.settings.worker
        with self.store.lock():
            client.wait_ready(self.settings.ready_timeout, workers=False)
            client.login()
            memory = Memory(self.store)
            client.workers = sorted((client.get("/status").json or {}).get("workers") or {})
            actual = self._read(memory)
            note = memory.drained.get(worker) or {}
            self.leaving = set(memory.drained) - {worker}
            short = set() if self.settings.returns else lacking(actual, memory.had(worker), self.leaving)
            wanted = {
                uid: model_of(uid, actual)
                for uid, instance in actual.instances.items()
                if (uid in short or _is_on(worker, instance)) and actual.state(uid) in ("ready", "loading")
            }
            grown = [memory.had(other) for other in memory.declared.had if other not in memory.drained]
            models_had = had(wanted, actual, worker, self.leaving, memory.had(worker), grown)
            goals = {
                **{uid: row["of"] for uid, row in models_had.items()},
                **{uid: n for uid, n in note.items() if not n},
            }
            found = self._cluster(wanted, actual)
            moves = decide(actual, found, wanted, worker, goals, self.leaving, self.settings.returns) if wanted else []
            plan = plan_of(moves, f"models on {worker} of {client.endpoint}")
            result = {**plan.result(), "version": client.version, "models": [_row(move) for move in moves]}
            refused = refusals(moves, self.settings)
            if refused:
                raise ModelopsError(
                    f"{worker} of {client.endpoint} is not drained, because\n" + "\n".join(f"  {x}" for x in refused)
                    + "\nMake room on another worker, or allow it: "
                    + ("force (of the role xinference_drain_force: true) stops what has no place"
                       if any(move.action == STOP for move in moves) else
                       "gaps (of the role xinference_drain_gaps: true) relaunches what cannot be moved otherwise")
                    + ". Nothing was changed.",
                    **{**result, "changed": False},
                )  # fmt: skip
            for move in moves:
                count, all_of_them = move.others + len(move.places), goals[move.uid]
                if move.action in (FEWER, ADD) and move.why:
                    self.warnings.append(f"{move.uid} goes on with {count} of {all_of_them} replicas: {move.why}")
                elif move.action == FEWER:
                    self.lines.append(
                        f"{move.uid}  goes on with {count} of {all_of_them} replicas until the worker is back"
                    )
            if client.session.check_mode:
                return self._result(result)
            noted = memory.drain(worker, {**note, **{move.uid: _goal(move, goals) for move in moves}}, models_had)
            memory.busy(_AWAY)
            for move in moves:
                self._carry_out(move, actual, memory)
            self._unpin(memory)
            result["changed"] = bool(plan.changes) or noted
            if not moves:
                memory.busy(None)
            return self._result(result)

    def answered(self) -> dict[str, t.Any]:
        """Before the worker's service is stopped: the server gives it no more requests, and those that it has are answered.

        For a model that has no other replica nothing changes. Where it cannot be done, the worker ends all the same, with a warning.
        """
        client, worker = self.client, self.settings.worker
        client.wait_ready(self.settings.ready_timeout, workers=False)
        client.login()
        result = {
            **Plan(f"requests of {worker} of {client.endpoint}").result(),
            "version": client.version,
            "models": [],
        }
        there = worker in ((client.get("/status").json or {}).get("workers") or {})
        if client.session.check_mode or not there or not releases.takes_out(client.version):
            return self._result(result)
        try:
            with self._calls() as calls:
                taken = self._take_out(calls)
                self._wait_answered(calls, taken)
        except ModelopsError as exc:
            self.warnings.append(f"requests that {worker} has when it ends may fail: {exc}")
        return self._result(result)

    def left(self) -> dict[str, t.Any]:
        """After the worker's service was stopped: the server no longer has the worker, nor what it had there."""
        client, worker = self.client, self.settings.worker
        with self.store.lock():
            self._wait_gone()
            client.login()
            memory = Memory(self.store)
            plan = Plan(f"leftovers of {worker} on {client.endpoint}")
            found = leftovers(client.instances(), worker) if releases.adds_replicas(client.version) else []
            for uid, number in found:
                plan.add("remove", "clear replica", f"{uid} {number}")
            result = {**plan.result(), "version": client.version, "models": []}
            if client.session.check_mode:
                return self._result(result)
            for uid, number in found:
                client.remove_replica(uid, number)
            # What was stopped is not brought back before the worker is; all else is served as it is to be.
            stopped = {uid: 0 for uid, count in (memory.drained.get(worker) or {}).items() if not count}
            memory.drain(worker, stopped, memory.had(worker), left=True)
            memory.busy(None)
            return self._result(result)

    def undrained(self) -> dict[str, t.Any]:
        """Gives a worker that is back what it had, proves that it serves, and forgets that it was drained.

        Declared models that were stopped for it are launched again, and replicas that went with it are added. Where it gets nothing
        back, one of the models that it had tries it.

        :raises ModelopsError: the worker is not back, or a model does not come up or answer there; run again, it goes on.
        """
        client, worker = self.client, self.settings.worker
        with self.store.lock():
            memory = Memory(self.store)
            plan = Plan(f"drained workers of {client.endpoint}")
            note, noted = memory.drained.get(worker), memory.had(worker)
            stopped = [memory.model(uid) for uid, count in sorted((note or {}).items()) if not count]
            back = models.desired([model for model in stopped if model], exists=lambda path: True)
            asks = bool(back or noted) and (note is not None or memory.left(worker))
            actual, gets = models.Actual({}, {}), Return(back)
            if asks:
                client.wait_ready(self.settings.ready_timeout, declared=[] if client.session.check_mode else [worker])
                client.login()
                if not memory.left(worker):
                    self._refuse_taken_out()
                actual = self._settled(noted, memory)
                back = [model for model in back if not models.replicas(actual.instances.get(model.uid) or {})]
                live = [uid for uid in noted if models.replicas(actual.instances.get(uid) or {})]
                wanted = {uid: model_of(uid, actual) for uid in live if actual.state(uid) in ("ready", "loading")}
                found = self._cluster(wanted, actual)
                gets = comes_back(actual, found, back, wanted, worker, noted, memory.left(worker))
            self._plan_return(plan, gets, noted)
            if note is not None or memory.left(worker):
                plan.add("remove", "forget that it is drained", worker)
            rows = [_row(move) for move in gets.moves]
            result = {**plan.result(), "version": client.version if asks else "", "models": rows}
            if not client.session.check_mode:
                if asks:
                    self._come_back(gets, actual, memory)
                if plan.changes:
                    memory.undrain(worker, self._grown(noted) if asks else {})
            return self._result(result)

    def _calls(self) -> actors.Actors:
        return actors.Actors(str(self.client.get("/v1/address").json), self.settings.worker)

    def _take_out(self, calls: actors.Actors) -> list[str]:
        """The replicas of the worker that get no more requests, by this run or by one that broke off."""
        # By the lock no other worker's run takes out at the same time what this one counts on.
        with self.store.lock():
            listed = self.client.instances()
            spare = spared(listed, self.settings.worker, set(Memory(self.store).drained) - {self.settings.worker})
            for replica in sorted(spare):
                calls.take_out(replica)
        return sorted(spare | unlisted(calls.held(), listed))

    def _refuse_taken_out(self) -> None:
        """Of a worker that never left: replicas that get no requests any more keep new ones from their numbers."""
        if self.client.session.check_mode or not releases.takes_out(self.client.version):
            return
        worker = self.settings.worker
        try:
            with self._calls() as calls:
                out = sorted(unlisted(calls.held(), self.client.instances()))
        except ModelopsError:  # then nothing was taken out
            return
        if out:
            raise ModelopsError(
                f"{worker} of {self.client.endpoint} did not leave, but gets no more requests for {', '.join(out)}: its drain broke off. "
                "Drain it again (ansible-playbook modelops.inference.drain), then undrain it."
            )

    def _wait_answered(self, calls: actors.Actors, replicas: t.Sequence[str]) -> None:
        begun = quiet = time.monotonic()
        while replicas and time.monotonic() - quiet < _QUIET:
            count = calls.under_way(replicas)
            if count:
                quiet = time.monotonic()
            if count and quiet - begun > self.settings.requests_timeout:
                self.warnings.append(
                    f"{count} requests of {self.settings.worker} are not answered after {self.settings.requests_timeout:.0f} s "
                    "(requests_timeout, of the role xinference_drain_requests_timeout) and fail as it ends"
                )
                return
            time.sleep(_PAUSE)
        if replicas:
            took = progress.duration(time.monotonic() - begun)
            self.lines.append(f"{', '.join(replicas)}  no more requests after {took}")

    def _plan_return(self, plan: Plan, gets: Return, noted: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
        worker = self.settings.worker
        for model in gets.launches:
            plan.add("add", "launch", model.uid, why="it was stopped for the worker")
        for move in gets.moves:
            for _place in move.places:
                plan.add("add", "add replica", move.uid, why=f"on {worker}, which had it")
            if move.why:
                count = move.others + len(move.places)
                self.warnings.append(f"{move.uid} goes on with {count} of {noted[move.uid]['of']} replicas: {move.why}")
        if gets.trial:
            plan.add("add", "try", gets.trial.model.uid, why=f"on {worker}, under a UID of its own, and end it")
        if gets.why:
            self.warnings.append(f"{worker} is back, and nothing proves that it serves: {gets.why}")

    def _come_back(self, gets: Return, actual: models.Actual, memory: Memory) -> None:
        """Launches, adds and proves."""
        worker, trial = self.settings.worker, gets.trial
        self._tell([*gets.launches, *(move.model for move in gets.moves), *([trial.model] if trial else [])], memory)
        self._launch(gets.launches, memory)
        if gets.launches:
            actual = self._read(memory)
        adds = {move.uid: move for move in gets.moves if move.places}
        for uid, model in {**{model.uid: model for model in gets.launches}, **gets.proves}.items():
            try:
                if uid in adds:
                    self._add_proven(adds[uid], actual)
                elif _is_on(worker, self.client.instances().get(uid) or {}):
                    self._prove(model, actual)
            except ModelopsError as exc:
                # Of what was there already nobody knows which of its replicas does not answer.
                what = "does not serve there" if uid in adds else "has replicas there and does not answer"
                raise ModelopsError(
                    f"{worker} is back at {self.client.endpoint}, but {uid} {what}: {exc}. "
                    "Mend that and run this again: it goes on with what is left."
                ) from exc
        if trial:
            self._try(trial, actual)

    def _answers(self, model: models.Model, actual: models.Actual) -> bool:
        """Whether a model answers before anything is changed; if not, that is nothing to fail for."""
        try:
            self._prove(model, actual)
        except ModelopsError as exc:  # such as of the worker itself, which shall be replaced for that
            self.warnings.append(f"{model.uid} did not answer before, so what is added is not proven: {exc}")
            return False
        return True

    def _taken_back(self, uid: str, known: t.Collection[int]) -> str:
        """Ends the replicas of a model that are not `known` (their ids): they would go on to get requests. Returns what to say."""
        try:
            added = [row["replica_id"] for row in self._live(uid) if row["replica_id"] not in known]
            for number in added:
                self.client.remove_replica(uid, number)
        except ModelopsError as exc:
            return f"; what was added could not be removed ({exc})"
        return "; what was added was removed" if added else ""

    def _try(self, trial: Trial, actual: models.Actual) -> None:
        worker, uid, tried = self.settings.worker, trial.model.uid, trial.copied.uid
        started = time.monotonic()
        problem, end = "", "It was ended"
        try:
            self._launch_trial(trial, actual)
        except ModelopsError as exc:
            problem = str(exc)
        try:
            launch.remove(self.client, tried)
        except ModelopsError as exc:  # the next drain, undrain or run of the site ends it
            problem, end = problem or "it does not end", f"It may still be there: {exc}"
        if problem:
            raise ModelopsError(
                f"{worker} is back at {self.client.endpoint}, but does not serve: {uid}, launched there as {tried} to try it, "
                f"failed: {problem}. {end}. Mend that and run this again."
            )
        took = progress.duration(time.monotonic() - started)
        self.lines.append(f"{uid}  tried on {worker} under another UID, answered and ended after {took}")

    def _launch_trial(self, trial: Trial, actual: models.Actual) -> None:
        """:raises ModelopsError: it does not come up there, or does not answer."""
        client, model, copied = self.client, trial.model, trial.copied
        timeout = model.options["launch_timeout"] or self.settings.launch_timeout
        outcome = launch.Outcome(copied.uid, "launched", launch.QUEUED, timeout=timeout, placed=trial.placed)
        # Nothing is remembered of it, and the autostart does not know it.
        launch.Work(client, [copied], [outcome]).run(None)
        if outcome.error:
            raise ModelopsError(outcome.error)
        row = client.instances().get(copied.uid) or {}
        if not _is_on(self.settings.worker, row):
            raise ModelopsError(f"the server put it on {', '.join(progress.workers(row)) or 'nowhere that it says'}")
        abilities = (actual.models.get(model.uid) or {}).get("model_ability") or []
        proven = proof.prove(client, copied.uid, model.type, abilities, None, self.settings.prove_timeout)
        if not proven.ok:
            raise ModelopsError(f"{proven.kind} proof failed: {proven.detail}")

    def _grown(self, noted: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
        """Of what the worker had, the models that have more replicas now than they had, as a drain that failed leaves them: the next
        one goes by what they had."""
        instances = self.client.instances()
        return {
            uid: dict(row)
            for uid, row in noted.items()
            if (instances.get(uid) or {}).get("instance_created_ts") == row["created"]
            and len(models.replicas(instances[uid])) > row["of"]
        }

    # -- reading ---------------------------------------------------------------------------------------------------

    def _settled(self, noted: t.Iterable[str], memory: Memory) -> models.Actual:
        """What the server has as soon as nothing loads of what the worker had: until then no replica can be added to it."""
        begun = time.monotonic()
        while True:
            actual = self._read(memory)
            loading = [model_of(uid, actual) for uid in noted if actual.state(uid) == "loading"]
            timeouts = [model.options["launch_timeout"] or self.settings.launch_timeout for model in loading]
            if time.monotonic() - begun >= max(timeouts, default=0):
                return actual
            time.sleep(1)

    def _read(self, memory: Memory) -> models.Actual:
        found = models.read(self.client, [], memory.declared)
        for uid in self.client.tries:  # of a run that broke off
            if not self.client.session.check_mode:
                launch.remove(self.client, uid)
            del found.instances[uid]
            found.models.pop(uid, None)
        return found

    def _cluster(self, wanted: t.Mapping[str, models.Model], actual: models.Actual) -> cluster.Cluster:
        decisions = [models.Decision(model, models.REPLACE) for model in wanted.values()]
        return cluster.read(
            self.client, decisions, actual, self.settings.devices or None, sharing=self.settings.gpu_sharing
        )

    def _wait_gone(self) -> None:
        """A worker that left by itself is gone at once, one that was killed only after some missed reports."""
        end = time.monotonic() + self.settings.ready_timeout
        self.client.wait_ready(self.settings.ready_timeout, workers=False)
        while self.settings.worker in ((self.client.get("/status").json or {}).get("workers") or {}):
            if self.client.session.check_mode:
                return
            if time.monotonic() > end:
                raise ModelopsError(
                    f"{self.settings.worker} is still registered with {self.client.endpoint} after "
                    f"{self.settings.ready_timeout:.0f} s (ready_timeout). Is its service stopped? Then run this again."
                )
            time.sleep(1)

    # -- doing -----------------------------------------------------------------------------------------------------

    def _carry_out(self, move: Move, actual: models.Actual, memory: Memory) -> None:
        try:
            if move.action == ADD:
                self._add_proven(move, actual)
            elif move.action == RELAUNCH:
                self._relaunch(move, actual, memory)
                self._prove(move.model, actual)
        except ModelopsError as exc:
            memory.busy(None)
            done = "; ".join(self.lines)
            raise ModelopsError(
                f"{move.uid}: {exc}. {self.settings.worker} of {self.client.endpoint} still serves what it served"
                + (f" ({done})" if done else "")
                + ". Mend that and run this again: it goes on with what is left."
            ) from exc

    def _add_proven(self, move: Move, actual: models.Actual) -> None:
        """Adds replicas. Where one does not come up, or the model does not answer with them, none of them stays."""
        answers = self._answers(move.model, actual)
        known = {row["replica_id"] for row in self._live(move.uid)}
        try:
            self._add(move)
            if answers:
                self._prove(move.model, actual)
        except ModelopsError as exc:
            raise ModelopsError(f"{exc}{self._taken_back(move.uid, known)}") from exc

    def _add(self, move: Move) -> None:
        for place in move.places:
            started = time.monotonic()
            instance = self.client.instances().get(move.uid) or {}
            known = {row["replica_id"] for row in models.replicas(instance)}
            timeout = move.model.options["launch_timeout"] or self.settings.launch_timeout
            try:
                launch.add_replica(self.client, move.uid, instance, place, timeout)
            except TimedOut as exc:
                raise ModelopsError("another replica was not ready within launch_timeout") from exc
            new = [row for row in self._live(move.uid) if row["replica_id"] not in known]
            named = place["replica_config"]["devices"][0]["worker_ip"] if place else None
            drained = set(self.leaving) | ({self.settings.worker} - {named})
            back = named == self.settings.worker
            wrong = [
                row
                for row in new
                if row.get("worker_address") in drained or (back and row.get("worker_address") != named)
            ]
            if wrong:  # the server did not go by the place
                raise ModelopsError(
                    f"the server put the new replica on {wrong[0]['worker_address']}, "
                    f"{'not ' + str(named) if back else 'which is drained'}"
                )
            where = ", ".join(str(row.get("worker_address")) for row in new)
            took = progress.duration(time.monotonic() - started)
            self.lines.append(f"{move.uid}  another replica on {where} ready after {took}")

    def _live(self, uid: str) -> list[dict[str, t.Any]]:
        return models.replicas(self.client.instances().get(uid) or {})

    def _relaunch(self, move: Move, actual: models.Actual, memory: Memory) -> None:
        timeout = move.model.options["launch_timeout"] or self.settings.launch_timeout
        decision = models.Decision(move.model, models.REPLACE)
        before = launch.what_runs(decision, actual)
        body = {**move.model.body, "replica": move.here + move.others}
        outcome = launch.Outcome(
            move.uid, "replaced", launch.QUEUED, timeout=timeout, terminate=True, placed=move.placed, before=before
        )
        work = launch.Work(self.client, [replace(move.model, body=body)], [outcome], memory)
        work.run(None)
        self.lines += work.lines
        if outcome.phase == launch.FAILED:
            raise ModelopsError(str(outcome.error))
        memory.became({move.uid: self.client.instances()[move.uid].get("instance_created_ts")})

    def _tell(self, wanted: t.Sequence[models.Model], memory: Memory) -> None:
        """Registers again what was registered while the worker was away; a run of the site does so with what nothing waits for."""
        for definition in (model.definition for model in wanted if model.definition):
            key = (definition.model_type, definition.name)
            if memory.untold(key, [self.settings.worker]):
                problem = definitions.put(self.client, definition, self.client.registration(*key) is not None)
                if problem:
                    raise ModelopsError(f"{definition.name} cannot be registered on {self.settings.worker}: {problem}")
                memory.tell(key, self.client.workers)

    def _launch(self, wanted: t.Sequence[models.Model], memory: Memory) -> None:
        outcomes = []
        for model in wanted:
            placed = (memory.declared.launched.get(model.uid) or {}).get("placed") or {}
            timeout = model.options["launch_timeout"] or self.settings.launch_timeout
            outcomes.append(launch.Outcome(model.uid, "launched", launch.QUEUED, timeout=timeout, placed=dict(placed)))
        work = launch.Work(self.client, wanted, outcomes, memory)
        work.run(None)
        self.lines += work.lines
        failed = [f"{outcome.uid}: {outcome.error}" for outcome in outcomes if outcome.phase == launch.FAILED]
        if failed:
            raise ModelopsError(
                f"{self.settings.worker} is back at {self.client.endpoint}, but not all that was stopped for it:\n"
                + "\n".join(failed)
                + "\nMend that and run this again."
            )
        if wanted:
            memory.became({uid: row.get("instance_created_ts") for uid, row in self.client.instances().items()})

    def _prove(self, model: models.Model, actual: models.Actual) -> None:
        """Asks as often as there are replicas, which the server takes in turn."""
        row, instance = actual.models.get(model.uid) or {}, actual.instances.get(model.uid) or {}
        abilities = row.get("model_ability") or instance.get("model_ability") or []
        for _turn in self._live(model.uid):
            proven = proof.prove(self.client, model.uid, model.type, abilities, None, self.settings.prove_timeout)
            if not proven.ok:
                raise ModelopsError(f"{proven.kind} proof failed: {proven.detail}")

    def _unpin(self, memory: Memory) -> None:
        """No launch of the reconciler names the worker any more."""
        for known in memory.declared.launched.values():
            free = unpinned(known.get("placed") or {}, self.settings.worker)
            if free is None:
                continue
            known["placed"] = free
            memory.save()

    def _result(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        return {
            **result,
            "progress": self.lines,
            "warnings": self.warnings,
            "requests": dict(self.client.session.counts),
        }


def _row(move: Move) -> dict[str, t.Any]:
    return {
        "uid": move.uid,
        "action": move.action,
        "replicas": {"here": move.here, "elsewhere": move.others},
        "places": [p["replica_config"]["devices"][0]["worker_ip"] for p in move.places if p],
        "why": move.why,
    }
