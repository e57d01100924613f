# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may use a server: the claim, users, client keys. Private to the collection.

``desired`` and ``plan`` are pure. A key's text is read only where a file has to receive it, and never returned.
"""

from __future__ import annotations

import os
import secrets
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, Refused
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Change, Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import (
    AUTH_PATH,
    KEYS,
    RESET_HINT,
    USERS,
    Client,
)

NO_AUTH, LEGACY, DATABASE = "none", "legacy", "database"
_KEY_FILE_MODE = 0o600


@dataclass
class Key:
    """One declared key and what is known of it.

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
        """Whether nothing has to be asked about it."""
        return self.present and self.works is True and self.mode_ok and (self.in_file or not self.path)


@dataclass
class Accounts:
    """What the server has.

    :param auth: none, legacy (the file of ``--auth-config``, before 3.0) or database.
    :param users: by name; empty where none were asked for.
    :param keys: by name; empty where every declared key is settled.
    """

    auth: str
    needs_setup: bool = False
    password_min_length: int = 0
    users: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, t.Any]] = field(default_factory=dict)


def desired(users: t.Sequence[dict[str, t.Any]], keys: t.Sequence[dict[str, t.Any]], username: str) -> None:
    """Refuses what cannot be meant. Pure.

    :raises ModelopsError: naming every problem.
    """
    problems = []
    for what, rows in (("users", users), ("keys", keys)):
        names = [row["name"] for row in rows]
        problems += [
            f"{what}: {name!r} is declared more than once" for name in sorted(set(names)) if names.count(name) > 1
        ]
    problems += [
        f"users: {username!r} is who this module logs in as: it does not remove itself"
        for user in users
        if user["name"] == username and user["state"] == "absent"
    ]
    problems += [
        f"keys: {key['name']!r} has neither path nor key: nobody could ever use it"
        for key in keys
        if key["state"] == "present" and not (key["path"] or key["key"])
    ]
    if problems:
        raise ModelopsError("\n".join(problems))


def look_at_users(client: Client, declared: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The declared users with the passwords that their files hold; ``made`` says that there is no file yet."""
    found = []
    for user in declared:
        user = dict(user, made=False)
        if user["password_path"] and user["state"] == "present":
            text, _mode = _read("users", user["password_path"])
            user.update(password=text or secrets.token_urlsafe(24), made=not text)
        client.session.hide(user["password"])
        found.append(user)
    return found


# -- the claim -----------------------------------------------------------------------------------------------------


def authentication(client: Client, answer: Answer) -> Accounts:
    """How the server tells its users apart, and whether somebody has claimed it.

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
            + ("It is the one given or found." if token else "None was given (setup_token) or found (setup_log).")
            + " The newest 'Setup token:' line of the server's log has it; a restart of the server prints it again."
        )
    if answer.status == 403:
        raise ModelopsError(f"{client.endpoint} was claimed by someone else meanwhile: {answer.detail} {RESET_HINT}")
    raise ModelopsError(f"{client.endpoint} refused the new administrator: {answer.detail}")


def for_rotation(client: Client, timeout: float, what: str) -> Accounts:
    """How the server, which must answer, tells its users apart, where a secret can be replaced while clients use it.

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
            f"{client.endpoint} is of before 3.0 and reads its {what}s at its start, so none can be replaced while clients use it. "
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
        f"{client.endpoint} does not take the password of {client.username!r} ({answer.status}: {answer.detail}), "
        f"which was tried once and not again. {why}"
    )


def find_token(given: str | None, path: str | None) -> str | None:
    return given or (log.setup_token(path) if path else None)


# -- keys: what is known of them ---------------------------------------------------------------------------------------


def look_at_keys(client: Client, declared: t.Sequence[dict[str, t.Any]]) -> list[Key]:
    """The declared keys with what their files hold; every key that is there is tried once."""
    return [_look(client, options) for options in declared]


def _look(client: Client, options: dict[str, t.Any]) -> Key:
    key = Key(options, value=options["key"])
    if key.path:
        text, mode = _read("keys", key.path)
        key.exists = text is not None
        key.mode_ok = not key.exists or mode == _KEY_FILE_MODE
        key.value = key.value or text
        key.in_file = key.exists and text == key.value
    client.session.hide(key.value)
    if key.present and key.value:
        key.works = works(client, key.value)
    return key


def works(client: Client, value: str) -> bool:
    """Whether the server lists its models for this key. A key that fails is not tried again: failures are counted."""
    answer = client.session.get("/v1/models", headers={"Authorization": f"Bearer {value}"}, expect=(200, 401, 403))
    return answer.status == 200


def _read(what: str, path: str) -> tuple[str | None, int]:
    """Text and mode of a file that holds a secret; None where there is none.

    Its directory may be the service's, whose user could have another file of root's sent to the server by a link to it.
    """
    try:
        with Directory.at(os.path.dirname(path)) as directory:
            owner = directory.owner[0]
            # Another user could have moved a file of root's here, or linked it.
            owners = (0, os.geteuid(), owner) if directory.safe else (owner,)
            with directory.open(os.path.basename(path), owners) as file:
                text = _secrets.decoded(file.read(), f"{what}: {path}").strip()
                return text, stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except FileNotFoundError:
        return None, 0
    except Refused as exc:
        raise ModelopsError(
            f"{what}: {path} is not read: {exc.strerror}. It must be a regular file of its directory's owner. Remove it, "
            "or give it to that user."
        ) from exc
    except OSError as exc:
        raise ModelopsError(f"{what}: {path} cannot be read ({exc.strerror})") from exc


def read_secret(what: str, path: str) -> str | None:
    """The secret that a file holds; None where there is none."""
    return _read(what, path)[0]


def read(client: Client, actual: Accounts, users: t.Sequence[dict[str, t.Any]], keys: t.Sequence[Key]) -> None:
    """Reads users and keys, each only where something is declared about them that is not settled."""
    unsettled = [key for key in keys if not key.settled]
    if users or any(key.options["owner"] for key in unsettled):
        actual.users = {row["username"]: row for row in client.get(USERS).json}
    if unsettled:
        actual.keys = {row["name"]: row for row in client.get(KEYS).json}


# -- plan --------------------------------------------------------------------------------------------------------------


def plan_of(
    username: str, actual: Accounts, users: t.Sequence[dict[str, t.Any]], keys: t.Sequence[Key], where: str
) -> Plan:
    """What has to be done, in the order in which it is done. Pure.

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
            raise ModelopsError(f"users: {user['name']!r} does not exist yet, and needs password to be made")
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
            f"keys: {key.name!r}: {where} does not take the key that was given. Its text cannot be chosen on a running "
            "server: leave out key (of the roles xinference_client_key) to keep the server's. To replace that while clients use it: "
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
        why = "it is readable again by its name" if key.works is None else "what the file held is no longer valid"
        plan.add(
            "add", "write", f"file {key.path}", [_secret()], why=f"key {key.name}: {why}", data=("reveal", (key, row))
        )
    else:
        why = "" if key.works is None else "the server no longer knows it"
        plan.add("add", "create", f"key {key.name}", [Field("path", None, key.path)], why=why, data=("create_key", key))


