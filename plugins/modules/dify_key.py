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
  - Finds each credential of the provider's models that contains an old key, whoever registered the model, and stores the new key in it. The
    other values of the credential stay unchanged.
  - Dify shows the first six characters of a key. The module finds the credentials by these characters.
  - In Dify 1.8 and later, the module also replaces the key in inactive credentials, because users and Dify's load balancing can switch to
    them. Dify before 1.8 does not show the keys of load balancing, so they stay unchanged.
  - Dify tests the model before it stores a key, and the module reads the key back.
  - A failed model does not block the others. The module then fails at its end.
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
      - The current workspace is a state that Dify keeps for the account. If O(workspace) is not the current one, check mode does not switch
        to it and compares nothing. It warns and sets RV(not_compared).
options:
  provider:
    description: ID of the provider in Dify. The default depends on the release, as in M(modelops.inference.dify_models).
    type: str
  keys:
    description: Keys to replace, one item for each Xinference server or cluster.
    type: list
    elements: dict
    required: true
    suboptions:
      cluster:
        description: Name of the cluster or server, for RV(models).
        type: str
        required: true
      old:
        description: First characters of the old keys, at least six, as M(modelops.inference.xinference_key) returns them.
        type: list
        elements: str
        required: true
      new:
        description: New key. Required outside check mode.
        type: str
"""

EXAMPLES = r"""
- name: Store the new key in a workspace
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
  description: Version of Dify.
  returned: when the models were read
  type: str
  sample: 1.12.1
workspace:
  description: Workspace that the module used, with C(id) and C(name).
  returned: when the models were read
  type: dict
models:
  description: One row for each credential that contained an old key, and for each model that could not be read.
  returned: when the models were read
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model in Dify.
      type: str
      sample: qwen3-8b
    type:
      description: Type of the model in Dify.
      type: str
      sample: llm
    cluster:
      description: Cluster or server of the old key, or V(null) if the model could not be read.
      type: str
      sample: gpu01
    action:
      description: V(update), or V(unknown) if the model could not be read.
      type: str
      sample: update
    error:
      description: Reason why the old key may still be in use. Returned only in that case.
      type: str
plan:
  description: One line for each change. Outside check mode, the changes that were made.
  returned: when the models were read
  type: list
  elements: str
  sample: ["~ update llm qwen3-8b (credential 'modelops.inference', api_key (hidden))"]
not_compared:
  description: Reason why nothing was compared. Returned only in check mode with a workspace that is not the current one.
  returned: check mode
  type: str
requests:
  description: Number of requests by HTTP method.
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
