# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users in Xinference's own database (3.0 and later). Private to the collection.

Only a missing file is a missing database. Any other failure is an error: a server whose administrator cannot be seen must not
be stopped and given another one.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import signal
import sqlite3
import stat
import typing as t
from urllib.parse import quote

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host import backup

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
        owner = os.stat(home)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise UnreadableDatabase(path, exc.strerror or str(exc)) from exc
    # The directory is the service's user's, who could have root open any file: root reads it with that user's rights.
    found = _as_user(owner, lambda: _counted(path)) if os.geteuid() == 0 != owner.st_uid else _counted(path)
    if not found.isdigit():
        raise UnreadableDatabase(path, found)
    return int(found)


def _counted(path: str) -> str:
    """The number, or why there is none."""
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "it is no regular file"
    # A path may hold #, ? and %, which mean something in a URI.
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            return str(int(database.execute(_QUERY).fetchone()[0]))
    except sqlite3.Error as exc:
        return str(exc)


def _as_user(owner: os.stat_result, work: t.Callable[[], str]) -> str:
    """What ``work`` returns in a process with the rights of a directory's owner."""
    group, groups = owner.st_gid, [owner.st_gid]
    with contextlib.suppress(KeyError):
        entry = pwd.getpwuid(owner.st_uid)
        group, groups = entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of this process may go on here, whatever happens.
        try:
            signal.alarm(60)
            os.setgroups(groups)
            os.setgid(group)
            os.setuid(owner.st_uid)
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8", errors="replace") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text or "no answer of the process that reads it"


def remedy(home: str, backups: str, stop: str) -> str:
    """How to mend a database that cannot be read: sentences with the commands, the last backup by its name.

    :param backups: directory of the backups.  :param stop: the command that stops the service.
    """
    path = shlex.quote(os.path.join(home, DATABASE))
    mend = f"Let the owner of {home} read it, or stop the server and"
    kept = [os.path.join(backups, name, "home", DATABASE) for name in backup.backups(backups)]
    last = next((place for place in kept if os.path.exists(place)), None)
    if last is None:
        return (
            f"{mend} move it away, so that the next run makes administrator and client key anew with the secrets that it kept "
            f"({backups} has no backup of it, and other users and keys are lost): {stop} && mv {path} {path}.unreadable"
        )
    owner = os.stat(home)
    return (
        f"{mend} put back the last backup, {last}: {stop} && install -o {owner.st_uid} -g {owner.st_gid} -m 0600 "
        f"{shlex.quote(last)} {path} && rm -f {path}-wal {path}-shm"
    )
