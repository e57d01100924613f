# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify import refusals

DOCUMENTATION = r"""
name: dify_unknown
short_description: What targets name and no cluster declares
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Tells which values of the selectors, which UIDs of the overrides and which defaults are none of what the clusters declare,
    with the nearest that is. Only where the clusters are all of them is that a mistake.
positional: _input, targets
options:
  _input:
    description: The variables C(xinference_declared) of the clusters.
    type: list
    elements: dict
    required: true
  targets:
    description: The variable C(dify_targets).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse what matches nothing
  ansible.builtin.assert:
    that: unknown | length == 0
    fail_msg: "{{ unknown }}"
  vars:
    unknown: "{{ [xinference_declared] | modelops.inference.dify_unknown(dify_targets) }}"
"""

RETURN = r"""
_value:
  description: Sentences. None where everything is known.
  type: list
  elements: str
"""


def dify_unknown(sources: t.Sequence[t.Mapping[str, t.Any]], targets: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    return refusals.unknown(sources, targets)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_unknown": dify_unknown}
