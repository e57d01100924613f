# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The new places of a worker's models before it ends. Private to the collection. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    autostart,
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import cluster, placement

# Actions for a model whose worker leaves: add its replicas elsewhere, terminate it and launch it elsewhere, continue with its
# other replicas, or stop it. MOVED was done by an earlier run.
ADD, RELAUNCH, FEWER, STOP, MOVED = "add", "relaunch", "fewer", "stop", "moved"
# Keys of a launch request that name a place.
PLACES = ("worker_ip", "gpu_idx", "replica_config")


@dataclass
class Move:
    """The action for one model.

    :param on_worker: its replicas on the worker.  :param elsewhere: those on other workers.
    :param places: for ADD, of each new replica what `Client.add_replica` takes.
    :param placed: for RELAUNCH, the keys of the launch request that name the place.
    :param why: for FEWER and STOP, and why RELAUNCH has a gap.
    """

    model: models.Model
    action: str
    on_worker: int
    elsewhere: int
    places: list[dict[str, t.Any]] = field(default_factory=list)
    placed: dict[str, t.Any] = field(default_factory=dict)
    why: str = ""

    @property
    def uid(self) -> str:
        return self.model.uid


def leftovers(instances: t.Mapping[str, t.Mapping[str, t.Any]], worker: str) -> list[tuple[str, int]]:
    """(UID, id) of replicas of a worker that has left, of models that go on."""
    return [
        (uid, int(row["replica_id"]))
        for uid, instance in sorted(instances.items())
        if server_state.replicas(instance)
        for row in instance.get("replica_statuses") or []
        if row.get("worker_address") == worker and row.get("status") == "TERMINATED"
    ]


def spared(instances: t.Mapping[str, t.Mapping[str, t.Any]], worker: str, leaving: t.Collection[str]) -> set[str]:
    """The replicas of a worker that their models can do without: others serve elsewhere.

    :param leaving: addresses of other workers that are drained: what is there does not count.
    """
    spare = set()
    for instance in instances.values():
        rows = server_state.replicas(instance)
        away = [row for row in rows if row.get("worker_address") not in {worker, *leaving}]
        if any(row["status"] == "READY" for row in away):
            spare |= {str(row["replica_model_uid"]) for row in rows if row.get("worker_address") == worker}
    return spare


def unlisted(held: t.Iterable[str], instances: t.Mapping[str, t.Mapping[str, t.Any]]) -> set[str]:
    """A worker's running replicas that get no requests from the server."""
    known = {row.get("replica_model_uid") for one in instances.values() for row in one.get("replica_statuses") or []}
    return {replica for replica in held if replica not in known and re.search(r"-rep\d+$", replica)}


def model_of(uid: str, actual: server_state.ServerState) -> models.Model:
    """The model of a UID: as declared, else as remembered, entered or reported."""
    declared = actual.declared.get(uid)
    if declared is not None:
        return models.desired([declared], exists=lambda path: True)[0]
    row = actual.models.get(uid) or {}
    model = model_plan.undeclared_model(uid, row.get("model_name", uid), row.get("model_type", "LLM"))
    # Of what is not declared nobody said that it belongs where it is.
    model.body = {key: value for key, value in _launch_of(uid, actual).items() if key not in PLACES}
    model.options.update({option: model.body.get(key) for option, key in models.LAUNCH_KEYS.items()})
    model.options.update(state="present", replicas=int(row.get("replica") or 1))
    return model


def _launch_of(uid: str, actual: server_state.ServerState) -> t.Mapping[str, t.Any]:
    """The launch request of a model that is not declared: as it is remembered, entered in the autostart, or told."""
    known = actual.remembered(uid)
    if known is not None:
        return known
    entry = ((actual.autostart or {}).get(uid) or {}).get("launch")
    if entry and not any(autostart.hides(value) for value in entry.values()):
        return {key: value for key, value in entry.items() if value is not None}
    row = actual.models.get(uid) or {}
    return {**{key: row[key] for key in server_state.REPORTED.values() if row.get(key) is not None}, "model_uid": uid}


def models_on(actual: server_state.ServerState, worker: str, also: t.Container[str] = ()) -> dict[str, models.Model]:
    """UID -> model of what runs on a worker.  :param also: UIDs of further models."""
    return {
        uid: model_of(uid, actual)
        for uid, instance in actual.instances.items()
        if (uid in also or is_on(worker, instance)) and actual.state(uid) in ("ready", "loading")
    }


def lacking(
    actual: server_state.ServerState, noted: t.Mapping[str, t.Mapping[str, t.Any]], leaving: t.Collection[str]
) -> set[str]:
    """UIDs of models that a worker had and that run with fewer replicas than there were to be, as an upgrade that broke off
    leaves them. Pure.

    :param noted: what is noted of that worker.
    """
    found = set()
    for uid, row in noted.items():
        live = _staying(actual.instances.get(uid) or {}, leaving)
        if actual.created(uid) == row["created"] and 0 < len(live) < row["of"]:
            found.add(uid)
    return found


