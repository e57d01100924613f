# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVIDIA's driver: kernel module, libraries, nodes, fabric, and what nvidia-smi says. Private to the collection."""

from __future__ import annotations

import re
import typing as t
from xml.etree import ElementTree

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import pci, products, versions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

VERSION = r"(\d{3,}(?:\.\d+){1,2})"
LIBRARIES = (
    "/usr/lib/*-linux-gnu", "/usr/lib/*-linux-gnu/nvidia/current", "/usr/lib64", "/usr/lib", "/usr/lib/wsl/lib",
    "/usr/local/nvidia/lib64",
)  # fmt: skip
MODPROBE = "/etc/modprobe.d"
MEBIBYTE = 1024**2


def driver(host: HostAccess, present: bool) -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info, key ``nvidia``, without what nvidia-smi says.

    :param present: there is a device of NVIDIA's, or its driver runs.
    """
    running = host.read("/proc/driver/nvidia/version")
    loaded = host.read("/sys/module/nvidia/version") or _version(running)
    installed = _modinfo(host) if present else {}
    return {
        "loaded": loaded,
        "loaded_flavor": _flavor(running) if running else "",
        "installed": installed.get("version", ""),
        "installed_flavor": {"NVIDIA": "proprietary", "Dual MIT/GPL": "open"}.get(installed.get("license", ""), ""),
        "library": library(host),
        "nodes": host.glob("/dev/nvidia[0-9]*") + [p for p in ("/dev/nvidiactl", "/dev/nvidia-uvm") if host.exists(p)],
        "mig_nodes": len(host.glob("/dev/nvidia-caps/nvidia-cap[0-9]*")),
        "compat": _compat(host),
        "persistence_daemon": host.exists("/run/nvidia-persistenced/socket"),
        # PIDFile of its unit, in the packages of Ubuntu's archive.
        "fabric_manager": host.exists("/run/nvidia-fabricmanager/nv-fabricmanager.pid"),
    }


def _version(text: str) -> str:
    found = re.search(rf"\b{VERSION}\b", text)
    return found.group(1) if found else ""


def _flavor(running: str) -> str:
    # NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build ...
    return "open" if "Open Kernel Module" in running else "proprietary"


def _modinfo(host: HostAccess) -> dict[str, str]:
    """The module that the running kernel would load."""
    for name in _modules(host):
        answer = host.run("modinfo", name, timeout=5)
        if answer.ok:
            lines = (line.partition(":") for line in answer.text.splitlines())
            return {key.strip(): value.strip() for key, colon, value in lines if colon}
    return {}


def _modules(host: HostAccess) -> list[str]:
    """Possible names of the module's file. Debian's own packages give it names that modinfo does not know as nvidia, and say in
    modprobe's configuration which of them is nvidia."""
    for name in host.names(MODPROBE):
        chosen = re.search(
            r"^\s*install\s+nvidia\s+modprobe\s+-i\s+(nvidia-[\w-]+)", host.read(f"{MODPROBE}/{name}"), re.MULTILINE
        )
        if chosen:
            return [chosen.group(1)]
    return ["nvidia", "nvidia-current", "nvidia-current-open"]


def library(host: HostAccess) -> str:
    """Version of the driver's libraries, which their file names carry; the newest where several are left."""
    found = []
    for directory in LIBRARIES:
        for name in ("libnvidia-ml.so", "libcuda.so"):
            found += [_version(path.rpartition(".so.")[2]) for path in host.glob(f"{directory}/{name}.[0-9]*.*")]
    return max((version for version in found if version), key=versions.numbers, default="")


def _compat(host: HostAccess) -> str:
    """Version of the libraries of CUDA's compatibility package, which let an older driver run a newer CUDA."""
    found = [_version(path.rpartition(".so.")[2]) for path in host.glob("/usr/local/cuda*/compat/libcuda.so.[0-9]*.*")]
    return max((version for version in found if version), key=versions.numbers, default="")


def query(host: HostAccess) -> dict[str, t.Any]:
    """The output of nvidia-smi: ``error`` ("" for none), ``driver``, ``cuda`` (the newest that it runs) and ``cards`` by address."""
    answer = host.run("nvidia-smi", "-q", "-x", timeout=60)
    nothing: dict[str, t.Any] = {"tool": answer.found, "error": "", "driver": "", "cuda": "", "cards": {}}
    if not answer.ok:
        return {**nothing, "error": answer.text if answer.found else ""}
    try:
        root = ElementTree.fromstring(answer.text)
    except ElementTree.ParseError:
        # Of a card that is lost it says so in a sentence in place of the document.
        return {**nothing, "error": answer.text.strip()[:300]}
    cards = {}
    for index, gpu in enumerate(root.iter("gpu")):
        cards[pci.address(gpu.get("id") or _text(gpu, "pci/pci_bus_id"))] = _card(gpu, index)
    if any(card["mig"]["instances"] for card in cards.values()):
        _name_instances(host, cards)
    return {**nothing, "driver": _text(root, "driver_version"), "cuda": _text(root, "cuda_version"), "cards": cards}


