# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access to a server: the claim, users, client keys. Private to the collection.

``desired`` and ``plan`` are pure. A key's text is read only where a file must receive it, and never returned.
"""

from __future__ import annotations

import os
import secrets
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Change, Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.access import KEYS, USERS
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users.authentication import (
    NO_AUTH,
    Accounts,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users.secret_files import (
    FILE_MODE,
    _read,
    write,
)


@dataclass
class Key:
    """One declared key and its state.

    :param value: its text, from the options or its file.
    :param works: whether the server takes the value; None where there is no value to try.
    :param exists: whether its file exists.
    :param in_file: whether the file holds the value.
    :param mode_ok: whether the file, where it exists, is readable by its owner only.
    """

    options: dict[str, t.Any]
    value: str | None = None
    works: bool | None = None
    exists: bool = False
    in_file: bool = False
    mode_ok: bool = True

    @property
    def name(self) -> str:
        return self.options["name"]

    @property
    def present(self) -> bool:
        return self.options["state"] == "present"

    @property
    def path(self) -> str | None:
        return self.options["path"]

    @property
    def settled(self) -> bool:
        """Whether it needs no request."""
        return self.present and self.works is True and self.mode_ok and (self.in_file or not self.path)


def desired(users: t.Sequence[dict[str, t.Any]], keys: t.Sequence[dict[str, t.Any]], username: str) -> None:
    """Refuses contradictory users and keys. Pure.

    :raises ModelopsError: naming every problem.
    """
    problems = []
    for what, rows in (("users", users), ("keys", keys)):
        names = [row["name"] for row in rows]
        problems += [
            f"{what}: {name!r} is declared more than once" for name in sorted(set(names)) if names.count(name) > 1
        ]
    problems += [
        f"users: {username!r} is the user of this module, which does not remove itself"
        for user in users
        if user["name"] == username and user["state"] == "absent"
    ]
    problems += [
        f"keys: {key['name']!r} has neither path nor key, so nobody could use it"
        for key in keys
        if key["state"] == "present" and not (key["path"] or key["key"])
    ]
    if problems:
        raise ModelopsError("\n".join(problems))


def look_at_users(declared: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The declared users with the passwords that their files hold; ``made`` says that there is no file yet."""
    found = []
    for user in declared:
        user = dict(user, made=False)
        if user["password_path"] and user["state"] == "present":
            text, _mode = _read("users", user["password_path"])
            user.update(password=text or secrets.token_urlsafe(24), made=not text)
        _secrets.hide(user["password"])
        found.append(user)
    return found


def look_at_keys(client: Client, declared: t.Sequence[dict[str, t.Any]]) -> list[Key]:
    """The declared keys with the content of their files; every present key is tried once."""
    return [_look(client, options) for options in declared]


def _look(client: Client, options: dict[str, t.Any]) -> Key:
    key = Key(options, value=options["key"])
    if key.path:
        text, mode = _read("keys", key.path)
        key.exists = text is not None
        key.mode_ok = not key.exists or mode == FILE_MODE
        key.value = key.value or text
        key.in_file = key.exists and text == key.value
    _secrets.hide(key.value)
    if key.present and key.value:
        key.works = works(client, key.value)
    return key


def works(client: Client, value: str) -> bool:
    """Whether the server lists its models for this key. A key that fails is not tried again: failures are counted."""
    answer = client.session.get("/v1/models", headers={"Authorization": f"Bearer {value}"}, expect=(200, 401, 403))
    return answer.status == 200


def read(client: Client, actual: Accounts, users: t.Sequence[dict[str, t.Any]], keys: t.Sequence[Key]) -> None:
    """Reads users and keys, each only where something is declared about them that is not settled."""
    unsettled = [key for key in keys if not key.settled]
    if users or any(key.options["owner"] for key in unsettled):
        actual.users = {row["username"]: row for row in client.get(USERS).json}
    if unsettled:
        actual.keys = {row["name"]: row for row in client.get(KEYS).json}


