# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models that a server, or the cluster of a host, serves, and the facts that others read of it. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._address import server_url
from ansible_collections.modelops.inference.plugins.plugin_utils._site import models
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.network import loopback
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Settings

Options = dict[str, t.Any]
#: The worker's data from role xinference: host, address (with its port), started, and gpus.
Worker = t.Mapping[str, t.Any]


def url(host: Host) -> str:
    """The server as other machines call it. By which address its host is reached only the reading may know."""
    bind = str(host.value("xinference_host") or host.members.get("supervisor", {}).get("address", ""))
    names = [host.known_as, str(host.found["system"].get("address") or "")]
    return server_url(bind, host.value("xinference_port"), names)


def served(host: Host) -> Options:
    """Facts for other roles and the summary, with the models as they are declared."""
    users, given = host.authentication != "none", host.value("xinference_admin_password")
    return {
        "cluster": host.cluster,
        "version": host.value("xinference_version"),
        "loopback": loopback(str(host.value("xinference_host"))),
        "url": url(host),
        "api_key_file": f"{host.secrets}/client_key" if users else "",
        "admin_user": host.value("xinference_admin_user") if users else "",
        "admin_password": "the inventory" if given else f"{host.secrets}/admin_password",
        "directory": host.directory,
        "reconciler": host.reconciler if host.reconciles else "",
        "models": models.declared(host.declared),
    }


def login(settings: Settings) -> Options:
    """The administrator's login of a module on the settings' host to its server."""
    password = settings.value("xinference_admin_password")
    return {
        "username": settings.value("xinference_admin_user"),
        "password": password or None,
        "password_file": None if password else f"{settings.value('xinference_dir')}/secrets/admin_password",
    }


def accounts(host: Host) -> Options:
    """Users and client keys of a server."""
    if host.authentication == "none":
        return {"users": host.value("xinference_users"), "keys": []}
    given = host.value("xinference_client_key")
    key = {"name": "client", "path": f"{host.secrets}/client_key", **({"key": given} if given else {})}
    return {"users": [*host.value("xinference_users"), *_reconciler_users(host)], "keys": [key]}


def _reconciler_users(host: Host) -> list[Options]:
    """The reconciler's user, where the server has users. It may not administer."""
    if host.authentication != "database" or not host.settings.has("models_reconcile"):
        return []
    return [
        {
            "name": "reconciler",
            "password_path": host.reconciler_password,
            "permissions": ["models:list", "models:write", "models:register"],
            "state": "present" if host.reconciles else "absent",
        }
    ]


def of_models(host: Host, workers: t.Sequence[Worker], weights: t.Mapping[str, t.Any], gpus: Options) -> Options:
    """Options by which a module serves the declared models, as the variables of the server's host say.

    :param workers: of the cluster, those that this run has brought up. Others are not waited for, and the server says what they have.
    :param weights: on the host that is asked.
    :param gpus: ``gpus`` and ``gpu_sharing`` of the host's plan.
    """
    value, directory = host.api.value, host.api.value("xinference_dir")
    return {
        "endpoint": host.endpoint,
        **login(host.api),
        "models": on_workers(value("xinference_models") or [], addresses(host.members, workers)),
        "weights": weights,
        "replace": str(value("models_replace")).lower(),
        "prune": value("models_prune"),
        "parallel": value("models_parallel"),
        "workers": [worker["address"] for worker in workers],
        "new_workers": [worker["address"] for worker in workers if worker["started"]],
        # Also where this run has not heard of the workers.
        "cluster": host.distributed,
        "devices": [card for worker in workers for card in worker["gpus"]] if host.distributed else gpus["gpus"],
        "downloads": None if host.distributed else host.home,
        "gpu_sharing": gpus["gpu_sharing"],
        "remember": f"{directory}/reconciler/declared.json",
        "launch_timeout": value("models_launch_timeout"),
        "prove": value("models_prove"),
        "ready_timeout": host.value("xinference_start_timeout"),
        "log_path": f"{value('xinference_home')}/logs/xinference.log",
    }


def addresses(members: t.Mapping[str, t.Any], workers: t.Sequence[Worker]) -> dict[str, str]:
    """Address and port of each worker by the name of its host, as it says itself, or as the inventory has it.

    :param members: of the cluster, as clusters.members has them.
    """
    named = {row["host"]: f"{row['address']}:{row['port']}" for row in members.get("workers", [])}
    return {**named, **{worker["host"]: worker["address"] for worker in workers}}


def on_workers(declared: t.Iterable[t.Mapping[str, t.Any]], known: t.Mapping[str, str]) -> list[Options]:
    """The models, with the addresses of workers in the place of their hosts' names. Another text stays as it is."""
    return [
        {**model, "worker": known.get(model["worker"], model["worker"])} if model.get("worker") else dict(model)
        for model in declared
    ]
