# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AMD's driver: amdgpu, its compute interface (kfd), ROCm, and what amd-smi or rocm-smi says. Private to the collection."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import pci
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

TOPOLOGY = "/sys/class/kfd/kfd/topology/nodes"
AMD_SMI = ("amd-smi", "static", "--asic", "--bus", "--vram", "--driver", "--json")
ROCM_SMI = (
    "rocm-smi",
    "--showproductname",
    "--showuniqueid",
    "--showbus",
    "--showmeminfo",
    "vram",
    "--showdriverversion",
    "--json",
)
UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}


def driver(host: HostAccess) -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info, key ``amd``, without what a tool says."""
    loaded = host.exists("/sys/module/amdgpu")
    rocm = host.read("/opt/rocm/.info/version") or host.read("/opt/rocm/.info/version-rocm")
    return {
        # The module of the kernel itself has no version, only that of amdgpu-dkms.
        "loaded": (host.read("/sys/module/amdgpu/version") or "in-tree") if loaded else "",
        "rocm": rocm.partition("-")[0],
        "nodes": [path for path in ("/dev/kfd",) if host.exists(path)] + host.glob("/dev/dri/renderD*"),
        "groups": [name for name in ("render", "video") if f"\n{name}:" in "\n" + host.read("/etc/group")],
    }


def targets(host: HostAccess) -> dict[str, dict[str, t.Any]]:
    """The compute interface's data of each card, by address: LLVM target, memory and partitions."""
    found: dict[str, dict[str, t.Any]] = {}
    for node in host.names(TOPOLOGY):
        about = _properties(host.read(f"{TOPOLOGY}/{node}/properties"))
        if not about.get("simd_count"):  # processors are nodes, too
            continue
        where = about.get("location_id", 0)
        address = f"{about.get('domain', 0):04x}:{where >> 8 & 0xFF:02x}:{where >> 3 & 0x1F:02x}.{where & 7}"
        sizes = (
            _properties(host.read(f"{TOPOLOGY}/{node}/mem_banks/{bank}/properties")).get("size_in_bytes", 0)
            for bank in host.names(f"{TOPOLOGY}/{node}/mem_banks")
        )
        card = found.setdefault(
            address, {"target": gfx_name(about.get("gfx_target_version", 0)), "memory_bytes": 0, "partitions": 0}
        )
        card["memory_bytes"] += sum(sizes)
        card["partitions"] += 1
    return found


def _properties(text: str) -> dict[str, int]:
    return {key: int(value) for key, value in re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)}


def gfx_name(version: int) -> str:
    """90402 is gfx942: major, minor and stepping in decimal pairs, the last two as hexadecimal digits in the name."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else ""


def query(host: HostAccess) -> dict[str, t.Any]:
    """The output of amd-smi, or of rocm-smi if amd-smi is missing: ``tool``, ``error``, ``driver`` and ``cards`` by address."""
    for command, read in ((AMD_SMI, _amd_smi), (ROCM_SMI, _rocm_smi)):
        answer = host.run(*command, timeout=60)
        if not answer.found:
            continue
        try:
            # Warnings stand before the document.
            document = re.search(r"^[\[{]", answer.text, re.MULTILINE)
            cards = read(json.loads(answer.text[document.start() if document else 0 :])) if answer.ok else {}
        except (ValueError, TypeError, AttributeError, KeyError):
            return {
                "tool": command[0],
                "error": f"{command[0]} did not answer in JSON: {answer.text[:200]}",
                "cards": {},
            }
        return {"tool": command[0], "error": "" if answer.ok else answer.text, "cards": cards}
    return {"tool": "", "error": "", "cards": {}}


def _amd_smi(document: t.Any) -> dict[str, dict[str, t.Any]]:
    # A list up to ROCm 6.4, since then an object that holds it.
    rows = document.get("gpu_data", []) if isinstance(document, dict) else document
    cards = {}
    for row in rows:
        told = row.get("vram", {}).get("size")
        size: dict[str, t.Any] = told if isinstance(told, dict) else {}
        amount, unit = size.get("value"), UNITS.get(size.get("unit", ""), 1)
        cards[pci.address(row["bus"]["bdf"])] = {
            "index": row["gpu"],
            "name": row["asic"].get("market_name", ""),
            "uuid": row["asic"].get("asic_serial", ""),
            "memory_bytes": int(amount) * unit if isinstance(amount, (int, float)) else None,
            "driver": row.get("driver", {}).get("version", ""),
        }
    return cards


def _rocm_smi(document: t.Any) -> dict[str, dict[str, t.Any]]:
    version = document.get("system", {}).get("Driver version", "")
    cards = {}
    for key, row in document.items():
        if key.startswith("card") and row.get("PCI Bus"):
            total = str(row.get("VRAM Total Memory (B)", ""))
            cards[pci.address(row["PCI Bus"])] = {
                "index": int(key[len("card") :]),
                # The capital letter came with ROCm 6.
                "name": row.get("Card Series") or row.get("Card series", ""),
                "uuid": row.get("Unique ID", ""),
                "memory_bytes": int(total) if total.isdigit() else None,
                "driver": version,
            }
    return cards


def vram(host: HostAccess, address: str) -> tuple[int | None, int | None]:
    """Total and free memory of a card, from its driver."""
    total = host.number(f"{pci.DEVICES}/{address}/mem_info_vram_total")
    used = host.number(f"{pci.DEVICES}/{address}/mem_info_vram_used")
    return total, None if total is None or used is None else total - used
