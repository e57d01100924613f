# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much memory a model needs. Private to the collection.

The formula, its margins and its measured error are in docs/placement.md. Everything is pure but `read_checkpoint`.
All sizes are bytes, of one card where a model is spread over several.
"""

from __future__ import annotations

import math
import os
import re
import struct
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.modelops.inference.plugins.module_utils import _json
from ansible_collections.modelops.inference.plugins.module_utils._directory import followed
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import sizes

GIB = 1024**3

# Where a figure comes from, and by what share the weights may be smaller than it says (docs/placement.md).
FILES, CATALOGUE, COARSE, UNSURE = "files", "catalogue", "coarse", "unsure"
MARGIN = {FILES: 0.02, CATALOGUE: 0.10, COARSE: 0.25, UNSURE: 0.75}

# Per process and card: CUDA context, libraries and allocator; the figure that Xinference's own estimator uses.
RUNTIME = 650 * 1024**2
# Tokens that an engine takes in one step (prefill), unless its options say otherwise.
_STEP = {"vllm": 8192, "sglang": 8192, "trt-llm": 8192, "llama.cpp": 512, "mlx": 2048}
# Engines that set their whole cache aside when they start, so that a model that does not fit does not start.
PREALLOCATING = ("vllm", "sglang", "trt-llm")
# engine_options by which weights are quantized while they load.
_SHRINKING = ("model_quantization", "quantization_config", "load_in_4bit", "load_in_8bit")
# What a prefill is taken to be long where nobody declares a context, of engines whose cache grows with the request.
_USUAL_CONTEXT = 8192

# Bits per weight of a whole file, as llama.cpp's documentation of llama-quantize measures them on Llama 3.1 8B.
_GGUF_BITS = {
    "q2_k": 3.16, "q2_k_s": 2.97, "q3_k_s": 3.64, "q3_k_m": 4.00, "q3_k_l": 4.30, "q4_0": 4.66, "q4_1": 5.12,
    "q4_k_s": 4.67, "q4_k_m": 4.89, "q5_0": 5.59, "q5_1": 6.06, "q5_k_s": 5.57, "q5_k_m": 5.70, "q6_k": 6.56,
    "q8_0": 8.50, "f16": 16.0, "bf16": 16.0, "f32": 32.0, "fp16": 16.0, "mxfp4": 4.5,
    "iq1_s": 2.00, "iq1_m": 2.15, "iq2_xxs": 2.38, "iq2_xs": 2.59, "iq2_s": 2.74, "iq2_m": 2.93, "iq3_xxs": 3.25,
    "iq3_xs": 3.50, "iq3_s": 3.66, "iq3_m": 3.76, "iq4_xs": 4.46, "iq4_nl": 4.68,
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """What is known of a model's weights.

    :param weights: bytes.
    :param source: FILES, CATALOGUE, COARSE, or UNSURE where the type of the weights is not known.
    :param layers: number of layers; None where the shape is not known, and then no cache can be computed.
    :param full_layers: layers whose cache surely grows with the context.
    :param window_layers: layers that keep a window of it, or may.
    :param kv_width: elements of K and V that one layer keeps of one token.
    :param context: longest context that the model was made for, in tokens.
    """

    weights: float
    source: str
    layers: int | None = None
    full_layers: int = 0
    window_layers: int = 0
    window: int | None = None
    kv_width: float = 0
    kv_heads: int = 1
    heads: int | None = None
    hidden: int = 0
    inter: int = 0
    vocab: int = 0
    context: int | None = None
    bits: float | None = 16.0  # of a weight that the format does not quantize, None where nobody knows them
    wide: bool = False  # weights are 16 bit, which a CPU widens to 32 in Transformers
    sees: bool = False  # it reads images, with an encoder of which nothing is counted but its weights


@dataclass(frozen=True)
class Need:
    """What one replica takes on each of its cards.

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


