# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PCI devices that compute, from sysfs. Private to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import products
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

DEVICES = "/sys/bus/pci/devices"
# Base class and subclass of the PCI code and ID assignment: VGA, 3D and other display controllers, processing accelerators.
GPU_CLASSES = ("0300", "0302", "0380", "1200")
# "Other bridge": NVIDIA's NVSwitches.
SWITCH_CLASS = "0680"
GONE = b"\xff\xff\xff\xff"


def devices(host: HostAccess) -> list[dict[str, t.Any]]:
    """Accelerators and NVSwitches in the order of their addresses.

    ``vendor``, ``kind`` (gpu, switch), ``address``, ``id`` and ``subsystem`` (vendor:device), ``class``, ``driver`` (that is
    bound; "" for none), ``numa_node`` (None where the host has no say), ``virtual_function`` and ``alive``: False where the
    device does not answer on the bus any more, although the kernel remembers it.
    """
    found = []
    for address in host.names(DEVICES):
        path = f"{DEVICES}/{address}"
        code = host.read(f"{path}/class")[2:6]
        vendor = products.VENDORS.get(host.read(f"{path}/vendor")[2:])
        is_switch = vendor == products.NVIDIA and code == SWITCH_CLASS
        if vendor is None or not (is_switch or code in GPU_CLASSES):
            continue
        node = host.number(f"{path}/numa_node")
        config = host.bytes(f"{path}/config", 4)
        found.append(
            {
                "vendor": vendor,
                "kind": "switch" if is_switch else "gpu",
                "address": address,
                "id": _pair(host, path, ""),
                "subsystem": _pair(host, path, "subsystem_"),
                "class": code,
                "driver": os.path.basename(host.link(f"{path}/driver")),
                "numa_node": node if node is not None and node >= 0 else None,
                "virtual_function": bool(host.link(f"{path}/physfn")),
                "alive": config != GONE,
            }
        )
    return found


def _pair(host: HostAccess, path: str, prefix: str) -> str:
    vendor, device = (host.read(f"{path}/{prefix}{name}")[2:] for name in ("vendor", "device"))
    return f"{vendor}:{device}" if vendor and device else ""


def address(text: str) -> str:
    """A tool's way to write an address (00000000:1B:00.0, 0000:1B:00, 1b:00.0) as sysfs writes it."""
    parts = text.strip().lower().split(":")
    if len(parts) < 2:
        return ""
    domain = parts[0][-4:] if len(parts) > 2 else "0000"
    return f"{domain}:{parts[-2]}:{parts[-1] if '.' in parts[-1] else parts[-1] + '.0'}"
