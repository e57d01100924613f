# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of all steps in a workspace. The module of a step takes it alone, dify_workspaces several with one login.
Private to the collection.

A step refuses wrong options as it is made, before anything is sent. It fails with a ModelopsError that has what was done until then.
"""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.workspace_switch import WorkspaceSwitch

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Options = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


class WorkspaceStep:
    """One step.

    :param p: its options, as the module of its name documents them.  :param warn: is told what no step fails for.
    """

    OPTIONS: t.ClassVar[dict[str, t.Any]] = {}
    #: Whether an account that may only read is refused.
    to_change = True

    def __init__(self, p: Options, check: bool, warn: t.Callable[[str], None]):
        self.p, self.check, self.warn = p, check, warn
        self._prepare()

    def _prepare(self) -> None:
        """Validates the options."""

    def run(self, dify: DifySession, within: t.ContextManager[bool]) -> Result:
        """Does the step.

        :param within: the workspace, which tells as its context whether it can be compared.
        """
        raise NotImplementedError


def run(module: AnsibleModule, kind: type[WorkspaceStep]) -> Result:
    """The work of a module that does one step in one workspace."""
    p = module.params
    step = kind(p, module.check_mode, module.warn)
    dify = DifySession.open(module)
    switch = WorkspaceSwitch(dify, p["workspace_file"] or p["session_file"], p["default_workspace"])
    return step.run(dify, switch.in_workspace(p["workspace"], to_change=kind.to_change))
