# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does what the plan of models.py says: register, terminate, launch in parallel, wait. Private to the collection.

The state of the work is a list of outcomes that can be written down (JSON) and taken up by a later execution, which
is how progress reaches the screen: the action plugin calls the module again until nothing is pending.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import ApiError, TimedOut, Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference import models, progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.client import Client

# XINFERENCE_MAX_CONCURRENT_LAUNCHES: a worker lets more than these wait; here they wait without their clock running.
PARALLEL = 5
# Seconds for a UID to be free: a cancel may have to wait for the end of a load, and then answers only.
_CANCEL_TIMEOUT, _GONE_TIMEOUT = 120.0, 300.0
# Seconds for which the server may fail to answer while models load.
_SILENCE = 60.0
# Seconds after which a launched model has to be listed.
_LISTED = 15.0
# A pause between two looks: short at first, so that small models are not waited for longer than they take.
_QUICK, _SLOW, _QUICK_FOR = 0.5, 2.0, 30.0
# An execution that may be resumed runs at least this long, so that a change costs no execution of its own.
_SLICE = 3.0

QUEUED, LOADING, READY, FAILED, ABSENT, DIFFERS = "queued", "loading", "ready", "failed", "absent", "differs"
_OPEN = (QUEUED, LOADING)


@dataclass
class Outcome:
    """What became of one declared model so far.

    :param action: none, launched, replaced, terminated or adopted (was loading already).
    :param phase: queued, loading, ready, failed, absent or differs.
    :param timeout: seconds that the launch may take.
    :param started: seconds since the epoch.
    :param differs: what runs otherwise than declared.
    :param terminate: whether something has to make room first.
    :param line: the last line shown.
    """

    uid: str
    action: str
    phase: str
    priority: int = 100
    timeout: float = 0
    started: float | None = None
    seconds: float | None = None
    error: str | None = None
    differs: list[str] | None = None
    terminate: bool = False
    line: str = ""


