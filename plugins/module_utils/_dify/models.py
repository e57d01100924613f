# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models registered with one provider of one Dify workspace: read, plan (pure), apply. Private to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._address import is_loopback, url_problem
from ansible_collections.modelops.inference.plugins.module_utils._dify import registrations
from ansible_collections.modelops.inference.plugins.module_utils._dify.releases import Release
from ansible_collections.modelops.inference.plugins.module_utils._dify.session import CURRENT, DifyError, DifySession
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo
from ansible_collections.modelops.inference.plugins.module_utils._session import TimedOut, Unreachable

# The types that both Dify and its Xinference plugin know.
TYPES = ("llm", "text-embedding", "rerank", "speech2text", "tts")

# Dify takes this as "leave the secret as it is", where one is stored.
KEEP = "[__HIDDEN__]"

SECRETS = ("api_key",)

# Statuses of a model that people cannot use.
UNUSABLE = ("disabled", "no-configure", "quota-exceeded", "no-permission", "credential-removed")

# What Dify shows of a secret, between its first six and its last two characters.
MASK = "*" * 12

# What Dify's validation of a model may take beyond the model's own timeout, in seconds.
VALIDATION_MARGIN = 30

NAME_LIMIT = 30  # of a credential

# Name of the credentials that the collection adds, and by which it knows them as its own (owns).
OWN_NAME = "modelops.inference"


