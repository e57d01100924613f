# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The launch options of a running model, from any source that has them. Private to the collection. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog.capture_sources import Sources
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog.captured import CapturedModels
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    autostart,
    registration,
    server_state,
)

# Keys that a worker keeps beside the arguments of a launch, and the server's defaults.
_INTERNAL = frozenset({"launch_ts", "shard", "driver_info", "xavier_config", "model_python_executable", "wait_ready"})
_FILLED_IN = {"n_gpu": "auto", "n_worker": 1, "model_type": "LLM", "replica": 1}
# Keys that a worker keeps of a replica, unlike the request.
_OF_REPLICA = ("model_uid", "replica", "worker_ip", "gpu_idx", "envs")


def launch_request_of(
    found: Sources, result: CapturedModels, uid: str, row: t.Mapping[str, t.Any]
) -> dict[str, t.Any] | None:
    """The launch request of a running model; None if no source has it."""
    worker = _launch_of_workers(found, uid)
    for who, body, of_this_launch in (
        ("the server's autostart", _launch_of_autostart(found, uid, worker), True),
        ("the worker's file of launch arguments", worker, True),
        ("the web interface's history", _clean(found.history.get(uid)), False),
    ):
        if not body:
            continue
        differs = _differences(body, row)
        if differs:
            result.note(uid, f"{who[0].upper()}{who[1:]} differs ({', '.join(differs)}), so it was not used.")
            continue
        if not of_this_launch:
            result.note(uid, f"Its launch options come from {who}; a later launch may have used others.")
        return body
    result.note(
        uid,
        "Its engine options, environment variables and virtual environment are unknown; add them if it has any.",
    )
    return None


def _launch_of_workers(found: Sources, uid: str) -> dict[str, t.Any]:
    """Launch arguments that the workers keep of a model, with the cards of all its replicas; empty where they keep nothing."""
    replicas = (found.instances.get(uid) or {}).get("replica_statuses") or []
    names = [replica.get("replica_model_uid") for replica in replicas]
    kept = [_clean(found.workers[name]) for name in names if name in found.workers]
    if not kept:
        return {}
    cards = {"gpu_idx": [index for body in kept for index in body["gpu_idx"]]} if kept[0].get("gpu_idx") else {}
    return {**kept[0], **cards}


def _launch_of_autostart(found: Sources, uid: str, worker: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Launch arguments that the autostart keeps of a model; empty where it keeps nothing, or of another launch.

    :param worker: what the workers keep, who know what the server hides.
    """
    entry = _clean(((found.autostart or {}).get(uid) or {}).get("launch"))
    if not worker:
        return entry
    shown = {name: value for name, value in entry.items() if not autostart.hides(value)}
    if any(value != worker.get(name) for name, value in shown.items() if name not in _OF_REPLICA):
        return {}
    return {name: value if name in shown else worker.get(name, value) for name, value in entry.items()}


def _differences(body: t.Mapping[str, t.Any], row: t.Mapping[str, t.Any]) -> list[str]:
    """Keys of a launch request that are not what the server reports of the running model."""
    return [
        key
        for option, key in server_state.REPORTED.items()
        if option != "replicas" and None not in (body.get(key), row.get(key))
        and server_state.comparable(option, body[key]) != server_state.comparable(option, row[key])
    ]  # fmt: skip


def _clean(body: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """A launch request without foreign keys."""
    return {
        name: value
        for name, value in (body or {}).items()
        if name not in _INTERNAL and not name.startswith("_") and value != _FILLED_IN.get(name)
        and (value is not None or name == "n_gpu")
    }  # fmt: skip


def reported(row: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    spec = {} if row["model_type"] not in registration.WITH_SPECS else row
    told = {name: row.get(name) for name in ("model_name", "model_type", "model_engine")}
    told.update({name: spec.get(name) for name in ("model_format", "model_size_in_billions", "quantization")})
    return {name: value for name, value in told.items() if value is not None}
