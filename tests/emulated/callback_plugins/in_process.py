# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls a module of the collection in the worker that is about to send it to an emulated host, which takes 20 times as long.

Its arguments are those that would be sent. Modules of ansible-core are sent and executed: their work is real.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json

from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

try:
    from ansible.module_utils import _internal
except ImportError:  # before ansible-core 2.19
    _internal = None

DOCUMENTATION = """
name: in_process
type: aggregate
short_description: Calls modules of the collection without sending them
description: Ansible loads a callback before it forks its workers, which is what this needs to be one for.
"""
COLLECTION = "modelops.inference."

send = ActionBase._execute_module


def call(self, module_name=None, module_args=None, tmp=None, task_vars=None, **options):
    name = module_name or self._task.action
    if not name.startswith(COLLECTION):
        return send(self, module_name, module_args, tmp, task_vars, **options)
    given = dict(self._task.args if module_args is None else module_args)
    self._update_module_args(name, given, task_vars or {})
    module = importlib.import_module(f"ansible_collections.{COLLECTION}plugins.modules.{name.removeprefix(COLLECTION)}")
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": given}, default=str).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    controller = getattr(_internal, "is_controller", None)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            if controller:  # otherwise it would show warnings instead of returning them
                _internal.is_controller = False
            module.main()
        except SystemExit:
            pass
        finally:
            if controller:
                _internal.is_controller = controller
    return {**json.loads(said.getvalue().splitlines()[-1]), "_ansible_parsed": True}


ActionBase._execute_module = call


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "in_process"
    CALLBACK_NEEDS_ENABLED = True
