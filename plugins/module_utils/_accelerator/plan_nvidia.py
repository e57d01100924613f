# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for NVIDIA's cards. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import products, versions
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
    OPEN,
    PROPRIETARY,
    Needs,
    name_of,
    needs_of,
    newest_cuda,
)

Facts = t.Mapping[str, t.Any]
Cards = t.Sequence[t.Mapping[str, t.Any]]
DISTRIBUTION, VENDOR = "distribution", "vendor"


def plan(draft: Draft, facts: Facts, wanted: PlanOptions) -> None:
    found, why_not = facts["nvidia"], only_checks(facts, wanted)
    cards = _usable(draft, [card for card in facts["cards"] if card["vendor"] == products.NVIDIA])
    if draft.refusals:
        return
    current = found["driver"]
    needs = _asked(draft, facts, wanted, cards)
    draft.driver = driver(
        products.NVIDIA,
        found=current,
        floor=needs.floor,
        floor_reason=needs.floor_reason,
        branch=versions.branch(current),
        kernel_modules=found["loaded_flavor"] or needs.modules,
    )
    _compat(draft, found)
    if draft.refusals:
        return
    if why_not:
        _check(draft, facts, needs, why_not)
    else:
        _change(draft, facts, wanted, needs, cards)
    _ended(draft, facts, draft.driver["branch"])
    draft.torch = _torch(needs)


def torch(draft: Draft, facts: Facts, wanted: PlanOptions) -> None:
    """Of the plan only the build of PyTorch, from what facts.base has."""
    cards = _usable(draft, [card for card in facts["cards"] if card["vendor"] == products.NVIDIA])
    if not draft.refusals:
        needs = _asked(draft, facts, wanted, cards)
        draft.torch = {} if draft.refusals else _torch(needs)


def _asked(draft: Draft, facts: Facts, wanted: PlanOptions, cards: Cards) -> Needs:
    if only_checks(facts, wanted):
        return needs_of(draft, cards, wanted, facts["nvidia"]["driver"])
    current = _current(facts)
    # What runs with a build of PyTorch stays.
    if current and not wanted.branch and needs_of(Draft(), cards, wanted, current).fit(current):
        return needs_of(draft, cards, wanted, current)
    offered = products.NVIDIA_OFFERED.get(facts["system"]["distribution"]["repository"], ())
    newest = str(max(offered, default="")) if wanted.source == DISTRIBUTION else ""
    return needs_of(draft, cards, wanted, wanted.branch or newest)


def _current(facts: Facts) -> str:
    """The driver's version. After an upgrade whose module was not built for this kernel, that of the libraries is meant."""
    found = facts["nvidia"]
    return t.cast(str, max(found["installed"], found["library"], key=versions.numbers) or found["loaded"])


def _usable(draft: Draft, cards: Cards) -> Cards:
    """The cards that this host computes with itself; refuses where that is none."""
    given_away = [card for card in cards if card["driver"].startswith("vfio")]
    if given_away:
        named = ", ".join(card["address"] for card in given_away)
        draft.warn("passed_through", f"{named} is given to virtual machines (vfio-pci) and not used here")
    kept = [card for card in cards if card not in given_away]
    if cards and not kept:
        draft.refuse(
            "passed_through", "all cards are given to virtual machines (vfio-pci): this host has none to compute with"
        )
    old = [card for card in kept if too_old(card)]
    for card in old:
        generation = products.GENERATIONS[card["generation"]]
        what = f"{name_of(card)} is {generation.name}: its last driver was {generation.last_branch}, and no PyTorch of today runs on it"
        if old == kept:
            draft.refuse("card_unsupported", f"{what}. Say accelerator: none, or take the card out")
        else:
            # The driver of the others ignores it; it may be there for a screen.
            draft.warn("card_unsupported", f"{what}. It is left out")
    return [card for card in kept if card not in old]


def too_old(card: t.Mapping[str, t.Any]) -> bool:
    """Whether no driver of today has it."""
    generation = products.GENERATIONS.get(card["generation"])
    return bool(generation and generation.last_branch and generation.last_branch < products.CUDA_FLOORS[12])


def _compat(draft: Draft, found: Facts) -> None:
    if found["compat"] and versions.numbers(found["compat"]) > versions.numbers(found["driver"]):
        draft.warn(
            "compat",
            f"CUDA's compatibility libraries {found['compat']} are installed; they do not count here, because only a program "
            "whose LD_LIBRARY_PATH names them uses them",
        )


