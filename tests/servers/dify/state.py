# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of one Dify: accounts, workspaces, models, credentials, plugins, defaults."""

from __future__ import annotations

import datetime
import typing as t
import uuid
from dataclasses import dataclass, field

# The order in which Dify lists the types of a provider's models.
TYPE_ORDER = ("llm", "moderation", "rerank", "speech2text", "text-embedding", "tts")
SCHEMA = ("server_url", "model_uid", "api_key", "invoke_timeout", "max_retries")
REQUIRED = ("server_url", "model_uid", "invoke_timeout", "max_retries")
HIDDEN = "[__HIDDEN__]"
MAX_FAILURES = 6

PLUGIN = "langgenius/xinference"


def new_id() -> str:
    return str(uuid.uuid4())


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


@dataclass
class Credential:
    name: str
    values: dict[str, t.Any]
    id: str = field(default_factory=new_id)


@dataclass
class Model:
    """A (name, type) of a workspace: a row in the model list, and the credentials kept for it.

    :param listed: it is in the provider's model list.
    :param shown: the values that reading it shows; normally the active credential's.
    :param unusable: the status of a model that Dify cannot use, such as "no-configure".
    :param balanced: load balancing is on.
    :param balancing: its configurations: id, name, enabled, values, and from 1.8 on credential_id.
    """

    name: str
    type: str
    listed: bool = False
    active: str | None = None
    shown: dict[str, t.Any] = field(default_factory=dict)
    credentials: list[Credential] = field(default_factory=list)
    enabled: bool = True
    unusable: str | None = None
    balanced: bool = False
    balancing: list[dict[str, t.Any]] = field(default_factory=list)

    @property
    def status(self) -> str:
        return "disabled" if not self.enabled else self.unusable or "active"

    def credential(self, id: str | None) -> Credential | None:
        return next((item for item in self.credentials if item.id == id), None)


@dataclass
class Plugin:
    version: str
    identifier: str
    source: str
    id: str = field(default_factory=new_id)
    created_at: str = field(default_factory=now)


@dataclass
class Task:
    identifier: str
    source: str
    polls: int
    failure: str | None = None
    done: bool = False
    id: str = field(default_factory=new_id)
    created_at: str = field(default_factory=now)


@dataclass
class Workspace:
    name: str
    id: str = field(default_factory=new_id)
    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    plugin: Plugin | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    created_at: int = 1795344940

    def listed(self, model_type: str | None = None) -> list[Model]:
        found = [m for m in self.models.values() if m.listed and model_type in (None, m.type)]
        return sorted(found, key=lambda m: TYPE_ORDER.index(m.type))

    def default(self, model_type: str) -> Model | None:
        """The default of a type. Reading it where none is set, or where it is gone, sets the first active one."""
        active = [m for m in self.listed(model_type) if m.status == "active"]
        chosen = next((m for m in active if m.name == self.defaults.get(model_type)), active[0] if active else None)
        if chosen is not None:
            self.defaults[model_type] = chosen.name
        return chosen


@dataclass
class Account:
    """``roles``: workspace ID -> role; ``current``: the workspace that the account works in, kept by the server."""

    email: str
    password: str
    roles: dict[str, str]
    current: str | None
    name: str = "admin"
    id: str = field(default_factory=new_id)
    failures: int = 0


@dataclass
class Packages:
    """Plugin packages that can be uploaded or fetched from the marketplace, by identifier -> version.

    :param online: Dify reaches the marketplace.
    :param tells_latest: the marketplace answers which version is the latest.
    :param enabled: Dify uses the marketplace at all (MARKETPLACE_ENABLED).
    :param limit: bytes of an uploaded package (PLUGIN_MAX_PACKAGE_SIZE).
    :param signed_only: the daemon takes signed packages only (FORCE_VERIFYING_SIGNATURE).
    :param scope: plugin_installation_scope of system-features.
    :param marketplace_only: restrict_to_marketplace_only of system-features.
    :param permission: who may install plugins in a workspace, "everyone", "admins" or "noone".
    :param daemon_fits: the daemon understands what the API asks it about an uploaded package.
    """

    known: dict[str, str] = field(
        default_factory=lambda: {
            f"{PLUGIN}:0.0.9@db92e18f570880caafb24a90797483a7ed4adae6bf0d4f49094506e0819d14be": "0.0.9",
            f"{PLUGIN}:0.0.15@af77a6d6bd0712a9b4c3def73219bbc88b18782b863ae410b1f27bea62214a64": "0.0.15",
        }
    )
    online: bool = True
    tells_latest: bool = False
    enabled: bool = True
    limit: int = 15728640
    signed_only: bool = False
    scope: str = "all"
    marketplace_only: bool = False
    permission: str = "everyone"
    daemon_fits: bool = True

    def by_version(self, version: str) -> str | None:
        return next((identifier for identifier, known in self.known.items() if known == version), None)

    @property
    def latest(self) -> str:
        return max(self.known, key=lambda i: tuple(int(part) for part in self.known[i].split(".")))


@dataclass
class State:
    """Everything that a Dify has in its database and environment."""

    accounts: dict[str, Account] = field(default_factory=dict)
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    setup: bool = False
    init_password: str | None = None
    init_sessions: set[str] = field(default_factory=set)
    https: bool = False
    admin_key: str | None = None
    daemon_up: bool = True
    task_polls: int = 4
    #: The result of an installation: "done", "failed" (with task_message), "stuck" (never ends), "cleared" (it is
    #: done, and its task is gone), "lost" (its task is gone, and nothing is installed).
    task_fate: str = "done"
    task_message: str = ""
    packages: Packages = field(default_factory=Packages)
    #: access token -> (e-mail, CSRF token)
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)

    def add_workspace(self, name: str, *, plugin: bool = True, **roles: str) -> Workspace:
        """A workspace; ``roles`` by the local part of the e-mail ("admin='owner'")."""
        space = Workspace(name)
        if plugin:
            identifier = self.packages.latest
            space.plugin = Plugin(self.packages.known[identifier], identifier, "marketplace")
        self.workspaces[space.id] = space
        for account in self.accounts.values():
            role = roles.get(account.email.split("@", 1)[0])
            if role:
                account.roles[space.id] = role
                account.current = account.current or space.id
        return space

    def add_account(self, email: str, password: str, role: str | None = None) -> Account:
        """An account; with ``role`` it joins the first workspace."""
        first = next(iter(self.workspaces), None)
        roles = {first: role} if role and first else {}
        account = Account(email, password, roles, first if roles else None, name=email.split("@", 1)[0])
        self.accounts[email] = account
        return account
