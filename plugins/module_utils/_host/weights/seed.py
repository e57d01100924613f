# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host gives its weights to others for a while. Private to the collection.

A process that serves exactly the files of a manifest by HTTP, to whoever has the token of this run. It ends when it is
told so, when nobody has asked for a while, and in any case after a day. What the peers receive is compared with the
manifest, which they get by Ansible's connection: the network is not trusted.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import json
import os
import re
import sys
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, Refused, relative
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system.digests import digest_of
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, write_file
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.weights import RECORD, STATE, record

# Seconds without a request, and in all.
IDLE = 600
LIFETIME = 86400


def manifest(directory: str, names: t.Iterable[str]) -> dict[str, dict[str, t.Any]]:
    """The manifest of each of the weights for a peer: record, files, and their SHA-256.

    :raises ModelopsError: one of them is not complete here.
    """
    found = {}
    for name in names:
        about = record(directory, name)
        if about is None:
            raise ModelopsError(f"the weights {name} are not on this host, so it cannot distribute them")
        root = about["directory"]
        with Directory.at(root) as top:
            paths = sorted(os.path.join(inside, file) for inside, _place, files in top.walk() for file in files)
        found[name] = {
            "source": about["source"],
            "path": os.path.relpath(about["path"], root),
            "several": about.get("several", []),
            # A link to a directory has nothing that is not there by its own name.
            "files": [
                _file(root, path) for path in paths if path != RECORD and not os.path.isdir(os.path.join(root, path))
            ],
        }
    return found


def _file(root: str, path: str) -> dict[str, t.Any]:
    """A file of the manifest.

    :raises ModelopsError: it is one that other hosts must not have.
    """
    inside = relative(os.path.join(root, path), root)
    try:
        if inside is None:
            raise Refused("it links to a place outside", path)
        with below(root, inside) as file:
            return {"path": path, "bytes": os.fstat(file.fileno()).st_size, "sha256": digest_of(file)}
    except OSError as exc:
        raise ModelopsError(
            f"{os.path.join(root, path)} is not distributed to other hosts: {exc.strerror}. Remove {root} and run this again to "
            "download it again."
        ) from exc


def below(root: str, inside: str) -> t.BinaryIO:
    """A regular file in a directory; no link is followed on the way to it."""
    folder, name = os.path.split(inside)
    with Directory.at(root) as top, top.below(folder) as place:
        return place.open(name)


class Server(ThreadingHTTPServer):
    """
    :param files: by URL path, the directory of the weights, the file's path inside, and the SHA-256.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], token: str, files: t.Mapping[str, tuple[str, str, str]]):
        self.token = token
        self.files = files
        self.heard = self.started = time.monotonic()
        super().__init__(address, Handler)

    def service_actions(self) -> None:
        """Called by serve_forever several times a second."""
        now = time.monotonic()
        # Each connection has a thread of its own.
        idle = threading.active_count() == 1 and now - self.heard > IDLE
        if idle or now - self.started > LIFETIME:
            # From another thread: shutdown() waits for the loop that this is called in.
            threading.Thread(target=self.shutdown).start()

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A peer that went away is no error of this one."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Seconds that a peer may take to take a block.
    timeout = 60
    server: Server

    def do_GET(self) -> None:
        if not self._known():
            return
        root, inside, sha256 = self.server.files.get(self.path, ("", "", ""))
        try:
            file = below(root, inside)
        except OSError:
            self._answer(404)
            return
        tag = f'"{sha256}"'
        with file:
            total = os.fstat(file.fileno()).st_size
            found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(found[1]) if found and self.headers.get("If-Range", tag) == tag else 0
            if start and start >= total:
                self._answer(416)
                return
            headers = {"Content-Length": str(total - start), "ETag": tag, "Accept-Ranges": "bytes"}
            if start:
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            self._answer(206 if start else 200, headers)
            if total - start:
                self.connection.sendfile(file, start)
            self.server.heard = time.monotonic()

    def do_DELETE(self) -> None:
        if self._known():
            self._answer(200)
            threading.Thread(target=self.server.shutdown).start()

    def _known(self) -> bool:
        given = self.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, f"Bearer {self.server.token}".encode()):
            self.server.heard = time.monotonic()
            return True
        self._answer(403)
        return False

    def _answer(self, status: int, headers: t.Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {"Content-Length": "0"}).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()

    def log_message(self, *_args: t.Any) -> None:
        """Discards the message."""


def start(directory: str, names: t.Iterable[str], address: str, port: int, token: str) -> dict[str, t.Any]:
    """Serves until it is stopped; returns at once.

    :param address: IPv4 address to listen on.
    :param port: 0 for any.
    :param token: what a peer must show.
    :returns: {"url", "weights"}, what a peer needs beside the token.
    """
    if not address:
        raise ModelopsError("this host has no address that other hosts reach, so it cannot distribute weights")
    stop(directory)
    weights = manifest(directory, names)
    files = {
        f"/{quote(name)}/{quote(file['path'])}": (
            root,
            relative(os.path.join(root, file["path"]), root) or "",
            file["sha256"],
        )
        for name, entry in weights.items()
        for root in [os.path.join(directory, name)]
        for file in entry["files"]
    }
    try:
        server = Server((address, port), token, files)
    except OSError as exc:
        raise ModelopsError(
            f"cannot listen on {address}:{port} to distribute weights to other hosts: {exc.strerror}"
        ) from exc
    url = f"http://{address}:{server.server_address[1]}"
    state = os.path.join(directory, STATE)
    # First, so that one that could not be found again is never started.
    write_file(state, json.dumps({"url": url, "token": token}), 0o600)
    if _fork():
        server.socket.close()
        return {"url": url, "weights": weights}
    try:
        _leave_the_session(server.fileno())
        server.serve_forever(poll_interval=0.2)
        server.socket.close()
    finally:
        with contextlib.suppress(OSError):
            if token in (read_file(state) or ""):
                os.unlink(state)
        os._exit(0)


def serving(directory: str) -> bool:
    return os.path.exists(os.path.join(directory, STATE))


def stop(directory: str) -> bool:
    """Stops the process that serves this directory and waits for its end; False if there was none."""
    state = os.path.join(directory, STATE)
    try:
        known = json.loads(read_file(state) or "")
    except ValueError:
        return False
    ended = False
    connection = http.client.HTTPConnection(t.cast(str, urlsplit(known["url"]).netloc), timeout=10)
    # Where it does not answer it has ended by itself, or with the machine.
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("DELETE", "/", headers={"Authorization": f"Bearer {known['token']}"})
        ended = connection.getresponse().status == 200
    connection.close()
    # It removes its file when its socket is closed.
    end = time.monotonic() + 10
    while ended and serving(directory) and time.monotonic() < end:
        time.sleep(0.05)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(state)
    return ended


def _fork() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def _leave_the_session(listening: int) -> None:
    """Whoever started this must not wait for it: no terminal, and none of its files but the socket."""
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != listening:
            # That of the listing itself is closed already.
            with contextlib.suppress(OSError):
                os.close(descriptor)
