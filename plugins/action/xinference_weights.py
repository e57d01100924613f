# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module in slices, so that a person sees how far a download is; sends what lies on the controller.

A file goes through Ansible's own connection in pieces, each compared by its SHA-256. So it can be of any size, needs no
second copy on the controller, and goes on where a broken run ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils._pace import pace
from ansible_collections.modelops.inference.plugins.plugin_utils._pieces import Pieces
from ansible_collections.modelops.inference.plugins.plugin_utils._slices import Slices

# Seconds that one execution downloads before a line is shown.
SLICE = 20


class ActionModule(Slices, Pieces, ActionBase):
    MODULE = "modelops.inference.xinference_weights"
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        if self._task.async_val:
            raise AnsibleActionFail(
                f"{self.MODULE} does not support async, because its progress could not be shown. Remove async."
            )
        sources = self._task.args.get("sources")
        sources = sources if isinstance(sources, list) else []
        files = {source["file"] for source in sources if isinstance(source, dict) and source.get("file")}
        self._paths: dict[str, str] = {}
        self._listings = {file: listing for file in files for listing in [self._listing(str(file))] if listing}
        self._shown = float("-inf")
        self._measured: dict[str, tuple[float, int]] = {}
        return self._in_slices(
            {"wait": self._seconds(SLICE, task_vars), **self._task.args, "controller": {"listings": self._listings}},
            task_vars,
        )

    def _listing(self, file: str) -> dict[str, t.Any] | None:
        """The size and files of a path on the controller; None for a missing path.

        :returns: {"total": bytes, "validator": changes with it, "files": [[path, bytes], ...] of a directory, else None}.
        """
        try:
            top = self._find_needle("files", file)
        except AnsibleError:
            return None
        self._paths[file] = top
        found = sorted(os.path.join(place, name) for place, _folders, names in os.walk(top) for name in names)
        stats = [(path, os.stat(path)) for path in found or [top]]
        rows = [[os.path.relpath(path, top), about.st_size] for path, about in stats]
        version = json.dumps([[*row, about.st_mtime_ns] for row, (path, about) in zip(rows, stats)])
        return {
            "total": sum(size for path, size in rows),
            "validator": hashlib.sha256(version.encode()).hexdigest(),
            "files": rows if os.path.isdir(top) else None,
        }

    def _between(self, result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        send = result.get("send")
        if not send:
            return {"controller": {"listings": self._listings}}
        file = send["file"]
        top, listing = self._paths[file], self._listings[file]
        rows = listing["files"]
        files = [(top, listing["total"])] if rows is None else [(os.path.join(top, path), size) for path, size in rows]
        piece = self._send(files, send["offset"])
        return {
            "controller": {
                "listings": self._listings,
                "piece": {"file": file, "offset": send["offset"], **piece},
            }
        }

    def _execute(self, args: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        result = super()._execute(args, task_vars)
        if result.get("send"):
            result["progress"][-1] += self._pace(result["send"])
            # Pieces follow one another faster than anybody reads.
            if time.monotonic() - self._shown < self._seconds(SLICE, task_vars):
                result["progress"] = []
            else:
                self._shown = time.monotonic()
        return result

    def _pace(self, send: t.Mapping[str, t.Any]) -> str:
        """How fast a file of the controller goes to the host, measured from its first piece in this run."""
        now, offset = time.monotonic(), send["offset"]
        begun, before = self._measured.setdefault(send["file"], (now, offset))
        return pace(offset - before, now - begun, self._listings[send["file"]]["total"] - offset)
