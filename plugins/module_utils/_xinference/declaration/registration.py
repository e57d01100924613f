# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of custom models: from the declared one to Xinference's, and what differs. Pure. Private to the collection.

Xinference has no update: a definition that differs is unregistered and registered again. It also normalises what it
is given (extra nulls, 'vision' added by the family, a chat template looked up), so only the keys that the user gave
are compared.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._address import address_problem
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field

# The types that Xinference lets a user define.
TYPES = ("LLM", "embedding", "rerank", "image", "audio", "flexible")
# The types whose definition holds a list of specs (format, size, quantization, place of the weights).
WITH_SPECS = ("LLM", "embedding", "rerank")

# Hubs that the server fetches from.
HUBS = ("huggingface", "modelscope", "openmind_hub", "csghub")

# Suboptions of a definition in every module that takes one.
OPTIONS: dict[str, t.Any] = dict(
    abilities=dict(type="list", elements="str"),
    chat_template=dict(type="str"),
    context_length=dict(type="int"),
    description=dict(type="str"),
    dimensions=dict(type="int"),
    extra=dict(type="dict"),
    family=dict(type="str"),
    file=dict(type="str"),
    hub=dict(type="str"),
    hub_id=dict(type="str"),
    languages=dict(type="list", elements="str"),
    launcher=dict(type="str"),
    launcher_args=dict(type="dict"),
    max_tokens=dict(type="int", no_log=False),
    reasoning_end_tag=dict(type="str"),
    reasoning_start_tag=dict(type="str"),
    revision=dict(type="str"),
    stop=dict(type="list", elements="str"),
    stop_token_ids=dict(type="list", elements="int", no_log=False),
    tool_parser=dict(type="str"),
    virtual_env=dict(
        type="dict",
        options=dict(
            packages=dict(type="list", elements="str", required=True),
            inherit_pip_config=dict(type="bool"),
            index_url=dict(type="str"),
            extra_index_urls=dict(type="list", elements="str"),
            find_links=dict(type="list", elements="str"),
            trusted_hosts=dict(type="list", elements="str"),
            index_strategy=dict(type="str"),
            no_build_isolation=dict(type="bool"),
        ),
    ),
)
# Option -> key of the registration; those that are missing here are made in another way.
KEYS = {
    "abilities": "model_ability",
    "chat_template": "chat_template",
    "context_length": "context_length",
    "description": "model_description",
    "dimensions": "dimensions",
    "family": "model_family",
    "languages": "language",
    "launcher": "launcher",
    "max_tokens": "max_tokens",
    "reasoning_end_tag": "reasoning_end_tag",
    "reasoning_start_tag": "reasoning_start_tag",
    "stop": "stop",
    "stop_token_ids": "stop_token_ids",
    "tool_parser": "tool_parser",
}
LLM_KEYS = {"languages": "model_lang"}
# Option of definition.virtual_env -> key, where they differ. A list of one travels as text, which is all that 1.x takes.
VIRTUAL_ENV_KEYS = {"extra_index_urls": "extra_index_url", "trusted_hosts": "trusted_host"}
_TEXT_OR_LIST = ("extra_index_url", "find_links", "trusted_host")
# Keys that the server looks up with the chat template of a family.
WITH_TEMPLATE = frozenset({"stop", "stop_token_ids", "reasoning_start_tag", "reasoning_end_tag"})
# Keys that say where the weights are.
_PLACE = ("model_id", "model_uri", "model_revision", "model_hub")
_NEEDED = {
    "LLM": ("family",),
    "embedding": ("dimensions", "max_tokens"),
    "rerank": (),
    "image": ("family",),
    "audio": ("family",),
    "flexible": ("launcher",),
}
# Values that the server requires and the inventory need not give.
DEFAULTS: dict[str, dict[str, t.Any]] = {
    "LLM": {"model_lang": ["en"], "model_ability": ["chat"]},
    "embedding": {"language": ["en"]},
    "rerank": {"language": ["en"]},
    "audio": {"multilingual": True},
    "flexible": {"launcher_args": "{}"},
}


# The abilities of each type, as of 4.1. The server silently accepts other words for image and audio models.
_ABILITIES = {
    "LLM": ("chat", "generate", "tools", "vision", "audio", "omni", "reasoning", "hybrid", "embed"),
    "embedding": ("embed", "embed_vision", "embed_video", "embed_audio"),
    "rerank": ("rerank", "rerank_vision", "rerank_video", "rerank_audio"),
    "image": ("text2image", "image2image", "inpainting", "ocr", "docanalyze"),
    "audio": (
        "audio2text",
        "text2audio",
        "text2audio_zero_shot",
        "text2audio_voice_cloning",
        "text2audio_voice_design",
        "text2audio_emotion_control",
        "text2music",
        "speaker_embedding",
    ),
}
# Keys that `extra` may not say, because the rest of the definition does.
_NOT_EXTRA = ("model_name", "model_specs", "version", "is_builtin")
# Everyone who may list models sees them.
_ADDRESSES = ("index_url", "extra_index_urls", "find_links", "packages")


