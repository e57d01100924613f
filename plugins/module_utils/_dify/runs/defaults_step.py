# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The default models of a workspace: the step of the module dify_default_models. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.models import defaults as dify_defaults
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.workspace_step import Result, WorkspaceStep
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


class DefaultsStep(WorkspaceStep):
    """The workspace's default models."""

    OPTIONS = dict(
        defaults=dict(type="dict", required=True),
        provider=dict(type="str"),
        pending=dict(
            type="list",
            elements="dict",
            default=[],
            options=dict(type=dict(type="str", required=True), name=dict(type="str", required=True)),
        ),
    )

    def _prepare(self) -> None:
        # The provider depends on the release.
        dify_defaults.declared_defaults(self.p["defaults"], self.p["provider"] or "")

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        wanted = dify_defaults.declared_defaults(self.p["defaults"], self.p["provider"] or dify.release.provider)
        with within as comparable:
            if comparable:
                result = self._converge(dify, wanted)
            else:
                why = dify.not_compared()
                self.warn(why)
                rows = dify_defaults.rows(wanted, dict.fromkeys(wanted, "unknown"))
                result = dict(_plan.Plan().result(), not_compared=why, defaults=rows)
        result.update(dify.about())
        failed = [row["error"] for row in result["defaults"] if "error" in row]
        if failed:
            raise ModelopsError(f"{len(failed)} of {len(wanted)} defaults failed. " + " | ".join(failed), **result)
        return result

    def _converge(self, dify: DifySession, wanted: dify_defaults.Defaults) -> Result:
        """Reads, plans, and outside check mode applies; a failed default is noted and the next one is tried."""
        defaults = dify_defaults.DefaultModels(dify)
        active = {model_type: defaults.active(model_type) for model_type in wanted}
        pending = {(item["type"], item["name"]) for item in self.p["pending"] if self.check}
        problems = dify_defaults.problems(wanted, active, pending)
        errors = {model_type: f"{dify.where()}: {problem}" for model_type, problem in problems.items()}
        usable = {model_type: model for model_type, model in wanted.items() if model_type not in errors}
        readable = [model_type for model_type in usable if not (self.check and active[model_type])]
        actual = {model_type: defaults.read(model_type) for model_type in readable}
        # A model that is not registered yet cannot be the default.
        actual.update(
            (kind, dify_defaults.UNKNOWN)
            for kind, model in usable.items()
            if kind not in actual and model not in active[kind]
        )
        plan = dify_defaults.plan(usable, actual, f"{dify.url} {dify.workspace.name}")
        unread = [model_type for model_type in usable if model_type not in actual]
        actions = {model_type: "unknown" if model_type in unread else "none" for model_type in wanted}
        for change in plan:
            actions[change.data] = "set"
            if not self.check:
                try:
                    defaults.set(change.data, wanted[change.data])
                except ModelopsError as exc:
                    errors[change.data] = str(exc)
        result = dict(plan.result(), defaults=dify_defaults.rows(wanted, actions, errors))
        if errors:
            result["changed"] = any(change.data not in errors for change in plan)
        if unread:
            result["not_compared"] = (
                f"{dify.where()}: the defaults of {', '.join(unread)} were not compared: if none is set, reading one makes "
                "Dify choose and store one, which check mode does not do."
            )
            self.warn(result["not_compared"])
        return result
