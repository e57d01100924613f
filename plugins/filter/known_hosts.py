# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._command_line import known_hosts

DOCUMENTATION = r"""
name: known_hosts
short_description: Reject a host pattern with names that are not in the inventory
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - If C(hosts) contains an unknown name, Ansible only warns, and the play succeeds. A person who then switches that host off has drained
    nothing. This filter therefore fails for a misspelled name. It does not check wildcards, ranges and regular expressions.
  - With O(playbook), the filter also rejects a command line of that playbook that selects no host or no task through C(--limit), C(--tags)
    or C(--skip-tags). If another playbook imports that playbook, its plays are skipped instead, as in Ansible.
positional: _input, groups
options:
  _input:
    description: Host pattern, as in C(hosts) of a play, or a list of names. The filter omits names of this collection's groups in a list
      that the inventory does not have.
    type: raw
    required: true
  groups:
    description: Groups of the inventory, with the names of their hosts.
    type: dict
    required: true
  playbook:
    description: Name of the playbook of this collection that runs on these hosts.
    type: str
    default: ""
  serial:
    description: Value of C(xinference_serial). The filter rejects one that is no number of hosts and no percentage of them.
    type: raw
    default: 100%
"""

EXAMPLES = r"""
- name: Select two workers
  hosts: "{{ 'gpu02,gpu03' | modelops.inference.known_hosts(groups) }}"
"""

RETURN = r"""
_value:
  description: Unchanged pattern.
  type: str
  sample: gpu02,gpu03
"""


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"known_hosts": known_hosts}
