# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds a bundle with everything that the play's hosts install, in a directory of the controller."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._calls import CallingAction, merged
from ansible_collections.modelops.inference.plugins.plugin_utils._site import bundled, release
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host, Request
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import say
from ansible_collections.modelops.inference.plugins.plugin_utils._variables import Variables, native


class ActionModule(CallingAction):
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        _secrets.forget()
        known = task_vars or {}
        variables = Variables(self._templar, known)
        settings, hosts = variables.settings(), known["ansible_play_hosts"]
        _secrets.hide(*release.logins(settings))
        try:
            refused = bundled.failed([host for host in known["ansible_play_hosts_all"] if host not in hosts])
            if refused:
                raise ModelopsError(refused)
            made = bundled.calls(settings, [bundled.BundleNeeds.of(self._host(host, variables)) for host in hosts])
        except ModelopsError as exc:
            raise AnsibleActionFail(_secrets.redacted(str(exc))) from exc
        results = _secrets.cleaned(self.executed(made, known))
        if not results[-1].get("failed"):
            path, check = str(settings.value("xinference_bundle")), bool(self._task.check_mode)
            say(bundled.told(results[-1], path, check=check))
        return merged(results)

    def _host(self, name: str, variables: Variables) -> Host:
        found = native(variables.given["hostvars"][name]["xinference_found"])
        return Host(variables.others(name), found, request=Request("bundle"))
