# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of changes with reasons, as lines and as a diff. Private to the collection.

A plan is made by pure functions from the wanted and the actual state; apply() does only what the plan says, so
check mode, diff mode and drift reports are the same plan not applied.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

HIDDEN = "********"
SIGNS = {"add": "+", "change": "~", "remove": "-"}


@dataclass
class Field:
    """One value that differs. A secret one shows only that it differs, a URL no user and password."""

    name: str
    before: t.Any
    after: t.Any
    secret: bool = False

    def __str__(self) -> str:
        if self.secret:
            return f"{self.name} (hidden)"
        return f"{self.name} {_short(self.before)} -> {_short(self.after)}"


@dataclass
class Change:
    """One change of one object.

    :param sign: "add", "change" or "remove".
    :param verb: what is done, in the user's words ("launch", "replace", "register", ...).
    :param name: the thing's name (model UID, key name, unit name, path).
    :param fields: what differs within it.
    :param data: what apply() needs to do it; never shown.
    """

    sign: str
    verb: str
    name: str
    fields: list[Field] = field(default_factory=list)
    why: str = ""
    data: t.Any = None

    def __str__(self) -> str:
        reasons = [str(f) for f in self.fields] if self.sign == "change" else []
        if self.why:
            reasons.insert(0, self.why)
        return f"{SIGNS[self.sign]} {self.verb} {self.name}" + (f" ({', '.join(reasons)})" if reasons else "")


class Plan:
    """An ordered list of changes."""

    def __init__(self, header: str = ""):
        self.header = header
        self.changes: list[Change] = []

    def add(
        self, sign: str, verb: str, name: str, fields: t.Iterable[Field] = (), why: str = "", data: t.Any = None
    ) -> Change:
        change = Change(sign, verb, name, list(fields), why, data)
        self.changes.append(change)
        return change

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __iter__(self) -> t.Iterator[Change]:
        return iter(self.changes)

    @property
    def lines(self) -> list[str]:
        """One line a change: ``+ launch x``, ``~ replace y (quantization q4_0 -> q8_0)``, ``- terminate z``."""
        return [str(change) for change in self.changes]

    def diff(self) -> dict[str, t.Any]:
        """The ``diff`` of a module result; only what differs, by name (changes of one thing together), secrets hidden."""
        before: dict[str, t.Any] = {}
        after: dict[str, t.Any] = {}
        for change in self.changes:
            if change.sign != "add":
                before.setdefault(change.name, {}).update({f.name: _hide(f, f.before) for f in change.fields})
            if change.sign != "remove":
                after.setdefault(change.name, {}).update({f.name: _hide(f, f.after) for f in change.fields})
        return {"before": before, "after": after, "before_header": self.header, "after_header": self.header}

    def apply(self, do: t.Callable[[Change], None]) -> None:
        """Makes the changes, in their order.

        :param do: makes one change.
        :raises ModelopsError: with ``changed``, where something had been done before.
        """
        done = False
        for change in self.changes:
            try:
                do(change)
            except ModelopsError as exc:
                raise ModelopsError(str(exc), changed=done, plan=self.lines) from exc
            done = True

    def result(self) -> dict[str, t.Any]:
        """The keys that every module of the collection returns: changed, diff, plan."""
        return {"changed": bool(self), "diff": self.diff(), "plan": self.lines}


def _hide(item: Field, value: t.Any) -> t.Any:
    return HIDDEN if item.secret and value is not None else _without_userinfo(value)


def _without_userinfo(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return log.without_userinfo(value)
    if isinstance(value, dict):
        return {key: _without_userinfo(item) for key, item in value.items()}
    return [_without_userinfo(item) for item in value] if isinstance(value, (list, tuple)) else value


def _short(value: t.Any) -> str:
    text = "none" if value is None else str(_without_userinfo(value))
    return text if len(text) <= 60 else text[:57] + "..."
