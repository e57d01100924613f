# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fit of a replica on cards: its memory there, or the reason against it. Private to the collection. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import (
    checkpoints,
    engines,
    footprint,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import advice
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import Card, Worker
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.ledger import (
    Ledger,
    Spot,
    reserves,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.requirements import (
    Requirements,
    gib,
    workers_of,
)

# Rounding of what nvidia-smi, NVML and PyTorch call the memory of a card; claims may exceed it by this share.
_TOLERANCE = 0.01
# Bytes of a card that are in use where nothing runs: the driver's own, a desktop's.
_NOTICED = 2**30


@dataclass(frozen=True)
class _CardSpace:
    """A card whose memory is known, as a replica may get it.

    :param room: bytes left of it.  :param claim: bytes that the replica would hold, None where nobody knows.
    :param ram: bytes of the worker's memory for what does not fit on the card.
    :param foreign: bytes that other programs hold of it.
    """

    worker: str
    index: int
    total: float
    room: float
    claim: float | None
    neighbours: t.Sequence[str]
    ram: float
    foreign: float = 0.0

    @property
    def card(self) -> str:
        return f"card {self.index} of {self.worker}"

    @property
    def left(self) -> str:
        neighbours = f" beside {', '.join(dict.fromkeys(self.neighbours))}" if self.neighbours else ""
        others = f", and programs other than this server use {gib(self.foreign)}" if self.foreign > _NOTICED else ""
        return f"{gib(max(0.0, self.room))} of {gib(self.total)} are left on {self.card}{neighbours}{others}"

    def holds(self, size: float, room: float) -> bool:
        return size <= room + _TOLERANCE * self.total


def why_not(required: Requirements, ledger: Ledger, spot: Spot) -> str | None:
    """Why a replica does not fit on these cards; None where it does, or where nothing is known of them."""
    worker, cards = spot
    for card in cards:
        if not required.able(card):
            return (
                f"card {card.index} of {worker.address} has compute capability {card.capability}, and it needs "
                f"{required.capability}: give other gpu_indices, or remove them"
            )
        room = ledger.room[worker.address, card.index]
        if room is None or card.total is None:
            continue
        claim, _source = required.claim(card, max(0.0, room))
        spare = (ledger.ram[worker.address] or float("inf")) / len(cards)
        neighbours = ledger.models_on(worker, card)
        foreign = ledger.foreign(worker, card)
        space = _CardSpace(worker.address, card.index, card.total, room, claim, neighbours, spare, foreign)
        why = _claims_too_much(required, space) or _needs_too_much(required, space)
        if why:
            return why
    return None


def _claims_too_much(required: Requirements, space: _CardSpace) -> str:
    """Why a card has not left what the engine sets aside of it; empty where it has, or where the engine sets nothing aside."""
    if not reserves(required) or space.claim is None or space.holds(space.claim, space.room):
        return ""
    if required.budget is not None:
        return f"gpu_memory is {gib(space.claim)}, and {space.left}"
    return (
        f"vLLM takes {required.share():.0%} of a card, {gib(space.claim)}, unless gpu_memory says otherwise, and {space.left}: "
        "give gpu_memory to it and to the others on the card"
    )


def _needs_too_much(required: Requirements, space: _CardSpace) -> str:
    """Why a card has not left what the model needs at least; empty where it has, or where nothing is known of the model."""
    need, reserved = required.need, reserves(required)
    if need is None:
        return ""
    limited = reserved or required.engine in engines.FREE_SHARES
    allowed = space.claim if limited and space.claim is not None else space.room
    if required.spills and not (reserved and required.engine != "llama.cpp"):
        if need.least - allowed - space.ram <= 0:
            return ""
        return f"it needs at least {gib(need.least)}, more than the card and the memory of {space.worker} have left together"
    if space.holds(need.least, allowed):
        return ""
    least = f"it needs at least {gib(need.least)}{weights_and_cache(required)}"
    if allowed >= space.room:
        return f"{least}, and {space.left}"
    who = "gpu_memory" if required.budget is not None else required.model.options["engine"]
    return f"{least}, and {who} allows {gib(allowed)} of the {gib(space.total)} of {space.card}"


def weights_and_cache(required: Requirements) -> str:
    need = required.need
    if need is None or not need.cache:
        return " for its weights"
    tokens = f" for {required.context} tokens" if required.context else ""
    cards = f" on each of {required.cards * required.parts} GPUs" if required.cards * required.parts > 1 else ""
    return f"{cards} (weights {gib(need.weights)}, KV cache{tokens} {gib(need.cache)})"


def no_room(required: Requirements, ledger: Ledger, candidates: t.Sequence[Spot], number: int) -> str:
    count = required.first + required.replicas
    which = f"replica {number + 1} of {count}: " if count > 1 else ""
    if not candidates:
        free = (
            ""
            if ledger.cluster.sharing
            else ", because each has a model and the workers do not allow models to share a card"
        )
        known = [card for worker in workers_of(required.model, ledger.cluster) for card in worker.cards or []]
        able = "" if all(map(required.able, known)) else f" of compute capability {required.capability} and later"
        return f"models: {required.uid}: {which}no worker has {required.cards} GPUs{able} left{free}"
    why = why_not(required, ledger, candidates[0]) or ""
    return (
        f"models: {required.uid}: {which}{why}{_advice(required, ledger, candidates[0]) if 'at least' in why else ''}"
    )


def _advice(required: Requirements, ledger: Ledger, spot: Spot) -> str:
    """Advice by which a replica needs less of a card, or gets more."""
    tokens = advice.context(required, ledger, spot) if required.need and required.need.cache else 0
    ways = [f"lower context_length to {tokens}"] if tokens else []
    ways.append("use a smaller quantization")
    if required.engine in footprint.PREALLOCATING or required.engine == "transformers":
        ways.append("raise gpus_per_replica")
    if required.budget is not None:
        ways.append("raise gpu_memory")
    return ". Options: " + ", ".join(ways)


def settled(
    required: Requirements, ledger: Ledger, worker: Worker, card: Card, claim: float | None
) -> tuple[float | None, str]:
    """The memory of a card that a fitting replica will hold, and a warning; empty for none."""
    if claim is None:
        return None, "its size is unknown, so its memory was not checked"
    room, where = ledger.room[worker.address, card.index], f"card {card.index} of {worker.address}"
    found = ledger.cluster.checkpoints.get(required.uid)
    if required.engine == "llama.cpp" and required.gpu_layers is None and found:
        held, warning = _offloaded(required, found, claim, claim if room is None else min(claim, room), where)
        idle = advice.idle_cards(ledger, worker, required.uid) - required.cards
        if warning and idle > 0 and not required.model.options["gpu_indices"]:
            warning += f". {idle} more of its cards hold no model: raise gpus_per_replica (now {required.cards})"
        return held, warning
    if room is not None and claim > room:
        why = (
            "part of it runs on the CPU, which is slow"
            if required.spills and required.need and required.need.least > room
            else "long requests may fail for lack of memory"
        )
        left = max(0.0, room)
        return left, f"about {gib(claim)} are needed, and {gib(left)} are left on {where}: {why}"
    need = required.need.total - required.need.runtime if required.need else 0.0
    if required.share() is not None and need > claim:
        about = f"about {gib(need)} are needed, and vLLM may use {gib(claim)} of {where}: it may fail to start"
        return claim, about
    return claim, advice.images(required, found, claim, card)


def _offloaded(
    required: Requirements, found: checkpoints.Checkpoint, claim: float, allowed: float, where: str
) -> tuple[float, str]:
    """The same for llama.cpp, which puts as many layers on a card as fit."""
    keys, held = footprint.llama_cpp_settings(found, allowed, required.cards, required.context, required.given)
    layers = (found.layers or 0) + 1
    warning = ""
    if keys and keys["n_gpu_layers"] < layers:
        warning = f"{keys['n_gpu_layers']} of {layers} layers fit on {where}, the others run on the CPU, which is slow"
    return min(claim, held) if required.budget is None else claim, warning
