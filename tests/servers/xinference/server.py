# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP side of the test server: routes, counts, check-mode refusal, injected faults."""

from __future__ import annotations

import base64
import contextlib
import copy
import email
import json
import re
import socket
import struct
import threading
import time
import typing as t
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from .accounts import ADMIN_PERMISSIONS, Accounts
from .behaviour import Behaviour
from .models import Models, Refused
from .profiles import PROFILES

USERNAME, PASSWORD, SETUP_TOKEN = "admin", "Adm1n-pass-word!", "setup-token-of-the-test-server"
# Answered without a token.
OPEN = ("/status", "/metrics", "/v1/address", "/v1/cluster/auth", "/token", "/v1/auth/refresh", "/v1/admin/setup")
# POSTs that change nothing.
READING_POSTS = (
    "/token",
    "/v1/auth/refresh",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/audio/transcriptions",
    "/v1/audio/speech",
    "/v1/images/generations",
)


@dataclass
class Fault:
    """A fault that occurs ``times`` times for requests of ``verb`` whose path matches ``path``.

    :param kind: "reset" (the connection breaks before anything is done), "reset_after" (it is done, the answer is
        lost), "status" (``status`` without a word).
    """

    kind: str
    verb: str = ".*"
    path: str = ".*"
    times: int = 1
    status: int = 500

    def matches(self, verb: str, path: str) -> bool:
        return bool(self.times > 0 and re.fullmatch(self.verb, verb) and re.search(self.path, path))


class XinferenceServer:
    """An Xinference on a free port of loopback; a context manager.

    :param profile: one of PROFILES.
    :param auth: whether authentication is on; None is what the release does by itself.
    :param claimed: whether there is an administrator (USERNAME, PASSWORD).
    :param setup_token: what a claim has to bring; "" for none, as in 3.x.
    :param strict_check: answer 599 to every request that could change something, and note it in ``violations``.
    :param cancel_seconds: how long a cancel takes.
    :param cards: worker -> GiB of each of its GPUs.
    """

    def __init__(
        self,
        profile: str = "4.1.0",
        *,
        auth: bool | None = None,
        claimed: bool = True,
        setup_token: str | None = None,
        strict_check: bool = False,
        token_life: float = 1800,
        cancel_seconds: float = 0.05,
        workers: t.Sequence[str] = ("127.0.0.1:51954",),
        cards: t.Mapping[str, t.Sequence[float]] | None = None,
        port: int = 0,
    ):
        self.profile = PROFILES[profile]
        self.auth = self.profile.auth_default if auth is None else auth
        self.strict_check = strict_check
        self.cancel_seconds = cancel_seconds
        self.models = Models(self.profile, workers)
        self.models.cards.update(cards or {})
        token = SETUP_TOKEN if setup_token is None and self.profile.setup_token else setup_token
        self.accounts = Accounts(self.profile.auth, token or None, token_life=token_life)
        if claimed:
            self.accounts.add_user(USERNAME, PASSWORD, list(ADMIN_PERMISSIONS))
        #: Requests by verb, and as (verb, path).
        self.counts: Counter[str] = Counter()
        self.requests: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self._started = time.time()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> XinferenceServer:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def serve_forever(self) -> None:
        self._http.serve_forever()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    # -- for tests -------------------------------------------------------------------------------------------------

    def behave(self, uid: str, **how: t.Any) -> None:
        """How ``uid`` loads and answers when it is launched; the fields of Behaviour."""
        self.models.behaviours[uid] = Behaviour(**how)

    def serve(self, uid: str, **body: t.Any) -> None:
        """Has a model running, as somebody launched it before."""
        body = {"model_uid": uid, "model_name": uid, "replica": 1, **body}
        with self.lock:
            self.models.launch(body)
            self.models.models[uid].launched -= 3600
            self.models.models[uid].error, self.models.models[uid].known = None, True
            self.models.launches.clear()

    def kill(self, uid: str, seconds: float = 0.5, lost: bool = False) -> None:
        """The process of a model dies; after so long its worker has made it anew, or the supervisor forgets it (lost)."""
        with self.lock:
            self.models.models[uid].back, self.models.models[uid].lost = time.time() + seconds, lost

    def leave(self, worker: str) -> None:
        """A worker takes leave and ends, as on SIGINT."""
        with self.lock:
            self.models.leave(worker)

    def ask(self, uid: str, seconds: float) -> None:
        """Somebody's request, which takes so long."""
        with self.lock:
            model = self.models.models[uid]
            model.under_way.setdefault(self.models.turn(model), []).append(time.time() + seconds)

    def fault(self, kind: str, **how: t.Any) -> None:
        self.faults.append(Fault(kind, **how))

    def forget(self) -> None:
        """Starts counting anew."""
        self.counts.clear()
        self.requests.clear()

    def changes(self) -> list[tuple[str, str]]:
        """The requests that could change something, so far."""
        return [r for r in self.requests if r[0] != "GET" and r[1] not in READING_POSTS]

    # -- answering -------------------------------------------------------------------------------------------------

    def receive(self, verb: str, path: str) -> Fault | None:
        """Counts a request, and tells the fault that meets it."""
        self.counts[verb] += 1
        self.requests.append((verb, path))
        fault = next((f for f in self.faults if f.matches(verb, path)), None)
        if fault:
            fault.times -= 1
        return fault

    def refusal(self, refused: Refused) -> str:
        """The text of a refusal, with the address of the actor that it comes from."""
        where = "" if refused.plain else f"[address={(self.models.workers or ['127.0.0.1:1'])[0]}, pid=1] "
        if refused.text.startswith("Model is loading, please retry later: "):
            return refused.text.replace("later: ", f"later: {where}", 1)
        return where + refused.text

    def answer(self, verb: str, path: str, query: dict[str, str], body: t.Any, token: str | None) -> tuple[int, t.Any]:
        if self.auth and not path.startswith(OPEN):
            self.accounts.authorize(token, verb, path)
        if not self.auth and path.startswith(("/token", "/v1/admin", "/v1/auth")):
            raise Refused(404, "Not Found", plain=True)
        routes = ROUTES + (DATABASE_ROUTES if self.profile.auth == "database" and self.auth else [])
        for route_verb, pattern, method in routes:
            match = re.fullmatch(pattern, path)
            if match and route_verb == verb:
                arguments = {name: unquote(value) for name, value in match.groupdict().items()}
                return method(self, _Call(arguments, query, body, token))
        known = any(re.fullmatch(pattern, path) for _verb, pattern, _method in routes)
        raise Refused(405 if known else 404, "Method Not Allowed" if known else "Not Found", plain=True)