def _card(gpu: ElementTree.Element, index: int) -> dict[str, t.Any]:
    # pci_device_id is device and vendor in one number: 0x233010DE.
    both = _text(gpu, "pci/pci_device_id").lower()[-8:]
    fabric = gpu.find("fabric")
    return {
        "id": f"{both[4:]}:{both[:4]}" if len(both) == 8 else "",
        "index": index,
        "name": _text(gpu, "product_name"),
        "uuid": _text(gpu, "uuid"),
        # Cards that share the host's memory, such as GB10, answer N/A; so does a parent of MIG instances for what is free.
        "memory_bytes": _bytes(gpu, "fb_memory_usage/total"),
        "free_bytes": _bytes(gpu, "fb_memory_usage/free"),
        "persistence": _text(gpu, "persistence_mode") == "Enabled",
        "ecc": _switch(gpu, "ecc_mode/current_ecc"),
        "uncorrected_errors": _uncorrected(gpu),
        "reset_required": _text(gpu, "gpu_reset_status/reset_required") == "Yes",
        "mig": {
            "enabled": _switch(gpu, "mig_mode/current_mig"),
            "pending": _switch(gpu, "mig_mode/pending_mig"),
            "instances": [_instance(instance) for instance in gpu.findall("mig_devices/mig_device")],
        },
        # A part of a card, which its hypervisor divides (vGPU, formerly GRID).
        "virtual_gpu": _text(gpu, "gpu_virtualization_mode/virtualization_mode") == "VGPU",
        "fabric_state": _text(fabric, "state") if fabric is not None else "",
        "fabric_status": _text(fabric, "status") if fabric is not None else "",
    }


def _instance(instance: ElementTree.Element) -> dict[str, t.Any]:
    return {
        "index": int(_text(instance, "index") or 0),
        "gpu_instance": int(_text(instance, "gpu_instance_id") or 0),
        "compute_instance": int(_text(instance, "compute_instance_id") or 0),
        "memory_bytes": _bytes(instance, "fb_memory_usage/total"),
        "free_bytes": _bytes(instance, "fb_memory_usage/free"),
        "uuid": _text(instance, "uuid"),
        "profile": "",
    }


def _name_instances(host: HostAccess, cards: t.Mapping[str, dict[str, t.Any]]) -> None:
    """UUID and profile of MIG instances, which stand in the list only: ``MIG 3g.40gb Device 0: (UUID: MIG-...)``."""
    instances: dict[int, dict[str, t.Any]] = {}
    for line in host.run("nvidia-smi", "-L", timeout=60).text.splitlines():
        gpu, mig = re.match(r"GPU (\d+):", line), re.match(r"\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (\S+)\)", line)
        if gpu:
            of_gpu = [card for card in cards.values() if card["index"] == int(gpu.group(1))]
            instances = {instance["index"]: instance for card in of_gpu for instance in card["mig"]["instances"]}
        elif mig and int(mig.group(2)) in instances:
            instances[int(mig.group(2))].update(profile=mig.group(1), uuid=mig.group(3))


def _text(element: ElementTree.Element, path: str) -> str:
    """ "" for what a driver or card does not have."""
    text = (element.findtext(path) or "").strip()
    return "" if text in ("N/A", "[N/A]", "None", "Not Found") else text


def _bytes(element: ElementTree.Element, path: str) -> int | None:
    number = re.match(r"(\d+) MiB", _text(element, path))
    return int(number.group(1)) * MEBIBYTE if number else None


def _switch(element: ElementTree.Element, path: str) -> bool | None:
    """None where the card cannot."""
    return {"Enabled": True, "Disabled": False}.get(_text(element, path))


def _uncorrected(gpu: ElementTree.Element) -> int:
    """Uncorrectable memory errors since the driver was loaded; the names differ between generations."""
    volatile = gpu.find("ecc_errors/volatile")
    if volatile is None:
        return 0

    def count(*names: str) -> int:
        texts = (_text(volatile, name) for name in names)
        return sum(int(text) for text in texts if text.isdigit())

    # Newer drivers count errors by kind; some also report the sum.
    sram = max(count("sram_uncorrectable"), count("sram_uncorrectable_parity", "sram_uncorrectable_secded"))
    return sram + count("dram_uncorrectable", "double_bit/total")


def capability(host: HostAccess, device: str) -> str:
    """CUDA compute capability of a device ID, from the table, or of a card newer than that from nvidia-smi."""
    known = products.nvidia_card(device).capability
    return known or (
        host.run("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader").text.split("\n")[0].strip()
    )