@dataclass(frozen=True)
class Wanted:
    """A model as declared. The timeouts are strings because Dify stores and wants them so.

    :param enabled: whether Dify offers it to people; None leaves that to them.
    :param context_length: tokens that an llm takes in one go, as Xinference serves it now; None does not compare it.
    :param state: "present", "absent", "present_with_defaults" (add it where it is missing, else leave it alone),
        "ignored" (leave it alone, also when others are pruned) or "pending" (the same, and prune nothing yet).
    """

    name: str
    type: str
    server_url: str = ""
    model_uid: str = ""
    api_key: str | None = None
    invoke_timeout: str = "60"
    max_retries: str = "3"
    credential_name: str = ""
    enabled: bool | None = None
    context_length: int | None = None
    state: str = "present"

    @property
    def present(self) -> bool:
        """Whether the model has to be there afterwards."""
        return self.state in ("present", "present_with_defaults")

    @property
    def left_alone(self) -> bool:
        """Whether nothing is read or done of it."""
        return self.state in registrations.LEFT_ALONE

    @property
    def title(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def key(self) -> dict[str, str]:
        """How Dify's API names a model."""
        return {"model": self.name, "model_type": self.type}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it nobody may read: its key, and a password in its server URL, as it is there and decoded."""
        found = re.search(r"://[^/?#]*?:([^/?#]*)@", self.server_url)
        password = found.group(1) if found else ""
        return tuple({secret for secret in (self.api_key, password, unquote(password)) if secret})

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
    :param kept: of a model without an active credential what each of ``available`` holds, by ID, secrets masked.
    :param status: as Dify lists it ("active", "disabled", ...); None where it does not list it.
    :param balancing: the configurations among which Dify balances the model's load (id, name, enabled, from 1.8 on also
        credential_id), without their credentials; empty where it does not.
    """

    stored: dict[str, t.Any] | None = None
    credential_id: str | None = None
    credential_name: str | None = None
    available: tuple[tuple[str, str], ...] = ()
    kept: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    status: str | None = None
    balancing: tuple[dict[str, t.Any], ...] = ()


@dataclass(frozen=True)
class Step:
    """What apply() does for one model.

    :param kind: "create", "update" (of the credential ``credential_id`` where it has one), "attach" (a credential that
        is there, updated where there are ``fields``), "keep" (only what follows) or "remove".
    :param enable: enable or disable the model then; None leaves it.
    :param superfluous: (ID, name) of the credentials that go then.
    """

    kind: str
    wanted: Wanted
    actual: Actual
    fields: dict[str, t.Any] = field(default_factory=dict)
    credential_id: str | None = None
    enable: bool | None = None
    superfluous: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Policy:
    """What an existing model is compared by.

    :param update_secret: "on_create", "always" or "when_changed"; the last compares what the mask leaves visible.
    :param clean: remove the credentials of a model that are not its active one.
    """

    update_secret: str = "when_changed"
    clean: bool = False


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
    if is_loopback(model.server_url) and not allow_loopback:
        yield (
            f"server_url '{without_userinfo(model.server_url)}' is a loopback address. Dify tries the model from its own container "
            "(plugin_daemon, or api before 1.0), where that means the container. Give the address by which Dify reaches "
            "Xinference, and let Xinference listen on it. If Dify runs on the same machine outside containers, "
            "say so with allow_loopback: true"
        )
        return
    problem = url_problem(model.server_url)
    if problem:
        yield f"server_url '{without_userinfo(model.server_url)}' {problem}"


# --- plan: pure ----------------------------------------------------------------------------------------------------


def masked(value: str) -> str:
    """A secret as Dify shows it: the first six and the last two characters, or only stars where it is short."""
    return "*" * 20 if len(value) <= 8 else value[:6] + MASK + value[-2:]


def same(name: str, wanted: str, stored: t.Any) -> bool:
    """Whether a stored value, masked or not, is the wanted one; a server URL with and without its last slash is one."""
    spellings = (wanted.rstrip("/"), wanted.rstrip("/") + "/") if name == "server_url" else (wanted,)
    return any(stored in (value, masked(value)) for value in spellings)


def differences(wanted: Wanted, stored: t.Mapping[str, t.Any], update_secret: str) -> list[_plan.Field]:
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


def stale_context(wanted: Wanted, stored: t.Mapping[str, t.Any]) -> bool:
    """Whether Dify still has the context length of an earlier launch. It is learned anew when the model is saved."""
    known = stored.get("context_length")
    return None not in (known, wanted.context_length) and str(known) != str(wanted.context_length)


def superfluous(wanted: Wanted, actual: Actual, clean: bool) -> tuple[tuple[str, str], ...]:
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


def decide(wanted: Wanted, actual: Actual, release: Release, policy: Policy) -> tuple[Step | None, list[_plan.Field]]:
    """The step that makes ``actual`` ``wanted``, with what differs; None where nothing does."""
    if wanted.left_alone:
        return None, []
    if wanted.state == "absent":
        if actual.stored is None and not actual.available and actual.status is None:
            return None, []
        return Step("remove", wanted, actual), []
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
        if fields and "api_key" not in fields and actual.kept.get(credential_id, {}).get("api_key"):
            fields["api_key"] = KEEP
        return Step("attach", wanted, actual, fields, credential_id, enable, extra), new
    return Step("create", wanted, actual, wanted.fields, enable=enable, superfluous=extra), new


def registered(actual: Actual, release: Release) -> bool:
    """Whether Dify has the model, with an active credential."""
    return actual.stored is not None and bool(actual.credential_id or not release.named_credentials)


def changed_since(before: Actual, now: Actual) -> bool:
    """Whether somebody stored something of a model in between."""
    return any(getattr(before, name) != getattr(now, name) for name in ("stored", "credential_id", "available"))


def to_be_listed(wanted: t.Sequence[Wanted], actual: t.Sequence[Actual], release: Release) -> set[tuple[str, str]]:
    """(name, type) of the declared models that Dify has, so that its list of models has to have them, too."""
    return {
        (model.name, model.type) for model, now in zip(wanted, actual) if model.present and registered(now, release)
    }


def taken_over(wanted: Wanted, actual: Actual) -> str | None:
    """The credential to take for a model without an active one: ours, else one for the same UID at the same server.

    What else is there is somebody's for another server, and stays as it is. A masked server URL does not tell whose it is:
    another host's with the same port looks the same, and its key would be sent to ours.
    """
    ours = [id for id, name in actual.available if name == wanted.credential_name]
    alike = [
        id
        for id, values in actual.kept.items()
        if MASK not in str(values.get("server_url"))
        and same("server_url", wanted.server_url, values.get("server_url"))
        and same("model_uid", wanted.model_uid, values.get("model_uid"))
    ]
    return next(iter(ours + alike), None)


def _decide_registered(
    wanted: Wanted, actual: Actual, stored: t.Mapping[str, t.Any], policy: Policy
) -> tuple[Step | None, list[_plan.Field]]:
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
    return Step(kind, wanted, actual, fields, actual.credential_id, enable, extra), changed


def plan(
    models: t.Sequence[Wanted], actual: t.Sequence[Actual], release: Release, policy: Policy, header: str = ""
) -> _plan.Plan:
    """What to do for every model; each change carries its Step."""
    result = _plan.Plan(header)
    for wanted, found in zip(models, actual):
        step, fields = decide(wanted, found, release, policy)
        if step is None:
            continue
        names = ", ".join(f"'{name}'" for _id, name in step.superfluous)
        without = f"without its other credentials {names}" if names else ""
        if step.kind == "remove":
            result.add("remove", "remove", wanted.title, why=_left_over(found), data=step)
        elif step.kind in ("update", "keep"):
            result.add("change", "update", wanted.title, fields, without, data=step)
        else:
            name = dict(found.available).get(step.credential_id or "")
            credential = f"with its credential '{name}'" if step.kind == "attach" else ""
            why = ", ".join(part for part in (credential, without) if part)
            result.add("add", "register", wanted.title, fields, why, data=step)
    return result


def owns(prefix: str, name: str) -> bool:
    """Whether a credential's name is the site's: the prefix itself, or the prefix, a space, and anything."""
    return name == prefix or name.startswith(f"{prefix} ")


def owned(actual: Actual, release: Release, prefix: str, server_urls: t.Collection[str]) -> bool:
    """Whether a model that nobody declared is the collection's, so that it may be pruned.

    From 1.8 on by its credentials: where one has another name, a person has made the model theirs. Before, by its server
    URL, which a masked one does not tell: two hosts with the same port look the same.

    :param prefix: of the names of our credentials.
    :param server_urls: those that only we register.
    """
    if release.named_credentials:
        return bool(actual.available) and all(owns(prefix, name) for _id, name in actual.available)
    return at_one_of(actual, server_urls)


def at_one_of(actual: Actual, server_urls: t.Collection[str]) -> bool:
    """Whether a model's server URL is one of these."""
    return str((actual.stored or {}).get("server_url", "")).rstrip("/") in {url.rstrip("/") for url in server_urls}


def _left_over(found: Actual) -> str:
    count = len(found.available)
    return f"{count} credential{'s' if count > 1 else ''} left" if count and found.status is None else ""


def to_be_offered(wanted: Wanted, actual: Actual) -> bool:
    """Whether people are to find the model in Dify: it is to be there, and neither we nor they disabled it."""
    return wanted.present and (wanted.enabled or wanted.enabled is None and actual.status != "disabled")


def full_name(provider: str) -> str:
    """A provider's name with its plugin's, as Dify lists it from 1.0 on, also where it was asked by the short one."""
    return provider if "/" in provider else f"langgenius/{provider}/{provider}"


def hides_owner(actual: Actual, release: Release) -> bool:
    """Whether nothing that Dify shows of a model tells who registered it."""
    return not release.named_credentials and MASK in str((actual.stored or {}).get("server_url"))


def _balancing(told: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], ...]:
    if not told.get("enabled"):
        return ()
    names = ("id", "name", "enabled", "credential_id")
    return tuple({name: config[name] for name in names if name in config} for config in told.get("configs") or ())


