# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last moment of a drained worker: its requests are answered before its service is stopped. Private to the collection.

A worker that gets SIGINT gives up its routes and ends in the same moment, so requests on their way to it fail. Before that, the
supervisor takes its replicas out of the routes, and the run waits until they have answered.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import actors, progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.drain_run import DrainRun
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.plan_drain import spared, unlisted

# Seconds without a request under way after which none comes any more: the API asks for a replica a moment before it sends it one.
_QUIET = 3.0
_PAUSE = 0.2


class Leave(DrainRun):
    """The steps between the drain of a worker and the stop of its service."""

    def answered(self) -> dict[str, t.Any]:
        """The server routes no more requests to the worker, and those that it has are answered.

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
            return self.result(result)
        try:
            with self.calls() as calls:
                self._wait_answered(calls, self._take_out(calls))
        except ModelopsError as exc:
            self.warnings.append(f"requests of {worker} may fail when it stops: {exc}")
        return self.result(result)

    def _take_out(self, calls: actors.Actors) -> list[str]:
        """The replicas of the worker that get no more requests, by this run or by one that broke off."""
        # By the lock no other worker's run takes out at the same time what this one counts on.
        with self.store.lock():
            listed = self.client.instances()
            spare = spared(listed, self.settings.worker, set(Record(self.store).drained) - {self.settings.worker})
            for replica in sorted(spare):
                calls.take_out(replica)
        return sorted(spare | unlisted(calls.held(), listed))

    def _wait_answered(self, calls: actors.Actors, replicas: t.Sequence[str]) -> None:
        begun = quiet = time.monotonic()
        while replicas and time.monotonic() - quiet < _QUIET:
            count = calls.under_way(replicas)
            if count:
                quiet = time.monotonic()
            if count and quiet - begun > self.settings.requests_timeout:
                self.warnings.append(
                    f"{count} requests of {self.settings.worker} are still open after {self.settings.requests_timeout:.0f} s "
                    "(requests_timeout, in the role xinference_drain_requests_timeout) and will fail when it stops"
                )
                return
            time.sleep(_PAUSE)
        if replicas:
            took = progress.duration(time.monotonic() - begun)
            self.lines.append(f"{', '.join(replicas)}  no open requests after {took}")
