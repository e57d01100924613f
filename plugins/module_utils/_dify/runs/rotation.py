# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replaces an old key in a Dify workspace, and reports the models that still have it. Private to the collection.

A credential is found by what Dify shows of its key, whoever registered the model: all else of it stays.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import DifyError
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    INVOKE_TIMEOUT,
    KEEP,
    MASK,
    ActualModel,
    DeclaredModel,
    same,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.provider_models import ProviderModels
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import TimedOut, Unreachable

# Characters of a key that Dify shows before its mask.
SHOWN = 6


@dataclass(frozen=True)
class KeyChange:
    """The key of one cluster.

    :param old: the first characters of keys that go.
    :param new: the new key; None in check mode, where nobody made it yet.
    """

    cluster: str
    old: tuple[str, ...]
    new: str | None = field(repr=False)


@dataclass(frozen=True)
class Credential:
    """One credential of a model, active or not.

    :param credential_id: None before Dify 1.8, which has one for each model.
    :param stored: its fields, secrets masked.
    """

    model: DeclaredModel
    actual: ActualModel
    credential_id: str | None
    stored: t.Mapping[str, t.Any]


# --- pure ----------------------------------------------------------------------------------------------------------


def problems(changes: t.Sequence[KeyChange], *, check: bool) -> list[str]:
    """Errors in the options, known without asking anybody."""
    found = []
    for change in changes:
        if change.new is None and not check:
            found.append(f"keys: {change.cluster} has no new key")
        # Of less nobody could tell two keys apart.
        found += [
            f"keys: {change.cluster}: an old key is named by its first {SHOWN} characters or more, not by '{prefix}'"
            for prefix in change.old
            if len(prefix) < SHOWN
        ]
        if change.new is not None and any(change.new.startswith(prefix[:SHOWN]) for prefix in change.old):
            found.append(f"keys: {change.cluster}: the new key begins like the old one, so Dify shows no difference")
    return found


def change_of(stored: t.Mapping[str, t.Any], changes: t.Iterable[KeyChange]) -> KeyChange | None:
    """The change that a credential needs; None where its key is none of the old ones."""
    shown = str(stored.get("api_key") or "")
    for change in changes:
        for prefix in change.old:
            if shown[:SHOWN] == prefix[:SHOWN]:
                return change
    return None


def fields(stored: t.Mapping[str, t.Any], key: str) -> dict[str, t.Any]:
    """The fields to send: the credential as it is, with another key. Dify keeps a secret that is sent as hidden."""
    kept = {name: KEEP if MASK in str(value) else value for name, value in stored.items() if value is not None}
    return {**kept, "api_key": key}


def holders(results: t.Iterable[t.Mapping[str, t.Any]], cluster: str) -> list[str]:
    """The models that may still have the old key of a cluster, as sentences; empty if it can be revoked.

    :param results: of dify_key for each workspace, with ``_call`` as the role has it.
    """
    found = []
    for result in results:
        call = result.get("_call") or {}
        where = f"Dify {call.get('name')}" + (f", workspace {call['workspace']}" if call.get("workspace") else "")
        if result.get("skipped"):
            continue
        if "models" not in result:
            found.append(f"{where}: {result.get('msg') or 'nothing is known about it'}")
        found += [
            f"{where}: {row['error']}"
            for row in result.get("models") or ()
            if row.get("error") and row.get("cluster") in (None, cluster)
        ]
    return found


# --- read and apply ------------------------------------------------------------------------------------------------


class KeyRotation:
    """One run over a workspace; ``result`` tells what was done until then."""

    def __init__(self, dify: DifySession, provider: str | None, changes: t.Sequence[KeyChange], *, check: bool):
        self.dify = dify
        self.models = ProviderModels(dify, provider)
        self.changes = changes
        self.check = check
        self.rows: list[dict[str, t.Any]] = []
        self.plan = _plan.Plan(f"{dify.url} {dify.workspace.name}")

    def run(self) -> None:
        """Replaces the keys; a model that fails is noted, and the next one is tried."""
        for (name, kind), status in self.models.statuses().items():
            model = DeclaredModel(name, kind)
            try:
                credentials = self._credentials(model, self.models.read(model, status))
            except DifyError as exc:
                if _of_every_model(exc):
                    raise
                # Nobody knows whose key it has.
                self.rows.append(_row(model, None, "unknown", str(exc)))
                continue
            for credential in credentials:
                change = change_of(credential.stored, self.changes)
                if change is not None:
                    self._replace(credential, change)

    def result(self) -> dict[str, t.Any]:
        return dict(self.plan.result(), models=self.rows)

    def _credentials(self, model: DeclaredModel, actual: ActualModel) -> list[Credential]:
        """The model's credentials: the active one, and those among which a person, or Dify's load balancing, may change."""
        found = [Credential(model, actual, actual.credential_id, actual.stored)] if actual.stored else []
        for credential_id, _name in actual.available:
            if credential_id != actual.credential_id:
                found.append(Credential(model, actual, credential_id, self.models.credential(model, credential_id)))
        return found

    def _replace(self, credential: Credential, change: KeyChange) -> None:
        name = dict(credential.actual.available).get(credential.credential_id or "")
        why = f"credential '{name}'" if name else ""
        planned = self.plan.add(
            "change", "update", credential.model.title, [_plan.Field("api_key", "key", "key", secret=True)], why
        )
        error = ""
        if not self.check and change.new is not None:
            try:
                error = self._store(credential, change, change.new)
            except ModelopsError as exc:
                if _of_every_model(exc):
                    raise
                error = str(exc)
            if error:
                self.plan.changes.remove(planned)
        self.rows.append(_row(credential.model, change.cluster, "update", error))

    def _store(self, credential: Credential, change: KeyChange, key: str) -> str:
        """Stores the new key, which Dify tries first; returns why the old one may still be there."""
        stored = credential.stored
        model = DeclaredModel(
            credential.model.name,
            credential.model.type,
            server_url=str(stored.get("server_url") or ""),
            model_uid=str(stored.get("model_uid") or ""),
            invoke_timeout=str(stored.get("invoke_timeout") or INVOKE_TIMEOUT),
        )
        self.models.store(model, credential.actual, fields(stored, key), credential.credential_id)
        now = self.models.credential(model, credential.credential_id)
        if change_of(now, [change]) is None and same("api_key", key, now.get("api_key")):
            return ""
        return f"{self.dify.where()}: {model.title}: Dify accepted the new key and still shows another one"


def _of_every_model(exc: ModelopsError) -> bool:
    """Whether the next model would fail in the same way."""
    if isinstance(exc, DifyError):
        return exc.found.of_every_model
    return isinstance(exc, Unreachable) and not isinstance(exc, TimedOut)


def _row(model: DeclaredModel, cluster: str | None, action: str, error: str) -> dict[str, t.Any]:
    row = dict(name=model.name, type=model.type, cluster=cluster, action=action)
    return {**row, "error": error} if error else row
