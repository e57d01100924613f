# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plugin of one Dify workspace: its package, plan (pure), read and apply. Private to the collection.

A plugin is installed by its identifier, <author>/<name>:<version>@<digest>, which only Dify's marketplace, a package
file and an installed plugin tell. Known by running the console API of 1.0.1 to 1.16.0-rc1; what the plugin daemon
does with an upgrade, a package and a digest is from its source (it serves an upgrade only to a plugin that came from
the same source, and never replaces a plugin by installing another version).
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import typing as t
import zipfile
from dataclasses import dataclass, replace

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.session import (
    API,
    CURRENT,
    DifyError,
    DifySession,
)
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Unreachable

XINFERENCE = "langgenius/xinference"

# PLUGIN_MAX_PACKAGE_SIZE of Dify, in bytes, where it does not tell its own.
PACKAGE_LIMIT = 15 * 1024 * 1024

# Between two looks at an installation, in seconds.
POLL = 2.0

# What Dify may take to fetch a package from the marketplace before it answers, in seconds.
FETCH = 180

_IDENTIFIER = re.compile(r"(?P<plugin>(?:[\w-]+/)?[\w.-]+):(?P<version>[\w.-]+)@(?P<digest>[0-9a-f]{64})")


class NotPossible(ModelopsError):
    """What this Dify cannot or will not do, known before anything was changed."""


class NotDone(ModelopsError):
    """An installation that goes on after its time is over."""


@dataclass(frozen=True)
class Installed:
    """A plugin as the workspace has it. ``source``: "marketplace", "package", "github" or "remote"."""

    id: str
    version: str
    identifier: str
    source: str


@dataclass(frozen=True)
class Package:
    """A .difypkg file.

    :param size: bytes.
    :param digests: by which Dify may call it, as hexadecimal SHA-256: of its contents, and of the file itself.
    """

    path: str
    size: int
    plugin: str
    version: str
    digests: tuple[str, ...]

    @property
    def identifiers(self) -> tuple[str, ...]:
        return tuple(f"{self.plugin}:{self.version}@{digest}" for digest in self.digests)


@dataclass(frozen=True)
class Wanted:
    """A plugin as declared: ``state`` "present", "latest" or "absent", and at most one of the other three."""

    plugin: str
    state: str
    version: str | None = None
    identifier: str | None = None
    package: Package | None = None


@dataclass(frozen=True)
class Target:
    """What is to be installed.

    :param source: "marketplace" or "package", as in Installed.
    :param package: the file to upload first, where there is one.
    """

    version: str
    identifier: str
    source: str = "marketplace"
    package: Package | None = None


@dataclass(frozen=True)
class Step:
    """What apply() does: "install", "upgrade" (in place), "replace" (uninstall, then install) or "remove"."""

    kind: str
    target: Target | None = None
    installed: Installed | None = None


# --- the package file ----------------------------------------------------------------------------------------------


def package_of(path: str) -> Package:
    """Reads what a package file is from its manifest, without sending it anywhere."""
    try:
        with open(path, "rb") as file:
            whole = hashlib.sha256(file.read()).hexdigest()
        with zipfile.ZipFile(path) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            manifest = archive.read("manifest.yaml").decode("utf-8", "replace")
            contents = {name: hashlib.sha256(archive.read(name)).digest() for name in names}
    except OSError as exc:
        raise ModelopsError(f"package: {path} cannot be read ({exc.strerror or exc})") from exc
    except (zipfile.BadZipFile, KeyError) as exc:
        raise ModelopsError(
            f"package: {path} is no Dify plugin package ({str(exc).strip(chr(34))}). A .difypkg file is a ZIP archive "
            "with a manifest.yaml. Was the download complete?"
        ) from exc
    found = {key: _manifest_value(manifest, key) for key in ("author", "name", "version")}
    if not found["name"] or not found["version"]:
        raise ModelopsError(f"package: {path} has a manifest.yaml without a name or a version")
    plugin = "/".join(part for part in (found["author"], found["name"]) if part)
    digests = (_content_digest(contents), whole)
    return Package(path, os.path.getsize(path), plugin, str(found["version"]), digests)


def _manifest_value(manifest: str, key: str) -> str | None:
    """A scalar of the manifest's first level; the module's Python may have no YAML parser."""
    match = re.search(rf"^{key}:[ \t]*(['\"]?)([^'\"#\r\n]*)\1", manifest, re.MULTILINE)
    return match.group(2).strip() or None if match else None


