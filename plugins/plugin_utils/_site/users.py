# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Validation of users; messages never contain secrets. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.kinds import Unknown, known
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

# The server's own bound since 3.0.
LEAST_PASSWORD = 8
# The scopes of 4.1, and the names of before 2.x that it still takes. It takes any other word, and nobody is allowed anything by it.
PERMISSIONS = (
    *(
        "admin",
        "models:list",
        "models:read",
        "models:write",
        "models:register",
        "keys:create",
        "keys:manage",
        "users:manage",
    ),
    *(
        "cache:list",
        "cache:delete",
        "virtualenv:list",
        "virtualenv:delete",
        "logs:list",
        "monitor:view",
        "settings:read",
    ),
    *("settings:write", "routers:list", "routers:read", "routers:write", "routers:operate"),
    *("models:start", "models:stop", "models:add", "models:unregister"),
)
# Users that the role makes beside the administrator.
_OWN = ("client", "reconciler")


def refusals(settings: Settings, listed: bool = True) -> Refusals:
    """
    :param listed: whether the variable ``xinference_users`` is judged, too.
    """
    name, password = settings.get("xinference_admin_user"), settings.get("xinference_admin_password")
    if isinstance(name, str) and not re.fullmatch(r"\S+", name):
        yield f"xinference_admin_user must be a name without spaces (it is {name!r})."
    if password and len(password) < LEAST_PASSWORD:
        yield f"xinference_admin_password must have at least {LEAST_PASSWORD} characters."
    key, database = settings.get("xinference_client_key"), settings.authentication == "database"
    if key and not re.fullmatch(rf"sk-[a-zA-Z0-9]{{{'13,' if database else '13'}}}", key):
        yield f"xinference_client_key must be 'sk-' and {'at least 13' if database else 'exactly 13'} letters or digits."
    if listed:
        yield from _users(settings)


def _users(settings: Settings) -> Refusals:
    users = [user for user in settings.get("xinference_users") or () if isinstance(user, dict)]
    names = [user.get("name") for user in users]
    for name in dict.fromkeys(name for name in names if isinstance(name, str)):
        if names.count(name) > 1:
            yield f"xinference_users has {name} {names.count(name)} times. Keep one."
        if name in (settings.get("xinference_admin_user"), *_OWN):
            yield f"xinference_users has {name}, a user that the role creates. Choose another name."
        elif not re.fullmatch(r"\S+", name):
            yield f"xinference_users has {name!r}; a user name must have no spaces."
    for user in users:
        if isinstance(user.get("name"), str) and user.get("state") != "absent":
            yield from _user(f"xinference_users, {user['name']}", user)


def _user(where: str, user: t.Mapping[str, t.Any]) -> Refusals:
    password, permissions = user.get("password"), user.get("permissions") or []
    if not isinstance(password, Unknown):
        if not password:
            yield f"{where}: password is missing, but the server needs it to create the user. Give one from Vault."
        elif len(str(password)) < LEAST_PASSWORD:
            yield f"{where}: password must have at least {LEAST_PASSWORD} characters."
    for permission in permissions if known(permissions) and isinstance(permissions, list) else ():
        if permission not in PERMISSIONS:
            yield f"{where}: permissions has {permission!r}, which is unknown; there are {', '.join(PERMISSIONS[:-4])}."
