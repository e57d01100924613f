#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_record
short_description: Record the packages that the role accelerator installed
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Updates the file that tells the role C(accelerator) which parts it may remove later. Only this role uses the module. The role also calls
    it after an interrupted installation.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  path:
    description: Path of the record.
    type: path
    required: true
  state:
    description:
      - State of the record. V(absent) removes the file, and its directory if it is empty. V(listed) does not change the record and returns
        the installed packages.
    type: str
    choices: [present, absent, listed]
    default: present
  planned:
    description: Part of the record that the plan determines.
    type: dict
    default: {}
  before:
    description: Packages before an installation.
    type: list
    elements: str
  now:
    description:
      - Packages after the installation. The module records packages that are not in O(before) as installed with the driver. If O(before) is
        set, the default is the output of O(list).
    type: list
    elements: str
  list:
    description: Command that prints the names of all installed packages, one for each line.
    type: list
    elements: str
    default: []
  users:
    description: Users that the role created.
    type: list
    elements: str
    default: []
  parts:
    description: Parts of Huawei's software that are now installed.
    type: list
    elements: str
  held:
    description: Packages that the role holds.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Record the packages that were installed with the driver
  modelops.inference.accelerator_record:
    path: /var/lib/modelops/accelerator.json
    planned: {asked: [/opt/xinference], parts: [], users: [], packages: [], wanted: [nvidia-driver-cuda], held: [], files: []}
    before: [gcc]
    now: [gcc, nvidia-driver-cuda]
"""

RETURN = r"""
record:
  description: Content of the record.
  returned: success
  type: dict
  sample: {asked: [/opt/xinference], parts: [], users: [], packages: [nvidia-driver-cuda], wanted: [nvidia-driver-cuda], held: [],
    files: []}
installed:
  description: Names of all installed packages.
  returned: with O(state=listed)
  type: list
  elements: str
  sample: [gcc, nvidia-driver-cuda]
"""

import contextlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._accelerator import record
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._host.system import shell


def work(module: AnsibleModule) -> dict[str, t.Any]:
    options = dict(module.params)
    path, state, planned, listing = (options.pop(name) for name in ("path", "state", "planned", "list"))
    if state == "listed":
        return {"changed": False, "installed": _installed(listing)}
    if options["before"] is not None and options["now"] is None:
        options["now"] = _installed(listing)
    before = shell.read_file(path)
    if state == "absent":
        if before is not None and not module.check_mode:
            os.unlink(path)
            with contextlib.suppress(OSError):  # something else is in it
                os.rmdir(os.path.dirname(path))
        return {"changed": before is not None, "record": {}}
    packages = {name: options.pop(name) or [] for name in ("before", "now")}
    found = record.extended(planned, record.read(path), **packages, **options)
    text = record.text(found)
    if text != before and not module.check_mode:
        make_directory(os.path.dirname(path))
        shell.write_file(path, text, 0o644)
    diff = {"before": before or "", "after": text, "before_header": path, "after_header": path}
    return {"changed": text != before, "record": found, "diff": diff}


def _installed(listing: t.Sequence[str]) -> list[str]:
    return shell.run(listing, "listing the installed packages", env={"LC_ALL": "C"}).splitlines() if listing else []


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            path=dict(type="path", required=True),
            state=dict(type="str", choices=["present", "absent", "listed"], default="present"),
            planned=dict(type="dict", default={}),
            before=dict(type="list", elements="str"),
            now=dict(type="list", elements="str"),
            list=dict(type="list", elements="str", default=[]),
            users=dict(type="list", elements="str", default=[]),
            parts=dict(type="list", elements="str"),
            held=dict(type="list", elements="str"),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