def _check(draft: Draft, facts: Facts, needs: Needs, why_not: str) -> None:
    """Nothing is changed: only whether what is there will do."""
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
            + (f", or say cuda: {older}" if older >= needs.first_cuda else ""),
        )
    elif needs.last and versions.branch(found["driver"]) > needs.last:
        draft.refuse(
            "driver_too_new",
            f"the driver is {found['driver']}, which no longer drives all cards of this host (their last is {needs.last}), and {why_not}",
        )
    elif _mismatch(found):
        draft.refuse("mismatch", f"{_mismatch(found)}. Load the new module or start the host again")
    elif found["tool_error"]:
        draft.warn("nvidia_smi", f"nvidia-smi fails: {found['tool_error']}")
    _fabric_state(draft, facts)


def _mismatch(found: Facts) -> str:
    """How library and loaded module differ, which no program survives; "" where they do not."""
    loaded, library = found["loaded"], found["library"]
    if not loaded or not library or versions.numbers(loaded) == versions.numbers(library):
        return ""
    return (
        f"the loaded kernel module is {loaded} and the driver's libraries are {library}: programs fail with "
        "'Driver/library version mismatch' until both are the same"
    )


def _change(draft: Draft, facts: Facts, wanted: PlanOptions, needs: Needs, cards: Cards) -> None:
    found = facts["nvidia"]
    target = _target(draft, facts, wanted, needs)
    if draft.refusals:
        return
    installed = found["installed"] or found["loaded"]
    stays = _whole(found) and versions.same(installed, target) and _flavor_fits(found, needs)
    newer = "" if wanted.branch or stays else _built_elsewhere(facts)
    # Of a driver that stays the whole version: what is installed beside it has to be of the same.
    version = installed if stays else found["library"] if newer else ""
    draft.driver.update(
        branch=versions.branch(target),
        version=version or (target if "." in target else ""),
        kernel_modules=needs.modules or (_flavor(found) if stays else _flavor_of(target)),
        fabric=_fabric(facts, cards),
    )
    _broken(draft, found)
    if newer:
        draft.driver["text"] = f"{installed}, with modules for kernel {newer}; stays ({needs.floor_reason})"
        draft.reboot.append(f"the libraries are {found['library']}, and their modules are there for kernel {newer}")
    elif stays:
        modules = draft.driver["kernel_modules"]
        draft.driver["text"] = f"{installed}, {modules} kernel modules; stays ({needs.floor_reason})"
        _load(draft, facts, installed)
    else:
        _install(draft, facts, wanted, target)
    _nouveau(draft, facts)
    _around(draft, facts, wanted, cards)
    _fabric_state(draft, facts)


def _broken(draft: Draft, found: Facts) -> None:
    """What is there does not work; the change mends it, or a restart."""
    mismatch = _mismatch(found)
    if mismatch:
        draft.warn("mismatch", mismatch)
    elif found["tool_error"]:
        draft.warn("nvidia_smi", f"nvidia-smi fails: {found['tool_error']}")


def _load(draft: Draft, facts: Facts, installed: str) -> None:
    """Brings the kernel to run the installed module."""
    loaded = facts["nvidia"]["loaded"]
    if not loaded:
        draft.step("load", f"load the installed kernel module {installed}")
    elif versions.numbers(loaded) != versions.numbers(installed):
        _reload(draft, facts)


def _whole(found: Facts) -> bool:
    """Whether libraries and module on the disk are of one version, so that a start of the host makes them run."""
    module = found["installed"] or found["loaded"]
    return not found["library"] or versions.numbers(found["library"]) == versions.numbers(module)


def _built_elsewhere(facts: Facts) -> str:
    """The kernel that Ubuntu's precompiled modules came for, where an upgrade left the running one behind; "" for none."""
    library, running = facts["nvidia"]["library"], facts["system"]["kernel"]
    name = rf"linux-modules-nvidia-{versions.branch(library)}-(?:server-)?(?:open-)?(\d\S+)"
    found = (re.fullmatch(name, package) for package in facts["packages"]["installed"])
    kernels = {match.group(1) for match in found if match}
    newest = max(kernels, key=_release, default="")
    return newest if library and not _whole(facts["nvidia"]) and _release(newest) > _release(running) else ""


def _release(kernel: str) -> tuple[int, ...]:
    """6.8.0-85-generic as (6, 8, 0, 85)."""
    return tuple(int(number) for number in re.findall(r"\d+", kernel.rpartition("-")[0]))


def _reload(draft: Draft, facts: Facts) -> None:
    """The packages agree with each other; only the kernel still runs the module from before."""
    found, users = facts["nvidia"], users_of(facts, ("nvidia",))
    if users:
        draft.reboot.append(
            f"the loaded kernel module is {found['loaded']}, {found['installed']} is installed, and {users} use it"
        )
    else:
        draft.step("reload", f"load the kernel module {found['installed']} in place of {found['loaded']}")


