# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on a server, as the inventory declares it. Only reads. Private to the collection.

The API does not tell how a running model was launched. Who does, in the order in which they are believed: this
collection's own memory, the server's autostart, the worker's file of launch arguments (since 2.x), the web interface's
history. What none of them tells is said and not invented. A secret value becomes the name of a variable.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils import _json
from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import catalog, offers
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    autostart,
    models,
    registration,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Declared

# What a worker keeps beside the arguments of a launch, and what the server fills in where nothing was given.
_INTERNAL = frozenset({"launch_ts", "shard", "driver_info", "xavier_config", "model_python_executable", "wait_ready"})
_FILLED_IN = {"n_gpu": "auto", "n_worker": 1, "model_type": "LLM", "replica": 1}
# Options of a declared model that need not be written.
_DEFAULTS = {"replicas": 1, "priority": 100, "state": "present", "type": "LLM", "autostart": True}
_FIRST = ("uid", "name", "type", "engine", "format", "size", "quantization", "path", "definition", "replicas")
# A value that looks like a secret, whatever its name.
_SECRET_VALUE = re.compile(rf"^(hf_|sk-|xf-|ghp_|glpat-|AKIA|eyJ)|{log.USERINFO.pattern}")
# Environment variables whose values may be shown. Of others nobody knows.
_HARMLESS = re.compile(
    r"\w+_VISIBLE_DEVICES|\w+_NUM_THREADS|(CUDA|NCCL|PYTORCH|SGLANG|TORCH|VLLM)_\w+|TOKENIZERS_PARALLELISM"
    r"|HF_(ENDPOINT|HOME|HUB_OFFLINE|HUB_ENABLE_HF_TRANSFER)|TRANSFORMERS_OFFLINE|XINFERENCE_MODEL_SRC"
)


@dataclass
class Found:
    """What the server and its host tell.

    :param workers: replica's UID -> the launch arguments that its worker keeps.
    :param history: UID -> the last launch of the web interface.
    :param custom: (type, name) -> definition of each custom model.
    :param families: name -> definition of the built-in LLMs that custom ones derive from.
    :param gone: UIDs of instances in ERROR that the server no longer knows.
    """

    version: str
    addresses: t.Sequence[str]
    models: dict[str, dict[str, t.Any]]
    instances: dict[str, dict[str, t.Any]]
    autostart: dict[str, dict[str, t.Any]] | None
    custom: dict[tuple[str, str], dict[str, t.Any]]
    families: dict[str, dict[str, t.Any]]
    engines: dict[str, list[str]]
    history: dict[str, dict[str, t.Any]]
    declared: Declared
    workers: dict[str, dict[str, t.Any]]
    gone: frozenset[str] = frozenset()


