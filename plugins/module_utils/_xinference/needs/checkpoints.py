# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The size of a model's weights, and its shape. Private to the collection. Pure.

The margins of each source and their measured error are in docs/placement.md.
"""

from __future__ import annotations

import math
import re
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import sizes

# Where a figure comes from, and by what share the weights may be smaller than it says (docs/placement.md).
FILES, CATALOGUE, COARSE, UNSURE = "files", "catalogue", "coarse", "unsure"
MARGIN = {FILES: 0.02, CATALOGUE: 0.10, COARSE: 0.25, UNSURE: 0.75}
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
    """Known facts about a model's weights.

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


def checkpoint(
    shape: t.Mapping[str, t.Any],
    size: t.Any = None,
    model_format: str | None = None,
    quantization: str | None = None,
    weights: int | None = None,
    bits: float | None = 16.0,
) -> Checkpoint | None:
    """The checkpoint from the best source: the weights' size, else the shape, else the number of parameters.

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


# The catalogue's names for weights that are not quantized.
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
