# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real HTTP server on loopback that can be told to misbehave as servers of large files do."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """
    :ivar files: content by path.
    :ivar requests: (path, headers) of each request.
    :ivar break_after: for each of the next answers, the bytes after which it breaks off (None: it does not).
    :ivar statuses: for each of the next answers, a status instead of it (None: the answer).
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.break_after: list[int | None] = []
        self.statuses: list[int | None] = []
        self.redirects: dict[str, str] = {}
        self.need: str | None = None
        self.ranges = True
        self.length = True
        self.etag = '"1"'
        self.stall: threading.Event | None = None
        self.wrong_range = False
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def asked(self, name: str) -> list[str | None]:
        return [headers.get(name) for path, headers in self.requests]

    def close(self) -> None:
        if self.stall:
            self.stall.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        status = server.statuses.pop(0) if server.statuses else None
        if status is None and server.need and self.headers.get("Authorization") != server.need:
            status = 401
        if path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[path])
            self.end_headers()
            return
        if status is None and path not in server.files:
            status = 404
        if status:
            self.send_response(status)
            self.end_headers()
            return
        content = server.files[path]
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if server.ranges else None
        start = int(found[1]) if found and self.headers.get("If-Range", server.etag) == server.etag else 0
        if start and start >= len(content):
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if server.etag:
            self.send_header("ETag", server.etag)
        if start:
            shown = start - 1 if server.wrong_range else start
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        if server.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        after = server.break_after.pop(0) if server.break_after else None
        self.wfile.write(content[start:] if after is None else content[start : start + after])
        if server.stall and after is not None:
            self.wfile.flush()
            server.stall.wait(20)

    def log_message(self, *_args):
        pass
