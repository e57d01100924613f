# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in directories that another user can change at any moment. Private to the collection.

Root works in directories of the service's user, who can put a link where a file was a moment ago. So a path is walked once,
from one open directory to the next (openat), and what was opened is examined, never its name again. A link is followed
only where nobody but root and the user of this process can have put it, such as an operator's to another disk.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import secrets
import stat
import typing as t

# To pass through a directory takes no right to list it.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, the opening of a named pipe waits for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# As many links in a path as Linux follows, and more levels of directories than anything has that a server keeps.
_LINKS, _LEVELS = 40, 100


class Refused(PermissionError):
    """The path is not of the required kind: a link, not a regular file, or a file of another user."""

    def __init__(self, why: str, path: str):
        super().__init__(errno.EPERM, why, path)


class Directory:
    """An open directory. Its methods take names of entries, and follow no link.

    :ivar path: by which it was reached, for messages.
    :ivar safe: nobody but root and the user of this process can have put it in its place.
    """

    def __init__(self, handle: int, path: str, safe: bool):
        self.handle = handle
        self.path = path
        about = os.fstat(handle)
        self.owner = (about.st_uid, about.st_gid)
        self.safe = safe and about.st_uid in _trusted()
        self._sticky = bool(about.st_mode & stat.S_ISVTX)
        self._shared = bool(
            about.st_mode & stat.S_IWOTH or (about.st_mode & stat.S_IWGRP and about.st_gid not in (0, os.getegid()))
        )

    @classmethod
    def at(cls, path: str) -> Directory:
        """The directory at a path."""
        holder, name = _reach(path)
        with holder:
            return holder.enter(name)

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self.handle)

    # -- look ------------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        handle = os.open(".", _LIST, dir_fd=self.handle)
        try:
            return sorted(os.listdir(handle))
        finally:
            os.close(handle)

    def stat(self, name: str) -> os.stat_result | None:
        """The status of an entry itself; None for a missing one."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        return None

    def vouches(self, about: os.stat_result) -> bool:
        """Whether nobody but root and the user of this process can have put an entry here."""
        return self.safe and (not self._shared or (self._sticky and about.st_uid in _trusted()))

    def kind(self, name: str, wanted: str) -> str:
        """Why an entry is not the file or the directory that it must be."""
        about = self.stat(name)
        if about is None or not stat.S_ISLNK(about.st_mode):
            return f"it is not a {wanted}"
        return f"it is a symbolic link in a directory of the user {self.owner[0]}, so it is not followed; name what it points to"

    def walk(self, levels: int = _LEVELS) -> t.Iterator[tuple[str, Directory, list[str]]]:
        """The path inside, the open directory and the names of what is no directory, of this one and each below it."""
        names = self.names()
        kinds = {name: about.st_mode for name in names for about in [self.stat(name)] if about}
        yield "", self, [name for name in kinds if not stat.S_ISDIR(kinds[name])]
        for name in (name for name in kinds if stat.S_ISDIR(kinds[name])):
            with contextlib.suppress(Refused, FileNotFoundError, PermissionError):
                with self._deeper(name, levels) as below:
                    for inside, directory, found in below.walk(levels - 1):
                        yield os.path.join(name, inside), directory, found

    # -- open ------------------------------------------------------------------------------------------------------

    def enter(self, name: str) -> Directory:
        """:raises Refused: it is a link, or no directory."""
        path = os.path.join(self.path, name)
        if name == ".." and not self.vouches(os.fstat(self.handle)):
            raise Refused("it points outside a directory of another user", path)
        try:
            handle = os.open(name, _PASS, dir_fd=self.handle)
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Refused(self.kind(name, "directory"), path) from exc
            raise
        try:
            return Directory(handle, path, self.vouches(os.fstat(handle)))
        except BaseException:
            os.close(handle)
            raise

    def below(self, path: str, make: int | None = None) -> Directory:
        """The directory at a path inside.

        :param make: mode of those that are made where they are missing, with the owner of the directory that holds them.
        """
        here = Directory(os.dup(self.handle), self.path, self.safe)
        for name in _parts(path):
            with here:
                if make is not None and here.stat(name) is None:
                    # Another process may make it, too.
                    with contextlib.suppress(FileExistsError):
                        here.make(name, make)
                here = here.enter(name)
        return here

    def open(self, name: str, owners: t.Collection[int] | None = None) -> t.BinaryIO:
        """A regular file, to be read.

        :param owners: whose it must be. None: root reads only what the directory's owner could read, too, who can link
            root's own files to a name here, or move them.
        :raises Refused: it is something else.
        """
        path = os.path.join(self.path, name)
        try:
            handle = os.open(name, _READ, dir_fd=self.handle)
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.ENXIO):
                raise Refused(self.kind(name, "regular file"), path) from exc
            raise
        try:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                raise Refused("it is not a regular file", path)
            if not (self._may_read(about) if owners is None else about.st_uid in owners):
                raise Refused(f"it belongs to the user {about.st_uid}, who is not the directory's owner", path)
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise

    def lasting(self, name: str, mode: int) -> t.BinaryIO:
        """A file that stays, such as a lock; made where it is missing or something else is there, with this directory's owner."""
        try:
            file = self.open(name)
            about = os.fstat(file.fileno())
            # Only their own, of one name: another could be a program of root's that they linked here.
            if stat.S_IMODE(about.st_mode) != mode and about.st_uid == self.owner[0] and about.st_nlink == 1:
                with contextlib.suppress(PermissionError):
                    os.fchmod(file.fileno(), mode)
            return file
        except FileNotFoundError:
            pass
        except Refused:
            self.unlink(name)
        # Where somebody else makes it meanwhile, that one is it.
        with contextlib.suppress(FileExistsError):
            handle = os.open(name, _WRITE, 0o600, dir_fd=self.handle)
            with os.fdopen(handle, "wb"):
                self.adopt(handle, mode, self.owner)
        return self.open(name)

    # -- change ----------------------------------------------------------------------------------------------------

    def make(self, name: str, mode: int) -> None:
        """Makes a directory, of this one's owner."""
        os.mkdir(name, 0o700, dir_fd=self.handle)
        with self.enter(name) as made:
            made.own(mode, self.owner)

    def own(self, mode: int | None = None, owner: tuple[int, int] | None = None) -> None:
        """Sets this directory's mode, and its owner and group where this process may choose them (root)."""
        handle = os.open(".", _LIST, dir_fd=self.handle)
        try:
            if owner is not None and os.geteuid() == 0:
                os.fchown(handle, *owner)
                self.owner = owner
            if mode is not None:
                os.fchmod(handle, mode)
        finally:
            os.close(handle)

    def write(
        self, name: str, content: str | bytes, mode: int, owner: tuple[int, int] | None = None, sync: bool = False
    ) -> None:
        """Replaces a file in one step, so that a reader never sees half of it; mode and owner hold from the first byte.

        :param owner: user and group, set where this process may choose them (root).
        """
        with self.create(name, mode, owner) as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if sync:
                os.fsync(file.fileno())

    @contextlib.contextmanager
    def create(self, name: str, mode: int, owner: tuple[int, int] | None = None) -> t.Iterator[t.BinaryIO]:
        """A file to be written, which takes its place when the block ends; where the block fails, nothing is left of it."""
        draft, handle = self._draft(name)
        try:
            with os.fdopen(handle, "wb") as file:
                self.adopt(handle, mode, owner)
                yield file
            os.replace(draft, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except OSError as exc:
            self.unlink(draft)
            # A write to a disk that is full does not say to what.
            if exc.errno in (errno.ENOSPC, errno.EDQUOT) and exc.filename is None:
                exc.filename = os.path.join(self.path, name)
            raise
        except BaseException:
            self.unlink(draft)
            raise

    def unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.handle)

    def remove(self, name: str, levels: int = _LEVELS) -> None:
        """Removes an entry, and of a directory all that is in it."""
        about = self.stat(name)
        if about is None:
            return
        if not stat.S_ISDIR(about.st_mode):
            self.unlink(name)
            return
        with self._deeper(name, levels) as below:
            for entry in below.names():
                below.remove(entry, levels - 1)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=self.handle)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _draft(self, name: str) -> tuple[str, int]:
        """A new file beside the one that it will replace. What a run that was killed left is taken away, and where somebody
        puts something in its place meanwhile, it gets a name that nobody can guess."""
        draft = f"{name}.new"
        try:
            self.unlink(draft)
            return draft, os.open(draft, _WRITE, 0o600, dir_fd=self.handle)
        except (FileExistsError, IsADirectoryError):
            draft = f"{name}.{secrets.token_hex(8)}.new"
            return draft, os.open(draft, _WRITE, 0o600, dir_fd=self.handle)

    @staticmethod
    def adopt(handle: int, mode: int, owner: tuple[int, int] | None) -> None:
        """Sets an open file's mode, and its owner and group where this process may choose them (root)."""
        os.fchmod(handle, mode)
        if owner is not None and os.geteuid() == 0:
            os.fchown(handle, *owner)

    def _deeper(self, name: str, levels: int) -> Directory:
        if not levels:
            raise OSError(errno.ENAMETOOLONG, f"more than {_LEVELS} directories in one another", self.path)
        return self.enter(name)

    def _may_read(self, about: os.stat_result) -> bool:
        if os.geteuid() != 0 or (self.safe and not self._shared) or about.st_mode & stat.S_IROTH:
            return True
        # The kernel's own: what a process keeps for itself is root's in a directory of its user.
        if self.path.startswith("/proc/"):
            return True
        return about.st_nlink == 1 if self._shared else about.st_uid == self.owner[0]


