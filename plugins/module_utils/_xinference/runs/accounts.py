# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over the administrator, users and client keys of a server. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.access import AUTH_PATH
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import (
    admin,
    authentication,
    secret_files,
)

_STATE = dict(type="str", choices=["present", "absent"], default="present")

_USER = dict(
    name=dict(type="str", required=True),
    password=dict(type="str", no_log=True),
    password_path=dict(type="path", no_log=False),
    permissions=dict(type="list", elements="str"),
    state=_STATE,
)

_KEY = dict(
    name=dict(type="str", required=True),
    path=dict(type="path"),
    key=dict(type="str", no_log=True),
    description=dict(type="str"),
    owner=dict(type="str"),
    state=_STATE,
)

OPTIONS = dict(
    setup_token=dict(type="str", no_log=True),
    setup_log=dict(type="path"),
    users=dict(type="list", elements="dict", default=[], options=_USER),
    keys=dict(type="list", elements="dict", default=[], options=_KEY, no_log=False),
    ready_timeout=dict(type="int", default=300),
    log_path=dict(type="path"),
)


def run(client: Client, p: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    """The module's result.

    :param p: the options above, and the administrator's username.
    """
    admin.desired(p["users"], p["keys"], p["username"])
    answer = client.wait_ready(p["ready_timeout"], path=AUTH_PATH, workers=False)
    actual = authentication.authentication(client, answer)
    if actual.auth == authentication.NO_AUTH:
        return _unmanaged(client, actual, [admin.Key(options) for options in p["keys"]], p["users"], warn)
    client.check_password(actual.password_min_length if actual.needs_setup else 0)
    if actual.auth == authentication.LEGACY:
        authentication.login(client, actual.auth)
        return _unmanaged(client, actual, admin.look_at_keys(client, p["keys"]), p["users"], warn)
    return _managed(client, actual, p)


def _managed(client: Client, actual: authentication.Accounts, p: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A server with users and keys in its database, since 3.0."""
    # Nothing can be read from a server that check mode must not claim: its keys are those of an empty server.
    predicted = actual.needs_setup and client.session.check_mode
    if predicted:
        keys = [admin.Key(options) for options in p["keys"]]
    else:
        if actual.needs_setup:
            authentication.claim(client, secret_files.find_token(p["setup_token"], p["setup_log"]))
        authentication.login(client, actual.auth)
        keys = admin.look_at_keys(client, p["keys"])
        admin.read(client, actual, p["users"], keys)
    users = admin.look_at_users(p["users"])
    plan = admin.plan_of(p["username"], actual, users, keys, client.endpoint)
    if not client.session.check_mode:
        admin.apply(client, actual, plan)
    return {
        **plan.result(),
        "version": None if predicted else client.version,
        **_facts(client, actual, keys),
        "claimed": not predicted,
        "needs_setup": predicted,
    }


def _unmanaged(
    client: Client,
    actual: authentication.Accounts,
    keys: list[admin.Key],
    users: t.Sequence[dict[str, t.Any]],
    warn: t.Callable[[str], None],
) -> dict[str, t.Any]:
    """A server whose users and keys are not the API's business."""
    problems = admin.unmanaged(actual.auth, users, keys)
    if problems and actual.auth == authentication.LEGACY:
        raise ModelopsError(f"{client.endpoint} is older than 3.0: " + "; ".join(problems))
    for problem in problems:
        warn(f"{client.endpoint}: {problem}")
    return {
        "changed": False,
        "plan": [],
        "version": client.version,
        **_facts(client, actual, keys),
        "claimed": actual.auth == authentication.LEGACY,
        "needs_setup": False,
    }


def _facts(client: Client, actual: authentication.Accounts, keys: list[admin.Key]) -> dict[str, t.Any]:
    rows = [{"name": key.name, "path": key.path, "state": key.options["state"]} for key in keys]
    return {"auth": actual.auth, "client_keys": rows, "requests": dict(client.session.counts)}
