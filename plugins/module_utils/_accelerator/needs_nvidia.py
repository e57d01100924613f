# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Driver requirements of NVIDIA's cards and of the PyTorch build. Private to the collection."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import products, versions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import Draft, PlanOptions

Card = t.Mapping[str, t.Any]
OPEN, PROPRIETARY = "open", "proprietary"


@dataclasses.dataclass(frozen=True)
class DriverNeeds:
    """Driver requirements of the cards and the PyTorch build."""

    cuda: int
    floor: int
    floor_reason: str
    last: int | None
    modules: str  # open or proprietary; "" where both will do
    first_cuda: int  # oldest major of a build of PyTorch with code for all cards

    def fit(self, version: str) -> bool:
        branch = versions.branch(version)
        return self.floor <= branch <= (self.last or branch)


class _Cards:
    """One card of each of the host's generations, in order."""

    def __init__(self, cards: t.Iterable[Card]):
        self._of = {card["generation"]: card for card in cards if card["generation"] in products.GENERATIONS}
        self.generations = [products.GENERATIONS[name] for name in self._of]

    def label(self, generation: products.Generation) -> str:
        return name_of(self._of[generation.name])

    def described(self, generation: products.Generation) -> str:
        return f"{self.label(generation)} is {generation.name}"


def name_of(card: Card) -> str:
    return f"{card['address']} ({card['name'] or card['id']})"


def needs_of(draft: Draft, cards: t.Iterable[Card], wanted: PlanOptions, fixed: str) -> DriverNeeds:
    """The requirements of the cards; refuses contradictory ones.

    :param fixed: the driver that PyTorch must follow, as it stays or is asked for; "" where the driver follows PyTorch.
    """
    kinds = _Cards(cards)
    for generation in kinds.generations:
        if generation.name == "newer":
            draft.warn(
                "card_unknown",
                f"{kinds.label(generation)} is newer than this collection knows: it gets the newest of everything",
            )
    asked = wanted.cuda or products.cuda_of(wanted.torch)
    if wanted.cuda and wanted.cuda not in products.TORCH_CUDA:
        majors = " or ".join(map(str, products.TORCH_CUDA))
        draft.refuse(
            "cuda_unknown", f"this collection knows no build of PyTorch for CUDA {wanted.cuda}: set cuda: {majors}"
        )
    first_cuda = _first_cuda(draft, kinds, wanted, asked)
    cuda = _cuda(draft, kinds, wanted, asked, fixed, first_cuda)
    follows = not asked and cuda == first_cuda > min(products.TORCH_CUDA)
    floor, reason = _floor(kinds, cuda, of_newest=follows)
    ending = [generation for generation in kinds.generations if generation.last_branch]
    oldest = min(ending, key=lambda generation: generation.last_branch or 0, default=None)
    last = oldest.last_branch if oldest else None
    if oldest and last and last < floor:
        draft.refuse(
            "cards_conflict",
            f"no driver fits all: {kinds.described(oldest)}, whose last driver is {last}, and {reason}",
        )
    return DriverNeeds(cuda, floor, reason, last, _modules(draft, kinds, wanted), first_cuda)


def _first_cuda(draft: Draft, kinds: _Cards, wanted: PlanOptions, asked: int) -> int:
    """The oldest CUDA major of a build of PyTorch with code for the cards; refuses an older one."""
    if wanted.torch == "cpu":
        return min(products.TORCH_CUDA)
    newest = max(kinds.generations, key=lambda generation: generation.first_cuda, default=None)
    if newest is None:
        return min(products.TORCH_CUDA)
    first = newest.first_cuda
    oldest = min(cuda for cuda, build in products.TORCH_CUDA.items() if products.cuda_version(build) >= first)
    # One that is named may be another than the plan takes of its major, such as cu128.
    named = "" if wanted.cuda else wanted.torch
    build = named if products.cuda_version(named)[0] else products.TORCH_CUDA.get(asked, "")
    if build and products.cuda_version(build) < first:
        draft.refuse(
            "card_too_new_for_cuda",
            f"{kinds.described(newest)}, which PyTorch's build {build} does not support: {_other(wanted, oldest)}",
        )
    return oldest


def _cuda(draft: Draft, kinds: _Cards, wanted: PlanOptions, asked: int, fixed: str, first_cuda: int) -> int:
    """The CUDA major of the build of PyTorch: as is asked for, else the newest for the cards and for a driver that stays."""
    ending = [generation for generation in kinds.generations if generation.last_cuda]
    oldest = min(ending, key=lambda generation: generation.last_cuda or 0, default=None)
    last = (oldest.last_cuda if oldest else None) or max(asked, products.CUDA_DEFAULT)
    if asked:
        if oldest and asked > last:
            draft.refuse(
                "card_too_old_for_cuda",
                f"{kinds.described(oldest)}, which CUDA {asked} does not support: {_other(wanted, last)}",
            )
        return asked
    newest = min(products.CUDA_DEFAULT, last)
    return max(newest_cuda(fixed, newest), first_cuda) if fixed else newest


def _other(wanted: PlanOptions, cuda: int) -> str:
    return f"set cuda: {cuda}" if wanted.cuda else f"name a build for CUDA {cuda}, or none"


def newest_cuda(version: str, most: int) -> int:
    """The newest CUDA major, up to ``most``, of a PyTorch that this driver runs; 0 where there is none."""
    able = (cuda for cuda in products.TORCH_CUDA if versions.branch(version) >= products.CUDA_FLOORS[cuda])
    return max((cuda for cuda in able if cuda <= most), default=0)


def _floor(kinds: _Cards, cuda: int, of_newest: bool) -> tuple[int, str]:
    """The oldest driver branch, and why.

    :param of_newest: whether the newest card is why it is this CUDA.
    """
    floor = products.CUDA_FLOORS.get(cuda, max(products.CUDA_FLOORS.values()))
    reason = f"CUDA {cuda} needs driver {floor} or later"
    newest = max(kinds.generations, key=lambda generation: generation.first_branch, default=None)
    if newest and newest.first_branch > floor:
        return newest.first_branch, f"{kinds.described(newest)}, driven since {newest.first_branch}"
    if newest and of_newest:
        reason = f"{kinds.described(newest)}, which PyTorch has code for from CUDA {cuda} on; {reason}"
    return floor, reason


def _modules(draft: Draft, kinds: _Cards, wanted: PlanOptions) -> str:
    """The kernel modules that drive all cards, or those that are asked for; "" where both will do."""

    def first(support: str) -> products.Generation | None:
        return next((generation for generation in kinds.generations if generation.open_modules == support), None)

    required, impossible = first(products.OPEN_REQUIRED), first(products.OPEN_IMPOSSIBLE)
    if required and impossible:
        draft.refuse(
            "modules_conflict",
            f"{kinds.label(required)} needs the open kernel modules, and {kinds.label(impossible)} "
            f"({impossible.name}) does not run with them: remove one of the two from this host",
        )
    if wanted.kernel_modules == PROPRIETARY and required:
        draft.refuse(
            "modules",
            f"{kinds.label(required)} ({required.name}) needs the open kernel modules: set kernel_modules: auto",
        )
    if wanted.kernel_modules == OPEN and impossible:
        draft.refuse(
            "modules",
            f"{kinds.described(impossible)}, too old for the open kernel modules: set kernel_modules: auto",
        )
    if wanted.kernel_modules != "auto":
        return wanted.kernel_modules
    return PROPRIETARY if impossible else (OPEN if required else "")
