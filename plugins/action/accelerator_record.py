# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Adds to the record of the host whose plan is registered, as far as that plan determines it."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables

MODULE = "modelops.inference.accelerator_record"


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        found = Variables(self._templar, task_vars).accelerator_found
        options = {**(found["role"]["record"] if found else {}), **self._task.args}
        return self._execute_module(module_name=MODULE, module_args=options, task_vars=task_vars)
