# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Failures of real Difys of releases without a recording, each with its own answers."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from dify_examples import EMBEDDING, KEY, LOCKED_XINFERENCE, RUN, model
from servers.dify import UNRECORDED, DifyServer, Fault
from servers.dify.server import EMAIL, PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils._dify.api import session
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.state_files import WorkspaceFile

REGISTER = r"/models(/credentials)?$"
LIST = r"/xinference/models$"


@pytest.fixture(params=list(UNRECORDED))
def real(request):
    with DifyServer(request.param) as server:
        yield server
        assert server.state.accounts[EMAIL].failures == 0


@pytest.fixture
def outage(monkeypatch):
    """``outage(server, pauses)``: the plugin daemon is down, and back after so many pauses. Time passes only in pauses."""
    pauses: list[float] = []

    def begin(server, count):
        server.state.daemon_up = False

        def sleep(seconds):
            pauses.append(seconds)
            server.state.daemon_up = len(pauses) == count

        monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: sum(pauses), sleep=sleep))
        return pauses

    return begin


def switched_by_others(server, space, path):
    """Another run or a person switches the account once a path was read."""
    answer = server.app.answer

    def switched(request):
        reply = answer(request)
        if request.verb == "GET" and request.path.endswith(path):
            server.state.accounts[EMAIL].current = space.id
        return reply

    server.app.answer = switched


# --- the plugin daemon ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dify_models", {"models": [model()], "allow_loopback": True}),
        ("dify_plugin", {}),
        ("dify_info", {}),
        ("dify_default_models", {"defaults": {"llm": "chat"}}),
    ],
)
def test_a_daemon_that_restarts_is_waited_for(real, of_dify, dify_models, outage, name, options):
    assert not dify_models(real, [model(name="chat")]).failed
    pauses = outage(real, 4)
    result = of_dify(name, real, {**options, "daemon_timeout": 60})
    assert not result.failed, result["msg"]
    assert pauses == [1, 2, 4, 8]
    assert len(real.sent("POST", "/login")) == 1


@pytest.mark.parametrize("check", [False, True])
def test_a_daemon_that_stays_down_is_named(real, dify_models, outage, check):
    pauses = outage(real, 0)
    result = dify_models(real, [model(), EMBEDDING], daemon_timeout=20, check=check)
    assert result.failed and pauses == [1, 2, 4, 8]
    for words in ("plugin daemon", "daemon_timeout is 20 s", "container (plugin_daemon) runs"):
        assert words in result["msg"]
    assert result["msg"].count("plugin_daemon") <= 2  # once for all models


def test_a_daemon_that_goes_down_before_a_registration(real, dify_models, outage):
    answer = real.app.answer
    begun = []

    def down(request):
        if request.verb == "POST" and "/models" in request.path and not begun:
            begun.append(outage(real, 3))
        return answer(request)

    real.app.answer = down
    result = dify_models(real, [model()], daemon_timeout=60)
    assert not result.failed, result["msg"]
    assert begun == [[1, 2, 4]] and real.workspace.models["my-llm", "llm"].listed


def test_a_500_of_something_else_is_not_waited_for(real, dify_models, outage):
    pauses = outage(real, 0)
    real.state.daemon_up = True
    real.faults = [Fault("status", "GET", LIST, times=9)]
    result = dify_models(real, [model()], daemon_timeout=60)
    assert result.failed and "Internal Server Error (500 unknown)" in result["msg"]
    assert pauses == [] and "does not answer" not in result["msg"]


# --- what another run, a person or Xinference does -----------------------------------------------------------------


def test_nothing_is_pruned_while_the_new_name_is_missing(real, dify_models):
    dify_models(real, [model(name="old")])
    for number in (1, 2):
        real.faults = [Fault("status", "POST", REGISTER, times=9 if number == 1 else 0)]
        result = dify_models(real, [model(name="new")], prune=True)
        assert result.failed == (number == 1)
        names = {item.name for item in real.workspace.listed()}
        if number == 1 or real.profile.secret_url:  # there nobody can tell whose it is
            assert "old" in names
            assert "Not pruned" in str(result["warnings"])
        else:
            assert names == {"new"}


