# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plugin of the provider in a workspace: the step of the module dify_plugin. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin import plugin_plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.package import package_of
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.plugin_plan import (
    XINFERENCE,
    DeclaredPlugin,
    NotPossible,
    allow,
    described,
    needs_latest,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.workspace_plugin import WorkspacePlugin
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.workspace_step import Result, WorkspaceStep
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


class PluginStep(WorkspaceStep):
    """The plugin of the Xinference provider."""

    OPTIONS = dict(
        plugin=dict(type="str", default=XINFERENCE),
        state=dict(type="str", choices=["present", "latest", "absent"], default="present"),
        version=dict(type="str"),
        identifier=dict(type="str"),
        package=dict(type="path"),
        timeout=dict(type="float", default=600),
    )
    # Who may install plugins is a setting of the workspace, which Dify knows.
    to_change = False

    def _prepare(self) -> None:
        p = self.p
        package = package_of(p["package"]) if p["package"] else None
        self.wanted = DeclaredPlugin(p["plugin"], p["state"], p["version"], p["identifier"], package)
        problems = plugin_plan.problems(self.wanted)
        if problems:
            raise ModelopsError("Nothing was sent to Dify: " + "; ".join(problems))

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        if not dify.release.plugins and self.wanted.state == "absent":
            raise ModelopsError(
                f"Dify {dify.url}: {dify.release.version} has its Xinference provider built in, which cannot be removed. "
                "Plugins came with 1.0."
            )
        with within as comparable:
            if not dify.release.plugins:
                result = self._unchanged("none", "built_in")
            elif comparable:
                result = self._converge(dify)
            else:
                why = dify.not_compared()
                self.warn(why)
                result = dict(self._unchanged("unknown", "unknown"), not_compared=why)
        return dict(result, **dify.about())

    def _converge(self, dify: DifySession) -> Result:
        """Reads, plans, and outside check mode applies."""
        wanted, plugins = self.wanted, WorkspacePlugin(dify, self.wanted.plugin)
        now = plugins.installed()
        try:
            latest = plugins.latest() if needs_latest(wanted, now) else None
            operation = plugin_plan.decide(wanted, now, latest)
            if operation and operation.target:
                allow(operation.target, plugins.features())
        except NotPossible as exc:
            raise ModelopsError(f"{dify.where()}: nothing was changed: {exc}") from exc
        plan = plugin_plan.plan(wanted, operation, f"{dify.url} {dify.workspace.name}")
        if operation and not self.check:
            before, now = now, plugins.apply(operation, self.p["timeout"])
            if now == before:  # the daemon calls the file what is installed already
                operation, plan = None, _plan.Plan()
        action = operation.kind if operation else "none"
        return dict(plan.result(), action=action, plugin=described(wanted.plugin, now))

    def _unchanged(self, action: str, state: str) -> Result:
        about = described(self.wanted.plugin, None, state)
        return dict(_plan.Plan().result(), action=action, plugin=about)
