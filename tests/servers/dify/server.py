# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP side: counts, check-mode refusal, injected faults."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
import typing as t
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from .app import API, App, Reply, Request
from .profiles import PROFILES, UNRECORDED
from .state import State, Workspace
from .xinference import Backend

EMAIL, PASSWORD = "admin@example.com", "Passw0rd!xyz"

READ_VERBS = ("GET", "HEAD", "OPTIONS")
# POSTs that change nothing that a user would notice.
READING_POSTS = (
    f"{API}/login",
    f"{API}/refresh-token",
    f"{API}/workspaces/current",
    f"{API}/workspaces/current/plugin/list/latest-versions",
    f"{API}/workspaces/current/plugin/list/installations/ids",
)

HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>"


@dataclass
class Fault:
    """A fault that occurs ``times`` times for requests of ``verb`` whose path matches ``path``.

    :param kind: "slow" (answered after ``seconds``), "reset" (the connection breaks before anything is done),
        "reset_after" (it is done, the answer is lost), "status" (``status`` without a word), "html" (a proxy's page),
        "redirect" (to ``location``), "no_version" (the header X-Version is missing), "no_cookie" (a proxy drops the
        request's cookies), "no_csrf" (or its CSRF token), "no_set_cookie" (or the cookies of the answer), "daemon" (the
        plugin daemon does not answer), "refused" (400 with ``message``), "fail" (200 with a result that is none),
        "unlisted" (200 with an empty list, as just after a restart), "expired" (the login is over), "inactive" (it is
        done, and the model has the status ``message`` then), "overtaken" (another run has just done the same, so that a
        unique constraint of Dify's database refuses it: a 500 without a word, on all releases).
    """

    kind: str
    verb: str = ".*"
    path: str = ".*"
    times: int = 1
    status: int = 500
    location: str = ""
    seconds: float = 0
    message: str = ""

    def matches(self, verb: str, path: str) -> bool:
        return bool(self.times > 0 and re.fullmatch(self.verb, verb) and re.search(self.path, path))


