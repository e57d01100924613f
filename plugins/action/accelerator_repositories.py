# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Adds the repositories of the plan that is registered, with the keys that are files on the controller."""

from __future__ import annotations

import os
import re
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.modelops.inference.plugins.plugin_utils._site import accelerator
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables

MODULE = "modelops.inference.accelerator_repositories"


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        options = dict(self._task.args)
        if not options:
            variables = Variables(self._templar, task_vars)
            options = variables.accelerator_found["role"]["steps"]["repositories"]
            declared = accelerator.declared_keys(variables.strict_settings)
            options["keys"] = [self._key(key, declared) for key in options["keys"]]
        return self._execute_module(module_name=MODULE, module_args=options, task_vars=task_vars)

    def _key(self, key: t.Mapping[str, t.Any], declared: t.Collection[str]) -> dict[str, t.Any]:
        """A key with its text, where it is a file on the controller.

        :param declared: keys that the inventory names. The plan comes from the host, which reads no other file of the controller.
        """
        key = dict(key)
        source = key.pop("src")
        if re.match("https?://", source):
            return {**key, "url": source}
        if source not in declared:
            raise AnsibleActionFail(
                f"{key['about']}: the host asks for {source}, which is not in accelerator_repositories."
            )
        path = os.path.expanduser(source)
        try:
            with open(path if os.path.isabs(path) else self._find_needle("files", path), encoding="utf-8") as file:
                return {**key, "content": file.read()}
        except (OSError, UnicodeDecodeError) as exc:
            raise AnsibleActionFail(
                f"{key['about']}: {source} cannot be read as text ({exc}). Name an armored key."
            ) from exc
