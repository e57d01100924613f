# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress of a task: one moving line in a terminal, a line for each change of state elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._pace import pace
from ansible_collections.modelops.inference.plugins.plugin_utils import _progress, _terminal

TASK = SimpleNamespace(no_log=False, get_name=lambda: "modelops.inference.xinference : Install the release")
MANY = {"inventory_hostname": "one", "ansible_play_hosts": ["one", "two"]}


@pytest.mark.parametrize(
    ("came", "seconds", "left", "text"),
    [
        (85_100_000, 1, 851_000_000, ", 85.1 MB/s, 10 s left"),
        (100_000_000, 10, 1_800_000_000, ", 10.0 MB/s, 3 min left"),
        (10_000_000, 10, 7_800_000_000, ", 1.0 MB/s, 2 h 10 min left"),
        (10_000_000, 10, 1, ", 1.0 MB/s, 1 s left"),
        (0, 10, 5, ""),
        (5, 0.5, 5, ""),
        (5, 10, 0, ""),
    ],
)
def test_the_pace_is_that_of_bytes_that_came(came, seconds, left, text):
    assert pace(came, seconds, left) == text


@pytest.fixture
def shown(monkeypatch):
    """Calls of Display.display, as (text, what they say besides)."""
    calls = []
    monkeypatch.setattr(_progress.display, "display", lambda text, **how: calls.append((text, how)))
    monkeypatch.setattr(_terminal, "TERMINAL", False)
    monkeypatch.delenv("MODELOPS_QUIET", raising=False)
    return calls


LINES = ["a  downloading 1 % (0.1 of 9.0 GB)", "b  starting", "a  downloading 9 % (0.8 of 9.0 GB)", "a  loading on h"]


def test_a_log_has_a_line_for_each_change_of_state(shown, monkeypatch):
    with _progress.progress(TASK, MANY) as line:
        for each in LINES:
            line.show([each])
        line.show(["MODEL  REPLICA", "a  failed: no memory"])
        monkeypatch.setattr(_progress, "_AGAIN", 0)
        line.show(["b  starting"])
    assert [text for text, how in shown] == [
        f"  one: {each}" for each in [*LINES[:2], LINES[3], "MODEL  REPLICA", "a  failed: no memory", "b  starting"]
    ]
    assert [bool(how) for text, how in shown] == [False] * 4 + [True, False]


def test_a_terminal_has_one_line_that_moves_and_is_gone_at_the_end(shown, monkeypatch):
    monkeypatch.setattr(_terminal, "TERMINAL", True)
    with (
        _progress.progress(TASK, {**MANY, "ansible_play_hosts": ["one"]}) as line,
        _progress.progress(TASK, {}) as same,
    ):
        assert line is same
        line.show(LINES[:2])
        line.show([LINES[3], "b  ready after 3 s"])
    assert not line._thread.is_alive()
    on_screen = [text for text, how in shown if not how.get("log_only")]
    assert on_screen == [
        "\r  a  downloading 1 % (0.1 of 9.0 GB), b  starting  0 s\x1b[K\r",
        "\r\x1b[K",
        "  b  ready after 3 s",
        "\r  a  loading on h  0 s\x1b[K\r",
        "\r\x1b[K",
    ]
    # The moving line is in no log file; that has a line for each change of state.
    assert all(how == {"screen_only": True, "newline": False} for text, how in shown if text.startswith("\r"))
    assert [text for text, how in shown if how.get("log_only")] == [f"  {LINES[i]}" for i in (0, 1, 3)]


@pytest.mark.parametrize(
    ("terminal", "known", "text"),
    [
        (True, {}, "\r  Install the release  0 s\x1b[K\r"),
        (False, {}, "  Install the release: still running after 0 s"),
        (True, MANY, "  one: Install the release: still running after 0 s"),
    ],
)
def test_a_task_that_takes_long_is_named(shown, monkeypatch, terminal, known, text):
    monkeypatch.setattr(_terminal, "TERMINAL", terminal)
    for name in ("_TICK", "_SOON", "_LONG"):
        monkeypatch.setattr(_progress, name, 0.01)
    with _progress.progress(TASK, known):
        time.sleep(0.3)
    assert shown[0][0] == text
    assert terminal and not known or len(shown) == 1


@pytest.mark.parametrize(
    ("task", "quiet"), [(TASK, "1"), (SimpleNamespace(no_log=True, get_name=lambda: "Read a secret"), "")]
)
def test_nothing_is_shown_of_a_secret_task_or_by_q(shown, monkeypatch, task, quiet):
    monkeypatch.setenv("MODELOPS_QUIET", quiet)
    monkeypatch.setattr(_progress, "_TICK", 0.01)
    monkeypatch.setattr(_progress, "_LONG", 0.01)
    with _progress.progress(task, MANY) as line:
        line.show(LINES)
        time.sleep(0.1)
    assert shown == []


@pytest.mark.parametrize(
    ("callback", "moves", "is_quiet"),
    [
        ("default", True, False),
        ("modelops.inference.compact", True, False),
        # That of ansible-runner, which AWX and ansible-navigator use: in a pseudo-terminal, with an event for each write.
        ("awx_display", False, False),
        ("ansible.posix.json", False, True),
        ("ansible.posix.jsonl", False, True),
    ],
)
def test_a_line_moves_only_where_the_callback_writes_lines_for_a_person(shown, monkeypatch, callback, moves, is_quiet):
    monkeypatch.setattr(_terminal, "TERMINAL", True)
    monkeypatch.setattr(_terminal, "setting", lambda _name: callback)
    assert _progress.moves({}) == moves
    assert _progress.Progress("name", "").moves == moves
    assert _terminal.quiet() == is_quiet
    _terminal.say("text ")
    assert shown == [("text", {"stderr": True} if is_quiet else {})]


CONFIG = Path(__file__).parents[1] / "roles/playbooks/ansible.cfg"
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Fetch weights
      modelops.inference.xinference_weights:
        path: {path}/models
        sources: [{{file: {path}/slow}}]
"""


def in_terminal(words, env, folder):
    """The output of a program to a terminal of 100 columns."""
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "ANSIBLE_NOCOLOR": "1", **env}
    with subprocess.Popen(words, env=env, cwd=folder, stdin=follower, stdout=follower, stderr=follower) as program:
        os.close(follower)
        text = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            text += part
    os.close(leader)
    return program.returncode, text.decode().replace("\r\n", "\n")


def test_the_line_moves_in_a_real_terminal_and_is_not_mixed_with_the_result(tmp_path):
    """Through Ansible's queue between the worker, which has no terminal, and the process that writes."""
    (tmp_path / "slow").mkdir()
    for number in range(4):
        (tmp_path / "slow" / f"{number}.bin").write_bytes(b"0" * 9_000_000)
    (tmp_path / "site.yml").write_text(PLAYBOOK.format(path=tmp_path))
    words = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", "site.yml"]
    words += ["-e", f"ansible_python_interpreter={sys.executable}"]
    code, text = in_terminal(words, {"ANSIBLE_CONFIG": str(CONFIG)}, tmp_path)
    assert code == 0, text
    moved = [part for part in text.split("\r") if "copying" in part]
    assert moved and all(part.endswith("\x1b[K") for part in moved), text
    # On a line of its own, after the moving line is cleared.
    assert "\r\x1b[K  slow-" in text and "  fetched, 36.0 MB\nchanged: [localhost]" in text, text