@dataclass(frozen=True)
class Definition:
    """One custom model: the body to register, and which of its keys were given (the others are defaults of ours).

    :param whole: whether `model_specs` is the whole list, so that a further registered spec is a difference.
    """

    model_type: str
    name: str
    body: dict[str, t.Any]
    given: frozenset[str]
    whole: bool = False


def normal_size(where: str, size: str | None) -> int | str | None:
    """Xinference's way to write billions of parameters: 7, or '0_27' for 0.27."""
    if size is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})(?:[._]([0-9]{1,9}))?", size.strip())
    if not match:
        raise ModelopsError(f"{where}: size must be billions of parameters, such as 7 or '1.7', not {size!r}")
    whole, part = match.groups()
    return f"{int(whole)}_{part}" if part and part.strip("0") else int(whole)


def build(options: t.Mapping[str, t.Any], where: str = "") -> Definition:
    """The definition of a custom model, by its options (size already normalised).

    :param options: name, type, definition and either path, format, size and quantization or a list of `specs`.
    :param where: how an error names the model; unset is the place in the list of models.
    :raises ModelopsError: something that Xinference needs is missing.
    """
    where = where or f"models: {options['uid']}"
    model_type, name = options["type"], options["name"]
    wanted = {key: value for key, value in options["definition"].items() if value is not None}
    if model_type not in TYPES:
        raise ModelopsError(
            f"{where}: Xinference does not allow custom models of type {model_type}; definition is for {', '.join(TYPES)}"
        )
    if not 0 < len(name) <= 100 or name in (".", ".."):
        raise ModelopsError(
            f"{where}: a custom model's name must have 1 to 100 characters and must not be a directory, not {name[:110]!r}"
        )
    if re.search(r"[+/?%#&=\s]", name):
        raise ModelopsError(f"{where}: Xinference allows no space and none of + / ? % # & = in a custom model's name")
    missing = [
        key for key in _NEEDED[model_type] if wanted.get(key) in (None, "") and key not in (wanted.get("extra") or {})
    ]
    if missing:
        raise ModelopsError(
            f"{where}: definition lacks {' and '.join(missing)}, which a custom {model_type} model needs"
        )
    _refuse(where, model_type, wanted)
    keys = {**KEYS, **(LLM_KEYS if model_type == "LLM" else {})}
    given = {keys[key]: value for key, value in wanted.items() if key in keys}
    if "launcher_args" in wanted:
        given["launcher_args"] = json.dumps(wanted["launcher_args"], sort_keys=True)
    if "virtual_env" in wanted:
        given["virtualenv"] = _virtual_env(wanted["virtual_env"])
    twice = sorted(set(given) & set(wanted.get("extra") or {}))
    if twice:
        raise ModelopsError(
            f"{where}: definition.extra may not have {', '.join(twice)}, which another option of definition sets"
        )
    given.update(wanted.get("extra") or {})
    single = {**{key: options[key] for key in ("path", "format", "size", "quantization")}, **wanted}
    specs = options.get("specs")
    if specs and model_type not in WITH_SPECS:
        raise ModelopsError(f"{where}: a custom {model_type} model has no specs")
    if model_type in WITH_SPECS:
        given["model_specs"] = [_spec(where, model_type, spec) for spec in specs or [single]]
    else:
        place = _place(where, single, needed=model_type != "flexible")
        given.update({key: value for key, value in place.items() if value})
    body = {"version": 2, "model_name": name, **DEFAULTS.get(model_type, {}), **given}
    return Definition(model_type, name, body, frozenset(given), whole=bool(specs))


