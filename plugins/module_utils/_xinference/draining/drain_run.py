# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that takes models from a worker or gives it some. Private to the collection."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import TimedOut
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import actors, progress
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record, Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.plan_drain import Move
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import operations, proof
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import cluster


@dataclass(frozen=True)
class DrainOptions:
    """Options of a drain or an undrain; the module has the same names."""

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


class DrainRun:
    """One execution of the module.

    :ivar lines: what was done, for the screen.  :ivar warnings: what a person should know and nothing was refused for.
    """

    def __init__(self, client: Client, settings: DrainOptions, store: Store):
        self.client, self.settings, self.store = client, settings, store
        self.lines: list[str] = []
        self.warnings: list[str] = []
        #: Other workers that are drained.
        self.leaving: t.Collection[str] = ()
        client.sees_tries = True

    def read_models(self, record: Record) -> server_state.ServerState:
        """The running models, without trials of a worker."""
        found = server_state.read(self.client, [], record.declared)
        for uid in self.client.tries:  # of a run that broke off
            if not self.client.session.check_mode:
                operations.remove(self.client, uid)
            del found.instances[uid]
            found.models.pop(uid, None)
        return found

    def read_cluster(self, wanted: t.Mapping[str, models.Model], actual: server_state.ServerState) -> cluster.Cluster:
        """The devices of the workers, and what is known of these models' weights."""
        decisions = [model_plan.Decision(model, model_plan.REPLACE) for model in wanted.values()]
        return cluster.read(
            self.client, decisions, actual, self.settings.devices or None, sharing=self.settings.gpu_sharing
        )

    def calls(self) -> actors.Actors:
        """Calls to the processes of the worker and its supervisor."""
        return actors.Actors(str(self.client.get("/v1/address").json), self.settings.worker)

    def live(self, uid: str) -> list[dict[str, t.Any]]:
        """The replicas of a model that the server has now."""
        return server_state.replicas(self.client.instances().get(uid) or {})

    def timeout(self, model: models.Model) -> float:
        found: float = model.options["launch_timeout"] or self.settings.launch_timeout
        return found

    def add_proven(self, move: Move, actual: server_state.ServerState) -> None:
        """Adds replicas. Where one does not come up, or the model does not answer with them, none of them stays."""
        answers = self._answers(move.model, actual)
        known = {row["replica_id"] for row in self.live(move.uid)}
        try:
            self._add(move)
            if answers:
                self.prove(move.model, actual)
        except ModelopsError as exc:
            raise ModelopsError(f"{exc}{self._taken_back(move.uid, known)}") from exc

    def _add(self, move: Move) -> None:
        for place in move.places:
            started = time.monotonic()
            instance = self.client.instances().get(move.uid) or {}
            known = {row["replica_id"] for row in server_state.replicas(instance)}
            try:
                operations.add_replica(self.client, move.uid, instance, place, self.timeout(move.model))
            except TimedOut as exc:
                raise ModelopsError("another replica was not ready within launch_timeout") from exc
            new = [row for row in self.live(move.uid) if row["replica_id"] not in known]
            self._check_place(new, place)
            where = ", ".join(str(row.get("worker_address")) for row in new)
            took = progress.duration(time.monotonic() - started)
            self.lines.append(f"{move.uid}  another replica on {where} ready after {took}")

    def _check_place(self, new: t.Iterable[t.Mapping[str, t.Any]], place: t.Mapping[str, t.Any]) -> None:
        """:raises ModelopsError: the server did not go by the place, and put a replica on a worker that is drained."""
        worker = self.settings.worker
        named = place["replica_config"]["devices"][0]["worker_ip"] if place else None
        for row in new:
            address = row.get("worker_address")
            if named == worker != address:
                raise ModelopsError(f"the server placed the new replica on {address}, not {worker}")
            if address in self.leaving or (address == worker != named):
                raise ModelopsError(f"the server placed the new replica on {address}, which is drained")

    def _answers(self, model: models.Model, actual: server_state.ServerState) -> bool:
        """Whether a model answers before anything is changed; if not, that is nothing to fail for."""
        try:
            self.prove(model, actual)
        except ModelopsError as exc:  # such as of the worker itself, which shall be replaced for that
            self.warnings.append(f"{model.uid} did not answer before, so the added replica is not verified: {exc}")
            return False
        return True

    def _taken_back(self, uid: str, known: t.Collection[int]) -> str:
        """Ends the replicas of a model that are not `known` (their ids): they would go on to get requests. Returns what to say."""
        try:
            added = [row["replica_id"] for row in self.live(uid) if row["replica_id"] not in known]
            for number in added:
                self.client.remove_replica(uid, number)
        except ModelopsError as exc:
            return f"; the added replica could not be removed ({exc})"
        return "; the added replica was removed" if added else ""

    def prove(self, model: models.Model, actual: server_state.ServerState) -> None:
        """Asks as often as there are replicas, which the server takes in turn."""
        row, instance = actual.models.get(model.uid) or {}, actual.instances.get(model.uid) or {}
        abilities = row.get("model_ability") or instance.get("model_ability") or []
        for _turn in self.live(model.uid):
            proven = proof.prove(self.client, model.uid, model.type, abilities, None, self.settings.prove_timeout)
            if not proven.ok:
                raise ModelopsError(f"{proven.kind} proof failed: {proven.detail}")

    def result(self, found: dict[str, t.Any]) -> dict[str, t.Any]:
        return {
            **found,
            "progress": self.lines,
            "warnings": self.warnings,
            "requests": dict(self.client.session.counts),
        }
