# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that have a card open. Private to the collection."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

_DEVICES = re.compile(r"/dev/(nvidia(?:\d+|-uvm)|kfd|davinci\d+)$")
# Services of the driver itself, and those that watch it: a change of the driver stops and starts them.
DRIVER_SERVICES = (
    "nvidia-persiste",
    "nv-fabricmanage",
    "nvidia-fabricma",
    "nvidia-imex",
    "nv-hostengine",
    "dcgm-exporter",
    "dcgm",
)


def processes(host: HostAccess) -> list[dict[str, t.Any]]:
    """The processes that have a card open; only root sees those of other users.

    ``pid``, ``name``, ``devices``, ``of_driver`` (whether it is a service of the driver) and ``unit``: what keeps it running, the
    configuration of its supervisord or its service of systemd, "" for neither.
    """
    found = []
    for pid in filter(str.isdigit, host.names("/proc")):
        descriptors = f"/proc/{pid}/fd"
        targets = (_DEVICES.match(host.link(f"{descriptors}/{name}")) for name in host.names(descriptors))
        devices = sorted({target.group(1) for target in targets if target})
        if devices:
            name = host.read(f"/proc/{pid}/comm")
            unit = re.search(r"/([^/]+\.service)$", host.read(f"/proc/{pid}/cgroup"), re.MULTILINE)
            found.append(
                {
                    "pid": int(pid),
                    "name": name,
                    "devices": devices,
                    # The kernel cuts names at 15 characters.
                    "of_driver": name.startswith(DRIVER_SERVICES),
                    "unit": _supervisord(host, int(pid)) or (unit.group(1) if unit else ""),
                }
            )
    return sorted(found, key=lambda process: process["pid"])


def _supervisord(host: HostAccess, pid: int) -> str:
    """The configuration of the supervisord that a process descends from; "" for none."""
    while pid > 1:
        words = host.read(f"/proc/{pid}/cmdline").split("\0")
        # A script's first word is its interpreter.
        if "supervisord" in map(os.path.basename, words[:2]) and "-c" in words[:-1]:
            return words[words.index("-c") + 1]
        parent = re.search(r"^PPid:\s*(\d+)", host.read(f"/proc/{pid}/status"), re.MULTILINE)
        pid = int(parent.group(1)) if parent else 0
    return ""
