#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_models
short_description: Launch, replace and prove the declared models of an Xinference server or cluster
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Ensures that one Xinference server or cluster serves a list of models, in one call.
  - The module registers the definitions of custom models, launches missing models in parallel and waits up to a time limit. It does not
    change models that already run as declared. It proves each model with a typed request.
  - The module validates everything that it can before anything changes. A failed model does not block the others. The task fails at its end
    with a table of the results.
  - While models load, the module shows one line for each change of state.
notes:
  - A run that changes nothing sends C(GET /status), C(GET /v1/cluster/auth), C(POST /token) with authentication, C(GET
    /v1/cluster/version), C(GET /v1/models), C(GET /v1/models/instances) and C(GET /v1/autostart/models), regardless of the number of
    models. It sends up to three more requests for each type with custom models, and one for each model that it proves.
  - The module does not change models that are not in O(models), unless O(prune=true) and this collection launched them.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
  - The module does not support C(async), because Ansible could not show the progress. Use O(wait) to return early.
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
    description: Runs on the controller to show the progress.
    support: full
  async:
    description: Supports the C(async) keyword.
    support: none
options:
  validate_only:
    description:
      - Whether to only validate the list on the controller, without a connection to the host or the server. The module then returns the
        declaration.
    type: bool
    default: false
  resume:
    description: Value of RV(resume) from an execution that returned RV(pending=true). Used by the action plugin.
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

- name: Run two replicas on two GPUs each and replace a model that differs
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
  description: Whether launches were still in progress, or the module was waiting for another run, when O(wait) expired.
  returned: always
  type: bool
resume:
  description: Value for O(resume) that continues the copy.
  returned: when RV(pending) is true
  type: dict
plan:
  description: One line for each difference, prefixed by C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ launch bge-m3", "~ replace qwen3-8b (quantization q4_0 -> q8_0)"]
placement:
  description: Placement of each replica, in the order in which it was shown, for a run that launches models.
  returned: always
  type: list
  elements: dict
  contains:
    model:
      description: Model UID, or the other user of a card's memory.
      type: str
    replica:
      description: Number of the replica.
      type: int
    worker:
      description: Address of the worker.
      type: str
    card:
      description: Index of the GPU, C(cpu), or C(?) if it is unknown.
      type: raw
    used_gib:
      description: Memory in GiB that the replica uses. V(null) if it is unknown.
      type: float
    of_gib:
      description: Total memory in GiB of the card or of the host.
      type: float
    source:
      description: Source of the figure.
      type: str
  sample: [{model: qwen3-8b, replica: 0, worker: "10.0.0.5:9998", card: 0, used_gib: 21.6, of_gib: 24.0, source: vLLM's share}]
progress:
  description: Lines that were shown, which are the placement and the events while models loaded.
  returned: always
  type: list
  elements: str
  sample: ["bge-m3  loading on 10.0.0.5", "bge-m3  ready after 12 s"]
requests:
  description: Number of requests by HTTP method.
  returned: always
  type: dict
  sample: {GET: 5, POST: 3}
models:
  description: Declared models in their order, followed by the models that O(prune) terminates.
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
        - V(ready), V(absent), V(failed), V(loading) or V(differs) (runs but differs from the declaration).
        - In check mode, the state before the change.
      type: str
    action:
      description:
        - Change that the module made, or would make in check mode, one of V(none), V(launched), V(replaced), V(scaled), V(terminated) and
          V(adopted).
        - V(scaled) means that the number of replicas was changed in place. V(adopted) means that the model was already loading and the
          module waited for it.
      type: str
    replicas:
      description: Numbers of replicas, C(wanted) and C(ready).
      type: dict
      sample: {wanted: 2, ready: 2}
    workers:
      description: Addresses of the workers that run its replicas.
      type: list
      elements: str
    abilities:
      description: Abilities that the server reports for the model.
      type: list
      elements: str
    engine:
      description: Engine of the model. If the server does not report it, the declared engine.
      type: str
    format:
      description: Format of the model.
      type: str
    size:
      description: Size in billions of parameters, in Xinference's spelling.
      type: str
      sample: "0_27"
    quantization:
      description: Quantization.
      type: str
    context_length:
      description: Context length of an LLM in tokens.
      type: int
    dimensions:
      description: Vector length of an embedding model.
      type: int
    differs:
      description: Differences from the declaration that the module did not change.
      type: list
      elements: str
    error:
      description: Reason of the failure.
      type: str
    proof:
      description: Result of the proof. V(null) if the model was not proven.
      type: dict
      contains:
        kind:
          description:
            - V(chat), V(completion), V(embedding), V(rerank), V(transcription), V(speech), V(image), or V(describe) for models without an
              inexpensive proof (voice cloning, video, flexible models).
          type: str
        ok:
          description: Whether the answer is valid for a model of this type.
          type: bool
        latency_ms:
          description: Duration of the answer in milliseconds.
          type: int
        detail:
          description: Answer of the model, or the problem with it.
          type: str
    seconds:
      description: Duration of the launch in seconds.
      type: float
    tags:
      description: Tags of the model.
      type: list
      elements: str
    dify:
      description: Declaration for the role C(dify), without unset values.
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