def _target(draft: Draft, facts: Facts, wanted: PlanOptions, needs: Needs) -> str:
    """The branch or version that is to be there; "" where that is refused."""
    if wanted.branch:
        _check_branch(draft, wanted.branch, needs)
        return wanted.branch
    found, current = facts["nvidia"], _current(facts)
    if needs.fit(current):
        # Packages that have to be installed come in the newest version of the branch, not in the one that is there.
        return current if _whole(found) and _flavor_fits(found, needs) else str(versions.branch(current))
    if wanted.source == DISTRIBUTION:
        return _target_of_distribution(draft, facts, needs)
    return str(max(min(products.NVIDIA_DEFAULT, needs.last or products.NVIDIA_DEFAULT), needs.floor))


def _check_branch(draft: Draft, wanted: str, needs: Needs) -> None:
    """Refuses a branch or version that is asked for and cannot drive the cards."""
    asked = versions.branch(wanted)
    if not re.fullmatch(r"\d{3,}(\.\d+){0,2}", wanted):
        draft.refuse("branch", f"'{wanted}' is no branch of the driver (580) and no version (580.95.05)")
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
            f"driver branch {asked} has no proprietary kernel modules any more: their last is below {products.NVIDIA_OPEN_ONLY}",
        )


def _target_of_distribution(draft: Draft, facts: Facts, needs: Needs) -> str:
    """The default branch where the distribution has it and it fits, else its newest that fits."""
    offered = products.NVIDIA_OFFERED.get(facts["system"]["distribution"]["repository"], ())
    fitting = [branch for branch in offered if needs.fit(str(branch))]
    if not fitting:
        _not_offered(draft, facts, f"driver of {needs.floor} or later ({needs.floor_reason})")
        return ""
    return str(products.NVIDIA_DEFAULT if products.NVIDIA_DEFAULT in fitting else max(fitting))


def _ended(draft: Draft, facts: Facts, branch: int) -> None:
    known = products.NVIDIA_BRANCHES.get(branch)
    if known and known.end < facts["date"][:7]:
        draft.warn(
            "branch_ended",
            f"driver branch {branch} has had no fixes from NVIDIA since {known.end}: take {products.NVIDIA_DEFAULT}",
        )


def _not_offered(draft: Draft, facts: Facts, what: str) -> None:
    about = facts["system"]["distribution"]
    offered = products.NVIDIA_OFFERED.get(about["repository"], ())
    draft.refuse(
        "not_offered",
        f"{about['name']} itself has no {what}, but {', '.join(map(str, offered)) or 'none'}: take source: vendor, "
        "or what it has",
    )


def _source(draft: Draft, facts: Facts, wanted: PlanOptions, target: str) -> str:
    """Where the packages come from: the distribution where it has the branch, so that its kernel updates go along."""
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


def _flavor(found: Facts) -> str:
    return t.cast(str, found["installed_flavor"] or found["loaded_flavor"])


def _flavor_of(target: str) -> str:
    """The kernel modules that the packages of a branch take by themselves."""
    return OPEN if versions.branch(target) >= products.NVIDIA_OPEN_DEFAULT else PROPRIETARY


def _flavor_fits(found: Facts, needs: Needs) -> bool:
    """Whether the kernel modules that are there drive the cards; of unknown ones that is taken for granted."""
    return not needs.modules or _flavor(found) in ("", needs.modules)


def _install(draft: Draft, facts: Facts, wanted: PlanOptions, target: str) -> None:
    found = facts["nvidia"]
    before = found["installed"] or found["loaded"]
    modules = draft.driver["kernel_modules"]
    what = f"branch {target}" if "." not in target else target
    there = before or found["library"]
    if there and not _packaged(facts):
        draft.refuse(
            "not_packaged",
            f"driver {there} was not installed by packages that are known here, and {what} over it would leave parts of both "
            f"({draft.driver['floor_reason']}). Remove it first, by what installed it; or say manage: false",
        )
        return
    draft.driver["change"] = True
    draft.driver["text"] = f"{before or 'none'} -> {what}, {modules} kernel modules ({draft.driver['floor_reason']})"
    draft.driver["source"] = _source(draft, facts, wanted, target)
    if not unsupported(draft, facts, "NVIDIA", products.NVIDIA_DISTRIBUTIONS):
        draft.driver["repository"] = facts["system"]["distribution"]["repository"]
    builds_modules(draft, facts, wanted)
    draft.step(
        "driver",
        f"install NVIDIA's driver {what} with {modules} kernel modules" + (f" in place of {before}" if before else ""),
    )
    _held(draft, facts, target)
    in_use(draft, facts, ("nvidia",))
    if found["loaded"]:
        draft.reboot.append(f"the kernel runs the module {found['loaded']} until the next start")


