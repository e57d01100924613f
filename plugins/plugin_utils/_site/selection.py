# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and tasks that a command line selects, and its refusals: Ansible skips a play without hosts or tasks, and ends well.

Pure. Private to the collection.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SUPERVISORS, WORKERS, Refusals

LOCAL = "xinference_local"
GROUPS = (SUPERVISORS, WORKERS, LOCAL)
OWN = ("xinference_canaries", *GROUPS)
# Playbooks that stop or start one worker.
_OF_WORKERS = ("drain", "undrain", "decommission")
# Names of the host that runs Ansible, which need no inventory.
_HERE = ("localhost", "127.0.0.1", "::1")
# A message names no more than these.
_MOST = 10
_SITE = "ansible-playbook modelops.inference"

Groups = t.Mapping[str, t.Iterable[str]]


@dataclass(frozen=True)
class Command:
    """The command line of a playbook.

    :param playbook: its name.
    :param limit: hosts and groups of ``--limit``.
    :param hosts: hosts of the playbook, whatever the limit.
    :param within: those of them that the limit leaves.
    :param example: an inventory that a message names.
    """

    playbook: str
    limit: t.Sequence[str] = ()
    tags: t.Sequence[str] = ()
    skipped: t.Sequence[str] = ()
    hosts: t.Sequence[str] = ()
    within: t.Sequence[str] = ()
    example: str = "inventories/mine"


def pattern(given: str | t.Iterable[str], groups: Groups) -> str:
    """The hosts of a play; of several groups of this collection those that the inventory has, because Ansible warns of others."""
    if isinstance(given, str):
        return given
    names = list(given)
    return ",".join([name for name in names if name in groups or name not in OWN] or names[:1])


def names(parts: t.Iterable[str]) -> list[str]:
    """The hosts and groups that a pattern names in full, without those that it leaves out by wildcard, range or expression."""
    found = [part.lstrip("&!").strip() for part in parts]
    return [name for name in found if name and not re.search(r"[*?~@\[\]]", name)]


def unknown(given: t.Iterable[str], groups: Groups) -> str:
    """Why names are refused, which the inventory does not have; empty where it has all of them."""
    hosts = sorted({host for members in groups.values() for host in members})
    known = {*groups, *hosts, *OWN, *_HERE}
    wrong = [name for name in dict.fromkeys(given) if name not in known]
    if not wrong:
        return ""
    near = [close[0] for name in wrong if (close := difflib.get_close_matches(name, [*hosts, *groups], n=1))]
    meant = f" Did you mean {', '.join(dict.fromkeys(near))}?" if near else ""
    others = sorted({*groups} - {"all", "ungrouped"})
    there = f" The inventory has the hosts {_listed(hosts)}; groups: {_listed(others)}."
    return f"{', '.join(wrong)}: the inventory has no host or group of that name.{meant}{there} Nothing was changed."


def refusals(command: Command, groups: Groups) -> Refusals:
    yield from _tags(command)
    wrong = unknown(names(command.limit), groups)
    misspelled = list(_misspelled(groups))
    if misspelled:
        yield from misspelled
    elif not command.hosts:
        yield _without_hosts(command, groups)
    elif wrong:
        yield f"--limit {wrong}"
    else:
        every = {host for members in groups.values() for host in members}
        # A group of the limit may have hosts of other kinds; a host that somebody names is meant.
        chosen = [part for part in command.limit if part in every and part not in groups]
        left = [name for name in chosen if name not in command.hosts]
        for host in left:
            yield f"{command.playbook} does not run on {host}, which --limit names. {_of_host(command, host, groups)}"
        if not left and not command.within:
            yield (
                f"{command.playbook} runs on no host that --limit {','.join(command.limit)} selects. It runs on {_listed(command.hosts)}. "
                "Nothing was changed."
            )


def _tags(command: Command) -> Refusals:
    told = []
    if command.tags and not {"all", "untagged"} & {*command.tags}:
        told.append(f"--tags {','.join(command.tags)} selects no task")
    if command.skipped:
        told.append(f"--skip-tags {','.join(command.skipped)} leaves out no task")
    if told:
        yield (
            f"{' and '.join(told)}: the tasks of this collection have no tags. Run {command.playbook} without: it changes only what "
            "differs, and --check --diff shows the differences. --limit selects hosts. To apply a part alone, use its role, such as "
            "modelops.inference.models, in a play of your own. Nothing was changed."
        )


def _misspelled(groups: Groups) -> Refusals:
    """Groups with hosts that no group of this collection has, and a name next to one of these: their hosts would be left out."""
    used = {host for name in GROUPS for host in groups.get(name, ())}
    for name, members in groups.items():
        hosts = list(members)
        near = difflib.get_close_matches(name.lower().replace("-", "_"), OWN, n=1, cutoff=0.9)
        # One with a number or a word more is a group of its own: xinference_workers_old.
        if name in OWN or not hosts or used & {*hosts} or not near or re.match(f"{near[0]}[_0-9]", name):
            continue
        yield (
            f"{name}, a group of the inventory with the hosts {_listed(hosts)}, is not a group of this collection: did you mean {near[0]}? "
            "Nothing was changed."
        )


def _without_hosts(command: Command, groups: Groups) -> str:
    servers = [host for group in (SUPERVISORS, LOCAL) for host in groups.get(group, ())]
    if command.playbook in _OF_WORKERS and servers:
        return (
            f"{command.playbook} is for workers, and the inventory has none (group {WORKERS}). A server without workers, such as "
            f"{servers[0]}, is started again by {_SITE}.restart, and removed by {_SITE}.remove. Nothing was changed."
        )
    if command.playbook == "capture" and servers:
        return f"The group {LOCAL} has no host. Name the host of the server: -e capture_hosts={servers[0]}. Nothing was changed."
    return (
        f"The inventory has none of the groups {', '.join(GROUPS)}, or no host in them, so nothing was changed. Correct the names of "
        f"its groups, or name another inventory, such as -i {command.example}."
    )


def _of_host(command: Command, host: str, groups: Groups) -> str:
    """The groups of a host on which a playbook does not run, and the command that is meant."""
    of = sorted(name for name, hosts in groups.items() if host in hosts and name not in ("all", "ungrouped"))
    about = f"{host} is in {', '.join(of) or 'no group'}, and {command.playbook} runs on {_listed(command.hosts)}."
    if not {*of} & {*GROUPS}:
        those = f"the group {WORKERS}" if command.playbook in _OF_WORKERS else f"one of the groups {', '.join(GROUPS)}"
        what = f"Name another host, or add {host} to {those} first."
    elif command.playbook in _OF_WORKERS:
        what = f"To start a server again: {_SITE}.restart --limit {host}. To remove it with all that it has: {_SITE}.remove --limit {host}."
    elif command.playbook == "reload":
        what = f"To start a worker again: {_SITE}.restart --limit {host}."
    elif command.playbook == "rotate":
        what = "The secrets of a worker are those of its cluster: name its supervisor."
    elif command.playbook == "capture":
        what = f"Name the server: -e capture_hosts={host}."
    else:
        what = "Name other hosts."
    return f"{about} {what} Nothing was changed."


def _listed(found: t.Sequence[str]) -> str:
    more = len(found) - _MOST
    return ", ".join(found[:_MOST]) + (f" and {more} more" if more > 0 else "") if found else "none"
