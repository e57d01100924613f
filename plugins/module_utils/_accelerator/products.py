# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Known cards and drivers: the only data of this directory that needs updates. Private to the collection.

Sources, read in November 2026:

* device IDs: https://pci-ids.ucw.cz (vendor 10de, a chip's products lie in one range) and the table of compatible GPUs of
  https://github.com/NVIDIA/open-gpu-kernel-modules
* first and last driver and CUDA of an architecture:
  https://docs.nvidia.com/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html
* branches and their end of life:
  https://docs.nvidia.com/datacenter/tesla/drivers/615/supported-drivers-and-cuda-toolkit-versions.html
* driver that a CUDA major needs: https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
* kernel modules: https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/620/kernel-modules.html
* distributions: https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/introduction.html
* branches in the distributions' own archives: https://packages.ubuntu.com (nvidia-graphics-drivers-*-server), Debian's archive
* builds of PyTorch: the releases' local versions (2.13.0+cu126, +cu130, +cu132, +rocm7.2) and the requirements of torch 2.15.0
* MIG: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/supported-gpus.html
* Xid codes: https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html
* AMD: https://rocm.docs.amd.com/en/latest/compatibility/compatibility-matrix.html and amdgpu's PCI IDs in the Linux kernel
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

NVIDIA, AMD, ASCEND = "nvidia", "amd", "ascend"
#: PCI vendor ID -> vendor. https://pcisig.com/membership/member-companies
VENDORS = {"10de": NVIDIA, "1002": AMD, "19e5": ASCEND}
#: Device nodes of a vendor's cards.
NODES = {NVIDIA: r"/dev/nvidia\d", AMD: r"/dev/kfd", ASCEND: r"/dev/davinci\d"}

OPEN_REQUIRED, OPEN_POSSIBLE, OPEN_IMPOSSIBLE = "required", "possible", "impossible"


@dataclasses.dataclass(frozen=True)
class Generation:
    """:ivar first_branch: oldest driver branch for it; 0 where any that is still to be had will do.
    :ivar last_branch: newest one; None while it goes on.
    :ivar open_modules: whether NVIDIA's open kernel modules drive it.
    :ivar last_cuda: newest CUDA major with code for it; None while it goes on.
    :ivar first_cuda: oldest CUDA (major, minor) whose builds of PyTorch have code for it; (0, 0) where any will do.
    """

    name: str
    first_branch: int = 0
    last_branch: int | None = None
    open_modules: str = OPEN_POSSIBLE
    last_cuda: int | None = None
    first_cuda: tuple[int, int] = (0, 0)


GENERATIONS = {
    generation.name: generation
    for generation in (
        Generation("fermi", 0, 390, OPEN_IMPOSSIBLE, 8),
        Generation("kepler", 0, 470, OPEN_IMPOSSIBLE, 11),
        Generation("maxwell", 0, 580, OPEN_IMPOSSIBLE, 12),
        Generation("pascal", 0, 580, OPEN_IMPOSSIBLE, 12),
        Generation("volta", 0, 580, OPEN_IMPOSSIBLE, 12),
        Generation("turing", 418),
        Generation("ampere", 450),
        Generation("ada", 525),
        Generation("hopper", 525),
        # Grace needs the open modules whatever the GPU beside it.
        Generation("grace-hopper", 535, None, OPEN_REQUIRED),
        Generation("blackwell", 570, None, OPEN_REQUIRED, first_cuda=(12, 8)),
        # B300, GB300 and GB10 came with R580.
        Generation("blackwell-ultra", 580, None, OPEN_REQUIRED, first_cuda=(12, 9)),
        # A card missing from the table is newer than it; since R620 only the open modules exist.
        Generation("newer", 580, None, OPEN_REQUIRED, first_cuda=(13, 0)),
    )
}
#: Fabrics of SXM boards whose switches do not show as NVIDIA's bridges: nvlink5 needs the NVLink subnet manager beside the
#: fabric manager; the trays of a GB200 or GB300 rack have theirs elsewhere and need nvidia-imex.
NVSWITCH, NVLINK5, IMEX = "nvswitch", "nvlink5", "imex"


