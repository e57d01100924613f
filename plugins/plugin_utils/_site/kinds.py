# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of another type than their variable, by its option of the argument spec. Pure. Private to the collection."""

from __future__ import annotations

import difflib
import json
import math
import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import ArgumentValueError

TYPES = (dict, list, bool, int, float, str)
# The words of a message for what an option wants, and for what it got.
_WANTED = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number in digits",
    "int": "a whole number in digits",
    "list": "a list",
    "path": "one text",
    "str": "one text",
}
_GOT = {
    "bool": "a boolean",
    "dict": "a mapping",
    "float": "a number",
    "int": "a number",
    "list": "a list",
    "str": "a text",
}
_NUMBERS = {"bool": "boolean", "int": "number", "float": "number"}
_HINTS = {"dict": ": write keys with values", "list": ": write a list, such as [a, b]"}
#: Nothing that a variable counts comes near it, and not every program takes more.
MOST = 2**31 - 1
# Longer values are cut where they are told.
_TOLD = 100
# Parts of variables that may have several lines: a script, and texts for a model.
_LINES = re.compile(r", (command|chat_template|description|stop|reasoning_start_tag|reasoning_end_tag)(,|$)")

Option = t.Mapping[str, t.Any]
Rendered = t.Callable[[t.Any, Option], t.Any]


class NotKnown(Exception):
    """A value that nobody can tell yet: the role judges it."""


class Unknown:
    """In the place of such a value."""

    def __repr__(self) -> str:
        return "not known yet"


UNKNOWN = Unknown()


def known(value: t.Any) -> bool:
    """Whether nothing in a value is unknown."""
    if isinstance(value, dict):
        return all(known(key) and known(item) for key, item in value.items())
    if isinstance(value, list):
        return all(known(item) for item in value)
    return not isinstance(value, Unknown)


def refusal(value: t.Any, option: Option, error: Exception | None) -> str:
    """The fault of a value, in a few words.

    The value of a secret is not told, and none where a list or a dict is meant, which may hold one.
    """
    wanted = option.get("type", "str")
    kind = next((kind.__name__ for kind in TYPES if isinstance(value, kind)), type(value).__name__)
    if value is None:
        told = "empty"
    elif option.get("no_log") or wanted in ("list", "dict") or kind in ("list", "dict"):
        told = _GOT.get(kind, kind)
    else:
        told = f"'{_cut(value)}'" if kind not in _NUMBERS else f"the {_NUMBERS[kind]} {_cut(value)}"
    if isinstance(error, ArgumentValueError):
        choices = [str(each) or "''" for each in option["choices"]]
        near = [] if option.get("no_log") else difflib.get_close_matches(str(value), choices, n=1)
        return f"is {told}, not one of {', '.join(choices)}{f' (did you mean {near[0]}?)' if near else ''}"
    default = option.get("default")
    hint = _HINTS.get(wanted, "") if value is not None else ""
    hint += f" (the default is {json.dumps(default)})" if isinstance(default, (bool, int, float)) else ""
    if wanted == "str" and kind in _NUMBERS:
        hint = ": put it in quotes"
    return f"must be {_WANTED.get(wanted, wanted)}, {'but is' if value is None else 'not'} {told}{hint}"


def called(item: t.Any, number: int) -> str:
    """An item of a list in a message: a model by its UID, which others of its name do not have, and others by their name.

    :param number: of the item, which has neither.
    """
    name = item.get("uid") or item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else f"item {number}"


