# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for a plugin of a Dify workspace, and its refusals. Pure. Private to the collection.

A plugin is installed by its identifier, <author>/<name>:<version>@<digest>, which only Dify's marketplace, a package
file and an installed plugin tell.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.package import PluginPackage
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

XINFERENCE = "langgenius/xinference"

# PLUGIN_MAX_PACKAGE_SIZE of Dify, in bytes, where it does not tell its own.
PACKAGE_LIMIT = 15 * 1024 * 1024

_IDENTIFIER = re.compile(r"(?P<plugin>(?:[\w-]+/)?[\w.-]+):(?P<version>[\w.-]+)@(?P<digest>[0-9a-f]{64})")


class NotPossible(ModelopsError):
    """This Dify cannot or will not do it; known before anything was changed."""


@dataclass(frozen=True)
class InstalledPlugin:
    """A plugin as the workspace has it. ``source``: "marketplace", "package", "github" or "remote"."""

    id: str
    version: str
    identifier: str
    source: str


@dataclass(frozen=True)
class DeclaredPlugin:
    """A plugin as declared: ``state`` "present", "latest" or "absent", and at most one of the other three."""

    plugin: str
    state: str
    version: str | None = None
    identifier: str | None = None
    package: PluginPackage | None = None


@dataclass(frozen=True)
class InstallTarget:
    """The release to install.

    :param source: "marketplace" or "package", as in InstalledPlugin.
    :param package: the file to upload first, where there is one.
    """

    version: str
    identifier: str
    source: str = "marketplace"
    package: PluginPackage | None = None


@dataclass(frozen=True)
class PluginOperation:
    """One operation of apply(): "install", "upgrade" (in place), "replace" (uninstall, then install) or "remove"."""

    kind: str
    target: InstallTarget | None = None
    installed: InstalledPlugin | None = None


def problems(wanted: DeclaredPlugin) -> list[str]:
    """Errors in the declared plugin, as sentences; known without asking anybody."""
    given = [name for name in ("version", "identifier", "package") if getattr(wanted, name)]
    found = []
    if len(given) > 1:
        found.append(f"{' and '.join(given)} cannot be given together: each names the version to install")
    if given and wanted.state != "present":
        found.append(f"{given[0]} is for state=present, not for state={wanted.state}")
    if wanted.identifier:
        match = _IDENTIFIER.fullmatch(wanted.identifier)
        if not match:
            found.append(
                f"identifier '{wanted.identifier}' is not of the form <author>/<name>:<version>@<64 hexadecimal digits>"
            )
        elif match["plugin"] != wanted.plugin:
            found.append(f"identifier '{wanted.identifier}' is of another plugin than '{wanted.plugin}'")
    if wanted.package and wanted.package.plugin != wanted.plugin:
        found.append(
            f"package {wanted.package.path} is the plugin '{wanted.package.plugin}', not '{wanted.plugin}'. "
            "Correct package, or say so in plugin"
        )
    return found


def needs_latest(wanted: DeclaredPlugin, installed: InstalledPlugin | None) -> bool:
    """Whether the plan depends on what the marketplace has."""
    if wanted.state == "latest":
        return True
    if wanted.state == "absent" or wanted.identifier or wanted.package:
        return False
    return installed is None or wanted.version not in (None, installed.version)


def decide(
    wanted: DeclaredPlugin, installed: InstalledPlugin | None, latest: InstallTarget | None
) -> PluginOperation | None:
    """The operation that makes ``installed`` ``wanted``; None where nothing differs.

    :param latest: the marketplace's version, where needs_latest().
    :raises NotPossible: nobody tells how to install it.
    """
    if wanted.state == "absent":
        return PluginOperation("remove", installed=installed) if installed else None
    target = _target(wanted, installed, latest)
    if target is None:
        return None
    if installed is None:
        return PluginOperation("install", target)
    # An upgrade in place is only served to a plugin that came from the marketplace itself.
    in_place = target.source == installed.source == "marketplace"
    return PluginOperation("upgrade" if in_place else "replace", target, installed)


