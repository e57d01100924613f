# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_registration against the test server of each recorded release."""

from __future__ import annotations

import os

import pytest
import yaml
from servers.xinference import PASSWORD, XinferenceServer

from ansible_collections.modelops.inference.plugins.doc_fragments import _definitions, _models


@pytest.fixture
def define(run_module):
    """``define(server, [definitions], check=True, replace=True)`` -> result."""

    def run(server, definitions, *, check=False, **options):
        options = {"endpoint": server.url, "password": PASSWORD, "definitions": definitions, **options}
        return run_module("xinference_registration", options, check=check)

    return run


EVERY_TYPE = [
    {
        "name": "tiny",
        "path": "/m/tiny.gguf",
        "size": "0.27",
        "quantization": "Q4_K_M",
        "definition": {"family": "gemma-3-it", "context_length": 2048},
    },
    {"name": "minilm", "type": "embedding", "path": "/m/e", "definition": {"dimensions": 384, "max_tokens": 256}},
    {
        "name": "ranker",
        "type": "rerank",
        "path": "/m/r",
        "definition": {"max_tokens": 512, "extra": {"type": "normal"}},
    },
    {"name": "painter", "type": "image", "definition": {"family": "stable_diffusion", "hub_id": "me/painter"}},
    {"name": "ear", "type": "audio", "path": "/m/a", "definition": {"family": "whisper", "abilities": ["audio2text"]}},
    {
        "name": "any",
        "type": "flexible",
        "definition": {"launcher": "my.launcher", "launcher_args": {"task": "sum", "n": 2}},
    },
]


@pytest.mark.each_core("xinference_registration")
def test_every_type_is_registered_once_and_then_found_unchanged(xinference, define):
    predicted = define(xinference, EVERY_TYPE, check=True)
    assert xinference.changes() == []
    done = define(xinference, EVERY_TYPE)
    assert not done.failed, done["msg"]
    assert (
        done["plan"]
        == predicted["plan"]
        == [
            "+ register LLM tiny",
            "+ register embedding minilm",
            "+ register rerank ranker",
            "+ register image painter",
            "+ register audio ear",
            "+ register flexible any",
        ]
    )
    assert {row["action"] for row in done["definitions"]} == {"registered"}
    assert xinference.models.definitions["flexible"]["any"]["launcher_args"] == '{"n": 2, "task": "sum"}'
    assert xinference.models.definitions["image"]["painter"]["model_id"] == "me/painter"
    again = define(xinference, EVERY_TYPE)
    assert not again.changed and again["plan"] == [] and {row["action"] for row in again["definitions"]} == {"none"}


def test_a_worker_that_came_later_is_told_of_what_is_not_for_one_worker_alone(define, memory):
    first, second = "10.0.0.1:9998", "10.0.0.2:9998"
    with XinferenceServer("4.1.0", workers=(first,)) as server:
        items = [*EVERY_TYPE[1:3], {**EVERY_TYPE[3], "worker": first}]
        assert not define(server, items, remember=memory).failed
        assert not define(server, items, remember=memory).changed
        server.models.workers.append(second)
        seen = define(server, items, remember=memory, check=True)
        told = define(server, items, remember=memory)
        assert told["plan"] == seen["plan"] and [line.split()[:4] for line in told["plan"]] == [
            ["~", "register", "embedding", "minilm"],
            ["~", "register", "rerank", "ranker"],
        ]
        assert second in told["plan"][0] and not define(server, items, remember=memory).changed
        # Definitions registered by others count as known to the present workers.
        os.unlink(memory)
        assert not define(server, items, remember=memory).changed
        server.models.workers.append("10.0.0.3:9998")
        assert define(server, items, remember=memory).changed


def test_the_requests_do_not_grow_with_the_number_of_definitions(newest, define):
    many = [dict(EVERY_TYPE[1], name=f"e{number}") for number in range(20)]
    define(newest, many)
    # /status, /v1/cluster/auth, /v1/models, /v1/models/instances, and the detailed list
    assert define(newest, many)["requests"] == {"GET": 5, "POST": 1}


