# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for AMD's cards. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import products
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import (
    CHECK,
    Draft,
    PlanOptions,
    builds_modules,
    driver,
    only_checks,
    unsupported,
)

# Of the device nodes /dev/kfd and /dev/dri/renderD*.
GROUPS = ("render", "video")


def plan(draft: Draft, facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> None:
    found, why_not = facts["amd"], only_checks(facts, wanted)
    torch(draft, facts, wanted)
    cards = [card for card in facts["cards"] if card["vendor"] == products.AMD and card["computes"]]
    for card in cards:
        name = f"{card['address']} ({card['name'] or card['id']})"
        if card["generation"] in products.AMD_DROPPED:
            draft.refuse(
                "card_unsupported",
                f"{name} is {card['generation']}, which ROCm no longer supports. Set accelerator: none",
            )
        elif card["generation"] not in products.AMD_SUPPORTED:
            draft.warn(
                "card_unknown",
                f"{name} is {card['generation'] or 'of an unknown target'}, and only ROCm tells whether it supports it",
            )
    ready = "/dev/kfd" in found["nodes"]
    draft.driver = driver(
        products.AMD,
        found=found["loaded"],
        source="vendor",
        floor_reason="PyTorch's builds for ROCm bring ROCm's libraries along and need /dev/kfd of amdgpu",
        text=f"amdgpu {found['loaded'] or 'not loaded'}, ROCm {found['rocm'] or 'not installed'}",
    )
    if found["tool_error"]:
        draft.warn("amd_smi", f"AMD's tool fails: {found['tool_error']}")
    if draft.refusals:
        return
    if why_not:
        draft.mode = CHECK
        draft.driver["text"] += f"; nothing is changed, {why_not}"
        if not ready:
            draft.refuse(
                "no_nodes",
                f"a card is here, but no /dev/kfd, and {why_not}: load amdgpu on the host, and start a container with "
                "--device /dev/kfd --device /dev/dri and its groups render and video",
            )
        return
    if not ready:
        draft.driver["change"] = True
        if not unsupported(draft, facts, "AMD", products.AMD_DISTRIBUTIONS):
            draft.driver["repository"] = facts["system"]["distribution"]["repository"]
        builds_modules(draft, facts, wanted)
        draft.step("driver", "install amdgpu-dkms")
        _refuse_foreign_holds(draft, facts)
        if found["loaded"]:
            draft.reboot.append(f"the kernel runs amdgpu {found['loaded']} until the next restart")
    if wanted.hold and draft.driver["change"]:
        draft.step("hold", "hold amdgpu-dkms")


def torch(draft: Draft, facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> None:
    """The parts of the plan that an environment and its service need: the build of PyTorch, and who owns the device nodes."""
    draft.torch = dict(kind="rocm", cuda=0, backend=products.TORCH_ROCM, reason="ROCm's libraries come with PyTorch")
    # Where amdgpu is installed, the role makes both groups.
    installs = "/dev/kfd" not in facts["amd"]["nodes"] and not only_checks(facts, wanted)
    draft.groups = list(GROUPS) if installs else facts["amd"]["groups"]


def _refuse_foreign_holds(draft: Draft, facts: t.Mapping[str, t.Any]) -> None:
    packages, own = facts["packages"], facts["record"].get("held", [])
    held = [
        f"{name} {packages['driver'][name]}"
        for name in packages["held"]
        if name in packages["driver"] and name not in own
    ]
    if held:
        draft.refuse(
            "held",
            f"the driver must change, and its packages are held: {', '.join(held[:6])}. Release them (apt-mark unhold)",
        )
