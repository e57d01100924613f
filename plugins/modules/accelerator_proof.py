#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_proof
short_description: Compute on every device with the PyTorch of an environment
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Multiplies two matrices on each device and compares the product with the CPU's result, in double precision.
  - Fails if devices are missing, or if a device fails, hangs or returns a wrong result. The error names the device.
  - Changes only the record of the proof (O(record)).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  python:
    description: Python interpreter of the environment.
    type: path
    required: true
  kind:
    description: Accelerator on which to compute, from C(plan.torch.kind) of M(modelops.inference.accelerator_info).
    type: str
    choices: [cuda, rocm, ascend, cpu]
    required: true
  devices:
    description: Minimum number of devices.
    type: int
    default: 1
  used:
    description:
      - Whether programs use the cards. If V(true), a device without free memory for the computation (out of memory, busy) counts as
        unproven. The module then warns and records no proof.
    type: bool
    default: false
  timeout:
    description: Maximum time in seconds for all computations.
    type: int
    default: 120
  user:
    description: User that runs the computation if Ansible connects as root. Empty uses the connecting user.
    type: str
    default: ""
  groups:
    description: Additional groups of the user's process, such as V(render) and V(video) for AMD's cards.
    type: list
    elements: str
    default: []
  record:
    description:
      - Path of the JSON file of the role accelerator in which a successful proof is stored as C(proven) with the value of O(proves). Empty
        stores nothing.
    type: path
    default: ""
  proves:
    description: Conditions of the proof. The role compares them to decide whether the proof is still valid.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Compute on eight cards
  modelops.inference.accelerator_proof:
    python: /opt/xinference/current/bin/python
    kind: cuda
    devices: 8
"""

RETURN = r"""
torch:
  description: Version of PyTorch.
  returned: success
  type: str
  sample: 2.15.0+cu130
build:
  description: CUDA or HIP version of the PyTorch build, or V(cpu).
  returned: success
  type: str
  sample: "13.0"
taken:
  description: Devices that were not proven because programs use all their memory.
  returned: success
  type: list
  elements: str
  sample: []
devices:
  description:
    - Devices, each with its C(name), C(error) (largest difference relative to the largest element) and C(seconds), or with C(failed).
  returned: success
  type: list
  elements: dict
  sample: [{device: "cuda:0", name: NVIDIA H100 80GB HBM3, error: 2.1e-06, seconds: 0.4}]
"""

import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._accelerator import compute_proof
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system import shell

# Rows of the matrices: enough for the device's own kernels, and a second for one core.
SIZE = 1024


def work(module: AnsibleModule) -> dict[str, t.Any]:
    options = module.params
    python = options["python"]
    if not os.access(python, os.X_OK):
        raise ModelopsError(
            f"{python} does not exist: install the environment first (role xinference), or name another one"
        )
    text = shell.run(
        [python, "-c", compute_proof.PROGRAM, options["kind"], str(options["timeout"]), str(SIZE)],
        f"computing with {python}",
        # Compiled kernels are not cached: the user may have no home.
        env={"PYTHONDONTWRITEBYTECODE": "1", "CUDA_CACHE_DISABLE": "1"},
        # The program ends itself; this is for one that does not even start.
        timeout=options["timeout"] + 30,
        user=options["user"] or None,
        groups=options["groups"],
    )
    found = compute_proof.judge(text, options["devices"], options["used"])
    problems = found.pop("problems")
    if problems:
        raise ModelopsError(
            f"the {options['kind']} of this host failed its verification: {'; '.join(problems)}. See nvidia-smi, rocm-smi or npu-smi and "
            f"the kernel's log (dmesg), and whether {python} has the build of PyTorch that fits the driver",
            **found,
        )
    if found["taken"]:
        module.warn(
            f"{', '.join(found['taken'])} could not be verified, because programs use all of it. A later run verifies it when it has room"
        )
    elif options["record"] and not module.check_mode:
        _remember(options["record"], options["proves"])
    return {"changed": False, **found}


def _remember(path: str, proven: t.Mapping[str, t.Any]) -> None:
    try:
        kept = json.loads(shell.read_file(path) or "{}")
    except ValueError:  # cut off: then the role takes nothing for its own
        kept = {}
    make_directory(os.path.dirname(path))
    shell.write_file(path, json.dumps({**kept, "proven": proven}, indent=4, sort_keys=True) + "\n", 0o644)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            python=dict(type="path", required=True),
            kind=dict(type="str", choices=["cuda", "rocm", "ascend", "cpu"], required=True),
            devices=dict(type="int", default=1),
            used=dict(type="bool", default=False),
            timeout=dict(type="int", default=120),
            user=dict(type="str", default=""),
            groups=dict(type="list", elements="str", default=[]),
            record=dict(type="path", default=""),
            proves=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
