# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packages that a plan's steps install, and the package manager's options. Private to the collection."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import products
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import (
    DEBIAN,
    REDHAT,
    Case,
    unique,
)

#: PyTorch brings ROCm's libraries along; these are the tools that look at the cards.
AMD = ("amdgpu-dkms", "amd-smi-lib", "rocminfo")
#: Packages with which Huawei's installer builds its module.
ASCEND = ("dkms", "gcc", "make")
#: The packages that always name the newest kernel: linux-image-generic-hwe-24.04, not linux-image-6.8.0-85-generic.
_NEWEST_KERNEL = re.compile(r"linux-image-(?![0-9]|unsigned-|.*-dbg)")

#: Commands that list the names of all packages that are installed.
LIST = {
    DEBIAN: ["dpkg-query", "--show", "--showformat", "${Package}\n"],
    REDHAT: ["rpm", "-qa", "--queryformat", "%{NAME}\n"],
}

Names = t.Sequence[str]


@dataclasses.dataclass(frozen=True)
class PackageSet:
    """NVIDIA's packages without anything for a screen.

    :ivar modules: by origin (dkms, precompiled) and kind (open, proprietary) of the kernel modules; what is not there is not to be had.
    :ivar apart: of ``rest``, those that have versions of their own.
    """

    modules: t.Mapping[str, t.Mapping[str, Names]] = dataclasses.field(default_factory=dict)
    rest: Names = ()
    apart: Names = ()
    fabric: Names = ()
    subnet: Names = ("nvlsm",)
    persistence: Names = ()


def set_name(case: Case) -> str:
    """The distribution's set; "" where the role has none."""
    on = case.distribution
    if on in ("rhel8", "rhel9"):
        return "redhat_stream"
    if on in ("rhel10", "amzn2023"):
        return "redhat_plain"
    if not re.match(r"(debian|ubuntu)[0-9]", on):
        return ""
    named = f"{re.sub('[0-9]', '', on)}_{case.source}"
    return named + ("_590" if named == "ubuntu_vendor" and case.branch >= 590 else "")


def package_set(case: Case) -> PackageSet:
    """Sources: the archives themselves for Debian; https://docs.nvidia.com/datacenter/tesla/driver-installation-guide (compute-only) for
    NVIDIA's repository; https://documentation.ubuntu.com/server/how-to/graphics/install-nvidia-drivers for Ubuntu.
    """
    name = set_name(case)
    return _SETS[name](case) if name else PackageSet(subnet=())


def _debian_distribution(case: Case) -> PackageSet:
    return PackageSet(
        modules={"dkms": {"open": ["nvidia-open-kernel-dkms"], "proprietary": ["nvidia-kernel-dkms"]}},
        rest=["firmware-nvidia-gsp", "libcuda1", "libnvidia-ptxjitcompiler1", *_DEBIANS_OWN, "nvidia-smi"],
        apart=_DEBIANS_OWN,
        subnet=(),
        persistence=["nvidia-persistenced"],
    )


# Debian has versions of their own of these.
_DEBIANS_OWN = ("nvidia-modprobe", "nvidia-persistenced")


def _debian_vendor(case: Case) -> PackageSet:
    return PackageSet(
        modules={"dkms": {"open": ["nvidia-kernel-open-dkms"], "proprietary": ["nvidia-kernel-dkms"]}},
        rest=["nvidia-driver-cuda", "nvidia-persistenced"],
        fabric=["nvidia-fabricmanager"],
        persistence=["nvidia-persistenced"],
    )


def _ubuntu_distribution(case: Case) -> PackageSet:
    branch, is_open = case.branch, "-open" if case.modules == "open" else ""
    compiled = f"linux-modules-nvidia-{branch}-server"
    return PackageSet(
        modules={
            "dkms": {
                "open": [f"nvidia-dkms-{branch}-server-open"],
                "proprietary": [f"nvidia-dkms-{branch}-server"],
            },
            "precompiled": {
                "open": [f"{compiled}-open-{flavour}" for flavour in flavours(case)],
                "proprietary": [f"{compiled}-{flavour}" for flavour in flavours(case)],
            },
        },
        rest=[f"nvidia-headless-no-dkms-{branch}-server{is_open}", f"nvidia-utils-{branch}-server"],
        fabric=[f"nvidia-fabricmanager-{branch}"],
    )


