# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run's report on the models: rows of the result, cells of the table, failures and warnings. Private to the collection. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models, server_state
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import launch, proof
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching.outcomes import (
    DIFFERS,
    FAILED,
    LOADING,
    QUEUED,
    READY,
    Outcome,
)


def cells(row: t.Mapping[str, t.Any], bad: t.Container[str]) -> list[t.Any]:
    """The row of a model in the result table."""
    state = "failed" if row["uid"] in bad else row["state"]
    ready = f"{row['replicas']['ready']}/{row['replicas']['wanted']}"
    return [row["uid"], row["type"], state, row["action"], ready, row["seconds"] or ""]


def _abilities(uid: str, actual: server_state.ServerState) -> list[str]:
    row, instance = actual.models.get(uid) or {}, actual.instances.get(uid) or {}
    return row.get("model_ability") or instance.get("model_ability") or []


def unasked_vision(model: models.Model, actual: server_state.ServerState) -> list[str]:
    """Warnings where the server added vision to a text model; it does so by the family's name alone."""
    definition = model.options["definition"] or {}
    if "vision" in (definition.get("abilities") or ["vision"]) or "vision" not in _abilities(model.uid, actual):
        return []
    return [
        f"{model.uid}: the server adds the ability vision because of definition.family {definition['family']!r}, and Dify then "
        "offers pictures for it. If the weights cannot read pictures, name a text family, such as gemma-3-1b-it instead of "
        "gemma-3-it; if they can, add vision to definition.abilities"
    ]


def row_of(
    model: models.Model, outcome: Outcome, actual: server_state.ServerState, proven: proof.Proof | None
) -> dict[str, t.Any]:
    running, instance = actual.models.get(model.uid) or {}, actual.instances.get(model.uid) or {}
    replicas = instance.get("replica_statuses") or []
    # In check mode nothing was launched: then what is on the server is the truth.
    state = actual.state(model.uid) if outcome.phase == QUEUED else outcome.phase
    there = state in (READY, DIFFERS, LOADING)
    return {
        "uid": model.uid,
        "name": running.get("model_name") or model.name,
        "type": model.type,
        "declared": model.options["state"],
        "state": state,
        "action": outcome.action,
        "replicas": {
            "wanted": model.options["replicas"] if model.present else 0,
            "ready": sum(1 for replica in replicas if replica.get("status") == "READY") if there else 0,
        },
        "workers": progress.workers(instance) if there else [],
        "abilities": _abilities(model.uid, actual),
        "engine": running.get("model_engine") or model.options["engine"],
        "format": running.get("model_format") or model.options["format"],
        "size": _text(running.get("model_size_in_billions") or model.options["size"]),
        "quantization": running.get("quantization") or model.options["quantization"],
        "context_length": running.get("context_length"),
        "dimensions": running.get("dimensions"),
        "differs": outcome.differs or [],
        "error": outcome.error,
        "proof": proven.result() if proven else None,
        "seconds": outcome.seconds,
        "tags": model.options["tags"] or [],
        "dify": models.given(model.options["dify"]),
    }


def _text(value: t.Any) -> str | None:
    return None if value is None else str(value)


def failures(work: launch.Work) -> list[str]:
    return [f"{o.uid}: {o.error}" for o in work.outcomes if o.phase == FAILED]


def left_alone(result: t.Mapping[str, t.Any]) -> list[str]:
    """One warning for each model that runs otherwise than declared and was left alone."""
    return [
        f"{row['uid']} differs and was not replaced (replace: true would): {', '.join(row['differs'])}"
        for row in result.get("models") or []
        if row["differs"]
    ]
