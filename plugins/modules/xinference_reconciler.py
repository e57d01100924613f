#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_reconciler
short_description: Put the program that brings back missing models on a host
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Xinference forgets its models when it restarts. The program C(tools/modelops-reconcile) launches those that
    M(modelops.inference.xinference_models) remembered (O(modelops.inference.xinference_models#module:remember)) and that are
    missing. It is one file with the same code as the modules, runs in the environment of Xinference, and needs no Ansible.
  - It waits for what loads, whoever launched it. What is broken for a minute is ended and launched anew. After a failure it
    pauses, twice as long each time, and after a number of them it gives up until the declaration changes, the server
    restarts or a person says C(resume). It never ends a model that serves; what runs otherwise than declared it reports.
  - Replicas that a model has lost with a worker of its cluster are added elsewhere when that worker stays away for two minutes, or when
    it is back and has not brought them back within the time of a launch, where the release can add replicas (since Xinference 3.2) and the
    model is not spread over workers. A failure pauses that in the same way. What is missing for another reason is reported.
  - C(modelops-reconcile --help) tells its commands (C(run), C(loop), C(status), C(pause), C(resume), C(hold)) and exit statuses. Beside
    the remembered models it keeps C(status.json) and C(metrics.prom) for monitoring, both readable by everyone.
  - What runs the program is a service of M(modelops.inference.xinference_service). The role C(models) does both.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  path:
    description:
      - Directory of the installation. The program is written to C(tools) below it, runs with C(current/bin/python) below it, and
        keeps its files in C(reconciler) below it.
    type: path
    required: true
  state:
    description: Whether the program is there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: The reconciler's program
  modelops.inference.xinference_reconciler:
    path: /opt/xinference

- name: It runs once a minute
  modelops.inference.xinference_service:
    name: xinference-reconcile
    base: /opt/xinference
    unit: "{{ lookup('ansible.builtin.template', 'reconcile.service.j2') }}"
    timer: "{{ lookup('ansible.builtin.template', 'reconcile.timer.j2') }}"

- name: Nothing is launched during maintenance
  ansible.builtin.command: /opt/xinference/tools/modelops-reconcile pause --for 2h --reason 'new disks'
"""

RETURN = r"""
program:
  description: Path of the program.
  returned: always
  type: str
  sample: /opt/xinference/tools/modelops-reconcile
plan:
  description: One line where the program differed.
  returned: always
  type: list
  elements: str
  sample: ["~ install /opt/xinference/tools/modelops-reconcile (program 51bb3cf3a4a8 -> 9c1185a5c5e9)"]
"""

import hashlib
import os
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import write_file
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import program

_MODE = 0o755


def work(module: AnsibleModule) -> dict[str, t.Any]:
    base, path = module.params["path"], os.path.join(module.params["path"], "tools", "modelops-reconcile")
    wanted = program.reconciler(base)
    before = _read(path)
    plan = Plan("reconciler")
    if module.params["state"] == "absent":
        if before is not None:
            plan.add("remove", "remove", path)
            if not module.check_mode:
                os.unlink(path)
        return {**plan.result(), "program": path}
    mode = None if before is None else stat.S_IMODE(os.stat(path).st_mode)
    if (before, mode) != (wanted, _MODE):
        pairs = {"program": (_digest(before), _digest(wanted))}
        if mode is not None:
            pairs["mode"] = (f"{mode:04o}", f"{_MODE:04o}")
        fields = [Field(key, *pair) for key, pair in pairs.items() if pair[0] != pair[1]]
        plan.add("add" if before is None else "change", "install", path, fields)
        if not module.check_mode:
            make_directory(os.path.dirname(path))
            # At once: it may be running.
            write_file(path, wanted, _MODE)
    return {**plan.result(), "program": path}


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()[:12]


def main() -> None:
    module = _module.Module(
        argument_spec=dict(
            path=dict(type="path", required=True),
            state=dict(type="str", choices=["present", "absent"], default="present"),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