def test_a_model_with_several_specs(xinference, define):
    specs = [{"quantization": q, "size": "7", "path": f"/m/{q}.gguf"} for q in ("Q4_K_M", "Q8_0")]
    item = {"name": "two", "specs": specs, "definition": {"family": "qwen3"}}
    define(xinference, [item])
    registered = xinference.models.definitions["LLM"]["two"]["model_specs"]
    assert [spec["model_uri"] for spec in registered] == ["file:///m/Q4_K_M.gguf", "file:///m/Q8_0.gguf"]
    assert not define(xinference, [item]).changed
    fewer = define(xinference, [dict(item, specs=specs[:1])])
    assert fewer["plan"] == ["~ register LLM two (definition.specs 2 -> 1)"]
    # One that says nothing of the others leaves them alone.
    define(xinference, [item])
    alone = {**specs[1], "name": "two", "definition": {"family": "qwen3"}}
    assert not define(xinference, [alone]).changed


def test_a_gguf_on_a_hub_names_its_file(newest, define):
    item = {"name": "hubbed", "size": "1", "format": "ggufv2", "quantization": "Q4_K_M"}
    refused = define(newest, [{**item, "definition": {"family": "qwen3", "hub_id": "me/x"}}])
    assert refused.failed and "a GGUF model on a hub needs file" in refused["msg"]
    define(newest, [{**item, "definition": {"family": "qwen3", "hub_id": "me/x", "file": "x-{quantization}.gguf"}}])
    spec = newest.models.definitions["LLM"]["hubbed"]["model_specs"][0]
    assert (spec["model_id"], spec["model_file_name_template"]) == ("me/x", "x-{quantization}.gguf")


def test_a_virtual_environment_is_compared_by_what_is_given(newest, define):
    env = {"packages": ["torch==2.9"], "extra_index_urls": ["https://a.example/simple"], "inherit_pip_config": False}
    item = dict(EVERY_TYPE[1], definition={**EVERY_TYPE[1]["definition"], "virtual_env": env})
    define(newest, [item])
    body = newest.models.definitions["embedding"]["minilm"]["virtualenv"]
    assert body == {
        "packages": ["torch==2.9"],
        "extra_index_url": "https://a.example/simple",
        "inherit_pip_config": False,
    }
    newest.models.definitions["embedding"]["minilm"]["virtualenv"] = {**body, "index_url": None}
    assert not define(newest, [item]).changed
    env["packages"] = ["torch==2.10"]
    assert define(newest, [item])["plan"] == [
        "~ register embedding minilm (definition.virtual_env.packages ['torch==2.9'] -> ['torch==2.10'])"
    ]


def test_what_a_model_runs_from_is_left_alone_unless_told(xinference, define, warned):
    define(xinference, EVERY_TYPE[1:2])
    xinference.serve("e", model_name="minilm", model_type="embedding")
    other = dict(EVERY_TYPE[1], definition={"dimensions": 512, "max_tokens": 256})
    kept = define(xinference, [other])
    assert not kept.changed and not kept.failed
    assert kept["definitions"][0]["used_by"] == ["e"]
    assert kept["definitions"][0]["differs"] == ["definition.dimensions 384 -> 512"]
    assert "replace: true" in warned[-1]
    gone = {"name": "minilm", "type": "embedding", "state": "absent"}
    assert not define(xinference, [gone]).changed
    assert define(xinference, [other], replace=True)["definitions"][0]["action"] == "replaced"
    assert xinference.models.definitions["embedding"]["minilm"]["dimensions"] == 512
    assert define(xinference, [gone], replace=True)["plan"] == ["- unregister embedding minilm"]
    assert "minilm" not in xinference.models.definitions["embedding"] and "e" in xinference.models.models


