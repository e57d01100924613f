# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models that a server knows, and whether it can serve a wanted one. Only reads. Private to the collection."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import engine_specs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    models,
    registration,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import sizes

# The server does not tell these abilities where it lists the models that have nothing else.
_IMPLIED = {"embedding": ["embed"], "rerank": ["rerank"]}
# Where several quantizations fit, the first of these is written down; the sizes go from the smallest.
_USUAL = ("none", "Q4_K_M", "Q8_0", "Int4", "F16")


@dataclass
class Filters:
    """Which models of the list are wanted; None takes all.

    :param name: with * and ? for any characters, in any case.
    :param custom: True only user-defined ones, False only built-in ones.
    """

    name: str | None = None
    types: t.Sequence[str] = models.TYPES
    engine: str | None = None
    format: str | None = None
    size: str | None = None
    quantization: str | None = None
    ability: str | None = None
    custom: bool | None = None

    def match(self, row: CatalogModel) -> bool:
        """Everything but the engine."""
        return (
            (self.name is None or fnmatchcase(row.name.lower(), self.name.lower()))
            and (self.custom is None or row.custom == self.custom)
            and (self.ability is None or self.ability in row.abilities)
            and self._spec(row.specs)
        )

    def _spec(self, specs: t.Iterable[dict[str, t.Any]]) -> bool:
        wanted = {
            option: getattr(self, option) for option in engine_specs.SPEC_KEYS if getattr(self, option) is not None
        }
        return not wanted or any(
            all(server_state.comparable(option, value) == spec[option] for option, value in wanted.items())
            for spec in specs
        )


@dataclass
class CatalogModel:
    """One model that the server knows.

    :param specs: format, size and quantization of each form; None where the type has no such thing.
    :param engines: what `engines_of` makes of the server's answer; None where it was not asked or cannot tell.
    """

    name: str
    type: str
    custom: bool
    abilities: list[str]
    context_length: int | None = None
    dimensions: int | None = None
    languages: list[str] = field(default_factory=list)
    specs: list[dict[str, t.Any]] = field(default_factory=list)
    engines: dict[str, dict[str, t.Any]] | None = None


def listed(client: Client, filters: Filters) -> list[CatalogModel]:
    """The matching models, by type and name: one request for each type, which tells all of its models."""
    rows: list[CatalogModel] = []
    for model_type in filters.types:
        by_name: dict[str, CatalogModel] = {}
        for told in client.registrations(model_type, detailed=True):
            row = _row(model_type, told)
            # A model is told once for each hub and worker that has it.
            known = by_name.setdefault(row.name, row)
            known.specs += [spec for spec in row.specs if spec not in known.specs]
        rows += [row for _name, row in sorted(by_name.items()) if filters.match(row)]
    return rows


def _row(model_type: str, told: t.Mapping[str, t.Any]) -> CatalogModel:
    specs: list[dict[str, t.Any]] = []
    for spec in told.get("model_specs") or []:
        found = engine_specs.spec_of(spec)
        if found not in specs and any(found.values()):
            specs.append(found)
    languages = told.get("model_lang") or told.get("language") or []
    return CatalogModel(
        name=told["model_name"],
        type=model_type,
        custom=not told["is_builtin"],
        abilities=_IMPLIED.get(model_type, []) + (told.get("model_ability") or []),
        context_length=told.get("context_length"),
        dimensions=told.get("dimensions"),
        languages=languages if isinstance(languages, list) else [languages],
        specs=specs,
    )


def add_engines(client: Client, rows: t.Sequence[CatalogModel], filters: Filters, limit: int) -> list[CatalogModel]:
    """The rows with the engines of each, one request a model; all of them without where there are more than `limit`.

    :raises ModelopsError: the filter names an engine, and there are more than `limit` models to ask for.
    """
    if len(rows) > limit:
        if filters.engine is None:
            return list(rows)
        raise ModelopsError(
            f"{len(rows)} models of {client.endpoint} require one request each for their engines, more than "
            f"engines_limit ({limit}): narrow name, type or another filter, or raise the limit"
        )
    for row in rows:
        told = client.engines(row.type, row.name)
        row.engines = None if told is None else engines_of(told)
    if filters.engine is None:
        return list(rows)
    return [row for row in rows if _runs_on(row, filters)]


