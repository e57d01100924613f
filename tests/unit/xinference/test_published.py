# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The placement of published models on published hardware (published.yml): their size, and whether they fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from test_placement import declare

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import checkpoints, footprint, sizes
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import placement
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import (
    Card,
    Cluster,
    Worker,
)

GIB = footprint.GIB
PUBLISHED = yaml.safe_load(Path(__file__).with_name("published.yml").read_text())
CASES = PUBLISHED["cases"]


def checkpoint_of(case, **known):
    """As `cluster` makes it of the catalogue's answer."""
    model = {**PUBLISHED["models"][case["model"]], **known}
    size = sizes.total(model["size"], model["id"])
    bits = sizes.stored(model["id"], size, model["formats"])
    shape = {**model["shape"], "context_length": model["context"]}
    return checkpoints.checkpoint(shape, size, case["format"], case["quantization"], bits=bits)


def place(case, found, **options):
    declared = declare(
        engine=case["engine"],
        format=case["format"],
        context_length=4096,
        gpus_per_replica=str(case["cards"]),
        engine_options={"n_parallel": 1} if case["engine"] == "llama.cpp" else None,
        **options,
    )
    wanted = models.desired([declared], exists=lambda path: True)
    cards = [Card(index, case["of"] * GIB, case["of"] * GIB) for index in range(case["cards"])]
    cluster = Cluster([Worker("10.0.0.1:5000", cards, 64 * GIB, 16, "linux", True)], False, {"m": found})
    actual = server_state.ServerState({}, {}, version="4.1.0")
    return placement.plan(wanted, [model_plan.Decision(wanted[0], model_plan.LAUNCH)], actual, cluster)


def name_of(case):
    return f"{case['model']}-{case['quantization']}-{case['cards']}x{case['of']}"


def test_there_are_enough_cases_and_each_names_its_source():
    assert len(CASES) >= 60 and len({case["model"] for case in CASES}) >= 40
    for case in CASES:
        assert case["source"].startswith(("model card of ", "files on the hub of "))


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_size_is_near_the_published_one(case):
    found = checkpoint_of(case)
    ratio = found.weights / GIB / case["gib"]
    coarse = found.source in (checkpoints.COARSE, checkpoints.UNSURE)
    assert (0.75 if coarse else 0.88) < ratio < (1.25 if coarse else 1.15), (found.weights / GIB, found.source)
    # The bound of a refusal is never more than the published size.
    assert found.weights * (1 - checkpoints.MARGIN[found.source]) / GIB < case["gib"]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_it_fits_where_it_is_published_to_fit_and_nowhere_else(case):
    found = checkpoint_of(case)
    result, surely = place(case, found), case["gib"] * (1 - checkpoints.MARGIN[found.source])
    if case["fits"]:
        assert not result.problems and not any("layers fit" in warning for warning in result.warnings), result
    elif surely > case["cards"] * case["of"]:
        assert result.problems
    else:  # within the margin
        assert result.problems or "are needed" in " ".join(result.warnings)


# -- sizes and types -------------------------------------------------------------------------------------------------------


def case_of(model, cards, of):
    return {"model": model, "format": "pytorch", "quantization": "none", "engine": "vLLM", "cards": cards, "of": of}


def test_experts_that_a_shape_does_not_tell_are_counted():
    found = checkpoint_of(case_of("Qwen3-Next-Instruct-80", 1, 24))
    assert found.source == checkpoints.COARSE and found.weights == pytest.approx(160e9, rel=0.01)
    # Such a shape refuses nothing for its cache.
    assert found.full_layers == 0 and found.window_layers == 12
    kimi = checkpoint_of(case_of("Kimi-K2.5-1058.59", 8, 141))
    assert kimi.kv_width == 576 and kimi.kv_heads == 1


def test_weights_of_an_unknown_type_warn_instead_of_being_refused():
    case = case_of("deepseek-v3-671", 8, 141)
    unknown = checkpoint_of(case, id="somebody/New-671B", formats=["pytorch"])
    assert unknown.source == checkpoints.UNSURE
    result = place(case, unknown)
    assert not result.problems and "are needed" in result.warnings[0]
    assert {row["source"] for row in result.rows} == {"90% of the card, as vLLM takes it"}
    # A family that has an FP8 checkpoint of its own publishes the plain one in 16 bits.
    assert place(case, checkpoint_of(case, id="somebody/New-671B", formats=["fp8", "pytorch"])).problems


