# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of a host, read by starting as few programs as possible. Private to the collection."""

from __future__ import annotations

import contextlib
import getpass
import glob
import importlib.util
import os
import platform
import pwd
import re
import shutil
import socket
import stat
import sys
import sysconfig
import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._directory import examine, opened, swappable_by
from ansible_collections.modelops.inference.plugins.module_utils._host.system.digests import digest_of
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file

TCP_LISTEN = "0A"
# Extras with packages of which PyPI has the source only: pyworld and cdifflib (4.1.0).
_FROM_SOURCE = {"all", "audio"}
# Characters of a command line that are told.
_SHOWN = 240


def system(extras: t.Collection[str] = ()) -> dict[str, t.Any]:
    """Distribution, architecture, Python, user.

    :param extras: of Xinference, to install.
    """
    release: dict[str, str] = {}
    for line in (read_file("/etc/os-release") or "").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            release[key] = value.strip("\"'")
    return {
        "name": release.get("PRETTY_NAME", platform.system()),
        "id": release.get("ID", platform.system().lower()),
        "like": release.get("ID_LIKE", "").split(),
        "version": release.get("VERSION_ID", ""),
        "kernel": platform.system(),
        "architecture": platform.machine(),
        "platform": platform_of(platform.machine(), *platform.libc_ver()),
        "python": platform.python_version(),
        "lacks": lacks(
            [release.get("ID", ""), *release.get("ID_LIKE", "").split()],
            extras,
            root=os.geteuid() == 0,
            venv=importlib.util.find_spec("ensurepip") is not None,
            compiler=shutil.which("g++") is not None
            and os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")),
        ),
        "python_path": sys.executable,
        "user": _user(),
        "root": os.geteuid() == 0,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "address": address(),
    }


def lacks(
    families: t.Collection[str], extras: t.Collection[str], *, root: bool, venv: bool, compiler: bool
) -> dict[str, list[str]]:
    """Packages of the distribution that this host lacks to make an environment, by what installs them. Pure.

    :param families: the distribution and those that it is like, as os-release names them.
    :param extras: of Xinference.
    :param root: who could install them.  :param venv: an environment can be made.
    :param compiler: C++ with Python's headers is there.
    """
    source = not compiler and bool(_FROM_SOURCE & set(extras))
    if not root:
        return {"apt": [], "dnf": []}
    if {"debian", "ubuntu"} & set(families):
        # Both ship python3 without ensurepip; python3-venv brings it.
        return {"apt": ["python3-venv"] * (not venv) + ["g++", "python3-dev"] * source, "dnf": []}
    if {"rhel", "fedora"} & set(families):
        return {"apt": [], "dnf": ["gcc-c++", "python3-devel"] * source}
    return {"apt": [], "dnf": []}


def platform_of(machine: str, libc: str, version: str) -> str:
    """uv's name of a platform, such as "x86_64-manylinux_2_36"; "" where it has no name for it. Pure."""
    if libc != "glibc":
        return ""
    # Names that uv knows; wheels for an older glibc run on a newer one.
    known = [known for known in (17, 28, *range(31, 41)) if (2, known) <= tuple(map(int, version.split(".")[:2]))]
    return f"{machine}-manylinux_2_{known[-1]}" if known else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def user(name: str, home: str) -> dict[str, t.Any]:
    """The user that the service runs as; ``id`` is -1 where there is none.

    ``made_here`` is True for a user as the role makes it: only such a one may be removed again.
    """
    try:
        entry = pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
    except KeyError:
        return {"id": -1, "made_here": False}
    made_here = bool(name) and entry.pw_dir == home and entry.pw_shell.endswith("/nologin")
    return {"id": entry.pw_uid, "made_here": made_here}


def address() -> str:
    """The IPv4 address by which this host reaches others; "" where it has no route. Nothing is sent."""
    probe_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        # A documentation address (RFC 5737): connecting a datagram socket only chooses the route.
        probe_socket.connect(("192.0.2.1", 9))
        return str(probe_socket.getsockname()[0])
    except OSError:
        return ""
    finally:
        probe_socket.close()


def disk(path: str) -> dict[str, t.Any]:
    """Free and total bytes of the file system that holds, or will hold, ``path``."""
    place = path
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    usage = os.statvfs(place)
    return {
        "path": place,
        "free_bytes": usage.f_bavail * usage.f_frsize,
        "total_bytes": usage.f_blocks * usage.f_frsize,
        "writable": os.access(place, os.W_OK | os.X_OK),
    }


def written(directory: str) -> dict[str, str]:
    """When each file of a directory was written, as a day in UTC; empty without a directory."""
    if not os.path.isdir(directory):
        return {}
    with os.scandir(directory) as entries:
        times = {entry.name: entry.stat(follow_symlinks=False).st_mtime for entry in entries}
    return {name: time.strftime("%Y-%m-%d", time.gmtime(seconds)) for name, seconds in times.items()}


