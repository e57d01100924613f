# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of cards and models that are independent of free memory. Private to the collection. Pure."""

from __future__ import annotations

import re
import typing as t

_Floors = t.Mapping[str, float]

# Since which release of vLLM -> format -> least compute capability; "" is every format. By the tables "Supported hardware" of
# vLLM's documentation (0.9.2 to 0.15.1, and of its main branch) and its installation guide; the wheels of 0.20 and later are
# built for CUDA 13, which has no code for capability 7.0.
_VLLM: tuple[tuple[tuple[int, ...], _Floors], ...] = (
    ((0, 0), {"": 7.0, "awq": 7.5, "fp8": 8.0, "fp4": 8.0}),
    ((0, 16), {"": 7.0, "awq": 7.5, "fp8": 7.5, "fp4": 7.5}),
    ((0, 20), {"": 7.5}),
)
# The same of the others, by their installation guides. Transformers turns FP8 into 16 bits on a card that is too old for it.
_OTHERS: t.Mapping[str, _Floors] = {
    "sglang": {"": 7.5},
    "trt-llm": {"": 8.0, "fp8": 8.9, "fp4": 10.0},
}
# Engines that run on PyTorch, whose builds for CUDA later than 12.6 have no code for cards before 7.5 (its release notes).
_WITHOUT_TORCH = ("llama.cpp", "mlx", "")
# Proposed alternatives, the nearest first.
_INSTEAD = (
    ("vllm", "gptq", "GPTQ with vLLM"),
    ("transformers", "pytorch", "Transformers"),
    ("", "", "llama.cpp (ggufv2)"),
)


def floor(engine: str, model_format: str | None, vllm: str = "", cuda: str = "") -> tuple[float, str]:
    """The least compute capability, and what needs it; of an unknown release of vLLM the least of all.

    :param engine: in lower case.
    :param cuda: CUDA that PyTorch is built for.
    """
    wanted = model_format or ""
    if engine == "vllm":
        release = _numbers(vllm)
        known = [floors for since, floors in _VLLM if not release or since <= release]
        rows = known if not release else known[-1:]
        least = min(row.get(wanted, row[""]) for row in rows)
        who = f"vLLM {vllm}".strip()
    else:
        row = _OTHERS.get(engine, {})
        least, who = row.get(wanted, row.get("", 0.0)), ""
        rows = [row]
    special = bool(wanted) and all(wanted in row and row[wanted] > row.get("", 0.0) for row in rows)
    if engine not in _WITHOUT_TORCH and _numbers(cuda) > (12, 6) and least < 7.5:
        return 7.5, f"PyTorch for CUDA {cuda}"
    return least, who if not special else f"{who} with format {wanted}".strip()


def stored_format(model_format: str | None, bits: float | None) -> str | None:
    """The format that counts for a card: that of the weights of a checkpoint that is called unquantized."""
    if model_format not in (None, "pytorch") or bits is None or bits >= 16:
        return model_format
    return "fp4" if bits < 8 else "fp8"


def instead(capability: float, engine: str, vllm: str = "", cuda: str = "") -> str:
    """Alternatives that run on a card of this capability."""
    able = [
        name
        for other, model_format, name in _INSTEAD
        if floor(other, model_format, vllm, cuda)[0] <= capability and not (engine == other == "transformers")
    ]
    return " or ".join(able)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0])[:2])


# engine_options that hold the tokens of one request. llama.cpp's n_ctx is of all of its slots.
_CONTEXT_KEYS = ("max_model_len", "context_length", "max_seq_len")
# By which a model is made to take more than it was made for: in engine_options, and in envs.
_STRETCHING = re.compile(r"rope|yarn|hf_overrides|json_model_override_args", re.I)
_STRETCHING_ENVS = ("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN")


def too_long(options: t.Mapping[str, t.Any], own: int | None) -> str:
    """Why a declared context is more than a model was made for; empty where it is not, or where it is stretched.

    :param options: of the model.  :param own: tokens that the model was made for; None where they are not known.
    """
    given, envs = options.get("engine_options") or {}, options.get("envs") or {}
    declared = [("context_length", options.get("context_length")), *((key, given.get(key)) for key in _CONTEXT_KEYS)]
    found = [(key, int(str(tokens))) for key, tokens in declared if str(tokens).isdecimal()]
    key, tokens = max(found, key=lambda item: item[1], default=("", 0))
    if own is None or tokens <= own:
        return ""
    if any(_STRETCHING.search(str(key)) for key in given) or any(envs.get(name) for name in _STRETCHING_ENVS):
        return ""
    return (
        f"{key} is {tokens} tokens, but the model supports {own}: lower it, or give the rope scaling that its model card "
        "names in engine_options (hf_overrides of vLLM, json_model_override_args of SGLang, rope_scaling_type of llama.cpp)"
    )
