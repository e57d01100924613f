# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports, addresses and networks. Pure. Private to the collection."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._address import address_problem, host_problem
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import (
    SUPERVISORS,
    WORKERS,
    Refusals,
    Settings,
)

OWN_PORTS = ("xinference_port", "xinference_supervisor_port", "xinference_worker_port")
# 0 is a random one.
OTHER_PORTS = ("xinference_metrics_port", "xinference_weights_port")
NETWORKS = ("xinference_networks", "xinference_api_networks")


def refusals(settings: Settings) -> Refusals:
    yield from _ports(settings)
    yield from _ranges(settings)
    yield from _address(settings)
    for name in NETWORKS:
        for value in settings.get(name) or ():
            if isinstance(value, str) and not _network(value):
                yield f"{name} has {value!r}, which is not an IPv4 network. Write one such as 10.0.0.0/8."
    yield from _firewall(settings)
    yield from _seed(settings)
    yield from _captured(settings)


def _ports(settings: Settings) -> Refusals:
    found = {name: settings.get(name) for name in (*OWN_PORTS, *OTHER_PORTS)}
    ports = {name: value for name, value in found.items() if isinstance(value, int)}
    for name, port in ports.items():
        if not _port(port) and not (port == 0 and name in OTHER_PORTS):
            random = ", or 0 for a random one" if name in OTHER_PORTS else ""
            yield f"{name} must be between 1 and 65535{random} (it is {port})."
    own = [ports[name] for name in OWN_PORTS if name in ports]
    if len(own) == len(OWN_PORTS) > len(set(own)):
        yield (
            "xinference_port, xinference_supervisor_port and xinference_worker_port must be three ports "
            f"(they are {own[0]}, {own[1]} and {own[2]})."
        )
    for name in OTHER_PORTS:
        twice = next((other for other in OWN_PORTS if ports.get(name) and ports.get(other) == ports[name]), None)
        if twice:
            yield f"{name} is {ports[name]}, the port of {twice}. Choose another port."
    if ports.get("xinference_metrics_port") and ports["xinference_metrics_port"] == ports.get(
        "xinference_weights_port"
    ):
        yield "xinference_metrics_port and xinference_weights_port are the same port. Change one of them."


def _ranges(settings: Settings) -> Refusals:
    for port in settings.get("xinference_firewall_except_ports") or ():
        if isinstance(port, (int, str)) and str(port).lstrip("-").isdigit() and not _port(int(port)):
            yield f"xinference_firewall_except_ports has {port}; a port must be between 1 and 65535."
    ports = settings.get("xinference_port_range") or []
    if not ports or not all(isinstance(port, int) for port in ports):
        return
    if len(ports) != 2 or not all(map(_port, ports)) or ports[0] >= ports[1]:
        yield (
            "xinference_port_range must be the first and the last port in ascending order, each between 1 and 65535 "
            f"(it is {', '.join(map(str, ports))}). Write it as [32768, 60999]."
        )


def _port(number: int) -> bool:
    return 0 < number < 65536


def _address(settings: Settings) -> Refusals:
    host = settings.get("xinference_host")
    distributed = settings.inventory.distributed
    if isinstance(host, str):
        if distributed and host == "0.0.0.0":
            yield (
                "xinference_host is 0.0.0.0, which the other hosts of the cluster cannot call. Name an address of this "
                "host, its network with xinference_networks, or leave both unset."
            )
        elif ":" in host:
            yield (
                f"xinference_host is {host}. Xinference joins address and port with a colon, so this must be an IPv4 address or a host "
                "name."
            )
        elif host == "" and not distributed:
            yield "xinference_host is empty. A standalone server needs an address such as 127.0.0.1, or 0.0.0.0 for all addresses."
        elif host and host_problem(host):
            yield f"xinference_host {host_problem(host)} (it is {host!r})."
    metrics = settings.get("xinference_metrics_host")
    if isinstance(metrics, str) and metrics and not _ip(metrics) and host_problem(metrics):
        yield f"xinference_metrics_host {host_problem(metrics)} (it is {metrics!r})."


def loopback(host: str) -> bool:
    return re.fullmatch(r"127([.][0-9]{1,3}){3}|localhost", host) is not None


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _network(text: str) -> bool:
    try:
        ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return False
    return True


def _firewall(settings: Settings) -> Refusals:
    if settings.get("xinference_firewall") and settings.get("xinference_api_networks") == []:
        yield (
            "xinference_firewall closes the API port for all networks except xinference_api_networks, which is empty. Name the client "
            "networks, such as 10.0.0.0/8, or 0.0.0.0/0 for everybody."
        )


def _captured(settings: Settings) -> Refusals:
    """The server that the playbook capture reads. Its address is not told, because it may hold a login."""
    url = settings.get("capture_endpoint")
    if not isinstance(url, str) or not url:
        return
    problem = address_problem(url, example="http://10.1.2.3:9997")
    if problem:
        yield f"capture_endpoint {problem}."
    elif "@" in url:
        yield "capture_endpoint contains a login, which is not sent. Give it as capture_username and capture_password_file."
    elif re.search(r"[?#]|/v1/?$", url):
        yield f"capture_endpoint must be the server's address, without /v1, ? or # (it is '{url}')."


def unauthenticated(settings: Settings) -> Refusals:
    """Of playbooks that start a server: others would reach one without authentication."""
    host = settings.get("xinference_host")
    allowed = settings.get("xinference_auth") is not False or settings.get("xinference_allow_unauthenticated")
    if isinstance(host, str) and not allowed and not loopback(host):
        yield (
            f"xinference_auth is false and xinference_host is {host or 'an address of the network'}, so anyone who reaches the port could "
            "run code on this host. Enable authentication, bind to 127.0.0.1, or set xinference_allow_unauthenticated: true."
        )


def _seed(settings: Settings) -> Refusals:
    """The host that others get their weights from."""
    seed, about = settings.get("xinference_weights_seed"), settings.inventory
    if not seed or seed == about.host:
        return
    if about.members and not any(seed in hosts for hosts in about.members.values()):
        yield f"xinference_weights_seed is '{seed}', which is not a host of the inventory. Correct or remove it."
        return
    if seed not in about.play_hosts or settings.get("xinference_bundle") != "":
        return
    theirs = about.variables(seed)
    closed = str(theirs.get("xinference_firewall", False)).lower() in ("true", "yes", "on", "1", "y", "t")
    if closed and str(theirs.get("xinference_weights_port", 0)) == "0" and not _same_cluster(settings, seed, theirs):
        yield (
            f"its weights come from {seed}, whose firewall (xinference_firewall) opens a random port only for its own cluster. Set "
            f"xinference_weights_port of {seed}."
        )


def _same_cluster(settings: Settings, host: str, theirs: t.Mapping[str, t.Any]) -> bool:
    about = settings.inventory
    clustered = {*about.members.get(SUPERVISORS, ()), *about.members.get(WORKERS, ())}
    own = str(settings.get("xinference_cluster"))
    return about.distributed and host in clustered and str(theirs.get("xinference_cluster", "default")) == own
