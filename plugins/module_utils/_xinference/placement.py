# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which replica goes on which card, and what cannot go anywhere. Private to the collection. Pure.

What is checked, with which margins, and how a memory budget becomes each engine's own setting is in docs/placement.md.
"""

from __future__ import annotations

import collections
import json
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils._xinference import engines, memory, models, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.cluster import (
    Card,
    Cluster,
    Worker,
    memory_held,
    new_replicas,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.demand import (
    SOURCES,
    Demand,
    demand_of,
    disk_problems,
    gib,
    impossible,
    workers_of,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.memory import GIB

# Rounding of what nvidia-smi, NVML and PyTorch call the memory of a card; claims may exceed it by this share.
_TOLERANCE = 0.01
# Sources of the figures of what runs already.
IN_USE, RUNNING = THERE = ("in use", "running")


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


def plan(
    wanted: t.Sequence[models.Model],
    decisions: t.Sequence[models.Decision],
    actual: models.Actual,
    cluster: Cluster,
) -> Placement:
    """A place for every replica that is to be started, or why there is none. Pure."""
    result = Placement()
    ledger = _Ledger(wanted, decisions, actual, cluster)
    result.rows += ledger.running()
    if not cluster.workers:
        if any(new_replicas(decision, actual) for decision in decisions):
            result.warnings.append("the server does not tell its devices, so nothing was checked against them")
        return result
    demands = []
    for decision in decisions:
        count = new_replicas(decision, actual)
        if not count:
            continue
        demand = demand_of(decision.model, count, cluster, actual)
        problems = impossible(demand, cluster)
        result.problems += [f"models: {demand.uid}: {problem}" for problem in problems]
        if not problems:
            demands.append(demand)
    attempts = [_place(demands, ledger.copy(), cluster, fullest) for fullest in (False, True)]
    chosen = min(attempts, key=lambda attempt: len(attempt.problems))
    result.rows += chosen.rows
    result.problems += chosen.problems + disk_problems(demands, cluster)
    result.warnings += chosen.warnings
    result.launch_keys = {uid: keys for uid, keys in chosen.launch_keys.items() if keys}
    order = {model.uid: number for number, model in enumerate(wanted)}
    result.rows.sort(key=lambda row: (order.get(row["model"], len(order)), row["model"], row["replica"]))
    return result


# -- what is taken, and what is left -------------------------------------------------------------------------------


class _Ledger:
    """What is left of every card and of every worker's memory."""

    def __init__(
        self,
        wanted: t.Sequence[models.Model],
        decisions: t.Sequence[models.Decision],
        actual: models.Actual,
        cluster: Cluster,
    ):
        self.actual, self.cluster = actual, cluster
        self.declared = {model.uid: model for model in wanted}
        #: What ends before anything starts in its place.
        self.ends = {
            d.model.uid
            for d in decisions
            if d.action in (models.REPLACE, models.TERMINATE) or (d.action == models.ROLL and not d.surge)
        }
        #: (worker, index) -> bytes left, None where they are not known.
        self.room: dict[tuple[str, int], float | None] = {}
        #: (worker, index) -> UIDs on it.
        self.users: dict[tuple[str, int], list[str]] = {}
        #: The same before anything was placed.
        self.start: dict[tuple[str, int], float | None] = {}
        self.memory = {worker.address: worker.memory for worker in cluster.workers}
        for worker in cluster.workers:
            for card in worker.cards or []:
                self.users[worker.address, card.index] = self._uids_on(worker, card)
                self.room[worker.address, card.index] = self._room(worker, card)
        self.start = dict(self.room)

    def copy(self) -> _Ledger:
        other = object.__new__(_Ledger)
        other.__dict__.update(self.__dict__, room=dict(self.room), memory=dict(self.memory))
        other.users = {place: list(uids) for place, uids in self.users.items()}
        return other

    def _replicas(self) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
        for uid, instance in sorted(self.actual.instances.items()):
            if self.actual.state(uid) in ("ready", "loading"):
                for replica in models.replicas(instance):
                    yield uid, replica

    def beside(self, uid: str) -> collections.Counter[str]:
        """Address of a worker -> how many replicas of the model stay there."""
        here = (r.get("worker_address", "") for name, r in self._replicas() if name == uid and uid not in self.ends)
        return collections.Counter(here)

    def _uids_on(self, worker: Worker, card: Card) -> list[str]:
        """The models that stay on a card."""
        named = {
            uid
            for uid, replica in self._replicas()
            if replica.get("worker_address") == worker.address and card.index in (replica.get("gpu_idx") or [])
        }
        reported = {uid for uid in self.actual.models if memory_held(self.actual, worker.address, card.index, [uid])}
        return sorted((named | reported) - self.ends)

    def _room(self, worker: Worker, card: Card) -> float | None:
        """What is left beside everything that stays: what is in use, or what those models may use, whichever is more."""
        if card.total is None:
            return None
        busy = card.total - card.free if card.free is not None else 0.0
        leaving = [uid for uid in self.ends if self._may_be_on(uid, worker, card)]
        released = memory_held(self.actual, worker.address, card.index, leaving)
        if leaving and not released:
            released = busy  # an old release does not say how much of it is theirs
        claims = sum(self._claim_of(uid, worker, card) for uid in self.users[worker.address, card.index])
        return card.total - max(busy - released, claims, 0.0)

    def _may_be_on(self, uid: str, worker: Worker, card: Card) -> bool:
        if memory_held(self.actual, worker.address, card.index, [uid]):
            return True
        return any(
            name == uid
            and replica.get("worker_address") == worker.address
            and (not replica.get("gpu_idx") or card.index in replica["gpu_idx"])
            for name, replica in self._replicas()
        )

    def _claim_of(self, uid: str, worker: Worker, card: Card) -> float:
        """What a model that stays holds of a card, or has been promised of it."""
        held = memory_held(self.actual, worker.address, card.index, [uid])
        model = self.declared.get(uid)
        if model is None or not model.present:
            return held
        demand = Demand(model, engines.of(model), 1, 1, 1, 0, None, None)
        promised = demand.claim(card, None)[0] if demand.budget is not None or demand.share() is not None else None
        return max(held, promised or 0.0)

    def running(self) -> list[dict[str, t.Any]]:
        """Rows of what stays."""
        rows: list[dict[str, t.Any]] = []
        totals = {(w.address, card.index): card.total for w in self.cluster.workers for card in w.cards or []}
        seen = [(uid, replica) for uid, replica in self._replicas() if uid not in self.ends]
        for uid, replica in seen:
            address = replica.get("worker_address") or "?"
            held = ((self.actual.models.get(uid) or {}).get("gpu_memory") or {}).get(address) or {}
            alone = sum(1 for name, other in seen if name == uid and other.get("worker_address") == address) == 1
            indices = replica.get("gpu_idx") or ([int(index) for index in held] if alone else [])
            for index in indices or [None]:
                together = sum(
                    1
                    for name, other in seen
                    if name == uid
                    and other.get("worker_address") == address
                    and (index in (other.get("gpu_idx") or []) or alone)
                )
                used = held.get(str(index))
                card = "?" if index is None and (held or any(place[0] == address for place in totals)) else "cpu"
                rows.append(
                    _row(
                        uid,
                        int(replica.get("replica_id") or 0),
                        address,
                        card if index is None else index,
                        used / max(1, together) if used else None,
                        totals.get((address, index)) if index is not None else None,
                        IN_USE if used else RUNNING,
                    )
                )
        return rows


