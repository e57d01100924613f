# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is served to what a Dify is to have, or what a person enters: pure."""

from __future__ import annotations

import pytest
from dify_examples import XINFERENCE

from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    DIALOG_TYPES,
    LEFT_ALONE,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets import proof
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets import registrations as r
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.models import TYPES
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs.models import MODEL_OPTIONS
from ansible_collections.modelops.inference.plugins.plugin_utils._dify import sheet, summary
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify as of_site
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify_targets


def served(uid, type, abilities=(), **more):
    return {
        "uid": uid,
        "type": type,
        "abilities": list(abilities),
        "tags": [],
        "declared": "present",
        "state": "ready",
        **more,
    }


def source(*models, cluster="one", **more):
    return {
        "cluster": cluster,
        "url": f"http://{cluster}.example.com:9997",
        "api_key_file": "",
        "loopback": False,
        "models": models,
        **more,
    }


def names(found):
    return [(model["name"], model["type"]) for model in found["models"] if model.get("state") not in LEFT_ALONE]


@pytest.mark.parametrize(
    ("type", "abilities", "expected"),
    [
        ("LLM", ["chat", "vision"], "llm"),
        ("embedding", [], "text-embedding"),
        ("rerank", [], "rerank"),
        ("audio", ["audio2text"], "speech2text"),
        ("audio", ["text2audio", "text2audio_zero_shot"], "tts"),
        ("audio", [], None),
        ("image", ["text2image"], None),
        ("video", [], None),
        ("flexible", [], None),
    ],
)
def test_type(type, abilities, expected):
    model = served("m", type, abilities)
    found = r.registrations([source(model)], {}, not_ready=False)
    assert names(found) == ([("m", expected)] if expected else [])
    assert bool(found["skipped"]) == (expected is None)
    assert all(row["why"] and row["model"] == "m" for row in found["skipped"])


def test_entry():
    found = r.registrations([source(served("m", "LLM"), api_key="k")], {}, not_ready=False)
    assert found["models"] == [
        {"name": "m", "type": "llm", "server_url": "http://one.example.com:9997", "model_uid": "m", "api_key": "k"}
    ]
    without = r.registrations([source(served("m", "LLM"), api_key="")], {}, not_ready=False)
    assert "api_key" not in without["models"][0]


def test_overrides_of_a_model():
    more = {"name": "Chat", "type": "tts", "server_url": "http://other:1", "invoke_timeout": 9, "max_retries": 0}
    model = served("m", "flexible", dify={**more, "credential_name": "c"})
    entry = r.registrations([source(model)], {}, not_ready=False)["models"][0]
    assert entry == {**more, "credential_name": "c", "model_uid": "m", "api_key": r.NO_KEY}
    with pytest.raises(ModelopsError, match="no key 'nmae'"):
        r.registrations([source(served("m", "LLM", dify={"nmae": "x"}))], {}, not_ready=False)


def test_server_url_as_the_target_sees_it():
    sources = [source(served("a", "LLM"), cluster="one"), source(served("b", "LLM"), cluster="two")]
    target = {"server_url": "http://lan:9997", "server_urls": {"two": "http://two-lan:9997"}}
    found = r.registrations(sources, target, not_ready=False)
    assert [model["server_url"] for model in found["models"]] == ["http://lan:9997", "http://two-lan:9997"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, ["a", "b", "c"]),
        (None, ["a", "b", "c"]),
        ({"tags": ["x"]}, ["a", "b"]),
        ({"tags": ["y", "z"]}, ["b"]),
        ({"types": ["LLM"]}, ["a"]),
        ({"types": ["llm", "speech2text"]}, ["a", "c"]),
        ({"types": ["embedding"]}, ["b"]),
        ({"types": ["text-embedding"]}, ["b"]),
        ({"uids": ["c", "nosuch"]}, ["c"]),
        ({"tags": ["x"], "types": ["embedding"]}, ["b"]),
        ({"tags": [], "types": [], "uids": []}, ["a", "b", "c"]),
        ({"clusters": ["one"]}, ["a", "b", "c"]),
        ({"clusters": ["two"]}, []),
    ],
)
def test_selector(selector, expected):
    models = [
        served("a", "LLM", tags=["x"]),
        served("b", "embedding", tags=["x", "y"]),
        served("c", "audio", ["audio2text"]),
    ]
    found = r.registrations([source(*models)], {"models": selector}, not_ready=False)
    assert [model["name"] for model in found["models"]] == expected


def test_absent_and_not_ready():
    models = [served("gone", "LLM", declared="absent", state="absent"), served("late", "LLM", state="failed")]
    image = served("i", "image", declared="absent")
    found = r.registrations([source(*models, image)], {}, not_ready=False)
    assert found["models"] == [
        {"name": "gone", "type": "llm", "state": "absent"},
        {"name": "late", "type": "llm", "state": "pending"},  # nothing is pruned
    ]
    assert [row["model"] for row in found["skipped"]] == ["late"]
    check = r.registrations([source(*models)], {}, not_ready=True)
    assert names(check) == [("gone", "llm"), ("late", "llm")]
    with pytest.raises(ModelopsError, match="not 'loading'"):
        r.registrations([source(served("m", "LLM", declared="loading"))], {}, not_ready=False)