def _runs_on(row: CatalogModel, filters: Filters) -> bool:
    wanted = str(filters.engine).lower()
    return any(
        name.lower() == wanted and engine["specs"] and filters._spec(engine["specs"])
        for name, engine in (row.engines or {}).items()
    )


def engines_of(told: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """The server's answer for one model in one shape: engine -> installed, specs and why not. Pure."""
    result = {}
    for name, answer in told.items():
        found = answer if isinstance(answer, list) else []
        there = bool(found) and engine_specs.installed(found)
        why = None if there else next((o["virtualenv_reason"] for o in found if o.get("virtualenv_reason")), None)
        result[name] = {
            "installed": there,
            "why_not": why or (None if found else str(answer) or "nothing fits"),
            "specs": [row for spec in found for row in _rows(spec)],
        }
    return result


def _rows(spec: engine_specs.EngineSpec) -> list[dict[str, t.Any]]:
    each: list[t.Sequence[str | None]] = [
        engine_specs.values(spec, option) or (None,) for option in engine_specs.SPEC_KEYS
    ]
    return [dict(zip(engine_specs.SPEC_KEYS, combination)) for combination in itertools.product(*each)]


# -- can this server serve it? -----------------------------------------------------------------------------------------


def judge(client: Client, wanted: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Whether the server can serve one wanted model, why not, and how it is declared.

    :param wanted: name and type; engine, format, size, quantization and virtual_env where they are given.
    """
    where = f"models: {wanted['name']}"
    result: dict[str, t.Any] = {
        "name": wanted["name"],
        "type": wanted["type"],
        "can": False,
        "why_not": None,
        "how": None,
    }
    try:
        wanted = {**wanted, "size": registration.normal_size(where, wanted["size"])}
        engines = client.engines(wanted["type"], wanted["name"])
        if engines is None:
            engine_specs.check_name(client, wanted["type"], wanted["name"])
            return {**result, "can": True, "engines": None, "how": _how(wanted, wanted["engine"], [], True)}
        result["engines"] = engines_of(engines)
        name, fitting = _choose(client.endpoint, engines, wanted)
        how = _how(wanted, name, fitting, engine_specs.installed(fitting))
        return {**result, "can": True, "how": how}
    except ModelopsError as exc:
        return {"engines": None, **result, "why_not": str(exc)}


def _choose(
    endpoint: str, engines: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]
) -> tuple[str, list[engine_specs.EngineSpec]]:
    """The wanted engine, else the first that fits, those that are installed before the others. Pure."""
    if wanted["engine"]:
        return engine_specs.of_engine(endpoint, wanted["name"], engines, wanted)
    problems = []
    usable = [name for name, told in engines.items() if isinstance(told, list)]
    for name in sorted(usable, key=lambda name: not engine_specs.installed(engines[name])):
        try:
            return engine_specs.of_engine(endpoint, wanted["name"], engines, {**wanted, "engine": name})
        except ModelopsError as exc:
            problems.append(str(exc))
    problems = problems or [f"{name}: {reason}" for name, reason in engines.items()]
    raise ModelopsError(
        f"no engine of {endpoint} can run {wanted['name']!r} as requested: {'; '.join(dict.fromkeys(problems))}"
    )


def _how(
    wanted: t.Mapping[str, t.Any], engine: str | None, fitting: t.Sequence[engine_specs.EngineSpec], there: bool
) -> dict[str, t.Any]:
    """The model as xinference_models takes it, without keys that have only one value."""
    specs = [row for spec in fitting for row in _rows(spec)]
    for option in engine_specs.SPEC_KEYS:
        if wanted[option] is not None:
            value = server_state.comparable(option, wanted[option])
            specs = [spec for spec in specs if spec[option] in (None, value)]
    best = min(specs, key=_rank, default={option: wanted[option] for option in engine_specs.SPEC_KEYS})
    how = {"uid": wanted["name"], "type": wanted["type"], "engine": engine, **best}
    # A release that makes no virtual environment by itself must be told to.
    how["virtual_env"] = wanted["virtual_env"] if there else True
    return {option: value for option, value in how.items() if value is not None}


def _rank(spec: t.Mapping[str, t.Any]) -> tuple[float, int]:
    size = sizes.billions(spec["size"] or 0)
    quantization = spec["quantization"]
    return float("inf") if size is None else size, _USUAL.index(quantization) if quantization in _USUAL else len(_USUAL)
