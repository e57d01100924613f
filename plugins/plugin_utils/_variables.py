# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's variables, rendered: settings for the decisions in _site. For action plugins. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError, AnsibleUndefinedVariable

from ansible_collections.modelops.inference.plugins.plugin_utils._site import accelerator, clusters, kinds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host, Request
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Inventory, Settings
from ansible_collections.modelops.inference.plugins.plugin_utils._site.undefined import sentence, unreadable

# Variables by which tests put other values in the place of a host's own.
_PRETENDED = {f"_accelerator_{name}": name for name in ("root", "etc", "kernel", "packages")}
_ENCRYPTED = ("AnsibleVaultEncryptedUnicode", "EncryptedString")


class Variables:
    """
    :param templar: of the task.
    :param given: the variables of the task's host.
    """

    def __init__(self, templar: t.Any, given: t.Mapping[str, t.Any] | None):
        self._templar, self.given = templar, given or {}
        # Of each variable what its templates need and nobody defines.
        self.undefined: dict[str, list[str]] = {}

    @property
    def name(self) -> str:
        return str(self.given.get("inventory_hostname"))

    def settings(self, part: str = "") -> Settings:
        return Settings(self.given, self._inventory(), self._render, part=part, strict=self._strict)

    @property
    def strict_settings(self) -> Settings:
        """Settings of which a variable fails where its template does."""
        return Settings(self.given, self._inventory(), self._strict, strict=self._strict)

    def host(self, part: str, request: Request, found: t.Mapping[str, t.Any]) -> Host:
        """
        :param part: empty for the first one that the host's groups give it.
        """
        settings = self.settings(part)
        known = self.given.get("xinference_clusters")
        # Empty, too, where they could not be told before the variables were validated.
        if not known and settings.inventory.distributed:
            known = clusters.members(settings.inventory.members, settings.inventory.variables)
        return Host(settings, found, native(known or {}), request, self.others)

    def others(self, name: str) -> Settings:
        """Settings of another host, whose variables are rendered as they are read."""
        theirs = self.given["hostvars"][name]
        inventory = Inventory(name, tuple(theirs.get("group_names") or ()), self.given.get("groups") or {})
        return Settings(theirs, inventory, lambda name, value: native(value), strict=lambda name, value: native(value))

    @property
    def accelerator_found(self) -> dict[str, t.Any]:
        """The reading of the accelerators that is registered, or that of the whole host."""
        found = self.given.get("accelerator_found") or self.given.get("xinference_found", {}).get("accelerator", {})
        return t.cast("dict[str, t.Any]", self.rendered(found))

    @property
    def pretended(self) -> accelerator.Pretended:
        given = {name: self.given[variable] for variable, name in _PRETENDED.items() if variable in self.given}
        return accelerator.Pretended(**self.rendered(given))

    def text(self, name: str) -> str:
        """A variable that is no role's, where it is a text."""
        found = self._plain(self.given.get(name), "", [])
        return found if isinstance(found, str) else ""

    def strict_text(self, name: str) -> str:
        """A variable that is no role's option; empty where nobody gives it. Fails where its template does."""
        return str(self.rendered(self.given.get(name, "")))

    def rendered(self, value: t.Any) -> t.Any:
        """A value without templates, in Python's own types. Fails where a template does."""
        return native(self._templar.template(value))

    def _inventory(self) -> Inventory:
        given = self.given
        return Inventory(
            self.name,
            tuple(given.get("group_names") or ()),
            given.get("groups") or {},
            tuple(given.get("ansible_play_hosts_all") or ()),
            lambda host: given["hostvars"][host],
            self.text("ansible_host"),
        )

    def _strict(self, name: str, value: t.Any) -> t.Any:
        return self.rendered(value)

    def _render(self, name: str, value: t.Any) -> t.Any:
        return self._plain(value, name, self.undefined.setdefault(name, []))

    def _plain(self, value: t.Any, where: str, undefined: list[str]) -> t.Any:
        """A value without templates, at any depth; values not known yet are unknown, and undefined names are reported."""
        if isinstance(value, dict):
            return {self._plain(key, where, undefined): self._plain(value[key], where, undefined) for key in value}
        if isinstance(value, (list, tuple)):
            return [self._plain(item, where, undefined) for item in value]
        try:
            if type(value).__name__ in _ENCRYPTED:
                return str(value)
            if not isinstance(value, str) or "{" not in value:
                return value
            found = native(self._templar.template(value))
            if isinstance(found, str) and "{{" in found and "hostvars" in value:
                # Before ansible-core 2.19 what another host's template needs is left in it.
                self._templar.template(found)
            return found
        except AnsibleError as exc:
            undefines = isinstance(exc, AnsibleUndefinedVariable) or "Mandatory variable" in str(exc)
            known = self._templar.available_variables
            told = sentence(str(exc), where, value, known) if undefines else unreadable(str(exc), where, value)
            if told and told not in undefined:
                undefined.append(told)
        except Exception:  # a filter, a lookup or a vault may raise anything
            pass
        return kinds.UNKNOWN


def native(value: t.Any) -> t.Any:
    """A template's result in Python's own types."""
    if isinstance(value, dict):
        return {key: native(item) for key, item in value.items()}
    if type(value).__name__ in _ENCRYPTED:
        return str(value)
    return [native(item) for item in value] if isinstance(value, (list, tuple)) else value