def checkpoint(
    shape: t.Mapping[str, t.Any],
    size: t.Any = None,
    model_format: str | None = None,
    quantization: str | None = None,
    weights: int | None = None,
    bits: float | None = 16.0,
) -> Checkpoint | None:
    """By the best that there is: the weights' size, else the shape, else the number of parameters.

    Where shape and nominal size disagree, the nominal size counts: such a shape does not tell the experts.

    :param shape: config.json of Hugging Face, or `model_metadata` of Xinference's catalogue, which uses its names.
    :param size: billions of parameters, as Xinference writes them ("1_7").
    :param weights: bytes of the files.
    :param bits: of a weight that the format does not quantize; None where they are not known (`sizes.stored`).
    :returns: None where nothing at all is known.
    """
    text = next((shape[key] for key in _TEXT_CONFIGS if isinstance(shape.get(key), dict)), shape)
    billions = sizes.billions(size)
    known = _shaped(text)
    if weights:
        found = Checkpoint(weights, FILES)
    elif text.get("weights_bytes") or shape.get("weights_bytes"):
        found = Checkpoint(text.get("weights_bytes") or shape["weights_bytes"], FILES)
    elif known.get("layers") and (billions or not _experts(text)):
        tied = text.get("tie_word_embeddings", shape.get("tie_word_embeddings"))
        linear, embedding = _parameters(text, billions, tied)
        source = CATALOGUE
        if billions and not sizes.agree(linear + embedding, billions):
            linear, source = billions * 1e9 - min(embedding, billions * 5e8), COARSE
            known = _doubted(known)
        found = Checkpoint(_bytes(linear, embedding, model_format, quantization, bits), source)
    elif billions:
        found = Checkpoint(_bytes(billions * 1e9, 0, model_format, quantization, bits), COARSE)
    else:
        return None
    if bits is None and found.source != FILES and _unquantized(model_format, quantization):
        found = replace(found, source=UNSURE)
    wide = (model_format or "pytorch") == "pytorch" and str(shape.get("torch_dtype", "bfloat16")) != "float32"
    return replace(found, **known, bits=bits, wide=wide)


# Elements of the vector that multi-head latent attention keeps (kv_lora_rank 512 and 64 of the position: DeepSeek, Kimi, GLM).
_LATENT = 576
_TEXT_CONFIGS = ("text_config", "thinker_config", "language_config", "llm_config")


def _unquantized(model_format: str | None, quantization: str | None) -> bool:
    return (model_format or "pytorch") == "pytorch" and (quantization or "none").lower() in _SIXTEEN


# What the catalogue calls weights that the format does not quantize.
_SIXTEEN = ("none", "bf16", "fp16", "f16")


def _doubted(known: dict[str, t.Any]) -> dict[str, t.Any]:
    """A shape that is not the whole model's: its cache warns, and refuses nothing.

    Large models with as many KV heads as heads compress them (MLA); such a shape does not say so.
    """
    doubted = {
        **known,
        "full_layers": 0,
        "window_layers": known["full_layers"] + known["window_layers"],
        "window": None,
    }
    if known["kv_heads"] == known["heads"]:
        doubted.update(kv_width=_LATENT, kv_heads=1)
    return doubted


def _experts(text: t.Mapping[str, t.Any]) -> t.Any:
    keys = ("num_experts", "num_local_experts", "n_routed_experts")
    return text.get("architecture_type") in ("moe", "mla") or any(text.get(key) for key in keys)


