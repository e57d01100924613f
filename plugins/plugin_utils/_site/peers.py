# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of a cluster as seen by one of them: its peers, its firewall's sources, its refusals. Pure.

Private to the collection.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

Peer = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Peers:
    """
    :param host: the host that asks.
    :param cluster: name of its cluster.
    :param hosts: members of the cluster, each with its name, the address by which others call it, and its ports.
    :param supervisor: name of its supervisor.
    :param binds: address that each host of the cluster tells by itself, of those that have come this far in the run.
    :param play_hosts: hosts of the play.
    :param resolved: what the name of each member means on the host that asks; empty before that is known.
    """

    host: str
    cluster: str
    hosts: t.Sequence[Peer]
    supervisor: str
    binds: t.Mapping[str, str]
    play_hosts: t.Collection[str]
    resolved: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [str(each["name"]) for each in self.hosts]

    @property
    def in_run(self) -> list[str]:
        """Members that have come this far in the run."""
        return [name for name in self.names if name in self.binds]

    @property
    def not_in_run(self) -> list[str]:
        """Members that are not in the run."""
        return [name for name in self.names if name not in self.play_hosts]

    def asked(self, *, ports: bool = True) -> list[dict[str, t.Any]]:
        """Options ``peers`` of the module xinference_network_info.

        Needed are the members that have come this far, and the supervisor of another run. The others may be down.

        :param ports: whether their ports are tried; a firewall may block them until it is opened.
        """
        needed = {*self.in_run, *({self.supervisor} - {*self.play_hosts})}
        rows = [{**each, "needed": each["name"] in needed, **({} if ports else {"ports": []})} for each in self.hosts]
        return sorted(rows, key=lambda row: not row["needed"])

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each member: its own report if it is in the run, else the resolution of its name here."""
        return {**self.resolved, **{name: self.binds[name] for name in self.in_run}}

    @property
    def let_in(self) -> list[str]:
        """Addresses that reach the ports of the cluster."""
        return sorted({each for each in self.addresses.values() if each and not _loopback(each)})

    def other_address(self) -> str:
        """Why a member cannot tell the cluster the address that it tells; empty where all can."""
        # A name may mean loopback on the host itself, but not elsewhere.
        own = _loopback(self.resolved.get(self.host, ""))
        names = [name for name in self.in_run if not (own and name == self.host)]
        wrong = [name for name in names if self.resolved.get(name, "") != self.binds[name]]
        if not wrong:
            return ""
        known = ", ".join(f"{name} at {self.resolved.get(name, '')}" for name in wrong)
        told = ", ".join(f"{name} at {self.binds[name]}" for name in wrong)
        return (
            f"{self.host} would reach {known}, by xinference_host, ansible_host or its name, but the address announced to cluster "
            f"{self.cluster} is {told}. Set xinference_host of that host to an address that both can use. Nothing was changed on "
            f"{self.host}."
        )

    def closed(self, bind: str) -> str:
        """Why the firewall would close to a member; empty where it lets in all.

        What a name means may be gone for a moment only, and the host may be serving.

        :param bind: address that this host listens on. Loopback is right for others only where this host is on it, too.
        """

        def unknown(address: str) -> bool:
            return not address or (_loopback(address) and not _loopback(bind))

        names = [name for name, address in self.addresses.items() if name != self.host and unknown(address)]
        if not names:
            return ""
        return (
            f"{self.host} (cluster {self.cluster}): the address of {', '.join(names)} is unknown, so the firewall would block "
            "a member of the cluster. Correct the name, set xinference_host of that host to its IPv4 address, or remove it from "
            f"the inventory. Nothing was changed on {self.host}."
        )

    def behind(self, problems: t.Sequence[str]) -> str:
        """Why the run does not go on behind the firewalls; empty where it does.

        :param problems: of the module xinference_network_info.
        """
        if not problems:
            return ""
        said = [f"{self.host} (cluster {self.cluster}), behind its firewall:", *problems]
        if self.not_in_run:
            said.append(
                f"Not in this run: {', '.join(self.not_in_run)}. Their firewalls open for new hosts only when they are in the run: run "
                "without --limit, or add these hosts to it."
            )
        return " ".join(said)


def _loopback(address: str) -> bool:
    return address.startswith("127.")
