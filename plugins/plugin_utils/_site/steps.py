# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a plan: which modules run, with which options. Pure. Private to the collection.

The options hold secrets, which is why they are in no plan: they are made where a step runs.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import (
    reading,
    release,
    serve,
    steps_models,
    steps_network,
    steps_removal,
    steps_rotation,
    steps_running,
    steps_upgrade,
    steps_weights,
    steps_worker,
)
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Dialogue, Options, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import WORKER, Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.pins import SUPERVISOR, UV


def calls(step: str, plan: HostPlan, run: Run, options: t.Mapping[str, t.Any]) -> list[Call]:
    """
    :param options: what the play says of the step, beside what follows from the plan.
    """
    made = STEPS[step](plan, run)
    made = made if isinstance(made, list) else [made]
    # An option without a value is left to the module.
    return [
        dataclasses.replace(call, options={k: v for k, v in {**call.options, **options}.items() if v is not None})
        for call in made
    ]


# --- release -------------------------------------------------------------------------------------------------------------


def _bundle(plan: HostPlan, run: Run) -> Call:
    host, value = plan.host, plan.host.value
    # Headers may hold a token.
    sources = [{k: v for k, v in source.items() if k != "headers"} for source in plan.weights.lacking.values()]
    return Call(
        "xinference_bundle_files",
        {
            "bundle": value("xinference_bundle"),
            "on_host": value("xinference_bundle_on_host"),
            "path": f"{host.directory}/bundle",
            "release": plan.release.id,
            "declared": plan.release.made_from,
            "environment": plan.release.unbuilt,
            "sources": sources,
            "python": value("xinference_python"),
            "denied": value("xinference_denied_packages"),
        },
    )


def _of_environment(plan: HostPlan) -> Options:
    value = plan.host.value
    return {
        "path": plan.host.directory,
        "version": value("xinference_version"),
        "extras": value("xinference_extras"),
        "packages": value("xinference_packages"),
        "constraints": value("xinference_constraints"),
        "python": value("xinference_python"),
        "python_source": value("xinference_python_source"),
        "torch": plan.release.torch,
        "index": release.index(plan.host),
        "uv": UV,
        "cache": value("xinference_cache_dir"),
    }


def _python(plan: HostPlan, run: Run) -> Dialogue:
    """A Python that there are packages for, and before it packages of the distribution that an environment is made with.

    An index of one's own may have every wheel, and what it lacks the build names: so a run goes on without those packages.
    """
    host, changed, said = plan.host, False, []
    cached = {"apt": {"update_cache": True, "cache_valid_time": 3600}, "dnf": {}}
    for manager, options in cached.items():
        names = host.found["system"]["lacks"][manager]
        # apt itself cannot run in check mode where python3-apt is missing.
        if names and not run.check_mode:
            result = yield Call(f"ansible.builtin.{manager}", {"name": names, **options})
            changed = changed or bool(result.get("changed"))
            if result.get("failed"):
                said.append(
                    f"{host.who}: {', '.join(names)} could not be installed: {result.get('msg', '')}. The run continues without them."
                )
    found = yield Call("xinference_python_info", _of_environment(plan))
    return {**found, "changed": changed or bool(found.get("changed")), "said": "\n".join(said)}


def _release(plan: HostPlan, run: Run) -> Call:
    value, bundled = plan.host.value, run.result("xinference_bundle_result")
    known = bundled if value("xinference_bundle") else run.result("xinference_python_found")
    return Call(
        "xinference_release",
        {
            **_of_environment(plan),
            "id": plan.release.id,
            **{name: known[name] for name in ("python", "python_source") if known.get(name) is not None},
            "lock": bundled.get("lock"),
            "keep": value("xinference_keep_releases"),
            "user": plan.host.user or None,
            "activate": False,
        },
    )


def _activate(plan: HostPlan, run: Run) -> Call:
    host, asked = plan.host, run.result("xinference_upgrade_request")
    # After going back, so that going back again changes nothing. A rollback that returns still knows where to.
    previous = asked["release"] if asked.get("step") == "rollback" else host.request.release
    return Call(
        "xinference_release",
        {
            "path": host.directory,
            "id": plan.release.id,
            "version": plan.release.version,
            "uv": UV,
            "cache": host.value("xinference_cache_dir"),
            "keep": host.value("xinference_keep_releases"),
            "previous": previous or None,
            "build": False,
        },
    )


def _backup(plan: HostPlan, run: Run) -> Call:
    """Backs up the state before another release changes it; a rollback needs it."""
    host = plan.host
    return Call(
        "xinference_backup",
        {
            "path": f"{host.directory}/backups",
            "home": host.home,
            "release": plan.release.replaced,
            "releases": host.found["releases"],
            "files": [f"{host.directory}/reconciler/declared.json"],
        },
    )


def _restore(plan: HostPlan, run: Run) -> list[Call]:
    """Restores files that a newer release wrote and this older one cannot read."""
    if not plan.release.replaced and plan.host.request.step != "return":
        return []
    call = _backup(plan, run)
    options = {**call.options, "release": plan.release.id, "state": "restored"}
    options.pop("releases")
    return [Call(call.module, options)]


# --- service -------------------------------------------------------------------------------------------------------------