def make_directory(path: str, mode: int = 0o755, owner: tuple[int, int] | None = None, mend: bool = False) -> None:
    """Creates a directory and its missing parents, independent of the umask. Nothing else in the collection makes one
    that stays.

    Those above have mode 0755 and the owner of the directory that holds them.

    :param owner: user and group, set where this process may choose them (root). None is this process's own.
    :param mend: sets mode and owner of one that is there, too.
    """
    missing: list[str] = []
    place = os.path.normpath(path)
    while True:
        try:
            with Directory.at(place) as holder, holder.below("/".join(missing), make=0o755) as made:
                if missing or mend:
                    made.own(mode, owner or (os.geteuid(), os.getegid()))
            return
        except FileNotFoundError:
            if place == os.path.dirname(place):
                raise
            missing.insert(0, os.path.basename(place))
            place = os.path.dirname(place)


def swappable_by(path: str, user: int) -> str:
    """The directory of a path, or the path itself, in which a user can put something else in its place; "" where there is none.

    Root runs and replaces what is in directories of its own. Who is trusted anyway is not asked about.
    """
    if user in _trusted():
        return ""
    place = os.path.realpath(path)
    found = ""
    while True:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if os.stat(place).st_uid == user:
                found = place
        if place == os.path.dirname(place):
            return found
        place = os.path.dirname(place)


