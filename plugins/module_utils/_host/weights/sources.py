# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared sources of weights, and the names of the weights on a host. Pure. Private."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ansible_collections.modelops.inference.plugins.module_utils import _log, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._address import address_problem
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import normal

# The option `source` of a model, and an element of xinference_weights' `sources`.
SOURCE: dict[str, t.Any] = dict(
    type="dict",
    options=dict(
        package=dict(type="str"),
        url=dict(type="str"),
        file=dict(type="str"),
        checksum=dict(type="str"),
        headers=dict(type="dict", no_log=True),
        archive=dict(type="str", choices=["tar", "zip", "none"]),
        name=dict(type="str"),
        member=dict(type="str"),
    ),
)
# Further keys of each kind.
KINDS = {
    "package": ("member",),
    "url": ("checksum", "headers", "archive", "name", "member"),
    "file": ("checksum", "archive", "name", "member"),
}

DIGESTS = {"sha256": 64, "sha384": 96, "sha512": 128}
_ARCHIVE = re.compile(
    r"(?P<stem>.*?)[.](?:(?P<tar>t[bgx]z2?|tzst|tar([.](gz|bz2|xz|zst))?)|(?P<zip>zip))", re.IGNORECASE
)


@dataclass(frozen=True)
class Source:
    """One source of weights.

    :ivar kind: "package", "url" or "file".
    :ivar where: the requirement, the URL, or the path on the controller.
    :ivar checksum: "sha256:<hex digits>" or "sha256:<URL of a checksum file>"; "" where there is none.
    :ivar headers: sent with the requests to the URL's own server; no part of what the source is.
    :ivar archive: "tar", "zip", or "" for a file that is used as it is.
    :ivar name: of the directory on the host. Equal for equal contents, as far as the declaration tells.
    :ivar member: path inside that a model uses; "" to find it.
    """

    kind: str
    where: str
    checksum: str
    headers: t.Mapping[str, str]
    archive: str
    name: str
    member: str

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any]) -> Source:
        """Reads a declaration, as an inventory or a module has it.

        :raises ModelopsError: it can mean no one thing.
        """
        given = {key: value for key, value in options.items() if value is not None}
        kinds = [kind for kind in KINDS if kind in given]
        if len(kinds) != 1:
            raise ModelopsError(
                f"weights: a source must have one of package, url and file, not {' and '.join(kinds) or 'none'}"
            )
        kind, member = kinds[0], given.get("member", "")
        foreign = [key for key in SOURCE["options"] if key in given and key not in (kind, *KINDS[kind])]
        if foreign:
            raise ModelopsError(f"weights: a source that is a {kind} must not have {' or '.join(foreign)}")
        if os.path.isabs(member) or ".." in member.split("/"):
            raise ModelopsError(f"weights: member must be a path inside the weights, not {member}")
        where = str(given[kind]).strip()
        if kind == "package":
            return cls(kind, where, "", {}, "", _package_name(where), member)
        if kind == "url":
            _check_url(where, "url")
        checksum = _checksum(where, kind, given.get("checksum", ""))
        base = os.path.basename(unquote(urlsplit(where).path) if kind == "url" else where.rstrip("/"))
        archive, stem = _archive(base, given.get("archive"))
        name = _directory_name(given.get("name") or stem, kind, where, checksum, given.get("archive", ""))
        headers = _secrets.headers(given.get("headers", {}), f"weights: {public(where)}")
        return cls(kind, where, checksum, headers, archive, name, member)

    @classmethod
    def of_model(cls, model: t.Mapping[str, t.Any]) -> Source:
        """Reads the source of a declared model.

        :raises ModelopsError: it can mean no one thing; naming the model.
        """
        try:
            return cls.of(model["source"])
        except ModelopsError as exc:
            raise ModelopsError(f"model '{model.get('uid')}': {exc}") from exc

    @property
    def label(self) -> str:
        """The name of the source in messages; of a URL without its query, which may contain a token."""
        return public(self.where) if self.kind == "url" else self.where

    @property
    def record(self) -> dict[str, str]:
        """The content of source.json."""
        checksum = public(self.checksum) if self.kind == "url" else self.checksum
        return {self.kind: self.label, **({"checksum": checksum} if checksum else {})}

    @property
    def file_name(self) -> str:
        """The name of the one file that is fetched."""
        return os.path.basename(unquote(urlsplit(self.where).path) if self.kind == "url" else self.where) or "file"


