# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared code of the role accelerator's action plugins. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import accelerator
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Inventory, Settings

# Variables by which tests pretend.
PRETENDED = {f"_accelerator_{name}": name for name in ("root", "etc", "kernel", "packages")}


class AcceleratorVariables:
    """
    :param templar: of the task.
    :param given: the variables of the task's host.
    """

    def __init__(self, templar: t.Any, given: t.Mapping[str, t.Any] | None):
        self._templar, self.given = templar, given or {}

    @property
    def settings(self) -> Settings:
        given = self.given
        inventory = Inventory(str(given.get("inventory_hostname")), tuple(given.get("group_names") or ()))
        return Settings(given, inventory, lambda name, value: self.plain(value))

    @property
    def found(self) -> dict[str, t.Any]:
        """The reading that is registered, or that of the whole host."""
        found = self.given.get("accelerator_found") or self.given.get("xinference_found", {}).get("accelerator", {})
        return t.cast("dict[str, t.Any]", self.plain(found))

    def plain(self, value: t.Any) -> t.Any:
        """A value without templates, of Python's own types."""
        found = self._templar.template(value)
        if isinstance(found, dict):
            return {key: self.plain(item) for key, item in found.items()}
        return [self.plain(item) for item in found] if isinstance(found, (list, tuple)) else found


def pretended(variables: AcceleratorVariables) -> accelerator.Pretended:
    given = variables.given
    return accelerator.Pretended(**{n: variables.plain(given[name]) for name, n in PRETENDED.items() if name in given})
