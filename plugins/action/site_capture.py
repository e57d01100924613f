# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a server's running models as an inventory file on the controller."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.modelops.inference.plugins.module_utils import _directory
from ansible_collections.modelops.inference.plugins.module_utils._address import server_url
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._calls import CallingAction
from ansible_collections.modelops.inference.plugins.plugin_utils._local_file import content, written
from ansible_collections.modelops.inference.plugins.plugin_utils._site import captured
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import say
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables, native

MODULE = "xinference_capture_info"


class ActionModule(CallingAction):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        known = task_vars or {}
        settings = Variables(self._templar, known).settings()

        def get(name: str) -> t.Any:
            if name in SPECS.options:
                return settings.value(name)
            return native(self._templar.template(known[name])) if name in known else None

        args = captured.options(get)
        (found,) = self.executed(
            [Call(MODULE, args, captured.interpreter(get, known["ansible_playbook_python"]))], known
        )
        if found.get("failed"):
            return found
        host, url = known["inventory_hostname"], args["endpoint"]
        inventory = get("inventory_dir") or os.environ.get("PWD", "")
        where = captured.place(get("capture_dest"), inventory, host, _listed)
        try:
            there, replace = content(where.path), bool(get("capture_replace"))
            why = captured.refusal(found, where, there, host, url, replace=replace)
            if why:
                raise ModelopsError(why)
            if not self._task.check_mode:
                _directory.make_directory(os.path.dirname(where.path) or ".")
            # 0644: it holds names of variables in the place of secrets.
            done = written(where.path, found["text"], check=self._task.check_mode)
        except ModelopsError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        say(*captured.left_to_do(found, where.path, url))
        warnings = {"warnings": found["warnings"]} if found.get("warnings") else {}
        # The address by which Difys know it.
        known_as = get("capture_endpoint") or server_url(
            get("xinference_host"), get("xinference_port"), [get("ansible_host") or host]
        )
        return {**done, **warnings, "uids": [model["uid"] for model in found["models"]], "url": known_as}


def _listed(directory: str) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(os.listdir(directory))
    return []
