# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The estimator against published figures (footprint.yml), and the files and budgets that it reads."""

from __future__ import annotations

import io
import json
import os
import re
import struct
from pathlib import Path

import pytest
import yaml

from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import (
    checkpoint_files,
    checkpoints,
    footprint,
)

GIB = footprint.GIB
PUBLISHED = yaml.safe_load(Path(__file__).with_name("footprint.yml").read_text())
CASES = PUBLISHED["cases"]
DOCS = Path(__file__).parents[3] / "docs" / "placement.md"


def name_of(case):
    return f"{case['model']}-{case['quantization']}-{case.get('context', '')}"


def checkpoint_of(case, coarse=False):
    model = PUBLISHED["models"][case["model"]]
    shape = {} if coarse else model["shape"]
    return checkpoints.checkpoint(shape, model["size"], case["format"], case["quantization"])


def need_of(case, coarse=False):
    engine = {"weights": "vllm"}.get(case["what"], "transformers")
    return footprint.need(checkpoint_of(case, coarse), engine, case.get("context"), case.get("cards", 1), {})


def error(case, coarse=False):
    """By what share the estimate is more than what was measured."""
    need = need_of(case, coarse)
    estimate = need.weights
    if case["what"] != "weights":
        estimate += need.cache + (need.work if case["what"] == "allocated" else 0)
    return estimate / GIB / case["gib"] - 1


def percent(errors):
    mean = sum(map(abs, errors)) / len(errors)
    return f"{len(errors)} | {mean:.1%} | {min(errors):+.1%} | {max(errors):+.1%}"


GROUPS = {
    "Transformers: weights, cache and activations": lambda c: c["what"] == "allocated",
    "Transformers: weights and cache": lambda c: c["what"] == "held",
    "vLLM: weights": lambda c: c["what"] == "weights" and c["format"] != "ggufv2",
    "llama.cpp: weights": lambda c: c["format"] == "ggufv2",
}


def measured():
    """The table of docs/placement.md."""
    lines = ["| figures of | cases | mean error | lowest | highest |", "|---|---|---|---|---|"]
    for name, belongs in GROUPS.items():
        lines.append(f"| {name} | {percent([error(case) for case in CASES if belongs(case)])} |")
    lines.append(f"| all of them | {percent([error(case) for case in CASES])} |")
    coarse = [case for case in CASES if case["what"] == "weights" or case["context"] < 3000]
    lines.append(f"| coarse: without the shape, short contexts | {percent([error(c, coarse=True) for c in coarse])} |")
    return lines


def test_there_are_enough_figures_and_each_names_its_page():
    assert len(CASES) >= 30 and len({case["model"] for case in CASES}) >= 12
    for case in CASES + PUBLISHED["fits"]:
        assert PUBLISHED["sources"][case["source"]]["url"].startswith("https://")


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_estimate_is_near_what_was_measured(case):
    # This checkpoint keeps an output matrix of its own, which the model that it was made from has not.
    doubled = (case["model"], case["format"]) == ("qwen3-4b", "fp8")
    assert (-0.15 if doubled else -0.06) < error(case) < 0.12


def test_the_mean_error_is_small():
    assert sum(abs(error(case)) for case in CASES) / len(CASES) < 0.03


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("coarse", [False, True], ids=["shape", "coarse"])
def test_nothing_is_refused_that_was_measured_to_be_smaller(case, coarse):
    """The bound of a refusal is never more than the measured memory."""
    need = need_of(case, coarse)
    least = need.least if case["what"] != "weights" else need.weights * (1 - checkpoints.MARGIN[need.source])
    assert least / GIB < case["gib"]


@pytest.mark.parametrize("case", PUBLISHED["fits"], ids=lambda c: f"{c['model']}-{c['context']}")
def test_what_vllm_says_of_fitting(case):
    model = PUBLISHED["models"][case["model"]]
    found = checkpoints.checkpoint(model["shape"], model["size"], "pytorch", "none")
    need = footprint.need(found, "vllm", case["context"], case["cards"], {})
    assert (need.least / GIB <= case["total_gib"] * case["share"]) is case["fits"]


def test_the_documentation_has_these_numbers():
    text = DOCS.read_text()
    table = re.search(r"<!-- measured -->\n(.*?)\n<!-- /measured -->", text, re.S)
    assert table and table.group(1).splitlines() == measured(), "\n".join(measured())


# -- shapes ------------------------------------------------------------------------------------------------------------

LLAMA = PUBLISHED["models"]["llama-3.1-8b"]["shape"]


