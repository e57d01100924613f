# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import os
import typing as t

import yaml
from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: role_variables
short_description: Variables of this collection's roles as another host has them
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - The inventory's value of a host, else the default of the role. C(hostvars) of another host have no defaults of roles, and those of
    this host are not that host's where this one's groups say otherwise.
positional: _input, names
options:
  _input:
    description: The variables of the host, as C(hostvars) has them.
    type: dict
    required: true
  names:
    description: Names of variables of the roles C(xinference) and C(models). Fails where one has no default.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: What the supervisor serves
  ansible.builtin.debug:
    msg: "{{ (hostvars['gpu01'] | modelops.inference.role_variables(['xinference_models'])).xinference_models }}"
"""

RETURN = r"""
_value:
  description: The value of each name.
  type: dict
  sample: {xinference_models: [{uid: bge-m3, type: embedding}]}
"""

ROLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "roles")


@functools.cache
def defaults() -> dict[str, t.Any]:
    """The defaults of the roles, which hold no templates where they are asked for here."""
    found: dict[str, t.Any] = {}
    for role in ("models", "xinference"):
        with open(os.path.join(ROLES, role, "defaults", "main.yml"), encoding="utf-8") as file:
            found.update(yaml.safe_load(file))
    return found


def role_variables(variables: t.Any, names: t.Sequence[str]) -> dict[str, t.Any]:
    unknown = sorted(set(names) - set(defaults()))
    if unknown:
        raise AnsibleFilterError(f"{', '.join(unknown)}: no such variable of the roles xinference and models")
    found = {name: variables.get(name) for name in names}
    return {name: defaults()[name] if value is None else value for name, value in found.items()}


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"role_variables": role_variables}
