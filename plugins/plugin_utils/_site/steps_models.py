# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of role models. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import release, serve
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Options, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.pins import SUPERVISOR, UV
from ansible_collections.modelops.inference.plugins.plugin_utils._site.reconciler import Reconciler


def _reconciler(host: Host) -> list[Call]:
    """Updates the reconciler's program and service if they differ."""
    reconciler = Reconciler.of(host)
    if not reconciler.differences:
        return []
    state = "present" if reconciler.present else "absent"
    return [
        Call("xinference_reconciler", {"path": host.directory, "state": state}),
        Call(
            "xinference_service",
            {
                "name": reconciler.service,
                "manager": host.value("xinference_service_manager"),
                "base": host.directory,
                "unit": reconciler.unit,
                "timer": reconciler.timer,
                # Also where only the program differs: under supervisord it runs all the time.
                "state": "restarted" if reconciler.present else "absent",
                "supervisor": SUPERVISOR,
                "uv": UV,
                "cache": host.value("xinference_cache_dir"),
                "index": release.index(host),
            },
        ),
    ]


def models(plan: HostPlan, run: Run) -> list[Call]:
    """The models of the cluster; also for a worker, whose task is delegated to its supervisor's host."""
    if _cannot_be_asked(plan, run):
        return []
    return [Call("xinference_models", _of_models(plan, run), _interpreter(plan))]


def serves(plan: HostPlan, run: Run) -> list[Call]:
    """Updates the reconciler, then serves administrator, users, keys, definitions, models and proof, with progress lines."""
    host = plan.host
    told, reconciler = serve.served(host), _reconciler(host)
    # The server knows its own version, and what became of the models.
    assumed = {name: told.pop(name) for name in ("version", "models")}
    if _cannot_be_asked(plan, run):
        return [*reconciler, Call("", told=told, assumed=assumed)]
    # The users of a release that check mode would replace are another matter.
    replaced = run.check_mode and plan.service.differs
    accounts = {} if replaced else serve.accounts(host)
    options = {**_of_models(plan, run), **accounts, "definitions": host.value("xinference_definitions") or []}
    return [*reconciler, Call("xinference_serve", options, _interpreter(plan), told, assumed)]


def _cannot_be_asked(plan: HostPlan, run: Run) -> bool:
    """A server that check mode would have had to install or start."""
    return run.check_mode and plan.host.found["service"]["active"] != "running"


def _interpreter(plan: HostPlan) -> str:
    return f"{plan.host.api.value('xinference_dir')}/current/bin/python"


def _of_models(plan: HostPlan, run: Run) -> Options:
    host = plan.host
    found = host.found if host.api_host == host.name else run.of(host.api_host, "xinference_found") or host.found
    return serve.of_models(host, run.workers(host.members), found["weights"], plan.data)


STEPS: dict[str, t.Callable[[HostPlan, Run], list[Call]]] = {"models": models, "serve": serves}
