# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of an upgrade, a rollback and a restart: decisions and failure messages. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import upgrade
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import WORKER, Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan

# --- before any host changes ---------------------------------------------------------------------------------------------


def rollback_targets(plan: HostPlan, run: Run) -> Call:
    """The targets of a rollback, once for all hosts of the play. Manually drained workers are ignored."""
    if plan.host.value("xinference_rollback_to"):
        return Call("")
    readings = [run.of(name, "xinference_found") for name in run.results.get("ansible_play_hosts") or ()]
    plans = [found for found in readings if found and "plan" in found]
    links = [upgrade.Links.of(found) for found in plans if found["plan"]["upgrading"] or not found["plan"]["drained"]]
    return Call("", told={"targets": upgrade.rollback_targets(links)})


def workers(plan: HostPlan, run: Run) -> list[Call]:
    """Asks a worker's supervisor which workers it has. A worker that a run has taken comes back by the next one."""
    host = plan.host
    if host.part != WORKER or host.drained or host.upgrading:
        return []
    return [Call("ansible.builtin.uri", {"url": f"{host.endpoint}/status", "use_proxy": False}, may_fail=True)]


def request(plan: HostPlan, run: Run) -> Call:
    """The request of the playbook for the host, which host_plan reads in later plays; or the refusal."""
    host = plan.host
    release = _release(plan, run)
    refused = list(upgrade.refusals(host, release, run.result("__xinference_status")))
    if refused:
        return _failed("\n".join(refused))
    step = "upgrade" if host.request.step == "build" else host.request.step
    return Call("", told={"step": step, "release": release})


def _release(plan: HostPlan, run: Run) -> str:
    """One that is on the host, where the inventory does not name it."""
    host = plan.host
    if host.request.step == "build":
        return ""
    if host.request.step == "restart":
        return str(host.found["current"])
    wanted = host.value("xinference_rollback_to")
    targets = run.result("__xinference_rollback_targets").get("targets") or {}
    return upgrade.on_host(host.found, wanted) if wanted else str(targets.get(host.name, ""))


# --- one part of a host --------------------------------------------------------------------------------------------------


def due(plan: HostPlan, run: Run) -> Call:
    """Whether the part of the host changes, and the release that a failure rolls back to."""
    host, on_host = plan.host, bool(plan.host.request.release)
    differs = host.found["current"] != plan.release.id or bool(plan.service.differences)
    # A run that broke off is continued, even where only its end is missing.
    changes = host.upgrading or (not host.drained and (differs or host.request.step == "restart"))
    told = {
        "due": changes,
        "step": host.request.step,
        "release": plan.release.id,
        "on_host": on_host,
        "backs_up": on_host and bool(plan.release.replaced),
        "return_to": plan.release.return_to,
        "current": host.found["current"],
    }
    stays = f"{host.name} is drained and stays as it is. It gets the release of the inventory when it is undrained."
    return Call("", told=told, says=lambda result: stays if upgrade.left_alone(host) else "")


def begin(plan: HostPlan, run: Run) -> Call:
    """Records the start of a change: a run after an interrupted one finds the host unfinished, and its old release (the link previous)."""
    content = (
        f"By modelops.inference. To go on: ansible-playbook modelops.inference.{plan.host.request.step}, with the same "
        "inventory\n"
    )
    return Call("ansible.builtin.copy", {"content": content, "dest": plan.host.etc("upgrading"), "mode": "0644"})


def end(plan: HostPlan, run: Run) -> Call:
    return Call("ansible.builtin.file", {"path": plan.host.etc("upgrading"), "state": "absent"})


def stayed_up(plan: HostPlan, run: Run) -> Call:
    """Fails where the service is not the process that it was when its models began to be watched."""
    service, before = plan.host.found["service"], run.result("xinference_watched").get("pid")
    if service["active"] == "running" and service["pid"] == before:
        return Call("")
    return _failed(
        f"service {plan.host.service} of {plan.host.name} did not stay up for {plan.host.value('xinference_upgrade_window')} s: it is "
        f"{service['active']}, its process was {before} and is {service['pid']}."
    )


