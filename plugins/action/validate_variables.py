# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses variables of a host that cannot be right, before anything is asked or changed, in a line for each mistake.

What is right is in plugin_utils/_site, file by file for each subject; here the variables are rendered. Ansible takes a misspelled
variable silently, and refuses a wrong value where the role begins, with the whole argument spec.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify, kinds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PLAYBOOKS, Needs
from ansible_collections.modelops.inference.plugins.plugin_utils._site.refusals import refusals
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import ALL, SPECS, Inventory, Settings
from ansible_collections.modelops.inference.plugins.plugin_utils._site.undefined import sentence

_ENCRYPTED = ("AnsibleVaultEncryptedUnicode", "EncryptedString")


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
            },
            mutually_exclusive=[("playbook", "roles"), ("playbook", "installs")],
            required_one_of=[("playbook", "roles")],
        )
        _secrets.forget()
        needs = PLAYBOOKS.get(options["playbook"]) or Needs(tuple(options["roles"]), installs=options["installs"])
        given, roles = task_vars or {}, needs.roles
        undefined: dict[str, list[str]] = {}

        def render(name: str, value: t.Any) -> t.Any:
            return self._plain(value, name, undefined.setdefault(name, []))

        settings = Settings(given, _inventory(given), render)
        names = [self._text(given.get("ansible_host")) or settings.inventory.host, ""]
        wrong = refusals(settings, given, needs, names=names)
        wrong = [each for name in needs.names(SPECS.roles) for each in undefined.get(name, ())] + wrong
        if wrong:
            who = self._who(given, settings)
            lines = [*(f"{who}: {each}" for each in wrong), "Correct the inventory, or the extra variables."]
            return {"failed": True, "msg": _secrets.redacted("\n".join(lines))}
        source = dify.source(settings, names) if "models" in roles else None
        return {"changed": False, "models": source["models"] if source else []}

    def _plain(self, value: t.Any, where: str, undefined: list[str]) -> t.Any:
        """A value without templates, at any depth; what nobody can tell yet is unknown, and a name that is nowhere is told."""
        if isinstance(value, dict):
            return {self._plain(key, where, undefined): self._plain(value[key], where, undefined) for key in value}
        if isinstance(value, (list, tuple)):
            return [self._plain(item, where, undefined) for item in value]
        try:
            if type(value).__name__ in _ENCRYPTED:
                return str(value)
            if not isinstance(value, str) or "{" not in value:
                return value
            found = _native(self._templar.template(value))
            if isinstance(found, str) and "{{" in found and "hostvars" in value:
                self._templar.template(
                    found
                )  # before ansible-core 2.19 what another host's template needs is left in it
            return found
        except AnsibleError as exc:
            undefines = isinstance(exc, AnsibleUndefinedVariable) or "Mandatory variable" in str(exc)
            told = sentence(str(exc), where, value, self._templar.available_variables) if undefines else ""
            if told and told not in undefined:
                undefined.append(told)
        except Exception:  # a filter, a lookup or a vault may raise anything
            pass
        return kinds.UNKNOWN

    def _text(self, value: t.Any) -> str:
        found = self._plain(value, "", [])
        return found if isinstance(found, str) else ""

    def _who(self, given: t.Mapping[str, t.Any], settings: Settings) -> str:
        host = given.get("inventory_hostname")
        cluster = settings.plain("xinference_cluster") if "xinference_cluster" in given else None
        return f"{host} (cluster {cluster})" if isinstance(cluster, (str, int)) else str(host)


def _inventory(given: t.Mapping[str, t.Any]) -> Inventory:
    return Inventory(
        str(given.get("inventory_hostname")),
        tuple(given.get("group_names") or ()),
        given.get("groups") or {},
        tuple(given.get("ansible_play_hosts_all") or ()),
        lambda host: given["hostvars"][host],
    )


def _native(value: t.Any) -> t.Any:
    """What a template gave, of Python's own types."""
    if isinstance(value, dict):
        return {key: _native(item) for key, item in value.items()}
    return [_native(item) for item in value] if isinstance(value, (list, tuple)) else value
