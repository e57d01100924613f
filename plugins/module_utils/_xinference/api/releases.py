# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place that knows how Xinference's releases differ. Private to the collection.

Seen on 1.17.1, 2.12.0 and 4.1.0 (recordings in tests/contract) and read in the sources of 3.0.0 to 3.2.0.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._session import Answer

# The server's entry of a UID.
UNKNOWN, LOADING, RUNNING = "unknown", "loading", "running"


def presence(answer: Answer, uid: str) -> str:
    """Reads ``GET /v1/models/{uid}``: UNKNOWN, LOADING or RUNNING.

    An unknown UID is 400 in every release, never 404. While a model loads, 2.12 and later answer 503; 1.17 answers
    400 too, and names the replica (``x-0``) instead of the UID. Any other error is of a model that exists.
    """
    if answer.status == 200:
        return RUNNING
    if answer.status == 503:
        return LOADING
    if answer.status == 400:
        named = re.search(r"uid: (\S+)", answer.detail)
        if named and named.group(1) != uid:
            return LOADING
        if "not found" in answer.detail:
            return UNKNOWN
    return RUNNING


def not_yet_visible(answer: Answer) -> bool:
    """True where an inference answer may only mean that the server has not noticed a new model.

    Since 2.12 an unknown UID is 404 and remembered for ten seconds, also for a model launched meanwhile; 1.17
    answers 400. 503 is a model that still loads.
    """
    if answer.status in (404, 503):
        return True
    return answer.status == 400 and "not found in the model list" in answer.detail


def engines_path(model_type: str, name: str) -> str:
    """LLM engines are read by the path without a type, which is the oldest one."""
    return f"/v1/engines/{name}" if model_type == "LLM" else f"/v1/engines/{model_type}/{name}"


# The engine's own name of the context length of a request.
_CONTEXT_KEYS = {
    "vllm": "max_model_len",
    "sglang": "context_length",
    "llama.cpp": "n_ctx",
    "transformers": "context_length",
    "mlx": "context_length",
    "trt-llm": "max_seq_len",
}


def numbers(version: str) -> tuple[int, ...]:
    """4.1.0 as (4, 1, 0); what is behind the numbers does not count."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def spares_shared_files(version: str) -> bool:
    """Whether deleting a model from the cache leaves the files that another entry links to: seen in 4.1, not in 3.2."""
    return numbers(version) >= (4, 1)


def relaunches(version: str) -> bool:
    """Whether the processes of the supervisor and of the API can be replaced while they serve: since 4.1; 4.0 has no such path."""
    return numbers(version) >= (4, 1)


def adds_replicas(version: str) -> bool:
    """Whether a running model can be given another replica: since 3.2; before, the server answers 405."""
    return numbers(version) >= (3, 2)


def survives_worker(version: str) -> bool:
    """Whether a model goes on with its other replicas when one of its workers leaves: read in 2.12, not in 1.17."""
    return numbers(version) >= (2, 12)


def takes_out(version: str) -> bool:
    """Whether the supervisor can stop giving a replica requests while it serves those that it has: read in 3.5.0 to 4.1.0."""
    return numbers(version) >= (3, 5)


def places_replicas(version: str) -> bool:
    """Whether a launch can name the worker and the GPUs of each replica (replica_config): since 3.2."""
    return numbers(version) >= (3, 2)


def llama_cpp_slots(version: str, cpus: int) -> int:
    """The factor of a declared context for llama.cpp without n_parallel in engine_options.

    Since 4.1 the server does that, by its own number of slots; before, `launch_request` asks for one.
    """
    return min(8, cpus) if numbers(version) >= (4, 1) else 1


def launch_request(version: str, body: t.Mapping[str, t.Any], placed: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The launch request as this release takes it, from the declared one.

    :param body: with the keys ``context_length`` and ``gpu_memory``, which are this collection's.
    :param placed: the keys by which the placement carries out the memory budget.

    Since 4.1 the server takes a context length and turns it into the engine's own key. Before, that is done here; there
    llama.cpp shares the context among its slots, so that their number must be said.
    """
    request = {key: value for key, value in body.items() if key != "gpu_memory"}
    length, engine = request.get("context_length"), str(request.get("model_engine", "")).lower()
    if length is not None and numbers(version) < (4, 1):
        del request["context_length"]
        if engine == "llama.cpp":
            slots = request.setdefault("n_parallel", 1)
            request["n_ctx"] = length * slots
        elif engine in _CONTEXT_KEYS:
            request[_CONTEXT_KEYS[engine]] = length
    return {**request, **placed}