def test_sheet():
    models = [served("m", "LLM"), served("late", "rerank", state="failed"), served("gone", "LLM", declared="absent")]
    lines = sheet.connection_sheet(source(*models, api_key="sk-secret"), key_place="in the vault")
    assert lines.count("  API key      in the vault") == 2
    assert "  Model Type   RERANK" in lines
    assert any("does not serve it now" in line for line in lines)
    text = "\n".join(lines)
    assert "sk-secret" not in text and "gone" not in text and "Not for Dify" not in text and "loopback" not in text


@pytest.mark.parametrize("models", [[], [served("i", "image")], [served("gone", "LLM", declared="absent")]])
def test_sheet_without_a_model_for_dify_says_so(models):
    text = "\n".join(sheet.connection_sheet(source(*models), key_place=""))
    assert "declares no model that Dify can use." in text and "One entry for each model" not in text


def test_sheet_has_a_line_for_whatever_is_declared():
    given = [None, {"name": "N", "server_url": "http://x:1"}, *({"type": kind} for kind in DIALOG_TYPES)]
    models = [served(f"{kind}-{n}", kind, dify=dify) for kind in TYPES for n, dify in enumerate(given)]
    models += [{"uid": "bare", "type": "audio"}]
    text = "\n".join(sheet.connection_sheet(source(*models), key_place=""))
    assert all(model["uid"] in text for model in models)
    with pytest.raises(ModelopsError, match="dify.type must be one of llm, .*, not 'moderation'"):
        sheet.connection_sheet(source(served("m", "LLM", dify={"type": "moderation"})), key_place="")


def test_sheet_tells_what_a_dify_is_to_have_otherwise():
    model = served("m", "LLM", dify={"name": "Chat"})
    targets = [
        {"name": "plain"},
        {"name": "lan", "server_urls": {"one": "http://u:hunter2@lan:1"}, "server_url": "http://other:1"},
        {"name": "house", "model_name": "{uid}@{cluster}", "overrides": {"m": {"name": "House", "type": "tts"}}},
        {"name": "not", "server_url": "http://other:1", "models": {"clusters": ["two"]}},
        {"name": "gone", "server_url": "http://other:1", "overrides": {"m": {"state": "absent"}}},
    ]
    models = [model, served("n", "rerank"), served("i", "image")]
    lines = sheet.connection_sheet(source(*models), key_place="", targets=targets)
    assert [line for line in lines if line.startswith("  For ")] == [
        "  For lan: Server url http://********@lan:1",
        "  For house: Model Type TTS, Model Name House",
        "  For lan: Server url http://********@lan:1",
        "  For house: Model Name n@one",
    ] + ["  For gone: Server url http://other:1"]
    assert lines.index("  For lan: Server url http://********@lan:1") > lines.index("  Model uid    m")


def test_sheet_of_a_server_is_by_where_it_listens():
    inside = "\n".join(sheet.connection_sheet(source(served("m", "LLM"), loopback=True), key_place=""))
    assert "listens on loopback only" in inside
    unknown = "\n".join(sheet.connection_sheet(source(served("m", "LLM"), url="http://localhost:9997"), key_place=""))
    assert "loopback only" not in unknown and "listens on every address" in unknown


# -- refused before anything changes ---------------------------------------------------------------------------------

LOCAL = {"url": "http://127.0.0.1:9997", "loopback": True}
OFFICE = {"name": "office", "url": "http://dify", "email": "ops@example.com", "password": "p"}


