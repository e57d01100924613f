#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_admin
short_description: Claim an Xinference server and manage its users and client keys
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Waits for a running Xinference server and ensures that its administrator is the declared one. The module claims an unclaimed server. On
    a claimed server, it tests the password once.
  - Manages users, and API keys for clients such as Dify. Such a key can list, describe and infer.
  - If a server has no authentication (E(XINFERENCE_AUTH_ADVANCED) is C(0), or 1.x and 2.x without C(--auth-config)), the module reports
    this and changes nothing.
notes:
  - A run that changes nothing sends C(GET /v1/cluster/auth), C(GET /v1/admin/setup/status), C(POST /token), C(GET /v1/cluster/version), and
    C(GET /v1/models) with each key. If O(users) are declared, it also sends C(GET /v1/admin/users).
  - In Xinference 3.0 and later, authentication is enabled, and the first user who claims the server becomes the administrator. Xinference
    3.x requires no proof for a claim. Xinference 4.x requires the setup token of its log. Bind an unclaimed server to loopback only.
  - The module never returns the text of a key. The file O(keys[].path) contains it.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._accounts
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  ready_timeout:
    description: Time in seconds to wait for the server to answer.
    type: int
    default: 300
  log_path:
    description:
      - Path of the server's log file on the machine that runs the module. If the server does not answer, the error includes its last lines.
        The module hides tokens and keys in them.
    type: path
"""

EXAMPLES = r"""
- name: Claim the server and create a key for Dify
  modelops.inference.xinference_admin:
    password_file: /opt/xinference/secrets/admin_password
    setup_log: /opt/xinference/home/logs/xinference.log
    keys:
      - name: dify
        path: /opt/xinference/secrets/client_key

- name: Verify a key that was added before the first start and manage a read-only user
  modelops.inference.xinference_admin:
    password: "{{ vault_xinference_admin_password }}"
    keys:
      - name: dify
        key: "{{ vault_xinference_client_key }}"
    users:
      - name: viewer
        password: "{{ vault_viewer_password }}"
        permissions: [models:list, models:read]
"""

RETURN = r"""
version:
  description: Release of the server. V(null) in check mode on an unclaimed server.
  returned: always
  type: str
  sample: 4.1.0
auth:
  description: V(none), V(legacy) (the file of C(--auth-config), before 3.0) or V(database).
  returned: always
  type: str
claimed:
  description: Whether the declared administrator is the server's administrator. V(false) if the server has no authentication.
  returned: always
  type: bool
needs_setup:
  description: Whether the server is still unclaimed. This is possible only after check mode.
  returned: always
  type: bool
plan:
  description: One line for each difference, prefixed by C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ claim administrator admin", "+ create key dify"]
client_keys:
  description: Declared keys.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the key.
      type: str
    path:
      description: Path of the file that contains the key.
      type: str
    state:
      description: V(present) or V(absent), the state after the run.
      type: str
requests:
  description: Number of requests by HTTP method.
  returned: always
  type: dict
  sample: {GET: 4, POST: 1}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs import accounts

ARGUMENT_SPEC = dict(**accounts.OPTIONS, **_connection.XINFERENCE_OPTIONS)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    return accounts.run(Client.of(module), module.params, module.warn)


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