def plan_of(
    username: str, actual: Accounts, users: t.Sequence[dict[str, t.Any]], keys: t.Sequence[Key], where: str
) -> Plan:
    """The required changes, in order. Pure.

    :param where: the server's address.
    """
    plan = Plan(f"users and keys of {where}")
    if actual.needs_setup:
        plan.add("add", "claim", f"administrator {username}")
    for user in users:
        _plan_user(plan, actual.users.get(user["name"]), user)
    for key in keys:
        _plan_key(plan, actual, key, where)
    return plan


def _plan_user(plan: Plan, row: dict[str, t.Any] | None, user: dict[str, t.Any]) -> None:
    name, wanted = f"user {user['name']}", user["permissions"]
    if user["state"] == "absent":
        if row:
            plan.add("remove", "delete", name, data=("delete_user", row))
    elif row is None:
        if not user["password"]:
            raise ModelopsError(f"users: {user['name']!r} does not exist yet, and needs a password to be created")
        plan.add("add", "create", name, [Field("permissions", None, sorted(wanted or []))], data=("create_user", user))
    elif wanted is not None and set(wanted) != set(row["permissions"]):
        fields = [Field("permissions", sorted(row["permissions"]), sorted(wanted))]
        plan.add("change", "change", name, fields, data=("change_user", {**row, "permissions": sorted(wanted)}))
    if user["state"] == "present" and user["made"]:
        # The file comes last: where it is missing, the next run makes another password.
        if row:
            fields = [Field("password", None, "new", secret=True)]
            plan.add("change", "change", name, fields, data=("change_password", {**row, "password": user["password"]}))
        plan.add("add", "write", f"file {user['password_path']}", [_secret()], data=("write_password", user))


def _plan_key(plan: Plan, actual: Accounts, key: Key, where: str) -> None:
    row = actual.keys.get(key.name)
    if not key.present:
        if row:
            plan.add("remove", "delete", f"key {key.name}", data=("delete_key", row))
        if key.exists:
            plan.add("remove", "delete", f"file {key.path}", data=("delete_file", key))
        return
    if key.options["key"] and not key.works:
        raise ModelopsError(
            f"keys: {key.name!r}: {where} does not accept the given key. The text of a key cannot be chosen on a running "
            "server: remove key (in the roles xinference_client_key) to keep the server's. To replace the key while clients use it: "
            "ansible-playbook modelops.inference.rotate -e rotate=client_key"
        )
    if key.works:
        if key.path and not key.in_file:
            plan.add("add", "write", f"file {key.path}", [_secret()], why=f"key {key.name}", data=("write_known", key))
        elif not key.mode_ok:
            plan.add(
                "change", "change", f"file {key.path}", [Field("mode", "other", "0600")], data=("write_known", key)
            )
    elif row is not None:
        why = "it is readable again by its name" if key.works is None else "the key in the file is no longer valid"
        plan.add(
            "add", "write", f"file {key.path}", [_secret()], why=f"key {key.name}: {why}", data=("reveal", (key, row))
        )
    else:
        why = "" if key.works is None else "the server no longer knows it"
        plan.add("add", "create", f"key {key.name}", [Field("path", None, key.path)], why=why, data=("create_key", key))


def _secret() -> Field:
    return Field("content", None, "key", secret=True)


def apply(client: Client, actual: Accounts, plan: Plan) -> None:
    """Applies the plan; the server is claimed before.

    :raises ModelopsError: with `changed`, where something had been done before.
    """
    plan.apply(lambda change: _apply(client, actual, change))


