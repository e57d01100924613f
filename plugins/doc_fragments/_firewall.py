# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# The options of module_utils/_host/firewall/options.py: OPTIONS.


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description: Name of the cluster. It may contain letters, digits, C(.), C(_) and C(-).
    type: str
    required: true
  state:
    description: Whether the rules exist. V(absent) removes the rules and restores the previous port range.
    type: str
    choices: [present, absent]
    default: present
  manager:
    description: Firewall to configure. V(auto) selects firewalld or ufw if it is active, otherwise nftables if C(nft) is installed.
    type: str
    choices: [auto, nftables, firewalld, ufw]
    default: auto
  peers:
    description: IPv4 addresses or networks of the cluster's hosts. V(present) requires this option. An empty list allows no host.
    type: list
    elements: str
  cluster_ports:
    description:
      - TCP ports that Xinference uses between the hosts, such as V(9999) or V(30000-30100), in addition to C(api_port).
      - V(ephemeral) stands for the ephemeral port range of the host, on which the actors listen.
    type: list
    elements: str
    default: [ephemeral]
  api_port:
    description: Port of the API on this host. The peers can reach it too, because a worker asks it for the supervisor's address.
    type: int
  api_networks:
    description:
      - IPv4 addresses or networks that may reach the API. V([0.0.0.0/0]) allows all addresses. An empty list allows only the peers.
    type: list
    elements: str
    default: []
  except_ports:
    description:
      - Ports among C(cluster_ports) for which the module writes no rule, because another program listens on them.
      - The module fails if C(cluster_ports) includes the SSH port of Ansible's connection. List that port here.
    type: list
    elements: int
    default: []
  port_range:
    description:
      - First and last port of the host's ephemeral range (C(net.ipv4.ip_local_port_range)). The module sets it at runtime and in a file
        below C(/etc/sysctl.d). If unset, the module keeps or restores the host's own range.
      - The range applies to every program on the host. Xinference uses it after a restart.
    type: list
    elements: int
"""
    # The same options as suboptions of a module that reads a whole host.
    SUBOPTIONS = r"""
options:
  firewall:
    description:
      - Options of the host's firewall, as in M(modelops.inference.xinference_firewall). The module then also returns RV(firewall). It
        changes nothing.
      - Peers named in O(network.peers) are added by their address. A peer whose name resolves to loopback or to no address on this host is
        omitted.
    type: dict
    suboptions:
      name:
        description: Name of the cluster. It may contain letters, digits, C(.), C(_) and C(-).
        type: str
        required: true
      state:
        description: Whether the rules exist. V(absent) removes the rules and restores the previous port range.
        type: str
        choices: [present, absent]
        default: present
      manager:
        description: Firewall to configure. V(auto) selects firewalld or ufw if it is active, otherwise nftables if C(nft) is installed.
        type: str
        choices: [auto, nftables, firewalld, ufw]
        default: auto
      peers:
        description: IPv4 addresses or networks of the cluster's hosts. V(present) requires this option. An empty list allows no host.
        type: list
        elements: str
      cluster_ports:
        description:
          - TCP ports that Xinference uses between the hosts, such as V(9999) or V(30000-30100), in addition to C(api_port).
          - V(ephemeral) stands for the ephemeral port range of the host, on which the actors listen.
        type: list
        elements: str
        default: [ephemeral]
      api_port:
        description: Port of the API on this host. The peers can reach it too, because a worker asks it for the supervisor's address.
        type: int
      api_networks:
        description:
          - IPv4 addresses or networks that may reach the API. V([0.0.0.0/0]) allows all addresses. An empty list allows only the peers.
        type: list
        elements: str
        default: []
      except_ports:
        description:
          - Ports among C(cluster_ports) for which the module writes no rule, because another program listens on them.
          - The module fails if C(cluster_ports) includes the SSH port of Ansible's connection. List that port here.
        type: list
        elements: int
        default: []
      port_range:
        description:
          - First and last port of the host's ephemeral range (C(net.ipv4.ip_local_port_range)). The module sets it at runtime and in a file
            below C(/etc/sysctl.d). If unset, the module keeps or restores the host's own range.
          - The range applies to every program on the host. Xinference uses it after a restart.
        type: list
        elements: int
"""