def test_the_slower_of_two_runs_goes_on(real, dify_models):
    real.faults = [Fault("overtaken", "POST", REGISTER)]
    result = dify_models(real, [model(), EMBEDDING])
    assert not result.failed, result["msg"]
    assert len(real.workspace.models["my-llm", "llm"].credentials) == int(real.profile.named)
    assert not dify_models(real, [model(), EMBEDDING]).changed


def test_a_wrong_key_of_an_embedding_model_is_the_first_suspect(real, dify_models):
    locked = {**EMBEDDING, "server_url": LOCKED_XINFERENCE, "api_key": KEY}
    assert not dify_models(real, [locked]).failed
    result = dify_models(real, [{**locked, "api_key": "sk-of-nobody-at-all"}])
    assert result.failed and "refuses the api_key" in result["msg"]
    for words in ("/v1", "sk-of-nobody", KEY, PASSWORD):
        assert words not in result["msg"]


# --- workspaces ----------------------------------------------------------------------------------------------------


def test_sigterm_switches_the_account_back(real, dify_models):
    real.state.add_workspace("Research", admin="owner")
    home = real.state.accounts[EMAIL].current
    answer = real.app.answer

    def killed(request):
        if request.verb == "POST" and "/model-providers/" in request.path:
            os.kill(os.getpid(), signal.SIGTERM)
        return answer(request)

    real.app.answer = killed
    result = dify_models(real, [model(), EMBEDDING], workspace="Research")
    assert result.failed and "stopped by SIGTERM. The account is back in the workspace" in result["msg"]
    assert real.state.accounts[EMAIL].current == home and not real.workspace.models


def test_two_runs_with_one_account_do_not_write_to_each_others_workspace(real, dify_models):
    research = real.state.add_workspace("Research", admin="owner")
    third = real.state.add_workspace("Third", admin="owner")
    switched_by_others(real, third, "/models")
    result = dify_models(real, [model(), EMBEDDING], workspace="Research")
    assert result.failed and "switched the account to the workspace 'Third'" in result["msg"]
    assert not third.models and not research.models
    assert {row["state"] for row in result["models"]} == {"unknown"}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "dify-workspaces.txt"


def test_the_next_run_puts_the_account_back_after_a_kill(real, dify_models, file):
    """Where the account belongs is known by a file that outlives the play, unlike the one of the login."""
    research = real.state.add_workspace("Research", admin="owner")
    account = real.state.accounts[EMAIL]
    home = account.current
    answer = real.app.answer

    def killed(request):
        if request.verb == "GET" and request.path.endswith("/models"):
            run.kill()
            run.wait()
        return answer(request)

    real.app.answer = killed
    about = {
        "url": real.url,
        "email": EMAIL,
        "password": PASSWORD,
        "workspace": "Research",
        "workspace_file": str(file),
    }
    args = json.dumps({"ANSIBLE_MODULE_ARGS": {**about, "models": [model()], "allow_loopback": True}})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.Popen([sys.executable, "-c", RUN, args], env=environment)
    assert run.wait(timeout=120) == -signal.SIGKILL and account.current == research.id
    assert PASSWORD not in file.read_text() and not any(token in file.read_text() for token in real.state.tokens)

    real.app.answer = answer
    check = dify_models(real, [model()], workspace_file=str(file), check=True)
    assert check.failed and "left the account in the workspace 'Research'" in check["msg"]
    result = dify_models(real, [model()], workspace_file=str(file))
    assert not result.failed and result["workspace"]["id"] == home == account.current
    assert not research.models


