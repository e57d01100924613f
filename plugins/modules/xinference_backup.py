#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_backup
short_description: Back up and restore the data of an Xinference server
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Backs up the server's data before another release may change it. The module copies users, keys and their encryption key, registrations,
    the server's autostart, other databases, and O(files). The copy is a new directory C(<time>-<release>) of mode 0700. It copies each
    database as a consistent snapshot while the server runs.
  - O(state=restored) restores databases whose tables changed since the backup, because O(release) can no longer read them, and files that
    no longer exist. Data that was only written to since then stays. Stop the service first.
  - The module does not follow symbolic links below O(home), because the service's user could point them anywhere. It omits files that this
    user cannot read. If a restore would write through a link, the module fails and restores nothing.
  - The module copies the open files of a database to a private directory before it opens the database, because SQLite opens files by name.
extends_documentation_fragment:
  - modelops.inference._attributes
options:
  path:
    description: Directory of the backups. The module creates it with mode 0700.
    type: path
    required: true
  home:
    description: Value of C(XINFERENCE_HOME) of the server.
    type: path
    required: true
  release:
    description: Name of the release that wrote the data.
    type: str
    required: true
  files:
    description: Additional files to back up, by name. The module omits missing files.
    type: list
    elements: path
    default: []
  state:
    description: Action of the module. V(present) creates a backup, and V(restored) restores the newest backup of O(release).
    type: str
    choices: [present, restored]
    default: present
  keep:
    description: Number of backups to keep, including the new one.
    type: int
    default: 5
  releases:
    description: Names of the releases on the host. The module keeps the newest backup of each, regardless of its age.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Back up the server's data
  modelops.inference.xinference_backup:
    path: /opt/xinference/backups
    home: /opt/xinference/home
    release: 4.0.1-1f0a9c33
    files: [/opt/xinference/reconciler/declared.json]
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["+ back up 20260812T101500Z-4.0.1-1f0a9c33 (7 files)"]
backup:
  description: Directory of the backup. Empty if there is no backup to restore.
  returned: success
  type: str
  sample: /opt/xinference/backups/20260812T101500Z-4.0.1-1f0a9c33
"""

import os
import shutil
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._host.service import backup
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    plan = Plan("backup")
    if p["state"] == "restored":
        return _restore(module, plan)
    files = backup.sources(p["home"], p["files"])
    directory = os.path.join(p["path"], f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{p['release']}")
    plan.add("add", "back up", os.path.basename(directory), why=f"{len(files)} files")
    old = backup.surplus(backup.backups(p["path"]), p["keep"] - 1, set(p["releases"]) - {p["release"]})
    for name in old:
        plan.add("remove", "remove backup", name)
    if not module.check_mode:
        backup.make(directory, p["home"], p["files"])
        for name in old:
            shutil.rmtree(os.path.join(p["path"], name))
    return dict(plan.result(), backup=directory)


def _restore(module: AnsibleModule, plan: Plan) -> dict[str, t.Any]:
    p = module.params
    names = [name for name in backup.backups(p["path"]) if name.endswith(f"-{p['release']}")]
    if not names:
        return dict(plan.result(), backup="")
    directory = os.path.join(p["path"], names[0])
    lost = backup.unreadable(directory, p["home"], p["files"])
    for one in lost:
        plan.add("change", "restore", one.place, why=one.why)
        if not module.check_mode:
            backup.put_back(one)
    return dict(plan.result(), backup=directory)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            path=dict(type="path", required=True),
            home=dict(type="path", required=True),
            release=dict(type="str", required=True),
            files=dict(type="list", elements="path", default=[]),
            state=dict(type="str", choices=["present", "restored"], default="present"),
            keep=dict(type="int", default=5),
            releases=dict(type="list", elements="str", default=[]),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
