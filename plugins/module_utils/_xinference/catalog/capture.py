# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running models of a server, as the inventory declares them. Only reads. Private to the collection.

The API does not tell how a running model was launched. Who does, in the order in which they are believed: this
collection's own record, the server's autostart, the worker's file of launch arguments (since 2.x), the web interface's
history. Values that none of them tells are reported, not invented. A secret value becomes the name of a variable.
"""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog.capture_launch import (
    launch_request_of,
    reported,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog.capture_sources import Sources
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog.captured import (
    CapturedModels,
    as_variable,
    without_secrets,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    models,
    registration,
    server_state,
)

# Options of a declared model that need not be written.
_DEFAULTS = {"replicas": 1, "priority": 100, "state": "present", "type": "LLM", "autostart": True}
_FIRST = ("uid", "name", "type", "engine", "format", "size", "quantization", "path", "definition", "replicas")


def capture(found: Sources) -> CapturedModels:
    result = CapturedModels()
    described = set()
    for uid, row in sorted(found.models.items()):
        options = _ordered(_model(found, result, uid, row))
        result.models.append(options)
        if "definition" in options:
            described.add((row["model_type"], row["model_name"]))
    for key in sorted(set(found.custom) - described):
        model_type, name = key
        item = {"name": name, **({} if model_type == "LLM" else {"type": model_type})}
        result.definitions.append({**item, **_definition(found, result, key, name)})
    result.unsettled = _unsettled(found)
    return result


def _unsettled(found: Sources) -> dict[str, str]:
    """The models that load, failed or are missing, and so are not captured."""
    actual = server_state.ServerState(found.models, found.instances, gone=found.gone)
    awaited = {model["uid"] for model in found.declared.models} | set(found.autostart or {})
    states = {uid: actual.state(uid) for uid in sorted({*found.instances, *awaited} - set(found.models))}
    told = {"absent": "missing", "ready": "loading"}  # ready since the list of models was read
    return {uid: told.get(state, state) for uid, state in states.items() if state != "absent" or uid in awaited}


def _model(found: Sources, result: CapturedModels, uid: str, row: dict[str, t.Any]) -> dict[str, t.Any]:
    mine = _remembered(found, uid)
    if mine is not None:
        options = without_secrets(result, uid, "", mine)
        return {**options, "replicas": row["replica"]} if row["replica"] != options.get("replicas", 1) else options
    listed = uid in (found.autostart or {})
    body = launch_request_of(found, result, uid, row)
    options = {"uid": uid, **({} if row["model_name"] == uid else {"name": row["model_name"]})}
    options.update(_options(result, uid, reported(row) if body is None else body))
    _fill_engine(found, result, uid, row, options)
    if row["replica"] != 1:
        options["replicas"] = row["replica"]
    if not listed:
        _place(found, result, uid, options, cards=body is None)
    options.update(_autostarted(found, uid))
    key = (row["model_type"], row["model_name"])
    if key in found.custom and len(found.custom[key].get("model_specs") or []) <= 1:
        for name in ("format", "size", "quantization", "download_hub"):
            options.pop(name, None)
        options.update(_definition(found, result, key, uid))
    return options


def _autostarted(found: Sources, uid: str) -> dict[str, t.Any]:
    """The options of the server's autostart that are not the defaults."""
    if found.autostart is None:
        return {}
    if uid not in found.autostart:
        return {"autostart": False}
    priority = found.autostart[uid].get("priority", _DEFAULTS["priority"])
    return {} if priority == _DEFAULTS["priority"] else {"priority": priority}


def _ordered(options: dict[str, t.Any]) -> dict[str, t.Any]:
    """The options that identify the model first; the rest in the order in which it came."""
    order = [name for name in _FIRST if name in options]
    return {name: options[name] for name in [*order, *(name for name in options if name not in order)]}


def _remembered(found: Sources, uid: str) -> dict[str, t.Any] | None:
    """The options with which this collection launched the running models."""
    known = found.declared.launched.get(uid)
    created = (found.instances.get(uid) or {}).get("instance_created_ts")
    mine = next((model for model in found.declared.models if model["uid"] == uid), None)
    if mine is None or known is None or (known["created"] != created and uid not in (found.autostart or {})):
        return None
    return {name: value for name, value in _given(mine).items() if value != _DEFAULTS.get(name)}


