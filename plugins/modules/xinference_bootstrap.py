#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_bootstrap
short_description: Create the administrator of a server before its first start
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - In Xinference 3.0 and later, the first user who claims a new server becomes its administrator. This module creates the administrator
    before the first start, so that nobody can claim the server. It also creates a client key that can only list, describe and infer.
  - For Xinference before 3.0, the module writes the file for C(--auth-config).
  - The module generates undeclared secrets once and keeps them in files of mode 0600 on the host.
  - Run the module with the interpreter of the Xinference environment, while the server is stopped.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  home:
    description: Directory of Xinference's own data.
    type: path
    required: true
  secrets:
    description: Directory of the files C(admin_password) and C(client_key).
    type: path
    required: true
  auth_config:
    description: Path of the file for C(--auth-config), before 3.0. Leave it unset for 3.0 and later, which keep a database in O(home).
    type: path
  username:
    description: User name of the administrator.
    type: str
    default: admin
  password:
    description: Password of the administrator, at least 8 characters. If unset, the module generates one.
    type: str
  client_name:
    description: Name of the user that owns the client key.
    type: str
    default: client
  client_key:
    description:
      - Client key, which is C(sk-) followed by letters or digits (exactly 13 before 3.0, and at least 13 since 3.0). If unset, the module
        generates one.
    type: str
  reconciler_password:
    description:
      - Path of the file that receives the password of the user C(reconciler), which may launch, terminate and register, but not administer.
        The directory must exist. The file belongs to the owner of the directory. The option requires O(auth_config). The module can add the
        user to that file after the first start. For 3.0 and later, use M(modelops.inference.xinference_admin) to create users.
    type: path
  owner:
    description:
      - User that runs the server and owns the files that the module creates in O(home). The default is the user that runs the module.
    type: str
"""

EXAMPLES = r"""
- name: Create the administrator before the first start
  modelops.inference.xinference_bootstrap:
    home: /opt/xinference/home
    secrets: /opt/xinference/secrets
    owner: xinference
  vars:
    ansible_python_interpreter: /opt/xinference/current/bin/python
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["+ generate admin_password", "+ generate client_key", "+ create administrator admin"]
claimed:
  description: Whether the server's database already contained users. In that case nothing changed.
  returned: success
  type: bool
  sample: false
"""

import json
import os
import pwd
import re
import secrets
import string
import sys
import typing as t
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, make_directory, opened
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.service import auth_database
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, run, write_file
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan

RECONCILER = "reconciler"
ALPHABET = string.ascii_letters + string.digits
# Before 3.0 a key is exactly 16 characters long, or the server does not start; later ones take any length.
OLD_KEY = re.compile(r"sk-[a-zA-Z0-9]{13}")
KEY = re.compile(r"sk-[a-zA-Z0-9]{13,}")
CLIENT_SCOPES = ["models:list", "models:read"]
# The reconciler's permissions, in the words of 1.x and 2.x.
RECONCILER_SCOPES = [
    "models:list",
    "models:start",
    "models:stop",
    "models:write",
    "models:register",
    "models:unregister",
]

# Xinference's own migration of users into a database, called in its own process and as the server's own user: as a
# command it would take the encryption key from argv. get_auth_encryption_key() makes and keeps the key exactly as the
# server would. The migration names a key after its first letters; by a name of ours it can be found again.
# A new database comes to its place whole, so that one that is there is never half of one.
MIGRATE = """
import contextlib, json, os, sqlite3, sys, tempfile
from xinference.api.oauth2.advanced.migrate import migrate
from xinference.constants import XINFERENCE_AUTH_DB_PATH, get_auth_encryption_key
given = json.load(sys.stdin)
path = draft = XINFERENCE_AUTH_DB_PATH
os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
if not os.path.exists(path):
    draft = path + ".new"
    # What is left of a run that broke off, or beside a database that was moved away.
    for name in [draft, *(base + end for base in (draft, path) for end in ("-wal", "-shm", "-journal"))]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
with tempfile.NamedTemporaryFile("w", suffix=".json", dir=os.path.dirname(path)) as file:
    json.dump(given["users"], file)
    file.flush()
    migrate(file.name, draft, get_auth_encryption_key())