@pytest.mark.parametrize(
    ("dify", "where", "target", "words"),
    [
        (None, {}, {"server_url": "http://localhost:9997"}, "server_url is a loopback address (http://localhost:9997)"),
        (
            None,
            {},
            {"server_urls": {"one": "http://[::1]:1"}},
            "server_urls of one is a loopback address (http://[::1]:1)",
        ),
        (
            {"server_url": "http://127.0.1.1:1"},
            {},
            {},
            "dify.server_url of m is a loopback address (http://127.0.1.1:1)",
        ),
        (None, LOCAL, {}, "cluster one listens on loopback only (xinference_host)"),
        (None, LOCAL, {"server_urls": {"two": "http://lan:1"}}, "cluster one listens on loopback only"),
        (None, LOCAL, {"allow_loopback": False}, "cluster one listens on loopback only"),
        (None, LOCAL, {"allow_loopback": "no"}, "cluster one listens on loopback only"),
        (None, LOCAL, {"server_url": "http://lan:1"}, None),
        (None, LOCAL, {"server_urls": {"one": "http://lan:1"}}, None),
        ({"server_url": "http://lan:1"}, LOCAL, {}, None),
        (None, LOCAL, {"allow_loopback": True}, None),
        (None, LOCAL, {"models": {"tags": ["other"]}}, None),
        # Which address it is known by only the probe may tell.
        (None, {"url": "http://localhost:9997"}, {}, None),
        (None, {}, {}, None),
    ],
)
def test_a_url_that_a_dify_cannot_reach(dify, where, target, words):
    found = dify_targets.refusals([source(served("m", "LLM", dify=dify), **where)], [{**OFFICE, **target}])
    assert len(found) == 2 * bool(words)
    if words:
        assert found[0].startswith("office: ") and words in found[0]
        assert "plugin_daemon" in found[1] and "allow_loopback: true" in found[1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"server_url": "lan:9997"}, "server_url 'lan:9997' is not an address"),
        ({"server_url": "http://lan:9997/v1"}, "ends in /v1"),
        ({"server_url": "http://167772161:9997"}, "not an IPv4 address"),
        ({"server_url": "http://u:hunter2@lan:0"}, "server_url 'http://********@lan:0' is not an address"),
        ({"server_url": 7}, "server_url '7' is no text"),
        ({"credential_name": "n" * 31}, "credential_name has 31 characters; Dify allows 30"),
    ],
)
def test_what_dify_would_refuse_of_a_target_or_of_a_model(given, words):
    sources = [source(served("m", "LLM"))]
    for target in (given, {"overrides": {"m": given}}):
        (found,) = dify_targets.refusals(sources, [{**OFFICE, **target}])
        assert found.startswith("office: ") and words in found and "hunter2" not in found
    (found,) = dify_targets.override_problems(given)
    assert words in found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"invoke_timeout": 0}, "invoke_timeout must be a number, at least 1 (it is '0')"),
        ({"invoke_timeout": "soon"}, "invoke_timeout must be a number"),
        ({"max_retries": -1}, "max_retries must be a number, at least 0 (it is '-1')"),
        ({"server_urls": {"one": "lan"}}, "no key server_urls"),
    ],
)
def test_an_override_that_cannot_be_meant(given, words):
    assert [words in line for line in dify_targets.override_problems(given)] == [True]
    assert (
        dify_targets.override_problems({"invoke_timeout": "60", "max_retries": 0, "server_url": "http://lan:1"}) == []
    )


def test_server_urls_by_cluster_are_addresses():
    (found,) = dify_targets.refusals([], [{**OFFICE, "server_urls": {"one": "ftp://lan"}}])
    assert found.startswith("office: server_urls of one 'ftp://lan' is not an address")


def test_why_a_loopback_address_is_refused_is_told_once():
    here = {**OFFICE, "server_url": "http://localhost:1"}
    found = dify_targets.refusals([source(served("m", "LLM"))], [here, {**here, "name": "lab"}])
    assert [line.partition(":")[0] for line in found[:2]] == ["office", "lab"] and found[2:] == [dify_targets.LOOPBACK]


def test_models_that_dify_does_not_get_need_no_url():
    models = [served("i", "image"), served("gone", "LLM", declared="absent")]
    assert dify_targets.refusals([source(*models, **LOCAL)], [OFFICE]) == []
    assert dify_targets.refusals([source(served("a", "audio"), **LOCAL)], [OFFICE])


def test_one_model_of_dify_from_two_clusters():
    sources = [source(served("chat", "LLM", tags=[name]), cluster=name) for name in ("one", "two")]
    (found,) = dify_targets.refusals(sources, [OFFICE, {**OFFICE, "name": "lab", "models": {"tags": ["two"]}}])
    for words in ("office: ", "chat of cluster one and chat of cluster two", "llm", "dify.name", "{uid}@{cluster}"):
        assert words in found
    assert dify_targets.refusals(sources, [{**OFFICE, "model_name": "{uid}@{cluster}"}]) == []
    other = source(served("chat", "LLM", dify={"name": "Chat 2"}), served("embed", "embedding"), cluster="two")
    assert dify_targets.refusals([sources[0], other], [OFFICE]) == []


def test_a_model_that_moved_is_not_removed():
    gone = served("chat", "LLM", declared="absent", state="absent")
    one, two = source(gone, cluster="one"), source(served("chat", "LLM"), cluster="two")
    assert dify_targets.refusals([one, two], [OFFICE]) == []
    (model,) = r.registrations([one, two], {}, not_ready=False)["models"]
    assert model["server_url"] == "http://two.example.com:9997"
    late = source(served("chat", "LLM", state="failed"), cluster="two")
    (model,) = r.registrations([one, late], {}, not_ready=False)["models"]
    assert model == {"name": "chat", "type": "llm", "state": "pending"}
    twice = r.registrations([one, source(gone, cluster="two")], {}, not_ready=False)["models"]
    assert twice == [{"name": "chat", "type": "llm", "state": "absent"}]


def test_what_another_cluster_may_serve_is_not_removed():
    gone = served("chat", "LLM", declared="absent", state="absent")
    other = served("m", "LLM", dify={"state": "absent"})
    found = r.registrations([source(gone, other)], {}, not_ready=False, complete=False)
    assert found["models"] == [
        {"name": "chat", "type": "llm", "state": "ignored"},
        {"name": "m", "type": "llm", "state": "ignored"},
    ]
    assert ["does not see every cluster" in row["why"] for row in found["skipped"]] == [True, True]
    call = {"key": 0, "name": "office", "workspace": ""}
    told = {"name": "chat", "type": "llm", "action": "none", "state": "active"}
    results = {"models": [{"_call": call, "models": [told]}]}
    rows = summary.summary(results, [{"name": "office"}], [source(gone)], not_ready=False, complete=False)
    assert ["does not see every cluster" in row["why"] for row in rows] == [True]
    assert sheet.connection_sheet(source(gone), key_place="", results=rows)