def _given(value: t.Any) -> t.Any:
    """Options without those that were left unset."""
    if isinstance(value, dict):
        found = {key: _given(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item is not None}
    return [_given(item) for item in value] if isinstance(value, list) else value


def _lora(value: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    return [
        {
            "name": lora["lora_name"],
            "path": lora["local_path"],
            **({} if lora.get("lora_scale") in (None, 1.0) else {"scale": lora["lora_scale"]}),
        }
        for lora in value.get("lora_list") or []
    ]


# Keys of a launch request that say which model it is, and with how many replicas.
_OF_MODEL = ("model_uid", "model_name", "replica")
# Key of a launch request -> the option that it comes from, and how.
_OPTION_OF: dict[str, tuple[str, t.Callable[[t.Any], t.Any]]] = {
    **{key: (option, lambda value: value) for option, key in models.LAUNCH_KEYS.items() if key not in _OF_MODEL},
    "model_size_in_billions": ("size", str),
    "n_gpu": ("gpus_per_replica", lambda value: "none" if value is None else str(value)),
    "model_path": ("path", lambda value: value),
    "peft_model_config": ("lora", _lora),
}
# Key -> key of the draft model, which one of the first two asks for; without them the others are options of the engine.
_DRAFT_OF = {
    "enable_mtp": "",
    "draft_model_path": "path",
    "draft_quantization": "quantization",
    "num_speculative_tokens": "tokens",
}


def _options(result: CapturedModels, uid: str, body: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options of a launch request."""
    has_draft = "enable_mtp" in body or "draft_model_path" in body
    options: dict[str, t.Any] = {}
    draft: dict[str, t.Any] = {}
    engine: dict[str, t.Any] = {}
    for key, value in body.items():
        if key in _OPTION_OF:
            option, convert = _OPTION_OF[key]
            options[option] = convert(value)
        elif has_draft and key in _DRAFT_OF:
            draft[_DRAFT_OF[key]] = value
        elif key == "replica_config":
            result.note(uid, "Its replicas have individual placements (replica_config), which cannot be declared.")
        elif value is not None and key not in _OF_MODEL:
            engine[key] = value
    if has_draft:
        options["draft_model"] = {name: value for name, value in draft.items() if name}
    if options.get("type") == "LLM":
        del options["type"]
    if engine:
        options["engine_options"] = engine
    return {name: without_secrets(result, uid, name, value) for name, value in options.items()}


def _fill_engine(
    found: Sources, result: CapturedModels, uid: str, row: t.Mapping[str, t.Any], options: dict[str, t.Any]
) -> None:
    """Before 3.x the server does not tell the engine of an LLM, which cannot be declared without."""
    if row["model_type"] != "LLM" or options.get("engine"):
        return
    able = found.engines.get(uid) or []
    if row.get("model_engine"):
        options["engine"] = row["model_engine"]
    elif len(able) == 1:
        options["engine"] = able[0]
        result.note(
            uid, f"The server does not report its engine; {able[0]} is the only installed engine that can run it."
        )
    else:
        options["engine"] = as_variable(
            result, f"xinference_{uid}_engine", f"engine of {uid}: {' or '.join(able) or 'unknown'}"
        )


def _place(found: Sources, result: CapturedModels, uid: str, options: dict[str, t.Any], *, cards: bool) -> None:
    """The model's place; without one in the launch the server chooses.

    :param cards: whether its cards are written down, too.
    """
    replicas = (found.instances.get(uid) or {}).get("replica_statuses") or []
    places = sorted({replica["worker_address"] for replica in replicas if replica.get("worker_address")})
    if len(places) > 1:
        result.note(uid, f"Its replicas run on {', '.join(places)}; the server chooses the worker of each.")
    elif places and len(found.addresses) > 1:
        options["worker"] = places[0]
    used = [replica.get("gpu_idx") for replica in replicas]
    if cards and used and all(used):
        options["gpu_indices"] = [index for card in used for index in (card if isinstance(card, list) else [card])]


def _definition(found: Sources, result: CapturedModels, key: tuple[str, str], owner: str) -> dict[str, t.Any]:
    """A registered definition as the options of a model: path, format, size, quantization, specs and definition."""
    model_type, name = key
    body = found.custom[key]
    family = found.families.get(body.get("model_family") or "")
    options = registration.options_of(model_type, body, family)
    for uri in registration.other_places(body):
        result.note(
            owner, f"The weights of {name} are at {uri}, which cannot be declared; give path or definition.hub_id."
        )
    options["definition"] = without_secrets(result, owner, "definition", options.get("definition") or {})
    return {option: value for option, value in options.items() if value not in (None, {}, [])}
