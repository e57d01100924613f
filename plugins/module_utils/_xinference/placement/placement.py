# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The placement of replicas on cards, and the refusals. Private to the collection. Pure.

docs/placement.md describes the checks, their margins, and how a memory budget becomes each engine's own setting.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import footprint
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.card_space import (
    no_room,
    settled,
    weights_and_cache,
    why_not,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import (
    Card,
    Cluster,
    Worker,
    new_replicas,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.launch_keys import launch_keys
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.ledger import (
    RUNNING_SOURCES,
    Ledger,
    Spot,
    row_of,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.requirements import (
    SOURCES,
    Requirements,
    disk_problems,
    gib,
    impossible,
    requirements_of,
    without_gpus,
    workers_of,
)


@dataclass
class Placement:
    """The placement of all models.

    :param rows: {"model", "replica", "worker", "card" (index, "cpu" or "?"), "used_gib", "of_gib" (None where not known),
        "source" (of the figure)}, of all that runs then, and of what else holds a card.
    :param problems: why it cannot be; empty where it can.
    :param launch_keys: UID -> keys that the launch request needs for the plan to hold.
    """

    rows: list[dict[str, t.Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    launch_keys: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def started(self, uid: str) -> list[dict[str, t.Any]]:
        """The rows of a model's replicas that do not run yet."""
        return [row for row in self.rows if row["model"] == uid and row["source"] not in RUNNING_SOURCES]


def plan(
    wanted: t.Sequence[models.Model],
    decisions: t.Sequence[model_plan.Decision],
    actual: server_state.ServerState,
    cluster: Cluster,
) -> Placement:
    """A place for every replica to start, or why there is none. Pure."""
    result = Placement()
    ledger = Ledger(wanted, decisions, actual, cluster)
    result.rows += ledger.running()
    starting = [(decision.model, new_replicas(decision, actual)) for decision in decisions]
    starting = [(model, count) for model, count in starting if count]
    if not cluster.workers:
        if starting:
            result.warnings.append("the server does not report its devices, so the placement was not checked")
        return result
    all_required = []
    for model, count in starting:
        required = requirements_of(model, count, cluster, actual)
        problems = impossible(required, cluster)
        _refuse(required, [f"models: {required.uid}: {problem}" for problem in problems], result)
        if not problems:
            all_required.append(required)
            blind = "" if required.cards else without_gpus(model, cluster)
            # Who asks for no GPU (gpus_per_replica: none) knows.
            result.warnings += [f"{required.uid}: it runs on the CPU: {blind}"] * bool(
                blind and model.body.get("n_gpu", 1)
            )
    attempts = [_place(all_required, ledger.copy(), fullest) for fullest in (False, True)]
    chosen = min(attempts, key=lambda attempt: len(attempt.problems))
    result.rows += chosen.rows
    result.problems += chosen.problems + disk_problems(all_required, cluster)
    result.warnings += chosen.warnings
    result.launch_keys = {uid: keys for uid, keys in chosen.launch_keys.items() if keys}
    order = {model.uid: number for number, model in enumerate(wanted)}
    result.rows.sort(key=lambda row: (order.get(row["model"], len(order)), row["model"], row["replica"]))
    return result


def _refuse(required: Requirements, problems: t.Sequence[str], result: Placement) -> None:
    """Records the reason against a model, as a warning if check_placement is false."""
    if required.checked:
        result.problems += problems
    else:
        result.warnings += [problem.partition("models: ")[2] or problem for problem in problems]


# -- finding places ------------------------------------------------------------------------------------------------


def _place(all_required: t.Sequence[Requirements], ledger: Ledger, fullest: bool) -> Placement:
    """Every required's replicas, those that can go to few places and those that take much first.

    :param fullest: whether to fill cards up instead of spreading, as the server itself does.
    """
    result = Placement()
    spots: dict[str, list[Spot]] = {}
    for required in sorted(all_required, key=lambda required: _precedence(required, ledger.cluster)):
        if required.cards:
            spots[required.uid] = _place_on_cards(required, ledger, fullest, result)
        else:
            _place_in_memory(required, ledger, result)
    for required in all_required:
        # The launch request is only made of a model that is launched; a further replica takes over the first one's.
        if spots.get(required.uid) and not required.first:
            result.launch_keys[required.uid], warnings = launch_keys(required, ledger, spots[required.uid])
            result.warnings += warnings
    return result


def _precedence(required: Requirements, cluster: Cluster) -> tuple[t.Any, ...]:
    """Sorts models that are harder to place before the rest."""
    totals = [card.total or 0 for worker in workers_of(required.model, cluster) for card in worker.cards or []]
    largest = max(totals, default=0)
    claim = 0.0
    if required.cards and (required.budget is None or largest):
        claim = required.claim(Card(0, largest or None), largest)[0] or 0.0
    elif required.need:
        claim = required.need.total
    options = required.model.options
    return (
        not required.checked,
        not options["gpu_indices"],
        not options["worker"],
        -required.cards,
        required.budget is None,
        -claim,
    )


# -- on cards ------------------------------------------------------------------------------------------------------


def _place_on_cards(required: Requirements, ledger: Ledger, fullest: bool, result: Placement) -> list[Spot]:
    """Books the cards of all replicas; none where one of them has no place."""
    spots: list[Spot] = []
    for number in range(required.first, required.first + required.replicas):
        used: set[str] = set()
        for _part in range(required.parts):
            candidates = [spot for spot in _spots(required, ledger, number, fullest) if spot[0].address not in used]
            fitting = next((spot for spot in candidates if why_not(required, ledger, spot) is None), None)
            if fitting is None:
                _refuse(required, [no_room(required, ledger, candidates, number)], result)
                if required.checked or not candidates:
                    return []
                fitting = candidates[0]
            worker, cards = fitting
            used.add(worker.address)
            spots.append(fitting)
            for card in cards:
                _take(required, ledger, worker, card, number, result)
    return spots


def _spots(required: Requirements, ledger: Ledger, number: int, fullest: bool) -> list[Spot]:
    """The sets of cards that a replica may take, the best first."""
    found = []
    for worker in workers_of(required.model, ledger.cluster):
        cards = _eligible(required, ledger, worker, number, fullest)[: required.cards]
        if len(cards) == required.cards:
            found.append((min(ledger.left(worker, card) for card in cards), worker, cards))
    found.sort(key=lambda spot: spot[0], reverse=not fullest)
    return [(worker, cards) for _left, worker, cards in found]


def _eligible(required: Requirements, ledger: Ledger, worker: Worker, number: int, fullest: bool) -> list[Card]:
    """The cards of a worker that a replica may take, the best first."""
    if required.model.options["gpu_indices"]:
        return _declared_cards(required, ledger, worker, number)
    cards = [card for card in worker.cards or [] if required.able(card) or not required.checked]
    if not ledger.cluster.sharing:
        empty = [card for card in cards if not ledger.models_on(worker, card)]
        return sorted(empty, key=lambda card: -ledger.left(worker, card))
    emptiest = sorted(cards, key=lambda card: (-ledger.left(worker, card), len(ledger.models_on(worker, card))))
    if fullest:
        fitting = [card for card in emptiest if why_not(required, ledger, (worker, [card])) is None]
        if len(fitting) >= required.cards:
            return fitting[::-1]
    return emptiest


def _declared_cards(required: Requirements, ledger: Ledger, worker: Worker, number: int) -> list[Card]:
    """The declared cards of a replica (gpu_indices); none where the worker does not have them."""
    mine = required.model.options["gpu_indices"][number * required.cards : (number + 1) * required.cards]
    cards = worker.cards or []
    known = {card.index: card for card in cards}
    if not cards or (worker.certain and not set(mine) <= set(known)):
        return []
    # Without the host's own probe every card is as any other.
    chosen = [known.get(index) or replace(cards[0], index=index) for index in mine]
    for card in chosen:
        ledger.enter(worker, card, like=cards[0])
    return chosen


def _take(required: Requirements, ledger: Ledger, worker: Worker, card: Card, number: int, result: Placement) -> None:
    """Books a card for a replica."""
    claim, source = required.claim(card, ledger.room[worker.address, card.index])
    claim, warning = settled(required, ledger, worker, card, claim)
    if warning:
        result.warnings.append(f"{required.uid}: {warning}")
    ledger.book(worker, card, required.uid, claim)
    result.rows.append(row_of(required.uid, number, worker.address, card.index, claim, card.total, source))


# -- in memory -----------------------------------------------------------------------------------------------------


def _place_in_memory(required: Requirements, ledger: Ledger, result: Placement) -> None:
    """A model on the CPU goes where most memory is left; of several replicas each to another worker, as long as there is room."""
    need, places = required.need, workers_of(required.model, ledger.cluster)
    own_replicas = ledger.replicas_on_workers(required.uid)
    used, source = (need.total, SOURCES[need.source]) if need else (None, "not known")

    def rank(worker: Worker) -> tuple[bool, int, float]:
        room = ledger.ram[worker.address]
        fits = need is None or room is None or room >= need.total
        return fits, -own_replicas[worker.address], room or 0

    chosen = []
    for number in range(required.first, required.first + required.replicas):
        worker = max(places, key=rank)
        own_replicas[worker.address] += 1
        room = ledger.ram[worker.address]
        if need is not None and room is not None:
            # A model that ends gives back what nobody tells: as much as its successor takes, at least.
            room += need.total if required.uid in ledger.ends else 0.0
            problem, warning = _short_of_memory(required, need, room, worker)
            if problem:
                _refuse(required, [f"models: {required.uid}: {problem}"], result)
            if problem and required.checked:
                return
            result.warnings += [f"{required.uid}: {warning}"] if warning else []
            ledger.ram[worker.address] = room - need.total
        chosen.append(worker)
        result.rows.append(row_of(required.uid, number, worker.address, "cpu", used, room, source))
    if need and _must_be_named(required, need, ledger, places, chosen):
        result.launch_keys[required.uid] = {"worker_ip": chosen[0].address}


def _short_of_memory(required: Requirements, need: footprint.Need, room: float, worker: Worker) -> tuple[str, str]:
    """Why a replica has no place in a worker's memory, and what to warn of where it has; empty for neither."""
    available = f"{gib(room)} are available on {worker.address}"
    if need.least > room:
        return (
            f"it needs at least {gib(need.least)} of memory{weights_and_cache(required)}, and {available}: "
            "use a smaller quantization or a shorter context, or stop a model there"
        ), ""
    return "", f"about {gib(need.total)} of memory are needed, and {available}" if need.total > room else ""


def _must_be_named(
    required: Requirements, need: footprint.Need, ledger: Ledger, places: t.Sequence[Worker], chosen: t.Sequence[Worker]
) -> bool:
    """Whether the server, free to choose, could take a worker that is too small."""
    if required.model.options["worker"] or len({worker.address for worker in chosen}) != 1:
        return False
    least = need.least * required.replicas
    return len(places) > 1 and any((ledger.ram[place.address] or float("inf")) < least for place in places)


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
