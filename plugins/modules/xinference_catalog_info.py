#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_catalog_info
short_description: List the models that an Xinference server supports
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Lists the built-in and custom models of the running server with their formats, sizes and quantizations, and the engines that can run
    them there.
  - With O(require), the module returns for each required model whether this server can serve it, the reason if it cannot, and the
    declaration for M(modelops.inference.xinference_models).
  - The module changes nothing.
notes:
  - A run sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) with authentication, and C(GET /v1/cluster/version). For the list,
    it sends one request for each type. If the filters match at most O(engines_limit) models, it sends one request for the engines of each
    model. For each model of O(require), it sends one or two requests.
  - The server checks an engine against its installed packages and hardware, not against free memory. The preflight of
    M(modelops.inference.xinference_models) checks memory.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes.info
  - modelops.inference._attributes.actiongroup_xinference
options:
  name:
    description: Return only models with this name. The name is case-insensitive. V(*) matches any characters.
    type: str
  type:
    description: Return only models of these types. The default is all types.
    type: list
    elements: str
    choices: [LLM, embedding, rerank, image, audio, video, flexible]
  engine:
    description: Return only models that this engine can run on the server, either installed or through a virtual environment.
    type: str
  format:
    description: Return only models that are available in this format, such as V(ggufv2).
    type: str
  size:
    description: Return only models that are available in this size in billions of parameters, such as V(7) or V('1.7').
    type: str
  quantization:
    description: Return only models that are available in this quantization, such as V(Q4_K_M).
    type: str
  ability:
    description: Return only models with this ability, such as V(chat), V(tools), V(vision), V(embed) or V(rerank).
    type: str
  custom:
    description: Whether to return only custom models (V(true)) or only built-in models (V(false)). The default is both.
    type: bool
  engines_limit:
    description:
      - Maximum number of matching models for which the module requests the engines, because the server returns the engines of only one
        model per request. With more models, RV(models[].engines) is V(null), and with O(engine) the task fails.
    type: int
    default: 25
  require:
    description:
      - Models that this server must be able to serve.
      - If no filter is set, the module does not read RV(models).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the model in Xinference.
        type: str
        required: true
      type:
        description: Type of the model.
        type: str
        choices: [LLM, embedding, rerank, image, audio, video, flexible]
        default: LLM
      engine:
        description:
          - Inference engine. The name is case-insensitive. If unset, the module selects a suitable engine, preferably an installed one.
        type: str
      format:
        description: Model format. If unset, any format is suitable.
        type: str
      size:
        description: Size in billions of parameters, such as V(7) or V('1.7'). If unset, the module selects the smallest size.
        type: str
      quantization:
        description: Quantization. If unset, the module selects a common one.
        type: str
      virtual_env:
        description: Whether the model may use a separate Python environment. With V(false) the engine must be installed.
        type: bool
  fail:
    description: Whether the task fails if the server cannot serve a model of O(require). V(false) only reports it.
    type: bool
    default: false
  ready_timeout:
    description: Time in seconds to wait until the server answers, and until a worker registers with it.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Check that this cluster can serve two models
  modelops.inference.xinference_catalog_info:
    password_file: /opt/xinference/secrets/admin_password
    require:
      - {name: qwen3, engine: vLLM, size: 32, format: awq}
      - {name: bge-m3, type: embedding}
    fail: true
  register: catalog

- name: Show the declaration for xinference_models
  ansible.builtin.debug:
    var: catalog.require | map(attribute='how')

- name: List GGUF chat models that llama.cpp runs on this server
  modelops.inference.xinference_catalog_info:
    password: "{{ vault_xinference_admin_password }}"
    name: qwen*
    type: [LLM]
    engine: llama.cpp
    ability: chat
"""

RETURN = r"""
version:
  description: Release of the server.
  returned: always
  type: str
  sample: 4.1.0
models:
  description: Models that match the filters, ordered by type and name. Empty if only O(require) is set.
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
    custom:
      description: Whether this is a custom model.
      type: bool
    abilities:
      description: Abilities of the model.
      type: list
      elements: str
    context_length:
      description: Context length of an LLM in tokens.
      type: int
    dimensions:
      description: Vector length of an embedding model.
      type: int
    languages:
      description: Languages of the model.
      type: list
      elements: str
    specs:
      description: Available variants, each with C(format), C(size) and C(quantization).
      type: list
      elements: dict
      sample: [{format: ggufv2, size: "7", quantization: Q4_K_M}]
    engines:
      description:
        - Engines, each with whether it is C(installed), otherwise the reason as C(why_not), and the C(specs) of the model that it can run.
          An engine that is not installed but has specs runs in a virtual environment.
        - V(null) if the module did not request the engines or the server does not report them.
      type: dict
require:
  description: Models of O(require), in the same order.
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
    can:
      description: Whether the server can serve the model.
      type: bool
    why_not:
      description: Reason why it cannot, with the most similar names or the available alternatives.
      type: str
    how:
      description:
        - Model as an item of O(modelops.inference.xinference_models#module:models), with an exact format, size and quantization.
          C(virtual_env) is V(true) if the engine is not installed.
      type: dict
      sample: {uid: qwen3, type: LLM, engine: llama.cpp, format: ggufv2, size: "0_6", quantization: Q4_K_M}
    engines:
      description: Engines, as in RV(models[].engines).
      type: dict
can:
  description: Whether the server can serve all models of O(require).
  returned: always
  type: bool
requests:
  description: Number of requests by HTTP method.
  returned: always
  type: dict
  sample: {GET: 5, POST: 1}
"""

import typing as t
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import catalog
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models

FILTERS = dict(
    name=dict(type="str"),
    type=dict(type="list", elements="str", choices=list(models.TYPES)),
    engine=dict(type="str"),
    format=dict(type="str"),
    size=dict(type="str"),
    quantization=dict(type="str"),
    ability=dict(type="str"),
    custom=dict(type="bool"),
)

ARGUMENT_SPEC = dict(
    **FILTERS,
    engines_limit=dict(type="int", default=25),
    require=dict(
        type="list",
        elements="dict",
        options=dict(
            name=dict(type="str", required=True),
            type=dict(type="str", choices=list(models.TYPES), default="LLM"),
            engine=dict(type="str"),
            format=dict(type="str"),
            size=dict(type="str"),
            quantization=dict(type="str"),
            virtual_env=dict(type="bool"),
        ),
    ),
    fail=dict(type="bool", default=False),
    ready_timeout=dict(type="int", default=30),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    given = {name: p[name] for name in FILTERS if p[name] is not None}
    filters = catalog.Filters(types=given.pop("type", None) or models.TYPES, **given)
    client = Client.of(module)
    client.wait_ready(p["ready_timeout"])
    client.login()
    version = client.version
    rows: list[catalog.CatalogModel] = []
    if p["type"] or given or not p["require"]:
        rows = catalog.add_engines(client, catalog.listed(client, filters), filters, p["engines_limit"])
    required = [catalog.judge(client, wanted) for wanted in p["require"] or []]
    result = {
        "changed": False,
        "version": version,
        "models": [asdict(row) for row in rows],
        "require": required,
        "can": all(row["can"] for row in required),
        "requests": dict(client.session.counts),
    }
    if p["fail"] and not result["can"]:
        missing = [f"{row['name']}: {row['why_not']}" for row in required if not row["can"]]
        raise ModelopsError(
            f"{client.endpoint} cannot serve {len(missing)} of {len(required)} models:\n" + "\n".join(missing), **result
        )
    return result


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
