# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clusters that a play sees, among all that serve the same Difys. Pure. Private to the collection.

A run that does not see every cluster cannot tell which models are nobody's. It sees none that a limit, a failure, `serial` or
another play keeps from it, nor one that the role models has not dealt with.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

LOCAL, SUPERVISORS, WORKERS = "xinference_local", "xinference_supervisors", "xinference_workers"
# In the place of a value that its host's variables do not give: it may be anything.
UNKNOWN: t.Any = object()


@dataclass
class Play:
    """The play around a task.

    :param hosts: all of its hosts.  :param batch: those of this batch (`serial`).  :param groups: of the inventory.
    :param limited: whether it runs with a limit.  :param read: gives the variables of a host.
    """

    hosts: t.Sequence[str]
    batch: t.Collection[str]
    groups: t.Mapping[str, t.Sequence[str]]
    limited: bool
    read: t.Callable[[str], t.Mapping[str, t.Any]]
    _known: dict[str, t.Mapping[str, t.Any]] = field(default_factory=dict)

    def value(self, host: str, name: str) -> t.Any:
        """A variable of a host, None where it has none."""
        try:
            if host not in self._known:
                self._known[host] = self.read(host)
            return self._known[host].get(name)
        except Exception:  # a host that is not there; a template that cannot be rendered may raise anything
            return None if host not in self._known else UNKNOWN

    def having(self, name: str) -> dict[str, t.Any]:
        """The hosts of the play that have a variable, with its value."""
        values = {host: self.value(host, name) for host in self.hosts}
        return {host: value for host, value in values.items() if value is not None and value is not UNKNOWN}

    def declared(self, host: str) -> t.Any:
        """The declared models of a host's cluster: the variable ``xinference_declared``, or that of the host's plan."""
        found = self.value(host, "xinference_declared")
        plan = (self.value(host, "xinference_found") or {}).get("plan") or {} if found is None else {}
        return plan.get("declared") if found is None else found

    def servers(self) -> list[str]:
        """Hosts of the play that speak for a cluster: its supervisor does for the workers."""
        workers = {*self.groups.get(WORKERS, ())} - {*self.groups.get(SUPERVISORS, ())}
        return [host for host in self.hosts if host not in workers]

    def cluster_of(self, host: str) -> str:
        """The name of a host's cluster."""
        found = (self.declared(host) or {}).get("cluster") or self.value(host, "xinference_cluster")
        return str(found or ("default" if host in self.groups.get(SUPERVISORS, ()) else host))

    def cluster_hosts(self) -> list[str]:
        """The default of the variable ``dify_cluster_hosts``."""
        own = [*self.groups.get(LOCAL, ()), *self.groups.get(SUPERVISORS, ())]
        return own or list(self.groups.get("all", ()))


@dataclass(frozen=True)
class Sight:
    """The visible part of a run: missing hosts of clusters, and whether it is limited or sees no cluster."""

    unseen: list[str]
    limited: bool
    none: bool

    @property
    def complete(self) -> bool:
        return not (self.unseen or self.limited or self.none)

    @property
    def reason(self) -> str:
        """Why it is not complete."""
        return ", ".join(self.unseen) or ("it is limited" if self.limited else "it sees no cluster")


def sight(play: Play, cluster_hosts: t.Collection[str], seen: t.Collection[str]) -> Sight:
    """
    :param cluster_hosts: hosts of clusters, the variable ``dify_cluster_hosts``. Other hosts may see the same group_vars.
    :param seen: hosts whose cluster the run knows.
    """
    # The supervisor declares the models of its cluster.
    workers = set(play.groups.get(WORKERS, ())) - set(play.groups.get(SUPERVISORS, ()))
    everyone = {*play.groups.get("all", ()), *play.hosts} - set(seen)
    declaring = {host for host in everyone if play.declared(host) is not None}
    suspects = {*cluster_hosts, *(set(play.hosts) - workers)} - set(seen)
    having = {host for host in suspects if play.value(host, "xinference_models") not in (None, [])}
    later = set(play.hosts) - set(play.batch)
    return Sight(sorted(declaring | having | later), play.limited, not seen)
