# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for NVIDIA's cards. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    plan_nvidia_branch,
    plan_nvidia_fabric,
    plan_nvidia_installed,
    products,
    versions,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import (
    CHECK,
    Draft,
    PlanOptions,
    builds_modules,
    driver,
    in_use,
    only_checks,
    unsupported,
    users_of,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.needs_nvidia import (
    DriverNeeds,
    name_of,
    needs_of,
    newest_cuda,
)

Facts = t.Mapping[str, t.Any]
Cards = t.Sequence[t.Mapping[str, t.Any]]


def plan(draft: Draft, facts: Facts, wanted: PlanOptions) -> None:
    found, why_not = facts["nvidia"], only_checks(facts, wanted)
    cards = _usable_cards(draft, [card for card in facts["cards"] if card["vendor"] == products.NVIDIA])
    if draft.refusals:
        return
    current = found["driver"]
    needs = _driver_needs(draft, facts, wanted, cards)
    draft.driver = driver(
        products.NVIDIA,
        found=current,
        floor=needs.floor,
        floor_reason=needs.floor_reason,
        branch=versions.branch(current),
        kernel_modules=found["loaded_flavor"] or needs.modules,
    )
    _warn_of_compat(draft, found)
    if draft.refusals:
        return
    if why_not:
        _check_driver(draft, facts, needs, why_not)
    else:
        _change_driver(draft, facts, wanted, needs, cards)
    plan_nvidia_branch.warn_of_end(draft, facts, draft.driver["branch"])
    draft.torch = _torch(needs)


def torch(draft: Draft, facts: Facts, wanted: PlanOptions) -> None:
    """The plan's build of PyTorch only, from what facts.base has."""
    cards = _usable_cards(draft, [card for card in facts["cards"] if card["vendor"] == products.NVIDIA])
    if not draft.refusals:
        needs = _driver_needs(draft, facts, wanted, cards)
        draft.torch = {} if draft.refusals else _torch(needs)


def _driver_needs(draft: Draft, facts: Facts, wanted: PlanOptions, cards: Cards) -> DriverNeeds:
    if only_checks(facts, wanted):
        return needs_of(draft, cards, wanted, facts["nvidia"]["driver"])
    current = plan_nvidia_installed.current_version(facts)
    # A driver that runs with a build of PyTorch stays.
    if current and not wanted.branch and needs_of(Draft(), cards, wanted, current).fit(current):
        return needs_of(draft, cards, wanted, current)
    offered = products.NVIDIA_OFFERED.get(facts["system"]["distribution"]["repository"], ())
    newest = str(max(offered, default="")) if wanted.source == plan_nvidia_branch.DISTRIBUTION else ""
    return needs_of(draft, cards, wanted, wanted.branch or newest)


def _usable_cards(draft: Draft, cards: Cards) -> Cards:
    """The cards that this host computes with itself; refuses where that is none."""
    given_away = [card for card in cards if card["driver"].startswith("vfio")]
    if given_away:
        named = ", ".join(card["address"] for card in given_away)
        draft.warn("passed_through", f"{named} is assigned to virtual machines (vfio-pci) and not used here")
    kept = [card for card in cards if card not in given_away]
    if cards and not kept:
        draft.refuse(
            "passed_through",
            "all cards are assigned to virtual machines (vfio-pci): this host has none to compute with",
        )
    old = [card for card in kept if too_old(card)]
    for card in old:
        generation = products.GENERATIONS[card["generation"]]
        what = f"{name_of(card)} is {generation.name}: its last driver was {generation.last_branch}, and no current PyTorch runs on it"
        if old == kept:
            draft.refuse("card_unsupported", f"{what}. Set accelerator: none, or remove the card")
        else:
            # The driver of the others ignores it; it may be there for a screen.
            draft.warn("card_unsupported", f"{what}. It is left out")
    return [card for card in kept if card not in old]


def too_old(card: t.Mapping[str, t.Any]) -> bool:
    """Whether no driver of today has it."""
    generation = products.GENERATIONS.get(card["generation"])
    return bool(generation and generation.last_branch and generation.last_branch < products.CUDA_FLOORS[12])


def _warn_of_compat(draft: Draft, found: Facts) -> None:
    if found["compat"] and versions.numbers(found["compat"]) > versions.numbers(found["driver"]):
        draft.warn(
            "compat",
            f"CUDA's compatibility libraries {found['compat']} are installed; they do not count here, because only a program "
            "whose LD_LIBRARY_PATH names them uses them",
        )


def _check_driver(draft: Draft, facts: Facts, needs: DriverNeeds, why_not: str) -> None:
    """Checks whether the installed driver suffices; nothing is changed."""
    found = facts["nvidia"]
    draft.mode = CHECK
    draft.driver["text"] = f"{found['driver'] or 'none'}; nothing is changed, {why_not}"
    outside = not facts["system"]["loads_modules"] or facts["system"]["container"]
    if not found["driver"]:
        draft.refuse(
            "no_driver",
            f"a card is here, but no driver of NVIDIA's, and {why_not}: install one (branch {products.NVIDIA_DEFAULT} or later) on "
            "the host"
            if outside
            else f"a card is here, but no driver of NVIDIA's is loaded, and {why_not}",
        )
    elif facts["system"]["container"] and not found["nodes"] and not facts["system"]["wsl"]:
        draft.refuse(
            "no_nodes",
            "this container sees the card, but has no device node of it (/dev/nvidia0): start it with its runtime's option for "
            "GPUs (docker run --gpus all, with nvidia-container-toolkit on the host)",
        )
    elif versions.branch(found["driver"]) < needs.floor:
        older = newest_cuda(found["driver"], needs.cuda - 1)
        draft.refuse(
            "driver_too_old",
            f"the driver is {found['driver']}; {needs.floor_reason}, and {why_not}. Update the driver"
            + (" on the host" if outside else "")
            + (f", or set cuda: {older}" if older >= needs.first_cuda else ""),
        )
    elif needs.last and versions.branch(found["driver"]) > needs.last:
        draft.refuse(
            "driver_too_new",
            f"the driver is {found['driver']}, which no longer drives all cards of this host (their last is {needs.last}), and {why_not}",
        )
    elif plan_nvidia_installed.mismatch(found):
        draft.refuse("mismatch", f"{plan_nvidia_installed.mismatch(found)}. Load the new module, or restart the host")
    elif found["tool_error"]:
        draft.warn("nvidia_smi", f"nvidia-smi fails: {found['tool_error']}")
    plan_nvidia_fabric.warn_of_fabric(draft, facts)


def _change_driver(draft: Draft, facts: Facts, wanted: PlanOptions, needs: DriverNeeds, cards: Cards) -> None:
    found = facts["nvidia"]
    target = plan_nvidia_branch.target(draft, facts, wanted, needs)
    if draft.refusals:
        return
    installed = found["installed"] or found["loaded"]
    stays = (
        plan_nvidia_installed.agrees(found)
        and versions.same(installed, target)
        and plan_nvidia_installed.modules_fit(found, needs)
    )
    newer = "" if wanted.branch or stays else plan_nvidia_installed.kernel_with_modules(facts)
    # Of a driver that stays the whole version: what is installed beside it must be of the same.
    version = installed if stays else found["library"] if newer else ""
    modules = plan_nvidia_installed.kernel_modules(found) if stays else plan_nvidia_branch.default_modules(target)
    draft.driver.update(
        branch=versions.branch(target),
        version=version or (target if "." in target else ""),
        kernel_modules=needs.modules or modules,
        fabric=plan_nvidia_fabric.fabric_of(facts, cards),
    )
    _warn_of_broken_driver(draft, found)
    if newer:
        draft.driver["text"] = f"{installed}, with modules for kernel {newer}; stays ({needs.floor_reason})"
        draft.reboot.append(f"the libraries are {found['library']}, and their modules are installed for kernel {newer}")
    elif stays:
        modules = draft.driver["kernel_modules"]
        draft.driver["text"] = f"{installed}, {modules} kernel modules; stays ({needs.floor_reason})"
        _load_module(draft, facts, installed)
    else:
        _install_driver(draft, facts, wanted, target)
    _disable_nouveau(draft, facts)
    _services_and_holds(draft, facts, wanted, cards)
    plan_nvidia_fabric.warn_of_fabric(draft, facts)


def _warn_of_broken_driver(draft: Draft, found: Facts) -> None:
    """Warns that the installed driver does not work; the change or a restart repairs it."""
    mismatch = plan_nvidia_installed.mismatch(found)
    if mismatch:
        draft.warn("mismatch", mismatch)
    elif found["tool_error"]:
        draft.warn("nvidia_smi", f"nvidia-smi fails: {found['tool_error']}")


def _load_module(draft: Draft, facts: Facts, installed: str) -> None:
    """Brings the kernel to run the installed module."""
    loaded = facts["nvidia"]["loaded"]
    if not loaded:
        draft.step("load", f"load the installed kernel module {installed}")
    elif versions.numbers(loaded) != versions.numbers(installed):
        _reload_module(draft, facts)


def _reload_module(draft: Draft, facts: Facts) -> None:
    """The packages agree with each other; only the kernel still runs the module from before."""
    found, users = facts["nvidia"], users_of(facts, ("nvidia",))
    if users:
        draft.reboot.append(
            f"the loaded kernel module is {found['loaded']}, {found['installed']} is installed, and {users} use it"
        )
    else:
        draft.step("reload", f"load the kernel module {found['installed']} in place of {found['loaded']}")


def _install_driver(draft: Draft, facts: Facts, wanted: PlanOptions, target: str) -> None:
    found = facts["nvidia"]
    before = found["installed"] or found["loaded"]
    modules = draft.driver["kernel_modules"]
    what = f"branch {target}" if "." not in target else target
    there = before or found["library"]
    if there and not plan_nvidia_installed.is_packaged(facts):
        draft.refuse(
            "not_packaged",
            f"driver {there} was not installed from packages that this collection knows, and {what} over it would leave parts of both "
            f"({draft.driver['floor_reason']}). Remove it first with the tool that installed it, or set manage: false",
        )
        return
    draft.driver["change"] = True
    draft.driver["text"] = f"{before or 'none'} -> {what}, {modules} kernel modules ({draft.driver['floor_reason']})"
    draft.driver["source"] = plan_nvidia_branch.package_source(draft, facts, wanted, target)
    if not unsupported(draft, facts, "NVIDIA", products.NVIDIA_DISTRIBUTIONS):
        draft.driver["repository"] = facts["system"]["distribution"]["repository"]
    builds_modules(draft, facts, wanted)
    draft.step(
        "driver",
        f"install NVIDIA's driver {what} with {modules} kernel modules" + (f" in place of {before}" if before else ""),
    )
    _refuse_foreign_holds(draft, facts, target)
    in_use(draft, facts, ("nvidia",))
    if found["loaded"]:
        draft.reboot.append(f"the kernel runs the module {found['loaded']} until the next restart")


def _refuse_foreign_holds(draft: Draft, facts: Facts, target: str) -> None:
    """Refuses packages that others hold or pin at another version; the role moves its own holds along."""
    packages, own = facts["packages"], facts["record"].get("held", [])
    held = [(name, packages["driver"].get(name, "")) for name in packages["held"] if name not in own]
    pinned = [(pin["names"], pin["version"]) for pin in packages["pinned"] if "nvidia" in pin["names"]]
    other = [f"{name} {version}" for name, version in held + pinned if _is_other_driver(version, target)]
    if other:
        draft.refuse(
            "held",
            f"driver {target} is wanted, and held or pinned at another version: {', '.join(other[:6])}. Release them (apt-mark unhold, "
            f"/etc/apt/preferences.d, dnf versionlock delete), or ask for that branch",
        )


def _is_other_driver(version: str, target: str) -> bool:
    """Whether a package's version is of another driver; what has a version of its own kind (nvidia-modprobe 1) does not count."""
    return versions.branch(version) >= 100 and not versions.same(version, target)


def _disable_nouveau(draft: Draft, facts: Facts) -> None:
    nouveau = facts["system"]["nouveau"]
    bound = [card["address"] for card in facts["cards"] if card["driver"] in ("nouveau", "nova", "nova_core")]
    if not nouveau["kept_off"] and (nouveau["loaded"] or draft.driver["change"]):
        draft.step("nouveau_off", "disable the kernel's own driver nouveau")
    if nouveau["loaded"]:
        held = f", bound to {', '.join(bound)}" if bound else ""
        draft.warn(
            "nouveau",
            f"the kernel's own driver nouveau is loaded{held}: NVIDIA's cannot take the card before the next restart",
        )
        draft.reboot.append("nouveau is loaded")


def _services_and_holds(draft: Draft, facts: Facts, wanted: PlanOptions, cards: Cards) -> None:
    """Services and holds that belong to the driver."""
    packages = facts["packages"]
    # A driver that somebody else installed, and that works, is left as it is.
    ours = draft.driver["change"] or not set(packages["driver"]).isdisjoint(facts["record"].get("packages", ()))
    target = draft.driver["version"] or str(draft.driver["branch"])
    plan_nvidia_fabric.manage_fabric(draft, facts, target)
    if draft.driver["change"] or (ours and not _persists(facts, cards)):
        draft.step("persistence", "enable nvidia-persistenced, so that the driver stays initialized without a program")
    if wanted.container_toolkit and "nvidia-container-toolkit" not in packages["installed"]:
        draft.step("container_toolkit", "install nvidia-container-toolkit")
    added = any(step["name"] in ("driver", "fabric_manager") for step in draft.steps)
    if wanted.hold and (added or (ours and _packages_not_held(packages, target))) and packages["manager"]:
        draft.step("hold", "hold the driver's packages, so that no upgrade splits module and libraries")


def _persists(facts: Facts, cards: Cards) -> bool:
    """Whether the driver stays initialized without a program. Ubuntu's daemon runs without that, too."""
    answering = [card["persistence"] for card in cards if card["answers"]]
    return all(answering) if answering else bool(facts["nvidia"]["persistence_daemon"])


def _packages_not_held(packages: Facts, target: str) -> list[str]:
    """Packages of the driver that are not held; not those that only have its vendor's name."""
    of_driver = [name for name, version in packages["driver"].items() if versions.same(version, target)]
    return [name for name in of_driver if name not in packages["held"]]


def _torch(needs: DriverNeeds) -> dict[str, t.Any]:
    """``backend``: PyTorch's index of builds; "" for what the package index gives out by itself."""
    backend = "" if needs.cuda == products.CUDA_DEFAULT else products.TORCH_CUDA.get(needs.cuda, "")
    return dict(kind="cuda", cuda=needs.cuda, backend=backend, reason=f"built for CUDA {needs.cuda}")
