# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what a run cost, a JSON line each, to $MEASURE_FILE: module executions, API requests, seconds of each task."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: measure
type: aggregate
short_description: Measures a run
description: Writes module executions, API requests and seconds of each task to $MEASURE_FILE.
"""


def write(**line):
    with open(os.environ["MEASURE_FILE"], "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def counted(execute):
    """Workers are forks of the process that loads this plugin, so every module execution of every worker is seen."""

    def _execute_module(self, module_name=None, *args, **kwargs):
        start = time.monotonic()
        try:
            return execute(self, module_name, *args, **kwargs)
        finally:
            write(kind="module", name=module_name or self._task.action, seconds=time.monotonic() - start)

    return _execute_module


ActionBase._execute_module = counted(ActionBase._execute_module)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "measure"

    def v2_playbook_on_start(self, playbook):
        self._task = None

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._close()
        role = task._role.get_name() if task._role else "play"
        self._task = (role, task.get_name(), time.monotonic())

    def v2_runner_on_ok(self, result):
        requests = result._result.get("requests")
        if isinstance(requests, dict):
            write(kind="requests", name=result._task.action, counts=requests)

    def v2_playbook_on_stats(self, stats):
        self._close()

    def _close(self):
        if self._task:
            role, name, start = self._task
            write(kind="task", role=role, name=name, seconds=time.monotonic() - start)
        self._task = None
