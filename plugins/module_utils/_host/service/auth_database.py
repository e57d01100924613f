# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users in Xinference's own database (3.0 and later). Private to the collection.

Only a missing file is a missing database. Any other failure is an error: a server whose administrator cannot be seen must not
be stopped and given another one.
"""

from __future__ import annotations

import os
import shlex
import sqlite3

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.service import backup, database

DATABASE = os.path.join("auth", "auth.db")
_QUERY = "SELECT count(*) FROM users"


class UnreadableDatabase(ModelopsError):
    """The database is there, and its users cannot be counted."""

    def __init__(self, path: str, why: str):
        super().__init__(f"{path}, the server's database of users, cannot be read ({why})")
        self.path = path
        self.why = why


def users(home: str) -> int | None:
    """The number of users; None where there is no database yet.

    :raises UnreadableDatabase: there is one, and it cannot be read.
    """
    path = os.path.join(home, DATABASE)
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise UnreadableDatabase(path, exc.strerror or str(exc)) from exc
    folder, name = os.path.split(path)
    try:
        with Directory.at(folder) as directory, database.copied(directory, name, timeout=10) as copy:
            return int(copy.execute(_QUERY).fetchone()[0])
    except (OSError, sqlite3.Error, ModelopsError) as exc:
        raise UnreadableDatabase(path, getattr(exc, "strerror", None) or str(exc)) from exc


def remedy(home: str, backups: str, stop: str) -> str:
    """Advice for an unreadable database: sentences with the commands and the name of the last backup.

    :param backups: directory of the backups.  :param stop: the command that stops the service.
    """
    path = shlex.quote(os.path.join(home, DATABASE))
    mend = f"Let the owner of {home} read it, or stop the server and"
    kept = [os.path.join(backups, name, "home", DATABASE) for name in backup.backups(backups)]
    last = next((place for place in kept if os.path.exists(place)), None)
    if last is None:
        return (
            f"{mend} move it away, so that the next run creates the administrator and the client key again from the stored secrets "
            f"({backups} has no backup of it, and other users and keys are lost): {stop} && mv {path} {path}.unreadable"
        )
    owner = os.stat(home)
    return (
        f"{mend} restore the last backup, {last}: {stop} && install -o {owner.st_uid} -g {owner.st_gid} -m 0600 "
        f"{shlex.quote(last)} {path} && rm -f {path}-wal {path}-shm"
    )
