# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A session with one Dify: its release, the login, the workspace. Private to the collection.

Dify has no API for automation in its free edition; this is the console's, used as the browser uses it.
"""

from __future__ import annotations

import base64
import contextlib
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.modelops.inference.plugins.module_utils._dify import errors
from ansible_collections.modelops.inference.plugins.module_utils._dify.releases import Release, release_of
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer, Session

API = "/console/api"
CURRENT = f"{API}/workspaces/current"

# Roles that may read a workspace and not change its models.
_MAY_NOT = ("editor", "normal", "dataset_operator")


class DifyError(ModelopsError):
    """Dify refused a request.

    :param found: what it said.
    """

    def __init__(self, message: str, found: errors.Failure):
        super().__init__(message)
        self.found = found


@dataclass(frozen=True)
class Workspace:
    id: str
    name: str
    role: str = ""


class DifySession:
    """One login at one Dify.

    :param http: a session whose base URL is Dify's address, without /console/api.
    """

    release: Release
    workspace: Workspace

    def __init__(self, http: Session):
        self.http = http
        self.url = http.base_url
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ModelopsError(f"url: '{self.url}' is not an address such as https://dify.example.com")
        if parts.path.endswith(API):
            raise ModelopsError(f"url: give Dify's address without {API}, not '{self.url}'")

    def call(
        self, verb: str, path: str, what: str, *, about: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> Answer:
        """Sends a request below the console API.

        :param path: from /console/api on.
        :param what: what is tried, for the error ("register llm 'qwen3-8b'").
        :param about: what the advice is about: server_url, model_uid, type, provider.
        :raises DifyError: Dify refused.  :raises Unreachable: no answer.
        """
        answer = self.http.request(verb, path, expect=(), what=f"{self._where()}: {what}", **kwargs)
        if answer.status in (200, 201) and answer.json is not None or answer.status == 204:
            return answer
        found = errors.failure(answer)
        hint = errors.advice(found, self.release, **(about or {}))
        raise DifyError(self.http.redact(f"{self._where()}: {what}: {found}. {hint}"), found)

    def connect(self) -> Release:
        """Learns the release from an answer that needs no login, and whether Dify is set up at all."""
        answer = self.http.get(f"{API}/setup", expect=(), what=f"Dify {self.url}")
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
            init = self.http.get(f"{API}/init", expect=(), what=f"Dify {self.url}")
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

    def login(self, email: str, password: str) -> None:
        """Logs in: exactly one attempt, because the seventh after six failures is refused for a day."""
        sent = base64.b64encode(password.encode()).decode() if self.release.encoded_password else password
        self.http.hide(password, sent)
        answer = self.http.post(
            f"{API}/login",
            json={"email": email, "password": sent, "language": "en-US", "remember_me": True},
            expect=(),
            reads=True,
            what=f"Dify {self.url}: log in as {email}",
        )
        body = answer.json if isinstance(answer.json, dict) else {}
        if answer.status != 200 or body.get("result") != "success":
            raise DifyError(self.http.redact(self._login_refused(email, answer)), errors.failure(answer))
        if self.release.cookies:
            self._use_cookies(email, answer)
        else:
            data = body.get("data")
            token = data.get("access_token") if isinstance(data, dict) else data  # a string before 0.9.2
            if not token:
                raise ModelopsError(f"Dify {self.url} took the login of {email} and answered without a token")
            self.http.hide(token, data.get("refresh_token") if isinstance(data, dict) else None)
            self.http.headers["Authorization"] = f"Bearer {token}"

    def _use_cookies(self, email: str, answer: Answer) -> None:
        """Takes the cookies as named by Dify (with __Host- before it behind https) and returns them by hand.

        A cookie jar would drop them where Dify marks them Secure and is reached over plain HTTP.
        """
        cookies = dict(line.split(";", 1)[0].split("=", 1) for line in answer.set_cookies if "=" in line)
        self.http.hide(*cookies.values())
        csrf = next((value for name, value in cookies.items() if name.endswith("csrf_token")), None)
        if csrf is None or not any(name.endswith("access_token") for name in cookies):
            raise ModelopsError(
                f"Dify {self.url} ({self.release.version}) took the login of {email} and answered without its cookies. "
                "Does a proxy before it remove Set-Cookie?"
            )
        self.http.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.http.headers["X-CSRF-Token"] = csrf

    def _login_refused(self, email: str, answer: Answer) -> str:
        found = errors.failure(answer)
        who = f"Dify {self.url} ({self.release.version}): log in as {email}"
        once = "This one attempt was made and is not repeated; six failures lock the account for a day."
        if answer.status == 429:
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

    def _where(self) -> str:
        name = getattr(self, "workspace", None)
        return f"Dify {self.url}" + (f", workspace '{name.name}'" if name else "")

    def _own_workspace(self) -> Workspace:
        answer = self.call(self.release.workspace_verb, CURRENT, "read the current workspace", reads=True)
        return Workspace(answer.json["id"], answer.json["name"], answer.json.get("role") or "")

    @contextlib.contextmanager
    def in_workspace(self, wanted: str | None) -> t.Iterator[bool]:
        """Works in a workspace, by name or ID; None takes the current one.

        Which one is current is kept by Dify for the account, not for this login: the switch moves a person who is
        logged in with the account, too. It is taken back at the end, also after a failure.

        :returns: (as the context) False where check mode may not switch, so that nothing can be compared.
        """
        self.workspace = home = self._own_workspace()
        target = home if wanted in (None, "", home.id) else self._find(str(wanted), home)
        if target.id == home.id:
            self._may_change(home)
            yield True
            return
        if self.http.check_mode:
            self.workspace = target
            yield False
            return
        self.workspace = self._switch(target)
        try:
            self._may_change(self.workspace)
            yield True
        except BaseException as exc:
            self._back(home, exc)
            raise
        self._back(home, None)

    def _find(self, wanted: str, home: Workspace) -> Workspace:
        answer = self.call("GET", f"{API}/workspaces", "list the workspaces")
        known = [Workspace(item["id"], item["name"]) for item in answer.json["workspaces"]]
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
        try:
            self._switch(home)
        except ModelopsError as exc:
            result = reason.result if isinstance(reason, ModelopsError) else {}
            first = f"{reason} After that: " if reason is not None else ""
            raise ModelopsError(
                f"{first}the account's current workspace could not be set back to '{home.name}': {exc}", **result
            ) from exc

    def _may_change(self, space: Workspace) -> None:
        if space.role in _MAY_NOT:
            raise ModelopsError(
                f"Dify {self.url}: the account is {space.role} of the workspace '{space.name}', and has to be owner or "
                "admin to change its models"
            )
