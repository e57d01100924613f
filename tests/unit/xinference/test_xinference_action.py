# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin: slices, lines on the screen, one coherent result."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail
from servers.xinference import PASSWORD

from ansible_collections.modelops.inference.plugins.action import xinference_models as action
from ansible_collections.modelops.inference.plugins.plugin_utils import _progress, _slices


class Task:
    def __init__(self, args, **changed):
        self.args = args
        self.async_val = 0
        self.no_log = False
        self.__dict__.update(changed)

    def get_name(self):
        return "Launch the models"


@pytest.fixture
def screen(monkeypatch):
    lines = []
    monkeypatch.setattr(_progress.display, "display", lambda line, *_args, **_kwargs: lines.append(line))
    return lines


@pytest.fixture
def play(run_module, monkeypatch):
    """``play({...}, ...)`` -> result of the plugin, with the module run in this process; ``play.executions`` counts."""
    monkeypatch.setattr(_slices, "LAUNCH_SLICE", 1)

    def run(args, task_vars=None, check=False, **task):
        plugin = action.ActionModule.__new__(action.ActionModule)
        plugin._task = Task(args, **task)
        monkeypatch.setattr(action.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

        def execute(module_name, module_args, task_vars):
            run.executions.append(dict(module_args))
            return dict(run_module(module_name.rsplit(".", 1)[1], module_args, check=check))

        plugin._execute_module = execute
        run.executions = []
        return plugin.run(task_vars=task_vars or {})

    return run


@pytest.fixture
def args(newest, llm):
    return {"endpoint": newest.url, "password": PASSWORD, "models": [llm()]}


def test_lines_are_shown_while_a_model_loads(play, screen, newest, args):
    newest.behave("tiny", seconds=2.5)
    result = play(args)
    assert not result["failed"] and result["changed"] and not result["pending"]
    assert screen[0].split() == ["MODEL", "REPLICA", "WORKER", "CARD", "GiB", "OF", "GiB", "BY"]
    assert screen[1].split()[:4] == ["tiny", "0", "127.0.0.1:51954", "cpu"]
    assert screen[2:] == ["  tiny  loading on 127.0.0.1", screen[-1]]
    assert screen[-1].startswith("  tiny  ready after ")
    assert result["progress"] == [line.strip() for line in screen]
    assert result["plan"] == ["+ register definition tiny", "+ launch tiny"]
    assert len(play.executions) > 2 and args.keys() == {"endpoint", "password", "models"}


@pytest.mark.each_core("xinference_models")
def test_a_run_that_changes_nothing_is_one_execution_and_shows_nothing(play, screen, args):
    play(args)
    screen.clear()
    result = play(args)
    assert not result["changed"] and len(play.executions) == 1 and screen == []


@pytest.mark.each_core("xinference_models")
def test_check_mode_is_one_execution(play, screen, newest, args):
    result = play(args, check=True)
    assert result["changed"] and len(play.executions) == 1 and newest.changes() == []
    assert [line.split()[0] for line in screen] == ["MODEL", "tiny"]  # where it would go


def test_a_failure_at_the_end_is_changed_too(play, screen, newest, args):
    newest.behave("tiny", seconds=1.5, error="CUDA out of memory")
    result = play(args)
    assert result["failed"] and result["changed"] and "CUDA out of memory" in result["msg"]
    assert screen[-1] == "  tiny  failed: CUDA out of memory"


def test_an_execution_that_breaks_off_does_not_hide_what_was_changed(play, screen, newest, args, monkeypatch):
    newest.behave("tiny", hangs=True)
    broken = []

    def show(self, lines, task_vars):
        broken.append(lines)
        self._execute = lambda args, task_vars: {"failed": True, "msg": "connection lost"}

    monkeypatch.setattr(action.ActionModule, "_show", show)
    result = play(args)
    assert result["failed"] and result["changed"] and result["msg"] == "connection lost"


def test_a_users_wait_is_one_execution(play, screen, newest, args):
    newest.behave("tiny", hangs=True)
    result = play({**args, "wait": 0})
    assert result["pending"] and len(play.executions) == 1


def test_no_log_shows_nothing(play, screen, args):
    play(args, no_log=True)
    assert screen == []


def test_with_several_hosts_a_line_names_its_host(play, screen, args):
    play(args, {"ansible_play_hosts": ["a", "b"], "inventory_hostname": "a"})
    assert screen[0].startswith("  a: MODEL ") and screen[2] == "  a: tiny  loading on 127.0.0.1"


def test_async_is_refused(play, args):
    with pytest.raises(AnsibleActionFail, match="does not support async"):
        play(args, async_val=60)


def test_a_list_can_be_checked_on_the_controller_alone(play, llm, embedding):
    models = [
        llm(path="/on/the/host.gguf", tags=["chat"], dify={"name": "Chat"}),
        embedding(path=None, source={"package": "minilm==1"}),
    ]
    result = play({"models": models, "validate_only": True})
    assert not result["changed"] and play.executions == []
    assert [(m["uid"], m["type"], m["declared"]) for m in result["models"]] == [
        ("tiny", "LLM", "present"),
        ("minilm", "embedding", "present"),
    ]
    assert [m["dify"] for m in result["models"]] == [{"name": "Chat"}, {}]
    assert (result["models"][0]["tags"], result["models"][0]["abilities"]) == (["chat"], ["chat"])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"source": {"pakcage": "x"}}, "^model 'tiny'.source: no option 'pakcage'; nearest: package$"),
        ({"dify": {"nmae": "x"}}, "^model 'tiny'.dify: no option 'nmae'; nearest: name$"),
        ({"dify": {"type": "chat"}}, "value of type must be one of: llm, text-embedding"),
        ({"dify": {"max_retries": "few"}}, "max_retries"),
        ({"engin": "vLLM"}, "^model 'tiny': no option 'engin'; nearest: engine$"),
        ({"quantisation": "q4"}, "^model 'tiny': no option 'quantisation'; nearest: quantization$"),
        ({"source": {"url": "https://x.example.com/a.gguf"}}, "^model 'tiny': weights: https://x.* needs a checksum"),
        ({"quantisation": "q4", "type": "llm"}, "(?s)'quantisation'; nearest: quantization\nvalue of type must be one"),
        ({"engine": None}, "tiny: an LLM needs engine"),
        ({"uid": "a/b"}, "/ \\? # "),
    ],
)
def test_what_is_wrong_with_a_list_is_told_on_the_controller(play, llm, changed, why):
    with pytest.raises(AnsibleActionFail, match=why):
        play({"models": [llm(**changed)], "validate_only": True})
