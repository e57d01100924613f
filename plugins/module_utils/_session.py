# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one HTTP layer of the collection: nothing else imports requests.

It adds to a requests session what both APIs need: a base URL, retries on what is safe to repeat, one kind of
error, a request count, secrets kept out of error texts, and in check mode the refusal of every request that
could change the server. This module util is private to the collection.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections import Counter
from urllib.parse import unquote

try:
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry
except ImportError as exc:  # reported by _connection with the name of the interpreter
    REQUESTS_IMPORT_ERROR: ImportError | None = exc
else:
    REQUESTS_IMPORT_ERROR = None

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo

READ_VERBS = frozenset({"GET", "HEAD", "OPTIONS"})
# A gateway that answers these did not run the request to its end; a read may be repeated.
RETRY_STATUSES = (502, 504)


class Unreachable(ModelopsError):
    """No HTTP answer: refused, timed out, name unknown, TLS failed, connection reset."""

    def __init__(self, message: str, *, sent: bool):
        super().__init__(message)
        #: True where the request may have reached the server, so that a mutation must be read back.
        self.sent = sent


class TimedOut(Unreachable):
    """The server took the request and may still be working on it, so that nothing may be sent again."""


class ApiError(ModelopsError):
    """The server answered with a status the caller did not expect."""

    def __init__(self, message: str, *, answer: Answer):
        super().__init__(message)
        self.answer = answer
        self.status = answer.status


class CheckModeViolation(ModelopsError):
    """A request that could change the server was about to be sent in check mode: a bug of ours."""


# Prefixes of content types that are not text.
_BINARY = ("audio/", "image/", "video/", "application/octet-stream")


class Answer:
    """One response. ``json`` is the decoded body (any JSON type) or None where the body is not JSON.

    Of sound, pictures and other bytes there is only the ``content``: to guess their encoding takes seconds.
    """

    __slots__ = ("status", "headers", "content", "text", "json", "url", "method", "set_cookies")

    def __init__(self, method: str, response: requests.Response):
        self.method = method
        self.url = response.url
        self.status: int = response.status_code
        self.headers: t.Mapping[str, str] = response.headers
        self.content: bytes = response.content
        binary = response.headers.get("Content-Type", "").startswith(_BINARY)
        self.text: str = "" if binary else response.text
        self.json: t.Any = None
        if not binary:
            with contextlib.suppress(ValueError):
                self.json = response.json()
        raw = getattr(response.raw, "headers", None)
        #: Every Set-Cookie line as sent; a cookie jar would drop Secure cookies that came over plain HTTP.
        self.set_cookies: list[str] = list(raw.getlist("Set-Cookie")) if raw is not None else []

    @property
    def detail(self) -> str:
        """The server's message, shortened: its own field if present, else the start of the text."""
        if isinstance(self.json, dict):
            for key in ("detail", "message", "error"):
                value = self.json.get(key)
                if value:
                    return (value if isinstance(value, str) else str(value))[:2000]
        text = " ".join(self.text.split())
        return text[:300] if text else "no text"


