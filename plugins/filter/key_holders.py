# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify import rotation

DOCUMENTATION = r"""
name: key_holders
short_description: Who may still have the old key of a cluster
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Tells by the results of M(modelops.inference.dify_key) why the old key must stay valid. A Dify that could not be asked may have it.
positional: _input, cluster
options:
  _input:
    description: Results of the module, each with its item of P(modelops.inference.dify_calls#filter) as C(_call).
    type: list
    elements: dict
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Why the old key stays valid
  ansible.builtin.debug:
    msg: "{{ replaced.results | modelops.inference.key_holders('gpu01') }}"
"""

RETURN = r"""
_value:
  description: Sentences, none where the old key can be revoked.
  type: list
  elements: str
"""


def key_holders(results: t.Iterable[t.Mapping[str, t.Any]], cluster: str) -> list[str]:
    return rotation.holders(results, cluster)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"key_holders": key_holders}
