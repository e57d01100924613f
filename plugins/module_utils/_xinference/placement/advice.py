# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers for the placement's advice: contexts, GPUs, idle cards. Private to the collection. Pure."""

from __future__ import annotations

from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import (
    checkpoints,
    engines,
    footprint,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import Card, Worker
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.ledger import (
    Ledger,
    Spot,
    reserves,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.requirements import Requirements

# Contexts are advised in multiples of this, and no shorter one: nobody serves less.
_STEP = 256
# engine_options that bound what vLLM encodes of images.
_IMAGE_LIMITS = frozenset({"limit_mm_per_prompt", "max_pixels", "mm_processor_kwargs"})


def context(required: Requirements, ledger: Ledger, spot: Spot) -> int:
    """The longest context of one request with which a replica would not be refused on these cards; 0 where none helps."""
    found, worker = ledger.cluster.checkpoints.get(required.uid), spot[0]
    declared = required.model.options["context_length"]
    slots = max(1, (required.context or 0) // declared if declared else 1)
    own = found.context if found else None
    longest = min((tokens for tokens in ((required.context or 0) // slots, own) if tokens), default=0)
    rooms = [_allowed(required, ledger, spot, number) for number in range(len(spot[1]))]
    if found is None or not longest or not rooms or None in rooms or not worker.cards:
        return 0
    allowed = min(room for room in rooms if room is not None)
    parts = max(1, required.cards) * required.parts

    def least(tokens: int) -> float:
        return footprint.need(found, required.engine, tokens * slots, parts, required.given).least

    low, high = 0, longest // _STEP
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if least(middle * _STEP) <= allowed else (low, middle - 1)
    return low * _STEP


def _allowed(required: Requirements, ledger: Ledger, spot: Spot, number: int) -> float | None:
    """Bytes of one of the cards that the replica may hold."""
    worker, card = spot[0], spot[1][number]
    room = ledger.room[worker.address, card.index]
    if room is None:
        return None
    claim, _source = required.claim(card, max(0.0, room))
    limited = reserves(required) or required.engine in engines.FREE_SHARES
    return min(claim, room) if limited and claim is not None else room


def idle_cards(ledger: Ledger, worker: Worker, uid: str) -> int:
    """The number of a worker's cards without another model."""
    cards = worker.cards or []
    return sum(1 for card in cards if not [user for user in ledger.models_on(worker, card) if user != uid])


def images(required: Requirements, found: checkpoints.Checkpoint | None, claim: float, card: Card) -> str:
    """The warning if vLLM gets a part of a card for a model that reads images; empty for none.

    When vLLM starts it encodes as many images of the largest size as a request may hold, beside weights and cache, and fails where its
    share has no room for them: Qwen2.5-VL-3B does with 30 % of 80 GB.
    """
    if required.engine != "vllm" or found is None or not found.sees or _IMAGE_LIMITS & set(required.given):
        return ""
    if card.total is None or claim >= engines.VLLM_SHARE * card.total:
        return ""
    return (
        "the memory of its image encoder is not counted, and vLLM may fail to start for lack of it: raise gpu_memory, or limit "
        "images with limit_mm_per_prompt or max_pixels in engine_options"
    )
