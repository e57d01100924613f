# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a line to $RESULTS_FILE for each result of a task, skipped ones included: the host, what became of it, and the task."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: count_results
type: aggregate
short_description: Notes the results of tasks
description: Writes a line to $RESULTS_FILE for each.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "count_results"
    CALLBACK_NEEDS_ENABLED = True

    def _note(self, host, status, task):
        with open(os.environ["RESULTS_FILE"], "a", encoding="utf-8") as file:
            file.write(json.dumps([host.get_name(), status, task.get_name()]) + "\n")

    def _result(self, status, result):
        # The names of ansible-core since 2.19 and of before.
        host, task = (getattr(result, name, None) or getattr(result, f"_{name}") for name in ("host", "task"))
        self._note(host, status, task)

    def v2_runner_on_ok(self, result):
        changed = getattr(result, "result", None) or getattr(result, "_result", {})
        self._result("changed" if changed.get("changed") else "ok", result)

    def v2_runner_on_skipped(self, result):
        self._result("skipped", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._result("unreachable", result)
