# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies the missing files of a bundle from the controller to a host, after a comparison with the manifest."""

from __future__ import annotations

import os
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle import bundle
from ansible_collections.modelops.inference.plugins.plugin_utils._pieces import Pieces
from ansible_collections.modelops.inference.plugins.plugin_utils._slices import Slices

# Seconds between two lines.
SHOWN = 20


class ActionModule(Slices, Pieces, ActionBase):
    MODULE = "modelops.inference.xinference_bundle_files"
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        self._shown = float("-inf")
        self._compared = False
        if str(args.get("on_host", False)).lower() in ("true", "yes", "1"):
            return self._in_slices(args, task_vars)
        self._directory = os.path.expanduser(str(args.get("bundle")))
        try:
            self._manifest = bundle.load(self._directory)
        except ModelopsError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        return self._in_slices({**args, "manifest": self._manifest}, task_vars)

    def _between(self, result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        send = result["send"]
        files = [
            (os.path.join(self._directory, path), self._manifest["files"][path]["bytes"]) for path in send["files"]
        ]
        return {"piece": self._send(files, send["offset"])}

    def _execute(self, args: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        result = super()._execute(args, task_vars)
        lacking = result.get("lacking", [])
        if lacking and not self._compared:
            self._compared = True
            try:
                files = {path: self._manifest["files"][path] for path in lacking}
                bundle.refuse(self._directory, bundle.wrong(self._directory, files))
            except ModelopsError as exc:
                raise AnsibleActionFail(str(exc)) from exc
        if result.get("pending"):
            # Pieces follow one another faster than anybody reads.
            if time.monotonic() - self._shown < self._seconds(SHOWN, task_vars):
                result["progress"] = []
            else:
                self._shown = time.monotonic()
        return result