def _row(
    uid: str, replica: int, worker: str, card: t.Any, used: float | None, of: float | None, source: str
) -> dict[str, t.Any]:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value / GIB, 1)

    return {
        "model": uid,
        "replica": replica,
        "worker": worker,
        "card": card,
        "used_gib": rounded(used),
        "of_gib": rounded(of),
        "source": source,
    }


# -- finding places ------------------------------------------------------------------------------------------------


def _place(demands: t.Sequence[Demand], ledger: _Ledger, cluster: Cluster, fullest: bool) -> Placement:
    """Every demand's replicas, those that can go to few places and those that take much first.

    :param fullest: whether to fill cards up instead of spreading, as the server itself does.
    """
    result = Placement()

    def weight(demand: Demand) -> tuple[t.Any, ...]:
        largest = max(
            (card.total or 0 for worker in workers_of(demand.model, cluster) for card in worker.cards or []), default=0
        )
        claim = 0.0
        if demand.cards and (demand.budget is None or largest):
            claim = demand.claim(Card(0, largest or None), largest)[0] or 0.0
        elif demand.need:
            claim = demand.need.total
        options = demand.model.options
        return (not options["gpu_indices"], not options["worker"], -demand.cards, demand.budget is None, -claim)

    spots: dict[str, list[Spot]] = {}
    for demand in sorted(demands, key=weight):
        if demand.cards:
            spots[demand.uid] = _place_on_cards(demand, ledger, cluster, fullest, result)
        else:
            _place_in_memory(demand, ledger, cluster, result)
    for demand in demands:
        # The launch request is only made of a model that is launched; a further replica takes over the first one's.
        if spots.get(demand.uid) and not demand.first:
            keys = _memory_keys(demand, ledger, spots[demand.uid], result)
            keys.update(_pins(demand, ledger, cluster, spots[demand.uid], result))
            result.launch_keys[demand.uid] = keys
    return result


