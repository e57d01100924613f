# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a server: models, instances, definitions and autostart. Only reads. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._session import ApiError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import definitions
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Declared
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.models import Model

# Option -> key under which GET /v1/models reports it; nothing else of a running model can be compared.
REPORTED = {
    "name": "model_name",
    "type": "model_type",
    "engine": "model_engine",
    "format": "model_format",
    "size": "model_size_in_billions",
    "quantization": "quantization",
    "replicas": "replica",
}


@dataclass
class ServerState:
    """The state of the server.

    :param models: rows of GET /v1/models, by UID.
    :param instances: rows of GET /v1/models/instances, by UID.
    :param definitions: (type, name) -> registered definition, None where there is none; of declared custom models.
    :param untold: (type, name) of a definition -> addresses of workers that may lack it.
    :param gone: UIDs of instances in ERROR that the server no longer knows: leftovers of failed launches.
    :param workers: addresses of the workers.
    :param launched: what this collection remembers to have launched, by UID (declared.Declared.launched).
    :param declared: the models declared until now, by UID: options as the module takes them.
    :param autostart: the server's own entries for its next start, by UID; None where it has no such thing.
    :param version: the server's release.
    """

    models: dict[str, dict[str, t.Any]]
    instances: dict[str, dict[str, t.Any]]
    definitions: dict[tuple[str, str], dict[str, t.Any] | None] = field(default_factory=dict)
    untold: t.Mapping[tuple[str, str], t.Sequence[str]] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    workers: t.Sequence[str] = ()
    launched: t.Mapping[str, dict[str, t.Any]] = field(default_factory=dict)
    declared: t.Mapping[str, dict[str, t.Any]] = field(default_factory=dict)
    autostart: dict[str, dict[str, t.Any]] | None = None
    version: str = ""

    def created(self, uid: str) -> int | None:
        """When the server made the instance, in seconds since the epoch; it changes with every launch."""
        return (self.instances.get(uid) or {}).get("instance_created_ts")

    def remembered(self, uid: str) -> dict[str, t.Any] | None:
        """The launch request of what runs under a UID, where it was this collection's, or the autostart's in its place."""
        known = self.launched.get(uid)
        if known and (known["created"] == self.created(uid) or uid in (self.autostart or {})):
            return known["body"]
        return None

    def state(self, uid: str) -> str:
        """absent, loading, ready, or failed (known to the server, and broken)."""
        instance = self.instances.get(uid) or {}
        status = str(instance.get("status", ""))
        if status == "READY" or (uid in self.models and status in ("", "UPDATING")):
            return "ready" if progress.complete(instance) else "loading"
        if status in ("CREATING", "LOADING", "UPDATING"):
            return "loading"
        if status == "ERROR" and uid not in self.gone:
            return "loading" if progress.restarts_by_itself(instance) else "failed"
        return "absent"


# States of a replica that is not over.
_LIVE = ("READY", "CREATING", "LOADING", "UPDATING", "TERMINATING")


def replicas(instance: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The replicas of an instance that are not over."""
    return [row for row in instance.get("replica_statuses") or [] if row.get("status") in _LIVE]


def read(client: Client, wanted: t.Sequence[Model], known: Declared | None = None) -> ServerState:
    """The state of the server: two requests, one for its autostart, and those for the definitions of custom models.

    :param known: what is remembered of earlier runs.
    """
    known = known or Declared()
    models, instances = client.models(), client.instances()
    failed = [m.uid for m in wanted if (instances.get(m.uid) or {}).get("status") == "ERROR"]
    return ServerState(
        models=models,
        instances=instances,
        definitions=definitions.read(client, ((m.type, m.name) for m in wanted if m.definition)),
        gone=frozenset(uid for uid in failed if client.presence(uid) == releases.UNKNOWN),
        workers=client.workers,
        launched=known.launched,
        declared={model["uid"]: model for model in known.models},
        autostart=_autostart(client),
        version=client.version,
    )


def _autostart(client: Client) -> dict[str, dict[str, t.Any]] | None:
    """The autostart's entries; None also where the server fails over them, which must not keep models from being served."""
    try:
        return client.autostart()
    except ApiError as exc:
        if exc.status < 500:
            raise
        return None


def comparable(option: str, value: t.Any) -> str:
    """A value of a model's option as text that is equal where Xinference means the same."""
    text = str(value)
    if option == "size":
        return text.replace(".", "_")
    # Xinference takes an engine's name in any case.
    return text.lower() if option in ("engine", "type") else text


def host(address: str) -> str:
    """The host of a worker's address; its port may change after a restart."""
    return address.rsplit(":", 1)[0]
