# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.module_utils._dify import registrations
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

DOCUMENTATION = r"""
name: dify_registrations
short_description: What a Dify is to have of what clusters serve
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Maps models of Xinference to the list that M(modelops.inference.dify_models) takes. LLM becomes C(llm), embedding
    C(text-embedding), rerank C(rerank), audio C(speech2text) or C(tts) by its abilities.
  - Models that Dify has no type for are left out with a reason. So are models that Xinference does not serve now, and those
    that were not found at the address that Dify is to use; these are pending, so that nothing happens to them and nothing is pruned.
positional: _input, target, not_ready, proofs, complete
options:
  _input:
    description: The variables C(xinference_served) of the clusters, each with the key that its C(api_key_file) holds as C(api_key).
    type: list
    elements: dict
    required: true
  target:
    description:
      - An item of C(dify_targets). Of it C(models) (a selector by C(clusters), C(tags), C(types), C(uids)), C(server_url),
        C(server_urls) (by cluster), C(model_name), C(overrides), C(credential_name) and C(defaults) are used.
    type: dict
    required: true
  proofs:
    description: What P(modelops.inference.dify_proofs#filter) returned.
    type: list
    elements: dict
    default: []
  not_ready:
    description: Take models that are not served yet, too, as check mode has to.
    type: bool
    default: false
  complete:
    description:
      - Whether the input is all clusters. Where it is not, models that are declared absent are ignored, because another
        cluster may serve them now.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: What the first target is to have
  ansible.builtin.debug:
    msg: "{{ [xinference_served] | modelops.inference.dify_registrations(dify_targets[0]) }}"
"""

RETURN = r"""
_value:
  description: The models, and what was left out.
  type: dict
  contains:
    models:
      description: As O(modelops.inference.dify_models#module:models).
      type: list
      elements: dict
    defaults:
      description: As O(modelops.inference.dify_default_models#module:defaults), with names in place of UIDs.
      type: dict
    server_urls:
      description: Xinference's addresses as this Dify uses them.
      type: list
      elements: str
    skipped:
      description: What was left out, each with C(cluster), C(uid), C(model), C(type), C(state) (skipped, failed) and C(why).
      type: list
      elements: dict
"""


def dify_registrations(
    sources: t.Sequence[t.Mapping[str, t.Any]],
    target: t.Mapping[str, t.Any],
    not_ready: bool = False,
    proofs: t.Sequence[t.Mapping[str, t.Any]] = (),
    complete: bool = True,
) -> dict[str, t.Any]:
    try:
        return registrations.registrations(sources, target, not_ready=not_ready, proofs=proofs, complete=complete)
    except ModelopsError as exc:
        raise AnsibleFilterError(f"dify_registrations: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dify_registrations": dify_registrations}
