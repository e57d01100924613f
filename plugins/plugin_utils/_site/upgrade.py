# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upgrades, rollbacks and restarts before they begin: which release a host gets, and why it is refused. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible.utils.helpers import pct_to_int

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site import host_refusals
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import WORKER, Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.release import canonical
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import WORKERS

Reading = t.Mapping[str, t.Any]


class Links(t.NamedTuple):
    """The releases of a host: the one that is current, and the one that was before it, empty where there is none.

    :param cluster: of the host; a standalone server is a cluster of its own.
    """

    host: str
    cluster: str
    current: str
    previous: str

    @classmethod
    def of(cls, found: Reading) -> Links:
        """
        :param found: reading of a host, with its plan.
        """
        plan = found["plan"]
        cluster = plan["cluster"] if plan["distributed"] else plan["host"]
        return cls(plan["host"], cluster, found["current"], found["previous"])


def rollback_targets(links: t.Sequence[Links]) -> dict[str, str]:
    """The rollback release by host; empty if unknown.

    A host whose release is the one that another host of its cluster came from is there already, such as one that an upgrade has not come
    to. Any other host goes back to the release that it came from itself.

    :raises ModelopsError: that would leave a cluster with different versions.
    """
    before: dict[str, set[str]] = {}
    for link in links:
        before.setdefault(link.cluster, set()).add(link.previous)
    targets = {link.host: link.current if link.current in before[link.cluster] else link.previous for link in links}
    for cluster in before:
        mine = {link.host: targets[link.host] for link in links if link.cluster == cluster}
        # Hosts with a GPU and without have different releases of one version.
        if len({version(release) for release in mine.values() if release}) > 1:
            said = ", ".join(f"{host} from {release or 'none'}" for host, release in sorted(mine.items()))
            raise ModelopsError(
                f"cluster '{cluster}': its hosts had different releases before ({said}). Name the version to roll back to with "
                "-e xinference_rollback_to=... Nothing was changed."
            )
    return targets


def version(release: str) -> str:
    """Version of Xinference in a release's name."""
    return release.rpartition("-")[0]


def on_host(found: Reading, wanted: str) -> str:
    """A release on the host, by its name or its version; empty where the host does not have it."""
    releases: list[str] = list(found["releases"])
    of_version = [
        each
        for each in releases
        if re.fullmatch("[0-9a-f]+", each.rpartition("-")[2]) and canonical(version(each)) == canonical(wanted)
    ]
    named = [each for each in releases if each == wanted] or of_version
    # Of several releases of a version, the one that ran before, or the one that runs.
    first = [each for each in (found["previous"], found["current"]) if each in named]
    return next(iter([*first, *reversed(named)]), "")


def emptied(clusters: t.Mapping[str, t.Any], hosts: t.Sequence[str], batch: t.Any) -> list[str]:
    """Clusters that have several workers and would have none left while a batch of the play is changed.

    :param hosts: the workers of the play, in its order.
    :param batch: how many a batch takes, as `serial` of a play says it.
    """
    size = pct_to_int(str(batch), len(hosts))
    if size <= 0:
        size = max(1, len(hosts))
    batches = [set(hosts[start : start + size]) for start in range(0, len(hosts), size)]
    workers = {name: {row["host"] for row in cluster["workers"]} for name, cluster in clusters.items()}
    return [name for name, all_ in workers.items() if len(all_) > 1 and any(all_ <= taken for taken in batches)]


def refusals(host: Host, release: str, status: Reading) -> t.Iterator[str]:
    """Why a host must not change, before any host does, each with the remedy.

    :param release: that the host goes back to or goes on with; empty where the inventory names it.
    :param status: answer of its supervisor to the question for its workers; empty where it was not asked, or did not answer.
    """
    found, step = host.found, host.request.step
    if not found["current"]:
        yield (
            f"{host.who} has no Xinference of this collection. Install it first: ansible-playbook modelops.inference.site --limit "
            f"{host.name}. Nothing was changed."
        )
        return
    if step == "rollback" and release not in found["releases"] and not left_alone(host):
        yield _no_such_release(host)
    if step != "build" and host.auth_unreadable:
        yield f"{host.who}: {host.auth_unreadable} Nothing was changed."
    if step != "build" and release in [each["release"] for each in found["denied"]]:
        yield (
            f"{host.who}: the release {release} must not be started. {host_refusals.denied(host)} Install another one with "
            "ansible-playbook modelops.inference.upgrade. Nothing was changed."
        )
    yield from _of_cluster(host, status)


def left_alone(host: Host) -> bool:
    """Whether it is a worker that was drained by hand. One that a run which broke off has drained is changed."""
    return host.drained and not host.upgrading


def _no_such_release(host: Host) -> str:
    releases, wanted = host.found["releases"], host.value("xinference_rollback_to") or "from before"
    other = "name one of them with -e xinference_rollback_to=..., or install another with upgrade.yml"
    return (
        f"{host.who} has no release {wanted}. It runs {host.found['current']}, available releases: {', '.join(releases) or 'none'}:  "
        f"{other if releases else 'install one with site.yml'}. Nothing was changed."
    )


def _of_cluster(host: Host, status: Reading) -> t.Iterator[str]:
    """Whether the others of its cluster serve meanwhile."""
    if host.part != WORKER:
        return
    inventory, batch = host.settings.inventory, host.value("xinference_upgrade_batch")
    hosts = [each for each in inventory.members.get(WORKERS, ()) if each in inventory.play_hosts]
    own = [each for each in hosts if each in {row["host"] for row in host.members["workers"]}]
    # One of them says it.
    if host.name == next(iter(own), "") and host.cluster in emptied(host.clusters, hosts, batch):
        yield (
            f"xinference_upgrade_batch={batch} changes all workers of cluster {host.cluster} at once, so nothing would serve its "
            "models. Reduce the batch, or name some workers of each cluster with --limit and the others in another run. Nothing was "
            "changed."
        )
    here = f"{host.bind}:{host.value('xinference_worker_port')}"
    # It would fail the steps of others, which wait for it.
    if status.get("json") is not None and here not in (status["json"].get("workers") or {}):
        service = host.found["service"]
        yield (
            f"{host.who} is currently not a worker of {host.endpoint}: {here} is not registered there, its service is {service['active']}. "
            f"See its log ({service['commands']['log']}); start it with ansible-playbook modelops.inference.site, or drain it with "
            f"ansible-playbook modelops.inference.drain --limit {host.name}. Nothing was changed."
        )