@dataclass
class Captured:
    """The inventory.

    :param definitions: custom models that are not part of one of `models`.
    :param variables: name of a variable that has to be defined -> what it holds.
    :param notes: UID, or name of a definition -> what is not told.
    :param unsettled: UID of a model that is not captured -> loading, failed, or missing (declared, or in the autostart).
    """

    models: list[dict[str, t.Any]] = field(default_factory=list)
    definitions: list[dict[str, t.Any]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    unsettled: dict[str, str] = field(default_factory=dict)

    def note(self, uid: str, text: str) -> None:
        self.notes.setdefault(uid, []).append(text)


# -- read ----------------------------------------------------------------------------------------------------------


def read(client: Client, declared: Declared, workers: dict[str, dict[str, t.Any]]) -> Found:
    """Six requests, one for each type that can be defined, and one for each custom model and each family of them."""
    running = client.models()
    custom: dict[tuple[str, str], dict[str, t.Any]] = {}
    families: dict[str, dict[str, t.Any]] = {}
    for model_type in registration.TYPES:
        names = {row["model_name"]: row["is_builtin"] for row in client.registrations(model_type)}
        for name in sorted(name for name, builtin in names.items() if not builtin):
            body = client.registration(model_type, name)
            if body is None:
                continue
            custom[(model_type, name)] = body
            family = body.get("model_family")
            if model_type == "LLM" and family and names.get(family) and family not in families:
                families[family] = client.registration(model_type, family) or {}
    instances = client.instances()
    broken = [uid for uid, row in instances.items() if row.get("status") == "ERROR"]
    return Found(
        version=client.version,
        addresses=client.workers,
        models=running,
        instances=instances,
        gone=frozenset(uid for uid in broken if client.presence(uid) == releases.UNKNOWN),
        autostart=client.autostart(),
        custom=custom,
        families=families,
        engines={uid: _engines(client, row) for uid, row in running.items() if _lacks_engine(row)},
        history=client.launch_history(),
        declared=declared,
        workers=workers,
    )


def _lacks_engine(row: t.Mapping[str, t.Any]) -> bool:
    return row["model_type"] == "LLM" and not row.get("model_engine")


def _engines(client: Client, row: t.Mapping[str, t.Any]) -> list[str]:
    """The installed engines that can run an LLM as it runs."""
    told = catalog.engines_of(client.engines("LLM", row["model_name"]) or {})
    wanted = {option: next(iter(offers.values(row, option)), None) for option in offers.SPEC}
    return [name for name, engine in told.items() if engine["installed"] and wanted in engine["specs"]]


def launch_arguments(home: str | None) -> dict[str, dict[str, t.Any]]:
    """What the workers with this XINFERENCE_HOME keep of their launches: replica's UID -> arguments.

    :raises ModelopsError: a file is there and cannot be read.
    """
    found: dict[str, dict[str, t.Any]] = {}
    if not home:
        return found
    place = os.path.join(home, "worker_recovery")
    try:
        # The server's user owns it, and could have root show another file by a link.
        with Directory.at(place) as workers:
            for name in workers.names():
                place = os.path.join(workers.path, name, "models.json")
                about = workers.stat(name)
                if about is not None and not stat.S_ISREG(about.st_mode):
                    with contextlib.suppress(FileNotFoundError), workers.enter(name) as worker:
                        with worker.open("models.json") as file:
                            found.update(_json.check("its content", _json.load(file), dict, dict))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ModelopsError(
            f"home: {place} cannot be read ({why}). Run the module as root or as the server's user, or leave home unset"
        ) from exc
    return found


# -- from what is told to what is declared. Pure ----------------------------------------------------------------------


def capture(found: Found) -> Captured:
    result = Captured()
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


def _unsettled(found: Found) -> dict[str, str]:
    """The models that are about to run, or ran: what is captured lacks them."""
    actual = models.Actual(found.models, found.instances, gone=found.gone)
    awaited = {model["uid"] for model in found.declared.models} | set(found.autostart or {})
    states = {uid: actual.state(uid) for uid in sorted({*found.instances, *awaited} - set(found.models))}
    told = {"absent": "missing", "ready": "loading"}  # ready since the list of models was read
    return {uid: told.get(state, state) for uid, state in states.items() if state != "absent" or uid in awaited}


def _model(found: Found, result: Captured, uid: str, row: dict[str, t.Any]) -> dict[str, t.Any]:
    mine = _remembered(found, uid)
    if mine is not None:
        options = _hidden(result, uid, "", mine)
        return {**options, "replicas": row["replica"]} if row["replica"] != options.get("replicas", 1) else options
    listed = uid in (found.autostart or {})
    body = _launch(found, result, uid, row)
    options = {"uid": uid, **({} if row["model_name"] == uid else {"name": row["model_name"]})}
    options.update(_options(result, uid, _reported(row) if body is None else body))
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


def _autostarted(found: Found, uid: str) -> dict[str, t.Any]:
    """The options of the server's autostart that are not the defaults."""
    if found.autostart is None:
        return {}
    if uid not in found.autostart:
        return {"autostart": False}
    priority = found.autostart[uid].get("priority", _DEFAULTS["priority"])
    return {} if priority == _DEFAULTS["priority"] else {"priority": priority}


def _ordered(options: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the model is before how it is launched; the rest in the order in which it came."""
    order = [name for name in _FIRST if name in options]
    return {name: options[name] for name in [*order, *(name for name in options if name not in order)]}


def _remembered(found: Found, uid: str) -> dict[str, t.Any] | None:
    """The options with which this collection launched what runs."""
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


# What a worker keeps otherwise than the request had it, of a replica.
_OF_REPLICA = ("model_uid", "replica", "worker_ip", "gpu_idx", "envs")


def _launch(found: Found, result: Captured, uid: str, row: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """The launch request of a running model, None where nobody tells it."""
    worker = _kept_by_workers(found, uid)
    for who, body, of_this_launch in (
        ("the server's autostart", _kept_by_autostart(found, uid, worker), True),
        ("the worker's file of launch arguments", worker, True),
        ("the web interface's history", _clean(found.history.get(uid)), False),
    ):
        if not body:
            continue
        differs = _differences(body, row)
        if differs:
            result.note(uid, f"{who[0].upper()}{who[1:]} says otherwise ({', '.join(differs)}), so it was not used.")
            continue
        if not of_this_launch:
            result.note(uid, f"How it was launched is taken from {who}; it may have been launched otherwise since.")
        return body
    result.note(
        uid,
        "Nobody tells its engine options, environment variables and virtual environment; add them where it has any.",
    )
    return None


def _kept_by_workers(found: Found, uid: str) -> dict[str, t.Any]:
    """What the workers keep of the launch of a model, with the cards of all its replicas; empty where they keep nothing."""
    replicas = (found.instances.get(uid) or {}).get("replica_statuses") or []
    names = [replica.get("replica_model_uid") for replica in replicas]
    kept = [_clean(found.workers[name]) for name in names if name in found.workers]
    if not kept:
        return {}
    cards = {"gpu_idx": [index for body in kept for index in body["gpu_idx"]]} if kept[0].get("gpu_idx") else {}
    return {**kept[0], **cards}


def _kept_by_autostart(found: Found, uid: str, worker: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the autostart keeps of the launch of a model; empty where it keeps nothing, or of another launch.

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
        for option, key in models.REPORTED.items()
        if option != "replicas" and None not in (body.get(key), row.get(key))
        and models.comparable(option, body[key]) != models.comparable(option, row[key])
    ]  # fmt: skip


def _clean(body: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """A launch request without what is no part of it."""
    return {
        name: value
        for name, value in (body or {}).items()
        if name not in _INTERNAL and not name.startswith("_") and value != _FILLED_IN.get(name)
        and (value is not None or name == "n_gpu")
    }  # fmt: skip


def _reported(row: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    spec = {} if row["model_type"] not in registration.WITH_SPECS else row
    told = {name: row.get(name) for name in ("model_name", "model_type", "model_engine")}
    told.update({name: spec.get(name) for name in ("model_format", "model_size_in_billions", "quantization")})
    return {name: value for name, value in told.items() if value is not None}


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


def _options(result: Captured, uid: str, body: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
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
            result.note(uid, "Its replicas were placed one by one (replica_config), which cannot be declared.")
        elif value is not None and key not in _OF_MODEL:
            engine[key] = value
    if has_draft:
        options["draft_model"] = {name: value for name, value in draft.items() if name}
    if options.get("type") == "LLM":
        del options["type"]
    if engine:
        options["engine_options"] = engine
    return {name: _hidden(result, uid, name, value) for name, value in options.items()}


def _fill_engine(
    found: Found, result: Captured, uid: str, row: t.Mapping[str, t.Any], options: dict[str, t.Any]
) -> None:
    """Before 3.x the server does not tell the engine of an LLM, which cannot be declared without."""
    if row["model_type"] != "LLM" or options.get("engine"):
        return
    able = found.engines.get(uid) or []
    if row.get("model_engine"):
        options["engine"] = row["model_engine"]
    elif len(able) == 1:
        options["engine"] = able[0]
        result.note(uid, f"The server does not tell its engine; {able[0]} is the only installed one that can run it.")
    else:
        options["engine"] = _variable(
            result, f"xinference_{uid}_engine", f"engine of {uid}: {' or '.join(able) or 'unknown'}"
        )


def _place(found: Found, result: Captured, uid: str, options: dict[str, t.Any], *, cards: bool) -> None:
    """Where it runs, which a launch that names no place leaves to the server.

    :param cards: whether its cards are written down, too.
    """
    replicas = (found.instances.get(uid) or {}).get("replica_statuses") or []
    places = sorted({replica["worker_address"] for replica in replicas if replica.get("worker_address")})
    if len(places) > 1:
        result.note(uid, f"Its replicas run on {', '.join(places)}; which runs where is left to the server.")
    elif places and len(found.addresses) > 1:
        options["worker"] = places[0]
    used = [replica.get("gpu_idx") for replica in replicas]
    if cards and used and all(used):
        options["gpu_indices"] = [index for card in used for index in (card if isinstance(card, list) else [card])]


def _definition(found: Found, result: Captured, key: tuple[str, str], owner: str) -> dict[str, t.Any]:
    """A registered definition as the options of a model: path, format, size, quantization, specs and definition."""
    model_type, name = key
    body = found.custom[key]
    family = found.families.get(body.get("model_family") or "")
    options = registration.options_of(model_type, body, family)
    for uri in registration.other_places(body):
        result.note(
            owner, f"The weights of {name} are at {uri}, which cannot be declared; give path or definition.hub_id."
        )
    options["definition"] = _hidden(result, owner, "definition", options.get("definition") or {})
    return {option: value for option, value in options.items() if value not in (None, {}, [])}


# -- secrets -------------------------------------------------------------------------------------------------------


def _hidden(result: Captured, uid: str, name: str, value: t.Any, path: str = "", env: bool = False) -> t.Any:
    """The value with references in the place of secrets."""
    if isinstance(value, dict):
        return {
            key: _hidden(result, uid, str(key), item, f"{path}_{key}", env or name == "envs")
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_hidden(result, uid, name, item, f"{path}_{index}", env) for index, item in enumerate(value)]
    if (isinstance(value, str) or (env and value is not None)) and _is_secret(name, str(value), env):
        what = f"environment variable {name}" if env else (path.strip("_") or name)
        return _variable(result, f"vault_xinference_{uid}{path or '_' + name}", f"{what} of {uid}")
    return value


def _is_secret(name: str, value: str, env: bool) -> bool:
    return bool(
        value == autostart.REDACTED
        or (value and log.SECRET_NAME.search(name))
        or _SECRET_VALUE.search(value)
        or (value and env and not _HARMLESS.fullmatch(name))
    )


def _variable(result: Captured, name: str, what: str) -> str:
    base = name = re.sub(r"[^a-z0-9]+", "_", name.lower())
    number = 1
    while result.variables.get(name, what) != what:  # of another UID that differs by a dot, say
        number += 1
        name = f"{base}_{number}"
    result.variables[name] = what
    return "{{ " + name + " }}"


# -- text ----------------------------------------------------------------------------------------------------------

_PLAIN = re.compile(r"^[A-Za-z/][A-Za-z0-9_./@+-]*$")
_NOT_TEXT = frozenset("true false yes no on off null none y n".split())


def text(captured: Captured, endpoint: str, version: str) -> str:
    """The inventory file. The same server gives the same text, so it says no time."""
    lines = ["---", f"# What ran on {endpoint} (Xinference {version}), for modelops.inference.xinference_models."]
    if captured.variables:
        lines += ["#", "# Define these, secrets with ansible-vault:"]
        lines += [f"#   {name}: {what}" for name, what in sorted(captured.variables.items())]
    if captured.unsettled:
        lines += ["#", "# Not in this file, because they did not run:"]
        lines += [f"#   {uid}: {state}" for uid, state in sorted(captured.unsettled.items())]
    lines += ["", *_items("xinference_models", captured.models, captured.notes)]
    if captured.definitions:
        lines += [
            "",
            "# Custom models with several forms, or of which none runs: for modelops.inference.xinference_registration.",
        ]
        lines += _items("xinference_definitions", captured.definitions, captured.notes)
    return "\n".join(lines) + "\n"


def _items(name: str, items: t.Sequence[dict[str, t.Any]], notes: t.Mapping[str, list[str]]) -> list[str]:
    lines = [f"{name}:" if items else f"{name}: []"]
    for item in items:
        lines += [f"  # {note}" for note in notes.get(item.get("uid") or item["name"], [])]
        lines += _block(item, "  - ")
    return lines


def _block(value: dict[str, t.Any], first: str) -> list[str]:
    lines: list[str] = []
    indent = " " * len(first)
    for key, item in value.items():
        start = first if not lines else indent
        name = _scalar(str(key))
        if isinstance(item, dict) and item:
            lines += [f"{start}{name}:", *_block(item, indent + "  ")]
        elif isinstance(item, list) and item and all(isinstance(part, dict) and part for part in item):
            lines.append(f"{start}{name}:")
            for part in item:
                lines += _block(part, indent + "  - ")
        else:
            lines.append(f"{start}{name}: {_scalar(item)}")
    return lines


def _scalar(value: t.Any) -> str:
    """A value in one line. JSON is YAML; text with Jinja in it that is not a reference of ours is not to be rendered."""
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        if _PLAIN.match(value) and value.lower() not in _NOT_TEXT:
            return value
        ours = re.fullmatch(r"\{\{ (vault_)?xinference_[a-z0-9_]+ \}\}", value)
        mark = "!unsafe " if not ours and re.search(r"\{[{%#]", value) else ""
        return mark + json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
