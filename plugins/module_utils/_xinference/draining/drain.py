# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker that ends: its models move to other workers first. Private to the collection.

Replicas of the worker are not deleted: while the server deletes one it still gives it requests, which fail (4.1.0: for
seconds). A worker that leaves by SIGINT gives up all its routes at once, so it is left to do that, and what then remains of
its replicas in the server's lists is cleared afterwards. It ends in that moment, and its requests with it: see leave.py.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import replace

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import model_plan, server_state
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.drain_run import DrainRun
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.plan_drain import (
    ADD,
    FEWER,
    RELAUNCH,
    STOP,
    Move,
    decide,
    goal,
    had,
    lacking,
    leftovers,
    models_on,
    plan_of,
    refusals,
    row_of,
    unpinned,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import launch, outcomes

# Seconds for which the reconciler keeps away, between the moving and the end of the worker.
_AWAY = 900.0


class Drain(DrainRun):
    """The steps before and after a worker's stop."""

    def drained(self) -> dict[str, t.Any]:
        """Moves the worker's models elsewhere; the worker continues until its service is stopped.

        :raises ModelopsError: something would stop, or a model did not come up elsewhere; nothing was taken away then.
        """
        client, worker = self.client, self.settings.worker
        with self.store.lock():
            client.wait_ready(self.settings.ready_timeout, workers=False)
            client.login()
            record = Record(self.store)
            client.workers = sorted((client.get("/status").json or {}).get("workers") or {})
            actual = self.read_models(record)
            moves, goals, models_had = self._decide(actual, record)
            plan = plan_of(moves, f"models on {worker} of {client.endpoint}")
            result = {**plan.result(), "version": client.version, "models": [row_of(move) for move in moves]}
            self._refuse(moves, result)
            self._tell_fewer(moves, goals)
            if client.session.check_mode:
                return self.result(result)
            note = {**record.drained.get(worker, {}), **{move.uid: goal(move, goals) for move in moves}}
            noted = record.drain(worker, note, models_had)
            record.busy(_AWAY)
            for move in moves:
                self._carry_out(move, actual, record)
            self._unpin(record)
            result["changed"] = bool(plan.changes) or noted
            if not moves:
                record.busy(None)
            return self.result(result)

    def _decide(
        self, actual: server_state.ServerState, record: Record
    ) -> tuple[list[Move], dict[str, int], dict[str, dict[str, t.Any]]]:
        """The action for each model, its replicas without the worker, and the worker's replicas."""
        worker, noted = self.settings.worker, record.had(self.settings.worker)
        self.leaving = set(record.drained) - {worker}
        short = set() if self.settings.returns else lacking(actual, noted, self.leaving)
        served = models_on(actual, worker, also=short)
        grown = [record.had(other) for other in record.declared.had if other not in record.drained]
        models_had = had(served, actual, worker, self.leaving, noted, grown)
        goals = {uid: row["of"] for uid, row in models_had.items()}
        # Models stopped by an earlier run stay stopped.
        goals.update({uid: count for uid, count in record.drained.get(worker, {}).items() if not count})
        found = self.read_cluster(served, actual)
        moves = decide(actual, found, served, worker, goals, self.leaving, self.settings.returns) if served else []
        return moves, goals, models_had

    def _refuse(self, moves: t.Sequence[Move], result: t.Mapping[str, t.Any]) -> None:
        """:raises ModelopsError: something would stop, or have a gap, and that is not allowed."""
        refused = refusals(moves, force=self.settings.force, gaps=self.settings.gaps)
        if not refused:
            return
        allow = (
            "force (in the role xinference_drain_force: true) stops models that have no place"
            if any(move.action == STOP for move in moves)
            else "gaps (in the role xinference_drain_gaps: true) relaunches models that cannot be moved otherwise"
        )
        raise ModelopsError(
            f"{self.settings.worker} of {self.client.endpoint} is not drained, because\n"
            + "\n".join(f"  {line}" for line in refused)
            + f"\nMake room on another worker, or allow it: {allow}. Nothing was changed.",
            **{**result, "changed": False},
        )

    def _tell_fewer(self, moves: t.Sequence[Move], goals: t.Mapping[str, int]) -> None:
        """Says which models go on with fewer replicas."""
        for move in moves:
            count = f"{move.elsewhere + len(move.places)} of {goals[move.uid]} replicas"
            if move.action in (FEWER, ADD) and move.why:
                self.warnings.append(f"{move.uid} continues with {count}: {move.why}")
            elif move.action == FEWER:
                self.lines.append(f"{move.uid}  continues with {count} until the worker is back")

    def left(self) -> dict[str, t.Any]:
        """Waits until the server has deregistered the stopped worker and its models."""
        client, worker = self.client, self.settings.worker
        with self.store.lock():
            self._wait_gone()
            client.login()
            record = Record(self.store)
            plan = Plan(f"leftovers of {worker} on {client.endpoint}")
            found = leftovers(client.instances(), worker) if releases.adds_replicas(client.version) else []
            for uid, number in found:
                plan.add("remove", "clear replica", f"{uid} {number}")
            result = {**plan.result(), "version": client.version, "models": []}
            if client.session.check_mode:
                return self.result(result)
            for uid, number in found:
                client.remove_replica(uid, number)
            # Stopped models return only with the worker; all others are served as declared.
            stopped = {uid: 0 for uid, count in (record.drained.get(worker) or {}).items() if not count}
            record.drain(worker, stopped, record.had(worker), left=True)
            record.busy(None)
            return self.result(result)

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
                    f"{self.settings.ready_timeout:.0f} s (ready_timeout). Check that its service is stopped, then run this again."
                )
            time.sleep(1)

    def _carry_out(self, move: Move, actual: server_state.ServerState, record: Record) -> None:
        try:
            if move.action == ADD:
                self.add_proven(move, actual)
            elif move.action == RELAUNCH:
                self._relaunch(move, actual, record)
                self.prove(move.model, actual)
        except ModelopsError as exc:
            record.busy(None)
            done = "; ".join(self.lines)
            raise ModelopsError(
                f"{move.uid}: {exc}. {self.settings.worker} of {self.client.endpoint} still serves its models"
                + (f" ({done})" if done else "")
                + ". Correct the cause and run this again: it continues with the rest."
            ) from exc

    def _relaunch(self, move: Move, actual: server_state.ServerState, record: Record) -> None:
        decision = model_plan.Decision(move.model, model_plan.REPLACE)
        before = outcomes.what_runs(decision, actual)
        body = {**move.model.body, "replica": move.on_worker + move.elsewhere}
        outcome = outcomes.Outcome(
            move.uid,
            "replaced",
            outcomes.QUEUED,
            timeout=self.timeout(move.model),
            terminate=True,
            placed=move.placed,
            before=before,
        )
        work = launch.Work(self.client, [replace(move.model, body=body)], [outcome], record)
        work.run(None)
        self.lines += work.lines
        if outcome.phase == outcomes.FAILED:
            raise ModelopsError(str(outcome.error))
        record.became({move.uid: self.client.instances()[move.uid].get("instance_created_ts")})

    def _unpin(self, record: Record) -> None:
        """No launch of the reconciler names the worker any more."""
        for known in record.declared.launched.values():
            free = unpinned(known.get("placed") or {}, self.settings.worker)
            if free is None:
                continue
            known["placed"] = free
            record.save()
