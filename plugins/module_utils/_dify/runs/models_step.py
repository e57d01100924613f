# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models of the provider in a workspace: the step of the module dify_models. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.workspace_switch import Moved
from ansible_collections.modelops.inference.plugins.module_utils._dify.models import declared_models
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.converge import ModelsOptions, ModelsRun
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    INVOKE_TIMEOUT,
    LEFT_ALONE,
    MAX_RETRIES,
    OWN_NAME,
    STATES,
    TYPES,
    DeclaredModel,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.model_plan import Policy
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.workspace_step import (
    Options,
    Result,
    WorkspaceStep,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets import registrations
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

# Xinference's own types, which are mapped to Dify's.
XINFERENCE_TYPES = ("LLM", "embedding", "audio", "image", "video", "flexible")


class ModelsStep(WorkspaceStep):
    """The models of the provider."""

    OPTIONS = dict(
        provider=dict(type="str"),
        models=dict(
            type="list",
            elements="dict",
            required=True,
            options=dict(
                name=dict(type="str", required=True),
                type=dict(type="str", required=True, choices=[*TYPES, *XINFERENCE_TYPES]),
                abilities=dict(type="list", elements="str", default=[]),
                server_url=dict(type="str"),
                model_uid=dict(type="str"),
                api_key=dict(type="str", no_log=True),
                api_key_file=dict(type="path", no_log=False),
                invoke_timeout=dict(type="int", default=INVOKE_TIMEOUT),
                max_retries=dict(type="int", default=MAX_RETRIES),
                credential_name=dict(type="str", default=OWN_NAME),
                context_length=dict(type="int"),
                enabled=dict(type="bool"),
                state=dict(
                    type="str",
                    choices=[*STATES, *LEFT_ALONE],
                    default="present",
                ),
            ),
            required_if=[
                ("state", "present", ("server_url", "model_uid")),
                ("state", "present_with_defaults", ("server_url", "model_uid")),
            ],
        ),
        update_secret=dict(
            type="str", choices=["on_create", "always", "when_changed"], default="when_changed", no_log=False
        ),
        clean_credentials=dict(type="bool", default=False),
        prune=dict(type="bool", default=False),
        prune_prefix=dict(type="str", default=OWN_NAME),
        prune_server_urls=dict(type="list", elements="str", default=[]),
        allow_loopback=dict(type="bool", default=False),
    )

    def _prepare(self) -> None:
        p = self.p
        self.wanted = [declared_model(item) for item in p["models"] if kind_of(item)]
        _secrets.hide(*{secret for model in self.wanted for secret in model.secrets})
        problems = declared_models.problems(self.wanted, allow_loopback=p["allow_loopback"])
        if p["prune"] and not p["prune_prefix"].strip():
            problems.append("prune_prefix is empty, but prune needs it to find the credentials of this site")
        if problems:
            raise ModelopsError("Nothing was sent to Dify: " + "; ".join(problems))

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        p = self.p
        policy = Policy(p["update_secret"], p["clean_credentials"])
        options = ModelsOptions(p["provider"], policy, p["prune"], p["prune_prefix"], p["prune_server_urls"])
        work = ModelsRun(dify, self.wanted, options, check=self.check, warn=self.warn)
        try:
            with within as comparable:
                if comparable:
                    work.converge()
                else:
                    work.compare_nothing()
        except ModelopsError as exc:
            if isinstance(exc, Moved):
                work.doubt()
            # Report earlier changes, too.
            raise ModelopsError(str(exc), **{**self._told(work), **exc.result}) from exc
        result = self._told(work)
        failed = [item["error"] for item in result["models"] if "error" in item]
        if failed:
            raise ModelopsError(
                f"{len(failed)} of {len(result['models'])} models failed. " + " | ".join(failed), **result
            )
        return result

    def _told(self, work: ModelsRun) -> Result:
        """The result with the models that Dify has no type for, and with what it cost; empty where nothing was read."""
        result = work.result()
        if not result:
            return {}
        rows = list(result["models"])
        for index, item in enumerate(self.p["models"]):
            if kind_of(item) is None:
                why = registrations.why_not(item)
                rows.insert(index, dict(name=item["name"], type=item["type"], action="skip", state="skipped", why=why))
        return {**result, "models": rows, **work.dify.about()}


def kind_of(item: Options) -> str | None:
    """The type in Dify of a model of the options; None where Dify has none for it."""
    if item["type"] in TYPES:
        return str(item["type"])
    return registrations.dify_type({"uid": item["name"], "type": item["type"], "abilities": item["abilities"]})


def declared_model(item: Options) -> DeclaredModel:
    """A model of the options that Dify has a type for."""
    kind = str(kind_of(item))
    wanted = DeclaredModel(
        name=item["name"],
        type=kind,
        server_url=(item["server_url"] or "").strip().rstrip("/"),
        model_uid=item["model_uid"] or "",
        invoke_timeout=str(item["invoke_timeout"]),
        max_retries=str(item["max_retries"]),
        credential_name=item["credential_name"] or "",
        enabled=item["enabled"],
        context_length=item["context_length"],
        state=item["state"],
    )
    if not wanted.present:
        return wanted
    key = _connection.secret(item["api_key"], item["api_key_file"], f"model '{wanted.name}' ({kind}): api_key_file")
    return replace(wanted, api_key=key)