def public(url: str) -> str:
    """A URL without its query."""
    return re.sub(r"[?#].*", "", url)


def path_of(found: t.Mapping[str, t.Mapping[str, t.Any]], source: Source) -> str | None:
    """The path that a model uses; None where the weights are not there.

    :param found: complete weights by name.
    :raises ModelopsError: they hold several files that could be meant.
    """
    weights = found.get(source.name)
    if weights is None:
        return None
    if source.member:
        return os.path.join(weights["directory"], source.member)
    if weights.get("several"):
        raise ModelopsError(
            f"weights: {source.label} has several files that a model can use ({', '.join(weights['several'])}). "
            "Name one as source.member."
        )
    return weights["path"]


def distinct(sources: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, Source]:
    """The sources by name, each once."""
    return {source.name: source for source in map(Source.of, sources)}


def missing(wanted: t.Iterable[str], found: t.Container[str]) -> list[str]:
    return [name for name in wanted if name not in found]


def unused(wanted: t.Container[str], paths: t.Iterable[str], found: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Names of weights that no source names and that hold none of the paths that models use."""
    used = [os.path.join(os.path.normpath(path), "") for path in paths if path]
    return [
        name
        for name, weights in found.items()
        if name not in wanted and not any(path.startswith(os.path.join(weights["directory"], "")) for path in used)
    ]


def _package_name(requirement: str) -> str:
    """Versions lie side by side, because a model may be served from each."""
    found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)(==[A-Za-z0-9.+!]+)?", requirement)
    if not found:
        raise ModelopsError(f"weights: package must be 'name' or 'name==version', not '{requirement}'")
    return normal(found[1]) + (found[2] or "").replace("==", "-")


def _check_url(url: str, what: str) -> None:
    parts = urlsplit("" if address_problem(url) else url)
    if not parts.hostname:
        raise ModelopsError(f"weights: {what} must be an http or https URL, not '{_shown(url)}'")
    if "@" in parts.netloc:
        raise ModelopsError(
            f"weights: the {what} on {parts.hostname} contains a user or a password. Give headers, such as "
            "Authorization, from Vault instead."
        )


def _shown(url: str) -> str:
    """A URL without its query and its login."""
    return _log.without_logins(public(url))


def _checksum(where: str, kind: str, text: str) -> str:
    """
    :returns: the checksum in lower case, or with the URL of a file of checksums.
    """
    if not text and kind == "file":
        return ""
    algorithm, colon, value = text.partition(":")
    if algorithm in DIGESTS:
        if re.fullmatch(f"[0-9a-fA-F]{{{DIGESTS[algorithm]}}}", value):
            return f"{algorithm}:{value.lower()}"
        if kind == "url" and "://" in value:
            _check_url(value, "checksum")
            return text
    raise ModelopsError(
        f"weights: {_shown(where)} needs a checksum, {', '.join(f'{name}:<{n} hex digits>' for name, n in DIGESTS.items())}"
        + (" or <algorithm>:<URL of a checksum file>" if kind == "url" else "")
        + (f", not '{_shown(text)}'" if text else "")
    )


def _archive(base: str, given: str | None) -> tuple[str, str]:
    """The archive's kind, from its suffix unless declared, and its name without the suffix."""
    found = _ARCHIVE.fullmatch(base)
    guessed = ("tar" if found["tar"] else "zip") if found else ""
    stem = found["stem"] if found else re.sub(r"[.](gguf|safetensors|bin|pt|onnx)$", "", base)
    return ({"none": ""}.get(given, given) if given else guessed), stem


def _directory_name(stem: str, kind: str, where: str, checksum: str, archive: str) -> str:
    """A readable name and the first digits of what tells the contents: another mirror is no other weights."""
    algorithm, colon, value = checksum.partition(":")
    content = value if checksum and "://" not in value else f"{kind} {where} {checksum}"
    if archive or content != value:
        content = hashlib.sha256(f"{content} {archive}".encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', stem).strip('-').lower() or 'weights'}-{content[:12]}"