def _headers(status: int, content: str, length: int, closes: bool) -> dict[str, str]:
    headers = {"Content-Type": content, "Content-Length": str(length)}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if closes:
        headers["Connection"] = "close"
    return headers


def _handler(server: XinferenceServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_args: object) -> None:
            pass

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with server.lock:
                fault = server.receive(self.command, parts.path)
                if fault and fault.kind == "reset":
                    return self._reset()
                if fault and fault.kind == "status":
                    return self._send(fault.status, {"detail": f"fault {fault.status}"})
                if server.strict_check and self.command != "GET" and parts.path not in READING_POSTS:
                    server.violations.append(f"{self.command} {parts.path}")
                    return self._send(599, {"detail": "refused in check mode"})
                status, body = self._answer(parts.path, dict(parse_qsl(parts.query)), raw)
                if fault:
                    return self._reset()
            self._send(status, body)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def _answer(self, path: str, query: dict[str, str], raw: bytes) -> tuple[int, t.Any]:
            content = self.headers.get("Content-Type") or ""
            try:
                body = _decoded(content, raw)
            except ValueError as exc:
                if path != "/token":  # which says 400 to a form
                    return 500, _Text(f"Internal Server Error: {exc}")
                body = None
            server.models.settle()
            try:
                return server.answer(self.command, path, query, body, self.headers.get("Authorization"))
            except Refused as exc:
                return exc.status, {"detail": server.refusal(exc)}

        def _send(self, status: int, body: t.Any) -> None:
            content, data = _encoded(body)
            self.send_response(status)
            for name, value in _headers(status, content, len(data), self.close_connection).items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # the client waited no longer
                self.wfile.write(data)

        def _reset(self) -> None:
            # Closing with data unread makes the kernel send a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.connection.close()
            self.close_connection = True

    return Handler


