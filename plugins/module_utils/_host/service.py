# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service managers of a host, one class each, with the same verbs. Private to the collection.

systemd where it is PID 1: system scope as root, the user's own scope otherwise. supervisord from PyPI, in an
environment of its own, where there is no systemd: rented GPU containers, CI machines, laptops.
"""

from __future__ import annotations

import contextlib
import glob
import http.client
import os
import shutil
import signal
import socket
import tempfile
import time
import typing as t
import xmlrpc.client
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host import environments, release
from ansible_collections.modelops.inference.plugins.module_utils._host.shell import (
    CommandFailed,
    last_lines,
    read_file,
    run,
    write_file,
)

# A file without it is somebody else's, such as the unit that `xinference service install` writes under the same name.
OURS = "Managed by modelops.inference"


@dataclass
class State:
    """What a service manager says of one service, the same under each.

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
    """What both managers offer. ``unit`` is the text of the file that describes the service."""

    kind = ""
    scope = ""

    def __init__(self, name: str):
        self.name = name
        #: What did not work and does not stop the rest, for a person.
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
            f"{self.path} is not a file of this collection. Write down what that server serves (ansible-playbook "
            "modelops.inference.capture -e capture_endpoint=http://127.0.0.1:9997), then remove its service "
            f"({self.commands()['stop']}; `xinference service uninstall` where Xinference made it, else move that file away), or choose "
            "another name with xinference_service."
        )

    def state(self) -> State:
        raise NotImplementedError

    def install(self, unit: str, timer: str | None = None) -> None:
        """Checks the files and puts them in place; a bad one never replaces a good one."""
        raise NotImplementedError

    def enable(self) -> None:
        raise NotImplementedError

    def disable(self) -> None:
        """Of a stopped service: it does not come back by itself."""
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
        """What is started and enabled."""
        return f"{self.name}.timer" if os.path.exists(self.timer_path) else f"{self.name}.service"

    def _systemctl(self, *words: str, timeout: float = 300) -> str:
        return run(
            ["systemctl", *self._user, *words], f"systemctl {' '.join(words)}", env=user_environment(), timeout=timeout
        )

    def state(self) -> State:
        keys = "LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts"
        shown = self._systemctl("show", self._unit, f"--property={keys}")
        now = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        active = {
            "active": "running",
            "reloading": "running",
            "activating": "starting",
            "failed": "failed",
        }.get(now.get("ActiveState", ""), "stopped")
        return State(
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


class Supervisord(ServiceManager):
    """supervisord with one program file a service, its state asked over its own socket.

    :param directory: its environment, configuration and socket.
    """

    kind = "supervisord"
    scope = "system"

    def __init__(self, name: str, directory: str):
        super().__init__(name)
        self.directory = directory
        self.configuration = os.path.join(directory, "supervisord.conf")
        self.log = os.path.join(directory, "supervisord.log")
        self._socket = socket_path(directory)
        self._read = 0
        self._control = [os.path.join(directory, "environment", "bin", "supervisorctl"), "-c", self.configuration]

    @property
    def path(self) -> str:
        return os.path.join(self.directory, "conf.d", f"{self.name}.conf")

    def _ask(self) -> dict[str, t.Any] | None:
        """getProcessInfo of supervisord's own interface; None where it does not run or does not know the name."""
        server = xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(self._socket))
        try:
            return t.cast("dict[str, t.Any]", server.supervisor.getProcessInfo(self.name))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return None

    @property
    def up(self) -> bool:
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(self._socket)
            return True
        except OSError:
            return False
        finally:
            probe.close()

    def state(self) -> State:
        there = os.path.exists(self.path)
        info = self._ask()
        if info is None:
            return State(installed=there, enabled=there)
        active = {"RUNNING": "running", "STARTING": "starting", "BACKOFF": "starting", "FATAL": "failed"}.get(
            info["statename"], "failed" if info["statename"] == "EXITED" and info["exitstatus"] else "stopped"
        )
        return State(installed=there, active=active, enabled=there, pid=info["pid"])

    def make(self, tools: release.Tools, index: t.Mapping[str, t.Any], requirement: str) -> None:
        """Makes supervisord's environment and configuration where they are missing."""
        environment = os.path.join(self.directory, "environment")
        name, equals, version = requirement.partition("==")
        self._configure()
        if environments.installed(environment).get(name) != version:
            settings = tools.make(index)
            release.Builder(tools, settings, environment, ">=3.9").build(
                [requirement], [], "default", ["supervisor"], {}
            )

    def _configure(self) -> None:
        """Its configuration, and for nobody else to read: what a server prints has the variables of its models."""
        for directory in (self.directory, os.path.dirname(self.path)):
            make_directory(directory, 0o750, mend=True)
        # Those of before, too. supervisord renames the ones that it closed.
        for log in glob.glob(os.path.join(glob.escape(self.directory), "*.log*")):
            with contextlib.suppress(FileNotFoundError):
                os.chmod(log, 0o640)
        text = SUPERVISORD_CONF.format(socket=self._socket, directory=self.directory)
        if read_file(self.configuration) != text:
            write_file(self.configuration, text, 0o600)

    def install(self, unit: str, timer: str | None = None) -> None:
        write_file(self.path, unit, 0o600)

    def _supervisorctl(self, *words: str) -> str:
        return run([*self._control, *words], f"supervisorctl {' '.join(words)}", timeout=300)

    def _ensure_up(self) -> bool:
        """Starts supervisord where it does not run; True where that was needed (it starts its programs itself)."""
        if self.up:
            return False
        daemon = os.path.join(self.directory, "environment", "bin", "supervisord")
        run([daemon, "-c", self.configuration], "starting supervisord", clean=True)
        deadline = time.monotonic() + 20
        while not self.up:
            if time.monotonic() > deadline:
                raise ModelopsError(f"supervisord does not answer on {self._socket}; see {self.log}")
            time.sleep(0.1)
        return True

    def enable(self) -> None:
        """Nothing to do: a program file that is there is started whenever supervisord runs."""

    def disable(self) -> None:
        """Takes the program file away; supervisord would start it whenever it starts itself."""
        if os.path.exists(self.path):
            os.unlink(self.path)
        if self.up:
            self._supervisorctl("update")

    def _update(self) -> bool:
        """Makes supervisord run its programs as their files say; True where that (re)started this one."""
        self._configure()
        return self._ensure_up() or f"{self.name}: " in self._supervisorctl("update")

    def start(self) -> None:
        if not self._update() and self.state().active not in ("running", "starting"):
            self._supervisorctl("start", self.name)

    def stop(self) -> None:
        if self.up and self.state().active != "stopped":
            self._supervisorctl("stop", self.name)

    def restart(self) -> None:
        if not self._update():
            self._supervisorctl("restart", self.name)

    def remove(self) -> None:
        self.stop()
        if os.path.exists(self.path):
            os.unlink(self.path)
        if self.up:
            others = os.listdir(os.path.dirname(self.path))
            self._supervisorctl(*(["update"] if others else ["shutdown"]))

    def _said(self) -> str:
        return read_file(os.path.join(self.directory, f"{self.name}.log")) or ""

    def mark(self) -> None:
        self._read = len(self._said())

    def log_tail(self, lines: int = 20) -> str:
        said = self._said()
        # A shorter one is another file, after a rotation.
        new = said[self._read :] if len(said) >= self._read else said
        return last_lines(new or read_file(self.log) or "", lines)

    def commands(self) -> dict[str, str]:
        control = " ".join(self._control)
        return {
            "start": f"{control} start {self.name}",
            "stop": f"{control} stop {self.name}",
            "status": f"{control} status {self.name}",
            "log": f"tail -F {os.path.join(self.directory, self.name)}.log",
        }