class DeviceIds(t.NamedTuple):
    """Device IDs from ``first`` to ``last``. ``capability``: CUDA compute capability; ``fabric``: see above."""

    first: int
    last: int
    generation: str
    capability: str
    mig: bool = False
    fabric: str = ""


# A narrower range stands before the one around it: the first that fits is taken.
NVIDIA_CARDS = (
    DeviceIds(0x06C0, 0x0DFF, "fermi", "2.0"),
    DeviceIds(0x1040, 0x109F, "fermi", "2.1"),
    DeviceIds(0x1140, 0x115F, "fermi", "2.1"),
    DeviceIds(0x1200, 0x125F, "fermi", "2.1"),
    DeviceIds(0x102D, 0x102D, "kepler", "3.7"),
    DeviceIds(0x0FC0, 0x103F, "kepler", "3.5"),
    DeviceIds(0x1180, 0x11FF, "kepler", "3.0"),
    DeviceIds(0x1280, 0x12BF, "kepler", "3.5"),
    DeviceIds(0x1340, 0x13BF, "maxwell", "5.0"),
    DeviceIds(0x174D, 0x179F, "maxwell", "5.0"),
    DeviceIds(0x13C0, 0x143F, "maxwell", "5.2"),
    DeviceIds(0x1600, 0x16FF, "maxwell", "5.2"),
    DeviceIds(0x17C0, 0x17FF, "maxwell", "5.2"),
    DeviceIds(0x15F0, 0x15FF, "pascal", "6.0"),
    DeviceIds(0x1B00, 0x1D7F, "pascal", "6.1"),
    DeviceIds(0x1725, 0x172F, "pascal", "6.1"),
    DeviceIds(0x1D80, 0x1DFF, "volta", "7.0"),
    DeviceIds(0x1E00, 0x1FFF, "turing", "7.5"),
    DeviceIds(0x2180, 0x21FF, "turing", "7.5"),
    DeviceIds(0x20C0, 0x20C2, "ampere", "8.0"),  # CMP 170HX: a GA100 without MIG
    DeviceIds(0x2080, 0x20FF, "ampere", "8.0", mig=True),
    DeviceIds(0x2200, 0x22BF, "ampere", "8.6"),
    DeviceIds(0x2400, 0x25FF, "ampere", "8.6"),
    DeviceIds(0x2342, 0x2348, "grace-hopper", "9.0", mig=True),
    DeviceIds(0x2300, 0x237F, "hopper", "9.0", mig=True),
    DeviceIds(0x2680, 0x28FF, "ada", "8.9"),
    DeviceIds(0x2941, 0x2941, "blackwell", "10.0", mig=True, fabric=IMEX),  # GB200
    DeviceIds(0x2900, 0x293F, "blackwell", "10.0", mig=True, fabric=NVLINK5),  # B100, B200
    DeviceIds(0x2940, 0x29FF, "blackwell", "10.0", mig=True),
    DeviceIds(0x2BB1, 0x2BB5, "blackwell", "12.0", mig=True),  # RTX PRO 6000 and 5000 Blackwell
    DeviceIds(0x2B80, 0x2DFF, "blackwell", "12.0"),
    DeviceIds(0x2E00, 0x2E7F, "blackwell-ultra", "12.1"),  # GB10
    DeviceIds(0x2F00, 0x2F7F, "blackwell", "12.0"),
    DeviceIds(0x31C0, 0x31FF, "blackwell-ultra", "10.3", mig=True, fabric=IMEX),  # GB300
    DeviceIds(0x3180, 0x31BF, "blackwell-ultra", "10.3", mig=True, fabric=NVLINK5),  # B300
)


