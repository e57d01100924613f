# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups of a server's state before another release changes it. Private to the collection.

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
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, Refused, make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.service.database import JOURNALS, copied

# Below XINFERENCE_HOME; every database beside them, too.
KEPT = ("auth", "model")
DATABASE = ".db"


def sources(home: str, others: t.Sequence[str]) -> list[str]:
    """Names in a backup of the files to keep. `others` are files elsewhere, kept by their names."""
    return [name for name, _directory, _file in _found(home, others)]


def _found(home: str, others: t.Sequence[str]) -> t.Iterator[tuple[str, Directory, str]]:
    """Name in a backup, the open directory and the file's name in it. Root follows no link there: the service's user puts them."""
    with contextlib.suppress(FileNotFoundError), Directory.at(home) as top:
        for kept in KEPT:
            with contextlib.suppress(FileNotFoundError, Refused), top.enter(kept) as one:
                for inside, directory, names in one.walk():
                    for name in _files(directory, names):
                        if not name.endswith(JOURNALS):
                            yield os.path.join("home", kept, inside, name), directory, name
        for name in _files(top, top.names()):
            if name.endswith(DATABASE):
                yield os.path.join("home", name), top, name
    for path in others:
        with contextlib.suppress(FileNotFoundError), Directory.at(os.path.dirname(path)) as place:
            for name in _files(place, [os.path.basename(path)]):
                yield name, place, name


def _files(directory: Directory, names: t.Iterable[str]) -> t.Iterator[str]:
    for name in names:
        about = directory.stat(name)
        if about is not None and stat.S_ISREG(about.st_mode):
            yield name


def schema(directory: Directory, name: str) -> list[tuple[t.Any, ...]] | None:
    """The tables of a database as they were made; None for a file that is no database that can be read."""
    try:
        with copied(directory, name) as database:
            return [
                *database.execute("PRAGMA user_version"),
                *database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"),
            ]
    except (sqlite3.Error, FileNotFoundError, Refused):
        return None


def copy(directory: Directory, name: str, target: str) -> None:
    """One file; a database as of one moment, though the server writes to it.

    :raises Refused: it is none any more that root reads there.
    """
    place = os.path.dirname(target)
    make_directory(place, 0o700)
    # Never readable for others, not even while it is written.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        if name.endswith(DATABASE):
            with contextlib.suppress(sqlite3.Error):
                with copied(directory, name, place) as old, contextlib.closing(sqlite3.connect(target)) as new:
                    old.backup(new)
                    return
        with directory.open(name) as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    except BaseException:
        os.unlink(target)
        raise


def make(directory: str, home: str, others: t.Sequence[str]) -> None:
    """A whole backup or none: it is written beside its place."""
    draft = f"{directory}.part"
    shutil.rmtree(draft, ignore_errors=True)
    make_directory(os.path.dirname(directory), 0o700)
    make_directory(draft, 0o700)
    for name, place, file in _found(home, others):
        # Gone or swapped since it was listed, or a file of root's that the service's user has put there.
        with contextlib.suppress(FileNotFoundError, Refused):
            copy(place, file, os.path.join(draft, name))
    os.rename(draft, directory)


def backups(path: str) -> list[str]:
    """Names of the backups below `path`, the newest first."""
    try:
        return sorted((name for name in os.listdir(path) if not name.endswith(".part")), reverse=True)
    except OSError:
        return []


def surplus(names: t.Sequence[str], keep: int, releases: t.Iterable[str]) -> list[str]:
    """The backups beyond `keep`, newest first; never the newest one of an installed release."""
    newest = {next((name for name in names if name.endswith(f"-{release}")), "") for release in releases}
    return [name for name in names[max(0, keep) :] if name not in newest]


@dataclass(frozen=True)
class Lost:
    """A file that a release can no longer read.

    :ivar backed_up: its path in the backup.
    :ivar top: the directory below which it is put back, and :ivar inside: where.
    :ivar why: what is wrong with what is there.
    """

    backed_up: str
    top: str
    inside: str
    why: str

    @property
    def place(self) -> str:
        return os.path.join(self.top, self.inside)


def unreadable(directory: str, home: str, others: t.Sequence[str]) -> list[Lost]:
    """Files that the release of a backup can no longer read, by path.

    That is gone, or a database whose tables were changed since. What was only written to stays as it is.

    :raises ModelopsError: one of them would be put back through a link, to wherever the service's user has it point.
    """
    places = {os.path.basename(path): os.path.dirname(path) for path in others}
    found: list[Lost] = []
    with Directory.at(directory) as backup:
        for folder, kept, names in backup.walk():
            for name in names:
                relative = os.path.join(folder, name)
                top = places.get(relative, home)
                inside = relative if relative in places else os.path.relpath(relative, "home")
                why = _why(kept, name, top, inside)
                if why:
                    found.append(Lost(os.path.join(directory, relative), top, inside, why))
    return sorted(found, key=lambda one: one.place)


def _why(kept: Directory, name: str, top: str, inside: str) -> str:
    """The reason to restore a file; empty for none."""
    try:
        with Directory.at(top) as start, start.below(os.path.dirname(inside)) as place:
            if place.stat(name) is None:
                return "gone"
            if name.endswith(DATABASE) and schema(kept, name) != schema(place, name):
                return "its tables were changed"
            return ""
    except FileNotFoundError:
        return "gone"
    except Refused as exc:
        raise _through(exc, os.path.join(top, inside), "Nothing was restored.") from exc


def _through(exc: Refused, place: str, done: str) -> ModelopsError:
    return ModelopsError(
        f"{exc.filename} is a symbolic link or not a directory, so {place} was not restored. Replace it with a "
        f"directory and run this again. {done}"
    )


def put_back(lost: Lost) -> None:
    """One file, to the owner of its directory, in one step."""
    folder, name = os.path.split(lost.inside)
    try:
        with Directory.at(lost.top) as start, start.below(folder, make=0o750) as place:
            with place.create(name, 0o600, place.owner) as draft, open(lost.backed_up, "rb") as kept:
                shutil.copyfileobj(kept, draft, 1 << 20)
                # Of the database that it replaces. By what is in them the server would change the new one.
                for journal in JOURNALS:
                    place.unlink(name + journal)
    except Refused as exc:
        raise _through(exc, lost.place, "The earlier files of the plan were restored.") from exc
    except FileNotFoundError as exc:
        raise ModelopsError(
            f"a directory of {lost.place} was removed during the restore. Run this again. The earlier files of the plan "
            "were restored."
        ) from exc
