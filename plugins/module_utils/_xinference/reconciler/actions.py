# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's actions on a model: a launch, another replica, or the end of what is broken. Private to the collection."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import ApiError, Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    models,
    registration,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import operations
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import repairs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.observation import not_drained

# Seconds to wait for another replica, whose request is answered when it is ready: long enough for a refusal. It loads on.
_ADDED = 5.0


@dataclass(frozen=True)
class Repair:
    """The repair of one model. Each method returns what is known of it from now on.

    :param release: of the server.
    """

    client: Client
    release: str
    model: models.Model
    actual: server_state.ServerState
    record: Record
    limits: repairs.Limits

    def launch(self, now: repairs.Known) -> repairs.Known:
        model, record = self.model, self.record
        client, last = self.client, record.declared.launched.get(model.uid) or {}
        # The placement of the last run holds for the same declaration.
        placed = (last.get("placed") or {}) if last.get("body") == model.body else {}
        try:
            self._register()
            record.launched(model.uid, model.body, placed)
            client.launch(releases.launch_request(self.release, model.body, placed))
        except Unreachable as exc:
            if not exc.sent:
                raise
            # The next look tells whether it arrived.
        except ModelopsError as exc:
            if isinstance(exc, ApiError) and "already in the model list" in str(exc):
                # Somebody was faster, such as the server's autostart: it is waited for, and was no attempt of ours.
                return replace(now, launched=None, attempts=now.attempts - 1, launches=now.launches - 1)
            return repairs.failed(now, str(exc), time.time(), self.limits)
        return now

    def add_replica(self, now: repairs.Known) -> repairs.Known:
        """Starts another replica, and does not wait for it longer than for a refusal."""
        model = self.model
        instance = self.actual.instances[model.uid]
        place = operations.replica_place(
            model, server_state.replicas(instance), not_drained(self.actual.workers, self.record)
        )
        try:
            self._register()
            operations.add_replica(self.client, model.uid, instance, place, _ADDED)
        except Unreachable as exc:
            if not exc.sent:
                raise
            # The next look tells what became of it.
        except ModelopsError as exc:
            return repairs.failed(now, f"another replica: {exc}", time.time(), self.limits)
        return now

    def _register(self) -> None:
        """Puts back the definition of a custom model, also for a worker of a cluster that came later."""
        model, record = self.model, self.record
        definition = model.definition
        if definition is None:
            return
        key = (model.type, model.name)
        registered = self.client.registration(*key)
        lacking = record.untold(key, self.client.workers) if record.declared.settings.get("cluster") else []
        differs = registered is not None and registration.differences(definition, registered)
        if registered is not None and not differs and not lacking:
            return
        if differs:
            others = [
                uid
                for uid, row in self.actual.models.items()
                if (row.get("model_name"), row.get("model_type")) == (model.name, model.type)
            ]
            if others:
                raise ModelopsError(
                    f"another definition of {model.name!r} is registered, and {', '.join(others)} runs from it"
                )
        problem = definitions.put(self.client, definition, registered is not None)
        if problem:
            raise ModelopsError(problem)
        record.tell(key, self.client.workers)

    def clear(self, was: repairs.Known, now: repairs.Known) -> repairs.Known:
        """Terminates a broken or hanging model; the launch follows when the UID is free."""
        client, uid = self.client, self.model.uid
        try:
            if was.state == repairs.BROKEN and time.time() - was.since < self.limits.timeout:
                # Where its worker is about to bring the process back, which may take as long as a launch, the server refuses.
                if client.terminate(uid).status == 400 and client.presence(uid) != releases.UNKNOWN:
                    return repairs.mending(was, time.time())
            operations.remove(client, uid)
            return now
        except Unreachable:
            raise
        except ModelopsError as exc:
            now = replace(now, attempts=now.attempts + 1)
            return repairs.failed(now, f"{now.error}; it could not be terminated: {exc}", time.time(), self.limits)