@pytest.mark.parametrize(
    ("one", "two", "names"),
    [
        ({}, {}, ["a", "b"]),
        ({}, {"prune": False}, ["a"]),  # b would register again in every run what a prunes
        ({}, {"url": "http://dify/"}, ["a", "b"]),
        ({}, {"url": "http://other"}, []),
        ({"workspaces": ["Research"]}, {}, ["a", "b"]),
        ({"workspaces": ["Research"]}, {"workspaces": ["Sales", "Research"]}, ["a", "b"]),
        ({"workspaces": ["Research"]}, {"workspaces": ["Sales"]}, []),
        ({"workspace": "Research"}, {"workspaces": ["Sales"]}, []),
        ({"workspace": "Research"}, {"workspaces": ["Research"]}, ["a", "b"]),
        ({}, {"credential_name": "modelops.inference"}, ["a", "b"]),
        ({}, {"credential_name": "modelops.inference b"}, ["a"]),
        ({}, {"credential_name": "site-b"}, []),
        ({"prune": False}, {"prune": "no"}, []),
    ],
)
def test_a_target_that_prunes_what_another_registers(one, two, names):
    both = {**OFFICE, "url": "http://dify", "prune": True}
    found = dify_targets.refusals(
        [source(served("m", "LLM"))], [{**both, "name": "a", **one}, {**both, "name": "b", **two}]
    )
    assert [sentence[:2] for sentence in found] == [f"{name}:" for name in names]
    assert all("prune would remove what" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"email": None}, "give email and password, or admin_key"),
        ({"password": ""}, "password is empty: give email and password, or admin_key"),
        ({"email": "", "password": ""}, "email and password are empty: give email and password"),
        ({"email": None, "password": None, "admin_key": ""}, "admin_key is empty: give email and password"),
        ({"admin_key": "k"}, "give email and password, or admin_key"),
        ({"email": None, "password": None, "admin_key": "k"}, "give workspaces"),
        ({"email": None, "password": None, "admin_key": "k", "workspaces": [""]}, "give workspaces"),
        ({"model_name": "{uid}-{host}"}, "model_name has no {host}"),
        ({"model_name": "{uid.__class__}"}, "model_name has no {uid.__class__}"),
        ({"plugin": {"state": "absent"}, "defaults": {"llm": "m"}}, "there are no models for defaults"),
        ({"prove_from": {"namespace": "dify"}}, "prove_from takes one of docker, kubectl, ssh, command"),
        ({"prove_from": {"docker": "api", "ssh": "host"}}, "prove_from takes one of"),
        ({"prove_from": {"docker": "api"}}, None),
        ({"url": "dify.example.com"}, "url must start with http:// or https:// (it is 'dify.example.com'"),
        *[
            ({"url": f"http://dify/{path}"}, f"url must be Dify's address without {told} (it is ")
            for path, told in {
                "console/api/": "/console/api",
                "console/api/login": "/console/api/login",
                "v1": "/v1",
                "v1/": "/v1",
                "api": "/api",
                "prefix/v1": "/v1",
                "apps": "/apps",
                "explore/apps": "/explore/apps",
                "signin": "/signin",
                "install": "/install",
                "app/0b1f7e3c-53a4-4a7c-9f5e-0123456789ab/workflow": "/app/0b1f7e3c-53a4-4a7c-9f5e-0123456789ab/workflow",
            }.items()
        ],
        ({"url": "http://dify/signin?next=x"}, "must be Dify's address, with nothing after ? or #"),
        ({"url": "http://dify/apps/of/us"}, None),
        ({"credential_name": "x" * 31}, f"credential_name has 31 characters; Dify allows 30: '{'x' * 31}'"),
        ({"credential_name": "x" * 30}, None),
        (
            {"defaults": {"embedding": "m"}},
            "defaults: 'embedding' is not a model type of Dify: did you mean text-embedding?",
        ),
        ({"models": {"types": ["embeding"]}}, "models.types has 'embeding', which is not a type"),
        ({"models": {"types": ["EMBEDDING", "llm", "rerank"]}}, None),
        ({"models": {"tags": "chat"}}, "models.tags must be a list, such as [chat]"),
        ({"overrides": {"m": {"nam": "x"}}}, "overrides of m: no key nam; did you mean 'name'?"),
        ({"overrides": {"m": {"type": "LLM"}}}, "overrides of m: type must be one of llm, text-embedding"),
        ({"overrides": {"m": "Chat"}}, "overrides of m: must be a dictionary with name"),
        ({"email": None, "password": None, "admin_key": "k", "workspaces": ["id"]}, None),
        (
            {"email": None, "password": None, "admin_key": "k", "workspaces": ["id"], "workspace": "R"},
            "workspace needs an account",
        ),
        ({"workspace": "R", "workspaces": ["S"]}, "workspace and workspaces cannot be given together"),
        ({"workspace": "R", "workspaces": [""]}, None),
    ],
)
def test_a_target_that_cannot_be_right(target, words):
    found = dify_targets.refusals([source(served("m", "LLM"))], [{**OFFICE, **target}])
    assert bool(found) == bool(words)
    assert not words or found[0].startswith("office: ") and words in found[0]


