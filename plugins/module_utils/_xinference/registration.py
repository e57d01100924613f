# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of custom models: from the declared one to Xinference's, and what differs. Pure. Private to the collection.

Xinference has no update: a definition that differs is unregistered and registered again. It also normalises what it
is given (extra nulls, 'vision' added by the family, a chat template looked up), so only the keys that the user gave
are compared.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field

# The types that Xinference lets a user define.
TYPES = ("LLM", "embedding", "rerank", "image", "audio", "flexible")
# The types whose definition holds a list of specs (format, size, quantization, place of the weights).
_WITH_SPECS = ("LLM", "embedding", "rerank")
# Option of `definition` -> key of the registration, by type where they differ.
_KEYS = {
    "abilities": "model_ability",
    "chat_template": "chat_template",
    "context_length": "context_length",
    "description": "model_description",
    "dimensions": "dimensions",
    "family": "model_family",
    "languages": "language",
    "max_tokens": "max_tokens",
    "reasoning_end_tag": "reasoning_end_tag",
    "reasoning_start_tag": "reasoning_start_tag",
    "stop": "stop",
    "stop_token_ids": "stop_token_ids",
    "tool_parser": "tool_parser",
}
_LLM_KEYS = {"languages": "model_lang"}
_NEEDED = {
    "LLM": ("family",),
    "embedding": ("dimensions", "max_tokens"),
    "rerank": (),
    "image": ("family",),
    "audio": ("family",),
    "flexible": (),
}
# What the server wants and nobody has to say.
_DEFAULTS: dict[str, dict[str, t.Any]] = {
    "LLM": {"model_lang": ["en"], "model_ability": ["chat"]},
    "embedding": {"language": ["en"]},
    "rerank": {"language": ["en"]},
    "audio": {"multilingual": True},
}


@dataclass(frozen=True)
class Definition:
    """One custom model: the body to register, and which of its keys were given (the others are defaults of ours)."""

    model_type: str
    name: str
    body: dict[str, t.Any]
    given: frozenset[str]


def build(options: t.Mapping[str, t.Any]) -> Definition:
    """The definition of a model with `definition`, by its options (size already normalised).

    :raises ModelopsError: something that Xinference needs is missing.
    """
    uid, model_type, name = options["uid"], options["type"], options["name"]
    wanted = {key: value for key, value in options["definition"].items() if value is not None}
    if model_type not in TYPES:
        raise ModelopsError(
            f"models: {uid}: Xinference lets nobody define a model of type {model_type}; definition is for "
            + ", ".join(TYPES)
        )
    missing = [key for key in _NEEDED[model_type] if key not in wanted]
    if missing:
        raise ModelopsError(
            f"models: {uid}: definition lacks {' and '.join(missing)}, which a custom {model_type} model needs"
        )
    keys = {**_KEYS, **(_LLM_KEYS if model_type == "LLM" else {})}
    given = {keys[key]: value for key, value in wanted.items() if key in keys}
    given.update(wanted.get("extra") or {})
    place = {
        "model_id": wanted.get("hub_id"),
        "model_uri": f"file://{options['path']}" if options["path"] else None,
        "model_revision": wanted.get("revision"),
    }
    if wanted.get("hub"):
        place["model_hub"] = wanted["hub"]
    if model_type != "flexible" and not (place["model_id"] or place["model_uri"]):
        raise ModelopsError(
            f"models: {uid}: say where the weights are: path (a file or directory on the machine that serves them) or "
            "definition.hub_id"
        )
    if model_type in _WITH_SPECS:
        given["model_specs"] = [_spec(options, place)]
    else:
        given.update({key: value for key, value in place.items() if value})
    body = {"version": 2, "model_name": name, **_DEFAULTS.get(model_type, {}), **given}
    return Definition(model_type, name, body, frozenset(given))


def _spec(options: t.Mapping[str, t.Any], place: dict[str, t.Any]) -> dict[str, t.Any]:
    uid, path = options["uid"], options["path"] or ""
    model_format = options["format"] or ("ggufv2" if path.endswith(".gguf") else "pytorch")
    quantization = options["quantization"] or (None if model_format == "ggufv2" else "none")
    if not quantization:
        raise ModelopsError(
            f"models: {uid}: a custom model of format {model_format} needs quantization, such as Q4_K_M"
        )
    spec: dict[str, t.Any] = {"model_format": model_format, "quantization": quantization, **place}
    if options["type"] == "LLM":
        if options["size"] is None:
            raise ModelopsError(f"models: {uid}: a custom LLM needs size, its billions of parameters")
        spec["model_size_in_billions"] = options["size"]
    if model_format == "ggufv2":
        if path and not path.endswith(".gguf"):
            raise ModelopsError(f"models: {uid}: path has to be the .gguf file itself for format ggufv2, not {path}")
        spec["model_file_name_template"] = os.path.basename(path)
    return spec


def differences(wanted: Definition, actual: t.Mapping[str, t.Any]) -> list[Field]:
    """The given keys of `wanted` that the registered definition has otherwise."""
    found: list[Field] = []
    for key in sorted(wanted.given):
        value, before = wanted.body[key], actual.get(key)
        if key == "model_specs":
            found += _spec_differences(value[0], before or [])
        elif key == "model_ability":
            if not _same_abilities(wanted.model_type, value, before or []):
                found.append(Field("definition.abilities", before, value))
        elif key == "chat_template":
            # A template's name is replaced by its text, which cannot be compared with the name.
            if _is_template(value) and value != before:
                found.append(Field("definition.chat_template", "one text", "another text"))
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
    """Compares with the registered spec that is closest; one spec is what this collection registers."""

    def differing(spec: t.Mapping[str, t.Any]) -> list[Field]:
        return [
            Field(f"definition.{key}", spec.get(key), value)
            for key, value in sorted(wanted.items())
            if value is not None and _text(spec.get(key)) != _text(value)
        ]

    return min((differing(spec) for spec in actual), key=len, default=[Field("definition.model_specs", None, "one")])


def _text(value: t.Any) -> str:
    return str(value)
