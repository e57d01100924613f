# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The advice of a refusal works: a model that follows it is not refused again."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from test_placement import declare, place, qwen, worker
from test_placement_read import read

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs.models import MODEL_OPTIONS

# Else a context beyond the model's own is refused for that.
STRETCHED = {"engine_options": {"hf_overrides": {"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}}}


@pytest.mark.parametrize(
    "options",
    [
        {"size": 32, "quantization": "Int4", "context_length": 32768},
        {"size": 7, "context_length": 200000, **STRETCHED},
        {"size": 7, "context_length": 80000, "gpu_memory": "16 GiB", **STRETCHED},
    ],
)
def test_the_advised_context_fits_and_a_longer_one_does_not(options):
    [problem] = place([worker("RTX 4090")], qwen(**options)).problems
    tokens = int(re.search(r"lower context_length to (\d+)", problem).group(1))
    assert tokens < options["context_length"]
    assert place([worker("RTX 4090")], qwen(**{**options, "context_length": tokens})).problems == []
    own = 32768  # longer ones than the model's own are not advised
    longer = int(1.15 * tokens)
    assert tokens == own or place([worker("RTX 4090")], qwen(**{**options, "context_length": longer})).problems != []


def test_no_context_is_advised_where_the_weights_alone_do_not_fit():
    [problem] = place([worker("RTX 4090")], qwen(size=72, context_length=4096)).problems
    assert "Options: use a smaller quantization" in problem


def test_idle_cards_are_named_where_llama_cpp_spills():
    options = {"size": 32, "quantization": "Q4_K_M", "engine": "llama.cpp", "engine_options": {"n_ctx": 32768}}
    [warning] = place([worker("L4", "L4", "L4")], qwen(**options)).warnings
    assert "run on the CPU, which is slow. 2 more of its cards hold no model: raise gpus_per_replica (now 1)" in warning
    [alone] = place([worker("L4")], qwen(**options)).warnings
    assert "gpus_per_replica" not in alone


@pytest.mark.parametrize(
    ("engine", "file", "refused"),
    [
        ("vLLM", "m-q8_0-00001-of-00003.gguf", True),
        ("vLLM", "m-q8_0-00001-of-00001.gguf", False),
        ("vLLM", "m-q8_0.gguf", False),
        ("llama.cpp", "m-q8_0-00001-of-00003.gguf", False),
    ],
)
def test_vllm_is_refused_a_gguf_in_parts(engine, file, refused):
    model = declare(engine=engine, path=f"/m/{file}", format="ggufv2", quantization="Q8_0", size="7")
    problems = place([worker("A100 80")], model).problems
    assert any("use llama.cpp, or join the parts" in problem for problem in problems) == refused


@pytest.mark.parametrize(
    ("engine", "options", "warned"),
    [
        ("vLLM", {"gpu_memory": "30%"}, True),
        ("vLLM", {"engine_options": {"gpu_memory_utilization": 0.5}}, True),
        ("vLLM", {"gpu_memory": "30%", "engine_options": {"limit_mm_per_prompt": {"image": 1}}}, False),
        ("vLLM", {}, False),
        ("Transformers", {"gpu_memory": "30%"}, False),
    ],
)
def test_the_image_encoder_of_a_model_on_a_part_of_a_card_is_warned_of(engine, options, warned):
    model, found = qwen(engine=engine, context_length=4096, **options)
    seeing = place([worker("A100 80")], (model, replace(found, sees=True)))
    assert seeing.problems == [] and any("image encoder" in line for line in seeing.warnings) == warned
    assert not any("image encoder" in line for line in place([worker("A100 80")], (model, found)).warnings)


def test_a_definition_tells_whether_a_model_sees(newest, gguf):
    definition = {"family": "gemma-3-it", "context_length": 2048, "abilities": ["chat", "vision"]}
    spec = {"engine": "llama.cpp", "size": "4", "path": gguf, "quantization": "Q4_K_M", "format": "ggufv2"}
    text = {**definition, "abilities": ["chat"]}
    declared = declare("a", definition=definition, **spec), declare("b", definition=text, **spec)
    found, _wanted, _actual = read(newest, *declared)
    assert found.checkpoints["a"].sees and not found.checkpoints["b"].sees


def test_a_card_that_another_program_fills_is_said_so():
    [problem] = place([worker("RTX 4090", free=4)], qwen(engine="SGLang", gpu_memory="20 GiB")).problems
    assert "4.0 GiB of 24.0 GiB are left" in problem
    assert "programs other than this server use 20.0 GiB" in problem
    [problem] = place([worker("RTX 4090")], qwen(size=32)).problems
    assert "programs" not in problem


def test_a_key_of_the_launch_request_leads_to_its_option():
    for key, option in _module._ELSEWHERE.items():
        [line] = _module.misspelled(MODEL_OPTIONS, {key: 1})
        assert line == f"no option '{key}'; nearest: {option}"
    assert _module.misspelled({"replicas": {}}, {"n_gpu": 1}) == ["no option 'n_gpu'; there are replicas"]
