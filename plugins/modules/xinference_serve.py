#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_serve
short_description: Manage the accounts and models of an Xinference server in one execution
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Combines M(modelops.inference.xinference_admin), M(modelops.inference.xinference_registration) and
    M(modelops.inference.xinference_models) in one execution with one login. The module waits for the server, manages its administrator,
    users and client keys, registers definitions, launches models, and proves them, in this order.
  - If one part fails, the module does not start the following parts, and the error names them.
  - While models load, the module shows one line for each change of state.
notes:
  - A run that changes nothing sends C(GET /v1/cluster/auth), C(GET /v1/admin/setup/status), one C(POST /token), C(GET /v1/cluster/version),
    C(GET /v1/models) with each key and once more, C(GET /status), C(GET /v1/models/instances) and C(GET /v1/autostart/models). If O(users)
    are declared, it also sends C(GET /v1/admin/users). If O(definitions) are declared, it also sends C(GET /status), C(GET /v1/models) and
    C(GET /v1/models/instances) once more and up to four requests for each type. It sends up to three requests for each type with custom
    models, and one for each model that it proves.
  - In check mode, the module rejects a model whose definition is not registered yet, because the server does not know the model.
  - The module does not change a definition from which a model runs, and warns. M(modelops.inference.xinference_registration) can replace
    it.
  - Works with Xinference 1.17, 2.12, 3.x and 4.x.
  - The module does not support C(async), because Ansible could not show the progress. Use O(wait) to return early.
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
    description: Runs on the controller to show the progress.
    support: full
  async:
    description: Supports the C(async) keyword.
    support: none
options:
  resume:
    description: Value of RV(resume) from an execution that returned RV(pending=true). Used by the action plugin.
    type: dict
"""

EXAMPLES = r"""
- name: Manage a key for Dify and serve a built-in and a custom model
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
  description: Release of the server. V(null) in check mode on an unclaimed server.
  returned: always
  type: str
  sample: 4.1.0
auth:
  description: Authentication, as in RV(modelops.inference.xinference_admin#module:auth).
  returned: always
  type: str
claimed:
  description: State of the claim, as in RV(modelops.inference.xinference_admin#module:claimed).
  returned: always
  type: bool
needs_setup:
  description:
    - Whether the server is unclaimed, as in RV(modelops.inference.xinference_admin#module:needs_setup). If V(true), the module did not
      compare definitions and models.
  returned: always
  type: bool
client_keys:
  description: Client keys, as in RV(modelops.inference.xinference_admin#module:client_keys).
  returned: always
  type: list
  elements: dict
definitions:
  description: Definitions, as in RV(modelops.inference.xinference_registration#module:definitions).
  returned: always
  type: list
  elements: dict
plan:
  description: One line for each difference, prefixed by C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ create key client", "+ register embedding house-embedding", "+ launch bge-m3"]
pending:
  description: Whether launches were still in progress, or the module was waiting for another run, when O(wait) expired.
  returned: always
  type: bool
resume:
  description: Value for O(resume) that continues the copy.
  returned: when RV(pending) is true
  type: dict
placement:
  description: Placement, as in RV(modelops.inference.xinference_models#module:placement).
  returned: when the models were compared
  type: list
  elements: dict
progress:
  description: Lines that were shown, which are the placement and the events while models loaded.
  returned: always
  type: list
  elements: str
  sample: ["bge-m3  loading on 10.0.0.5", "bge-m3  ready after 12 s"]
models:
  description: Models, as in RV(modelops.inference.xinference_models#module:models).
  returned: when RV(pending) is false and the models were compared
  type: list
  elements: dict
requests:
  description: Number of requests by HTTP method.
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
