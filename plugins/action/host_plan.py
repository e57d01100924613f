# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a host by one module execution and plans its steps, each with its reason, or refuses.

The decisions are in plugin_utils/_site, pure; here the host is asked, and the plan is shown.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site import accelerator, bundled, dify, reading
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import (
    PARTS,
    STEPS,
    SUPERVISOR,
    Host,
    Request,
)
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PLAYBOOKS
from ansible_collections.modelops.inference.plugins.plugin_utils._site.weights import lost_files
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import say
from ansible_collections.modelops.inference.plugins.plugin_utils._validation import validated
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables, native

display = Display()
SPEC = {
    "playbook": {"type": "str", "choices": sorted(PLAYBOOKS)},
    # The last part of a host with two is its worker.
    "part": {"type": "str", "default": "", "choices": ["", *PARTS, "last"]},
    # Empty is the one that a playbook asked for at its beginning (roles/xinference/tasks/upgrade_ready.yml).
    "step": {"type": "str", "default": "site", "choices": ["", *STEPS]},
    "release": {"type": "str", "default": ""},
    "accelerator": {"type": "bool", "default": False},
    "in_role": {"type": "bool", "default": False},
    "reuse": {"type": "bool", "default": False},
    "log_lines": {"type": "int", "default": 0},
    "found": {"type": "dict", "default": {}},
    "again": {"type": "bool", "default": False},
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
        if options["reuse"] and "xinference_found" in variables.given:
            return t.cast("dict[str, t.Any]", native(variables.given["xinference_found"]))
        if options["in_role"]:
            options.update({name: variables.strict_text(f"_xinference_{name}") for name in ("part", "step", "release")})
        if options["again"] and self._task.check_mode:
            options["found"] = native(variables.given["xinference_found"])
        if options["playbook"]:
            said = validated(variables, PLAYBOOKS[options["playbook"]])
            if said.get("failed"):
                return said
        try:
            if options["found"]:
                new = {} if options["weights"] is None else {"weights": options["weights"]}
                parts = _again(variables, {**options["found"], **new}, options["built"])
            else:
                parts = self._parts(variables, options, task_vars)
            found = parts[0].found
            if found.get("failed"):
                return dict(found)
            if options["step"] == "bundle":
                wrong = tuple(bundled.refusals(parts[0]))
                told = {} if wrong else {"bundle": bundled.BundleNeeds.of(parts[0]).environment}
                return _refused(parts[0], wrong) or {**found, "changed": False, "plan": told}
            plans = [HostPlan.of(part) for part in parts]
        except ModelopsError as exc:
            raise AnsibleActionFail(_secrets.redacted(str(exc))) from exc
        if not options["found"]:
            self._show(plans)
        refusals = tuple(
            each for plan in plans for each in (*plan.refusals, *lost_files(plan.host, plan.weights, self._has_file))
        )
        return _refused(parts[0], refusals) or {**found, "changed": False, **_told(plans)}

    def _parts(self, variables: Variables, options: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> list[Host]:
        """The parts of the host, read by one module execution."""
        request = _request(variables, options)
        part = variables.settings().inventory.parts[-1] if options["part"] == "last" else options["part"]
        host = variables.host(part, request, {})
        # Of a host that is removed the plan of its first part has all.
        others = [] if part or host.removed else host.parts[1:]
        parts = [host, *(variables.host(part, request, {}) for part in others)]
        role_options = self._accelerator(host, variables) if options["accelerator"] else None
        found = self._read(host, reading.options(parts, options["log_lines"], role_options), task_vars)
        return [dataclasses.replace(part, found=reading.of_part(found, part.part)) for part in parts]

    def _accelerator(self, host: Host, variables: Variables) -> dict[str, t.Any] | None:
        """Options of role accelerator if it applies: a supervisor runs no model."""
        if host.parts == [SUPERVISOR]:
            return None
        controller = accelerator.controller_boot_id()
        return accelerator.options(host.settings, controller=controller, pretended=variables.pretended)

    def _has_file(self, name: str) -> bool:
        """Whether the controller has a file, where xinference_weights looks for it, too."""
        try:
            return bool(self._find_needle("files", name))
        except AnsibleError:
            return False

    def _read(self, host: Host, asked: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        bundles = host.request.step == "bundle"
        if bundles and reading.told_without(host):
            return {}
        try:
            return reading.without_plan(self._execute_module(reading.MODULE, asked, task_vars=task_vars), asked)
        except AnsibleConnectionFailure as exc:
            if not bundles:
                raise
            # Its variables may tell all that a bundle needs.
            display.warning(f"{host.who} does not answer: {exc}")
            return {}

    def _show(self, plans: t.Sequence[HostPlan]) -> None:
        lines = [note for plan in plans for note in plan.notes]
        if self._task.check_mode and self._task.diff:
            lines += [f"{plan.host.who}, {step}: {why}" for plan in plans for step, why in plan.steps.items()]
        say(*dict.fromkeys(lines))


def _request(variables: Variables, options: t.Mapping[str, t.Any]) -> Request:
    """The request of the play for the host, or the request recorded at the playbook's beginning."""
    asked = variables.given.get("xinference_upgrade_request") or {}
    step, kept = options["step"] or asked.get("step") or "other", options["release"] or asked.get("release") or ""
    return Request(step, kept, options["built"])


def _again(variables: Variables, found: dict[str, t.Any], built: t.Mapping[str, t.Any]) -> list[Host]:
    """The parts of a host that was read and planned before."""
    parts = []
    for plan in [found["plan"], *([found["co_located"]["plan"]] if "co_located" in found else [])]:
        request = dataclasses.replace(Request.of(plan), built=built or plan["built"])
        parts.append(variables.host(plan["part"], request, reading.of_part(found, plan["part"])))
    return parts


def _refused(host: Host, refusals: t.Sequence[str]) -> dict[str, t.Any]:
    """The result of a host that is refused; empty where nothing is."""
    lines = dict.fromkeys(f"{host.who}: {each}" for each in refusals)
    return {"failed": True, "msg": _secrets.redacted("\n".join(lines))} if lines else {}


def _told(plans: t.Sequence[HostPlan]) -> dict[str, t.Any]:
    """The plan; and that of a worker on its supervisor's host."""
    first, *others = plans
    changes = any(plan.steps for plan in plans)
    told = {"plan": {**first.data, "changes": changes, "declared": _declared(first.host)}}
    for plan in others:
        told["co_located"] = {**first.host.found["co_located"], "plan": plan.data}
    return told


def _declared(host: Host) -> dict[str, t.Any] | None:
    """The declared models of the cluster, for role dify, if the play has role models."""
    known = host.request.step == "site" and host.settings.has("models_reconcile")
    return dify.source(host.settings, [host.known_as, ""]) if known else None
