# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Huawei's Ascend: driver, firmware, CANN, nodes, and what npu-smi says. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import pci
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

DIRECTORY = "/usr/local/Ascend"
MEBIBYTE = 1024**2
# Of the toolkit's directories the name differs by release; the file in it too.
CANN_FILES = (
    "ascend-toolkit/latest/*-linux/ascend_toolkit_install.info",
    "ascend-toolkit/latest/version.cfg",
    "cann/*-linux/ascend_toolkit_install.info",
    "cann-*/*-linux/ascend_toolkit_install.info",
    "cann/version.cfg",
    "nnae/latest/ascend_nnae_install.info",
)


def driver(host: HostAccess) -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info, key ``ascend``, without what npu-smi says."""
    loaded = host.glob("/sys/module/drv_davinci*")
    return {
        "loaded": bool(loaded),
        "driver": _version(host.read(f"{DIRECTORY}/driver/version.info")),
        "firmware": _version(host.read(f"{DIRECTORY}/firmware/version.info")),
        "cann": next((v for pattern in CANN_FILES for v in _versions(host, f"{DIRECTORY}/{pattern}")), ""),
        "nodes": host.glob("/dev/davinci[0-9]*")
        + [path for path in ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc") if host.exists(path)],
    }


def _versions(host: HostAccess, pattern: str) -> list[str]:
    return [version for version in (_version(host.read(path)) for path in host.glob(pattern)) if version]


def _version(text: str) -> str:
    """Version=24.1.rc3, version=8.0.RC3, or [8.0.RC3:8.0.RC3] behind a name."""
    found = re.search(r"^version=(\S+)", text, re.IGNORECASE | re.MULTILINE) or re.search(r"_version=\[([^:\]]+)", text)
    return found.group(1) if found else ""


def query(host: HostAccess) -> dict[str, t.Any]:
    """The output of npu-smi: ``tool``, ``error``, ``driver`` and ``cards`` by address, of the table of ``npu-smi info``.

    Each chip has two lines: ``| 0  910B3 | OK | ...`` and ``| 0  | 0000:C1:00.0 | ... used / total |``; of the last column
    with an amount the larger is its memory (HBM, where there is some).
    """
    answer = host.run("npu-smi", "info", timeout=60)
    if not answer.ok:
        return {"tool": answer.found, "error": answer.text, "driver": "", "cards": {}}
    version = re.search(r"npu-smi \S+\s+Version:\s*(\S+)", answer.text)
    cards: dict[str, dict[str, t.Any]] = {}
    first: list[str] = []
    for line in answer.text.splitlines():
        columns = [column.strip() for column in line.strip().strip("|").split("|")]
        where = (
            re.fullmatch(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d", columns[1]) if len(columns) == 3 else None
        )
        if where and first:
            amounts = [(int(used), int(total)) for used, total in re.findall(r"(\d+)\s*/\s*(\d+)", columns[2])]
            used, total = amounts[-1] if amounts else (0, 0)
            npu, _space, name = first[0].partition(" ")
            cards[pci.address(columns[1])] = {
                "index": len(cards),
                "npu": int(npu),
                "name": f"Ascend {name.strip().replace('Ascend', '')}",
                "healthy": first[1] == "OK",
                "health": first[1],
                "memory_bytes": total * MEBIBYTE or None,
                "free_bytes": (total - used) * MEBIBYTE if total else None,
            }
            first = []
        elif len(columns) == 3 and re.match(r"\d+\s+\S", columns[0]):
            first = columns
    return {"tool": True, "error": "", "driver": version.group(1) if version else "", "cards": cards}
