# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The start script of hosts without systemd, run: what it ends before it starts, and what of the environment goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import INHERITED
from ansible_collections.modelops.inference.plugins.plugin_utils._site.release import HostRelease
from ansible_collections.modelops.inference.plugins.plugin_utils._site.service import Service

PARTS = ("local", "supervisor", "worker")
# In the place of the server: a main process with a model process in its group.
SERVER = "#!/bin/sh\nenv > environment\nsleep 600 &\necho $! > model-of-$$\nwait\n"


@pytest.fixture
def written(host):
    """The parts' start scripts, for a directory "@"."""
    found = {"service": {"manager": "supervisord", "scope": "user"}, "system": {"root": False}}
    found["bind"] = {"address": "127.0.0.1"}
    hosts = {
        part: host({"xinference_dir": "/@"}, part, found, parts=["supervisor", "worker"])
        for part in ("supervisor", "worker")
    }
    hosts["local"] = host({"xinference_dir": "/@"}, found=found)
    return {part: Service.of(each, HostRelease.of(each)).files[1].content for part, each in hosts.items()}


@pytest.fixture
def script(written, tmp_path):
    """``script(part)`` -> the part's start script, for a directory in which programs are there that do nothing."""
    for part, text in written.items():
        (tmp_path / part).write_text(text.replace("/@", str(tmp_path / "dir")))
    programs = tmp_path / "dir" / "current" / "bin"
    programs.mkdir(parents=True)
    for name, text in {**{f"xinference-{part}": SERVER for part in PARTS}, "python": "#!/bin/sh\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for folder in ("etc", "home"):
        (tmp_path / "dir" / folder).mkdir()
    for service in ("xinference", "xinference-supervisor", "xinference-worker"):
        (tmp_path / "dir" / "etc" / f"{service}.env").write_text("")
    return lambda part: tmp_path / part


@pytest.fixture
def start(script, tmp_path):
    """``start(part)`` -> its main process, in a group of its own as supervisord starts it, and its model process."""
    home, started = tmp_path / "dir" / "home", []

    def run(part):
        process = subprocess.Popen(["/bin/sh", script(part)], cwd=home, start_new_session=True)
        started.append(process)
        noted = home / f"model-of-{process.pid}"
        until = time.monotonic() + 20
        while not (noted.exists() and noted.read_text().strip()):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        return process, int(noted.read_text())

    yield run
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def runs(pid):
    try:
        # A zombie ended.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_what_a_killed_main_process_left_is_ended(start, tmp_path, part, link):
    if link:
        (tmp_path / "dir").rename(tmp_path / "disk")
        (tmp_path / "dir").symlink_to("disk")
    main, model = start(part)
    main.kill()
    main.wait()
    assert runs(model)
    start(part)
    assert not runs(model)


def test_two_parts_of_a_host_leave_each_other_alone(start):
    supervisor, _model = start("supervisor")
    start("worker")
    assert supervisor.poll() is None
    killed, model = start("worker")
    killed.kill()
    killed.wait()
    start("worker")
    assert supervisor.poll() is None and not runs(model)


@pytest.mark.parametrize("part", PARTS)
def test_nothing_of_the_operators_environment_goes_on(start, tmp_path, monkeypatch, part):
    """supervisord may have been started by a run with a local connection, from anybody's shell."""
    monkeypatch.setenv("TMPDIR", "/tmp/a place")
    for name in ("OPERATORS_SECRET", "http_proxy", "XINFERENCE_AUTH_DB_PATH"):
        monkeypatch.setenv(name, "of the operator")
    monkeypatch.setenv("OTHER", "several\nlines")
    for file in (tmp_path / "dir" / "etc").iterdir():
        file.write_text('DECLARED="x y"\nPATH="/usr/bin:/bin"\n')
    start(part)
    lines = (tmp_path / "dir" / "home" / "environment").read_text().splitlines()
    said = dict(line.split("=", 1) for line in lines)
    assert said["DECLARED"] == "x y" and said["TMPDIR"] == "/tmp/a place" and said["USER"] == said["LOGNAME"]
    # The shell itself says of each that it starts where it is.
    assert not said.keys() - {*INHERITED, "DECLARED", "USER", "LOGNAME", "PWD", "OLDPWD", "SHLVL", "_"}, said
