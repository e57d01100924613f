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
  - Chooses the IPv4 address by which this host is known in its cluster, and checks that its peers resolve and can be reached,
    and that its clock is right, in one execution and without root.
  - Xinference's actors bind to the address that they advertise, so the address must be this host's own. It writes address and
    port joined by a colon, so IPv6 is refused.
  - A refused connection proves the way to a peer; nothing has to listen there yet.
  - Fails with all problems in one message, unless O(fail=false).
notes:
  - It takes as long as the slowest peer, at most O(timeout) for all names and O(timeout) for all connections together.
  - For Linux hosts.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  name:
    description: Name of this host in messages, and in O(peers). The inventory name where none is given.
    type: str
  address:
    description:
      - IPv4 address of this host, or a host name that resolves to one. Empty chooses one by O(networks).
      - Loopback is right only where all peers are this host.
    type: str
    default: ""
  networks:
    description:
      - IPv4 networks like V(10.1.0.0/16). The first address of this host in the first network that has one is chosen.
      - Empty takes the address by which this host reaches the first other peer, or anybody where there is no peer.
    type: list
    elements: str
    default: []
  peers:
    description: The hosts of the cluster. This host may be among them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Inventory name.
        type: str
        required: true
      address:
        description: IPv4 address or host name by which other hosts call it.
        type: str
        required: true
      ports:
        description: TCP ports to try.
        type: list
        elements: int
        default: []
      needed:
        description: V(false) makes what is wrong with this peer a warning, as of one that is down, or is not set up yet.
        type: bool
        default: true
  timeout:
    description: Seconds to wait for the resolver, and for a connection.
    type: float
    default: 3
  max_skew:
    description:
      - Seconds that the host's clock may differ from the controller's. More than that is a problem where it is certain, which
        means beyond RV(skew_uncertainty). Tokens of Xinference's API have a time in them.
    type: float
    default: 5
  fail:
    description: Whether problems fail the task. They are returned in any case.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: The hosts of a cluster reach one another
  modelops.inference.xinference_network_info:
    networks: [10.1.0.0/16]
    peers:
      - {name: supervisor1, address: 10.1.0.1, ports: [9997, 9999]}
      - {name: worker1, address: worker1.example.com, ports: [30001]}
  register: network
"""

RETURN = r"""
address:
  description: IPv4 address of this host in the cluster. Empty where none is right; RV(problems) says why.
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
  description: The host's clock at the end of the module, in seconds since 1970.
  returned: success
  type: float
  sample: 1789003456.25
seconds:
  description: What the module took on the host.
  returned: success
  type: float
  sample: 0.04
skew:
  description: The host's clock minus the controller's, in seconds.
  returned: success
  type: float
  sample: -0.012
skew_uncertainty:
  description: RV(skew) is right to plus or minus this many seconds, half of what the way to the host and back took.
  returned: success
  type: float
  sample: 0.21
time_synchronised:
  description: Whether something keeps the host's clock right (NTP, say), by the kernel's word. Null where it cannot be known.
  returned: success
  type: bool
  sample: true
resolved:
  description: IPv4 address of each peer by its name, empty for one that did not resolve.
  returned: success
  type: dict
  sample: {supervisor1: 10.1.0.1, worker1: 10.1.0.2}
reached:
  description: A row for each peer and port.
  returned: success
  type: list
  elements: dict
  contains:
    peer:
      description: Name of the peer.
      type: str
    address:
      description: Its IPv4 address.
      type: str
    port:
      description: TCP port.
      type: int
    state:
      description:
        - V(open) and V(refused) prove the way. V(filtered) is no answer within O(timeout), V(unreachable) no route or a
          firewall that rejects, V(unresolved) a peer without an address.
        - A firewall that rejects with a TCP reset cannot be told from V(refused).
      type: str
  sample: [{peer: worker1, address: 10.1.0.2, port: 30001, state: refused}]
ephemeral_range:
  description: Lowest and highest port that the kernel gives to whoever asks for any. Xinference's actors listen on such ports.
  returned: success
  type: list
  elements: int
  sample: [32768, 60999]
firewall:
  description: V(firewalld) or V(ufw) where it runs, else V(nftables) where its program is installed, else V(none).
  returned: success
  type: str
  sample: nftables
problems:
  description: What is wrong and what to do next, each naming this host and the peer.
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
        raise ModelopsError(f"peers: no TCP port, which is 1 to 65535: {', '.join(wrong)}")
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
            # What the action plugin does with the result.
            max_skew=dict(type="float", default=5),
            fail=dict(type="bool", default=True),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
