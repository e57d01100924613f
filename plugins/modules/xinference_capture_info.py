#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_capture_info
short_description: Write down what an Xinference serves as an inventory
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Reads which models run, how they were launched and which custom models are registered, and returns them as
    M(modelops.inference.xinference_models) and M(modelops.inference.xinference_registration) take them. A following run with
    them changes nothing.
  - The way in for a server whose models were launched by hand, and a record before an upgrade. The playbook
    C(modelops.inference.capture) writes the file.
  - Changes nothing.
notes:
  - "The API does not tell how a running model was launched. These do, in the order in which they are believed: what this
    collection remembers (O(remember)), the server's autostart (since 2.x, values that may be secret hidden), the launch
    arguments that each worker keeps in C(worker_recovery) of its O(home) (since 2.x), the history of the web interface (since
    2.x). A source that says otherwise than what runs is not used."
  - Of a model of which none of them tells, engine options, environment variables and virtual environment are not known. That
    is said in a warning and in the text, and nothing is invented.
  - An environment variable, engine option or setting of a definition that is a secret by its name or by its form becomes a
    reference to a variable, listed in RV(variables). Its value is neither returned nor logged. Look over the text before you
    share it, because a secret in an unusual place is not known as one.
  - Models that load, failed or are missing are not captured. They are named in a warning, in the text and in RV(unsettled).
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes.info
  - modelops.inference._attributes.actiongroup_xinference
options:
  home:
    description:
      - C(XINFERENCE_HOME) of the workers on the machine that runs the module, as root or as their user. Unset does without their
        files.
    type: path
  remember:
    description: The file that O(modelops.inference.xinference_models#module:remember) names. Unset does without it.
    type: path
  ready_timeout:
    description: Seconds to wait for the server to answer and for a worker to register with it.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: What runs here?
  modelops.inference.xinference_capture_info:
    endpoint: http://10.1.2.3:9997
    password: "{{ vault_xinference_admin_password }}"
  register: captured

- name: Would a run with it change anything?
  modelops.inference.xinference_models:
    endpoint: http://10.1.2.3:9997
    password: "{{ vault_xinference_admin_password }}"
    models: "{{ captured.models }}"
  check_mode: true
"""

RETURN = r"""
version:
  description: Release of the server.
  returned: always
  type: str
  sample: 4.1.0
models:
  description: What runs, as O(modelops.inference.xinference_models#module:models) takes it.
  returned: always
  type: list
  elements: dict
  sample: [{uid: bge-m3, type: embedding, engine: sentence_transformers, autostart: false}]
definitions:
  description:
    - Custom models of which none runs, or which have several forms, as
      O(modelops.inference.xinference_registration#module:definitions) takes them. The others are part of RV(models).
  returned: always
  type: list
  elements: dict
variables:
  description: Name of each variable that RV(models) and RV(definitions) refer to, and what it must hold.
  returned: always
  type: dict
  sample: {vault_xinference_qwen3_hf_token: environment variable HF_TOKEN of qwen3}
notes:
  description: What is not told of a model, by its UID.
  returned: always
  type: dict
unsettled:
  description:
    - UID of each model that does not run and is not captured, and why. V(loading), V(failed), or V(missing) where O(remember) or
      the server's autostart has it.
  returned: always
  type: dict
  sample: {qwen3: loading}
text:
  description: The inventory file, with the variables C(xinference_models) and C(xinference_definitions).
  returned: always
  type: str
requests:
  description: Number of HTTP requests by verb.
  returned: always
  type: dict
  sample: {GET: 14, POST: 1}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import (
    capture,
    capture_sources,
    capture_text,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Store

ARGUMENT_SPEC = dict(
    home=dict(type="path"),
    remember=dict(type="path"),
    ready_timeout=dict(type="int", default=30),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    declared, workers = Store(p["remember"]).load(), capture_sources.launch_arguments(p["home"])
    client = Client.of(module)
    client.wait_ready(p["ready_timeout"])
    client.login()
    captured = capture.capture(capture_sources.read(client, declared, workers))
    for uid, notes in captured.notes.items():
        for note in notes:
            module.warn(f"{uid}: {note}")
    for uid, state in captured.unsettled.items():
        module.warn(f"{uid} of {client.endpoint} is {state}, so it is not captured.")
    return {
        "changed": False,
        "version": client.version,
        "models": captured.models,
        "definitions": captured.definitions,
        "variables": captured.variables,
        "notes": captured.notes,
        "unsettled": captured.unsettled,
        "text": capture_text.text(captured, client.endpoint, client.version),
        "requests": dict(client.session.counts),
    }


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
