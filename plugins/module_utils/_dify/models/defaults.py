# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The default models of one Dify workspace: plan (pure), read, apply. Private to the collection.

Reading a default writes: where none is set, Dify's GET picks the first active model of the type and stores it. Nothing
else in the console API tells a default. What can be read safely is which models are active; where none is, the GET
has nothing to store.
"""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import DifyError
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.paths import CURRENT
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.models import declared_models
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Unreachable

# Every type that has a default; Xinference has no models for the last one.
TYPES = (*declared_models.TYPES, "moderation")

# Other names that people use.
ALIASES = {
    "chat": "llm",
    "text-generation": "llm",
    "embedding": "text-embedding",
    "reranking": "rerank",
    "asr": "speech2text",
    "stt": "speech2text",
    "audio2text": "speech2text",
    "text2audio": "tts",
    "text2speech": "tts",
}


@dataclass(frozen=True)
class DefaultModel:
    """A model as defaults name it."""

    provider: str
    name: str

    def __str__(self) -> str:
        return self.name


# The default of a type that check mode must not read.
UNKNOWN = DefaultModel("unknown", "unknown")

#: By model type.
Defaults = dict[str, DefaultModel]
Active = dict[str, list[DefaultModel]]


# --- refusing wrong input, and the plan: pure ----------------------------------------------------------------------


def refusals(defaults: t.Mapping[str, t.Any]) -> list[str]:
    """Errors in declared defaults by themselves."""
    found = []
    for model_type, given in defaults.items():
        item = given if isinstance(given, dict) else {"name": given}
        name = item.get("name")
        if model_type not in TYPES:
            found.append(_unknown_type(str(model_type)))
        elif not isinstance(name, str) or not name or not set(item) <= {"name", "provider"}:
            found.append(f"{model_type}: give the model's name, or a dict with name and provider, not {given!r}")
    return found


def declared_defaults(defaults: t.Mapping[str, t.Any], provider: str) -> Defaults:
    """The declared defaults, in Dify's order of types; a model is its name, or a dict with its provider.

    :param provider: of a model that names none.
    """
    wrong = refusals(defaults)
    if wrong:
        raise ModelopsError("Nothing was sent to Dify: defaults: " + "; ".join(wrong))
    items = {kind: given if isinstance(given, dict) else {"name": given} for kind, given in defaults.items()}
    return {
        kind: DefaultModel(items[kind].get("provider") or provider, items[kind]["name"])
        for kind in TYPES
        if kind in items
    }


def _unknown_type(given: str) -> str:
    plain = given.lower().replace("_", "-")
    near = [ALIASES[plain]] if plain in ALIASES else difflib.get_close_matches(plain, [*TYPES, *ALIASES], n=1)
    hint = f": did you mean {ALIASES.get(near[0], near[0])}?" if near else "."
    return f"'{given}' is not a model type of Dify{hint} The types are {', '.join(TYPES)}"


def problems(wanted: Defaults, active: Active, pending: t.Collection[tuple[str, str]] = ()) -> dict[str, str]:
    """Why Dify would refuse a default, by model type.

    :param pending: (type, name) of models that are about to be registered.
    """
    found = {}
    for model_type, model in wanted.items():
        if model in active[model_type] or (model_type, model.name) in pending:
            continue
        usable = ", ".join(f"'{item.name}' ({item.provider})" for item in active[model_type])
        found[model_type] = (
            f"'{model.name}' of the provider {model.provider} is not an active {model_type} model of the workspace; "
            + (f"active are {usable}" if usable else "it has none. Register one first")
        )
    return found


def plan(wanted: Defaults, actual: t.Mapping[str, DefaultModel | None], header: str = "") -> _plan.Plan:
    """The defaults to set. A type that is not in ``actual`` was not read, and is left out."""
    result = _plan.Plan(header)
    for model_type, model in wanted.items():
        if model_type not in actual or actual[model_type] == model:
            continue
        before = actual[model_type]
        fields = [
            _plan.Field(name, before and getattr(before, name), getattr(model, name))
            for name in ("name", "provider")
            if before is None or getattr(before, name) != getattr(model, name)
        ]
        title = f"default {model_type}"
        if before is None:
            result.add("add", "set", title, fields, model.name, data=model_type)
        else:
            result.add("change", "set", title, fields, data=model_type)
    return result


def rows(
    wanted: Defaults, actions: t.Mapping[str, str], errors: t.Mapping[str, str] | None = None
) -> list[dict[str, t.Any]]:
    """A row for each default, as results have it."""
    return [
        dict(
            type=model_type,
            name=model.name,
            provider=model.provider,
            action=actions[model_type],
            **({"error": errors[model_type]} if errors and model_type in errors else {}),
        )
        for model_type, model in wanted.items()
    ]


# --- read and apply ------------------------------------------------------------------------------------------------


class DefaultModels:
    """The defaults of the session's workspace."""

    def __init__(self, dify: DifySession):
        self.dify = dify
        self._path = f"{CURRENT}/default-model"

    def active(self, model_type: str) -> list[DefaultModel]:
        """The models that can be made default. One request."""
        path = f"{CURRENT}/models/model-types/{model_type}"
        body = self.dify.call("GET", path, f"list the active {model_type} models").json
        return [
            DefaultModel(provider["provider"], model["model"])
            for provider in body["data"]
            for model in provider["models"]
            if model.get("status", "active") == "active"
        ]

    def read(self, model_type: str) -> DefaultModel | None:
        """The default of a type. One request; where none is set, Dify takes it as the order to choose one."""
        body = self.dify.call(
            "GET", self._path, f"read the default {model_type} model", params={"model_type": model_type}
        ).json
        found = body.get("data")
        return DefaultModel(found["provider"]["provider"], found["model"]) if found else None

    def set(self, model_type: str, model: DefaultModel) -> None:
        """Sets one default and reads it back. One type a request: Dify keeps the first of several when a later fails."""
        lost: ModelopsError | None = None
        try:
            self.dify.call(
                "POST",
                self._path,
                f"make '{model.name}' the default {model_type} model",
                json={"model_settings": [{"model_type": model_type, "provider": model.provider, "model": model.name}]},
                about={"provider": model.provider},
                idempotent=True,
            )
        except Unreachable as exc:
            if not exc.sent:
                raise
            lost = exc
        except DifyError as exc:
            if not exc.found.silent:  # else another run may have stored a default in between
                raise
            lost = exc
        found = self.read(model_type)
        if found != model:
            raise lost or ModelopsError(
                f"{self.dify.where()}: make '{model.name}' the default {model_type} model: Dify accepted it and still has "
                f"'{found}'. Check whether another run or a person changes it at the same time."
            )
