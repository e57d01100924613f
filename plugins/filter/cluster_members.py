# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site import clusters

DOCUMENTATION = r"""
name: cluster_members
short_description: Return the supervisor and workers of each cluster in an inventory
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Hosts of the groups C(xinference_supervisors) and C(xinference_workers) with the same C(xinference_cluster) form a cluster.
  - The filter fails if a cluster has no supervisor or several supervisors, and if a host of a cluster is also in C(xinference_local).
positional: _input, hostvars
options:
  _input:
    description: Groups of the inventory, as in C(groups).
    type: dict
    required: true
  hostvars:
    description: Variables of all hosts. For each host, the filter reads C(xinference_cluster), C(xinference_host), C(xinference_port),
      C(xinference_supervisor_port), C(xinference_worker_port) and C(ansible_host), with the defaults of the role C(xinference).
    type: dict
    required: true
  strict:
    description: Whether the filter fails if the clusters of the inventory are invalid. With V(false), the result is empty then. Use
      V(false) in plays that validate the variables of each host afterwards.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Show the hosts of each cluster
  ansible.builtin.set_fact:
    xinference_clusters: "{{ groups | modelops.inference.cluster_members(hostvars) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - For each cluster name, its C(supervisor) and its C(workers). Each has C(host), the name in the inventory, C(address), by which the
      other hosts reach it, and C(port), of the API or of the worker.
    - C(hosts) contains each host once, with its C(name), its C(address) and all its C(ports), as in
      O(modelops.inference.xinference_network_info#module:peers).
  type: dict
  sample:
    default:
      supervisor: {host: gpu01, address: 10.1.2.3, port: 9997}
      workers: [{host: gpu02, address: 10.1.2.4, port: 9998}]
      hosts:
        - {name: gpu01, address: 10.1.2.3, ports: [9997, 9999]}
        - {name: gpu02, address: 10.1.2.4, ports: [9998]}
"""


def cluster_members(
    groups: t.Mapping[str, t.Sequence[str]], hostvars: t.Mapping[str, t.Any], strict: bool = True
) -> dict[str, t.Any]:
    try:
        clusters.refuse_one_machine(groups, lambda host: hostvars[host])
    except ModelopsError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    try:
        return clusters.members(groups, lambda host: hostvars[host])
    except Exception as exc:  # a template of a host's variables may raise anything
        if not strict:
            return {}
        if isinstance(exc, ModelopsError):
            raise AnsibleFilterError(str(exc)) from exc
        raise


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cluster_members": cluster_members}
