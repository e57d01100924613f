# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_catalog_info against the test server of each recorded release."""

from __future__ import annotations

import pytest
from servers.xinference import PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import catalog


@pytest.fixture
def look(run_module):
    def run(server, **options):
        return run_module(
            "xinference_catalog_info", {"endpoint": server.url, "password": PASSWORD, **options}, check=True
        )

    return run


@pytest.fixture
def need(look):
    """``need(server, {wanted})`` -> its row."""

    def run(server, wanted, **options):
        result = look(server, require=[wanted], **options)
        assert not result.failed, result["msg"]
        return result["require"][0]

    return run


def names(result):
    return [row["name"] for row in result["models"]]


def test_the_whole_list_with_engines(xinference, look):
    result = look(xinference)
    assert not result.failed and not result.changed and xinference.changes() == []
    assert names(result)[:3] == ["gemma-3-1b-it", "qwen3", "bge-m3"]
    gemma = result["models"][0]
    assert (gemma["type"], gemma["custom"], gemma["context_length"]) == ("LLM", False, 32768)
    assert {"format": "ggufv2", "size": "1", "quantization": "Q4_K_M"} in gemma["specs"]
    assert gemma["engines"]["llama.cpp"]["installed"] and not gemma["engines"]["vLLM"]["installed"]
    assert "enable virtualenv" in gemma["engines"]["vLLM"]["why_not"] and gemma["engines"]["vLLM"]["specs"]
    assert gemma["engines"]["MLX"] == {
        "installed": False,
        "why_not": "Failed to import mlx_lm: No module named 'mlx_lm'",
        "specs": [],
    }
    assert result["version"] == xinference.profile.version


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"name": "QWEN*"}, ["qwen3"]),
        ({"type": ["rerank"]}, ["bge-reranker-v2-m3"]),
        ({"engine": "LLAMA.CPP"}, ["gemma-3-1b-it", "qwen3"]),
        ({"engine": "MLX"}, []),
        ({"engine": "llama.cpp", "format": "pytorch"}, []),
        ({"size": "0.6"}, ["qwen3"]),
        ({"quantization": "Q8_0", "size": 1}, ["gemma-3-1b-it"]),
        ({"format": "diffusers"}, ["sd-turbo"]),
        ({"ability": "embed"}, ["bge-m3", "bge-small-en-v1.5"]),
        ({"custom": True}, []),
    ],
)
def test_filters(newest, look, filters, left):
    assert names(look(newest, **filters)) == left


@pytest.mark.each_core("xinference_catalog_info")
def test_a_custom_model_is_listed(newest, look, run_module):
    item = {"name": "mine", "type": "embedding", "path": "/m", "definition": {"dimensions": 3, "max_tokens": 9}}
    options = {"endpoint": newest.url, "password": PASSWORD, "definitions": [item]}
    assert not run_module("xinference_registration", options).failed
    result = look(newest, custom=True)
    assert names(result) == ["mine"] and result["models"][0]["dimensions"] == 3


def test_engines_are_asked_for_a_bounded_number_of_models(newest, look):
    """/status, /v1/cluster/auth, /v1/cluster/version, seven lists."""
    result = look(newest, engines_limit=0)
    assert result["requests"] == {"GET": 10, "POST": 1} and {row["engines"] is None for row in result["models"]} == {
        True
    }
    assert look(newest, engines_limit=1, type=["rerank"])["requests"] == {"GET": 5, "POST": 1}
    refused = look(newest, engines_limit=1, engine="vLLM")
    assert (
        refused.failed and "require one request each for their engines, more than engines_limit (1)" in refused["msg"]
    )


def test_a_wanted_model_and_how_it_is_declared(xinference, need):
    row = need(xinference, {"name": "qwen3", "engine": "llama.cpp"})
    assert row["can"] and row["why_not"] is None
    expected = {"engine": "llama.cpp", "format": "ggufv2", "size": "0_6", "quantization": "Q4_K_M"}
    assert row["how"] == {"uid": "qwen3", "type": "LLM", **expected}
    assert need(xinference, {"name": "qwen3", "quantization": "Q8_0"})["how"]["quantization"] == "Q8_0"
    # An installed engine is preferred.
    assert need(xinference, {"name": "bge-m3", "type": "embedding"})["how"]["engine"] == "sentence_transformers"


def test_an_engine_that_a_virtual_environment_brings(xinference, need):
    row = need(xinference, {"name": "qwen3", "engine": "vllm"})
    assert row["how"]["engine"] == "vLLM" and row["how"]["virtual_env"] is True
    row = need(xinference, {"name": "qwen3", "engine": "vllm", "virtual_env": False})
    assert not row["can"] and "engine vLLM is not installed" in row["why_not"]


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"name": "qwen33"}, "has no LLM model 'qwen33'; nearest: qwen3"),
        ({"name": "qwen3", "engine": "lama.cpp"}, "no engine 'lama.cpp'; nearest: llama.cpp"),
        ({"name": "qwen3", "engine": "MLX"}, "engine MLX cannot run 'qwen3': Failed to import"),
        ({"name": "qwen3", "engine": "llama.cpp", "quantization": "Q9"}, "with quantization Q9 for engine llama.cpp"),
        ({"name": "qwen3", "size": "70"}, "no engine of"),
        ({"name": "qwen3", "size": "big"}, "must be billions of parameters"),
        ({"name": "sd-turb", "type": "image"}, "nearest: sd-turbo"),
    ],
)
def test_why_not(xinference, need, wanted, text):
    row = need(xinference, wanted)
    assert not row["can"] and row["how"] is None and text in row["why_not"]


def test_what_is_told_can_be_launched(xinference, need, apply):
    """The server's own word for word."""
    for wanted in ({"name": "qwen3"}, {"name": "bge-m3", "type": "embedding"}, {"name": "sd-turbo", "type": "image"}):
        how = need(xinference, wanted)["how"]
        done = apply(xinference, [how])
        assert not done.failed, done["msg"]
        assert not apply(xinference, [how]).changed


def test_it_fails_only_when_told(xinference, look):
    wanted = [{"name": "qwen3"}, {"name": "nope-at-all"}]
    assert look(xinference, require=wanted)["can"] is False
    failed = look(xinference, require=wanted, fail=True)
    assert failed.failed and "cannot serve 1 of 2 models" in failed["msg"] and failed["require"][0]["can"]


def test_only_what_is_required_is_asked(newest, look):
    result = look(newest, require=[{"name": "qwen3"}])
    assert result["models"] == [] and result["requests"] == {"GET": 4, "POST": 1}


def test_a_model_that_several_workers_and_hubs_tell_is_one_row():
    class Told:
        def registrations(self, model_type, detailed):
            spec = {"model_format": "pytorch", "quantization": "none"}
            return [
                {"model_name": "a", "is_builtin": True, "model_specs": [{**spec, "model_hub": hub}], "language": "en"}
                for hub in ("huggingface", "modelscope")
            ]

    rows = catalog.listed(Told(), catalog.Filters(types=["rerank"]))
    assert [(row.name, len(row.specs), row.languages) for row in rows] == [("a", 1, ["en"])]