def _secret() -> Field:
    return Field("content", None, "key", secret=True)


# -- apply -------------------------------------------------------------------------------------------------------------


def apply(client: Client, actual: Accounts, plan: Plan) -> None:
    """Does what the plan says; the claim has been made before.

    :raises ModelopsError: with `changed`, where something had been done before.
    """
    plan.apply(lambda change: _apply(client, actual, change))


def _apply(client: Client, actual: Accounts, change: Change) -> None:
    if change.data is None:  # the claim
        return
    verb, what = change.data
    if verb == "create_user":
        body = {"username": what["name"], "password": what["password"], "permissions": what["permissions"] or []}
        client.session.hide(what["password"])
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
    client.session.hide(key.value)
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
            f"keys: {key.name!r} exists on {client.endpoint}, which cannot show it again: it was made with another "
            "encryption key (XINFERENCE_AUTH_ENCRYPTION_KEY). Give its text as key, or remove it (state: absent) and have a "
            "new one made"
        )
    key.value = value
    if not works(client, key.value):
        ends = f", expires {row['expires_at']}" if row.get("expires_at") else ""
        raise ModelopsError(
            f"keys: {key.name!r} exists on {client.endpoint} but does not work (enabled: {row.get('enabled')}{ends}). "
            "Remove it (state: absent) and have a new one made"
        )
    write("keys", key.options["path"], value)


def revealed(client: Client, row: t.Mapping[str, t.Any]) -> str | None:
    """The text of a key; None where the server cannot show it again."""
    answer = client.get(f"{KEYS}/{row['id']}/reveal", expect=(200, 404), what=f"read key {row['name']!r}")
    if answer.status == 404:
        return None
    client.session.hide(answer.json["key"])
    return str(answer.json["key"])


def write(what: str, path: str, value: str) -> None:
    """Replaces a file in one step; readable by its owner only from the first byte on.

    It keeps its owner. A new one of root belongs to whoever owns the directory.
    """
    try:
        with Directory.at(os.path.dirname(path)) as directory:
            name = os.path.basename(path)
            about = directory.stat(name)
            owner = (about.st_uid, about.st_gid) if about else directory.owner
            directory.write(name, value + "\n", _KEY_FILE_MODE, owner)
    except OSError as exc:
        raise ModelopsError(f"{what}: {path} cannot be written ({exc.strerror})") from exc


# -- servers that cannot be managed --------------------------------------------------------------------------------


def unmanaged(auth: str, users: t.Sequence[dict[str, t.Any]], keys: t.Sequence[Key]) -> list[str]:
    """Why users or keys that were asked for cannot be managed; empty where nothing was asked for. Pure."""
    if auth == NO_AUTH:
        if users or keys:
            return ["the server has no authentication: it needs no users and no keys, and none were made"]
        return []
    problems = []
    if users:
        problems.append("its users are in the file of --auth-config and cannot be managed over the API")
    unknown = [key.name for key in keys if not key.settled]
    if unknown:
        problems.append(
            f"its keys are in the file of --auth-config; of those declared, {', '.join(unknown)} cannot be made or do not work"
        )
    return problems
