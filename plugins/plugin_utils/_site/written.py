# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that YAML or the command line reads otherwise than a person wrote them. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import origins
from ansible_collections.modelops.inference.plugins.plugin_utils._site.kinds import Option, called
from ansible_collections.modelops.inference.plugins.plugin_utils._site.names import Names
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

# Where 3.1 may have been 3.10, wherever it comes from.
_VERSIONS = (
    "xinference_version",
    "xinference_python",
    "xinference_bundle_python",
    "xinference_rollback_to",
    "accelerator_driver_branch",
)
# Releases of Xinference have three parts: no number is one.
_RELEASES = ("xinference_version", "xinference_rollback_to")


def refusals(settings: Settings, names: t.Collection[str], known: Names) -> Refusals:
    """
    :param names: of the variables that are judged.
    """
    # Ansible's place for the words of -e that are no assignments.
    words = settings.raw("_raw_params")
    for word in words.split() if isinstance(words, str) else ():
        meant = word if word in names else known.meant(word)
        if meant in names:
            value = "true" if settings.specs.options[meant].get("type") == "bool" else "VALUE"
            yield f"-e {word} has no value, so Ansible ignores it. Write -e {meant}={value}."
    for name in names:
        if settings.given(name):
            value = settings.raw(name)
            keys = settings.keys(name) if isinstance(value, (int, float)) else []
            yield from numbers(value, settings.specs.options[name], name, keys)


def numbers(value: t.Any, option: Option, where: str, keys: t.Sequence[str] = (), within: str = "") -> Refusals:
    """Numbers in the place of texts, of which YAML has lost digits: 4.10 is 4.1, and 0_6 is 6.

    :param where: the variable, and what of it the value is.
    :param keys: under which the value stands, as Ansible has read them.
    :param within: what the key is one of.
    """
    if isinstance(value, list):
        of_item = {name: option[name] for name in ("options", "no_log") if name in option}
        for number, item in enumerate(value, start=1):
            place = f"{where}, {called(item, number)}"
            yield from numbers(item, {"type": option.get("elements"), **of_item}, place, (), place)
    elif isinstance(value, dict):
        options = option.get("options") or {}
        for name, item in value.items():
            if name in options:
                yield from numbers(item, options[name], f"{where}, {name}", [name], where)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and option.get("type", "str") == "str":
        yield from _number(value, keys, f"{within}: {keys[0]}" if within and keys else where)


def _number(value: float, keys: t.Sequence[str], told: str) -> Refusals:
    text, place = origins.written(value, keys)
    key = keys[0] if keys else told
    if key in _RELEASES and isinstance(value, float):
        of = f" {text} ({place})" if text else ""
        like = " in YAML" if text else f", the same as {value}0" * bool(re.fullmatch(r"[0-9]+[.][1-9]", str(value)))
        meant = text or str(value)
        yield f"{told}{of} is the number {value}{like}. Put the version in quotes: {key}: '{meant}.0'."
        return
    # 0.60 is as good a size as 0.6.
    if "_" in text if key == "size" else text and text != str(value):
        yield f"{told} {text} ({place}) is the number {value} in YAML. Put it in quotes: {key}: '{text}'."
    elif not text and key in _VERSIONS and re.fullmatch(r"[0-9]+[.][1-9]", str(value)):
        yield f"{told} is the number {value}, the same as {value}0. Put the version in quotes: {key}: '{value}'."
