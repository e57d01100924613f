#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_models
short_description: Make an Xinference serve the declared models
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Takes a list of models and makes one Xinference server or cluster serve them, in one call.
  - Registers the definitions of custom models, launches what is missing in parallel, waits with a bound, leaves alone
    what already runs as declared, and asks every model a question of its type to prove that it serves.
  - Everything that can be refused is refused before anything changes. A model that fails does not stop the others. The
    task fails at its end with a table of what happened.
  - While models load, one line is shown for each change of state.
notes:
  - A run that changes nothing sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) where there is authentication,
    C(GET /v1/cluster/version), C(GET /v1/models), C(GET /v1/models/instances) and C(GET /v1/autostart/models), whatever the
    number of models. It sends up to three more for each type with custom models, and one for each model that is proven.
  - A model that is not in O(models) is not touched, unless O(prune=true) and this collection launched it.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
  - Does not run with C(async), because Ansible could not show the progress. Use O(wait) to return early.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._models
  - modelops.inference._serving
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
attributes:
  action:
    description: Shows the progress on the controller.
    support: full
  async:
    description: Can be run with C(async).
    support: none
options:
  validate_only:
    description: Only check the list itself, on the controller, without asking the host or the server. Returns what is declared.
    type: bool
    default: false
  resume:
    description: What an execution that returned RV(pending=true) returned as RV(resume). Used by the action plugin.
    type: dict
"""

EXAMPLES = r"""
- name: Serve an embedding model and an LLM from local weights
  modelops.inference.xinference_models:
    endpoint: http://127.0.0.1:9997
    password_file: /opt/xinference/secrets/admin_password
    models:
      - uid: bge-m3
        type: embedding
      - uid: house-model
        engine: llama.cpp
        size: "0.27"
        quantization: Q4_K_M
        path: /opt/xinference/models/house/house-q4_k_m.gguf
        definition:
          family: gemma-3-1b-it
          context_length: 2048
          abilities: [chat]
        engine_options:
          n_ctx: 2048

- name: Two replicas on two GPUs each; replace the model where it runs otherwise
  modelops.inference.xinference_models:
    password: "{{ vault_xinference_admin_password }}"
    replace: true
    models:
      - uid: qwen3-32b
        name: qwen3
        engine: vLLM
        format: awq
        size: 32
        quantization: Int4
        replicas: 2
        gpus_per_replica: 2
        request_limits: 64

- name: Stop serving a model
  modelops.inference.xinference_models:
    password: "{{ vault_xinference_admin_password }}"
    models:
      - uid: qwen2-7b
        state: absent
"""

RETURN = r"""
version:
  description: Release of the server.
  returned: always, but while another run, the reconciler or a drain is waited for
  type: str
  sample: 4.1.0
pending:
  description: Whether launches were still under way, or another run was waited for, when O(wait) was over.
  returned: always
  type: bool
resume:
  description: What O(resume) needs to go on.
  returned: when RV(pending) is true
  type: dict
plan:
  description: One line for each thing that differed, with C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ launch bge-m3", "~ replace qwen3-8b (quantization q4_0 -> q8_0)"]
placement:
  description: Where each replica goes, of a run that launches something, in the order in which it was shown.
  returned: always
  type: list
  elements: dict
  contains:
    model:
      description: Model UID, or what else holds memory of a card.
      type: str
    replica:
      description: Number of the replica.
      type: int
    worker:
      description: Address of the worker.
      type: str
    card:
      description: Index of the GPU, C(cpu), or C(?) where it is not known.
      type: raw
    used_gib:
      description: GiB of it that the replica takes. V(null) where it is not known.
      type: float
    of_gib:
      description: GiB that the card has, or the host of memory.
      type: float
    source:
      description: What the figure is by.
      type: str
  sample: [{model: qwen3-8b, replica: 0, worker: "10.0.0.5:9998", card: 0, used_gib: 21.6, of_gib: 24.0, source: vLLM's share}]
progress:
  description: The lines that were shown, which are the placement and then what happened while models loaded.
  returned: always
  type: list
  elements: str
  sample: ["bge-m3  loading on 10.0.0.5", "bge-m3  ready after 12 s"]
requests:
  description: Number of HTTP requests by verb.
  returned: always
  type: dict
  sample: {GET: 5, POST: 3}
models:
  description: The declared models, in their order, and those that O(prune) terminates.
  returned: when RV(pending) is false
  type: list
  elements: dict
  contains:
    uid:
      description: Model UID.
      type: str
    name:
      description: Name of the model.
      type: str
    type:
      description: Type of the model.
      type: str
    declared:
      description: V(present) or V(absent), as declared.
      type: str
    state:
      description:
        - V(ready), V(absent), V(failed), V(loading) or V(differs) (it runs otherwise than declared).
        - In check mode the state before the change.
      type: str
    action:
      description:
        - What was done, or in check mode would be. V(none), V(launched), V(replaced), V(scaled) (the number of replicas was
          changed in place), V(terminated) or V(adopted) (it was loading already, and was waited for).
      type: str
    replicas:
      description: Numbers of replicas, C(wanted) and C(ready).
      type: dict
      sample: {wanted: 2, ready: 2}
    workers:
      description: Addresses of the workers that hold its replicas.
      type: list
      elements: str
    abilities:
      description: What the model can do, as the server says.
      type: list
      elements: str
    engine:
      description: Engine that it runs on, as declared where the server does not report it.
      type: str
    format:
      description: Format of the model.
      type: str
    size:
      description: Billions of parameters, in Xinference's spelling.
      type: str
      sample: "0_27"
    quantization:
      description: Quantization.
      type: str
    context_length:
      description: Context length in tokens, of an LLM.
      type: int
    dimensions:
      description: Length of the vectors, of an embedding model.
      type: int
    differs:
      description: What runs otherwise than declared and was left alone.
      type: list
      elements: str
    error:
      description: Why it failed.
      type: str
    proof:
      description: What it answered. V(null) where it was not asked.
      type: dict
      contains:
        kind:
          description:
            - V(chat), V(completion), V(embedding), V(rerank), V(transcription), V(speech), V(image), or V(describe) for what
              cannot be asked cheaply (a voice that is copied, video, flexible models).
          type: str
        ok:
          description: Whether the answer was what a model of this type must answer.
          type: bool
        latency_ms:
          description: Milliseconds that the answer took.
          type: int
        detail:
          description: What it answered, or what was wrong.
          type: str
    seconds:
      description: Seconds that the launch took.
      type: float
    tags:
      description: Its tags.
      type: list
      elements: str
    dify:
      description: What was declared for the role C(dify), without what was left unset.
      type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs import models

ARGUMENT_SPEC = dict(validate_only=dict(type="bool", default=False), **models.OPTIONS, **_connection.XINFERENCE_OPTIONS)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    return models.run(Client.of(module), module.params, module.warn)


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    models.unmask_short_values(module)
    _module.run(module, work)


if __name__ == "__main__":
    main()
