# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify

DOCUMENTATION = r"""
name: dify_refusals
short_description: What cannot work of registering declared models with Difys
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Tells before anything is installed or launched what the module M(modelops.inference.dify_models) would refuse at the
    end. That is a server URL that a Dify in containers cannot reach, one model of Dify given twice, a target that
    would prune what another one registers, one without credentials or with options that exclude each other, overrides
    and defaults that say what Dify does not know, and a plugin's file that cannot be read.
positional: _input, targets, from_here, bundle
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
  from_here:
    description: Whether the machine that runs Ansible speaks to Dify, so that a plugin's file has to be there.
    type: bool
    default: false
  bundle:
    description: Directory of a bundle on the machine that runs Ansible, of which plugins' files are taken; empty for none.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  ansible.builtin.assert:
    that: refused | length == 0
    fail_msg: "{{ refused | join('\n') }}"
  vars:
    refused: "{{ [xinference_declared] | modelops.inference.dify_refusals(dify_targets) }}"
"""

RETURN = r"""
_value:
  description: Sentences, each with what to do. None where nothing is wrong.
  type: list
  elements: str
"""


def dify_refusals(
    sources: t.Sequence[t.Mapping[str, t.Any]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
    from_here: bool = False,
    bundle: str = "",
) -> list[str]:
    return dify.wrong(sources, targets, from_here, bundle)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_refusals": dify_refusals}
