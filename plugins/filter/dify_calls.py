# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify import registrations

DOCUMENTATION = r"""
name: dify_calls
short_description: What is called for each workspace of each Dify
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Makes one item for each workspace of each target, for the loops of the role C(dify). The items hold no secret, because what
    is looped over is shown.
positional: _input
options:
  _input:
    description: The variable C(dify_targets).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Where something is called
  ansible.builtin.debug:
    msg: "{{ dify_targets | modelops.inference.dify_calls | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description:
    - Items with the number of the target (C(key)), its C(name), the C(workspace), the wanted state of the C(plugin), whether
      C(models) and C(defaults) are called, and how many calls log in (C(logins)).
  type: list
  elements: dict
"""


def dify_calls(targets: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    return registrations.calls(targets)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_calls": dify_calls}