@dataclass
class Room:
    """Workers with room for a drained worker's replicas, and the replicas assigned to them."""

    actual: server_state.ServerState
    cluster: cluster.Cluster
    booked: list[model_plan.Decision] = field(default_factory=list)

    def place(self, decision: model_plan.Decision) -> tuple[placement.Placement, str]:
        """Books a place where there is one; returns where it is, or why there is none."""
        decisions = [*self.booked, decision]
        result = placement.plan([each.model for each in decisions], decisions, self.actual, self.cluster)
        if not result.problems:
            self.booked.append(decision)
        mine = f"models: {decision.model.uid}: "
        return result, "; ".join(text.replace(mine, "") for text in result.problems)


def by_priority(served: t.Mapping[str, models.Model]) -> list[tuple[str, models.Model]]:
    return sorted(served.items(), key=lambda item: (item[1].options["priority"] or 100, item[0]))


def decide(
    actual: server_state.ServerState,
    found: cluster.Cluster,
    served: t.Mapping[str, models.Model],
    worker: str,
    goals: t.Mapping[str, int] | None = None,
    leaving: t.Collection[str] = (),
    returns: bool = False,
) -> list[Move]:
    """The action for each model on a worker. Pure.

    :param found: the cluster, with that worker.  :param served: the models on it, by UID.
    :param goals: how many replicas each must have without the worker; as many as there are where it is not named.
    :param leaving: addresses of other workers that are drained, which may still serve: nothing moves to them, and what they
        have does not count.
    :param returns: whether the worker comes back soon: then what serves elsewhere, too, goes on with that.
    """
    rest = replace(found, workers=[one for one in found.workers if one.address not in {worker, *leaving}], local=False)
    room = Room(actual, rest)
    moves = []
    for uid, model in by_priority(served):
        rows = _staying(actual.instances[uid], leaving)
        elsewhere_rows = [row for row in rows if row.get("worker_address") != worker]
        on_worker, elsewhere = len(rows) - len(elsewhere_rows), len(elsewhere_rows)
        missing = (goals or {}).get(uid, len(rows)) - elsewhere
        if missing <= 0:
            moves.append(Move(model, MOVED, on_worker, elsewhere))
            continue
        ready = sum(1 for row in elsewhere_rows if row.get("status") == "READY")
        move = _move(model, on_worker, elsewhere, missing, room, worker, enough=ready if returns else 0)
        if not on_worker and move.action in (RELAUNCH, STOP):  # what runs does not depend on the worker
            move = Move(model, FEWER, on_worker, elsewhere, why=move.why)
        moves.append(move)
    return moves


def _staying(instance: t.Mapping[str, t.Any], leaving: t.Collection[str]) -> list[dict[str, t.Any]]:
    """The replicas that are not on one of these workers."""
    return [row for row in server_state.replicas(instance) if row.get("worker_address") not in leaving]


def _move(
    model: models.Model, on_worker: int, elsewhere: int, missing: int, room: Room, worker: str, *, enough: int
) -> Move:
    """:param enough: how many replicas elsewhere are enough until the worker is back; 0 where it does not come back soon."""
    version = room.actual.version
    survives = releases.survives_worker(version)
    whole = (model.options["n_worker"] or 1) == 1
    if model.options["worker"] in names_of(worker):
        return Move(model, STOP, on_worker, elsewhere, why="it is declared for this worker (worker)")
    if not room.cluster.workers:
        return Move(model, STOP, on_worker, elsewhere, why="there is no other worker")
    if enough and survives and whole:
        return Move(model, FEWER, on_worker, elsewhere)
    if elsewhere and not survives:
        gap = f"Xinference {version} forgets a model and all its replicas when one of its workers leaves"
    else:
        gap = cannot_grow(model, room.actual)
    if not gap:
        return added(model, on_worker, elsewhere, missing, room)
    if elsewhere and survives and whole:
        return Move(model, FEWER, on_worker, elsewhere, why=gap)
    placed, why = relaunched(model, on_worker + elsewhere, room)
    if why:
        return Move(model, STOP, on_worker, elsewhere, why=why)
    return Move(model, RELAUNCH, on_worker, elsewhere, placed=placed, why=gap)


def cannot_grow(model: models.Model, actual: server_state.ServerState) -> str:
    """Why no replica can be added to a running model; empty where one can."""
    if not releases.adds_replicas(actual.version):
        return f"Xinference {actual.version} cannot add a replica to a running model"
    if (model.options["n_worker"] or 1) > 1:
        return "it spans several workers, and Xinference cannot add a replica to such a model"
    return "" if actual.state(model.uid) == "ready" else "it is not ready"


def added(model: models.Model, on_worker: int, elsewhere: int, missing: int, room: Room) -> Move:
    """Adds as many of its replicas as there is room for; at least one if it has no others."""
    why = ""
    there = len(server_state.replicas(room.actual.instances[model.uid]))
    for count in range(missing, 0, -1):
        result, problem = room.place(model_plan.Decision(sized(model, there + count), model_plan.SCALE))
        if problem:
            why = problem
            continue
        rows: dict[int, list[dict[str, t.Any]]] = {}
        for row in result.started(model.uid):
            rows.setdefault(row["replica"], []).append(row)
        places = [_place(cards, room.cluster) for _number, cards in sorted(rows.items())] or [{}] * count
        less = f"other workers have room for {count} of {missing} replicas: {why}" if count < missing else ""
        return Move(model, ADD, on_worker, elsewhere, places=places, why=less)
    return Move(model, FEWER if elsewhere else STOP, on_worker, elsewhere, why=why)


