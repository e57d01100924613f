# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's state between two turns, and how its files are read and written. Private to the collection."""

from __future__ import annotations

import json
import os
import time
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils import _json
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, opened
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import repairs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.options import Options


@dataclass
class ReconcilerState:
    """The state between two turns.

    :param started: when the server started.  :param workers: how many it had.
    :param looked: when the models were looked at last.
    :param refused: {"file": which password files, "until": when to try again or null, "why"}.
    :param by_next: which password files there were when the second one was the right one; "" where it was the first.
    """

    started: float | None = None
    workers: int = 0
    looked: float | None = None
    refused: dict[str, t.Any] | None = None
    by_next: str = ""
    models: dict[str, repairs.Known] = field(default_factory=dict)


def write(options: Options, name: str, content: t.Any, mode: int) -> None:
    """Replaces a file at once; it belongs to whoever owns the directory, whether root or the service writes it."""
    with Directory.at(options.directory) as directory:
        text = content if isinstance(content, str) else json.dumps(content, indent=1) + "\n"
        directory.write(name, text, mode, directory.owner)


def read(path: str) -> t.Any:
    """The content of a JSON file; None where there is none, or none that can be read."""
    try:
        with opened(path) as file:
            return _json.load(file)
    except (OSError, ValueError):
        return None


def load_state(options: Options) -> ReconcilerState:
    """The stored state; a file that cannot be read, or of another release, starts anew."""
    try:
        found = dict(read(options.path("state.json")) or {})
        known = {uid: _known(row) for uid, row in found.pop("models", {}).items()}
        _json.check("refused", found.get("refused") or {}, dict)
        _json.number_or_none("started", found.get("started"))
        return _json.like(ReconcilerState(models=known), found)
    except (TypeError, ValueError, AttributeError):
        return ReconcilerState()


def _known(row: t.Mapping[str, t.Any]) -> repairs.Known:
    for name in ("launched", "next_try"):
        _json.number_or_none(name, row.get(name))
    known: repairs.Known = _json.like(repairs.Known(), row)
    serving, declared = known.replicas
    _json.check("replicas", [serving, declared], list, int)
    return known


def save_state(options: Options, state: ReconcilerState) -> None:
    write(options, "state.json", asdict(state), 0o600)


def paused(options: Options) -> dict[str, t.Any] | None:
    """{"until": seconds since the epoch or null, "reason"} while it is paused."""
    found = read(options.path("paused.json"))
    if not isinstance(found, dict):
        return None
    until = found.get("until") if isinstance(found.get("until"), (int, float)) else None
    if until is not None and until <= time.time():
        return None
    return {"until": until, "reason": str(found.get("reason") or "")}


def file_identity(path: str) -> str:
    """Which file this is: another text in it makes it another one; "" where there is none."""
    try:
        about = os.stat(path)
        return f"{about.st_ino}-{about.st_size}-{about.st_mtime_ns}"
    except OSError:
        return ""


def written_at(path: str) -> float:
    """When the file was written last, in seconds since the epoch; 0 where there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0
