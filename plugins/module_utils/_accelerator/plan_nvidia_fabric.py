# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVLink's fabric between NVIDIA's cards, and the service that manages it. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    plan_nvidia_installed,
    products,
    versions,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import Draft, unsupported
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.plan_nvidia_branch import (
    DISTRIBUTION,
    VENDOR,
)

Facts = t.Mapping[str, t.Any]
Cards = t.Sequence[t.Mapping[str, t.Any]]


def fabric_of(facts: Facts, cards: Cards) -> str:
    if facts["switches"]:
        return products.NVSWITCH
    kinds = {card["fabric"] for card in cards} - {""}
    # One SXM card of a board, passed to a virtual machine, has no fabric to manage.
    return kinds.pop() if kinds and len(cards) > 1 else ""


def warn_of_fabric(draft: Draft, facts: Facts) -> None:
    waiting = [card for card in facts["cards"] if card["fabric_state"] in ("In Progress", "Not Started")]
    if waiting:
        named = ", ".join(card["address"] for card in waiting)
        draft.warn(
            "fabric",
            f"the NVLink fabric of {named} is not ready ({waiting[0]['fabric_state']}): CUDA fails (error 802) until it is",
        )
    failed = [
        c for c in facts["cards"] if c["fabric_state"] == "Completed" and c["fabric_status"] not in ("", "Success")
    ]
    if failed:
        draft.warn("fabric", f"the NVLink fabric of {failed[0]['address']} failed: {failed[0]['fabric_status']}")


def manage_fabric(draft: Draft, facts: Facts, target: str) -> None:
    """Plans the fabric manager if it is missing or has another version."""
    installed, fabric = facts["packages"]["driver"], draft.driver["fabric"]
    if fabric in (products.NVSWITCH, products.NVLINK5):
        manager = [version for name, version in installed.items() if "fabricmanager" in name.replace("-", "")]
        same = any(versions.same(version, target) for version in manager)
        if not same or not facts["nvidia"]["fabric_manager"]:
            _fabric_manager(draft, facts, target)
    if fabric == products.IMEX and not any("imex" in name for name in installed):
        draft.warn(
            "imex",
            "this is a tray of a rack: GPUs of other trays are reached with nvidia-imex, which is not installed here",
        )


def _fabric_manager(draft: Draft, facts: Facts, target: str) -> None:
    """From where the driver is: another source has other names of packages and other versions."""
    if not draft.driver["change"]:
        if not plan_nvidia_installed.is_packaged(facts):
            draft.warn(
                "fabric",
                f"the fabric manager {target} does not run, and the driver was not installed from packages that this collection knows: "
                "install it as the driver was",
            )
            return
        # The archive has no subnet manager.
        of_archive = draft.driver["fabric"] != products.NVLINK5 and any(
            "-server" in n for n in facts["packages"]["driver"]
        )
        draft.driver["source"] = DISTRIBUTION if of_archive else VENDOR
        if not of_archive:
            unsupported(draft, facts, "NVIDIA", products.NVIDIA_DISTRIBUTIONS)
    draft.step("fabric_manager", f"install and start the fabric manager {target}, the same version as the driver")
