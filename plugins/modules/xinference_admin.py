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
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._attributes.actiongroup_xinference
options:
  setup_token:
    description: Setup token of a server of 4.x that nobody has claimed yet.
    type: str
  setup_log:
    description: Log file of the server, on the machine that runs the module, to find the setup token in.
    type: path
  users:
    description: Users besides the administrator. Others are not touched.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      password:
        description: Password, used only when the user is made.
        type: str
      password_path:
        description:
          - File on the machine that runs the module with the password. Where it is missing, a password is made, the user's is
            changed to it, and it is written with mode 0600; the file belongs to whoever owns its directory, which has to exist.
        type: path
      permissions:
        description:
          - Exactly these permissions, such as V(models:list), V(models:read), V(models:write), V(models:register) or V(admin).
          - Unset leaves those of an existing user alone.
        type: list
        elements: str
      state:
        description: Whether the user exists.
        type: str
        choices: [present, absent]
        default: present
  keys:
    description: API keys for clients. Others are not touched.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the key on the server.
        type: str
        required: true
      path:
        description:
          - File on the machine that runs the module that receives the key, with mode 0600. Its directory has to exist.
          - Where the file holds a key that works, nothing is changed. Where it is missing, or its key no longer works, the key of
            this name is read back from the server, or made where the server has none.
        type: path
      key:
        description:
          - Text of a key that the server has already, such as one put in before its first start. It is only verified to work.
        type: str
      description:
        description: Text for people, used only when the key is made.
        type: str
      owner:
        description: Name of the user that owns the key, used only when the key is made. Unset is the administrator.
        type: str
      state:
        description: Whether the key exists. V(absent) removes its file, too.
        type: str
        choices: [present, absent]
        default: present
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
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import AUTH_PATH, Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import admin

STATE = dict(type="str", choices=["present", "absent"], default="present")

USER_OPTIONS = dict(
    name=dict(type="str", required=True),
    password=dict(type="str", no_log=True),
    password_path=dict(type="path", no_log=False),
    permissions=dict(type="list", elements="str"),
    state=STATE,
)

KEY_OPTIONS = dict(
    name=dict(type="str", required=True),
    path=dict(type="path"),
    key=dict(type="str", no_log=True),
    description=dict(type="str"),
    owner=dict(type="str"),
    state=STATE,
)

ARGUMENT_SPEC = dict(
    setup_token=dict(type="str", no_log=True),
    setup_log=dict(type="path"),
    users=dict(type="list", elements="dict", default=[], options=USER_OPTIONS),
    keys=dict(type="list", elements="dict", default=[], options=KEY_OPTIONS, no_log=False),
    ready_timeout=dict(type="int", default=300),
    log_path=dict(type="path"),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    admin.desired(p["users"], p["keys"], p["username"])
    client = Client.of(module)
    answer = client.wait_ready(p["ready_timeout"], path=AUTH_PATH, workers=False)
    actual = admin.authentication(client, answer)
    if actual.auth == admin.NO_AUTH:
        return _unmanaged(module, client, actual, [admin.Key(options) for options in p["keys"]])
    client.check_password(actual.password_min_length if actual.needs_setup else 0)
    if actual.auth == admin.LEGACY:
        admin.login(client, actual.auth)
        return _unmanaged(module, client, actual, admin.look_at_keys(client, p["keys"]))
    return _managed(module, client, actual)


def _managed(module: AnsibleModule, client: Client, actual: admin.Actual) -> dict[str, t.Any]:
    """A server with users and keys in its database, since 3.0."""
    p = module.params
    # Nothing can be read from a server that check mode must not claim: its keys are those of an empty server.
    predicted = actual.needs_setup and module.check_mode
    if predicted:
        keys = [admin.Key(options) for options in p["keys"]]
    else:
        if actual.needs_setup:
            admin.claim(client, admin.find_token(p["setup_token"], p["setup_log"]))
        admin.login(client, actual.auth)
        keys = admin.look_at_keys(client, p["keys"])
        admin.read(client, actual, p["users"], keys)
    users = admin.look_at_users(client, p["users"])
    plan = admin.plan_of(p["username"], actual, users, keys, client.endpoint)
    if not module.check_mode:
        admin.apply(client, actual, plan)
    return {
        **plan.result(),
        "version": None if predicted else client.version,
        **_facts(client, actual, keys),
        "claimed": not predicted,
        "needs_setup": predicted,
    }


def _unmanaged(module: AnsibleModule, client: Client, actual: admin.Actual, keys: list[admin.Key]) -> dict[str, t.Any]:
    """A server whose users and keys are not the API's business."""
    p = module.params
    problems = admin.unmanaged(actual.auth, p["users"], keys)
    if problems and actual.auth == admin.LEGACY:
        raise ModelopsError(f"{client.endpoint} is of before 3.0: " + "; ".join(problems))
    for problem in problems:
        module.warn(f"{client.endpoint}: {problem}")
    return {
        "changed": False,
        "plan": [],
        "version": client.version,
        **_facts(client, actual, keys),
        "claimed": actual.auth == admin.LEGACY,
        "needs_setup": False,
    }


def _facts(client: Client, actual: admin.Actual, keys: list[admin.Key]) -> dict[str, t.Any]:
    rows = [{"name": key.name, "path": key.path, "state": key.options["state"]} for key in keys]
    return {"auth": actual.auth, "client_keys": rows, "requests": dict(client.session.counts)}


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
