# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replaces the password of a user, who has one at a time: kept in a file beside the old one's, changed, proved, and then put in its place.

``plan_of`` is pure, and decides by what the server takes and what the files hold: a run that broke off goes on there. Private to the
collection.
"""

from __future__ import annotations

import os
import secrets
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, examine
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.access import NEXT, RESET_HINT, USERS
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import secret_files

# Characters of a password that is made, at least.
_LENGTH = 32


@dataclass
class PasswordState:
    """State of a password on host and server.

    :param where: the server's address.  :param user: whose password it is.  :param path: of the file that holds it.
    :param given: whether somebody gave the new one, who keeps it, too.
    :param works: whether the server takes the new one already.
    :param noted: whether there is a file with the password of a rotation that broke off.
    :param new: the new one.  :param in_file: what the file holds, None without one.
    :param login: of the administrator, where it is their own password that is replaced.
    """

    where: str
    user: str
    path: str
    given: bool
    works: bool
    noted: bool
    new: str = field(repr=False)
    in_file: str | None = field(default=None, repr=False)
    login: str | None = field(default=None, repr=False)

    @property
    def next_path(self) -> str:
        return self.path + NEXT


def plan_of(found: PasswordState) -> Plan:
    """Steps until server and file have the new password. Pure."""
    plan = Plan(f"password of {found.user} on {found.where}")
    content = [Field("content", "password", "password", secret=True)]
    note = not (found.given or found.noted)
    if note:
        plan.add("add", "write", f"file {found.next_path}", content, data="note")
    if not found.works:
        password = [Field("password", "old", "new", secret=True)]
        plan.add("change", "change", f"user {found.user}", password, data="change")
    if found.in_file is None and not found.given:
        plan.add("add", "write", f"file {found.path}", content, data="write")
    elif found.in_file not in (None, found.new):
        why = "the rotation continues" if found.works else ""
        plan.add("change", "write", f"file {found.path}", content, why, data="write")
    if note or found.noted:
        plan.add("remove", "delete", f"file {found.next_path}", data="forget")
    return plan


def own(client: Client, old: str | None, path: str, given: str | None, min_length: int) -> PasswordState:
    """Logs in with the administrator's password that the server accepts, and returns the state.

    :param old: the one that may be in force, where somebody gave it.  :param given: the new one; None has one made.
    :raises ModelopsError: it takes none of them, each of which was tried once.
    """
    in_file, noted = _held(path)
    _secrets.hide(old, given)
    login = _login(client, [each for each in (old, in_file, noted, given) if each], path)
    new = given or noted or _made(min_length)
    _secrets.hide(new)
    return PasswordState(
        client.endpoint, client.username, path, bool(given), login == new, noted is not None, new, in_file, login
    )


def of_user(client: Client, user: str, path: str, given: str | None, min_length: int) -> PasswordState:
    """The same of another user, for an administrator who has logged in."""
    in_file, noted = _held(path)
    _row(client, user)
    new = given or noted or _made(min_length)
    _secrets.hide(new)
    # One that was just made, nobody can have set.
    works = bool(given or noted) and client.accepts(user, new)
    return PasswordState(client.endpoint, user, path, bool(given), works, noted is not None, new, in_file)


def _held(path: str) -> tuple[str | None, str | None]:
    """Contents of the file and of the one beside it. One that is empty holds nothing."""
    held = [secret_files.read_secret("password", each) or None for each in (path, path + NEXT)]
    _secrets.hide(*held)
    return held[0], held[1]


def _made(min_length: int) -> str:
    return secrets.token_urlsafe(max(_LENGTH, min_length))


def _login(client: Client, passwords: t.Sequence[str], path: str) -> str:
    for password in dict.fromkeys(passwords):
        client.use_password(password)
        answer = client.take_token()
        if answer.status == 200:
            return password
        if answer.status != 401:
            raise ModelopsError(
                f"{client.endpoint} answered the login of {client.username!r} with {answer.status}: {answer.detail}. Nothing was changed. "
                "After a ban, run this again in an hour."
            )
    tried = "None is known" if not passwords else f"All known passwords were tried once each ({len(set(passwords))})"
    raise ModelopsError(
        f"{client.endpoint} accepts no known password of {client.username!r}. {tried}: the one in {path}, the given old one and the "
        "new one. Give the current one as password (in the playbook -e rotate_old_admin_password, from Vault), and run this "
        f"again. Nothing was changed. {RESET_HINT}"
    )


def _row(client: Client, user: str) -> dict[str, t.Any]:
    """The server's row of a user who logs in with a password."""
    for row in client.get(USERS).json:
        if row["username"] == user and row.get("source", "local") == "local":
            return t.cast("dict[str, t.Any]", row)
    raise ModelopsError(
        f"{client.endpoint} has no user {user!r} with a password. Run site.yml, which creates the users of this collection."
    )


def since(found: PasswordState) -> str:
    """When the file that holds the password was written, in UTC; "" without one."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(examine(found.path).st_mtime))
    except OSError:
        return ""


def apply(client: Client, found: PasswordState, plan: Plan) -> None:
    """Applies a plan.

    :raises ModelopsError: with ``changed``, where something had been done before.
    """
    plan.apply(lambda change: _APPLY[change.data](client, found))


def _note(_client: Client, found: PasswordState) -> None:
    """Before the server has it: otherwise, of a run that is killed right after the change, nobody would know the password."""
    secret_files.write("password", found.next_path, found.new)


def _change(client: Client, found: PasswordState) -> None:
    body = {"new_password": found.new, **({"current_password": found.login} if found.login is not None else {})}
    path = f"{USERS}/{_row(client, found.user)['id']}/password"
    client.request("PUT", path, json=body, what=f"change the password of {found.user!r}")
    # With the old password, the tokens of this user have ended, too.
    if found.login is not None:
        client.use_password(found.new)
        works = client.take_token().status == 200
    else:
        works = client.accepts(found.user, found.new)
    if not works:
        raise ModelopsError(
            f"{found.where} reported a changed password of {found.user!r}, but does not accept the new one. {found.path} is "
            f"unchanged. Run this again to continue. {RESET_HINT}"
        )


def _write(_client: Client, found: PasswordState) -> None:
    secret_files.write("password", found.path, found.new)


def _forget(_client: Client, found: PasswordState) -> None:
    try:
        with Directory.at(os.path.dirname(found.path)) as directory:
            directory.unlink(os.path.basename(found.next_path))
    except OSError as exc:
        raise ModelopsError(f"password: {found.next_path} cannot be removed ({exc.strerror})") from exc


_APPLY: dict[str, t.Callable[[Client, PasswordState], None]] = {
    "note": _note,
    "change": _change,
    "write": _write,
    "forget": _forget,
}
