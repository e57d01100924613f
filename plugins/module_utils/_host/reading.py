# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host but for its accelerator, read in one go, as the module xinference_host_info returns it. Private to the collection."""

from __future__ import annotations

import os
import shutil
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _log
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall import options as firewall_options
from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied, environments, release
from ansible_collections.modelops.inference.plugins.module_utils._host.service import (
    auth_database,
    service,
    service_manager,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.system import llama_cpp, network, peers, probe
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import weights

#: Documented in the module xinference_host_info.
OPTIONS: dict[str, dict[str, t.Any]] = dict(
    path=dict(type="path", required=True),
    home=dict(type="path", required=True),
    models_dir=dict(type="path", required=True),
    service=dict(type="str", default="xinference"),
    services=dict(type="list", elements="str", default=[]),
    log_lines=dict(type="int", default=0),
    networks=dict(type="list", elements="str", default=[]),
    known_as=dict(type="str", default=""),
    denied=dict(type="list", elements="str", default=[]),
    co_located=dict(
        type="dict", options=dict(service=dict(type="str", required=True), port=dict(type="int", required=True))
    ),
    service_manager=dict(type="str", choices=["auto", "systemd", "supervisord"], default="auto"),
    host=dict(type="str", default="127.0.0.1"),
    port=dict(type="int", default=9997),
    extras=dict(type="list", elements="str", default=[]),
    user=dict(type="str", default=""),
    search_path=dict(type="str", default=""),
    files=dict(type="list", elements="path", default=[]),
    directories=dict(
        type="list",
        elements="dict",
        default=[],
        options=dict(
            path=dict(type="path", required=True),
            mode=dict(type="str", required=True),
            service_owns=dict(type="bool", required=True),
        ),
    ),
    resolve=dict(type="list", elements="str", default=[]),
    network=dict(
        type="dict",
        options=dict(
            name=dict(type="str", required=True),
            address=dict(type="str", default=""),
            peers=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(name=dict(type="str", required=True), address=dict(type="str", required=True)),
            ),
        ),
    ),
    firewall=dict(type="dict", options=firewall_options.OPTIONS, required_if=firewall_options.REQUIRED_IF),
)


