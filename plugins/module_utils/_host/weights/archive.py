# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpacking archives that others have made. Private to the collection.

Nothing is written outside the target, whatever a member is called or links to. tarfile's own filter does that since
Python 3.12; hosts may have 3.9.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import typing as t
import zipfile

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import last_lines
from ansible_collections.modelops.inference.plugins.module_utils._host.system.tree import stays_inside

# The first bytes of a Zstandard frame (RFC 8878, 3.1.1).
_ZSTD = b"\x28\xb5\x2f\xfd"


def check_tools(file_name: str) -> None:
    """Refuses archives that this host cannot unpack, before the download."""
    if file_name.lower().endswith("zst") and not shutil.which("zstd"):
        raise ModelopsError(
            f"{file_name} needs the program zstd, which the host lacks. Install it (Debian and Ubuntu: "
            "apt-get install zstd), or use a .tar.gz."
        )


def unpack(path: str, kind: str, target: str, what: str) -> None:
    """Unpacks into a new directory.

    :param kind: "tar" (bare, or compressed by gzip, bzip2, xz or Zstandard) or "zip".
    :param what: the archive's name in messages.
    :raises ModelopsError: it is broken, or has members that would lie outside.
    """
    make_directory(target)
    try:
        if kind == "zip":
            _unzip(path, target, what)
        else:
            _untar(path, target, what)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as exc:
        raise ModelopsError(f"{what} cannot be unpacked as {kind} archive: {exc}") from exc
    except OSError as exc:
        raise ModelopsError(f"{what} cannot be unpacked: {exc.strerror or exc}") from exc
    for place, folders, names in os.walk(target):
        for link in filter(os.path.islink, (os.path.join(place, name) for name in folders + names)):
            inside = os.path.relpath(link, target)
            if not stays_inside(target, inside):
                raise ModelopsError(f"{what}: {inside} links outside; nothing of it was taken")


def _unzip(path: str, target: str, what: str) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            place = _place(target, member.filename, what)
            if member.is_dir():
                make_directory(place)
            else:
                with archive.open(member) as content:
                    _write(place, content, member.file_size, what)


def _untar(path: str, target: str, what: str) -> None:
    with open(path, "rb") as file:
        zstd = file.read(4) == _ZSTD
    if not zstd:
        with tarfile.open(path, "r|*") as archive:
            _members(archive, target, what)
        return
    check_tools("an archive of Zstandard (.zst)")
    command = ["zstd", "-dcq", "--", path]
    # AnsibleModule.run_command would hold the whole content in memory.
    with subprocess.Popen(  # pylint: disable=ansible-bad-function
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        stdout, stderr = t.cast("t.IO[bytes]", process.stdout), t.cast("t.IO[bytes]", process.stderr)
        try:
            with tarfile.open(fileobj=stdout, mode="r|") as archive:
                _members(archive, target, what)
            # Bytes after the archive's end are padding.
            while stdout.read(1 << 20):
                pass
        except BaseException:
            process.kill()
            raise
        said = stderr.read().decode("utf-8", errors="replace")
        if process.wait():
            raise ModelopsError(f"{what} cannot be unpacked: {last_lines(said)}")


def _members(archive: tarfile.TarFile, target: str, what: str) -> None:
    for member in archive:
        place = _place(target, member.name, what)
        if member.isdir():
            make_directory(place)
        elif member.isreg():
            _write(place, t.cast(t.IO[bytes], archive.extractfile(member)), member.size, what)
        elif member.issym():
            # Where it leads is known when all is there: unpack() looks at every link at its end.
            if os.path.isabs(member.linkname):
                raise ModelopsError(f"{what}: {member.name} links outside; nothing of it was taken")
            _replace(place)
            os.symlink(member.linkname, place)
        elif member.islnk():
            linked = _place(target, member.linkname, what)
            _replace(place)
            os.link(linked, place, follow_symlinks=False)
        else:
            raise ModelopsError(
                f"{what}: {member.name} is neither a file, a directory nor a link; nothing of it was taken"
            )


def _place(target: str, name: str, what: str) -> str:
    """The path of a member: inside the target, also through links written earlier."""
    place = os.path.normpath(os.path.join(target, name))
    root = os.path.realpath(target)
    if os.path.isabs(name) or not _inside(os.path.realpath(os.path.dirname(place) if place != target else place), root):
        raise ModelopsError(f"{what}: {name} would be written outside; nothing of it was taken")
    if ".." in name.replace("\\", "/").split("/"):
        raise ModelopsError(f"{what}: {name} would be written outside; nothing of it was taken")
    make_directory(os.path.dirname(place))
    return place


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(os.path.join(root, ""))


def _replace(place: str) -> None:
    if os.path.lexists(place):
        os.unlink(place)


def _write(place: str, content: t.IO[bytes], size: int, what: str) -> None:
    free = shutil.disk_usage(os.path.dirname(place)).free
    if size > free:
        raise ModelopsError(f"{what}: {os.path.basename(place)} has {size} bytes, but the disk has {free} free")
    # Never through a link that the archive brought.
    _replace(place)
    with open(place, "xb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
