# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Getting one large file over HTTP, resumed where it broke off. Private to the collection.

With urllib: hosts have nothing but Python's standard library.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import time
import typing as t
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system.digests import BLOCK, digest
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, write_file
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import DIGESTS, Source, public
from ansible_collections.modelops.inference.plugins.module_utils._pace import pace

# Failures in a row, with pauses of 1, 2, 4, ... seconds between them; a mebibyte of progress starts a new row.
ATTEMPTS = 6
PROGRESS = 1 << 20
# A look at what would come must not make anybody wait: attempts, and seconds without a byte.
LOOK_ATTEMPTS, LOOK_STALL = 2, 10
# Seconds without a byte. How fast the bytes come does not matter.
STALL = 60
pause = time.sleep
_REPEAT = (408, 425, 429, 500, 502, 503, 504)


class ConnectionLost(Exception):
    """A connection that could not be made or broke off: worth another try."""


class SliceEnded(Exception):
    """The slice of time is over; the next call goes on from here.

    :ivar line: what a person is shown.
    :ivar send: what the controller must send, {"file": ..., "offset": bytes}; None where it is not waited for.
    :ivar done: a line for each of the weights that were fetched before.
    """

    def __init__(self, line: str, send: dict[str, t.Any] | None = None):
        super().__init__(line)
        self.line = line
        self.send = send
        self.done: list[str] = []


class Clock:
    """A slice of time.

    :param seconds: its length; None for no end.
    """

    def __init__(self, seconds: float | None = None):
        self.end = None if seconds is None else time.monotonic() + seconds

    @property
    def over(self) -> bool:
        return self.end is not None and time.monotonic() >= self.end


class Part:
    """The downloaded part of a file, kept between runs: ``<directory>/part``, and in ``part.json`` what it is a part of."""

    def __init__(self, directory: str):
        self.path = os.path.join(directory, "part")
        self._about = os.path.join(directory, "part.json")
        try:
            self.about: dict[str, t.Any] = json.loads(read_file(self._about) or "{}")
        except ValueError:
            self.about = {}

    @property
    def size(self) -> int:
        return os.path.getsize(self.path) if self.about and os.path.exists(self.path) else 0

    @property
    def total(self) -> int | None:
        return self.about.get("total")

    @property
    def complete(self) -> bool:
        return self.total is not None and self.size == self.total and os.path.exists(self.path)

    def of(self, name: str) -> Part:
        """Itself, emptied where it is a part of something else."""
        if self.about and self.about["name"] != name:
            self.discard()
        return self

    def start(self, name: str, validator: str, total: int | None) -> None:
        """Begins anew.

        :param validator: what tells one version of the file from another; "" where nothing does.
        """
        self.discard()
        open(self.path, "wb").close()
        self.about = {"name": name, "validator": validator, "total": total}
        self.write()

    def write(self) -> None:
        write_file(self._about, json.dumps(self.about), 0o644)

    def discard(self) -> None:
        for path in (self._about, self.path):
            if os.path.exists(path):
                os.unlink(path)
        self.about = {}


