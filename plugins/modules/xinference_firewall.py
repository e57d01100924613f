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
  - ufw takes a command for each peer that cannot be joined with others into a network. It must be active.
  - Published ports of containers do not come through the host's input, and are not concerned.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._firewall
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
