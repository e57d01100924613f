# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The used and free memory of every card and worker. Private to the collection. Pure."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import engines
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs.footprint import GIB
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import (
    Card,
    Cluster,
    Worker,
    memory_held,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.requirements import Requirements

# Sources of the figures of what runs already.
IN_USE, RUNNING = RUNNING_SOURCES = ("in use", "running")

# A worker, and cards of it that a replica may take.
Spot = tuple[Worker, list[Card]]


def reserves(required: Requirements) -> bool:
    """Whether its engine sets its claim aside, whatever the model needs."""
    return required.budget is not None or required.share() is not None


class Ledger:
    """The free memory of every card and worker."""

    def __init__(
        self,
        wanted: t.Sequence[models.Model],
        decisions: t.Sequence[model_plan.Decision],
        actual: server_state.ServerState,
        cluster: Cluster,
    ):
        self.actual, self.cluster = actual, cluster
        self.declared = {model.uid: model for model in wanted}
        #: Models that stop before their replacement starts.
        self.ends = {
            d.model.uid
            for d in decisions
            if d.action in (model_plan.REPLACE, model_plan.TERMINATE) or (d.action == model_plan.ROLL and not d.surge)
        }
        #: (worker, index) -> bytes of the card, None where they are not known.
        self.totals = {(w.address, card.index): card.total for w in cluster.workers for card in w.cards or []}
        #: (worker, index) -> bytes left, None where they are not known.
        self.room: dict[tuple[str, int], float | None] = {}
        #: (worker, index) -> UIDs on it.
        self.users: dict[tuple[str, int], list[str]] = {}
        #: The same before anything was placed.
        self.start: dict[tuple[str, int], float | None] = {}
        self.ram = {worker.address: worker.ram for worker in cluster.workers}
        for worker in cluster.workers:
            for card in worker.cards or []:
                self.users[worker.address, card.index] = self._uids_on(worker, card)
                self.room[worker.address, card.index] = self._room(worker, card)
        self.start = dict(self.room)

    def copy(self) -> Ledger:
        other = object.__new__(Ledger)
        other.__dict__.update(self.__dict__, room=dict(self.room), ram=dict(self.ram))
        other.users = {place: list(uids) for place, uids in self.users.items()}
        return other

    def left(self, worker: Worker, card: Card) -> float:
        """Bytes left of a card; as many as one likes where nothing is known about it."""
        room = self.room[worker.address, card.index]
        return float("inf") if room is None else room

    def models_on(self, worker: Worker, card: Card) -> list[str]:
        """The models on a card, those that were placed now among them."""
        return self.users[worker.address, card.index]

    def enter(self, worker: Worker, card: Card, like: Card) -> None:
        """Takes a card into the books that only an index names, as one like another of that worker."""
        self.room.setdefault((worker.address, card.index), self.left(worker, like))
        self.users.setdefault((worker.address, card.index), [])

    def book(self, worker: Worker, card: Card, uid: str, claim: float | None) -> None:
        room = self.room[worker.address, card.index]
        if room is not None:
            self.room[worker.address, card.index] = room - (claim or 0.0)
        self.users[worker.address, card.index].append(uid)

    def _replicas(self) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
        for uid, instance in sorted(self.actual.instances.items()):
            if self.actual.state(uid) in ("ready", "loading"):
                for replica in server_state.replicas(instance):
                    yield uid, replica

    def replicas_on_workers(self, uid: str) -> collections.Counter[str]:
        """Address of a worker -> how many replicas of the model stay there."""
        here = (r.get("worker_address", "") for name, r in self._replicas() if name == uid and uid not in self.ends)
        return collections.Counter(here)

    def _uids_on(self, worker: Worker, card: Card) -> list[str]:
        """The models that stay on a card."""
        named = {
            uid
            for uid, replica in self._replicas()
            if replica.get("worker_address") == worker.address and card.index in (replica.get("gpu_idx") or [])
        }
        reported = {uid for uid in self.actual.models if memory_held(self.actual, worker.address, card.index, [uid])}
        return sorted((named | reported) - self.ends)

    def _room(self, worker: Worker, card: Card) -> float | None:
        """The free memory beside everything that stays: the used memory, or the maximum of those models if that is more."""
        if card.total is None:
            return None
        busy = card.total - card.free if card.free is not None else 0.0
        leaving = [uid for uid in self.ends if self._may_be_on(uid, worker, card)]
        released = memory_held(self.actual, worker.address, card.index, leaving)
        if leaving and not released:
            released = busy  # an old release does not say how much of it is theirs
        claims = sum(self._claim_of(uid, worker, card) for uid in self.users[worker.address, card.index])
        return card.total - max(busy - released, claims, 0.0)

    def foreign(self, worker: Worker, card: Card) -> float:
        """Bytes of a card that surely no model of this server holds; 0 where models are on it whose part nobody tells."""
        if (
            card.total is None
            or card.free is None
            or any(self._may_be_on(uid, worker, card) for uid in self.actual.instances)
        ):
            return 0.0
        return card.total - card.free - memory_held(self.actual, worker.address, card.index)

    def _may_be_on(self, uid: str, worker: Worker, card: Card) -> bool:
        if memory_held(self.actual, worker.address, card.index, [uid]):
            return True
        return any(
            name == uid
            and replica.get("worker_address") == worker.address
            and (not replica.get("gpu_idx") or card.index in replica["gpu_idx"])
            for name, replica in self._replicas()
        )

    def _claim_of(self, uid: str, worker: Worker, card: Card) -> float:
        """The memory that a staying model uses or reserves on a card."""
        held = memory_held(self.actual, worker.address, card.index, [uid])
        model = self.declared.get(uid)
        if model is None or not model.present:
            return held
        required = Requirements(model, engines.of(model), 1, 1, 1, 0, None, None)
        promised = required.claim(card, None)[0] if reserves(required) else None
        return max(held, promised or 0.0)

    def running(self) -> list[dict[str, t.Any]]:
        """Rows of the staying models."""
        staying = [(uid, replica) for uid, replica in self._replicas() if uid not in self.ends]
        on_worker = collections.Counter((uid, _address(replica)) for uid, replica in staying)
        on_card = collections.Counter(
            (uid, _address(replica), index) for uid, replica in staying for index in set(replica.get("gpu_idx") or ())
        )
        rows: list[dict[str, t.Any]] = []
        for uid, replica in staying:
            rows += self._rows_of(uid, replica, on_worker[uid, _address(replica)] == 1, on_card)
        return rows

    def _rows_of(
        self, uid: str, replica: t.Mapping[str, t.Any], alone: bool, on_card: t.Mapping[tuple[str, str, int], int]
    ) -> list[dict[str, t.Any]]:
        """One row for each card of a running replica, or one where it has none.

        :param alone: whether it is the model's only one on its worker, so that what the model holds there is its.
        :param on_card: (UID, worker, index) -> how many of the model's replicas share what it holds of the card.
        """
        address, number = _address(replica), int(replica.get("replica_id") or 0)
        held = self._held(uid, address)
        rows = []
        for index in replica.get("gpu_idx") or (map(int, held) if alone else ()):
            used = held.get(str(index))
            share = used / max(1, on_card.get((uid, address, index), 0)) if used else None
            total = self.totals.get((address, index))
            rows.append(row_of(uid, number, address, index, share, total, IN_USE if used else RUNNING))
        if not rows:
            unknown = held or any(worker == address for worker, _index in self.totals)
            rows.append(row_of(uid, number, address, "?" if unknown else "cpu", None, None, RUNNING))
        return rows

    def _held(self, uid: str, address: str) -> t.Mapping[str, t.Any]:
        """Index of a card of a worker -> bytes that a model holds of it, where the server tells."""
        return ((self.actual.models.get(uid) or {}).get("gpu_memory") or {}).get(address) or {}


def _address(replica: t.Mapping[str, t.Any]) -> str:
    return replica.get("worker_address") or "?"


def row_of(
    uid: str, replica: int, worker: str, card: t.Any, used: float | None, of: float | None, source: str
) -> dict[str, t.Any]:
    """A row of the placement (`placement.Placement`)."""

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value / GIB, 1)

    return {
        "model": uid,
        "replica": replica,
        "worker": worker,
        "card": card,
        "used_gib": rounded(used),
        "of_gib": rounded(of),
        "source": source,
    }
