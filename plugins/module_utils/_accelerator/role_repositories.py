# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The repositories that a plan's steps need, and their files. Private to the collection."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import products, role_packages
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import DEBIAN, Case

WRITTEN = "# Written by the role accelerator of modelops.inference"
#: NVIDIA signs what it has for newer distributions with newer keys: today's apt takes no SHA-1.
NVIDIA_KEYS = {
    "debian12": "3bf863cc.pub",
    "ubuntu2204": "3bf863cc.pub",
    "ubuntu2404": "3bf863cc.pub",
    "debian13": "8793F200.pub",
    "ubuntu2604": "8793F200.pub",
    "rhel8": "D42D0685.pub",
    "rhel9": "D42D0685.pub",
    "amzn2023": "D42D0685.pub",
    "rhel10": "CDF6BA43.pub",
}
NVIDIA = "https://developer.download.nvidia.com/compute/cuda/repos"
TOOLKIT = "https://nvidia.github.io/libnvidia-container"
AMD = "https://repo.radeon.com"
AMDGPU_VERSION, ROCM_VERSION = "30.20", "7.1"
#: AMD builds its Debian packages on Ubuntu's releases.
AMD_SUITES = {"debian12": "jammy", "ubuntu2204": "jammy"}
DEBIANS_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclasses.dataclass(frozen=True)
class Repository:
    """:ivar key: a URL or a file on the controller; "" where the key is on the host.
    :ivar suites: and ``components``, of apt.
    """

    name: str
    url: str
    key: str
    suites: str = ""
    components: str = ""

    @property
    def key_is_remote(self) -> bool:
        return re.match("https?://", self.key) is not None

    @property
    def about(self) -> str:
        return f"repository {self.name} ({self.url}{f', key {self.key}' if self.key else ''})"


def required_names(case: Case) -> list[str]:
    """Names of the repositories that the plan's steps install from, beside the host's own."""
    driver, nvidia = case.has_step("driver"), case.vendor == products.NVIDIA
    found = ["debian"] if driver and role_packages.set_name(case) == "debian_distribution" else []
    if nvidia and case.plan["driver"].get("source") == "vendor" and case.has_step("driver", "fabric_manager"):
        found.append("nvidia")
    if case.has_step("container_toolkit"):
        found.append("container_toolkit")
    return found + (["amdgpu", "rocm"] if driver and case.vendor == products.AMD else [])


def repositories(case: Case) -> list[Repository]:
    """The required repositories; the user's values replace the vendor's."""
    known = _of_apt(case) if case.family == DEBIAN else _of_dnf(case)
    needed, found = required_names(case), []
    for each in known:
        if each.name in needed:
            given = case.options.repositories.get(each.name) or {}
            said = {key: given[key] for key in ("url", "key") if given.get(key) is not None}
            found.append(dataclasses.replace(each, **said))
    return found


def missing_repositories(case: Case) -> list[Repository]:
    """The required repositories that the host lacks.

    Whoever installed a driver by its vendor's guide has the source, with a key at another place: apt reads no source at all where two of
    one address differ in that. Debian's own is needed with other components, and is signed as the host says.
    """
    there = {source["url"].rstrip("/") for source in case.facts["sources"]}
    return [each for each in repositories(case) if each.name == "debian" or each.url.rstrip("/") not in there]


def _nvidia(case: Case) -> Repository:
    machine = case.system["architecture"]
    url = f"{NVIDIA}/{case.distribution}/{'sbsa' if machine == 'aarch64' else machine}/"
    return Repository("nvidia", url, url + NVIDIA_KEYS.get(case.distribution, ""), "/")


def _of_apt(case: Case) -> list[Repository]:
    archive, machine = case.facts["archive"], {"aarch64": "arm64"}.get(case.system["architecture"], "amd64")
    suite, key = AMD_SUITES.get(case.distribution, "noble"), f"{AMD}/rocm/rocm.gpg.key"
    return [
        # As the host's own sources say, which in most companies name a mirror.
        Repository("debian", archive["url"], "", " ".join(archive["suites"]), "contrib non-free non-free-firmware"),
        _nvidia(case),
        Repository("container_toolkit", f"{TOOLKIT}/stable/deb/{machine}", f"{TOOLKIT}/gpgkey", "/"),
        Repository("amdgpu", f"{AMD}/amdgpu/{AMDGPU_VERSION}/ubuntu", key, suite, "main"),
        Repository("rocm", f"{AMD}/rocm/apt/{ROCM_VERSION}", key, suite, "main"),
    ]


