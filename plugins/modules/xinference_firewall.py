#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_firewall
short_description: Restrict the ports of a cluster to its hosts
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - In addition to its API, Xinference listens on fixed and random TCP ports without authentication. The module allows the hosts of the
    cluster to reach all these ports, allows O(api_networks) to reach O(api_port), and drops other connections to these ports. All other
    rules of the host's firewall stay unchanged.
  - The module identifies its rules by C(modelops-<name>). It replaces rules that differ, and O(state=absent) removes exactly these rules.
  - The rules survive a reboot. With nftables, the rules are in a separate table that the service C(modelops-firewall-<name>) loads. A
    drop-in loads the table again after C(nftables.service) flushes all tables. The module edits no other files. With firewalld, the rules
    are a separate policy and ipsets in the permanent configuration. With ufw, they are rules with a comment.
  - The module removes its rules from a firewall that is no longer active.
notes:
  - The module requires root.
  - In nftables, a table cannot allow packets that another table drops. If the host has a chain that drops by default, the module fails and
    reports the required rules. It accepts rules that have its comment.
  - firewalld must be version 0.9 or later. The module reloads its configuration. If other rules are not permanent, the module fails,
    because the reload would delete them.
  - ufw requires one command for each peer that cannot be merged with others into a network. It must be active.
  - The rules do not affect published ports of containers, because these do not pass through the host's input chain.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._firewall
"""

EXAMPLES = r"""
- name: Allow only the cluster's hosts, and one network to the API
  modelops.inference.xinference_firewall:
    name: berlin
    peers: [10.1.0.1, 10.1.0.2, 10.1.0.3]
    cluster_ports: ["9999", "30001", ephemeral]
    api_port: 9997
    api_networks: [10.2.0.0/16]

- name: Remove the rules from a host
  modelops.inference.xinference_firewall:
    name: berlin
    state: absent
"""

RETURN = r"""
manager:
  description: Firewall that the module used. V(none) with O(state=absent) if the host has no firewall.
  returned: success
  type: str
  sample: nftables
rules:
  description: Rules in words. Empty with O(state=absent).
  returned: success
  type: list
  elements: str
  sample: ["accept TCP 9997, 9999, 32768-60999 from 10.1.0.1, 10.1.0.2/31", "accept TCP 9997 from 10.2.0.0/16",
           "drop TCP 9997, 9999, 32768-60999 from others"]
ephemeral_range:
  description: Port range that V(ephemeral) stands for.
  returned: success
  type: list
  elements: int
  sample: [32768, 60999]
plan:
  description: One line for each change, with its commands.
  returned: success
  type: list
  elements: str
  sample: ["+ write file /etc/nftables.d/modelops-berlin.nft", "+ install service modelops-firewall-berlin",
           "~ run systemctl reload-or-restart modelops-firewall-berlin.service"]
"""

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall import difference, options


def work(module: _module.Module) -> dict[str, t.Any]:
    found = difference.compare(module.params)
    for warning in found.warnings:
        module.warn(warning)
    if not module.check_mode:
        found.apply()
    return found.result()


def main() -> None:
    module = _module.Module(argument_spec=options.OPTIONS, required_if=options.REQUIRED_IF, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