Spot = tuple[Worker, list[Card]]


def _place_on_cards(demand: Demand, ledger: _Ledger, cluster: Cluster, fullest: bool, result: Placement) -> list[Spot]:
    """Books the cards of all replicas; none where one of them has no place."""
    spots: list[Spot] = []
    for number in range(demand.first, demand.first + demand.replicas):
        used: set[str] = set()
        for _part in range(demand.parts):
            candidates = [s for s in _spots(demand, ledger, cluster, number, fullest) if s[0].address not in used]
            fitting = [spot for spot in candidates if _why_not(demand, ledger, spot) is None]
            if not fitting:
                result.problems.append(_no_room(demand, ledger, candidates, number, cluster))
                return []
            worker, cards = fitting[0]
            used.add(worker.address)
            spots.append((worker, cards))
            for card in cards:
                _take(demand, ledger, worker, card, number, result)
    return spots


def _spots(demand: Demand, ledger: _Ledger, cluster: Cluster, number: int, fullest: bool) -> list[Spot]:
    """The sets of cards that a replica may take, the best first."""
    indices = demand.model.options["gpu_indices"]
    found = []
    for worker in workers_of(demand.model, cluster):
        cards = worker.cards or []

        def room(card: Card, address: str = worker.address) -> float:
            left = ledger.room[address, card.index]
            return float("inf") if left is None else left

        if indices:
            mine = indices[number * demand.cards : (number + 1) * demand.cards]
            known = {card.index: card for card in cards}
            if not set(mine) <= set(known) and worker.certain:
                continue
            # Without the host's own probe every card is as any other.
            chosen = [known.get(index) or replace(cards[0], index=index) for index in mine] if cards else []
            for card in chosen:
                ledger.room.setdefault((worker.address, card.index), room(cards[0]))
                ledger.users.setdefault((worker.address, card.index), [])
        elif not cluster.sharing:
            chosen = [card for card in cards if not ledger.users[worker.address, card.index]]
            chosen = sorted(chosen, key=lambda card: -room(card))
        else:
            chosen = sorted(cards, key=lambda card: (-room(card), len(ledger.users[worker.address, card.index])))
            fits = [card for card in chosen if _why_not(demand, ledger, (worker, [card])) is None]
            if fullest and len(fits) >= demand.cards:
                chosen = fits[::-1]
        chosen = chosen[: demand.cards]
        if len(chosen) == demand.cards:
            found.append((min(map(room, chosen)), worker, chosen))
    found.sort(key=lambda spot: spot[0], reverse=not fullest)
    return [(worker, cards) for _room, worker, cards in found]


