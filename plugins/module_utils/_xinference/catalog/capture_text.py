# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The captured inventory as a YAML file. Private to the collection. Pure."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog.captured import CapturedModels

_PLAIN = re.compile(r"^[A-Za-z/][A-Za-z0-9_./@+-]*$")
_NOT_TEXT = frozenset("true false yes no on off null none y n".split())


def text(captured: CapturedModels, endpoint: str, version: str) -> str:
    """The inventory file. The same server gives the same text, so it says no time."""
    lines = ["---", f"# Captured from {endpoint} (Xinference {version}), for modelops.inference.xinference_models."]
    if captured.variables:
        lines += ["#", "# Define these, secrets with ansible-vault:"]
        lines += [f"#   {name}: {what}" for name, what in sorted(captured.variables.items())]
    if captured.unsettled:
        lines += ["#", "# Not in this file, because they did not run:"]
        lines += [f"#   {uid}: {state}" for uid, state in sorted(captured.unsettled.items())]
    lines += ["", *_items("xinference_models", captured.models, captured.notes)]
    if captured.definitions:
        lines += [
            "",
            "# Custom models with several forms, or of which none runs: for modelops.inference.xinference_registration.",
        ]
        lines += _items("xinference_definitions", captured.definitions, captured.notes)
    return "\n".join(lines) + "\n"


def _items(name: str, items: t.Sequence[dict[str, t.Any]], notes: t.Mapping[str, list[str]]) -> list[str]:
    lines = [f"{name}:" if items else f"{name}: []"]
    for item in items:
        lines += [f"  # {note}" for note in notes.get(item.get("uid") or item["name"], [])]
        lines += _block(item, "  - ")
    return lines


def _block(value: dict[str, t.Any], first: str) -> list[str]:
    lines: list[str] = []
    indent = " " * len(first)
    for key, item in value.items():
        start = first if not lines else indent
        name = _scalar(str(key))
        if isinstance(item, dict) and item:
            lines += [f"{start}{name}:", *_block(item, indent + "  ")]
        elif isinstance(item, list) and item and all(isinstance(part, dict) and part for part in item):
            lines.append(f"{start}{name}:")
            for part in item:
                lines += _block(part, indent + "  - ")
        else:
            lines.append(f"{start}{name}: {_scalar(item)}")
    return lines


def _scalar(value: t.Any) -> str:
    """A value in one line. JSON is YAML; text with Jinja in it that is not a reference of ours is not to be rendered."""
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        if _PLAIN.match(value) and value.lower() not in _NOT_TEXT:
            return value
        ours = re.fullmatch(r"\{\{ (vault_)?xinference_[a-z0-9_]+ \}\}", value)
        mark = "!unsafe " if not ours and re.search(r"\{[{%#]", value) else ""
        return mark + json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
