# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a host's accelerators by one module execution and plans for the role accelerator; what it asks is in plugin_utils/_site."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.plugin_utils._site import accelerator, steps_accelerator
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables

MODULE = "modelops.inference.accelerator_info"
SPEC = {
    "after": {"type": "str", "choices": ["", "changed", "restarted"], "default": ""},
    "server_stops": {"type": "bool", "default": False},
    "fail": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _checked, asked = self.validate_argument_spec(SPEC)
        variables = Variables(self._templar, task_vars)
        if asked["after"] and self._task.check_mode:
            return variables.accelerator_found  # nothing was done since
        options = accelerator.options(
            variables.strict_settings,
            _stage(variables, asked),
            accelerator.controller_boot_id(),
            variables.pretended,
        )
        result: dict[str, t.Any] = self._execute_module(module_name=MODULE, module_args=options, task_vars=task_vars)
        if not result.get("failed") and asked["fail"] and result["role"]["failed"]:
            result.update(failed=True, msg=result["role"]["failed"])
        return result


def _stage(variables: Variables, asked: t.Mapping[str, t.Any]) -> accelerator.RunStage:
    if not asked["after"]:
        return accelerator.RunStage(server_stops=asked["server_stops"])
    commands = variables.rendered(variables.given.get(steps_accelerator.LOADED) or {}).get("commands", [])
    carried = variables.accelerator_found["role"]["carried"]
    return accelerator.RunStage(asked["after"], asked["server_stops"], carried, commands)
