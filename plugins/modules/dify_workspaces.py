#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_workspaces
short_description: Register the models of clusters in all workspaces of a Dify
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Combines M(modelops.inference.dify_plugin), M(modelops.inference.dify_models) and M(modelops.inference.dify_default_models) for all
    workspaces of an account, in one call and with one login. Before that, it verifies Xinference at the addresses that this Dify uses, as
    M(modelops.inference.xinference_probe) does.
  - With O(task), the module can also read the workspaces, as M(modelops.inference.dify_info) does, or replace keys, as
    M(modelops.inference.dify_key) does.
  - A failed workspace does not block the others and does not fail the module. RV(workspaces) contains the reason.
  - The role P(modelops.inference.dify#role) calls the module once for each Dify and evaluates the result.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_dify
  - modelops.inference._dify
  - modelops.inference._http
attributes:
  check_mode:
    support: partial
    details: Behaves like the modules that it combines. It does not compare workspaces other than the account's current one.
options:
  task:
    description:
      - Task to run. V(register) ensures the plugin, models and defaults in each workspace. V(read) reads the workspaces, and
        V(replace_keys) replaces keys.
    type: str
    choices: [register, read, replace_keys]
    default: register
  targets:
    description:
      - Items of C(dify_targets) of the role P(modelops.inference.dify#role) for this Dify and this account, without the connection and
        login options.
    type: list
    elements: dict
    required: true
  clusters:
    description: Clusters whose models are registered in this Dify.
    type: list
    elements: dict
    default: []
    suboptions:
      cluster:
        description: Name of the cluster.
        type: str
        required: true
      url:
        description: URL of the cluster's Xinference as other machines reach it.
        type: str
        default: ""
      api_key_file:
        description:
          - Path of the client key file on the cluster's host. The module does not read the file. Empty means that the server requires no
            key.
        type: str
        default: ""
      api_key:
        description: Client key of the cluster. For V(replace_keys), the new key.
        type: str
      models:
        description: Models of the cluster, as C(models) of C(xinference_served). See docs/dify.md.
        type: list
        elements: dict
        default: []
      old:
        description: First characters of the old keys, for V(replace_keys).
        type: list
        elements: str
        default: []
  complete:
    description: Whether O(clusters) contains all clusters of the site. Models are removed only if this is V(true).
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
    - One row for each workspace of each target. It contains the name of the C(target), the C(workspace) as given, and the results of the
      modules as C(plugin), C(models) and C(defaults), as C(read), or as C(keys).
    - A result with C(msg) belongs to a failed step. A result with C(skipped) belongs to a step that was not requested or not attempted.
  returned: success
  type: list
  elements: dict
proofs:
  description:
    - Whether Xinference serves the models at the addresses that the Dify uses, as rows with C(dify), C(url) (without credentials),
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
