# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's default output without tasks that changed nothing: a clone's ansible.cfg names it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: compact
type: stdout
short_description: Ansible's default output without tasks that changed nothing
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Shows what changed, what failed, warnings, and the text of C(debug). It leaves out tasks that changed nothing, includes, and plays
    without hosts. With C(--diff) it shows new things by name, and what exists and changes in full.
  - The environment variable E(MODELOPS_QUIET) leaves only failures, warnings, differences and the recap. C(bin/site -q) sets it.
  - With C(-v) all of it is shown, as the callback C(ansible.builtin.default) does.
  - The C(ansible.cfg) of a clone of this collection names it, and so C(bin/site) and C(ansible-playbook) in the clone use it.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  display_skipped_hosts:
    description: Whether to show skipped tasks, and the heading of each task before its results.
    type: bool
    default: false
    env:
      - name: ANSIBLE_DISPLAY_SKIPPED_HOSTS
    ini:
      - key: display_skipped_hosts
        section: defaults
requirements:
  - Set as stdout callback in the configuration.
"""

import re
import typing as t

from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.color import stringc

from ansible_collections.modelops.inference.plugins.plugin_utils._short_diff import shortened
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import quiet, setting

# A message that YAML quotes, with the lines that continue it.
_QUOTED = re.compile(r"^( *)msg: ['\"].*\n(?:\1 +.*\n)*", re.MULTILINE)
_COLORS = {"+": "COLOR_DIFF_ADD", "-": "COLOR_DIFF_REMOVE", "~": "COLOR_CHANGED"}


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "modelops.inference.compact"

    def __init__(self) -> None:
        super().__init__()
        self._headed: t.Any = None
        self._began = False

    @property
    def _short(self) -> bool:
        return not self._display.verbosity

    @staticmethod
    def _parts(result: t.Any) -> tuple[t.Any, dict[str, t.Any]]:
        """Task and data of a result, by the names of ansible-core since 2.19 and of before."""
        return (result.task, result.result) if hasattr(result, "task") else (result._task, result._result)

    @staticmethod
    def _is_ours(task: t.Any) -> bool:
        return str(task.action).startswith("modelops.inference.")

    def _hides(self, result: t.Any) -> bool:
        """Whether an ok result tells nothing."""
        task, said = self._parts(result)
        if not self._short or said.get("warnings") or said.get("deprecations") or said.get("exception"):
            return False
        if isinstance(task, TaskInclude):
            return True
        if said.get("changed"):
            return quiet()
        return not self._run_is_verbose(result)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        if not self._hides(result):
            super().v2_runner_on_ok(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        if not self._hides(result):
            super().v2_runner_item_on_ok(result)

    def _handle_warnings_and_exception(self, result: t.Any) -> None:
        """Messages of this collection say all of a failure; ansible-core since 2.19 would show them twice, and the task's source."""
        task, said = self._parts(result)
        if self._short and self._is_ours(task) and said.get("msg"):
            said.pop("exception", None)
        super()._handle_warnings_and_exception(result)

    def _dump_results(self, result: t.Any, *args: t.Any, **kwargs: t.Any) -> str:
        """In YAML a message as a block, so that it has no quotes of its own, and no plan that is empty."""
        # A callback that inherits this one need not have its options.
        if not self._short or self._plugin_options.get("result_format") != "yaml":
            return str(super()._dump_results(result, *args, **kwargs))
        shown = {name: value for name, value in result.items() if name != "uv" and (name != "plan" or value)}
        text = str(super()._dump_results(shown, *args, **kwargs))
        told = shown.get("msg")
        if not isinstance(told, str) or "\n" in told.strip():
            return text
        return _QUOTED.sub(lambda found: f"{found[1]}msg: |-\n{found[1]}    {told.strip()}\n", text)

    def v2_on_file_diff(self, result: t.Any) -> None:
        task, said = self._parts(result)
        if not self._short or task.loop or not said.get("diff") or not said.get("changed"):
            super().v2_on_file_diff(result)
            return
        lines, rest = shortened(said["diff"], said.get("plan") or () if self._is_ours(task) else ())
        colored = [stringc(line, setting(_COLORS[line[0]])) if line[:1] in _COLORS else line for line in lines]
        text = "\n".join([*colored, *filter(None, [self._get_diff(rest).strip("\n")])])
        if text:
            if self._last_task_banner != task._uuid:
                self._print_task_banner(task)
            self._display.display(text)

    def v2_playbook_on_include(self, included_file: t.Any) -> None:
        if not self._short:
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        # It is known only later whether the play has hosts. One before it without tasks had some.
        self._began = self._began or self._headed is not None
        self._headed = play

    def v2_playbook_on_no_hosts_matched(self) -> None:
        if self._short:
            self._headed = None
        else:
            self._head()
            super().v2_playbook_on_no_hosts_matched()

    def _task_start(self, task: t.Any, prefix: str | None = None) -> None:
        self._head()
        super()._task_start(task, prefix)

    def _head(self) -> None:
        """The heading of the play, once."""
        play, self._headed, self._began = self._headed, None, True
        if play is not None:
            self._play = play
            if not (self._short and quiet()):
                super().v2_playbook_on_play_start(play)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        if not self._began and self._headed is None:
            self._display.display("No host matched: nothing was done.", color=setting("COLOR_SKIP"))
        super().v2_playbook_on_stats(stats)
