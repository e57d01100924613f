# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses variables of a host that cannot be right, before anything is asked or changed, in a line for each mistake.

What is right is in plugin_utils/_site, file by file for each subject; plugin_utils/_variables renders them. Ansible takes a misspelled
variable silently, and refuses a wrong value where the role begins, with the whole argument spec.
"""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PLAYBOOKS, PlaybookNeeds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import ALL
from ansible_collections.modelops.inference.plugins.plugin_utils._validation import validated
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(
            {
                "playbook": {"type": "str", "choices": sorted(PLAYBOOKS)},
                "roles": {"type": "list", "elements": "str", "choices": list(ALL)},
                "installs": {"type": "bool", "default": False},
                "users": {"type": "bool", "default": True},
            },
            mutually_exclusive=[("playbook", "roles"), ("playbook", "installs")],
            required_one_of=[("playbook", "roles")],
        )
        _secrets.forget()
        needs = PLAYBOOKS.get(options["playbook"]) or PlaybookNeeds(
            tuple(options["roles"]), installs=options["installs"], users=options["users"]
        )
        return validated(Variables(self._templar, task_vars), needs)
