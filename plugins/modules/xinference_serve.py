#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_serve
short_description: Make an Xinference what is declared, from its administrator to the proof of its models
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Does in one execution, with one login, what M(modelops.inference.xinference_admin), M(modelops.inference.xinference_registration) and
    M(modelops.inference.xinference_models) do, in this order - it waits for the server, keeps its administrator, users and client keys,
    registers definitions, launches models, and proves them.
  - Where one of these parts fails, those that follow are not begun, and the error names them.
  - While models load, one line is shown for each change of state.
notes:
  - A run that changes nothing sends C(GET /v1/cluster/auth), C(GET /v1/admin/setup/status), one C(POST /token),
    C(GET /v1/cluster/version), C(GET /v1/models) with each key and once more, C(GET /status), C(GET /v1/models/instances) and
    C(GET /v1/autostart/models); C(GET /v1/admin/users) where O(users) are declared; C(GET /status), C(GET /v1/models) and
    C(GET /v1/models/instances) once more and up to four requests for each type where there are O(definitions); up to three for each type
    with custom models; and one for each model that is proven.
  - In check mode a model that is named by a definition which is not registered yet is refused, because the server does not know it.
  - A definition that a model runs from is left alone, with a warning. M(modelops.inference.xinference_registration) can replace it.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
  - Does not run with C(async), because Ansible could not show the progress. Use O(wait) to return early.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._accounts
  - modelops.inference._definitions
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
  resume:
    description: What an execution that returned RV(pending=true) returned as RV(resume). Used by the action plugin.
    type: dict
"""

EXAMPLES = r"""
- name: Keep a key for Dify, and serve an embedding model and one of the house
  modelops.inference.xinference_serve:
    password_file: /opt/xinference/secrets/admin_password
    keys:
      - name: client
        path: /opt/xinference/secrets/client_key
    definitions:
      - name: house-embedding
        type: embedding
        path: /srv/models/house-embedding
        definition:
          dimensions: 1024
          max_tokens: 8192
    models:
      - uid: bge-m3
        type: embedding
      - uid: house-embedding
        type: embedding
"""

RETURN = r"""
version:
  description: Release of the server. V(null) in check mode on a server that nobody has claimed.
  returned: always
  type: str
  sample: 4.1.0
auth:
  description: As RV(modelops.inference.xinference_admin#module:auth).
  returned: always
  type: str
claimed:
  description: As RV(modelops.inference.xinference_admin#module:claimed).
  returned: always
  type: bool
needs_setup:
  description: As RV(modelops.inference.xinference_admin#module:needs_setup). Then definitions and models were not compared.
  returned: always
  type: bool
client_keys:
  description: As RV(modelops.inference.xinference_admin#module:client_keys).
  returned: always
  type: list
  elements: dict
definitions:
  description: As RV(modelops.inference.xinference_registration#module:definitions).
  returned: always
  type: list
  elements: dict
plan:
  description: One line for each thing that differed, with C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ create key client", "+ register embedding house-embedding", "+ launch bge-m3"]
pending:
  description: Whether launches were still under way, or another run was waited for, when O(wait) was over.
  returned: always
  type: bool
resume:
  description: What O(resume) needs to go on.
  returned: when RV(pending) is true
  type: dict
placement:
  description: As RV(modelops.inference.xinference_models#module:placement).
  returned: when the models were compared
  type: list
  elements: dict
progress:
  description: The lines that were shown, which are the placement and then what happened while models loaded.
  returned: always
  type: list
  elements: str
  sample: ["bge-m3  loading on 10.0.0.5", "bge-m3  ready after 12 s"]
models:
  description: As RV(modelops.inference.xinference_models#module:models).
  returned: when RV(pending) is false and the models were compared
  type: list
  elements: dict
requests:
  description: Number of HTTP requests by verb.
  returned: always
  type: dict
  sample: {GET: 10, POST: 1}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs import models, serve

ARGUMENT_SPEC = dict(**serve.OPTIONS, **_connection.XINFERENCE_OPTIONS)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    return serve.run(Client.of(module), module.params, module.warn)


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    models.unmask_short_values(module)
    _module.run(module, work)


if __name__ == "__main__":
    main()
