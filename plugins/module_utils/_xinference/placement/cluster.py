# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster that models are placed on: its workers and cards, and what is known of the models. Private to the collection.

``read`` is the only part of the placement that asks anybody.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.metadata
import importlib.util
import os
import re
import socket
import sys
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils._host.system import llama_cpp
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import (
    checkpoint_files,
    checkpoints,
    common_sizes,
    engines,
    sizes,
)


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
    :param ram: bytes of RAM that are available.
    :param platform: sys.platform; "" of a worker on another host.
    :param certain: whether the indices of the cards are known, and not only their number.
    :param llama_cpp: its environment's build ("" for none), where Xinference takes one for its GPUs from ("" for nowhere), and
        virtual_env, whether it makes virtual environments of itself. None where that is not known.
    """

    address: str
    cards: list[Card] | None = None
    ram: float | None = None
    cpus: int | None = None
    platform: str = ""
    certain: bool = False
    llama_cpp: t.Mapping[str, t.Any] | None = None

    @property
    def host(self) -> str:
        return self.address.rsplit(":", 1)[0]


@dataclass
class Cluster:
    """The workers and cards for placement, and the known data of the models.

    :param local: whether the server is in local mode or may be, where the name of a worker is ignored.
    :param checkpoints: UID -> what is known of its weights.
    :param cuda: release of CUDA that PyTorch on this host was built for.
    :param vllm: release of vLLM in this host's environment; "" where there is none.
    :param disk: bytes free for downloads on this host.
    :param cached: names of models that the workers have already downloaded.
    :param sharing: whether several models may share a card (XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU).
    """

    workers: list[Worker] = field(default_factory=list)
    local: bool = True
    checkpoints: dict[str, checkpoints.Checkpoint | None] = field(default_factory=dict)
    cuda: str = ""
    vllm: str = ""
    disk: float | None = None
    cached: frozenset[str] = frozenset()
    sharing: bool = True


def read(
    client: Client,
    decisions: t.Sequence[model_plan.Decision],
    actual: server_state.ServerState,
    devices: t.Sequence[t.Mapping[str, t.Any]] | None = None,
    downloads: str | None = None,
    sharing: bool = True,
) -> Cluster:
    """The cluster's resources. Sends nothing if nothing is launched; else one request for the cluster, one for each
    built-in LLM without local weights, and one for the caches where `downloads` is given.

    :param devices: cards of workers: worker (unset is this host's), index, name, memory_bytes, free_bytes, driver,
        compute_capability and llama_cpp, as `Worker` has it. Without them the cards of a worker are taken as equal shares of what the
        server says.
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
        vllm=_release("vllm"),
        disk=_free(downloads) if downloads and all(worker.platform for worker in workers) else None,
        cached=cached,
        sharing=sharing,
    )


def new_replicas(decision: model_plan.Decision, actual: server_state.ServerState) -> int:
    """The number of replicas that a decision starts."""
    wanted = decision.model.options["replicas"]
    if decision.action in (model_plan.LAUNCH, model_plan.REPLACE, model_plan.ROLL):
        return wanted
    if decision.action == model_plan.SCALE:
        return max(0, wanted - int((actual.models.get(decision.model.uid) or {}).get("replica") or 1))
    return 0


def _worker(
    row: t.Mapping[str, t.Any], actual: server_state.ServerState, devices: t.Sequence[t.Mapping[str, t.Any]]
) -> Worker:
    """A worker by its row of GET /v1/cluster/info?detailed=true, and what the caller knows of its cards."""
    address = row["ip_address"]
    worker = Worker(address, ram=row.get("mem_available"), cpus=row.get("cpu_count"))
    worker.platform = sys.platform if _is_this_machine(worker.host) else ""
    count = int(row.get("gpu_count") or 0)
    mine = [
        device
        for device in devices
        if device.get("worker") in (address, worker.host) or (not device.get("worker") and worker.platform)
    ]
    worker.llama_cpp = next((device["llama_cpp"] for device in mine if device.get("llama_cpp")), None)
    if mine and len(mine) == count:  # else the server sees other cards than the host has (CUDA_VISIBLE_DEVICES)
        worker.cards = [_card(device) for device in sorted(mine, key=lambda device: device["index"])]
        worker.certain = True
        return worker
    total, free = _share(row.get("gpu_vram_total"), count), _share(row.get("gpu_vram_available"), count)
    worker.cards = [Card(index, total, free) for index in range(count)]
    # The known use of models is not spread evenly over all cards.
    reported = [memory_held(actual, address, card.index) for card in worker.cards]
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


