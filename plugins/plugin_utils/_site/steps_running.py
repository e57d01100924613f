# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of a server that runs: a worker drained, its models watched, secrets rotated. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Options, Run
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


# --- rotation ------------------------------------------------------------------------------------------------------------


def _login(plan: HostPlan, run: Run) -> Options:
    """In check mode the server still has the old password, which a real run has replaced before."""
    told = login(plan.host.settings)
    if not run.check_mode or not run.result("xinference_password_result").get("changed"):
        return told
    old = plan.host.value("rotate_old_admin_password")
    file = None if old else f"{plan.host.secrets}/admin_password"
    return {**told, "password": old or None, "password_file": file}


def key(plan: HostPlan, run: Run) -> Call:
    host = plan.host
    options = {"endpoint": host.endpoint, **_login(plan, run), "path": f"{host.secrets}/client_key"}
    return Call("xinference_key", options, host.interpreter)


def admin_password(plan: HostPlan, run: Run) -> Call:
    host, value = plan.host, plan.host.value
    return Call(
        "xinference_password",
        {
            "endpoint": host.endpoint,
            "username": value("xinference_admin_user"),
            "password": value("rotate_old_admin_password") or None,
            "new_password": value("xinference_admin_password") or None,
            "path": f"{host.secrets}/admin_password",
        },
        host.interpreter,
    )


def reconciler_password(plan: HostPlan, run: Run) -> Call:
    """It reads the file at each turn, so nothing is restarted."""
    host = plan.host
    return Call(
        "xinference_password",
        {
            "endpoint": host.endpoint,
            **_login(plan, run),
            "user": "reconciler",
            "path": host.reconciler_password,
            "remember": f"{host.directory}/reconciler/declared.json",
        },
        host.interpreter,
    )


STEPS: dict[str, t.Callable[[HostPlan, Run], Call]] = {
    "admin_password": admin_password,
    "answers": answers,
    "drain": drain,
    "key": key,
    "reconciler_password": reconciler_password,
}
