#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_capture_info
short_description: Return the models of an Xinference server as an inventory
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Reads the running models, their launch options and the registered custom models. It returns them in the format of
    M(modelops.inference.xinference_models) and M(modelops.inference.xinference_registration). A later run with these variables changes
    nothing.
  - Use the module to adopt a server whose models were launched by hand, and to record the models before an upgrade. The playbook
    C(modelops.inference.capture) writes the file.
  - The module changes nothing.
notes:
  - The API does not report how a running model was launched. The module uses four sources, in this order of precedence. The first is the
    file in which this collection stores its launch requests (O(remember)). The second is the server's autostart (2.x and later), which
    hides possible secrets. The third is the launch arguments that each worker keeps in C(worker_recovery) of its O(home) (2.x and later).
    The fourth is the history of the web interface (2.x and later). The module ignores a source that contradicts the running model.
  - If no source describes a model, its engine options, environment variables and virtual environment are unknown. A warning and the text
    report this. The module does not guess values.
  - An environment variable, engine option or definition setting whose name or format indicates a secret becomes a reference to a variable
    in RV(variables). The module does not return or log its value. Review the text before you share it, because the module cannot recognize
    every secret.
  - The module does not capture models that load, failed or are missing. A warning, the text and RV(unsettled) name them.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes.info
  - modelops.inference._attributes.actiongroup_xinference
options:
  home:
    description:
      - Value of C(XINFERENCE_HOME) of the workers on the machine that runs the module. Reading it requires root or the workers' user. If
        unset, the module does not read their files.
    type: path
  remember:
    description: Path of the file of O(modelops.inference.xinference_models#module:remember). If unset, the module does not use this source.
    type: path
  ready_timeout:
    description: Time in seconds to wait until the server answers, and until a worker registers with it.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Read the running models
  modelops.inference.xinference_capture_info:
    endpoint: http://10.1.2.3:9997
    password: "{{ vault_xinference_admin_password }}"
  register: captured

- name: Check that a run with the result changes nothing
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
  description: Running models in the format of O(modelops.inference.xinference_models#module:models).
  returned: always
  type: list
  elements: dict
  sample: [{uid: bge-m3, type: embedding, engine: sentence_transformers, autostart: false}]
definitions:
  description:
    - Custom models that do not run or that have several variants, in the format of
      O(modelops.inference.xinference_registration#module:definitions). RV(models) contains the definitions of the others.
  returned: always
  type: list
  elements: dict
variables:
  description: Name of each variable to which RV(models) and RV(definitions) refer, with a description of its value.
  returned: always
  type: dict
  sample: {vault_xinference_qwen3_hf_token: environment variable HF_TOKEN of qwen3}
notes:
  description: Properties of each model that are unknown, by UID.
  returned: always
  type: dict
unsettled:
  description:
    - Models that were not captured, by UID, with V(loading), V(failed), or V(missing) for a model that only O(remember) or the server's
      autostart contains.
  returned: always
  type: dict
  sample: {qwen3: loading}
text:
  description: Inventory file with the variables C(xinference_models) and C(xinference_definitions).
  returned: always
  type: str
requests:
  description: Number of requests by HTTP method.
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
        module.warn(f"{uid} of {client.endpoint} is {state}, so it was not captured.")
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
