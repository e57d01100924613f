# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that every kind of firewall can express: sources and ports. Pure."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system.network import IPV6_REASON

Range = tuple[int, int]
EPHEMERAL = "ephemeral"
ANYBODY = "0.0.0.0/0"


@dataclass(frozen=True)
class Accept:
    """New TCP connections of these sources to these ports are let in.

    :ivar sources: IPv4 addresses and networks, sorted; empty is anybody.  :ivar ports: ranges, sorted.
    """

    sources: tuple[str, ...]
    ports: tuple[Range, ...]

    def __str__(self) -> str:
        return f"accept TCP {ports_text(self.ports)} from {', '.join(self.sources) or 'anybody'}"


@dataclass(frozen=True)
class Rules:
    """:ivar accepts: who may come in.  :ivar drops: the ports on which nobody else may."""

    accepts: tuple[Accept, ...]
    drops: tuple[Range, ...]

    @property
    def lines(self) -> list[str]:
        drops = [f"drop TCP {ports_text(self.drops)} from others"] if self.drops else []
        return [str(accept) for accept in self.accepts] + drops


def desired(
    peers: t.Iterable[str],
    cluster_ports: t.Iterable[Range],
    api_port: int | None,
    api_networks: t.Iterable[str],
    except_ports: t.Iterable[int] = (),
) -> Rules:
    """The rules of one host.

    Peers reach the API, too: a worker asks it for the supervisor's address.

    :param except_ports: ports about which nothing is said, whoever listens there.
    """
    cluster = without(merged(cluster_ports), except_ports)
    api: tuple[Range, ...] = ((api_port, api_port),) if api_port else ()
    among = merged([*cluster, *api])
    hosts, clients = sources("peers", peers), sources("api_networks", api_networks)
    if ANYBODY in hosts:
        raise ModelopsError(
            f"peers: {ANYBODY} would let everybody reach ports that require no password. Give the cluster's hosts."
        )
    rows = [Accept(hosts, among)] if hosts and among else []
    if api and ANYBODY in clients:
        return Rules((*rows, Accept((), api)), without(among, [port for port, _same in api]))
    if api and clients:
        rows.append(Accept(clients, api))
    return Rules(tuple(rows), among)


def sources(option: str, texts: t.Iterable[str]) -> tuple[str, ...]:
    """IPv4 addresses and networks, the ones inside others left out, in one order.

    :raises ModelopsError: one is neither.
    """
    networks = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as exc:
            raise ModelopsError(
                f"{option}: {text} is not an IPv4 address or network ({exc}). Write it like 10.1.0.7 or 10.1.0.0/16."
            ) from None
        if not isinstance(network, ipaddress.IPv4Network):
            raise ModelopsError(f"{option}: {text} is IPv6, and {IPV6_REASON}. Give IPv4 addresses.")
        networks.append(network)
    collapsed = ipaddress.collapse_addresses(networks)
    return tuple(str(item.network_address if item.prefixlen == 32 else item) for item in collapsed)


def parse_ports(texts: t.Iterable[str], ephemeral: Range) -> list[Range]:
    """:param texts: "9999", "30000-30100" or "ephemeral".  :raises ModelopsError: one is none of these."""
    found = []
    for text in texts:
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text.strip())
        if text.strip() == EPHEMERAL:
            found.append(ephemeral)
        elif match:
            found.append(checked_range("cluster_ports", int(match[1]), int(match[2] or match[1])))
        else:
            raise ModelopsError(f"cluster_ports: {text} must be a port, a range like 30000-30100, or {EPHEMERAL}.")
    return found


def checked_range(option: str, low: int, high: int) -> Range:
    if not 0 < low <= high < 65536:
        raise ModelopsError(f"{option}: {low} to {high} is not a range of ports from 1 to 65535, the lower one first.")
    return low, high


def merged(ranges: t.Iterable[Range]) -> tuple[Range, ...]:
    """The same ports in as few ranges as possible, sorted."""
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return tuple(found)


def without(ranges: t.Iterable[Range], ports: t.Iterable[int]) -> tuple[Range, ...]:
    found = list(ranges)
    for port in ports:
        found = [
            part
            for low, high in found
            for part in ([(low, port - 1), (port + 1, high)] if low <= port <= high else [(low, high)])
            if part[0] <= part[1]
        ]
    return tuple(found)


def covers(ranges: t.Iterable[Range], port: int) -> bool:
    return any(low <= port <= high for low, high in ranges)


def ports_text(ranges: t.Iterable[Range], dash: str = "-", comma: str = ", ") -> str:
    return comma.join(str(low) if low == high else f"{low}{dash}{high}" for low, high in ranges)
