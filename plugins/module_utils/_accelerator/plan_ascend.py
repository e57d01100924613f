# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for Huawei's Ascend. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import products
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import (
    CHECK,
    Draft,
    PlanOptions,
    builds_modules,
    driver,
    in_use,
    only_checks,
)

# In the order in which they are installed: the firmware is written by the driver.
PARTS = ("driver", "firmware", "cann")


def plan(draft: Draft, facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> None:
    found, why_not = facts["ascend"], only_checks(facts, wanted)
    # In a container the nodes are what there is of the driver.
    there = {
        "driver": found["driver"] or (why_not and "its host's" if "/dev/davinci_manager" in found["nodes"] else ""),
        "firmware": found["firmware"] or why_not,
        "cann": found["cann"],
    }
    missing = [part for part in PARTS if not there[part]]
    draft.driver = driver(
        products.ASCEND,
        found=found["driver"],
        source="vendor",
        floor_reason="torch-npu needs a driver, firmware and CANN of releases that go together",
        text=", ".join(f"{part} {found[part] or 'not installed'}" for part in PARTS),
    )
    torch(draft, facts, wanted)
    if found["tool_error"]:
        draft.warn("npu_smi", f"npu-smi fails: {found['tool_error']}")
    if why_not:
        draft.mode = CHECK
        draft.driver["text"] += f"; nothing is changed, {why_not}"
        if "driver" in missing:
            draft.refuse(
                "no_nodes",
                f"an Ascend card is here, but no /dev/davinci_manager, and {why_not}: start a container with the devices "
                "/dev/davinci0, /dev/davinci_manager, /dev/devmm_svm and /dev/hisi_hdc",
            )
        return
    lacking = [part for part in missing if part not in wanted.ascend_files]
    if lacking:
        draft.refuse(
            "files_missing",
            f"Huawei distributes {' and '.join(lacking)} to its customers only: name the file of each, with its checksum",
        )
        return
    if "driver" in missing:
        draft.driver["change"] = True
        builds_modules(draft, facts, wanted)
        in_use(draft, facts, ("davinci",))
    for part in missing:
        draft.step(part, f"install {part} from its file")
    if "firmware" in missing:
        draft.reboot.append("the firmware runs after the next restart")


def torch(draft: Draft, facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> None:
    """The plan's build of PyTorch only. torch-npu must be of CANN's release and needs CANN's variables (set_env.sh): neither is
    seen to here, so that nothing else may count on the cards.
    """
    draft.torch = dict(
        kind="cpu", cuda=0, backend="cpu", reason="torch-npu, for Ascend, is not installed by this collection"
    )
    draft.warn(
        "torch_npu",
        "the role installs driver, firmware and CANN, and Xinference runs on the CPU: torch-npu and CANN's variables (set_env.sh) are not "
        "given to it",
    )
