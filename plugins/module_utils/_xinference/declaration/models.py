# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models on one Xinference: what is declared, what is there, what has to be done. Private to the collection.

``desired`` and ``plan`` are pure; ``read`` only reads. launch.py does what the plan says.
"""

from __future__ import annotations

import collections
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host import mounts
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._session import ApiError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    registration,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Declared

TYPES = ("LLM", "embedding", "rerank", "image", "audio", "video", "flexible")

# Option of a model -> key of the launch request.
LAUNCH_KEYS = {
    "name": "model_name",
    "type": "model_type",
    "uid": "model_uid",
    "engine": "model_engine",
    "format": "model_format",
    "size": "model_size_in_billions",
    "quantization": "quantization",
    "replicas": "replica",
    "gpu_indices": "gpu_idx",
    "worker": "worker_ip",
    "n_worker": "n_worker",
    "virtual_env": "enable_virtual_env",
    "virtual_env_packages": "virtual_env_packages",
    "envs": "envs",
    "virtual_env_find_links": "virtual_env_find_links",
    "download_hub": "download_hub",
    "request_limits": "request_limits",
    "thinking": "enable_thinking",
    # These two are no keys of Xinference: releases.launch_request() and the placement turn them into the engine's own.
    "context_length": "context_length",
    "gpu_memory": "gpu_memory",
}
# Keys of the launch request that are made from an option in another way.
_OTHER_LAUNCH_KEYS = {
    "n_gpu": "gpus_per_replica",
    "model_path": "path",
    "peft_model_config": "lora",
    "enable_mtp": "draft_model",
    "draft_model_path": "draft_model",
    "draft_quantization": "draft_model",
    "num_speculative_tokens": "draft_model",
}
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
_SECRET_FIELDS = ("envs",)
# Options that a custom model's definition says.
_SPEC = ("format", "size", "quantization")
# What a new replica of a running model can have otherwise than the old ones; the rest of a launch request is the model's.
_ROLLABLE = ("definition", "replicas", "worker", "gpu_indices")


@dataclass
class Model:
    """One declared model.

    :param declared: its options as given.
    :param options: the same, normalised.
    :param body: the launch request.
    :param definition: what has to be registered before, of a custom model.
    """

    uid: str
    name: str
    type: str
    declared: t.Mapping[str, t.Any]
    options: dict[str, t.Any]
    body: dict[str, t.Any]
    definition: registration.Definition | None = None

    @property
    def present(self) -> bool:
        return self.options["state"] == "present"


@dataclass
class Actual:
    """What the server has.

    :param models: rows of GET /v1/models, by UID.
    :param instances: rows of GET /v1/models/instances, by UID.
    :param definitions: (type, name) -> registered definition, None where there is none; of declared custom models.
    :param untold: (type, name) of a definition -> addresses of workers that may lack it.
    :param gone: UIDs of instances in ERROR that the server no longer knows: leftovers of failed launches.
    :param workers: addresses of the workers.
    :param launched: what this collection remembers to have launched, by UID (declared.Declared.launched).
    :param declared: what was to be served until now, by UID: options as the module takes them.
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
            return "loading" if progress.comes_back(instance) else "failed"
        return "absent"


# States of a replica that is not over.
_LIVE = ("READY", "CREATING", "LOADING", "UPDATING", "TERMINATING")


