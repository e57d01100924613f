# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_cache against the test server of each recorded release."""

from __future__ import annotations

import pytest
from servers.xinference import PASSWORD
from servers.xinference.models import HOME

WORKER = "127.0.0.1:51954"


def llm(name, quantization="Q4_K_M", size="0_6", **changed):
    path = f"{HOME}/cache/v2/{name}-ggufv2-{size}b-{quantization}"
    return {
        "model_name": name,
        "model_type": "LLM",
        "model_engine": ["llama.cpp"],
        "model_size_in_billions": size,
        "model_format": "ggufv2",
        "quantization": quantization,
        "model_version": f"{name}--{size}B--ggufv2--{quantization}",
        "path": path,
        "real_path": f"{HOME}/huggingface/models--x--{name}-{quantization}/blobs",
        "actor_ip_address": WORKER,
        "size_bytes": 2**30,
        **changed,
    }


def embedding(name, **changed):
    row = llm(name, model_type="embedding", model_version=f"{name}--512--384--pytorch--none")
    return {**row, **dict.fromkeys(("model_size_in_billions", "model_format", "quantization")), **changed}


@pytest.fixture
def cache(run_module):
    def run(server, *, check=False, **options):
        return run_module("xinference_cache", {"endpoint": server.url, "password": PASSWORD, **options}, check=check)

    return run


@pytest.fixture
def prune(cache):
    def run(server, models=(), **options):
        return cache(server, state="pruned", models=list(models), **options)

    return run


def kept(result):
    return {row["version"]: row["kept"] for row in result["entries"]}


def test_what_is_there_is_listed_and_nothing_changes(xinference, cache):
    xinference.models.cache = [llm("qwen3"), embedding("bge-m3")]
    result = cache(xinference)
    assert not result.failed and not result.changed and xinference.changes() == []
    bge, qwen = result["entries"]
    assert (qwen["format"], qwen["size"], qwen["quantization"]) == ("ggufv2", "0_6", "Q4_K_M")
    assert (bge["name"], bge["size"], bge["kept"], bge["removed"]) == ("bge-m3", None, "", False)
    told = xinference.profile.cache_details
    assert (qwen["bytes"], result["bytes_total"]) == ((2**30, 2**31) if told else (None, None))
    assert result["bytes_freed"] == 0


@pytest.mark.each_core("xinference_cache")
def test_what_nothing_uses_is_deleted_once(xinference, prune):
    xinference.models.cache = [llm("qwen3"), llm("qwen3", "Q8_0"), embedding("bge-m3")]
    xinference.serve("q", model_name="qwen3", model_engine="llama.cpp", model_size_in_billions="0_6", quantization="Q8_0",
                     model_format="ggufv2")  # fmt: skip
    predicted = prune(xinference, check=True)
    assert predicted.changed and not [change for change in xinference.changes() if change[0] == "DELETE"]
    size = " (1.0 GiB)" if xinference.profile.cache_details else ""
    done = prune(xinference)
    assert (
        done["plan"]
        == predicted["plan"]
        == [
            f"- delete bge-m3--512--384--pytorch--none on {WORKER}{size}",
            f"- delete qwen3--0_6B--ggufv2--Q4_K_M on {WORKER}{size}",
        ]
    )
    assert kept(done)["qwen3--0_6B--ggufv2--Q8_0"] == "q runs"
    assert done["bytes_freed"] == done["bytes_unused"] == (2**31 if size else None)
    assert [row["model_version"] for row in xinference.models.cache] == ["qwen3--0_6B--ggufv2--Q8_0"]
    again = prune(xinference)
    assert not again.changed and again["plan"] == []


@pytest.mark.parametrize(
    ("declared", "stays"),
    [
        ({"uid": "qwen3"}, True),
        ({"uid": "x", "name": "qwen3", "size": "0.6"}, True),
        ({"uid": "x", "name": "qwen3", "format": "ggufv2", "quantization": "Q4_K_M"}, True),
        ({"uid": "x", "name": "qwen3", "quantization": "Q8_0"}, False),
        ({"uid": "x", "name": "qwen3", "size": 32}, False),
        ({"uid": "qwen3", "state": "absent"}, False),
        ({"uid": "other"}, False),
    ],
)
def test_what_is_declared_is_kept_in_the_form_that_is_declared(newest, prune, declared, stays):
    newest.models.cache = [llm("qwen3")]
    result = prune(newest, [declared])
    assert bool(newest.models.cache) is stays and result.changed is not stays


@pytest.mark.parametrize("name", ["qwen3", "qw*"])
def test_what_is_to_be_kept(newest, prune, name):
    newest.models.cache = [llm("qwen3")]
    assert kept(prune(newest, keep=[name])) == {"qwen3--0_6B--ggufv2--Q4_K_M": "keep names it"}