def sized(model: models.Model, count: int) -> models.Model:
    """The model with so many replicas, wherever there is room."""
    options = model.options.copy()
    options.update(replicas=count, gpu_indices=None)
    return replace(model, options=options)


def _place(rows: t.Sequence[t.Mapping[str, t.Any]], rest: cluster.Cluster) -> dict[str, t.Any]:
    """The place of a replica in the form of ``POST /v1/models/{uid}/replicas``."""
    address = rows[0]["worker"]
    device: dict[str, t.Any] = {"worker_ip": address}
    cards = [row["card"] for row in rows if isinstance(row["card"], int)]
    if cards:
        device.update(gpu_idx=cards, n_gpu=len(cards))
    elif any(worker.address == address and worker.cards for worker in rest.workers):
        device["n_gpu"] = 0
    return {"replica_config": {"devices": [device]}}


def relaunched(model: models.Model, count: int, room: Room) -> tuple[dict[str, t.Any], str]:
    """Keys of the launch request that place the whole model elsewhere, or why there is no place for it."""
    result, problem = room.place(model_plan.Decision(sized(model, count), model_plan.REPLACE))
    if problem:
        return {}, problem
    keys = dict(result.launch_keys.get(model.uid) or {})
    if "replica_config" not in keys and (model.options["n_worker"] or 1) == 1:
        # The worker that is drained still takes models, so another one is named.
        row = next((row for row in result.rows if row["model"] == model.uid), None)
        keys.setdefault("worker_ip", row["worker"] if row else room.cluster.workers[0].address)
    return keys, ""


def had(
    served: t.Mapping[str, models.Model],
    actual: server_state.ServerState,
    worker: str,
    leaving: t.Collection[str],
    noted: t.Mapping[str, t.Mapping[str, t.Any]],
    grown: t.Sequence[t.Mapping[str, t.Any]] = (),
) -> dict[str, dict[str, t.Any]]:
    """A worker's replicas in the form of `Declared.had`: the replicas of each model there, and the declared number. Pure.

    What an earlier run noted holds, of the same launch: that run may have added replicas, or ended the worker.

    :param noted: what is noted of that worker.  :param grown: what is noted of workers that are not drained.
    """
    found = {uid: dict(row) for uid, row in noted.items() if uid not in served}
    for uid, model in served.items():
        rows = _staying(actual.instances[uid], leaving)
        on_worker = sum(1 for row in rows if row.get("worker_address") == worker)
        created = actual.created(uid)
        before = [notes[uid] for notes in (noted, *grown) if (notes.get(uid) or {}).get("created") == created]
        count = min((row["of"] for row in before), default=len(rows))
        if uid in actual.declared:
            count = min(max(len(rows), count), model.options["replicas"])
        same = noted[uid]["here"] if uid in noted and noted[uid] in before else 0
        found[uid] = {"here": max(on_worker, same), "of": count, "created": created}
    return found


def is_on(worker: str, instance: t.Mapping[str, t.Any]) -> bool:
    return any(row.get("worker_address") == worker for row in server_state.replicas(instance))


def names_of(worker: str) -> tuple[str, str]:
    """A worker's address and its host, by either of which a model may be declared for it."""
    return worker, worker.rsplit(":", 1)[0]


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


def goal(move: Move, goals: t.Mapping[str, int]) -> int:
    """The number of a model's replicas without the worker; 0 for one that stops."""
    return 0 if move.action == STOP and not move.elsewhere else goals[move.uid]


def refusals(moves: t.Sequence[Move], *, force: bool, gaps: bool) -> list[str]:
    """Why the worker is not drained: one line for each model that would not be served, or not all the time."""
    lines = []
    for move in moves:
        if move.action == STOP and not move.elsewhere and not force:
            lines.append(f"{move.uid} stops: {move.why}")
        elif move.action == RELAUNCH and not (gaps or force):
            lines.append(f"{move.uid} does not answer until it is launched elsewhere: {move.why}")
    return lines


def unpinned(placed: t.Mapping[str, t.Any], worker: str) -> dict[str, t.Any] | None:
    """The placement's keys of a launch request without the worker; None if they do not name the worker."""
    named = str(placed.get("replica_config") or "") + str(placed.get("worker_ip") or "")
    if worker not in named and placed.get("worker_ip") not in names_of(worker):
        return None
    return {key: value for key, value in placed.items() if key not in PLACES}


def row_of(move: Move) -> dict[str, t.Any]:
    return {
        "uid": move.uid,
        "action": move.action,
        "replicas": {"here": move.on_worker, "elsewhere": move.elsewhere},
        "places": [p["replica_config"]["devices"][0]["worker_ip"] for p in move.places if p],
        "why": move.why,
    }
