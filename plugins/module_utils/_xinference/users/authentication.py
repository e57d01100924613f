# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The login of the administrator, and how a server gets one. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.access import AUTH_PATH, RESET_HINT
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client

NO_AUTH, LEGACY, DATABASE = "none", "legacy", "database"


@dataclass
class Accounts:
    """The accounts of the server.

    :param auth: none, legacy (the file of ``--auth-config``, before 3.0) or database.
    :param users: by name; empty where none were asked for.
    :param keys: by name; empty where every declared key is settled.
    """

    auth: str
    needs_setup: bool = False
    password_min_length: int = 0
    users: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, t.Any]] = field(default_factory=dict)


def authentication(client: Client, answer: Answer) -> Accounts:
    """The server's kind of authentication, and whether it is claimed.

    :param answer: of ``GET /v1/cluster/auth``.
    """
    if not client.needs_auth(answer):
        return Accounts(NO_AUTH)
    answer = client.session.get("/v1/admin/setup/status", expect=(200, 404))
    if answer.status == 404:
        return Accounts(LEGACY)
    return Accounts(DATABASE, bool(answer.json["needs_setup"]), int(answer.json.get("password_min_length") or 0))


def claim(client: Client, token: str | None) -> None:
    """Makes the first administrator. 3.x asks for no token: there the first caller wins."""
    answer = client.claim(token)
    if answer.status == 201:
        return
    if "token" in answer.detail.lower():
        raise ModelopsError(
            f"{client.endpoint} refused the setup token: {answer.detail} "
            + ("It was given or found." if token else "None was given (setup_token) or found (setup_log).")
            + " The newest 'Setup token:' line of the server's log has it; a restart of the server prints it again."
        )
    if answer.status == 403:
        raise ModelopsError(
            f"{client.endpoint} was claimed by someone else in the meantime: {answer.detail} {RESET_HINT}"
        )
    raise ModelopsError(f"{client.endpoint} refused the new administrator: {answer.detail}")


def for_rotation(client: Client, timeout: float, what: str) -> Accounts:
    """The authentication of a running server; refuses servers that cannot replace a secret while clients use it.

    :param what: the secret, "key" or "password".
    :raises ModelopsError: no such secret can be replaced on this server.
    """
    actual = authentication(client, client.wait_ready(timeout, path=AUTH_PATH, workers=False))
    if actual.auth == NO_AUTH:
        raise ModelopsError(
            f"{client.endpoint} has no authentication (xinference_auth), so it has no {what} to rotate."
        )
    if actual.auth == LEGACY:
        raise ModelopsError(
            f"{client.endpoint} is older than 3.0 and reads its {what}s at its start, so none can be replaced while clients use it. "
            "Upgrade it first: set xinference_version and run ansible-playbook modelops.inference.upgrade."
        )
    return actual


def login(client: Client, auth: str) -> None:
    """One attempt as the administrator of a server that is claimed.

    :raises ModelopsError: the password is another one.
    """
    answer = client.take_token()
    if answer.status == 200:
        return
    if answer.status == 429:
        raise ModelopsError(
            f"{client.endpoint} has banned this address after too many failed logins ({answer.detail}); "
            "the ban lasts an hour"
        )
    why = {
        LEGACY: "The file of its --auth-config has another password, or no such user.",
        DATABASE: f"It was claimed by someone else, or with another password. {RESET_HINT}",
    }[auth]
    raise ModelopsError(
        f"{client.endpoint} does not accept the password of {client.username!r} ({answer.status}: {answer.detail}), "
        f"which was tried once only. {why}"
    )
