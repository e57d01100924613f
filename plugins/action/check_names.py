# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses variables that are misspelled names of the roles' variables, and keys that they do not have.

Ansible takes a misspelled variable silently and uses the default instead. Only names close to a known one are refused:
an inventory may have variables of its own that begin alike. A wrong key Ansible refuses itself, with the whole argument spec.
"""

from __future__ import annotations

import difflib
import os
import typing as t

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
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


def wrong_keys(value: t.Any, option: t.Mapping[str, t.Any], where: str) -> list[str]:
    """Each key of a variable that its option does not have, at any depth, as a sentence. Pure.

    :param option: of an argument spec.
    :param where: the variable, and what of it the value is.
    """
    known = option.get("options")
    if not known:
        return []
    if isinstance(value, (list, tuple)):
        found = []
        for number, item in enumerate(value, start=1):
            called = item.get("name") or item.get("uid") if isinstance(item, dict) else None
            found += wrong_keys(item, option, f"{where}, {called or f'item {number}'}")
        return found
    if not isinstance(value, dict):
        return []
    spelled = {alias for each in known.values() for alias in each.get("aliases") or ()} | set(known)
    found = []
    for key in value:
        if key in known:
            found += wrong_keys(value[key], known[key], f"{where}, {key}")
        elif key not in spelled:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}."
            found.append(f"{where}: no key {key}{hint}")
    return found


def known_variables(roles: t.Iterable[str]) -> dict[str, dict[str, t.Any]]:
    """The variables of these roles of the collection and their options, from their argument_specs."""
    known: dict[str, dict[str, t.Any]] = {}
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
        given = task_vars or {}
        known = known_variables(options["roles"])
        names = sorted(set(given) - set(options["ignore"]))
        wrong = [
            f"{name} is no variable of this collection: did you mean {near}?"
            for name, near in misspelled(names, known).items()
        ]
        for name in names:
            value = given[name]
            if known.get(name, {}).get("options"):
                try:
                    # What stands there already tells its keys, so that no secret in it is needed.
                    value = self._templar.template(value) if isinstance(value, str) else value
                except AnsibleError:  # the role tells what is undefined
                    continue
                wrong += wrong_keys(value, known[name], name)
        if wrong:
            host = given.get("inventory_hostname")
            raise AnsibleActionFail(f"{host}: {' '.join(wrong)} Correct the inventory, or the extra variables.")
        return {"changed": False}
