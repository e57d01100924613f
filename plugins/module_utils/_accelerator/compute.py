# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processors and memory. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

# Features that llama.cpp (ggml) has kernels for, as /proc/cpuinfo names them on x86 and on Arm.
FEATURES = (
    "sse4_2", "avx", "f16c", "fma", "bmi2", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni",
    "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "sme",
)  # fmt: skip
PROCESSORS = "/sys/devices/system/cpu"
NODES = "/sys/devices/system/node"
MEMORY = "/sys/kernel/mm"


def cpu(host: HostAccess) -> dict[str, t.Any]:
    # One processor's part says it all; the whole file takes long on a host with hundreds of them.
    about: dict[str, str] = {}
    for line in host.read("/proc/cpuinfo", 16384).splitlines():
        key, colon, value = line.partition(":")
        if colon:
            about.setdefault(key.strip(), value.strip())
    flags = set((about.get("flags") or about.get("Features", "")).split())
    online = _members(host.read(f"{PROCESSORS}/online"))
    topology = [f"{PROCESSORS}/cpu{number}/topology" for number in online]
    cores = {(host.read(f"{path}/physical_package_id"), host.read(f"{path}/core_id")) for path in topology}
    return {
        "model": about.get("model name", ""),
        "features": [feature for feature in FEATURES if feature in flags],
        "threads": len(online),
        "cores": len(cores),
        "sockets": len({package for package, _core in cores}),
        "governor": host.read(f"{PROCESSORS}/cpu0/cpufreq/scaling_governor"),
        "numa_nodes": [_node(host, name) for name in host.names(NODES) if re.fullmatch(r"node\d+", name)],
    }


def _node(host: HostAccess, name: str) -> dict[str, t.Any]:
    """Memory of a card that the host can address, such as that of a GB200, is a node without processors."""
    memory = re.search(r"MemTotal:\s*(\d+) kB", host.read(f"{NODES}/{name}/meminfo"))
    return {
        "id": int(name[len("node") :]),
        "cpus": host.read(f"{NODES}/{name}/cpulist"),
        "memory_bytes": int(memory.group(1)) * 1024 if memory else 0,
    }


def memory(host: HostAccess) -> dict[str, t.Any]:
    lines = re.findall(r"^(\w+):\s*(\d+)", host.read("/proc/meminfo"), re.MULTILINE)
    kilobytes = {key: int(value) for key, value in lines}
    pages = []
    for name in host.names(f"{MEMORY}/hugepages"):
        path = f"{MEMORY}/hugepages/{name}"
        size = re.search(r"\d+", name)
        if size:
            counts = {key: host.number(f"{path}/{file}") or 0 for key, file in _COUNTS}
            pages.append({"size_bytes": int(size.group()) * 1024, **counts})
    transparent = re.search(r"\[(\w+)\]", host.read(f"{MEMORY}/transparent_hugepage/enabled"))
    return {
        "total_bytes": kilobytes.get("MemTotal", 0) * 1024,
        "available_bytes": kilobytes.get("MemAvailable", 0) * 1024,
        "swap_bytes": kilobytes.get("SwapTotal", 0) * 1024,
        "huge_pages": pages,
        "transparent_huge_pages": transparent.group(1) if transparent else "",
    }


_COUNTS = (("total", "nr_hugepages"), ("free", "free_hugepages"))


def _members(text: str) -> list[int]:
    """0-3,8 as [0, 1, 2, 3, 8]."""
    found: list[int] = []
    for part in text.split(","):
        first, _dash, last = part.partition("-")
        if first.isdigit():
            found += range(int(first), int(last or first) + 1)
    return found
