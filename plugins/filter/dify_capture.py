# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify import capture

DOCUMENTATION = r"""
name: dify_capture
short_description: What Difys have registered, as dify_targets
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Makes C(dify_targets) out of what each workspace has, so that the role C(dify) adopts it and changes nothing.
  - Passwords, admin keys and URLs with a user in them become references to variables. The models' keys stay as they
    are, because Dify tells none.
positional: _input, targets, sources
options:
  _input:
    description: Results of M(modelops.inference.dify_info) with its credentials, each with its item of
      P(modelops.inference.dify_calls#filter) as C(_call).
    type: list
    elements: dict
    required: true
  targets:
    description: The variable C(dify_targets), of which the connections are taken.
    type: list
    elements: dict
    required: true
  sources:
    description:
      - Of each cluster its name (C(cluster)), its address as other machines see it (C(url)), and the UIDs of the models that it
        declares (C(uids)). Models with other UIDs are left out, with a note.
      - Where several declare one UID, a registration is that of the cluster at its address, by C(server_urls) of the target,
        by C(url), or by models that only one cluster declares. Where none of them tells, it is left out, with a note.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: What is there
  ansible.builtin.debug:
    msg: "{{ (read.results | modelops.inference.dify_capture(dify_targets, sources)).targets }}"
  vars:
    sources: [{cluster: gpu01, url: 'http://10.1.2.3:9997', uids: [qwen3-8b, bge-m3]}]
"""

RETURN = r"""
_value:
  description: What was found.
  type: dict
  contains:
    targets:
      description: The value of C(dify_targets).
      type: list
      elements: dict
    variables:
      description: Name of each variable that the targets refer to, and what it has to hold.
      type: dict
    notes:
      description: What is there and was not captured.
      type: list
      elements: str
"""


def dify_capture(
    results: t.Sequence[t.Mapping[str, t.Any]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Sequence[t.Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    return capture.capture(results, targets, sources)._asdict()


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_capture": dify_capture}
