# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.filter.role_variables import role_variables

DOCUMENTATION = r"""
name: cluster_members
short_description: Supervisor and workers of each cluster of an inventory
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Hosts of the groups C(xinference_supervisors) and C(xinference_workers) with the same C(xinference_cluster) are a cluster.
  - Fails where a cluster has no supervisor or several of them, and where a host of a cluster is in C(xinference_local), too.
positional: _input, hostvars
options:
  _input:
    description: The inventory's groups, as C(groups) has them.
    type: dict
    required: true
  hostvars:
    description:
      - The variables of all hosts. Of each host C(xinference_cluster), C(xinference_host), C(xinference_port),
        C(xinference_supervisor_port), C(xinference_worker_port) and C(ansible_host) are read, with the defaults of the role C(xinference).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Who belongs together
  ansible.builtin.set_fact:
    xinference_clusters: "{{ groups | modelops.inference.cluster_members(hostvars) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - By name of the cluster its C(supervisor) and its C(workers), each with the C(host)'s name in the inventory, the C(address) by
      which the other hosts reach it, and the C(port) of the API, or of the worker.
    - C(hosts) has each of them once, with its C(name), its C(address) and all its C(ports), as
      O(modelops.inference.xinference_network_info#module:peers) takes them.
  type: dict
  sample:
    default:
      supervisor: {host: gpu01, address: 10.1.2.3, port: 9997}
      workers: [{host: gpu02, address: 10.1.2.4, port: 9998}]
      hosts:
        - {name: gpu01, address: 10.1.2.3, ports: [9997, 9999]}
        - {name: gpu02, address: 10.1.2.4, ports: [9998]}
"""

SUPERVISORS = "xinference_supervisors"
WORKERS = "xinference_workers"
LOCAL = "xinference_local"
# Of a cluster that has no name, as the role's defaults have it.
UNNAMED = "default"


def _row(host: str, variables: t.Any, port: str) -> dict[str, t.Any]:
    address = variables.get("xinference_host") or variables.get("ansible_host") or host
    return {"host": host, "address": str(address), "port": _port(variables, port)}


def _port(variables: t.Any, name: str) -> int:
    """A port of another host, whose variables hold no defaults of roles: those are read here."""
    return int(role_variables(variables, [name])[name])


def cluster_members(groups: t.Mapping[str, t.Sequence[str]], hostvars: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    supervisors, workers = groups.get(SUPERVISORS, []), groups.get(WORKERS, [])
    both = sorted(set(groups.get(LOCAL, [])) & {*supervisors, *workers})
    if both:
        raise AnsibleFilterError(
            f"{', '.join(both)}: in {LOCAL} and in {SUPERVISORS} or {WORKERS}, too. A host has a server of its own, or "
            "belongs to a cluster: take it out of one of the groups."
        )
    clusters: dict[str, dict[str, t.Any]] = {}
    for host in supervisors:
        name = str(hostvars[host].get("xinference_cluster", UNNAMED))
        if name in clusters:
            raise AnsibleFilterError(
                f"cluster '{name}' has two supervisors, {clusters[name]['supervisor']['host']} and {host}. Leave one in "
                f"{SUPERVISORS}, or give the clusters names of their own with xinference_cluster."
            )
        row = _row(host, hostvars[host], "xinference_port")
        ports = [row["port"], _port(hostvars[host], "xinference_supervisor_port")]
        peer = {"name": host, "address": row["address"], "ports": ports}
        clusters[name] = {"supervisor": row, "workers": [], "hosts": [peer]}
    for host in workers:
        name = str(hostvars[host].get("xinference_cluster", UNNAMED))
        if name not in clusters:
            raise AnsibleFilterError(
                f"{host}: its cluster '{name}' has no supervisor. Put a host with xinference_cluster: {name} into "
                f"{SUPERVISORS}; there are supervisors of {', '.join(sorted(clusters)) or 'no cluster'}."
            )
        row = _row(host, hostvars[host], "xinference_worker_port")
        clusters[name]["workers"].append(row)
        if host == clusters[name]["supervisor"]["host"]:
            clusters[name]["hosts"][0]["ports"].append(row["port"])
        else:
            clusters[name]["hosts"].append({"name": host, "address": row["address"], "ports": [row["port"]]})
    return clusters


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cluster_members": cluster_members}
