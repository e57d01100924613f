#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_reconciler
short_description: Install or remove the reconciler that launches missing models
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Xinference loses its models when it restarts. The program C(tools/modelops-reconcile) launches missing models from the launch requests
    that M(modelops.inference.xinference_models) stored (O(modelops.inference.xinference_models#module:remember)). It is one file with the
    same code as the modules. It runs in the environment of Xinference and does not need Ansible.
  - The program waits for models that are loading, whoever launched them. It terminates and relaunches a model that is broken for one
    minute. After each failure it pauses twice as long as before. After a number of failures it gives up until the declaration changes, the
    server restarts or a person runs C(resume). It never terminates a model that answers. It reports models that differ from the
    declaration.
  - If a worker of the cluster is lost for two minutes, the program adds its replicas on other workers. It also adds them if the worker
    returns but does not restore its replicas within the launch timeout. This requires a release that can add replicas (Xinference 3.2 and
    later) and a model that does not span several workers. A failure causes the same pauses. The program only reports replicas that are
    missing for other reasons.
  - C(modelops-reconcile --help) lists its commands (C(run), C(loop), C(status), C(pause), C(resume), C(hold)) and exit statuses. Next to
    the stored launch requests, the program writes C(status.json) and C(metrics.prom) for monitoring. Everyone can read both files.
  - A service of M(modelops.inference.xinference_service) runs the program. The role C(models) configures both.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  path:
    description:
      - Directory of the installation. The module writes the program to its subdirectory C(tools). The program runs with
        C(current/bin/python) and keeps its files in C(reconciler), both in this directory.
    type: path
    required: true
  state:
    description: Whether the program is installed.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Install the reconciler's program
  modelops.inference.xinference_reconciler:
    path: /opt/xinference

- name: Run the reconciler once a minute
  modelops.inference.xinference_service:
    name: xinference-reconcile
    base: /opt/xinference
    unit: "{{ lookup('ansible.builtin.template', 'reconcile.service.j2') }}"
    timer: "{{ lookup('ansible.builtin.template', 'reconcile.timer.j2') }}"

- name: Pause the reconciler during maintenance
  ansible.builtin.command: /opt/xinference/tools/modelops-reconcile pause --for 2h --reason 'new disks'
"""

RETURN = r"""
program:
  description: Path of the program.
  returned: always
  type: str
  sample: /opt/xinference/tools/modelops-reconcile
plan:
  description: One line if the program differed.
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
