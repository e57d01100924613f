# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections that rules would cut off: the SSH connection that this came by, and others who listen on the same ports."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.rules import Range, covers
from ansible_collections.modelops.inference.plugins.module_utils._host.system import probe
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file


def ssh_port() -> int:
    """The port of this host by which this process was called with SSH; 0 where it was not. sudo hides it from the process."""
    pid = os.getpid()
    while pid > 1:
        words = probe.environment_of(pid, "SSH_CONNECTION").split()
        if len(words) == 4:
            return int(words[3])
        status = read_file(f"/proc/{pid}/status") or ""
        pid = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")), 0)
    return 0


def listeners(ranges: t.Sequence[Range]) -> dict[int, str]:
    """Programs that listen on these ports beyond loopback, by port."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (read_file(table) or "").splitlines()[1:]:
            fields = line.split()
            address, _colon, port = fields[1].partition(":")
            # Words in the host's byte order: 127.0.0.1 and ::1 on a little-endian host.
            local = address == "0" * 24 + "01000000" or (len(address) == 8 and address.endswith("7F"))
            if fields[3] == probe.TCP_LISTEN and not local and covers(ranges, int(port, 16)):
                ports.add(int(port, 16))
    return {port: probe.port("0.0.0.0", port, 0)["by"] for port in sorted(ports)}
