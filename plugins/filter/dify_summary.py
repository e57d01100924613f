# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.module_utils._dify import summary
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

DOCUMENTATION = r"""
name: dify_summary
short_description: What became of each model in each Dify
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Makes one row for each plugin, model and default out of the results of M(modelops.inference.dify_plugin),
    M(modelops.inference.dify_models) and M(modelops.inference.dify_default_models), for a final table.
  - Used by the role C(dify), whose loops over its calls it knows.
positional: _input, targets, sources, not_ready, proofs, complete
options:
  _input:
    description:
      - By C(plugin), C(models) and C(defaults) the results of the module, each with its item of
        P(modelops.inference.dify_calls#filter) as C(_call).
    type: dict
    required: true
  targets:
    description: The variable C(dify_targets).
    type: list
    elements: dict
    required: true
  sources:
    description: What P(modelops.inference.dify_registrations#filter) was given.
    type: list
    elements: dict
    required: true
  not_ready:
    description: As P(modelops.inference.dify_registrations#filter) was given.
    type: bool
    default: false
  proofs:
    description: As P(modelops.inference.dify_registrations#filter) was given.
    type: list
    elements: dict
    default: []
  complete:
    description: As P(modelops.inference.dify_registrations#filter) was given.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: One row a model
  ansible.builtin.debug:
    msg: "{{ {'models': registered.results} | modelops.inference.dify_summary(dify_targets, [xinference_served]) }}"
"""

RETURN = r"""
_value:
  description:
    - Rows with C(dify), C(workspace), C(model), C(type), C(state), C(action) and C(why); of a declared model with C(cluster)
      and C(uid).
  type: list
  elements: dict
  sample:
    - dify: office
      workspace: Research
      model: qwen3-8b
      type: llm
      state: active
      action: register
      why: ""
      cluster: gpu01
      uid: qwen3-8b
"""


def dify_summary(
    results: t.Mapping[str, t.Iterable[t.Mapping[str, t.Any]]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Sequence[t.Mapping[str, t.Any]],
    not_ready: bool = False,
    proofs: t.Sequence[t.Mapping[str, t.Any]] = (),
    complete: bool = True,
) -> list[dict[str, t.Any]]:
    try:
        return summary.summary(results, targets, sources, not_ready=not_ready, proofs=proofs, complete=complete)
    except ModelopsError as exc:
        raise AnsibleFilterError(f"dify_summary: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_summary": dify_summary}
