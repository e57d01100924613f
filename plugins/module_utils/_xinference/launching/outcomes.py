# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome for each declared model in a run. Private to the collection. Pure."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import model_plan, server_state

QUEUED, LOADING, READY, FAILED, ABSENT, DIFFERS = "queued", "loading", "ready", "failed", "absent", "differs"
_OPEN = (QUEUED, LOADING)


@dataclass
class Outcome:
    """The outcome for one declared model so far.

    :param action: none, launched, replaced, terminated or adopted (was loading already).
    :param phase: queued, loading, ready, failed, absent or differs.
    :param timeout: seconds that the launch may take.
    :param started: seconds since the epoch.
    :param differs: what runs otherwise than declared.
    :param terminate: whether what is under the UID must end first.
    :param line: the last line shown.
    :param placed: keys of the launch request that the placement adds.
    :param roll: of a model whose replicas are replaced or changed in number, one by one: {"old": ids of the replicas to
        be replaced, "replicas": how many there shall be, "surge": bool}.
    :param before: what ran before a replacement, to be brought back where that fails: {"body", "placed", "definition",
        "declared"}.
    :param restoring: why the replacement failed, once what ran before is being launched again.
    :param begun: when the run took it up, in seconds since the epoch: its errors in the server's log are younger.
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
    placed: dict[str, t.Any] = field(default_factory=dict)
    roll: dict[str, t.Any] | None = None
    before: dict[str, t.Any] | None = None
    restoring: str | None = None
    begun: float = field(default_factory=time.time)


def begin(
    decisions: t.Sequence[model_plan.Decision],
    actual: server_state.ServerState,
    placed: t.Mapping[str, dict[str, t.Any]],
    launch_timeout: float,
) -> list[Outcome]:
    """The outcomes at the start, by the decisions. Pure.

    :param placed: UID -> keys that the placement adds to the launch request.
    """
    outcomes = [_outcome(decision, actual, launch_timeout) for decision in decisions]
    for outcome in outcomes:
        # A further replica takes the launch request of the first one.
        before = actual.launched.get(outcome.uid) or {}
        outcome.placed = dict((before.get("placed") if outcome.roll else placed.get(outcome.uid)) or {})
    return outcomes


def _outcome(decision: model_plan.Decision, actual: server_state.ServerState, launch_timeout: float) -> Outcome:
    options, uid = decision.model.options, decision.model.uid
    timeout = options["launch_timeout"] or launch_timeout
    if decision.action == model_plan.LAUNCH:
        broken = any(f.name == "state" for f in decision.fields)
        return Outcome(options["uid"], "launched", QUEUED, options["priority"], timeout, terminate=broken)
    if decision.action == model_plan.REPLACE:
        before = what_runs(decision, actual)
        return Outcome(uid, "replaced", QUEUED, options["priority"], timeout, terminate=True, before=before)
    if decision.action in (model_plan.ROLL, model_plan.SCALE):
        rows = (actual.instances.get(uid) or {}).get("replica_statuses") or []
        old = (
            [r["replica_id"] for r in rows if r.get("status") != "TERMINATED"]
            if decision.action == model_plan.ROLL
            else []
        )
        roll = {"old": old, "replicas": options["replicas"], "surge": decision.surge}
        before = what_runs(decision, actual)
        action = "replaced" if decision.action == model_plan.ROLL else "scaled"
        return Outcome(uid, action, QUEUED, options["priority"], timeout, roll=roll, before=before)
    if decision.action == model_plan.WAIT:
        return Outcome(options["uid"], "adopted", LOADING, options["priority"], timeout, started=time.time())
    if decision.action == model_plan.TERMINATE:
        return Outcome(options["uid"], "terminated", READY)
    if decision.action == model_plan.DIFFERS:
        return Outcome(options["uid"], "none", DIFFERS, differs=[str(f) for f in decision.fields])
    return Outcome(options["uid"], "none", READY if decision.model.present else ABSENT)


def what_runs(decision: model_plan.Decision, actual: server_state.ServerState) -> dict[str, t.Any]:
    """The request that relaunches a running UID: as remembered, else as far as the server reports it. Pure."""
    model = decision.model
    body = actual.remembered(model.uid)
    placed: dict[str, t.Any] = {}
    if body is not None:
        placed = actual.launched[model.uid].get("placed") or {}
    else:
        row = actual.models.get(model.uid) or {}
        told = {key: row.get(key) for key in server_state.REPORTED.values() if row.get(key) is not None}
        body = {**told, "model_uid": model.uid, "enable_virtual_env": model.body.get("enable_virtual_env")}
        body = {key: value for key, value in body.items() if value is not None}
    definition = actual.definitions.get((model.type, model.name)) if decision.register == "change" else None
    return {"body": body, "placed": placed, "definition": definition, "declared": actual.declared.get(model.uid)}