def _why_not(demand: Demand, ledger: _Ledger, spot: Spot) -> str | None:
    """Why a replica does not fit on these cards; None where it does, or where nothing is known of them."""
    worker, cards = spot
    need = demand.need
    for card in cards:
        room = ledger.room[worker.address, card.index]
        if room is None or card.total is None:
            continue
        where = f"card {card.index} of {worker.address}"
        beside = ledger.users[worker.address, card.index]
        left = f"{gib(max(0.0, room))} of {gib(card.total)} are left on {where}" + (
            f" beside {', '.join(dict.fromkeys(beside))}" if beside else ""
        )
        claim, _source = demand.claim(card, max(0.0, room))
        reserved = demand.budget is not None or demand.share() is not None
        slack = _TOLERANCE * card.total
        if reserved and claim is not None and claim > room + slack:
            if demand.budget is not None:
                return f"gpu_memory is {gib(claim)}, and {left}"
            return (
                f"vLLM takes {demand.share():.0%} of a card, {gib(claim)}, unless gpu_memory says otherwise, and {left}: "
                "give gpu_memory to it and to the others on the card"
            )
        if need is None:
            continue
        allowed = claim if (reserved or demand.engine in engines.FREE_SHARES) and claim is not None else room
        if demand.spills and not (reserved and demand.engine != "llama.cpp"):
            beyond = need.least - allowed - (ledger.memory[worker.address] or float("inf")) / len(cards)
            if beyond > 0:
                return f"it needs at least {gib(need.least)}, more than card and memory of {worker.address} have left together"
            continue
        if need.least > allowed + slack:
            least = f"it needs at least {gib(need.least)}{_parts_of(demand)}"
            if allowed < room:
                who = "gpu_memory" if demand.budget is not None else demand.model.options["engine"]
                return f"{least}, and {who} allows {gib(allowed)} of the {gib(card.total)} of {where}"
            return f"{least}, and {left}"
    return None


def _parts_of(demand: Demand) -> str:
    need = demand.need
    if need is None or not need.cache:
        return " for its weights"
    tokens = f" for {demand.context} tokens" if demand.context else ""
    cards = f" on each of {demand.cards * demand.parts} GPUs" if demand.cards * demand.parts > 1 else ""
    return f"{cards} (weights {gib(need.weights)}, KV cache{tokens} {gib(need.cache)})"


def _no_room(demand: Demand, ledger: _Ledger, candidates: t.Sequence[Spot], number: int, cluster: Cluster) -> str:
    count = demand.first + demand.replicas
    which = f"replica {number + 1} of {count}: " if count > 1 else ""
    if not candidates:
        free = "" if cluster.sharing else ", because each holds a model and the workers do not let models share a card"
        return f"models: {demand.uid}: {which}no worker has {demand.cards} GPUs left{free}"
    why = _why_not(demand, ledger, candidates[0]) or ""
    advice = ""
    if "at least" in why:
        ways = ["context_length"] if demand.need and demand.need.cache else []
        ways = [f"lower {way}" for way in ways] + ["take a smaller quantization"]
        if demand.engine in memory.PREALLOCATING or demand.engine == "transformers":
            ways.append("raise gpus_per_replica")
        if demand.budget is not None:
            ways.append("raise gpu_memory")
        advice = ". Ways out: " + ", ".join(ways)
    return f"models: {demand.uid}: {which}{why}{advice}"


