# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses variables of the role accelerator that cannot be right, on the controller."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import role_variables

OPTIONS: dict[str, dict[str, t.Any]] = {
    "accelerator": {"type": "str", "default": "auto"},
    "branch": {"type": "raw", "default": ""},
    "huge_pages": {"type": "int", "default": 0},
    "reboot_timeout": {"type": "int", "default": 900},
    "proof_timeout": {"type": "int", "default": 120},
    "repositories": {"type": "dict", "default": {}},
    "ascend_files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "part": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "checksum": {"type": "str", "required": True},
        },
    },
}


def checksum(path: str) -> str:
    """The SHA-256 of a file; "" where there is none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        checked, options = self.validate_argument_spec(OPTIONS)
        files = options["ascend_files"]
        wrong = role_variables.mistakes(options, os.path.isfile)
        wrong = wrong or [role_variables.wrong_file(file, checksum(file["path"])) for file in files]
        host = (task_vars or {}).get("inventory_hostname")
        lines = [f"{host}: {each}" for each in wrong if each]
        return {"failed": True, "msg": "\n".join(lines)} if lines else {"changed": False}
