# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a host by one module execution and plans its steps, each with its reason, or refuses.

The decisions are in plugin_utils/_site, pure; here the host is asked, and the plan is shown.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._accelerator import AcceleratorVariables, pretended
from ansible_collections.modelops.inference.plugins.plugin_utils._site import accelerator, bundled, reading
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import PARTS, STEPS, Host, Request
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PLAYBOOKS
from ansible_collections.modelops.inference.plugins.plugin_utils._validation import validated
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables

display = Display()
SPEC = {
    "playbook": {"type": "str", "choices": sorted(PLAYBOOKS)},
    "part": {"type": "str", "default": "", "choices": ["", *PARTS]},
    "step": {"type": "str", "default": "site", "choices": list(STEPS)},
    "release": {"type": "str", "default": ""},
    "accelerator": {"type": "bool", "default": False},
    "log_lines": {"type": "int", "default": 0},
    "found": {"type": "dict", "default": {}},
    "built": {"type": "dict", "default": {}},
    "weights": {"type": "dict"},
}


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(SPEC)
        _secrets.forget()
        variables = Variables(self._templar, task_vars)
        request = Request(options["step"], options["release"], options["built"])
        if options["found"]:
            before = options["found"]["plan"]
            request = dataclasses.replace(Request.of(before), built=options["built"] or before["built"])
            options["part"] = before["part"]
            if options["weights"] is not None:
                options["found"]["weights"] = options["weights"]
        models = []
        if options["playbook"]:
            said = validated(variables, PLAYBOOKS[options["playbook"]])
            if said.get("failed"):
                return said
            models = said["models"]
        try:
            host = variables.host(options["part"], request, options["found"])
            if not options["found"]:
                whole = self._accelerator(host, variables) if options["accelerator"] else None
                asked = reading.options(host, options["log_lines"], whole)
                host = dataclasses.replace(host, found=self._read(host, asked, task_vars))
            if host.found.get("failed"):
                return dict(host.found)
            if request.step == "bundle":
                wrong = tuple(bundled.refusals(host))
                told = {} if wrong else {"bundle": bundled.Wanted.of(host).environment}
                return _refused(host, wrong) or {**host.found, "changed": False, "plan": told}
            plan = HostPlan.of(host)
        except ModelopsError as exc:
            raise AnsibleActionFail(_secrets.redacted(str(exc))) from exc
        if not options["found"]:
            self._show(plan)
        return _refused(host, plan.refusals) or {
            **host.found,
            "changed": False,
            "plan": {**plan.data, "models": models},
        }

    def _accelerator(self, host: Host, variables: Variables) -> dict[str, t.Any] | None:
        """Options of role accelerator, where it brings something about."""
        if reading.none_computes(host):
            return None
        pretends = pretended(AcceleratorVariables(self._templar, variables.given))
        return accelerator.options(host.settings, controller=accelerator.controller_boot_id(), pretended=pretends)

    def _read(self, host: Host, asked: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        bundles = host.request.step == "bundle"
        if bundles and reading.told_without(host):
            return {}
        try:
            return self._execute_module(reading.MODULE, asked, task_vars=task_vars)
        except AnsibleConnectionFailure as exc:
            if not bundles:
                raise
            # Its variables may tell all that a bundle needs.
            display.warning(f"{host.who} does not answer: {exc}")
            return {}

    def _show(self, plan: HostPlan) -> None:
        for note in plan.notes:
            display.display(note)
        if self._task.check_mode and self._task.diff:
            for step, why in plan.steps.items():
                display.display(f"{plan.host.who}, {step}: {why}")


def _refused(host: Host, refusals: t.Sequence[str]) -> dict[str, t.Any]:
    """The result of a host that is refused; empty where nothing is."""
    lines = [f"{host.who}: {each}" for each in refusals]
    return {"failed": True, "msg": _secrets.redacted("\n".join(lines))} if lines else {}