class _Proxies(urllib.request.ProxyHandler):
    """The given proxy, else the environment's; every host is asked whether it is reached without."""

    def __init__(self, proxy: str | None, no_proxy: str | None):
        self.known = urllib.request.getproxies_environment()
        if proxy:
            self.known.update(http=proxy, https=proxy)
        if no_proxy:
            self.known["no"] = no_proxy
        super().__init__({scheme: url for scheme, url in self.known.items() if scheme in ("http", "https")})

    def proxy_open(self, req: t.Any, proxy: str, type: str) -> t.Any:
        if urllib.request.proxy_bypass_environment(req.host, self.known):  # type: ignore[attr-defined] # not in typeshed
            return None
        return super().proxy_open(req, proxy, type)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https; a header that was meant for one server is not told to another."""

    def __init__(self, private: t.Iterable[str]):
        self.private = [name.capitalize() for name in private]

    def redirect_request(self, req: t.Any, fp: t.Any, code: int, msg: str, headers: t.Any, newurl: str) -> t.Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise ModelopsError(
                f"{public(req.full_url)} redirects to {public(newurl)}, which is neither http nor https"
            )
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and origin(newurl) != origin(req.full_url):
            for name in self.private:
                request.headers.pop(name, None)
        return request


class Web:
    """The host's connections to servers.

    :param ca_path: certificate bundle (PEM) instead of the system's.
    :param proxy: proxy URL; None leaves it to the environment, "" uses none.
    :param timeout: seconds without a byte after which a connection counts as broken.
    :param attempts: after which it is given up, where none of them came further.
    """

    def __init__(
        self,
        *,
        ca_path: str | None = None,
        proxy: str | None = None,
        no_proxy: str | None = None,
        timeout: float | None = None,
        attempts: int | None = None,
    ):
        try:
            # Without a bundle, OpenSSL's own: SSL_CERT_FILE and SSL_CERT_DIR count.
            self.context = ssl.create_default_context(cafile=ca_path or None)
        except OSError as exc:
            raise ModelopsError(f"the certificate bundle {ca_path} cannot be read: {exc.strerror or exc}") from exc
        self.timeout = timeout or STALL
        self.attempts = attempts or ATTEMPTS
        self.proxies = urllib.request.ProxyHandler({}) if proxy == "" else _Proxies(proxy, no_proxy)

    def open(self, url: str, headers: t.Mapping[str, str], more: t.Mapping[str, str] | None = None) -> t.Any:
        """The answer to a GET, its body not yet read.

        :param headers: what only the URL's own server is told.
        :param more: what every server is told.
        :raises ConnectionLost: no answer, or one that says "later".
        """
        opener = urllib.request.build_opener(
            self.proxies, urllib.request.HTTPSHandler(context=self.context), _Redirects(headers)
        )
        # A compressed answer could not be resumed.
        sent = {**headers, **(more or {}), "Accept-Encoding": "identity", "User-Agent": "modelops.inference"}
        try:
            return opener.open(urllib.request.Request(url, headers=sent), timeout=self.timeout)
        except urllib.error.HTTPError as exc:
            exc.close()
            raise self._refusal(url, exc) from exc
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "reason", exc)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise ModelopsError(
                    f"{public(url)}: the certificate does not verify ({reason.verify_message}). Name the bundle of your "
                    "own certificate authority as index.ca_path (xinference_index.ca_path)."
                ) from exc
            raise ConnectionLost(_told(reason, self.timeout)) from exc

    @staticmethod
    def _refusal(url: str, exc: urllib.error.HTTPError) -> Exception:
        text = f"{exc.code} {exc.reason}"
        if exc.code in _REPEAT or exc.code == 416:
            return ConnectionLost(text)
        todo = {
            401: "Give the credentials as source.headers.",
            403: "Give the credentials as source.headers, or check their permissions.",
            404: "Check the URL.",
        }.get(exc.code, "")
        return ModelopsError(f"{public(url)}: the server answered {text}. {todo}".rstrip())

    def size(self, url: str, headers: t.Mapping[str, str]) -> int | None:
        """Bytes of a file, as its server says; None where it does not. A GET, because signed URLs refuse HEAD."""
        with self._patiently(url, lambda: self.open(url, headers)) as answer:
            return _length(answer)

    def text(self, url: str, headers: t.Mapping[str, str]) -> str:
        """A small text, at most a mebibyte."""

        def read() -> str:
            with self.open(url, headers) as answer:
                return answer.read(BLOCK).decode("utf-8", errors="replace")

        return self._patiently(url, read)

    def download(
        self, url: str, headers: t.Mapping[str, str], part: Part, name: str, clock: Clock, line: t.Callable[[], str]
    ) -> None:
        """Makes the part complete.

        :param name: what it is a part of, the same in every run.
        :param line: what a person is told where the time is over.
        :raises SliceEnded: the slice of time is over. Not with a server that cannot resume.
        """
        came, begun = 0, time.monotonic()

        def stream() -> None:
            nonlocal came
            for count, stoppable in self._stream(url, headers, part, name):
                came += count
                if clock.over and stoppable:
                    raise SliceEnded(line() + pace(came, time.monotonic() - begun, (part.total or 0) - part.size))

        if not part.of(name).complete:
            self._patiently(url, stream, part)
            if clock.over and came:
                raise SliceEnded(line())

    def _patiently(self, url: str, attempt: t.Callable[[], t.Any], part: Part | None = None) -> t.Any:
        """Tries until it works, at most `attempts` times without progress.

        :raises ModelopsError: it did not.
        """
        failures = 0
        while True:
            before = part.size if part else 0
            try:
                return attempt()
            except ConnectionLost as exc:
                came = (part.size if part else 0) - before
                failures = 1 if came >= PROGRESS else failures + 1
                if failures >= self.attempts:
                    kept = (
                        f" The downloaded part is kept ({amount(part.size, part.total)}); run this again to continue."
                        if part and part.size
                        else ""
                    )
                    raise ModelopsError(f"{public(url)}: {exc}, {failures} times in a row.{kept}") from exc
                pause(min(2 ** (failures - 1), 30))
            except OSError as exc:
                raise ModelopsError(f"{public(url)}: the download cannot be written: {exc.strerror or exc}") from exc

    def _stream(self, url: str, headers: t.Mapping[str, str], part: Part, name: str) -> t.Iterator[tuple[int, bool]]:
        """Appends to the part; yields the bytes of each block and whether this is a place to stop and resume at."""
        offset = part.size
        more = {"Range": f"bytes={offset}-"} if offset else {}
        if offset and part.about["validator"]:
            more["If-Range"] = part.about["validator"]
        try:
            answer = self.open(url, headers, more)
        except ConnectionLost as exc:
            if str(exc).startswith("416"):
                part.discard()
            raise
        with answer:
            resumable = answer.status == 206 or answer.headers.get("Accept-Ranges", "").lower() == "bytes"
            if answer.status == 206:
                found = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
                same = (
                    found and int(found[1]) == offset and found[2] in ("*", str(part.total if part.total else found[2]))
                )
                if not same:
                    part.discard()
                    raise ConnectionLost("the server sent another part than requested")
            else:
                part.start(name, _validator(answer), _length(answer))
            size, total = part.size, part.total
            with open(part.path, "ab") as file:
                while size != total:
                    try:
                        block = answer.read1(BLOCK)
                    except (OSError, http.client.HTTPException) as exc:
                        raise ConnectionLost(_told(exc, self.timeout)) from exc
                    if not block:
                        break
                    file.write(block)
                    size += len(block)
                    yield len(block), resumable and size != total
        if total is None:
            part.about["total"] = total = part.size
            part.write()
        if part.size > total:
            part.discard()
            raise ConnectionLost("the server sent more than it announced")
        if part.size < total:
            raise ConnectionLost(f"the connection ended after {amount(part.size, total)}")


def expected(source: Source, web: Web) -> tuple[str, str]:
    """The algorithm and the hex digits of a source's checksum; asks for the file of checksums where it names one."""
    algorithm, colon, value = source.checksum.partition(":")
    if "://" not in value:
        return algorithm, value
    text = web.text(value, source.headers if origin(value) == origin(source.where) else {})
    digits = f"[0-9a-fA-F]{{{DIGESTS[algorithm]}}}"
    lines = [line.split() for line in text.splitlines() if re.match(rf"{digits}(\s|$)", line)]
    named = [
        words[0] for words in lines if len(words) > 1 and os.path.basename(words[-1].lstrip("*")) == source.file_name
    ]
    alone = [words[0] for words in lines if len(words) == 1]
    if len(set(named or alone)) != 1:
        raise ModelopsError(f"{public(value)} has no single {algorithm} for {source.file_name}")
    return algorithm, (named or alone)[0].lower()


def verify(part: Part, algorithm: str, wanted: str, what: str) -> None:
    """Compares a complete part with its checksum; deletes it where it is another file.

    :raises ModelopsError: naming both.
    """
    found = digest(part.path, algorithm)
    if found != wanted:
        size = part.size
        part.discard()
        raise ModelopsError(
            f"{what}: its {algorithm} is {found}, but {wanted} was expected. The {size} downloaded bytes were deleted. "
            "Check the declared checksum, and whether the server or a proxy sends another file."
        )


def amount(done: int, total: int | None) -> str:
    """``42 % (6.9 of 16.4 GB)``."""
    if not total:
        return readable(done)
    unit, name = (1e9, "GB") if total >= 1e8 else (1e6, "MB")
    return f"{100 * done // total} % ({done / unit:.1f} of {total / unit:.1f} {name})"


def readable(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def origin(url: str) -> tuple[t.Any, ...]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _length(answer: t.Any) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def _validator(answer: t.Any) -> str:
    """The value for If-Range: a strong ETag, or a date."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")


def _told(reason: t.Any, timeout: float) -> str:
    if isinstance(reason, TimeoutError) or "timed out" in str(reason):
        return f"no data arrived for {timeout:.0f} s"
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
