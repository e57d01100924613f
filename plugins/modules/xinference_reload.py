#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_reload
short_description: Replace the supervisor and API processes of an Xinference server while it serves
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Starts a new supervisor process and then a new API process on the server, which take over the records of workers and models. The old
    processes end when their requests are complete. Models, workers and client connections are not interrupted.
  - Use the module if a supervisor uses too much memory or partly hangs. The new processes have the release and the environment of the old
    ones. A changed configuration requires a restart.
  - It requires Xinference 4.1 or later. The server rejects a reload while a model is launched, downloaded or reloaded. The module then
    tries again until O(timeout) expires.
extends_documentation_fragment:
  - modelops.inference._xinference
  - modelops.inference._http
  - modelops.inference._attributes
  - modelops.inference._attributes.actiongroup_xinference
options:
  parts:
    description: Parts to replace, in this order.
    type: list
    elements: str
    choices: [supervisor, api]
    default: [supervisor, api]
  timeout:
    description: Maximum time in seconds for each part.
    type: int
    default: 300
  ready_timeout:
    description: Time in seconds to wait for the server to answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Replace the supervisor and API processes
  modelops.inference.xinference_reload:
    endpoint: http://10.1.2.3:9997
    password_file: /opt/xinference/secrets/admin_password
"""

RETURN = r"""
plan:
  description: One line for each part.
  returned: success
  type: list
  elements: str
  sample: ["~ reload supervisor", "~ reload api"]
parts:
  description: Final status of each part from the server, and the duration in seconds.
  returned: success, when not in check mode
  type: dict
  sample: {supervisor: {source_pid: 812, target_pid: 4020, status: succeeded, seconds: 14.2}}
"""

import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _module
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan
from ansible_collections.modelops.inference.plugins.module_utils._session import Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client

PAUSE = 1.0
SHOWN = ("source_pid", "target_pid", "source_version", "target_version", "status")

ARGUMENT_SPEC = dict(
    parts=dict(type="list", elements="str", choices=["supervisor", "api"], default=["supervisor", "api"]),
    timeout=dict(type="int", default=300),
    ready_timeout=dict(type="int", default=30),
    **_connection.XINFERENCE_OPTIONS,
)


def work(module: t.Any) -> dict[str, t.Any]:
    p = module.params
    client = Client.of(module)
    client.wait_ready(p["ready_timeout"])
    client.login()
    if not releases.relaunches(client.version):
        raise ModelopsError(
            f"{client.endpoint} runs Xinference {client.version}, which cannot replace its own processes (4.1 can). Restart it: "
            "ansible-playbook modelops.inference.restart, which keeps models if other workers have room."
        )
    plan = Plan("server")
    for part in p["parts"]:
        plan.add("change", "reload", part)
    if module.check_mode:
        return plan.result()
    return dict(plan.result(), parts={part: reload(client, part, p["timeout"]) for part in p["parts"]})


def reload(client: Client, part: str, timeout: float) -> dict[str, t.Any]:
    """Replaces one part and waits until the old process has ended.

    :raises ModelopsError: it failed; then the old process goes on.
    """
    began = time.monotonic()
    operation = _begin(client, part, began + timeout)
    while operation["status"] not in ("succeeded", "failed"):
        if time.monotonic() - began > timeout:
            raise ModelopsError(f"{client.endpoint}: the {part} is still {operation['status']} after {timeout} s")
        time.sleep(PAUSE)
        try:
            # The API that is asked may be the one that ends.
            operation = client.get(f"/v1/{part}-relaunches/{operation['operation_id']}").json
        except Unreachable:
            continue
    if operation["status"] == "failed":
        raise ModelopsError(
            f"{client.endpoint}: the {part} was not replaced, and the old one continues: {operation.get('error')}"
        )
    return dict({key: operation.get(key) for key in SHOWN}, seconds=round(time.monotonic() - began, 1))


def _begin(client: Client, part: str, end: float) -> dict[str, t.Any]:
    while True:
        answer = client.post(f"/v1/{part}/relaunch", json={}, expect=(202, 409))
        if answer.status == 202:
            return answer.json
        if time.monotonic() + PAUSE > end:
            raise ModelopsError(f"{client.endpoint}: the {part} cannot be replaced now: {answer.detail}")
        time.sleep(PAUSE)


def main() -> None:
    module = _module.Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _module.run(module, work)


if __name__ == "__main__":
    main()
