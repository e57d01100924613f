# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The release of a host: its variables, what it is made from, and how the host differs. Pure. Private to the collection."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied, interpreters
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

_VERSION = re.compile(r"[0-9]+[.][0-9]+([.][0-9]+)?([.]?(post|rc|a|b)[0-9]+)*")
# Ansible takes a text for a list, and these would be taken letter by letter.
_LISTS = ("xinference_extras", "xinference_packages", "xinference_constraints")
# A directory of the host is an index for uv, too.
_INDEX = re.compile(r"(https?|file)://\S|/", re.IGNORECASE)
_PROXY = re.compile(r"(https?|socks[45][ah]?)://\S", re.IGNORECASE)
_TORCH = re.compile(r"auto|cpu|default|cu[0-9]{3}|rocm[0-9]+([.][0-9]+)+")


def refusals(settings: Settings, *, installs: bool) -> Refusals:
    """
    :param installs: whether a release is installed, not only one that is on the host.
    """
    version, torch = settings.get("xinference_version"), settings.get("xinference_torch")
    if isinstance(version, str) and not _VERSION.fullmatch(version):
        yield f"xinference_version must be a version such as 4.1.0 (it is '{version}'). Nothing was changed."
    if isinstance(torch, str) and not _TORCH.fullmatch(torch):
        yield (
            "xinference_torch must be auto, cpu, default, or what PyTorch calls the index of a build, such as cu126 or rocm7.2 (it is "
            f"'{torch}')."
        )
    python = settings.get("xinference_python")
    # Others are a path, or a name that uv knows.
    if isinstance(python, str) and re.fullmatch(r"[0-9.*,<>=!~ ]+", python):
        if not any(interpreters.accepts(python, f"3.{number}") for number in range(9, 100)):
            yield (
                "xinference_python must be a version of Python from 3.9 on, a range such as >=3.10,<3.14, or the path of a Python on the "
                f"host (it is '{python}')."
            )
    yield from _addresses(settings)
    for name in _LISTS:
        if settings.given(name) and isinstance(settings.plain(name), str):
            yield f"{name} is a text, and must be a list, such as [{settings.plain(name)}]."
    if installs:
        yield from _denied(settings)


def _addresses(settings: Settings) -> Refusals:
    """Of xinference_index. They may hold a login, so none is told."""
    index = settings.get("xinference_index") or {}
    for key in ("index_url", "extra_index_urls", "python_mirror", "proxy"):
        values = index.get(key) or []
        begins = _PROXY if key == "proxy" else _INDEX
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and not begins.match(value):
                meant = "its scheme, such as http://" if key == "proxy" else "https://, http:// or file://"
                yield f"xinference_index, {key} has an address that does not begin with {meant}. Write it out."


def _denied(settings: Settings) -> Refusals:
    version, packages = settings.get("xinference_version"), settings.get("xinference_packages")
    added = settings.get("xinference_denied_packages") or []
    requirements = [f"xinference=={version}"] * isinstance(version, str) + list(packages or [])
    try:
        found = denied.hits(denied.pins(map(str, requirements)), added)
    except ModelopsError as exc:
        yield f"{exc}."
        return
    if found:
        yield f"{denied.told(found)} is not installed. Take another version."


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
    """Of the release: the one that this run built, or the one that is current; empty of another one."""
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
    """Where packages come from: an index, or what is on the host of a bundle. It may hold a login."""
    place = bundle(host)
    of_bundle = {"find_links": [f"{place}/wheels"], "no_index": True, "python_mirror": f"{place}/python"}
    found = of_bundle if host.value("xinference_bundle") else host.value("xinference_index") or {}
    return {**found, "denied": host.value("xinference_denied_packages")}
