# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks on files and directories, waited for with a bound, and who holds one. Private to the collection."""

from __future__ import annotations

import fcntl
import os
import time

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

# Seconds to wait for somebody else: as long as the longest step that the reconciler, a drain or another run does under a lock.
WAIT = 300.0
_PAUSE = 0.1


class Held(ModelopsError):
    """Somebody else holds the lock.

    :ivar line: that in few words, for who waits.
    """

    def __init__(self, path: str, who: str, command: str, waited: float):
        self.line = f"waiting for {who}, which holds {path}"
        super().__init__(
            f"{path} is locked by {who} (waited {waited:.0f} s). Wait until it ends, then run this again. To look at it: {command}"
        )


def take(handle: int, path: str, timeout: float = WAIT, shared: bool = False) -> None:
    """Locks an open file or directory until it is closed.

    :param path: of it, for the error.  :param timeout: seconds to wait for somebody else who holds it.
    :param shared: with others who read it. On NFS a file that is open for reading takes no other lock.
    :raises Held: with the process that holds it.
    """
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            waited = time.monotonic() - begun
            if waited >= timeout:
                raise Held(path, *holder(handle, path), waited)
            time.sleep(_PAUSE)


def holder(handle: int, path: str) -> tuple[str, str]:
    """The holder of the lock on an open file, and the command that shows it."""
    pid = _locker(os.fstat(handle).st_ino)
    name = _name(pid) if pid else ""
    return (f"{name} (process {pid})", f"ps -fp {pid}") if name else ("another process", f"fuser -v {path}")


def _locker(inode: int) -> int:
    """The process that took the lock, as far as this one can see it; else 0."""
    # The device is not compared: of some file systems /proc has another number than stat.
    for line in _read("/proc/locks").splitlines():
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode) and words[4].isdigit():
            return int(words[4])
    return 0


def _name(pid: int) -> str:
    """The program of a process without its arguments, which may be anything; "" where it has ended."""
    program, argument = (_read(f"/proc/{pid}/cmdline") + "\0").split("\0")[:2]
    interpreted = os.path.basename(program).startswith("python") and argument and not argument.startswith("-")
    return os.path.basename(argument if interpreted else program)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
