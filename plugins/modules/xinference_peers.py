#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_peers
short_description: Validate the addresses of a cluster's hosts
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs M(modelops.inference.xinference_network_info) for the hosts of a cluster. It fails before anything changes if a host announces an
    address to the cluster that differs from the address by which this host knows it. It also fails if the firewall would block a host whose
    address is unknown.
  - A problem is an error if it concerns a host that has reached this task in the run, or a supervisor that is not in this run. Problems
    with other hosts are warnings, because those hosts may be down.
  - Only the role C(xinference) uses this module.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  members:
    description:
      - Hosts of the cluster as C(hosts), each with name, address and ports, and the host of the supervisor as C(supervisor), as in the
        filter C(cluster_members).
    type: dict
    required: true
  announced:
    description: Addresses that hosts announce themselves, by host name, for the hosts that have reached this task in the run.
    type: dict
    required: true
  address:
    description: Address of this host.
    type: str
    required: true
  firewall:
    description: Whether the host's firewall blocks hosts outside the cluster. If V(true), the module tests ports behind the firewall.
    type: bool
    default: false
  behind:
    description: Whether the firewalls were opened.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Test the network of the cluster
  modelops.inference.xinference_peers:
    cluster: paris
    members: "{{ xinference_clusters.paris }}"
    announced: {gpu01: 10.1.0.1, gpu02: 10.1.0.2}
    address: 10.1.0.2
"""

RETURN = r"""
addresses:
  description:
    - Address of each host of the cluster. The announced address takes precedence over the address to which the name resolves. The module
      returns this in addition to all values of M(modelops.inference.xinference_network_info).
  returned: success
  type: dict
  sample: {gpu01: 10.1.0.1, gpu02: 10.1.0.2}
let_in:
  description: Addresses that must be able to reach the ports of the cluster.
  returned: success
  type: list
  elements: str
  sample: [10.1.0.1, 10.1.0.2]
"""
