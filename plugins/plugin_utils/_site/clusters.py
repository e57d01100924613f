# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Supervisor and workers of each cluster of an inventory. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import (
    SPECS,
    SUPERVISORS,
    WORKERS,
    Refusals,
    Settings,
)

LOCAL = "xinference_local"
# Of a cluster that has no name, as the role's defaults have it.
UNNAMED = "default"
_IN_BOTH = (
    f"in {LOCAL} and in {SUPERVISORS} or {WORKERS}, too. A host is either a standalone server or a member of a cluster: remove it from "
    "one of the groups."
)

Variables = t.Callable[[str], t.Mapping[str, t.Any]]


def members(groups: t.Mapping[str, t.Sequence[str]], variables: Variables) -> dict[str, dict[str, t.Any]]:
    """The supervisor, the workers, and the hosts with their ports, by cluster, in the form of facts.

    :param groups: of the inventory, each with its hosts.
    :param variables: gives those of a host, without the defaults of roles.
    :raises ModelopsError: a cluster has no supervisor, or two, or a host belongs to a cluster and has a server of its own.
    """
    supervisors, workers = groups.get(SUPERVISORS, []), groups.get(WORKERS, [])
    both = sorted(set(groups.get(LOCAL, [])) & {*supervisors, *workers})
    if both:
        raise ModelopsError(f"{', '.join(both)}: {_IN_BOTH}")
    clusters: dict[str, dict[str, t.Any]] = {}
    for host in supervisors:
        about = variables(host)
        name = str(about.get("xinference_cluster", UNNAMED))
        if name in clusters:
            raise ModelopsError(_two(name, clusters[name]["supervisor"]["host"], host))
        row = _row(host, about, "xinference_port")
        peer = {
            "name": host,
            "address": row["address"],
            "ports": [row["port"], _port(host, about, "xinference_supervisor_port")],
        }
        clusters[name] = {"supervisor": row, "workers": [], "hosts": [peer]}
    for host in workers:
        _add_worker(clusters, host, variables(host))
    return clusters


def refuse_one_machine(groups: t.Mapping[str, t.Sequence[str]], variables: Variables) -> None:
    """Refuses hosts that are the same machine. For the whole inventory at once, because a comparison for each host takes too long.

    :raises ModelopsError: two hosts are one machine, and would install into one directory at a time.
    """
    seen: dict[tuple[str, str], str] = {}
    for host in dict.fromkeys(host for group in (LOCAL, SUPERVISORS, WORKERS) for host in groups.get(group, ())):
        about = variables(host)
        address, port = (_plain(about, name) for name in ("ansible_host", "ansible_port"))
        other = seen.setdefault((address, port), host) if address else host
        if other != host and _plain(variables(other), "xinference_dir") == _plain(about, "xinference_dir"):
            raise ModelopsError(
                f"{other} and {host} are the same machine (ansible_host {address}) with the same xinference_dir. Remove one of them, or "
                "put one host into both groups of a cluster."
            )


def _plain(about: t.Mapping[str, t.Any], name: str) -> str:
    """A variable of a host as text; empty where there is none, or its template cannot be rendered, which is that host's own refusal."""
    try:
        return str(about.get(name) or "")
    except Exception:  # a filter, a lookup or a vault may raise anything
        return ""


def _add_worker(clusters: dict[str, dict[str, t.Any]], host: str, about: t.Mapping[str, t.Any]) -> None:
    name = str(about.get("xinference_cluster", UNNAMED))
    if name not in clusters:
        raise ModelopsError(f"{host}: {_unsupervised(name, clusters)}")
    row = _row(host, about, "xinference_worker_port")
    clusters[name]["workers"].append(row)
    if host == clusters[name]["supervisor"]["host"]:
        clusters[name]["hosts"][0]["ports"].append(row["port"])
    else:
        clusters[name]["hosts"].append({"name": host, "address": row["address"], "ports": [row["port"]]})


def _row(host: str, about: t.Mapping[str, t.Any], port: str) -> dict[str, t.Any]:
    address = about.get("xinference_host") or about.get("ansible_host") or host
    return {"host": host, "address": str(address), "port": _port(host, about, port)}


def _port(host: str, about: t.Mapping[str, t.Any], name: str) -> int:
    found = about.get(name)
    try:
        return int(SPECS.defaults[name] if found is None else found)
    except (OverflowError, TypeError, ValueError):
        raise ModelopsError(f"{host}: {name} is '{found}', which is not a port. Correct or remove it.") from None


def refusals(settings: Settings) -> Refusals:
    """Refusals of the groups of a host, and of the name of its cluster."""
    about, host = settings.inventory, settings.inventory.host
    name, groups = settings.get("xinference_cluster"), about.members
    if LOCAL in about.groups and about.distributed:
        yield f"it is {_IN_BOTH}"
    elif name is None or host not in (*groups.get(SUPERVISORS, ()), *groups.get(WORKERS, ())):
        return
    else:
        theirs = {
            each: _plain(about.variables(each), "xinference_cluster") or UNNAMED for each in groups.get(SUPERVISORS, ())
        }
        others = [each for each, cluster in theirs.items() if each != host and cluster == str(name)]
        if "supervisor" in about.parts and others:
            yield _two(str(name), host, others[0])
        elif about.parts == ["worker"] and not others:
            yield _unsupervised(str(name), theirs.values())


def _two(name: str, first: str, second: str) -> str:
    return (
        f"cluster '{name}' has two supervisors, {first} and {second}. Keep one in "
        f"{SUPERVISORS}, or give each cluster its own name with xinference_cluster."
    )


def _unsupervised(name: str, known: t.Iterable[str | None]) -> str:
    return (
        f"its cluster '{name}' has no supervisor. Put a host with xinference_cluster: {name} into "
        f"{SUPERVISORS}; clusters with a supervisor: {', '.join(sorted(map(str, known))) or 'none'}."
    )