def test_targets_of_one_account_that_mean_different_workspaces():
    two = [{**OFFICE, "name": name, "workspace": space} for name, space in (("a", "R"), ("b", "R"), ("c", "S"))]
    assert dify_targets.refusals([], two) == [
        "c: workspace is 'S', and 'R' in a, of the same account, which can remember only one. List them as workspaces."
    ]
    assert dify_targets.refusals([], [two[0], {**two[2], "email": "lab@example.com"}]) == []


def test_no_refusal_hides_another():
    wrong = {"overrides": {"m": {"nam": "x"}}, "server_url": "http://localhost:1"}
    found = dify_targets.refusals(
        [source(served("m", "LLM"))], [{**OFFICE, **wrong}, {**OFFICE, "name": "lab", "url": ""}]
    )
    assert [line.split(" ")[:2] for line in found[:3]] == [
        ["office:", "server_url"],
        ["office:", "overrides"],
        ["lab:", "url"],
    ]
    assert found[3:] == [dify_targets.LOOPBACK]


def test_a_name_of_two_targets_is_told_once():
    assert dify_targets.refusals([], [OFFICE, {**OFFICE, "url": "http://other"}]) == [
        "office: is the name of more than one target."
    ]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            {"models": {"tags": ["chatt", "rag"]}},
            "models.tags has 'chatt', which no declared model has; did you mean 'chat'?",
        ),
        (
            {"models": {"uids": ["minilmm"]}},
            "models.uids has 'minilmm', which no declared model has; did you mean 'minilm'?",
        ),
        ({"models": {"clusters": ["wan"]}}, "models.clusters has 'wan', which no declared cluster has"),
        ({"models": {"clusters": ["one"], "tags": ["chat"], "uids": ["minilm"], "types": ["tts"]}}, None),
        (
            {"overrides": {"minilmm": {"name": "x"}}},
            "overrides has 'minilmm', which is not the UID of a declared model; did you",
        ),
        (
            {"defaults": {"llm": "hause"}, "overrides": {"m": {"name": "house"}}},
            "not one of this target's llm models; did you",
        ),
        ({"defaults": {"llm": "m"}, "models": {"tags": ["rag"]}}, "not one of this target's llm models (it has none)"),
        (
            {"defaults": {"text-embedding": "m"}},
            "the default text-embedding 'm' is not one of this target's text-embedding",
        ),
        ({"defaults": {"llm": "house"}, "overrides": {"m": {"name": "house"}}}, None),
        ({"defaults": {"llm": "m", "tts": "voice", "text-embedding": "minilm"}}, None),
        ({"defaults": {"rerank": {"name": "r", "provider": "langgenius/cohere/cohere"}}}, None),
    ],
)
def test_what_a_target_names_and_nobody_declares(target, words):
    models = [served("m", "LLM", tags=["chat"]), served("minilm", "embedding", tags=["rag"]), served("voice", "audio")]
    found = dify_targets.unknown([source(*models)], [{**OFFICE, **target}])
    assert len(found) == bool(words)
    assert not words or found[0].startswith("office: ") and words in found[0]


@pytest.mark.parametrize(("from_here", "told"), [(True, 1), (False, 0)])
def test_a_file_of_a_plugin_that_is_not_there(tmp_path, from_here, told):
    there = tmp_path / "x.difypkg"
    there.touch()
    packages = [there, tmp_path / "nosuch.difypkg", "relative.difypkg"]
    targets = [{**OFFICE, "name": str(n), "plugin": {"package": str(p)}} for n, p in enumerate(packages)]
    found = of_site.wrong([], targets, from_here, "")
    assert len(found) == told and all(f"1: plugin.package {packages[1]} cannot be read" in line for line in found)


def test_what_a_target_says_of_a_model_goes_before_what_the_model_says():
    model = served("m", "LLM", dify={"name": "Chat", "max_retries": 1}, context_length=8192)
    target = {
        "model_name": "{uid}@{cluster}",
        "credential_name": "site-a",
        "overrides": {"m": {"name": "House", "enabled": False, "state": "present_with_defaults"}},
    }
    found = r.registrations([source(model, served("n", "rerank"))], target, not_ready=False)
    assert found["models"] == [
        {
            "name": "House",
            "type": "llm",
            "server_url": "http://one.example.com:9997",
            "model_uid": "m",
            "credential_name": "site-a",
            "context_length": 8192,
            "state": "present_with_defaults",
            "max_retries": 1,
            "enabled": False,
        },
        {
            "name": "n@one",
            "type": "rerank",
            "server_url": "http://one.example.com:9997",
            "model_uid": "n",
            "credential_name": "site-a",
        },
    ]
    assert found["server_urls"] == ["http://one.example.com:9997"]
    gone = {"overrides": {"m": {"state": "absent"}}}
    found = r.registrations([source(model)], gone, not_ready=False)
    assert found["models"] == [{"name": "Chat", "type": "llm", "state": "absent"}]
    with pytest.raises(ModelopsError, match="not 'paused'"):
        r.registrations([source(model)], {"overrides": {"m": {"state": "paused"}}}, not_ready=False)


