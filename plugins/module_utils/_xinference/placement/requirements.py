# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model's requirements of the cluster, and reasons against it that are independent of other models. Private to the collection. Pure."""

from __future__ import annotations

import contextlib
import re
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models, server_state
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import (
    checkpoints,
    engines,
    footprint,
    limits,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs.footprint import GIB
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import (
    Card,
    Cluster,
    Worker,
)


@dataclass
class Requirements:
    """The requirements of one model.

    :param cards: GPUs of each replica, or of each worker's part of it; 0 runs on the CPU.
    :param parts: workers that share one replica (n_worker).
    :param first: number of the first replica that is started; those before it run already.
    :param need: None where nothing is known of the model.
    :param capability: the least compute capability that engine and format need.
    """

    model: models.Model
    engine: str
    cards: int
    parts: int
    replicas: int
    first: int
    context: int | None
    need: footprint.Need | None
    capability: float = 0.0

    @property
    def uid(self) -> str:
        return self.model.uid

    @property
    def given(self) -> dict[str, t.Any]:
        return self.model.options["engine_options"] or {}

    @property
    def budget(self) -> t.Any:
        return self.model.options.get("gpu_memory")

    @property
    def checked(self) -> bool:
        """Whether the model is refused where it has no place; else a warning says so, and it is launched all the same."""
        return self.model.options.get("check_placement") is not False

    def able(self, card: Card) -> bool:
        """Whether a card is new enough, or nobody knows how old it is."""
        return card.capability is None or card.capability >= self.capability

    @property
    def spills(self) -> bool:
        """Whether what does not fit on the card goes to the CPU's memory instead, and the model still runs."""
        if self.engine == "llama.cpp":
            return self.gpu_layers is None
        plain = self.model.options["format"] in (None, "pytorch")
        return self.engine == "transformers" and plain and self.model.type == "LLM"

    @property
    def gpu_layers(self) -> int | None:
        """Layers that llama.cpp is told to put on the GPU; None where it puts there what fits."""
        layers = str(self.given.get("n_gpu_layers", -1))
        return int(layers) if layers.isdigit() else None

    def share(self) -> float | None:
        """The share of a card that vLLM sets aside, whatever the model needs."""
        if self.engine != "vllm":
            return None
        default = (
            engines.WEMM_SHARE
            if self.model.type == "embedding" and "wemm" in self.model.name.lower()
            else engines.VLLM_SHARE
        )
        return footprint.number(self.given, "gpu_memory_utilization", default)

    def claim(self, card: Card, room: float | None) -> tuple[float | None, str]:
        """Bytes of a card that it will hold, and where the figure comes from."""
        if self.budget is not None:
            with contextlib.suppress(ValueError):  # a share of a card of unknown size
                return footprint.budget(self.budget, card.total), "gpu_memory"
            return None, "not known"
        share = self.share()
        if share is not None and card.total is not None:
            return share * card.total, f"{share:.0%} of the card, as vLLM takes it"
        if self.engine in engines.FREE_SHARES and room is not None:
            return free_share(self) * room, f"a share of the free memory, as {self.model.options['engine']} takes it"
        if self.need is None:
            return None, "not known"
        return self.need.total, SOURCES[self.need.source]


SOURCES = {
    checkpoints.FILES: "size of the weights",
    checkpoints.CATALOGUE: "shape of the model",
    checkpoints.COARSE: "coarse: by the number of parameters",
    checkpoints.UNSURE: "coarse: the type of its weights is unknown",
}


def free_share(required: Requirements) -> float:
    total = required.cards * required.parts
    default = next(share for cards, share in engines.FREE_SHARES[required.engine] if total >= cards)
    return footprint.number(required.given, "mem_fraction_static", default)


def requirements_of(
    model: models.Model, replicas: int, cluster: Cluster, actual: server_state.ServerState
) -> Requirements:
    options, engine = model.options, engines.of(model)
    gpus = model.body.get("n_gpu", "auto")
    if options["gpu_indices"]:
        cards = len(options["gpu_indices"]) // options["replicas"]
    elif isinstance(gpus, int):
        cards = gpus
    else:  # the server takes one card where there is one
        places = [worker for worker in workers_of(model, cluster) if worker.cards]
        cards = 1 if gpus == "auto" and places else 0
    parts = options["n_worker"] or 1
    cpus = min((int(worker.cpus or 8) for worker in workers_of(model, cluster)), default=8)
    context = footprint.context_of(engine, options, releases.llama_cpp_slots(actual.version, cpus))
    found = cluster.checkpoints.get(model.uid)
    need = None
    if found is not None:
        given = options["engine_options"] or {}
        need = footprint.need(found, engine, context, max(1, cards) * parts, given, cpu=not cards)
    least, _who = _floor(model, engine, cluster)
    required = Requirements(model, engine, cards, parts, replicas, options["replicas"] - replicas, context, need, least)
    if need and found and cards and engine == "llama.cpp" and required.gpu_layers is not None:
        part = min(1.0, required.gpu_layers / (found.layers + 1)) if found.layers else 0.0
        parts_of_it = {name: getattr(need, name) * part for name in ("weights", "cache", "least")}
        required.need = replace(need, **parts_of_it)
    return required


def workers_of(model: models.Model, cluster: Cluster) -> list[Worker]:
    """The workers that a model may run on, with the cards that its engine computes on there."""
    return [
        replace(worker, cards=[]) if engines.llama_cpp_is_for_cpu(model, worker.llama_cpp) else worker
        for worker in _declared_workers(model, cluster)
    ]


def _declared_workers(model: models.Model, cluster: Cluster) -> list[Worker]:
    named = model.options["worker"]
    meant = [worker for worker in cluster.workers if named in (worker.address, worker.host)]
    return meant if named and (meant or not cluster.local) else list(cluster.workers)


def without_gpus(model: models.Model, cluster: Cluster) -> str:
    """That a model would run on the CPU of workers with GPUs, because of their llama.cpp, and the remedy; empty where it would not."""
    places = _declared_workers(model, cluster)
    blind = [worker for worker in places if worker.cards and engines.llama_cpp_is_for_cpu(model, worker.llama_cpp)]
    if not blind or any(worker.cards for worker in workers_of(model, cluster)):
        return ""
    there = blind[0].llama_cpp or {}
    index = f", such as one of {there['index']}" if there.get("index") else ""
    fetched = ", or set virtual_env: true, so Xinference installs one" if index and there.get("virtual_env") else ""
    return (
        f"the llama.cpp on {', '.join(worker.address for worker in blind)} is built for the CPU and does not use the GPUs there: name a "
        f"build for GPUs in xinference_packages (xllamacpp @ URL of its wheel{index}){fetched}"
    )


def impossible(required: Requirements, cluster: Cluster) -> list[str]:
    """Reasons against a model that are independent of other models."""
    model, options, engine = required.model, required.model.options, required.engine
    places = workers_of(model, cluster)
    if not places:
        known = ", ".join(worker.address for worker in cluster.workers)
        return [f"worker {options['worker']} is not in the cluster, which has {known}"]
    problems = []
    label = options["engine"] or engine
    model_format = options["format"]
    formats = engines.FORMATS.get(engine)
    if formats and model_format and model_format not in formats:
        readers = [name for name in engines.engines_of(model.type) if model_format in engines.FORMATS[name]]
        problems.append(
            f"{label} cannot read format {model_format}, only {', '.join(formats)}; "
            f"{model_format} is read by {', '.join(readers) or 'no engine of this type'}"
        )
    found = cluster.checkpoints.get(required.uid)
    stretched = limits.too_long(options, found.context if found else None)
    problems += [stretched] if stretched else []
    if required.budget is not None:
        problems += _bad_budget(required, without_gpus(model, cluster))
    if engine == "mlx" and all(worker.cards or worker.platform not in ("", "darwin") for worker in places):
        problems.append(
            "MLX runs on Apple silicon only, and no worker is such a machine: use llama.cpp or Transformers"
        )
        return problems
    problems += [engines.split_gguf(model)] if engines.split_gguf(model) else []
    if engine in engines.GPU_ENGINES and not required.cards:
        where = ", ".join(worker.address for worker in places)
        problems.append(
            f"{label} needs a GPU, but would run on the CPU of {where}: use llama.cpp (ggufv2) or Transformers, or "
            "give it a worker with a GPU"
        )
    if required.cards:
        blind = without_gpus(model, cluster)
        problems += [f"it asks for GPUs, and {blind}"] if blind else _lacking_cards(required, cluster, places)
        problems += _outdated_hardware(required, cluster, places)
    return problems


def _bad_budget(required: Requirements, blind: str) -> list[str]:
    own = {"vllm": "gpu_memory_utilization", "sglang": "mem_fraction_static", "llama.cpp": "n_gpu_layers"}
    key = own.get(required.engine)
    if key and key in required.given:
        return [f"gpu_memory sets {key}, which engine_options also sets: give one of them"]
    if not required.cards:
        return ["gpu_memory needs a GPU, but " + (blind or "it would run on the CPU")]
    try:
        footprint.budget(required.budget, 1.0)
    except ValueError as exc:
        return [f"gpu_memory: {exc}"]
    return []


def _lacking_cards(required: Requirements, cluster: Cluster, places: t.Sequence[Worker]) -> list[str]:
    """Too few cards, or none of these indices."""
    have = {worker.address: len(worker.cards or []) for worker in places}
    listed = ", ".join(f"{address} has {count}" for address, count in have.items())
    indices = required.model.options["gpu_indices"]
    if indices:
        for worker in places:
            known = [card.index for card in worker.cards or []]
            # The server counts the cards; only the host's own probe names them.
            if set(indices) <= set(known) or (not worker.certain and len(set(indices)) <= len(known)):
                return []
        shown = "; ".join(f"{w.address} has {[card.index for card in w.cards or []] or 'none'}" for w in places)
        return [f"gpu_indices {indices} are not all on one worker: {shown}"]
    if required.parts > sum(1 for count in have.values() if count >= required.cards):
        what = f"{required.cards} GPUs" if required.cards > 1 else "1 GPU"
        many = f" on each of {required.parts} workers" if required.parts > 1 else ""
        return [f"a replica needs {what}{many}, and {listed}: lower gpus_per_replica{' or n_worker' * bool(many)}"]
    slots = sum(count // required.cards for count in have.values())
    if not cluster.sharing and required.replicas > slots:
        return [
            f"{required.replicas} replicas of {required.cards} GPUs need more GPUs than the cluster has ({listed}), and the workers "
            "do not allow replicas to share a card (XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU=0): lower replicas"
        ]
    found = cluster.checkpoints.get(required.uid)
    total = required.cards * required.parts
    own = {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"} & set(required.given)
    if required.engine == "vllm" and found and found.heads and found.heads % total and not own:
        most = max(have.values(), default=1) * required.parts
        return [
            f"vLLM divides the model's {found.heads} attention heads among its GPUs, which {total} does not allow: "
            f"{engines.divisors(found.heads, most)} would"
        ]
    return []


def _floor(model: models.Model, engine: str, cluster: Cluster) -> tuple[float, str]:
    found = cluster.checkpoints.get(model.uid)
    model_format = limits.stored_format(model.options["format"], found.bits if found else 16.0)
    return limits.floor(engine, model_format, cluster.vllm, cluster.cuda)


def _outdated_hardware(required: Requirements, cluster: Cluster, places: t.Sequence[Worker]) -> list[str]:
    cards = [(worker, card) for worker in places for card in worker.cards or []]
    least, who = _floor(required.model, required.engine, cluster)
    if least and cards and all(card.capability is not None and card.capability < least for _worker, card in cards):
        worker, card = max(cards, key=lambda one: one[1].capability or 0.0)
        label, mine = required.model.options["engine"] or required.engine, card.capability or 0.0
        able = limits.instead(mine, required.engine, cluster.vllm, cluster.cuda)
        return [
            f"{who or label} needs compute capability {least}, and {card.name or 'the GPU'} of {worker.address} has {mine}: "
            f"take {able}"
        ]
    floor = engines.DRIVERS.get(cluster.cuda.partition(".")[0])
    uses_torch = required.engine not in ("llama.cpp", "")
    drivers = [(w, card.driver) for w, card in cards if card.driver]
    if uses_torch and floor and drivers and all(_major(driver) < floor for _worker, driver in drivers):
        worker, driver = drivers[0]
        return [
            f"PyTorch here is built for CUDA {cluster.cuda}, which needs NVIDIA driver {floor} or later, and {worker.address} "
            f"has {driver}: update the driver, or install a release of PyTorch for an older CUDA"
        ]
    return []


def _major(driver: str) -> float:
    number = re.match(r"\d+", driver)
    return float(number.group()) if number else float("inf")


def disk_problems(all_required: t.Sequence[Requirements], cluster: Cluster) -> list[str]:
    """Downloads that do not fit on the disk."""
    if cluster.disk is None:
        return []
    missing = [
        d for d in all_required if d.checked and not d.model.options["path"] and d.model.name not in cluster.cached
    ]
    sizes = {d.model.name: cluster.checkpoints.get(d.uid) for d in missing}
    least = sum(found.weights * (1 - checkpoints.MARGIN[found.source]) for found in sizes.values() if found)
    if least <= cluster.disk:
        return []
    uids = ", ".join(required.uid for required in missing)
    return [
        f"models: {uids}: their download takes at least {gib(least)}, and {gib(cluster.disk)} are free where models are "
        "downloaded: make room, or put the weights elsewhere and give path"
    ]


def gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