def _target(
    wanted: DeclaredPlugin, installed: InstalledPlugin | None, latest: InstallTarget | None
) -> InstallTarget | None:
    if wanted.package:
        identifiers = wanted.package.identifiers
        if installed and installed.identifier in identifiers:
            return None
        return InstallTarget(wanted.package.version, identifiers[0], "package", wanted.package)
    if wanted.identifier:
        if installed and installed.identifier == wanted.identifier:
            return None
        match = t.cast("re.Match[str]", _IDENTIFIER.fullmatch(wanted.identifier))
        return InstallTarget(match["version"], wanted.identifier)
    if not needs_latest(wanted, installed):
        return None
    if latest is None:
        raise NotPossible(
            f"Dify does not know which version of {wanted.plugin} is the latest: it cannot reach its marketplace, or "
            "the marketplace has no such plugin. Give the file as package, or the identifier"
        )
    if wanted.version and wanted.version != latest.version:
        raise NotPossible(
            f"Dify can only install {wanted.plugin} {latest.version}, the latest version, and not "
            f"{wanted.version}: give the identifier ({wanted.plugin}:{wanted.version}@<digest>, as the "
            "marketplace shows it), or its file as package"
        )
    if installed and wanted.state == "latest" and _numbers(installed.version) > _numbers(latest.version):
        return None  # from a file, or from another marketplace
    return None if installed and installed.identifier == latest.identifier else latest


def _numbers(version: str) -> list[int]:
    """The numbers of a version, for comparison; any suffix is ignored."""
    return [int(part) for part in re.findall(r"\d+", re.split(r"[-+]", version)[0])]


def plan(wanted: DeclaredPlugin, operation: PluginOperation | None, header: str = "") -> _plan.Plan:
    """The operation as a difference."""
    result = _plan.Plan(header)
    title = f"plugin {wanted.plugin}"
    if operation is None:
        return result
    before = operation.installed
    if operation.target is None:
        result.add("remove", "remove", title, [_plan.Field("version", before.version if before else None, None)])
    elif before is None:
        result.add(
            "add", "install", title, [_plan.Field("version", None, operation.target.version)], operation.target.version
        )
    else:
        fields = [_plan.Field("version", before.version, operation.target.version)]
        if before.version == operation.target.version:
            fields = [_plan.Field("identifier", before.identifier, operation.target.identifier)]
        result.add("change", operation.kind, title, fields)
    return result


def allow(target: InstallTarget, features: t.Mapping[str, t.Any]) -> None:
    """Refuses plugins that this Dify would not install, from its public settings (system-features).

    :raises NotPossible: it will not.
    """
    permission = features.get("plugin_installation_permission") or {}
    package = target.package
    found = []
    if permission.get("plugin_installation_scope") == "none":
        found.append("this Dify allows nobody to install plugins (plugin_installation_scope is none)")
    if package and permission.get("restrict_to_marketplace_only"):
        found.append("this Dify takes plugins from the marketplace only, not as files. Remove package")
    if not package and features.get("enable_marketplace") is False:
        found.append("this Dify has no marketplace (MARKETPLACE_ENABLED is false). Give the file as package")
    limit = int(features.get("max_plugin_package_size") or PACKAGE_LIMIT)
    if package and package.size > limit:
        found.append(
            f"{package.path} has {package.size} bytes, and this Dify allows at most {limit}. Raise PLUGIN_MAX_PACKAGE_SIZE "
            "of its container api, MAX_PLUGIN_PACKAGE_SIZE of plugin_daemon and the limit of the proxy before it"
        )
    if found:
        raise NotPossible("; ".join(found))


def described(plugin: str, installed: InstalledPlugin | None, state: str = "") -> dict[str, t.Any]:
    """A plugin as results have it; ``state`` where it is neither installed nor absent."""
    if installed is None:
        return dict(id=plugin, state=state or "absent")
    about = {name: getattr(installed, name) for name in ("version", "identifier", "source")}
    return dict(id=plugin, state="installed", **about)