def _of_dnf(case: Case) -> list[Repository]:
    release, key = case.system["distribution"]["version"], f"{AMD}/rocm/rocm.gpg.key"
    major = release.partition(".")[0]
    return [
        _nvidia(case),
        Repository("container_toolkit", f"{TOOLKIT}/stable/rpm/{case.system['architecture']}", f"{TOOLKIT}/gpgkey"),
        Repository("amdgpu", f"{AMD}/amdgpu/{AMDGPU_VERSION}/el/{release}/main/x86_64", key),
        Repository("rocm", f"{AMD}/rocm/el{major}/{ROCM_VERSION}/main", key),
    ]


def source_path(case: Case, name: str) -> str:
    if case.family == DEBIAN:
        return case.etc(f"apt/sources.list.d/modelops-{name}.sources")
    return case.etc(f"yum.repos.d/modelops-{name}.repo")


def key_path(case: Case, name: str) -> str:
    if case.family == DEBIAN:
        return case.etc(f"apt/keyrings/modelops-{name}.asc")
    return case.etc(f"pki/rpm-gpg/RPM-GPG-KEY-modelops-{name}")


def signed_by(case: Case, each: Repository) -> str:
    """Of a source of apt. Without a key of its own (Debian's): as the host's own source of that address says, also if that is nothing."""
    if each.key:
        return key_path(case, each.name)
    of_host = [s["signed_by"] for s in case.facts["sources"] if s["url"] == each.url.rstrip("/")]
    return t.cast(str, (of_host or [DEBIANS_KEYRING])[0])


def source_text(case: Case, each: Repository) -> str:
    """The content of its file."""
    if case.family == DEBIAN:
        fields = {
            "Types": "deb",
            "URIs": each.url,
            "Suites": each.suites,
            "Components": each.components,
            "Signed-By": signed_by(case, each),
        }
        lines = [f"{field}: {value}" for field, value in fields.items() if value]
    else:
        key = each.key if each.key_is_remote else f"file://{key_path(case, each.name)}"
        fields = {"name": f"{each.name} (modelops.inference)", "baseurl": each.url, "enabled": "1"}
        fields |= {"gpgcheck": "1", "gpgkey": key}
        lines = [f"[modelops-{each.name}]", *(f"{field}={value}" for field, value in fields.items())]
    return "\n".join([f"{WRITTEN}.", *lines, ""])


def files(case: Case) -> list[str]:
    """The files of sources and keys."""
    needed = missing_repositories(case)
    keys = [key_path(case, each.name) for each in needed if _keeps_key(case, each)]
    return [source_path(case, each.name) for each in needed] + keys


def _keeps_key(case: Case, each: Repository) -> bool:
    """Whether the key is a file of the role's. dnf gets the vendors' keys itself."""
    return each.key != "" and not (case.family != DEBIAN and each.key_is_remote)


def step(case: Case) -> dict[str, t.Any]:
    """The options of the module accelerator_repositories; empty where none is missing."""
    needed = missing_repositories(case)
    if not needed:
        return {}
    debian, check_mode = case.family == DEBIAN, case.options.check_mode
    keys = [
        {"path": key_path(case, each.name), "src": each.key, **_failure_texts(each)}
        for each in needed
        # Check mode would have to download one to know.
        if _keeps_key(case, each) and not (check_mode and each.key_is_remote)
    ]
    sources = [
        {
            "path": source_path(case, each.name),
            "content": source_text(case, each),
            "index": _index(case, each),
            **_failure_texts(each),
        }
        for each in needed
    ]
    return {
        "host": case.options.host,
        "keys": keys,
        "sources": sources,
        # All sources together, from files alone: apt does not start where two of them contradict each other.
        "check": ["apt-get", "indextargets"] if debian and not check_mode else [],
        "about": f"the sources with those of {', '.join(each.name for each in needed)}",
        "advice": "Remove the conflicting source",
    }


def _failure_texts(each: Repository) -> dict[str, str]:
    """Texts for the message of a failure."""
    named = f"accelerator_repositories.{each.name}"
    return {
        "about": each.about,
        "advice": f"Check that the host reaches it, or name a mirror and the key that signs it in {named}",
    }


def _index(case: Case, each: Repository) -> list[str]:
    """Gets the index of this repository alone, and fails with any complaint: other repositories are not this role's business."""
    if case.family != DEBIAN:
        return ["dnf", "-y", "makecache", "--disablerepo=*", f"--enablerepo=modelops-{each.name}"]
    options = {
        "APT::Update::Error-Mode": "any",
        "Dir::Etc::SourceList": source_path(case, each.name),
        "Dir::Etc::SourceParts": "-",
        "APT::Get::List-Cleanup": "false",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "30",
        "Acquire::https::Timeout": "30",
        "DPkg::Lock::Timeout": "120",
    }
    return ["apt-get", "update", *(f"--option={name}={value}" for name, value in options.items())]
