# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for a host's accelerators, decided from facts alone: nothing here reads or changes a host.

Private to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    plan_amd,
    plan_ascend,
    plan_nvidia,
    products,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import (
    NONE,
    REFUSED,
    Draft,
    PlanOptions,
    text_of,
)

_TORCH = {products.NVIDIA: plan_nvidia.torch, products.AMD: plan_amd.torch, products.ASCEND: plan_ascend.torch}
_PLANNERS = {products.NVIDIA: plan_nvidia.plan, products.AMD: plan_amd.plan, products.ASCEND: plan_ascend.plan}


def plan(facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info, key ``plan``."""
    draft = Draft()
    draft.accelerator = _accelerator(draft, facts, wanted)
    _health(draft, facts)
    if draft.accelerator == NONE:
        draft.torch = _cpu()
    elif not draft.refusals:
        _PLANNERS[draft.accelerator](draft, facts, wanted)
    _package_manager(draft, facts)
    if draft.refusals:
        draft.mode, draft.steps, draft.reboot = REFUSED, [], []
    return {**dataclasses.asdict(draft), "lines": text_of(draft)}


def torch(facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> dict[str, t.Any]:
    """The parts of the plan that an environment and its service need, for playbooks that do not change drivers.

    :param facts: those of facts.base.
    :returns: ``accelerator``, ``torch`` and ``groups`` of the plan; ``refusals``, texts of why there is no such build.
    """
    draft = Draft()
    draft.accelerator = _accelerator(draft, facts, wanted)
    if draft.accelerator == NONE:
        draft.torch = _cpu()
    elif not draft.refusals:
        _TORCH[draft.accelerator](draft, facts, wanted)
    refusals = [refusal["text"] for refusal in draft.refusals]
    return {"accelerator": draft.accelerator, "torch": draft.torch, "groups": draft.groups, "refusals": refusals}


def _cpu() -> dict[str, t.Any]:
    return dict(kind="cpu", cuda=0, backend="cpu", reason="there is no accelerator to use")


def _accelerator(draft: Draft, facts: t.Mapping[str, t.Any], wanted: PlanOptions) -> str:
    there = facts["vendors"]
    if wanted.accelerator == NONE:
        draft.reason = "accelerator is none" + (f"; the {' and '.join(there)} here is left alone" if there else "")
        return NONE
    if wanted.accelerator != "auto":
        draft.reason = f"accelerator is {wanted.accelerator}"
        if wanted.accelerator not in there:
            seen = f"; there is {' and '.join(there)}" if there else ""
            draft.refuse(
                "no_device",
                f"no device of {wanted.accelerator} is in this host{seen}. Set accelerator: auto, or none for a host that "
                "computes on its CPU",
            )
        return wanted.accelerator
    about = facts["system"]
    if about["container"] and not about["wsl"] and not wanted.container_is_host:
        unreached = [vendor for vendor in there if not products.reached(facts[vendor], vendor)]
        there = [vendor for vendor in there if vendor not in unreached]
        if unreached:
            draft.warn(
                "no_nodes",
                f"this container sees cards of {' and '.join(unreached)} on its host's bus, but has no device node of any, and leaves "
                "them out. If they are for it, start it with its runtime's option for GPUs (docker run --gpus all)",
            )
    if len(there) > 1:
        draft.refuse(
            "several_vendors",
            f"this host has cards of {' and '.join(there)}, and one environment of Xinference has one build of PyTorch. "
            f"Set accelerator: {there[0]} or {there[-1]} for this host",
        )
    draft.reason = f"{' and '.join(there)} is in this host" if there else "there is no card here to compute with"
    return there[0] if there else NONE


def _health(draft: Draft, facts: t.Mapping[str, t.Any]) -> None:
    """Warnings of the kernel's log and of the cards; they do not stop the use of other cards."""
    for event in facts["log"]["events"]:
        if event["serious"]:
            code = f" {event['code']}" if event["code"] else ""
            times = f", {event['count']} times" if event["count"] > 1 else ""
            where = f" of {event['address']}" if event["address"] else ""
            draft.warn(event["kind"], f"the kernel's log has {event['kind']}{code}{where}{times}: {event['text']}")
    for card in facts["cards"]:
        name = f"{card['address']} ({card['name'] or card['vendor'] + ' ' + card['id']})"
        if not card["computes"]:
            continue
        if not card["alive"]:
            draft.warn(
                "card_gone",
                f"{name} no longer answers on the bus: reset it or restart the host; if it is still missing, reseat or replace it",
            )
        elif card["answers"] is False and not plan_nvidia.too_old(card):
            draft.warn("card_silent", f"{name} is on the bus, but its driver does not list it: see the kernel's log")
        if card["uncorrected_errors"]:
            draft.warn(
                "ecc",
                f"{name} has had {card['uncorrected_errors']} uncorrectable memory errors since its driver was loaded",
            )
        if card["reset_required"]:
            draft.warn("reset_required", f"{name} says that it needs a reset")
        if not card["healthy"]:
            draft.warn("unhealthy", f"{name} reports its health as {card.get('health', 'bad')}")


def _package_manager(draft: Draft, facts: t.Mapping[str, t.Any]) -> None:
    """Problems of the package manager; they only stop a run that installs packages."""
    if not draft.installs:
        return
    packages = facts["packages"]
    if packages["interrupted"]:
        draft.refuse(
            "dpkg_interrupted", "an earlier run of dpkg was interrupted: run 'dpkg --configure -a' and read its output"
        )
    for package in packages["broken"]:
        draft.refuse(
            "package_broken",
            f"the package {package['name']} is {package['state']}: run 'dpkg --configure -a' or 'apt-get -f install' and read "
            "its output; nothing can be installed before",
        )