# --- read and apply ------------------------------------------------------------------------------------------------


class Models:
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
        """What Dify lists for the provider: (name, type) -> status. One request.

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

    def read(self, wanted: Wanted, status: str | None) -> Actual:
        """One model with its active credential. One request, and one for each other credential where none is active."""
        body = self._read(wanted)
        active = body.get("current_credential_id")
        available = tuple(
            (item["credential_id"], item["credential_name"]) for item in body.get("available_credentials") or ()
        )
        others = available if wanted.present and not active else ()
        return Actual(
            stored=body.get("credentials") or None,
            credential_id=active,
            credential_name=body.get("current_credential_name"),
            available=available,
            kept={id: self._read(wanted, credential_id=id).get("credentials") or {} for id, _name in others},
            status=status,
            balancing=_balancing(body.get("load_balancing") or {}),
        )

    def _read(self, wanted: Wanted, **credential: str) -> dict[str, t.Any]:
        params = {**wanted.key, **credential}
        what = f"read {wanted.title}"
        return self.dify.call("GET", self._credentials, what, params=params, about=self._about(wanted)).json

    def credential(self, wanted: Wanted, credential_id: str | None) -> dict[str, t.Any]:
        """What one credential of a model holds, secrets masked; None as ID is the one that a Dify before 1.8 has."""
        found = self._read(wanted, **({"credential_id": credential_id} if credential_id else {}))
        return found.get("credentials") or {}

    def store(self, wanted: Wanted, actual: Actual, fields: dict[str, t.Any], credential_id: str | None) -> None:
        """Stores what one credential of a model is to hold, active or not. Dify tries it first."""
        self._update(Step("update", wanted, actual, fields, credential_id))

    def enable(self, wanted: Wanted) -> None:
        """Enables a model that Dify lists."""
        self._send("PATCH", f"{self._base}/enable", Step("keep", wanted, Actual()), "enable")

    def apply(self, step: Step, policy: Policy) -> Actual:
        """Does one step and reads back until it is true; returns the model as it then is.

        An answer that got lost is read back before anything is repeated, so that no second credential comes to be; so is
        what the plugin daemon was in the way of, or another run was faster with, which Dify may answer with a bare 500.
        1.8.1 goes on showing the old values after a switch, so what still differs is put right in a second round.
        """
        # What is hidden or learned from Xinference tells nothing when it is read back.
        wanted = replace(step.wanted, context_length=None)
        if policy.update_secret == "always":
            policy = replace(policy, update_secret="when_changed")
        for _dummy in range(2):
            lost: ModelopsError | None = None
            try:
                self._do(step)
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
            status = step.actual.status if wanted.present else None
            if step.enable is not None and lost is None:
                status = "active" if step.enable else "disabled"
            actual = self.read(wanted, status)
            next_step, changed = decide(wanted, actual, self.release, policy)
            if next_step is None:
                return actual
            if isinstance(lost, DifyError) and lost.found.silent and not changed_since(step.actual, actual):
                raise lost  # nobody else: Dify itself or its plugin failed, and would again
            step = next_step
        if lost is not None:
            raise lost
        names = ", ".join(item.name for item in changed) or step.kind
        raise ModelopsError(
            f"Dify {self.dify.url}, workspace '{self.dify.workspace.name}': {wanted.title}: Dify took the change and "
            f"still shows something else ({names}). Is another run or a person changing it at the same time?"
        )

    def _do(self, step: Step) -> None:
        if step.kind != "keep":
            getattr(self, f"_{step.kind}")(step)
        if step.enable is not None:
            verb = "enable" if step.enable else "disable"
            self._send("PATCH", f"{self._base}/{verb}", step, verb)
        self._remove_credentials(step, step.superfluous)

    def _send(self, verb: str, path: str, step: Step, what: str, **options: t.Any) -> None:
        self._call(verb, path, step, what, **options)
        self.changes += 1

    def _call(
        self, verb: str, path: str, step: Step, what: str, *, idempotent: bool | None = None, **body: t.Any
    ) -> None:
        patience = int(step.wanted.invoke_timeout) + VALIDATION_MARGIN
        self.dify.call(
            verb,
            path,
            f"{what} {step.wanted.title}",
            json={**step.wanted.key, **body},
            idempotent=idempotent,
            timeout=max(self.dify.http.timeout[1], patience),
            about=self._about(step.wanted),
        )

    def _about(self, wanted: Wanted) -> dict[str, str]:
        return {
            "provider": self.provider,
            "server_url": without_userinfo(wanted.server_url),
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
            self._save(step)

    def _save(self, step: Step) -> None:
        """Before 1.8 Dify stores credentials only in a request that switches the model's load balancing off.

        It does so first, even where it then refuses them, and keeps the configurations.
        """
        off = {"enabled": False, "configs": []}
        try:
            self._send(
                "POST", self._base, step, "register", idempotent=True, credentials=step.fields, load_balancing=off
            )
        finally:
            if step.actual.balancing:
                self._balance_again(step)

    def _balance_again(self, step: Step) -> None:
        """Switches the load balancing on as it was. A configuration sent without its credentials keeps them."""
        on = {"enabled": True, "configs": list(step.actual.balancing)}
        try:
            self._call("POST", self._base, step, "balance the load of", idempotent=True, load_balancing=on)
        except ModelopsError as exc:
            raise ModelopsError(
                f"{exc} To store a credential Dify before 1.8 switches the model's load balancing off, and it could not be "
                "switched on again: do that in Dify's settings, under Model Provider."
            ) from exc

    def _attach(self, step: Step) -> None:
        if step.fields:
            self._update(step)
        self._send("POST", f"{self._credentials}/switch", step, "register", credential_id=step.credential_id)

    def _remove(self, step: Step) -> None:
        """The model first, then its credentials: the other way round leaves a model without a credential."""
        self._send("DELETE", self._base, step, "remove")
        self._remove_credentials(step, step.actual.available)

    def _remove_credentials(self, step: Step, credentials: t.Iterable[tuple[str, str]]) -> None:
        for credential_id, name in credentials:
            try:
                self._send(
                    "DELETE", self._credentials, step, f"remove credential '{name}' of", credential_id=credential_id
                )
            except DifyError as exc:
                if "not found" not in exc.found.text:  # another run was faster
                    raise
