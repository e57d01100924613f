#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_network_info
short_description: Check the network between the hosts of a cluster from one of them
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Selects the IPv4 address by which the other hosts reach this host. It checks that the peers resolve and are reachable and that the
    host's clock is correct, in one execution and without root.
  - Xinference's actors bind to the address that they advertise, so the address must belong to this host. Xinference joins address and port
    with a colon, so the module rejects IPv6 addresses.
  - A refused connection proves that the peer is reachable. No program has to listen on the port.
  - The module fails with all problems in one message, unless O(fail=false).
notes:
  - The duration depends on the slowest peer. It is at most O(timeout) for all names and O(timeout) for all connections together.
  - The module supports Linux hosts.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  name:
    description: Name of this host in messages and in O(peers). The default is the inventory name.
    type: str
  address:
    description:
      - IPv4 address of this host, or a host name that resolves to one. If empty, the module selects an address by O(networks).
      - Loopback is valid only if all peers are this host.
    type: str
    default: ""
  networks:
    description:
      - IPv4 networks, such as V(10.1.0.0/16). The module selects the first address of this host in the first network that contains one.
      - If empty, the module selects the address by which this host reaches the first other peer, or any other host if there is no peer.
    type: list
    elements: str
    default: []
  peers:
    description: Hosts of the cluster. The list may include this host.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Inventory name of the peer.
        type: str
        required: true
      address:
        description: IPv4 address or host name by which other hosts reach the peer.
        type: str
        required: true
      ports:
        description: TCP ports to test.
        type: list
        elements: int
        default: []
      needed:
        description:
          - Whether problems with this peer are errors. V(false) makes them warnings, for example for a peer that is down or not yet
            provisioned.
        type: bool
        default: true
  timeout:
    description: Time in seconds to wait for the resolver and for a connection.
    type: float
    default: 3
  max_skew:
    description:
      - Maximum difference in seconds between the clocks of the host and the controller. A larger difference is a problem if it exceeds the
        measurement error (RV(skew_uncertainty)). The tokens of Xinference's API contain a time.
    type: float
    default: 5
  fail:
    description: Whether problems fail the task. The module returns them in either case.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Check that the hosts of a cluster reach one another
  modelops.inference.xinference_network_info:
    networks: [10.1.0.0/16]
    peers:
      - {name: supervisor1, address: 10.1.0.1, ports: [9997, 9999]}
      - {name: worker1, address: worker1.example.com, ports: [30001]}
  register: network
"""

RETURN = r"""
address:
  description: IPv4 address of this host in the cluster. Empty if no address is suitable, with the reason in RV(problems).
  returned: success
  type: str
  sample: 10.1.0.1
addresses:
  description: All IPv4 addresses of the host, with their interfaces.
  returned: success
  type: list
  elements: dict
  sample: [{address: 127.0.0.1, interface: lo}, {address: 10.1.0.1, interface: eth0}]
now:
  description: Time of the host's clock at the end of the module, in seconds since 1970.
  returned: success
  type: float
  sample: 1789003456.25
seconds:
  description: Duration of the module on the host in seconds.
  returned: success
  type: float
  sample: 0.04
skew:
  description: Difference in seconds between the host's clock and the controller's clock.
  returned: success
  type: float
  sample: -0.012
skew_uncertainty:
  description: Measurement error of RV(skew) in seconds, plus or minus. It is half of the round-trip time to the host.
  returned: success
  type: float
  sample: 0.21
time_synchronised:
  description: Whether the kernel reports that a service such as NTP synchronizes the host's clock. Null if this is unknown.
  returned: success
  type: bool
  sample: true
resolved:
  description: IPv4 address of each peer by name. Empty for a peer that does not resolve.
  returned: success
  type: dict
  sample: {supervisor1: 10.1.0.1, worker1: 10.1.0.2}
reached:
  description: One row for each peer and port.
  returned: success
  type: list
  elements: dict
  contains:
    peer:
      description: Name of the peer.
      type: str
    address:
      description: IPv4 address of the peer.
      type: str
    port:
      description: TCP port.
      type: int
    state:
      description:
        - V(open) and V(refused) prove that the peer is reachable. V(filtered) means no answer within O(timeout). V(unreachable) means no
          route, or a firewall that rejects. V(unresolved) means that the peer has no address.
        - The module cannot distinguish a firewall that rejects with a TCP reset from V(refused).
      type: str
  sample: [{peer: worker1, address: 10.1.0.2, port: 30001, state: refused}]
ephemeral_range:
  description: First and last port of the kernel's ephemeral range. Xinference's actors listen on these ports.
  returned: success
  type: list
  elements: int
  sample: [32768, 60999]
firewall:
  description: V(firewalld) or V(ufw) if it runs, otherwise V(nftables) if its program is installed, otherwise V(none).
  returned: success
  type: str
  sample: nftables
problems:
  description: Problems with their remedies. Each names this host and the peer.
  returned: success
  type: list
  elements: str
  sample: ["worker1 does not reach supervisor1 at 10.1.0.1, TCP port 9999: no answer within 3 s. Let TCP from worker1 ..."]
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall import choice
from ansible_collections.modelops.inference.plugins.module_utils._host.system import network, peers


def work(module: AnsibleModule) -> dict[str, t.Any]:
    started = time.monotonic()
    p = module.params
    wrong = [f"{peer['name']}: {port}" for peer in p["peers"] for port in peer["ports"] if not 0 < port < 65536]
    if wrong:
        raise ModelopsError(f"peers: not a TCP port from 1 to 65535: {', '.join(wrong)}")
    seen = peers.look(p["name"] or "this host", p["address"], p["networks"], p["peers"], p["timeout"])
    targets = [(peer.meaning.address, port) for peer in seen.peers if peer.meaning.address for port in peer.ports]
    reached = network.rows_of(seen.peers, network.reach(targets, p["timeout"]))
    needed = {peer["name"] for peer in p["peers"] if peer["needed"]}
    for text in seen.judge(reached, p["timeout"], set(seen.resolved) - needed):
        module.warn(text)
    return dict(
        changed=False,
        address=seen.address,
        addresses=seen.rows,
        time_synchronised=network.time_synchronised(),
        resolved=seen.resolved,
        reached=reached,
        ephemeral_range=list(network.ephemeral_range()),
        firewall=choice.detect(),
        problems=seen.own_problems + seen.judge(reached, p["timeout"], needed),
        seconds=time.monotonic() - started,
        now=time.time(),
    )


def main() -> None:
    module = _module.Module(
        argument_spec=dict(
            name=dict(type="str"),
            address=dict(type="str", default=""),
            networks=dict(type="list", elements="str", default=[]),
            peers=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(
                    name=dict(type="str", required=True),
                    address=dict(type="str", required=True),
                    ports=dict(type="list", elements="int", default=[]),
                    needed=dict(type="bool", default=True),
                ),
            ),
            timeout=dict(type="float", default=3),
            # Keys that the action plugin adds to the result.
            max_skew=dict(type="float", default=5),
            fail=dict(type="bool", default=True),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
