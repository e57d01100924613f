# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that a driver consists of, and what is wrong with the package manager. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess

DPKG = "/var/lib/dpkg"
# Packages of a driver and of its build.
RELEVANT = re.compile(
    r"(lib)?nvidia|libcuda|libnv|(lib)?xnvctrl|xserver-xorg-video-nvidia|cuda-(drivers|compat|keyring)|kmod-nvidia|nvlsm"
    r"|linux-(headers|image|modules-nvidia|objects-nvidia)|kernel(-core|-devel|-headers)?$|dkms|rocm|amdgpu|amd-smi|hip|hsa|comgr|datacenter-gpu"
)
DRIVER = re.compile(
    r"(lib)?nvidia-(driver|smi|utils|headless|dkms|kernel|compute|cfg|fbc|gl|extra|common|decode|encode|firmware|open|fabricmanager|persistenced|ml|modprobe)"
    r"|libnvidia-|libcuda1|cuda-drivers|nvidia-(open|fabricmanager|imex)|kmod-nvidia|linux-(modules|objects)-nvidia|libnvsdm|amdgpu-dkms|amdgpu-core"
)
# A package in one of these states was left by an interrupted run of dpkg.
BROKEN = ("half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")
# In the index of every distribution: where it stands in none, there is no index yet.
COMMON = "bash"
PREFERENCES = "/etc/apt/preferences.d"
OWN_PREFERENCES = "modelops-accelerator"
LOCKS = ("/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list")


def packages(host: HostAccess) -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info, key ``packages``."""
    if host.exists(f"{DPKG}/status"):
        return _dpkg(host)
    answer = host.run("rpm", "-qa", "--qf", "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n", timeout=30)
    if answer.ok:
        return _rpm(host, answer.text)
    return {"manager": "", "installed": {}, "driver": {}, "held": [], "pinned": [], "broken": [], "interrupted": False}


def _dpkg(host: HostAccess) -> dict[str, t.Any]:
    installed: dict[str, str] = {}
    held, broken = [], []
    for paragraph in host.read(f"{DPKG}/status").split("\n\n"):
        name, version, status = (_field(paragraph, key) for key in ("Package", "Version", "Status"))
        words = status.split()
        if len(words) != 3:
            continue
        if words[2] in BROKEN or words[1] != "ok":
            broken.append({"name": name, "state": words[2] if words[1] == "ok" else words[1]})
        if words[2] in ("not-installed", "config-files") or not RELEVANT.match(name):
            continue
        installed[name] = version
        if words[0] == "hold":
            held.append(name)
    # dpkg keeps what it is about to write to its status here; files left over are of a run that was cut off.
    updates = [name for name in host.names(f"{DPKG}/updates") if name.isdigit()]
    # Packages that the role accelerator pins follow its installations.
    preferences = [name for name in host.names(PREFERENCES) if name != OWN_PREFERENCES]
    return {
        "manager": "dpkg",
        "installed": dict(sorted(installed.items())),
        "driver": _driver(installed),
        "held": sorted(held),
        "pinned": [pin for name in preferences for pin in _pins(host.read(f"{PREFERENCES}/{name}"))],
        "broken": broken,
        "interrupted": bool(updates),
    }


def _field(paragraph: str, key: str) -> str:
    start = paragraph.find(f"\n{key}: ") + 1 if not paragraph.startswith(f"{key}: ") else 0
    if start == 0 and not paragraph.startswith(f"{key}: "):
        return ""
    return paragraph[start + len(key) + 2 :].partition("\n")[0].strip()


def _pins(text: str) -> list[dict[str, str]]:
    """The pins of driver packages to a version in a preferences file."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        names, pin = _field(paragraph, "Package"), _field(paragraph, "Pin")
        version = re.match(r"version\s+(\S+)", pin)
        if version and any(word in names for word in ("nvidia", "cuda-drivers", "amdgpu", "rocm")):
            found.append({"names": names, "version": version.group(1)})
    return found


def _rpm(host: HostAccess, text: str) -> dict[str, t.Any]:
    rows = (line.partition(" ") for line in text.splitlines())
    installed = {name: version for name, space, version in rows if space and RELEVANT.match(name)}
    locked = "\n".join(host.read(path) for path in LOCKS) + "\n" + host.read("/etc/dnf/versionlock.toml")
    return {
        "manager": "rpm",
        "installed": dict(sorted(installed.items())),
        "driver": _driver(installed),
        "held": sorted(name for name in installed if _locked(name, locked)),
        "pinned": [],
        "broken": [],
        "interrupted": False,
    }


def _locked(name: str, locks: str) -> bool:
    """Whether there is a lock of this package: in a list of name-epoch:version or epoch:name-version (! excludes), or in TOML."""
    return bool(re.search(rf"(^\s*(\d+:)?{re.escape(name)}-(\d+:)?[\d*]|\"{re.escape(name)}\")", locks, re.MULTILINE))


def _driver(installed: t.Mapping[str, str]) -> dict[str, str]:
    return {name: version for name, version in sorted(installed.items()) if DRIVER.match(name)}


def headers(host: HostAccess, distribution: str, kernel: str) -> dict[str, t.Any]:
    """The package with the headers of the running kernel, and the version that can be installed: "" where there is none, None where
    that is not known, as images come without an index of packages.
    """
    if distribution.startswith(("debian", "ubuntu")):
        name = f"linux-headers-{kernel}"
        return {"package": name, "candidate": _of_apt(host.run("apt-cache", "policy", name, COMMON).text, name)}
    if distribution.startswith(("rhel", "amzn", "azl")):
        name = f"kernel-devel-{kernel}"
        found = host.run("dnf", "-q", "-C", "repoquery", name, COMMON, timeout=30)
        lines = found.text.splitlines() if found.ok else []
        if any(line.startswith("kernel-devel-") for line in lines):
            return {"package": name, "candidate": kernel}
        return {"package": name, "candidate": "" if any(line.startswith(f"{COMMON}-") for line in lines) else None}
    return {"package": "", "candidate": ""}


def _of_apt(policy: str, name: str) -> str | None:
    said = dict(re.findall(r"^(\S+):\n((?:[ \t].*\n?)*)", policy, re.MULTILINE))
    candidate = re.search(r"Candidate:\s*(\d\S*)", said.get(name, ""))
    if candidate:
        return candidate.group(1)
    # An installed package without an index has the line 100 /var/lib/dpkg/status.
    indexed = re.search(r"^\s+-?\d+ (?!/var/lib/dpkg/status)\S*[:/]", said.get(COMMON, ""), re.MULTILINE)
    return "" if indexed else None
