# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of what a server keeps, taken before another release may change it. Private to the collection.

What is small and cannot be had again: users, keys and their secrets, registrations, the autostart, and what this
collection remembers. Weights, caches, logs and environments are not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

# Below XINFERENCE_HOME; every database beside them, too.
KEPT = ("auth", "model")
DATABASE = ".db"
# What SQLite has beside a database while it is open.
JOURNALS = ("-wal", "-shm", "-journal")


def sources(home: str, others: t.Sequence[str]) -> dict[str, str]:
    """Name in a backup -> path of each file to keep. `others` are files elsewhere, kept by their names.

    Root reads them in directories of the service's user, who must not have it read /etc/shadow: links are not followed.
    """
    found: dict[str, str] = {}
    for directory in KEPT:
        for parent, _directories, names in os.walk(os.path.join(home, directory)):
            for name in names:
                path = os.path.join(parent, name)
                if _is_file(path) and not through_link(path, home) and not name.endswith(JOURNALS):
                    found[os.path.join("home", os.path.relpath(path, home))] = path
    with contextlib.suppress(OSError):
        for name in os.listdir(home):
            if name.endswith(DATABASE) and _is_file(os.path.join(home, name)):
                found[os.path.join("home", name)] = os.path.join(home, name)
    for path in others:
        if _is_file(path):
            found[os.path.basename(path)] = path
    return found


def _is_file(path: str) -> bool:
    """No link to one, either."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def through_link(path: str, home: str) -> bool:
    """Whether a directory between `home` and a path below it is a symbolic link."""
    return os.path.realpath(os.path.dirname(path)) != os.path.normpath(
        os.path.join(os.path.realpath(home), os.path.relpath(os.path.dirname(path), home))
    )


def schema(path: str) -> list[tuple[t.Any, ...]] | None:
    """The tables of a database as they were made; None for a file that is no database that can be read."""
    if not _is_file(path):
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            return [
                *database.execute("PRAGMA user_version"),
                *database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"),
            ]
    except sqlite3.Error:
        return None


def copy(source: str, target: str) -> None:
    """One file; a database as of one moment, though the server writes to it."""
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    # Never readable for others, not even while it is written.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    if source.endswith(DATABASE) and schema(source) is not None:
        with contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as old:
            with contextlib.closing(sqlite3.connect(target)) as new:
                old.backup(new)
    else:
        shutil.copyfile(source, target)


def make(directory: str, files: t.Mapping[str, str]) -> None:
    """A whole backup or none: it is written beside its place."""
    draft = f"{directory}.part"
    shutil.rmtree(draft, ignore_errors=True)
    os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
    os.mkdir(draft, 0o700)
    for name, path in files.items():
        copy(path, os.path.join(draft, name))
    os.rename(draft, directory)


def backups(path: str) -> list[str]:
    """Names of the backups below `path`, the newest first."""
    try:
        return sorted((name for name in os.listdir(path) if not name.endswith(".part")), reverse=True)
    except OSError:
        return []


def surplus(names: t.Sequence[str], keep: int, releases: t.Iterable[str]) -> list[str]:
    """Of backups, the newest first, those beyond `keep`; never the newest one of a release that is still there."""
    newest = {next((name for name in names if name.endswith(f"-{release}")), "") for release in releases}
    return [name for name in names[max(0, keep) :] if name not in newest]


def unreadable(directory: str, home: str, others: t.Sequence[str]) -> dict[str, str]:
    """What the release that a backup is of can no longer read: path in the backup -> path of the file.

    Those that are gone, and databases whose tables were changed since. What was only written to stays as it is.

    :raises ModelopsError: one of them would be put back through a link, to wherever the service's user has it point.
    """
    places = {os.path.basename(path): path for path in others}
    found: dict[str, str] = {}
    for parent, _directories, names in os.walk(directory):
        for name in names:
            kept = os.path.join(parent, name)
            relative = os.path.relpath(kept, directory)
            place = places.get(relative) or os.path.join(home, os.path.relpath(relative, "home"))
            if relative not in places and through_link(place, home):
                raise ModelopsError(
                    f"{os.path.dirname(place)} is reached by a symbolic link below {home}, so {place} is not put back. Replace "
                    "the link by a directory and run this again. Nothing was put back."
                )
            if not os.path.exists(place) or (name.endswith(DATABASE) and schema(kept) != schema(place)):
                found[kept] = place
    return found


def put_back(kept: str, place: str) -> None:
    """One file, to the owner of its directory, in one step."""
    parent = os.path.dirname(place)
    os.makedirs(parent, mode=0o750, exist_ok=True)
    owner = os.stat(parent)
    draft = f"{place}.restored"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    copy(kept, draft)
    if os.geteuid() == 0:
        os.chown(draft, owner.st_uid, owner.st_gid, follow_symlinks=False)
    for journal in JOURNALS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place + journal)
    os.replace(draft, place)
