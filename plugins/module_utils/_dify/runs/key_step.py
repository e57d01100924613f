# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""New keys in the place of old ones in a workspace: the step of the module dify_key. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs import rotation
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.workspace_step import Result, WorkspaceStep
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


class KeyStep(WorkspaceStep):
    """Puts new keys in the place of old ones."""

    OPTIONS = dict(
        provider=dict(type="str"),
        keys=dict(
            type="list",
            elements="dict",
            required=True,
            no_log=False,
            options=dict(
                cluster=dict(type="str", required=True),
                old=dict(type="list", elements="str", required=True),
                new=dict(type="str", no_log=True),
            ),
        ),
    )

    def _prepare(self) -> None:
        keys = self.p["keys"]
        self.changes = [rotation.KeyChange(item["cluster"], tuple(item["old"]), item["new"] or None) for item in keys]
        _secrets.hide(*(change.new for change in self.changes if change.new))
        problems = rotation.problems(self.changes, check=self.check)
        if problems:
            raise ModelopsError("Nothing was sent to Dify: " + "; ".join(problems))

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        with within as comparable:
            if not comparable:
                why = dify.not_compared()
                self.warn(why)
                return dict(changed=False, plan=[], models=[], not_compared=why, **dify.about())
            work = rotation.KeyRotation(dify, self.p["provider"], self.changes, check=self.check)
            work.run()
        result = {**work.result(), **dify.about()}
        failed = [row["error"] for row in work.rows if "error" in row]
        if failed:
            raise ModelopsError(
                f"{len(failed)} of {len(work.rows)} models may still have the old key. " + " | ".join(failed), **result
            )
        return result