def test_layers_with_a_window_or_without_a_cache_take_less():
    shape = {**LLAMA, "layer_types": ["sliding_attention"] * 24 + ["full_attention"] * 8, "sliding_window": 1024}
    full = footprint.need(checkpoints.checkpoint(LLAMA, 8), "vllm", 32768, 1, {})
    some = footprint.need(checkpoints.checkpoint(shape, 8), "vllm", 32768, 1, {})
    assert full.cache == 32 * 32768 * 4096 and some.cache == 8 * 32768 * 4096 + 24 * 1024 * 4096
    linear = checkpoints.checkpoint({**LLAMA, "full_attention_interval": 4}, 8)
    assert footprint.need(linear, "vllm", 32768, 1, {}).cache == full.cache / 4


def test_a_window_that_may_not_be_used_refuses_nothing():
    need = footprint.need(checkpoints.checkpoint({**LLAMA, "sliding_window": 4096}, 8), "vllm", 32768, 1, {})
    assert need.cache == 32 * 32768 * 4096
    assert need.least == pytest.approx(need.weights * 0.9 + 32 * 4096 * 4096)


def test_a_cache_in_eight_bits_is_half_of_one_in_sixteen():
    found = checkpoints.checkpoint(LLAMA, 8)
    half = footprint.need(found, "vllm", 8192, 1, {"kv_cache_dtype": "fp8"}).cache
    assert half * 2 == footprint.need(found, "vllm", 8192, 1, {}).cache


def test_kv_heads_are_not_divided_below_one():
    found = checkpoints.checkpoint(LLAMA, 8)
    assert footprint.need(found, "vllm", 8192, 8, {}).cache == footprint.need(found, "vllm", 8192, 16, {}).cache


def test_compressed_attention_keeps_one_vector():
    deepseek = {**LLAMA, "kv_lora_rank": 512, "qk_rope_head_dim": 64}
    assert footprint.need(checkpoints.checkpoint(deepseek, 8), "vllm", 1000, 1, {}).cache == 32 * 1000 * 576 * 2


def test_the_text_part_of_a_model_that_sees():
    shape = {"text_config": LLAMA, "vision_config": {"hidden_size": 1}, "torch_dtype": "bfloat16"}
    assert checkpoints.checkpoint(shape, 8).layers == 32


def test_the_size_of_the_files_goes_before_everything():
    assert checkpoints.checkpoint({**LLAMA, "weights_bytes": 5}, 8, "pytorch", "none").weights == 5
    assert checkpoints.checkpoint(LLAMA, 8, "pytorch", "none", weights=7).weights == 7
    assert checkpoints.checkpoint({}, None) is None


def test_transformers_computes_in_32_bits_on_a_cpu():
    found = checkpoints.checkpoint(LLAMA, 8, "pytorch", "none")
    on_card = footprint.need(found, "transformers", 2048, 1, {})
    assert footprint.need(found, "transformers", 2048, 1, {}, cpu=True).weights == 2 * on_card.weights


@pytest.mark.parametrize(
    ("engine", "options", "slots", "tokens"),
    [
        ("vllm", {"context_length": 4096}, 8, 4096),
        ("llama.cpp", {"context_length": 4096}, 8, 32768),
        ("llama.cpp", {"context_length": 4096, "engine_options": {"n_parallel": 2}}, 8, 8192),
        ("llama.cpp", {"engine_options": {"n_ctx": 2048}}, 8, 2048),
        ("vllm", {"engine_options": {"max_model_len": 2048}, "definition": {"context_length": 9}}, 8, 2048),
        ("transformers", {"definition": {"context_length": 512}}, 8, 512),
        ("transformers", {}, 8, None),
    ],
)
def test_the_declared_context(engine, options, slots, tokens):
    assert footprint.context_of(engine, options, slots) == tokens


# -- files -------------------------------------------------------------------------------------------------------------


def gguf(**values):
    """The head of a GGUF file."""
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, len(values))
    for key, value in values.items():
        name = key.replace("__", ".").encode()
        data += struct.pack("<Q", len(name)) + name
        if isinstance(value, str):
            data += struct.pack("<IQ", 8, len(value)) + value.encode()
        elif isinstance(value, list) and isinstance(value[0], str):
            data += struct.pack("<IIQ", 9, 8, len(value))
            data += b"".join(struct.pack("<Q", len(text)) + text.encode() for text in value)
        elif isinstance(value, list):
            data += struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)
        else:
            data += struct.pack("<II", 4, value)
    return data


