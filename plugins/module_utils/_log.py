# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's log file: its last lines for an error, the setup token; what is a secret in a text. Private to the collection."""

from __future__ import annotations

import io
import os
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._directory import opened
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

LINES = 15
# Enough for the lines above even where one carries a long traceback.
_TAIL_BYTES = 65536
_SETUP_TOKEN = re.compile(r"(Setup token:\s*)(\S+)")
#: A name whose value is a secret, such as HF_TOKEN, PGPASSWORD and api_key. A tokenizer is none.
SECRET_NAME = re.compile("token(?!iz)|key|secret|passw|pwd|credential|auth", re.IGNORECASE)
#: User, password or token in a URL. It ends at the last @, because not everybody encodes the one of a password.
USERINFO = re.compile(r"//[^/\s]+@")
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


def tail(path: str | None, redact: t.Callable[[str], str] = str) -> str:
    """The log's last lines without secrets, as the end of an error text; "" where there is nothing to read."""
    text = _end_of(path)
    lines = text.splitlines()[-LINES:]
    if not lines:
        return ""
    return f"\nLast lines of {path}:\n" + redact(redacted("\n".join(lines)))


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


def _end_of(path: str | None) -> str:
    if not path:
        return ""
    try:
        # The log is the service's, whose user could have another file of root's printed by a link in its place.
        with opened(path) as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:  # the error that the log was to explain is the one to report
        return ""
