# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of a launch request that enforce the placement. Private to the collection. Pure.

How a memory budget becomes each engine's own setting is in docs/placement.md.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import footprint
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs.footprint import GIB
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import Card, Worker
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.ledger import Ledger, Spot
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.requirements import Requirements


def launch_keys(required: Requirements, ledger: Ledger, spots: t.Sequence[Spot]) -> tuple[dict[str, t.Any], list[str]]:
    """The keys, and the warnings."""
    warnings: list[str] = []
    return {**_memory_keys(required, ledger, spots, warnings), **_pins(required, ledger, spots, warnings)}, warnings


# -- the memory ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Budget:
    """A declared budget (gpu_memory) on the cards that a model got.

    :param allowed: bytes of each card.  :param share: the same as a share of the card.
    """

    required: Requirements
    ledger: Ledger
    cards: t.Sequence[tuple[Worker, Card]]
    allowed: float
    share: float


def _memory_keys(
    required: Requirements, ledger: Ledger, spots: t.Sequence[Spot], warnings: list[str]
) -> t.Mapping[str, t.Any]:
    """The budget as the engine's own setting."""
    if required.budget is None:
        return {}
    cards = [(worker, card) for worker, chosen in spots for card in chosen]
    totals = [card.total for _worker, card in cards if card.total]
    if not totals:
        warnings.append(f"{required.uid}: the memory of its card is not known, so gpu_memory has no effect")
        return {}
    # One setting is for all replicas: the one with which none of them takes too much.
    allowed = min(footprint.budget(required.budget, total) for total in totals)
    share = min(footprint.budget(required.budget, total) / total for total in totals)
    setting = _SETTINGS.get(required.engine)
    return setting(_Budget(required, ledger, cards, allowed, share), warnings) if setting else {}


def _vllm(budget: _Budget, warnings: list[str]) -> dict[str, t.Any]:
    return {"gpu_memory_utilization": _floor(budget.share)}


def _sglang(budget: _Budget, warnings: list[str]) -> dict[str, t.Any]:
    """SGLang takes a share of what is free when it starts, for weights and cache; activations come on top."""
    required, ledger, allowed = budget.required, budget.ledger, budget.allowed
    on_cards = {uid for worker, card in budget.cards for uid in ledger.models_on(worker, card)}
    others = sorted(on_cards - {required.uid})
    if others:
        warnings.append(
            f"{required.uid}: SGLang takes a share of what is free when it starts, so it may take less than gpu_memory where "
            f"{', '.join(others)} starts before it on the same card"
        )
    worker, card = budget.cards[0]
    free = max(ledger.start.get((worker.address, card.index)) or 0.0, allowed)
    spare = min(allowed / 2, (required.need.work + required.need.runtime) if required.need else allowed * 0.1)
    return {"mem_fraction_static": min(0.95, _floor((allowed - spare) / free))}


def _llama_cpp(budget: _Budget, warnings: list[str]) -> dict[str, t.Any]:
    required = budget.required
    found = budget.ledger.cluster.checkpoints.get(required.uid)
    if not found:
        return {}
    settings, _held = footprint.llama_cpp_settings(
        found, budget.allowed, required.cards, required.context, required.given
    )
    return {**settings}


def _transformers(budget: _Budget, warnings: list[str]) -> dict[str, t.Any]:
    """Accelerate's limit of where weights go; the cache and the activations come on top, so they are taken off."""
    required, allowed = budget.required, budget.allowed
    spare = min(allowed / 2, (required.need.total - required.need.weights) if required.need else allowed * 0.2)
    limits = {str(index): f"{int((allowed - spare) / 1024**2)}MiB" for index in range(required.cards)}
    worker, _card = budget.cards[0]
    limits["cpu"] = f"{int((budget.ledger.ram[worker.address] or 64 * GIB) / 1024**2)}MiB"
    return {"envs": {**(required.model.options["envs"] or {}), "ACCELERATE_MAX_MEMORY": json.dumps(limits)}}


_SETTINGS = {"vllm": _vllm, "sglang": _sglang, "llama.cpp": _llama_cpp, "transformers": _transformers}


def _floor(share: float) -> float:
    return int(share * 1000) / 1000


# -- the places ----------------------------------------------------------------------------------------------------


def _pins(required: Requirements, ledger: Ledger, spots: t.Sequence[Spot], warnings: list[str]) -> dict[str, t.Any]:
    """The places, where the server would be free to choose others."""
    unknown = any(card.total is None for _worker, cards in spots for card in cards)
    if "replica_config" in required.given or required.parts > 1 or unknown:
        return {}
    addresses = list(dict.fromkeys(worker.address for worker, _cards in spots))
    if len(addresses) == 1:
        return _pins_on_one(required, ledger, spots)
    if required.model.options["gpu_indices"]:
        return {}
    if releases.places_replicas(ledger.actual.version):
        places = [
            {"devices": [{"worker_ip": worker.address, "gpu_idx": [card.index for card in cards]}]}
            for worker, cards in spots
        ]
        # The request may not name a number of GPUs beside it.
        return {"replica_config": places, "n_gpu": "auto"}
    warnings.append(
        f"{required.uid}: its replicas are planned for {', '.join(addresses)}, but a request for several workers can name places only "
        "since Xinference 3.2; the server chooses by the number of models on a card"
    )
    return {}


def _pins_on_one(required: Requirements, ledger: Ledger, spots: t.Sequence[Spot]) -> dict[str, t.Any]:
    """The same where all replicas are on one worker."""
    options = required.model.options
    free = len(ledger.cluster.workers) > 1 and not options["worker"]
    named = {"worker_ip": spots[0][0].address} if free else {}
    if options["gpu_indices"] or (not free and _takes_all(required, ledger, spots)):
        return named
    return {"gpu_idx": [card.index for _worker, cards in spots for card in cards], **named}


def _takes_all(required: Requirements, ledger: Ledger, spots: t.Sequence[Spot]) -> bool:
    """Whether a replica takes all cards that there are, alone, so that the server has no choice."""
    workers = [worker for worker in ledger.cluster.workers if worker.cards]
    alone = all(ledger.models_on(worker, card) == [required.uid] for worker, cards in spots for card in cards)
    return alone and len(workers) == 1 and len(workers[0].cards or []) == required.cards