def test_a_model_that_loads_keeps_all_its_forms(newest, prune):
    newest.models.cache = [llm("qwen3"), llm("qwen3", "Q8_0")]
    newest.behave("q", hangs=True)
    newest.models.launch({"model_uid": "q", "model_name": "qwen3", "model_engine": "llama.cpp", "quantization": "Q8_0"})
    assert set(kept(prune(newest)).values()) == {"q is there"}


def test_what_starts_by_itself_is_kept(newest, prune):
    newest.models.cache = [llm("qwen3")]
    launch = {"model_name": "qwen3", "model_uid": "q"}
    newest.models.autostart["q"] = {"enabled": True, "priority": 1, "launch": launch}
    assert set(kept(prune(newest)).values()) == {"q is in the autostart"}


def test_weights_that_are_not_the_servers_are_never_sent(xinference, prune, run_module):
    """Releases before 3.x would delete what the link leads to."""
    item = {"name": "mine", "size": 1, "quantization": "Q4_K_M", "path": f"{HOME}/mine.gguf"}
    options = {"endpoint": xinference.url, "password": PASSWORD}
    run_module("xinference_registration", {**options, "definitions": [{**item, "definition": {"family": "qwen3"}}]})
    xinference.models.cache = [
        llm("linked", real_path="/srv/weights/linked.gguf"),
        llm("sibling", real_path=f"{HOME}-else/x"),
        llm("mine", real_path=f"{HOME}/mine.gguf"),
        llm("flexible", path="file:///srv/flexible", real_path="/srv/flexible"),
        llm("given", path="/srv/given", real_path="/srv/given"),
    ]
    result = prune(xinference)
    assert not result.changed and len(xinference.models.cache) == 5
    assert kept(result) == {
        "linked--0_6B--ggufv2--Q4_K_M": "it links to /srv/weights/linked.gguf outside the server's directory",
        "sibling--0_6B--ggufv2--Q4_K_M": f"it links to {HOME}-else/x outside the server's directory",
        "mine--0_6B--ggufv2--Q4_K_M": "its definition names the path of its weights",
        "flexible--0_6B--ggufv2--Q4_K_M": "it is not in the server's cache",
        "given--0_6B--ggufv2--Q4_K_M": "it is not in the server's cache",
    }


def test_a_version_goes_only_where_all_its_entries_are_free(newest, prune):
    first = llm("ranker", model_version="ranker")
    newest.models.cache = [first, {**first, "path": first["path"] + "x", "real_path": "/srv/weights"}]
    assert not prune(newest).changed
    newest.models.cache[1]["real_path"] = first["real_path"]
    done = prune(newest)
    assert not done.failed and len(done["plan"]) == 2 and newest.models.cache == []


def test_files_that_another_model_uses_stay_where_the_server_would_not_spare_them(xinference, prune):
    blobs = f"{HOME}/huggingface/models--x--qwen3/blobs"
    xinference.models.cache = [llm("qwen3", real_path=blobs), llm("qwen3", "Q8_0", real_path=blobs), llm("other")]
    result = prune(xinference, [{"uid": "q", "name": "qwen3", "quantization": "Q8_0"}])
    spares = xinference.profile.version == "4.1.0"
    assert len(result["plan"]) == (2 if spares else 1)
    reason = "it may share files with qwen3--0_6B--ggufv2--Q8_0, which stays (q is declared)"
    assert kept(result)["qwen3--0_6B--ggufv2--Q4_K_M"] == ("" if spares else reason)


def test_only_the_named_worker(newest, prune):
    newest.models.workers = ["10.0.0.1:1", "10.0.0.2:1"]
    newest.models.cache = [llm("qwen3", actor_ip_address=worker) for worker in newest.models.workers]
    assert len(prune(newest, worker="10.0.0.2")["entries"]) == 1
    assert [row["actor_ip_address"] for row in newest.models.cache] == ["10.0.0.1:1"]
    assert prune(newest, worker="10.0.0.9").failed
    prune(newest)
    assert newest.models.cache == []


def test_what_could_not_be_deleted_is_said_and_the_rest_goes(newest, prune, monkeypatch):
    newest.models.cache = [llm("a"), llm("b"), llm("c")]
    real = newest.models.remove_cached

    def remove(version, worker):
        return False if version.startswith("a") else True if version.startswith("b") else real(version, worker)

    monkeypatch.setattr(newest.models, "remove_cached", remove)
    result = prune(newest)
    assert (
        result.failed and "a--0_6B--ggufv2--Q4_K_M on 127.0.0.1:51954: the server could not delete it" in result["msg"]
    )
    assert "b--0_6B--ggufv2--Q4_K_M on 127.0.0.1:51954: the server reported its deletion" in result["msg"]
    assert [row["removed"] for row in result["entries"]] == [False, False, True] and result["bytes_freed"] == 2**30


def test_pruning_needs_to_be_told_what_is_declared(newest, cache):
    result = cache(newest, state="pruned")
    assert result.failed and "models" in result["msg"] and newest.requests == []
    assert "an item has no uid" in cache(newest, state="pruned", models=[{"name": "x"}])["msg"]