HEAD = gguf(
    general__architecture="llama",
    llama__block_count=32,
    llama__attention__head_count=32,
    llama__attention__head_count_kv=[8, 8, 4],
    llama__embedding_length=4096,
    llama__feed_forward_length=14336,
    llama__context_length=8192,
    tokenizer__ggml__tokens=["a", "b", "c"],
    tokenizer__ggml__scores=[1],
)


def test_the_head_of_a_gguf_file():
    shape = checkpoint_files.gguf_shape(io.BytesIO(HEAD))
    assert shape == {
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 8192,
        "vocab_size": 3,
    }


def test_a_gguf_file_and_its_parts(tmp_path):
    for number, size in ((1, 1000), (2, 500)):
        (tmp_path / f"m-0000{number}-of-00002.gguf").write_bytes(HEAD + b"\0" * size)
    found = checkpoint_files.read_checkpoint(str(tmp_path / "m-00001-of-00002.gguf"), 8, "ggufv2", "Q4_K_M")
    assert (found.weights, found.source, found.layers) == (2 * len(HEAD) + 1500, checkpoints.FILES, 32)
    assert found.context == 8192 and found.kv_width == 2 * 8 * 128


@pytest.mark.parametrize("content", [b"", b"GGUF", b"nothing", HEAD[:60], b"GGUF" + b"\xff" * 40])
def test_a_broken_file_is_no_failure(tmp_path, content):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    assert checkpoint_files.read_checkpoint(str(path), 8, "ggufv2", "Q4_K_M").source == checkpoints.COARSE
    assert checkpoint_files.read_checkpoint(str(path)) is None


def test_a_directory_of_hugging_face(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({**LLAMA, "max_position_embeddings": 4096, "torch_dtype": "float32"})
    )
    (tmp_path / "model-1.safetensors").write_bytes(b"\0" * 100)
    (tmp_path / "model-2.safetensors").write_bytes(b"\0" * 50)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\0" * 999)  # the same weights again
    found = checkpoint_files.read_checkpoint(str(tmp_path), None, "pytorch", "none")
    assert (found.weights, found.source, found.context, found.wide) == (150, checkpoints.FILES, 4096, False)
    (tmp_path / "config.json").write_text("{")
    assert checkpoint_files.read_checkpoint(str(tmp_path), 8).source == checkpoints.COARSE
    # A named pipe, in which nobody ever writes, is not waited for.
    (tmp_path / "config.json").unlink()
    os.mkfifo(tmp_path / "config.json")
    assert checkpoint_files.read_checkpoint(str(tmp_path), 8).source == checkpoints.COARSE
    assert checkpoint_files.read_checkpoint(str(tmp_path / "none")) is None


# -- budgets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6 GiB", 6 * GIB),
        ("6GB", 6e9),
        ("512 MiB", GIB / 2),
        ("40%", 32 * GIB),
        ("0.4", 32 * GIB),
        (0.4, 32 * GIB),
        ("1", 80 * GIB),
        ("100 %", 80 * GIB),
    ],
)
def test_a_budget(text, size):
    assert footprint.budget(text, 80 * GIB) == pytest.approx(size)


@pytest.mark.parametrize("text", ["", "GiB", "six", "6 GiBs", "-1 GiB", "0 GiB", "0", "0%", "101%", "1.5", "6", None])
def test_what_is_no_budget(text):
    with pytest.raises(ValueError, match="is not an? |must be more"):
        footprint.budget(text, 80 * GIB)


def test_a_share_needs_a_card_whose_size_is_known():
    assert footprint.budget("6 GiB", None) == 6 * GIB
    with pytest.raises(ValueError, match="of unknown memory"):
        footprint.budget("40%", None)


@pytest.mark.parametrize("room", [1, 2, 4, 6, 8, 12, 24])
def test_llama_cpp_stays_within_its_room(room):
    found = checkpoints.checkpoint(LLAMA | {"max_position_embeddings": 131072}, 8, "ggufv2", "Q4_K_M")
    keys, held = footprint.llama_cpp_settings(found, room * GIB, 1, None, {})
    assert 0 <= keys["n_gpu_layers"] <= 33 and 4096 <= keys["n_ctx"] <= 131072
    assert held <= room * GIB
    if keys["n_gpu_layers"] < 33:
        assert keys["n_ctx"] == 4096  # the context gives way before the layers do


def test_llama_cpp_of_an_unknown_shape_is_left_alone():
    assert footprint.llama_cpp_settings(checkpoints.checkpoint({}, 8, "ggufv2", "Q4_K_M"), GIB, 1, None, {}) == (
        {},
        GIB,
    )
