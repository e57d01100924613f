# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.module_utils._dify import proof
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

DOCUMENTATION = r"""
name: dify_questions
short_description: What Xinference is to be asked before models are registered with Difys
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Tells which UIDs have to be served at which address, as the Difys are to use it. Of models that Xinference does not serve
    now nothing is asked.
positional: _input, targets
options:
  _input:
    description: The variables C(xinference_served) of the clusters.
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
- name: Show the addresses
  ansible.builtin.debug:
    msg: "{{ ([xinference_served] | modelops.inference.dify_questions(dify_targets)).probes | map(attribute='url') }}"
"""

RETURN = r"""
_value:
  description: The questions.
  type: dict
  contains:
    probes:
      description: For each address and cluster once C(url), C(cluster) and C(uids).
      type: list
      elements: dict
    hooks:
      description:
        - For each target with C(prove_from) the same, the number of the target (C(key)) and the command (C(argv)) that runs a
          Python program from its standard input in that Dify's network.
      type: list
      elements: dict
"""


def dify_questions(
    sources: t.Sequence[t.Mapping[str, t.Any]], targets: t.Sequence[t.Mapping[str, t.Any]]
) -> dict[str, list[dict[str, t.Any]]]:
    try:
        return proof.questions(sources, targets)
    except ModelopsError as exc:
        raise AnsibleFilterError(f"dify_questions: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_questions": dify_questions}