def nvidia_card(device: str) -> DeviceIds:
    """The known card of a device ID (four hexadecimal digits)."""
    number = int(device, 16)
    for card in NVIDIA_CARDS:
        if card.first <= number <= card.last:
            return card
    # A gap of the table below its end is a card nobody computes with (NV4x to GT2xx, all of whose drivers ended).
    return DeviceIds(number, number, "newer" if number > 0x2080 else "fermi", "")


#: CUDA major -> oldest driver of that major's releases.
CUDA_FLOORS = {11: 450, 12: 525, 13: 580}
#: The CUDA major of the torch that the package index gives out today (2.15: CUDA 13.2, on x86_64 and on Arm).
CUDA_DEFAULT = 13
#: CUDA major -> PyTorch's own index of builds for it. cu126 is the last with code for Maxwell, Pascal and Volta, and has none for
#: Blackwell.
TORCH_CUDA = {12: "cu126", 13: "cu130"}


def cuda_of(build: str) -> int:
    """CUDA major that the name of a build of PyTorch asks for: 12 of cu126; of cpu as little as there is; 0 where facts decide."""
    return {"default": CUDA_DEFAULT, "cpu": min(TORCH_CUDA)}.get(build, 0) or cuda_version(build)[0]


def cuda_version(build: str) -> tuple[int, int]:
    """CUDA that a build of PyTorch is made with, by its name: (12, 6) of cu126; (0, 0) of one without CUDA."""
    found = re.fullmatch(r"cu(\d\d)(\d)", build)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


class Branch(t.NamedTuple):
    """``kind``: of support; ``end``: the month after which there are no more fixes (YYYY-MM)."""

    kind: str
    end: str


NVIDIA_BRANCHES = {
    470: Branch("legacy", "2024-09"),
    525: Branch("production", "2023-12"),
    535: Branch("long-term", "2026-06"),
    550: Branch("production", "2025-06"),
    560: Branch("new-feature", "2025-03"),
    565: Branch("new-feature", "2025-03"),
    570: Branch("production", "2026-02"),
    575: Branch("new-feature", "2025-08"),
    580: Branch("long-term", "2028-06"),
    590: Branch("new-feature", "2026-04"),
    595: Branch("production", "2027-03"),
    610: Branch("new-feature", "2026-08"),
}
#: Taken where nobody says which: the long-term one that the default CUDA needs.
NVIDIA_DEFAULT = 580
#: The first branch without proprietary kernel modules.
NVIDIA_OPEN_ONLY = 620
#: The first branch whose packages take the open kernel modules by themselves.
NVIDIA_OPEN_DEFAULT = 560

#: Distribution as the vendor's repository names it -> architectures it has packages for; those whose package manager the role
#: accelerator speaks to.
NVIDIA_DISTRIBUTIONS = {
    "debian12": ("x86_64",),
    "debian13": ("x86_64",),
    "ubuntu2204": ("x86_64", "aarch64"),
    "ubuntu2404": ("x86_64", "aarch64"),
    "ubuntu2604": ("x86_64", "aarch64"),
    "rhel8": ("x86_64", "aarch64"),
    "rhel9": ("x86_64", "aarch64"),
    "rhel10": ("x86_64", "aarch64"),
    "amzn2023": ("x86_64", "aarch64"),
}
#: Distribution -> branches of NVIDIA's driver that its own archive has. Of Ubuntu's those for servers: names of earlier ones (535,
#: 570) are transitional packages there, which bring 580. Read on 2026-11-23.
NVIDIA_OFFERED = {
    "debian12": (535,),
    "debian13": (550,),
    "ubuntu2204": (580, 595, 615),
    "ubuntu2404": (580, 595, 615),
    "ubuntu2604": (580, 595, 615),
}
#: The first branch of which Ubuntu's archive has the open kernel modules alone.
UBUNTU_OPEN_ONLY = 615
AMD_DISTRIBUTIONS = dict.fromkeys(
    ("debian12", "debian13", "ubuntu2204", "ubuntu2404", "rhel8", "rhel9", "rhel10"), ("x86_64",)
)
#: IDs of /etc/os-release that are rebuilds of another distribution, with its versions.
REBUILDS = {
    "rhel": "rhel",
    "rocky": "rhel",
    "almalinux": "rhel",
    "centos": "rhel",
    "ol": "rhel",
    "amzn": "amzn",
    "azurelinux": "azl",
    "sles": "sles",
    "sles_sap": "sles",
    "opensuse-leap": "opensuse",
    "debian": "debian",
    "ubuntu": "ubuntu",
}
#: Code name of the Ubuntu or Debian below a derivative -> the same.
CODENAMES = {
    "jammy": "ubuntu2204",
    "noble": "ubuntu2404",
    "resolute": "ubuntu2604",
    "bookworm": "debian12",
    "trixie": "debian13",
}

