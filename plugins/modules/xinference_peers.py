#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_peers
short_description: Refuse a cluster whose hosts do not know each other
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs M(modelops.inference.xinference_network_info) for the hosts of a cluster, and fails before anything is changed where one of them
    tells the cluster another address than the one by which this host knows it, or where the firewall would be closed to one whose address
    is not known.
  - Hosts that have come this far in the run are needed, and the supervisor of another run. Problems of others, which may be down,
    is a warning.
  - It is for the role C(xinference).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  members:
    description: Its C(hosts), each with name, address and ports, and its C(supervisor), with its host, as the filter C(cluster_members) has
      them.
    type: dict
    required: true
  here:
    description: By name the address that each host tells by itself, of those that have come this far in the run.
    type: dict
    required: true
  address:
    description: Address of this host.
    type: str
    required: true
  firewall:
    description: Whether the host's firewall is closed to who is none of the cluster. Ports are then tried behind it.
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
    here: {gpu01: 10.1.0.1, gpu02: 10.1.0.2}
    address: 10.1.0.2
"""

RETURN = r"""
addresses:
  description: Address of each host of the cluster, that which it tells itself before that which its name means. Beside all that
    M(modelops.inference.xinference_network_info) returns.
  returned: success
  type: dict
  sample: {gpu01: 10.1.0.1, gpu02: 10.1.0.2}
let_in:
  description: Those that must reach the ports of the cluster.
  returned: success
  type: list
  elements: str
  sample: [10.1.0.1, 10.1.0.2]
"""