def test_tts_without_authentication():
    """Dify before 1.0 refuses tts without a key. One that is not read yet is not replaced."""
    speaks = served("a", "audio", ["text2audio"])
    models = [speaks, served("m", "LLM"), served("w", "audio", ["audio2text"])]
    found = r.registrations([source(*models)], {}, not_ready=False)["models"]
    assert [model.get("api_key") for model in found] == [r.NO_KEY, None, None]
    (entry,) = r.registrations([source(speaks, api_key_file="/key")], {}, not_ready=True)["models"]
    assert "api_key" not in entry
    (entry,) = r.registrations([source(speaks, api_key_file="/key", api_key="sk-1")], {}, not_ready=False)["models"]
    assert entry["api_key"] == "sk-1"
    assert "  API key      none-needed (Dify before 1.0 wants one)" in sheet.connection_sheet(
        source(speaks), key_place=""
    )


def test_every_dify_takes_tts_without_authentication(dify, dify_models):
    speaks = served("CosyVoice-300M-SFT", "audio", ["text2audio"])
    models = r.registrations([source(speaks, url=XINFERENCE)], {}, not_ready=False)["models"]
    result = dify_models(dify, models)
    assert not result.failed, result["msg"]
    assert result["models"][0]["state"] == "active"
    assert not dify_models(dify, models).changed


def test_of_an_audio_model_that_is_gone_nobody_knows_the_type():
    found = r.registrations([source(served("a", "audio", declared="absent"))], {}, not_ready=False)
    assert names(found) == [("a", "speech2text"), ("a", "tts")]


def test_an_audio_model_that_does_not_run_stays_whatever_it_is():
    """Its abilities Xinference tells only of a model that runs."""
    late = source(served("a", "audio", state="failed"))
    found = r.registrations([late], {}, not_ready=False)
    assert found["models"] == [
        {"name": "a", "type": "speech2text", "state": "pending"},
        {"name": "a", "type": "tts", "state": "pending"},
    ]
    assert "does not serve it now" in found["skipped"][0]["why"]
    rows = [{"name": "a", "type": "speech2text", "action": "none", "state": "active"}]
    rows.append({"name": "a", "type": "tts", "action": "none", "state": "absent"})
    results = {"models": [{"_call": {"key": 0, "name": "office", "workspace": ""}, "models": rows}]}
    told = summary.summary(results, [{"name": "office"}], [late], not_ready=False)
    assert [(row["type"], row["state"]) for row in told] == [("speech2text", "active"), ("audio", "skipped")]
    # One that another cluster serves is registered, and one that another declares absent stays.
    speaks = source(served("a", "audio", ["text2audio"]), cluster="two")
    found = r.registrations([late, speaks], {}, not_ready=False)
    assert [(model["type"], model.get("state")) for model in found["models"]] == [
        ("speech2text", "pending"),
        ("tts", None),
    ]
    gone = source(served("a", "audio", declared="absent"), cluster="two")
    assert {m["state"] for m in r.registrations([gone, late], {}, not_ready=False)["models"]} == {"pending"}


def test_defaults_by_name_or_uid():
    models = [served("m", "LLM", dify={"name": "Chat"}), served("Chat 2", "LLM"), served("e", "embedding")]
    other = {"name": "x", "provider": "langgenius/cohere/cohere"}
    given = {"llm": "m", "text-embedding": "e", "rerank": other, "tts": "of-a-person"}
    found = r.registrations([source(*models)], {"defaults": given}, not_ready=False)
    assert found["defaults"] == {"llm": "Chat", "text-embedding": "e", "rerank": other, "tts": "of-a-person"}


def test_calls():
    targets = [
        {
            "name": "a",
            "email": "x",
            "plugin": {"version": "0.0.15"},
            "workspaces": ["R", "S"],
            "defaults": {"llm": "m"},
        },
        {"name": "b", "admin_key": "k", "plugin": {"state": "absent"}},
    ]
    found = [(c["key"], c["workspace"], c["plugin"], c["models"], c["defaults"]) for c in r.calls(targets)]
    assert found == [(0, "R", "present", True, True), (0, "S", "present", True, True), (1, "", "absent", False, False)]


