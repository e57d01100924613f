# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service under systemd, of the system or of a user. Private to the collection."""

from __future__ import annotations

import os
import shutil
import tempfile
import time

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._host.service.service_manager import (
    ServiceManager,
    ServiceState,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import (
    CommandFailed,
    last_lines,
    run,
    write_file,
)


class Systemd(ServiceManager):
    """A service of systemd. One that has a timer runs when the timer says so: then the verbs and the state are the timer's."""

    kind = "systemd"

    def __init__(self, name: str, scope: str):
        super().__init__(name)
        self.scope = scope
        self._user = ["--user"] if scope == "user" else []
        self._since: list[str] = []

    @property
    def path(self) -> str:
        base = "/etc/systemd/system"
        if self.scope == "user":
            config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
            base = os.path.join(config, "systemd", "user")
        return os.path.join(base, f"{self.name}.service")

    @property
    def timer_path(self) -> str:
        return os.path.join(os.path.dirname(self.path), f"{self.name}.timer")

    @property
    def _unit(self) -> str:
        """The unit to start and enable."""
        return f"{self.name}.timer" if os.path.exists(self.timer_path) else f"{self.name}.service"

    def _systemctl(self, *words: str, timeout: float = 300) -> str:
        return run(
            ["systemctl", *self._user, *words], f"systemctl {' '.join(words)}", env=user_environment(), timeout=timeout
        )

    def state(self) -> ServiceState:
        keys = "LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts"
        shown = self._systemctl("show", self._unit, f"--property={keys}")
        now = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        active = {
            "active": "running",
            "reloading": "running",
            "activating": "starting",
            "failed": "failed",
        }.get(now.get("ActiveState", ""), "stopped")
        return ServiceState(
            installed=now.get("LoadState") != "not-found",
            active=active,
            enabled=now.get("UnitFileState") == "enabled",
            pid=int(now.get("MainPID") or 0),
            restarts=int(now.get("NRestarts") or 0),
        )

    def install(self, unit: str, timer: str | None = None) -> None:
        texts = {self.path: unit, **({self.timer_path: timer} if timer else {})}
        directory = tempfile.mkdtemp(prefix="unit-")
        try:
            drafts = {os.path.join(directory, os.path.basename(path)): text for path, text in texts.items()}
            for draft, text in drafts.items():
                write_file(draft, text, 0o644)
            words = ["systemd-analyze", *self._user, "verify", *drafts]
            run(words, f"systemd refuses the unit {self.name}.service; the old one stays", env=user_environment())
        finally:
            shutil.rmtree(directory)
        make_directory(os.path.dirname(self.path))
        for path, text in texts.items():
            write_file(path, text, 0o644)
        self._systemctl("daemon-reload")

    def enable(self) -> None:
        self._systemctl("enable", self._unit)
        if self.scope == "user":
            # Without it a user's services start at login and end at logout.
            try:
                run(["loginctl", "enable-linger"], "loginctl enable-linger")
            except CommandFailed as exc:
                self.warnings.append(
                    f"{self.name} runs only while its user is logged in ({exc}). As root: loginctl enable-linger USER"
                )

    def disable(self) -> None:
        self._systemctl("disable", self._unit)

    def start(self) -> None:
        self._systemctl("reset-failed", self._unit)
        self._systemctl("start", self._unit)

    def stop(self) -> None:
        self._systemctl("stop", self._unit)

    def restart(self) -> None:
        self._systemctl("restart", self._unit)

    def remove(self) -> None:
        if self.state().installed:
            self._systemctl("disable", "--now", self._unit)
            self._systemctl("stop", f"{self.name}.service")
        for path in (self.timer_path, self.path):
            if os.path.exists(path):
                os.unlink(path)
        self._systemctl("daemon-reload")

    def mark(self) -> None:
        self._since = ["--since", f"@{int(time.time())}"]

    def log_tail(self, lines: int = 20) -> str:
        unit = "--user-unit" if self.scope == "user" else "--unit"
        words = ["journalctl", unit, f"{self.name}.service", "--lines", str(lines), "--no-pager", "--output", "cat"]
        try:
            return last_lines(run([*words, *self._since], "journalctl", env=user_environment()), lines)
        except CommandFailed as exc:
            return str(exc)

    def commands(self) -> dict[str, str]:
        systemctl = " ".join(["systemctl", *self._user])
        journal = "journalctl --user-unit" if self.scope == "user" else "journalctl --unit"
        return {
            "start": f"{systemctl} start {self.name}",
            "stop": f"{systemctl} stop {self.name}",
            "status": f"{systemctl} status {self.name}",
            "log": f"{journal} {self.name} --follow",
        }


def user_environment() -> dict[str, str]:
    """Variables that systemctl --user needs and a non-login shell lacks."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return {
        "XDG_RUNTIME_DIR": runtime,
        "DBUS_SESSION_BUS_ADDRESS": os.environ.get("DBUS_SESSION_BUS_ADDRESS") or f"unix:path={runtime}/bus",
        "SYSTEMD_COLORS": "0",
        "LC_ALL": "C",
    }
