# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's limits for a driver: distribution, kernel, Secure Boot, virtual machine or container. Private to the collection."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import products
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

# Variables of the firmware, by name and vendor GUID: UEFI's own, and those of shim.
EFI_VARIABLES = "/sys/firmware/efi/efivars"
SECURE_BOOT = f"{EFI_VARIABLES}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"
# Where distributions and DKMS keep the public key (DER) that they sign modules with.
SIGNING_KEYS = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub", "/etc/pki/akmods/certs/public_key.der")
CAP_SYS_MODULE = 16
NOUVEAU = ("nouveau", "nova_core")


def system(host: HostAccess) -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info, key ``system``."""
    release = host.read("/proc/sys/kernel/osrelease")
    return {
        "distribution": distribution(host),
        "architecture": _architecture(host),
        "kernel": release,
        "root": os.geteuid() == 0,
        "boot_id": host.read("/proc/sys/kernel/random/boot_id"),
        "headers": host.exists(f"/lib/modules/{release}/build"),
        "container": container(host),
        "virtual_machine": virtual_machine(host),
        "wsl": "microsoft" in release.lower() or host.exists("/dev/dxg"),
        "loads_modules": _may_load_modules(host) and host.exists(f"/lib/modules/{release}"),
        "secure_boot": secure_boot(host),
        "signing_keys": signing_keys(host),
        "lockdown": _chosen(host.read("/sys/kernel/security/lockdown")),
        "nouveau": nouveau(host),
    }


def distribution(host: HostAccess) -> dict[str, str]:
    """ID and version, and the name of the distribution in vendors' repositories ("" for none), such as debian12, rhel9."""
    about: dict[str, str] = {}
    for line in (host.read("/etc/os-release") or host.read("/usr/lib/os-release")).splitlines():
        key, equals, value = line.partition("=")
        if equals:
            about[key] = value.strip("\"'")
    name, version = about.get("ID", ""), about.get("VERSION_ID", "")
    base = products.REBUILDS.get(name)
    if base == "ubuntu":
        repository = base + version.replace(".", "")
    elif base == "amzn":
        repository = base + version
    elif base:
        repository = base + version.partition(".")[0]
    else:  # a derivative such as Mint says what is below it
        repository = products.CODENAMES.get(about.get("UBUNTU_CODENAME") or about.get("VERSION_CODENAME", ""), "")
    return {"id": name, "version": version, "name": about.get("PRETTY_NAME", name), "repository": repository}


def _architecture(host: HostAccess) -> str:
    """The kernel's architecture; for another root, that of its loader."""
    if not host.root:
        return os.uname().machine
    return "aarch64" if host.exists("/lib/ld-linux-aarch64.so.1") else "x86_64"


def container(host: HostAccess) -> str:
    """The kind of container, as systemd names it; "" on a host of its own."""
    named = host.read("/run/systemd/container")
    if named:
        return named
    if host.exists("/run/.containerenv"):
        return "podman"
    if host.exists("/.dockerenv"):
        return "docker"
    for variable in host.read("/proc/1/environ").split("\0"):
        if variable.startswith("container="):
            return variable.partition("=")[2]
    return "kubernetes" if host.exists("/var/run/secrets/kubernetes.io") else ""


def virtual_machine(host: HostAccess) -> str:
    """The hypervisor, from the firmware's vendor; "" on bare metal."""
    if not re.search(r"^flags\s*:.*\bhypervisor\b", host.read("/proc/cpuinfo", 16384), re.MULTILINE):
        return host.read("/sys/hypervisor/type")
    return host.read("/sys/class/dmi/id/sys_vendor") or "unknown"


def _may_load_modules(host: HostAccess) -> bool:
    """Whether any process here may ever load a kernel module: the bounding set, whatever this process's own rights."""
    bounding = re.search(r"^CapBnd:\s*([0-9a-f]+)", host.read("/proc/self/status"), re.MULTILINE)
    return bounding is not None and bool(int(bounding.group(1), 16) >> CAP_SYS_MODULE & 1)


def secure_boot(host: HostAccess) -> bool | None:
    """Whether the kernel takes signed modules only; None where the firmware's variables cannot be read."""
    if not host.exists("/sys/firmware/efi"):
        return False
    # Four bytes of attributes stand before the value.
    enabled = host.bytes(SECURE_BOOT)
    if len(enabled) < 5:
        return None
    ignored_by_shim = host.bytes(f"{EFI_VARIABLES}/MokSBStateRT-{SHIM}")[4:5] == b"\x01"
    return enabled[4] == 1 and not ignored_by_shim


def signing_keys(host: HostAccess) -> list[dict[str, t.Any]]:
    """Keys that modules are signed with here. ``enrolled`` is None where the machine owner's list cannot be read."""
    # The kernel gives the whole list where it does not fit into one variable; only root may read that.
    listed = host.bytes("/sys/firmware/efi/mok-variables/MokListRT") or host.bytes(f"{EFI_VARIABLES}/MokListRT-{SHIM}")
    found = []
    for path in SIGNING_KEYS:
        key = host.bytes(path)
        if key:
            found.append({"path": path, "enrolled": key in listed if listed else None})
    return found


def nouveau(host: HostAccess) -> dict[str, bool]:
    """Whether the kernel's own driver for NVIDIA's cards is loaded, and whether it is kept from loading at the next start."""
    kept_off = any(f"blacklist={name}" in host.read("/proc/cmdline") for name in NOUVEAU)
    for directory in ("/etc/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"):
        for name in host.names(directory):
            if name.endswith(".conf"):
                text = host.read(f"{directory}/{name}")
                kept_off = kept_off or bool(re.search(r"^\s*blacklist\s+nouveau\b", text, re.MULTILINE))
    return {"loaded": any(host.exists(f"/sys/module/{name}") for name in NOUVEAU), "kept_off": kept_off}


def _chosen(text: str) -> str:
    """The chosen one of a sysfs file with alternatives: "none [integrity] confidentiality" says integrity."""
    found = re.search(r"\[([^\]]+)\]", text)
    return found.group(1) if found else ""
