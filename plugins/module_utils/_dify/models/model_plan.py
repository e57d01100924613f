# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for each declared model of a Dify, with the fields that differ. Pure. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.releases import DifyRelease
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    KEEP,
    MASK,
    SECRETS,
    ActualModel,
    DeclaredModel,
    same,
)


@dataclass(frozen=True)
class ModelOperation:
    """One operation of apply(), for one model.

    :param kind: "create", "update" (of the credential ``credential_id`` where it has one), "attach" (a credential that
        is there, updated where there are ``fields``), "keep" (only what follows) or "remove".
    :param enable: enable or disable the model then; None leaves it.
    :param superfluous: (ID, name) of the credentials that go then.
    """

    kind: str
    wanted: DeclaredModel
    actual: ActualModel
    fields: dict[str, t.Any] = field(default_factory=dict)
    credential_id: str | None = None
    enable: bool | None = None
    superfluous: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Policy:
    """Rules of the comparison of an existing model.

    :param update_secret: "on_create", "always" or "when_changed"; the last compares what the mask leaves visible.
    :param clean: remove the credentials of a model that are not its active one.
    """

    update_secret: str = "when_changed"
    clean: bool = False


def differences(wanted: DeclaredModel, stored: t.Mapping[str, t.Any], update_secret: str) -> list[_plan.Field]:
    """The fields that differ. Of the keys that the plugin adds only the context length counts, where it is given."""
    found = []
    for name, value in wanted.fields.items():
        secret = name in SECRETS
        if secret and update_secret == "on_create":
            continue
        if name in ("invoke_timeout", "max_retries") and name not in stored:
            continue  # before 0.12 the provider has no such field and Dify drops it
        # 0.x and the plugin up to 0.0.4 keep the server URL as a secret, too.
        hidden = secret or MASK in str(stored.get(name))
        if hidden and update_secret == "always" or not same(name, value, stored.get(name)):
            found.append(_plan.Field(name, stored.get(name), value, secret))
    if stale_context(wanted, stored):
        found.append(_plan.Field("context_length", stored["context_length"], wanted.context_length))
    return found


def stale_context(wanted: DeclaredModel, stored: t.Mapping[str, t.Any]) -> bool:
    """Whether Dify still has the context length of an earlier launch. It is learned anew when the model is saved."""
    known = stored.get("context_length")
    return None not in (known, wanted.context_length) and str(known) != str(wanted.context_length)


def superfluous(wanted: DeclaredModel, actual: ActualModel, clean: bool) -> tuple[tuple[str, str], ...]:
    """Credentials that are too many: with ``clean`` all but the active one, else the twins of ours.

    Dify looks for a credential's name before it tries the model, and adds it after that: two runs at a time can add two.
    Both then keep the same one. Credentials among which Dify balances the model's load stay: without them it would not.
    """
    used = {actual.credential_id, *(config.get("credential_id") for config in actual.balancing)}
    others = tuple(item for item in actual.available if item[0] not in used)
    if clean:
        return others
    twins = [id for id, name in actual.available if name == wanted.credential_name]
    return tuple(item for item in others if item[1] == wanted.credential_name) if actual.credential_id in twins else ()


def decide(
    wanted: DeclaredModel, actual: ActualModel, release: DifyRelease, policy: Policy
) -> tuple[ModelOperation | None, list[_plan.Field]]:
    """The operation that makes ``actual`` ``wanted``, with what differs; None where nothing does."""
    if wanted.left_alone:
        return None, []
    if wanted.state == "absent":
        if actual.stored is None and not actual.available and actual.status is None:
            return None, []
        return ModelOperation("remove", wanted, actual), []
    enable = wanted.enabled
    if registered(actual, release):
        return _decide_registered(wanted, actual, actual.stored or {}, policy)
    new = [_plan.Field(name, None, value, name in SECRETS) for name, value in wanted.fields.items()]
    if enable is not None:
        new.append(_plan.Field("enabled", None, enable))
    # A model that somebody removed leaves its credentials; another POST would add one more to the pile.
    credential_id = taken_over(wanted, actual)
    extra: tuple[tuple[str, str], ...] = ()
    if wanted.state == "present":
        extra = superfluous(wanted, replace(actual, credential_id=credential_id), policy.clean)
    if credential_id is not None:
        fields = wanted.fields if wanted.state == "present" else {}
        if fields and "api_key" not in fields and actual.inactive.get(credential_id, {}).get("api_key"):
            fields["api_key"] = KEEP
        return ModelOperation("attach", wanted, actual, fields, credential_id, enable, extra), new
    return ModelOperation("create", wanted, actual, wanted.fields, enable=enable, superfluous=extra), new


