# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The calls of a step executed, for action plugins that run the steps of a plan. Private to the collection."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.plugin_utils._progress import progress
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Dialogue
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import say

Result = dict[str, t.Any]


class CallingAction(ActionBase):
    """An action that executes other modules for its task."""

    def executed(self, calls: t.Iterable[Call], known: dict[str, t.Any]) -> list[Result]:
        """The results of the calls, up to the first that fails, and of those that run in any case."""
        results: list[Result] = []
        failed = False
        for call in calls:
            if failed and not call.always:
                continue
            with progress(self._task, known):
                result = self._executed(call, known)
            if result.get("failed") and call.may_fail:
                result["failed"] = False
            failed = failed or bool(result.get("failed"))
            said = call.says(result) if call.says and not result.get("failed") else ""
            if said:
                say(said)
            results.append(result)
        return results

    def answered(self, dialogue: Dialogue, known: dict[str, t.Any]) -> Result:
        """The result of a dialogue, whose calls are executed in order."""
        with progress(self._task, known):
            try:
                call = next(dialogue)
                while True:
                    time.sleep(call.delay)
                    call = dialogue.send(self._executed(call, known))
            except StopIteration as stop:
                return dict(stop.value)

    def _executed(self, call: Call, known: dict[str, t.Any]) -> Result:
        """The result of the module, by its own action where it has one. Its options are in no result."""
        if not call.module:
            return {"changed": False, **call.assumed, **call.told}
        name = call.module if "." in call.module else f"modelops.inference.{call.module}"
        if call.interpreter:
            known = _with_interpreter(known, call.interpreter, self._task.delegate_to)
        task = self._task.copy()
        task.args = call.options
        action = self._shared_loader_obj.action_loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        if action is None:
            result = self._execute_module(name, call.options, task_vars=known)
        else:
            result = action.run(task_vars=known)
        result.pop("invocation", None)
        return {**call.assumed, **result, **call.told}


def _with_interpreter(known: dict[str, t.Any], interpreter: str, delegate: str | None) -> dict[str, t.Any]:
    named = {"ansible_python_interpreter": interpreter}
    if not delegate:
        return {**known, **named}
    others = known["ansible_delegated_vars"]
    return {**known, "ansible_delegated_vars": {**others, delegate: {**others[delegate], **named}}}


def merged(results: t.Sequence[Result]) -> Result:
    """One result of several executions, or of none: that of the first that failed, otherwise of the last."""
    if not results:
        return {"changed": False}
    found = dict(next((each for each in results if each.get("failed")), results[-1]))
    if len(results) > 1:
        found["changed"] = any(each.get("changed") for each in results)
        found["plan"] = [line for each in results for line in each.get("plan") or []]
        given = [each["diff"] for each in results if each.get("diff")]
        diffs = [part for diff in given for part in (diff if isinstance(diff, list) else [diff])]
        found.update({"diff": diffs} if diffs else {})
    return found


# Ansible prints every key of a failure, and the message has all that a person needs of the others.
_KEPT = {
    "failed",
    "msg",
    "changed",
    "diff",
    "plan",
    "exception",
    "warnings",
    "deprecations",
    "rc",
    "stdout",
    "stderr",
    "uv",
}


def of_failure(result: Result) -> Result:
    """A result as it is, or of one that failed the part that people read."""
    if not result.get("failed"):
        return result
    return {key: value for key, value in result.items() if key in _KEPT or key.startswith(("_ansible", "module_"))}
