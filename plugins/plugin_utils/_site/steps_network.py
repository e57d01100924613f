# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a cluster's network and of the hosts' firewalls. Pure. Private to the collection."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import firewall as firewalls
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Options, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan


def _addresses(mark: str, plan: HostPlan, run: Run) -> Call:
    """The address of each host that has come this far in the run, for all of them: the variables of another host are dear, and if each
    of N hosts read those of all, that would be N times N.

    :param mark: variable that tells that a host has.
    """
    hosts = [name for name in run.results["ansible_play_hosts"] if run.of(name, mark) is not None]
    return Call("", told={"addresses": {name: run.of(name, "xinference_found")["bind"]["address"] for name in hosts}})


def _peers(host: Host, run: Run) -> Options:
    return {
        "cluster": host.cluster,
        "members": host.members,
        "announced": run.result("xinference_addresses_known")["addresses"],
        "address": host.bind,
    }


def network(plan: HostPlan, run: Run) -> Call:
    """Tests all other hosts and reports the pair that fails. Ports behind a closed firewall are tested later."""
    return Call("xinference_peers", {**_peers(plan.host, run), "firewall": plan.host.value("xinference_firewall")})


def firewall(plan: HostPlan, run: Run) -> Call:
    host = plan.host
    peers = run.result("xinference_network_found").get("let_in", []) if host.distributed else []
    return Call("xinference_firewall", firewalls.options(host.settings, peers))


def network_behind(plan: HostPlan, run: Run) -> list[Call]:
    """Tries the ports of the cluster once the firewalls are open, where a service starts that needs them."""
    host = plan.host
    if run.check_mode or not host.distributed or not plan.starts:
        return []
    return [Call("xinference_peers", {**_peers(host, run), "firewall": True, "behind": True})]


STEPS: dict[str, t.Callable[[HostPlan, Run], Call | list[Call]]] = {
    "addresses": functools.partial(_addresses, "xinference_found"),
    "addresses_behind": functools.partial(_addresses, "xinference_firewall_result"),
    "firewall": firewall,
    "network": network,
    "network_behind": network_behind,
}
