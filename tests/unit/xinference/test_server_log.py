# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reasons of failed launches in the server's log, in the forms that 4.1.0 (and 2.12.0) and 1.17.1 write."""

from __future__ import annotations

import calendar
import time

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import server_log

NEW = "2026-11-22T10:49:35.{ms}Z {level} {logger} pid:24327 role:local address:127.0.0.1:60678 node:vm {text}"
OLD = "2026-11-22 10:49:35,{ms} {logger} 24327 {level:8} {text}"
BEGUN = (2026, 11, 22, 10, 49, 34, 0, 0, -1)
DOWN = "Failed to download model 'gemma-3-1b-it' (size: 1, format: pytorch) after multiple retries"
LOOK = "Model not found in the model list, uid: g"


@pytest.fixture(params=[NEW, OLD])
def begun(request):
    """The newer form has UTC."""
    return calendar.timegm(BEGUN) if request.param == NEW else time.mktime(BEGUN)


@pytest.fixture
def text(request, begun):
    form = request.node.callspec.params["begun"]

    def line(text, logger="xinference.core.supervisor", level="ERROR"):
        return form.format(ms=865, level=level, logger=logger, text=text)

    return "\n".join(
        [
            "    raise MaxRetryError(",
            line("[request 1f] Enter launch_builtin_model, kwargs: model_uid=g-rep0", "xinference.core.worker", "INFO"),
            line(
                f"[request 1f] Leave launch_builtin_model, error: {DOWN}, elapsed time: 66 s", "xinference.core.worker"
            ),
            "Traceback (most recent call last):",
            '  File "/srv/utils.py", line 1, in f',
            "socket.gaierror: [Errno -2] Name or service not known",
            "During handling of the above exception, another exception occurred:",
            f"RuntimeError: {DOWN}",
            line(f"Failed to launch replica g-rep0: {DOWN}"),
            line("Failed to launch replica g2-rep0: no card"),
            line("[request 2] Leave launch_builtin_model, error: of another one, elapsed time: 0 s"),
            *[line(f"[request 3] Leave describe_model, error: {LOOK}"), "Traceback", "  frame", f"ValueError: {LOOK}"]
            * 20,
            line(f"[address=127.0.0.1:60678, pid=24327] {LOOK}", "xinference.api.restful_api"),
        ]
    )


def test_the_cause_stands_first_and_nothing_twice(text, begun):
    assert server_log.of_launches(text, {"g"}, begun) == [
        "  socket.gaierror: [Errno -2] Name or service not known",
        f"  RuntimeError: {DOWN}",
    ]


def test_what_was_before_this_attempt_is_not_its_reason(text, begun):
    assert server_log.of_launches(text, {"g"}, begun + 60) == []


@pytest.mark.parametrize("moment", ["2026-13-45T99:99:99.1Z", "0000-01-01T00:00:00.1"])
def test_what_is_no_time_is_of_no_attempt(moment):
    line = f"{moment} ERROR m pid:1 role:local address:127.0.0.1:1 node:vm launch of q failed"
    assert server_log.of_launches(line, {"q"}, 0) == []


def test_the_end_of_a_log_without_looks(text):
    assert server_log.without_looks(text).splitlines()[-1].endswith("of another one, elapsed time: 0 s")
    assert server_log.without_looks("starting\nOOM\n") == "starting\nOOM"
