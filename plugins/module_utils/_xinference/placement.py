# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which replica goes on which card, and what cannot go anywhere. Private to the collection.

``read`` is the only part that asks anybody; ``plan`` is pure. What is checked, with which margins, and how a memory
budget becomes each engine's own setting is in docs/placement.md.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import json
import os
import re
import socket
import sys
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils._xinference import memory, models, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.memory import GIB

# Formats that an engine reads, of LLMs, by Xinference's sources (match_json of each engine, up to 4.1). fp4 stands for
# SGLang because one family has it; of ggufv2 vLLM serves chat models.
FORMATS = {
    "vllm": ("pytorch", "gptq", "awq", "fp4", "fp8", "bnb", "ggufv2"),
    "sglang": ("pytorch", "gptq", "awq", "fp8", "bnb", "fp4"),
    "transformers": ("pytorch", "gptq", "awq", "bnb", "fp4"),
    "llama.cpp": ("ggufv2",),
    "mlx": ("mlx",),
    "trt-llm": ("pytorch", "fp8", "fp4"),
    "sentence_transformers": ("pytorch",),
    "flag": ("pytorch",),
}
_GPU_ENGINES = ("vllm", "sglang", "trt-llm")
# The least compute capability, by the engines' installation guides.
_CAPABILITY = {"vllm": 7.0, "sglang": 7.5}
# CUDA release -> oldest driver by NVIDIA's table of minor version compatibility (CUDA Toolkit release notes).
_DRIVERS = {"11": 450, "12": 525, "13": 580}
# Share of a card that vLLM takes unless told otherwise (model/llm/vllm/core.py; 0.6 in model/embedding/vllm/core.py).
_VLLM_SHARE, _WEMM_SHARE = 0.90, 0.60
# What others set aside of what is free when they start, by the number of cards (model/llm/sglang/core.py; TensorRT-LLM's
# KvCacheConfig).
_FREE_SHARES = {"sglang": ((16, 0.79), (8, 0.81), (4, 0.85), (2, 0.87), (1, 0.88)), "trt-llm": ((1, 0.90),)}
# Rounding of what nvidia-smi, NVML and PyTorch call the memory of a card; claims may exceed it by this share.
_TOLERANCE = 0.01


@dataclass
class Card:
    """A GPU.

    :param total: bytes, None where they are not known, as those that are free.
    :param driver: of NVIDIA, "" where it is not known; so is the compute capability.
    """

    index: int
    total: float | None = None
    free: float | None = None
    name: str = ""
    driver: str = ""
    capability: float | None = None


@dataclass
class Worker:
    """A worker.

    :param cards: None where not even their number is known.
    :param memory: bytes of RAM that are available.
    :param platform: sys.platform; "" of a worker on another host.
    :param certain: whether the indices of the cards are known, and not only their number.
    """

    address: str
    cards: list[Card] | None = None
    memory: float | None = None
    cpus: int | None = None
    platform: str = ""
    certain: bool = False

    @property
    def host(self) -> str:
        return self.address.rsplit(":", 1)[0]


@dataclass
class Cluster:
    """What the models are to be placed on, and what is known of them.

    :param local: whether the server is in local mode or may be, where the name of a worker is ignored.
    :param checkpoints: UID -> what is known of its weights.
    :param cuda: release of CUDA that PyTorch on this host was built for.
    :param disk: bytes free for downloads on this host.
    :param cached: names of models that the workers have already downloaded.
    :param sharing: whether several models may share a card (XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU).
    """

    workers: list[Worker] = field(default_factory=list)
    local: bool = True
    checkpoints: dict[str, memory.Checkpoint | None] = field(default_factory=dict)
    cuda: str = ""
    disk: float | None = None
    cached: frozenset[str] = frozenset()
    sharing: bool = True


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


# -- reading -------------------------------------------------------------------------------------------------------