def test_a_workspace_that_is_named_once_is_remembered_by_its_id(real, dify_models, file):
    research = real.state.add_workspace("Research", admin="owner")
    third = real.state.add_workspace("Third", admin="owner")
    account = real.state.accounts[EMAIL]
    options = {"workspace_file": str(file)}
    assert dify_models(real, [model()], default_workspace="Research", check=True, **options)["not_compared"]
    assert not file.exists()
    assert dify_models(real, [model()], default_workspace="Research", **options)["workspace"]["id"] == research.id
    research.name = "Science"
    third.name = "Research"
    account.current = third.id  # by a click
    for named in ("Research", None):
        result = dify_models(real, [model()], default_workspace=named, **options)
        assert not result.failed and not result.changed, result["msg"]
        assert result["workspace"] == {"id": research.id, "name": "Science"}
        assert account.current == third.id and not third.models
    assert dify_models(real, [model()], workspace="Research", **options)["workspace"]["id"] == third.id
    assert dify_models(real, [model()], default_workspace=third.id, **options)["workspace"]["id"] == third.id
    assert dify_models(real, [model()], **options)["workspace"]["id"] == third.id
    account.current = real.workspace.id
    del account.roles[third.id]
    gone = dify_models(real, [model()], **options)
    assert gone.failed and f"{file} remembers this ID for '{third.id}'; give another default_workspace" in gone["msg"]


def test_nothing_is_kept_where_there_is_nothing_to_remember(real, dify_models, file):
    assert not dify_models(real, [model()], workspace_file=str(file)).failed
    assert not file.exists()


@pytest.mark.parametrize(("begun", "left"), [("now", ""), ("1", "id of Research"), ("", "")])
def test_a_run_is_known_by_its_number_and_its_start(file, begun, left):
    """In a container another program of a later run has the number of the one that was killed."""
    with WorkspaceFile(str(file), "key") as kept:
        kept.leave({"id": "id of home", "name": "home"}, "id of Research")
    text = json.loads(file.read_text())
    entry = text["key workspace"]
    with open(f"/proc/{os.getppid()}/stat", encoding="utf-8") as stat:
        now = stat.read().rpartition(")")[2].split()[19]
    entry.update(pid=os.getppid(), begun=now if begun == "now" else begun)
    file.write_text(json.dumps(text))
    with WorkspaceFile(str(file), "key").reading() as kept:
        assert kept.left()[1] == left


def test_who_only_reads_the_workspace_file_takes_the_lock_of_a_reader(file, monkeypatch):
    """On NFS a file that is open for reading takes no other."""
    file.write_text("{}")
    taken = []
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: taken.append(how & ~fcntl.LOCK_NB))
    kept = WorkspaceFile(str(file), "key")
    with kept.reading():
        pass
    with kept:
        pass
    assert taken == [fcntl.LOCK_SH, fcntl.LOCK_EX]


@pytest.mark.parametrize("what", ["link", "directory", "pipe", "open to everybody", "no directory"])
def test_a_workspace_file_that_is_not_used(tmp_path, dify_models, what):
    path = tmp_path / "file"
    if what == "link":
        (tmp_path / "other").write_text("{}")
        path.symlink_to(tmp_path / "other")
    elif what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "open to everybody":
        path.write_text("{}")
        path.chmod(0o666)
    else:
        path = path / "file"
    with DifyServer("1.12.1") as server:
        server.state.add_workspace("Research", admin="owner")
        result = dify_models(server, [model()], workspace="Research", workspace_file=str(path))
        assert result.failed and f"workspace_file: {path} " in result["msg"]
        assert server.sent("POST", "/switch") == []


# --- defaults ------------------------------------------------------------------------------------------------------


def test_check_mode_says_that_it_does_not_know_the_default(real, of_dify, dify_models):
    dify_models(real, [model(name="chat")])
    options = {"defaults": {"llm": "coming"}, "pending": [{"type": "llm", "name": "coming"}]}
    result = of_dify("dify_default_models", real, options, check=True)
    assert not result.failed, result["msg"]
    assert result["plan"] == [
        "~ set default llm (name unknown -> coming, provider unknown -> langgenius/xinference/xinference)"
    ]
    assert "unknown" in str(result["diff"]["before"])