class Work:
    """The launches of one run.

    :param outcomes: from `begin`, or what an earlier execution wrote down.
    """

    def __init__(self, client: Client, wanted: t.Sequence[models.Model], outcomes: list[Outcome]):
        self.client = client
        self.outcomes = outcomes
        #: New lines for the screen, oldest first.
        self.lines: list[str] = []
        self._models = {model.uid: model for model in wanted}
        self._silent_since: float | None = None
        self._moved = False

    @classmethod
    def resumed(cls, client: Client, wanted: t.Sequence[models.Model], written: t.Sequence[dict[str, t.Any]]) -> Work:
        return cls(client, wanted, [Outcome(**row) for row in written])

    def written(self) -> list[dict[str, t.Any]]:
        return [asdict(outcome) for outcome in self.outcomes]

    @property
    def open(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.phase in _OPEN]

    # -- before the launches -----------------------------------------------------------------------------------

    def prepare(self, decisions: t.Sequence[models.Decision], actual: models.Actual) -> None:
        """Registers definitions and terminates what is declared absent."""
        self._register(decisions, actual)
        for outcome in self.outcomes:
            if outcome.action == "terminated":
                self._try(outcome, self._remove)
                if outcome.phase != FAILED:
                    outcome.phase = ABSENT
                    self._say(outcome, f"{outcome.uid}  terminated")

    def _register(self, decisions: t.Sequence[models.Decision], actual: models.Actual) -> None:
        done: dict[tuple[str, str], str | None] = {}
        for decision in decisions:
            definition = decision.model.definition
            if definition is None or decision.register is None:
                continue
            key = (definition.model_type, definition.name)
            if key not in done:
                done[key] = self._put_definition(definition, actual.definitions.get(key))
            if done[key]:
                outcome = next(o for o in self.outcomes if o.uid == decision.model.uid)
                outcome.action, outcome.phase, outcome.error = "none", FAILED, done[key]

    def _put_definition(self, definition: t.Any, registered: dict[str, t.Any] | None) -> str | None:
        """Registers a definition; returns what went wrong. A running model does not notice."""
        client, body = self.client, definition.body
        try:
            if registered is not None:
                client.unregister(definition.model_type, definition.name)
            client.register(definition.model_type, body)
            return None
        except ModelopsError as exc:
            if registered is not None and client.registration(definition.model_type, definition.name) is None:
                # What was there survives a definition that the server refuses.
                client.register(definition.model_type, {k: v for k, v in registered.items() if k != "is_builtin"})
            return str(exc)

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
        queued = sorted((o for o in self.outcomes if o.phase == QUEUED), key=lambda o: o.priority)
        room = PARALLEL - sum(1 for o in self.outcomes if o.phase == LOADING)
        for outcome in queued[: max(0, room)]:
            self._try(outcome, self._start)

    def _start(self, outcome: Outcome) -> None:
        if outcome.terminate:
            self._remove(outcome)
            outcome.terminate = False
        body = self._models[outcome.uid].body
        try:
            self.client.launch(body)
        except TimedOut:
            pass  # the server took it: the next look tells
        except Unreachable as exc:
            # Old servers close the connection after an error; a launch that did arrive is refused as a duplicate.
            if not exc.sent:
                raise
            if outcome.uid not in self.client.instances():
                self.client.launch(body)
        outcome.phase, outcome.started = LOADING, time.time()

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
        if status == "READY":
            outcome.phase, outcome.seconds = READY, round(passed, 1)
            self._say(outcome, f"{outcome.uid}  ready after {progress.duration(passed)}")
        elif status == "ERROR":
            why = progress.reason(instance or {}) or "the server gives no reason; its log may"
            # The server forgets a failed launch by itself; another replica may still be loading.
            if self.client.presence(outcome.uid) != releases.UNKNOWN:
                self._try(outcome, self._remove)
            self._fail(outcome, why)
        elif passed > outcome.timeout:
            why = f"not ready within {outcome.timeout:.0f} s (launch_timeout)"
            try:
                self._remove(outcome)
                self._fail(outcome, f"{why}; the launch was cancelled")
            except ModelopsError as exc:
                self._fail(outcome, f"{why}, and could not be cancelled: {exc}")
        elif instance is None and passed > _LISTED:
            self._fail(outcome, "the server does not know it any more: was it restarted, or the launch cancelled?")
        elif instance is not None:
            self._say(outcome, progress.loading(outcome.uid, instance, self.client.progress(outcome.uid)))

    # -- one model ---------------------------------------------------------------------------------------------

    def _try(self, outcome: Outcome, step: t.Callable[[Outcome], None]) -> None:
        """One model's failure does not stop the others."""
        try:
            step(outcome)
        except ModelopsError as exc:
            self._fail(outcome, str(exc))

    def _fail(self, outcome: Outcome, why: str) -> None:
        outcome.phase, outcome.error = FAILED, why
        if outcome.started is not None:
            outcome.seconds = round(time.time() - outcome.started, 1)
        self._say(outcome, f"{outcome.uid}  failed: {why.splitlines()[0]}")

    def _say(self, outcome: Outcome, line: str) -> None:
        if line == outcome.line:
            return
        self._moved = self._moved or progress.stage(line) != progress.stage(outcome.line)
        outcome.line = line
        self.lines.append(line)

    def _remove(self, outcome: Outcome) -> None:
        """Terminates a model, or cancels its launch, and looks that its UID is free.

        While a model loads, DELETE answers 400 and the load goes on. A cancel ends it and answers only then; one that
        comes before the worker has begun does nothing, so it is sent again.

        :raises ModelopsError: the UID is still there after a bounded time.
        """
        client, uid, end = self.client, outcome.uid, time.monotonic() + _GONE_TIMEOUT
        answer = None
        while True:
            state = client.presence(uid)
            if state == releases.UNKNOWN:
                return
            if time.monotonic() > end:
                told = f": {answer.status}: {answer.detail}" if answer else ""
                raise ModelopsError(
                    f"{uid!r} is still on {client.endpoint} {_GONE_TIMEOUT:.0f} s after it was told to end{told}"
                )
            try:
                answer = client.terminate(uid)
                if answer.status != 200 and state == releases.LOADING:
                    answer = client.cancel(uid, _CANCEL_TIMEOUT)
            except TimedOut:
                pass  # the server is at it: look again
            time.sleep(_QUICK)


def begin(decisions: t.Sequence[models.Decision], launch_timeout: float) -> list[Outcome]:
    """The outcomes at the start, by the decisions. Pure."""
    return [_outcome(decision, launch_timeout) for decision in decisions]


def _outcome(decision: models.Decision, launch_timeout: float) -> Outcome:
    options = decision.model.options
    timeout = options["launch_timeout"] or launch_timeout
    if decision.action == models.LAUNCH:
        broken = any(f.name == "state" for f in decision.fields)
        return Outcome(options["uid"], "launched", QUEUED, options["priority"], timeout, terminate=broken)
    if decision.action == models.REPLACE:
        return Outcome(options["uid"], "replaced", QUEUED, options["priority"], timeout, terminate=True)
    if decision.action == models.WAIT:
        return Outcome(options["uid"], "adopted", LOADING, options["priority"], timeout, started=time.time())
    if decision.action == models.TERMINATE:
        return Outcome(options["uid"], "terminated", READY)
    if decision.action == models.DIFFERS:
        return Outcome(options["uid"], "none", DIFFERS, differs=[str(f) for f in decision.fields])
    return Outcome(options["uid"], "none", READY if decision.model.present else ABSENT)
