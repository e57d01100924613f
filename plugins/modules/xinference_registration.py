#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_registration
short_description: Register the custom models of an Xinference server or cluster
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Ensures that one Xinference server or cluster has the definitions of a list of custom models, in one call.
  - Xinference cannot update a definition, so the module unregisters a definition that differs and registers it again. If the server rejects
    the new definition, the old one stays.
  - The module compares only the values that are set, because the server adds default values to a definition.
  - To also serve a model, you can set its definition in M(modelops.inference.xinference_models) instead. Define a model with several
    O(definitions[].specs) here, and launch it there by its name, format, size and quantization.
notes:
  - A run sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) with authentication, C(GET /v1/models), C(GET /v1/models/instances)
    and up to four requests for each type in O(definitions). Each change requires three more requests.
  - The server reports success for the removal of an unknown name, so the module verifies each removal.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._definitions
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  replace:
    description:
      - Whether to change or remove a definition while a model runs from it. The running model does not change and uses the new definition
        at its next launch.
      - With V(false), the definition stays unchanged and a warning lists the differences.
    type: bool
    default: false
  new_workers:
    description:
      - Addresses of workers that were started since the last run. If the list is not empty, the module registers every definition without
        C(worker) again. Xinference does not send definitions to a worker that joins or was disconnected. This does not affect running
        models.
    type: list
    elements: str
    default: []
  remember:
    description:
      - Path of the file of M(modelops.inference.xinference_models) on the machine that runs the module. According to this file, the module
        registers a definition again for a worker that was absent at its registration, as for a worker in O(new_workers).
    type: path
  ready_timeout:
    description: Time in seconds to wait until the server answers, and until a worker registers with it.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Define an LLM in two quantizations and an embedding model
  modelops.inference.xinference_registration:
    password_file: /opt/xinference/secrets/admin_password
    definitions:
      - name: house-model
        specs:
          - {format: ggufv2, size: 7, quantization: Q4_K_M, path: /srv/models/house/house-q4_k_m.gguf}
          - {format: ggufv2, size: 7, quantization: Q8_0, path: /srv/models/house/house-q8_0.gguf}
        definition:
          family: qwen2.5-instruct
          context_length: 32768
          abilities: [chat, tools]
      - name: house-embedding
        type: embedding
        path: /srv/models/house-embedding
        definition:
          dimensions: 1024
          max_tokens: 8192
          languages: [en, de]

- name: Remove a definition from which no model runs
  modelops.inference.xinference_registration:
    password: "{{ vault_xinference_admin_password }}"
    definitions:
      - {name: old-model, type: rerank, state: absent}
"""

RETURN = r"""
plan:
  description: One line for each difference, prefixed by C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ register LLM house-model", "~ register embedding house-embedding (definition.dimensions 768 -> 1024)"]
definitions:
  description: Declared definitions in their order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model.
      type: str
    type:
      description: Type of the model.
      type: str
    declared:
      description: V(present) or V(absent), as declared.
      type: str
    action:
      description: Change that the module made, or would make in check mode. V(none), V(registered), V(replaced) or V(unregistered).
      type: str
    used_by:
      description: UIDs of the models that run or load from the definition.
      type: list
      elements: str
    differs:
      description: Differences from the declaration that stay because a model runs from the definition.
      type: list
      elements: str
    error:
      description: Reason of the failure.
      type: str
requests:
  description: Number of requests by HTTP method.
  returned: always
  type: dict
  sample: {GET: 6, POST: 1}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs import definitions

ARGUMENT_SPEC = dict(
    definitions=definitions.DEFINITIONS,
    replace=dict(type="bool", default=False),
    ready_timeout=dict(type="int", default=300),
    new_workers=dict(type="list", elements="str", default=[]),
    remember=dict(type="path"),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    return definitions.run(Client.of(module), module.params, module.warn)


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
