# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# The options of module_utils/_host/firewall/options.py: OPTIONS.


class ModuleDocFragment:
    DOCUMENTATION = r"""
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
      - TCP ports that Xinference uses among the hosts, such as V(9999) or V(30000-30100), beside C(api_port).
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
      - Ports among C(cluster_ports) about which nothing is said, because something else listens on them.
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
    # The same below an option of a module that reads a whole host.
    SUBOPTIONS = r"""
options:
  firewall:
    description:
      - The firewall of the host, with the options of M(modelops.inference.xinference_firewall). RV(firewall) is then
        returned, and nothing is changed.
      - A peer that O(network.peers) names is let in by its address; one that means loopback or nothing here is left out.
    type: dict
    suboptions:
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
          - TCP ports that Xinference uses among the hosts, such as V(9999) or V(30000-30100), beside C(api_port).
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
          - Ports among C(cluster_ports) about which nothing is said, because something else listens on them.
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
