# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models as they are declared for a Dify, and as Dify has them. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import unquote

from ansible_collections.modelops.inference.plugins.module_utils._address import is_loopback, url_problem
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo

# The types that both Dify and its Xinference plugin know, as Dify's dialog spells them.
DIALOG_TYPES = {
    "llm": "LLM",
    "text-embedding": "TEXT EMBEDDING",
    "rerank": "RERANK",
    "speech2text": "SPEECH2TEXT",
    "tts": "TTS",
}
TYPES = tuple(DIALOG_TYPES)

# Of a model that does not name them: seconds for an answer, and how often Dify tries again.
INVOKE_TIMEOUT, MAX_RETRIES = 60, 3

STATES = ("present", "present_with_defaults", "absent")

# Dify takes this as "leave the secret as it is", where one is stored.
KEEP = "[__HIDDEN__]"

SECRETS = ("api_key",)

# Statuses of a model that people cannot use.
UNUSABLE = ("disabled", "no-configure", "quota-exceeded", "no-permission", "credential-removed")

# Dify shows this of a secret, between its first six and its last two characters.
MASK = "*" * 12

NAME_LIMIT = 30  # of a credential

# Name of the credentials that the collection adds, and by which it knows them as its own (owns).
OWN_NAME = "modelops.inference"

# States with which nothing happens to a model: for good, or till it can be registered.
LEFT_ALONE = ("ignored", "pending")


@dataclass(frozen=True)
class DeclaredModel:
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
    invoke_timeout: str = str(INVOKE_TIMEOUT)
    max_retries: str = str(MAX_RETRIES)
    credential_name: str = ""
    enabled: bool | None = None
    context_length: int | None = None
    state: str = "present"

    @property
    def present(self) -> bool:
        """Whether the model must be there afterwards."""
        return self.state in ("present", "present_with_defaults")

    @property
    def left_alone(self) -> bool:
        """Whether nothing is read or done of it."""
        return self.state in LEFT_ALONE

    @property
    def title(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def key(self) -> dict[str, str]:
        """The model's key in Dify's API."""
        return {"model": self.name, "model_type": self.type}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Its secrets: its key, and a password in its server URL, as it is there and decoded."""
        found = re.search(r"://[^/?#]*?:([^/?#]*)@", self.server_url)
        password = found.group(1) if found else ""
        return tuple({secret for secret in (self.api_key, password, unquote(password)) if secret})

    @property
    def fields(self) -> dict[str, t.Any]:
        """The fields that Dify stores; a key that is not given is left out."""
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
class ActualModel:
    """A model as Dify has it.

    :param stored: the active credential's fields, secrets masked; None where the model is not registered.
    :param credential_id: of the active credential; None before 1.8.
    :param available: (ID, name) of every credential kept for the model, active or not; empty before 1.8.
    :param inactive: of a model without an active credential what each of ``available`` holds, by ID, secrets masked.
    :param status: as Dify lists it ("active", "disabled", ...); None where it does not list it.
    :param balancing: the configurations among which Dify balances the model's load (id, name, enabled, from 1.8 on also
        credential_id), without their credentials; empty where it does not.
    """

    stored: dict[str, t.Any] | None = None
    credential_id: str | None = None
    credential_name: str | None = None
    available: tuple[tuple[str, str], ...] = ()
    inactive: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    status: str | None = None
    balancing: tuple[dict[str, t.Any], ...] = ()


def problems(models: t.Sequence[DeclaredModel], *, allow_loopback: bool) -> list[str]:
    """Errors in the declared models, as sentences; known without asking anybody."""
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


def _field_problems(model: DeclaredModel, allow_loopback: bool) -> t.Iterator[str]:
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
            "set allow_loopback: true"
        )
        return
    problem = url_problem(model.server_url)
    if problem:
        yield f"server_url '{without_userinfo(model.server_url)}' {problem}"


def masked(value: str) -> str:
    """A secret as Dify shows it: the first six and the last two characters, or only stars where it is short."""
    return "*" * 20 if len(value) <= 8 else value[:6] + MASK + value[-2:]


def same(name: str, wanted: str, stored: t.Any) -> bool:
    """Whether a stored value, masked or not, is the wanted one; a server URL with and without its last slash is one."""
    spellings = (wanted.rstrip("/"), wanted.rstrip("/") + "/") if name == "server_url" else (wanted,)
    return any(stored in (value, masked(value)) for value in spellings)
