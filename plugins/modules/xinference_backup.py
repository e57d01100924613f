#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_backup
short_description: Keep what an Xinference server remembers, before another release may change it
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Copies users, keys and their encryption key, registrations, the server's autostart and other databases, and O(files), to a new
    directory C(<time>-<release>) of mode 0700. Databases are copied as of one moment, while the server runs.
  - With O(state=restored) puts back what O(release) can no longer read, a database whose tables were changed since, or a file that is
    gone. What was only written to since stays. The service must be stopped.
  - Symbolic links below O(home) are not followed, as the service's user could have them point anywhere, and a file that this user could
    not read is left out. Where something would be put back through a link, it fails and puts back nothing.
  - A database is copied from open files to a directory of the module's own before it is opened, because SQLite goes by names.
extends_documentation_fragment:
  - modelops.inference._attributes
options:
  path:
    description: Directory of the backups, made with mode 0700.
    type: path
    required: true
  home:
    description: XINFERENCE_HOME of the server.
    type: path
    required: true
  release:
    description: Name of the release that wrote the data.
    type: str
    required: true
  files:
    description: Further files to keep, by their names. Those that are not there are left out.
    type: list
    elements: path
    default: []
  state:
    description: V(present) makes a backup, V(restored) puts back from the newest one of O(release).
    type: str
    choices: [present, restored]
    default: present
  keep:
    description: Number of backups to keep, the new one included.
    type: int
    default: 5
  releases:
    description: Names of the releases that are on the host. The newest backup of each is kept, however old it is.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Keep what the server remembers
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
  description: Directory of the backup; empty where there is none to restore from.
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