class Session:
    """An HTTP session with one server.

    :param base_url: scheme, host, port and an optional path prefix; a trailing slash is ignored.
    :param check_mode: refuse requests that could change the server.
    :param ca_path: certificate bundle that replaces the default one.
    :param validate_certs: False accepts any certificate.
    :param proxy: proxy URL; "" uses none even where the environment names one; None leaves it to the environment.
    :param timeout: seconds to wait for the server between two bytes of an answer.
    :param retries: how often a read is repeated, with pauses of 0.5, 1, 2, ... seconds.
    """

    def __init__(
        self,
        base_url: str,
        *,
        check_mode: bool = False,
        ca_path: str | None = None,
        validate_certs: bool = True,
        proxy: str | None = None,
        connect_timeout: float = 10,
        timeout: float = 60,
        retries: int = 3,
    ):
        self.base_url = _secrets.without_login(base_url.strip()).rstrip("/")
        self.check_mode = check_mode
        self.timeout = (connect_timeout, timeout)
        #: Number of requests answered or tried, by verb.
        self.counts: Counter[str] = Counter()
        #: Headers of every request, set by the login.
        self.headers: dict[str, str] = {}
        self._http = requests.Session()
        # Any auth of the session's keeps requests from putting a ~/.netrc entry in place of our Authorization header.
        self._http.auth = lambda request: request
        # Given with every request: only there an option wins over REQUESTS_CA_BUNDLE, HTTPS_PROXY and their kin.
        self._options: dict[str, t.Any] = {"verify": (ca_path or True) if validate_certs else False}
        if proxy is not None:
            _secrets.hide(*_login_of(proxy))
            self._options["proxies"] = {"http": proxy, "https": proxy}
        if not validate_certs:
            urllib3.disable_warnings()
        # `connect` counts failures before anything was sent, so it is safe for every verb.
        retry = Retry(
            total=retries,
            connect=retries,
            read=retries,
            status=retries,
            backoff_factor=0.5,
            allowed_methods=READ_VERBS,
            status_forcelist=RETRY_STATUSES,
            raise_on_status=False,
            redirect=0,
        )
        adapter = HTTPAdapter(max_retries=retry)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: t.Mapping[str, t.Any] | None = None,
        json: t.Any = None,
        files: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        expect: t.Collection[int] = (200,),
        reads: bool = False,
        timeout: float | None = None,
        what: str = "",
    ) -> Answer:
        """Sends one request and returns its answer.

        :param path: appended to the base URL, with its leading slash.
        :param expect: accepted statuses; empty accepts every status.
        :param reads: a POST that changes nothing on the server (login, inference): allowed in check mode.
        :param timeout: seconds, instead of the session's.
        :param what: what was tried, for the error text ("launch model 'x'").
        :raises Unreachable: no answer.  :raises ApiError: another status than expected.
        """
        method = method.upper()
        if self.check_mode and method not in READ_VERBS and not reads:
            raise CheckModeViolation(f"refused in check mode: {method} {path}")
        url = self.base_url + path
        what = what or f"{method} {path}"
        sent = _secrets.headers({**self.headers, **(headers or {})}, f"{what} at {self.base_url}")
        self.counts[method] += 1
        try:
            response = self._http.request(
                method,
                url,
                params=params,
                json=json,
                files=files,
                headers=sent,
                timeout=(self.timeout[0], timeout or self.timeout[1]),
                allow_redirects=False,
                **self._options,
            )
        except requests.exceptions.RequestException as exc:
            raise self._unreachable(exc, what, timeout) from exc
        answer = Answer(method, response)
        if expect and answer.status not in expect:
            raise ApiError(
                _secrets.redacted(f"{what}: {self.base_url} answered {answer.status}: {answer.detail}"), answer=answer
            )
        return answer

    def _unreachable(self, exc: requests.exceptions.RequestException, what: str, timeout: float | None) -> Unreachable:
        """The failure of a request that got no answer.

        :param what: what was tried.  :param timeout: seconds, instead of the session's.
        """
        url, cause, kinds = self.base_url, _cause(exc), requests.exceptions
        if isinstance(exc, kinds.SSLError):
            text = (
                f"the TLS connection to {url} failed: {cause}. Give the certificate of the server's authority (of a "
                "self-signed one, its own) as ca_path, or accept any with validate_certs: false."
            )
        elif isinstance(exc, kinds.ProxyError):
            text = f"the proxy on the way to {url} failed: {cause}"
        elif isinstance(exc, kinds.ConnectTimeout):
            text = f"no connection to {url} within {self.timeout[0]} s. Check the address, and whether a firewall drops the connection."
        elif isinstance(exc, kinds.ReadTimeout):
            wait = timeout or self.timeout[1]
            return TimedOut(f"{what}: {url} accepted the request and did not answer within {wait:g} s", sent=True)
        else:
            refused = any(word in str(exc) for word in ("refused", "resolve", "Name or service"))
            return Unreachable(_secrets.redacted(f"{what}: {url} cannot be reached: {cause}"), sent=not refused)
        return Unreachable(_secrets.redacted(f"{what}: {text}"), sent=False)

    def get(self, path: str, **kwargs: t.Any) -> Answer:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, **kwargs: t.Any) -> Answer:
        return self.request("POST", path, **kwargs)


def _login_of(url: str) -> list[str]:
    """The secrets of a URL: its login, and its password as it is sent."""
    login, at, host = url.rpartition("@")
    login = login.rpartition("//")[2]
    return [login, unquote(login), unquote(login.partition(":")[2])] if at else []


def _cause(exc: BaseException) -> str:
    """The innermost reason of a requests exception, without its object addresses."""
    reason = exc
    if exc.args and getattr(exc.args[0], "reason", None) is not None:
        reason = exc.args[0].reason
    text = str(reason)
    return without_userinfo(text.rsplit(">: ", 1)[-1] if ">: " in text else text)