def files(paths: t.Iterable[str]) -> dict[str, dict[str, t.Any]]:
    """Mode and owner of each path that exists, and SHA-256 of a file (empty for a directory)."""
    found: dict[str, dict[str, t.Any]] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            about, digest = examine(path), ""
            if stat.S_ISREG(about.st_mode):
                with opened(path) as file:
                    about, digest = os.fstat(file.fileno()), digest_of(file)
            found[path] = {"sha256": digest, "mode": f"{stat.S_IMODE(about.st_mode):04o}", "uid": about.st_uid}
    return found


def directories(wanted: t.Iterable[t.Mapping[str, t.Any]], user_name: str, user_id: int) -> dict[str, t.Any]:
    """Directories that are missing or have another mode or owner, and refusals of unsafe ones.

    :param wanted: {"path", "mode", "service_owns"} of each.
    :param user_name: the service's user, "" where that is who connects; user_id is its number, -1 where there is none.
    """
    root = os.geteuid() == 0 and bool(user_name)
    differ: list[str] = []
    refused: dict[str, str] = {}
    ours = {each["path"] for each in wanted}
    for each in wanted:
        path = each["path"]
        about = files([path]).get(path)
        owner = user_id if root and each["service_owns"] else None
        if about is None or about["mode"] != each["mode"] or owner not in (None, about["uid"]):
            differ.append(path)
        if root and not each["service_owns"]:
            place = swappable_by(path, user_id)
            if place:
                # A directory above is somebody's, such as a home.
                give = f"Give it to root (chown root {place}), or name" if place in ours else "Name"
                refused[place] = (
                    f"{place} belongs to {user_name}, the service's user, who could replace programs that root runs. "
                    f"{give} other directories (xinference_dir, xinference_models_dir)."
                )
    return {"differ": differ, "refused": list(refused.values())}


def environment_of(pid: int, name: str) -> str:
    """One variable of a running process's environment; "" where it cannot be read."""
    for item in (read_file(f"/proc/{pid}/environ") or "").split("\0"):
        key, equals, value = item.partition("=")
        if key == name:
            return value
    return ""


def release_of(pid: int) -> str:
    """Name of the release that a running process was started from, wherever ``current`` points by now; "" for another program."""
    command = (read_file(f"/proc/{pid}/cmdline") or "").split("\0")[0]
    found = re.search(r"/releases/([^/]+)/bin/", command)
    return found.group(1) if found else ""


def port(host: str, number: int, service_pid: int) -> dict[str, t.Any]:
    """The listener of a TCP port: none, the service (any process below ``service_pid``), or another program.

    ``pid`` is 0 where nobody listens, or this process cannot see who.
    """
    inodes = _listeners(host, number)
    found: dict[str, t.Any] = {"number": number, "listening": bool(inodes), "ours": False, "pid": 0, "by": ""}
    if not inodes:
        return found
    for process in glob.glob("/proc/[0-9]*"):
        pid = int(os.path.basename(process))
        if _holds(process, inodes):
            command = log.redacted((read_file(f"{process}/cmdline") or "").replace("\0", " ").strip())
            ours = service_pid > 0 and _descends(pid, service_pid)
            return {**found, "ours": ours, "pid": pid, "by": f"process {pid} ({_shortened(command)})"}
    # In a container without CAP_SYS_PTRACE even root does not see whose socket it is, only which user's.
    uid = min(inodes.values())
    with contextlib.suppress(OSError, KeyError):
        ours = service_pid > 0 and os.stat(f"/proc/{service_pid}").st_uid == uid != 0
        return {**found, "ours": ours, "by": f"a process of {pwd.getpwuid(uid).pw_name}"}
    return {**found, "by": f"a process of user {uid}"}


def _shortened(command: str) -> str:
    """A command line shortened in the middle: programs of one interpreter begin alike."""
    return command if len(command) <= _SHOWN else f"{command[: _SHOWN // 2]} ... {command[-_SHOWN // 2 :]}"


def _listeners(host: str, number: int) -> dict[str, int]:
    """Inodes of the sockets that listen where a server on ``host``:``number`` would have to, each with its user's ID."""
    everywhere = {"0.0.0.0", "::", ""}
    try:
        wanted = {str(info[4][0]) for info in socket.getaddrinfo(host or "0.0.0.0", number, type=socket.SOCK_STREAM)}
    except OSError:
        wanted = everywhere
    inodes: dict[str, int] = {}
    for table, family in (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6)):
        for line in (read_file(table) or "").splitlines()[1:]:
            fields = line.split()
            address, colon, hex_port = fields[1].partition(":")
            if fields[3] == TCP_LISTEN and int(hex_port, 16) == number:
                bound = _address(address, family)
                if bound in wanted or bound in everywhere or wanted & everywhere:
                    inodes[fields[9]] = int(fields[7])
    return inodes


def _address(text: str, family: int) -> str:
    """An address of /proc/net/tcp: 32-bit words in the host's byte order."""
    raw = bytes.fromhex(text)
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return socket.inet_ntop(family, b"".join(words))


def _holds(process: str, inodes: t.Collection[str]) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"{process}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"{process}/fd/{descriptor}")
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    return True
    return False


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        status = read_file(f"/proc/{pid}/status") or ""
        pid = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")), 0)
    return False
