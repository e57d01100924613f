# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A session with one Dify: its release, the login, the workspace. Private to the collection.

Dify has no API for automation in its free edition; this is the console's, used as the browser uses it.
"""

from __future__ import annotations

import base64
import contextlib
import signal
import threading
import time
import typing as t
import uuid
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._dify import errors
from ansible_collections.modelops.inference.plugins.module_utils._dify.login import (
    SessionFile,
    Tokens,
    WorkspaceFile,
    from_body,
    from_cookies,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.releases import Release, release_of
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import (
    READ_VERBS,
    Answer,
    Session,
    Unreachable,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

API = "/console/api"
CURRENT = f"{API}/workspaces/current"
PLUGIN_LIST = f"{CURRENT}/plugin/list"

# Roles that may read a workspace and not change its models.
_MAY_NOT = ("editor", "normal", "dataset_operator")

# The longest pause between two requests while the plugin daemon is down, in seconds.
LONGEST_PAUSE = 10


class DifyError(ModelopsError):
    """Dify refused a request.

    :param found: what it said.
    """

    def __init__(self, message: str, found: errors.Failure):
        super().__init__(message)
        self.found = found


class Stopped(BaseException):
    """The module got SIGTERM. No error, so that nothing goes on with the next model."""


class Interrupted(ModelopsError):
    """The same, after the account was switched back. Nothing goes on with the next workspace."""


class Moved(ModelopsError):
    """Somebody switched the account to another workspace meanwhile, so that what was read and done may be of that one."""


@dataclass(frozen=True)
class Workspace:
    id: str
    name: str
    role: str = ""


class DifySession:
    """One login at one Dify. ``open`` makes it from a module's options.

    :param http: a session whose base URL is Dify's address, without /console/api.
    :param daemon_timeout: seconds to wait for the plugin daemon while it is down.
    """

    release: Release
    workspace: Workspace

    def __init__(self, http: Session, daemon_timeout: float = 0):
        self.http = http
        self.url = http.base_url
        self.daemon_timeout = daemon_timeout
        self._email = self._password = ""
        self._kept = SessionFile(None, "")
        self._notes = WorkspaceFile(None, "")
        self._meant = ""  # what an unset workspace means, as it is named
        self._tokens: Tokens | None = None  # none with an admin key
        # Whether a 401 may mean that the tokens expired: not where they were never accepted, nor just after new ones.
        self._renewable = False
        self._away = False  # in a workspace that we switched the account to
        self._daemon_deadline: float | None = None
        self._pause = 1.0
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
            dify.login(p["email"], p["password"], p["session_file"])
            dify.keep_workspaces(p["workspace_file"] or p["session_file"], p["default_workspace"])
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
        if self._away and verb not in READ_VERBS and not kwargs.get("reads"):
            self._still_here()
        while True:
            answer = self.http.request(verb, path, **send)
            if answer.status == 401 and self._renew():
                answer = self.http.request(verb, path, **send)
            if answer.status != 401:
                self._renewable = self._tokens is not None
            found = errors.refusal(answer)
            if found is None:
                self._daemon_deadline = None
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
            admin_key=self._tokens is None,
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
        """One pause, longer each time; False where the time is over. All requests share it until one succeeds."""
        now = time.monotonic()
        if self._daemon_deadline is None:
            self._daemon_deadline, self._pause = now + self.daemon_timeout, 1.0
        if now + self._pause > self._daemon_deadline:
            return False
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return True

    def pauses(self) -> t.Iterator[bool]:
        """Pauses, longer each time, until ``daemon_timeout`` is over; each yields True."""
        deadline, pause = time.monotonic() + self.daemon_timeout, 1.0
        while time.monotonic() + pause <= deadline:
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            yield True

    def connect(self) -> Release:
        """Learns the release from an answer that needs no login, and whether Dify is set up at all."""
        try:
            answer = self.http.get(f"{API}/setup", expect=(), what="Dify")
        except Unreachable as exc:
            text = str(exc)
            if not text.endswith((".", "?")):  # it says nothing of what to do
                text += ". Does Dify run, and is url the address at which the machine that runs the module reaches it?"
            raise type(exc)(text, sent=exc.sent) from exc
        location = answer.headers.get("Location", "")
        if answer.status in (301, 302, 303, 307, 308) and location:
            raise ModelopsError(
                f"Dify {self.url} redirects to {location}. Give the address it really has as url, so that no password "
                "is sent to the wrong one."
            )
        version = answer.headers.get("X-Version")
        if not version:
            raise ModelopsError(
                f"{self.url}{API}/setup answered {answer.status} without the header X-Version: {errors.failure(answer)}. "
                "This is not Dify's API, or a proxy before it removes headers. url is the address that the browser "
                "opens Dify with, or that of its container api."
            )
        self.release = release_of(version)
        found = errors.failure(answer)
        if found.code == "not_init_validated":
            raise ModelopsError(self._not_initialised())
        if answer.status != 200 or not isinstance(answer.json, dict):
            raise DifyError(
                f"Dify {self.url} ({version}): {found}. {errors.advice(found, self.release)}",
                found,
            )
        if answer.json.get("step") == "not_started":
            init = self.http.get(f"{API}/init", expect=(), what="Dify")
            if isinstance(init.json, dict) and init.json.get("status") == "not_started":
                raise ModelopsError(self._not_initialised())
            raise ModelopsError(
                f"Dify {self.url} ({version}) has not been set up. Open {self.url}/install, make the administrator, "
                "then run this again."
            )
        return self.release

    def _not_initialised(self) -> str:
        return (
            f"Dify {self.url} waits for its INIT_PASSWORD. Open {self.url}/init, enter it, make the administrator, "
            "then run this again."
        )

    def use_admin_key(self, key: str, workspace: str) -> None:
        """Acts as the owner of a workspace by Dify's ADMIN_API_KEY, without a login.

        No cookie may go along: Dify would look at it instead of the key.

        :param workspace: its ID.
        """
        if not self.release.admin_key:
            raise ModelopsError(
                f"Dify {self.url} ({self.release.version}) does not accept an ADMIN_API_KEY: releases 1.9.2 to 1.10 want a "
                "CSRF token with it, which only a login gives. Give email and password, or upgrade Dify to 1.11."
            )
        _secrets.hide(key)
        self.http.headers.update({"Authorization": f"Bearer {key}", "X-WORKSPACE-ID": _workspace_id(workspace)})

    def login(self, email: str, password: str, session_file: str | None = None) -> None:
        """Takes the login that another task left in ``session_file``, or logs in and leaves it there."""
        self._email, self._password = email, password
        self._kept = SessionFile(session_file, f"{self.url} {email}")
        with self._kept as kept:
            tokens = kept.read()
            self._renewable = tokens is not None
            if tokens is None:
                tokens = self._log_in()
                kept.write(tokens)
        self._use(tokens)

    def keep_workspaces(self, path: str | None, meant: str | None) -> None:
        """Keeps in a file where the account belongs while it is switched, and which workspace an unset one means.

        :param meant: that one, by name or ID; None takes the one of the file, and without that the current one.
        """
        self._notes = WorkspaceFile(path, self._kept.key)
        self._meant = meant or ""

    def _renew(self) -> bool:
        """After a 401: takes the login that another task renewed meanwhile, else refreshes it, else logs in once.

        :returns: False where the login was not accepted even when it was new.
        """
        if not self._renewable:
            return False
        self._renewable = False
        with self._kept as kept:
            tokens = kept.read()
            if tokens is None or tokens == self._tokens:
                tokens = self._refreshed() or self._log_in()
                kept.write(tokens)
        self._use(tokens)
        return True

    def _use(self, tokens: Tokens) -> None:
        _secrets.hide(*tokens.secrets)
        for name in self._tokens.headers if self._tokens else ():  # other ones where Dify was upgraded meanwhile
            del self.http.headers[name]
        self.http.headers.update(tokens.headers)
        self._tokens = tokens

    def _tokens_of(self, answer: Answer) -> Tokens | None:
        return from_cookies(answer) if self.release.cookies else from_body(answer)

    def _refreshed(self) -> Tokens | None:
        """New tokens for those in use; None where Dify refuses."""
        if self._tokens is None:
            return None
        body = {"refresh_token": self._tokens.refresh_token} if self._tokens.refresh_token else None
        answer = self.http.post(
            f"{API}/refresh-token", json=body, expect=(), reads=True, what=f"Dify {self.url}: refresh the login"
        )
        return self._tokens_of(answer) if errors.refusal(answer) is None else None

    def _log_in(self) -> Tokens:
        """Logs in: exactly one attempt, because the seventh after six failures is refused for a day. None where
        another task of the play was refused, or did not get its answer."""
        said = self._kept.refusal(self._password)
        if said:
            raise ModelopsError(said)
        sent = self._password
        if self.release.encoded_password:
            sent = base64.b64encode(sent.encode()).decode()
        _secrets.hide(self._password, sent)
        try:
            answer = self.http.post(
                f"{API}/login",
                json={"email": self._email, "password": sent, "language": "en-US", "remember_me": True},
                expect=(),
                reads=True,
                what=f"Dify {self.url}: log in as {self._email}",
            )
        except Unreachable as exc:
            if not exc.sent:
                raise
            said = _secrets.redacted(
                f"{exc}. The answer to the login was lost, and it may have been counted as a failure: it is not repeated, "
                "as six lock the account for a day. Run this again when Dify answers."
            )
            self._kept.refuse(self._password, said)
            raise ModelopsError(said) from exc
        if errors.refusal(answer) is not None:
            said = _secrets.redacted(self._login_refused(self._email, answer))
            self._kept.refuse(self._password, said)
            raise DifyError(said, errors.failure(answer))
        tokens = self._tokens_of(answer)
        if tokens is None:
            lacks = "its cookies. Does a proxy before it remove Set-Cookie?" if self.release.cookies else "a token."
            raise ModelopsError(
                f"Dify {self.url} ({self.release.version}) took the login of {self._email} and answered without {lacks}"
            )
        return tokens

    def _login_refused(self, email: str, answer: Answer) -> str:
        found = errors.failure(answer)
        who = f"Dify {self.url} ({self.release.version}): log in as {email}"
        once = "This one attempt was made and is not repeated; six failures lock the account for a day."
        if answer.status == 429 and found.code != "not_json":
            return (
                f"{who}: the account is locked after six failed logins, also for the right password, for 24 hours "
                "(LOGIN_LOCKOUT_DURATION). Wait, or delete the key login_error_rate_limit:<e-mail> in Dify's Redis. "
                "Nothing else was tried."
            )
        if found.code == "not_init_validated":
            return self._not_initialised()
        if found.code == "not_setup":
            return f"{who}: Dify has not been set up. Open {self.url}/install, make the administrator, then run again."
        if found.code == "fail":
            return f"{who}: the password is right and the account cannot work: {found.text}. Add it to a workspace."
        if found.code == "account_not_found":
            return f"{who}: there is no such account (before 1.11.4 the e-mail's case counts). {once}"
        if found.code in ("authentication_failed", "email_or_password_mismatch", "unauthorized"):
            return f"{who}: the e-mail (its case counts before 1.11.4) or the password is wrong. {once}"
        return f"{who}: {found}. {errors.advice(found, self.release) if found.code == 'not_json' else once}"

    def where(self) -> str:
        """What every error begins with: this Dify and the workspace worked in."""
        name = getattr(self, "workspace", None)
        return f"Dify {self.url}" + (f", workspace '{name.name}'" if name else "")

    def about(self) -> dict[str, t.Any]:
        """The keys of a result that tell where it is from and what it cost."""
        return dict(
            version=self.release.version,
            workspace=dict(id=self.workspace.id, name=self.workspace.name),
            requests=dict(self.http.counts),
        )

    def not_compared(self, what: str = "it") -> str:
        """What check mode can say of a workspace that is not the account's current one.

        :param what: what was to be read there. Where all modules of a play say the same, Ansible shows it once.
        """
        return (
            f"Dify {self.url}: '{self.workspace.name}' is not the account's current workspace. Reading {what} would take a "
            "switch, which is a change of the account that check mode does not make. Nothing was compared. Make it the current "
            "one in Dify, or give an admin_key, which needs no switch."
        )

    def workspaces(self) -> list[dict[str, t.Any]]:
        """The account's workspaces: id, name, and whether it is the current one. One request."""
        body = self.call("GET", f"{API}/workspaces", "list the workspaces").json
        return [
            dict(id=item["id"], name=item["name"], current=bool(item.get("current"))) for item in body["workspaces"]
        ]

    def _own_workspace(self) -> Workspace:
        if self._tokens is None:  # the workspace of the admin key's header, as whose owner it acts
            id = self.http.headers["X-WORKSPACE-ID"]
            names = {item["id"]: item["name"] for item in self.workspaces()}
            return Workspace(id, names.get(id, id), "owner")
        answer = self.call(self.release.workspace_verb, CURRENT, "read the current workspace", reads=True)
        return Workspace(answer.json["id"], answer.json["name"], answer.json.get("role") or "")

    @contextlib.contextmanager
    def in_workspace(self, wanted: str | None, *, to_change: bool = True) -> t.Iterator[bool]:
        """Works in a workspace (``entered``), once (``staying``)."""
        with contextlib.ExitStack() as stack:
            comparable = stack.enter_context(self.entered(wanted))
            stack.enter_context(self.staying(comparable, to_change))
            yield comparable

    @contextlib.contextmanager
    def entered(self, wanted: str | None) -> t.Iterator[bool]:
        """Enters a workspace, by name or ID; None takes the one that is kept for that, else the current one.

        Which one is current is kept by Dify for the account, not for this login: the switch moves a person who is
        logged in with the account, too. It is taken back at the end, also after a failure.

        :returns: (as the context) False where check mode may not switch, so that nothing can be compared.
        """
        self.workspace = home = self._home()
        target = self._target(wanted or "", home)
        if target.id == home.id:
            yield True
            return
        if self.http.check_mode:
            self.workspace = target
            yield False
            return
        with _terminable():
            self._note(home, target)
            try:
                self.workspace = self._switch(target)
                self._away = True
                yield True
            except BaseException as exc:
                self._back(home, exc)
                if isinstance(exc, Stopped):
                    raise Interrupted(
                        f"{self.where()}: {exc}. The account is back in the workspace '{home.name}'. Run this again."
                    ) from exc
                raise
            self._back(home, None)

    def _home(self) -> Workspace:
        """The account's workspace. Where a run that was stopped left it in another one, and it is there still, it is put back
        first, except in check mode."""
        home = self._own_workspace()
        with self._notes.reading() as kept:
            left, there = kept.left()
        if there != home.id:
            if there:
                self._note(home, None)  # somebody moved it since
            return home
        if self.http.check_mode:
            raise ModelopsError(
                f"Dify {self.url}: a run that was stopped left the account in the workspace '{home.name}', and check mode does "
                "not switch it back. Run this without check mode, or switch it in Dify."
            )
        with contextlib.suppress(DifyError):  # it is not the account's any more
            home = self._switch(Workspace(left["id"], left["name"]))
        self._note(home, None)
        return home

    def _target(self, wanted: str, home: Workspace) -> Workspace:
        """The workspace to work in. Where none is named it is the kept one, by its ID, however it is called by now."""
        if self._tokens is None:
            return home
        if wanted:
            return self._find(wanted, home)
        with self._notes.reading() as kept:
            name, known = kept.remembered()
        if known and self._meant in ("", name, known):
            return self._find(
                known,
                home,
                f". By this ID {self._notes.path} remembers '{name}'; give another default_workspace, or remove the file",
            )
        if not self._meant:
            return home
        found = self._find(self._meant, home)
        if not self.http.check_mode:
            with self._notes as kept:
                kept.remember(self._meant, found.id)
        return found

    def _note(self, home: Workspace, target: Workspace | None) -> None:
        """Leaves in the file where the account belongs while it is switched, for a run after one that was killed."""
        with self._notes as kept:
            kept.leave({"id": home.id, "name": home.name} if target else {}, target.id if target else "")

    @contextlib.contextmanager
    def staying(self, comparable: bool, to_change: bool = True) -> t.Iterator[bool]:
        """Work in the workspace that was entered; where it changed something, nobody may have switched the account meanwhile.

        :param comparable: as ``entered`` told it.  :param to_change: refuse roles that may only read.
        :raises ModelopsError: the role may not, or somebody switched.
        """
        if not comparable:
            yield False
            return
        self._may_change(self.workspace, to_change)
        before = self._changes()
        yield True
        if self._changes() == before or self._tokens is None:
            return
        self._still_here()

    def _still_here(self) -> None:
        """:raises Moved: the account is in another workspace."""
        now = self._own_workspace()
        if now.id != self.workspace.id:
            raise Moved(
                f"{self.where()}: meanwhile another run or a person switched the account to the workspace '{now.name}', so "
                "that changes may have gone there. Look at both, and run this again with an account of its own or with "
                "an admin_key."
            )

    def _changes(self) -> int:
        return sum(count for verb, count in self.http.counts.items() if verb not in READ_VERBS)

    def _find(self, wanted: str, home: Workspace, hint: str = "") -> Workspace:
        if wanted == home.id:
            return home
        known = [Workspace(item["id"], item["name"]) for item in self.workspaces()]
        found = [space for space in known if space.id == wanted] or [space for space in known if space.name == wanted]
        if len(found) > 1:
            raise ModelopsError(
                f"Dify {self.url}: {len(found)} workspaces are named '{wanted}'. Give the ID of one: "
                + ", ".join(space.id for space in found)
            )
        if not found:
            raise ModelopsError(
                f"Dify {self.url}: the account is in no workspace '{wanted}'. It is in: "
                + ", ".join(f"'{space.name}' ({space.id})" for space in known)
                + hint
            )
        return home if found[0].id == home.id else found[0]

    def _switch(self, target: Workspace) -> Workspace:
        answer = self.call(
            "POST",
            f"{API}/workspaces/switch",
            f"switch to the workspace '{target.name}'",
            json={"tenant_id": target.id},
        )
        return Workspace(target.id, target.name, (answer.json.get("new_tenant") or {}).get("role") or "")

    def _back(self, home: Workspace, reason: BaseException | None) -> None:
        self._away = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the way back is not broken off
        try:
            self._switch(home)
        except ModelopsError as exc:
            result = reason.result if isinstance(reason, ModelopsError) else {}
            first = f"{str(reason).rstrip('.')}. After that: " if reason is not None else ""
            kept = f" The next run with {self._notes.path} puts it back, too." if self._notes.path else ""
            raise ModelopsError(
                f"{first}the account's current workspace could not be set back to '{home.name}': "
                f"{str(exc).rstrip('.')}. Switch it in Dify.{kept}",
                **result,
            ) from exc
        self._note(home, None)

    def _may_change(self, space: Workspace, to_change: bool) -> None:
        if to_change and space.role in _MAY_NOT:
            raise ModelopsError(
                f"Dify {self.url}: the account is {space.role} of the workspace '{space.name}', and has to be owner or "
                "admin to change its models"
            )


@contextlib.contextmanager
def _terminable() -> t.Iterator[None]:
    """Makes of SIGTERM an exception, as Python does of SIGINT, so that what was begun is taken back."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only that one gets signals
        return

    def stop(_number: int, _frame: object) -> None:
        raise Stopped("stopped by SIGTERM")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
