# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one step of a host's plan: the options of its module follow from the variables and the plan, and are seen nowhere else."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils import _run_files
from ansible_collections.modelops.inference.plugins.plugin_utils._calls import CallingAction, merged, of_failure
from ansible_collections.modelops.inference.plugins.plugin_utils._site import reading, release
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Request
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import DIALOGUES, STEPS, calls
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import say
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables, native

SPEC = {
    "step": {"type": "str", "required": True, "choices": [*STEPS, *DIALOGUES]},
    "options": {"type": "dict", "default": {}},
}


class ActionModule(CallingAction):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec(SPEC)
        _secrets.forget()
        known = task_vars or {}
        try:
            variables = Variables(self._templar, known)
            found = reading.of_part(_planned(known), variables.text("_xinference_part"))
            host = variables.host(found["plan"]["part"], Request.of(found["plan"]), found)
            _secrets.hide(*release.logins(host.settings))
            run, plan = Run(known, bool(self._task.check_mode), _run_files.random), HostPlan.of(host)
            if given["step"] in DIALOGUES:
                result = self.answered(DIALOGUES[given["step"]](plan, run), known)
            else:
                result = merged(self.executed(calls(given["step"], plan, run, given["options"]), known))
        except ModelopsError as exc:
            raise AnsibleActionFail(_secrets.redacted(str(exc))) from exc
        result = _secrets.cleaned(result)
        say(*str(result.pop("said", "")).splitlines())
        return of_failure(result)


def _planned(known: dict[str, t.Any]) -> dict[str, t.Any]:
    """The reading of the host with its plan. A reading that failed has none, and may have taken the place of an earlier one."""
    found = native(known["xinference_found"])
    if "plan" not in found:
        raise ModelopsError(f"{known['inventory_hostname']} was not read: {found.get('msg', 'no message')}")
    return t.cast("dict[str, t.Any]", found)
