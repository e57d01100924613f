# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses variables that are misspelled names of the roles' variables.

Ansible takes a misspelled variable silently and uses the default instead. Only names close to a known one are refused:
an inventory may have variables of its own that begin alike.
"""

from __future__ import annotations

import difflib
import os
import typing as t

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

ROLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "roles")
CUTOFF = 0.85


def misspelled(names: t.Iterable[str], known: t.Collection[str]) -> dict[str, str]:
    """Each name that is not known but close to a known one, with that one. Pure.

    :param known: the variables of the roles; the parts before their first ``_`` are the prefixes that are looked at.
    """
    prefixes = tuple({f"{name.split('_')[0]}_" for name in known})
    found: dict[str, str] = {}
    for name in names:
        if name.startswith(prefixes) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=CUTOFF)
            # A longer name with a known one inside is a name of its own: xinference_version_of_staging.
            if close and close[0] not in name:
                found[name] = close[0]
    return found


def known_variables(roles: t.Iterable[str]) -> set[str]:
    """The variables of these roles of the collection, from their argument_specs."""
    known: set[str] = set()
    for role in roles:
        with open(os.path.join(ROLES, role, "meta", "argument_specs.yml"), encoding="utf-8") as file:
            known.update(yaml.safe_load(file)["argument_specs"]["main"]["options"])
    return known


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        checked, options = self.validate_argument_spec(
            {
                "roles": {"type": "list", "elements": "str", "required": True},
                "ignore": {"type": "list", "elements": "str", "default": []},
            }
        )
        names = set(task_vars or {}) - set(options["ignore"])
        wrong = misspelled(sorted(names), known_variables(options["roles"]))
        if wrong:
            host = (task_vars or {}).get("inventory_hostname")
            lines = [f"{name} is no variable of this collection: did you mean {near}?" for name, near in wrong.items()]
            raise AnsibleActionFail(f"{host}: {' '.join(lines)} Correct the inventory, or the extra variables.")
        return {"changed": False}
