# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replaces a client key while clients use it: the new one beside the old one, then the old one goes. Private to the collection.

``begin`` and ``finish`` are pure, and decide by what the server and the file have: a run that broke off goes on there.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.access import KEYS
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import admin, secret_files


@dataclass
class KeyState:
    """The present state of the key.

    :param where: the server's address.  :param name: of the key.  :param path: of the file that holds it.
    :param current: the server's row of the key, None without one.
    :param next: that of the key that replaces it.
    :param text: of ``next``; None where the server cannot show it.
    :param in_file: what the file holds, None without one.
    """

    where: str
    name: str
    path: str
    current: dict[str, t.Any] | None
    next: dict[str, t.Any] | None
    text: str | None = field(default=None, repr=False)
    in_file: str | None = field(default=None, repr=False)

    @property
    def begun(self) -> bool:
        """Whether the file holds the new key already."""
        return self.next is not None and self.in_file is not None and _is(self.next, self.text, self.in_file)


def next_name(name: str) -> str:
    return f"{name}-next"


def _is(row: dict[str, t.Any], text: str | None, value: str) -> bool:
    """Whether a value is the key of a row; where the server does not show that, its first characters decide."""
    return value == text if text is not None else value.startswith(row["key_prefix"])


def begin(found: KeyState) -> Plan:
    """The steps until both keys work and the file has the new one. Pure.

    :raises ModelopsError: what is there is not what this collection makes.
    """
    plan = Plan(f"keys of {found.where}")
    write = [Field("content", "key", "key", secret=True)]
    if found.begun:
        return plan
    if found.next is not None:
        if found.text is None:
            raise ModelopsError(
                f"{found.where} has a key {found.next['name']!r} that it cannot show again, and {found.path} has another one. "
                "Remove that key in Xinference's web interface once no client uses it, and run this again."
            )
        plan.add("change", "write", f"file {found.path}", write, "the rotation continues", data="write")
        return plan
    if found.current is None:
        raise ModelopsError(f"{found.where} has no key {found.name!r} to rotate. Run site.yml, which creates it.")
    if found.in_file is not None and not found.in_file.startswith(found.current["key_prefix"]):
        raise ModelopsError(
            f"{found.path} has another key than {found.name!r} of {found.where}, so the key that clients use is unknown. "
            "Remove the file and run site.yml, which writes the server's key to it."
        )
    plan.add("add", "create", f"key {next_name(found.name)}", data="create")
    plan.add("change", "write", f"file {found.path}", write, data="write")
    return plan


def finish(found: KeyState) -> Plan:
    """The steps until only the new key works, under the name of the old one. Pure.

    :raises ModelopsError: the file does not hold the new key yet.
    """
    plan = Plan(f"keys of {found.where}")
    if found.next is None:
        return plan
    if not found.begun:
        raise ModelopsError(
            f"{found.path} does not have the key {found.next['name']!r}, so {found.name!r} is not revoked."
        )
    if found.current is not None:
        plan.add("remove", "revoke", f"key {found.name}", data="revoke")
    plan.add(
        "change", "rename", f"key {found.next['name']}", [Field("name", found.next["name"], found.name)], data="rename"
    )
    return plan


def look(client: Client, name: str, path: str) -> KeyState:
    """Reads both keys and the file."""
    rows = {row["name"]: row for row in client.get(KEYS).json}
    in_file = secret_files.read_secret("key", path)
    _secrets.hide(in_file)
    found = KeyState(client.endpoint, name, path, rows.get(name), rows.get(next_name(name)), in_file=in_file)
    if found.next is not None:
        found.text = admin.revealed(client, found.next)
    return found


def apply(client: Client, found: KeyState, plan: Plan) -> None:
    """Applies a plan.

    :raises ModelopsError: with ``changed``, where something had been done before.
    """
    plan.apply(lambda change: _APPLY[change.data](client, found))


def _create(client: Client, found: KeyState) -> None:
    """Creates the new key with the permissions and the user of the old one."""
    old = found.current or {}
    kinds = ("permission_type", "permission_value")
    body = {
        "name": next_name(found.name),
        "description": old.get("description"),
        "owner": old.get("user_id"),
        "model_permissions": [{kind: row.get(kind) for kind in kinds} for row in old.get("model_permissions") or ()],
    }
    made = client.post(KEYS, json=body, expect=(201,), what=f"create key {body['name']!r}").json
    _secrets.hide(made["key"])
    found.text = made["key"]
    found.next = {row["name"]: row for row in client.get(KEYS).json}[made["name"]]


def _write(client: Client, found: KeyState) -> None:
    """The file gets the new key only where the server takes it: clients read it from there."""
    if not admin.works(client, str(found.text)):
        raise ModelopsError(
            f"{found.where} does not accept its new key {next_name(found.name)!r}, so {found.name!r} stays valid. Remove the new one in "
            "Xinference's web interface, and run this again."
        )
    secret_files.write("key", found.path, str(found.text))
    found.in_file = found.text


def _revoke(client: Client, found: KeyState) -> None:
    row = t.cast("dict[str, t.Any]", found.current)
    # Once more just before: without it clients would be left without a key.
    if not admin.works(client, str(found.in_file)):
        raise ModelopsError(f"{found.where} does not accept the key in {found.path}, so {found.name!r} is not revoked.")
    client.request("DELETE", f"{KEYS}/{row['id']}", what=f"revoke key {found.name!r}")
    found.current = None


def _rename(client: Client, found: KeyState) -> None:
    row = t.cast("dict[str, t.Any]", found.next)
    client.request("PUT", f"{KEYS}/{row['id']}", json={"name": found.name}, what=f"rename key {row['name']!r}")
    found.current, found.next = {**row, "name": found.name}, None


_APPLY: dict[str, t.Callable[[Client, KeyState], None]] = {
    "create": _create,
    "write": _write,
    "revoke": _revoke,
    "rename": _rename,
}
