# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin: clocks compared, all problems in one message."""

from __future__ import annotations

import time
import types

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.modelops.inference.plugins.action import xinference_network_info as action


@pytest.fixture
def play(run_module, monkeypatch):
    """``play(options)`` -> result; the module runs in this process, with its clock moved by ``ahead`` seconds."""
    monkeypatch.setattr(action.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def run(ahead=0.0, **args):
        plugin = action.ActionModule.__new__(action.ActionModule)
        plugin._task = types.SimpleNamespace(args=args)

        def execute(module_name, module_args, task_vars):
            result = dict(run_module(module_name.rsplit(".", 1)[1], module_args))
            return dict(result, now=result["now"] + ahead) if "now" in result else result

        plugin._execute_module = execute
        return plugin.run(task_vars={"inventory_hostname": "w1"})

    return run


@pytest.mark.parametrize(
    ("before", "after", "now", "seconds", "expected"),
    [
        (100.0, 104.0, 102.0, 0.0, (0.0, 2.0)),
        (100.0, 104.0, 112.0, 0.0, (10.0, 2.0)),
        # A module that waited three seconds tells both ends of them.
        (100.0, 104.0, 103.5, 3.0, (0.0, 0.5)),
        (100.0, 104.0, 93.5, 3.0, (-10.0, 0.5)),
        # Clocks that went on differently do not make an uncertainty below zero.
        (100.0, 101.0, 101.1, 1.1, (0.05, 0.0)),
    ],
)
def test_the_skew_lies_between_what_both_ends_allow(before, after, now, seconds, expected):
    assert action.skew(before, after, now, seconds) == pytest.approx(expected)


@pytest.mark.each_core("xinference_network_info")
def test_a_clock_that_is_right(play):
    result = play(address="127.0.0.1")
    assert not result["failed"] and result["problems"] == []
    assert abs(result["skew"]) <= result["skew_uncertainty"] + 0.01 and result["skew_uncertainty"] < 5


@pytest.mark.parametrize(("ahead", "word"), [(60, "60.0 s ahead of"), (-60, "60.0 s behind")])
def test_a_clock_that_is_wrong_fails(play, monkeypatch, ahead, word):
    moment = time.time()
    monkeypatch.setattr(action.time, "time", lambda: moment)
    result = play(ahead=ahead, address="127.0.0.1")
    assert result["failed"] and result["msg"].startswith("w1: its clock is ") and "NTP" in result["msg"]
    assert word in result["msg"] and result["skew"] == pytest.approx(ahead, abs=1)


def test_max_skew_is_taken_from_the_options(play):
    assert not play(ahead=60, address="127.0.0.1", max_skew="90")["failed"]
    with pytest.raises(AnsibleActionFail, match="max_skew"):
        play(max_skew="much")


def test_all_problems_are_one_message(play):
    peers = [{"name": "sup", "address": "fd00::1", "ports": [9999]}]
    result = play(ahead=60, address="192.0.2.9", peers=peers)
    assert result["failed"] and result["msg"].splitlines() == result["problems"] and len(result["problems"]) == 3
    assert all(line.startswith("w1: ") for line in result["problems"])
    asked = play(address="192.0.2.9", fail=False)
    assert not asked["failed"] and len(asked["problems"]) == 1 and "msg" not in asked


def test_wrong_options_are_the_module_s_message(play):
    result = play(networks=["lan"])
    assert result["failed"] and "lan is not a network" in result["msg"] and "skew" not in result
