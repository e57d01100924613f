# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plugin of one Dify workspace: read, and installed, upgraded and removed. Private to the collection.

Known by running the console API of 1.0.1 to 1.16.0-rc1; how the plugin daemon handles an upgrade, a package and a digest
is from its source (it serves an upgrade only to a plugin that came from the same source, and never replaces a plugin by
installing another version).
"""

from __future__ import annotations

import os
import re
import time
import typing as t
from dataclasses import replace

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import DifyError
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.paths import API, CURRENT
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.package import PluginPackage
from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin.plugin_plan import (
    InstalledPlugin,
    InstallTarget,
    NotPossible,
    PluginOperation,
)
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Unreachable

# Between two looks at an installation, in seconds.
POLL = 2.0

# Seconds that Dify may take to fetch a package from the marketplace before it answers.
FETCH = 180


class NotDone(ModelopsError):
    """An installation that goes on after its time is over."""


class WorkspacePlugin:
    """One plugin of the session's workspace."""

    def __init__(self, dify: DifySession, plugin: str):
        self.dify = dify
        self.plugin = plugin
        self._base = f"{CURRENT}/plugin"

    def features(self) -> dict[str, t.Any]:
        """The features that Dify tells without a login."""
        return self.dify.call("GET", f"{API}/system-features", "read what Dify allows").json

    def installed(self) -> InstalledPlugin | None:
        """The plugin as the workspace has it. One request for each hundred plugins of the workspace."""
        page = 0
        while True:
            page += 1
            body = self.dify.call(
                "GET", f"{self._base}/list", "list the plugins", params={"page": page, "page_size": 100}
            ).json
            for item in body["plugins"]:
                if item["plugin_id"] == self.plugin:
                    return InstalledPlugin(
                        item.get("installation_id") or item["id"],
                        item["version"],
                        item["plugin_unique_identifier"],
                        item.get("source") or "",
                    )
            # Up to 1.4.0 Dify lists all at once and says no total.
            if not body["plugins"] or page * 100 >= (body.get("total") or 0):
                return None

    def latest(self) -> InstallTarget | None:
        """The marketplace's version, as Dify tells it; None where it does not. Changes nothing in spite of its verb."""
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
        return (
            InstallTarget(found["version"], found["unique_identifier"])
            if found and found["unique_identifier"]
            else None
        )

    def apply(self, operation: PluginOperation, timeout: float) -> InstalledPlugin | None:
        """Does a operation, waits until it is true, and returns the plugin as it then is.

        :param timeout: seconds for the installation.
        """
        if operation.target is None:
            self._uninstall(t.cast(InstalledPlugin, operation.installed))
            return None
        target = self._upload(operation.target) if operation.target.package else operation.target
        if operation.installed and operation.installed.identifier == target.identifier:
            return operation.installed
        if operation.kind == "upgrade":
            return self._run("upgrade", target, timeout, original=operation.installed)
        if operation.kind == "install":
            return self._run("install", target, timeout)
        before = t.cast(InstalledPlugin, operation.installed)
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

    def _restore(self, before: InstalledPlugin, timeout: float) -> ModelopsError | None:
        """Puts the plugin back that stood in the way of its replacement; Dify still has its package.

        :returns: why it could not.
        """
        source = "marketplace" if before.source == "marketplace" else "package"
        try:
            self._run("install", InstallTarget(before.version, before.identifier, source), timeout)
        except ModelopsError as exc:
            return exc
        return None

    def _upload(self, target: InstallTarget) -> InstallTarget:
        """Hands the file to Dify, which checks it and tells its identifier; nothing is installed by that."""
        package = t.cast(PluginPackage, target.package)
        with open(package.path, "rb") as file:
            content = file.read()
        body = self._send(
            f"{self._base}/upload/pkg",
            f"upload {package.path}",
            files={"pkg": (os.path.basename(package.path), content, "application/octet-stream")},
            idempotent=True,
        )
        return replace(target, identifier=body["unique_identifier"])

    def _run(
        self, verb: str, target: InstallTarget, timeout: float, *, original: InstalledPlugin | None = None
    ) -> InstalledPlugin:
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
        self, task: str | None, done: bool, target: InstallTarget, what: str, deadline: float, timeout: float
    ) -> InstalledPlugin:
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
                        f"{self.dify.where()}: {what}: Dify reports success, but the workspace has {now}. Check whether "
                        "another run or a person changes it at the same time, and run this again."
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
                "Its container plugin_daemon must reach a package index: set PIP_MIRROR_URL, or give a package that "
                "has its wheels inside."
            )
        return f"{self.dify.where()}: {what} failed: {told or 'no reason given'}. {hint}"

    def _uninstall(self, installed: InstalledPlugin) -> None:
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
                f"{self.dify.where()}: remove {self.plugin}: Dify accepted the removal and still lists the plugin. "
                "Run this again."
            )

    def _send(self, path: str, what: str, **kwargs: t.Any) -> t.Any:
        try:
            return self.dify.call("POST", path, what, about={"plugin": self.plugin}, **kwargs).json
        except DifyError as exc:
            if exc.found.status != 403:
                raise
            raise ModelopsError(
                f"{self.dify.where()}: {what}: the account is not allowed to. The workspace sets who may install plugins "
                "(Plugins > settings > permissions): everyone, admins or nobody."
            ) from exc
