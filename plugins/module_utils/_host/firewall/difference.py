# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wanted firewall of a host against the one that it has, as modules take and return them."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall import choice, exposure, port_range
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.manager import Steps
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.rules import (
    Range,
    Rules,
    checked_range,
    covers,
    desired,
    parse_ports,
)
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan


@dataclass(frozen=True)
class Difference:
    """Changes of each manager, in the order in which they are made.

    :ivar manager: the firewall that decides, "none" where there is none.  :ivar rules: in words.
    """

    parts: list[tuple[Steps, Plan]]
    manager: str
    rules: list[str]
    ephemeral_range: Range
    warnings: list[str] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        plan = Plan("firewall")
        plan.changes = [change for _steps, part in self.parts for change in part]
        return plan

    def result(self) -> dict[str, t.Any]:
        """See RETURN of the module xinference_firewall."""
        result = self.plan.result()
        texts = [item for steps, _part in self.parts for item in steps.texts.items()]
        result["diff"] = [result["diff"]] + [
            {"before": before, "after": after, "before_header": what, "after_header": what}
            for what, (before, after) in texts
        ]
        return {**result, "manager": self.manager, "rules": self.rules, "ephemeral_range": list(self.ephemeral_range)}

    def apply(self) -> None:
        for steps, part in self.parts:
            steps.apply(part)


def compare(options: t.Mapping[str, t.Any]) -> Difference:
    """Reads the firewalls of the host, and changes nothing.

    :param options: see options.OPTIONS.  :raises ModelopsError: they cannot be right, or not on this host.
    """
    name = options["name"]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}", name):
        raise ModelopsError(
            f"name: {name!r} must be up to 48 letters, digits, '.', '_' or '-', and begin with a letter or a digit."
        )
    present = options["state"] == "present"
    ports = port_range.PortRange(name, _asked_range(options["port_range"]) if present else None)
    rules = _rules(options, ports.after) if present else None
    chosen = choice.choose(options["manager"], name) if present else None
    parts: list[tuple[Steps, Plan]] = [(ports, ports.plan())]
    warnings: list[str] = []
    if chosen:
        parts.append((chosen, chosen.plan(rules)))
        if rules and not chosen.known():
            warnings += _of_others(rules)
        warnings += chosen.warnings
    # After the new ones, so that a change of the firewall leaves no gap.
    parts += [(manager, manager.plan(None)) for manager in choice.others(chosen, name)]
    kind = chosen.kind if chosen else choice.detect()
    return Difference(parts, kind, rules.lines if rules else [], ports.after, warnings)


def _asked_range(ports: list[int] | None) -> Range | None:
    if ports is None:
        return None
    if len(ports) != 2:
        raise ModelopsError(f"port_range: {ports} must be two ports, the lowest and the highest, like [40000, 49999].")
    low, high = checked_range("port_range", *ports)
    if low < 1024:
        raise ModelopsError(f"port_range: {low} is below 1024, the range of system services. Start at 1024 or above.")
    return low, high


def _rules(options: t.Mapping[str, t.Any], ephemeral: Range) -> Rules:
    api_port = options["api_port"]
    if api_port:
        checked_range("api_port", api_port, api_port)
    cluster = parse_ports(options["cluster_ports"], ephemeral)
    rules = desired(options["peers"], cluster, api_port, options["api_networks"], options["except_ports"])
    ssh = exposure.ssh_port()
    if covers(rules.drops, ssh):
        raise ModelopsError(
            f"SSH uses port {ssh}, one of the cluster's ports: these rules would lock out everybody else. "
            f"Add it to except_ports, or give other ports."
        )
    return rules


def _of_others(rules: Rules) -> list[str]:
    """Warnings before the first run: other programs probably listen on these ports."""
    found = exposure.listeners(rules.drops)
    if not found:
        return []
    rows = ", ".join(f"{port} ({by})" for port, by in found.items())
    return [
        f"From now on only the cluster's hosts reach these ports: {rows}. If another service uses one, add it to "
        "except_ports."
    ]
