# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: known_hosts
short_description: A pattern of hosts, refused where the inventory does not have what it names
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Of a name in C(hosts) that no inventory has, Ansible warns, and ends well. Somebody who then switches that host off has drained
    nothing. So a misspelt name is an error here. Wildcards, ranges and regular expressions are left to Ansible.
positional: _input, groups
options:
  _input:
    description: The pattern, as C(hosts) of a play takes it.
    type: str
    required: true
  groups:
    description: The groups of the inventory, with the names of their hosts.
    type: dict
    required: true
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


def known_hosts(pattern: str | t.Iterable[str], groups: t.Mapping[str, t.Iterable[str]]) -> str:
    text = pattern if isinstance(pattern, str) else ",".join(pattern)
    names = [name.lstrip("&!").strip() for name in re.split("[,:]", text)]
    known = {*groups, *(host for hosts in groups.values() for host in hosts)}
    unknown = [name for name in names if name and name not in known and not re.search(r"[*?~\[\]]", name)]
    if unknown and not re.search(r"[~\[\]]", text):
        raise AnsibleFilterError(
            f"{', '.join(unknown)}: no host and no group of this inventory has that name. Nothing was changed."
        )
    return text


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"known_hosts": known_hosts}