def read(
    client: Client,
    decisions: t.Sequence[models.Decision],
    actual: models.Actual,
    devices: t.Sequence[t.Mapping[str, t.Any]] | None = None,
    downloads: str | None = None,
    sharing: bool = True,
) -> Cluster:
    """What there is. Sends nothing where nothing is to be launched; else one request for the cluster, one for each
    built-in LLM without local weights, and one for the caches where `downloads` is given.

    :param devices: cards of workers: worker (unset is this host's), index, name, memory_bytes, free_bytes, driver and
        compute_capability. Without them the cards of a worker are taken as equal shares of what the server says.
    :param downloads: directory on this host that models are downloaded to.
    """
    launched = [d.model for d in decisions if new_replicas(d, actual)]
    if not launched:
        return Cluster()
    answer = client.get("/v1/cluster/info", params={"detailed": "true"}, expect=())
    info = answer.json if answer.status == 200 else []
    supervisor = next((row["ip_address"] for row in info if row["node_type"] == "Supervisor"), "")
    workers = [_worker(row, actual, devices or []) for row in info if row["node_type"] == "Worker"]
    hosts = {worker.host for worker in workers}
    cached: frozenset[str] = frozenset()
    if downloads:
        rows = client.get("/v1/cache/models", expect=()).json or {}
        cached = frozenset(row["model_name"] for row in rows.get("list") or [])
    return Cluster(
        workers=workers,
        local=len(workers) <= 1 and hosts <= {supervisor.rsplit(":", 1)[0]},
        checkpoints=_checkpoints(client, launched),
        cuda=_torch_cuda(),
        disk=_free(downloads) if downloads and all(worker.platform for worker in workers) else None,
        cached=cached,
        sharing=sharing,
    )


def new_replicas(decision: models.Decision, actual: models.Actual) -> int:
    """How many replicas a decision starts."""
    wanted = decision.model.options["replicas"]
    if decision.action in (models.LAUNCH, models.REPLACE, models.ROLL):
        return wanted
    if decision.action == models.SCALE:
        return max(0, wanted - int((actual.models.get(decision.model.uid) or {}).get("replica") or 1))
    return 0


def _worker(row: t.Mapping[str, t.Any], actual: models.Actual, devices: t.Sequence[t.Mapping[str, t.Any]]) -> Worker:
    """A worker by its row of GET /v1/cluster/info?detailed=true, and what the caller knows of its cards."""
    address = row["ip_address"]
    worker = Worker(address, memory=row.get("mem_available"), cpus=row.get("cpu_count"))
    worker.platform = sys.platform if _is_here(worker.host) else ""
    count = int(row.get("gpu_count") or 0)
    mine = [
        device
        for device in devices
        if device.get("worker") in (address, worker.host) or (not device.get("worker") and worker.platform)
    ]
    if mine and len(mine) == count:  # else the server sees other cards than the host has (CUDA_VISIBLE_DEVICES)
        worker.cards = [_card(device) for device in sorted(mine, key=lambda device: device["index"])]
        worker.certain = True
        return worker
    total, free = _share(row.get("gpu_vram_total"), count), _share(row.get("gpu_vram_available"), count)
    worker.cards = [Card(index, total, free) for index in range(count)]
    # What models are known to use is not shared by all cards alike.
    reported = [_reported(actual, address, card.index) for card in worker.cards]
    if free is not None and total is not None and any(reported):
        others = max(0.0, count * (total - free) - sum(reported)) / count
        for card, used in zip(worker.cards, reported):
            card.free = max(0.0, total - used - others)
    return worker


def _card(device: t.Mapping[str, t.Any]) -> Card:
    nvidia = device.get("vendor") in (None, "nvidia")
    capability = device.get("compute_capability") if nvidia else None
    return Card(
        index=int(device["index"]),
        total=device.get("memory_bytes"),
        free=device.get("free_bytes"),
        name=device.get("name") or "",
        driver=(device.get("driver") or "") if nvidia else "",
        capability=float(capability) if capability else None,
    )


def _share(value: t.Any, count: int) -> float | None:
    """One card's share in bytes of a worker's figure. The server gives 1 for cards that it cannot measure (ROCm), and MiB
    of Ascend."""
    if not count or not isinstance(value, (int, float)) or value / count <= 1:
        return None
    share = value / count
    return share * 1024**2 if share < 10**7 else share


