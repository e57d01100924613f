# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses variables that are misspelled names of the roles' variables, keys that they do not have, and values of another type.

Ansible takes a misspelled variable silently and uses the default instead. Only names close to a known one are refused:
an inventory may have variables of its own that begin alike. A wrong key or value Ansible refuses itself, where the role
begins, with the whole argument spec; so they are told here, before, in a line each.
"""

from __future__ import annotations

import difflib
import json
import os
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.errors import ArgumentValueError
from ansible.plugins.action import ActionBase

ROLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "roles")
CUTOFF = 0.85
TYPES = (dict, list, bool, int, float, str)

Option = t.Mapping[str, t.Any]
Rendered = t.Callable[[t.Any, Option], t.Any]


class NotKnown(Exception):
    """A value that nobody can tell yet: the role judges it."""


def misspelled(names: t.Iterable[str], known: t.Collection[str]) -> dict[str, str]:
    """Each name that is not known but close to a known one, with that one. Pure.

    :param known: the variables of the roles; the parts before their first ``_`` are the prefixes that are looked at.
    """
    prefixes = tuple({f"{name.split('_')[0]}_" for name in known})
    found: dict[str, str] = {}
    for name in names:
        if name.startswith(prefixes) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=CUTOFF)
            # A longer name with a known one inside is a name of its own: xinference_version_of_staging.
            if close and close[0] not in name:
                found[name] = close[0]
    return found


def refusal(value: t.Any, option: Option, error: Exception) -> str:
    """What Ansible's error says of a value, in a few words. Pure.

    The value of a secret is not told, and none where a list or a dict is meant, which may hold one.
    """
    wanted = option.get("type", "str")
    kind = next((kind.__name__ for kind in TYPES if isinstance(value, kind)), type(value).__name__)
    if value is None:
        told = "empty"
    elif option.get("no_log") or wanted in ("list", "dict") or kind in ("list", "dict"):
        told = f"of type {kind}"
    else:
        told = f"'{value}'"
    if isinstance(error, ArgumentValueError):
        return f"is {told}, not one of {', '.join(map(str, option['choices']))}"
    default = option.get("default")
    hint = f" (the default is {json.dumps(default)})" if isinstance(default, (bool, int, float)) else ""
    return f"is {told}, which is no {wanted}{hint}"


def mistakes(value: t.Any, option: Option, where: str, rendered: Rendered) -> list[str]:
    """What is wrong with a variable by its option, at any depth: types, choices and keys, each as a sentence. Pure.

    :param option: of an argument spec.
    :param where: the variable, and what of it the value is.
    :param rendered: gives the value of a template, or raises :class:`NotKnown`.
    """
    try:
        value = rendered(value, option)
    except NotKnown:
        return []
    # First what the value is itself, then its parts: so each is told with its place, and one at fault does not hide another.
    elements, known = option.get("elements"), option.get("options")
    of_parts = ("elements", "options", "choices") if elements else ("options",)
    itself = {key: each for key, each in option.items() if key not in of_parts}
    checked = ArgumentSpecValidator({"value": itself}).validate({"value": value})
    if checked.errors.errors:
        return [f"{where} {refusal(value, itself, checked.errors.errors[0])}."]
    # As Ansible takes it: a list may be given as a text with commas.
    value = checked.validated_parameters["value"]
    found = []
    if elements and value:
        of_item = {key: option[key] for key in ("options", "choices", "no_log") if key in option}
        for number, item in enumerate(value, start=1):
            called = item.get("name") or item.get("uid") if isinstance(item, dict) else None
            place = f"{where}, {called or f'item {number}'}"
            found += mistakes(item, {"type": elements, "required": True, **of_item}, place, rendered)
    elif known and value is not None:
        spelled = {alias for each in known.values() for alias in each.get("aliases") or ()} | set(known)
        for key in value:
            if key in known:
                found += mistakes(value[key], known[key], f"{where}, {key}", rendered)
            elif key not in spelled:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}."
                found.append(f"{where}: no key {key}{hint}")
        for key, each in known.items():
            if each.get("required") and not {key, *(each.get("aliases") or ())} & set(value):
                found.append(f"{where}: {key} is missing.")
    return found


def known_variables(roles: t.Iterable[str]) -> dict[str, dict[str, t.Any]]:
    """The variables of these roles of the collection and their options, from their argument_specs."""
    known: dict[str, dict[str, t.Any]] = {}
    for role in roles:
        known.update(_read(role, "meta", "argument_specs.yml")["argument_specs"]["main"]["options"])
    return known


def _read(*parts: str) -> t.Any:
    with open(os.path.join(ROLES, *parts), encoding="utf-8") as file:
        return yaml_load(file)


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        checked, options = self.validate_argument_spec({"roles": {"type": "list", "elements": "str", "required": True}})
        given = task_vars or {}
        known = known_variables(options["roles"])
        names = sorted(given)
        wrong = [
            f"{name} is no variable of this collection: did you mean {near}?"
            for name, near in misspelled(names, known).items()
        ]
        # They may be templates of what is not known yet.
        defaults = {
            name: value for role in options["roles"] for name, value in _read(role, "defaults", "main.yml").items()
        }
        for name in names:
            if name in known and (name not in defaults or given[name] != defaults[name]):
                wrong += mistakes(given[name], known[name], name, self._rendered)
        if wrong:
            who = self._who(given)
            lines = [*(f"{who}: {each}" for each in wrong), "Correct the inventory, or the extra variables."]
            return {"failed": True, "msg": "\n".join(lines)}
        return {"changed": False}

    def _rendered(self, value: t.Any, option: Option) -> t.Any:
        """A secret is not asked for: that it is a template, or encrypted, says nothing of its type."""
        if not isinstance(value, str):
            if value is None or isinstance(value, TYPES):
                return value
            raise NotKnown()
        try:
            if not option.get("no_log"):
                return self._templar.template(value)
            secret = self._templar.is_template(value)
        except Exception:  # a filter or a lookup may raise anything
            raise NotKnown()
        if secret:
            raise NotKnown()
        return value

    def _who(self, given: t.Mapping[str, t.Any]) -> str:
        host = given.get("inventory_hostname")
        try:
            return f"{host} (cluster {self._rendered(given['xinference_cluster'], {})})"
        except (KeyError, NotKnown):
            return str(host)
