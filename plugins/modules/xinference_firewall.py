#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_firewall
short_description: Let a cluster's hosts reach one another, and nobody else
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Beside its API, Xinference listens on fixed and on random TCP ports without authentication. This lets the hosts of a cluster
    reach all of them, lets O(api_networks) reach O(api_port), and drops what others open on these ports. Everything else
    of the host's firewall stays as it is.
  - The rules are known by C(modelops-<name>). Another list replaces them, and O(state=absent) removes exactly them.
  - They survive a reboot. Under nftables a table of their own is loaded by a service of their own,
    C(modelops-firewall-<name>), and again whenever C(nftables.service) flushed all tables, by a drop-in; no file of others is
    edited. Under firewalld they are a policy and ipsets of their own in the permanent configuration, under ufw rules with a
    comment.
  - Rules of ours in a firewall that is no longer in charge are removed.
notes:
  - Needs root.
  - In nftables no table can let in what another one drops. Where the host has a chain that drops by default, the module fails
    and says which rules it needs; it takes rules with its comment as done.
  - firewalld needs version 0.9, and reloads its configuration. Where rules of others are not permanent the module fails, as
    the reload would lose them.
  - ufw takes a command for each peer that cannot be joined with others into a network. It has to be active.
  - Published ports of containers do not come through the host's input, and are not concerned.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  name:
    description: Name of the cluster, of letters, digits, C(.), C(_) and C(-).
    type: str
    required: true
  state:
    description: V(absent) removes the rules, and gives back the range of ports that was before.
    type: str
    choices: [present, absent]
    default: present
  manager:
    description: The firewall. V(auto) takes firewalld or ufw where it is active, else nftables where C(nft) is installed.
    type: str
    choices: [auto, nftables, firewalld, ufw]
    default: auto
  peers:
    description: IPv4 addresses or networks of the cluster's hosts. Needed with V(present). Empty lets in nobody.
    type: list
    elements: str
  cluster_ports:
    description:
      - TCP ports that Xinference uses among the hosts, such as V(9999) or V(30000-30100), beside O(api_port).
      - V(ephemeral) stands for the range of ports from which the host gives one to whoever asks for any, which the
        actors do.
    type: list
    elements: str
    default: [ephemeral]
  api_port:
    description: Port of the API on this host. The peers reach it, too, as a worker asks it for the supervisor's address.
    type: int
  api_networks:
    description: IPv4 addresses or networks that reach the API. V([0.0.0.0/0]) is everybody, empty only the peers.
    type: list
    elements: str
    default: []
  except_ports:
    description:
      - Ports among O(cluster_ports) about which nothing is said, because something else listens on them.
      - The port of SSH among them is refused, where this module came by it.
    type: list
    elements: int
    default: []
  port_range:
    description:
      - Lowest and highest port that the host gives to whoever asks for any (C(net.ipv4.ip_local_port_range)), at runtime and in
        a file below C(/etc/sysctl.d). Unset leaves the host's own, or gives it back.
      - It holds for every program of the host. Xinference uses it after a restart.
    type: list
    elements: int
"""

EXAMPLES = r"""
- name: Only the cluster's hosts reach one another, and one network the API
  modelops.inference.xinference_firewall:
    name: berlin
    peers: [10.1.0.1, 10.1.0.2, 10.1.0.3]
    cluster_ports: ["9999", "30001", ephemeral]
    api_port: 9997
    api_networks: [10.2.0.0/16]

- name: A host leaves
  modelops.inference.xinference_firewall:
    name: berlin
    state: absent
"""

RETURN = r"""
manager:
  description: The firewall that was used; V(none) with O(state=absent) where there is none.
  returned: success
  type: str
  sample: nftables
rules:
  description: The rules, in words. Empty with O(state=absent).
  returned: success
  type: list
  elements: str
  sample: ["accept TCP 9997, 9999, 32768-60999 from 10.1.0.1, 10.1.0.2/31", "accept TCP 9997 from 10.2.0.0/16",
           "drop TCP 9997, 9999, 32768-60999 from others"]
ephemeral_range:
  description: The range of ports that V(ephemeral) stands for.
  returned: success
  type: list
  elements: int
  sample: [32768, 60999]