def _reported(actual: models.Actual, address: str, index: int, uids: t.Collection[str] | None = None) -> float:
    """Bytes that running models hold of a card, where the server tells (since 2.12, of NVIDIA)."""
    rows = [row for uid, row in actual.models.items() if uids is None or uid in uids]
    return sum(((row.get("gpu_memory") or {}).get(address) or {}).get(str(index), 0) for row in rows)


def _is_here(host: str) -> bool:
    """Whether an address is this host's: only then a socket can be bound to it."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind((host, 0))
        return True
    return False


def _torch_cuda() -> str:
    """Release of CUDA that this environment's PyTorch was built for; "" where there is none, or where libraries for older
    drivers are installed. Reads its version.py: to import it takes seconds."""
    if glob.glob("/usr/local/cuda*/compat/libcuda.so*"):
        return ""
    with contextlib.suppress(ImportError, OSError, AttributeError, ValueError):
        found = importlib.util.find_spec("torch")
        with open(os.path.join(os.path.dirname(found.origin), "version.py"), encoding="utf-8") as file:  # type: ignore
            match = re.search(r"^cuda\b[^=]*=\s*'([\d.]+)'", file.read(), re.M)
        return match.group(1) if match else ""
    return ""


def _free(path: str) -> float | None:
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    with contextlib.suppress(OSError):
        usage = os.statvfs(path)
        return float(usage.f_bavail * usage.f_frsize)
    return None


def _checkpoints(client: Client, launched: t.Sequence[models.Model]) -> dict[str, memory.Checkpoint | None]:
    families: dict[str, dict[str, t.Any]] = {}
    result = {}
    for model in launched:
        options, path = model.options, model.options["path"]
        size, model_format, quantization = options["size"], options["format"], options["quantization"]
        shape: dict[str, t.Any] = {}
        if path and os.path.exists(path):
            if path.endswith(".gguf"):
                model_format = "ggufv2"
            found = memory.read_checkpoint(path, size, model_format, quantization)
        else:
            if model.type == "LLM" and model.definition is None:
                if model.name not in families:
                    families[model.name] = client.registration("LLM", model.name) or {}
                spec = _spec(families[model.name], model)
                size, model_format = spec.get("model_size_in_billions", size), spec.get("model_format", model_format)
                quantization = spec.get("quantization", quantization)
                # The catalogue's context is what the server hands to the engine, or what the model was made for.
                shape = {
                    **(spec.get("model_metadata") or {}),
                    "context_length": families[model.name].get("context_length"),
                }
            if size is None:
                named = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])", model.name)
                size = named.group(1) if named else None
            found = memory.checkpoint(shape, size, model_format, quantization)
        result[model.uid] = found
    return result


def _spec(family: t.Mapping[str, t.Any], model: models.Model) -> dict[str, t.Any]:
    """The first spec of a built-in model that the launch would take."""
    options = model.options
    readable = FORMATS.get(engine_of(model))
    for spec in family.get("model_specs") or []:
        quantizations = spec.get("quantizations") or [spec.get("quantization")]
        quantization = options["quantization"] or quantizations[0]
        if (
            options["format"] in (None, spec.get("model_format"))
            and (readable is None or spec.get("model_format") in readable)
            and (options["size"] is None or _same_size(options["size"], spec.get("model_size_in_billions")))
            and str(quantization).lower() in [str(q).lower() for q in quantizations]
        ):
            return {**spec, "quantization": quantization}
    return {}


def _same_size(left: t.Any, right: t.Any) -> bool:
    return str(left).replace(".", "_") == str(right).replace(".", "_")


# -- planning ------------------------------------------------------------------------------------------------------


def engine_of(model: models.Model) -> str:
    """The engine in lower case; of embedding and rerank models the server's default."""
    default = "sentence_transformers" if model.type in ("embedding", "rerank") else ""
    return (model.options["engine"] or default).lower()


