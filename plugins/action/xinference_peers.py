# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks from a host at the others of its cluster, and refuses what would part them; what is refused is in plugin_utils/_site/peers."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.action.xinference_network_info import ActionModule as Network
from ansible_collections.modelops.inference.plugins.plugin_utils._site.peers import Peers

SPEC = {
    "cluster": {"type": "str", "required": True},
    "members": {"type": "dict", "required": True},
    "announced": {"type": "dict", "required": True},
    "address": {"type": "str", "required": True},
    "firewall": {"type": "bool", "default": False},
    "behind": {"type": "bool", "default": False},
}


class ActionModule(Network):
    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        _checked, asked = self.validate_argument_spec(SPEC)
        peers, behind = _peers(asked, task_vars or {}), asked["behind"]
        # A firewall may block the ports until it is opened: then they are tried behind it.
        rows = peers.asked(ports=behind or not asked["firewall"])
        self._task.args = {"address": asked["address"], "peers": rows, "fail": not behind}
        result = super().run(tmp, task_vars)
        if result.get("failed"):
            return result
        known = _peers(asked, task_vars or {}, result["resolved"])
        if behind:
            refused = known.behind(result["problems"])
        else:
            refused = known.other_address() or (known.closed(asked["address"]) if asked["firewall"] else "")
        told = {"addresses": known.addresses, "let_in": known.let_in}
        return {**result, **told, **({"failed": True, "msg": refused} if refused else {})}


def _peers(
    asked: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any], resolved: t.Mapping[str, str] | None = None
) -> Peers:
    members = asked["members"]
    return Peers(
        host=str(known.get("inventory_hostname")),
        cluster=asked["cluster"],
        hosts=members["hosts"],
        supervisor=members["supervisor"]["host"],
        binds=asked["announced"],
        play_hosts=tuple(known.get("ansible_play_hosts_all") or ()),
        resolved=resolved or {},
    )
