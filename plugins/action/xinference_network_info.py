# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares the host's clock with the controller's, and fails with all problems in one message."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

MODULE = "modelops.inference.xinference_network_info"
# Options of the action plugin; the module documents them with its own.
HERE = {"max_skew": {"type": "float", "default": 5}, "fail": {"type": "bool", "default": True}}


def skew(before: float, after: float, now: float, seconds: float) -> tuple[float, float]:
    """The host's clock minus the controller's, and how far that may be off, in seconds. Pure.

    :param before: the controller's clock when the module was sent.  :param after: when its result came.
    :param now: the host's clock when the module ended.  :param seconds: what the module took there.
    """
    # It began after it was sent, and ended before its result came.
    highest, lowest = (now - seconds) - before, now - after
    return (highest + lowest) / 2, max(0.0, (highest - lowest) / 2)


class ActionModule(ActionBase):
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        options = ArgumentSpecValidator(HERE).validate({k: v for k, v in self._task.args.items() if k in HERE})
        if options.error_messages:
            raise AnsibleActionFail("; ".join(options.error_messages))
        max_skew, fail = (options.validated_parameters[name] for name in HERE)
        args = {"name": (task_vars or {}).get("inventory_hostname"), **self._task.args}
        before = time.time()
        result: dict[str, t.Any] = self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars)
        after = time.time()
        if result.get("failed") or "now" not in result:
            return result
        offset, uncertainty = skew(before, after, result["now"], result["seconds"])
        result["skew"], result["skew_uncertainty"] = round(offset, 3), round(uncertainty, 3)
        if abs(offset) > max_skew + uncertainty:
            result["problems"].append(
                f"{args['name']}: its clock is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} the "
                f"controller's, and Xinference's API tokens depend on the time. Synchronize both clocks with NTP "
                f"(chrony, systemd-timesyncd), or raise max_skew ({max_skew:g} s)."
            )
        if result["problems"] and fail:
            result["failed"] = True
            result["msg"] = "\n".join(result["problems"])
        return result