def test_summary():
    targets = [{"name": "office"}]
    sources = [source(served("i", "image"), served("a", "LLM"))]
    call = {"key": 0, "name": "office", "workspace": "Research"}
    done = {
        "_call": call,
        "workspace": {"id": "1", "name": "Research"},
        "models": [
            {"name": "a", "type": "llm", "action": "none", "state": "active"},
            {"name": "b", "type": "llm", "action": "register", "state": "absent", "error": "no"},
        ],
    }
    refused = {"_call": {**call, "workspace": "Other"}, "failed": True, "msg": "wrong password"}
    plugin = {"id": "langgenius/xinference", "state": "installed", "version": "0.0.15"}
    default = {"type": "llm", "name": "a", "action": "set"}
    others = [{**default, "type": "tts", "error": "not active"}, {**default, "type": "rerank", "action": "unknown"}]
    results = {
        "plugin": [{"_call": call, "plugin": plugin, "action": "upgrade"}, {"_call": call, "skipped": True}],
        "models": [done, refused],
        "defaults": [{"_call": call, "defaults": [default, *others]}],
    }
    rows = summary.summary(results, targets, sources, not_ready=False)
    assert [(row["workspace"], row["model"], row["type"], row["state"], row["why"]) for row in rows] == [
        ("Research", "langgenius/xinference", "plugin", "installed 0.0.15", ""),
        ("Research", "a", "llm", "active", ""),
        ("Research", "b", "llm", "failed", "no"),
        ("Research", "i", "image", "skipped", "Dify has no type for image models"),
        ("Other", "", "", "failed", "wrong password"),
        ("Other", "a", "llm", "not tried", "wrong password"),
        ("Research", "a", "llm", "default", ""),
        ("Research", "a", "tts", "failed", "not active"),
        ("Research", "a", "rerank", "default not compared", ""),
    ]
    assert (rows[1]["cluster"], rows[1]["uid"]) == ("one", "a")
    lines = sheet.connection_sheet(sources[0], key_place="", results=rows)
    assert "  In office, Research: active (as a)" in lines


def test_a_reason_for_which_nothing_could_be_done_is_one_row_of_a_dify():
    """And one of each model and default that it kept from being tried."""
    office = {"name": "office", "workspaces": ["", "R", "S"], "plugin": {"state": "present"}, "defaults": {"llm": "a"}}
    calls = r.calls([office, {"name": "lab"}])
    dead = [{"_call": call, "failed": False, "msg": "refused"} for call in calls]
    other = {"_call": calls[2], "msg": "no such workspace"}
    skipped = [{"_call": call, "skipped": True} for call in calls[:3]]
    results = {"plugin": [*dead[:2], other], "models": [*skipped, dead[3]], "defaults": skipped}
    for check in (True, False):
        rows = summary.summary(results, [office, {"name": "lab"}], [source(served("a", "LLM"))], not_ready=check)
        assert [
            (row["dify"], row["workspace"], row["model"], row["type"], row["state"], row["why"]) for row in rows
        ] == [
            ("office", "the current one, R", "", "plugin", "failed", "refused"),
            ("office", "S", "", "plugin", "failed", "no such workspace"),
            ("office", "the current one, R", "a", "llm", "not tried", "refused"),
            ("office", "S", "a", "llm", "not tried", "no such workspace"),
            ("lab", "", "", "", "failed", "refused"),
            ("lab", "", "a", "llm", "not tried", "refused"),
            ("office", "the current one, R", "a", "llm", "default not tried", "refused"),
            ("office", "S", "a", "llm", "default not tried", "no such workspace"),
        ]
        assert rows[2]["cluster"] == "one" and rows[2]["uid"] == "a"


def test_summary_of_check_mode_where_the_plugin_is_to_come():
    (call,) = r.calls([{"name": "office", "plugin": {"state": "present"}}])
    gone = served("gone", "LLM", declared="absent")
    sources = [source(served("a", "LLM"), gone, served("i", "image"))]
    results = {"models": [{"_call": call, "skipped": True}], "plugin": [{"_call": call, "skipped": True}]}
    rows = summary.summary(results, [{"name": "office"}], sources, not_ready=True)
    assert [(row["model"], row["state"], row["action"], row["why"]) for row in rows] == [
        ("a", "absent", "register", "after the plugin is installed"),
        ("i", "skipped", "none", "Dify has no type for image models"),
    ]
    assert summary.summary(results, [{"name": "office"}], sources, not_ready=False) == []
    # The workspace has its name from the plugin's result.
    plugin = {"id": "langgenius/xinference", "state": "absent", "version": None}
    results["plugin"] = [{"_call": call, "plugin": plugin, "action": "install", "workspace": {"id": "1", "name": "W"}}]
    rows = summary.summary(results, [{"name": "office"}], sources, not_ready=True)
    assert {row["workspace"] for row in rows} == {"W"}


# -- proof -----------------------------------------------------------------------------------------------------------


