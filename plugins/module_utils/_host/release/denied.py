# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of packages that are never installed, because somebody put malicious code into them. Pure. Private to the collection.

They are deleted from PyPI. A mirror, a cache or a bundle may still have them.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import normal

#: The variable by which an inventory adds to the table.
VARIABLE = "xinference_denied_packages"

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_ENTRY = re.compile(rf"\s*({_NAME})\s*(?:==\s*([A-Za-z0-9.+!_-]+)\s*)?")
_PIN = re.compile(rf"\s*({_NAME})\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;,#\\]+)(?:[\s;#\\].*)?", re.DOTALL)


@dataclass(frozen=True)
class Denied:
    """One release of a package, or with an empty version every one.

    :ivar source: where that is told.
    """

    name: str
    version: str
    source: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


TABLE = (
    *(
        Denied("xinference", v, "https://github.com/xorbitsai/inference/issues/4828")
        for v in ("2.6.0", "2.6.1", "2.6.2")
    ),
    *(Denied("litellm", v, "https://github.com/BerriAI/litellm/issues/24518") for v in ("1.82.7", "1.82.8")),
    *(
        Denied(
            "lightning", v, "https://github.com/Lightning-AI/pytorch-lightning/security/advisories/GHSA-w37p-236h-pfx3"
        )
        for v in ("2.6.2", "2.6.3")
    ),
    Denied("mistralai", "2.4.6", "https://github.com/mistralai/client-python/security/advisories/GHSA-wx9m-wx4f-4cmg"),
    Denied("guardrails-ai", "0.10.1", "https://github.com/guardrails-ai/guardrails/issues/1473"),
)


def table(added: t.Iterable[t.Any] = ()) -> tuple[Denied, ...]:
    """The table with what the inventory adds: 'name==version', or 'name' for every version.

    :raises ModelopsError: an entry is neither.
    """
    rows = []
    for entry in added:
        found = _ENTRY.fullmatch(str(entry))
        if not found:
            raise ModelopsError(f"{VARIABLE}: '{entry}' is neither 'name==version' nor 'name'")
        rows.append(Denied(normal(found[1]), found[2] or "", VARIABLE))
    return (*TABLE, *rows)


def hits(packages: t.Iterable[tuple[str, str]], added: t.Iterable[t.Any] = ()) -> list[Denied]:
    """Those of the packages (name, version) that are denied, each once, with the version that they have."""
    rows = table(added)
    return [
        Denied(normal(name), version, row.source)
        for name, version in dict.fromkeys(packages)
        for row in [next((row for row in rows if _is(row, name, version)), None)]
        if row is not None
    ]


def pins(requirements: t.Iterable[str]) -> list[tuple[str, str]]:
    """Name and version of the requirements that name one, such as the lines of a lock file; hashes and markers do not count."""
    return [(found[1], found[2]) for found in map(_PIN.fullmatch, requirements) if found]


def wheels(paths: t.Iterable[str]) -> list[tuple[str, str]]:
    """Name and version of wheels, by the names of their files."""
    parts = [os.path.basename(path).split("-") for path in paths if path.endswith(".whl")]
    return [(each[0], each[1]) for each in parts if len(each) >= 5]


def constraints(added: t.Iterable[t.Any] = ()) -> str:
    """The lines by which an installer chooses none of them."""
    return "".join(f"{row.name}!={row.version}\n" if row.version else f"{row.name}<0.dev0\n" for row in table(added))


def told(found: t.Iterable[Denied]) -> str:
    """ "litellm 1.82.7 (known to be malicious: <source>)" of each."""
    return ", ".join(
        f"{each} (denied by {VARIABLE})"
        if each.source == VARIABLE
        else f"{each} (known to be malicious: {each.source})"
        for each in found
    )


def refuse(packages: t.Iterable[tuple[str, str]], added: t.Iterable[t.Any], what: str) -> None:
    """
    :param what: what has them, the start of the error.
    :raises ModelopsError: naming those that are denied.
    """
    found = hits(packages, added)
    if found:
        raise ModelopsError(f"{what} has {told(found)}. It was not installed. Choose another version.")


def _is(row: Denied, name: str, version: str) -> bool:
    return row.name == normal(name) and (not row.version or _plain(row.version) == _plain(version))


def _plain(version: str) -> str:
    """The version without parts that name no other release: a local version and trailing zeros."""
    return re.sub(r"(\.0)+$", "", version.lower().lstrip("v").partition("+")[0])
