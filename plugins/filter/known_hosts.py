# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.plugin_utils import _command_line
from ansible_collections.modelops.inference.plugins.plugin_utils._site import selection

DOCUMENTATION = r"""
name: known_hosts
short_description: A pattern of hosts, refused where the inventory does not have the named hosts
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Ansible only warns of a name in C(hosts) that the inventory does not have, and ends well. Somebody who then switches that host off has
    drained nothing. So a misspelled name is an error here. Wildcards, ranges and regular expressions are left to Ansible.
  - With O(playbook), the filter also refuses a command line of that playbook that selects no host or no task, by C(--limit), C(--tags) or
    C(--skip-tags). A playbook that another one imports skips its plays then, as Ansible does.
positional: _input, groups
options:
  _input:
    description: The pattern, as C(hosts) of a play takes it, or a list of names. Of a list, groups of this collection that the inventory
      does not have are left out.
    type: raw
    required: true
  groups:
    description: The groups of the inventory, with the names of their hosts.
    type: dict
    required: true
  playbook:
    description: Name of the playbook of this collection that runs on these hosts.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Two workers
  hosts: "{{ 'gpu02,gpu03' | modelops.inference.known_hosts(groups) }}"
"""

RETURN = r"""
_value:
  description: The same pattern.
  type: str
  sample: gpu02,gpu03
"""


def known_hosts(pattern: str | t.Iterable[str], groups: selection.Groups, playbook: str = "") -> str:
    text = selection.pattern(pattern, groups)
    wrong = _command_line.refusal(text, groups, playbook)
    if wrong:
        raise AnsibleFilterError(wrong)
    return text


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"known_hosts": known_hosts}
