# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import os
import socket
import socketserver
import subprocess
import sys
import threading
import xmlrpc.client

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.service import (
    service,
    service_manager,
    supervisord_service,
    systemd_service,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.service.service_manager import ServiceState
from ansible_collections.modelops.inference.plugins.modules import xinference_service

WANTED = dict(state="started", unit="[Unit]\n", timer=None, files=[], config="new")
RUNNING = ServiceState(installed=True, active="running", enabled=True, pid=7)


def plan(state=RUNNING, unit="[Unit]\n", files=None, running="new", **wanted):
    return xinference_service.make_plan("x", dict(WANTED, **wanted), state, unit, files or {}, running).lines


def test_nothing_to_do():
    assert plan() == []


def test_a_new_service_is_installed_enabled_and_started():
    assert plan(ServiceState(), None, running="") == ["+ install service x", "~ enable x", "~ start x (stopped)"]


def test_another_configuration_restarts():
    assert plan(running="old") == ["~ restart x (it runs with another configuration)"]


def test_another_unit_is_shown_by_digest():
    (line,) = plan(unit="[Unit]\nDescription=old\n")
    assert line.startswith("~ install service x (unit ")


def test_a_timer_belongs_to_its_service():
    made = xinference_service.make_plan("x", dict(WANTED, timer="new"), RUNNING, "[Unit]\n", {}, "new", "old")
    (line,) = made.lines
    assert line.startswith("~ install service x (timer ")
    assert not xinference_service.make_plan("x", dict(WANTED, timer="new"), RUNNING, "[Unit]\n", {}, "new", "new")


def test_files_are_written_and_never_shown():
    files = [dict(path="/e", content="TOKEN=secret\n", mode="0600")]
    made = xinference_service.make_plan("x", dict(WANTED, files=files), RUNNING, "[Unit]\n", {"/e": "old"}, "new")
    assert made.lines == ["~ write file /e (content (hidden))"]
    assert "secret" not in str(made.result())


@pytest.mark.parametrize(("given", "cache"), [({}, "cache/uv"), ({"cache": "/big/uv"}, "/big/uv")])
def test_supervisords_environment_comes_through_the_declared_cache(run_module, monkeypatch, tmp_path, given, cache):
    made = []
    monkeypatch.setattr(
        supervisord_service.Supervisord, "make", lambda self, tools, index, requirement: made.append(tools.cache)
    )
    monkeypatch.setattr(supervisord_service.Supervisord, "start", lambda self: None)
    options = {"name": "x", "manager": "supervisord", "base": str(tmp_path), "unit": "; Managed by modelops.inference"}
    (tmp_path / "supervisor" / "conf.d").mkdir(parents=True)
    result = run_module("xinference_service", {**options, "supervisor": "supervisor==4.3.0", "uv": "uv==1", **given})
    assert not result.get("failed"), result
    assert made == [os.path.join(tmp_path, cache)]


@pytest.mark.parametrize(
    ("kind", "states", "fails"),
    [
        ("supervisord", ["running", "failed", "starting", "running"], False),
        ("supervisord", ["running", "failed", "starting", "failed"], True),
        ("supervisord", ["running", "failed", "failed", "failed", "failed", "failed"], True),
        ("systemd", ["running", "failed", "running"], True),
    ],
)
def test_one_exit_that_the_manager_restarts_from_is_waited_out(monkeypatch, kind, states, fails):
    """The port answers when all states were seen; a poll takes a second."""
    left, clock = list(states), [1.0]

    class Manager:
        name = "x"

        def state(self):
            return ServiceState(installed=True, active=left[0], enabled=True, pid=7)

        def log_tail(self):
            return "the reason"

        def commands(self):
            return {"log": "tail"}

    def connect(_address, timeout):
        if len(left) == 1:
            return open(os.devnull, "rb")
        raise ConnectionRefusedError

    def sleep(_seconds):
        clock[0] += 1
        left.pop(0)

    manager = Manager()
    manager.kind = kind
    monkeypatch.setattr(xinference_service.socket, "create_connection", connect)
    monkeypatch.setattr(xinference_service.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(xinference_service.time, "sleep", sleep)
    if not fails:
        return xinference_service._wait(manager, "127.0.0.1", 1, 100)
    left.append("running")
    with pytest.raises(ModelopsError, match=r"does not stay up \(failed\)"):
        xinference_service._wait(manager, "127.0.0.1", 1, 100)


def test_modes_and_owners_of_files_are_mended():
    files = [
        dict(path="/e", content="a", mode="0600", owner="xinference"),
        dict(path="/s", content="b", mode="0755", owner=None),
    ]
    texts = {"/e": "a", "/s": "b"}

    def lines(**there):
        there = {f"/{name}": dict(zip(("mode", "owner"), about)) for name, about in there.items()}
        return xinference_service.make_plan(
            "x", dict(WANTED, files=files), RUNNING, "[Unit]\n", texts, "new", None, there
        ).lines

    assert lines(e=("0600", "xinference"), s=("0755", "root")) == []
    assert lines(e=("0600", "root"), s=("0700", "root")) == [
        "~ write file /e (owner root -> xinference)",
        "~ write file /s (mode 0700 -> 0755)",
    ]


@pytest.mark.parametrize("state", ["started", "stopped", "disabled", "absent"])
@pytest.mark.each_core("xinference_service")
def test_a_service_of_somebody_else_is_left_alone(run_module, tmp_path, state):
    file = tmp_path / "supervisor" / "conf.d" / "x.conf"
    file.parent.mkdir(parents=True)
    file.write_text("[program:x]\n")
    given = {"name": "x", "manager": "supervisord", "base": str(tmp_path), "state": state}
    given.update(unit="[program:x]\n", supervisor="supervisor==4.3.0", uv="uv==0.13.9")
    result = run_module("xinference_service", given)
    assert result["failed"] and "x.conf is not a file of this collection" in result["msg"]
    options = {
        "path": str(tmp_path),
        "home": str(tmp_path),
        "models_dir": str(tmp_path),
        "service_manager": "supervisord",
    }
    seen = run_module("xinference_host_info", {**options, "service": "x"})
    assert seen["service"]["refusal"] in result["msg"] and seen["service"]["refusal"]


def test_a_disabled_service_is_stopped_and_does_not_come_back():
    assert plan(state=RUNNING) == []
    stopped = ServiceState(installed=True, active="stopped", enabled=True)
    gone = ServiceState(installed=True, active="stopped", enabled=False)
    for state, lines in ((RUNNING, ["~ stop x (running)", "~ disable x"]), (stopped, ["~ disable x"]), (gone, [])):
        assert xinference_service.make_plan("x", dict(WANTED, state="disabled"), state, "u", {}, "").lines == lines


# -- its port ------------------------------------------------------------------------------------------------------


class Started(service_manager.ServiceManager):
    """A service that runs, of which nothing listens."""

    stopped = False

    def state(self):
        return ServiceState(installed=True, active="starting", pid=0)

    def stop(self):
        self.stopped = True

    def log_tail(self, lines=20):
        return "its log"

    def commands(self):
        return {"log": "show it"}


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_was_taken_meanwhile_is_named_at_once_with_its_owner(monkeypatch, listener):
    monkeypatch.setattr(xinference_service, "_LETS_GO", 0)
    manager = Started("x")
    expected = (
        rf"x was stopped: port {listener} of 127.0.0.1 is in use by process {os.getpid()} \(.*xinference_port.*its log"
    )
    with pytest.raises(ModelopsError, match=f"(?s){expected}"):
        xinference_service._wait(manager, "127.0.0.1", listener, 300)
    assert manager.stopped, "it would be started again and again"


def test_the_port_of_a_process_that_is_about_to_end_is_waited_for(monkeypatch):
    answers = [{"ours": False, "pid": 1, "by": "old"}, {"ours": False, "pid": 0, "by": ""}]
    monkeypatch.setattr(xinference_service.probe, "port", lambda *_args: answers.pop(0))
    assert xinference_service._taken(Started("x"), "127.0.0.1", 9) == "" and not answers


@pytest.mark.each_core("xinference_service")
@pytest.mark.parametrize("option", ["port", "listens"])
def test_a_service_whose_port_is_taken_is_not_started(run_module, monkeypatch, tmp_path, listener, option):
    monkeypatch.setattr(xinference_service, "_LETS_GO", 0)
    given = {"name": "x", "manager": "supervisord", "base": str(tmp_path), "unit": "; Managed by modelops.inference"}
    given.update(supervisor="supervisor==4.3.0", uv="uv==0.13.9", **{option: listener})
    result = run_module("xinference_service", given)
    assert (
        result["failed"]
        and f"and nothing was changed: port {listener} of 127.0.0.1 is in use by process" in result["msg"]
    )
    assert not (tmp_path / "supervisor").exists()


def test_a_log_begins_at_the_start(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("of before\n")
    manager = supervisord_service.Supervisord("x", str(tmp_path))
    assert manager.log_tail() == "of before"
    manager.mark()
    assert manager.log_tail() == ""
    log.write_text("of before\nof now\n")
    assert manager.log_tail() == "of now"
    log.write_text("new\n")
    assert manager.log_tail() == "new", "after a rotation"


def test_systemds_journal_begins_at_the_start(monkeypatch):
    given = []
    monkeypatch.setattr(systemd_service, "run", lambda argv, *args, **kwargs: given.append(argv) or "")
    manager = systemd_service.Systemd("x", "system")
    manager.log_tail()
    manager.mark()
    manager.log_tail()
    assert "--since" not in given[0] and given[1][-2] == "--since" and given[1][-1].startswith("@1")


@pytest.mark.parametrize("child", [True, False])
def test_a_worker_takes_leave_by_sigint(child):
    """Since 4.1 it is a child of the main process, before it is that itself."""
    worker = "import signal, sys, time\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(0))\nprint(flush=True)\ntime.sleep(60)"
    host = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', sys.argv[1], 'worker_relaunch'])\ntime.sleep(60)"
    command = [sys.executable, "-c", host, worker] if child else [sys.executable, "-c", worker]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert supervisord_service.leave(process.pid, 10)
        assert (process.poll() is None) == child
        process.kill()


def test_nobody_is_told_to_leave_twice():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not supervisord_service.leave(process.pid)


def test_stopping_and_removing():
    assert plan(state=RUNNING, **{}) == []
    assert xinference_service.make_plan("x", dict(WANTED, state="stopped"), RUNNING, "u", {}, "").lines == [
        "~ stop x (running)"
    ]
    assert xinference_service.make_plan("x", dict(WANTED, state="stopped"), ServiceState(), "u", {}, "").lines == []
    removed = xinference_service.make_plan("x", dict(WANTED, state="absent"), RUNNING, "u", {"/e": "a"}, "")
    assert removed.lines == ["- remove service x", "- remove file /e"]
    assert not xinference_service.make_plan("x", dict(WANTED, state="absent"), ServiceState(), None, {"/e": None}, "")


def test_asked_for_restart():
    wanted = dict(WANTED, state="restarted")
    assert xinference_service.make_plan("x", wanted, RUNNING, "[Unit]\n", {}, "new").lines == [
        "~ restart x (asked for)"
    ]


SHOWN = """LoadState=loaded
ActiveState={active}
SubState=running
UnitFileState=enabled
MainPID=4711
NRestarts=2
"""


@pytest.mark.parametrize(
    "active, expected",
    [("active", "running"), ("activating", "starting"), ("failed", "failed"), ("inactive", "stopped")],
)
def test_systemd_state(monkeypatch, active, expected):
    monkeypatch.setattr(systemd_service, "run", lambda *args, **kwargs: SHOWN.format(active=active))
    state = systemd_service.Systemd("x", "system").state()
    assert state == ServiceState(installed=True, active=expected, enabled=True, pid=4711, restarts=2)


def test_a_unit_that_systemd_refuses_never_replaces_the_old_one(monkeypatch, tmp_path):
    def refuse(argv, what, **kwargs):
        raise systemd_service.CommandFailed(what, "Unknown key name")

    unit = tmp_path / "x.service"
    unit.write_text("old")
    monkeypatch.setattr(systemd_service, "run", refuse)
    monkeypatch.setattr(systemd_service.Systemd, "path", str(unit))
    with pytest.raises(ModelopsError, match="refuses the unit x.service; the old one stays: Unknown key name"):
        systemd_service.Systemd("x", "system").install("bad")
    assert unit.read_text() == "old"


def test_a_service_with_a_timer_is_started_enabled_and_removed_by_it(monkeypatch, tmp_path):
    commands = []

    def run(argv, what, **kwargs):
        commands.append(" ".join(argv).replace(str(tmp_path), ""))
        return SHOWN.format(active="active")

    monkeypatch.setattr(systemd_service, "run", run)
    monkeypatch.setattr(systemd_service.Systemd, "path", str(tmp_path / "x.service"))
    manager = systemd_service.Systemd("x", "system")
    manager.install("[Service]\n", "[Timer]\n")
    assert commands[0].startswith("systemd-analyze verify ") and commands[0].endswith("/x.timer")
    manager.enable()
    manager.restart()
    assert commands[2:] == ["systemctl enable x.timer", "systemctl restart x.timer"]
    manager.remove()
    assert "systemctl disable --now x.timer" in commands and "systemctl stop x.service" in commands
    assert list(tmp_path.iterdir()) == []


def test_user_scope_has_its_own_words():
    manager = systemd_service.Systemd("x", "user")
    assert manager.commands()["stop"] == "systemctl --user stop x"
    assert manager.path.endswith("/systemd/user/x.service")


def test_systemd_is_refused_where_it_is_not_in_charge(monkeypatch):
    monkeypatch.setattr(service, "detect", lambda: ("supervisord", "system"))
    with pytest.raises(ModelopsError, match="systemd does not manage this host"):
        service.manager("systemd", "x", "/d")
    assert service.manager("auto", "x", "/d").kind == "supervisord"


class FakeSupervisord(socketserver.ThreadingUnixStreamServer):
    """supervisord's interface on a Unix socket, answering getProcessInfo with what the test set."""

    info: dict = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        params, method = xmlrpc.client.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = xmlrpc.client.dumps((dict(self.server.info, name=params[0]),), methodresponse=True).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "local"

    def log_message(self, *args):
        pass


@pytest.fixture
def supervisord(tmp_path):
    manager = supervisord_service.Supervisord("x", str(tmp_path))
    server = FakeSupervisord(supervisord_service.socket_path(str(tmp_path)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield manager, server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "statename, status, expected",
    [
        ("RUNNING", 0, "running"),
        ("STARTING", 0, "starting"),
        ("BACKOFF", 1, "starting"),
        ("FATAL", 1, "failed"),
        ("EXITED", 1, "failed"),
        ("EXITED", 0, "stopped"),
        ("STOPPED", 0, "stopped"),
    ],
)
def test_supervisord_state(supervisord, statename, status, expected):
    manager, server = supervisord
    server.info = {"statename": statename, "exitstatus": status, "pid": 12}
    assert manager.state().active == expected
    assert manager.state().pid == 12


def test_no_supervisord_means_stopped(tmp_path):
    manager = supervisord_service.Supervisord("x", str(tmp_path))
    assert manager.state() == ServiceState()
    assert manager.up is False


def test_a_long_path_gets_a_short_socket(tmp_path):
    deep = str(tmp_path / ("d" * 100))
    assert len(supervisord_service.socket_path(deep)) < 100
    assert supervisord_service.socket_path("/opt/x") == "/opt/x/supervisor.sock"


def modes(directory):
    return {path.name: oct(path.stat().st_mode & 0o777) for path in (directory, *directory.iterdir())}


def test_what_servers_print_under_supervisord_is_not_for_everybody(tmp_path, monkeypatch):
    """The log of a server has the variables of its models."""
    directory = tmp_path / "supervisor"
    made = supervisord_service.Supervisord("x", str(directory))
    (directory / "conf.d").mkdir(parents=True)
    directory.chmod(0o755)
    # As an earlier release of this collection left them.
    for name in ("x.log", "x.log.1", "supervisord.log"):
        (directory / name).touch(0o644)
    monkeypatch.setattr(supervisord_service.Supervisord, "up", True)
    monkeypatch.setattr(made, "_supervisorctl", lambda *words: "")
    made.restart()
    found = modes(directory)
    assert (found["supervisor"], found["conf.d"], found["supervisord.conf"]) == ("0o750", "0o750", "0o600")
    assert {found["x.log"], found["x.log.1"], found["supervisord.log"]} == {"0o640"}
    # The mode of what it opens later, at each of its rotations.
    assert "\numask=027\n" in (directory / "supervisord.conf").read_text()
