# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's view of each model: on the server, and of the workers that had it. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record, Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import operations
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import repairs


def models_to_serve(store: Store, declared: t.Sequence[t.Mapping[str, t.Any]]) -> list[models.Model]:
    """The declared models to serve, by priority. The values of their environments are hidden from now on."""
    # Whether weights are there is the server's to say: they may be on another worker, or on a share that comes late.
    try:
        wanted = [model for model in models.desired(declared, exists=lambda path: True) if model.present]
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise ModelopsError(
            f"{store.path}: its models are not in the format of this release ({type(exc).__name__}: {exc}). Remove it; "
            "the next run writes it again."
        ) from exc
    for model in wanted:
        # A short value, such as the 0 of CUDA_VISIBLE_DEVICES, would mask every 0.
        envs = {str(name): str(value) for name, value in (model.options["envs"] or {}).items()}
        _secrets.hide(*(v for n, v in envs.items() if len(v) >= 8 or log.SECRET_NAME.search(n)))
    return sorted(wanted, key=lambda model: model.options["priority"])


def read_actual(
    client: Client, wanted: t.Sequence[models.Model], launched: t.Mapping[str, t.Any], release: str
) -> server_state.ServerState:
    """The running and loading models of the server."""
    # In this order: what gets ready in between is in both.
    instances, running = client.instances(), client.models()
    failed = [m.uid for m in wanted if (instances.get(m.uid) or {}).get("status") == "ERROR"]
    gone = frozenset(uid for uid in failed if client.presence(uid) == releases.UNKNOWN)
    return server_state.ServerState(
        running, instances, gone=gone, workers=client.workers, launched=launched, version=release
    )


def observe(model: models.Model, actual: server_state.ServerState, record: Record) -> repairs.Seen:
    """One model's state, as input of the pure decisions."""
    state, instance = actual.state(model.uid), actual.instances.get(model.uid) or {}
    wanted, rows = model.options["replicas"], server_state.replicas(instance)
    ready = sum(1 for row in rows if row.get("status") == "READY")
    # A replica that is added is none of the model's until it is ready; those of a launch are from its beginning on.
    loads = state == "loading" and not 0 < instance.get("replica", 0) <= ready
    if loads or state not in ("ready", "loading"):
        return repairs.Seen(state, progress.reason(instance), replicas=(0, wanted))
    if model.uid not in actual.models:
        error = "its instance is READY, but the server does not list it among the running models"
        return repairs.Seen("failed", error, replicas=(0, wanted))
    lost = [
        row["worker_address"]
        for row in instance.get("replica_statuses") or []
        if row.get("status") == "TERMINATED" and row.get("worker_address") not in (None, *record.drained)
    ]
    back = {*map(server_state.host, lost)} & {*map(server_state.host, actual.workers)}
    fields = model_plan.running_differences(model, actual)
    others = [field for field in fields if field.name != "replicas"]
    grows = not others and _grows(model, actual, record)
    # That some are lost is told by the state, and the list of models lags behind that of the instances.
    differs = [str(field) for field in (others if ready == wanted or (grows and lost) else fields)]
    return repairs.Seen("ready", "", differs, (ready, wanted), len(rows) - ready, len(lost), bool(back), grows)


def _grows(model: models.Model, actual: server_state.ServerState, record: Record) -> bool:
    """Whether replicas can be added, and no drained worker gets them."""
    if not model_plan.can_roll(model, actual):
        return False
    free = not_drained(actual.workers, record)
    named = model.options["worker"]
    if named and record.declared.settings.get("cluster"):
        return any(named in (address, server_state.host(address)) for address in free)
    # Where nothing is declared the server chooses among all that have not left.
    return bool(free) and (len(free) == len(actual.workers) or bool(operations.replica_place(model, [], free)))


def not_drained(workers: t.Sequence[str], record: Record) -> list[str]:
    return [address for address in workers if address not in record.drained]
