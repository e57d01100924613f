# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module in slices, so that a person sees one line for each change of state while models load.

What is wrong with the list of models is refused here, before any host is touched.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.modules.xinference_models import ARGUMENT_SPEC
from ansible_collections.modelops.inference.plugins.plugin_utils._site import models
from ansible_collections.modelops.inference.plugins.plugin_utils._slices import LaunchSlices


class ActionModule(LaunchSlices, ActionBase):
    MODULE = "modelops.inference.xinference_models"
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self._refuse_async()
        args = dict(self._task.args)
        if boolean(args.get("validate_only", False), strict=False):
            return self._validate(args)
        return self._launch(task_vars)

    @staticmethod
    def _validate(args: dict[str, t.Any]) -> dict[str, t.Any]:
        """The module's own refusals, as far as they need neither the host nor the server; and what is declared."""
        try:
            return {"changed": False, "models": models.rows(models.validated_options(ARGUMENT_SPEC, args)["models"])}
        except ModelopsError as exc:
            raise AnsibleActionFail(str(exc)) from exc
