#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_directory
short_description: Manage directories of an Xinference server's user
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs as root in directories of another user, who can replace their content with links at any moment. The module opens one directory from
    the next and does not follow links in them. M(ansible.builtin.file) with C(recurse) does not guarantee this.
  - The module follows a link in a directory of root, such as a link to another disk.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  paths:
    description: Paths of the directories. With V(absent), also paths of files.
    type: list
    elements: path
    required: true
  state:
    description:
      - State of the directories. V(present) creates missing directories with O(mode), O(owner) and O(group), and corrects these attributes.
        It creates parent directories with mode 0755.
      - V(absent) removes the directories with their content.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description: Mode of the directories, in octal digits. If unset, the mode stays unchanged.
    type: str
  owner:
    description: Name of the directories' owner. If unset, the owner stays unchanged.
    type: str
  group:
    description: Name of the directories' group. The default is the primary group of O(owner).
    type: str
  recurse:
    description:
      - Whether to also change the owner of the content if a directory belongs to another user. Modes and links stay unchanged.
      - The module does not change content that belongs neither to that user nor to O(owner) if not everybody can read it. It warns about
        such content.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Change the owner of the service's data after a change of its user
  modelops.inference.xinference_directory:
    paths: [/opt/xinference/home]
    mode: "0750"
    owner: xinference
    recurse: true

- name: Remove data and secrets
  modelops.inference.xinference_directory:
    paths: [/opt/xinference/home, /opt/xinference/secrets]
    state: absent
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: always
  type: list
  elements: str
  sample: ["~ set /opt/xinference/home (owner 1001 -> xinference)"]
"""

import grp
import os
import pwd
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system import tree
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    plan = Plan("directories")
    mode = None if p["mode"] is None else int(p["mode"], 8)
    owner = _ids(p, module.check_mode)
    for path in p["paths"]:
        try:
            if p["state"] == "absent":
                _remove(plan, path, module.check_mode)
            else:
                for left in _set(plan, path, mode, owner, p, module.check_mode):
                    module.warn(
                        f"{left} was not handed over, because the directory's owner does not own it. Give it to {p['owner']} or remove it."
                    )
        except OSError as exc:
            raise ModelopsError(f"{exc.filename or path}: {exc.strerror}", **plan.result()) from exc
    return plan.result()


def _ids(p: t.Mapping[str, t.Any], check: bool) -> tuple[int, int] | None:
    """User and group; None to leave them. In check mode a run that would have made them has not."""
    if not p["owner"]:
        return None
    try:
        user = pwd.getpwnam(p["owner"])
        return user.pw_uid, grp.getgrnam(p["group"]).gr_gid if p["group"] else user.pw_gid
    except KeyError as exc:
        if check:
            return None
        raise ModelopsError(f"this host has no user {p['owner']} or no group {p['group']}") from exc


def _remove(plan: Plan, path: str, check: bool) -> None:
    try:
        with Directory.at(os.path.dirname(path)) as holder:
            if holder.stat(os.path.basename(path)) is not None:
                plan.add("remove", "remove", path)
                if not check:
                    holder.remove(os.path.basename(path))
    except FileNotFoundError:
        pass


def _set(
    plan: Plan, path: str, mode: int | None, owner: tuple[int, int] | None, p: t.Mapping[str, t.Any], check: bool
) -> list[str]:
    """Sets mode and owner of a directory; returns the entries that were left unchanged."""
    try:
        with Directory.at(path) as directory:
            now = stat.S_IMODE(os.fstat(directory.handle).st_mode)
            fields = []
            if mode is not None and now != mode:
                fields.append(Field("mode", f"{now:04o}", f"{mode:04o}"))
            theirs = owner is not None and directory.owner != owner
            if theirs:
                group = f":{p['group']}" if p["group"] else ""
                fields.append(Field("owner", "{}:{}".format(*directory.owner), f"{p['owner']}{group}"))
            if fields:
                plan.add("change", "set", path, fields)
            if not fields or check:
                return []
            if theirs and os.geteuid() != 0:
                raise ModelopsError(
                    f"{path} belongs to the user {directory.owner[0]}, and only root can give it to {p['owner']}"
                )
            left = tree.hand_over(directory, owner) if theirs and owner and p["recurse"] else []
            directory.own(mode, owner)
            return left
    except FileNotFoundError:
        plan.add("add", "make", path)
        if not check:
            make_directory(path, 0o755 if mode is None else mode, owner)
        return []


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            paths=dict(type="list", elements="path", required=True),
            state=dict(type="str", choices=["present", "absent"], default="present"),
            mode=dict(type="str"),
            owner=dict(type="str"),
            group=dict(type="str"),
            recurse=dict(type="bool", default=False),
        ),
        required_by={"group": ("owner",)},
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
