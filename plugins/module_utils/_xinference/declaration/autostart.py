# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's own list of models for its next start (since 2.x): what it must hold. Pure. Private to the collection.

The reconciler brings back what the autostart leaves out; the autostart is faster, because the server runs it itself.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import digest

# The server's placeholder for a value that may be secret.
REDACTED = "******"
_DEFAULTS = {"replica": 1, "model_type": "LLM", "n_gpu": "auto"}
_SPEC = ("model_format", "model_size_in_billions", "quantization")


@dataclass(frozen=True)
class DeclaredEntry:
    """The autostart's entry of one model.

    :param entry: None where it holds none.
    :param whole: whether the entry is all of it; else what the placement once added to it is not known.
    :param put: digest of the entry that was put last, where that is known.
    """

    entry: dict[str, t.Any] | None
    whole: bool = True
    put: str | None = None


def changes(
    wanted: t.Mapping[str, DeclaredEntry], there: t.Mapping[str, dict[str, t.Any]]
) -> dict[str, dict[str, t.Any] | None]:
    """UID -> the entry to put, or None for one to drop.

    :param there: the server's entries.
    """
    result: dict[str, dict[str, t.Any] | None] = {}
    for uid, one in wanted.items():
        found = there.get(uid)
        if one.entry is None:
            if found is not None:
                result[uid] = None
        elif found is None or not same(one, found):
            result[uid] = one.entry
    return result


def entry(request: t.Mapping[str, t.Any], priority: int) -> dict[str, t.Any] | None:
    """The entry of a model by its launch request.

    None for a model that runs on the CPU (``n_gpu`` null): the server drops a null and would give it a GPU. Such a
    model is left to the reconciler.
    """
    if None in request.values():
        return None
    return {"launch": dict(request), "priority": priority, "enabled": True}


def same(wanted: DeclaredEntry, there: t.Mapping[str, t.Any]) -> bool:
    """Whether the server's entry is equivalent to the wanted one.

    A value that the server hides is compared by what was put last; where that is not known, it counts as the same.
    """
    entry, launch = wanted.entry or {}, there["launch"]
    if hides(launch) and wanted.put not in (None, digest(entry)):
        return False
    if not wanted.whole:
        launch = {key: value for key, value in launch.items() if key in entry["launch"]}
    return (
        there.get("enabled") is True
        and there.get("priority") == entry["priority"]
        and _same(_needed(entry["launch"], {}), _needed(launch, entry["launch"]))
    )


def _needed(launch: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A launch without redundant keys: the server's defaults, and the one spec of a custom model."""
    same = {**_DEFAULTS, **{key: launch.get(key) for key in _SPEC if wanted and key not in wanted}}
    return {key: value for key, value in launch.items() if key not in same or same[key] != value}


def hides(there: t.Any) -> bool:
    """Whether the server redacts a value of its entry, which then cannot be compared."""
    if isinstance(there, dict):
        return any(hides(value) for value in there.values())
    if isinstance(there, list):
        return any(hides(value) for value in there)
    return bool(there == REDACTED)


def _same(wanted: t.Any, there: t.Any) -> bool:
    if there == REDACTED:
        return True
    if isinstance(wanted, dict) and isinstance(there, dict):
        return set(wanted) == set(there) and all(_same(wanted[key], there[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(there, list):
        return len(wanted) == len(there) and all(_same(a, b) for a, b in zip(wanted, there))
    return bool(wanted == there)
