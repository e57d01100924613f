#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_workspaces
short_description: Make all workspaces of a Dify have what clusters serve
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Does with one login, and in one call, what M(modelops.inference.dify_plugin), M(modelops.inference.dify_models) and
    M(modelops.inference.dify_default_models) do in each workspace of an account. Before that it asks Xinference at the addresses
    that this Dify uses, as M(modelops.inference.xinference_probe) does.
  - O(task) makes it read the workspaces instead, as M(modelops.inference.dify_info) does, or replace keys in them, as
    M(modelops.inference.dify_key) does.
  - It does not fail where a workspace does, so that the others are done. RV(workspaces) has the reason.
  - The role P(modelops.inference.dify#role) calls it once for each Dify, and judges the result.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._http
attributes:
  check_mode:
    support: partial
    details:
      - As the modules that it does the work of. Of another workspace than the account's current one nothing is compared.
options:
  task:
    description: V(register) has plugin, models and defaults in each workspace, V(read) and V(replace_keys) do what they say.
    type: str
    choices: [register, read, replace_keys]
    default: register
  targets:
    description:
      - Items of C(dify_targets) of the role P(modelops.inference.dify#role) that have this Dify and this account, without the
        connection and the login.
    type: list
    elements: dict
    required: true
  clusters:
    description: The clusters that the Dify gets models of.
    type: list
    elements: dict
    default: []
    suboptions:
      cluster:
        description: Name of the cluster.
        type: str
        required: true
      url:
        description: Address of its Xinference as other machines see it.
        type: str
        default: ""
      api_key_file:
        description: File on its host that holds the key for clients. It is not read; empty says that the server needs none.
        type: str
        default: ""
      api_key:
        description: Its key for clients, for V(replace_keys) the new one.
        type: str
      models:
        description: Its models, as C(models) of C(xinference_served) has them; see docs/dify.md.
        type: list
        elements: dict
        default: []
      old:
        description: For V(replace_keys), the first characters of its old keys.
        type: list
        elements: str
        default: []
  complete:
    description: Whether O(clusters) are all clusters of the site. Models are only removed where they are.
    type: bool
    default: false
  asked_on:
    description: Name of the machine that runs the module, for errors.
    type: str
    default: localhost
notes:
  - A run that changes nothing sends one login for all workspaces, and one request for each address of Xinference.
seealso:
  - module: modelops.inference.dify_models
"""

EXAMPLES = r"""
- name: Read two workspaces with one login
  modelops.inference.dify_workspaces:
    url: https://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    task: read
    targets:
      - name: office
        workspaces: [Research, Support]
  delegate_to: localhost
"""

RETURN = r"""
workspaces:
  description:
    - For each workspace of each target a row with the name of the C(target), the C(workspace) as it was given, and the results of
      the modules as C(plugin), C(models) and C(defaults), as C(read), or as C(keys).
    - A result with C(msg) is of a step that failed, one with C(skipped) of a step that was not wanted or not tried.
  returned: success
  type: list
  elements: dict
proofs:
  description: Whether Xinference serves the models at the addresses that the Dify uses, as rows with C(dify), C(url) (without a login),
    C(cluster), C(uid), C(ok) and C(why).
  returned: success
  type: list
  elements: dict
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["+ register llm qwen3-8b (http://10.1.2.3:9997)"]
"""

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs import workspaces


def main() -> None:
    module = _module.Module(argument_spec=workspaces.OPTIONS, supports_check_mode=True, **_connection.ACCOUNT_RULES)
    _module.run(module, workspaces.work)


if __name__ == "__main__":
    main()