def registered(actual: ActualModel, release: DifyRelease) -> bool:
    """Whether Dify has the model, with an active credential."""
    return actual.stored is not None and bool(actual.credential_id or not release.named_credentials)


def changed_since(before: ActualModel, now: ActualModel) -> bool:
    """Whether somebody stored something of a model in between."""
    return any(getattr(before, name) != getattr(now, name) for name in ("stored", "credential_id", "available"))


def must_be_listed(
    wanted: t.Sequence[DeclaredModel], actual: t.Sequence[ActualModel], release: DifyRelease
) -> set[tuple[str, str]]:
    """(name, type) of the declared models that Dify has, so that its list of models must have them, too."""
    return {
        (model.name, model.type) for model, now in zip(wanted, actual) if model.present and registered(now, release)
    }


def taken_over(wanted: DeclaredModel, actual: ActualModel) -> str | None:
    """The credential to take for a model without an active one: ours, else one for the same UID at the same server.

    What else is there is somebody's for another server, and stays as it is. A masked server URL does not tell whose it is:
    another host's with the same port looks the same, and its key would be sent to ours.
    """
    ours = [id for id, name in actual.available if name == wanted.credential_name]
    alike = [
        id
        for id, values in actual.inactive.items()
        if MASK not in str(values.get("server_url"))
        and same("server_url", wanted.server_url, values.get("server_url"))
        and same("model_uid", wanted.model_uid, values.get("model_uid"))
    ]
    return next(iter(ours + alike), None)


def _decide_registered(
    wanted: DeclaredModel, actual: ActualModel, stored: t.Mapping[str, t.Any], policy: Policy
) -> tuple[ModelOperation | None, list[_plan.Field]]:
    if wanted.state == "present_with_defaults":
        return None, []
    changed = differences(wanted, stored, policy.update_secret)
    fields = {}
    if changed:
        fields = dict(wanted.fields)
        if not any(item.secret for item in changed):
            fields.pop("api_key", None)
            if stored.get("api_key"):
                fields["api_key"] = KEEP
    kind = "update" if changed else "keep"
    enable = None
    if wanted.enabled is not None and wanted.enabled != (actual.status != "disabled"):
        enable = wanted.enabled
        changed.append(_plan.Field("enabled", not enable, enable))
    extra = superfluous(wanted, actual, policy.clean)
    if not changed and not extra:
        return None, []
    return ModelOperation(kind, wanted, actual, fields, actual.credential_id, enable, extra), changed


def plan(
    models: t.Sequence[DeclaredModel],
    actual: t.Sequence[ActualModel],
    release: DifyRelease,
    policy: Policy,
    header: str = "",
) -> _plan.Plan:
    """The plan for all models; each change carries its ModelOperation."""
    result = _plan.Plan(header)
    for wanted, found in zip(models, actual):
        operation, fields = decide(wanted, found, release, policy)
        if operation is None:
            continue
        names = ", ".join(f"'{name}'" for _id, name in operation.superfluous)
        without = f"without its other credentials {names}" if names else ""
        if operation.kind == "remove":
            result.add("remove", "remove", wanted.title, why=_left_over(found), data=operation)
        elif operation.kind in ("update", "keep"):
            result.add("change", "update", wanted.title, fields, without, data=operation)
        else:
            name = dict(found.available).get(operation.credential_id or "")
            credential = f"with its credential '{name}'" if operation.kind == "attach" else ""
            why = ", ".join(part for part in (credential, without) if part)
            result.add("add", "register", wanted.title, fields, why, data=operation)
    return result


def _left_over(found: ActualModel) -> str:
    count = len(found.available)
    return f"{count} credential{'s' if count > 1 else ''} left" if count and found.status is None else ""


def must_be_offered(wanted: DeclaredModel, actual: ActualModel) -> bool:
    """Whether people must find the model in Dify: it is wanted, and neither we nor they disabled it."""
    return wanted.present and (wanted.enabled or wanted.enabled is None and actual.status != "disabled")