def _take(demand: Demand, ledger: _Ledger, worker: Worker, card: Card, number: int, result: Placement) -> None:
    """Books a card for a replica."""
    place = worker.address, card.index
    room = ledger.room[place]
    claim, source = demand.claim(card, room)
    found = ledger.cluster.checkpoints.get(demand.uid)
    if demand.engine == "llama.cpp" and demand.gpu_layers is None and claim is not None and found:
        allowed = min(claim, room) if room is not None else claim
        keys, held = memory.llama_cpp_settings(found, allowed, demand.cards, demand.context, demand.given)
        layers = (found.layers or 0) + 1
        if keys and keys["n_gpu_layers"] < layers:
            result.warnings.append(
                f"{demand.uid}: {keys['n_gpu_layers']} of {layers} layers fit on card {card.index} of {worker.address}, the "
                "others run on the CPU, which is slow"
            )
        claim = min(claim, held) if demand.budget is None else claim
    elif claim is not None and room is not None and claim > room:
        why = (
            "part of it runs on the CPU, which is slow"
            if demand.spills and demand.need and (demand.need.least > room)
            else "long requests may fail for lack of memory"
        )
        result.warnings.append(
            f"{demand.uid}: about {gib(claim)} are needed, and {gib(max(0.0, room))} are left on card {card.index} of "
            f"{worker.address}: {why}"
        )
        claim = max(0.0, room)
    elif demand.need and demand.share() is not None and demand.need.total - demand.need.runtime > (claim or 0):
        result.warnings.append(
            f"{demand.uid}: about {gib(demand.need.total - demand.need.runtime)} are needed, and vLLM may use "
            f"{gib(claim or 0)} of card {card.index} of {worker.address}: it may fail to start"
        )
    if claim is None:
        result.warnings.append(f"{demand.uid}: nothing is known of its size, so its memory was not checked")
    if room is not None:
        ledger.room[place] = room - (claim or 0.0)
    ledger.users[place].append(demand.uid)
    result.rows.append(_row(demand.uid, number, worker.address, card.index, claim, card.total, source))


def _place_in_memory(demand: Demand, ledger: _Ledger, cluster: Cluster, result: Placement) -> None:
    """A model on the CPU goes where most memory is left; of several replicas each to another worker, as long as there is room."""
    need, places = demand.need, workers_of(demand.model, cluster)
    chosen = []
    beside = ledger.beside(demand.uid)

    def rank(worker: Worker) -> tuple[bool, int, float]:
        room = ledger.memory[worker.address]
        fits = need is None or room is None or room >= need.total
        return fits, -beside[worker.address], room or 0

    for number in range(demand.first, demand.first + demand.replicas):
        worker = max(places, key=rank)
        beside[worker.address] += 1
        room = ledger.memory[worker.address]
        if need is not None and room is not None:
            # A model that ends gives back what nobody tells: as much as its successor takes, at least.
            if demand.uid in ledger.ends:
                room += need.total
            if need.least > room:
                result.problems.append(
                    f"models: {demand.uid}: it needs at least {gib(need.least)} of memory"
                    f"{_parts_of(demand)}, and {gib(room)} are available on {worker.address}: "
                    "take a smaller quantization or a shorter context, or end something there"
                )
                return
            if need.total > room:
                result.warnings.append(
                    f"{demand.uid}: about {gib(need.total)} of memory are needed, and {gib(room)} are available on "
                    f"{worker.address}"
                )
            ledger.memory[worker.address] = room - need.total
        chosen.append(worker)
        used, source = (need.total, SOURCES[need.source]) if need else (None, "not known")
        result.rows.append(_row(demand.uid, number, worker.address, "cpu", used, room, source))
    if need and len(places) > 1 and len({worker.address for worker in chosen}) == 1:
        short = [w for w in places if (ledger.memory[w.address] or float("inf")) < need.least * demand.replicas]
        if short and not demand.model.options["worker"]:
            result.launch_keys[demand.uid] = {"worker_ip": chosen[0].address}


# -- what the launch request needs for the plan to hold --------------------------------------------------------------


