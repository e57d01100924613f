# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The formats and devices of Xinference's engines, and their share of a card. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models

# Formats that an engine reads, of LLMs, by Xinference's sources (match_json of each engine, up to 4.1). fp4 stands for
# SGLang and fp8 for Transformers because some families have them; of ggufv2 vLLM serves chat models.
FORMATS = {
    "vllm": ("pytorch", "gptq", "awq", "fp4", "fp8", "bnb", "ggufv2"),
    "sglang": ("pytorch", "gptq", "awq", "fp8", "bnb", "fp4"),
    "transformers": ("pytorch", "gptq", "awq", "bnb", "fp4", "fp8"),
    "llama.cpp": ("ggufv2",),
    "mlx": ("mlx",),
    "trt-llm": ("pytorch", "fp8", "fp4"),
    "sentence_transformers": ("pytorch",),
    "flag": ("pytorch",),
}
GPU_ENGINES = ("vllm", "sglang", "trt-llm")
# CUDA release -> oldest driver by NVIDIA's table of minor version compatibility (CUDA Toolkit release notes).
DRIVERS = {"11": 450, "12": 525, "13": 580}
# Share of a card that vLLM takes unless told otherwise (model/llm/vllm/core.py; 0.6 in model/embedding/vllm/core.py).
VLLM_SHARE, WEMM_SHARE = 0.90, 0.60
# Shares of the free memory that other engines reserve at their start, by the number of cards (model/llm/sglang/core.py;
# TensorRT-LLM's KvCacheConfig).
FREE_SHARES = {"sglang": ((16, 0.79), (8, 0.81), (4, 0.85), (2, 0.87), (1, 0.88)), "trt-llm": ((1, 0.90),)}


def engines_of(model_type: str) -> list[str]:
    """The engines of a type of model."""
    others = ("sentence_transformers", "flag")
    return [
        name
        for name in FORMATS
        if (name not in others if model_type == "LLM" else name in (*others, "vllm", "llama.cpp"))
    ]


def of(model: models.Model) -> str:
    """The engine in lower case; of embedding and rerank models the server's default."""
    default = "sentence_transformers" if model.type in ("embedding", "rerank") else ""
    return (model.options["engine"] or default).lower()


def llama_cpp_is_for_cpu(model: models.Model, there: t.Mapping[str, t.Any] | None) -> bool:
    """Whether the llama.cpp that a model gets from a worker computes on the CPU only, as far as that is known.

    :param there: of the worker, as `cluster.Worker` has it.
    """
    if of(model) != "llama.cpp" or not there or there.get("build") is None:
        return False
    own = model.body.get("enable_virtual_env")
    if there.get("virtual_env") if own is None else own:
        if there.get("index") or names_its_own(model):
            return False
    return there["build"] in ("", "cpu")


def names_its_own(model: models.Model) -> bool:
    """Whether what is declared for a model's virtual environment may bring another build of its engine than the server has."""
    options = model.options
    package = {"llama.cpp": "xllamacpp"}.get(of(model), of(model))
    named = any(package in str(each).lower() for each in options.get("virtual_env_packages") or ())
    return bool(named or options.get("virtual_env_find_links") or (options.get("definition") or {}).get("virtual_env"))


def divisors(heads: int, most: int) -> str:
    """The numbers of GPUs up to `most` that vLLM can divide so many attention heads among."""
    return ", ".join(str(number) for number in range(1, max(1, most) + 1) if heads % number == 0)


def split_gguf(model: models.Model) -> str:
    """Why vLLM cannot load the model's file; empty where it can, or where the file is not known."""
    path = str(model.options["path"] or (model.options["definition"] or {}).get("file") or "")
    parts = re.search(r"-\d{5}-of-(\d{5})\.gguf$", path)
    if of(model) != "vllm" or not parts or int(parts.group(1)) < 2:
        return ""
    return (
        f"vLLM loads only single-file GGUF models, but {path.rpartition('/')[2]} is one of {int(parts.group(1))}: use llama.cpp, or "
        "join the parts with llama-gguf-split --merge"
    )
