# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify import proof

DOCUMENTATION = r"""
name: dify_proofs
short_description: Whether the models are served where Difys are to use them
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Judges the answers to what P(modelops.inference.dify_questions#filter) asks. What was seen from a Dify's own network counts
    more than what this machine saw.
positional: _input, sources, targets, hooked, asked_on
options:
  _input:
    description: Results of M(modelops.inference.xinference_probe), each with its question as C(_question).
    type: list
    elements: dict
    required: true
  sources:
    description: What P(modelops.inference.dify_questions#filter) was given.
    type: list
    elements: dict
    required: true
  targets:
    description: The variable C(dify_targets).
    type: list
    elements: dict
    required: true
  hooked:
    description: Results of the commands, each with its question as C(_question).
    type: list
    elements: dict
    required: true
  asked_on:
    description: The machine that the probes ran on.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: What was not found
  ansible.builtin.debug:
    msg: "{{ proofs | rejectattr('ok') | map(attribute='why') }}"
  vars:
    proofs: "{{ probed.results | modelops.inference.dify_proofs([xinference_served], dify_targets, [], 'localhost') }}"
"""

RETURN = r"""
_value:
  description: Rows with C(dify), C(url) (without the user in it), C(cluster), C(uid), C(ok) and C(why).
  type: list
  elements: dict
"""


def dify_proofs(
    probed: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Sequence[t.Mapping[str, t.Any]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
    hooked: t.Sequence[t.Mapping[str, t.Any]],
    asked_on: str,
) -> list[dict[str, t.Any]]:
    return proof.verdicts(sources, targets, probed, hooked, asked_on)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_proofs": dify_proofs}