def memory_held(
    actual: server_state.ServerState, address: str, index: int, uids: t.Collection[str] | None = None
) -> float:
    """Bytes that running models hold of a card, where the server tells (since 2.12, of NVIDIA)."""
    rows = [row for uid, row in actual.models.items() if uids is None or uid in uids]
    return sum(((row.get("gpu_memory") or {}).get(address) or {}).get(str(index), 0) for row in rows)


def _is_this_machine(host: str) -> bool:
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
            return llama_cpp.cuda_of(file.read())
    return ""


def _release(package: str) -> str:
    """Release of a package in this environment; "" where there is none."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package) or ""
    return ""


def _free(path: str) -> float | None:
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    with contextlib.suppress(OSError):
        usage = os.statvfs(path)
        return float(usage.f_bavail * usage.f_frsize)
    return None


def _checkpoints(client: Client, launched: t.Sequence[models.Model]) -> dict[str, checkpoints.Checkpoint | None]:
    families: dict[str, dict[str, t.Any]] = {}
    result = {}
    for model in launched:
        options, path = model.options, model.options["path"]
        size, model_format, quantization = options["size"], options["format"], options["quantization"]
        bits: float | None = 16.0
        shape: dict[str, t.Any] = {}
        if path and os.path.exists(path):
            if path.endswith(".gguf"):
                model_format = "ggufv2"
            found = checkpoint_files.read_checkpoint(path, size, model_format, quantization)
        else:
            if model.type == "LLM" and model.definition is None:
                if model.name not in families:
                    families[model.name] = client.registration("LLM", model.name) or {}
                spec = _spec(families[model.name], model)
                size, model_format = spec.get("model_size_in_billions", size), spec.get("model_format", model_format)
                quantization = spec.get("quantization", quantization)
                size = sizes.total(size, spec.get("model_id"))
                bits = sizes.stored(spec.get("model_id") or model.name, size, _formats(families[model.name], spec))
                # The catalogue's context is what the server hands to the engine, or what the model was made for.
                shape = {
                    **(spec.get("model_metadata") or {}),
                    "context_length": families[model.name].get("context_length"),
                }
            if sizes.billions(size) is None:
                named = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])", model.name)
                size = named.group(1) if named else None
            found = checkpoints.checkpoint(
                shape, size, model_format, quantization, bits=bits
            ) or common_sizes.checkpoint(model)
        told = families.get(model.name) if model.definition is None else model.definition.body
        sees = "vision" in ((told or {}).get("model_ability") or ())
        result[model.uid] = replace(found, sees=True) if found and sees else found
    return result


def _spec(family: t.Mapping[str, t.Any], model: models.Model) -> dict[str, t.Any]:
    """The first spec of a built-in model that the launch would take."""
    options = model.options
    readable = engines.FORMATS.get(engines.of(model))
    for spec in family.get("model_specs") or []:
        quantizations = spec.get("quantizations") or [spec.get("quantization")]
        quantization = options["quantization"] or quantizations[0]
        if (
            options["format"] in (None, spec.get("model_format"))
            and (readable is None or spec.get("model_format") in readable)
            and (options["size"] is None or sizes.same(options["size"], spec.get("model_size_in_billions")))
            and str(quantization).lower() in [str(q).lower() for q in quantizations]
        ):
            return {**spec, "quantization": quantization}
    return {}


def _formats(family: t.Mapping[str, t.Any], spec: t.Mapping[str, t.Any]) -> set[str]:
    """The formats that a family has in the size of one of its specs."""
    size = spec.get("model_size_in_billions")
    specs = family.get("model_specs") or []
    return {str(one.get("model_format")) for one in specs if sizes.same(one.get("model_size_in_billions"), size)}