def _refuse(where: str, model_type: str, wanted: t.Mapping[str, t.Any]) -> None:
    """Refuses values that the server accepts but that cannot be intended.

    :raises ModelopsError: naming it; a login in an address is not told.
    """
    for ability in wanted.get("abilities") or ():
        known = _ABILITIES.get(model_type)
        if known and ability not in known:
            raise ModelopsError(
                f"{where}: definition.abilities has {ability!r}; a custom {model_type} model can {', '.join(known)}"
            )
    for key in ("context_length", "dimensions", "max_tokens"):
        if key in wanted and wanted[key] < 1:
            raise ModelopsError(f"{where}: definition.{key} must be at least 1 (it is {wanted[key]})")
    family = wanted.get("family", "")
    if not re.fullmatch(r"[^\s/\\]*", family) or family.startswith("."):
        raise ModelopsError(
            f"{where}: definition.family must be the name of a built-in model, such as qwen2.5-instruct, not a path (it is {family!r}); "
            "give the weights as path or definition.hub_id"
        )
    for key in wanted.get("extra") or {}:
        if key in _NOT_EXTRA:
            raise ModelopsError(
                f"{where}: definition.extra may not have {key}, which name, path, format and size of the model set"
            )
    check_hub(f"{where}: definition.hub", wanted.get("hub"))
    env = wanted.get("virtual_env") or {}
    check_packages(f"{where}: definition.virtual_env.packages", env.get("packages"))
    for key in ("index_url", "extra_index_urls"):
        given = env.get(key) or []
        for url in [given] if isinstance(given, str) else given:
            problem = address_problem(url)
            if problem:
                raise ModelopsError(f"{where}: definition.virtual_env.{key} has an address that {problem}")
    for key in _ADDRESSES:
        given = (wanted.get("virtual_env") or {}).get(key) or []
        if any(re.search(r"://[^/\s]*@", str(each)) for each in ([given] if isinstance(given, str) else given)):
            raise ModelopsError(
                f"{where}: definition.virtual_env.{key} has a login in an address, which everyone who can list the models sees. Remove "
                "it, and set up the index on the workers (inherit_pip_config)"
            )


def check_hub(where: str, hub: str | None) -> None:
    """
    :param where: the option.
    :raises ModelopsError: the server knows no such hub.
    """
    if hub is not None and hub not in HUBS:
        raise ModelopsError(f"{where} must be {', '.join(HUBS[:-1])} or {HUBS[-1]}, not {hub!r}")


def check_packages(where: str, packages: t.Sequence[str] | None) -> None:
    """
    :param where: the option.
    :raises ModelopsError: one is blank, or an option of pip.
    """
    for package in packages or ():
        if not package.strip() or package.startswith("-"):
            raise ModelopsError(f"{where} has {package!r}, which is not a package: correct it, or remove it")


