# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's log file: its last lines for an error, the setup token; what is a secret in a text. Private to the collection."""

from __future__ import annotations

import io
import os
import re
import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._directory import opened
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

LINES = 15
# Enough for the lines above even where the answers to looks of some minutes, each with a long traceback, come after them.
TAIL_BYTES = 4 << 20
# Seconds after which the end of a log is of another time.
_OLD = 60.0
_SETUP_TOKEN = re.compile(r"(Setup token:\s*)(\S+)")
#: A name whose value is a secret, such as HF_TOKEN, PGPASSWORD and api_key. A tokenizer is none.
SECRET_NAME = re.compile("token(?!iz)|key|secret|passw|pwd|credential|auth", re.IGNORECASE)
#: User, password or token in a URL. It ends at the last @, because not everybody encodes the one of a password.
USERINFO = re.compile(r"//[^/\s]+@")
_BARE_USERINFO = re.compile(r"[^\s/:@'\"*]+:[^\s@]+@")
# API keys (xf-..., sk-...), bearer tokens, the setup token, values of what is named a secret and a model's variables never leave the log.
_SECRETS = (
    _SETUP_TOKEN,
    re.compile(r"(\b)((?:xf|sk)-[A-Za-z0-9_\-]{8,})"),
    re.compile(r"(Bearer\s+)(\S+)"),
    re.compile(r"""(\benvs\\?["']?\s*[=:]\s*)\{[^{}]*\}"""),
    re.compile(
        r"""(\b(?:[A-Z0-9_]*(?:TOKEN|KEY|SECRET|PASSW|PWD|CREDENTIAL)[A-Z0-9_]*|(?:api|secret)_key|(?:hf|csg|api|auth|access|refresh)_token|password|passwd)"""
        r"""\\?["']?\s*[=:]\s*)(?:\\?"[^"\\]*\\?"|'[^']*'|[^\s,;)}\]]+)"""
    ),
)


def redacted(text: str) -> str:
    """A server's text without the tokens, keys and passwords in it."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1********", text)
    return without_userinfo(text)


def without_userinfo(text: str) -> str:
    """The text with its URLs, but without the users and passwords in them."""
    return USERINFO.sub("//********@", text)


def without_logins(text: str) -> str:
    """The text without logins, also those in addresses without a scheme, for text that people wrote."""
    return _BARE_USERINFO.sub("********@", without_userinfo(text))


def tail(path: str | None, redact: t.Callable[[str], str] = str, choose: t.Callable[[str], str] = str) -> str:
    """The log's last lines without secrets, as the end of an error text; "" where there is nothing to read.

    :param choose: leaves out what explains nothing.
    """
    text, age = end_of(path)
    lines = choose(text).splitlines()[-LINES:]
    if not lines:
        return ""
    old = f", last written {age / 60:.0f} min ago" if age > _OLD else ""
    return f"\nLast lines of {path}{old}:\n" + redact(redacted("\n".join(lines)))


def setup_token(path: str) -> str | None:
    """The newest setup token in the log; None where it names none.

    :raises ModelopsError: the file cannot be read.
    """
    try:
        with io.TextIOWrapper(opened(path), encoding="utf-8", errors="replace") as file:
            found = [match.group(2) for match in map(_SETUP_TOKEN.search, file) if match]
    except OSError as exc:
        raise ModelopsError(f"setup_log: {path} cannot be read ({exc.strerror})") from exc
    return found[-1] if found else None


def end_of(path: str | None) -> tuple[str, float]:
    """The end of the log, and the seconds since something was written to it; nothing where it cannot be read."""
    if not path:
        return "", 0
    try:
        # The log is the service's, whose user could have another file of root's printed by a link in its place.
        with opened(path) as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            age = max(0.0, time.time() - os.fstat(file.fileno()).st_mtime)
            return file.read(TAIL_BYTES).decode("utf-8", errors="replace"), age
    except OSError:  # the error that the log was to explain is the one to report
        return "", 0
