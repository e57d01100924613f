#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_password
short_description: Replace the password of a user of an Xinference server
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - A user has one password at a time. The module first stores the new password in a file next to the old one. Then it changes the password
    on the server and verifies it with a login. It replaces the old file last.
  - The module derives its actions from the passwords that the server accepts and that the files contain. After an interruption, run it
    again to continue.
  - A password change ends all logins of that user, such as logins in the web interface. API keys stay valid.
  - It requires Xinference 3.0 or later. Earlier releases read their users from the file of C(--auth-config) at their start.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.actiongroup_xinference
attributes:
  idempotent:
    description: A second run with the same options changes nothing and reports no change.
    support: partial
    details: Idempotent only with O(new_password). Without it, each run generates another password, unless it continues an interrupted run.
options:
  user:
    description:
      - User whose password is replaced. The default is the administrator who logs in (O(username)). The module then tries several passwords
        in this order. They are O(password), the password in O(path), the password of an interrupted run, and O(new_password). It does not
        read O(password_file).
    type: str
  new_password:
    description: New password. If unset, the module generates one.
    type: str
  path:
    description:
      - Path of the file with the password, on the machine that runs the module. The directory must exist. The module writes the new
        password to it with mode 0600 after the server accepts the password. Until then, a generated password is in C(<path>.next).
      - With O(new_password), the module does not create a missing file, because the password is kept elsewhere.
    type: path
    required: true
  remember:
    description:
      - Path of the file of O(modelops.inference.xinference_models#module:remember). The module holds its lock while the server and the file
        have different passwords, so that the reconciler does not log in during that time.
    type: path
  ready_timeout:
    description: Time in seconds to wait for the server to answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Generate a new administrator password that only the host knows
  modelops.inference.xinference_password:
    path: /opt/xinference/secrets/admin_password

- name: Set a password from the inventory; the file contains the old password
  modelops.inference.xinference_password:
    new_password: "{{ vault_xinference_admin_password }}"
    path: /opt/xinference/secrets/admin_password

- name: Replace the password of the reconciler without a failed login
  modelops.inference.xinference_password:
    password_file: /opt/xinference/secrets/admin_password
    user: reconciler
    path: /opt/xinference/reconciler/password
    remember: /opt/xinference/reconciler/declared.json
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample:
    - "+ write file /opt/xinference/secrets/admin_password.next"
    - "~ change user admin (password (hidden))"
    - "~ write file /opt/xinference/secrets/admin_password (content (hidden))"
    - "- delete file /opt/xinference/secrets/admin_password.next"
since:
  description:
    - Time in UTC at which the password file was written, because the server does not report the age of a password. Empty without a file. In
      check mode, the time of the existing file.
  returned: success
  type: str
  sample: "2026-11-22 10:47:06"
"""

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import authentication, passwords

ARGUMENT_SPEC = dict(
    user=dict(type="str"),
    new_password=dict(type="str", no_log=True),
    path=dict(type="path", required=True),
    remember=dict(type="path"),
    ready_timeout=dict(type="int", default=30),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: t.Any) -> dict[str, t.Any]:
    p = module.params
    client = Client.of(module)
    shortest = authentication.for_rotation(client, p["ready_timeout"], "password").password_min_length
    given, path, user = p["new_password"] or None, p["path"], p["user"] or p["username"]
    if given and len(given) < shortest:
        raise ModelopsError(f"new_password: {client.endpoint} requires at least {shortest} characters.")
    with Store(p["remember"], writes=not module.check_mode).lock():
        if user == p["username"]:
            found = passwords.own(client, p["password"], path, given, shortest)
        else:
            client.login()
            found = passwords.of_user(client, user, path, given, shortest)
        plan = passwords.plan_of(found)
        if not module.check_mode:
            passwords.apply(client, found, plan)
    return dict(plan.result(), since=passwords.since(found))


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
