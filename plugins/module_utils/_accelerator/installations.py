# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The installations of this collection on a host, which share its driver. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

_UNITS = (
    "/etc/systemd/system/*.service",
    "/root/.config/systemd/user/*.service",
    "/home/*/.config/systemd/user/*.service",
)
_MANAGED = re.compile(r"[#;] Managed by modelops\.inference\n")
# A start script in etc/, or a program of the environment.
_START = re.compile(r"^ExecStart=(?:/bin/sh )?(/.*?)/(?:current/bin|etc)/", re.MULTILINE)
_SUPERVISORD = "/supervisor/supervisord.conf"


def installations(host: HostAccess, asked: t.Iterable[str] = ()) -> list[str]:
    """Their directories (xinference_dir): those with units of systemd, those whose supervisord runs, and of ``asked`` those there.

    :param asked: directories of installations that the role accelerator's record names; one that is stopped is known by it alone.
    """
    found = {path.rstrip("/") for path in asked if host.link(path.rstrip("/") + "/current")}
    for path in (path for pattern in _UNITS for path in host.glob(pattern)):
        text = host.read(path)
        start = _START.search(text)
        if _MANAGED.match(text) and start:
            found.add(start.group(1))
    for pid in filter(str.isdigit, host.names("/proc")):
        words = host.read(f"/proc/{pid}/cmdline").split("\0")
        found.update(
            word[: -len(_SUPERVISORD)]
            for word in words
            if word.startswith("/") and word.endswith(_SUPERVISORD) and _MANAGED.match(host.read(word))
        )
    return sorted(found)
