# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cards that are too old for an engine or a format, and contexts that a model was not made for."""

from __future__ import annotations

import pytest
from test_placement import CARDS, QWEN25, declare, place, worker

from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import checkpoints, limits


@pytest.mark.parametrize(
    ("engine", "model_format", "vllm", "cuda", "least"),
    [
        ("vllm", "pytorch", "0.15.1", "12.6", 7.0),
        ("vllm", "gptq", "0.15.1", "12.6", 7.0),
        ("vllm", "awq", "0.15.1", "12.6", 7.5),
        ("vllm", "fp8", "0.15.1", "12.6", 8.0),
        ("vllm", "fp8", "0.19.1", "12.6", 7.5),
        ("vllm", "pytorch", "0.33.0", "13.0", 7.5),
        ("vllm", "gptq", "0.33.0+cu130", "", 7.5),
        ("vllm", "pytorch", "", "", 7.0),
        ("vllm", "fp8", "", "", 7.5),
        ("vllm", None, "", "12.9", 7.5),
        ("sglang", "pytorch", "", "", 7.5),
        ("trt-llm", "fp8", "", "", 8.9),
        ("transformers", "pytorch", "", "12.6", 0.0),
        ("transformers", "pytorch", "", "13.0", 7.5),
        ("transformers", "fp8", "", "12.6", 0.0),
        ("llama.cpp", "ggufv2", "", "13.0", 0.0),
    ],
)
def test_the_least_compute_capability(engine, model_format, vllm, cuda, least):
    assert limits.floor(engine, model_format, vllm, cuda)[0] == least


@pytest.mark.parametrize(
    ("model_format", "cluster", "said"),
    [
        ("fp8", {"vllm": "0.19.1", "cuda": "12.6"}, "vLLM 0.19.1 with format fp8 needs compute capability 7.5"),
        ("pytorch", {"vllm": "0.33.0"}, "vLLM 0.33.0 needs compute capability 7.5"),
        ("pytorch", {"cuda": "13.0"}, "PyTorch for CUDA 13.0 needs compute capability 7.5"),
    ],
)
def test_a_card_that_is_too_old_is_told_what_would_run(monkeypatch, model_format, cluster, said):
    monkeypatch.setitem(CARDS, "V100", (32768, 7.0))
    found = checkpoints.checkpoint(QWEN25[7], 7, model_format, "fp8" if model_format == "fp8" else "none")
    declared = declare(size="7", format=model_format), found
    [problem] = place([worker("V100", driver="580.95")], declared, **cluster).problems
    assert said in problem and "V100 of 10.0.0.1:5000 has 7.0: take" in problem and "llama.cpp (ggufv2)" in problem
    assert ("GPTQ with vLLM" in problem) is (model_format == "fp8")


def test_the_type_of_the_weights_counts_where_the_catalogue_calls_them_unquantized():
    assert limits.stored_format("pytorch", 8.0) == "fp8" and limits.stored_format(None, 4.5) == "fp4"
    assert limits.stored_format("pytorch", 16.0) == limits.stored_format("pytorch", None) == "pytorch"
    assert limits.stored_format("awq", 8.0) == "awq"
    found = checkpoints.checkpoint({}, 20, "pytorch", "none", bits=4.5)
    [problem] = place([worker(*["T4"] * 4)], (declare(format="pytorch", gpus="4"), found), vllm="0.15.1").problems
    assert "vLLM 0.15.1 with format fp4 needs compute capability 8.0, and T4 of" in problem


def test_of_cards_of_several_kinds_only_those_that_are_able_are_taken():
    mixed = [worker("P100", "T4")]  # the P100 has more memory
    assert [row["card"] for row in place(mixed, declare()).rows] == [1]
    [problem] = place(mixed, declare(gpu_indices=[0])).problems
    assert "card 0 of 10.0.0.1:5000 has compute capability 6.0, and it needs 7.0: give other gpu_indices" in problem
    [problem] = place(mixed, declare(gpus="2")).problems
    assert "no worker has 2 GPUs of compute capability 7.0 and later left" in problem
    # Transformers runs on both.
    assert [row["card"] for row in place(mixed, declare(engine="Transformers")).rows] == [0]


# -- contexts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "own", "refused"),
    [
        ({"context_length": 131072}, 40960, True),
        ({"context_length": 40960}, 40960, False),
        ({"context_length": 131072}, None, False),
        ({"engine_options": {"max_model_len": "65536"}}, 40960, True),
        ({"engine_options": {"n_ctx": 65536}}, 40960, False),  # of all slots
        ({"context_length": 131072, "engine_options": {"hf_overrides": {"rope_scaling": {"factor": 4}}}}, 40960, False),
        ({"context_length": 131072, "engine_options": {"rope_scaling_type": "yarn"}}, 40960, False),
        ({"context_length": 131072, "envs": {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}}, 40960, False),
    ],
)
def test_a_context_that_the_model_was_not_made_for(options, own, refused):
    said = limits.too_long(options, own)
    assert bool(said) is refused
    if refused:
        assert f"the model supports {own}" in said and "rope scaling" in said


def test_it_is_refused_before_anything_starts():
    declared = declare(size="7", format="pytorch", context_length=131072), checkpoints.checkpoint(QWEN25[7], 7)
    problems = place([worker("A100 80")], declared).problems
    assert problems[0].startswith("models: m: context_length is 131072 tokens, but the model supports 32768")


@pytest.mark.parametrize(
    ("scaling", "context"),
    [
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
        ({"type": "linear", "factor": 2.0}, 65536),
        ({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}, 32768),
        (None, 32768),
    ],
)
def test_rope_scaling_of_the_configuration_itself_counts(scaling, context):
    assert checkpoints.checkpoint({**QWEN25[7], "rope_scaling": scaling}, 7).context == context
