# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of every type, the catalogue, the caches and the capture on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from real_server import PASSWORD

SECRET = "hf_notarealtoken12345"


@pytest.fixture
def ask(claimed, run_module):
    def run(module, *, check=False, **options):
        options = {"endpoint": claimed.url, "password": PASSWORD, **options}
        result = run_module(f"xinference_{module}", options, check=check)
        assert not result.failed, result["msg"]
        return result

    return run


@pytest.fixture
def definitions(weights):
    """A custom model of every type that can be defined."""
    gguf = {"path": weights["gguf"], "size": "0.27", "quantization": "Q4_K_M"}
    llm = {"family": "gemma-3-it", "context_length": 2048, "abilities": ["chat"]}
    return [
        {
            "name": "it-llm",
            **gguf,
            "definition": {**llm, "stop": ["not taken"], "virtual_env": {"packages": ["torch"]}},
        },
        {
            "name": "it-two",
            "specs": [gguf, {"format": "pytorch", "size": "0.27", "hub_id": "me/two", "revision": "main"}],
            "definition": llm,
        },
        {
            "name": "it-embedding",
            "type": "embedding",
            "path": weights["minilm"],
            "definition": {"dimensions": 384, "max_tokens": 256, "languages": ["en", "de"]},
        },
        {"name": "it-rerank", "type": "rerank", "path": weights["minilm"], "definition": {"max_tokens": 512}},
        {
            "name": "it-image",
            "type": "image",
            "path": weights["minilm"],
            "definition": {"family": "stable_diffusion", "abilities": ["text2image"]},
        },
        {"name": "it-audio", "type": "audio", "definition": {"family": "whisper", "hub_id": "me/ear"}},
        {
            "name": "it-flexible",
            "type": "flexible",
            "path": weights["minilm"],
            "definition": {
                "launcher": "xinference.model.flexible.launchers.transformers",
                "launcher_args": {"task": "mock"},
            },
        },
    ]


@pytest.fixture
def defined(ask, definitions):
    """They are there, and gone again afterwards."""
    yield ask("registration", definitions=definitions)
    gone = [{"name": item["name"], "type": item.get("type", "LLM"), "state": "absent"} for item in definitions]
    assert {row["action"] for row in ask("registration", definitions=gone)["definitions"]} == {"unregistered"}
    assert not ask("registration", definitions=gone).changed


def test_every_type_is_defined_and_then_found_unchanged(ask, defined, definitions):
    assert {row["action"] for row in defined["definitions"]} == {"registered"}
    again = ask("registration", definitions=definitions)
    assert not again.changed, again["plan"]
    more = [{**definitions[2], "definition": {**definitions[2]["definition"], "max_tokens": 128}}]
    assert ask("registration", definitions=more)["plan"] == [
        "~ register embedding it-embedding (definition.max_tokens 256 -> 128)"
    ]


def test_a_refused_definition_leaves_the_old_one(claimed, run_module, ask, defined, definitions):
    options = {"endpoint": claimed.url, "password": PASSWORD}
    result = run_module(
        "xinference_registration", {**options, "definitions": [{**definitions[3], "path": "/no/where"}]}
    )
    assert result.failed and "/no/where" in result["msg"]
    assert not ask("registration", definitions=definitions[3:4]).changed


def test_a_built_in_model_is_neither_changed_nor_removed(claimed, run_module):
    options = {"endpoint": claimed.url, "password": PASSWORD}
    item = {"name": "bge-m3", "type": "embedding", "state": "absent"}
    result = run_module("xinference_registration", {**options, "definitions": [item]})
    assert result.failed and "built-in embedding model" in result["msg"]


def test_the_whole_catalogue(ask, defined):
    result = ask("catalog_info", request_timeout=180)
    types = {row["type"] for row in result["models"]}
    assert (
        types == {"LLM", "embedding", "rerank", "image", "audio", "video", "flexible"} and len(result["models"]) > 200
    )
    mine = ask("catalog_info", custom=True, name="it-*")["models"]
    assert sorted(row["name"] for row in mine) == [
        f"it-{name}" for name in ("audio", "embedding", "flexible", "image", "llm", "rerank", "two")
    ]
    assert next(row for row in mine if row["name"] == "it-llm")["engines"]["llama.cpp"]["installed"]


def test_can_this_server_serve_it(ask):
    wanted = [
        {"name": "gemma-3-1b-it", "engine": "llama.cpp", "quantization": "Q8_0"},
        {"name": "qwen3", "engine": "vLLM", "virtual_env": False},
        {"name": "qwen33"},
        {"name": "bge-m3", "type": "embedding"},
    ]
    rows = ask("catalog_info", require=wanted)["require"]
    assert [row["can"] for row in rows] == [True, False, False, True]
    assert rows[0]["how"] == {
        "uid": "gemma-3-1b-it",
        "type": "LLM",
        "engine": "llama.cpp",
        "format": "ggufv2",
        "size": "1",
        "quantization": "Q8_0",
    }
    assert "not installed" in rows[1]["why_not"] and "nearest: qwen3" in rows[2]["why_not"]
    assert rows[3]["how"]["engine"] == "sentence_transformers"


def test_what_runs_is_captured_and_found_unchanged(claimed, ask, apply, models, defined):
    declared = [
        {**models[0], "envs": {"HUB_TOKEN": SECRET}, "engine_options": {"n_ctx": 2048, "hf_token": SECRET}},
        {**models[1], "replicas": 2, "autostart": False},
    ]
    # In the place of what other tests left behind.
    done = apply(declared, prove="never", replace="true")
    assert not done.failed, done["msg"]
    for home in (None, str(claimed.home)):
        captured = ask("capture_info", check=True, **({"home": home} if home else {}))
        told = json.dumps({key: value for key, value in captured.items() if key != "invocation"})
        assert SECRET not in told
        assert [model["uid"] for model in captured["models"]] == ["gemma3-270m", "minilm"]
        names = [item["name"] for item in captured["definitions"]]
        assert [name for name in names if name.startswith("it-")][:2] == ["it-llm", "it-two"]
        text = json.dumps(captured["models"])
        for variable in captured["variables"]:
            text = text.replace("{{ " + variable + " }}", SECRET)
        again = apply(json.loads(text), check=True)
        assert not again.failed and not again.changed, again["plan"]
        assert [row["differs"] for row in again["models"]] == [[], []]
        assert not ask("registration", check=True, definitions=captured["definitions"]).changed
    gemma, minilm = captured["models"]
    assert gemma["engine_options"] == {"n_ctx": 2048, "hf_token": "{{ vault_xinference_gemma3_270m_hf_token }}"}
    assert gemma["envs"] == {"HUB_TOKEN": "{{ vault_xinference_gemma3_270m_hub_token }}"}
    assert (minilm["replicas"], minilm["autostart"], captured["notes"]) == (2, False, {})


def test_weights_that_are_not_the_servers_outlive_a_prune(ask, apply, models, weights):
    done = apply(models, prove="never")
    assert not done.failed, done["msg"]
    listed = ask("cache")
    assert {row["name"] for row in listed["entries"]} >= {"gemma3-270m", "minilm"} and listed["bytes_total"] > 10**8
    assert {row["kept"] for row in listed["entries"] if row["name"] == "minilm"} == {"minilm runs"}
    apply([{"uid": model["uid"], "type": model.get("type", "LLM"), "state": "absent"} for model in models])
    pruned = ask("cache", state="pruned", models=[])
    assert not pruned.changed and pruned["bytes_freed"] == 0
    assert Path(weights["gguf"]).stat().st_size > 10**8 and list(Path(weights["minilm"]).iterdir())
