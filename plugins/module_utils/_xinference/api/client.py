# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Xinference's API as this collection uses it: login and token, and one method a call. Private to the collection."""

from __future__ import annotations

import base64
import json
import time
import typing as t
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from ansible_collections.modelops.inference.plugins.module_utils import _connection
from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import (
    Answer,
    ApiError,
    Session,
    Unreachable,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases, server_log

if t.TYPE_CHECKING:  # the reconciler runs this file where there is no Ansible
    from ansible.module_utils.basic import AnsibleModule

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

# Begins the UID of a model that tries a worker which has come back, and that nobody but the drain sees (undrain.py).
TRY = "modelops-try-"

RESET_HINT = (
    "To get in again, run 'xinference-reset-auth-password' on the server's host with its XINFERENCE_HOME; "
    "before 3.0 the passwords are in the file that --auth-config names."
)


class Client:
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
        #: Whether models that try a worker are among the models that are told.
        self.sees_tries = False
        #: UIDs of models that try a worker; known after instances().
        self.tries: list[str] = []
        self._password = password
        self._password_file = password_file
        self._refresh_token: str | None = None
        self._fresh_until: float | None = None
        self._version: str | None = None
        session.hide(password)

    @classmethod
    def of(cls, module: AnsibleModule) -> Client:
        """A client by the module's connection options; sends nothing yet."""
        p = module.params
        session = _connection.session(module, p["endpoint"])
        return cls(session, p["username"], p["password"], p["password_file"], p.get("log_path"))

    @property
    def endpoint(self) -> str:
        return self.session.base_url

    def explain(self, message: str, launches: t.Collection[str] = (), since: float = 0) -> str:
        """The message with what the server's log says of launches, or else with its last lines, where it can be read.

        :param launches: UIDs and names of models that failed.  :param since: when their launches began.
        """
        lines = server_log.of_launches(log.end_of(self.log_path)[0], launches, since) if launches else []
        if not lines:
            return message + log.tail(self.log_path, self.session.redact, server_log.without_looks)
        text = "\n".join([f"Errors of these launches in {self.log_path}:", *lines])
        return f"{message}\n{self.session.redact(log.redacted(text))}"

    # -- the server --------------------------------------------------------------------------------------------

    def wait_ready(
        self, timeout: float, path: str = "/status", workers: bool = True, declared: t.Sequence[str] = ()
    ) -> Answer:
        """Waits until the server answers ``path``, and where wanted until its workers have registered.

        The port refuses connections until the server is up; a reverse proxy before it answers 502, 503 or 504.

        :param declared: addresses (host:port) of the workers that have to be there; without any, one has to be.

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
                        f"{self.endpoint} answered {answer.status} to GET {path}, which Xinference answers with 200. "
                        "Is the endpoint right? It takes no path such as /v1."
                    )
            except Unreachable as exc:
                problem = str(exc)
            if time.monotonic() >= end:
                raise ModelopsError(
                    self.explain(f"{problem} (waited {timeout:.0f} s, ready_timeout). Is the service running there?")
                )
            time.sleep(_READY_PAUSE)

    @property
    def version(self) -> str:
        """The server's release, read once."""
        if self._version is None:
            self._version = str(self.get("/v1/cluster/version").json.get("version"))
        return self._version

    # -- login -------------------------------------------------------------------------------------------------

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
        self.session.hide(self._password)
        if not self._password:
            raise ModelopsError(
                f"{self.endpoint} has authentication on, and there is no password of {self.username!r}: {why}. "
                + (
                    "Nobody has claimed it yet: give the password that the administrator is to have."
                    if self.needs_setup()
                    else "This server was claimed by someone else, or before: give the password that it was claimed with "
                    f"(password, of the roles xinference_admin_password), or make a new one. {RESET_HINT}"
                )
                + " An API key is not enough to manage it."
            )
        if len(self._password) < min_length:
            raise ModelopsError(f"password: {self.endpoint} takes none of less than {min_length} characters")

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
                "until then whoever holds the setup token of its log can."
            )
        raise ModelopsError(f"{problem} It was not tried again. {RESET_HINT}")

    def ensure_login(self) -> None:
        """Logs in where that was not done before."""
        if self.auth is None or (self.auth and "Authorization" not in self.session.headers):
            self.login()

    def use_password(self, value: str | None, path: str | None = None) -> None:
        """Logs in with another password from now on, or with the one that a file holds."""
        self.session.hide(value)
        self._password, self._password_file = value, path

    def accepts(self, username: str, password: str) -> bool:
        """Whether the server takes the password of a user; one attempt, which leaves this client who it is.

        :raises ModelopsError: it does not say.
        """
        self.session.hide(password)
        body = {"username": username, "password": password}
        what = f"log in as {username!r}"
        answer = self.session.post("/token", json=body, expect=(200, 401), reads=True, what=what)
        if answer.status == 200:
            self.session.hide(answer.json["access_token"], answer.json.get("refresh_token"))
        return answer.status == 200

    def use_key(self, key: str) -> None:
        """Speaks with a client's API key, which can list, describe and infer."""
        self.session.hide(key)
        self.session.headers["Authorization"] = f"Bearer {key}"

    def take_token(self) -> Answer:
        """One login attempt; the answer is the caller's to judge."""
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
        self.session.hide(token, self._refresh_token)
        self.session.headers["Authorization"] = f"Bearer {token}"
        life = _lifetime(token, answer.headers.get("date"))
        self._fresh_until = None if life is None else time.monotonic() + life - min(_REFRESH_EARLY, life / 2)

    def _keep_fresh(self) -> None:
        """Replaces a token before it ends, so that no request is ever sent with a dead one."""
        if self._fresh_until is None or time.monotonic() < self._fresh_until:
            return
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
                f"this run: {answer.status}: {answer.detail}. It was not tried again."
            )

    # -- requests ----------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, **kwargs: t.Any) -> Answer:
        self._keep_fresh()
        try:
            return self.session.request(method, path, **kwargs)
        except ApiError as exc:
            if exc.status == 403:
                raise ModelopsError(
                    f"{exc}. {self.username!r} lacks a permission; an administrator has them all."
                ) from exc
            raise

    def get(self, path: str, **kwargs: t.Any) -> Answer:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, **kwargs: t.Any) -> Answer:
        return self.request("POST", path, **kwargs)

    def claim(self, token: str | None) -> Answer:
        """Makes the first administrator of a server that nobody has claimed; the answer is the caller's to judge."""
        self.session.hide(token)
        body = {"username": self.username, "password": self._password, **({"setup_token": token} if token else {})}
        return self.session.post("/v1/admin/setup", json=body, expect=(201, 400, 403), what="claim the server")

    # -- models ------------------------------------------------------------------------------------------------

    def models(self) -> dict[str, dict[str, t.Any]]:
        """The running models by UID, as ``GET /v1/models`` tells them; those that load are not among them."""
        return self._seen({row["id"]: row for row in self.get("/v1/models").json["data"]})

    def instances(self) -> dict[str, dict[str, t.Any]]:
        """Every model by UID with its state: the one source of it in all releases. Failed launches stay listed."""
        rows = {row["model_uid"]: row for row in self.get("/v1/models/instances").json}
        self.tries = [uid for uid in rows if uid.startswith(TRY)]
        return self._seen(rows)

    def _seen(self, rows: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
        return {uid: row for uid, row in rows.items() if self.sees_tries or not uid.startswith(TRY)}

    def presence(self, uid: str) -> str:
        """releases.UNKNOWN, LOADING or RUNNING."""
        return releases.presence(self.get(_model(uid), expect=()), uid)

    def launch(self, body: t.Mapping[str, t.Any]) -> None:
        """Starts a launch and does not wait for it."""
        self.post(
            "/v1/models", params={"wait_ready": "false"}, json=body, what=f"launch {body['model_uid']!r}", timeout=120
        )

    def terminate(self, uid: str) -> Answer:
        """400 is a model that the server does not know, or one that still loads."""
        return self.request("DELETE", _model(uid), expect=(200, 400), what=f"terminate {uid!r}", timeout=180)

    def cancel(self, uid: str, timeout: float) -> Answer:
        """Cancels a launch; answers only when the load has really ended."""
        return self.post(_model(uid) + "/cancel", expect=(), what=f"cancel the launch of {uid!r}", timeout=timeout)

    def add_replica(self, uid: str, config: t.Mapping[str, t.Any], timeout: float) -> None:
        """Starts another replica of a running model; answers when it is ready.

        :param config: empty, or ``replica_config`` with the place of the new one.
        """
        self.post(_model(uid) + "/replicas", json=config, what=f"add a replica of {uid!r}", timeout=timeout)

    def remove_replica(self, uid: str, number: int) -> None:
        self.request(
            "DELETE", f"{_model(uid)}/replicas/{number}", what=f"remove replica {number} of {uid!r}", timeout=180
        )

    def progress(self, uid: str) -> dict[str, t.Any]:
        answer = self.get(_model(uid) + "/progress", expect=())
        return answer.json if answer.status == 200 and isinstance(answer.json, dict) else {}

    def engines(self, model_type: str, name: str) -> dict[str, t.Any] | None:
        """Engine -> list of what it can run of this model, or the reason why it cannot; None for an unknown model."""
        answer = self.get(releases.engines_path(model_type, quote(name, safe="")), expect=())
        return answer.json if answer.status == 200 else None

    # -- autostart ---------------------------------------------------------------------------------------------

    def autostart(self) -> dict[str, dict[str, t.Any]] | None:
        """What the server launches at its next start, by UID, secrets as ``******``; None where it has no such thing."""
        answer = self.get("/v1/autostart/models", expect=(200, 404))
        if answer.status == 404:  # before 2.x
            return None
        return {row["launch"]["model_uid"]: row for row in answer.json["models"]}

    def put_autostart(self, entry: t.Mapping[str, t.Any]) -> None:
        """Adds an entry or replaces it. The server launches it at once where the model does not run."""
        self.post("/v1/autostart/models", json=entry, what=f"put {entry['launch']['model_uid']!r} into the autostart")

    def drop_autostart(self, uid: str) -> None:
        path = f"/v1/autostart/models/{quote(uid, safe='')}"
        self.request("DELETE", path, what=f"take {uid!r} out of the autostart")

    def launch_history(self) -> dict[str, dict[str, t.Any]]:
        """UID -> what the web interface launched last under it; empty where it has no such list (1.x)."""
        answer = self.get("/v1/launch_history", expect=())
        rows = answer.json if answer.status == 200 else []
        return {row["model_uid"] or row["model_name"]: {"model_name": row["model_name"], **row["data"]} for row in rows}

    # -- registrations -----------------------------------------------------------------------------------------

    def registrations(self, model_type: str, detailed: bool = False) -> list[dict[str, t.Any]]:
        """All registered models of a type: name and is_builtin; detailed has the definitions, and takes a second."""
        return self.get(f"/v1/model_registrations/{model_type}", params={"detailed": "true"} if detailed else None).json

    def registration(self, model_type: str, name: str) -> dict[str, t.Any] | None:
        """One definition; None where there is none of this name."""
        answer = self.get(_registration(model_type, name), expect=(200, 400))
        return answer.json if answer.status == 200 else None

    def register(self, model_type: str, body: t.Mapping[str, t.Any], worker: str | None = None) -> None:
        """:param worker: address of the only worker that is to know it; None tells all of them."""
        # The definition travels as text within JSON; persist is mandatory, and without it a restart would forget.
        self.post(
            f"/v1/model_registrations/{model_type}",
            json={"model": json.dumps(body), "persist": True, **({"worker_ip": worker} if worker else {})},
            what=f"register the definition of {body['model_name']!r}",
        )

    def register_again(self, model_type: str, registered: t.Mapping[str, t.Any], worker: str | None = None) -> None:
        """Registers what `registration` told of a definition."""
        self.register(model_type, {key: value for key, value in registered.items() if key != "is_builtin"}, worker)

    def unregister(self, model_type: str, name: str) -> None:
        """Removes a definition, and looks: the server answers 200 for a name that it does not know, too."""
        self.request("DELETE", _registration(model_type, name), what=f"unregister {name!r}")
        if self.registration(model_type, name) is not None:
            raise ModelopsError(f"{self.endpoint} said that it unregistered {name!r}, but still has it")

    # -- downloaded weights ------------------------------------------------------------------------------------

    def cached(self, worker: str | None = None) -> list[dict[str, t.Any]]:
        """What the workers hold in their caches, a row for each version of a model and worker."""
        return self.get("/v1/cache/models", params={"worker_ip": worker} if worker else None).json["list"]

    def remove_cached(self, version: str, worker: str) -> bool:
        """Deletes the files of one version on one worker; False where the server could not."""
        answer = self.request(
            "DELETE",
            "/v1/cache/models",
            params={"model_version": version, "worker_ip": worker},
            what=f"delete the cache of {version!r}",
            timeout=600,
        )
        return bool(answer.json["result"])


def _model(uid: str) -> str:
    return f"/v1/models/{quote(uid, safe='')}"


def _registration(model_type: str, name: str) -> str:
    return f"/v1/model_registrations/{model_type}/{quote(name, safe='')}"


def _lifetime(token: str, date: str | None) -> float | None:
    """Seconds until a JWT ends, both times by the server's clock; None where the token does not say."""
    try:
        payload = token.split(".")[1]
        ends = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        now = parsedate_to_datetime(date).timestamp() if date else time.time()
        return float(ends) - now
    except (IndexError, KeyError, TypeError, ValueError):
        return None
