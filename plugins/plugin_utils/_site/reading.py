# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the module that reads a whole host at once. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import firewall, removal
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import SUPERVISOR, WORKER, Host

MODULE = "modelops.inference.xinference_host_info"
# Of a result, what the plan adds on the controller.
_OF_CONTROLLER = ("plan", "changes", "declared")


def options(
    parts: t.Sequence[Host], log_lines: int = 0, role_options: t.Mapping[str, t.Any] | None = None
) -> dict[str, t.Any]:
    """
    :param parts: of the host, of which the reading tells: one, or a supervisor and its own worker.
    :param log_lines: of the service's log.
    :param role_options: options of the role accelerator, where the reading is its, too.
    """
    host, *others = parts
    value, index = host.value, host.value("xinference_index") or {}
    return {
        "path": host.directory,
        "home": host.home,
        "models_dir": value("xinference_models_dir"),
        "service": host.service,
        "services": removal.services(host),
        "service_manager": value("xinference_service_manager"),
        "user": value("xinference_user"),
        "host": value("xinference_host"),
        "networks": value("xinference_networks"),
        "known_as": host.known_as if host.distributed else "",
        "port": host.listens,
        # A build on the host needs a compiler. Where packages come from find_links only, they are built already.
        "extras": [] if index.get("no_index") else value("xinference_extras"),
        "denied": value("xinference_denied_packages"),
        "search_path": host.search_path,
        "files": list(dict.fromkeys(file for part in parts for file in _files(part))),
        "directories": directories(host),
        "resolve": [
            str(value("models_reconcile_metrics_dir") or "")
            if host.settings.has("models_reconcile_metrics_dir")
            else "",
            *(str(model.get("path") or "") for model in host.declared),
        ],
        "accelerator": accelerator(host) if role_options is None else dict(role_options),
        "log_lines": log_lines,
        "co_located": next(({"service": part.service, "port": part.listens} for part in others), None),
        **_firewall(host),
    }


def without_plan(found: t.Mapping[str, t.Any], asked: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The result of the module without a plan: by one that the host made steps would run on a machine that it chooses (delegate_to).

    :param asked: options of the module.
    """
    told = {name: value for name, value in found.items() if name not in (*_OF_CONTROLLER, "co_located")}
    co_located = found.get("co_located") if asked["co_located"] else None
    if isinstance(co_located, dict):
        told["co_located"] = {name: value for name, value in co_located.items() if name not in _OF_CONTROLLER}
    return told


def of_part(found: t.Mapping[str, t.Any], part: str) -> dict[str, t.Any]:
    """The reading for one part of the host: a worker on its supervisor's host has its own service and port."""
    co_located = found.get("co_located") if part == WORKER else None
    return {**found, **co_located, "services": {}} if co_located else dict(found)


def _firewall(host: Host) -> dict[str, t.Any]:
    """Options that compare the firewall of the host, which lets in the hosts of the cluster by the addresses of their names there."""
    if not host.value("xinference_firewall") or (host.removed and removal.leaves_supervisor(host)):
        return {}
    # Where the rules go nobody is let in.
    members = () if host.removed else host.members.get("hosts", ())
    peers = [{"name": each["name"], "address": each["address"]} for each in members]
    asked = {"firewall": firewall.options(host.settings, [peer["name"] for peer in peers])}
    return {**asked, "network": {"name": host.name, "peers": peers}} if peers else asked


def told_without(host: Host) -> bool:
    """Whether the variables say all that a bundle needs of a host, so that it is not asked."""
    return host.value("xinference_torch") != "auto" and all(
        host.value(name) for name in ("xinference_bundle_python", "xinference_bundle_platform")
    )


def _files(host: Host) -> list[str]:
    files = [host.etc(name) for name in ("env", "sh", "drained", "upgrading")]
    return [*files, host.auth_config, host.reconciler_password, host.reconciler, host.uv_config]


def directories(host: Host) -> list[dict[str, t.Any]]:
    """The directories that the role creates, with mode and whether the service's user owns them."""
    top = host.directory
    roots = [top, *(f"{top}/{name}" for name in ("etc", "releases", "tools")), host.value("xinference_models_dir")]
    return [
        *({"path": path, "mode": "0755", "service_owns": False} for path in roots),
        {"path": host.home, "mode": "0750", "service_owns": True},
        # The record of launches of role models, for the next run and for the reconciler.
        {"path": f"{top}/reconciler", "mode": "0755", "service_owns": True},
    ]


def none_computes(host: Host) -> bool:
    """A supervisor runs no model, and cards whose driver is removed run none."""
    return host.parts == [SUPERVISOR] or host.value("accelerator_state") == "absent"


def accelerator(host: Host) -> dict[str, t.Any]:
    """The options by which the module finds the build of PyTorch and the groups of the device nodes."""
    value = host.value
    return {
        "accelerator": "none" if none_computes(host) else value("accelerator"),
        "branch": value("accelerator_driver_branch"),
        "source": value("accelerator_source"),
        "cuda": value("accelerator_cuda"),
        "torch": value("xinference_torch"),
        "manage": value("accelerator_manage"),
    }
