# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a running server: engines, formats, sizes, quantizations. Only reads. Private to the collection.

The server answers for one model at a time: engine -> a list of what it can run of this model, or the reason why it
cannot. An engine that is not installed, but that a virtual environment would bring, is marked in its specs.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    model_plan,
    models,
    server_state,
)

# Engines of all releases so far; one outside this list is looked up on the server.
ENGINES = (
    "Transformers", "vLLM", "SGLang", "llama.cpp", "MLX", "TRT-LLM",
    "sentence_transformers", "flag", "vllm",
)  # fmt: skip
# The types of which every release can tell which engines run a model.
_TYPES_WITH_ENGINES = ("LLM", "embedding", "rerank")
# Option of a model -> key of a spec.
SPEC_KEYS = {"format": "model_format", "size": "model_size_in_billions", "quantization": "quantization"}

EngineSpec = t.Mapping[str, t.Any]


def check(client: Client, decisions: t.Sequence[model_plan.Decision], actual: server_state.ServerState) -> None:
    """Checks with the server that it can run the models, before anything changes.

    :raises ModelopsError: naming every model that it cannot, and what it offers instead.
    """
    problems = []
    for decision in decisions:
        if decision.action in (model_plan.LAUNCH, model_plan.REPLACE, model_plan.ROLL):
            try:
                _check(client, decision, actual)
            except ModelopsError as exc:
                problems.append(f"models: {decision.model.uid}: {exc}")
    if problems:
        raise ModelopsError("\n".join(problems))


def _check(client: Client, decision: model_plan.Decision, actual: server_state.ServerState) -> None:
    model = decision.model
    key = (model.type, model.name)
    if decision.register == "change" and definitions.is_builtin(client, key, actual.definitions[key]):
        raise ModelopsError(
            f"{model.name!r} is a built-in {model.type} model of {client.endpoint}: give the custom model another name, or "
            "drop definition and keep path to serve the built-in one from local weights"
        )
    if decision.register:
        # The server can judge a definition only once it is registered; the engine's name can be judged now.
        _check_engine_name(client, model)
        return
    engines = client.engines(model.type, model.name) if model.type in _TYPES_WITH_ENGINES else None
    if engines is None:
        check_name(client, *key)
    elif model.options["engine"]:
        of_engine(client.endpoint, model.name, engines, model.options)


def check_name(client: Client, model_type: str, name: str) -> None:
    names = [row["model_name"] for row in client.registrations(model_type)]
    if name not in names:
        others = (other for other in models.TYPES if other != model_type)
        actual = next((other for other in others if name in definitions.builtin_names(client, other)), None)
        if actual:
            article = "an" if actual[0] in "aeiL" else "a"
            raise ModelopsError(f"on {client.endpoint} {name!r} is {article} {actual} model: give type: {actual}")
        raise ModelopsError(
            f"{client.endpoint} has no {model_type} model {name!r}{nearest(name, names)}. A custom model needs definition"
        )


def of_engine(
    endpoint: str, model: str, engines: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]
) -> tuple[str, list[EngineSpec]]:
    """The wanted engine in the server's spelling, and those of its specs that fit. Pure.

    :param engines: what the server told of the model.
    :param wanted: engine; format, size, quantization and virtual_env where they are given.
    """
    engine = wanted["engine"]
    name = next((known for known in engines if known.lower() == engine.lower()), None)
    usable = sorted(known for known, specs in engines.items() if isinstance(specs, list))
    runs_on = f"on {endpoint} {model!r} runs on: {', '.join(usable) or 'no engine'}"
    if name is None:
        raise ModelopsError(f"no engine {engine!r}{nearest(engine, list(engines))}; {runs_on}")
    specs = engines[name]
    if not isinstance(specs, list):
        raise ModelopsError(f"engine {name} cannot run {model!r}: {specs}; {runs_on}")
    if wanted["virtual_env"] is False and not installed(specs):
        raise ModelopsError(f"engine {name} is not installed on {endpoint} and virtual_env is false; {runs_on}")
    return name, _fitting(endpoint, model, name, specs, wanted)


def installed(specs: t.Sequence[EngineSpec]) -> bool:
    """Whether the engine is there, or would be brought by a virtual environment."""
    return not specs or not all(spec.get("virtualenv_required") for spec in specs)


def _fitting(
    endpoint: str, model: str, engine: str, specs: t.Sequence[EngineSpec], wanted: t.Mapping[str, t.Any]
) -> list[EngineSpec]:
    """The engine's specs that have the wanted format, size and quantization."""
    left = list(specs)
    for option in SPEC_KEYS:
        if wanted[option] is None or not any(values(spec, option) for spec in left):
            continue
        found = _in_order(option, {value for spec in left for value in values(spec, option)})
        left = [spec for spec in left if server_state.comparable(option, wanted[option]) in values(spec, option)]
        if not left:
            value = server_state.comparable(option, wanted[option])
            near = nearest(value, found, by_number=option == "size") if len(found) > 1 else ""
            raise ModelopsError(
                f"{endpoint} has no {model!r} with {option} {wanted[option]} for engine {engine}{near}; it has {', '.join(found)}"
            )
    return left


def values(spec: EngineSpec, option: str) -> list[str]:
    """The values of one spec for an option; LLM specs list their quantizations, the others name one."""
    key = SPEC_KEYS[option]
    value = spec.get(key + "s", spec.get(key))
    if value is None:
        return []
    return [server_state.comparable(option, item) for item in (value if isinstance(value, list) else [value])]


def spec_of(spec: EngineSpec) -> dict[str, str | None]:
    """The first value of a spec for each option, None where it names none."""
    return {option: next(iter(values(spec, option)), None) for option in SPEC_KEYS}


def _check_engine_name(client: Client, model: models.Model) -> None:
    wanted = model.options["engine"]
    if not wanted or wanted.lower() in (engine.lower() for engine in ENGINES):
        return
    names = {row["model_name"] for row in client.registrations(model.type) if row.get("is_builtin")}
    sibling = model.options["definition"].get("family")
    engines = client.engines(model.type, sibling if sibling in names else min(names, default=model.name)) or {}
    if wanted.lower() not in (engine.lower() for engine in engines):
        raise ModelopsError(f"no engine {wanted!r}{nearest(wanted, list({*engines, *ENGINES}))}")


def _in_order(option: str, found: t.Iterable[str]) -> list[str]:
    """Values as a person looks for one: sizes by their number."""
    return sorted(found, key=lambda value: ((_number(value) or 0) if option == "size" else 0, value))


def _number(text: str) -> float | None:
    try:
        return float(text.replace("_", "."))
    except ValueError:
        return None


def nearest(word: str, words: t.Sequence[str], *, by_number: bool = False) -> str:
    """The text '; nearest: a, b', or nothing where no word is close.

    :param by_number: whether the words are numbers, of which one is always the nearest.
    """
    number = _number(word) if by_number else None
    if number is not None:
        apart = {each: abs(found - number) for each in words if (found := _number(each)) is not None}
        return f"; nearest: {min(apart, key=lambda each: apart[each])}" if apart else ""
    by_lower = {w.lower(): w for w in words}
    close = [by_lower[w] for w in difflib.get_close_matches(word.lower(), list(by_lower), n=3, cutoff=0.5)]
    return f"; nearest: {', '.join(close)}" if close else ""