SUPERVISORD_CONF = """\
; Managed by modelops.inference
[unix_http_server]
file={socket}
chmod=0600

[supervisord]
logfile={directory}/supervisord.log
logfile_maxbytes=10MB
logfile_backups=2
pidfile={directory}/supervisord.pid
childlogdir={directory}
minfds=1024
umask=027

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}

[include]
files={directory}/conf.d/*.conf
"""


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def make_connection(self, host: t.Any) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(self._path)
        return connection


def socket_path(directory: str) -> str:
    """supervisord's socket: beside its files, or in /tmp where that path is too long for a Unix socket (107 bytes)."""
    path = os.path.join(directory, "supervisor.sock")
    # supervisord binds <path>.<pid> first.
    if len(os.fsencode(path)) <= 96:
        return path
    name = environments.short_hash(directory)
    return os.path.join(tempfile.gettempdir(), f"supervisor-{os.getuid()}-{name}.sock")


def user_environment() -> dict[str, str]:
    """What systemctl --user needs and a non-login shell lacks."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return {
        "XDG_RUNTIME_DIR": runtime,
        "DBUS_SESSION_BUS_ADDRESS": os.environ.get("DBUS_SESSION_BUS_ADDRESS") or f"unix:path={runtime}/bus",
        "SYSTEMD_COLORS": "0",
        "LC_ALL": "C",
    }


def leave(pid: int, timeout: float = 15) -> bool:
    """Has a worker of Xinference take leave of its supervisor, which then gives it no more requests; True where it did.

    On SIGINT, and on no other signal, a worker unregisters before it ends (read in 1.17.1, 2.12.0 and 4.1.0). It is the main
    process, or since 4.1 a child of that one, which itself would end the worker by SIGTERM.

    :param pid: main process of the worker's service.
    """
    worker = pid
    for process in glob.glob("/proc/[0-9]*"):
        status = read_file(f"{process}/status") or ""
        if f"\nPPid:\t{pid}\n" in status and "worker_relaunch" in (read_file(f"{process}/cmdline") or ""):
            worker = int(os.path.basename(process))
    with contextlib.suppress(OSError):
        os.kill(worker, signal.SIGINT)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if (read_file(f"/proc/{worker}/stat") or " Z ").rpartition(")")[2].split()[0] == "Z":
                return True
            time.sleep(0.1)
    return False


def detect() -> tuple[str, str]:
    """(manager, scope) for this host and user."""
    if os.path.isdir("/run/systemd/system"):
        if os.geteuid() == 0:
            return "systemd", "system"
        if os.path.exists(os.path.join(user_environment()["XDG_RUNTIME_DIR"], "systemd", "private")):
            return "systemd", "user"
    return "supervisord", "system"


def manager(kind: str, name: str, supervisor_directory: str) -> ServiceManager:
    """The manager of a service.  :param kind: "auto", "systemd" or "supervisord"."""
    detected, scope = detect()
    if kind == "systemd" and detected != "systemd":
        raise ModelopsError(
            "xinference_service_manager is systemd, but systemd is not in charge here (it is not PID 1, or this user "
            "has no systemd session). Use auto or supervisord."
        )
    if (detected if kind == "auto" else kind) == "systemd":
        return Systemd(name, scope)
    return Supervisord(name, supervisor_directory)
