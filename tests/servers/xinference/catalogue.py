# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The built-in models of the test server: a few of each type, as the real ones are told."""

from __future__ import annotations

import typing as t

GGUF = ["Q4_0", "Q4_K_M", "Q8_0"]
_NO_VLLM = {
    "virtualenv_required": True,
    "virtualenv_reason": "Engine vLLM is not installed in the current environment; enable virtualenv to use it.",
}


def _llm(name: str, size: int | str) -> dict[str, t.Any]:
    def offer(model_format: str, quantizations: list[str], **more: t.Any) -> dict[str, t.Any]:
        return {
            "model_name": name,
            "model_format": model_format,
            "model_size_in_billions": size,
            "quantizations": quantizations,
            **more,
        }

    return {
        "Transformers": [offer("pytorch", ["none"])],
        "llama.cpp": [offer("ggufv2", GGUF, multimodal_projectors=None)],
        "vLLM": [offer("pytorch", ["none"], **_NO_VLLM)],
        "MLX": "Failed to import mlx_lm: No module named 'mlx_lm'",
    }


def _other(name: str) -> dict[str, t.Any]:
    row = {"model_name": name, "model_format": "pytorch", "quantization": "none"}
    return {"sentence_transformers": [row], "vllm": [{**row, **_NO_VLLM}]}


ENGINES: dict[str, dict[str, dict[str, t.Any]]] = {
    "LLM": {"gemma-3-1b-it": _llm("gemma-3-1b-it", 1), "qwen3": _llm("qwen3", "0_6")},
    "embedding": {"bge-m3": _other("bge-m3"), "bge-small-en-v1.5": _other("bge-small-en-v1.5")},
    "rerank": {"bge-reranker-v2-m3": _other("bge-reranker-v2-m3")},
    "image": {"sd-turbo": {"diffusers": [{"model_name": "sd-turbo", "model_format": "diffusers"}]}},
    "audio": {"whisper-tiny": {"transformers": [{"model_name": "whisper-tiny", "model_format": "pytorch"}]}},
    "video": {"CogVideoX-2b": {}},
    "flexible": {},
}
# Shapes of the LLMs, which the catalogue tells since 4.x.
_SHAPES: dict[str, dict[str, t.Any]] = {
    "gemma-3-1b-it": {
        "vocab_size": 262144, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "hidden_size": 1152,
        "intermediate_size": 6912, "num_hidden_layers": 26,
    },
    "qwen3": {
        "vocab_size": 151936, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "hidden_size": 1024,
        "intermediate_size": 3072, "num_hidden_layers": 28,
    },
}  # fmt: skip


def family(name: str, metadata: bool) -> dict[str, t.Any]:
    """Specs and context of a built-in model; only LLMs have them here."""
    if name not in _SHAPES:
        return {"model_specs": []}
    specs = [
        {
            "model_format": offer["model_format"],
            "model_size_in_billions": offer["model_size_in_billions"],
            "quantization": quantization,
            "model_hub": "huggingface",
            **({"model_metadata": _SHAPES[name]} if metadata else {}),
        }
        for engine in ("Transformers", "llama.cpp")
        for offer in ENGINES["LLM"][name][engine]
        for quantization in offer["quantizations"]
    ]
    return {"context_length": 32768, "model_specs": specs}


ABILITIES = {"embedding": ["embed"], "rerank": ["rerank"], "image": ["text2image"], "audio": ["audio2text"]}
# Families that see: the server adds the ability to a custom model that derives from them.
VISION_FAMILIES = ("gemma-3-it",)
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def details(model_type: str, name: str) -> dict[str, t.Any]:
    """The entry of a built-in model in the detailed list."""
    offers = [offer for told in ENGINES[model_type][name].values() if isinstance(told, list) for offer in told]
    specs = [
        {**{key: offer.get(key) for key in ("model_format", "model_size_in_billions")}, "quantization": quantization}
        for offer in offers
        for quantization in offer.get("quantizations") or [offer.get("quantization")]
    ]
    more = {"LLM": {"context_length": 32768, "model_lang": ["en"], "model_ability": ["chat", "generate"]}}
    return {"model_name": name, "model_specs": specs, **more.get(model_type, {})}


def custom_engines(definition: dict[str, t.Any], model_type: str) -> dict[str, t.Any]:
    """The engines of a registered custom model, as the server reports them."""
    name = definition["model_name"]
    if model_type == "LLM":
        engines = _llm(name, definition["model_specs"][0]["model_size_in_billions"])
        quantization = definition["model_specs"][0]["quantization"]
        engines["llama.cpp"][0]["quantizations"] = [quantization]
        return engines
    return {"sentence_transformers": _other(name)["sentence_transformers"]}
