# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a worker: it joins its cluster, is drained and undrained. Pure. Private to the collection."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import reading
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Dialogue, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import WORKER, Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.serve import login

# Seconds between two looks at the workers of a supervisor.
_PAUSE = 5
_LOG_LINES = 15


def _address(host: Host) -> str:
    """The address by which the cluster knows the worker."""
    return f"{host.bind}:{host.value('xinference_worker_port')}"


# --- it joins ------------------------------------------------------------------------------------------------------------


def worker(plan: HostPlan, run: Run) -> Dialogue:
    """Waits until a worker that this run started has joined its cluster. Returns its data for role models.

    Where nothing was started nobody is asked: role models waits for every worker before it launches.
    """
    host = plan.host
    if host.part != WORKER:
        # Of a host that is both, its worker was seen before.
        return {"changed": False, **run.result("xinference_worker")}
    if host.drained:
        return {"changed": False}
    started, said = _started(host, run), ""
    if started and not run.check_mode and _supervisor_reached(host, run):
        joined = yield from _joined(host)
        if joined.get("failed"):
            return joined
        said = str(joined.get("said", ""))
    return {"changed": False, "said": said, **plan.worker, "started": started}


def _started(host: Host, run: Run) -> bool:
    """Whether the service of this part was started in this run, or its configuration changed. The host may have another part."""
    result = run.result("xinference_service_result")
    path = (result.get("service") or {}).get("path")
    return bool(result.get("changed")) and path == host.found["service"]["path"]


def _supervisor_reached(host: Host, run: Run) -> bool:
    """False where the supervisor comes in a later batch of the play."""
    name = host.members["supervisor"]["host"]
    return name not in run.results["ansible_play_hosts_all"] or run.of(name, "xinference_found") is not None


def _joined(host: Host) -> Dialogue:
    url, timeout = f"{host.endpoint}/status", int(host.value("xinference_start_timeout"))
    ask = {"url": url, "use_proxy": False, "timeout": 10}
    status = yield Call("ansible.builtin.uri", ask)
    if status.get("status") != 200:
        return {
            "said": f"{host.name}: its worker waits for the supervisor at {host.endpoint}, which does not answer. It joins when the "
            "does."
        }
    for _number in range(timeout // _PAUSE):
        if _address(host) in _known(status):
            return {}
        status = yield Call("ansible.builtin.uri", ask, delay=_PAUSE)
    if _address(host) in _known(status):
        return {}
    found = yield Call(reading.MODULE, reading.options([host], _LOG_LINES))
    return {"failed": True, "msg": _stays_away(host, status, found)}


def _known(status: t.Mapping[str, t.Any]) -> list[str]:
    """Workers that a supervisor has, as its answer tells."""
    told = status.get("json")
    return list((told.get("workers") if isinstance(told, dict) else None) or ())


def _stays_away(host: Host, status: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any]) -> str:
    knows = f"knows {', '.join(_known(status)) or 'no worker'}" if status.get("status") == 200 else "no longer answers"
    service = found.get("service") or host.found["service"]
    return (
        f"{host.who}: its worker at {_address(host)} did not join within {host.value('xinference_start_timeout')} s. The supervisor at "
        f"{host.endpoint} {knows}, and service {host.service} is {service['active']}. To continue: see its log "
        f"({service['commands']['log']}), correct the cause and run the same playbook again.\n"
        f"{host.service} wrote last:\n{found.get('log', '')}"
    )


# --- it is drained and undrained -----------------------------------------------------------------------------------------


def _drain(state: str, plan: HostPlan, run: Run) -> Call:
    """Through the API of the worker's cluster, on its supervisor's host.

    :param state: of the module xinference_drain.
    """
    host, api = plan.host, plan.host.api.value
    return Call(
        "xinference_drain",
        {
            "state": state,
            "worker": _address(host),
            # In an upgrade it is back in the same play.
            "returns": bool(run.results.get("_xinference_returns", False)),
            "endpoint": host.endpoint,
            **login(host.api),
            "remember": f"{api('xinference_dir')}/reconciler/declared.json",
            "force": host.value("xinference_drain_force"),
            "gaps": host.value("xinference_drain_gaps"),
            "devices": [card for worker in run.workers(host.members) for card in worker["gpus"]],
            "gpu_sharing": plan.data["gpu_sharing"],
            "launch_timeout": host.value("xinference_drain_timeout"),
            "ready_timeout": host.value("xinference_start_timeout"),
            "requests_timeout": host.value("xinference_drain_requests_timeout"),
            "log_path": f"{api('xinference_home')}/logs/xinference.log",
        },
        f"{api('xinference_dir')}/current/bin/python",
    )


def mark_drained(plan: HostPlan, run: Run) -> list[Call]:
    """The file by which every run from now on leaves the worker stopped. A host that was left clean stays clean."""
    host = plan.host
    if "etc" not in host.found["entries"]:
        return []
    content = f"Drained by modelops.inference. {_undrain(host)}\n"
    return [Call("ansible.builtin.copy", {"content": content, "dest": host.etc("drained"), "mode": "0644"})]


def unmark_drained(plan: HostPlan, run: Run) -> Call:
    return Call("xinference_directory", {"paths": [plan.host.etc("drained")], "state": "absent"})


def _undrain(host: Host) -> str:
    return f"To undrain it: ansible-playbook modelops.inference.undrain --limit {host.name}"


# --- a person is told ----------------------------------------------------------------------------------------------------


def tell_drained(plan: HostPlan, run: Run) -> list[Call]:
    return _tell(run, f"{plan.host.name} is drained. {_undrain(plan.host)}")


def tell_undrained(plan: HostPlan, run: Run) -> list[Call]:
    came_back = "is back in its cluster with its stopped models. Models that moved to other workers stay there."
    return _tell(run, f"{plan.host.name} {came_back}")


def tell_decommissioned(plan: HostPlan, run: Run) -> list[Call]:
    host = plan.host
    place = "the group xinference_workers" if len(host.parts) > 1 else "the inventory"
    closes = ", which closes the firewalls of the other hosts to it" if host.value("xinference_firewall") else ""
    return _tell(
        run,
        f"{host.name} is no longer a worker of cluster {host.cluster}. Remove it from {place}, correct models that name it in worker, "
        f"then run site.yml{closes}. Until then site.yml would make it a worker again.",
    )


def _tell(run: Run, text: str) -> list[Call]:
    return [] if run.check_mode else [Call("", says=lambda result: text)]


STEPS: dict[str, t.Callable[[HostPlan, Run], Call | list[Call]]] = {
    "drain": functools.partial(_drain, "drained"),
    "drain_requests": functools.partial(_drain, "leaving"),
    "forget_worker": functools.partial(_drain, "left"),
    "mark_drained": mark_drained,
    "tell_decommissioned": tell_decommissioned,
    "tell_drained": tell_drained,
    "tell_undrained": tell_undrained,
    "undrain": functools.partial(_drain, "undrained"),
    "unmark_drained": unmark_drained,
}
DIALOGUES: dict[str, t.Callable[[HostPlan, Run], Dialogue]] = {"worker": worker}