def _shaped(text: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The fields of a Checkpoint that a configuration tells; none where the essential ones are missing."""

    def first(*keys: str) -> t.Any:
        return next((text[key] for key in keys if text.get(key) is not None), None)

    layers = first("num_hidden_layers", "num_layers", "n_layer")
    heads = first("num_attention_heads", "num_heads", "n_head")
    hidden = first("hidden_size", "d_model", "n_embd")
    context = _stretched(first("max_position_embeddings", "context_length", "n_positions"), text)
    if not (layers and heads and hidden):
        return {"context": context}
    kv_heads = first("num_key_value_heads", "n_head_kv") or heads
    head_dim = text.get("head_dim") or hidden / heads
    full, windowed = _caching(text, layers)
    width = 2 * kv_heads * head_dim
    if text.get("kv_lora_rank"):  # multi-head latent attention keeps one compressed vector, whole on each card
        width, kv_heads = text["kv_lora_rank"] + text.get("qk_rope_head_dim", 64), 1
    elif text.get("architecture_type") == "mla":
        full, windowed, width, kv_heads = 0, layers, _LATENT, 1
    inter = first("intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim", "d_ff") or 4 * hidden
    if text.get("moe_intermediate_size"):
        inter = text["moe_intermediate_size"] * (text.get("num_experts_per_tok") or 1)
    return {
        "layers": layers, "full_layers": full, "window_layers": windowed, "window": text.get("sliding_window"),
        "kv_width": width, "kv_heads": kv_heads, "heads": heads, "hidden": hidden, "inter": inter,
        "vocab": first("vocab_size", "padded_vocab_size") or 0, "context": context,
    }  # fmt: skip


# Kinds of rope scaling whose factor is in max_position_embeddings already.
_COUNTED = ("llama3", "longrope", "su", "mrope", "default")


def _stretched(context: int | None, text: t.Mapping[str, t.Any]) -> int | None:
    """The context with the rope scaling that a configuration has, as vLLM takes it."""
    scaling = text.get("rope_scaling") or text.get("rope_parameters")
    if not context or not isinstance(scaling, dict) or scaling.get("rope_type", scaling.get("type")) in _COUNTED:
        return context
    original = scaling.get("original_max_position_embeddings") or context
    return max(context, int(original * (scaling.get("factor") or 1)))


def _caching(text: t.Mapping[str, t.Any], layers: int) -> tuple[int, int]:
    """Layers whose cache surely grows with the context, and those that keep a window of it, or may."""
    types = text.get("layer_types")
    interval = text.get("full_attention_interval")
    if types:
        return types.count("full_attention"), types.count("sliding_attention")
    if interval:
        return layers // interval, 0
    if text.get("sliding_window") and text.get("use_sliding_window", True):
        return 0, layers
    if text.get("architecture_type") == "hybrid_attention":
        # Nothing says which layers keep a cache; of published hybrids one in four does, or fewer.
        return 0, math.ceil(layers / 4)
    return layers, 0


def _parameters(text: t.Mapping[str, t.Any], billions: float | None, tied: bool | None) -> tuple[float, float]:
    """Parameters of the layers, and of the embeddings, which quantization leaves alone."""
    known = _shaped(text)
    hidden, layers, vocab = known["hidden"], known["layers"], known["vocab"]
    embedding = vocab * hidden
    if _experts(text) and billions:
        return billions * 1e9 - 2 * embedding, 2 * embedding
    head_dim = text.get("head_dim") or hidden / known["heads"]
    attention = 2 * hidden * head_dim * (known["heads"] + known["kv_heads"])
    linear = layers * (attention + 3 * hidden * known["inter"] + 2 * hidden)
    if tied is None:
        # The catalogue does not say. Models of 7 billion and more have an output matrix of their own, but those with
        # a very large vocabulary; of smaller ones the nominal size tells.
        untied = linear + 2 * embedding
        nominal = billions * 1e9 if billions is not None and (billions < 7 or vocab >= 200_000) else None
        tied = nominal is not None and abs(nominal - untied) > abs(nominal - untied + embedding)
    return linear, embedding if tied else 2 * embedding


def _bytes(
    linear: float, embedding: float, model_format: str | None, quantization: str | None, plain: float | None = 16.0
) -> float:
    """Bytes of weights in a format; embeddings stay at 16 bits where the format quantizes only the layers."""
    name = (quantization or "none").lower()
    number = re.search(r"\d+", name)
    bits = float(number.group()) if number else 16.0
    if model_format == "ggufv2":
        known = [key for key in _GGUF_BITS if key in name]
        bits = _GGUF_BITS[max(known, key=len)] if known else bits + 0.9
        return (linear + embedding) * bits / 8
    if model_format == "mlx":
        return (linear + embedding) * (bits + 0.5 if bits < 16 else bits) / 8
    if model_format in ("gptq", "awq"):
        # Groups of 128 weights share a 16-bit scale and a zero point.
        bits = (bits if bits < 16 else 4.0) + 0.16
    elif model_format == "fp8":
        bits = 8.0
    elif model_format == "fp4":
        bits = 4.5
    elif model_format == "bnb":
        bits = 4.5 if bits == 4 else bits
    elif name in _SIXTEEN:
        bits = plain or 16.0
    return linear * bits / 8 + embedding * 2


def read_checkpoint(
    path: str, size: t.Any = None, model_format: str | None = None, quantization: str | None = None
) -> Checkpoint | None:
    """From the files at a path: a directory of Hugging Face, or a GGUF file. None where they tell nothing."""
    try:
        if os.path.isfile(path):
            with followed(path) as file:
                shape = gguf_shape(file)
            # A split file is named by its first part.
            stem = re.sub(r"-00001-of-\d{5}\.gguf$", "", path)
            parts = [path] if stem == path else _listed(os.path.dirname(path), os.path.basename(stem), ".gguf")
            return checkpoint(shape, size, "ggufv2", quantization, sum(map(os.path.getsize, parts)))
        weights = _listed(path, "", ".safetensors") or _listed(path, "", ".bin") or _listed(path, "", ".gguf")
        config = os.path.join(path, "config.json")
        shape = {}
        if os.path.exists(config):
            with followed(config) as text:
                shape = _json.load(text)
        return checkpoint(shape, size, model_format, quantization, sum(map(os.path.getsize, weights)))
    except (OSError, ValueError, struct.error, TypeError):
        return checkpoint({}, size, model_format, quantization)


def _listed(directory: str, start: str, end: str) -> list[str]:
    return [
        os.path.join(directory, name)
        for name in os.listdir(directory or ".")
        if name.startswith(start) and name.endswith(end)
    ]


# GGUF's types of a value -> how struct reads it; 8 is a string, 9 an array (the format's specification).
_GGUF_TYPES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_LONGEST = 2**26
_GGUF_NAMES = {
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "expert_count": "num_experts",
    "full_attention_interval": "full_attention_interval",
}


def gguf_shape(file: t.BinaryIO) -> dict[str, t.Any]:
    """The shape that the head of a GGUF file tells, by Hugging Face's names.

    :raises ValueError: it is no GGUF file.
    """
    if file.read(4) != b"GGUF":
        raise ValueError("not a GGUF file")

    def number(code: str) -> t.Any:
        return struct.unpack("<" + code, file.read(struct.calcsize("<" + code)))[0]

    def value(kind: int) -> t.Any:
        if kind == 8:
            size = number("Q")
            if size > _LONGEST:
                raise ValueError("a text in a GGUF file that is longer than any")
            return file.read(size).decode("utf-8", "replace")
        if kind == 9:
            element, length = number("I"), number("Q")
            if element in (8, 9):
                return [value(element) for _item in range(length)]
            if element not in _GGUF_TYPES or length > _LONGEST:
                raise ValueError("a list in a GGUF file that cannot be read")
            return list(struct.unpack(f"<{length}{_GGUF_TYPES[element]}", file.read(length * _width(element))))
        if kind not in _GGUF_TYPES:
            raise ValueError(f"unknown type {kind} in a GGUF file")
        return number(_GGUF_TYPES[kind])

    number("I")  # the format's version
    number("Q")  # number of tensors
    shape: dict[str, t.Any] = {}
    for _pair in range(number("Q")):
        key = value(8)
        found = value(number("I"))
        name = _GGUF_NAMES.get(key.partition(".")[2])
        if name and isinstance(found, list):  # differs by layer: the largest is safe
            found = max(found) if found and not isinstance(found[0], bool) else None
        if name:
            shape[name] = found
        elif key == "tokenizer.ggml.tokens":
            shape.setdefault("vocab_size", len(found))
            break  # what describes the model comes first
    return shape


def _width(kind: int) -> int:
    return struct.calcsize("<" + _GGUF_TYPES[kind])


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
    """What one replica takes on each of `cards` cards, or in memory where it runs on the CPU.

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
        raise ValueError(f"{text!r} is no amount of memory, such as '6 GiB', '40%' or 0.4")
    number = float(match.group(1))
    scale = _UNITS[unit]
    if scale is None:
        share = number / 100 if unit == "%" else number
        if not 0 < share <= 1:
            raise ValueError(f"{text!r} is no share of a card: give a unit, such as '{number:g} GiB', or 0 to 1")
        if total is None:
            raise ValueError(f"{text!r} is a share of a card whose memory is not known: give an amount such as '6 GiB'")
        return share * total
    if number <= 0:
        raise ValueError(f"{text!r} is no memory at all")
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
