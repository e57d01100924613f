# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewall that a host's variables ask for. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Settings

# The same whatever the cluster is called: rules by its old name would close what its new ones open.
NAME = "inference"


def options(settings: Settings, peers: t.Sequence[str]) -> dict[str, t.Any]:
    """The options of the module xinference_firewall.

    :param peers: addresses of the cluster's hosts, or their names where the module resolves them.
    """
    get = settings.get
    weights = get("xinference_weights_port")
    # Who asks for weights must show a token.
    gives = [weights] if get("xinference_weights_seed") == settings.inventory.host and weights else []
    return {
        "name": NAME,
        "state": get("xinference_state"),
        "peers": list(peers) if get("xinference_state") == "present" else [],
        "cluster_ports": [str(get("xinference_supervisor_port")), str(get("xinference_worker_port")), "ephemeral"],
        "api_port": get("xinference_port"),
        "api_networks": list(get("xinference_api_networks") or ()),
        "except_ports": [*(get("xinference_firewall_except_ports") or ()), *gives],
        "port_range": get("xinference_port_range") or None,
    }
