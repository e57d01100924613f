# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applies the plan of models.py: register, terminate, launch in parallel, wait. Private to the collection.

The state of the work is a list of outcomes that can be written down (JSON) and taken up by a later execution, which
is how progress reaches the screen: the action plugin calls the module again until nothing is pending.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import asdict

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._pace import pace
from ansible_collections.modelops.inference.plugins.module_utils._session import ApiError, TimedOut, Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record, Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching.operations import (
    add_replica,
    next_step,
    remove,
    replica_place,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching.outcomes import (
    _OPEN,
    ABSENT,
    FAILED,
    LOADING,
    QUEUED,
    READY,
    Outcome,
)

# Seconds for which the server may fail to answer while models load.
_SILENCE = 60.0
# Seconds after which a launched model must be listed.
_LISTED = 15.0
# A pause between two looks: short at first, so that small models are not waited for longer than they take.
_QUICK, _SLOW, _QUICK_FOR = 0.5, 2.0, 30.0
# An execution that may be resumed runs at least this long, so that a change costs no execution of its own.
_SLICE = 3.0


class Work:
    """The launches of one run.

    :param outcomes: from `begin`, or what an earlier execution wrote down.
    :param record: what is remembered of launches; None remembers nothing.
    :param parallel: launches at the same time; less than one would never end.
    """

    def __init__(
        self,
        client: Client,
        wanted: t.Sequence[models.Model],
        outcomes: list[Outcome],
        record: Record | None = None,
        parallel: int = 5,
    ):
        self.client = client
        self.outcomes = outcomes
        self.record = record or Record(Store(None))
        self.parallel = max(1, parallel)
        #: New lines for the screen, oldest first.
        self.lines: list[str] = []
        self._models = {model.uid: model for model in wanted}
        self._silent_since: float | None = None
        self._moved = False
        self._measured: dict[str, tuple[float, int]] = {}

    def written(self) -> list[dict[str, t.Any]]:
        return [asdict(outcome) for outcome in self.outcomes]

    @property
    def open(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.phase in _OPEN]

    # -- before the launches -----------------------------------------------------------------------------------

    def prepare(self, decisions: t.Sequence[model_plan.Decision], actual: server_state.ServerState) -> None:
        """Registers definitions and terminates models declared absent."""
        self._register(decisions, actual)
        for outcome in self.outcomes:
            if outcome.action == "terminated":
                # Its entry first, or the server would launch it again.
                if outcome.uid in (actual.autostart or {}):
                    self._try(outcome, lambda o: self.client.drop_autostart(o.uid))
                if outcome.phase != FAILED:
                    self._try(outcome, lambda o: remove(self.client, o.uid))
                if outcome.phase != FAILED:
                    outcome.phase = ABSENT
                    self.record.forget(outcome.uid)
                    self._say(outcome, f"{outcome.uid}  terminated")

    def _register(self, decisions: t.Sequence[model_plan.Decision], actual: server_state.ServerState) -> None:
        done: dict[tuple[str, str], str | None] = {}
        for decision in decisions:
            definition = decision.model.definition
            if definition is None or decision.register is None:
                continue
            key = (definition.model_type, definition.name)
            if key not in done:
                done[key] = definitions.put(self.client, definition, actual.definitions.get(key) is not None)
                if not done[key]:
                    self.record.tell(key, self.client.workers)
            if done[key]:
                outcome = next(o for o in self.outcomes if o.uid == decision.model.uid)
                outcome.action, outcome.phase, outcome.error = "none", FAILED, done[key]

    # -- launches ----------------------------------------------------------------------------------------------

    def run(self, wait: float | None) -> bool:
        """Launches and waits; True when nothing is open any more.

        :param wait: seconds after which, or after a change of state, it stops waiting; None waits for the end.
        """
        begun = time.monotonic()
        while True:
            self._start_queued()
            if self.open:
                self._look()
            if not self.open:
                return True
            passed = time.monotonic() - begun
            if wait is not None and (passed >= wait or (self._moved and passed >= min(wait, _SLICE))):
                return False
            time.sleep(_QUICK if passed < _QUICK_FOR else _SLOW)

    def _start_queued(self) -> None:
        # A step of a roll is waited for, so the launches begin first.
        queued = sorted((o for o in self.outcomes if o.phase == QUEUED), key=lambda o: (o.roll is not None, o.priority))
        room = self.parallel - sum(1 for o in self.outcomes if o.phase == LOADING)
        for outcome in queued[: max(0, room)]:
            self._try(outcome, self._step if outcome.roll else self._start)

    def _start(self, outcome: Outcome) -> None:
        if outcome.terminate:
            remove(self.client, outcome.uid)
            outcome.terminate = False
        # Remembered before it is sent, so that a run that is killed here knows the model as its own.
        body = self._models[outcome.uid].body
        self.record.launched(outcome.uid, body, outcome.placed)
        self._launch(outcome, releases.launch_request(self.client.version, body, outcome.placed))

    def _launch(self, outcome: Outcome, request: t.Mapping[str, t.Any]) -> None:
        try:
            self.client.launch(request)
        except TimedOut:
            pass  # the server took it: the next look tells
        except Unreachable as exc:
            # Old servers close the connection after an error; a launch that did arrive is refused as a duplicate.
            if not exc.sent:
                raise
            if outcome.uid not in self.client.instances():
                self.client.launch(request)
        except ApiError as exc:
            if "already in the model list" not in str(exc):
                self.record.forget(outcome.uid)
                raise
            # The server's autostart or somebody else was faster. It is waited for, unless it is the one to replace.
            if outcome.action == "replaced":
                remove(self.client, outcome.uid)
                self.client.launch(request)
        outcome.phase, outcome.started = LOADING, time.time()

    def _step(self, outcome: Outcome) -> None:
        """Adds or removes one replica; the model answers all the time."""
        roll, model = outcome.roll or {}, self._models[outcome.uid]
        outcome.started = outcome.started or time.time()
        # Each replica has the time of a launch. One that is lost again and again is not replaced for ever.
        bound = outcome.timeout * (roll["replicas"] + len(roll["old"]) + 1)
        if time.time() - outcome.started > bound:
            raise ModelopsError(
                f"its replicas still differ from the declaration after {bound:.0f} s (launch_timeout for each replica)"
            )
        instance = self.client.instances().get(outcome.uid) or {}
        rows = [r for r in instance.get("replica_statuses") or [] if r.get("status") != "TERMINATED"]
        ready = [r for r in rows if r.get("status") == "READY"]
        broken = [r["replica_id"] for r in rows if r not in ready]
        step = next_step([r["replica_id"] for r in ready], broken, roll["old"], roll["replicas"], roll["surge"])
        if step is None:
            outcome.phase, outcome.seconds = READY, round(time.time() - outcome.started, 1)
            self.record.launched(outcome.uid, model.body, outcome.placed)
            took = progress.duration(outcome.seconds)
            self._say(outcome, f"{outcome.uid}  {len(ready)} replica{'s'[: len(ready) > 1]} ready after {took}")
            return
        what, number = step
        if what == "remove":
            self._say(outcome, f"{outcome.uid}  ending replica {number}")
            self.client.remove_replica(outcome.uid, int(number or 0))
        else:
            self._say(outcome, f"{outcome.uid}  loading another replica beside {len(ready)}")
            self._add_replica(outcome, instance, replica_place(model, rows, self.client.workers))
        self._moved = True

    def _add_replica(self, outcome: Outcome, instance: t.Mapping[str, t.Any], place: t.Mapping[str, t.Any]) -> None:
        try:
            add_replica(self.client, outcome.uid, instance, place, outcome.timeout)
        except TimedOut as exc:
            # It may still load: it is ended, so that nothing half-launched stays.
            for row in (self.client.instances().get(outcome.uid) or {}).get("replica_statuses") or []:
                if row.get("status") not in ("READY", "TERMINATED"):
                    self.client.remove_replica(outcome.uid, row["replica_id"])
            raise ModelopsError(
                f"another replica was not ready within {outcome.timeout:.0f} s (launch_timeout)"
            ) from exc

    def _look(self) -> None:
        try:
            instances = self.client.instances()
            self._silent_since = None
            for outcome in self.outcomes:
                if outcome.phase == LOADING:
                    self._judge(outcome, instances.get(outcome.uid))
        except Unreachable as exc:
            self._silence(exc)
        except ApiError as exc:
            if exc.status < 500:  # a worker that goes down makes the server answer 500 for a while
                raise
            self._silence(exc)

    def _silence(self, exc: ModelopsError) -> None:
        """A server that stops answering is waited for, but not as long as a model may take to load."""
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        if now - self._silent_since < _SILENCE:
            return
        for outcome in self.open:
            self._fail(outcome, f"the server stopped answering: {exc}")

    def _judge(self, outcome: Outcome, instance: dict[str, t.Any] | None) -> None:
        passed = time.time() - (outcome.started or 0)
        status = (instance or {}).get("status")
        if status == "READY" and progress.complete(instance or {}):
            if outcome.restoring:
                self._fail(outcome, f"{outcome.restoring}. The previous model runs again")
                return
            outcome.phase, outcome.seconds = READY, round(passed, 1)
            self._say(outcome, f"{outcome.uid}  ready after {progress.duration(passed)}")
        elif status == "ERROR" and not progress.restarts_by_itself(instance or {}):
            why = progress.reason(instance or {}) or self._unexplained(instance or {})
            # The server forgets a failed launch by itself; another replica may still be loading.
            if self.client.presence(outcome.uid) != releases.UNKNOWN:
                self._try(outcome, lambda o: remove(self.client, o.uid))
            self.record.forget(outcome.uid)
            self._fail(outcome, why)
        elif passed > outcome.timeout:
            why = f"not ready within {outcome.timeout:.0f} s (launch_timeout)"
            try:
                remove(self.client, outcome.uid)
                self.record.forget(outcome.uid)
                self._fail(outcome, f"{why}; the launch was cancelled")
            except ModelopsError as exc:
                self._fail(outcome, f"{why}, and could not be cancelled: {exc}")
        elif instance is None and outcome.action == "adopted":
            # It was loading when the run came, and came to nothing.
            outcome.action, outcome.phase = "launched", QUEUED
        elif instance is None and passed > _LISTED:
            self._fail(outcome, "the server no longer knows it: it was restarted, or the launch was cancelled")
        elif instance is not None:
            answer = self.client.progress(outcome.uid)
            self._say(outcome, progress.loading(outcome.uid, instance, answer, self._pace(outcome.uid, answer)))

    def _pace(self, uid: str, answer: t.Mapping[str, t.Any]) -> str:
        """How fast a download comes, measured from the first look of this execution."""
        now, (done, total) = time.monotonic(), progress.downloaded(answer)
        begun, before = self._measured.setdefault(uid, (now, done))
        return pace(done - before, now - begun, total - done)

    def _unexplained(self, instance: dict[str, t.Any]) -> str:
        """Where a person finds why it failed: a worker writes its own log, at the same place unless its home is another."""
        why, workers = "the server gives no reason; see its log", progress.workers(instance)
        if not self.client.log_path:
            return why
        where = f" on the host of worker {' and '.join(workers)}" if workers else ""
        return f"{why}: {self.client.log_path}{where}"

    # -- one model ---------------------------------------------------------------------------------------------

    def _try(self, outcome: Outcome, step: t.Callable[[Outcome], None]) -> None:
        """One model's failure does not stop the others."""
        try:
            step(outcome)
        except ModelopsError as exc:
            self._fail(outcome, str(exc))

    def _fail(self, outcome: Outcome, why: str) -> None:
        if outcome.before and not outcome.restoring:
            outcome.restoring = why
            return self._try(outcome, self._restore)
        if outcome.restoring and not why.startswith(outcome.restoring):
            why = f"{outcome.restoring}. Launching the previous model failed, too: {why}"
        outcome.phase, outcome.error = FAILED, why
        if outcome.started is not None:
            outcome.seconds = round(time.time() - outcome.started, 1)
        self._say(outcome, f"{outcome.uid}  failed: {why.splitlines()[0]}")

    def _restore(self, outcome: Outcome) -> None:
        """Restores the definition and the model that a replacement removed."""
        before, model, why = outcome.before or {}, self._models[outcome.uid], outcome.restoring or ""
        shared = any(
            other.phase == READY and other.action == "replaced" and self._models[other.uid].name == model.name
            for other in self.outcomes
        )
        if before["definition"] and not shared:
            self.client.unregister(model.type, model.name)
            self.client.register_again(model.type, before["definition"])
        self.record.redeclare(outcome.uid, before["declared"])
        if self.client.presence(outcome.uid) == releases.RUNNING:
            return self._fail(outcome, f"{why}. The running model continues to serve")
        self._say(outcome, f"{outcome.uid}  failed, launching the previous model: {why.splitlines()[0]}")
        self.record.launched(outcome.uid, before["body"], before["placed"])
        self._launch(outcome, releases.launch_request(self.client.version, before["body"], before["placed"]))

    def _say(self, outcome: Outcome, line: str) -> None:
        if line == outcome.line:
            return
        self._moved = self._moved or progress.stage(line) != progress.stage(outcome.line)
        outcome.line = line
        self.lines.append(line)
