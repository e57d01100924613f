#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_probe
short_description: Prove that the models of an Xinference server answer
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Sends a typed request to running models. An LLM must answer a chat or completion request. An embedding model must return a vector. A
    rerank model must rank the relevant of three documents first. A speech recognition model must transcribe one second of sound. A speech
    model with a built-in voice (ability C(text2audio_zero_shot)) must return a WAV file that is not silent. A text-to-image model must
    return an image (256 x 256 pixels, one step).
  - Models that only clone voices, video models and flexible models have no inexpensive request. For them, the server must describe the
    running model.
  - The module changes nothing. An inference request uses a few tokens of the server.
notes:
  - Xinference 2.12 and later caches a missing model for ten seconds. Therefore the module repeats the request for a model that was just
    launched until O(prove_timeout) expires.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes.info
  - modelops.inference._attributes.actiongroup_xinference
options:
  uids:
    description: UIDs of the models to prove. The default is all running models.
    type: list
    elements: str
  infer:
    description:
      - Whether to send inference requests. V(false) only checks that the server lists the models as running. It uses one request for all
        models and does not wait for them.
    type: bool
    default: true
  dimensions:
    description: Expected vector length of embedding models, by UID.
    type: dict
  api_key:
    description: API key to use instead of O(username) and O(password), as a client such as Dify does. In that case RV(version) is unknown.
    type: str
  prove_timeout:
    description: Maximum time in seconds for a model to answer. The limit for models that generate images or speech is five times as long.
    type: int
    default: 60
  window:
    description: Time in seconds during which the module repeats the requests. Each request must succeed. V(0) sends each request once.
    type: int
    default: 0
  ready_timeout:
    description: Time in seconds to wait for the server to answer.
    type: int
    default: 30
  fail:
    description: Whether the task fails if a model does not answer. V(false) only reports it.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Prove all running models
  modelops.inference.xinference_probe:
    password_file: /opt/xinference/secrets/admin_password

- name: Prove two models with the key that Dify uses
  modelops.inference.xinference_probe:
    endpoint: http://10.1.2.3:9997
    api_key: "{{ vault_xinference_client_key }}"
    uids: [minilm, gemma3-270m]
    dimensions:
      minilm: 384
"""

RETURN = r"""
version:
  description: Release of the server. V(null) with O(api_key), because a client key has no permission to read it.
  returned: always
  type: str
  sample: 4.1.0
ok:
  description: Whether all models passed the proof.
  returned: always
  type: bool
models:
  description: Results of the models.
  returned: always
  type: list
  elements: dict
  contains:
    uid:
      description: Model UID.
      type: str
    name:
      description: Name of the model. V(null) if it does not run.
      type: str
    type:
      description: Type of the model. V(null) if it does not run.
      type: str
    kind:
      description:
        - V(chat), V(completion), V(embedding), V(rerank), V(transcription), V(speech), V(image), V(describe) or, with O(infer=false),
          V(list). V(null) if the model does not run.
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
requests:
  description: Number of requests by HTTP method.
  returned: always
  type: dict
  sample: {GET: 4, POST: 3}
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import proof

# Seconds between two rounds in a window.
PAUSE = 5

ARGUMENT_SPEC = dict(
    uids=dict(type="list", elements="str"),
    infer=dict(type="bool", default=True),
    dimensions=dict(type="dict"),
    api_key=dict(type="str", no_log=True),
    prove_timeout=dict(type="int", default=60),
    window=dict(type="int", default=0),
    ready_timeout=dict(type="int", default=30),
    fail=dict(type="bool", default=True),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    dimensions = {uid: _length(uid, value) for uid, value in (p["dimensions"] or {}).items()}
    client = Client.of(module)
    if p["infer"]:
        client.wait_ready(p["ready_timeout"])
    if p["api_key"]:
        client.use_key(p["api_key"])
    else:
        client.login()
    version = None if p["api_key"] else client.version
    end = time.monotonic() + p["window"]
    while True:
        running = client.models()
        proofs = [
            _prove(client, uid, running, dimensions.get(uid), p["prove_timeout"] if p["infer"] else None)
            for uid in p["uids"] or sorted(running)
        ]
        if time.monotonic() + PAUSE > end or not all(item.ok for item in proofs):
            break
        time.sleep(PAUSE)
    result = {
        "changed": False,
        "version": version,
        "ok": all(item.ok for item in proofs),
        "models": [_row(item, running) for item in proofs],
        "requests": dict(client.session.counts),
    }
    failures = proof.failures(proofs)
    if failures and p["fail"]:
        raise ModelopsError(
            f"{len(failures)} of {len(proofs)} models on {client.endpoint} do not serve:\n" + "\n".join(failures),
            **result,
        )
    return result


def _length(uid: str, value: t.Any) -> int:
    if not str(value).isdigit() or not int(value):
        raise ModelopsError(f"dimensions: {uid}: {value!r} must be the length of a vector, such as 384")
    return int(value)


def _prove(
    client: Client, uid: str, running: dict[str, dict[str, t.Any]], dimensions: int | None, timeout: float | None
) -> proof.Proof:
    row = running.get(uid)
    if row is None:
        return proof.Proof(
            uid, None, False, None, f"does not run; running models: {', '.join(sorted(running)) or 'none'}"
        )
    if timeout is None:
        return proof.Proof(uid, "list", True, None, "is listed")
    return proof.prove(client, uid, row["model_type"], row.get("model_ability") or [], dimensions, timeout)


def _row(item: proof.Proof, running: dict[str, dict[str, t.Any]]) -> dict[str, t.Any]:
    row = running.get(item.uid) or {}
    return {"uid": item.uid, "name": row.get("model_name"), "type": row.get("model_type"), **item.result()}


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
