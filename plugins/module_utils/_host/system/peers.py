# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of a cluster by their names, as one of them knows them. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._host.system import network


@dataclass(frozen=True)
class View:
    """
    :ivar me: name of this host.
    :ivar rows: its IPv4 addresses, each with its interface.
    :ivar peers: the hosts of the cluster, this one among them or not.
    :ivar address: this host's in the cluster, or "".  :ivar problem: why there is none.
    """

    me: str
    rows: list[dict[str, str]]
    peers: list[network.Peer]
    address: str = ""
    problem: str = ""

    @property
    def own(self) -> list[str]:
        return [row["address"] for row in self.rows]

    @property
    def resolved(self) -> dict[str, str]:
        """The address of each peer, empty for one that did not resolve."""
        return {peer.name: peer.meaning.address for peer in self.peers}

    @property
    def own_problems(self) -> list[str]:
        return [f"{self.me}: {self.problem}"] if self.problem else []

    def judge(
        self, reached: t.Iterable[t.Mapping[str, t.Any]], timeout: float, about: t.Collection[str] | None = None
    ) -> list[str]:
        """The problems of peers, see network.judge."""
        return network.judge(self.me, self.own, self.peers, reached, timeout, about)


def look(
    me: str, address: str, networks: t.Sequence[str], peers: t.Sequence[t.Mapping[str, t.Any]], timeout: float
) -> View:
    """Resolves the names of all peers, and chooses the address of this host. No port is asked.

    :param address: of this host, as a name or an address; "" chooses one by networks and peers.
    :param peers: {"name", "address", "ports"} of each.  :param timeout: seconds for the resolver.
    """
    known = network.parse_networks(networks)
    rows = network.own_addresses()
    meanings = network.resolve([peer["address"] for peer in peers] + ([address] if address else []), timeout)
    found = [network.Peer(peer["name"], meanings[peer["address"]], tuple(peer.get("ports", ()))) for peer in peers]
    others = [peer for peer in found if peer.name != me]
    ways = [peer.meaning.address for peer in others if peer.meaning.address and not peer.meaning.stray_loopback]
    route = network.source_address(*ways[:1]) or network.source_address()
    chosen, problem = network.choose(meanings.get(address), known, [row["address"] for row in rows], route, others)
    return View(me, rows, found, chosen, problem)
