# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one step of a host's plan: the options of its module follow from the variables and the plan, and are seen nowhere else."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site import release
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Request
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import STEPS, calls
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables, native

SPEC = {
    "step": {"type": "str", "required": True, "choices": list(STEPS)},
    "options": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec(SPEC)
        _secrets.forget()
        known = task_vars or {}
        try:
            found = native(known["xinference_found"])
            host = Variables(self._templar, known).host(found["plan"]["part"], Request.of(found["plan"]), found)
            _secrets.hide(*release.logins(host.settings))
            run = Run(known, bool(self._task.check_mode))
            made = calls(given["step"], HostPlan.of(host), run, given["options"])
        except ModelopsError as exc:
            raise AnsibleActionFail(_secrets.redacted(str(exc))) from exc
        results: list[dict[str, t.Any]] = []
        for call in made:
            results.append(self._done(call, known))
            if results[-1].get("failed"):
                break
        return _secrets.cleaned(_merged(results))

    def _done(self, call: Call, known: dict[str, t.Any]) -> dict[str, t.Any]:
        """The result of the module, by its own action where it has one. Its options are in no result."""
        if not call.module:
            return {"changed": False, **call.told}
        name = call.module if "." in call.module else f"modelops.inference.{call.module}"
        if call.interpreter:
            known = _with_interpreter(known, call.interpreter, self._task.delegate_to)
        task = self._task.copy()
        task.args = call.options
        action = self._shared_loader_obj.action_loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        if action is None:
            result = self._execute_module(name, call.options, task_vars=known)
        else:
            result = action.run(task_vars=known)
        result.pop("invocation", None)
        return {**call.told, **result}


def _with_interpreter(known: dict[str, t.Any], interpreter: str, delegate: str | None) -> dict[str, t.Any]:
    named = {"ansible_python_interpreter": interpreter}
    if not delegate:
        return {**known, **named}
    others = known["ansible_delegated_vars"]
    return {**known, "ansible_delegated_vars": {**others, delegate: {**others[delegate], **named}}}


def _merged(results: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """One result of several executions, or of none."""
    merged: dict[str, t.Any] = dict(results[-1]) if results else {"changed": False}
    if len(results) > 1:
        merged["changed"] = any(each.get("changed") for each in results)
        merged["plan"] = [line for each in results for line in each.get("plan") or []]
        given = [each["diff"] for each in results if each.get("diff")]
        diffs = [part for diff in given for part in (diff if isinstance(diff, list) else [diff])]
        merged.update({"diff": diffs} if diffs else {})
    return merged
