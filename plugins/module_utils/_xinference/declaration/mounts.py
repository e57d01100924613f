# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Advice for a path that is missing because a file system is not mounted. Private to the collection."""

from __future__ import annotations

import os

from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file


def unmounted(path: str, fstab: str = "/etc/fstab", mounts: str = "/proc/self/mounts") -> tuple[str, str] | None:
    """The unmounted entry of /etc/fstab above a path: (mount point, device); None where there is none."""
    mounted = {place for device, place in _table(mounts)}
    above = [
        (place, device)
        for device, place in _table(fstab)
        if place.startswith("/") and place not in mounted and os.path.normpath(path).startswith(os.path.join(place, ""))
    ]
    return max(above, key=lambda found: len(found[0])) if above else None


def hint(path: str) -> str:
    """The end of a message that a path does not exist."""
    found = unmounted(path)
    return f": {found[0]}, where /etc/fstab has {found[1]}, is not mounted (mount {found[0]})" if found else ""


def _table(file: str) -> list[tuple[str, str]]:
    """Device and mount point of each line; a space in them is written as \\040 (fstab(5))."""
    rows = [line.split() for line in (read_file(file) or "").splitlines() if not line.lstrip().startswith("#")]
    return [
        (row[0].replace("\\040", " "), os.path.normpath(row[1].replace("\\040", " "))) for row in rows if len(row) > 1
    ]
