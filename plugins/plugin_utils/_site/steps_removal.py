# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a removal. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import removal
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan


def services(plan: HostPlan, run: Run) -> list[Call]:
    host = plan.host
    common = {"manager": host.value("xinference_service_manager"), "base": host.directory, "state": "absent"}
    return [Call("xinference_service", {"name": name, **common}) for name in removal.installed_services(host)]


def directories(plan: HostPlan, run: Run) -> Call:
    # It follows no link in a directory of the service's user.
    return Call("xinference_directory", {"paths": removal.paths(plan.host), "state": "absent"})


def user(plan: HostPlan, run: Run) -> Call:
    return Call("ansible.builtin.user", {"name": plan.host.value("xinference_user"), "state": "absent"})


STEPS: dict[str, t.Callable[[HostPlan, Run], Call | list[Call]]] = {
    "remove_directories": directories,
    "remove_services": services,
    "remove_user": user,
}