def opened(path: str) -> t.BinaryIO:
    """The regular file at a path, to be read.

    :raises OSError: there is none, or it may not be followed or read there (Refused).
    """
    holder, name = _reach(path)
    with holder:
        return holder.open(name)


def followed(path: str) -> t.BinaryIO:
    """The regular file at a path, whoever has put links there: for what is only measured, and neither shown nor kept.

    :raises OSError: there is none.
    """
    handle = os.open(path, _READ & ~os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Refused("it is not a regular file", path)
    return os.fdopen(handle, "rb")


def examine(path: str) -> os.stat_result:
    """The entry at a path.

    :raises OSError: nothing, or a link is not followed there (Refused).
    """
    holder, name = _reach(path)
    with holder:
        about = os.stat(name, dir_fd=holder.handle, follow_symlinks=False)
        if stat.S_ISLNK(about.st_mode):
            raise Refused(holder.kind(name, "file"), path)
        return about


def relative(path: str, directory: str) -> str | None:
    """A path as one inside a directory, compared by component and with all links resolved; None where it is outside."""
    found = os.path.relpath(os.path.realpath(path), os.path.realpath(directory))
    return None if found.split(os.sep, maxsplit=1)[0] == os.pardir else found


def _trusted() -> tuple[int, ...]:
    """Root, the user of this process, and who became root by sudo; and whoever owns /, who is root of another user namespace."""
    by = os.environ.get("SUDO_UID", "")
    return (0, os.geteuid(), _owner_of_all(), *([int(by)] if by.isdigit() else []))


@functools.cache
def _owner_of_all() -> int:
    return os.stat("/").st_uid


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _reach(path: str) -> tuple[Directory, str]:
    """The open directory that holds what a path names, and its name there: no link, unless one that is not followed."""
    names = _parts(path if path.startswith("/") else os.path.join(os.getcwd(), path))[::-1]
    here, links = _root(), 0
    try:
        while names:
            name = names.pop()
            about = here.stat(name)
            if about is not None and stat.S_ISLNK(about.st_mode) and here.vouches(about):
                links += 1
                if links > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink(name, dir_fd=here.handle)
                names += _parts(target)[::-1]
                if target.startswith("/"):
                    here = _instead(here, _root())
            elif not names:
                return here, name
            else:
                here = _instead(here, here.enter(name))
        return here, "."
    except BaseException:
        os.close(here.handle)
        raise


def _instead(old: Directory, new: Directory) -> Directory:
    os.close(old.handle)
    return new


def _root() -> Directory:
    return Directory(os.open("/", _PASS), "/", True)
