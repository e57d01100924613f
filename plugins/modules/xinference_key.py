#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_key
short_description: Replace a client key of an Xinference server while clients use it
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Replaces the key in two steps, O(state=begun) and O(state=finished). Between the steps both keys are valid, so that each client can
    switch to the new key without interruption.
  - The module derives its actions from the state of the server and of the file. After an interruption, run it again to continue.
  - The new key belongs to the same user as the old key and has the same model permissions. It does not expire.
  - It requires Xinference 3.0 or later. Earlier releases read their keys from the file of C(--auth-config) at their start.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.actiongroup_xinference
attributes:
  idempotent:
    description: A second run with the same options changes nothing and reports no change.
    support: partial
    details:
      - O(state=begun) after O(state=finished) begins another rotation.
options:
  name:
    description: Name of the key on the server. The new key is named C(<name>-next) until the old key is revoked.
    type: str
    default: client
  path:
    description:
      - Path of the file with the key on the machine that runs the module. The directory must exist. O(state=begun) writes the new key to
        the file with mode 0600 as soon as the server accepts the key.
    type: path
    required: true
  state:
    description:
      - Step of the rotation. V(begun) creates the new key in addition to the old one.
      - V(finished) revokes the old key and renames the new key. The module refuses this step while the file does not contain the new key.
    type: str
    choices: [begun, finished]
    required: true
  ready_timeout:
    description: Time in seconds to wait for the server to answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Create a new key in addition to the old one
  modelops.inference.xinference_key:
    password_file: /opt/xinference/secrets/admin_password
    path: /opt/xinference/secrets/client_key
    state: begun

- name: Revoke the old key after each client has the new one
  modelops.inference.xinference_key:
    password_file: /opt/xinference/secrets/admin_password
    path: /opt/xinference/secrets/client_key
    state: finished
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["+ create key client-next", "~ write file /opt/xinference/secrets/client_key (content (hidden))"]
old:
  description: First characters of the valid keys other than the new one, as the server lists them.
  returned: success
  type: list
  elements: str
  sample: [xf-EmRo]
since:
  description: Time in UTC at which the server created the key that stays. In check mode, the time of the existing key.
  returned: success
  type: str
  sample: "2026-11-22 10:47:06"
"""

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import authentication, rotation

STEPS = {"begun": rotation.begin, "finished": rotation.finish}

ARGUMENT_SPEC = dict(
    name=dict(type="str", default="client"),
    path=dict(type="path", required=True),
    state=dict(type="str", choices=[*STEPS], required=True),
    ready_timeout=dict(type="int", default=30),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: t.Any) -> dict[str, t.Any]:
    p = module.params
    client = Client.of(module)
    authentication.for_rotation(client, p["ready_timeout"], "key")
    client.login()
    found = rotation.look(client, p["name"], p["path"])
    plan = STEPS[p["state"]](found)
    if not module.check_mode:
        rotation.apply(client, found, plan)
    stays = found.next or found.current or {}
    old = found.current if found.next or module.check_mode else None
    return dict(plan.result(), old=[old["key_prefix"]] if old else [], since=stays.get("created_at") or "")


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
