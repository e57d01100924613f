# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows a text as it is: tables for a person to read, which debug would print as data."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import say


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        checked, options = self.validate_argument_spec({"text": {"type": "str", "required": True}})
        say(*options["text"].rstrip().splitlines())
        return {"changed": False}