plan:
  description: One line for each change, with the commands.
  returned: success
  type: list
  elements: str
  sample: ["+ write file /etc/nftables.d/modelops-berlin.nft", "+ install service modelops-firewall-berlin",
           "~ run systemctl reload-or-restart modelops-firewall-berlin.service"]
"""

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _module
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


def work(module: _module.Module) -> dict[str, t.Any]:
    p = module.params
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}", p["name"]):
        raise ModelopsError(
            f"name: {p['name']!r} has to be up to 48 letters, digits, '.', '_' or '-', a letter or digit first."
        )
    present = p["state"] == "present"
    asked = _asked_range(p["port_range"]) if present else None
    ports = port_range.PortRange(p["name"], asked)
    rules = _rules(p, ports.after) if present else None
    chosen = choice.choose(p["manager"], p["name"]) if present else None
    todo: list[tuple[Steps, Plan]] = [(ports, ports.plan())]
    if chosen:
        todo.append((chosen, chosen.plan(rules)))
        if rules and not chosen.known():
            _warn_of_others(module, rules)
    # After the new ones, so that a change of the firewall leaves no gap.
    todo += [(manager, manager.plan(None)) for manager in choice.others(chosen, p["name"])]
    plan = Plan("firewall")
    plan.changes = [change for _steps, part in todo for change in part]
    result = plan.result()
    texts = [item for steps, _part in todo for item in steps.texts.items()]
    result["diff"] = [result["diff"]] + [
        {"before": before, "after": after, "before_header": what, "after_header": what}
        for what, (before, after) in texts
    ]
    if not module.check_mode:
        for steps, part in todo:
            steps.apply(part)
    for warning in chosen.warnings if chosen else []:
        module.warn(warning)
    return dict(
        result,
        manager=chosen.kind if chosen else choice.detect(),
        rules=rules.lines if rules else [],
        ephemeral_range=list(ports.after),
    )


def _asked_range(ports: list[int] | None) -> Range | None:
    if ports is None:
        return None
    if len(ports) != 2:
        raise ModelopsError(
            f"port_range: {ports} has to be two ports, the lowest and the highest, like [40000, 49999]."
        )
    low, high = checked_range("port_range", *ports)
    if low < 1024:
        raise ModelopsError(
            f"port_range: {low} is among the ports below 1024, which belong to services. Start at 1024 or above."
        )
    return low, high


def _rules(p: t.Mapping[str, t.Any], ephemeral: Range) -> Rules:
    if p["api_port"]:
        checked_range("api_port", p["api_port"], p["api_port"])
    cluster = parse_ports(p["cluster_ports"], ephemeral)
    rules = desired(p["peers"], cluster, p["api_port"], p["api_networks"], p["except_ports"])
    ssh = exposure.ssh_port()
    if covers(rules.drops, ssh):
        raise ModelopsError(
            f"SSH came by port {ssh}, which is among the ports of the cluster: these rules would lock out everybody else. "
            f"Name it in except_ports, or give other ports."
        )
    return rules


def _warn_of_others(module: _module.Module, rules: Rules) -> None:
    """Before the first time: what listens on these ports now is likely not Xinference's."""
    found = exposure.listeners(rules.drops)
    if found:
        rows = ", ".join(f"{port} ({by})" for port, by in found.items())
        module.warn(
            f"Only the cluster's hosts reach these ports from now on: {rows}. Where that is not Xinference, name them in "
            "except_ports."
        )


def main() -> None:
    module = _module.Module(
        argument_spec=dict(
            name=dict(type="str", required=True),
            state=dict(type="str", choices=["present", "absent"], default="present"),
            manager=dict(type="str", choices=["auto", "nftables", "firewalld", "ufw"], default="auto"),
            peers=dict(type="list", elements="str"),
            cluster_ports=dict(type="list", elements="str", default=["ephemeral"]),
            api_port=dict(type="int"),
            api_networks=dict(type="list", elements="str", default=[]),
            except_ports=dict(type="list", elements="int", default=[]),
            port_range=dict(type="list", elements="int"),
        ),
        required_if=[("state", "present", ["peers"])],
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
