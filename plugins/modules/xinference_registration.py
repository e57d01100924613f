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
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  definitions:
    description: The custom models that the server is to know, or not to know any more. Others are not touched.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the model. It cannot be that of a built-in model of its type.
        type: str
        required: true
      type:
        description: Type of the model. Xinference does not accept definitions of video models.
        type: str
        choices: [LLM, embedding, rerank, image, audio, flexible]
        default: LLM
      path:
        description:
          - Absolute path of the weights on the machines that serve them. A directory, or the file itself for format
            V(ggufv2). The server refuses a path that it does not find.
        type: str
      format:
        description: Model format, such as V(pytorch), V(ggufv2), V(awq), V(gptq) or V(mlx), of an LLM, embedding or rerank
          model. Unset is V(ggufv2) where O(definitions[].path) ends in C(.gguf), else V(pytorch).
        type: str
      size:
        description:
          - Billions of parameters, such as V(7), V('1.7') or V('0_27'). An LLM needs it.
          - Quote a number with an underscore. YAML reads C(1_7) as 17.
        type: str
      quantization:
        description: Quantization, such as V(Q4_K_M), V(Int4) or V(none). Format V(ggufv2) needs it, otherwise unset is V(none).
        type: str
      specs:
        description:
          - The forms in which an LLM, embedding or rerank model is there, where there are several. Then they are the whole
            list, and O(definitions[].path), O(definitions[].format), O(definitions[].size) and
            O(definitions[].quantization) stand in each of them.
        type: list
        elements: dict
        suboptions:
          path:
            description: As O(definitions[].path).
            type: str
          format:
            description: As O(definitions[].format).
            type: str
          size:
            description: As O(definitions[].size).
            type: str
          quantization:
            description: As O(definitions[].quantization).
            type: str
          hub:
            description: As O(definitions[].definition.hub).
            type: str
          hub_id:
            description: As O(definitions[].definition.hub_id).
            type: str
          revision:
            description: As O(definitions[].definition.revision).
            type: str
          file:
            description: As O(definitions[].definition.file).
            type: str
      definition:
        description: What the model is, as in O(modelops.inference.xinference_models#module:models[].definition).
        type: dict
        default: {}
        suboptions:
          abilities:
            description: What the model can do. Of an LLM V(chat), V(generate), V(tools) and so on; unset is V([chat]).
            type: list
            elements: str
          chat_template:
            description: Jinja text of the chat template. Unset is the one of O(definitions[].definition.family).
            type: str
          context_length:
            description: Context length in tokens.
            type: int
          description:
            description: Text for people.
            type: str
          dimensions:
            description: Length of the vectors of an embedding model, which needs it. The proof checks it.
            type: int
          extra:
            description: Further keys of Xinference's own definition, such as C(controlnet) of an image model.
            type: dict
          family:
            description:
              - Name of the built-in model that it derives from, which gives an LLM its chat template. An LLM, an image and an
                audio model need it.
              - The server adds the ability V(vision) to an LLM where this family has it, whatever the weights can. So name a
                text family for a text model, such as V(gemma-3-1b-it) instead of V(gemma-3-it).
            type: str
          file:
            description: Name of the GGUF file in the repository O(definitions[].definition.hub_id), which format V(ggufv2) needs there.
            type: str
          hub:
            description: Hub that O(definitions[].definition.hub_id) is on, such as V(huggingface) or V(modelscope).
            type: str
          hub_id:
            description: Repository of the weights on the hub, where O(definitions[].path) does not hold them.
            type: str
          languages:
            description: Languages of the model. Unset is V([en]).
            type: list
            elements: str
          launcher:
            description: Python name of the launcher of a flexible model, such as C(xinference.model.flexible.launchers.transformers),
              which needs one.
            type: str
          launcher_args:
            description: What the launcher is given.
            type: dict
          max_tokens:
            description: Longest input in tokens, of an embedding model, which needs it, or a rerank model.
            type: int
          reasoning_end_tag:
            description: Text that ends the reasoning of an LLM. Counts only beside a C(chat_template) with a text.
            type: str
          reasoning_start_tag:
            description: Text that starts the reasoning of an LLM. Counts only beside a C(chat_template) with a text.
            type: str
          revision:
            description: Revision of the weights on the hub.
            type: str
          stop:
            description: Texts that end an answer of an LLM. Count only beside a C(chat_template) with a text.
            type: list
            elements: str
          stop_token_ids:
            description: Tokens that end an answer of an LLM. Count only beside a C(chat_template) with a text.
            type: list
            elements: int
          tool_parser:
            description: Parser of the tool calls of an LLM.
            type: str
          virtual_env:
            description:
              - The Python environment that the server makes for the model where it makes one.
              - The server shows a definition to everyone who may list its models, so no credentials belong in it.
            type: dict
            suboptions:
              packages:
                description: Packages, as pip takes them.
                type: list
                elements: str
                required: true
              inherit_pip_config:
                description: Whether what is not given here is taken from the configuration of pip on the worker. The server
                  does by itself.
                type: bool
              index_url:
                description: Package index instead of PyPI.
                type: str
              extra_index_urls:
                description: Further indexes. Xinference 1.x takes one.
                type: list
                elements: str
              find_links:
                description: Directories or pages with wheels. Xinference 1.x takes one.
                type: list
                elements: str
              trusted_hosts:
                description: Hosts whose certificate is not checked. Xinference 1.x takes one.
                type: list
                elements: str
              index_strategy:
                description: How uv chooses between indexes, such as V(unsafe-best-match). Since Xinference 2.x.
                type: str
              no_build_isolation:
                description: Whether packages are built without an environment of their own.
                type: bool
      worker:
        description:
          - Address (IP address, or IP address and port) of the only worker that is to know the model. Unset tells all of them.
          - A server in local mode ignores it. Cannot be compared.
        type: str
      state:
        description: V(present) registers the model, V(absent) unregisters it. A running model does not notice either.
        type: str
        choices: [present, absent]
        default: present
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
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    registration,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Memory, Store

SPEC_OPTIONS = dict(
    path=dict(type="str"),
    format=dict(type="str"),
    size=dict(type="str"),
    quantization=dict(type="str"),
)

ARGUMENT_SPEC = dict(
    definitions=dict(
        type="list",
        elements="dict",
        required=True,
        options=dict(
            name=dict(type="str", required=True),
            type=dict(type="str", choices=list(registration.TYPES), default="LLM"),
            **SPEC_OPTIONS,
            specs=dict(
                type="list",
                elements="dict",
                options=dict(
                    **SPEC_OPTIONS,
                    **{name: registration.OPTIONS[name] for name in ("hub", "hub_id", "revision", "file")},
                ),
            ),
            definition=dict(type="dict", default={}, options=registration.OPTIONS),
            worker=dict(type="str"),
            state=dict(type="str", choices=["present", "absent"], default="present"),
        ),
    ),
    replace=dict(type="bool", default=False),
    ready_timeout=dict(type="int", default=300),
    new_workers=dict(type="list", elements="str", default=[]),
    remember=dict(type="path"),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    entries = definitions.desired(p["definitions"])
    client = Client.of(module)
    client.wait_ready(p["ready_timeout"])
    client.login()
    definitions.look(client, entries)
    store = Store(p["remember"], writes=not module.check_mode)
    with store.lock():
        memory = Memory(store)
        lacking = {e.key: sorted({*p["new_workers"], *memory.untold(e.key, client.workers)}) for e in entries}
        definitions.decide(entries, p["replace"], lacking)
        result = definitions.plan_of(entries, f"definitions on {client.endpoint}").result()
        if not module.check_mode:
            definitions.apply(client, entries, memory)
    result.update(definitions=[_row(entry) for entry in entries], requests=dict(client.session.counts))
    for entry in entries:
        if entry.differs:
            module.warn(
                f"The definition of {entry.key[1]} differs and was left alone, because {', '.join(entry.users)} runs from "
                f"it (replace: true would change it): {', '.join(entry.differs)}"
            )
    failed = [f"{entry.key[1]}: {entry.error}" for entry in entries if entry.error]
    if failed:
        raise ModelopsError(
            f"{len(failed)} of {len(entries)} definitions on {client.endpoint} failed, the others are as declared:\n"
            + "\n".join(failed),
            **result,
        )
    return result


def _row(entry: definitions.Entry) -> dict[str, t.Any]:
    return {
        "name": entry.options["name"],
        "type": entry.options["type"],
        "declared": entry.options["state"],
        "action": definitions.NONE if entry.error else entry.action,
        "used_by": entry.users,
        "differs": entry.differs,
        "error": entry.error,
    }


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
