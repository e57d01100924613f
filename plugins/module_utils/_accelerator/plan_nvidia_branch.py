# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The branch or version of NVIDIA's driver that fits, and where its packages come from. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    plan_nvidia_installed,
    products,
    versions,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import Draft, PlanOptions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.needs_nvidia import (
    OPEN,
    PROPRIETARY,
    DriverNeeds,
)

Facts = t.Mapping[str, t.Any]
DISTRIBUTION, VENDOR = "distribution", "vendor"


def target(draft: Draft, facts: Facts, wanted: PlanOptions, needs: DriverNeeds) -> str:
    """The branch or version that the host needs; "" where that is refused."""
    if wanted.branch:
        _check_branch(draft, wanted.branch, needs)
        return wanted.branch
    found, current = facts["nvidia"], plan_nvidia_installed.current_version(facts)
    if needs.fit(current):
        # Packages that must be installed come in the newest version of the branch, not in the one that is there.
        stays = plan_nvidia_installed.agrees(found) and plan_nvidia_installed.modules_fit(found, needs)
        return current if stays else str(versions.branch(current))
    if wanted.source == DISTRIBUTION:
        return _target_of_distribution(draft, facts, needs)
    return str(max(min(products.NVIDIA_DEFAULT, needs.last or products.NVIDIA_DEFAULT), needs.floor))


def _check_branch(draft: Draft, wanted: str, needs: DriverNeeds) -> None:
    """Refuses a branch or version that is asked for and cannot drive the cards."""
    asked = versions.branch(wanted)
    if not re.fullmatch(r"\d{3,}(\.\d+){0,2}", wanted):
        draft.refuse("branch", f"'{wanted}' is neither a driver branch (580) nor a driver version (580.95.05)")
    elif asked < needs.floor:
        draft.refuse("branch_too_old", f"driver branch {wanted} is too old: {needs.floor_reason}")
    if needs.last and asked > needs.last:
        draft.refuse(
            "branch_too_new",
            f"driver branch {wanted} no longer drives all cards of this host: their last is {needs.last}",
        )
    if needs.modules == PROPRIETARY and asked >= products.NVIDIA_OPEN_ONLY:
        draft.refuse(
            "modules",
            f"driver branch {asked} no longer has proprietary kernel modules: their last is below {products.NVIDIA_OPEN_ONLY}",
        )


def _target_of_distribution(draft: Draft, facts: Facts, needs: DriverNeeds) -> str:
    """The default branch where the distribution has it and it fits, else its newest that fits."""
    offered = products.NVIDIA_OFFERED.get(facts["system"]["distribution"]["repository"], ())
    fitting = [branch for branch in offered if needs.fit(str(branch))]
    if not fitting:
        _not_offered(draft, facts, f"driver of {needs.floor} or later ({needs.floor_reason})")
        return ""
    return str(products.NVIDIA_DEFAULT if products.NVIDIA_DEFAULT in fitting else max(fitting))


def _not_offered(draft: Draft, facts: Facts, what: str) -> None:
    about = facts["system"]["distribution"]
    offered = products.NVIDIA_OFFERED.get(about["repository"], ())
    draft.refuse(
        "not_offered",
        f"{about['name']} itself has no {what}, but {', '.join(map(str, offered)) or 'none'}: set source: vendor, "
        "or choose a branch that it has",
    )


def package_source(draft: Draft, facts: Facts, wanted: PlanOptions, target: str) -> str:
    """The source of the packages: the distribution if it has the branch, so that its kernel updates fit."""
    named = facts["system"]["distribution"]["repository"]
    branch, fabric = versions.branch(target), draft.driver["fabric"]
    lacks = ""
    if fabric == products.NVLINK5:
        lacks = " with NVLink's subnet manager (nvlsm)"
    elif fabric == products.NVSWITCH and named.startswith("debian"):
        lacks = " with a fabric manager"
    elif (
        draft.driver["kernel_modules"] == PROPRIETARY
        and named.startswith("ubuntu")
        and branch >= products.UBUNTU_OPEN_ONLY
    ):
        lacks = " with proprietary kernel modules"
    own = branch in products.NVIDIA_OFFERED.get(named, ()) and not lacks
    if wanted.source == DISTRIBUTION and not own:
        _not_offered(draft, facts, f"driver {target}{lacks}")
    if wanted.source == DISTRIBUTION or (wanted.source == "auto" and own and "." not in target):
        return DISTRIBUTION
    return VENDOR


def default_modules(target: str) -> str:
    """The kernel modules that the packages of a branch take by themselves."""
    return OPEN if versions.branch(target) >= products.NVIDIA_OPEN_DEFAULT else PROPRIETARY


def warn_of_end(draft: Draft, facts: Facts, branch: int) -> None:
    known = products.NVIDIA_BRANCHES.get(branch)
    if known and known.end < facts["date"][:7]:
        draft.warn(
            "branch_ended",
            f"driver branch {branch} has had no fixes from NVIDIA since {known.end}: use {products.NVIDIA_DEFAULT}",
        )
