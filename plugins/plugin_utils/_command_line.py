# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of ansible-playbook, and the hosts that it selects of an inventory. Private to the collection."""

from __future__ import annotations

import os
import typing as t

from ansible import constants, context
from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.parsing.dataloader import DataLoader

from ansible_collections.modelops.inference.plugins.plugin_utils._site import amounts, selection

_ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 2))


def known_hosts(pattern: t.Any, groups: selection.Groups, playbook: str = "", serial: t.Any = "100%") -> str:
    """The filter known_hosts."""
    text = selection.pattern(pattern, groups)
    wrong = next(amounts.batches("xinference_serial", serial), "") or refusal(text, groups, playbook)
    if wrong:
        raise AnsibleFilterError(wrong)
    return text


def refusal(text: str, groups: selection.Groups, playbook: str) -> str:
    """Why the first play of a playbook does not begin; empty where it does.

    :param text: the pattern of its hosts.
    :param playbook: empty where the command line is not judged.
    """
    parts = split_host_pattern(text)
    # A regular expression may have the characters that separate patterns.
    wrong = "" if any("~" in part for part in parts) else selection.unknown(selection.names(parts), groups)
    if wrong or not _runs(playbook):
        return wrong
    return " ".join(selection.refusals(_command(playbook, text, groups), groups))


def _runs(playbook: str) -> bool:
    """Whether the command line itself names the playbook, and runs it."""
    given = context.CLIARGS
    if not playbook or any(given.get(each) for each in ("syntax", "listhosts", "listtasks", "listtags")):
        return False
    files = [os.path.join(_ROOT, *part, f"{playbook}.yml") for part in ((), ("playbooks",))]
    named = [str(each) for each in given.get("args") or ()]
    return any(each == f"modelops.inference.{playbook}" or os.path.realpath(each) in files for each in named)


def _command(playbook: str, text: str, groups: selection.Groups) -> selection.Command:
    given = context.CLIARGS
    limit = given.get("subset") or ""
    # ansible.cfg may leave out tags of other tasks in every run.
    known = getattr(constants, "TAGS_SKIP", None) or ()
    skipped = [each for each in given.get("skip_tags") or () if each not in known]
    return selection.Command(
        playbook,
        split_host_pattern(limit),
        tuple(given.get("tags") or ()),
        skipped,
        _hosts(text, "", groups),
        _hosts(text, limit, groups),
        local if os.path.isdir(local := os.path.join(_ROOT, "inventories", "local")) else "inventories/mine",
    )


def _hosts(text: str, limit: str, groups: selection.Groups) -> list[str]:
    """Hosts of a pattern, as Ansible finds them."""
    inventory = InventoryManager(loader=DataLoader(), parse=False)
    for group, members in groups.items():
        inventory.add_group(group)
        for host in members:
            inventory.add_host(host, group)
    if limit:
        inventory.subset(limit)
    known = any(part in groups for part in split_host_pattern(text))
    return [] if text in selection.OWN and not known else [host.name for host in inventory.get_hosts(text)]
