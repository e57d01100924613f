# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw."""

from __future__ import annotations

import ipaddress
import re
import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.manager import Firewall, find_program
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.rules import (
    ANYBODY,
    Range,
    Rules,
    ports_text,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, run
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan


class Ufw(Firewall):
    """Rules with our comment, before all others: ufw stops at the first that matches.

    ufw has no transactions. What lets in comes before what drops and old rules go last, so at no time less is let in.
    """

    kind = "ufw"
    advice = "it is not active. Allow SSH, then: ufw enable"
    configuration = "/etc/ufw/ufw.conf"

    @staticmethod
    def usable() -> bool:
        return find_program("ufw") is not None and bool(
            re.search(r"^ENABLED=yes", read_file(Ufw.configuration) or "", re.MULTILINE | re.IGNORECASE)
        )

    def known(self) -> bool:
        return find_program("ufw") is not None and any(row.comment == self.tag for row in self._rows())

    def _rows(self) -> list[Row]:
        ufw = find_program("ufw") or "ufw"
        return parse_rows(run([ufw, "show", "added"], "ufw show added (it needs root: become: true)"))

    def plan(self, rules: Rules | None) -> Plan:
        plan = Plan(self.kind)
        ufw = find_program("ufw") or "ufw"
        before = self._rows()
        wanted = wanted_rows(rules, self.tag) if rules else []
        for row in before:
            if row.comment != self.tag and row.key in {item.key for item in wanted}:
                raise ModelopsError(
                    f"ufw has the rule `{row.text}` already, and its owner is unknown. Delete it, and this module adds it "
                    f"again: {shlex.join(['ufw', *row.delete])}"
                )
        for position, row in missing_rows(before, wanted, self.tag):
            where = ["prepend"] if position == 1 else ["insert", str(position)] if position else []
            self._run(plan, [ufw, *where, *row.add], sign="add")
        kept = {row.key for row in wanted}
        # Drop rules are last, and are removed first.
        for row in reversed(before):
            if row.comment == self.tag and row.key not in kept:
                self._run(plan, [ufw, *row.delete], sign="remove")
        if plan:
            mine = [str(row) for row in before if row.comment == self.tag]
            self.texts["ufw show added"] = ("\n".join(sorted(mine)), "\n".join(sorted(map(str, wanted))))
        return plan


@dataclass(frozen=True)
class Row:
    """A line of ``ufw show added``; what is not of a form of ours has no source.

    :ivar ports: as ufw writes them, such as "9999,32768:60999".
    """

    action: str
    source: str
    ports: str
    comment: str = ""
    text: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.action, self.source, self.ports

    @property
    def _rule(self) -> list[str]:
        return [self.action, "proto", "tcp", "from", self.source, "to", "any", "port", self.ports]

    @property
    def add(self) -> list[str]:
        return [*self._rule, "comment", self.comment]

    @property
    def delete(self) -> list[str]:
        return ["delete", *self._rule]

    def __str__(self) -> str:
        return shlex.join(["ufw", *self.add])


def parse_rows(text: str) -> list[Row]:
    """The rules for IPv4 that were added, in order, from ``ufw show added``; ufw counts them apart. Pure."""
    rows = []
    for line in text.splitlines():
        words = shlex.split(line)
        if words[:1] != ["ufw"] or len(words) < 3 or any(map(_is_ipv6, words)):
            continue
        comment = ""
        if words[-2] == "comment":
            comment = words[-1]
            words = words[:-2]
        full = (
            len(words) == 10
            and words[2] == "from"
            and words[4:7] == ["to", "any", "port"]
            and words[8:] == ["proto", "tcp"]
        )
        if full:
            rows.append(Row(words[1], words[3], words[7], comment, line))
        elif len(words) == 3 and words[2].endswith("/tcp"):
            rows.append(Row(words[1], ANYBODY, words[2][: -len("/tcp")], comment, line))
        else:
            rows.append(Row(words[1], "", " ".join(words[2:]), comment, line))
    return rows


def _is_ipv6(word: str) -> bool:
    try:
        return ipaddress.ip_network(word, strict=False).version == 6
    except ValueError:
        return False


def wanted_rows(rules: Rules, tag: str) -> list[Row]:
    """A row for each source, what drops last. Pure. ufw takes 15 ports in a rule, a range counting two."""
    rows = [
        Row("allow", source, ports, tag)
        for row in rules.accepts
        for source in row.sources or (ANYBODY,)
        for ports in _ports(row.ports)
    ]
    return rows + [Row("deny", ANYBODY, ports, tag) for ports in _ports(rules.drops)]


def _ports(ranges: t.Sequence[Range]) -> list[str]:
    return [ports_text(ranges[at : at + 7], ":", ",") for at in range(0, len(ranges), 7)]


def missing_rows(before: t.Sequence[Row], wanted: t.Sequence[Row], tag: str) -> list[tuple[int, Row]]:
    """The rules to add, in order, with their positions; 0 is the end. Pure.

    What lets in goes to the top, what drops below the last of ours that lets in.
    """
    now = list(before)
    there = {row.key for row in before}
    missing = [row for row in wanted if row.key not in there]
    steps: list[tuple[int, Row]] = []
    for row in missing:
        position = 1
        if row.action == "deny":
            position += max(
                (at for at, item in enumerate(now, 1) if item.comment == tag and item.action == "allow"), default=0
            )
        now.insert(position - 1, row)
        steps.append((0 if position == len(now) and position > 1 else position, row))
    return steps