def _ubuntu_vendor(case: Case) -> PackageSet:
    branch, is_open = case.branch, "-open" if case.modules == "open" else ""
    return PackageSet(
        modules={"dkms": {"open": [f"nvidia-dkms-{branch}-open"], "proprietary": [f"nvidia-dkms-{branch}"]}},
        rest=[f"nvidia-headless-no-dkms-{branch}{is_open}", f"nvidia-utils-{branch}"],
        fabric=["nvidia-fabricmanager"],
    )


def _ubuntu_vendor_590(case: Case) -> PackageSet:
    """Since 590 the branch is not in their names."""
    return PackageSet(
        modules={"dkms": {"open": ["nvidia-dkms-open"], "proprietary": ["nvidia-dkms"]}},
        rest=["libnvidia-compute", "nvidia-persistenced"],
        fabric=["nvidia-fabricmanager"],
        persistence=["nvidia-persistenced"],
    )


def _redhat_plain(case: Case) -> PackageSet:
    """The version behind a name is also that of a lower branch, which dnf installs only where it is asked for by its version."""
    version = case.version
    return PackageSet(
        modules={"dkms": {"open": [f"kmod-nvidia-open-dkms-{version}*"]}},
        rest=[f"nvidia-driver-cuda-{version}*", f"nvidia-persistenced-{version}*"],
        fabric=[f"nvidia-fabricmanager-{version}*"],
        persistence=[f"nvidia-persistenced-{version}*"],
    )


def _redhat_stream(case: Case) -> PackageSet:
    """Red Hat's 8 and 9 have a module stream for each branch besides."""
    plain = _redhat_plain(case)
    compiled: dict[str, Names] = {**plain.modules["dkms"], "proprietary": [f"kmod-nvidia-latest-dkms-{case.version}*"]}
    # The kernel's version is part of the names behind this one: a pattern would take the modules of all kernels.
    modules: dict[str, dict[str, Names]] = {"dkms": compiled, "precompiled": {"proprietary": ["kmod-nvidia"]}}
    return dataclasses.replace(plain, modules=modules)


_SETS: dict[str, t.Callable[[Case], PackageSet]] = {
    "debian_distribution": _debian_distribution,
    "debian_vendor": _debian_vendor,
    "ubuntu_distribution": _ubuntu_distribution,
    "ubuntu_vendor": _ubuntu_vendor,
    "ubuntu_vendor_590": _ubuntu_vendor_590,
    "redhat_stream": _redhat_stream,
    "redhat_plain": _redhat_plain,
}


def kernels(case: Case) -> list[str]:
    """generic-hwe-24.04 of linux-image-generic-hwe-24.04."""
    return [name[len("linux-image-") :] for name in case.facts["packages"]["installed"] if _NEWEST_KERNEL.match(name)]


def flavours(case: Case) -> list[str]:
    """Of Ubuntu's kernel. It has precompiled modules for each, and for each of the kernels that a flavour has had (generic is of 6.8 on
    24.04, generic-hwe-24.04 newer); that of virtual machines is the generic one with fewer drivers.
    """
    running = case.system["kernel"].rpartition("-")[2]
    return unique(re.sub(r"^(extra-)?virtual", "generic", name) for name in kernels(case) or [running])


def module_packages(case: Case) -> list[str]:
    """Packages of the kernel modules; empty if none are available."""
    return list(package_set(case).modules.get(case.wanted.modules_from, {}).get(case.modules, ()))


def stream(case: Case) -> str:
    """The module stream of dnf that has the branch; "" for none."""
    if set_name(case) != "redhat_stream" or not case.has_step("driver"):
        return ""
    branch = case.branch
    streams = {
        "dkms": {"open": f"{branch}-open", "proprietary": f"{branch}-dkms"},
        "precompiled": {"proprietary": f"{branch}"},
    }
    return streams[case.wanted.modules_from].get(case.modules, "")


def _streams(case: Case) -> list[list[str]]:
    """Commands that choose the branch's stream. Another stream must be reset first."""
    chosen, module = stream(case), ["dnf", "-y", "module"]
    if not chosen:
        return []
    return [[*module, "reset", "nvidia-driver"], [*module, "enable", f"nvidia-driver:{chosen}"]]