def _decoded(content: str, raw: bytes) -> t.Any:
    """The body of a request."""
    if content.startswith("multipart/form-data"):
        return _form(content, raw)
    return json.loads(raw) if raw else None


def _encoded(body: t.Any) -> tuple[str, bytes]:
    """Content type and bytes of an answer."""
    if isinstance(body, bytes):
        return "audio/wav", body
    if isinstance(body, _Text):
        return "text/plain; charset=utf-8", body.encode()
    return "application/json", json.dumps(body).encode()


class _Call(t.NamedTuple):
    args: dict[str, str]
    query: dict[str, str]
    body: t.Any
    token: str | None


def _version(server: XinferenceServer, _call: _Call) -> tuple[int, t.Any]:
    fields = {"date": "2026-01-13T15:12:48+0800", "dirty": False, "error": None}
    more = {key: fields[key] for key in server.profile.version_fields}
    return 200, {**more, "full-revisionid": "0" * 40, "version": server.profile.version}


def _status(server: XinferenceServer, _call: _Call) -> tuple[int, t.Any]:
    usage = {"cpu": {"usage": 0.05, "total": 2, "memory_used": 1, "memory_available": 1, "memory_total": 2}}
    worker = {"update_time": time.time(), "failure_remaining_count": 5, "status": usage}
    return 200, {"uptime": int(time.time() - server._started), "workers": dict.fromkeys(server.models.workers, worker)}


