# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service under a dedicated supervisord, for hosts without systemd. Private to the collection."""

from __future__ import annotations

import contextlib
import glob
import http.client
import os
import signal
import socket
import tempfile
import time
import typing as t
import xmlrpc.client

from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import environments, release, uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.service.service_manager import (
    ServiceManager,
    ServiceState,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import (
    last_lines,
    read_file,
    run,
    write_file,
)


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

    def state(self) -> ServiceState:
        there = os.path.exists(self.path)
        info = self._ask()
        if info is None:
            return ServiceState(installed=there, enabled=there)
        active = {"RUNNING": "running", "STARTING": "starting", "BACKOFF": "starting", "FATAL": "failed"}.get(
            info["statename"], "failed" if info["statename"] == "EXITED" and info["exitstatus"] else "stopped"
        )
        return ServiceState(installed=there, active=active, enabled=there, pid=info["pid"])

    def make(self, tools: uv_tools.Tools, index: t.Mapping[str, t.Any], requirement: str) -> None:
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
        """Writes its configuration with restricted permissions: a server's output contains the variables of its models."""
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
        """Does nothing: supervisord starts every program file that exists."""

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
