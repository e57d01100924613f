# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines as files: what machines.yml says of one becomes a tree like that of its /, and the answers of its programs.

The trees and texts are written from documented formats (sysfs, procfs, EFI variables, dpkg, nvidia-smi -q -x, amd-smi static
--json, npu-smi info), not copied from a machine.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess, ProgramOutput

MACHINES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "machines.yml").read_text())
KERNEL = "6.1.0-40-amd64"
PCI = "sys/bus/pci/devices"
RUNNING = {
    "open": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (dvs-builder@U22)\nGCC version: gcc 12.2.0",
    "proprietary": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Tue Sep 23 10:11:16 UTC 2025\nGCC version: gcc 12.2.0",
}
LICENSES = {"open": "Dual MIT/GPL", "proprietary": "NVIDIA"}
OS_RELEASES = {
    "debian12": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
    "ubuntu2404": 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nUBUNTU_CODENAME=noble\n',
    "mint": 'PRETTY_NAME="Linux Mint 22"\nID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\nUBUNTU_CODENAME=noble\n',
    "rocky9": 'PRETTY_NAME="Rocky Linux 9.6"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n',
    "openeuler": 'PRETTY_NAME="openEuler 22.03 (LTS-SP4)"\nID="openEuler"\nVERSION_ID="22.03"\n',
    "suse": 'PRETTY_NAME="SUSE Linux Enterprise Server 15 SP7"\nID="sles"\nVERSION_ID="15.7"\n',
    "arch": 'PRETTY_NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n',
}
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"


class Tree:
    def __init__(self, root: Path):
        self.root = root

    def file(self, path: str, content: str | bytes = "") -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def link(self, path: str, target: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, place)

    def directory(self, path: str) -> None:
        (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)


class Machine:
    """:ivar host: what the code under test is given.
    :ivar started: programs that it started.
    """

    def __init__(self, root: Path, about: dict[str, Any]):
        self.started: list[str] = []
        self.answers: dict[str, str] = {}
        tree = Tree(root)
        _system(tree, about.get("system", {}))
        cards = [card for group in about.get("cards", []) for card in _expanded(group)]
        for card in cards:
            _pci(tree, card)
        for number in range(about.get("switches", 0)):
            _pci(tree, dict(address=f"0000:{0xC0 + number:02x}:00.0", id="10de:22a3", code="0680", driver="nvidia"))
        if "nvidia" in about:
            self.answers |= _nvidia(tree, about["nvidia"], [card for card in cards if card["id"].startswith("10de")])
        if "amd" in about:
            self.answers |= _amd(tree, about["amd"], [card for card in cards if card["id"].startswith("1002")])
        if "ascend" in about:
            self.answers |= _ascend(tree, about["ascend"], [card for card in cards if card["id"].startswith("19e5")])
        _packages(tree, about.get("packages", {}))
        for process in about.get("processes", []):
            tree.file(f"proc/{process['pid']}/comm", process["name"] + "\n")
            for number, device in enumerate(process["devices"]):
                tree.link(f"proc/{process['pid']}/fd/{number}", f"/dev/{device}")
        for path in about.get("files", []):
            tree.file(path)
        if "record" in about:
            tree.file("var/lib/modelops/accelerator.json", about["record"])
        self.answers["dmesg"] = "Linux version 6.1.0-40-amd64\n" + about.get("log", "")
        self.answers |= about.get("answers", {})
        self.failing: dict[str, str] = about.get("failing", {})
        self.host = HostAccess(str(root), self._run)

    def _run(self, argv: Any, timeout: float) -> ProgramOutput:
        self.started.append(argv[0])
        key = next(
            (key for key in (" ".join(argv), " ".join(argv[:2]), argv[0]) if key in self.answers | self.failing), None
        )
        if key is None:
            return ProgramOutput(False, "", found=False)
        return (
            ProgramOutput(False, self.failing[key]) if key in self.failing else ProgramOutput(True, self.answers[key])
        )


