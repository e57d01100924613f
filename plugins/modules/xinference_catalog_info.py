#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_catalog_info
short_description: List the models that an Xinference knows and tell whether it can serve one
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Lists the built-in and custom models of the running server with their formats, sizes and quantizations, and the engines
    that run them there.
  - With O(require) it tells for each wanted model whether this server can serve it, why not, and how it is declared in
    M(modelops.inference.xinference_models).
  - Changes nothing.
notes:
  - A run sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) where there is authentication,
    C(GET /v1/cluster/version); for the list one request for each type, and one for the engines of each model that is left
    where those are at most O(engines_limit); and one or two for each model of O(require).
  - The server judges engines by what is installed and by its hardware, not by free memory. The preflight of
    M(modelops.inference.xinference_models) does that.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes.info
  - modelops.inference._attributes.actiongroup_xinference
options:
  name:
    description: Only models of this name, in any case. V(*) stands for any characters.
    type: str
  type:
    description: Only models of these types. Unset is all of them.
    type: list
    elements: str
    choices: [LLM, embedding, rerank, image, audio, video, flexible]
  engine:
    description: Only models that this engine can run here, installed or by a virtual environment.
    type: str
  format:
    description: Only models that are there in this format, such as V(ggufv2).
    type: str
  size:
    description: Only models that are there with so many billions of parameters, such as V(7) or V('1.7').
    type: str
  quantization:
    description: Only models that are there in this quantization, such as V(Q4_K_M).
    type: str
  ability:
    description: Only models that can do this, such as V(chat), V(tools), V(vision), V(embed) or V(rerank).
    type: str
  custom:
    description: V(true) lists only user-defined models, V(false) only built-in ones. Unset lists both.
    type: bool
  engines_limit:
    description:
      - The server tells engines for one model at a time. With more models than this left they are not asked for, and
        RV(models[].engines) is V(null); with O(engine) the task fails instead.
    type: int
    default: 25
  require:
    description:
      - Models that this server is wanted to serve.
      - Where no filter is given beside it, RV(models) is not read.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the model, as Xinference knows it.
        type: str
        required: true
      type:
        description: Type of the model.
        type: str
        choices: [LLM, embedding, rerank, image, audio, video, flexible]
        default: LLM
      engine:
        description: Inference engine, in any case. Unset takes one that fits, preferably an installed one.
        type: str
      format:
        description: Model format. Unset takes any.
        type: str
      size:
        description: Billions of parameters, such as V(7) or V('1.7'). Unset takes the smallest.
        type: str
      quantization:
        description: Quantization. Unset takes a usual one.
        type: str
      virtual_env:
        description: Whether the model may get a Python environment of its own. With V(false) the engine must be installed.
        type: bool
  fail:
    description: Whether the task fails where a model of O(require) cannot be served. V(false) only reports it.
    type: bool
    default: false
  ready_timeout:
    description: Seconds to wait for the server to answer and for a worker to register with it.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Can this cluster serve these two?
  modelops.inference.xinference_catalog_info:
    password_file: /opt/xinference/secrets/admin_password
    require:
      - {name: qwen3, engine: vLLM, size: 32, format: awq}
      - {name: bge-m3, type: embedding}
    fail: true
  register: catalog

- name: What to write into xinference_models
  ansible.builtin.debug:
    var: catalog.require | map(attribute='how')

- name: GGUF chat models that llama.cpp runs here
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
  description: The models that the filters left, by type and name. Empty where only O(require) is given.
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
      description: Whether a user defined it.
      type: bool
    abilities:
      description: What the model can do.
      type: list
      elements: str
    context_length:
      description: Context length in tokens, of an LLM.
      type: int
    dimensions:
      description: Length of the vectors, of an embedding model.
      type: int
    languages:
      description: Languages of the model.
      type: list
      elements: str
    specs:
      description: The forms in which it is there, each with C(format), C(size) and C(quantization).
      type: list
      elements: dict
      sample: [{format: ggufv2, size: "7", quantization: Q4_K_M}]
    engines:
      description:
        - Engine and whether it is C(installed), C(why_not) otherwise, and the C(specs) of the model that it runs. One that
          is not installed and has specs comes with a virtual environment.
        - V(null) where the server was not asked or does not tell.
      type: dict
require:
  description: The models of O(require), in their order.
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
      description: Whether the server can serve it.
      type: bool
    why_not:
      description: Why not, with the nearest names or what there is instead.
      type: str
    how:
      description:
        - The model as an item of O(modelops.inference.xinference_models#module:models), with a definite format, size and
          quantization. C(virtual_env) is V(true) where the engine is not installed.
      type: dict
      sample: {uid: qwen3, type: LLM, engine: llama.cpp, format: ggufv2, size: "0_6", quantization: Q4_K_M}
    engines:
      description: As RV(models[].engines).
      type: dict
can:
  description: Whether the server can serve all models of O(require).
  returned: always
  type: bool
requests:
  description: Number of HTTP requests by verb.
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