def _memory_keys(demand: Demand, ledger: _Ledger, spots: t.Sequence[Spot], result: Placement) -> dict[str, t.Any]:
    """The budget as the engine's own setting."""
    if demand.budget is None:
        return {}
    cards = [(worker, card) for worker, chosen in spots for card in chosen]
    totals = [card.total for _worker, card in cards if card.total]
    if not totals:
        result.warnings.append(f"{demand.uid}: the memory of its card is not known, so gpu_memory has no effect")
        return {}
    # One setting is for all replicas: the one with which none of them takes too much.
    allowed = min(memory.budget(demand.budget, total) for total in totals)
    share = min(memory.budget(demand.budget, total) / total for total in totals)
    found = ledger.cluster.checkpoints.get(demand.uid)
    if demand.engine == "vllm":
        return {"gpu_memory_utilization": _floor(share)}
    if demand.engine == "sglang":
        return {"mem_fraction_static": _sglang_fraction(demand, ledger, cards, allowed, result)}
    if demand.engine == "llama.cpp" and found:
        return memory.llama_cpp_settings(found, allowed, demand.cards, demand.context, demand.given)[0]
    if demand.engine == "transformers":
        # Accelerate's limit of where weights go; the cache and the activations come on top, so they are taken off.
        spare = min(allowed / 2, (demand.need.total - demand.need.weights) if demand.need else allowed * 0.2)
        limits = {str(index): f"{int((allowed - spare) / 1024**2)}MiB" for index in range(demand.cards)}
        limits["cpu"] = f"{int((ledger.memory[spots[0][0].address] or 64 * GIB) / 1024**2)}MiB"
        return {"envs": {**(demand.model.options["envs"] or {}), "ACCELERATE_MAX_MEMORY": json.dumps(limits)}}
    return {}


def _sglang_fraction(
    demand: Demand, ledger: _Ledger, cards: t.Sequence[tuple[Worker, Card]], allowed: float, result: Placement
) -> float:
    """SGLang takes a share of what is free when it starts, for weights and cache; activations come on top."""
    others = sorted({uid for worker, card in cards for uid in ledger.users[worker.address, card.index]} - {demand.uid})
    if others:
        result.warnings.append(
            f"{demand.uid}: SGLang takes a share of what is free when it starts, so it may take less than gpu_memory where "
            f"{', '.join(others)} starts before it on the same card"
        )
    worker, card = cards[0]
    free = max(ledger.start.get((worker.address, card.index)) or 0.0, allowed)
    spare = min(allowed / 2, (demand.need.work + demand.need.runtime) if demand.need else allowed * 0.1)
    return min(0.95, _floor((allowed - spare) / free))


def _floor(share: float) -> float:
    return int(share * 1000) / 1000


def _pins(
    demand: Demand, ledger: _Ledger, cluster: Cluster, spots: t.Sequence[Spot], result: Placement
) -> dict[str, t.Any]:
    """The places, where the server would be free to choose others."""
    options = demand.model.options
    workers = [worker for worker in cluster.workers if worker.cards]
    if (
        "replica_config" in demand.given
        or demand.parts > 1
        or any(card.total is None for _w, cs in spots for card in cs)
    ):
        return {}
    addresses = list(dict.fromkeys(worker.address for worker, _cards in spots))
    named = {"worker_ip": addresses[0]} if len(cluster.workers) > 1 and not options["worker"] else {}
    if options["gpu_indices"]:
        return named if len(addresses) == 1 else {}
    shared = any(ledger.users[w.address, card.index] != [demand.uid] for w, cards in spots for card in cards)
    if len(workers) == 1 and len(workers[0].cards or []) == demand.cards and not shared and not named:
        return {}
    if len(addresses) == 1:
        return {"gpu_idx": [card.index for _worker, cards in spots for card in cards], **named}
    if releases.places_replicas(ledger.actual.version):
        places = [
            {"devices": [{"worker_ip": worker.address, "gpu_idx": [card.index for card in cards]}]}
            for worker, cards in spots
        ]
        # The request may not name a number of GPUs beside it.
        return {"replica_config": places, "n_gpu": "auto"}
    result.warnings.append(
        f"{demand.uid}: its replicas belong on {', '.join(addresses)}, and a request for several workers can name places only "
        "since Xinference 3.2; the server chooses by the number of models on a card"
    )
    return {}


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