# --- after a failure -----------------------------------------------------------------------------------------------------


def failure(plan: HostPlan, run: Run) -> Call:
    """The failure and the steps of the rollback, planned from a reading after the failure."""
    host, found, before = plan.host, plan.host.found, run.result("xinference_change")
    to, worker = str(before["return_to"]), host.part == WORKER
    service = found["service"]
    # A failure before it was stopped is no reason to stop it.
    untouched = (
        service["active"] == "running"
        and service["release"] == to
        and found["current"] == before["current"]
        and not host.drained
    )
    replaced = found["current"] != to
    told = {
        "to": to,
        "untouched": untouched,
        "returns": bool(to) and not run.check_mode,
        # The worker may have been given back what it had. That goes on elsewhere, and is remembered once more.
        "drains": worker and not untouched and replaced,
        "stops": not untouched and replaced,
        "starts": "" if untouched else "worker" if worker else "server",
        "stays": untouched and worker,
        "problem": (
            f"{host.who}: the {before['step']} of its {host.part} to {before['release']} failed at {_task(run)}: {_why(run)}"
        ),
        "log": f"\n{host.service} wrote last:\n{found['log']}",
    }
    return Call("", told=told)


def not_drained(plan: HostPlan, run: Run) -> Call:
    """The worker ends without its models being served elsewhere first."""
    said = f"its models may stop until it is back, because {_task(run)} failed: {_why(run)}"
    return Call("", says=lambda result: f"{plan.host.name}: {said}")


def return_failed(plan: HostPlan, run: Run) -> Call:
    host, known = plan.host, run.result("xinference_return")
    return _failed(
        f"{known['problem']} The rollback to {known['to']} also failed at {_task(run)}: {_why(run)} {host.name} does not serve as it "
        f"should. To continue: see its log ({host.found['service']['commands']['log']}), correct the cause and run the same playbook "
        "again, or roll back with ansible-playbook modelops.inference.rollback --limit "
        f"{host.name} -e xinference_rollback_to=... (available releases: {', '.join(host.found['releases'])}).{known['log']}"
    )


def change_failed(plan: HostPlan, run: Run) -> Call:
    known, before = run.result("xinference_return"), run.result("xinference_change")
    to = known["to"]
    stayed = known["untouched"] or run.check_mode
    serves = f"It was not stopped, and serves with {to}" if stayed else f"It serves with {to} again"
    left = f"{serves}, and no other host of its cluster was changed after it."
    others = f"; or roll back the others with {_rollback(to)}" if to and before["step"] == "upgrade" else ""
    return _failed(
        f"{known['problem']} {left if to else 'There is no other release to roll back to.'} To continue: correct the cause and run the "
        f"same playbook again; it skips finished hosts{others}.{known['log']}"
    )


def _rollback(release: str) -> str:
    return f"ansible-playbook modelops.inference.rollback -e xinference_rollback_to={upgrade.version(release)}"


def _task(run: Run) -> str:
    return f"'{run.result('ansible_failed_task').get('name', '')}'"


def _why(run: Run) -> str:
    return str(run.result("ansible_failed_result").get("msg", "no message"))


def _failed(message: str) -> Call:
    return Call("", told={"failed": True, "msg": message})


def serves_with(plan: HostPlan, run: Run) -> Call:
    """The end of an upgrade."""
    return Call("", says=lambda result: f"{plan.host.who} serves with {plan.release.id}.")


def is_restarted_worker(host: Host, run: Run) -> bool:
    """Whether the host is a worker that a playbook stopped, whose supervisor answers. A return may find that it does not."""
    return host.part == WORKER and bool(run.result("xinference_change")) and not run.result("xinference_return")


STEPS: dict[str, t.Callable[[HostPlan, Run], Call | list[Call]]] = {
    "change_begins": begin,
    "change_due": due,
    "change_ends": end,
    "change_failed": change_failed,
    "change_request": request,
    "registered_workers": workers,
    "return_failed": return_failed,
    "return_plan": failure,
    "return_undrained": not_drained,
    "rollback_targets": rollback_targets,
    "serves_with": serves_with,
    "stayed_up": stayed_up,
}