def _content_digest(contents: t.Mapping[str, bytes]) -> str:
    """The digest in the daemon's identifiers: over the names and contents of the files, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(contents, key=lambda item: item.encode()):
        digest.update(hashlib.sha256(name.encode()).digest() + contents[name])
    return digest.hexdigest()


# --- refusing wrong input, and the plan: pure ----------------------------------------------------------------------


def problems(wanted: Wanted) -> list[str]:
    """What is wrong with the declared plugin, as sentences; known without asking anybody."""
    given = [name for name in ("version", "identifier", "package") if getattr(wanted, name)]
    found = []
    if len(given) > 1:
        found.append(f"{' and '.join(given)} cannot be given together: each says which version is to be installed")
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


def needs_latest(wanted: Wanted, installed: Installed | None) -> bool:
    """Whether the plan depends on what the marketplace has."""
    if wanted.state == "latest":
        return True
    if wanted.state == "absent" or wanted.identifier or wanted.package:
        return False
    return installed is None or wanted.version not in (None, installed.version)


def decide(wanted: Wanted, installed: Installed | None, latest: Target | None) -> Step | None:
    """The step that makes ``installed`` ``wanted``; None where nothing differs.

    :param latest: what the marketplace has, where needs_latest().
    :raises NotPossible: nobody tells how to install it.
    """
    if wanted.state == "absent":
        return Step("remove", installed=installed) if installed else None
    target = _target(wanted, installed, latest)
    if target is None:
        return None
    if installed is None:
        return Step("install", target)
    # An upgrade in place is only served to a plugin that came from the marketplace itself.
    in_place = target.source == installed.source == "marketplace"
    return Step("upgrade" if in_place else "replace", target, installed)


def _target(wanted: Wanted, installed: Installed | None, latest: Target | None) -> Target | None:
    if wanted.package:
        identifiers = wanted.package.identifiers
        if installed and installed.identifier in identifiers:
            return None
        return Target(wanted.package.version, identifiers[0], "package", wanted.package)
    if wanted.identifier:
        if installed and installed.identifier == wanted.identifier:
            return None
        match = t.cast("re.Match[str]", _IDENTIFIER.fullmatch(wanted.identifier))
        return Target(match["version"], wanted.identifier)
    if not needs_latest(wanted, installed):
        return None
    if latest is None:
        raise NotPossible(
            f"Dify does not know which version of {wanted.plugin} is the latest: it does not reach its marketplace, or "
            "the marketplace has no such plugin. Give the file as package, or the identifier"
        )
    if wanted.version and wanted.version != latest.version:
        raise NotPossible(
            f"Dify can tell how to install {wanted.plugin} {latest.version}, the latest version, and not "
            f"{wanted.version}: give that one's identifier ({wanted.plugin}:{wanted.version}@<digest>, as the "
            "marketplace tells it), or its file as package"
        )
    if installed and wanted.state == "latest" and _numbers(installed.version) > _numbers(latest.version):
        return None  # from a file, or from another marketplace
    return None if installed and installed.identifier == latest.identifier else latest


def _numbers(version: str) -> list[int]:
    """For the order of versions; what stands behind the numbers does not count."""
    return [int(part) for part in re.findall(r"\d+", re.split(r"[-+]", version)[0])]


def plan(wanted: Wanted, step: Step | None, header: str = "") -> _plan.Plan:
    """The step as a difference."""
    result = _plan.Plan(header)
    title = f"plugin {wanted.plugin}"
    if step is None:
        return result
    before = step.installed
    if step.target is None:
        result.add("remove", "remove", title, [_plan.Field("version", before.version if before else None, None)])
    elif before is None:
        result.add("add", "install", title, [_plan.Field("version", None, step.target.version)], step.target.version)
    else:
        fields = [_plan.Field("version", before.version, step.target.version)]
        if before.version == step.target.version:
            fields = [_plan.Field("identifier", before.identifier, step.target.identifier)]
        result.add("change", step.kind, title, fields)
    return result


def allow(target: Target, features: t.Mapping[str, t.Any]) -> None:
    """Refuses what this Dify will not install, by what it says of itself without a login (system-features).

    :raises NotPossible: it will not.
    """
    permission = features.get("plugin_installation_permission") or {}
    package = target.package
    found = []
    if permission.get("plugin_installation_scope") == "none":
        found.append("this Dify allows nobody to install plugins (plugin_installation_scope is none)")
    if package and permission.get("restrict_to_marketplace_only"):
        found.append("this Dify takes plugins from the marketplace only, not as files. Leave package out")
    if not package and features.get("enable_marketplace") is False:
        found.append("this Dify has no marketplace (MARKETPLACE_ENABLED is false). Give the file as package")
    limit = int(features.get("max_plugin_package_size") or PACKAGE_LIMIT)
    if package and package.size > limit:
        found.append(
            f"{package.path} has {package.size} bytes and this Dify takes at most {limit}. Raise PLUGIN_MAX_PACKAGE_SIZE "
            "of its container api, MAX_PLUGIN_PACKAGE_SIZE of plugin_daemon and the limit of the proxy before it"
        )
    if found:
        raise NotPossible("; ".join(found))


def described(plugin: str, installed: Installed | None, state: str = "") -> dict[str, t.Any]:
    """A plugin as results have it; ``state`` where it is neither installed nor absent."""
    if installed is None:
        return dict(id=plugin, state=state or "absent")
    about = {name: getattr(installed, name) for name in ("version", "identifier", "source")}
    return dict(id=plugin, state="installed", **about)


# --- read and apply ------------------------------------------------------------------------------------------------


class Plugins:
    """One plugin of the session's workspace."""

    def __init__(self, dify: DifySession, plugin: str):
        self.dify = dify
        self.plugin = plugin
        self._base = f"{CURRENT}/plugin"

    def features(self) -> dict[str, t.Any]:
        """What Dify says of itself without a login."""
        return self.dify.call("GET", f"{API}/system-features", "read what Dify allows").json

    def installed(self) -> Installed | None:
        """The plugin as the workspace has it. One request for each hundred plugins of the workspace."""
        page = 0
        while True:
            page += 1
            body = self.dify.call(
                "GET", f"{self._base}/list", "list the plugins", params={"page": page, "page_size": 100}
            ).json
            for item in body["plugins"]:
                if item["plugin_id"] == self.plugin:
                    return Installed(
                        item.get("installation_id") or item["id"],
                        item["version"],
                        item["plugin_unique_identifier"],
                        item.get("source") or "",
                    )
            # Up to 1.4.0 Dify lists all at once and says no total.
            if not body["plugins"] or page * 100 >= (body.get("total") or 0):
                return None

    def latest(self) -> Target | None:
        """What the marketplace has, as Dify tells it; None where it does not. Changes nothing in spite of its verb."""
        if not self.dify.release.latest_plugins:
            raise NotPossible(
                f"Dify {self.dify.release.version} cannot tell the latest version of a plugin (1.4 and later can). Give the "
                "plugin's identifier, or its file as package"
            )
        body = self.dify.call(
            "POST",
            f"{self._base}/list/latest-versions",
            f"ask for the latest version of {self.plugin}",
            json={"plugin_ids": [self.plugin]},
            reads=True,
        ).json
        found = (body.get("versions") or {}).get(self.plugin)
        return Target(found["version"], found["unique_identifier"]) if found and found["unique_identifier"] else None

    def apply(self, step: Step, timeout: float) -> Installed | None:
        """Does a step, waits until it is true, and returns the plugin as it then is.

        :param timeout: seconds for the installation.
        """
        if step.target is None:
            self._uninstall(t.cast(Installed, step.installed))
            return None
        target = self._upload(step.target) if step.target.package else step.target
        if step.installed and step.installed.identifier == target.identifier:
            return step.installed
        if step.kind == "upgrade":
            return self._run("upgrade", target, timeout, original=step.installed)
        if step.kind == "install":
            return self._run("install", target, timeout)
        before = t.cast(Installed, step.installed)
        self._uninstall(before)
        try:
            return self._run("install", target, timeout)
        except NotDone as exc:
            raise ModelopsError(str(exc), changed=True) from exc
        except ModelopsError as exc:
            failed = self._restore(before, timeout)
            after = (
                f"After that {before.version} could not be installed again: {failed}"
                if failed
                else (f"The plugin is back at {before.version}.")
            )
            raise ModelopsError(f"{exc} {after}", changed=failed is not None) from exc

    def _restore(self, before: Installed, timeout: float) -> ModelopsError | None:
        """Puts the plugin back that stood in the way of its replacement; Dify still has its package.

        :returns: why it could not.
        """
        source = "marketplace" if before.source == "marketplace" else "package"
        try:
            self._run("install", Target(before.version, before.identifier, source), timeout)
        except ModelopsError as exc:
            return exc
        return None

    def _upload(self, target: Target) -> Target:
        """Hands the file to Dify, which checks it and tells its identifier; nothing is installed by that."""
        package = t.cast(Package, target.package)
        with open(package.path, "rb") as file:
            content = file.read()
        body = self._send(
            f"{self._base}/upload/pkg",
            f"upload {package.path}",
            files={"pkg": (os.path.basename(package.path), content, "application/octet-stream")},
            idempotent=True,
        )
        return replace(target, identifier=body["unique_identifier"])

    def _run(self, verb: str, target: Target, timeout: float, *, original: Installed | None = None) -> Installed:
        """Starts an installation or upgrade, and waits for it."""
        what = f"{verb} {self.plugin} {target.version}"
        if original:
            path = "upgrade/marketplace"
            body: dict[str, t.Any] = {
                "original_plugin_unique_identifier": original.identifier,
                "new_plugin_unique_identifier": target.identifier,
            }
        else:
            path = "install/pkg" if target.source == "package" else "install/marketplace"
            body = {"plugin_unique_identifiers": [target.identifier]}
        deadline = time.monotonic() + timeout
        try:
            answer = self._send(f"{self._base}/{path}", what, json=body, timeout=max(FETCH, self.dify.http.timeout[1]))
        except Unreachable as exc:
            if not exc.sent:
                raise
            answer = {}  # it may run all the same: the list of plugins will tell
        # The daemon answers an upgrade that is done at once with a bare true.
        task = answer.get("task_id") if isinstance(answer, dict) else None
        done = not task and answer != {}
        return self._wait(task, done, target, what, deadline, timeout)

    def _wait(
        self, task: str | None, done: bool, target: Target, what: str, deadline: float, timeout: float
    ) -> Installed:
        """Waits until the workspace has the target; what counts is the list of plugins, the task only explains."""
        status = "unknown"
        while True:
            if task and not done:
                found = self._task(task)
                if found is None:
                    task = None  # somebody cleared it away
                else:
                    status = found["status"]
                    if status == "failed":
                        raise ModelopsError(self._failed(what, found))
                    done = status == "success"
            if done or not task:
                installed = self.installed()
                if installed and installed.identifier == target.identifier:
                    return installed
                if done:
                    now = f"{installed.version}" if installed else "none"
                    raise ModelopsError(
                        f"{self.dify.where()}: {what}: Dify says that it is done, and the workspace has {now}. Is "
                        "another run or a person changing it at the same time? Run this again."
                    )
            if time.monotonic() >= deadline:
                raise NotDone(
                    f"{self.dify.where()}: {what}: not done after {timeout:g} s (its task is {status}). The plugin daemon "
                    "installs a plugin's Python packages first, from an index on the internet or the one of "
                    "PIP_MIRROR_URL. See the log of its container (plugin_daemon); it goes on by itself, so run this "
                    "again later, or give more timeout."
                )
            time.sleep(POLL)

    def _task(self, task: str) -> dict[str, t.Any] | None:
        """An installation task; None where Dify no longer has it (it answers 500) or does not show it to the account."""
        try:
            return self.dify.call("GET", f"{self._base}/tasks/{task}", "look at the installation").json.get("task")
        except DifyError:
            return None

    def _failed(self, what: str, task: t.Mapping[str, t.Any]) -> str:
        told = "; ".join(str(item.get("message")) for item in task.get("plugins") or () if item.get("message"))
        hint = "See the log of Dify's container plugin_daemon."
        if re.search(r"depend|uv |pip|network|timed? ?out|connect", told):
            hint = (
                "Its container plugin_daemon has to reach a package index: set PIP_MIRROR_URL, or give a package that "
                "has its wheels inside."
            )
        return f"{self.dify.where()}: {what} failed: {told or 'no reason given'}. {hint}"

    def _uninstall(self, installed: Installed) -> None:
        lost: Unreachable | None = None
        try:
            self._send(
                f"{self._base}/uninstall",
                f"remove {self.plugin} {installed.version}",
                json={"plugin_installation_id": installed.id},
            )
        except Unreachable as exc:
            if not exc.sent:
                raise
            lost = exc
        if self.installed() is not None:
            raise lost or ModelopsError(
                f"{self.dify.where()}: remove {self.plugin}: Dify took the removal and still lists the plugin. "
                "Run this again."
            )

    def _send(self, path: str, what: str, **kwargs: t.Any) -> t.Any:
        try:
            return self.dify.call("POST", path, what, about={"plugin": self.plugin}, **kwargs).json
        except DifyError as exc:
            if exc.found.status != 403:
                raise
            raise ModelopsError(
                f"{self.dify.where()}: {what}: the account may not. Who may install plugins is set in the workspace "
                "(Plugins > settings > permissions): everyone, admins or nobody."
            ) from exc