@dataclass
class Demand:
    """What one model wants.

    :param cards: GPUs of each replica, or of each worker's part of it; 0 runs on the CPU.
    :param parts: workers that share one replica (n_worker).
    :param first: number of the first replica that is started; those before it run already.
    :param need: None where nothing is known of the model.
    """

    model: models.Model
    engine: str
    cards: int
    parts: int
    replicas: int
    first: int
    context: int | None
    need: memory.Need | None

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
        default = _WEMM_SHARE if self.model.type == "embedding" and "wemm" in self.model.name.lower() else _VLLM_SHARE
        return memory.number(self.given, "gpu_memory_utilization", default)

    def claim(self, card: Card, room: float | None) -> tuple[float | None, str]:
        """Bytes of a card that it will hold, and where the figure comes from."""
        if self.budget is not None:
            with contextlib.suppress(ValueError):  # a share of a card of unknown size
                return memory.budget(self.budget, card.total), "gpu_memory"
            return None, "not known"
        share = self.share()
        if share is not None and card.total is not None:
            return share * card.total, f"{share:.0%} of the card, as vLLM takes it"
        if self.engine in _FREE_SHARES and room is not None:
            return free_share(self) * room, f"a share of what is free, as {self.model.options['engine']} takes it"
        if self.need is None:
            return None, "not known"
        return self.need.total, _SOURCES[self.need.source]


_SOURCES = {
    memory.FILES: "size of the weights",
    memory.CATALOGUE: "shape of the model",
    memory.COARSE: "coarse: by the number of parameters",
}


def free_share(demand: Demand) -> float:
    total = demand.cards * demand.parts
    default = next(share for cards, share in _FREE_SHARES[demand.engine] if total >= cards)
    return memory.number(demand.given, "mem_fraction_static", default)


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
        demand = _demand(decision.model, count, cluster, actual)
        problems = _impossible(demand, cluster)
        result.problems += [f"models: {demand.uid}: {problem}" for problem in problems]
        if not problems:
            demands.append(demand)
    attempts = [_place(demands, ledger.copy(), cluster, fullest) for fullest in (False, True)]
    chosen = min(attempts, key=lambda attempt: len(attempt.problems))
    result.rows += chosen.rows
    result.problems += chosen.problems + _disk_problems(demands, cluster)
    result.warnings += chosen.warnings
    result.launch_keys = {uid: keys for uid, keys in chosen.launch_keys.items() if keys}
    order = {model.uid: number for number, model in enumerate(wanted)}
    result.rows.sort(key=lambda row: (order.get(row["model"], len(order)), row["model"], row["replica"]))
    return result


def _demand(model: models.Model, replicas: int, cluster: Cluster, actual: models.Actual) -> Demand:
    options, engine = model.options, engine_of(model)
    gpus = model.body.get("n_gpu", "auto")
    if options["gpu_indices"]:
        cards = len(options["gpu_indices"]) // options["replicas"]
    elif isinstance(gpus, int):
        cards = gpus
    else:  # the server takes one card where there is one
        places = [worker for worker in _workers(model, cluster) if worker.cards]
        cards = 1 if gpus == "auto" and places else 0
    parts = options["n_worker"] or 1
    cpus = min((int(worker.cpus or 8) for worker in _workers(model, cluster)), default=8)
    context = memory.context_of(engine, options, releases.llama_cpp_slots(actual.version, cpus))
    found = cluster.checkpoints.get(model.uid)
    need = None
    if found is not None:
        given = options["engine_options"] or {}
        need = memory.need(found, engine, context, max(1, cards) * parts, given, cpu=not cards)
    demand = Demand(model, engine, cards, parts, replicas, options["replicas"] - replicas, context, need)
    if need and found and cards and engine == "llama.cpp" and demand.gpu_layers is not None:
        part = min(1.0, demand.gpu_layers / (found.layers + 1)) if found.layers else 0.0
        parts_of_it = {name: getattr(need, name) * part for name in ("weights", "cache", "least")}
        demand.need = replace(need, **parts_of_it)
    return demand