def _packaged(facts: Facts) -> bool:
    """Whether the driver came by packages: by NVIDIA's installer (.run) or a container of drivers, no package has its version."""
    found, there = facts["nvidia"], facts["packages"]["driver"].values()
    return any(versions.same(v, own) for own in (found["installed"], found["loaded"], found["library"]) for v in there)


def _held(draft: Draft, facts: Facts, target: str) -> None:
    """What somebody else holds or pins at another version is theirs to release; the role moves its own holds along."""
    packages, own = facts["packages"], facts["record"].get("held", [])
    held = [(name, packages["driver"].get(name, "")) for name in packages["held"] if name not in own]
    pinned = [(pin["names"], pin["version"]) for pin in packages["pinned"] if "nvidia" in pin["names"]]
    other = [f"{name} {version}" for name, version in held + pinned if _differs(version, target)]
    if other:
        draft.refuse(
            "held",
            f"driver {target} is wanted, and held or pinned at another version: {', '.join(other[:6])}. Release them (apt-mark unhold, "
            f"/etc/apt/preferences.d, dnf versionlock delete), or ask for that branch",
        )


def _differs(version: str, target: str) -> bool:
    """Whether a package's version is of another driver; what has a version of its own kind (nvidia-modprobe 1) does not count."""
    return versions.branch(version) >= 100 and not versions.same(version, target)


def _nouveau(draft: Draft, facts: Facts) -> None:
    nouveau = facts["system"]["nouveau"]
    bound = [card["address"] for card in facts["cards"] if card["driver"] in ("nouveau", "nova", "nova_core")]
    if not nouveau["kept_off"] and (nouveau["loaded"] or draft.driver["change"]):
        draft.step("nouveau_off", "keep the kernel's own driver nouveau from loading")
    if nouveau["loaded"]:
        held = f", bound to {', '.join(bound)}" if bound else ""
        draft.warn(
            "nouveau",
            f"the kernel's own driver nouveau is loaded{held}: NVIDIA's cannot take the card before the next start",
        )
        draft.reboot.append("nouveau is loaded")


def _around(draft: Draft, facts: Facts, wanted: PlanOptions, cards: Cards) -> None:
    """Services and holds that belong to the driver."""
    packages = facts["packages"]
    # A driver that somebody else installed, and that works, is left as it is.
    ours = draft.driver["change"] or not set(packages["driver"]).isdisjoint(facts["record"].get("packages", ()))
    target = draft.driver["version"] or str(draft.driver["branch"])
    _fabric_services(draft, facts, target)
    if draft.driver["change"] or (ours and not _persists(facts, cards)):
        draft.step("persistence", "enable nvidia-persistenced, so that the driver stays initialised without a program")
    if wanted.container_toolkit and "nvidia-container-toolkit" not in packages["installed"]:
        draft.step("container_toolkit", "install nvidia-container-toolkit")
    added = any(step["name"] in ("driver", "fabric_manager") for step in draft.steps)
    if wanted.hold and (added or (ours and _loose(packages, target))) and packages["manager"]:
        draft.step("hold", "hold the driver's packages, so that no upgrade splits module and libraries")


def _persists(facts: Facts, cards: Cards) -> bool:
    """Whether the driver stays initialised without a program. Ubuntu's daemon runs without that, too."""
    answering = [card["persistence"] for card in cards if card["answers"]]
    return all(answering) if answering else bool(facts["nvidia"]["persistence_daemon"])


def _loose(packages: Facts, target: str) -> list[str]:
    """Packages of the driver that are not held; not those that only have its vendor's name."""
    of_driver = [name for name, version in packages["driver"].items() if versions.same(version, target)]
    return [name for name in of_driver if name not in packages["held"]]


def _fabric_services(draft: Draft, facts: Facts, target: str) -> None:
    """The service that makes the GPUs of one fabric reach each other, where it is missing or of another version."""
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
        if not _packaged(facts):
            draft.warn(
                "fabric",
                f"the fabric manager {target} does not run, and the driver was not installed by packages that are known here: install "
                "it as the driver was",
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


def _fabric(facts: Facts, cards: Cards) -> str:
    if facts["switches"]:
        return products.NVSWITCH
    kinds = {card["fabric"] for card in cards} - {""}
    # One SXM card of a board, passed to a virtual machine, has no fabric to manage.
    return kinds.pop() if kinds and len(cards) > 1 else ""


def _fabric_state(draft: Draft, facts: Facts) -> None:
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


def _torch(needs: Needs) -> dict[str, t.Any]:
    """``backend``: PyTorch's index of builds; "" for what the package index gives out by itself."""
    backend = "" if needs.cuda == products.CUDA_DEFAULT else products.TORCH_CUDA.get(needs.cuda, "")
    return dict(kind="cuda", cuda=needs.cuda, backend=backend, reason=f"built for CUDA {needs.cuda}")
