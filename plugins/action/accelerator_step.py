# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one step of the role accelerator with the data of the plan that is registered."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._calls import CallingAction, merged
from ansible_collections.modelops.inference.plugins.plugin_utils._site import steps_accelerator
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Run
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables

SPEC = {"step": {"type": "str", "required": True, "choices": list(steps_accelerator.STEPS)}}


class ActionModule(CallingAction):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec(SPEC)
        step, variables = given["step"], Variables(self._templar, task_vars)
        registered = {
            name: variables.rendered(variables.given.get(name) or {}) for name in steps_accelerator.REGISTERED
        }
        files = variables.strict_settings.get("accelerator_ascend_files") or []
        host = steps_accelerator.HostSteps(
            variables.accelerator_found["role"],
            {file["part"]: file["path"] for file in files},
            Run(registered, bool(self._task.check_mode)),
        )
        results = self.executed(steps_accelerator.calls(step, host), task_vars or {})
        result = merged(results)
        if result.get("failed"):
            result["msg"] = steps_accelerator.failure(step, host, result) or result.get("msg", "")
        # Of those that load the kernel module, for the next reading.
        result["commands"] = [each for each in results if "command" in each]
        return result
