# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook bundle: the requirements of hosts from their inventory, and its refusals. Pure. Private to the collection."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.plugin_utils._site import release, weights
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Options
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.pins import SUPERVISOR, UV
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import ROLES, Refusals, Settings

COLLECTION = os.path.normpath(os.path.join(ROLES, os.pardir))


@dataclass(frozen=True)
class BundleNeeds:
    """The requirements of one host.

    :param environment: its release, for its Python and platform.
    :param sources: of weights that are no packages, by name. Their headers may hold a token, so they are in no plan.
    :param dify: files of plugins on the controller.
    """

    environment: Options
    sources: t.Mapping[str, t.Mapping[str, t.Any]]
    dify: tuple[str, ...]

    @classmethod
    def of(cls, host: Host) -> BundleNeeds:
        """
        :param host: of which nothing is refused.
        :raises ModelopsError: a source can mean no one thing; naming the model.
        """
        made, named = release.made_from(host), weights.by_name(host.value("xinference_models") or [])
        packages = sorted({str(source["package"]) for source in named.values() if source.get("package")})
        targets = host.value("dify_targets") or []
        return cls(
            environment={
                **made,
                "id": release.identifier(host, made),
                "range": made["python"],
                "python": _python(host),
                "platform": _platform(host),
                "fetch_python": host.value("xinference_python_source") == "uv",
                "weights": packages,
            },
            sources={name: source for name, source in named.items() if not source.get("package")},
            dify=tuple(filter(None, ((target.get("plugin") or {}).get("package") for target in targets))),
        )


def _python(host: Host) -> str:
    found = str(host.found.get("system", {}).get("python", ""))
    return str(host.value("xinference_bundle_python") or ".".join(found.split(".")[:2]))


def _platform(host: Host) -> str:
    return str(host.value("xinference_bundle_platform") or host.found.get("system", {}).get("platform", ""))


def refusals(host: Host) -> Refusals:
    """Refusals if the host's requirements are unknown.

    :param host: whose reading is empty where it does not answer.
    """
    path, on_host = str(host.value("xinference_bundle")), host.value("xinference_bundle_on_host")
    if on_host or not re.match("/[^/]+", path):
        also = ", and xinference_bundle_on_host is true" if on_host else ""
        yield f"xinference_bundle must be the absolute path of a directory on this machine (it is '{path}'{also})."
    lacking = [
        *(['xinference_bundle_python (such as "3.11")'] if not _python(host) else []),
        *(["xinference_bundle_platform (such as x86_64-manylinux_2_28)"] if not _platform(host) else []),
        *(["xinference_torch (cpu, default, or a build such as cu126)"] if not _torch(host) else []),
    ]
    if lacking:
        yield f"the host does not answer, so its requirements are unknown. Set {', '.join(lacking)}."


def _torch(host: Host) -> bool:
    """Whether the build of PyTorch is known."""
    return host.value("xinference_torch") != "auto" or "accelerator" in host.found


def failed(hosts: t.Sequence[str]) -> str:
    """Refuses a bundle without failed hosts, which would lose the files of an earlier run for them."""
    if not hosts:
        return ""
    return (
        f"The bundle was not built, because {', '.join(hosts)} failed above. Correct this, or exclude them with --limit; the bundle then "
        "lacks their requirements."
    )


def calls(settings: Settings, wanted: t.Sequence[BundleNeeds]) -> list[Call]:
    """On the controller: the weights, then all else.

    :param settings: of a host of the play, for what is the same for all.
    """
    value, path = settings.value, str(settings.value("xinference_bundle"))
    sources = {name: source for each in wanted for name, source in each.sources.items()}
    index = {**(value("xinference_index") or {}), "denied": value("xinference_denied_packages")}
    return [
        Call("xinference_weights", {"path": f"{path}/weights", "sources": list(sources.values()), "index": index}),
        Call(
            "xinference_bundle",
            {
                "path": path,
                "work": value("xinference_bundle_work") or f"{path}.work",
                "uv": UV,
                "installers": [SUPERVISOR],
                "environments": _distinct(each.environment for each in wanted),
                "weights": sorted(sources),
                "dify": _distinct(file for each in wanted for file in each.dify),
                "collection": COLLECTION,
                "index": index,
            },
        ),
    ]


def _distinct(items: t.Iterable[t.Any]) -> list[t.Any]:
    found: list[t.Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def told(made: t.Mapping[str, t.Any], path: str, *, check: bool) -> str:
    """Text for the person at the end.

    :param made: the result of xinference_bundle.
    """
    size = f"{path}: {made['files']} files, {made['bytes'] / 1e6:.0f} MB"
    if not check:
        return size
    return "\n  ".join([f"{size}; what differs:", *made["plan"]]) if made["changed"] else f"{size}, unchanged"