def _cluster_info(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    detailed = call.query.get("detailed") == "true"
    models, gib = server.models, 1024**3
    ram = {"cpu_available": 1.9, "cpu_count": 2, "mem_used": gib, "mem_available": 22 * gib, "mem_total": 24 * gib}
    place = {"node_type": "Supervisor", "ip_address": (models.workers or ["127.0.0.1:1"])[0]}
    rows = [{**place, "gpu_count": 0, "gpu_vram_total": 0, **(ram if detailed else {})}]
    for worker in models.workers:
        cards = models.cards.get(worker, ())
        total = int(sum(cards) * gib)
        held = sum(sum(places.get(worker, {}).values()) for places in models.held.values())
        shown = total if detailed or not total else f"{total // 1024**2}MiB"
        row = {"node_type": "Worker", "ip_address": worker, "gpu_count": len(cards), "gpu_vram_total": shown}
        rows.append({**row, **({**ram, "gpu_vram_available": total - held} if detailed else {})})
    return 200, rows


def _launch(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    uid = server.models.launch(call.body)
    if call.query.get("wait_ready") == "false":
        return 200, {"model_uid": uid}
    model = server.models.models[uid]
    if model.error is not None:
        raise Refused(400, model.error)
    server.lock.release()
    try:
        time.sleep(model.behaviour.seconds)
    finally:
        server.lock.acquire()
    return 200, {"model_uid": uid}


def _cancel(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    server.models.cancel(call.args["uid"])
    server.lock.release()
    try:
        time.sleep(server.cancel_seconds)
    finally:
        server.lock.acquire()
    return 200, None


def _register(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    if "persist" not in call.body:
        text = "Internal Server Error: 1 validation error for RegisterModelRequest\npersist\n  field required"
        return 500, _Text(f"{text} (type=value_error.missing)")
    try:
        body = json.loads(call.body["model"])
    except ValueError as exc:
        raise Refused(
            400, f"1 validation error for CustomModelFamilyV2\n__root__\n  {exc} (type=value_error.jsondecode)"
        )
    server.models.register(call.args["type"], body, call.body.get("worker_ip"))
    return 200, None


def _autostart(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    if not server.profile.autostart:
        raise Refused(404, "Not Found", plain=True)
    if call.body is not None:
        launch = call.body.get("launch") or {}
        if not launch.get("model_name"):
            raise Refused(400, "Autostart launch config requires a non-empty model_name.")
        uid = launch.get("model_uid") or launch["model_name"]
        defaults = {"enabled": True, "priority": 100, "max_retries": 3, "retry_interval_seconds": 30}
        server.models.autostart[uid] = {**defaults, **call.body, "state": {"instance_status": "READY"}}
        if uid not in server.models.models:
            server.models.launch(launch)
    rows = copy.deepcopy(sorted(server.models.autostart.values(), key=lambda row: row["priority"]))
    for row in rows:
        if row["launch"].get("envs"):
            row["launch"]["envs"] = dict.fromkeys(row["launch"]["envs"], "******")
    return 200, {"models": rows}


def _drop_autostart(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    if not server.profile.autostart:
        raise Refused(404, "Not Found", plain=True)
    server.models.autostart.pop(call.args["uid"], None)
    summary = [{"enabled": row["enabled"], "model_uid": uid} for uid, row in server.models.autostart.items()]
    return 200, {"models": summary}


def _history(server: XinferenceServer, _call: _Call) -> tuple[int, t.Any]:
    if not server.profile.autostart:
        raise Refused(404, "Not Found", plain=True)
    return 200, server.models.history


def _remove_cached(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    return 200, {"result": server.models.remove_cached(call.query["model_version"], call.query.get("worker_ip"))}


def _add_replica(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    if not server.profile.add_replica:
        raise Refused(405, "Method Not Allowed", plain=True)
    uid = call.args["uid"]
    number = server.models.begin_replica(uid, call.body)["replica_id"]
    server.lock.release()
    try:
        time.sleep(max(0, server.models.models[uid].adding[number] - time.time()))
    finally:
        server.lock.acquire()
    return 200, server.models.added(uid, number)


def _remove_replica(server: XinferenceServer, call: _Call) -> tuple[int, t.Any]:
    if not call.args["number"].isdigit():
        problem = {"type": "int_parsing", "loc": ["path", "replica_id"], "input": call.args["number"]}
        text = "Input should be a valid integer, unable to parse string as an integer"
        return 422, {"detail": [{**problem, "msg": text}]}
    return 200, server.models.remove_replica(call.args["uid"], int(call.args["number"]))


def _infer(server: XinferenceServer, call: _Call, kind: str) -> tuple[int, t.Any]:
    if "model" not in call.body:
        text = (
            "Internal Server Error: 1 validation error for Request\nmodel\n  field required (type=value_error.missing)"
        )
        return 500, _Text(text)
    model = server.models.serving(call.body["model"])
    model_type = model.body["model_type"]
    if {"chat": "LLM", "completion": "LLM", "transcription": "audio", "speech": "audio"}.get(kind, kind) != model_type:
        raise Refused(500, "The request failed. Check the server logs for details.", plain=True)
    if model.behaviour.refuses:
        raise Refused(500, model.behaviour.refuses)
    return 200, _ANSWERS[kind](server, model, call.body)


def _chat(_server: XinferenceServer, model: t.Any, _body: t.Any) -> t.Any:
    choice = {"finish_reason": "length", "index": 0, "message": {"role": "assistant", "content": "Hello."}}
    usage = {"completion_tokens": 2, "prompt_tokens": 4, "total_tokens": 6}
    return {"choices": [choice], "created": 1, "model": "/cache/model", "object": "chat.completion", "usage": usage}


def _completion(_server: XinferenceServer, model: t.Any, _body: t.Any) -> t.Any:
    choice = {"text": " world", "index": 0, "logprobs": None, "finish_reason": "length"}
    usage = {"completion_tokens": 2, "prompt_tokens": 2, "total_tokens": 4}
    return {"choices": [choice], "created": 1, "model": "/cache/model", "object": "text_completion", "usage": usage}


def _embedding(server: XinferenceServer, model: t.Any, body: t.Any) -> t.Any:
    family = server.models.definitions["embedding"].get(model.body["model_name"], {})
    length = model.behaviour.dimensions or family.get("dimensions", 1024)
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    rows = [{"index": i, "object": "embedding", "embedding": [0.01] * length} for i, _text in enumerate(texts)]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    replica = server.profile.replica(model.uid, 0)
    return {"object": "list", "model": model.uid, "model_replica": replica, "data": rows, "usage": usage}


def _rerank(_server: XinferenceServer, model: t.Any, body: t.Any) -> t.Any:
    order = [i for i in model.behaviour.order if i < len(body["documents"])]
    rows = [
        {"index": index, "relevance_score": 0.9 - 0.1 * place, "document": None} for place, index in enumerate(order)
    ]
    return {"id": "1", "results": rows, "meta": {}}


def _transcription(_server: XinferenceServer, _model: t.Any, body: t.Any) -> t.Any:
    assert body["file"].startswith(b"RIFF")
    return {"text": "hello"}


def _speech(_server: XinferenceServer, model: t.Any, body: t.Any) -> bytes:
    """Half a second (16 bits, mono, 24 kHz)."""
    assert body["input"] and body["response_format"] == "wav"
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 24036, b"WAVE", b"fmt ", 16, 1, 1, 24000, 48000, 2, 16, b"data", 24000
    )
    return model.behaviour.sound or head + b"\x01\x02" * 12000


def _image(_server: XinferenceServer, model: t.Any, body: t.Any) -> t.Any:
    """The first bytes of a JPEG: a segment of the application's, and the frame with the picture's size."""
    width, height = (int(number) for number in body["size"].split("*"))
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03"
    data = model.behaviour.picture or b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(9) + frame
    return {"created": 1, "data": [{"url": None, "b64_json": base64.b64encode(data).decode()}]}


_ANSWERS = {
    "chat": _chat,
    "completion": _completion,
    "embedding": _embedding,
    "rerank": _rerank,
    "transcription": _transcription,
    "speech": _speech,
    "image": _image,
}


class _Text(str):
    """A body that is text and not JSON."""


def _form(content: str, raw: bytes) -> dict[str, bytes | str]:
    """The fields of a form: text, and the bytes of a file."""
    parts = email.message_from_bytes(f"Content-Type: {content}\r\n\r\n".encode() + raw).get_payload()
    found = {}
    for part in parts:
        data = part.get_payload(decode=True)
        found[part.get_param("name", header="content-disposition")] = data if part.get_filename() else data.decode()
    return found


def _do(value: t.Any, status: int = 200) -> tuple[int, t.Any]:
    return status, value


_UID = r"/v1/models/(?P<uid>[^/]+)"
_REG = r"/v1/model_registrations/(?P<type>[^/]+)"
_USER = r"/v1/admin/users/(?P<id>\d+)"
_KEY = r"/v1/admin/keys/(?P<id>\d+)"

ROUTES: list[tuple[str, str, t.Callable[[XinferenceServer, _Call], tuple[int, t.Any]]]] = [
    ("GET", "/status", _status),
    ("GET", "/v1/address", lambda s, c: _do(s.models.workers[0])),
    ("GET", "/v1/supervisor", lambda s, c: _do({"supervisor_ip": s.models.workers[0]})),
    ("GET", "/v1/cluster/auth", lambda s, c: _do({"auth": s.auth})),
    ("GET", "/v1/cluster/version", _version),
    ("GET", "/v1/cluster/devices", lambda s, c: _do(sum(map(len, s.models.cards.values())))),
    ("GET", "/v1/cluster/info", _cluster_info),
    # models
    ("GET", "/v1/models", lambda s, c: _do({"object": "list", "data": s.models.listed()})),
    ("POST", "/v1/models", _launch),
    ("GET", "/v1/models/instances", lambda s, c: _do(s.models.instances(c.query.get("model_uid")))),
    ("GET", _UID, lambda s, c: _do(s.models.described(c.args["uid"]))),
    ("DELETE", _UID, lambda s, c: _do(s.models.terminate(c.args["uid"]))),
    ("GET", _UID + "/progress", lambda s, c: _do(s.models.progress(c.args["uid"]))),
    ("POST", _UID + "/cancel", _cancel),
    ("GET", _UID + "/events", lambda s, c: _do([])),
    ("GET", _UID + "/replicas", lambda s, c: _do(s.models.replicas(c.args["uid"]))),
    ("POST", _UID + "/replicas", _add_replica),
    ("DELETE", _UID + "/replicas/(?P<number>[^/]+)", _remove_replica),
    ("GET", "/v1/engines/(?P<name>[^/]+)", lambda s, c: _do(s.models.engines("LLM", c.args["name"]))),
    (
        "GET",
        "/v1/engines/(?P<type>[^/]+)/(?P<name>[^/]+)",
        lambda s, c: _do(s.models.engines(c.args["type"], c.args["name"])),
    ),
    ("GET", _REG, lambda s, c: _do(s.models.registrations(c.args["type"], c.query.get("detailed") == "true"))),
    ("POST", _REG, _register),
    ("GET", _REG + "/(?P<name>[^/]+)", lambda s, c: _do(s.models.registration(c.args["type"], c.args["name"]))),
    ("DELETE", _REG + "/(?P<name>[^/]+)", lambda s, c: _do(s.models.unregister(c.args["type"], c.args["name"]))),
    ("GET", "/v1/autostart/models", _autostart),
    ("POST", "/v1/autostart/models", _autostart),
    ("DELETE", "/v1/autostart/models/(?P<uid>[^/]+)", _drop_autostart),
    ("GET", "/v1/launch_history", _history),
    ("GET", "/v1/cache/models", lambda s, c: _do({"list": s.models.cached(c.query.get("worker_ip"))})),
    ("DELETE", "/v1/cache/models", _remove_cached),
    # inference
    ("POST", "/v1/chat/completions", lambda s, c: _infer(s, c, "chat")),
    ("POST", "/v1/completions", lambda s, c: _infer(s, c, "completion")),
    ("POST", "/v1/embeddings", lambda s, c: _infer(s, c, "embedding")),
    ("POST", "/v1/rerank", lambda s, c: _infer(s, c, "rerank")),
    ("POST", "/v1/audio/transcriptions", lambda s, c: _infer(s, c, "transcription")),
    ("POST", "/v1/audio/speech", lambda s, c: _infer(s, c, "speech")),
    ("POST", "/v1/images/generations", lambda s, c: _infer(s, c, "image")),
    # authentication
    ("POST", "/token", lambda s, c: _do(s.accounts.login(c.body))),
]

DATABASE_ROUTES: list[tuple[str, str, t.Callable[[XinferenceServer, _Call], tuple[int, t.Any]]]] = [
    ("POST", "/v1/auth/refresh", lambda s, c: _do(s.accounts.refresh(c.body))),
    ("GET", "/v1/admin/setup/status", lambda s, c: _do(s.accounts.setup_status())),
    ("POST", "/v1/admin/setup", lambda s, c: _do(s.accounts.setup(c.body), 201)),
    ("GET", "/v1/admin/users", lambda s, c: _do(s.accounts.user_rows())),
    ("POST", "/v1/admin/users", lambda s, c: _do(s.accounts.create_user(c.body), 201)),
    ("PUT", _USER, lambda s, c: _do(s.accounts.user(int(c.args["id"])).update(permissions=c.body["permissions"]))),
    (
        "PUT",
        _USER + "/password",
        lambda s, c: _do(s.accounts.change_password(int(c.args["id"]), c.body, s.accounts.caller(c.token))),
    ),
    ("DELETE", _USER, lambda s, c: _do(s.accounts.delete_user(int(c.args["id"])))),
    ("GET", "/v1/admin/keys", lambda s, c: _do(s.accounts.key_rows())),
    ("POST", "/v1/admin/keys", lambda s, c: _do(s.accounts.create_key(c.body, s.accounts.caller(c.token)), 201)),
    ("GET", _KEY + "/reveal", lambda s, c: _do(s.accounts.reveal(int(c.args["id"])))),
    ("PUT", _KEY, lambda s, c: _do(s.accounts.change_key(int(c.args["id"]), c.body))),
    ("DELETE", _KEY, lambda s, c: _do(s.accounts.keys.remove(s.accounts.key(int(c.args["id"]))))),
]
