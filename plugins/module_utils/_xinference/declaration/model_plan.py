# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action for each declared model, and why. Private to the collection. Pure.

launching/launch.py does what the plan says.
"""

from __future__ import annotations

import collections
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    registration,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.models import (
    LAUNCH_KEYS,
    OTHER_LAUNCH_KEYS,
    SECRET_FIELDS,
    Model,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.server_state import (
    REPORTED,
    ServerState,
    comparable,
    host,
    replicas,
)

# Options that a custom model's definition says.
_SPEC = ("format", "size", "quantization")
# Options in which a new replica of a running model can differ; the rest of a launch request is the model's.
_ROLLABLE = ("definition", "replicas", "worker", "gpu_indices")
# Actions on a model. ROLL replaces its replicas one after the other, SCALE only changes their number.
NONE, LAUNCH, REPLACE, TERMINATE, WAIT, DIFFERS = "none", "launch", "replace", "terminate", "wait", "differs"
ROLL, SCALE = "roll", "scale"
# How a model that runs otherwise than declared is replaced.
KEEP, GAP, SURGE = "false", "true", "surge"


@dataclass
class Decision:
    """The action for one model, and why.

    :param register: the definition that must be registered first ("add"), in place of another ("change"), or again, because
        some workers may lack it ("spread").
    :param surge: of ROLL, whether a new replica starts before an old one ends.
    """

    model: Model
    action: str
    fields: list[Field] = field(default_factory=list)
    register: str | None = None
    surge: bool = False


def undeclared(wanted: t.Sequence[Model], actual: ServerState) -> list[Model]:
    """Models that this collection launched, that still exist and are no longer declared, as declared absent. Pure."""
    declared = {model.uid for model in wanted}
    found = []
    for uid, known in sorted(actual.launched.items()):
        ours = actual.state(uid) != "absent" and actual.remembered(uid) is not None
        if uid not in declared and (ours or actual.state(uid) == "loading" or uid in (actual.autostart or {})):
            body = known["body"]
            found.append(undeclared_model(uid, body.get("model_name", uid), body.get("model_type", "LLM")))
    return found


def undeclared_model(uid: str, name: str, model_type: str) -> Model:
    """A model that is not declared, as one that is declared absent."""
    options: dict[str, t.Any] = collections.defaultdict(lambda: None)
    options.update(uid=uid, name=name, type=model_type, state="absent", priority=100)
    return Model(uid, name, model_type, {}, options, {})


def decide(wanted: t.Sequence[Model], actual: ServerState, replace: str) -> list[Decision]:
    """A decision for each declared model, in the declared order. Pure.

    :param replace: KEEP, GAP or SURGE.
    :raises ModelopsError: a definition would have to change under a model that runs from it, or a model cannot be
        replaced without a gap.
    """
    return [_decide(model, actual, replace) for model in wanted]


def _decide(model: Model, actual: ServerState, replace: str) -> Decision:
    state = actual.state(model.uid)
    if not model.present:
        return Decision(model, NONE if state == "absent" else TERMINATE)
    register, changed = _registration_change(model, actual)
    if state == "loading":
        return Decision(model, WAIT)
    if state != "ready":
        fields = [Field("state", state, "ready")] if state == "failed" else []
        if register == "change":
            others = _others_with(model, actual)
            if others and replace == KEEP:
                raise ModelopsError(
                    f"models: {model.uid}: {', '.join(others)} runs from another definition of {model.name!r} "
                    f"({', '.join(map(str, changed))}): give this one another name, or set replace: true to change it"
                )
        return Decision(model, LAUNCH, fields + changed, register)
    fields = running_differences(model, actual) + changed
    if not fields:
        # With register, the definition was removed while the model runs: it is put back, the model is as declared.
        untold = actual.untold[model.type, model.name] if register == "spread" else ()
        return Decision(model, NONE, definitions.untold(untold), register)
    if [f.name for f in fields] == ["replicas"] and can_roll(model, actual):
        return Decision(model, SCALE, fields, register)
    if replace == KEEP:
        return Decision(model, DIFFERS, fields)
    fixed = sorted({f.name for f in fields if not f.name.startswith(_ROLLABLE)})
    if replace == SURGE and not can_roll(model, actual):
        raise ModelopsError(
            f"models: {model.uid}: replace: surge needs Xinference 3.2 or later, which can add replicas, and a model "
            f"without n_worker; replace: true terminates the model and launches it again. It differs in "
            f"{', '.join(map(str, fields))}"
        )
    if replace == SURGE and fixed:
        raise ModelopsError(
            f"models: {model.uid}: {', '.join(fixed)} cannot change without an interruption of the UID, "
            "because Xinference gives every replica of a model the same launch options. Values in definition can. "
            "replace: true terminates the model and launches it anew"
        )
    if not fixed and can_roll(model, actual) and (replace == SURGE or _running_replicas(model, actual) > 1):
        return Decision(model, ROLL, fields, register, surge=replace == SURGE)
    return Decision(model, REPLACE, fields, register)


def can_roll(model: Model, actual: ServerState) -> bool:
    """Whether replicas of the running model can be added and removed one by one."""
    return releases.adds_replicas(actual.version) and (model.options["n_worker"] or 1) == 1


def _running_replicas(model: Model, actual: ServerState) -> int:
    return int((actual.models.get(model.uid) or {}).get("replica") or 1)


def running_differences(model: Model, actual: ServerState) -> list[Field]:
    """The given launch-time fields that the server reports otherwise, and what else was launched otherwise."""
    row = actual.models.get(model.uid) or {}
    found = []
    for option, key in REPORTED.items():
        value, before = model.options[option], row.get(key)
        if value is None or before is None:
            continue  # not given, or not reported by this release
        if model.definition and option in _SPEC:
            continue  # said by the definition
        if comparable(option, value) != comparable(option, before):
            found.append(Field(option, before, value))
    place = worker_differs(model, actual)
    return found + ([place] if place else []) + _unreported_differences(model, actual)


def _unreported_differences(model: Model, actual: ServerState) -> list[Field]:
    """Differences that the server does not report of a running model, by its remembered launch request."""
    before = actual.remembered(model.uid)
    if before is None:
        return []
    options = {key: option for option, key in LAUNCH_KEYS.items()}
    options.update(OTHER_LAUNCH_KEYS)
    told = {*REPORTED.values(), "worker_ip"}
    return [
        Field(
            options.get(key, f"engine_options.{key}"),
            before.get(key),
            model.body.get(key),
            secret=key in SECRET_FIELDS,
        )
        for key in sorted({*before, *model.body} - told)
        if before.get(key) != model.body.get(key)
    ]


def worker_differs(model: Model, actual: ServerState) -> Field | None:
    """Whether a replica runs elsewhere; only where the named worker is one of the cluster's, since a local server
    ignores the name."""
    wanted = model.options["worker"]
    if not wanted:
        return None
    meant = {address for address in actual.workers if wanted in (address, host(address))}
    running = replicas(actual.instances.get(model.uid) or {})
    used = {row["worker_address"] for row in running if row.get("worker_address") is not None}
    if not meant or used <= meant:
        return None
    return Field("worker", ", ".join(sorted(used)), wanted)


def _registration_change(model: Model, actual: ServerState) -> tuple[str | None, list[Field]]:
    if model.definition is None:
        return None, []
    registered = actual.definitions.get((model.type, model.name))
    if registered is None:
        return "add", []
    changed = registration.differences(model.definition, registered)
    if changed:
        return "change", changed
    return ("spread" if actual.untold.get((model.type, model.name)) else None), []


def _others_with(model: Model, actual: ServerState) -> list[str]:
    """UIDs of other models that run from the same definition."""
    return [
        uid
        for uid, row in actual.models.items()
        if uid != model.uid and row.get("model_name") == model.name and row.get("model_type") == model.type
    ]


def plan_of(decisions: t.Sequence[Decision], header: str = "") -> Plan:
    """The decisions as the collection's one difference object. Pure."""
    plan = Plan(header)
    registered: set[tuple[str, str]] = set()
    for decision in decisions:
        model = decision.model
        key = (model.type, model.name)
        if decision.register and key not in registered:
            registered.add(key)
            changed = [f for f in decision.fields if f.name.startswith("definition.")]
            plan.add("add" if decision.register == "add" else "change", "register", f"definition {model.name}", changed)
        if decision.action == LAUNCH:
            why = next((f"was {f.before}" for f in decision.fields if f.name == "state"), "")
            plan.add("add", "launch", model.uid, _shown(model), why=why)
        elif decision.action in (REPLACE, ROLL):
            plan.add("change", "replace", model.uid, decision.fields)
        elif decision.action == SCALE:
            plan.add("change", "scale", model.uid, decision.fields)
        elif decision.action == TERMINATE:
            plan.add("remove", "terminate", model.uid)
    return plan


def _shown(model: Model) -> list[Field]:
    return [Field(key, None, value, key in SECRET_FIELDS) for key, value in model.body.items() if key != "model_uid"]
