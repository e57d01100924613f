# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The memory that a model needs. Private to the collection.

The formula, its margins and its measured error are in docs/placement.md. Everything is pure but `read_checkpoint`.
All sizes are bytes, of one card where a model is spread over several.
"""

from __future__ import annotations

import math
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs.checkpoints import MARGIN, Checkpoint

GIB = 1024**3


# Per process and card: CUDA context, libraries and allocator; the figure that Xinference's own estimator uses.
RUNTIME = 650 * 1024**2
# Tokens that an engine takes in one step (prefill), unless its options say otherwise.
_STEP = {"vllm": 8192, "sglang": 8192, "trt-llm": 8192, "llama.cpp": 512, "mlx": 2048}
# Engines that set their whole cache aside when they start, so that a model that does not fit does not start.
PREALLOCATING = ("vllm", "sglang", "trt-llm")
# engine_options by which weights are quantized while they load.
_SHRINKING = ("model_quantization", "quantization_config", "load_in_4bit", "load_in_8bit")
# Assumed length of a prefill without a declared context, for engines whose cache grows with the request.
_USUAL_CONTEXT = 8192


@dataclass(frozen=True)
class Need:
    """Memory of one replica on each of its cards.

    :param weights: the weights.
    :param cache: the KV cache at the context.
    :param work: activations of one step.
    :param runtime: what a process takes before it has loaded anything.
    :param least: what it surely takes: the weights less their margin, and the cache that surely grows.
    """

    weights: float
    cache: float
    work: float
    runtime: float
    least: float
    source: str

    @property
    def total(self) -> float:
        return self.weights + self.cache + self.work + self.runtime


# -- what is known of a model --------------------------------------------------------------------------------------


# -- what it needs -------------------------------------------------------------------------------------------------


def context_of(engine: str, options: t.Mapping[str, t.Any], slots: int) -> int | None:
    """Tokens that the engine's cache is declared to hold: by the option, else the engine's own key, else the definition.

    :param slots: among how many requests llama.cpp shares its context, where engine_options does not say.
    """
    given = options.get("engine_options") or {}
    if options.get("context_length"):
        return options["context_length"] * (int(number(given, "n_parallel", slots)) if engine == "llama.cpp" else 1)
    own = max(number(given, key, 0) for key in ("n_ctx", "max_model_len", "context_length"))
    declared = own or (options.get("definition") or {}).get("context_length")
    return int(declared) if declared else None


def number(given: t.Mapping[str, t.Any], key: str, default: float) -> float:
    """A positive number of engine_options; the default for what an engine may understand and this module does not."""
    try:
        return float(given[key]) if float(given[key]) > 0 else default
    except (KeyError, TypeError, ValueError):
        return default


def need(
    found: Checkpoint, engine: str, context: int | None, cards: int, given: t.Mapping[str, t.Any], cpu: bool = False
) -> Need:
    """Memory of one replica on each of `cards` cards, or in the host where it runs on the CPU.

    :param engine: in lower case.
    :param context: tokens that are declared; None takes the model's own where the engine sets its cache aside.
    :param given: engine_options.
    """
    kept = 1 if "8" in str(given.get("kv_cache_dtype") or "") else 2
    tokens = context or found.context or _USUAL_CONTEXT
    if not context and engine not in (*PREALLOCATING, "llama.cpp"):
        tokens = min(tokens, _USUAL_CONTEXT)
    # A card of several keeps its share of the KV heads, at least one.
    share = max(1, math.ceil(found.kv_heads / cards)) / found.kv_heads if engine in PREALLOCATING else 1 / cards
    of_token = found.kv_width * kept * share
    window = min(tokens, found.window or tokens)
    sure = found.full_layers * tokens * of_token
    # A model whose windows are not surely used may keep the whole context in every layer.
    cache = sure + found.window_layers * of_token * (window if found.full_layers else tokens)
    least_cache = sure + found.window_layers * of_token * min(tokens, found.window or 0)
    step = min(tokens, number(given, "max_num_batched_tokens", _STEP.get(engine, tokens)))
    work = step * 2 * (3 * found.inter + 5 * found.hidden)
    if engine == "llama.cpp":
        work = step * 4 * found.vocab
    elif engine in PREALLOCATING:
        work = work / cards + number(given, "max_num_seqs", 256) * found.vocab * 4
    elif not found.layers:
        work = 0.15 * found.weights
    loaded = max(0.0, found.weights / cards - number(given, "cpu_offload_gb", 0) * GIB)
    # Transformers computes in 32 bits on a CPU, unless it is told otherwise.
    weights = loaded * (2 if cpu and engine == "transformers" and found.wide else 1)
    # Weights that are quantized while they load may take a quarter.
    shrinks = any(given.get(key) for key in _SHRINKING)
    least = loaded * (0.25 if shrinks else 1 - MARGIN[found.source])
    if engine in (*PREALLOCATING, "llama.cpp") or context:
        least += least_cache
    return Need(weights, cache, work, RUNTIME, least, found.source)


# -- budgets -------------------------------------------------------------------------------------------------------

_UNITS: dict[str, float | None] = {
    "": None,
    "b": 1,
    "gib": GIB,
    "gb": 10**9,
    "mib": 1024**2,
    "mb": 10**6,
    "tib": 1024**4,
    "tb": 10**12,
    "%": None,
}


def budget(text: t.Any, total: float | None) -> float:
    """Bytes of a card that `gpu_memory` allows.

    :param text: "6 GiB", "6GB", "40%", or 0.4 of a card.
    :param total: bytes of the card; None where they are not known.
    :raises ValueError: saying what is wrong with it.
    """
    match = re.match(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z%]*)\s*$", str(text))
    unit = match.group(2).lower() if match else None
    if match is None or unit not in _UNITS:
        raise ValueError(f"{text!r} is not an amount of memory, such as '6 GiB', '40%' or 0.4")
    number = float(match.group(1))
    scale = _UNITS[unit]
    if scale is None:
        share = number / 100 if unit == "%" else number
        if not 0 < share <= 1:
            raise ValueError(f"{text!r} is not a share of a card: give a unit, such as '{number:g} GiB', or 0 to 1")
        if total is None:
            raise ValueError(f"{text!r} is a share of a card of unknown memory: give an amount such as '6 GiB'")
        return share * total
    if number <= 0:
        raise ValueError(f"{text!r} must be more than 0")
    return number * scale


def llama_cpp_settings(
    found: Checkpoint, room: float, cards: int, context: int | None, given: t.Mapping[str, t.Any]
) -> tuple[dict[str, int], float]:
    """`n_gpu_layers` and, where no context is declared, `n_ctx` with which llama.cpp stays within `room` on each card.

    :returns: the keys, and the bytes that stay on each card.
    """
    if not found.layers:
        return {}, room
    layers = found.layers + 1  # llama.cpp counts the output as one
    tokens = context or found.context or _USUAL_CONTEXT
    while True:
        wanted = need(found, "llama.cpp", tokens, 1, given)
        fixed = (wanted.work + wanted.runtime) * cards
        each = (wanted.weights + wanted.cache) / layers
        # A room that is exactly the model's own holds all of its layers, whatever the last bit of a division says.
        fits = max(0, min(layers, int((room * cards - fixed) / each + 1e-6)))
        if fits == layers or context or tokens <= 4096:
            break
        tokens = max(4096, tokens // 2)
    keys = {"n_gpu_layers": fits}
    if not context:
        keys["n_ctx"] = tokens
    return keys, ((fits * each) + fixed) / cards if fits else 0.0
