# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the summary of a run of site.yml: changes, serving models and their addresses."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.modelops.inference.plugins.plugin_utils._site.summary import summary, undo_command
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import quiet, say, setting

display = Display()


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        if quiet():
            return {"changed": False}
        known = task_vars or {}
        hosts, groups = known["hostvars"], known["groups"]
        computing = [*groups.get("xinference_local", []), *groups.get("xinference_workers", [])]
        lines = summary(
            {host: hosts[host] for host in known["ansible_play_hosts"] if host in hosts},
            {host: hosts[host] for host in dict.fromkeys(computing) if host in hosts},
            check=self._task.check_mode,
            undo=undo_command(
                known["playbook_dir"],
                bool(os.environ.get("MODELOPS_BIN_SITE")),
                os.environ.get("MODELOPS_DIR", ""),
            ),
            # The callback has told with each task what it did.
            plans=not (self._task.diff and setting("DEFAULT_STDOUT_CALLBACK") == "modelops.inference.compact"),
            every=display.verbosity > 0,
        )
        say(*lines)
        return {"changed": False}
