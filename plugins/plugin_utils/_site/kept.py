# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases that hosts have, for the playbooks rollback and restart: which one each takes, and why none. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

# Of each host what host_plan returned.
Readings = t.Mapping[str, t.Mapping[str, t.Any]]


class Link(t.NamedTuple):
    """What runs on a host, and what ran before; empty where nothing did."""

    host: str
    cluster: str
    current: str
    previous: str


def came_from(links: t.Sequence[Link]) -> dict[str, str]:
    """The release that each host goes back to; empty where nobody knows.

    A host whose release is the one that another host of its cluster came from is there already, such as one that an upgrade has not
    come to. Any other host goes back to the release that it came from itself.

    :raises ModelopsError: that would leave a cluster with different versions.
    """
    before: dict[str, set[str]] = {}
    for link in links:
        before.setdefault(link.cluster, set()).add(link.previous)
    targets = {link.host: link.current if link.current in before[link.cluster] else link.previous for link in links}
    for cluster in before:
        mine = {link.host: targets[link.host] for link in links if link.cluster == cluster}
        # Hosts with a GPU and without have different releases of one version.
        if len({release.rpartition("-")[0] for release in mine.values() if release}) > 1:
            said = ", ".join(f"{host} from {release or 'none'}" for host, release in sorted(mine.items()))
            raise ModelopsError(
                f"cluster '{cluster}': its hosts came from different releases ({said}). Name the version to return to with "
                "-e xinference_rollback_to=... Nothing was changed."
            )
    return targets


def named(found: t.Mapping[str, t.Any], wanted: str) -> str:
    """The release of a host by its name or its version; empty where it has none.

    Of several releases of a version it is the one that ran before, or the one that runs, or the newest.
    """
    releases = [wanted] if wanted in found["releases"] else []
    releases = releases or [each for each in found["releases"] if re.fullmatch(rf"{re.escape(wanted)}-[0-9a-f]+", each)]
    return next((each for each in (found["previous"], found["current"], *reversed(releases)) if each in releases), "")


def back(readings: Readings, wanted: str) -> dict[str, str]:
    """The release that each host rolls back to.

    :param wanted: the variable ``xinference_rollback_to``.
    :raises ModelopsError: a host has none, or must not start it; or a cluster would have different versions.
    """
    if wanted:
        releases = {host: named(found, wanted) for host, found in readings.items()}
    else:
        links = [_link(host, found) for host, found in readings.items() if not found["plan"]["drained"]]
        releases = {**dict.fromkeys(readings, ""), **came_from(links)}
    _refuse(readings, releases, [_lacking(host, readings[host], releases[host], wanted) for host in readings])
    return releases


def again(readings: Readings) -> dict[str, str]:
    """The release of each host that is restarted.

    :raises ModelopsError: a host has none, or must not start it.
    """
    releases = {host: str(found["current"]) for host, found in readings.items()}
    _refuse(readings, releases, [])
    return releases


def _link(host: str, found: t.Mapping[str, t.Any]) -> Link:
    # A server of its own is a cluster of its own.
    plan = found["plan"]
    return Link(host, plan["cluster"] if plan["distributed"] else host, found["current"], found["previous"])


def _lacking(host: str, found: t.Mapping[str, t.Any], release: str, wanted: str) -> str:
    """Why a host cannot roll back; empty where it can. One that is drained is left alone."""
    plan, kept = found["plan"], found["releases"]
    if release in kept or not found["current"] or plan["drained"] and not plan["upgrading"]:
        return ""
    how = (
        "name one of them with -e xinference_rollback_to=..., or install another with upgrade.yml"
        if kept
        else "install one with site.yml"
    )
    return (
        f"{_who(host, plan)} has no release {wanted or 'from before'}. It runs {found['current']}, kept are "
        f"{', '.join(kept) or 'none'}: {how}. Nothing was changed."
    )


def _refuse(readings: Readings, releases: t.Mapping[str, str], wrong: t.Sequence[str]) -> None:
    """
    :raises ModelopsError: with each of these sentences, and those of what no host must start.
    """
    lines = [*wrong]
    for host, found in readings.items():
        who, plan = _who(host, found["plan"]), found["plan"]
        if not found["current"]:
            lines.append(
                f"{who} has no Xinference of this collection. Install it first: ansible-playbook modelops.inference.site --limit {host}. "
                "Nothing was changed."
            )
        if plan["auth_unreadable"]:
            lines.append(f"{who}: {plan['auth_unreadable']} Nothing was changed.")
        if releases[host] in [each["release"] for each in found["denied"]]:
            lines.append(
                f"{who}: the release {releases[host]} must not be started. {plan['denied']} Install another with ansible-playbook "
                "modelops.inference.upgrade. Nothing was changed."
            )
    if any(lines):
        raise ModelopsError("\n".join(filter(None, lines)))


def _who(host: str, plan: t.Mapping[str, t.Any]) -> str:
    return f"{host} (cluster {plan['cluster']})"
