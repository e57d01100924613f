# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models registered with one provider of one Dify workspace: read, plan (pure), apply. Private to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._address import is_loopback
from ansible_collections.modelops.inference.plugins.module_utils._dify.releases import Release
from ansible_collections.modelops.inference.plugins.module_utils._dify.session import CURRENT, DifyError, DifySession
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import TimedOut, Unreachable

# The types that both Dify and its Xinference plugin know.
TYPES = ("llm", "text-embedding", "rerank", "speech2text", "tts")

# Dify takes this as "leave the secret as it is", where one is stored.
KEEP = "[__HIDDEN__]"

SECRETS = ("api_key",)

# What Dify shows of a secret, between its first six and its last two characters.
MASK = "*" * 12

# What Dify's validation of a model may take beyond the model's own timeout, in seconds.
VALIDATION_MARGIN = 30

NAME_LIMIT = 30  # of a credential


@dataclass(frozen=True)
class Wanted:
    """A model as declared. The timeouts are strings because Dify stores and wants them so."""

    name: str
    type: str
    server_url: str = ""
    model_uid: str = ""
    api_key: str | None = None
    invoke_timeout: str = "60"
    max_retries: str = "3"
    credential_name: str = ""
    present: bool = True

    @property
    def title(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def key(self) -> dict[str, str]:
        """How Dify's API names a model."""
        return {"model": self.name, "model_type": self.type}

    @property
    def fields(self) -> dict[str, t.Any]:
        """What Dify stores of it; a key that is not given is left out."""
        return {
            name: value
            for name, value in (
                ("server_url", self.server_url),
                ("model_uid", self.model_uid),
                ("invoke_timeout", self.invoke_timeout),
                ("max_retries", self.max_retries),
                ("api_key", self.api_key),
            )
            if value
        }


@dataclass(frozen=True)
class Actual:
    """A model as Dify has it.

    :param stored: the active credential's fields, secrets masked; None where the model is not registered.
    :param credential_id: of the active credential; None before 1.8.
    :param available: (ID, name) of every credential kept for the model, active or not; empty before 1.8.
    :param status: as Dify lists it ("active", "disabled", ...); None where it does not list it.
    """

    stored: dict[str, t.Any] | None = None
    credential_id: str | None = None
    credential_name: str | None = None
    available: tuple[tuple[str, str], ...] = ()
    status: str | None = None


@dataclass(frozen=True)
class Step:
    """What apply() does for one model: "create", "update" (``credential_id`` where it has one), "attach" or "remove"."""

    kind: str
    wanted: Wanted
    actual: Actual
    fields: dict[str, t.Any] = field(default_factory=dict)
    credential_id: str | None = None


# --- refusing wrong input ------------------------------------------------------------------------------------------


def problems(models: t.Sequence[Wanted], *, allow_loopback: bool) -> list[str]:
    """What is wrong with the declared models, as sentences; known without asking anybody."""
    found = []
    seen = set()
    for model in models:
        what = f"model '{model.name}' ({model.type})"
        if not model.name:
            found.append("a model has no name")
        if (model.name, model.type) in seen:
            found.append(f"{what} is given twice; name and type together are its identity in Dify")
        seen.add((model.name, model.type))
        if len(model.credential_name) > NAME_LIMIT:
            found.append(f"{what}: credential_name is longer than Dify's {NAME_LIMIT} characters")
        if model.present:
            found += [f"{what}: {problem}" for problem in _field_problems(model, allow_loopback)]
    return found


def _field_problems(model: Wanted, allow_loopback: bool) -> t.Iterator[str]:
    if not model.model_uid:
        yield "model_uid is empty"
    elif re.search(r"[/?#\s]", model.model_uid):
        yield (
            f"model_uid '{model.model_uid}' has a character that Dify's plugin refuses (/ ? # or a space). "
            "Launch the model with another UID"
        )
    if not model.server_url:
        yield "server_url is empty"
        return
    parts = urlsplit(model.server_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"server_url '{model.server_url}' is not an address such as http://10.1.2.3:9997"
    elif parts.path.rstrip("/").endswith("/v1"):
        yield f"server_url '{model.server_url}' ends in /v1, which Dify adds itself. Leave it out"
    elif is_loopback(model.server_url) and not allow_loopback:
        yield (
            f"server_url '{model.server_url}' is a loopback address. Dify tries the model from its own container "
            "(plugin_daemon, or api before 1.0), where that means the container. Give the address by which Dify reaches "
            "Xinference, and let Xinference listen on it. If Dify runs on the same machine outside containers, "
            "say so with allow_loopback: true"
        )


# --- plan: pure ----------------------------------------------------------------------------------------------------


def masked(value: str) -> str:
    """A secret as Dify shows it: the first six and the last two characters, or only stars where it is short."""
    return "*" * 20 if len(value) <= 8 else value[:6] + MASK + value[-2:]


def same(name: str, wanted: str, stored: t.Any) -> bool:
    """Whether a stored value, masked or not, is the wanted one; a server URL with and without its last slash is one."""
    spellings = (wanted.rstrip("/"), wanted.rstrip("/") + "/") if name == "server_url" else (wanted,)
    return any(stored in (value, masked(value)) for value in spellings)


def differences(wanted: Wanted, stored: t.Mapping[str, t.Any], update_secret: str) -> list[_plan.Field]:
    """The fields that differ. Keys that the plugin adds (context_length, ...) are not ours and do not count.

    :param update_secret: "on_create", "always" or "when_changed"; the last compares what the mask leaves visible.
    """
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
    return found


def decide(
    wanted: Wanted, actual: Actual, release: Release, update_secret: str
) -> tuple[Step | None, list[_plan.Field]]:
    """The step that makes ``actual`` ``wanted``, with what differs; None where nothing does."""
    if not wanted.present:
        if actual.stored is None and not actual.available and actual.status is None:
            return None, []
        return Step("remove", wanted, actual), []
    registered = actual.stored is not None and (actual.credential_id or not release.named_credentials)
    if registered:
        changed = differences(wanted, actual.stored or {}, update_secret)
        if not changed:
            return None, []
        fields = dict(wanted.fields)
        if not any(item.secret for item in changed):
            fields.pop("api_key", None)
            if (actual.stored or {}).get("api_key"):
                fields["api_key"] = KEEP
        return Step("update", wanted, actual, fields, actual.credential_id), changed
    new = [_plan.Field(name, None, value, name in SECRETS) for name, value in wanted.fields.items()]
    if actual.available:
        # A model that somebody removed leaves its credentials; another POST would add one more to the pile.
        by_name = [id for id, name in actual.available if name == wanted.credential_name]
        return Step("attach", wanted, actual, wanted.fields, (by_name or [actual.available[0][0]])[0]), new
    return Step("create", wanted, actual, wanted.fields), new


def plan(
    models: t.Sequence[Wanted], actual: t.Sequence[Actual], release: Release, update_secret: str, header: str = ""
) -> _plan.Plan:
    """What to do for every model; each change carries its Step."""
    result = _plan.Plan(header)
    for wanted, found in zip(models, actual):
        step, fields = decide(wanted, found, release, update_secret)
        if step is None:
            continue
        if step.kind == "remove":
            result.add("remove", "remove", wanted.title, why=_left_over(found), data=step)
        elif step.kind == "update":
            result.add("change", "update", wanted.title, fields, data=step)
        else:
            name = dict(found.available).get(step.credential_id or "")
            why = f"with its credential '{name}'" if step.kind == "attach" else ""
            result.add("add", "register", wanted.title, fields, why, data=step)
    return result


def _left_over(found: Actual) -> str:
    count = len(found.available)
    return f"{count} credential{'s' if count > 1 else ''} left" if count and found.status is None else ""


# --- read and apply ------------------------------------------------------------------------------------------------


class Models:
    """The models of one provider in the session's workspace."""

    def __init__(self, dify: DifySession, provider: str | None = None):
        self.dify = dify
        self.release = dify.release
        self.provider = provider or dify.release.provider
        self._base = f"{CURRENT}/model-providers/{self.provider}/models"
        self._credentials = f"{self._base}/credentials"

    def statuses(self) -> dict[tuple[str, str], str]:
        """What Dify lists for the provider: (name, type) -> status. One request."""
        answer = self.dify.call("GET", self._base, "list the provider's models", about={"provider": self.provider})
        return {(item["model"], item["model_type"]): item.get("status") or "unknown" for item in answer.json["data"]}

    def read(self, wanted: Wanted, status: str | None) -> Actual:
        """One model with its active credential. One request."""
        body = self.dify.call(
            "GET", self._credentials, f"read {wanted.title}", params=wanted.key, about=self._about(wanted)
        ).json
        return Actual(
            stored=body.get("credentials") or None,
            credential_id=body.get("current_credential_id"),
            credential_name=body.get("current_credential_name"),
            available=tuple(
                (item["credential_id"], item["credential_name"]) for item in body.get("available_credentials") or ()
            ),
            status=status,
        )

    def apply(self, step: Step, update_secret: str) -> Actual:
        """Does one step and reads back until it is true; returns the model as it then is.

        An answer that got lost is read back before anything is repeated, so that no second credential comes to be.
        1.8.1 goes on showing the old values after a switch, so what still differs is put right in a second round.
        """
        wanted = step.wanted
        policy = "on_create" if update_secret == "on_create" else "when_changed"
        for _dummy in range(2):
            lost: Unreachable | None = None
            try:
                getattr(self, f"_{step.kind}")(step)
            except TimedOut as exc:
                raise ModelopsError(
                    f"{exc}. Dify may still be trying the model. Run this again later; nothing is added twice."
                ) from exc
            except Unreachable as exc:
                if not exc.sent:
                    raise
                lost = exc
            actual = self.read(wanted, step.actual.status if wanted.present else None)
            next_step, changed = decide(wanted, actual, self.release, policy)
            if next_step is None:
                return actual
            step = next_step
        if lost is not None:
            raise lost
        names = ", ".join(item.name for item in changed) or step.kind
        raise ModelopsError(
            f"Dify {self.dify.url}, workspace '{self.dify.workspace.name}': {wanted.title}: Dify took the change and "
            f"still shows something else ({names}). Is another run or a person changing it at the same time?"
        )

    def _send(self, verb: str, path: str, step: Step, what: str, **body: t.Any) -> None:
        patience = int(step.wanted.invoke_timeout) + VALIDATION_MARGIN
        self.dify.call(
            verb,
            path,
            f"{what} {step.wanted.title}",
            json={**step.wanted.key, **body},
            timeout=max(self.dify.http.timeout[1], patience),
            about=self._about(step.wanted),
        )

    def _about(self, wanted: Wanted) -> dict[str, str]:
        return {
            "provider": self.provider,
            "server_url": wanted.server_url,
            "model_uid": wanted.model_uid,
            "type": wanted.type,
        }

    def _create(self, step: Step) -> None:
        if not self.release.named_credentials:
            self._update(step)
            return
        name = {"name": step.wanted.credential_name} if step.wanted.credential_name else {}
        self._send("POST", self._credentials, step, "register", credentials=step.fields, **name)

    def _update(self, step: Step) -> None:
        if self.release.named_credentials:
            # Without a name the credential keeps its own.
            self._send(
                "PUT",
                self._credentials,
                step,
                "update",
                credential_id=step.credential_id,
                credentials=step.fields,
            )
        else:
            balancing = {"enabled": False, "configs": []}
            self._send("POST", self._base, step, "register", credentials=step.fields, load_balancing=balancing)

    def _attach(self, step: Step) -> None:
        self._update(step)
        self._send("POST", f"{self._credentials}/switch", step, "register", credential_id=step.credential_id)

    def _remove(self, step: Step) -> None:
        """The model first, then its credentials: the other way round leaves a model without a credential."""
        self._send("DELETE", self._base, step, "remove")
        for credential_id, name in step.actual.available:
            try:
                self._send(
                    "DELETE", self._credentials, step, f"remove credential '{name}' of", credential_id=credential_id
                )
            except DifyError as exc:
                if "not found" not in exc.found.text:
                    raise
