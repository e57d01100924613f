#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_default_models
short_description: Set the default models of a Dify workspace
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Sets the default model of each type in a Dify workspace. Dify uses it for applications and knowledge bases that select no model.
  - The module rejects a model that is not active in the workspace and lists the active models.
  - The module sets each type with a separate request and reads it back. If one request had several changes, Dify would keep the first ones
    when a later one fails. A failed type does not block the others.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._dify.workspace
  - modelops.inference._http
attributes:
  check_mode:
    support: partial
    details:
      - In Dify, reading an unset default is a change, because Dify then selects and stores the first active model of the type. No other
        request returns a default. Therefore check mode reads a default only if the type has no active model and Dify cannot select one. In
        that case a model in O(pending) counts as a change and is reported as V(set). For every other type, check mode verifies that the
        declared model is active, warns, and lists the type in RV(not_compared).
      - If O(workspace) is not the account's current workspace, check mode does not switch to it and compares nothing.
  idempotent:
    details:
      - If no default is set and Dify selects the declared model when the module reads it, no change remains, and the module reports none.
options:
  defaults:
    description:
      - Default models by model type, which is V(llm), V(text-embedding), V(rerank), V(speech2text), V(tts) or V(moderation). The module
        does not change types that are not listed.
      - A value is the model's name in Dify, or a dictionary with its C(name) and its C(provider).
    type: dict
    required: true
  provider:
    description:
      - Provider of the models for which no provider is set.
      - The default is Xinference's provider in the Dify release, V(xinference) before 1.0 and V(langgenius/xinference/xinference) since
        1.0.
    type: str
  pending:
    description:
      - Models that an earlier task of the same play registers. In check mode they count as active, because that task does not register them
        then.
      - Outside check mode this option has no effect.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description: Type of the model in Dify.
        type: str
        required: true
      name:
        description: Name of the model in Dify.
        type: str
        required: true
notes:
  - A run that changes nothing sends 3 requests without O(session_file), and two for each type. A changed default requires two more
    requests.
seealso:
  - module: modelops.inference.dify_models
  - module: modelops.inference.dify_info
"""

EXAMPLES = r"""
- name: Set the default models of a workspace
  modelops.inference.dify_default_models:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    workspace: Research
    defaults:
      llm: qwen3-8b
      text-embedding: bge-m3
      rerank:
        name: rerank-multilingual
        provider: langgenius/cohere/cohere
  delegate_to: localhost
"""

RETURN = r"""
version:
  description: Version of Dify.
  returned: when the workspace was read
  type: str
  sample: 1.12.1
workspace:
  description: Workspace that the module used.
  returned: when the workspace was read
  type: dict
  contains:
    id:
      description: ID of the workspace, a UUID.
      type: str
      sample: 5a0c8f1e-1b54-4f7e-9d43-9f4f0a3f4b11
    name:
      description: Name of the card.
      type: str
      sample: Research
defaults:
  description: Result for each default, in Dify's order of the types.
  returned: when the workspace was read
  type: list
  elements: dict
  contains:
    type:
      description: Model type.
      type: str
      sample: llm
    name:
      description: Name as declared.
      type: str
      sample: qwen3-8b
    provider:
      description: Provider as declared, or the default provider.
      type: str
      sample: langgenius/xinference/xinference
    action:
      description:
        - Change that the module made, or would make in check mode, either V(none) or V(set). V(unknown) if the module did not compare the
          default.
      type: str
      sample: set
    error:
      description: Reason of the failure and its remedy. Returned only on failure.
      type: str
plan:
  description: One line for each change.
  returned: when the workspace was read
  type: list
  elements: str
  sample: ["~ set default llm (name qwen2.5 -> qwen3-8b)"]
not_compared:
  description: Types that the module did not compare, with the reason. Returned only in check mode.
  returned: check mode
  type: str
requests:
  description: Number of requests by HTTP method.
  returned: when the workspace was read
  type: dict
  sample: {"GET": 6, "POST": 1}
"""

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs import workspace_step
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.defaults_step import DefaultsStep


def main() -> None:
    module = _module.Module(
        argument_spec={**DefaultsStep.OPTIONS, **_connection.DIFY_OPTIONS},
        supports_check_mode=True,
        **_connection.DIFY_RULES,
    )
    _module.run(module, lambda module: workspace_step.run(module, DefaultsStep))


if __name__ == "__main__":
    main()
