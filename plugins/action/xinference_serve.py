# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module in slices, so that a person sees one line for each change of state while models load.

What is wrong with users, keys, definitions or models themselves is refused here, before the host is touched.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.modules.xinference_serve import ARGUMENT_SPEC
from ansible_collections.modelops.inference.plugins.plugin_utils._site import models
from ansible_collections.modelops.inference.plugins.plugin_utils._slices import LaunchSlices


class ActionModule(LaunchSlices, ActionBase):
    MODULE = "modelops.inference.xinference_serve"
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self._refuse_async()
        try:
            models.refuse(models.validated_options(ARGUMENT_SPEC, self._task.args))
        except ModelopsError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        return self._launch(task_vars)