def _workers(model: models.Model, cluster: Cluster) -> list[Worker]:
    """The workers that a model may run on."""
    named = model.options["worker"]
    meant = [worker for worker in cluster.workers if named in (worker.address, worker.host)]
    return meant if named and (meant or not cluster.local) else list(cluster.workers)


def _impossible(demand: Demand, cluster: Cluster) -> list[str]:
    """What rules a model out whatever else runs."""
    model, options, engine = demand.model, demand.model.options, demand.engine
    places = _workers(model, cluster)
    if not places:
        known = ", ".join(worker.address for worker in cluster.workers)
        return [f"worker {options['worker']} is not in the cluster, which has {known}"]
    problems = []
    label = options["engine"] or engine
    model_format = options["format"]
    if engine in FORMATS and model_format and model_format not in FORMATS[engine]:
        readers = [name for name, formats in FORMATS.items() if model_format in formats and name in _names(model.type)]
        problems.append(
            f"{label} cannot read format {model_format}, only {', '.join(FORMATS[engine])}; "
            f"{model_format} is read by {', '.join(readers) or 'no engine of this type'}"
        )
    if demand.budget is not None:
        problems += _bad_budget(demand)
    if engine == "mlx" and all(worker.cards or worker.platform not in ("", "darwin") for worker in places):
        problems.append(
            "MLX runs on Apple silicon only, and no worker is such a machine: take llama.cpp or Transformers"
        )
        return problems
    if engine in _GPU_ENGINES and not demand.cards:
        where = ", ".join(worker.address for worker in places)
        problems.append(
            f"{label} needs a GPU, and it would run on the CPU of {where}: take llama.cpp (ggufv2) or Transformers, or "
            "give it a worker with a GPU"
        )
    if demand.cards:
        problems += _no_cards(demand, cluster, places)
        problems += _old_hardware(demand, cluster, places)
    return problems


def _names(model_type: str) -> tuple[str, ...]:
    return ("vllm", "sentence_transformers", "flag", "llama.cpp") if model_type != "LLM" else tuple(FORMATS)


def _bad_budget(demand: Demand) -> list[str]:
    own = {"vllm": "gpu_memory_utilization", "sglang": "mem_fraction_static", "llama.cpp": "n_gpu_layers"}
    key = own.get(demand.engine)
    if key and key in demand.given:
        return [f"gpu_memory becomes {key}, which engine_options gives, too: give one of them"]
    if not demand.cards:
        return ["gpu_memory is of a GPU, and it would run on the CPU"]
    try:
        memory.budget(demand.budget, 1.0)
    except ValueError as exc:
        return [f"gpu_memory: {exc}"]
    return []


