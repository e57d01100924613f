#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_key
short_description: Replace a key in the Xinference models of a Dify workspace
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Finds each credential of the provider's models that holds an old key, whoever registered the model, and stores the new key in it.
    All else of the credential stays as it is.
  - Dify shows the first six characters of a key. By these a credential is found.
  - From Dify 1.8 on it replaces the key in credentials that are not active, too, because people and Dify's load balancing can change to
    them. Before 1.8 the keys of load balancing are not shown, and stay.
  - Dify tries the model before it stores a key, and the module reads the key back.
  - One model that fails does not keep the others from getting the new key. The module then fails at the end.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._dify.workspace
  - modelops.inference._http
attributes:
  check_mode:
    details:
      - Which workspace is current is state that Dify keeps for the account. Where O(workspace) is another than the
        current one, check mode does not switch to it, compares nothing, warns, and says so in RV(not_compared).
options:
  provider:
    description: The provider's ID in Dify. Unset takes the one of the release, as M(modelops.inference.dify_models) does.
    type: str
  keys:
    description: The keys that are replaced, one item for each Xinference.
    type: list
    elements: dict
    required: true
    suboptions:
      cluster:
        description: Name of the Xinference, for RV(models).
        type: str
        required: true
      old:
        description: First characters of its old keys, at least six, as M(modelops.inference.xinference_key) returns them.
        type: list
        elements: str
        required: true
      new:
        description: Its new key. Required outside check mode.
        type: str
"""

EXAMPLES = r"""
- name: Give a workspace the new key
  modelops.inference.dify_key:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    keys:
      - cluster: gpu01
        old: [xf-EmRo]
        new: "{{ new_key }}"
  delegate_to: localhost
"""

RETURN = r"""
version:
  description: Dify's version.
  returned: when the models were read
  type: str
  sample: 1.12.1
workspace:
  description: The workspace worked in, with C(id) and C(name).
  returned: when the models were read
  type: dict
models:
  description: A row for each credential that held an old key, and for each model that could not be read.
  returned: when the models were read
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model in Dify.
      type: str
      sample: qwen3-8b
    type:
      description: Its type in Dify.
      type: str
      sample: llm
    cluster:
      description: Whose key it held, V(null) where the model could not be read.
      type: str
      sample: gpu01
    action:
      description: V(update), or V(unknown) where the model could not be read.
      type: str
      sample: update
    error:
      description: Why the old key may still be there. Only there where it may.
      type: str
plan:
  description: One line for each change. Outside check mode those that were made.
  returned: when the models were read
  type: list
  elements: str
  sample: ["~ update llm qwen3-8b (credential 'modelops.inference', api_key (hidden))"]
not_compared:
  description: Why nothing was compared. Only there in check mode, with another workspace than the current one.
  returned: check mode
  type: str
requests:
  description: Number of requests sent, by verb.
  returned: when the models were read
  type: dict
  sample: {"GET": 5, "POST": 1, "PUT": 1}
"""

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs import workspace_step
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.key_step import KeyStep


def main() -> None:
    module = _module.Module(
        argument_spec={**KeyStep.OPTIONS, **_connection.DIFY_OPTIONS},
        supports_check_mode=True,
        **_connection.DIFY_RULES,
    )
    _module.run(module, lambda module: workspace_step.run(module, KeyStep))


if __name__ == "__main__":
    main()
