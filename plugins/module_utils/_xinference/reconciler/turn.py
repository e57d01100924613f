# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One turn of the reconciler. Private to the collection."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import traceback
import typing as t
from dataclasses import replace

from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release.environments import installed
from ansible_collections.modelops.inference.plugins.module_utils._session import ApiError, Session, Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record, Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import repairs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.actions import Repair
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.login import Login, LoginRefused
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.observation import (
    models_to_serve,
    observe,
    read_actual,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.options import Options
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.state import (
    load_state,
    paused,
    save_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.status import (
    RESULTS,
    Report,
    report,
    tell,
)

# Seconds between two looks while something loads.
_LOOK = 2.0
# Seconds to wait for workers that were there before the server was restarted.
_WORKERS = 60.0
# A restart moves the server's start by more than the seconds by which its clock may be off.
JITTER = 5.0
# Launches at the same time, as XINFERENCE_MAX_CONCURRENT_LAUNCHES of a worker.
_PARALLEL = 5


def _release(options: Options) -> str:
    """The server's release; "" where this environment has no Xinference.

    Both run in it. A rollback or an upgrade changes the link that leads to it, also while this program runs.
    """
    return options.release or installed(os.path.realpath(sys.prefix)).get("xinference", "")


class Turn:
    """One turn of the reconciler."""

    def __init__(self, options: Options):
        self.options = options
        self.state = load_state(options)
        self.release = _release(options)
        self.store = Store(options.path("declared.json"))
        session = Session(options.endpoint, proxy="")
        self.client = Client(session, options.username, None, options.password_file or None)
        self.looked = False  # in this turn, and to the end
        self.login = Login(self.client, options, self.state)

    def run(self) -> int:
        """Does the turn, writes status and metrics, and returns the exit status."""
        try:
            result, why = self._run(), ""
        except LoginRefused as exc:
            result, why = "login refused", str(exc)
        except Unreachable as exc:
            result, why = "the server does not answer", str(exc)
        except ModelopsError as exc:
            # A server whose worker goes down answers 500 for a while.
            troubled = isinstance(exc, ApiError) and exc.status >= 500
            result, why = ("the server does not answer" if troubled else "error"), str(exc)
        except Exception as exc:
            traceback.print_exc()
            result, why = "error", f"{type(exc).__name__}: {exc}"
        self._report(result, why)
        return RESULTS[result]

    def _run(self) -> str:
        if paused(self.options):
            return "paused"
        if not self.store.load().models:
            return "nothing is declared"
        self._wait()
        while True:
            if paused(self.options):
                return "paused"
            try:
                with self.store.lock(timeout=0):
                    record = Record(self.store)
                    if record.declared.busy:
                        return "a run of Ansible is at work"
                    # Under the lock: who replaces the password holds it until server and file have the same one.
                    self.login.enter()
                    self._look(record)
                    save_state(self.options, self.state)
            except locks.Held:
                return "a run of Ansible is at work"
            states = {known.state for known in self.state.models.values()}
            if not states & {repairs.LOADING, repairs.MISSING}:
                break
            self._report("on the way", "")
            time.sleep(_LOOK)
        if repairs.GAVE_UP in states:
            return "gave up"
        if not states <= {repairs.READY}:
            return "on the way"
        differs = any(known.differs for known in self.state.models.values())
        return "as declared, but for what differs" if differs else "as declared"

    def _wait(self) -> None:
        """Waits until the server answers and its workers are back; earlier failures are forgotten."""
        try:
            status = self._status(0)
        except Unreachable as exc:
            self._report("the server does not answer", str(exc))
            status = self._status(self.options.ready_timeout)
        end = time.monotonic() + _WORKERS
        while len(self.client.workers) < self.state.workers and time.monotonic() < end:
            time.sleep(_LOOK)
            status = self._status(self.options.ready_timeout)
        started = time.time() - status["uptime"]
        restarted = self.state.started is None or abs(started - self.state.started) > JITTER
        known = self.state.models
        if restarted:
            limits = repairs.Limits(self.options.attempts, 0)
            self.state.models = {uid: repairs.restarted(one, time.time(), limits) for uid, one in known.items()}
            self.state.started = started
        elif len(self.client.workers) > self.state.workers:
            self.state.models = {uid: one if one.launched else repairs.retry(one) for uid, one in known.items()}
        self.state.workers = len(self.client.workers)

    def _status(self, timeout: float) -> dict[str, t.Any]:
        try:
            return t.cast("dict[str, t.Any]", self.client.wait_ready(timeout).json)
        except ModelopsError as exc:
            raise Unreachable(str(exc), sent=False) from exc

    def _look(self, record: Record) -> None:
        """Reads once, decides for each model, and does it."""
        self.looked = False
        self.release = _release(self.options)
        if not self.release:
            raise ModelopsError(f"{sys.executable} has no 'xinference': run it with the environment of Xinference")
        declared = record.declared
        present = models_to_serve(self.store, declared.models)
        wanted = [model for model in present if not record.waits(model.uid, model.options["worker"])]
        actual = read_actual(self.client, wanted, declared.launched, self.release)
        known = self.state.models = {m.uid: self._known(self.state.models.get(m.uid), m) for m in wanted}
        clock = time.time()
        loading = sum(1 for model in wanted if actual.state(model.uid) == "loading")
        for model in wanted:
            was, seen = known[model.uid], observe(model, actual, record)
            if was.launched is not None and seen.state == "ready":
                record.became({model.uid: actual.created(model.uid)})
            timeout = model.options["launch_timeout"] or declared.settings.get("launch_timeout") or 1800
            limits = repairs.Limits(self.options.attempts, timeout, self.options.return_timeout)
            now, action = repairs.decide(was, seen, clock, limits)
            repair = Repair(self.client, self.release, model, actual, record, limits)
            if action in (repairs.LAUNCH, repairs.ADD) and loading >= _PARALLEL:
                now = replace(was, state=repairs.MISSING if action == repairs.LAUNCH else repairs.FEWER)
            elif action in (repairs.LAUNCH, repairs.ADD):
                loading += 1
                # Kept before it is sent, because it may bring down the server, and this program with it.
                known[model.uid] = now
                save_state(self.options, self.state)
                try:
                    now = repair.launch(now) if action == repairs.LAUNCH else repair.add_replica(now)
                except Unreachable:  # it was not sent
                    known[model.uid] = was
                    save_state(self.options, self.state)
                    raise
            elif action == repairs.CLEAR:
                now = repair.clear(was, now)
            # The server's own words, which may repeat what it was given.
            now = replace(now, error=now.error and _secrets.redacted(log.redacted(now.error)))
            tell(model.uid, was, now)
            known[model.uid] = now
        self.looked, self.state.looked = True, clock

    @staticmethod
    def _known(known: repairs.Known | None, model: models.Model) -> repairs.Known:
        """The known state of this declaration; of another one nothing."""
        text = json.dumps(model.options, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return known if known is not None and known.digest == digest else repairs.Known(digest)

    def _report(self, result: str, why: str) -> None:
        # A server that went away after the look has other states by now.
        fresh = self.looked and result in ("as declared", "as declared, but for what differs", "on the way", "gave up")
        why = _secrets.redacted(why)
        report(self.options, Report(result, why, self.release, self.state, fresh))
