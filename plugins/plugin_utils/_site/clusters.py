# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Supervisor and workers of each cluster of an inventory. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS, SUPERVISORS, WORKERS

LOCAL = "xinference_local"
# Of a cluster that has no name, as the role's defaults have it.
UNNAMED = "default"

Variables = t.Callable[[str], t.Mapping[str, t.Any]]


def members(groups: t.Mapping[str, t.Sequence[str]], variables: Variables) -> dict[str, dict[str, t.Any]]:
    """By name of the cluster its supervisor, its workers, and its hosts with their ports, as facts have them.

    :param groups: of the inventory, each with its hosts.
    :param variables: gives those of a host, without the defaults of roles.
    :raises ModelopsError: a cluster has no supervisor, or two, or a host belongs to a cluster and has a server of its own.
    """
    supervisors, workers = groups.get(SUPERVISORS, []), groups.get(WORKERS, [])
    both = sorted(set(groups.get(LOCAL, [])) & {*supervisors, *workers})
    if both:
        raise ModelopsError(
            f"{', '.join(both)}: in {LOCAL} and in {SUPERVISORS} or {WORKERS}, too. A host has a server of its own, or "
            "belongs to a cluster: take it out of one of the groups."
        )
    clusters: dict[str, dict[str, t.Any]] = {}
    for host in supervisors:
        about = variables(host)
        name = str(about.get("xinference_cluster", UNNAMED))
        if name in clusters:
            raise ModelopsError(
                f"cluster '{name}' has two supervisors, {clusters[name]['supervisor']['host']} and {host}. Leave one in "
                f"{SUPERVISORS}, or give the clusters names of their own with xinference_cluster."
            )
        row = _row(host, about, "xinference_port")
        peer = {
            "name": host,
            "address": row["address"],
            "ports": [row["port"], _port(about, "xinference_supervisor_port")],
        }
        clusters[name] = {"supervisor": row, "workers": [], "hosts": [peer]}
    for host in workers:
        _add_worker(clusters, host, variables(host))
    return clusters


def _add_worker(clusters: dict[str, dict[str, t.Any]], host: str, about: t.Mapping[str, t.Any]) -> None:
    name = str(about.get("xinference_cluster", UNNAMED))
    if name not in clusters:
        raise ModelopsError(
            f"{host}: its cluster '{name}' has no supervisor. Put a host with xinference_cluster: {name} into "
            f"{SUPERVISORS}; there are supervisors of {', '.join(sorted(clusters)) or 'no cluster'}."
        )
    row = _row(host, about, "xinference_worker_port")
    clusters[name]["workers"].append(row)
    if host == clusters[name]["supervisor"]["host"]:
        clusters[name]["hosts"][0]["ports"].append(row["port"])
    else:
        clusters[name]["hosts"].append({"name": host, "address": row["address"], "ports": [row["port"]]})


def _row(host: str, about: t.Mapping[str, t.Any], port: str) -> dict[str, t.Any]:
    address = about.get("xinference_host") or about.get("ansible_host") or host
    return {"host": host, "address": str(address), "port": _port(about, port)}


def _port(about: t.Mapping[str, t.Any], name: str) -> int:
    found = about.get(name)
    return int(SPECS.defaults[name] if found is None else found)