def _virtual_env(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    found = {VIRTUAL_ENV_KEYS.get(key, key): value for key, value in options.items() if value is not None}
    for key in _TEXT_OR_LIST:
        if len(found.get(key) or []) == 1:
            found[key] = found[key][0]
    return found


def _place(where: str, options: t.Mapping[str, t.Any], *, needed: bool = True) -> dict[str, t.Any]:
    """The place of the weights: on the machine that serves them, or on a hub."""
    path, hub_id = options.get("path"), options.get("hub_id")
    if needed and not (path or hub_id):
        raise ModelopsError(
            f"{where}: give the weights: path (a file or directory on the machine that serves them) or "
            "definition.hub_id"
        )
    if path and not os.path.isabs(path):
        raise ModelopsError(f"{where}: path must be absolute, not {path}")
    place = {
        "model_id": hub_id,
        "model_uri": f"file://{path}" if path else None,
        "model_revision": options.get("revision"),
    }
    return {**place, "model_hub": options["hub"]} if options.get("hub") else place


def _spec(where: str, model_type: str, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    place = _place(where, options)
    path = options["path"] or ""
    model_format = options["format"] or ("ggufv2" if path.endswith(".gguf") else "pytorch")
    quantization = options["quantization"] or (None if model_format == "ggufv2" else "none")
    if not quantization:
        raise ModelopsError(f"{where}: a custom model of format {model_format} needs quantization, such as Q4_K_M")
    spec: dict[str, t.Any] = {"model_format": model_format, "quantization": quantization, **place}
    if model_type == "LLM":
        if options["size"] is None:
            raise ModelopsError(f"{where}: a custom LLM needs size, its billions of parameters")
        spec["model_size_in_billions"] = options["size"]
    if model_format == "ggufv2":
        if path and not path.endswith(".gguf"):
            raise ModelopsError(f"{where}: path must be the .gguf file itself for format ggufv2, not {path}")
        if not path and not options.get("file"):
            raise ModelopsError(f"{where}: a GGUF model on a hub needs file, its name in the repository")
        spec["model_file_name_template"] = options.get("file") or os.path.basename(path)
    return spec


def options_of(
    model_type: str, body: t.Mapping[str, t.Any], family: t.Mapping[str, t.Any] | None = None
) -> dict[str, t.Any]:
    """The options that `build` makes this registered definition of: the way back.

    :param family: the built-in model that an LLM derives from; what it gave the definition is left out.
    """
    option_of = {key: option for option, key in {**KEYS, **(LLM_KEYS if model_type == "LLM" else {})}.items()}
    inherited = (
        {"chat_template", *WITH_TEMPLATE}
        if family and family.get("chat_template") == body.get("chat_template")
        else set()
    )
    ours = {"version", "model_name", "model_specs", "is_builtin", "virtualenv", "launcher_args", *_PLACE}
    definition: dict[str, t.Any] = {}
    extra: dict[str, t.Any] = {}
    for key, value in body.items():
        unset = value in (None, [], {}) or DEFAULTS.get(model_type, {}).get(key) == value
        if unset or key in inherited or key in ours:
            continue
        if key in option_of:
            definition[option_of[key]] = value
        else:
            extra[key] = value
    if body.get("virtualenv"):
        back = {key: option for option, key in VIRTUAL_ENV_KEYS.items()}
        definition["virtual_env"] = {
            back.get(key, key): [value] if key in _TEXT_OR_LIST and isinstance(value, str) else value
            for key, value in body["virtualenv"].items()
            if value is not None
        }
    if json.loads(body.get("launcher_args") or "{}"):
        definition["launcher_args"] = json.loads(body["launcher_args"])
    if extra:
        definition["extra"] = extra
    specs = [_options_of_spec(spec) for spec in body.get("model_specs") or [body]]
    if len(specs) > 1:
        return {"specs": specs, "definition": definition}
    top = {key: value for key, value in specs[0].items() if key in ("path", "format", "size", "quantization")}
    definition.update({key: value for key, value in specs[0].items() if key not in top})
    return {**top, "definition": definition}


def _options_of_spec(spec: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    uri, size = spec.get("model_uri") or "", spec.get("model_size_in_billions")
    path = uri[len("file://") :] if uri.startswith("file://") else None
    found = {
        "path": path,
        "format": spec.get("model_format"),
        "size": None if size is None else str(size),
        "quantization": spec.get("quantization"),
        "hub_id": spec.get("model_id"),
        "revision": spec.get("model_revision"),
        "hub": spec.get("model_hub") if spec.get("model_id") and spec.get("model_hub") != "huggingface" else None,
        "file": None if path else spec.get("model_file_name_template"),
    }
    return {key: value for key, value in found.items() if value is not None}


def other_places(body: t.Mapping[str, t.Any]) -> list[str]:
    """Places of weights that have no option: other URIs than of files."""
    uris = [spec.get("model_uri") for spec in [body, *(body.get("model_specs") or [])]]
    return [uri for uri in uris if uri and not uri.startswith("file://")]


def differences(wanted: Definition, actual: t.Mapping[str, t.Any]) -> list[Field]:
    """The given keys of `wanted` that the registered definition has otherwise."""
    found: list[Field] = []
    # Where the server looks the chat template up, it takes these from there, too, whatever was given.
    template = _is_template(actual.get("chat_template") or "") and not _is_template(
        wanted.body.get("chat_template") or ""
    )
    for key in sorted(wanted.given - (WITH_TEMPLATE if template else set())):
        value, before = wanted.body[key], actual.get(key)
        if key == "model_specs":
            for spec in value:
                found += _spec_differences(spec, before or [])
            registered = len(before or [])
            if wanted.whole and registered > len(value):
                found.append(Field("definition.specs", registered, len(value)))
        elif key == "model_ability":
            if not _same_abilities(wanted.model_type, value, before or []):
                found.append(Field("definition.abilities", before, value))
        elif key == "chat_template":
            # A template's name is replaced by its text, which cannot be compared with the name.
            if _is_template(value) and value != before:
                found.append(Field("definition.chat_template", "one text", "another text"))
        elif key == "virtualenv":
            found += [
                Field(f"definition.virtual_env.{name}", (before or {}).get(name), item)
                for name, item in sorted(value.items())
                if (before or {}).get(name) != item
            ]
        elif key == "launcher_args":
            if json.loads(value) != json.loads(before or "{}"):
                found.append(Field("definition.launcher_args", before, value))
        elif value != before:
            found.append(Field(f"definition.{key}", before, value))
    return found


def _is_template(text: str) -> bool:
    return "{" in text


def _same_abilities(model_type: str, wanted: t.Sequence[str], actual: t.Sequence[str]) -> bool:
    """The server adds 'vision' to an LLM by its family, and drops 'embed' and 'rerank', which are implied."""
    implied = {"LLM": {"vision"}, "embedding": {"embed"}, "rerank": {"rerank"}}.get(model_type, set())
    if model_type == "LLM":
        return set(wanted) | implied == set(actual) | implied and set(wanted) <= set(actual)
    return set(wanted) - implied == set(actual) - implied


def _spec_differences(wanted: t.Mapping[str, t.Any], actual: t.Sequence[t.Mapping[str, t.Any]]) -> list[Field]:
    """Compares with the registered spec that is closest."""

    def differing(spec: t.Mapping[str, t.Any]) -> list[Field]:
        return [
            Field(f"definition.{key}", spec.get(key), value)
            for key, value in sorted(wanted.items())
            if value is not None and _text(spec.get(key)) != _text(value)
        ]

    return min((differing(spec) for spec in actual), key=len, default=[Field("definition.model_specs", None, "one")])


def _text(value: t.Any) -> str:
    return str(value)
