# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets that this process knows, hidden in every text that leaves it, in any form.

An error text repeats a secret as a library wrote it: as a Python literal, in a URL, in JSON, in base64. So each is looked for in all
of these. And what is given as a secret is put right, or refused, before anything is done with it. Private to the collection.
"""

from __future__ import annotations

import base64
import html
import json
import re
import typing as t
from urllib.parse import quote, quote_plus

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

register_secrets: t.Callable[[t.Iterable[str]], None] | None
try:  # since ansible-core 2.22
    from ansible.module_utils.secrets import register_secrets  # type: ignore[import-not-found, no-redef]
except ImportError:  # an older one, and the reconciler, which runs where there is no Ansible
    register_secrets = None

HIDDEN = "********"
# A shorter value would blot out what has nothing to do with it.
_SHORTEST = 4
# Shorter pieces of base64 could be anything.
_SHORTEST_BASE64 = 8
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")

# Options that are secrets and texts of several lines.
_AS_IT_IS = ("content",)
# Those that no header carries, so that they may have any character.
_IN_A_BODY = ("password", "new_password")

# Every form of every secret.
_known: set[str] = set()


def hide(*values: str | None) -> None:
    """Keeps these values out of every text from now on."""
    found = {form for value in values if value for form in forms(str(value))} - _known
    _known.update(found)
    if found and register_secrets is not None:
        register_secrets(found)


def decoded(content: bytes, where: str) -> str:
    """The text of a file that holds a secret.

    :param where: what it is, and its path.
    :raises ModelopsError: it is no text; nothing of it is told.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass  # that error has the content
    raise ModelopsError(f"{where} is not UTF-8. Save it as UTF-8 text, with only the secret in it.")


def forget() -> None:
    """Forgets all of them, where another module begins in this process."""
    _known.clear()


def redacted(text: str) -> str:
    """The text without them."""
    return _redacted(text, [form for form in _known if form in text])


def _redacted(text: str, found: t.Iterable[str]) -> str:
    for form in sorted(found, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def cleaned(value: t.Any) -> t.Any:
    """A result with every text in it redacted. The names of a dictionary stay."""
    texts = "\0".join(_texts(value))
    found = [form for form in _known if form in texts]
    return _cleaned(value, found) if found else value


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _cleaned(value: t.Any, found: t.Sequence[str]) -> t.Any:
    if isinstance(value, str):
        return _redacted(value, found)
    if isinstance(value, dict):
        return {key: _cleaned(item, found) for key, item in value.items()}
    return [_cleaned(item, found) for item in value] if isinstance(value, (list, tuple)) else value


def forms(secret: str) -> set[str]:
    """The forms of a secret in a text: as it is, escaped once or twice, percent-encoded, as base64. Pure."""
    found: set[str] = set()
    for plain in (secret, secret.strip()):
        if len(plain) < _SHORTEST:
            continue
        once = _escaped(plain)
        found |= {plain, html.escape(plain), plain.replace("'", "'\"'\"'")}
        found |= once | {twice for text in once for twice in _escaped(text)}
        found |= _percent_encoded(plain) | _base64(plain)
    return found


def _escaped(text: str) -> set[str]:
    """The secret as a literal of Python and of JSON."""
    data = text.encode("utf-8", "surrogatepass")
    literals = {repr(text)[1:-1], repr(data)[2:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    # As a header, Python writes the bytes of Latin-1.
    return literals | ({repr(text.encode("latin-1"))[2:-1]} if all(ord(sign) < 256 for sign in text) else set())


def _percent_encoded(text: str) -> set[str]:
    data = text.encode("utf-8", "surrogatepass")
    made = {quote(data, safe=""), quote(data), quote_plus(data), quote(data, safe="!#$&'()*+,/:;=?@[]~")}
    return made | {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in made}


def _base64(text: str) -> set[str]:
    """The part of it that is in the base64 of any text around it, at any offset ("user:password", say)."""
    data = text.encode("utf-8", "surrogatepass")
    made = set()
    for before in range(3):
        bits = 8 * (before + len(data))
        # The first and the last sign may have bits of what stands beside it.
        part = slice(-(-8 * before // 6), bits // 6)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            made.add(encode(b"\0" * before + data).decode()[part])
    return {one for one in made if len(one) >= _SHORTEST_BASE64}


# --- at the door ---------------------------------------------------------------------------------------------------------


def put_right(spec: t.Mapping[str, t.Any], params: dict[str, t.Any], path: str = "") -> None:
    """Takes the line break off the end of every option that is a secret; a block of YAML leaves one.

    :raises ModelopsError: one cannot be sent as the header that it is for; naming the option and not the value.
    """
    for name, about in spec.items():
        value = params.get(name)
        if about.get("options") and value:
            items = value if isinstance(value, list) else [value]
            for index, item in enumerate(items):
                where = f"{path}{name}[{index}]." if isinstance(value, list) else f"{path}{name}."
                if isinstance(item, dict):
                    put_right(about["options"], item, where)
        elif about.get("no_log") and isinstance(value, str) and name not in _AS_IT_IS:
            if name in _IN_A_BODY:
                params[name] = value.rstrip("\r\n")
            else:
                params[name] = header_value(value, f"{path}{name}") if value.strip() else ""


def header_value(value: t.Any, what: str) -> str:
    """A value that a header carries, without blanks and line breaks around it.

    :raises ModelopsError: there is no such header; it names ``what`` and not the value.
    """
    if value is None or isinstance(value, (dict, list, tuple)):
        raise ModelopsError(
            f"{what} has no value (it is {'null' if value is None else 'not text'}). Give one, or remove it."
        )
    text = str(value).strip()
    if not _HEADER_VALUE.fullmatch(text):
        wrong = next((sign for sign in text if not " " <= sign <= "~"), "")
        why = (
            "it is empty"
            if not wrong
            else "it has a line break"
            if wrong in "\r\n"
            else f"its character {text.index(wrong) + 1} is not a printable ASCII character"
        )
        raise ModelopsError(f"{what} cannot be sent as an HTTP header: {why}. Check that it is stored as one line.")
    return text


def headers(given: t.Mapping[str, t.Any], what: str) -> dict[str, str]:
    """Headers as they are sent.

    :raises ModelopsError: one cannot be sent; it names ``what`` and the header, and not the value.
    """
    for name in given:
        if not _HEADER_NAME.fullmatch(str(name)):
            raise ModelopsError(f"{what}: a header has an invalid name (use letters, digits and -).")
    return {str(name): header_value(value, f"{what}: header {name}") for name, value in given.items()}


def without_login(url: str) -> str:
    """The URL.

    :raises ModelopsError: it has a login, which would not be sent; it names the address and not the login.
    """
    # Not everybody encodes the @ and / of a password, so what stands before the last @ is not looked into.
    login, at, address = url.rpartition("@")
    if at:
        raise ModelopsError(
            f"the address '{HIDDEN}@{address}' contains a login, which would not be sent. Remove it, and give the login in the "
            "options for it."
        )
    return url
