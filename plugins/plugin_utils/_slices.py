# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module in slices, so that a person sees lines while it works. For action plugins. Private to the collection.

A module cannot print. So it returns ``pending`` after a change or after a while, with what it needs to go on, and is
called again until it is done. Where nothing takes long this is one module execution.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.modelops.inference.plugins.plugin_utils._progress import moves, progress

# Seconds that one execution goes on where a person sees a line that moves; each execution costs a login.
LIVE = 5


class Slices:
    """A part of an action plugin; the plugin names its MODULE."""

    MODULE: str
    _task: t.Any
    _execute_module: t.Callable[..., dict[str, t.Any]]

    def _in_slices(self, args: t.Mapping[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """One coherent result of all executions."""
        with progress(self._task, task_vars):
            return self._slice_by_slice(dict(args), task_vars)

    def _slice_by_slice(self, args: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        lines: list[str] = []
        result = self._execute(args, task_vars)
        while result.get("pending"):
            self._show(result["progress"], task_vars)
            lines += result["progress"]
            changed, args["resume"] = result["changed"], result["resume"]
            args.update(self._between(result))
            result = self._execute(args, task_vars)
            # An execution that could not even start knows nothing of what the earlier ones did.
            result["changed"] = changed or result.get("changed", False)
        self._show(result.get("progress") or [], task_vars)
        if "progress" in result:
            result["progress"] = lines + result["progress"]
        return result

    def _between(self, result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The options of the next execution beyond the result of the last one."""
        return {}

    def _execute(self, args: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        return self._execute_module(module_name=self.MODULE, module_args=args, task_vars=task_vars)

    def _show(self, lines: list[str], task_vars: dict[str, t.Any] | None) -> None:
        with progress(self._task, task_vars) as line:
            line.show(lines)

    @staticmethod
    def _seconds(most: int, task_vars: dict[str, t.Any] | None) -> int:
        """How long one execution goes on."""
        return min(most, LIVE) if moves(task_vars) else most


# Seconds that one execution waits for a change of state; each execution costs a login.
LAUNCH_SLICE = 30


class LaunchSlices(Slices):
    """The part of an action plugin whose module launches models, with its options ``wait`` and ``resume``."""

    def _launch(self, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """In slices, but where the user says how long to wait."""
        args = dict(self._task.args)
        if args.get("wait") is not None or args.get("resume"):
            return self._execute(args, task_vars)
        return self._in_slices({**args, "wait": self._seconds(LAUNCH_SLICE, task_vars)}, task_vars)

    def _refuse_async(self) -> None:
        if self._task.async_val:
            raise AnsibleActionFail(
                f"{self.MODULE} does not support async, because its progress could not be shown. Use its option wait instead, and "
                "call it again later."
            )