def test_what_is_asked():
    """One question for each address and cluster; none for what is not served, or has no type in Dify."""
    models = [served("b", "LLM"), served("a", "rerank"), served("late", "LLM", state="failed"), served("i", "image")]
    sources = [source(*models), source(served("c", "LLM"), cluster="two")]
    lan = {
        "name": "lab",
        "server_url": "http://lan:1/",
        "prove_from": {"docker": "api"},
        "models": {"clusters": ["one"]},
    }
    targets = [{"name": "office"}, {"name": "other"}, lan, {"name": "off", "server_url": "http://x:1", "prove": False}]
    asked = proof.questions(sources, targets)
    assert asked["probes"] == [
        {"url": "http://one.example.com:9997", "cluster": "one", "uids": ["a", "b"]},
        {"url": "http://two.example.com:9997", "cluster": "two", "uids": ["c"]},
        {"url": "http://lan:1", "cluster": "one", "uids": ["a", "b"]},
    ]
    (hook,) = asked["hooks"]
    assert hook["argv"] == ["docker", "exec", "-i", "api", "python3", "-"] and hook["key"] == 2


@pytest.mark.parametrize(
    ("prove_from", "argv"),
    [
        ({"docker": "api", "kubectl": None}, "docker exec -i api"),
        ({"kubectl": "deploy/api", "namespace": "dify"}, "kubectl exec -i -n dify deploy/api --"),
        ({"kubectl": "api-0", "container": "api"}, "kubectl exec -i -c api api-0 --"),
        ({"ssh": "dify01"}, "ssh -o BatchMode=yes dify01"),
        ({"command": ["podman", "exec", "-i", "api"]}, "podman exec -i api"),
    ],
)
def test_command_of_a_hook(prove_from, argv):
    assert " ".join(proof.argv(prove_from)) == f"{argv} python3 -"


SEEN, UNSEEN = {"models": [{"uid": "m", "ok": True, "detail": ""}]}, {"msg": "http://one... refused"}
MISSING = {"models": [{"uid": "m", "ok": False, "detail": "does not run; running models: none"}]}


@pytest.mark.parametrize(
    ("near", "far", "ok", "words"),
    [
        (SEEN, None, True, ""),
        (UNSEEN, None, False, "asked on localhost: http://one... refused. Nothing was registered"),
        (MISSING, None, False, "does not serve the model UID 'm': it does not run"),
        (SEEN, '{"served": ["m"]}', True, ""),
        (UNSEEN, 'some banner\n{"served": ["m"]}', True, "proven from Dify's network only"),
        (SEEN, '{"served": ["n"]}', False, "asked from Dify's network: http://one.example.com:9997 does not serve"),
        (SEEN, '{"error": "it answers 401"}', False, "it answers 401"),
        (SEEN, "", False, "the command docker exec -i api python3 - said: No such container: api"),
        (SEEN, "[]", False, "said: No such container: api. Nothing was registered. Correct prove_from"),
        (SEEN, '{"error": "URLError"}', False, "URLError. Nothing was registered. Correct server_url"),
    ],
)
def test_verdicts(near, far, ok, words):
    sources = [source(served("m", "LLM"))]
    target = {"name": "office", **({} if far is None else {"prove_from": {"docker": "api"}})}
    asked = proof.questions(sources, [target])
    hooked = [{"_question": q, "stdout": far, "stderr": "No such container: api"} for q in asked["hooks"]]
    probed = [{"_question": q, **near} for q in asked["probes"]]
    (row,) = proof.verdicts(sources, [target], probed, hooked, "localhost")
    assert row["ok"] == ok and words in row["why"] and bool(words) == bool(row["why"])
    found = r.registrations(sources, target, not_ready=False, proofs=[row])
    assert (found["models"][0].get("state", "present") == "present") == ok
    assert [skip["state"] for skip in found["skipped"]] == ([] if ok else ["failed"])


@pytest.mark.parametrize("far", [None, "", '{"error": "no"}', '{"served": []}'])
def test_no_verdict_tells_a_user_in_a_url(far):
    hook = {"prove_from": {"command": ["env", "http_proxy=http://u:hunter2@proxy"]}} if far is not None else {}
    target = {"name": "office", "server_url": "http://svc:hunter2@lan:1", **hook}
    sources = [source(served("m", "LLM"))]
    asked = proof.questions(sources, [target])
    assert asked["probes"][0]["url"] == target["server_url"]
    hooked = [{"_question": q, "stdout": far, "stderr": "http://u:hunter2@proxy?"} for q in asked["hooks"]]
    for near in (MISSING, {"msg": "http://svc:hunter2@lan:1 refused"}):
        probed = [{"_question": q, **near} for q in asked["probes"]]
        (row,) = proof.verdicts(sources, [target], probed, hooked, "localhost")
        assert not row["ok"] and "http://********@lan:1" in str(row) and "hunter2" not in str(row)
        found = r.registrations(sources, target, not_ready=False, proofs=[row])
        assert [skip["why"] for skip in found["skipped"]] == [row["why"]]


def test_no_refusal_tells_a_user_in_a_url():
    target = {**OFFICE, "server_url": "http://svc:hunter2@127.0.0.1:1"}
    found, _why = dify_targets.refusals([source(served("m", "LLM"))], [target])
    assert "http://********@127.0.0.1:1" in found and "hunter2" not in found


def test_what_a_model_may_say_of_dify_is_what_is_read():
    options = MODEL_OPTIONS["dify"]["options"]
    assert tuple(options) == r.OVERRIDES and tuple(options["type"]["choices"]) == tuple(DIALOG_TYPES)
