# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The differences of a task in few lines: what is new by its name, what exists and changes in full. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

# A new file with fewer lines is shown in full.
SMALL = 6
# A value that a line of a plan shows in full.
_SHORT = 60

Diff = t.Mapping[str, t.Any]


def shortened(diffs: t.Any, plan: t.Sequence[str]) -> tuple[list[str], list[t.Any]]:
    """Lines in place of differences, and differences that remain.

    :param diffs: ``diff`` of a result.
    :param plan: ``plan`` of a result, one line for each change; a module of another collection has none.
    """
    lines = list(plan)
    rest: list[t.Any] = []
    for diff in diffs if isinstance(diffs, list) else [diffs]:
        if not isinstance(diff, t.Mapping) or not {"before", "after"} <= {*diff}:
            # Of a large or binary file, or of a module of another collection.
            rest.append(diff)
            continue
        before, after = diff["before"], diff["after"]
        if isinstance(before, t.Mapping) and isinstance(after, t.Mapping) and plan:
            rest += _changed(diff, before, after)
        elif before in ("", None) and isinstance(after, str) and len(after.splitlines()) >= SMALL:
            name = str(diff.get("after_header") or "new file")
            if not any(line.endswith(f" {name}") for line in plan):
                lines.append(f"+ write {name}")
        else:
            rest.append(diff)
    return lines, rest


def _changed(diff: Diff, before: Diff, after: Diff) -> list[Diff]:
    """The difference of things that were there and stay, as far as the plan's lines do not show it."""
    names = [name for name in before if name in after and before[name] != after[name]]
    told = all(_told(before[name]) and _told(after[name]) for name in names)
    return [] if told else [{**diff, **{key: {name: diff[key][name] for name in names} for key in ("before", "after")}}]


def _told(value: t.Any) -> bool:
    """Whether a line of a plan shows a thing's fields in full."""
    fields = value.values() if isinstance(value, t.Mapping) else [value]
    return all(isinstance(each, (str, int, float, type(None))) and _fits(str(each)) for each in fields)


def _fits(text: str) -> bool:
    return len(text) <= _SHORT and "\n" not in text