def read(p: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """See RETURN of the module xinference_host_info; its other keys come with the accelerator.

    :param p: see OPTIONS.
    """
    co_located = p["co_located"] or {}
    names = [p["service"], *p["services"], *([co_located["service"]] if co_located else [])]
    managers = {n: service.manager(p["service_manager"], n, os.path.join(p["path"], "supervisor")) for n in names}
    services = {name: _service(manager) for name, manager in managers.items()}
    unit_files = [path for manager in managers.values() for path in (manager.path, manager.timer_path) if path]
    since = probe.written(os.path.join(p["path"], "secrets"))
    user = probe.user(p["user"], p["home"])
    bind = _bind(p["host"], p["networks"], p["known_as"])
    found = {
        "system": probe.system(p["extras"]),
        "user": user,
        "disk": probe.disk(p["path"]),
        "entries": sorted(os.listdir(p["path"])) if os.path.isdir(p["path"]) else [],
        **_releases(p),
        "files": probe.files([*p["files"], *(each["path"] for each in p["directories"]), *unit_files]),
        "resolved": {
            path: os.path.realpath(path) for path in (p["path"], p["home"], p["models_dir"], *p["resolve"]) if path
        },
        "directories": probe.directories(p["directories"], p["user"], user["id"]),
        "secrets": sorted(since),
        "secrets_since": since,
        **_auth(p, managers[p["service"]]),
        "service": services.pop(p["service"]),
        "services": services,
        "log": _log.redacted(managers[p["service"]].log_tail(p["log_lines"])) if p["log_lines"] else "",
        "ffmpeg": shutil.which("ffmpeg", path=p["search_path"] or None) or "",
        "weights": weights.records(p["models_dir"]),
        "models_entries": weights.entries(p["models_dir"]),
        "bind": bind,
    }
    address = bind["address"] or p["host"]
    found["port"] = probe.port(address, p["port"], found["service"]["pid"])
    if co_located:
        own = services.pop(co_located["service"])
        found["co_located"] = {"service": own, "port": probe.port(address, co_located["port"], own["pid"])}
    return {**found, **_cluster(p, bind["address"])}


def _releases(p: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    directory = os.path.join(p["path"], "releases")
    built = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    current = release.pointed_at(os.path.join(p["path"], "current")) or ""
    return {
        "release": _release(os.path.join(directory, current)) if current else {},
        "releases": [name for name in built if environments.record(os.path.join(directory, name))],
        "current": current,
        "previous": release.pointed_at(os.path.join(p["path"], "previous")) or "",
        "lock_drift": environments.drift(os.path.join(directory, current), p["denied"]) if current else [],
        "denied": _denied(p, built),
    }


def _release(directory: str) -> dict[str, t.Any]:
    found = environments.record(directory)
    return {**found, "llama_cpp": llama_cpp.describe(directory)} if found else {}


def _auth(p: t.Mapping[str, t.Any], manager: service_manager.ServiceManager) -> dict[str, t.Any]:
    try:
        number = auth_database.users(p["home"])
    except auth_database.UnreadableDatabase as exc:
        remedy = auth_database.remedy(p["home"], os.path.join(p["path"], "backups"), manager.commands()["stop"])
        return {"auth_users": -1, "auth_unreadable": f"{exc}, so the server was left unchanged. {remedy}"}
    return {"auth_users": -1 if number is None else number, "auth_unreadable": ""}


def _denied(p: t.Mapping[str, t.Any], releases: t.Sequence[str]) -> list[dict[str, str]]:
    """The environments of this host with packages that must not be there."""
    places = {os.path.join(p["path"], "releases", name): name for name in releases}
    places.update(dict.fromkeys([os.path.join(p["path"], "supervisor", "environment")], ""))
    places.update(dict.fromkeys(environments.environments_below(os.path.join(p["home"], "virtualenv")), ""))
    found = (
        (path, name, denied.hits(environments.installed(path).items(), p["denied"])) for path, name in places.items()
    )
    return [{"release": name, "text": f"{path} has {denied.told(rows)}."} for path, name, rows in found if rows]


def _bind(host: str, networks: list[str], known_as: str) -> dict[str, str]:
    own = [row["address"] for row in network.own_addresses()]
    if host == "0.0.0.0":
        return {"address": host, "why_not": ""}
    text = host or ("" if networks else known_as)
    wanted = network.resolve([text], timeout=5)[text] if text else None
    # Its name among others may be loopback here (Debian), or an address behind NAT, which xinference_network_info tells. A name that
    # does not resolve is refused, so that a resolver that is down moves no server to another address.
    if wanted and not host and not wanted.error and not network.usable(wanted, own):
        wanted = None
    address, why_not = network.choose(wanted, network.parse_networks(networks), own, network.source_address(), [])
    return {"address": address, "why_not": why_not}


def _cluster(p: t.Mapping[str, t.Any], bind: str) -> dict[str, t.Any]:
    """The hosts of the cluster, and the firewall that lets them in, as far as they are asked for."""
    found = {"network": _network(p["network"], bind)} if p["network"] else {}
    if p["firewall"]:
        addresses = {**found["network"]["resolved"], p["network"]["name"]: bind} if found else {}
        found["firewall"] = _firewall(p["firewall"], addresses)
    return found


def _network(options: t.Mapping[str, t.Any], bind: str) -> dict[str, t.Any]:
    address = options["address"] or bind
    seen = peers.look(options["name"], address, [], options["peers"], timeout=3)
    problems = {peer.name: seen.judge([], 3, {peer.name}) for peer in seen.peers}
    if address:  # else RV(bind) tells why there is none
        problems[seen.me] = seen.own_problems + problems.get(seen.me, [])
    return {"resolved": seen.resolved, "problems": {name: " ".join(texts) for name, texts in problems.items() if texts}}


def _firewall(options: t.Mapping[str, t.Any], addresses: t.Mapping[str, str]) -> dict[str, t.Any]:
    """
    :param addresses: of the cluster's hosts by their names.
    """
    # Compiled on the host at every run: only where it is asked for.
    from ansible_collections.modelops.inference.plugins.module_utils._host.firewall import difference

    asked = [addresses.get(peer, peer) for peer in options["peers"] or ()]
    reached = [address for address in asked if address and not network.is_loopback(address)]
    try:
        plan = difference.compare({**options, "peers": reached}).plan
    except ModelopsError as exc:
        return {"differs": True, "plan": [], "refused": str(exc)}
    return {"differs": bool(plan), "plan": plan.lines, "refused": ""}


def _service(manager: service_manager.ServiceManager) -> dict[str, t.Any]:
    state = manager.state()
    return {
        "manager": manager.kind,
        "scope": manager.scope,
        "path": manager.path,
        "refusal": manager.refusal(),
        "timer_path": manager.timer_path,
        "installed": state.installed,
        "active": state.active,
        "enabled": state.enabled,
        "pid": state.pid,
        "config": probe.environment_of(state.pid, "MODELOPS_CONFIG") if state.pid else "",
        "release": probe.release_of(state.pid) if state.pid else "",
        "commands": manager.commands(),
    }
