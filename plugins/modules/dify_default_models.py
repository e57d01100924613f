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
  - Sets which model of each type a Dify workspace takes where an application or a knowledge base names none.
  - A model that is not active in the workspace is refused, with the list of those that are.
  - Each type is set with a request of its own and read back, because Dify keeps the first of several when a later one
    fails. One that fails does not keep the others from being set.
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
      - Reading a default changes Dify where none is set; it then chooses the first active model of the type and stores
        it, and no other request tells a default. So check mode reads a default only where the type has no active model,
        when Dify has nothing to choose. A model in O(pending) that is not active yet cannot be the default, and is told as
        V(set). For every other type it checks that the declared model is active, warns, and says in RV(not_compared) that
        it was not compared.
      - Where O(workspace) is another than the account's current one, check mode does not switch to it and compares nothing.
  idempotent:
    details:
      - Where no default was set and Dify chooses the declared model when it is read, nothing is left to change, and none
        is reported.
options:
  defaults:
    description:
      - The default of each model type, which is V(llm), V(text-embedding), V(rerank), V(speech2text), V(tts) or
        V(moderation). Types that are not named are left alone.
      - A value is the model's name in Dify, or a dictionary with its C(name) and its C(provider).
    type: dict
    required: true
  provider:
    description:
      - Provider of the models that name none.
      - Unset takes Xinference's of the release, V(xinference) before 1.0 and V(langgenius/xinference/xinference) from then
        on.
    type: str
  pending:
    description:
      - Models that an earlier task of the same play registers. In check mode, in which it does not, they count as active.
      - Outside check mode it has no effect.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description: Type of the model in Dify.
        type: str
        required: true
      name:
        description: Its name in Dify.
        type: str
        required: true
notes:
  - A run that changes nothing sends 3 requests without O(session_file), and two for each type. A changed default costs two
    more.
seealso:
  - module: modelops.inference.dify_models
  - module: modelops.inference.dify_info
"""

EXAMPLES = r"""
- name: Set the defaults of a workspace
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
  description: Dify's version.
  returned: when the workspace was read
  type: str
  sample: 1.12.1
workspace:
  description: The workspace worked in.
  returned: when the workspace was read
  type: dict
  contains:
    id:
      description: Its ID, a UUID.
      type: str
      sample: 5a0c8f1e-1b54-4f7e-9d43-9f4f0a3f4b11
    name:
      description: Its name.
      type: str
      sample: Research
defaults:
  description: What became of each default, in Dify's order of the types.
  returned: when the workspace was read
  type: list
  elements: dict
  contains:
    type:
      description: The model type.
      type: str
      sample: llm
    name:
      description: As declared.
      type: str
      sample: qwen3-8b
    provider:
      description: As declared, or the default one.
      type: str
      sample: langgenius/xinference/xinference
    action:
      description: What was done, or in check mode would be done, V(none) or V(set); V(unknown) where it was not compared.
      type: str
      sample: set
    error:
      description: Why it failed, with what to do. Only there where it did.
      type: str
plan:
  description: One line for each change.
  returned: when the workspace was read
  type: list
  elements: str
  sample: ["~ set default llm (name qwen2.5 -> qwen3-8b)"]
not_compared:
  description: What was not compared, and why. Only there in check mode.
  returned: check mode
  type: str
requests:
  description: Number of requests sent, by verb.
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