def _cut(value: t.Any) -> str:
    """A value as text, without most of a very long one, which Python may even refuse to print."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**_TOLD:
        return f"a number of over {_TOLD} digits"
    text = str(value)
    return text if len(text) <= _TOLD else f"{text[:_TOLD]}..."


def _number(value: t.Any, wanted: str) -> bool:
    """Whether a value can be a number: also as a text, but only in plain digits, which everybody reads alike."""
    if isinstance(value, str):
        text = value.strip()
        plain = (
            r"[+-]?[0-9]{1,40}([.]0*)?"
            if wanted == "int"
            else r"[+-]?([0-9]{1,40}[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?"
        )
        return re.fullmatch(plain, text) is not None and math.isfinite(float(text))
    return (
        isinstance(value, int)
        or isinstance(value, float)
        and math.isfinite(value)
        and (wanted == "float" or value == int(value))
    )


def _changed(value: t.Any, option: Option) -> bool:
    """Whether Ansible would make another value of it that nobody meant, instead of refusing it."""
    wanted = option.get("type", "str")
    text = wanted in ("str", "path")
    if value is None:
        # Of a text without a default it means that none is given; of another one Ansible would make the text "None".
        return text and option.get("default") is not None
    if isinstance(value, bool):
        # `no` for a text, a number or a list, but where false is one of the words.
        return wanted in ("int", "float", "list") or text and option.get("default") != "false"
    if isinstance(value, (dict, list)):
        return text
    if wanted in ("int", "float"):
        return value is not None and not _number(value, wanted)
    # Leading zeros and the like are lost before anybody sees the secret.
    return isinstance(value, (int, float)) and bool(option.get("no_log")) and text


def mistakes(value: t.Any, option: Option, where: str, rendered: Rendered, *, of_module: bool = False) -> list[str]:
    """Faults of a variable by its option, at any depth: types, choices and keys, each as a sentence.

    :param option: of an argument spec.
    :param where: the variable, and what of it the value is.
    :param rendered: gives the value of a template, or raises :class:`NotKnown`.
    :param of_module: whether a module gets the value, which makes a dict of a text ("a=1"); a role does not.
    """
    try:
        value = rendered(value, option)
    except NotKnown:
        return []
    # First what the value is itself, then its parts: so each is told with its place, and one at fault does not hide another.
    elements, spec = option.get("elements"), option.get("options")
    of_parts = ("elements", "options", "choices") if elements else ("options",)
    itself = {key: each for key, each in option.items() if key not in of_parts}
    if value is None and ", " in where and itself.get("type", "str") in ("str", "path") and "choices" not in itself:
        return []  # a key that is left empty is one that is not given
    if (
        value is None
        and ", " not in where
        and "default" not in option
        and itself.get("type", "str") not in ("str", "path")
    ):
        return [f"{where} is empty (null). Give it a value, or remove it."]
    if _changed(value, itself) or itself.get("type") == "dict" and isinstance(value, str) and not of_module:
        return [f"{where} {refusal(value, itself, None)}."]
    checked = ArgumentSpecValidator({"value": itself}).validate({"value": value})
    if checked.errors.errors:
        return [f"{where} {refusal(value, itself, checked.errors.errors[0])}."]
    if isinstance(value, str) and itself.get("type", "str") in ("str", "path") and not _LINES.search(where):
        if re.search(r"[\x00-\x1f\x7f]", value):
            return [f"{where} has a line break or an invisible character. Write it in one line."]
    # As Ansible takes it: a list may be given as a text with commas.
    value = checked.validated_parameters["value"]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) > MOST:
        bound = f"at most {MOST}" if value > 0 else f"at least {-MOST}"
        return [f"{where} must be {bound} (it is {_cut(value)})."]
    found = []
    if elements and value:
        of_item = {key: option[key] for key in ("options", "choices", "no_log") if key in option}
        for number, item in enumerate(value, start=1):
            place = f"{where}, {called(item, number)}"
            each = {"type": elements, "required": True, **of_item}
            if item is None and elements == "str":
                found.append(f"{place} is empty.")
            else:
                found += mistakes(item, each, place, rendered, of_module=of_module)
    elif spec and isinstance(value, dict):
        found += _wrong_keys(value, spec, where, rendered, of_module)
    elif isinstance(value, dict) and ", " in where:
        # YAML makes numbers, booleans and null of words.
        odd = [key for key in value if not isinstance(key, (str, Unknown))]
        found += [
            f"{where} has the key {_cut(key)}, which must be a text. Put it in quotes: '{_cut(key)}'." for key in odd
        ]
    return found


def _wrong_keys(
    value: t.Mapping[t.Any, t.Any], spec: Option, where: str, rendered: Rendered, of_module: bool
) -> list[str]:
    found = []
    secret = not of_module and any(each.get("no_log") for each in spec.values())
    spelled = {alias for each in spec.values() for alias in each.get("aliases") or ()} | set(spec)
    for key in value:
        if key in spec:
            found += mistakes(value[key], spec[key], f"{where}, {key}", rendered, of_module=of_module)
        elif key not in spelled:
            near = difflib.get_close_matches(str(key), spec, n=1)
            # It may be a secret that has lost the key before it.
            shown = near or not secret or re.fullmatch("[a-z_]{1,24}", str(key))
            told = f"no key {_cut(key)}" if shown else "a key that is none"
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(spec)}."
            found.append(f"{where}: {told}{hint}")
    for key, each in spec.items():
        given = [value[name] for name in (key, *(each.get("aliases") or ())) if name in value]
        if each.get("required") and not given:
            found.append(f"{where}: {key} is missing.")
        elif each.get("required") and given == [None]:
            found.append(f"{where}: {key} is empty.")
    return found


def typed(value: t.Any, option: Option) -> t.Any:
    """The value as the option has it: numbers, booleans and lists that may be given as text."""
    # A path stays as it is given: Ansible would put this machine's home and environment into it.
    plain = {**option, "type": "str"} if option.get("type") == "path" else option
    return ArgumentSpecValidator({"value": plain}).validate({"value": value}).validated_parameters.get("value")
