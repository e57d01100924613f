# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of every service manager. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file

# A file without it is somebody else's, such as the unit that `xinference service install` writes under the same name.
OURS = "Managed by modelops.inference"


@dataclass
class ServiceState:
    """The state of one service, the same under each service manager.

    :ivar active: "running", "starting", "failed" or "stopped".
    :ivar enabled: it comes back after a reboot (under supervisord: whenever supervisord runs).
    :ivar pid: its main process, 0 where none runs.
    :ivar restarts: how often the manager had to start it again since it was started last.
    """

    installed: bool = False
    active: str = "stopped"
    enabled: bool = False
    pid: int = 0
    restarts: int = 0


class ServiceManager:
    """The methods of both managers. ``unit`` is the text of the file that describes the service."""

    kind = ""
    scope = ""

    def __init__(self, name: str):
        self.name = name
        #: Failures that do not stop the rest, for a person.
        self.warnings: list[str] = []

    @property
    def path(self) -> str:
        """The file that describes the service."""
        raise NotImplementedError

    @property
    def timer_path(self) -> str | None:
        """The file that says when the service runs, which need not exist; None where the manager has no such thing."""
        return None

    def refusal(self) -> str:
        """Why the service's file must not be replaced or removed; "" where it is this collection's, or missing."""
        text = read_file(self.path)
        if text is None or OURS in text:
            return ""
        return (
            f"{self.path} is not a file of this collection. Save the models of that server (ansible-playbook "
            "modelops.inference.capture -e capture_endpoint=http://127.0.0.1:9997), then remove its service "
            f"({self.commands()['stop']}; `xinference service uninstall` if Xinference created it, else move that file away), or choose "
            "another name with xinference_service."
        )

    def state(self) -> ServiceState:
        raise NotImplementedError

    def install(self, unit: str, timer: str | None = None) -> None:
        """Checks the files and puts them in place; a bad one never replaces a good one."""
        raise NotImplementedError

    def enable(self) -> None:
        raise NotImplementedError

    def disable(self) -> None:
        """Disables a stopped service, so that it does not start by itself."""
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError

    def remove(self) -> None:
        raise NotImplementedError

    def mark(self) -> None:
        """From now on `log_tail` begins here, such as at a start: what the service said before is of another one."""
        raise NotImplementedError

    def log_tail(self, lines: int = 20) -> str:
        raise NotImplementedError

    def commands(self) -> dict[str, str]:
        """The commands that a person types: start, stop, status, log."""
        raise NotImplementedError
