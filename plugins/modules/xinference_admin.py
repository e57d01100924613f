#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_admin
short_description: Claim an Xinference, and keep its users and client keys
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Waits for a running Xinference and makes sure that its administrator is the one given. A server that nobody has claimed
    is claimed. On one that is claimed the password is tried once.
  - Keeps users, and API keys for clients such as Dify. Such a key can list, describe and infer.
  - A server without authentication (E(XINFERENCE_AUTH_ADVANCED) is C(0), or 1.x and 2.x without C(--auth-config)) is
    reported as it is.
notes:
  - A run that changes nothing sends C(GET /v1/cluster/auth), C(GET /v1/admin/setup/status), C(POST /token),
    C(GET /v1/cluster/version), and C(GET /v1/models) with each key; C(GET /v1/admin/users) where O(users) are declared.
  - Since 3.0 authentication is on, and whoever claims first is the administrator. 3.x asks for nothing else, 4.x for the setup
    token of its log. Until it is claimed, let the server listen on loopback only.
  - The text of a key is never returned. It is in the file that O(keys[].path) names.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._accounts
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  ready_timeout:
    description: Seconds to wait for the server to answer.
    type: int
    default: 300
  log_path:
    description:
      - Log file of the server, on the machine that runs the module. Its last lines are added to the error where the server
        does not answer. Tokens and keys in them are hidden.
    type: path
"""

EXAMPLES = r"""
- name: Claim the server and make a key for Dify
  modelops.inference.xinference_admin:
    password_file: /opt/xinference/secrets/admin_password
    setup_log: /opt/xinference/home/logs/xinference.log
    keys:
      - name: dify
        path: /opt/xinference/secrets/client_key

- name: Verify a key that was put in before the first start, and keep a user who may only look
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
  description: Release of the server. V(null) in check mode on a server that nobody has claimed.
  returned: always
  type: str
  sample: 4.1.0
auth:
  description: V(none), V(legacy) (the file of C(--auth-config), before 3.0) or V(database).
  returned: always
  type: str
claimed:
  description: Whether the administrator given is the server's. V(false) where it has no authentication.
  returned: always
  type: bool
needs_setup:
  description: Whether the server still waits to be claimed, which it does after check mode only.
  returned: always
  type: bool
plan:
  description: One line for each thing that differed, with C(+), C(~) or C(-).
  returned: always
  type: list
  elements: str
  sample: ["+ claim administrator admin", "+ create key dify"]
client_keys:
  description: The declared keys.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the key.
      type: str
    path:
      description: File that holds it.
      type: str
    state:
      description: V(present) or V(absent), as it is after the run.
      type: str
requests:
  description: Number of HTTP requests by verb.
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