def replicas(instance: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The replicas of an instance that are not over."""
    return [row for row in instance.get("replica_statuses") or [] if row.get("status") in _LIVE]


# What is done with a model. ROLL replaces its replicas one after the other, SCALE only changes their number.
NONE, LAUNCH, REPLACE, TERMINATE, WAIT, DIFFERS = "none", "launch", "replace", "terminate", "wait", "differs"
ROLL, SCALE = "roll", "scale"
# How a model that runs otherwise than declared is replaced.
KEEP, GAP, SURGE = "false", "true", "surge"


@dataclass
class Decision:
    """What is done with one model, and why.

    :param register: the definition that has to be registered first ("add"), in place of another ("change"), or again, because
        some workers may lack it ("spread").
    :param surge: of ROLL, whether a new replica starts before an old one ends.
    """

    model: Model
    action: str
    fields: list[Field] = field(default_factory=list)
    register: str | None = None
    surge: bool = False


# -- desired -------------------------------------------------------------------------------------------------------


def desired(
    declared: t.Sequence[t.Mapping[str, t.Any]], exists: t.Callable[[str], bool] = os.path.exists
) -> list[Model]:
    """The declared models, checked as far as that goes without the server.

    :param exists: whether a path exists on the machine that runs the module.
    :raises ModelopsError: naming every model that cannot be meant.
    """
    problems: list[str] = []
    result: list[Model] = []
    for uid, count in collections.Counter(options["uid"] for options in declared).items():
        if count > 1:
            problems.append(f"models: UID {uid!r} is declared {count} times; a UID names one model")
    for options in declared:
        try:
            result.append(_model(options, exists))
        except ModelopsError as exc:
            problems.append(str(exc))
    problems += _conflicting_definitions(result)
    if problems:
        raise ModelopsError("\n".join(problems))
    return result


def given(options: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Suboptions without those that were left unset."""
    return {name: value for name, value in (options or {}).items() if value is not None}


def _model(declared: t.Mapping[str, t.Any], exists: t.Callable[[str], bool]) -> Model:
    options = dict(declared)
    uid = options["uid"]
    _check_uid(uid)
    options["name"] = options["name"] or uid
    options["size"] = registration.normal_size(f"models: {uid}", options["size"])
    if options["state"] == "absent":
        return Model(uid, options["name"], options["type"], declared, options, {})
    if options["type"] == "LLM" and not options["engine"]:
        raise ModelopsError(f"models: {uid}: an LLM needs engine, such as vLLM, llama.cpp or Transformers")
    if options["replicas"] < 1:
        raise ModelopsError(f"models: {uid}: replicas has to be at least 1")
    for name in ("context_length", "n_worker", "request_limits", "launch_timeout"):
        if options[name] is not None and options[name] < 1:
            raise ModelopsError(f"models: {uid}: {name} has to be at least 1, not {options[name]}")
    _check_gpus(options)
    _check_envs(options)
    path = options["path"]
    if path and not os.path.isabs(path):
        raise ModelopsError(f"models: {uid}: path has to be absolute, not {path}")
    # With a worker named, the weights are over there and not here.
    if path and not options["worker"] and not exists(path):
        raise ModelopsError(f"models: {uid}: path {path} does not exist on this machine{mounts.hint(path)}")
    if options["virtual_env"] is None and path:
        options["virtual_env"] = False
    definition = registration.build(options) if options["definition"] is not None else None
    body = _launch_body(options, definition)
    return Model(uid, options["name"], options["type"], declared, options, body, definition)


def _check_gpus(options: t.Mapping[str, t.Any]) -> None:
    """Whether the named GPUs are as many as the replicas take."""
    uid, indices, replicas = options["uid"], options["gpu_indices"], options["replicas"]
    if not indices:
        return
    if min(indices) < 0:
        raise ModelopsError(f"models: {uid}: gpu_indices has {min(indices)}; the first GPU is 0")
    if len(indices) % replicas:
        raise ModelopsError(f"models: {uid}: {len(indices)} gpu_indices cannot be shared evenly by {replicas} replicas")
    each = _gpus(uid, options["gpus_per_replica"]) if options["gpus_per_replica"] is not None else "auto"
    if isinstance(each, int) and replicas * each != len(indices):
        raise ModelopsError(
            f"models: {uid}: {replicas} replicas with gpus_per_replica {each} take {replicas * each} GPUs, and gpu_indices names "
            f"{len(indices)}: name as many, or leave one of the two out"
        )


def _check_envs(options: t.Mapping[str, t.Any]) -> None:
    """Whether a process can have these environment variables. Values are secrets."""
    for name, value in (options["envs"] or {}).items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
            raise ModelopsError(
                f"models: {options['uid']}: envs: {name!r} is no name of an environment variable (letters, digits and _, no digit first)"
            )
        if value is None or isinstance(value, (dict, list)):
            raise ModelopsError(f"models: {options['uid']}: envs: {name} has no text: give one, or leave it out")
        if re.search(r"[\r\n\x00]", str(value)):
            raise ModelopsError(f"models: {options['uid']}: envs: {name} has a line break, which it must not")


def _check_uid(uid: str) -> None:
    """Xinference's own rules, and those of Dify's plugin, which puts the UID in a URL."""
    if not 0 < len(uid) <= 100:
        raise ModelopsError(f"models: UID {uid!r} has {len(uid)} characters; Xinference takes 1 to 100")
    if re.search(r"-rep\d+$", uid):
        raise ModelopsError(f"models: UID {uid!r} ends like the name of a replica (-rep<number>), which is reserved")
    if uid.strip() != uid or re.search(r"[\x00-\x1f\x7f]", uid):
        raise ModelopsError(
            f"models: UID {uid!r} is blank, or has a line break, or a blank at an end; no URL can carry it"
        )
    if uid in (".", ".."):
        raise ModelopsError(f"models: UID {uid!r} means a directory in a URL, so the model could never be terminated")
    if re.search(r"[/?#]", uid):
        raise ModelopsError(f"models: UID {uid!r} holds /, ? or #, which neither a URL nor Dify's plugin can carry")


def _launch_body(options: t.Mapping[str, t.Any], definition: registration.Definition | None) -> dict[str, t.Any]:
    body = {key: options[option] for option, key in LAUNCH_KEYS.items() if options[option] is not None}
    if definition and "model_specs" in definition.body:
        # A custom model has one spec, which a launch that names none takes. So a replica that is added later takes the
        # spec that is registered then, and the model can be replaced replica by replica.
        for key in ("model_format", "quantization", "model_size_in_billions"):
            body.pop(key, None)
    if options["gpus_per_replica"] is not None:
        body["n_gpu"] = _gpus(options["uid"], options["gpus_per_replica"])
    if options["path"] and not definition:
        body["model_path"] = options["path"]
    if options["lora"]:
        body["peft_model_config"] = {
            "lora_list": [
                {"lora_name": lora["name"], "local_path": lora["path"], "lora_scale": lora["scale"]}
                for lora in options["lora"]
            ]
        }
    if options["draft_model"] is not None:
        body.update(_draft_keys(options["draft_model"]))
    named = {key: option for option, key in LAUNCH_KEYS.items()}
    named.update(_OTHER_LAUNCH_KEYS)
    for key, value in (options["engine_options"] or {}).items():
        if not isinstance(key, str):
            raise ModelopsError(
                f"models: {options['uid']}: engine_options: {key!r} is no name of an option: put it in quotes"
            )
        if "-" in key:
            raise ModelopsError(
                f"models: {options['uid']}: engine_options: no engine has an option {key!r}, and the server takes it silently: "
                f"write {key.strip('-').replace('-', '_')}"
            )
        if key in named:
            raise ModelopsError(
                f"models: {options['uid']}: engine_options: {key!r} has an option of its own, {named[key]}"
            )
        body[key] = value
    return body


def _draft_keys(draft: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Speculative decoding in the engine-neutral keys that Xinference has since 3.1."""
    keys = {"draft_model_path": "path", "draft_quantization": "quantization", "num_speculative_tokens": "tokens"}
    given_keys = {key: draft[option] for key, option in keys.items() if draft[option] is not None}
    # Without a path the server fetches the drafter that it knows for this model.
    return given_keys if "draft_model_path" in given_keys else {"enable_mtp": True, **given_keys}


def _gpus(uid: str, value: str) -> int | str | None:
    if value in ("auto", "none"):
        return "auto" if value == "auto" else None
    if not value.isdigit():
        raise ModelopsError(f"models: {uid}: gpus_per_replica is a number, 'auto' or 'none', not {value!r}")
    return int(value) or None


def _conflicting_definitions(models: t.Sequence[Model]) -> list[str]:
    """Two models may share a custom model's name only with the same definition."""
    seen: dict[tuple[str, str], Model] = {}
    problems = []
    for model in models:
        if model.definition is None:
            continue
        first = seen.setdefault((model.type, model.name), model)
        if first.definition and first.definition.body != model.definition.body:
            problems.append(
                f"models: {first.uid} and {model.uid} define the custom model {model.name!r} differently; "
                "give one of them another name"
            )
    return problems


# -- actual --------------------------------------------------------------------------------------------------------


def read(client: Client, wanted: t.Sequence[Model], known: Declared | None = None) -> Actual:
    """What the server has: two requests, one for its autostart, and those for the definitions of custom models.

    :param known: what is remembered of earlier runs.
    """
    known = known or Declared()
    models, instances = client.models(), client.instances()
    failed = [m.uid for m in wanted if (instances.get(m.uid) or {}).get("status") == "ERROR"]
    return Actual(
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


# -- plan ----------------------------------------------------------------------------------------------------------


def undeclared(wanted: t.Sequence[Model], actual: Actual) -> list[Model]:
    """What this collection launched, is still there and is not declared any more, as models declared absent. Pure."""
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


def decide(wanted: t.Sequence[Model], actual: Actual, replace: str) -> list[Decision]:
    """What to do with each declared model, in the declared order. Pure.

    :param replace: KEEP, GAP or SURGE.
    :raises ModelopsError: a definition would have to change under a model that runs from it, or a model cannot be
        replaced without a gap.
    """
    return [_decide(model, actual, replace) for model in wanted]


def _decide(model: Model, actual: Actual, replace: str) -> Decision:
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
                    f"({', '.join(map(str, changed))}): give this one another name, or replace: true to change it"
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
            f"models: {model.uid}: replace: surge needs Xinference 3.2 or later, where replicas can be added, and a model "
            f"without n_worker; replace: true terminates the model and launches it anew. It differs in "
            f"{', '.join(map(str, fields))}"
        )
    if replace == SURGE and fixed:
        raise ModelopsError(
            f"models: {model.uid}: {', '.join(fixed)} cannot change without a moment in which the UID does not answer, "
            "because Xinference gives every replica of a model the same launch options. What stands in definition can. "
            "replace: true terminates the model and launches it anew"
        )
    if not fixed and can_roll(model, actual) and (replace == SURGE or _running_replicas(model, actual) > 1):
        return Decision(model, ROLL, fields, register, surge=replace == SURGE)
    return Decision(model, REPLACE, fields, register)


def can_roll(model: Model, actual: Actual) -> bool:
    """Whether replicas of the running model can be added and removed one by one."""
    return releases.adds_replicas(actual.version) and (model.options["n_worker"] or 1) == 1


def _running_replicas(model: Model, actual: Actual) -> int:
    return int((actual.models.get(model.uid) or {}).get("replica") or 1)


def running_differences(model: Model, actual: Actual) -> list[Field]:
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


def _unreported_differences(model: Model, actual: Actual) -> list[Field]:
    """What the server does not tell of a running model, by the launch request that is remembered of it."""
    before = actual.remembered(model.uid)
    if before is None:
        return []
    options = {key: option for option, key in LAUNCH_KEYS.items()}
    options.update(_OTHER_LAUNCH_KEYS)
    told = {*REPORTED.values(), "worker_ip"}
    return [
        Field(
            options.get(key, f"engine_options.{key}"),
            before.get(key),
            model.body.get(key),
            secret=key in _SECRET_FIELDS,
        )
        for key in sorted({*before, *model.body} - told)
        if before.get(key) != model.body.get(key)
    ]


def worker_differs(model: Model, actual: Actual) -> Field | None:
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


def _registration_change(model: Model, actual: Actual) -> tuple[str | None, list[Field]]:
    if model.definition is None:
        return None, []
    registered = actual.definitions.get((model.type, model.name))
    if registered is None:
        return "add", []
    changed = registration.differences(model.definition, registered)
    if changed:
        return "change", changed
    return ("spread" if actual.untold.get((model.type, model.name)) else None), []


def _others_with(model: Model, actual: Actual) -> list[str]:
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
    return [Field(key, None, value, key in _SECRET_FIELDS) for key, value in model.body.items() if key != "model_uid"]


def comparable(option: str, value: t.Any) -> str:
    """A value of a model's option as text that is equal where Xinference means the same."""
    text = str(value)
    if option == "size":
        return text.replace(".", "_")
    # Xinference takes an engine's name in any case.
    return text.lower() if option in ("engine", "type") else text


def host(address: str) -> str:
    """That of a worker's address, which may be registered with another port after a restart."""
    return address.rsplit(":", 1)[0]
