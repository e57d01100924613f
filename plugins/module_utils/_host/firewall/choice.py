# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The choice of the firewall on a host."""

from __future__ import annotations

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.firewalld import Firewalld
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.manager import Firewall
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.nftables import Nftables
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.ufw import Ufw

MANAGERS: tuple[type[Firewall], ...] = (Firewalld, Ufw, Nftables)


def detect() -> str:
    """The firewall that decides on this host: "firewalld", "ufw", "nftables", or "none". Needs no root."""
    return next((manager.kind for manager in MANAGERS if manager.usable()), "none")


def choose(kind: str, name: str) -> Firewall:
    """
    :param kind: "auto", or a manager's.  :raises ModelopsError: it cannot be used.
    """
    wanted = detect() if kind == "auto" else kind
    manager = next((manager for manager in MANAGERS if manager.kind == wanted), None)
    if manager is None:
        raise ModelopsError(
            "This host has no firewall that this module knows (firewalld or ufw active, or nft installed). Install the "
            "package nftables, or protect Xinference's ports outside the host."
        )
    if not manager.usable():
        raise ModelopsError(f"{manager.kind} was requested, but {manager.advice}; or choose manager: auto.")
    return manager(name)


def others(chosen: Firewall | None, name: str) -> list[Firewall]:
    """Managers in which rules of ours were left behind, when another was in charge."""
    found = [manager(name) for manager in MANAGERS if chosen is None or manager.kind != chosen.kind]
    return [manager for manager in found if manager.known()]