def _no_cards(demand: Demand, cluster: Cluster, places: t.Sequence[Worker]) -> list[str]:
    """Too few cards, or none of these indices."""
    have = {worker.address: len(worker.cards or []) for worker in places}
    listed = ", ".join(f"{address} has {count}" for address, count in have.items())
    indices = demand.model.options["gpu_indices"]
    if indices:
        for worker in places:
            known = [card.index for card in worker.cards or []]
            # The server counts the cards; only the host's own probe names them.
            if set(indices) <= set(known) or (not worker.certain and len(set(indices)) <= len(known)):
                return []
        shown = "; ".join(f"{w.address} has {[card.index for card in w.cards or []] or 'none'}" for w in places)
        return [f"gpu_indices {indices} are not all on one worker: {shown}"]
    if demand.parts > sum(1 for count in have.values() if count >= demand.cards):
        what = f"{demand.cards} GPUs" if demand.cards > 1 else "1 GPU"
        many = f" on each of {demand.parts} workers" if demand.parts > 1 else ""
        return [f"a replica needs {what}{many}, and {listed}: lower gpus_per_replica{' or n_worker' * bool(many)}"]
    slots = sum(count // demand.cards for count in have.values())
    if not cluster.sharing and demand.replicas > slots:
        return [
            f"{demand.replicas} replicas of {demand.cards} GPUs need more places than there are ({listed}), and the workers "
            "do not let replicas share a card (XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU=0): lower replicas"
        ]
    found = cluster.checkpoints.get(demand.uid)
    total = demand.cards * demand.parts
    own = {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"} & set(demand.given)
    if demand.engine == "vllm" and found and found.heads and found.heads % total and not own:
        return [f"vLLM divides the model's {found.heads} attention heads among its GPUs, which {total} does not allow"]
    return []


def _old_hardware(demand: Demand, cluster: Cluster, places: t.Sequence[Worker]) -> list[str]:
    cards = [(worker, card) for worker in places for card in worker.cards or []]
    least = _CAPABILITY.get(demand.engine)
    if least and cards and all(card.capability is not None and card.capability < least for _worker, card in cards):
        worker, card = cards[0]
        return [
            f"{demand.model.options['engine']} needs compute capability {least}, and {card.name or 'the GPU'} of "
            f"{worker.address} has {card.capability}: take llama.cpp or Transformers"
        ]
    floor = _DRIVERS.get(cluster.cuda.partition(".")[0])
    uses_torch = demand.engine not in ("llama.cpp", "")
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


def _disk_problems(demands: t.Sequence[Demand], cluster: Cluster) -> list[str]:
    """Downloads that do not fit on the disk."""
    if cluster.disk is None:
        return []
    missing = [d for d in demands if not d.model.options["path"] and d.model.name not in cluster.cached]
    sizes = {d.model.name: cluster.checkpoints.get(d.uid) for d in missing}
    least = sum(found.weights * (1 - memory.MARGIN[found.source]) for found in sizes.values() if found)
    if least <= cluster.disk:
        return []
    uids = ", ".join(demand.uid for demand in missing)
    return [
        f"models: {uids}: their download takes at least {_gib(least)}, and {_gib(cluster.disk)} are free where models are "
        "downloaded to: make room, or put the weights elsewhere and give path"
    ]


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
                for replica in instance.get("replica_statuses") or []:
                    yield uid, replica

    def _uids_on(self, worker: Worker, card: Card) -> list[str]:
        """The models that stay on a card."""
        named = {
            uid
            for uid, replica in self._replicas()
            if replica.get("worker_address") == worker.address and card.index in (replica.get("gpu_idx") or [])
        }
        reported = {uid for uid in self.actual.models if _reported(self.actual, worker.address, card.index, [uid])}
        return sorted((named | reported) - self.ends)

    def _room(self, worker: Worker, card: Card) -> float | None:
        """What is left beside everything that stays: what is in use, or what those models may use, whichever is more."""
        if card.total is None:
            return None
        busy = card.total - card.free if card.free is not None else 0.0
        leaving = [uid for uid in self.ends if self._may_be_on(uid, worker, card)]
        released = _reported(self.actual, worker.address, card.index, leaving)
        if leaving and not released:
            released = busy  # an old release does not say how much of it is theirs
        claims = sum(self._claim_of(uid, worker, card) for uid in self.users[worker.address, card.index])
        return card.total - max(busy - released, claims, 0.0)

    def _may_be_on(self, uid: str, worker: Worker, card: Card) -> bool:
        if _reported(self.actual, worker.address, card.index, [uid]):
            return True
        return any(
            name == uid
            and replica.get("worker_address") == worker.address
            and (not replica.get("gpu_idx") or card.index in replica["gpu_idx"])
            for name, replica in self._replicas()
        )

    def _claim_of(self, uid: str, worker: Worker, card: Card) -> float:
        """What a model that stays holds of a card, or has been promised of it."""
        held = _reported(self.actual, worker.address, card.index, [uid])
        model = self.declared.get(uid)
        if model is None or not model.present:
            return held
        demand = Demand(model, engine_of(model), 1, 1, 1, 0, None, None)
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
                        "in use" if used else "running",
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
            (card.total or 0 for worker in _workers(demand.model, cluster) for card in worker.cards or []), default=0
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
    for worker in _workers(demand.model, cluster):
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
        left = f"{_gib(max(0.0, room))} of {_gib(card.total)} are left on {where}" + (
            f" beside {', '.join(dict.fromkeys(beside))}" if beside else ""
        )
        claim, _source = demand.claim(card, max(0.0, room))
        reserved = demand.budget is not None or demand.share() is not None
        slack = _TOLERANCE * card.total
        if reserved and claim is not None and claim > room + slack:
            if demand.budget is not None:
                return f"gpu_memory is {_gib(claim)}, and {left}"
            return (
                f"vLLM takes {demand.share():.0%} of a card, {_gib(claim)}, unless gpu_memory says otherwise, and {left}: "
                "give gpu_memory to it and to the others on the card"
            )
        if need is None:
            continue
        allowed = claim if (reserved or demand.engine in _FREE_SHARES) and claim is not None else room
        if demand.spills and not (reserved and demand.engine != "llama.cpp"):
            beyond = need.least - allowed - (ledger.memory[worker.address] or float("inf")) / len(cards)
            if beyond > 0:
                return f"it needs at least {_gib(need.least)}, more than card and memory of {worker.address} have left together"
            continue
        if need.least > allowed + slack:
            least = f"it needs at least {_gib(need.least)}{_parts_of(demand)}"
            if allowed < room:
                who = "gpu_memory" if demand.budget is not None else demand.model.options["engine"]
                return f"{least}, and {who} allows {_gib(allowed)} of the {_gib(card.total)} of {where}"
            return f"{least}, and {left}"
    return None


def _parts_of(demand: Demand) -> str:
    need = demand.need
    if need is None or not need.cache:
        return " for its weights"
    tokens = f" for {demand.context} tokens" if demand.context else ""
    cards = f" on each of {demand.cards * demand.parts} GPUs" if demand.cards * demand.parts > 1 else ""
    return f"{cards} (weights {_gib(need.weights)}, KV cache{tokens} {_gib(need.cache)})"


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
            f"{demand.uid}: about {_gib(claim)} are needed, and {_gib(max(0.0, room))} are left on card {card.index} of "
            f"{worker.address}: {why}"
        )
        claim = max(0.0, room)
    elif demand.need and demand.share() is not None and demand.need.total - demand.need.runtime > (claim or 0):
        result.warnings.append(
            f"{demand.uid}: about {_gib(demand.need.total - demand.need.runtime)} are needed, and vLLM may use "
            f"{_gib(claim or 0)} of card {card.index} of {worker.address}: it may fail to start"
        )
    if claim is None:
        result.warnings.append(f"{demand.uid}: nothing is known of its size, so its memory was not checked")
    if room is not None:
        ledger.room[place] = room - (claim or 0.0)
    ledger.users[place].append(demand.uid)
    result.rows.append(_row(demand.uid, number, worker.address, card.index, claim, card.total, source))


def _place_in_memory(demand: Demand, ledger: _Ledger, cluster: Cluster, result: Placement) -> None:
    """A model on the CPU goes where most memory is left."""
    need, places = demand.need, _workers(demand.model, cluster)
    chosen = []
    for number in range(demand.first, demand.first + demand.replicas):
        worker = max(places, key=lambda w: ledger.memory[w.address] or 0)
        room = ledger.memory[worker.address]
        if need is not None and room is not None:
            # A model that ends gives back what nobody tells: as much as its successor takes, at least.
            if demand.uid in ledger.ends:
                room += need.total
            if need.least > room:
                result.problems.append(
                    f"models: {demand.uid}: it needs at least {_gib(need.least)} of memory"
                    f"{_parts_of(demand)}, and {_gib(room)} are available on {worker.address}: "
                    "take a smaller quantization or a shorter context, or end something there"
                )
                return
            if need.total > room:
                result.warnings.append(
                    f"{demand.uid}: about {_gib(need.total)} of memory are needed, and {_gib(room)} are available on "
                    f"{worker.address}"
                )
            ledger.memory[worker.address] = room - need.total
        chosen.append(worker)
        used, source = (need.total, _SOURCES[need.source]) if need else (None, "not known")
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


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