#: Xid -> what happened. Codes that an application's own error causes (13, 31, 43, 45, ...) are not here.
XIDS = {
    48: "an uncorrectable error in the GPU's memory",
    62: "the GPU's internal controller halted",
    63: "a page or row of the GPU's memory was retired",
    64: "a page or row of the GPU's memory could not be retired",
    74: "an NVLink error",
    79: "the GPU fell off the bus",
    92: "many corrected errors in the GPU's memory",
    94: "an uncorrectable error in memory, contained to one application",
    95: "an uncorrectable error in memory that was not contained: the GPU must be reset",
    119: "the GPU's system processor did not answer",
    120: "the GPU's system processor failed",
    136: "the GPU's memory could not be trained",
    140: "an unrecovered error in the GPU's memory",
    143: "the GPU could not be started",
    149: "an NVLink error",
    154: "the GPU needs a reset or a reboot",
}

#: AMD device ID -> LLVM target, for hosts whose amdgpu is not loaded; the loaded one says it itself.
AMD_TARGETS = {
    "66a0": "gfx906",
    "66a1": "gfx906",
    "7388": "gfx908",
    "738c": "gfx908",
    "738e": "gfx908",
    "7408": "gfx90a",
    "740c": "gfx90a",
    "740f": "gfx90a",
    "7410": "gfx90a",
    "74a0": "gfx942",
    "74a1": "gfx942",
    "74a2": "gfx942",
    "74a5": "gfx942",
    "74a8": "gfx942",
    "74a9": "gfx942",
    "74b5": "gfx942",
    "74b9": "gfx942",
    "75a0": "gfx950",
    "75a3": "gfx950",
    "73a1": "gfx1030",
    "73a3": "gfx1030",
    "73bf": "gfx1030",
    "744c": "gfx1100",
    "7448": "gfx1100",
    "745e": "gfx1100",
    "7470": "gfx1101",
    "747e": "gfx1101",
    "7550": "gfx1201",
    "7551": "gfx1201",
    "7590": "gfx1200",
}
#: Targets that today's ROCm has code for, and those that it once had.
AMD_SUPPORTED = (
    "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1100", "gfx1101", "gfx1150", "gfx1151", "gfx1200", "gfx1201",
)  # fmt: skip
AMD_DROPPED = ("gfx803", "gfx900", "gfx906")
#: PyTorch's index of builds for ROCm, which bring ROCm's libraries along: the host needs only the kernel driver.
TORCH_ROCM = "rocm7.2"

#: Ascend device ID -> name of the chip.
ASCEND_CHIPS = {"d100": "310", "d500": "310P", "d801": "910", "d802": "910B", "d803": "910C"}


def reached(found: t.Mapping[str, t.Any], vendor: str) -> bool:
    """Whether a card of the vendor's has a device node here, by what its driver says."""
    return any(re.match(NODES[vendor], path) for path in found["nodes"])
