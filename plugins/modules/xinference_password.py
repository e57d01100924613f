#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_password
short_description: Replace the password of a user of an Xinference
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - A user has one password at a time. So the new one is first kept in a file beside the old one's, then changed on the server, proved by a
    login, and only then put in the place of the old one.
  - The passwords that the server accepts and the files hold decide what is done, so an interrupted run can be run again, and continues.
  - With the password the server ends all logins of that user, such as those of the web interface. API keys stay valid.
  - Needs Xinference 3.0 or later. Earlier releases read their users from the file of C(--auth-config) at their start.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.actiongroup_xinference
attributes:
  idempotent:
    description: A second run with the same options changes nothing and says so.
    support: partial
    details:
      - With O(new_password). Without it, each run makes another password, unless it continues an interrupted one.
options:
  user:
    description:
      - The user whose password is replaced. Unset is the administrator who logs in (O(username)). Then the module logs in with the first
        of these that the server accepts - O(password), the one in O(path), that of an interrupted run, O(new_password). It does not read
        O(password_file).
    type: str
  new_password:
    description: The new password. Unset makes one.
    type: str
  path:
    description:
      - File on the machine that runs the module that holds the password. Its directory must exist. It gets the new one once the server
        takes it, with mode 0600. Until then the new one is in C(<path>.next), where it is made by the module.
      - With O(new_password) it is not made where it is missing, because whoever gave the password keeps it.
    type: path
    required: true
  remember:
    description:
      - File of O(modelops.inference.xinference_models#module:remember). Its lock is held while server and file have different passwords, so
        that no turn of the reconciler logs in meanwhile.
    type: path
  ready_timeout:
    description: Seconds to wait for the server to answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Another password for the administrator, known to the host alone
  modelops.inference.xinference_password:
    path: /opt/xinference/secrets/admin_password

- name: One that the inventory gives; the old one is in the file
  modelops.inference.xinference_password:
    new_password: "{{ vault_xinference_admin_password }}"
    path: /opt/xinference/secrets/admin_password

- name: Another password for the reconciler, which never meets an invalid one
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
    - When the file that holds the password was written, in UTC; the server does not tell since when it has it. Empty without a file. In
      check mode, of the password that is there.
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
        raise ModelopsError(f"new_password: {client.endpoint} takes none of less than {shortest} characters.")
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
