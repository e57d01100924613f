# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The declared models of one Xinference, checked as far as that goes without the server. Private to the collection. Pure."""

from __future__ import annotations

import collections
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._address import host_problem
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import mounts, registration

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
OTHER_LAUNCH_KEYS = {
    "n_gpu": "gpus_per_replica",
    "model_path": "path",
    "peft_model_config": "lora",
    "enable_mtp": "draft_model",
    "draft_model_path": "draft_model",
    "draft_quantization": "draft_model",
    "num_speculative_tokens": "draft_model",
}
SECRET_FIELDS = ("envs",)


@dataclass
class Model:
    """One declared model.

    :param declared: its options as given.
    :param options: the same, normalised.
    :param body: the launch request.
    :param definition: of a custom model, registered before the launch.
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
            problems.append(f"models: UID {uid!r} is declared {count} times; a UID must be unique")
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
        raise ModelopsError(f"models: {uid}: replicas must be at least 1")
    for name in ("context_length", "n_worker", "request_limits", "launch_timeout"):
        if options[name] is not None and options[name] < 1:
            raise ModelopsError(f"models: {uid}: {name} must be at least 1, not {options[name]}")
    _check_texts(options)
    _check_gpus(options)
    _check_envs(options)
    _check_adapters(options)
    path = options["path"]
    if path and not os.path.isabs(path):
        raise ModelopsError(f"models: {uid}: path must be absolute, not {path}")
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
        raise ModelopsError(
            f"models: {uid}: {len(indices)} gpu_indices cannot be divided evenly among {replicas} replicas"
        )
    share = len(indices) // replicas
    if any(len(set(indices[at : at + share])) < share for at in range(0, len(indices), share)):
        raise ModelopsError(
            f"models: {uid}: gpu_indices names a GPU twice for one replica ({', '.join(map(str, indices))})"
        )
    each = _gpus_of(uid, options["gpus_per_replica"]) if options["gpus_per_replica"] is not None else "auto"
    if isinstance(each, int) and replicas * each != len(indices):
        raise ModelopsError(
            f"models: {uid}: {replicas} replicas with gpus_per_replica {each} take {replicas * each} GPUs, and gpu_indices names "
            f"{len(indices)}: name as many, or remove one of the two"
        )


def _check_envs(options: t.Mapping[str, t.Any]) -> None:
    """Whether a process can have these environment variables. Values are secrets."""
    for name, value in (options["envs"] or {}).items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ModelopsError(
                f"models: {options['uid']}: envs: {name!r} is not a name of a variable (letters, digits and _, not a digit first)"
            )
        if value is None or isinstance(value, (dict, list)):
            raise ModelopsError(f"models: {options['uid']}: envs: {name} has no text: give one, or remove it")
        if re.search(r"[\r\n\x00]", str(value)):
            raise ModelopsError(f"models: {options['uid']}: envs: {name} must not have a line break")


def _check_texts(options: t.Mapping[str, t.Any]) -> None:
    """Words that the server looks up, and does not find with a blank in them."""
    uid = options["uid"]
    for name in ("engine", "format", "quantization", "worker", "download_hub"):
        given = options[name]
        if given is not None and not re.fullmatch(r"[^\s\x00-\x1f\x7f]+", given):
            raise ModelopsError(
                f"models: {uid}: {name} must be one word without spaces, not {given!r}: correct it, or remove it"
            )
    if options["name"].strip() != options["name"]:
        raise ModelopsError(f"models: {uid}: name must not begin or end with a space ({options['name']!r})")
    registration.check_packages(f"models: {uid}: virtual_env_packages", options["virtual_env_packages"])
    registration.check_hub(f"models: {uid}: download_hub", options["download_hub"])
    worker = options["worker"] or ""
    address, _colon, port = worker.partition(":")
    if worker and (
        host_problem(address)
        or not re.fullmatch("(:[0-9]{1,5})?", worker[len(address) :])
        or port
        and not 0 < int(port) < 65536
    ):
        raise ModelopsError(
            f"models: {uid}: worker must be a host of the cluster, or its address, with or without its port, not {worker!r}"
        )


def _check_adapters(options: t.Mapping[str, t.Any]) -> None:
    """LoRA adapters, and the draft model."""
    uid, names = options["uid"], [lora["name"] for lora in options["lora"] or ()]
    for lora in options["lora"] or ():
        if not lora["name"].strip() or names.count(lora["name"]) > 1:
            raise ModelopsError(f"models: {uid}: lora: each must have a unique name, not {lora['name']!r}")
        if not os.path.isabs(lora["path"]):
            raise ModelopsError(f"models: {uid}: lora: {lora['name']}: path must be absolute, not {lora['path']}")
    draft = options["draft_model"] or {}
    if draft.get("tokens") is not None and draft["tokens"] < 1:
        raise ModelopsError(f"models: {uid}: draft_model: tokens must be at least 1, not {draft['tokens']}")
    if draft.get("path") and not os.path.isabs(draft["path"]):
        raise ModelopsError(f"models: {uid}: draft_model: path must be absolute, not {draft['path']}")


def _check_uid(uid: str) -> None:
    """Xinference's own rules, and those of Dify's plugin, which puts the UID in a URL."""
    if not 0 < len(uid) <= 100:
        raise ModelopsError(f"models: UID {uid!r} has {len(uid)} characters; Xinference allows 1 to 100")
    if re.search(r"-rep\d+$", uid):
        raise ModelopsError(f"models: UID {uid!r} must not end in -rep<number>, which is reserved for replicas")
    if uid.strip() != uid or not uid.isprintable():
        raise ModelopsError(
            f"models: UID {uid!r} must not be blank, have a line break or an invisible character, or begin or end with a space; no URL "
            "can contain it"
        )
    if uid in (".", ".."):
        raise ModelopsError(f"models: UID {uid!r} is a directory in a URL, so the model could never be terminated")
    if re.search(r"[/?#%\\]", uid):
        raise ModelopsError(
            f"models: UID {uid!r} contains / ? # \\ or %, which neither a URL nor Dify's plugin accepts"
        )


def _launch_body(options: t.Mapping[str, t.Any], definition: registration.Definition | None) -> dict[str, t.Any]:
    body = {key: options[option] for option, key in LAUNCH_KEYS.items() if options[option] is not None}
    if definition and "model_specs" in definition.body:
        # A custom model has one spec, which a launch that names none takes. So a replica that is added later takes the
        # spec that is registered then, and the model can be replaced replica by replica.
        for key in ("model_format", "quantization", "model_size_in_billions"):
            body.pop(key, None)
    if options["gpus_per_replica"] is not None:
        body["n_gpu"] = _gpus_of(options["uid"], options["gpus_per_replica"])
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
    named.update(OTHER_LAUNCH_KEYS)
    for key, value in (options["engine_options"] or {}).items():
        if not isinstance(key, str):
            raise ModelopsError(
                f"models: {options['uid']}: engine_options: {key!r} is not a name of an option: put it in quotes"
            )
        if not re.fullmatch(r"\S+", key):
            raise ModelopsError(
                f"models: {options['uid']}: engine_options: {key!r} is not a name of an option: correct it"
            )
        if "-" in key:
            raise ModelopsError(
                f"models: {options['uid']}: engine_options: no engine has an option {key!r}, but the server accepts it silently: "
                f"write {key.strip('-').replace('-', '_')}"
            )
        if key in named:
            raise ModelopsError(
                f"models: {options['uid']}: engine_options: {key!r} has a dedicated option, {named[key]}"
            )
        body[key] = value
    return body


def _draft_keys(draft: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Speculative decoding in the engine-neutral keys that Xinference has since 3.1."""
    keys = {"draft_model_path": "path", "draft_quantization": "quantization", "num_speculative_tokens": "tokens"}
    given_keys = {key: draft[option] for key, option in keys.items() if draft[option] is not None}
    # Without a path the server fetches the drafter that it knows for this model.
    return given_keys if "draft_model_path" in given_keys else {"enable_mtp": True, **given_keys}


def _gpus_of(uid: str, value: str) -> int | str | None:
    if value in ("auto", "none"):
        return "auto" if value == "auto" else None
    if not re.fullmatch("[0-9]{1,4}", value):
        raise ModelopsError(f"models: {uid}: gpus_per_replica must be a number, 'auto' or 'none', not {value!r}")
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
