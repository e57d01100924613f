#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_registration
short_description: Define the custom models of an Xinference
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Takes a list of custom models and makes one Xinference server or cluster know them, in one call.
  - Xinference has no update, so a definition that differs is unregistered and registered anew. One that the server refuses
    leaves the old one in place.
  - Only what is given is compared, because the server completes what it is told.
  - A model that is also to be served can carry its definition in M(modelops.inference.xinference_models) instead. A model
    with several O(definitions[].specs) is defined here, and launched there by its name, format, size and quantization.
notes:
  - A run sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) where there is authentication, C(GET /v1/models),
    C(GET /v1/models/instances) and up to four requests for each type in O(definitions), and three for each change.
  - The server answers a removal with success even for a name that it does not know, so it is looked at afterwards.
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
      - Whether a definition is changed or removed although a model runs from it. The model goes on as it is and has the new
        definition at its next launch.
      - With V(false) the definition is left alone, and a warning says what differs.
    type: bool
    default: false
  new_workers:
    description:
      - Addresses of workers that were started since the last run. Every definition without C(worker) is registered again where there
        are any, because Xinference tells a worker that joins, or was away, of none. What runs does not notice.
    type: list
    elements: str
    default: []
  remember:
    description:
      - File on the machine that runs the module, by which a worker of a cluster that was not there when a definition was registered is
        told of it like one of O(new_workers). The one of M(modelops.inference.xinference_models).
    type: path
  ready_timeout:
    description: Seconds to wait for the server to answer and for a worker to register with it.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Define an LLM in two quantizations, and an embedding model
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

- name: Remove a definition that nothing runs from
  modelops.inference.xinference_registration:
    password: "{{ vault_xinference_admin_password }}"
    definitions:
      - {name: old-model, type: rerank, state: absent}
"""

RETURN = r"""
plan:
  description: One line for each thing that differed, with C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ register LLM house-model", "~ register embedding house-embedding (definition.dimensions 768 -> 1024)"]
definitions:
  description: The declared definitions, in their order.
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
      description: What was done, or in check mode would be. V(none), V(registered), V(replaced) or V(unregistered).
      type: str
    used_by:
      description: UIDs of the models that run or load from it.
      type: list
      elements: str
    differs:
      description: What is otherwise than declared and was left alone, because a model runs from it.
      type: list
      elements: str
    error:
      description: Why it failed.
      type: str
requests:
  description: Number of HTTP requests by verb.
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
