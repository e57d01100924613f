# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sources of apt on a host: sources.list and *.list (one line each), *.sources (deb822). Private to the collection."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

_LINE = re.compile(r"deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)(.*)")
_SIGNED_BY = re.compile(r"(?:^|\s)signed-by=(\S+)", re.IGNORECASE)
_NO = ("no", "false", "without", "off", "disable")
#: Files of the role accelerator's own.
_OWN = "modelops-"


@dataclasses.dataclass(frozen=True)
class AptSource:
    """Packages (no source code) of one address.

    :ivar url: without a slash at its end.
    :ivar signed_by: the value as a field Signed-By takes it, maybe a key of several lines; "" where any key of the host will do.
    """

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...] = ()
    signed_by: str = ""


def sources(host: HostAccess, architecture: str) -> list[AptSource]:
    """The enabled sources, sources.list first, without those of the role.

    :param architecture: of the kernel, as uname says it; apt's name of it may be part of an address.
    """
    places = [*host.glob("/etc/apt/sources.list.d/*.list"), *host.glob("/etc/apt/sources.list.d/*.sources")]
    found = []
    for path in ["/etc/apt/sources.list", *(p for p in places if not p.rpartition("/")[2].startswith(_OWN))]:
        text = host.read(path)
        found += deb822(text) if path.endswith(".sources") else lines(text)
    name = {"aarch64": "arm64"}.get(architecture, "amd64")
    return [dataclasses.replace(each, url=each.url.replace("$(ARCH)", name).rstrip("/")) for each in found]


def lines(text: str) -> list[AptSource]:
    """The sources in a text of the one-line format."""
    found = []
    for line in text.splitlines():
        match = _LINE.match(line.partition("#")[0].strip())
        if match:
            options, url, suite, components = match.groups()
            key = _SIGNED_BY.search(options or "")
            found.append(AptSource(url, (suite,), tuple(components.split()), key.group(1) if key else ""))
    return found


def deb822(text: str) -> list[AptSource]:
    """The sources in a text of paragraphs with fields."""
    found = []
    # A comment is no end of a field.
    kept = "\n".join(line.rstrip() for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n{2,}", kept.strip("\n")):
        fields = {}
        for match in re.finditer(r"^(\S[^:\n]*):(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE):
            fields[match.group(1).strip().lower()] = match.group(2)
        if fields.get("enabled", "yes").strip().lower() in _NO or "deb" not in fields.get("types", "").split():
            continue
        suites, components = (tuple(fields.get(name, "").split()) for name in ("suites", "components"))
        key = fields.get("signed-by", "")
        key = key.rstrip() if "\n" in key else key.strip()
        found += [AptSource(url, suites, components, key) for url in fields.get("uris", "").split()]
    return found


def archive(found: t.Sequence[AptSource], codename: str) -> dict[str, t.Any]:
    """The distribution's archive: ``url`` ("" if no source names it) and ``suites``.

    Others name their suites after the distribution, too. They have keys of their own, and no updates beside.
    """
    updates = f"{codename}-updates"
    with_updates = {each.url for each in found if updates in each.suites}

    def rank(each: AptSource) -> tuple[bool, bool]:
        return (each.url not in with_updates, bool(each.signed_by) and "/debian-archive-" not in each.signed_by)

    likely = [each for each in found if codename in each.suites and "main" in each.components]
    if not codename or not likely:
        return {"url": "", "suites": [codename, updates] if codename else []}
    url = min(likely, key=rank).url
    offered = {suite for each in found if each.url == url for suite in each.suites}
    return {"url": url, "suites": [suite for suite in (codename, updates) if suite in offered]}
