# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Python environment on a host, read without running it: its packages, its lock, its record. Private to the collection."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import normal
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file

RECORD = "release.json"
LOCK = "lock.txt"


def installed(environment: str) -> dict[str, str]:
    """Name (normalised) and version of everything installed in an environment, from its directory listing alone."""
    found: dict[str, str] = {}
    for library in ("lib", "lib64"):
        try:
            pythons = [entry for entry in os.listdir(os.path.join(environment, library)) if entry.startswith("python")]
        except OSError:
            continue
        for python in pythons:
            try:
                entries = os.listdir(os.path.join(environment, library, python, "site-packages"))
            except OSError:
                continue
            for entry in entries:
                if entry.endswith(".dist-info"):
                    name, dash, version = entry[: -len(".dist-info")].partition("-")
                    found[normal(name)] = version
        if found:
            break
    return found


def environments_below(directory: str, depth: int = 4) -> list[str]:
    """Paths of the Python environments in a directory; links are not followed."""
    found = []
    for place, folders, names in os.walk(directory):
        if "pyvenv.cfg" in names:
            found.append(place)
        if "pyvenv.cfg" in names or place[len(directory) :].count(os.sep) >= depth:
            folders.clear()
    return sorted(found)


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def lock_text(packages: t.Mapping[str, str]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in sorted(packages.items()))


def lock_drift(environment: str, added: t.Sequence[str] = ()) -> list[str]:
    """How an environment differs from its lock file, a line each; empty where it is as it was installed.

    A package denied since then is drift.

    :param added: what is denied beside the table.
    """
    text = read_file(os.path.join(environment, LOCK))
    if text is None:
        return [f"{LOCK} is missing"]
    wanted = dict(line.split("==", 1) for line in text.split())
    actual = installed(environment)
    return (
        [denied.told([each]) for each in denied.hits(actual.items(), added)]
        + [f"{name} {wanted[name]} is gone" for name in sorted(wanted.keys() - actual.keys())]
        + [f"{name} {actual[name]} was added" for name in sorted(actual.keys() - wanted.keys())]
        + [
            f"{name} is {actual[name]}, was {wanted[name]}"
            for name in sorted(wanted.keys() & actual.keys())
            if wanted[name] != actual[name]
        ]
    )


def record(environment: str) -> dict[str, t.Any] | None:
    """The content of release.json; None where the build never ended."""
    try:
        found = json.loads(read_file(os.path.join(environment, RECORD)) or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("id") else None


def drift(environment: str, added: t.Sequence[str] = ()) -> list[str]:
    """How an environment differs from what was installed, as `lock_drift` has it, its record included."""
    # Without it nobody knows what the service was started from.
    broken = os.path.lexists(os.path.join(environment, RECORD)) and record(environment) is None
    return [f"{RECORD} cannot be read"] * broken + lock_drift(environment, added)