with contextlib.closing(sqlite3.connect(draft)) as database:
    database.execute("UPDATE api_keys SET name = ? WHERE name LIKE 'migrated-%'", (given["key_name"],))
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
os.replace(draft, path)
"""


def make_plan(
    p: t.Mapping[str, t.Any], users: int | None, auth_config: t.Mapping[str, t.Any] | None, kept: t.Mapping[str, str]
) -> Plan:
    """The users and keys to create. Pure.

    :param users: users in the server's database, None without one.  :param auth_config: the file, or None.
    :param kept: secrets kept on the host, by file name, and the reconciler's password.
    """
    plan = Plan("administrator")
    if p["auth_config"]:
        if auth_config is not None:
            if p["reconciler_password"] and not (RECONCILER in kept and _has_reconciler(auth_config)):
                plan.add("add", "create user", RECONCILER, data="reconciler")
            return plan
    elif users:
        return plan
    for name, given in (("admin_password", p["password"]), ("client_key", p["client_key"])):
        if not given and name not in kept:
            plan.add("add", "generate", name)
    plan.add("add", "create administrator", p["username"], data="users")
    return plan


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    if p["password"] is not None and len(p["password"]) < 8:
        raise ModelopsError("xinference_admin_password must have at least 8 characters")
    form, length = (OLD_KEY, "exactly 13") if p["auth_config"] else (KEY, "at least 13")
    if p["client_key"] is not None and not form.fullmatch(p["client_key"]):
        raise ModelopsError(
            f"xinference_client_key must be 'sk-' followed by {length} letters or digits for this release"
        )
    seen = _look(p)
    if seen.plan and not module.check_mode:
        make_directory(p["secrets"], 0o700, mend=True)
        # Another run may have made them since, and may still be at it.
        with uv_tools.one_at_a_time(p["secrets"]):
            seen = _look(p)
            _apply(p, seen)
    return dict(seen.plan.result(), claimed=bool(seen.users) or seen.known is not None)


@dataclass
class BootstrapState:
    """The state of the host, and the plan.

    :ivar users: in the server's database, None without one.  :ivar known: the file for --auth-config, None without one.
    :ivar kept: the secrets on the host, by file name.
    """

    users: int | None
    known: dict[str, t.Any] | None
    kept: dict[str, str]
    plan: Plan


def _look(p: t.Mapping[str, t.Any]) -> BootstrapState:
    known = _known(p["auth_config"]) if p["auth_config"] else None
    number = None if p["auth_config"] else auth_database.users(p["home"])
    names = ("admin_password", "client_key")
    kept = {name: value for name in names for value in [_secret(os.path.join(p["secrets"], name))] if value}
    if p["reconciler_password"] and read_file(p["reconciler_password"]) is not None:
        kept[RECONCILER] = ""
    return BootstrapState(number, known, kept, make_plan(p, number, known, kept))


def _secret(path: str) -> str | None:
    try:
        with opened(path) as file:
            return _secrets.decoded(file.read(), path)
    except OSError:
        return None


def _apply(p: t.Mapping[str, t.Any], seen: BootstrapState) -> None:
    if not seen.plan:
        return
    kept = dict(seen.kept)
    made = {"admin_password": _random(24), "client_key": f"sk-{_random(13 if p['auth_config'] else 32)}"}
    for change in seen.plan:
        if change.verb == "generate":
            write_file(os.path.join(p["secrets"], change.name), made[change.name] + "\n", 0o600)
            kept[change.name] = made[change.name]
    if seen.known is not None:
        others = [user for user in seen.known["user_config"] if user["username"] != RECONCILER]
        _create(p, {**seen.known, "user_config": [*others, _reconciler(p)]})
        return
    password = p["password"] or kept["admin_password"].strip()
    key = p["client_key"] or kept["client_key"].strip()
    if p["client_key"] and kept.get("client_key", "").strip() != key:
        write_file(os.path.join(p["secrets"], "client_key"), key + "\n", 0o600)
    _create(p, _users(p, password, key))


def _known(path: str) -> dict[str, t.Any] | None:
    """The file for --auth-config; None where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return {**found, "user_config": [{**user, "username": user["username"]} for user in found["user_config"]]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not a file of users that Xinference can read"
        raise ModelopsError(
            f"{path}, the server's file of users, cannot be read ({why}). Repair or remove it: after a removal the next run creates "
            "the administrator and the client key again from the stored secrets, and other users and keys are lost."
        ) from exc


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for i in range(length))


def _users(p: t.Mapping[str, t.Any], password: str, key: str) -> dict[str, t.Any]:
    """The users as Xinference's --auth-config file has them, which its migration reads too."""
    return {
        "auth_config": {"algorithm": "HS256", "secret_key": secrets.token_hex(32), "token_expire_in_minutes": 30},
        "user_config": [
            {"username": p["username"], "password": password, "permissions": ["admin"], "api_keys": []},
            # Nobody logs in as the client: its password is thrown away.
            {"username": p["client_name"], "password": _random(32), "permissions": CLIENT_SCOPES, "api_keys": [key]},
            *([_reconciler(p)] if p["auth_config"] and p["reconciler_password"] else []),
        ],
    }


def _has_reconciler(auth_config: t.Mapping[str, t.Any]) -> bool:
    return any(user["username"] == RECONCILER for user in auth_config.get("user_config", []))


def _reconciler(p: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The reconciler's user; its password goes to its file, which belongs to the directory's owner."""
    password = _random(24)
    with Directory.at(os.path.dirname(p["reconciler_password"])) as directory:
        directory.write(os.path.basename(p["reconciler_password"]), password + "\n", 0o600, directory.owner)
    return {"username": RECONCILER, "password": password, "permissions": RECONCILER_SCOPES, "api_keys": []}


def _create(p: t.Mapping[str, t.Any], users: t.Mapping[str, t.Any]) -> None:
    if p["auth_config"]:
        owner = pwd.getpwnam(p["owner"]) if p["owner"] else None
        make_directory(os.path.dirname(p["auth_config"]), mend=True)
        ids = (owner.pw_uid, owner.pw_gid) if owner else None
        write_file(p["auth_config"], json.dumps(users, indent=1) + "\n", 0o600, ids)
        return
    run(
        [sys.executable, "-c", MIGRATE],
        "Xinference's own migration did not create the administrator",
        # A variable of the operator's could name another database.
        clean=True,
        env={"XINFERENCE_HOME": p["home"], "HOME": p["home"], "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=json.dumps({"users": users, "key_name": p["client_name"]}),
        timeout=300,
        umask=0o077,
        user=p["owner"],
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            home=dict(type="path", required=True),
            secrets=dict(type="path", required=True, no_log=False),
            auth_config=dict(type="path"),
            username=dict(type="str", default="admin"),
            password=dict(type="str", no_log=True),
            client_name=dict(type="str", default="client"),
            client_key=dict(type="str", no_log=True),
            reconciler_password=dict(type="path", no_log=False),
            owner=dict(type="str"),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
