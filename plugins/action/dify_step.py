# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does one step of the role dify. The steps are in plugin_utils/_dify, file by file for each subject."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._dify import capture, register, rotate
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.task import Task

STEPS: dict[str, t.Callable[[Task], dict[str, t.Any]]] = {
    "check": register.check,
    "cluster": register.cluster,
    "register": register.register,
    "declared": capture.declared,
    "capture": capture.capture,
    "new_key": rotate.new_key,
    "rotate": rotate.rotate,
}


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        spec = {"step": {"type": "str", "required": True, "choices": [*STEPS]}}
        _checked, options = self.validate_argument_spec(spec)
        _secrets.forget()
        try:
            result = STEPS[options["step"]](Task(self, task_vars or {}))
        except ModelopsError as exc:
            raise AnsibleActionFail(_secrets.redacted(str(exc))) from exc
        return t.cast("dict[str, t.Any]", _secrets.cleaned(result))