def _service(plan: HostPlan, run: Run) -> Call:
    host, service = plan.host, plan.service
    return Call(
        "xinference_service",
        {
            **_of_service(host),
            "unit": service.unit,
            "files": [dataclasses.asdict(file) for file in service.files],
            "config": service.config,
            "host": host.bind,
            "port": host.listens if steps_upgrade.is_restarted_worker(host, run) else host.waits_for,
            "listens": host.listens,
            "timeout": host.value("xinference_start_timeout"),
            "supervisor": SUPERVISOR,
            "uv": UV,
            "cache": host.value("xinference_cache_dir"),
            "index": release.index(host),
        },
    )


def _of_service(host: Host) -> Options:
    return {"name": host.service, "manager": host.value("xinference_service_manager"), "base": host.directory}


def _stop(plan: HostPlan, run: Run) -> Call:
    return Call("xinference_service", {**_of_service(plan.host), "state": "stopped"})


def _leave(plan: HostPlan, run: Run) -> Call:
    """A worker leaves its cluster, and its service stays stopped."""
    return Call("xinference_service", {**_of_service(plan.host), "state": "disabled", "leaves": True})


def _recovery(plan: HostPlan, run: Run) -> Call:
    """Removes a worker's record of its replicas: it would start them beside those that took their place."""
    host = plan.host
    path = f"{host.home}/worker_recovery/{host.bind}_{host.value('xinference_worker_port')}"
    return Call("xinference_directory", {"paths": [path], "state": "absent"})


def _hold(plan: HostPlan, run: Run) -> list[Call]:
    """The reconciler would bring back yesterday's models as soon as the server answers. Role models ends that, otherwise the time does."""
    host = plan.host
    if host.part == WORKER or host.reconciler not in host.found["files"]:
        return []
    return [Call("ansible.builtin.command", {"argv": [host.interpreter, host.reconciler, "hold", "900"]})]


def _directories(plan: HostPlan, run: Run) -> list[Call]:
    """The service's user, where there is none, and the directories.

    Data of a service that ran as another user are handed over. The modes stay, because there are secrets among the files.
    """
    host, found = plan.host, []
    user = host.value("xinference_user")
    if user and host.found["user"]["id"] < 0:
        about = {"name": user, "group": host.value("xinference_group"), "home": host.home, "create_home": False}
        found += [
            Call("ansible.builtin.group", {"name": about["group"], "system": True}),
            Call(
                "ansible.builtin.user",
                {**about, "shell": "/usr/sbin/nologin", "system": True},
                assumed={"plan": [f"+ create user {user}"]},
            ),
        ]
    for each in reading.directories(host):
        owned = each["service_owns"]
        owner = {"owner": user, "group": host.value("xinference_group")} if owned and user else {}
        options = {"paths": [each["path"]], "mode": each["mode"], "recurse": owned, **owner}
        found.append(Call("xinference_directory", options))
    return found


# --- users ---------------------------------------------------------------------------------------------------------------


def _administrator(plan: HostPlan, run: Run) -> Call:
    host, value = plan.host, plan.host.value
    old = host.authentication == "file"
    return Call(
        "xinference_bootstrap",
        {
            "home": host.home,
            "secrets": host.secrets,
            "auth_config": host.auth_config if old else None,
            "username": value("xinference_admin_user"),
            "password": value("xinference_admin_password") or None,
            "client_key": value("xinference_client_key") or None,
            "reconciler_password": host.reconciler_password if old and host.reconciles else None,
            "owner": host.user or None,
        },
        # In check mode there may be no such interpreter yet.
        host.found["system"]["python_path"] if run.check_mode else plan.new_interpreter,
    )


def _users(plan: HostPlan, run: Run) -> list[Call]:
    """Health, users and keys. A server that check mode would have had to start cannot be asked."""
    host = plan.host
    if run.check_mode and plan.service.differs:
        return []
    options = {
        "endpoint": host.endpoint,
        **serve.login(host.settings),
        "ready_timeout": host.value("xinference_start_timeout"),
        "log_path": host.log,
        **serve.accounts(host),
    }
    return [Call("xinference_admin", options, host.interpreter)]


def _reload(plan: HostPlan, run: Run) -> Call:
    host = plan.host
    return Call("xinference_reload", {"endpoint": host.endpoint, **serve.login(host.settings)}, host.interpreter)


STEPS: dict[str, t.Callable[[HostPlan, Run], Call | list[Call]]] = {
    "activate": _activate,
    "administrator": _administrator,
    "backup": _backup,
    "bundle": _bundle,
    "directories": _directories,
    "hold": _hold,
    "leave": _leave,
    "recovery": _recovery,
    "release": _release,
    "reload": _reload,
    "restore": _restore,
    "service": _service,
    "stop": _stop,
    "users": _users,
    **steps_models.STEPS,
    **steps_network.STEPS,
    **steps_removal.STEPS,
    **steps_rotation.STEPS,
    **steps_running.STEPS,
    **steps_weights.STEPS,
    **steps_upgrade.STEPS,
    **steps_worker.STEPS,
}
DIALOGUES: dict[str, t.Callable[[HostPlan, Run], Dialogue]] = {
    "python": _python,
    **steps_rotation.DIALOGUES,
    **steps_worker.DIALOGUES,
}
