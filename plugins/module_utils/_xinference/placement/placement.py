# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which replica goes on which card, and what cannot go anywhere. Private to the collection. Pure.

What is checked, with which margins, and how a memory budget becomes each engine's own setting is in docs/placement.md.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import advice, engines, memory
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import (
    Card,
    Cluster,
    Worker,
    new_replicas,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.demand import (
    SOURCES,
    Demand,
    demand_of,
    disk_problems,
    gib,
    impossible,
    without_gpus,
    workers_of,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.launch_keys import launch_keys
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.ledger import (
    THERE,
    Ledger,
    Spot,
    reserves,
    row_of,
)

# Rounding of what nvidia-smi, NVML and PyTorch call the memory of a card; claims may exceed it by this share.
_TOLERANCE = 0.01
# Bytes of a card that are in use where nothing runs: the driver's own, a desktop's.
_NOTICED = 2**30


@dataclass
class Placement:
    """Where everything goes.

    :param rows: {"model", "replica", "worker", "card" (index, "cpu" or "?"), "used_gib", "of_gib" (None where not known),
        "source" (of the figure)}, of all that is to run, and of what else holds a card.
    :param problems: why it cannot be; empty where it can.
    :param launch_keys: UID -> keys that the launch request needs for the plan to hold.
    """

    rows: list[dict[str, t.Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    launch_keys: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def started(self, uid: str) -> list[dict[str, t.Any]]:
        """The rows of a model's replicas that do not run yet."""
        return [row for row in self.rows if row["model"] == uid and row["source"] not in THERE]


def plan(
    wanted: t.Sequence[models.Model],
    decisions: t.Sequence[models.Decision],
    actual: models.Actual,
    cluster: Cluster,
) -> Placement:
    """A place for every replica that is to be started, or why there is none. Pure."""
    result = Placement()
    ledger = Ledger(wanted, decisions, actual, cluster)
    result.rows += ledger.running()
    starting = [(decision.model, new_replicas(decision, actual)) for decision in decisions]
    starting = [(model, count) for model, count in starting if count]
    if not cluster.workers:
        if starting:
            result.warnings.append("the server does not tell its devices, so nothing was checked against them")
        return result
    demands = []
    for model, count in starting:
        demand = demand_of(model, count, cluster, actual)
        problems = impossible(demand, cluster)
        _refuse(demand, [f"models: {demand.uid}: {problem}" for problem in problems], result)
        if not problems:
            demands.append(demand)
            blind = "" if demand.cards else without_gpus(model, cluster)
            # Who asks for no GPU (gpus_per_replica: none) knows.
            result.warnings += [f"{demand.uid}: it runs on the CPU: {blind}"] * bool(
                blind and model.body.get("n_gpu", 1)
            )
    attempts = [_place(demands, ledger.copy(), fullest) for fullest in (False, True)]
    chosen = min(attempts, key=lambda attempt: len(attempt.problems))
    result.rows += chosen.rows
    result.problems += chosen.problems + disk_problems(demands, cluster)
    result.warnings += chosen.warnings
    result.launch_keys = {uid: keys for uid, keys in chosen.launch_keys.items() if keys}
    order = {model.uid: number for number, model in enumerate(wanted)}
    result.rows.sort(key=lambda row: (order.get(row["model"], len(order)), row["model"], row["replica"]))
    return result


def _refuse(demand: Demand, problems: t.Sequence[str], result: Placement) -> None:
    """Notes what rules a model out: as a warning where check_placement is false."""
    if demand.checked:
        result.problems += problems
    else:
        result.warnings += [problem.partition("models: ")[2] or problem for problem in problems]


# -- finding places ------------------------------------------------------------------------------------------------


def _place(demands: t.Sequence[Demand], ledger: Ledger, fullest: bool) -> Placement:
    """Every demand's replicas, those that can go to few places and those that take much first.

    :param fullest: whether to fill cards up instead of spreading, as the server itself does.
    """
    result = Placement()
    spots: dict[str, list[Spot]] = {}
    for demand in sorted(demands, key=lambda demand: _precedence(demand, ledger.cluster)):
        if demand.cards:
            spots[demand.uid] = _place_on_cards(demand, ledger, fullest, result)
        else:
            _place_in_memory(demand, ledger, result)
    for demand in demands:
        # The launch request is only made of a model that is launched; a further replica takes over the first one's.
        if spots.get(demand.uid) and not demand.first:
            result.launch_keys[demand.uid], warnings = launch_keys(demand, ledger, spots[demand.uid])
            result.warnings += warnings
    return result


def _precedence(demand: Demand, cluster: Cluster) -> tuple[t.Any, ...]:
    """Sorts what is harder to place before the rest."""
    totals = [card.total or 0 for worker in workers_of(demand.model, cluster) for card in worker.cards or []]
    largest = max(totals, default=0)
    claim = 0.0
    if demand.cards and (demand.budget is None or largest):
        claim = demand.claim(Card(0, largest or None), largest)[0] or 0.0
    elif demand.need:
        claim = demand.need.total
    options = demand.model.options
    return (
        not demand.checked,
        not options["gpu_indices"],
        not options["worker"],
        -demand.cards,
        demand.budget is None,
        -claim,
    )


# -- on cards ------------------------------------------------------------------------------------------------------


def _place_on_cards(demand: Demand, ledger: Ledger, fullest: bool, result: Placement) -> list[Spot]:
    """Books the cards of all replicas; none where one of them has no place."""
    spots: list[Spot] = []
    for number in range(demand.first, demand.first + demand.replicas):
        used: set[str] = set()
        for _part in range(demand.parts):
            candidates = [spot for spot in _spots(demand, ledger, number, fullest) if spot[0].address not in used]
            fitting = next((spot for spot in candidates if _why_not(demand, ledger, spot) is None), None)
            if fitting is None:
                _refuse(demand, [_no_room(demand, ledger, candidates, number)], result)
                if demand.checked or not candidates:
                    return []
                fitting = candidates[0]
            worker, cards = fitting
            used.add(worker.address)
            spots.append(fitting)
            for card in cards:
                _take(demand, ledger, worker, card, number, result)
    return spots


def _spots(demand: Demand, ledger: Ledger, number: int, fullest: bool) -> list[Spot]:
    """The sets of cards that a replica may take, the best first."""
    found = []
    for worker in workers_of(demand.model, ledger.cluster):
        cards = _eligible(demand, ledger, worker, number, fullest)[: demand.cards]
        if len(cards) == demand.cards:
            found.append((min(ledger.left(worker, card) for card in cards), worker, cards))
    found.sort(key=lambda spot: spot[0], reverse=not fullest)
    return [(worker, cards) for _left, worker, cards in found]


def _eligible(demand: Demand, ledger: Ledger, worker: Worker, number: int, fullest: bool) -> list[Card]:
    """The cards of a worker that a replica may take, the best first."""
    if demand.model.options["gpu_indices"]:
        return _named(demand, ledger, worker, number)
    cards = [card for card in worker.cards or [] if demand.able(card) or not demand.checked]
    if not ledger.cluster.sharing:
        empty = [card for card in cards if not ledger.models_on(worker, card)]
        return sorted(empty, key=lambda card: -ledger.left(worker, card))
    emptiest = sorted(cards, key=lambda card: (-ledger.left(worker, card), len(ledger.models_on(worker, card))))
    if fullest:
        fitting = [card for card in emptiest if _why_not(demand, ledger, (worker, [card])) is None]
        if len(fitting) >= demand.cards:
            return fitting[::-1]
    return emptiest


def _named(demand: Demand, ledger: Ledger, worker: Worker, number: int) -> list[Card]:
    """The declared cards of a replica (gpu_indices); none where the worker does not have them."""
    mine = demand.model.options["gpu_indices"][number * demand.cards : (number + 1) * demand.cards]
    cards = worker.cards or []
    known = {card.index: card for card in cards}
    if not cards or (worker.certain and not set(mine) <= set(known)):
        return []
    # Without the host's own probe every card is as any other.
    chosen = [known.get(index) or replace(cards[0], index=index) for index in mine]
    for card in chosen:
        ledger.enter(worker, card, like=cards[0])
    return chosen


@dataclass(frozen=True)
class _Offer:
    """A card whose memory is known, as a replica may get it.

    :param room: bytes left of it.  :param claim: bytes that the replica would hold, None where nobody knows.
    :param memory: bytes of the worker's memory for what does not fit on the card.
    :param foreign: bytes that other programs hold of it.
    """

    worker: str
    index: int
    total: float
    room: float
    claim: float | None
    beside: t.Sequence[str]
    memory: float
    foreign: float = 0.0

    @property
    def card(self) -> str:
        return f"card {self.index} of {self.worker}"

    @property
    def left(self) -> str:
        beside = f" beside {', '.join(dict.fromkeys(self.beside))}" if self.beside else ""
        others = (
            f", and programs that are not this server's hold {gib(self.foreign)}" if self.foreign > _NOTICED else ""
        )
        return f"{gib(max(0.0, self.room))} of {gib(self.total)} are left on {self.card}{beside}{others}"

    def holds(self, size: float, room: float) -> bool:
        return size <= room + _TOLERANCE * self.total


def _why_not(demand: Demand, ledger: Ledger, spot: Spot) -> str | None:
    """Why a replica does not fit on these cards; None where it does, or where nothing is known of them."""
    worker, cards = spot
    for card in cards:
        if not demand.able(card):
            return (
                f"card {card.index} of {worker.address} has compute capability {card.capability}, and it needs "
                f"{demand.capability}: give other gpu_indices, or none"
            )
        room = ledger.room[worker.address, card.index]
        if room is None or card.total is None:
            continue
        claim, _source = demand.claim(card, max(0.0, room))
        spare = (ledger.memory[worker.address] or float("inf")) / len(cards)
        beside = ledger.models_on(worker, card)
        foreign = ledger.foreign(worker, card)
        offer = _Offer(worker.address, card.index, card.total, room, claim, beside, spare, foreign)
        why = _claims_too_much(demand, offer) or _needs_too_much(demand, offer)
        if why:
            return why
    return None


def _claims_too_much(demand: Demand, offer: _Offer) -> str:
    """Why a card has not left what the engine sets aside of it; empty where it has, or where the engine sets nothing aside."""
    if not reserves(demand) or offer.claim is None or offer.holds(offer.claim, offer.room):
        return ""
    if demand.budget is not None:
        return f"gpu_memory is {gib(offer.claim)}, and {offer.left}"
    return (
        f"vLLM takes {demand.share():.0%} of a card, {gib(offer.claim)}, unless gpu_memory says otherwise, and {offer.left}: "
        "give gpu_memory to it and to the others on the card"
    )


def _needs_too_much(demand: Demand, offer: _Offer) -> str:
    """Why a card has not left what the model needs at least; empty where it has, or where nothing is known of the model."""
    need, reserved = demand.need, reserves(demand)
    if need is None:
        return ""
    limited = reserved or demand.engine in engines.FREE_SHARES
    allowed = offer.claim if limited and offer.claim is not None else offer.room
    if demand.spills and not (reserved and demand.engine != "llama.cpp"):
        if need.least - allowed - offer.memory <= 0:
            return ""
        return f"it needs at least {gib(need.least)}, more than card and memory of {offer.worker} have left together"
    if offer.holds(need.least, allowed):
        return ""
    least = f"it needs at least {gib(need.least)}{_parts_of(demand)}"
    if allowed >= offer.room:
        return f"{least}, and {offer.left}"
    who = "gpu_memory" if demand.budget is not None else demand.model.options["engine"]
    return f"{least}, and {who} allows {gib(allowed)} of the {gib(offer.total)} of {offer.card}"


def _parts_of(demand: Demand) -> str:
    need = demand.need
    if need is None or not need.cache:
        return " for its weights"
    tokens = f" for {demand.context} tokens" if demand.context else ""
    cards = f" on each of {demand.cards * demand.parts} GPUs" if demand.cards * demand.parts > 1 else ""
    return f"{cards} (weights {gib(need.weights)}, KV cache{tokens} {gib(need.cache)})"


def _no_room(demand: Demand, ledger: Ledger, candidates: t.Sequence[Spot], number: int) -> str:
    count = demand.first + demand.replicas
    which = f"replica {number + 1} of {count}: " if count > 1 else ""
    if not candidates:
        free = (
            ""
            if ledger.cluster.sharing
            else ", because each holds a model and the workers do not let models share a card"
        )
        known = [card for worker in workers_of(demand.model, ledger.cluster) for card in worker.cards or []]
        able = "" if all(map(demand.able, known)) else f" of compute capability {demand.capability} and later"
        return f"models: {demand.uid}: {which}no worker has {demand.cards} GPUs{able} left{free}"
    why = _why_not(demand, ledger, candidates[0]) or ""
    return f"models: {demand.uid}: {which}{why}{_advice(demand, ledger, candidates[0]) if 'at least' in why else ''}"


def _advice(demand: Demand, ledger: Ledger, spot: Spot) -> str:
    """What makes a replica need less of a card, or gives it more."""
    tokens = advice.context(demand, ledger, spot) if demand.need and demand.need.cache else 0
    ways = [f"lower context_length to {tokens}"] if tokens else []
    ways.append("take a smaller quantization")
    if demand.engine in memory.PREALLOCATING or demand.engine == "transformers":
        ways.append("raise gpus_per_replica")
    if demand.budget is not None:
        ways.append("raise gpu_memory")
    return ". Ways out: " + ", ".join(ways)


def _take(demand: Demand, ledger: Ledger, worker: Worker, card: Card, number: int, result: Placement) -> None:
    """Books a card for a replica."""
    claim, source = demand.claim(card, ledger.room[worker.address, card.index])
    claim, warning = _settled(demand, ledger, worker, card, claim)
    if warning:
        result.warnings.append(f"{demand.uid}: {warning}")
    ledger.book(worker, card, demand.uid, claim)
    result.rows.append(row_of(demand.uid, number, worker.address, card.index, claim, card.total, source))


def _settled(
    demand: Demand, ledger: Ledger, worker: Worker, card: Card, claim: float | None
) -> tuple[float | None, str]:
    """What a replica that fits will hold of a card, and what to warn of; empty for nothing."""
    if claim is None:
        return None, "nothing is known of its size, so its memory was not checked"
    room, where = ledger.room[worker.address, card.index], f"card {card.index} of {worker.address}"
    found = ledger.cluster.checkpoints.get(demand.uid)
    if demand.engine == "llama.cpp" and demand.gpu_layers is None and found:
        held, warning = _offloaded(demand, found, claim, claim if room is None else min(claim, room), where)
        idle = advice.idle_cards(ledger, worker, demand.uid) - demand.cards
        if warning and idle > 0 and not demand.model.options["gpu_indices"]:
            warning += f". {idle} more of its cards hold no model: raise gpus_per_replica (now {demand.cards})"
        return held, warning
    if room is not None and claim > room:
        why = (
            "part of it runs on the CPU, which is slow"
            if demand.spills and demand.need and demand.need.least > room
            else "long requests may fail for lack of memory"
        )
        left = max(0.0, room)
        return left, f"about {gib(claim)} are needed, and {gib(left)} are left on {where}: {why}"
    need = demand.need.total - demand.need.runtime if demand.need else 0.0
    if demand.share() is not None and need > claim:
        about = f"about {gib(need)} are needed, and vLLM may use {gib(claim)} of {where}: it may fail to start"
        return claim, about
    return claim, advice.images(demand, found, claim, card)


def _offloaded(demand: Demand, found: memory.Checkpoint, claim: float, allowed: float, where: str) -> tuple[float, str]:
    """The same for llama.cpp, which puts as many layers on a card as fit."""
    keys, held = memory.llama_cpp_settings(found, allowed, demand.cards, demand.context, demand.given)
    layers = (found.layers or 0) + 1
    warning = ""
    if keys and keys["n_gpu_layers"] < layers:
        warning = f"{keys['n_gpu_layers']} of {layers} layers fit on {where}, the others run on the CPU, which is slow"
    return min(claim, held) if demand.budget is None else claim, warning


# -- in memory -----------------------------------------------------------------------------------------------------


def _place_in_memory(demand: Demand, ledger: Ledger, result: Placement) -> None:
    """A model on the CPU goes where most memory is left; of several replicas each to another worker, as long as there is room."""
    need, places = demand.need, workers_of(demand.model, ledger.cluster)
    beside = ledger.beside(demand.uid)
    used, source = (need.total, SOURCES[need.source]) if need else (None, "not known")

    def rank(worker: Worker) -> tuple[bool, int, float]:
        room = ledger.memory[worker.address]
        fits = need is None or room is None or room >= need.total
        return fits, -beside[worker.address], room or 0

    chosen = []
    for number in range(demand.first, demand.first + demand.replicas):
        worker = max(places, key=rank)
        beside[worker.address] += 1
        room = ledger.memory[worker.address]
        if need is not None and room is not None:
            # A model that ends gives back what nobody tells: as much as its successor takes, at least.
            room += need.total if demand.uid in ledger.ends else 0.0
            problem, warning = _short_of_memory(demand, need, room, worker)
            if problem:
                _refuse(demand, [f"models: {demand.uid}: {problem}"], result)
            if problem and demand.checked:
                return
            result.warnings += [f"{demand.uid}: {warning}"] if warning else []
            ledger.memory[worker.address] = room - need.total
        chosen.append(worker)
        result.rows.append(row_of(demand.uid, number, worker.address, "cpu", used, room, source))
    if need and _must_be_named(demand, need, ledger, places, chosen):
        result.launch_keys[demand.uid] = {"worker_ip": chosen[0].address}


def _short_of_memory(demand: Demand, need: memory.Need, room: float, worker: Worker) -> tuple[str, str]:
    """Why a replica has no place in a worker's memory, and what to warn of where it has; empty for neither."""
    available = f"{gib(room)} are available on {worker.address}"
    if need.least > room:
        return (
            f"it needs at least {gib(need.least)} of memory{_parts_of(demand)}, and {available}: "
            "take a smaller quantization or a shorter context, or end something there"
        ), ""
    return "", f"about {gib(need.total)} of memory are needed, and {available}" if need.total > room else ""


def _must_be_named(
    demand: Demand, need: memory.Need, ledger: Ledger, places: t.Sequence[Worker], chosen: t.Sequence[Worker]
) -> bool:
    """Whether the server, free to choose, could take a worker that is too small."""
    if demand.model.options["worker"] or len({worker.address for worker in chosen}) != 1:
        return False
    least = need.least * demand.replicas
    return len(places) > 1 and any((ledger.memory[place.address] or float("inf")) < least for place in places)


# -- telling -------------------------------------------------------------------------------------------------------


def table(rows: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """The rows as aligned lines, under a line of headings; nothing for no rows."""
    if not rows:
        return []
    lines = [("MODEL", "REPLICA", "WORKER", "CARD", "GiB", "OF GiB", "BY")]
    for row in rows:
        used, of = (("-" if row[key] is None else f"{row[key]:.1f}") for key in ("used_gib", "of_gib"))
        lines.append((row["model"], str(row["replica"]), row["worker"], str(row["card"]), used, of, row["source"]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    right = (4, 5)
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    ]
