# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of a server that runs: its models watched. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.serve import login


def _interpreter(plan: HostPlan) -> str:
    """The interpreter of the host to which the task is delegated."""
    return f"{plan.host.api.value('xinference_dir')}/current/bin/python"


def answers(plan: HostPlan, run: Run) -> Call:
    """Models that were served go on to answer. Models that were left out wait for a worker that is drained."""
    served = run.result("xinference_models_result").get("models") or []
    uids = [model["uid"] for model in served if model["declared"] == "present"]
    window = plan.host.value("xinference_upgrade_window")
    options = {"endpoint": plan.host.endpoint, **login(plan.host.api), "uids": uids or None, "window": window}
    told = {"pid": plan.host.found["service"].get("pid")}
    return Call("xinference_probe", options, _interpreter(plan), told)


STEPS: dict[str, t.Callable[[HostPlan, Run], Call]] = {
    "answers": answers,
}