def _apply(client: Client, actual: Accounts, change: Change) -> None:
    if change.data is None:  # the claim
        return
    verb, what = change.data
    if verb == "create_user":
        body = {"username": what["name"], "password": what["password"], "permissions": what["permissions"] or []}
        _secrets.hide(what["password"])
        row = client.post(USERS, json=body, expect=(201,), what=f"create {change.name}").json
        actual.users[what["name"]] = row
    elif verb == "change_user":
        body = {"permissions": what["permissions"]}
        client.request("PUT", f"{USERS}/{what['id']}", json=body, what=f"change {change.name}")
    elif verb == "change_password":
        path, body = f"{USERS}/{what['id']}/password", {"new_password": what["password"]}
        client.request("PUT", path, json=body, what=f"change the password of {change.name}")
    elif verb == "write_password":
        write("users", what["password_path"], what["password"])
    elif verb == "delete_user":
        client.request("DELETE", f"{USERS}/{what['id']}", what=f"delete {change.name}")
    elif verb == "create_key":
        _create_key(client, actual, what)
    elif verb == "reveal":
        _reveal(client, *what)
    elif verb == "delete_key":
        client.request("DELETE", f"{KEYS}/{what['id']}", what=f"delete {change.name}")
    elif verb == "delete_file":
        with Directory.at(os.path.dirname(what.path)) as directory:
            directory.unlink(os.path.basename(what.path))
    elif verb == "write_known":
        write("keys", what.path, what.value)


def _create_key(client: Client, actual: Accounts, key: Key) -> None:
    body = {"name": key.name, "description": key.options["description"]}
    if key.options["owner"]:
        owner = actual.users.get(key.options["owner"])
        if owner is None:
            raise ModelopsError(f"keys: {key.name!r}: there is no user {key.options['owner']!r} to own it")
        body["owner"] = owner["id"]
    answer = client.post(KEYS, json=body, expect=(201,), what=f"create key {key.name!r}")
    key.value = answer.json["key"]
    _secrets.hide(key.value)
    try:
        write("keys", key.options["path"], answer.json["key"])
    except ModelopsError:
        # A key that nobody has would be in the way of the next run.
        client.request("DELETE", f"{KEYS}/{answer.json['id']}")
        raise


def _reveal(client: Client, key: Key, row: dict[str, t.Any]) -> None:
    value = revealed(client, row)
    if value is None:
        raise ModelopsError(
            f"keys: {key.name!r} exists on {client.endpoint}, which cannot show it again: it was created with another "
            "encryption key (XINFERENCE_AUTH_ENCRYPTION_KEY). Give its text as key, or remove it (state: absent) and let a "
            "new one be created"
        )
    key.value = value
    if not works(client, key.value):
        ends = f", expires {row['expires_at']}" if row.get("expires_at") else ""
        raise ModelopsError(
            f"keys: {key.name!r} exists on {client.endpoint} but does not work (enabled: {row.get('enabled')}{ends}). "
            "Remove it (state: absent) and let a new one be created"
        )
    write("keys", key.options["path"], value)


def revealed(client: Client, row: t.Mapping[str, t.Any]) -> str | None:
    """The text of a key; None where the server cannot show it again."""
    answer = client.get(f"{KEYS}/{row['id']}/reveal", expect=(200, 404), what=f"read key {row['name']!r}")
    if answer.status == 404:
        return None
    _secrets.hide(answer.json["key"])
    return str(answer.json["key"])


def unmanaged(auth: str, users: t.Sequence[dict[str, t.Any]], keys: t.Sequence[Key]) -> list[str]:
    """Why users or keys that were asked for cannot be managed; empty where nothing was asked for. Pure."""
    if auth == NO_AUTH:
        if users or keys:
            return ["the server has no authentication, so no users and keys were created"]
        return []
    problems = []
    if users:
        problems.append("its users are in the file of --auth-config and cannot be managed over the API")
    unknown = [key.name for key in keys if not key.settled]
    if unknown:
        problems.append(
            f"its keys are in the file of --auth-config; of the declared keys, {', '.join(unknown)} cannot be created or do not work"
        )
    return problems
