# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models that a cluster serves, and definitions of custom ones, by the rules of their modules. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._address import login_problem
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._module import misspelled
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import definitions, models
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import footprint
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs import models as models_run
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import admin
from ansible_collections.modelops.inference.plugins.modules import xinference_models, xinference_registration
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify_targets, kinds, written
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

_WORDS = {"models_replace": ("false", "true", "surge"), "models_prove": ("never", "changed", "always")}


def refusals(settings: Settings) -> Refusals:
    for name, words in _WORDS.items():
        # As Ansible has it: a boolean is one of the words, too.
        value = settings.plain(name) if settings.given(name) else words[0]
        if isinstance(value, (str, bool, int)) and str(value).lower() not in words:
            yield f"{name} must be {' or '.join(words)} (it is '{value}')."
    yield from _offline(settings)
    if settings.inventory.parts == ["worker"]:
        return  # what its cluster serves, its supervisor's variables say
    for name, option, check in (
        ("xinference_models", xinference_models.ARGUMENT_SPEC["models"], _models),
        ("xinference_definitions", xinference_registration.ARGUMENT_SPEC["definitions"], _definitions),
    ):
        yield from written.numbers(settings.raw(name), option, name)
        given = _fit(settings, name)
        if not given:
            continue
        kind = name.partition("_")[2]
        wrong = _of_type(name, given, option, misspelled({kind: option}, {kind: given}))
        yield from wrong
        try:
            for sentence in () if wrong else check(given):
                yield f"{name}: {sentence}"
        except ModelopsError as exc:
            for line in str(exc).splitlines():
                yield f"{name}: {line.removeprefix(f'{kind}: ')}"


def _of_type(
    name: str, given: t.Sequence[t.Mapping[str, t.Any]], option: kinds.Option, hints: t.Sequence[str]
) -> list[str]:
    """Keys that are none, by the modules' own hints, and values of another type."""
    wrong = kinds.mistakes(list(given), option, name, lambda value, option: value, of_module=True)
    return [f"{name}: {hint}" for hint in hints] + [each for each in wrong if ": no key " not in each]


def _models(given: t.Sequence[t.Mapping[str, t.Any]]) -> Refusals:
    for model in given:
        about = model.get("dify") or {}
        login = login_problem(str(about.get("server_url") or ""))
        for problem in [*dify_targets.override_problems(about), *([f"server_url {login}."] if login else [])]:
            yield f"{model['uid']}: dify: {problem}"
        try:
            if model.get("gpu_memory") is not None and model.get("state") != "absent":
                footprint.budget(model["gpu_memory"], footprint.GIB)
        except ValueError as exc:
            yield f"{model['uid']}: gpu_memory: {exc}."
    declared(given)


def declared(given: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """A row for each declared model, as other roles take it.

    :raises ModelopsError: naming every one that cannot be meant; without the secrets of their options.
    """
    return rows(validated_options(xinference_models.ARGUMENT_SPEC, {"models": list(given)})["models"])


def rows(options: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The same of models whose options are validated."""
    try:
        wanted = models_run.paths_of_sources(options, weights={}, predict=True)
        models.desired(wanted, exists=lambda path: True)
    except ModelopsError as exc:
        raise ModelopsError(_secrets.redacted(str(exc))) from exc
    return [
        dict(
            uid=model["uid"],
            type=model["type"],
            declared=model["state"],
            state="unknown",
            abilities=(model["definition"] or {}).get("abilities") or [],
            tags=model["tags"] or [],
            dify=models.given(model["dify"]),
        )
        for model in wanted
    ]


def refuse(options: t.Mapping[str, t.Any]) -> None:
    """Refusals of the options of xinference_serve, which are validated.

    :raises ModelopsError: naming everything of the first part that is wrong, without its secrets.
    """
    try:
        admin.desired(options["users"], options["keys"], options["username"])
        definitions.desired(options["definitions"])
    except ModelopsError as exc:
        raise ModelopsError(_secrets.redacted(str(exc))) from exc
    rows(options["models"])


def validated_options(spec: dict[str, t.Any], args: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options of a module.

    :raises ModelopsError: naming those that are none, and those of another type.
    """
    try:
        checked = ArgumentSpecValidator(spec).validate(args)
    except (AttributeError, OverflowError, TypeError, ValueError) as exc:  # a number in place of a dict, say
        raise ModelopsError(f"an option has a wrong type for its module: {type(exc).__name__}") from exc
    _secrets.hide(*checked._no_log_values)
    if checked.error_messages:
        hints = misspelled(spec, args)
        # They say it better than Ansible's own text.
        errors = [error for error in checked.errors.errors if not (hints and isinstance(error, UnsupportedError))]
        raise ModelopsError(_secrets.redacted("\n".join([*hints, *(error.msg for error in errors)])))
    return checked.validated_parameters


def _definitions(given: t.Sequence[t.Mapping[str, t.Any]]) -> Refusals:
    options = validated_options(xinference_registration.ARGUMENT_SPEC, {"definitions": list(given)})
    try:
        definitions.desired(options["definitions"])
    except ModelopsError as exc:
        raise ModelopsError(_secrets.redacted(str(exc))) from exc
    return iter(())


def _fit(settings: Settings, name: str) -> list[t.Mapping[str, t.Any]]:
    """The items of a list of which everything is known."""
    return [item for item in settings.get(name) or () if isinstance(item, dict) and kinds.known(item)]


def _offline(settings: Settings) -> Refusals:
    launched = [
        str(model.get("uid", "a model"))
        for model in settings.get("xinference_models") or ()
        if isinstance(model, dict) and model.get("virtual_env") not in (None, False, "", "false", "no")
    ]
    if settings.get("xinference_offline") and launched:
        yield (
            f"virtual_env is true for {', '.join(launched)}, so the server would install packages from an index at each first launch, but "
            "this host has none (xinference_offline). Add the engine's packages to xinference_extras or xinference_packages, and remove "
            "virtual_env."
        )
