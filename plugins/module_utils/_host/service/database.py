# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQLite databases in directories of another user. Private to the collection.

SQLite opens files by their names, and a journal beside a database can have it delete any file. So root never lets it open
what another user can change: the database and its write-ahead log are copied from open files into a directory of this
process, and that copy is opened, by a path of ours.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

#: Suffixes of SQLite's files beside an open database.
JOURNALS = ("-wal", "-shm", "-journal")
# Bytes that a writer locks: all bytes of readers in the database, and the bytes of a writer and of a checkpoint in the index
# of its write-ahead log (SQLite's os_unix.c and wal.c).
_READERS = (0x40000002, 510)
_WRITERS = (120, 2)


@contextlib.contextmanager
def copied(
    directory: Directory, name: str, place: str | None = None, timeout: float = 30
) -> t.Iterator[sqlite3.Connection]:
    """A connection to a copy of a database, as of one moment, though its server writes to it.

    :param place: directory of the copy, of this process's user; None takes the one for temporary files.
    :param timeout: seconds to wait for a writer, and for each question to the copy: a view can be without an end.
    :raises sqlite3.Error: it is no database.
    :raises OSError: there is none, or it is not read there.
    """
    with tempfile.TemporaryDirectory(prefix="database-", dir=place) as private:
        path = os.path.join(private, "copy")
        _copy(directory, name, path, timeout)
        with contextlib.closing(sqlite3.connect(path, timeout=timeout)) as connection:
            end = time.monotonic() + timeout
            connection.set_progress_handler(lambda: time.monotonic() > end, 100_000)
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection


def _copy(directory: Directory, name: str, path: str, timeout: float) -> None:
    with contextlib.ExitStack() as stack:
        main = stack.enter_context(directory.open(name))
        end = time.monotonic() + timeout
        _hold(main, _READERS, end, os.path.join(directory.path, name))
        log = None
        with contextlib.suppress(FileNotFoundError):
            index = stack.enter_context(directory.open(f"{name}-shm"))
            _hold(index, _WRITERS, end, os.path.join(directory.path, name))
        with contextlib.suppress(FileNotFoundError):
            log = stack.enter_context(directory.open(f"{name}-wal"))
        for source, target in ((main, path), (log, f"{path}-wal")):
            if source is not None:
                with open(target, "xb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)


def _hold(file: t.BinaryIO, span: tuple[int, int], end: float, what: str) -> None:
    """Keeps writers off, for as long as the file is open."""
    start, length = span
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
            return
        except OSError as exc:
            if exc.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() > end:
            raise ModelopsError(f"the database {what} cannot be read: another process holds its lock. Run this again.")
        time.sleep(0.002)
