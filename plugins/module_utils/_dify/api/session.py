# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A session with one Dify: its release, the login, the workspace. Private to the collection.

Dify has no API for automation in its free edition; this is the console's, used as the browser uses it.
"""

from __future__ import annotations

import time
import typing as t
import uuid
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._dify.api import errors
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import DifyError
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.login import AccountLogin
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.paths import API, CURRENT, PLUGIN_LIST
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.releases import DifyRelease, rules_of
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import (
    READ_VERBS,
    Answer,
    Session,
    Unreachable,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# The longest pause between two requests while the plugin daemon is down, in seconds.
LONGEST_PAUSE = 10


@dataclass(frozen=True)
class Workspace:
    id: str
    name: str
    role: str = ""


class DifySession:
    """One login at one Dify. ``open`` creates it from a module's options.

    :param http: a session whose base URL is Dify's address, without /console/api.
    :param daemon_timeout: seconds to wait for the plugin daemon while it is down.
    """

    release: DifyRelease
    workspace: Workspace

    def __init__(self, http: Session, daemon_timeout: float = 0):
        self.http = http
        self.url = http.base_url
        self.daemon_timeout = daemon_timeout
        self._login: AccountLogin | None = None  # none with an admin key
        #: Called before each change while the account is in another workspace than its own.
        self.before_change: t.Callable[[], None] | None = None
        self._pauses: t.Iterator[bool] | None = None  # since a request found the plugin daemon down, until one succeeds
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ModelopsError(f"url: '{self.url}' is not an address such as https://dify.example.com")
        if parts.path.endswith(API):
            raise ModelopsError(f"url: give Dify's address without {API}, not '{self.url}'")

    @classmethod
    def open(cls, module: AnsibleModule) -> DifySession:
        """Connects and authenticates by the options of _connection.DIFY_OPTIONS."""
        p = module.params
        if p["admin_key"]:
            _workspace_id(p["workspace"])
        dify = cls.connected(module)
        if p["admin_key"]:
            dify.use_admin_key(p["admin_key"], p["workspace"])
        else:
            dify.log_in(p["email"], p["password"], p["session_file"])
        return dify

    @classmethod
    def connected(cls, module: AnsibleModule) -> DifySession:
        """Connects by a module's options, without a login."""
        p = module.params
        http = _connection.session(module, p["url"])
        _secrets.hide(p["password"], p["admin_key"])
        dify = cls(http, p["daemon_timeout"])
        dify.connect()
        return dify

    def call(
        self,
        verb: str,
        path: str,
        what: str,
        *,
        about: t.Mapping[str, t.Any] | None = None,
        idempotent: bool | None = None,
        **kwargs: t.Any,
    ) -> Answer:
        """Sends a request below the console API.

        Where the login expired it is renewed once and the request sent again. While the plugin daemon is down, what
        may be repeated is repeated, until ``daemon_timeout`` is over.

        :param path: from /console/api on.
        :param what: what is tried, for the error ("register llm 'qwen3-8b'").
        :param about: what the advice is about: server_url, model_uid, type, provider.
        :param idempotent: whether it may be repeated; None says so of every verb but POST.
        :raises DifyError: Dify refused.  :raises Unreachable: no answer.
        """
        send: dict[str, t.Any] = dict(expect=(), what=f"{self.where()}: {what}", **kwargs)
        if idempotent is None:
            idempotent = verb != "POST" or bool(kwargs.get("reads"))
        if self.before_change and verb not in READ_VERBS and not kwargs.get("reads"):
            self.before_change()
        while True:
            answer = self.http.request(verb, path, **send)
            if answer.status == 401 and self._login and self._login.renew():
                answer = self.http.request(verb, path, **send)
            if answer.status != 401 and self._login:
                self._login.accepted()
            found = errors.refusal(answer)
            if found is None:
                self._pauses = None
                return answer
            if found.silent and self._daemon_is_down():
                found = replace(found, of_daemon=True)
            if not (idempotent and found.daemon_down and self._wait_for_daemon()):
                raise DifyError(
                    _secrets.redacted(f"{self.where()}: {what}: {found}. {self._advice(found, about)}"), found
                )

    def _advice(self, found: errors.Failure, about: t.Mapping[str, t.Any] | None) -> str:
        space = getattr(self, "workspace", None)
        return errors.advice(
            found,
            self.release,
            role=space.role if space else "",
            admin_key=self._login is None,
            waited=f"{self.daemon_timeout:g}",
            **(about or {}),
        )

    def _daemon_is_down(self) -> bool:
        """After a 500 without a word: whether the list of plugins, which the plugin daemon alone has, ends in one, too."""
        if not self.release.plugins:
            return False
        try:
            answer = self.http.get(PLUGIN_LIST, params={"page": 1, "page_size": 1}, expect=(), what=self.where())
        except Unreachable:
            return False
        found = errors.refusal(answer)
        return found is not None and found.silent

    def _wait_for_daemon(self) -> bool:
        """One pause; False where the time is over. All requests share it until one succeeds."""
        self._pauses = self._pauses or self.pauses()
        return next(self._pauses, False)

    def pauses(self) -> t.Iterator[bool]:
        """Pauses, longer each time, until ``daemon_timeout`` is over; each yields True."""
        deadline, pause = time.monotonic() + self.daemon_timeout, 1.0
        while time.monotonic() + pause <= deadline:
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            yield True

    def connect(self) -> DifyRelease:
        """Learns the release from an answer that needs no login, and whether Dify is set up at all."""
        try:
            answer = self.http.get(f"{API}/setup", expect=(), what="Dify")
        except Unreachable as exc:
            text = str(exc)
            if not text.endswith((".", "?")):  # it says nothing of what to do
                text += ". Check that Dify runs, and that the machine that runs the module reaches it at url."
            raise type(exc)(text, sent=exc.sent) from exc
        location = answer.headers.get("Location", "")
        if answer.status in (301, 302, 303, 307, 308) and location:
            raise ModelopsError(
                f"Dify {self.url} redirects to {location}. Set url to that address, so that no password "
                "is sent to the wrong one."
            )
        version = answer.headers.get("X-Version")
        if not version:
            raise ModelopsError(
                f"{self.url}{API}/setup answered {answer.status} without the header X-Version: {errors.failure(answer)}. "
                "This is not Dify's API, or a proxy before it removes headers. url is the address that the browser "
                "opens Dify with, or that of its container api."
            )
        self.release = rules_of(version)
        found = errors.failure(answer)
        if found.code == "not_init_validated":
            raise ModelopsError(errors.not_initialised(self.url))
        if answer.status != 200 or not isinstance(answer.json, dict):
            raise DifyError(
                f"Dify {self.url} ({version}): {found}. {errors.advice(found, self.release)}",
                found,
            )
        if answer.json.get("step") == "not_started":
            init = self.http.get(f"{API}/init", expect=(), what="Dify")
            if isinstance(init.json, dict) and init.json.get("status") == "not_started":
                raise ModelopsError(errors.not_initialised(self.url))
            raise ModelopsError(
                f"Dify {self.url} ({version}) has not been set up. Open {self.url}/install, create the administrator, "
                "then run this again."
            )
        return self.release

    def use_admin_key(self, key: str, workspace: str) -> None:
        """Acts as the owner of a workspace by Dify's ADMIN_API_KEY, without a login.

        No cookie may go along: Dify would look at it instead of the key.

        :param workspace: its ID.
        """
        if not self.release.admin_key:
            raise ModelopsError(
                f"Dify {self.url} ({self.release.version}) does not accept an ADMIN_API_KEY: releases 1.9.2 to 1.10 require a "
                "CSRF token with it, which only a login gives. Give email and password, or upgrade Dify to 1.11."
            )
        _secrets.hide(key)
        self.http.headers.update({"Authorization": f"Bearer {key}", "X-WORKSPACE-ID": _workspace_id(workspace)})

    def log_in(self, email: str, password: str, session_file: str | None = None) -> None:
        """Acts as an account, with the login that another task left in ``session_file``, or with a new one left there."""
        self._login = AccountLogin(self.http, self.release, email, password, session_file)
        self._login.start()

    @property
    def account(self) -> str:
        """The Dify and the account that is logged in; "" with an admin key."""
        return self._login.account if self._login else ""

    def where(self) -> str:
        """The start of every error: this Dify and the workspace worked in."""
        space = getattr(self, "workspace", None)
        return f"Dify {self.url}" + (f", workspace '{space.name}'" if space else "")

    def about(self) -> dict[str, t.Any]:
        """The keys of a result that tell where it is from and what it cost."""
        return dict(
            version=self.release.version,
            workspace=dict(id=self.workspace.id, name=self.workspace.name),
            requests=dict(self.http.counts),
        )

    def not_compared(self, what: str = "it") -> str:
        """Why check mode compares nothing of a workspace that is not the account's current one.

        :param what: the thing that is read there. Where all modules of a play say the same, Ansible shows it once.
        """
        return (
            f"Dify {self.url}: '{self.workspace.name}' is not the account's current workspace. Reading {what} requires a "
            "switch, which changes the account, and check mode changes nothing. Nothing was compared. Make it the current "
            "one in Dify, or give an admin_key, which needs no switch."
        )

    def workspaces(self) -> list[dict[str, t.Any]]:
        """The account's workspaces: id, name, and whether it is the current one. One request."""
        body = self.call("GET", f"{API}/workspaces", "list the workspaces").json
        return [
            dict(id=item["id"], name=item["name"], current=bool(item.get("current"))) for item in body["workspaces"]
        ]

    def own_workspace(self) -> Workspace:
        if self._login is None:  # the workspace of the admin key's header, as whose owner it acts
            id = self.http.headers["X-WORKSPACE-ID"]
            names = {item["id"]: item["name"] for item in self.workspaces()}
            return Workspace(id, names.get(id, id), "owner")
        answer = self.call(self.release.workspace_verb, CURRENT, "read the current workspace", reads=True)
        return Workspace(answer.json["id"], answer.json["name"], answer.json.get("role") or "")


def _workspace_id(wanted: str) -> str:
    """A workspace's ID as Dify writes it; anything else than a UUID it answers with a 500."""
    try:
        return str(uuid.UUID(wanted))
    except ValueError:
        raise ModelopsError(
            f"workspace: '{wanted}' is not an ID, and an admin_key works in the workspace of that ID only. It is a UUID "
            "such as 5a0c8f1e-1b54-4f7e-9d43-9f4f0a3f4b11; the column id of the table tenants has it, or the answer of "
            "/console/api/workspaces in a browser that is logged in."
        ) from None