class DifyServer:
    """A Dify on a free port of loopback; a context manager.

    Set up, with one owner (EMAIL, PASSWORD), one workspace and the Xinference plugin, unless ``fresh``.

    :param profile: one of PROFILES or UNRECORDED.
    :param certificate: a PEM file with a certificate and its key: speak https.
    :param strict_check: answer 599 to every request that could change something, and note it in ``violations``.
    """

    def __init__(
        self,
        profile: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        fresh: bool = False,
        backend: Backend | None = None,
        strict_check: bool = False,
        certificate: str | None = None,
    ):
        self.profile = PROFILES.get(profile) or UNRECORDED[profile]
        self.backend = backend or Backend()
        self.state = State()
        self.app = App(self.profile, self.state, self.backend)
        self.strict_check = strict_check
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        #: Every request as (verb, path, JSON body).
        self.log: list[tuple[str, str, t.Any]] = []
        self._lock = threading.RLock()
        if not fresh:
            self.state.setup = True
            self.state.add_account(EMAIL, PASSWORD)
            self.state.add_workspace("admin's Workspace", admin="owner")
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One packet an answer: written in pieces, each waits for the other side's delayed acknowledgement.
            wbufsize = -1
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: t.Any) -> None:
                pass

            def handle_any(self) -> None:
                server._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        self._http = ThreadingHTTPServer((host, port), Handler)
        self._http.daemon_threads = True
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return "{}://{}:{}".format(self._scheme, *self._http.server_address[:2])

    @property
    def workspace(self) -> Workspace:
        """The first workspace."""
        return next(iter(self.state.workspaces.values()))

    @property
    def counts(self) -> Counter[str]:
        """Number of requests by verb."""
        return Counter(verb for verb, path, body in self.log)

    def sent(self, verb: str, path: str = "") -> list[t.Any]:
        """The bodies of the requests of a verb whose path ends so."""
        return [body for v, p, body in self.log if v == verb and p.endswith(path)]

    def start(self) -> DifyServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> DifyServer:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _handle(self, http: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(http.path)
        raw = http.rfile.read(int(http.headers.get("Content-Length") or 0))
        content = http.headers.get("Content-Type") or ""
        body = None
        if content.startswith("application/json") and raw:
            body = json.loads(raw)
        file = re.search(rb'name="pkg"; filename="([^"]*)".*?\r\n\r\n(.*)\r\n--', raw, re.DOTALL)
        request = Request(
            http.command,
            unquote(parts.path),
            dict(parse_qsl(parts.query)),
            http.headers,
            body,
            (file.group(1).decode(), file.group(2)) if file else None,
        )
        with self._lock:
            self.log.append((request.verb, request.path, body))
            fault = next((f for f in self.faults if f.matches(request.verb, request.path)), None)
            if fault:
                fault.times -= 1
                self._spoil(request, fault)
            if fault and fault.kind == "reset":
                self._break(http)
                return
            reply = self._faulty(fault) or self._answer(request)
            if fault and fault.kind == "overtaken":
                reply = self.app.internal_error().reply
            if fault and fault.kind == "inactive":
                self.workspace.models[body["model"], body["model_type"]].unusable = fault.message or "no-configure"
        if fault:
            time.sleep(fault.seconds)
        if fault and fault.kind == "reset_after":
            self._break(http)
            return
        self._send(http, reply, fault)

    def _answer(self, request: Request) -> Reply:
        reads = request.verb in READ_VERBS or request.path in READING_POSTS
        if self.strict_check and not reads:
            self.violations.append(f"{request.verb} {request.path}")
            return Reply(599, {"code": "check_mode", "message": "a mutating request in check mode"})
        before = [dict(space.defaults) for space in self.state.workspaces.values()]
        reply = self.app.answer(request)
        if self.strict_check and before != [space.defaults for space in self.state.workspaces.values()]:
            self.violations.append(f"{request.verb} {request.path} wrote a default")
        return reply

    def _spoil(self, request: Request, fault: Fault) -> None:
        """Applies faults that precede the handling of a request."""
        dropped = {"no_cookie": "Cookie", "no_csrf": "X-CSRF-Token"}.get(fault.kind)
        if dropped:
            request.headers = {name: value for name, value in request.headers.items() if name != dropped}
        if fault.kind == "expired":
            self.state.tokens.clear()

    @staticmethod
    def _faulty(fault: Fault | None) -> Reply | None:
        if fault is None:
            return None
        if fault.kind == "status":
            return Reply(fault.status, {"message": "Internal Server Error", "code": "unknown"})
        if fault.kind == "html":
            return Reply(fault.status, HTML)
        if fault.kind == "redirect":
            return Reply(fault.status, "")
        if fault.kind in ("daemon", "refused"):
            told = fault.message or "Failed to request plugin daemon, url: plugin/x/management/models"
            return Reply(400, {"code": "invalid_param", "message": told, "status": 400})
        if fault.kind == "unlisted":
            return Reply(200, {"data": []})
        if fault.kind == "fail":
            return Reply(200, {"result": "fail", "data": "something is in the way"})
        return None

    def _send(self, http: BaseHTTPRequestHandler, reply: Reply, fault: Fault | None) -> None:
        html = isinstance(reply.body, str)
        data = b"" if reply.body is None else (reply.body if html else json.dumps(reply.body)).encode()
        http.send_response(reply.status)
        if not (fault and fault.kind in ("no_version", "html", "redirect")):
            http.send_header("X-Version", self.profile.version)
            http.send_header("X-Env", "PRODUCTION")
        if fault and fault.kind == "redirect":
            http.send_header("Location", fault.location)
        for cookie in () if fault and fault.kind == "no_set_cookie" else reply.cookies:
            http.send_header("Set-Cookie", cookie)
        if reply.status != 204:
            http.send_header("Content-Type", "text/html; charset=utf-8" if html else "application/json")
            http.send_header("Content-Length", str(len(data)))
        http.end_headers()
        if reply.status != 204:
            http.wfile.write(data)

    @staticmethod
    def _break(http: BaseHTTPRequestHandler) -> None:
        http.close_connection = True
        http.connection.shutdown(socket.SHUT_RDWR)
