# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a workspace: the step of the module dify_info, which only reads. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import asdict

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.models import defaults as dify_defaults
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    MASK,
    SECRETS,
    ActualModel,
    DeclaredModel,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.provider_models import ProviderModels
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.plugin_plan import XINFERENCE, described
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.workspace_plugin import WorkspacePlugin
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.workspace_step import Result, WorkspaceStep
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo


class InfoStep(WorkspaceStep):
    """Reads what the workspace has."""

    OPTIONS = dict(
        provider=dict(type="str"),
        plugin=dict(type="str", default=XINFERENCE),
        credentials=dict(type="bool", default=False),
        defaults=dict(type="bool", default=False),
    )
    to_change = False

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        result: Result = dict(
            changed=False,
            auth=dict(
                session="cookies" if dify.release.cookies else "bearer",
                password="base64" if dify.release.encoded_password else "plain",
                admin_key=dify.release.admin_key,
            ),
            workspaces=dify.workspaces(),
            plugin=None,
            models=None,
        )
        not_read = []
        with within as readable:
            if readable:
                result["plugin"] = self._plugin(dify)
                result["models"] = self._models(dify)
            else:
                not_read.append(dify.not_compared("its models"))
            if self.p["defaults"] and self.check:
                not_read.append(
                    f"{dify.where()}: the defaults were not read: if none is set, reading one makes Dify choose and store one."
                )
            elif self.p["defaults"]:
                defaults = dify_defaults.DefaultModels(dify)
                found = {model_type: defaults.read(model_type) for model_type in dify_defaults.TYPES}
                result["defaults"] = {model_type: model and asdict(model) for model_type, model in found.items()}
        result.update(dify.about())
        result["workspace"]["role"] = dify.workspace.role
        if not_read:
            result["not_read"] = " ".join(not_read)
        return result

    def _plugin(self, dify: DifySession) -> Result:
        name = self.p["plugin"]
        if not dify.release.plugins:
            return described(name, None, "built_in")
        return described(name, WorkspacePlugin(dify, name).installed())

    def _models(self, dify: DifySession) -> list[Result]:
        known = ProviderModels(dify, self.p["provider"])
        rows = []
        for (name, model_type), state in known.statuses().items():
            row = dict(name=name, type=model_type, state=state)
            if self.p["credentials"]:
                row.update(_credential(known.read(DeclaredModel(name, model_type), state)))
            rows.append(row)
        return rows


def _credential(actual: ActualModel) -> Result:
    """The public part of a model's credential; what Dify hides is part of a secret, but for the server's address."""
    stored = actual.stored or {}
    fields = {
        name: without_userinfo(str(value)) if name == "server_url" else value
        for name, value in stored.items()
        if name == "server_url" or name not in SECRETS and MASK not in str(value)
    }
    return dict(
        fields=fields,
        has_api_key=bool(stored.get("api_key")),
        credential_id=actual.credential_id,
        credential_name=actual.credential_name,
        credential_names=[name for id, name in actual.available],
    )