def package_names(case: Case) -> list[str]:
    """Names of the packages that the plan's steps install."""
    driver = case.has_step("driver")
    found = [case.system["headers_package"]] if case.has_step("headers") else []
    if driver and case.wanted.modules_from == "dkms":
        # Those of the next kernel, too, which comes with the package that always names the newest.
        found += [f"linux-headers-{kernel}" for kernel in kernels(case)]
    if driver and case.vendor in case.options.packages:
        found += case.options.packages[case.vendor]
    elif case.vendor == products.NVIDIA:
        found += _nvidia(case)
    elif driver:
        found += {products.AMD: AMD, products.ASCEND: ASCEND}[case.vendor]
    return unique(found)


def _nvidia(case: Case) -> list[str]:
    of_set, found = package_set(case), []
    if case.has_step("driver"):
        found += [*module_packages(case), *of_set.rest]
    if case.has_step("fabric_manager"):
        found += of_set.fabric
        if case.plan["driver"]["fabric"] == products.NVLINK5:
            found += of_set.subnet
    if case.has_step("persistence"):
        found += of_set.persistence
    if case.has_step("container_toolkit"):
        found.append("nvidia-container-toolkit")
    return found


def version_pattern(case: Case) -> str:
    """The driver's version as apt compares: a branch is followed by a dot, a version by the package's own revision."""
    return case.version + ("*" if case.is_exact else ".*")


def requested_names(case: Case) -> list[str]:
    """Names for the package manager: for apt by version, where it is not the newest of the branch.

    That is one that is asked for, a lower branch, and the version of a driver which stays. apt then fails where it is not to be had, and
    brings nothing else of the driver's.
    """
    names = package_names(case)
    if case.family != DEBIAN or not (case.is_exact or case.is_downgrade):
        return names
    of_set = package_set(case)
    versioned = {*of_set.fabric}
    if case.has_step("driver"):
        compiled = {name for name in module_packages(case) if not name.startswith("linux-modules-")}
        versioned |= (compiled | {*of_set.rest}) - {*of_set.apart}
    return [f"{name}={version_pattern(case)}" if name in versioned else name for name in names]


def step(case: Case) -> dict[str, t.Any]:
    """The data of the steps in tasks/packages.yml; empty where nothing is installed."""
    names, driver = requested_names(case), case.has_step("driver")
    if not names or case.options.check_mode:
        return {}
    by_version = names != package_names(case)
    if case.family == DEBIAN:
        # The newest is never a lower one: that must be named, which apt's module takes for present only.
        newest, downgrade = driver and not by_version, by_version
        advice = f"Run 'apt-get install' with these on the host to see why, or {_OTHERWISE}"
    else:
        # A branch that cards or the inventory ask for may be the lower one, as the driver that a newer fabric manager is for.
        newest, downgrade = driver, case.has_step("driver", "fabric_manager")
        advice = f"Package dkms is in EPEL, which must be enabled; or {_OTHERWISE}"
    return {
        "family": case.family,
        "names": names,
        "state": "latest" if newest else "present",
        "allow_downgrade": downgrade,
        "streams": _streams(case),
        # The role's own, which would keep back another version.
        "release": own_holds(case) if driver else [],
        "failed": f"{case.options.host}: {', '.join(names)} could not be installed",
        "advice": _FABRIC.format(case.version) if case.has_step("fabric_manager") and not driver else advice,
    }


_OTHERWISE = "choose another accelerator_source or accelerator_driver_branch."
_FABRIC = (
    "The driver {0} stays, and needs its fabric manager in that version. Where the sources no longer have it, change the driver to a "
    "version that they have (accelerator_driver_branch; drain the host first), or install that fabric manager by hand."
)


def own_holds(case: Case) -> list[str]:
    """Packages that the role may release."""
    held = case.facts["packages"]["held"]
    return [name for name in case.recorded("held") if name in held] if case.family == DEBIAN else case.recorded("held")


def to_hold(case: Case) -> list[str]:
    """The driver's packages of its version, without other packages of the vendor."""
    driver = case.facts["packages"]["driver"]
    if case.vendor != products.NVIDIA:
        return list(driver)
    return [name for name, version in driver.items() if re.match(rf"([0-9]+:)?{case.branch}[.]", version)]


def hold(case: Case) -> dict[str, t.Any]:
    """The data of the step ``hold``.

    What somebody else holds stays theirs.
    """
    names, packages = to_hold(case), case.facts["packages"]
    new = [name for name in names if name not in packages["held"]]
    debian = case.family == DEBIAN
    return {
        "family": case.family,
        "names": new if debian else [],
        "locks": "" if debian else "\n".join(f"{name}-{packages['driver'][name]}.*" for name in names),
        "held": sorted({*case.recorded("held"), *new}),
    }
