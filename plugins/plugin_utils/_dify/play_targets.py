# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Dify targets of a play whose hosts name different ones, each target once. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo

Target = t.Mapping[str, t.Any]
# Options that say which models of a target are registered where.
_PLACE = ("url", "email", "workspaces", "workspace", "models")


def union(
    named: t.Mapping[str, t.Sequence[Target]], everyone: t.Collection[str], cluster: t.Callable[[str], str]
) -> list[dict[str, t.Any]]:
    """All targets in their order. One that not every host names, and that selects no clusters, gets those of its hosts.

    Of a target that several hosts name the variables of the first one count: addresses in them may be templates.

    :param named: by host its targets.  :param everyone: the hosts of clusters.  :param cluster: gives the cluster of a host.
    :raises ModelopsError: two targets have one name.
    """
    found: list[dict[str, t.Any]] = []
    first: dict[str, tuple[str, Target]] = {}
    hosts: dict[str, list[str]] = {}
    for host, targets in named.items():
        for target in targets:
            owner, known = first.setdefault(target["name"], (host, target))
            hosts.setdefault(target["name"], []).append(host)
            if owner == host:
                found.append({**target})
                continue
            for option in _PLACE:
                one, other = _given(known, option), _given(target, option)
                if one != other:
                    raise ModelopsError(
                        f"dify_targets: {option} of {target['name']} is {one} for {owner}, and {other} for {host}. Give each target a "
                        "name of its own."
                    )
    for target in found:
        chosen = target.get("models") or {}
        if not {*everyone} <= {*hosts[target["name"]]} and not chosen.get("clusters"):
            clusters = list(dict.fromkeys(map(cluster, hosts[target["name"]])))
            target["models"] = {**chosen, "clusters": clusters}
    return found


def _given(target: Target, option: str) -> str:
    """The value without parts that are not set, as a text."""
    value = target.get(option)
    if isinstance(value, dict):
        value = {key: each for key, each in value.items() if each}
    elif isinstance(value, list):
        value = [each for each in value if each]
    return without_userinfo(str(value or "not set").rstrip("/"))
