# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes of models that the catalogue tells none of. The sizes of files are those that Hugging Face lists."""

from __future__ import annotations

import pytest
from test_placement import GIB, declare, place, qwen, worker
from test_placement_read import read

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import common_sizes


def known(name, model_type="embedding", engine=None, **options):
    [model] = models.desired([declare(name, type=model_type, engine=engine, **options)], exists=lambda path: True)
    return common_sizes.checkpoint(model)


@pytest.mark.parametrize(
    ("name", "model_type", "gigabytes"),
    [
        ("bge-m3", "embedding", 2.27),
        ("bge-large-zh-v1.5", "embedding", 1.30),
        ("bge-base-en-v1.5", "embedding", 0.438),
        ("multilingual-e5-large", "embedding", 2.24),
        ("jina-embeddings-v3", "embedding", 1.14),
        ("text2vec-base-chinese", "embedding", 0.409),
        ("bge-reranker-v2-m3", "rerank", 2.27),
        ("bge-reranker-large", "rerank", 2.24),
        ("jina-reranker-v2", "rerank", 0.557),
        ("whisper-large-v3", "audio", 3.09),
        ("whisper-large-v3-turbo", "audio", 1.62),
        ("Kokoro-82M", "audio", 0.164),
    ],
)
def test_the_size_is_near_that_of_the_published_files(name, model_type, gigabytes):
    found = known(name, model_type)
    assert found.weights == pytest.approx(gigabytes * 1e9, rel=0.05)
    assert found.source == "coarse"


def test_half_the_bits_are_half_the_memory():
    full = known("bge-m3").weights
    assert known("bge-m3", engine="flag").weights == full / 2
    assert known("bge-m3", engine_options={"torch_dtype": "float16"}).weights == full / 2
    assert known("bge-m3", engine="llama.cpp", format="ggufv2", quantization="Q4_K_M").weights < full / 5


def test_a_custom_model_goes_by_its_repository():
    definition = {"hub_id": "BAAI/bge-m3", "dimensions": 1024, "max_tokens": 8192}
    assert known("house", definition=definition).weights == known("bge-m3").weights
    assert known("bge-m3", definition={**definition, "hub_id": "me/other"}) is None


def test_nothing_is_made_up():
    assert known("a-model-of-next-year") is None
    assert known("bge-m3", "LLM", "vLLM") is None


def test_an_llm_and_its_embedding_model_share_a_card_without_an_unknown():
    """The pair of the README, on one card of 24 GB."""
    llm = qwen("llm", gpu_memory="16 GiB", context_length=4096)
    embedding = declare("bge-m3", type="embedding", engine=None), known("bge-m3")
    result = place([worker("RTX 4090")], llm, embedding)
    assert result.problems == [] and result.warnings == []
    [row] = [row for row in result.rows if row["model"] == "bge-m3"]
    assert row["source"].startswith("coarse") and 2 < row["used_gib"] < 4
    beside = place([worker("RTX 4090")], qwen("llm", gpu_memory="22.9 GiB"), embedding)
    assert "bge-m3: it needs at least" in beside.problems[0]


def test_the_server_is_asked_nothing_for_it(xinference):
    found, _wanted, _actual = read(xinference, declare("bge-m3", type="embedding", engine=None))
    assert found.checkpoints["bge-m3"].weights > 2 * GIB
    assert [path for _verb, path in xinference.requests] == ["/v1/cluster/info"]
