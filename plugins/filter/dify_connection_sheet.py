# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.module_utils._dify import sheet
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

DOCUMENTATION = r"""
name: dify_connection_sheet
short_description: What a person enters in Dify for a cluster
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - For each model of a cluster the fields of Dify's dialog (Settings > Model Providers > Xinference), in its words.
  - Of the API key only the place where it is kept. Where a Dify has the model already, its state there.
positional: _input, kept, results, targets
options:
  _input:
    description: The variable C(xinference_served) of the cluster.
    type: dict
    required: true
  kept:
    description: Where the API key is kept, as a person finds it. Empty where the server needs none.
    type: str
    default: ""
  results:
    description: What P(modelops.inference.dify_summary#filter) returned.
    type: list
    elements: dict
    default: []
  targets:
    description: The variable C(dify_targets). Where one of them has a model under another name, type or server URL, that is told.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ xinference_served | modelops.inference.dify_connection_sheet('in the vault') }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def dify_connection_sheet(
    source: t.Mapping[str, t.Any],
    kept: str = "",
    results: t.Sequence[t.Mapping[str, t.Any]] = (),
    targets: t.Sequence[t.Mapping[str, t.Any]] = (),
) -> list[str]:
    try:
        return sheet.connection_sheet(source, kept=kept, results=results, targets=targets)
    except ModelopsError as exc:
        raise AnsibleFilterError(f"dify_connection_sheet: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_connection_sheet": dify_connection_sheet}
