# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of a host's firewall, as modules take them."""

from __future__ import annotations

import typing as t

#: Documented in doc_fragments/_firewall.py.
OPTIONS: dict[str, dict[str, t.Any]] = dict(
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    manager=dict(type="str", choices=["auto", "nftables", "firewalld", "ufw"], default="auto"),
    peers=dict(type="list", elements="str"),
    cluster_ports=dict(type="list", elements="str", default=["ephemeral"]),
    api_port=dict(type="int"),
    api_networks=dict(type="list", elements="str", default=[]),
    except_ports=dict(type="list", elements="int", default=[]),
    port_range=dict(type="list", elements="int"),
)
REQUIRED_IF: list[tuple[str, str, list[str]]] = [("state", "present", ["peers"])]
