#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_probe
short_description: Prove that the models of an Xinference serve
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Asks running models what they are for. An LLM must answer a chat or completion request, an embedding model must return a
    vector, a rerank model must put the relevant of three documents first, a model that hears must transcribe a second of
    sound, one that speaks with a voice of its own (ability C(text2audio_zero_shot)) must return a WAV that is not silent, one that
    paints from text must return a picture (256 x 256 pixels, one step).
  - Models that only copy a voice, video models and flexible models have no cheap question. For them the server must describe the
    running model.
  - Changes nothing. An inference request costs the server a few tokens.
notes:
  - An unknown model is remembered as missing for ten seconds by servers since 2.12, so a model that was just launched is
    asked again until O(prove_timeout) is over.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes.info
  - modelops.inference._attributes.actiongroup_xinference
options:
  uids:
    description: UIDs of the models to ask. Unset asks every running one.
    type: list
    elements: str
  infer:
    description:
      - V(false) does not use the models. It only sees whether the server lists them as running, all of them with one request, and
        does not wait for it.
    type: bool
    default: true
  dimensions:
    description: UID of an embedding model and the length that its vectors must have.
    type: dict
  api_key:
    description:
      - API key to ask with, as a client such as Dify does. Then O(username) and O(password) are not used, and RV(version) is
        not known.
    type: str
  prove_timeout:
    description: Seconds that a model may take to answer. One that paints or speaks may take five times as many.
    type: int
    default: 60
  window:
    description: Seconds for which they are asked again and again, and must serve each time. V(0) asks once.
    type: int
    default: 0
  ready_timeout:
    description: Seconds to wait for the server to answer.
    type: int
    default: 30
  fail:
    description: Whether the task fails where a model does not serve. V(false) only reports it.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Ask every running model
  modelops.inference.xinference_probe:
    password_file: /opt/xinference/secrets/admin_password

- name: Ask two models with the key that Dify uses
  modelops.inference.xinference_probe:
    endpoint: http://10.1.2.3:9997
    api_key: "{{ vault_xinference_client_key }}"
    uids: [minilm, gemma3-270m]
    dimensions:
      minilm: 384
"""

RETURN = r"""
version:
  description: Release of the server. V(null) with O(api_key), which may not ask for it.
  returned: always
  type: str
  sample: 4.1.0
ok:
  description: Whether all models that were asked serve.
  returned: always
  type: bool
models:
  description: The models that were asked.
  returned: always
  type: list
  elements: dict
  contains:
    uid:
      description: Model UID.
      type: str
    name:
      description: Name of the model. V(null) where it does not run.
      type: str
    type:
      description: Type of the model. V(null) where it does not run.
      type: str
    kind:
      description: >-
        V(chat), V(completion), V(embedding), V(rerank), V(transcription), V(speech), V(image), V(describe) or, with
        O(infer=false), V(list). V(null) where the model does not run.
      type: str
    ok:
      description: Whether it answered what a model of this type must answer.
      type: bool
    latency_ms:
      description: Milliseconds that the answer took.
      type: int
    detail:
      description: What it answered, or what was wrong.
      type: str
requests:
  description: Number of HTTP requests by verb.
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
        raise ModelopsError(f"dimensions: {uid}: {value!r} is not the length of a vector, such as 384")
    return int(value)


def _prove(
    client: Client, uid: str, running: dict[str, dict[str, t.Any]], dimensions: int | None, timeout: float | None
) -> proof.Proof:
    row = running.get(uid)
    if row is None:
        return proof.Proof(uid, None, False, None, f"does not run; running are: {', '.join(sorted(running)) or 'none'}")
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
