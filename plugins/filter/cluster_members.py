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
  strict:
    description: Whether an inventory without valid clusters fails. With V(false) the result is then empty, for plays that validate the
      variables of each host after this.
    type: bool
    default: true
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
