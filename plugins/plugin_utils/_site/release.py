# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The release of a host: its variables, its inputs, and the host's differences. Pure. Private to the collection."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied
from ansible_collections.modelops.inference.plugins.plugin_utils._site import packages
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

_VERSION = re.compile(r"[0-9]+[.][0-9]+[.][0-9]+([.]?(post|rc|a|b)[0-9]+)*")
_RELEASE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+-]*)?")
# Ansible takes a text for a list, and these would be taken letter by letter.
_LISTS = ("xinference_extras", "xinference_packages", "xinference_constraints")
_TORCH = re.compile(r"auto|cpu|default|cu[0-9]{3}|rocm[0-9]+([.][0-9]+)+")


def refusals(settings: Settings, *, installs: bool) -> Refusals:
    """
    :param installs: whether a release is installed, not only one that is on the host.
    """
    version, torch = settings.get("xinference_version"), settings.get("xinference_torch")
    # Of a number, which has lost a digit, `written` speaks.
    if isinstance(version, str) and not isinstance(settings.raw("xinference_version"), float):
        plain = canonical(version)
        if not _VERSION.fullmatch(plain):
            yield f"xinference_version must be a version such as 4.1.0 (it is '{version}'). Nothing was changed."
        elif plain != version:
            yield f"xinference_version is '{version}'. Write it as the release's own name: '{plain}'. Nothing was changed."
    if isinstance(torch, str) and not _TORCH.fullmatch(torch):
        yield (
            "xinference_torch must be auto, cpu, default, or the name of a PyTorch build index, such as cu126 or rocm7.2 (it is "
            f"'{torch}')."
        )
    yield from packages.refusals(settings)
    for name in _LISTS:
        if settings.given(name) and isinstance(settings.plain(name), str):
            yield f"{name} must be a list, not text: write [{settings.plain(name)}]."
    returns_to = settings.get("xinference_rollback_to")
    if isinstance(returns_to, str) and not _RELEASE.fullmatch(returns_to):
        yield f"xinference_rollback_to must be a release or its version, such as 4.1.0 (it is '{returns_to}')."
    if installs:
        yield from _denied(settings)


def canonical(version: str) -> str:
    """The one spelling of a release's version: 4.1 is 4.1.0, and 4.1.0-post1 is 4.1.0.post1; any other text as it is.

    The release's directory is named by it, so two spellings would be two releases of the same packages.
    """
    # ansible-core requires it; a Python that only imports this module may lack it.
    from packaging.version import InvalidVersion, Version

    try:
        found = Version(version)
    except InvalidVersion:
        return version
    # Xinference numbers its releases by three parts.
    short = len(found.release) == 2
    return re.sub(r"^[0-9]+[.][0-9]+", lambda parts: f"{parts[0]}.0" if short else parts[0], str(found))


def _denied(settings: Settings) -> Refusals:
    version, further = settings.get("xinference_version"), settings.get("xinference_packages")
    added = settings.get("xinference_denied_packages") or []
    requirements = [f"xinference=={version}"] * isinstance(version, str) + list(further or [])
    try:
        found = denied.hits(denied.pins(map(str, requirements)), added)
    except ModelopsError as exc:
        yield f"{exc}."
        return
    if found:
        yield f"{denied.told(found)} is not installed. Choose another version (xinference_version, xinference_packages)."


@dataclass(frozen=True)
class HostRelease:
    """The release of a host, wanted and found.

    :param id: of the wanted one.
    :param made_from: what it is made from, by which it is named.
    :param replaced: the release whose data the server has, until another one is started; empty where none is replaced.
    :param return_to: what a failed upgrade goes back to.
    :param built: when the wanted one was built, empty where it is not there. One that was mended is another environment.
    :param unbuilt: whether an environment is made. One that is on the host, such as one to return to, needs neither index nor bundle.
    :param current: whether it is the one that runs.
    :param drift: how it differs from its lock.
    """

    id: str
    version: str
    torch: str
    made_from: dict[str, t.Any]
    replaced: str
    return_to: str
    built: str
    unbuilt: bool
    current: bool
    drift: tuple[str, ...]

    @classmethod
    def of(cls, host: Host) -> HostRelease:
        """
        :param host: that was read.
        """
        found, made = host.found, made_from(host)
        name = identifier(host, made)
        before = (found["service"].get("release", ""), found["current"])
        replaced = next((each for each in before if each not in ("", name)), "")
        previous = found["previous"] if host.upgrading else ""
        drift = tuple(found["lock_drift"])
        return cls(
            id=name,
            version=host.version,
            torch=made["torch"],
            made_from=made,
            replaced=replaced,
            return_to="" if host.request.step == "restart" else replaced or ("" if previous == name else previous),
            built=str(record(host, name).get("built", "")),
            unbuilt=name not in found["releases"] or bool(drift),
            current=found["current"] == name,
            drift=drift,
        )


def made_from(host: Host) -> dict[str, t.Any]:
    """Everything that a release is made from, so that another declaration is another directory."""
    value = host.value
    constraints = [*value("xinference_constraints"), *((value("xinference_index") or {}).get("constraints") or [])]
    return {
        "version": value("xinference_version"),
        "extras": sorted(value("xinference_extras")),
        "packages": sorted(value("xinference_packages")),
        "constraints": sorted(constraints),
        "python": value("xinference_python"),
        "torch": torch(host),
    }


def torch(host: Host) -> str:
    """The build of PyTorch: of the plan of role accelerator, which the reading has also where that role does not run."""
    named = str(host.value("xinference_torch"))
    return named if named != "auto" else str(host.found["accelerator"]["torch"].get("backend") or "default")


def identifier(host: Host, made: t.Mapping[str, t.Any]) -> str:
    if host.request.release:
        return host.request.release
    source = {"python_source": "uv"} if host.value("xinference_python_source") == "uv" else {}
    digest = hashlib.sha256(json.dumps({**made, **source}, sort_keys=True).encode()).hexdigest()[:12]
    return f"{made['version']}-{digest}"


def record(host: Host, name: str) -> t.Mapping[str, t.Any]:
    """The record of the release built by this run or current; empty for another one."""
    found = (host.request.built, host.found["release"])
    return next((each for each in found if each.get("id") == name), {})


def bundle(host: Host) -> str:
    """Directory of the host in which its bundle is."""
    return (
        str(host.value("xinference_bundle")) if host.value("xinference_bundle_on_host") else f"{host.directory}/bundle"
    )


def logins(settings: Settings) -> list[str]:
    """Logins in the addresses of the index, which no text may hold."""
    given = settings.value("xinference_index") or {}
    values = [value for each in given.values() for value in (each if isinstance(each, list) else [each])]
    found = re.findall(r"://([^/\s@]*)@", " ".join(map(str, values)))
    return [part for login in found for part in (login, login.partition(":")[2]) if part]


def index(host: Host) -> dict[str, t.Any]:
    """The source of packages: an index, or a bundle's files on the host. It may contain a login."""
    place = bundle(host)
    of_bundle = {"find_links": [f"{place}/wheels"], "no_index": True, "python_mirror": f"{place}/python"}
    found = of_bundle if host.value("xinference_bundle") else host.value("xinference_index") or {}
    return {**found, "denied": host.value("xinference_denied_packages")}
