# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models that a returned worker gets, and its trial. Private to the collection. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import TRY
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models, server_state
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.plan_drain import (
    FEWER,
    PLACES,
    Move,
    Room,
    added,
    by_priority,
    cannot_grow,
    is_on,
    names_of,
    relaunched,
    sized,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import proof
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import sizes
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import cluster


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
    """The models that a returned worker gets.

    :param launches: declared models that were stopped for it.
    :param moves: its replicas that went: ADD, or FEWER where that cannot be.
    :param proves: UID -> model, of what it had; those that it serves then must answer.
    :param trial: where nothing of that comes back.  :param why: why there can be none.
    """

    launches: list[models.Model] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    proves: dict[str, models.Model] = field(default_factory=dict)
    trial: Trial | None = None
    why: str = ""


def return_of(
    actual: server_state.ServerState,
    found: cluster.Cluster,
    launches: list[models.Model],
    running: dict[str, models.Model],
    worker: str,
    noted: t.Mapping[str, t.Mapping[str, t.Any]],
    left: bool,
) -> Return:
    """The models that a returned worker gets. Pure.

    :param running: the models that it had and that run, by UID.  :param left: whether it is known to have left.
    """
    serves = any(is_on(worker, actual.instances[uid]) for uid in running)
    if serves and not left:  # it serves what it served
        return Return(launches)
    result = Return(launches, returning(actual, found, running, worker, noted), running)
    if noted and not serves and not launches and not any(move.places for move in result.moves):
        result.trial, result.why = trial_of(actual, found, running, worker)
    return result


def returning(
    actual: server_state.ServerState,
    found: cluster.Cluster,
    running: t.Mapping[str, models.Model],
    worker: str,
    noted: t.Mapping[str, t.Mapping[str, t.Any]],
) -> list[Move]:
    """The action for each former replica of a returned worker: ADD, or FEWER if that is impossible. Pure.

    :param running: the models that it had and that run, by UID.
    """
    room = Room(actual, _alone(found, worker))
    moves = []
    for uid, model in by_priority(running):
        row, live = noted[uid], len(server_state.replicas(actual.instances[uid]))
        count = min(row["of"], model.options["replicas"]) if uid in actual.declared else row["of"]
        missing = min(row["here"], count - live)
        if missing <= 0 or not _may_be_on(worker, model) or actual.created(uid) != row["created"]:
            continue
        gap = cannot_grow(model, actual)
        if gap:
            moves.append(Move(model, FEWER, 0, live, why=gap))
            continue
        move = added(model, 0, live, missing, room)
        named = {"replica_config": {"devices": [{"worker_ip": worker}]}}
        moves.append(replace(move, places=[place or named for place in move.places]))
    return moves


def trial_of(
    actual: server_state.ServerState, found: cluster.Cluster, running: t.Mapping[str, models.Model], worker: str
) -> tuple[Trial | None, str]:
    """The trial model of a worker, or why there is none: the fastest to load (an embedding or rerank model), else the smallest. Pure.

    :param running: the models that it had and that run, by UID.
    """
    why = "none of its former models runs any more"
    for model in sorted(running.values(), key=lambda model: _weight(model, actual)):
        why = _cannot_try(model, worker)
        if why:
            continue
        trial, why = _trial(model, actual, found, worker)
        if trial:
            return trial, ""
    return None, why


def _weight(model: models.Model, actual: server_state.ServerState) -> tuple[t.Any, ...]:
    """Sorts models that load fast and answer requests before the rest."""
    row = actual.models.get(model.uid) or {}
    asked = proof.kind_of(model.type, row.get("model_ability") or []) != "describe"
    size = sizes.billions(row.get("model_size_in_billions") or model.options["size"])
    return (not asked, model.type == "LLM", float("inf") if size is None else size, model.uid)


def _cannot_try(model: models.Model, worker: str) -> str:
    """The reason that a model cannot be a worker's trial, regardless of room; empty for none."""
    if (model.options["n_worker"] or 1) > 1:
        return f"{model.uid} spans several workers"
    if not _may_be_on(worker, model):
        return f"{model.uid} is declared for another worker"
    # One of somebody else's, of which the server tells that only while it is ready.
    return "" if "model_name" in model.body else f"{model.uid} is not ready"


def _trial(
    model: models.Model, actual: server_state.ServerState, found: cluster.Cluster, worker: str
) -> tuple[Trial | None, str]:
    """The launch of a model that tries a worker, or why there is no room for it."""
    there, uid = _alone(found, worker), TRY + worker.replace(":", "-")
    body = {key: value for key, value in model.body.items() if key not in PLACES}
    copied = replace(sized(model, 1), uid=uid, body={**body, "model_uid": uid, "replica": 1})
    copied.options["uid"] = uid
    if not there.workers:  # in check mode it is not back yet
        return Trial(model, copied, {"worker_ip": worker}), ""
    known = replace(there, checkpoints={uid: found.checkpoints.get(model.uid)})
    placed, problem = relaunched(copied, 1, Room(actual, known))
    return (None, f"{model.uid} has no room there: {problem}") if problem else (Trial(model, copied, placed), "")


def _alone(found: cluster.Cluster, worker: str) -> cluster.Cluster:
    """The cluster with that worker only."""
    return replace(found, workers=[one for one in found.workers if one.address == worker], local=False)


def _may_be_on(worker: str, model: models.Model) -> bool:
    """Whether a model is not declared for another worker."""
    return model.options["worker"] in (None, *names_of(worker))
