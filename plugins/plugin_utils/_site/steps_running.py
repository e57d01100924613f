# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of a server that runs: a worker drained, its models watched. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.serve import login


def _interpreter(plan: HostPlan) -> str:
    """Of the host that asks the API, to which the task is delegated."""
    return f"{plan.host.api.value('xinference_dir')}/current/bin/python"


def drain(plan: HostPlan, run: Run) -> Call:
    """Through the API of the worker's cluster, on its supervisor's host."""
    host, api = plan.host, plan.host.api.value
    names = [row["host"] for row in host.members["workers"]]
    workers = [worker for name in names for worker in [run.of(name, "xinference_worker")] if worker]
    return Call(
        "xinference_drain",
        {
            "worker": f"{host.bind}:{host.value('xinference_worker_port')}",
            "endpoint": host.endpoint,
            **login(host.api),
            "remember": f"{api('xinference_dir')}/reconciler/declared.json",
            "force": host.value("xinference_drain_force"),
            "gaps": host.value("xinference_drain_gaps"),
            "devices": [card for worker in workers for card in worker["gpus"]],
            "gpu_sharing": plan.data["gpu_sharing"],
            "launch_timeout": host.value("xinference_drain_timeout"),
            "ready_timeout": host.value("xinference_start_timeout"),
            "requests_timeout": host.value("xinference_drain_requests_timeout"),
            "log_path": f"{api('xinference_home')}/logs/xinference.log",
        },
        _interpreter(plan),
    )


def answers(plan: HostPlan, run: Run) -> Call:
    """Models that were served go on to answer. Models that were left out wait for a worker that is drained."""
    served = run.result("xinference_stable_models").get("models") or []
    uids = [model["uid"] for model in served if model["declared"] == "present"]
    window = plan.host.value("xinference_upgrade_window")
    options = {"endpoint": plan.host.endpoint, **login(plan.host.api), "uids": uids or None, "window": window}
    return Call("xinference_probe", options, _interpreter(plan))


STEPS: dict[str, t.Callable[[HostPlan, Run], Call]] = {
    "answers": answers,
    "drain": drain,
}
