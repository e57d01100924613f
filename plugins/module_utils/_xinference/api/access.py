# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way into an Xinference: whether it is ready, login and token, and requests with it. Private to the collection."""

from __future__ import annotations

import base64
import json
import threading
import time
import typing as t
from email.utils import parsedate_to_datetime

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _secrets
from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import (
    Answer,
    ApiError,
    Session,
    Unreachable,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import server_log

# Seconds of a token's life in which it is already replaced.
_REFRESH_EARLY = 120
# Answered without authentication, by every release.
AUTH_PATH = "/v1/cluster/auth"
# Users and keys for clients, since 3.0.
USERS, KEYS = "/v1/admin/users", "/v1/admin/keys"
# Ends the name of a file, beside that of a password, with the one that takes its place at this moment (passwords.py).
NEXT = ".next"
# Seconds between two looks at a server that does not answer yet.
_READY_PAUSE = 1.0

RESET_HINT = (
    "To reset the password, run 'xinference-reset-auth-password' on the server's host with its XINFERENCE_HOME; "
    "before 3.0 the passwords are in the file that --auth-config names."
)


class Access:
    """One server, spoken to as its administrator (or without, where it has no authentication).

    :param password_file: holds the password where none is given; read only for a server that has authentication.
    :param log_path: the server's log file on this machine, whose last lines end up in errors that it may explain.
    """

    def __init__(
        self,
        session: Session,
        username: str,
        password: str | None,
        password_file: str | None = None,
        log_path: str | None = None,
    ):
        self.session = session
        self.username = username
        self.log_path = log_path
        #: Whether the server has authentication on; None before it was asked.
        self.auth: bool | None = None
        #: Addresses (host:port) of the registered workers; known after wait_ready().
        self.workers: list[str] = []
        self._password = password
        self._password_file = password_file
        self._refresh_token: str | None = None
        self._fresh_until: float | None = None
        self._version: str | None = None
        self._renewal = threading.Lock()
        # Xinference's sockets keep Nagle's algorithm, so each further request of a connection waits 40 ms for a delayed
        # acknowledgement (4.1.0: 45 ms, and 3 ms on a new connection). A new TLS connection would cost as much.
        if not session.base_url.startswith("https:"):
            session.headers["Connection"] = "close"
        _secrets.hide(password)

    @property
    def endpoint(self) -> str:
        return self.session.base_url

    def explain(self, message: str, launches: t.Collection[str] = (), since: float = 0) -> str:
        """The message with what the server's log says of launches, or else with its last lines, where it can be read.

        :param launches: UIDs and names of models that failed.  :param since: when their launches began.
        """
        lines = server_log.of_launches(log.end_of(self.log_path)[0], launches, since) if launches else []
        if not lines:
            return message + log.tail(self.log_path, _secrets.redacted, server_log.without_looks)
        text = "\n".join([f"Errors of these launches in {self.log_path}:", *lines])
        return f"{message}\n{_secrets.redacted(log.redacted(text))}"

    def wait_ready(
        self, timeout: float, path: str = "/status", workers: bool = True, declared: t.Sequence[str] = ()
    ) -> Answer:
        """Waits until the server answers ``path``, and where wanted until its workers have registered.

        The port refuses connections until the server is up; a reverse proxy before it answers 502, 503 or 504.

        :param declared: addresses (host:port) of the workers that must be there; without any, one must be.

        :raises ModelopsError: with the last lines of the server's log.
        """
        end = time.monotonic() + timeout
        while True:
            try:
                answer = self.session.get(path, expect=(), what="wait for the server")
                if answer.status == 200:
                    if not workers:
                        return answer
                    self.workers = sorted((answer.json or {}).get("workers") or {})
                    missing = sorted(set(declared) - set(self.workers))
                    if self.workers and not missing:
                        return answer
                    who = f"not its worker{'s' * (len(missing) > 1)} {', '.join(missing)}" if missing else "no worker"
                    problem = f"{self.endpoint} answers, but {who} has registered with it"
                elif answer.status in (502, 503, 504):
                    problem = f"{self.endpoint} answers {answer.status} to GET {path}"
                else:
                    raise ModelopsError(
                        f"{self.endpoint} answered {answer.status} to GET {path}, but Xinference answers 200. "
                        "Check the endpoint; it must have no path such as /v1."
                    )
            except Unreachable as exc:
                problem = str(exc)
            if time.monotonic() >= end:
                raise ModelopsError(
                    self.explain(
                        f"{problem} (waited {timeout:.0f} s, ready_timeout). Check that the service runs there."
                    )
                )
            time.sleep(_READY_PAUSE)

    @property
    def version(self) -> str:
        """The server's release, read once."""
        if self._version is None:
            self._version = str(self.get("/v1/cluster/version").json.get("version"))
        return self._version

    def needs_auth(self, answer: Answer | None = None) -> bool:
        """Whether the server has authentication on.

        :param answer: of ``GET /v1/cluster/auth``, where it is at hand.
        """
        answer = answer or self.session.get(AUTH_PATH)
        auth = self.auth = bool(answer.json.get("auth"))
        return auth

    def check_password(self, min_length: int = 0) -> None:
        """Refuses to go on without a password, or with one that the server would not take for a new user.

        Only here the file is read: a server without authentication needs none.
        """
        why = (
            f"{self._password_file} is empty" if self._password_file else "neither password nor password_file is given"
        )
        try:
            self._password = _connection.secret(self._password, self._password_file, "password_file")
        except ModelopsError as exc:
            why = str(exc)
        _secrets.hide(self._password)
        if not self._password:
            raise ModelopsError(
                f"{self.endpoint} has authentication on, but the password of {self.username!r} is missing: {why}. "
                + (
                    "It is not claimed yet: give the administrator's password."
                    if self.needs_setup()
                    else "Someone claimed this server earlier: give the password of that claim "
                    f"(password, in the roles xinference_admin_password), or set a new one. {RESET_HINT}"
                )
                + " An API key is not enough to manage it."
            )
        if len(self._password) < min_length:
            raise ModelopsError(f"password: {self.endpoint} requires at least {min_length} characters")

    def login(self) -> None:
        """Logs in where the server wants it: one attempt, never repeated, because ten failures ban the address."""
        if not self.needs_auth():
            return
        self.check_password()
        answer = self.take_token()
        if answer.status == 200:
            return
        problem = f"{self.endpoint} refused the password of {self.username!r}: {answer.status}: {answer.detail}."
        if answer.status == 429:
            raise ModelopsError(f"{problem} This address is banned after too many failures; the ban lasts an hour.")
        if self.needs_setup():
            raise ModelopsError(
                f"{self.endpoint} has no administrator yet. Claim it with modelops.inference.xinference_admin; "
                "until then anyone with the setup token from its log can."
            )
        raise ModelopsError(f"{problem} It was not retried. {RESET_HINT}")

    def ensure_login(self) -> None:
        """Logs in where that was not done before."""
        if self.auth is None or (self.auth and "Authorization" not in self.session.headers):
            self.login()

    def use_password(self, value: str | None, path: str | None = None) -> None:
        """Logs in with another password from now on, or with the one that a file holds."""
        _secrets.hide(value)
        self._password, self._password_file = value, path

    def accepts(self, username: str, password: str) -> bool:
        """Whether the server takes the password of a user; one attempt, which leaves this client who it is.

        :raises ModelopsError: it does not say.
        """
        _secrets.hide(password)
        body = {"username": username, "password": password}
        what = f"log in as {username!r}"
        answer = self.session.post("/token", json=body, expect=(200, 401), reads=True, what=what)
        if answer.status == 200:
            _secrets.hide(answer.json["access_token"], answer.json.get("refresh_token"))
        return answer.status == 200

    def use_key(self, key: str) -> None:
        """Speaks with a client's API key, which can list, describe and infer."""
        _secrets.hide(key)
        self.session.headers["Authorization"] = f"Bearer {key}"

    def take_token(self) -> Answer:
        """The answer to one login attempt; the caller judges it."""
        answer = self.session.post(
            "/token",
            json={"username": self.username, "password": self._password},
            expect=(),
            reads=True,
            what=f"log in as {self.username!r}",
        )
        if answer.status == 200:
            self._use(answer)
        return answer

    def needs_setup(self) -> bool | None:
        """Whether nobody has claimed the server; None where it has no such thing (before 3.0, or without auth)."""
        answer = self.session.get("/v1/admin/setup/status", expect=())
        return bool(answer.json.get("needs_setup")) if answer.status == 200 else None

    def _use(self, answer: Answer) -> None:
        """Takes the tokens of a login or refresh answer; releases before 3.0 give no refresh token."""
        token = answer.json["access_token"]
        self._refresh_token = answer.json.get("refresh_token")
        _secrets.hide(token, self._refresh_token)
        self.session.headers["Authorization"] = f"Bearer {token}"
        life = _lifetime(token, answer.headers.get("date"))
        self._fresh_until = None if life is None else time.monotonic() + life - min(_REFRESH_EARLY, life / 2)

    def _keep_fresh(self) -> None:
        """Replaces a token before it ends, so that no request is ever sent with a dead one."""
        with self._renewal:
            if self._fresh_until is not None and time.monotonic() >= self._fresh_until:
                self._renew_token()

    def _renew_token(self) -> None:
        if self._refresh_token:
            answer = self.session.post(
                "/v1/auth/refresh",
                json={"refresh_token": self._refresh_token},
                expect=(),
                reads=True,
                what="refresh the token",
            )
            if answer.status == 200:
                self._use(answer)
                return
        answer = self.take_token()
        if answer.status != 200:
            raise ModelopsError(
                f"{self.endpoint} no longer takes the password of {self.username!r}, which it took at the start of "
                f"this run: {answer.status}: {answer.detail}. It was not retried."
            )

    def request(self, method: str, path: str, **kwargs: t.Any) -> Answer:
        self._keep_fresh()
        try:
            return self.session.request(method, path, **kwargs)
        except ApiError as exc:
            if exc.status == 403:
                raise ModelopsError(
                    f"{exc}. {self.username!r} lacks a permission; use the administrator, who has all permissions."
                ) from exc
            raise

    def get(self, path: str, **kwargs: t.Any) -> Answer:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, **kwargs: t.Any) -> Answer:
        return self.request("POST", path, **kwargs)

    def claim(self, token: str | None) -> Answer:
        """Makes the first administrator of a server that nobody has claimed; the answer is the caller's to judge."""
        _secrets.hide(token)
        body = {"username": self.username, "password": self._password, **({"setup_token": token} if token else {})}
        return self.session.post("/v1/admin/setup", json=body, expect=(201, 400, 403), what="claim the server")


def _lifetime(token: str, date: str | None) -> float | None:
    """Seconds until a JWT ends, both times by the server's clock; None where the token does not say."""
    try:
        payload = token.split(".")[1]
        ends = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        now = parsedate_to_datetime(date).timestamp() if date else time.time()
        return float(ends) - now
    except (IndexError, KeyError, TypeError, ValueError):
        return None
