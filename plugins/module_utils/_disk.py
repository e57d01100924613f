# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Advice for a full or read-only file system. Private to the collection."""

from __future__ import annotations

import errno
import os
import re
import typing as t

TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# The words of the system, which programs such as uv repeat.
_TOLD = re.compile("|".join(re.escape(os.strerror(number)) for number in TROUBLE), re.IGNORECASE)
_PATH = re.compile(r"(?<![\w.:/])/[^\s'\"`:,;()]+")
_GIB = 1024**3
# Bytes below which a file system counts as full.
_FULL = 64 << 20


def advice(text: str, places: t.Iterable[str] = (), here: bool = False) -> str:
    """A sentence about the file system of which an error tells that it is full or read-only; "" for any other error.

    :param places: directories that the work is about, beside the paths in the text.
    :param here: it happened on this machine, also where by now there is room, as after a program took back what it wrote.
    """
    if not _TOLD.search(text):
        return ""
    there = [_existing(path) for path in [*_PATH.findall(text), *places] if path.startswith("/")]
    usages = [(path, os.statvfs(path)) for path in dict.fromkeys(there)]
    found = [row for row in usages if _read_only(row[1]) or _full(row[1])] + (usages if here else [])
    if not found:
        return ""
    place, usage = found[0]
    if _read_only(usage):
        mount = _mount(place)
        return (
            f"\nThe file system of {place} is mounted read-only. See why (dmesg), mount it writable (mount -o remount,rw {mount}), or "
            "choose another directory (xinference_dir), then run this again."
        )
    free, total = usage.f_bavail * usage.f_frsize, usage.f_blocks * usage.f_frsize
    files = " and no inode" if usage.f_files and not usage.f_favail else ""
    return (
        f"\nThe file system of {place} has {free / _GIB:.1f} of {total / _GIB:.1f} GiB{files} free. Make room there "
        f"(du -xh {_mount(place)} | sort -h | tail), or choose a larger one (xinference_dir, xinference_home, "
        "xinference_models_dir), then run this again: it continues with the rest."
    )


def _existing(path: str) -> str:
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def _mount(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def _read_only(usage: os.statvfs_result) -> bool:
    return bool(usage.f_flag & os.ST_RDONLY)


def _full(usage: os.statvfs_result) -> bool:
    return usage.f_bavail * usage.f_frsize < _FULL or bool(usage.f_files and not usage.f_favail)
