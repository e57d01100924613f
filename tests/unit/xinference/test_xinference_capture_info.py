# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_capture_info: what runs, as an inventory that a following run finds unchanged."""

from __future__ import annotations

import contextlib
import json

import attacker
import pytest
import yaml
from servers.xinference import PASSWORD, XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import (
    capture_sources,
    capture_text,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog.captured import (
    CapturedModels,
    _is_secret,
    without_secrets,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import registration

SECRETS = {
    "HF_TOKEN": "hf_abcdefghijklmnop",
    "HTTPS_PROXY": "http://user:geheim@proxy:3128",
    "LICENSE": "a1b2c3d4e5f6a7b8c9d0",
    "engine": "engine-api-key-value",
}
LLM = {
    "model_name": "qwen3",
    "model_engine": "llama.cpp",
    "model_format": "ggufv2",
    "model_size_in_billions": "0_6",
    "quantization": "Q4_K_M",
    "n_ctx": 4096,
    "request_limits": 8,
    "api_key": SECRETS["engine"],
    "peft_model_config": {"lora_list": [{"lora_name": "l", "local_path": "/l", "lora_scale": 1.0}]},
    "enable_virtual_env": False,
    "envs": {
        "HF_TOKEN": SECRETS["HF_TOKEN"],
        "HTTPS_PROXY": SECRETS["HTTPS_PROXY"],
        "LICENSE": SECRETS["LICENSE"],
        "CUDA_VISIBLE_DEVICES": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_ENDPOINT": "https://hf-mirror.example",
    },
}


class Loader(yaml.SafeLoader):
    """Reads an inventory file; text that Ansible would not render is taken as it is."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@pytest.fixture
def captured(run_module, warned):
    """``captured(server)`` -> result; no secret is anywhere in it."""

    def run(server, **options):
        options = {"endpoint": server.url, "password": PASSWORD, **options}
        result = run_module("xinference_capture_info", options, check=True)
        assert not result.failed, result["msg"]
        assert server.changes() == [change for change in server.changes() if change[0] != "GET"]
        told = json.dumps({key: value for key, value in result.items() if key != "invocation"}) + str(warned)
        assert not [secret for secret in SECRETS.values() if secret in told]
        loaded = yaml.load(result["text"], Loader)
        assert loaded.get("xinference_models", []) == result["models"]
        assert loaded.get("xinference_definitions", []) == result["definitions"]
        return result

    return run


def launched(server, uid, body, *, replicas=1):
    server.serve(uid, **body, replica=replicas)


def recovery(server, tmp_path, *uids):
    """The files in which the workers keep how they launched."""
    kept = {}
    for uid in uids:
        model = server.models.models[uid]
        body = {**dict.fromkeys(("driver_info", "xavier_config", "gpu_idx", "model_path")), **model.body}
        body.pop("replica")
        for number in model.replicas:
            name = server.profile.replica(uid, number)
            kept[name] = {**body, "model_uid": name, "n_gpu": "auto", "n_worker": 1, "shard": 0, "launch_ts": 1}
    directory = tmp_path / "worker_recovery" / "127.0.0.1_51954"
    directory.mkdir(parents=True)
    (directory / "models.json").write_text(json.dumps(kept))
    return str(tmp_path)


def filled_in(models):
    """The models with their references replaced, as Ansible would by the user's variables."""
    values = {f"vault_xinference_q_{name.lower()}": value for name, value in SECRETS.items()}
    values["vault_xinference_q_api_key"] = SECRETS["engine"]
    text = json.dumps(models)
    for name, value in values.items():
        text = text.replace("{{ " + name + " }}", value)
    return json.loads(text.replace("{{ xinference_q_engine }}", "llama.cpp"))


def unchanged(server, apply, result, **options):
    again = apply(server, filled_in(result["models"]), check=True, **options)
    assert not again.failed, again["msg"]
    assert not again.changed and again["plan"] == []
    assert [row["differs"] for row in again["models"]] == [[] for _model in result["models"]]
    return again


@pytest.fixture
def several(llm, embedding):
    """Models of several kinds."""
    return [
        llm(),
        embedding(),
        {"uid": "rerank", "name": "bge-reranker-v2-m3", "type": "rerank", "engine": "sentence_transformers"},
        {"uid": "q", "name": "qwen3", "engine": "llama.cpp", "format": "ggufv2", "size": "0.6", "quantization": "Q8_0"},
        {"uid": "draw", "name": "sd-turbo", "type": "image"},
    ]


# -- the round trip --------------------------------------------------------------------------------------------------


def test_what_was_launched_by_hand_is_found_unchanged(xinference, captured, apply, several):
    done = apply(xinference, [dict(model, autostart=False) for model in several], prove="never")
    assert not done.failed, done["msg"]
    result = captured(xinference)
    assert [model["uid"] for model in result["models"]] == ["draw", "minilm", "q", "rerank", "tiny"]
    unchanged(xinference, apply, result)
    tiny = result["models"][-1]
    assert tiny["definition"]["family"] == "gemma-3-it" and tiny["path"].endswith("tiny.gguf")
    assert result["definitions"] == [] and "Its engine options" in result["notes"]["tiny"][0]
    assert "engine_options" not in tiny


def test_what_is_in_the_autostart_is_found_unchanged(xinference, captured, apply, several):
    done = apply(xinference, [dict(model, priority=7) for model in several], prove="never")
    assert not done.failed, done["msg"]
    result = captured(xinference)
    unchanged(xinference, apply, result)
    if xinference.profile.autostart:
        tiny = result["models"][-1]
        assert (tiny["engine_options"], tiny["priority"]) == ({"n_ctx": 2048}, 7) and "autostart" not in tiny
        assert result["notes"] == {}


@pytest.mark.parametrize("entered", [False, True])
def test_what_a_cluster_serves_is_found_unchanged(captured, apply, several, tmp_path, entered):
    worker, remember = "10.0.0.1:9998", str(tmp_path / "declared.json")
    with XinferenceServer("4.1.0", workers=(worker,)) as server:
        # By hand, with entries or without; and by this collection.
        done = apply(server, several[1:], prove="never", cluster=not entered)
        assert not done.failed, done["msg"]
        done = apply(server, several[:1], prove="never", workers=[worker], remember=remember)
        assert not done.failed, done["msg"]
        result = captured(server, remember=remember)
        unchanged(server, apply, result, workers=[worker], remember=remember)
        assert sorted(server.models.autostart) == (sorted(m["uid"] for m in several[1:]) if entered else [])


def test_what_the_collection_remembers_is_found_unchanged_to_the_last_option(
    xinference, captured, apply, several, tmp_path
):
    remember = str(tmp_path / "declared.json")
    models = [dict(several[0], tags=["chat"], dify={"name": "Tiny"}, replicas=2), several[3]]
    done = apply(xinference, models, prove="never", remember=remember)
    assert not done.failed, done["msg"]
    result = captured(xinference, remember=remember)
    assert result["models"][1]["tags"] == ["chat"] and result["models"][1]["dify"] == {"name": "Tiny"}
    assert result["models"][1]["engine_options"] == {"n_ctx": 2048} and result["notes"] == {}
    unchanged(xinference, apply, result, remember=remember)


def test_the_workers_own_files_tell_the_rest_without_secrets(xinference, captured, apply, tmp_path):
    launched(xinference, "q", LLM, replicas=2)
    result = captured(xinference, home=recovery(xinference, tmp_path, "q"))
    (model,) = result["models"]
    assert model["engine_options"] == {"n_ctx": 4096, "api_key": "{{ vault_xinference_q_api_key }}"}
    assert model["envs"] == {
        "HF_TOKEN": "{{ vault_xinference_q_hf_token }}",
        "HTTPS_PROXY": "{{ vault_xinference_q_https_proxy }}",
        "LICENSE": "{{ vault_xinference_q_license }}",
        "CUDA_VISIBLE_DEVICES": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_ENDPOINT": "https://hf-mirror.example",
    }
    assert model["lora"] == [{"name": "l", "path": "/l"}] and (model["replicas"], model["request_limits"]) == (2, 8)
    assert result["variables"]["vault_xinference_q_hf_token"] == "environment variable HF_TOKEN of q"
    assert "#   vault_xinference_q_api_key: api_key of q\n" in result["text"]
    assert result["notes"] == {}
    unchanged(xinference, apply, result)


@pytest.mark.parametrize(
    ("name", "value", "env", "secret"),
    [
        ("virtual_env_packages", "git+https://ghp_x@github.com/a/b", False, True),
        ("virtual_env_packages", "git+https://github.com/a/b", False, False),
        ("HFTOKEN", "x", False, True),
        ("tokenizer_mode", "auto", False, False),
        ("PGPASSWORD", "x", True, True),
        ("ANYTHING", "x", True, True),
        ("CUDA_VISIBLE_DEVICES", "0,1", True, False),
        ("NCCL_SOCKET_IFNAME", "eth0", True, False),
        ("VLLM_USE_V1", "1", True, False),
        ("VLLM_API_KEY", "x", True, True),
        ("HF_ENDPOINT", "https://me:mine@mirror", True, True),
        ("EMPTY", "", True, False),
    ],
)
def test_what_is_taken_for_a_secret(name, value, env, secret):
    assert _is_secret(name, value, env) is secret


def test_uids_that_look_the_same_do_not_share_a_variable():
    found = CapturedModels()
    names = [without_secrets(found, uid, "api_key", "x") for uid in ("a-b", "a.b", "a_b", "a-b")]
    assert len(set(names)) == 3 and names[0] == names[3] and len(found.variables) == 3


def test_what_the_autostart_hides_is_a_reference_too(newest, captured, apply, tmp_path):
    launched(newest, "q", LLM)
    hidden = {**LLM, "model_uid": "q", "api_key": "******", "envs": dict.fromkeys(LLM["envs"], "******")}
    newest.models.autostart["q"] = {"enabled": True, "priority": 3, "launch": hidden}
    alone = captured(newest)
    assert alone["models"][0]["envs"]["CUDA_VISIBLE_DEVICES"] == "{{ vault_xinference_q_cuda_visible_devices }}"
    # The worker knows what is harmless.
    both = captured(newest, home=recovery(newest, tmp_path, "q"))
    assert both["models"][0]["envs"]["CUDA_VISIBLE_DEVICES"] == "0" and both["models"][0]["priority"] == 3
    unchanged(newest, apply, both)


# -- what is told, and what is not -----------------------------------------------------------------------------------


def test_the_web_interfaces_history_is_believed_last_and_named(newest, captured):
    launched(newest, "q", LLM)
    newest.models.history = [{"model_name": "qwen3", "model_uid": "q", "data": {**LLM, "model_uid": "q"}}]
    result = captured(newest)
    assert result["models"][0]["engine_options"]["n_ctx"] == 4096
    assert "Its launch options come from the web interface's history" in result["notes"]["q"][0]


def test_a_source_that_says_otherwise_than_what_runs_is_not_used(newest, captured):
    launched(newest, "q", LLM)
    other = {**LLM, "quantization": "Q8_0", "n_ctx": 1}
    newest.models.history = [{"model_name": "qwen3", "model_uid": "q", "data": other}]
    result = captured(newest)
    assert "engine_options" not in result["models"][0]
    assert "history differs (quantization), so it was not used" in result["notes"]["q"][0]


def test_what_was_remembered_of_an_earlier_launch_does_not_count(newest, captured, apply, llm, tmp_path):
    remember = str(tmp_path / "declared.json")
    apply(newest, [llm(autostart=False)], prove="never", remember=remember)
    newest.models.models["tiny"].launched -= 100
    assert "engine_options" not in captured(newest, remember=remember)["models"][0]


@pytest.mark.parametrize("version", ["1.17.1"])
def test_an_engine_that_nobody_tells_is_asked_for(captured, version):

    with XinferenceServer(version) as server:
        server.serve("q", model_name="qwen3", model_engine="llama.cpp", model_format="ggufv2",
                     model_size_in_billions="0_6", quantization="Q4_K_M")  # fmt: skip
        result = captured(server)
        assert result["models"][0]["engine"] == "llama.cpp" and "only installed engine" in result["notes"]["q"][1]
        server.serve("r", model_name="qwen3", model_engine="x", model_format="strange", quantization="Q")
        result = captured(server)
        assert result["models"][1]["engine"] == "{{ xinference_r_engine }}"
        assert result["variables"] == {"xinference_r_engine": "engine of r: unknown"}


@pytest.mark.each_core("xinference_capture_info")
def test_where_it_runs_is_written_down_where_that_was_left_to_the_server(newest, captured):
    newest.models.workers = ["10.0.0.1:1", "10.0.0.2:1"]
    launched(newest, "q", {**LLM, "worker_ip": "10.0.0.2"})
    assert captured(newest)["models"][0]["worker"] == "10.0.0.2:1"


def test_definitions_that_no_model_carries(newest, captured, run_module):
    template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    wanted = [
        {
            "name": "two",
            "specs": [
                {"path": "/m/a.gguf", "size": "7", "quantization": "Q4_K_M"},
                {"format": "ggufv2", "size": "7", "quantization": "Q8_0", "hub_id": "me/x", "file": "x.gguf"},
            ],
            "definition": {
                "family": "qwen3",
                "chat_template": template,
                "stop": ["</s>"],
                "abilities": ["chat", "tools"],
            },
        },
        {
            "name": "any",
            "type": "flexible",
            "path": "/m",
            "definition": {"launcher": "l", "launcher_args": {"a": [1, {"b": "c"}]}},
        },
        {
            "name": "ear",
            "type": "audio",
            "definition": {
                "family": "whisper",
                "hub_id": "me/ear",
                "hub": "modelscope",
                "extra": {"multilingual": False},
            },
        },
    ]
    options = {"endpoint": newest.url, "password": PASSWORD}
    done = run_module("xinference_registration", {**options, "definitions": wanted})
    assert not done.failed, done["msg"]
    launched(newest, "q", {**LLM, "model_name": "two", "model_size_in_billions": 7})
    result = captured(newest)
    assert "definition" not in result["models"][0]
    assert [item["name"] for item in result["definitions"]] == ["two", "ear", "any"]
    assert result["definitions"][0]["definition"]["chat_template"] == template
    assert "!unsafe" in result["text"]
    again = run_module("xinference_registration", {**options, "definitions": result["definitions"]}, check=True)
    assert not again.failed and not again.changed, again


def test_an_inherited_template_is_not_written_down():
    family = {"chat_template": "{{ x }}", "stop": ["</s>"]}
    body = {"model_name": "m", "model_family": "f", **family, "model_specs": []}
    assert registration.options_of("LLM", body, family)["definition"] == {"family": "f"}
    assert registration.options_of("LLM", body)["definition"] == {"family": "f", **family}


def test_weights_in_another_place_are_named():
    body = {"model_name": "m", "model_specs": [{"model_uri": "oci://registry/m"}, {"model_uri": "file:///m"}]}
    assert registration.other_places(body) == ["oci://registry/m"]


def test_nothing_runs(newest, captured):
    result = captured(newest)
    assert result["models"] == [] and "xinference_models: []\n" in result["text"]


def test_a_server_that_is_not_at_rest_is_told(newest, captured, apply, llm, embedding, tmp_path, warned):
    remember = str(tmp_path / "declared.json")
    assert not apply(newest, [llm(), embedding(autostart=False)], prove="never", remember=remember).failed
    newest.models.models.clear()
    newest.behave("q", hangs=True)
    newest.models.launch({**LLM, "model_uid": "q"})
    newest.behave("broken", error="no room", seconds=0)
    newest.models.launch({**LLM, "model_uid": "broken"})
    result = captured(newest, remember=remember)
    assert result["models"] == []
    assert result["unsettled"] == {"minilm": "missing", "q": "loading", "tiny": "missing"}, "a failed launch is over"
    assert f"q of {newest.url} is loading, so it was not captured." in warned
    assert "# Not in this file, because they did not run:\n#   minilm: missing\n" in result["text"]


def test_a_file_of_a_worker_that_cannot_be_read_is_named(newest, run_module, tmp_path):
    (tmp_path / "worker_recovery" / "w").mkdir(parents=True)
    (tmp_path / "worker_recovery" / "w" / "models.json").write_text("{")
    result = run_module(
        "xinference_capture_info", {"endpoint": newest.url, "password": PASSWORD, "home": str(tmp_path)}
    )
    assert result.failed and "models.json cannot be read" in result["msg"] and newest.requests == []


def test_a_user_who_swaps_a_workers_file(tmp_path):
    worker = tmp_path / "home" / "worker_recovery" / "127.0.0.1_51954"
    worker.mkdir(parents=True)
    (worker / "models.json").write_text('{"a-0": {}}')
    (worker.parent / "note").write_text("no worker")
    other = attacker.secret(tmp_path / "outside")
    other.write_text(json.dumps({attacker.SECRET: {}}))
    other.rename(other.with_name("models.json"))
    attacker.owns(tmp_path / "home")
    home = str(tmp_path / "home")
    assert capture_sources.launch_arguments(home) == {"a-0": {}}
    captured = []
    with attacker.swaps(worker / "models.json", other.with_name("models.json")), attacker.swaps(worker, other.parent):
        for _number in attacker.times(0.9):
            with contextlib.suppress(ModelopsError):
                captured.append(capture_sources.launch_arguments(home))
    assert attacker.SECRET not in str(captured)
    (worker / "models.json").unlink()
    (worker / "models.json").symlink_to(other.with_name("models.json"))
    with pytest.raises(ModelopsError, match="models.json cannot be read [(]it is a symbolic link"):
        capture_sources.launch_arguments(home)


@pytest.mark.parametrize(
    "value",
    ["yes", "Null", "12", "1_7", "", " x", "a: b", "#x", "{{ vault_xinference_a }}", "{% raw %}", "a\nb\t", 'q"\\', "ü", "-x", "@x", "/p"],
)  # fmt: skip
def test_text_is_read_back_as_it_was(value):
    item = {"uid": "u", value or "k": value, "list": [value, 1, True, None], "deep": {"er": [{"x": value}, {"y": {}}]}}
    text = capture_text.text(CapturedModels(models=[item]), "e", "v")
    assert yaml.load(text, Loader) == {"xinference_models": [item]}