@pytest.mark.parametrize(
    ("name", "size", "bits"),
    [
        ("deepseek-ai/DeepSeek-V3.2-Exp", 671, 8),
        ("deepseek-ai/DeepSeek-R1-0528", 671, 8),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", 8, 16),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", 70, 16),
        ("unsloth/DeepSeek-V3-bf16", 671, 16),
        ("openai-mirror/gpt-oss-120b", 120, 4.5),
        ("moonshotai/Kimi-K2-Thinking", 1000, 4.5),
        ("moonshotai/Kimi-K2-Instruct-0905", 1000, 8),
        ("inclusionAI/Ling-3.0-flash-int4", 124, 4.5),
        ("tencent/Hy-MT2-30B-A3B-FP8", 30, 8.2),
        ("meta-llama/Llama-3.1-405B", 405, 16),
        ("deepseek-ai/DeepSeek-V4-Pro", 1600, None),
        (None, 7, 16),
        (None, None, 16),
    ],
)
def test_the_type_of_a_checkpoint(name, size, bits):
    assert sizes.stored(name, size, ["pytorch"]) == bits


def test_the_size_that_counts_all_experts():
    assert sizes.total(14, "Qwen/Qwen2-57B-A14B-Instruct") == 57
    assert sizes.total("2_7", "Qwen/Qwen1.5-MoE-A2.7B-Chat-GPTQ-Int4") == 14.3
    assert sizes.total(30, "Qwen/Qwen3-30B-A3B") == 30 and sizes.total("1_7", None) == "1_7"


@pytest.mark.parametrize(
    ("size", "number"),
    [("1_7", 1.7), (7, 7), (0.5, 0.5), ("0.5b", 0.5), ("7 B", 7), ("500M", 0.5), (None, None), ("", None)]
    + [(odd, None) for odd in ("large", "8x7B", "1.2.3", "nan", "9" * 400, [7], True)],
)
def test_a_size_of_a_definition_is_a_number_or_unknown(size, number):
    assert sizes.billions(size) == number
    assert sizes.stored("Qwen/Qwen3", size, ["pytorch"]) == 16 and sizes.total(size, "Qwen/Qwen3") == size
    shape = {"hidden_size": 1024, "num_hidden_layers": 28, "vocab_size": 151936, "intermediate_size": 3072}
    checkpoints.checkpoint(shape, size, "pytorch", "none")


def test_two_spellings_of_a_size_are_one():
    assert sizes.same("0_5", "0.5b") and sizes.same(7, "7") and sizes.same("large", "large")
    assert not sizes.same("0_5", None) and not sizes.same("large", "7")


def test_a_model_that_need_not_fit_is_launched_with_a_warning():
    case = case_of("llama-3.1-instruct-70", 1, 80)
    result = place(case, checkpoint_of(case), check_placement=False)
    assert not result.problems and result.warnings[0].startswith("m: it needs at least")
    assert [row["card"] for row in result.rows] == [0]
    # Also the reasons that are independent of other models.
    ruled_out = place({**case, "engine": "MLX"}, checkpoint_of(case), check_placement=False)
    assert not ruled_out.problems and any("MLX runs on Apple silicon" in warning for warning in ruled_out.warnings)


@pytest.mark.parametrize("layers", range(1, 129))
def test_all_layers_fit_where_there_is_room_for_all(layers):
    shape = {"num_hidden_layers": layers, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584}
    found = checkpoints.checkpoint({**shape, "vocab_size": 152064, "intermediate_size": 18944}, 7, "ggufv2", "Q4_K_M")
    whole = footprint.need(found, "llama.cpp", 4096, 1, {}).total
    keys, _held = footprint.llama_cpp_settings(found, whole, 1, 4096, {})
    assert keys == {"n_gpu_layers": layers + 1}