def build(root: Path, name: str, changes: dict[str, Any] | None = None) -> Machine:
    """:param changes: merged into what machines.yml says; a list replaces one, None removes."""
    return Machine(root, merged(MACHINES[name], changes or {}))


def merged(one: Any, other: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    both = {
        key: merged(one[key], other[key]) if key in one and key in other else (other if key in other else one)[key]
        for key in {**one, **other}
    }
    return {key: value for key, value in both.items() if value is not None}


def _expanded(group: dict[str, Any]) -> list[dict[str, Any]]:
    """``count`` cards of one kind: from the bus ``at`` on, or with ``domains`` each in a PCI domain of its own."""
    count, spread = group.get("count", 1), bool(group.get("domains"))
    cards = []
    for number in range(count):
        domain, bus = group.get("domain", 0) + number * spread, group.get("at", 0x1B) + number * 8 * (not spread)
        numa = number * group["nodes"] // count if "nodes" in group else -1
        cards.append({**group, "address": f"{domain:04x}:{bus:02x}:00.0", "numa": numa})
    return cards


def _pci(tree: Tree, card: dict[str, Any]) -> None:
    path = f"{PCI}/{card['address']}"
    vendor, device = card["id"].split(":")
    subvendor, subdevice = card.get("subsystem", f"{vendor}:0000").split(":")
    alive = not card.get("gone")
    tree.file(f"{path}/class", f"0x{card.get('code', '0302')}00\n")
    tree.file(f"{path}/vendor", f"0x{vendor}\n")
    tree.file(f"{path}/device", f"0x{device}\n")
    tree.file(f"{path}/subsystem_vendor", f"0x{subvendor}\n")
    tree.file(f"{path}/subsystem_device", f"0x{subdevice}\n")
    tree.file(f"{path}/numa_node", f"{card.get('numa', -1)}\n")
    config = int(vendor, 16).to_bytes(2, "little") + int(device, 16).to_bytes(2, "little") if alive else b"\xff" * 4
    tree.file(f"{path}/config", config + bytes(60))
    if card.get("driver"):
        tree.link(f"{path}/driver", f"../../../../bus/pci/drivers/{card['driver']}")
    if card.get("virtual_function"):
        tree.link(f"{path}/physfn", "../0000:00:00.0")
    if "vram" in card:
        tree.file(f"{path}/mem_info_vram_total", f"{card['vram']}\n")
        tree.file(f"{path}/mem_info_vram_used", "297795584\n")


def _system(tree: Tree, about: dict[str, Any]) -> None:
    kernel = about.get("kernel", KERNEL)
    tree.file("etc/os-release", OS_RELEASES[about.get("os", "debian12")])
    tree.file("proc/sys/kernel/osrelease", kernel + "\n")
    tree.file("proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro\n")
    flags = about.get(
        "flags", "fpu sse4_2 avx f16c fma avx2 bmi2 avx512f avx512bw avx512vl avx512_vnni amx_tile amx_int8 amx_bf16"
    )
    flags += " hypervisor" if "vm" in about else ""
    tree.file(
        "proc/cpuinfo",
        about.get("cpuinfo", f"processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8480C\nflags\t\t: {flags}\n\n"),
    )
    tree.file(
        "proc/meminfo", "MemTotal:       2113566124 kB\nMemAvailable:   2087654321 kB\nSwapTotal:             0 kB\n"
    )
    tree.file("proc/self/status", f"Name:\tpython3\nCapBnd:\t{about.get('capabilities', '000001ffffffffff')}\n")
    if "vm" in about:
        tree.file("sys/class/dmi/id/sys_vendor", about["vm"] + "\n")
    tree.file("sys/devices/system/cpu/online", "0-3\n")
    for number in range(4):
        tree.file(f"sys/devices/system/cpu/cpu{number}/topology/physical_package_id", f"{number // 2}\n")
        tree.file(f"sys/devices/system/cpu/cpu{number}/topology/core_id", f"{number % 2}\n")
    for node, cpus in enumerate(about.get("numa", ["0-1", "2-3"])):
        tree.file(f"sys/devices/system/node/node{node}/cpulist", cpus + "\n")
        tree.file(f"sys/devices/system/node/node{node}/meminfo", f"Node {node} MemTotal:       1056783062 kB\n")
    tree.file("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n")
    tree.file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n")
    tree.file("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    tree.file("etc/group", "root:x:0:\nvideo:x:44:\nrender:x:104:\n")
    if about.get("modules", True):
        tree.directory(f"lib/modules/{kernel}")
    if about.get("headers", True):
        tree.directory(f"usr/src/linux-headers-{kernel}")
        tree.link(f"lib/modules/{kernel}/build", f"/usr/src/linux-headers-{kernel}")
    if "container" in about:
        tree.file("run/systemd/container", about["container"] + "\n")
    if "secure_boot" in about:
        tree.file(f"sys/firmware/efi/efivars/SecureBoot-{GLOBAL}", b"\x06\x00\x00\x00" + bytes([about["secure_boot"]]))
    if "key" in about:
        tree.file("var/lib/dkms/mok.pub", b"0\x82\x03\x0ea key")
        listed = b"a list of 0\x82\x03\x0ea key and more" if about["key"] == "enrolled" else b"a list of others"
        tree.file(f"sys/firmware/efi/efivars/MokListRT-{SHIM}", listed)
    if about.get("nouveau"):
        tree.directory("sys/module/nouveau")
    if about.get("nouveau_off"):
        tree.file("etc/modprobe.d/nouveau.conf", "blacklist nouveau\n")


def _nvidia(tree: Tree, about: dict[str, Any], cards: list[dict[str, Any]]) -> dict[str, str]:
    version, flavor = about.get("driver", ""), about.get("flavor", "open")
    answers = {}
    if version and not about.get("windows"):
        tree.file("sys/module/nvidia/version", version + "\n")
        tree.file("proc/driver/nvidia/version", RUNNING[flavor].format(version) + "\n")
    for number in range(about.get("nodes", len(cards) if version else 0)):
        tree.file(f"dev/nvidia{number}")
    if about.get("nodes", version):
        tree.file("dev/nvidiactl")
        tree.file("dev/nvidia-uvm")
    library = about.get("library", version)
    if library:
        directory = "usr/lib/wsl/lib" if about.get("windows") else "usr/lib/x86_64-linux-gnu"
        tree.file(f"{directory}/libcuda.so.{library}")
        tree.file(f"{directory}/libnvidia-ml.so.{library}")
        tree.link(f"{directory}/libcuda.so.1", f"libcuda.so.{library}")
    if about.get("windows"):
        tree.file("usr/lib/wsl/lib/nvidia-smi")
        tree.file("dev/dxg")
    if about.get("compat"):
        tree.file(f"usr/local/cuda-13.0/compat/libcuda.so.{about['compat']}")
    if about.get("persistence"):
        tree.file("run/nvidia-persistenced/socket")
    installed = about.get("installed", version)
    if installed:
        module_license = LICENSES[about.get("installed_flavor", flavor)]
        # Debian's own packages have other names for the file.
        module = about.get("module", "nvidia")
        if module != "nvidia":
            tree.file("etc/modprobe.d/nvidia.conf", f"install nvidia modprobe -i {module} $CMDLINE_OPTS\n")
        answers[f"modinfo {module}"] = (
            f"filename:       /lib/modules/{KERNEL}/updates/dkms/nvidia.ko\n"
            f"version:        {installed}\nlicense:        {module_license}\n"
        )
    if "smi" in about:
        answers["nvidia-smi -q -x"] = smi_document(version, about, cards)
        answers["nvidia-smi -L"] = _smi_list(about["smi"], cards)
    return answers


def smi_document(version: str, about: dict[str, Any], cards: list[dict[str, Any]]) -> str:
    """``nvidia-smi -q -x``, of each card what the collection reads and something around it."""
    told = [card for card in cards if not card.get("gone") and not card.get("silent")] or [
        dict(address=about["smi"]["address"], id=about["smi"]["id"], number=0)
    ]
    body = "".join(_smi_card(about["smi"], card, index) for index, card in enumerate(told))
    return f"""<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
<timestamp>Mon Nov 23 00:00:00 2026</timestamp>
<driver_version>{version}</driver_version>
<cuda_version>{about.get("cuda", "13.0")}</cuda_version>
<attached_gpus>{len(told)}</attached_gpus>
{body}</nvidia_smi_log>
"""


def _smi_card(smi: dict[str, Any], card: dict[str, Any], index: int) -> str:
    smi = {**smi, **card.get("smi", {})}
    vendor, device = card["id"].split(":")
    # Eight digits of domain, and capitals, where sysfs has four and small letters.
    address = "0000" + card["address"].upper()
    migs = "".join(
        f"<mig_device><index>{number}</index><gpu_instance_id>{number + 1}</gpu_instance_id>"
        f"<compute_instance_id>0</compute_instance_id><fb_memory_usage><total>{memory} MiB</total><reserved>0 MiB</reserved>"
        f"<used>37 MiB</used><free>{memory - 37} MiB</free></fb_memory_usage></mig_device>"
        for number, (_profile, memory) in enumerate(smi.get("mig_instances", []))
    )
    mig = smi.get("mig", "N/A")
    memory = smi.get("memory")
    usage = (
        f"<total>{memory} MiB</total><reserved>600 MiB</reserved><used>1 MiB</used><free>{memory - 601} MiB</free>"
        if memory
        else "<total>N/A</total><used>N/A</used><free>N/A</free>"
    )
    return f"""<gpu id="{address}">
<product_name>{smi["name"]}</product_name><product_brand>NVIDIA</product_brand>
<persistence_mode>{smi.get("persistence", "Disabled")}</persistence_mode>
<gpu_virtualization_mode><virtualization_mode>{smi.get("virtual", "None")}</virtualization_mode></gpu_virtualization_mode>
<mig_mode><current_mig>{mig}</current_mig><pending_mig>{mig}</pending_mig></mig_mode>
<mig_devices>{migs or "None"}</mig_devices>
<uuid>GPU-00000000-0000-4000-8000-{index:012d}</uuid><minor_number>{index}</minor_number>
<pci><pci_bus>{address[9:11]}</pci_bus><pci_device_id>{device.upper()}{vendor.upper()}</pci_device_id><pci_bus_id>{address}</pci_bus_id></pci>
<gpu_reset_status><reset_required>{smi.get("reset", "No")}</reset_required></gpu_reset_status>
<fb_memory_usage>{usage}</fb_memory_usage>
<ecc_mode><current_ecc>{smi.get("ecc", "N/A")}</current_ecc><pending_ecc>{smi.get("ecc", "N/A")}</pending_ecc></ecc_mode>
<ecc_errors><volatile>
<sram_correctable>0</sram_correctable><sram_uncorrectable_parity>0</sram_uncorrectable_parity>
<dram_correctable>3</dram_correctable><dram_uncorrectable>{smi.get("errors", 0)}</dram_uncorrectable>
</volatile></ecc_errors>
<fabric><state>{smi.get("fabric", "N/A")}</state><status>{smi.get("fabric_status", "N/A")}</status></fabric>
</gpu>
"""


def _smi_list(smi: dict[str, Any], cards: list[dict[str, Any]]) -> str:
    lines = []
    for index in range(max(len(cards), 1)):
        lines.append(f"GPU {index}: {smi['name']} (UUID: GPU-00000000-0000-4000-8000-{index:012d})")
        for number, (profile, _memory) in enumerate(smi.get("mig_instances", [])):
            lines.append(f"  MIG {profile:<14} Device  {number}: (UUID: MIG-{index:08d}-0000-5000-8000-{number:012d})")
    return "\n".join(lines) + "\n"


def _amd(tree: Tree, about: dict[str, Any], cards: list[dict[str, Any]]) -> dict[str, str]:
    tree.directory("sys/module/amdgpu")
    if about.get("version"):
        tree.file("sys/module/amdgpu/version", about["version"] + "\n")
    if about.get("rocm"):
        tree.file("opt/rocm/.info/version", about["rocm"] + "\n")
    if about.get("kfd", True):
        tree.file("dev/kfd")
        tree.file("sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 96\nsimd_count 0\n")
    for number, card in enumerate(cards):
        tree.file(f"dev/dri/renderD{128 + number}")
        if "target" in card:
            bus = int(card["address"].split(":")[1], 16)
            node = f"sys/class/kfd/kfd/topology/nodes/{number + 1}"
            about_node = {
                "cpu_cores_count": 0,
                "simd_count": 1216,
                "gfx_target_version": card["target"],
                "location_id": bus << 8,
            }
            tree.file(f"{node}/properties", "".join(f"{key} {value}\n" for key, value in about_node.items()))
            tree.file(f"{node}/mem_banks/0/properties", f"heap_type 1\nsize_in_bytes {card.get('vram', 0)}\n")
    rows = [
        {"gpu": number, "asic": {"market_name": about["name"], "device_id": f"0x{card['id'][5:]}", "asic_serial": f"0x{number:016X}"},
         "bus": {"bdf": card["address"]}, "vram": {"type": "HBM3", "size": {"value": 196592, "unit": "MB"}},
         "driver": {"name": "amdgpu", "version": about.get("version", "N/A")}}
        for number, card in enumerate(cards)
    ] if "name" in about else []  # fmt: skip
    return {"amd-smi static": json.dumps({"gpu_data": rows})} if rows else {}


def _ascend(tree: Tree, about: dict[str, Any], cards: list[dict[str, Any]]) -> dict[str, str]:
    base = "usr/local/Ascend"
    if about.get("driver"):
        tree.directory("sys/module/drv_davinci_intf_host")
        tree.file(f"{base}/driver/version.info", f"Version={about['driver']}\nascendhal_version=7.35.19\n")
    if about.get("firmware"):
        tree.file(f"{base}/firmware/version.info", f"Version={about['firmware']}\n")
    if about.get("cann"):
        tree.file(
            f"{base}/ascend-toolkit/latest/aarch64-linux/ascend_toolkit_install.info",
            f"package_name=Ascend-cann-toolkit\nversion={about['cann']}\n",
        )
    computing = [card for card in cards if card.get("code") == "1200"]
    if about.get("driver"):
        for name in (
            "davinci_manager",
            "devmm_svm",
            "hisi_hdc",
            *(f"davinci{number}" for number in range(len(computing))),
        ):
            tree.file(f"dev/{name}")
    lines = [
        f"| npu-smi {about.get('driver')}                 Version: {about.get('driver')}                                         |"
    ]
    lines.append("| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|")
    lines.append("| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |")
    for number, card in enumerate(computing):
        health = card.get("health", "OK")
        lines.append(
            f"| {number}     {about.get('name')}        | {health}      | 90.4        32          0    / 0             |"
        )
        lines.append(
            f"| 0                         | {card['address'].upper()}  | 0           0    / 0          3412 / 65536         |"
        )
    return {"npu-smi info": "\n".join(lines)} if about.get("driver") else {}


def _packages(tree: Tree, about: dict[str, Any]) -> None:
    paragraphs = []
    for name, version in {"bash": "5.2.15-2+b8", **about.get("installed", {})}.items():
        selection = "hold" if name in about.get("held", []) else "install"
        status = f"{selection} ok {about.get('states', {}).get(name, 'installed')}"
        paragraphs.append(f"Package: {name}\nStatus: {status}\nVersion: {version}\nDescription: a package\n")
    tree.file("var/lib/dpkg/status", "\n".join(paragraphs))
    tree.directory("var/lib/dpkg/updates")
    if about.get("interrupted"):
        tree.file("var/lib/dpkg/updates/0001", "Package: bash\n")
    for number, pin in enumerate(about.get("pins", [])):
        tree.file(f"etc/apt/preferences.d/pin{number}", f"Package: *nvidia*\nPin: version {pin}\nPin-Priority: 1000\n")
