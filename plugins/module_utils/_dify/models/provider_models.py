# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models registered with one provider of one Dify workspace: read, and change. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import DifyError
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.paths import CURRENT
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    UNUSABLE,
    ActualModel,
    DeclaredModel,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.model_plan import (
    ModelOperation,
    Policy,
    changed_since,
    decide,
)
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo
from ansible_collections.modelops.inference.plugins.module_utils._session import TimedOut, Unreachable

# Seconds that Dify's validation of a model may take beyond the model's own timeout.
VALIDATION_MARGIN = 30


class ProviderModels:
    """The models of one provider in the session's workspace.

    :ivar changes: how many requests changed something.
    """

    def __init__(self, dify: DifySession, provider: str | None = None):
        self.dify = dify
        self.release = dify.release
        self.provider = provider or dify.release.provider
        self._base = f"{CURRENT}/model-providers/{self.provider}/models"
        self._credentials = f"{self._base}/credentials"
        self.changes = 0

    def statuses(self, expected: t.Collection[tuple[str, str]] = ()) -> dict[tuple[str, str], str]:
        """The models that Dify lists for the provider: (name, type) -> status. One request.

        Just after a restart Dify leaves out the models whose plugin does not answer yet, and says nothing of it. While
        one of the ``expected`` is missing the list is read again, until ``daemon_timeout`` is over.
        """
        found = self._list()
        pauses = self.dify.pauses() if self.release.plugins else iter(())
        while not found.keys() >= set(expected) and next(pauses, False):
            found = self._list()
        return found

    def _list(self) -> dict[tuple[str, str], str]:
        answer = self.dify.call("GET", self._base, "list the provider's models", about={"provider": self.provider})
        return {(item["model"], item["model_type"]): item.get("status") or "unknown" for item in answer.json["data"]}

    def offered(self, model_type: str) -> set[str]:
        """Names of the provider's models of a type that Dify offers to people. One request.

        That list has only what Dify takes for active, whatever a later release calls it.
        """
        path = f"{CURRENT}/models/model-types/{model_type}"
        body = self.dify.call("GET", path, f"list the active {model_type} models").json
        return {
            item["model"]
            for provider in body.get("data") or ()
            if full_name(provider["provider"]) == full_name(self.provider)
            for item in provider.get("models") or ()
            if item.get("status") not in UNUSABLE
        }

    def read(self, wanted: DeclaredModel, status: str | None) -> ActualModel:
        """One model with its active credential. One request, and one for each other credential where none is active."""
        body = self._read(wanted)
        active = body.get("current_credential_id")
        available = tuple(
            (item["credential_id"], item["credential_name"]) for item in body.get("available_credentials") or ()
        )
        others = available if wanted.present and not active else ()
        return ActualModel(
            stored=body.get("credentials") or None,
            credential_id=active,
            credential_name=body.get("current_credential_name"),
            available=available,
            inactive={id: self._read(wanted, credential_id=id).get("credentials") or {} for id, _name in others},
            status=status,
            balancing=_balancing(body.get("load_balancing") or {}),
        )

    def _read(self, wanted: DeclaredModel, **credential: str) -> dict[str, t.Any]:
        params = {**wanted.key, **credential}
        what = f"read {wanted.title}"
        return self.dify.call("GET", self._credentials, what, params=params, about=self._about(wanted)).json

    def credential(self, wanted: DeclaredModel, credential_id: str | None) -> dict[str, t.Any]:
        """The fields of one credential of a model, secrets masked; None as ID is the one that a Dify before 1.8 has."""
        found = self._read(wanted, **({"credential_id": credential_id} if credential_id else {}))
        return found.get("credentials") or {}

    def store(
        self, wanted: DeclaredModel, actual: ActualModel, fields: dict[str, t.Any], credential_id: str | None
    ) -> None:
        """Stores the fields of one credential of a model, active or not. Dify tries it first."""
        self._update(ModelOperation("update", wanted, actual, fields, credential_id))

    def enable(self, wanted: DeclaredModel) -> None:
        """Enables a model that Dify lists."""
        self._send("PATCH", f"{self._base}/enable", ModelOperation("keep", wanted, ActualModel()), "enable")

    def apply(self, operation: ModelOperation, policy: Policy) -> ActualModel:
        """Does one operation and reads back until it is true; returns the model as it then is.

        An answer that got lost is read back before anything is repeated, so that no second credential comes to be; so is
        what the plugin daemon was in the way of, or another run was faster with, which Dify may answer with a bare 500.
        1.8.1 goes on showing the old values after a switch, so what still differs is put right in a second round.
        """
        # Fields that are hidden or learned from Xinference tell nothing when they are read back.
        wanted = replace(operation.wanted, context_length=None)
        if policy.update_secret == "always":
            policy = replace(policy, update_secret="when_changed")
        for _dummy in range(2):
            lost: ModelopsError | None = None
            try:
                self._do(operation)
            except TimedOut as exc:
                raise ModelopsError(
                    f"{exc}. Dify may still be trying the model. Run this again later; nothing is added twice."
                ) from exc
            except Unreachable as exc:
                if not exc.sent:
                    raise
                lost = exc
            except DifyError as exc:
                if not (exc.found.daemon_down or exc.found.overtaken or exc.found.silent):
                    raise
                lost = exc
            status = operation.actual.status if wanted.present else None
            if operation.enable is not None and lost is None:
                status = "active" if operation.enable else "disabled"
            actual = self.read(wanted, status)
            next_operation, changed = decide(wanted, actual, self.release, policy)
            if next_operation is None:
                return actual
            if isinstance(lost, DifyError) and lost.found.silent and not changed_since(operation.actual, actual):
                raise lost  # nobody else: Dify itself or its plugin failed, and would again
            operation = next_operation
        if lost is not None:
            raise lost
        names = ", ".join(item.name for item in changed) or operation.kind
        raise ModelopsError(
            f"Dify {self.dify.url}, workspace '{self.dify.workspace.name}': {wanted.title}: Dify accepted the change and "
            f"still shows something else ({names}). Check whether another run or a person changes it at the same time."
        )

    def _do(self, operation: ModelOperation) -> None:
        if operation.kind != "keep":
            getattr(self, f"_{operation.kind}")(operation)
        if operation.enable is not None:
            verb = "enable" if operation.enable else "disable"
            self._send("PATCH", f"{self._base}/{verb}", operation, verb)
        self._remove_credentials(operation, operation.superfluous)

    def _send(self, verb: str, path: str, operation: ModelOperation, what: str, **options: t.Any) -> None:
        self._call(verb, path, operation, what, **options)
        self.changes += 1

    def _call(
        self,
        verb: str,
        path: str,
        operation: ModelOperation,
        what: str,
        *,
        idempotent: bool | None = None,
        **body: t.Any,
    ) -> None:
        patience = int(operation.wanted.invoke_timeout) + VALIDATION_MARGIN
        self.dify.call(
            verb,
            path,
            f"{what} {operation.wanted.title}",
            json={**operation.wanted.key, **body},
            idempotent=idempotent,
            timeout=max(self.dify.http.timeout[1], patience),
            about=self._about(operation.wanted),
        )

    def _about(self, wanted: DeclaredModel) -> dict[str, str]:
        return {
            "provider": self.provider,
            "server_url": without_userinfo(wanted.server_url),
            "model_uid": wanted.model_uid,
            "type": wanted.type,
        }

    def _create(self, operation: ModelOperation) -> None:
        if not self.release.named_credentials:
            self._update(operation)
            return
        name = {"name": operation.wanted.credential_name} if operation.wanted.credential_name else {}
        self._send("POST", self._credentials, operation, "register", credentials=operation.fields, **name)

    def _update(self, operation: ModelOperation) -> None:
        if self.release.named_credentials:
            # Without a name the credential keeps its own.
            self._send(
                "PUT",
                self._credentials,
                operation,
                "update",
                credential_id=operation.credential_id,
                credentials=operation.fields,
            )
        else:
            self._save(operation)

    def _save(self, operation: ModelOperation) -> None:
        """Before 1.8 Dify stores credentials only in a request that switches the model's load balancing off.

        It does so first, even where it then refuses them, and keeps the configurations.
        """
        off = {"enabled": False, "configs": []}
        try:
            self._send(
                "POST",
                self._base,
                operation,
                "register",
                idempotent=True,
                credentials=operation.fields,
                load_balancing=off,
            )
        finally:
            if operation.actual.balancing:
                self._balance_again(operation)

    def _balance_again(self, operation: ModelOperation) -> None:
        """Switches the load balancing on as it was. A configuration sent without its credentials keeps them."""
        on = {"enabled": True, "configs": list(operation.actual.balancing)}
        try:
            self._call("POST", self._base, operation, "balance the load of", idempotent=True, load_balancing=on)
        except ModelopsError as exc:
            raise ModelopsError(
                f"{exc} To store a credential Dify before 1.8 switches the model's load balancing off, and it could not be "
                "switched on again: do that in Dify's settings, under Model Provider."
            ) from exc

    def _attach(self, operation: ModelOperation) -> None:
        if operation.fields:
            self._update(operation)
        self._send("POST", f"{self._credentials}/switch", operation, "register", credential_id=operation.credential_id)

    def _remove(self, operation: ModelOperation) -> None:
        """The model first, then its credentials: the other way round leaves a model without a credential."""
        self._send("DELETE", self._base, operation, "remove")
        self._remove_credentials(operation, operation.actual.available)

    def _remove_credentials(self, operation: ModelOperation, credentials: t.Iterable[tuple[str, str]]) -> None:
        for credential_id, name in credentials:
            try:
                self._send(
                    "DELETE",
                    self._credentials,
                    operation,
                    f"remove credential '{name}' of",
                    credential_id=credential_id,
                )
            except DifyError as exc:
                if "not found" not in exc.found.text:  # another run was faster
                    raise


def full_name(provider: str) -> str:
    """A provider's name with its plugin's, as Dify lists it from 1.0 on, also where it was asked by the short one."""
    return provider if "/" in provider else f"langgenius/{provider}/{provider}"


def _balancing(told: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], ...]:
    if not told.get("enabled"):
        return ()
    names = ("id", "name", "enabled", "credential_id")
    return tuple({name: config[name] for name in names if name in config} for config in told.get("configs") or ())