def test_a_refused_definition_leaves_the_old_one_and_does_not_stop_the_others(xinference, define):
    define(xinference, EVERY_TYPE[1:2])
    before = dict(xinference.models.definitions["embedding"]["minilm"])
    result = define(xinference, [dict(EVERY_TYPE[1], path="/no/where"), EVERY_TYPE[2]])
    assert result.failed and "1 of 2 definitions" in result["msg"] and "Invalid model URI" in result["msg"]
    assert [row["action"] for row in result["definitions"]] == ["none", "registered"]
    after = xinference.models.definitions["embedding"]["minilm"]
    assert {key: after[key] for key in before} == before


def test_a_built_in_name_is_refused_before_anything_changes(xinference, define):
    for item in (
        {"name": "bge-m3", "type": "embedding", "path": "/m", "definition": {"dimensions": 1, "max_tokens": 1}},
        {"name": "bge-m3", "type": "embedding", "state": "absent"},
    ):
        result = define(xinference, [EVERY_TYPE[2], item])
        assert result.failed and "bge-m3: it is a built-in embedding model" in result["msg"]
    assert xinference.changes() == []


@pytest.mark.each_core("xinference_registration")
def test_absent_of_what_is_not_there_changes_nothing(xinference, define):
    result = define(xinference, [{"name": "never", "type": "image", "state": "absent"}])
    assert not result.failed and not result.changed and xinference.changes() == []


def test_an_unregistration_that_did_nothing_is_noticed(newest, define, monkeypatch):
    define(newest, EVERY_TYPE[1:2])
    monkeypatch.setattr(newest.models, "unregister", lambda *_args: None)
    result = define(newest, [{"name": "minilm", "type": "embedding", "state": "absent"}])
    assert result.failed and "reported that it unregistered 'minilm', but still has it" in result["msg"]


def test_one_worker_only(newest, define):
    newest.models.workers = ["10.0.0.1:1", "10.0.0.2:1"]
    assert not define(newest, [dict(EVERY_TYPE[1], worker="10.0.0.2")]).failed
    unknown = define(newest, [dict(EVERY_TYPE[2], worker="10.0.0.9")])
    assert unknown.failed and "10.0.0.9 is not in the cluster" in unknown["msg"]


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"name": "x", "type": "video", "path": "/m"}, "type must be one of"),
        ({"name": "a b", "path": "/m", "size": "1", "definition": {"family": "f"}}, "no space"),
        ({"name": "x", "path": "m", "size": "1", "definition": {"family": "f"}}, "path must be absolute"),
        ({"name": "x", "size": "1", "definition": {"family": "f"}}, "give the weights"),
        ({"name": "x", "type": "flexible"}, "definition lacks launcher"),
        ({"name": "x", "path": "/m", "definition": {"famly": "f"}}, "nearest: family"),
        ({"name": "x", "path": "/m", "specs": [{"path": "/n"}], "definition": {"family": "f"}}, "not beside them"),
        ({"name": "x", "type": "image", "specs": [{"path": "/n"}], "definition": {"family": "f"}}, "has no specs"),
        ({"name": "x", "path": "/m", "size": "big", "definition": {"family": "f"}}, "must be billions of parameters"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_a_request(newest, define, item, text):
    result = define(newest, [item])
    assert result.failed and text in result["msg"] and newest.requests == []


def test_a_definition_declared_twice_is_refused(newest, define):
    result = define(newest, [EVERY_TYPE[1], EVERY_TYPE[1]])
    assert result.failed and "'minilm' is declared 2 times" in result["msg"]


def test_a_definition_is_described_alike_by_itself_and_in_a_model():
    """A doc fragment cannot be put into a suboption, so the text is there twice."""
    texts = [
        fragment.ModuleDocFragment.DOCUMENTATION.replace("models[].", "X.").replace("definitions[].", "X.")
        for fragment in (_models, _definitions)
    ]
    models, definitions = (yaml.safe_load(text)["options"] for text in texts)
    assert (
        models["models"]["suboptions"]["definition"]["suboptions"]
        == definitions["definitions"]["suboptions"]["definition"]["suboptions"]
    )
