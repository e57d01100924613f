# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pure part: what is declared, what differs, what is done."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    registration,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import operations
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs.models import MODEL_OPTIONS


def declared(**given):
    """A model's options as AnsibleModule hands them over: everything there, defaults filled in."""
    options = {name: spec.get("default") for name, spec in MODEL_OPTIONS.items()}
    if given.get("definition") is not None:
        given["definition"] = {**dict.fromkeys(registration.OPTIONS), **given["definition"]}
    return {**options, "uid": "m", "engine": "vLLM", **given}


def wanted(*given, exists=True):
    return models.desired(list(given), exists=lambda path: exists)


def running(uid="m", *, version="2.12.0", launched=None, **fields):
    """A server's entry of one running model; `launched` is its remembered request."""
    row = {"model_name": uid, "model_type": "LLM", "model_engine": "vLLM", "replica": 1, **fields}
    replicas = [{"replica_id": n, "worker_address": "10.0.0.1:5000", "status": "READY"} for n in range(row["replica"])]
    instance = {"model_uid": uid, "status": "READY", "instance_created_ts": 7, "replica_statuses": replicas}
    memory = {uid: {"body": launched, "placed": {}, "created": 7}} if launched is not None else {}
    workers = ["10.0.0.1:5000", "10.0.0.2:5000"]
    return server_state.ServerState({uid: row}, {uid: instance}, workers=workers, launched=memory, version=version)


def instance(status, uid="m"):
    return server_state.ServerState({}, {uid: {"model_uid": uid, "status": status, "replica_statuses": []}})


def decide(model, actual, replace=False):
    return model_plan.decide(wanted(model), actual, model_plan.GAP if replace is True else replace or model_plan.KEEP)[
        0
    ]


# -- desired -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("7", 7),
        ("0.27", "0_27"),
        ("0_27", "0_27"),
        ("1_7", "1_7"),
        ("1.0", 1),
        (" 32 ", 32),
        ("1_05", "1_05"),
        (None, None),
    ],
)
def test_sizes_are_written_as_xinference_writes_them(given, normal):
    assert registration.normal_size("m", given) == normal


@pytest.mark.parametrize("given", ["7B", "", "1.2.3", "large", "-1", "0.5b", "٧", "9" * 400])
def test_a_size_that_is_no_number_is_refused(given):
    with pytest.raises(ModelopsError, match="m: size must be billions of parameters"):
        registration.normal_size("m", given)


@pytest.mark.parametrize(
    ("uid", "why"),
    [
        ("x" * 101, "101 characters"),
        ("", "0 characters"),
        ("model-rep0", "reserved"),
        ("a/b", "Dify"),
        ("a?b", "Dify"),
        ("a#b", "Dify"),
        (".", "could never be terminated"),
        ("..", "could never be terminated"),
        (" ", "must not be blank, have a line break"),
        (" a", "must not be blank, have a line break"),
        ("a\nb", "must not be blank, have a line break"),
        ("a\n", "must not be blank, have a line break"),
        ("a\x00", "must not be blank, have a line break"),
    ],
)
def test_a_uid_that_cannot_be_used_is_refused(uid, why):
    with pytest.raises(ModelopsError, match=why):
        wanted(declared(uid=uid))


def test_every_problem_is_named_at_once():
    with pytest.raises(ModelopsError) as caught:
        wanted(declared(uid="a", engine=None), declared(uid="b"), declared(uid="b"), declared(uid="c", replicas=0))
    text = str(caught.value)
    assert "a: an LLM needs engine" in text
    assert "UID 'b' is declared 2 times" in text
    assert "c: replicas must be at least 1" in text


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"path": "weights"}, "path must be absolute"),
        ({"gpus_per_replica": "many"}, "gpus_per_replica must be a number, 'auto' or 'none'"),
        ({"gpu_indices": [0, 1, 2], "replicas": 2}, "3 gpu_indices cannot be divided evenly among 2"),
        (
            {"gpu_indices": [0, 1, 2, 3], "replicas": 2, "gpus_per_replica": "4"},
            "2 replicas with gpus_per_replica 4 take 8 GPUs, and gpu_indices names 4",
        ),
        ({"gpu_indices": [-1]}, "gpu_indices has -1"),
        ({"envs": {"A-B": "1"}}, "envs: 'A-B' is not a name of a variable"),
        ({"envs": {1: "1"}}, "envs: 1 is not a name"),
        ({"envs": {"A": None}}, "envs: A has no text"),
        ({"envs": {"A": "1\n2"}}, "envs: A must not have a line break"),
        ({"engine_options": {1: 2}}, "engine_options: 1 is not a name of an option"),
        ({"engine_options": {"replica": 2}}, "'replica' has a dedicated option, replicas"),
        ({"engine_options": {"n_gpu": 2}}, "'n_gpu' has a dedicated option, gpus_per_replica"),
        (
            {"engine_options": {"max-num-seqs": 2}},
            "no engine has an option 'max-num-seqs', but the server accepts it silently: write",
        ),
        ({"engine_options": {"--n-ctx": 2}}, "write n_ctx"),
        ({"type": "video", "definition": {"family": "x"}}, "does not allow custom models of type video"),
        ({"definition": {}}, "definition lacks family"),
        ({"definition": {"family": "x"}}, "give the weights"),
        ({"definition": {"family": "x"}, "path": "/m"}, "a custom LLM needs size"),
        ({"definition": {"family": "x"}, "path": "/m.gguf", "size": "1"}, "needs quantization"),
        (
            {"definition": {"family": "x"}, "path": "/m", "size": "1", "format": "ggufv2", "quantization": "Q4"},
            "path must be the .gguf file itself",
        ),
        ({"type": "embedding", "definition": {}, "path": "/m"}, "lacks dimensions and max_tokens"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, why):
    with pytest.raises(ModelopsError, match=why):
        wanted(declared(**given))


@pytest.mark.parametrize(
    ("model", "given", "why"),
    [
        ({}, {"abilities": ["chat", "fly"]}, "definition.abilities has 'fly'; a custom LLM model can chat, generate"),
        ({"type": "audio"}, {"abilities": ["chat"]}, "a custom audio model can audio2text, text2audio"),
        ({}, {"context_length": -1}, "definition.context_length must be at least 1 .it is -1"),
        ({"type": "embedding"}, {"dimensions": 0, "max_tokens": 1}, "definition.dimensions must be at least 1"),
        ({}, {"family": "/models/qwen"}, "definition.family must be the name of a built-in model"),
        ({}, {"family": "qwen/qwen"}, "definition.family must be the name of a built-in model"),
        ({}, {"family": ".."}, "definition.family must be the name of a built-in model"),
        ({}, {"extra": {"model_name": "other"}}, "definition.extra may not have model_name"),
        (
            {},
            {"virtual_env": {"packages": [], "index_url": "https://me:hunter2@pypi.example"}},
            "virtual_env.index_url has a login",
        ),
        ({}, {"virtual_env": {"packages": [], "find_links": ["http://a@b/c"]}}, "virtual_env.find_links has a login"),
        ({}, {"virtual_env": {"packages": ["x @ https://a:b@c/x.whl"]}}, "virtual_env.packages has a login"),
    ],
)
def test_a_definition_that_cannot_be_meant_is_refused(model, given, why):
    options = {"path": "/m", "size": "1", "engine": "x", **model}
    with pytest.raises(ModelopsError, match=why) as caught:
        wanted(declared(**options, definition={"family": "qwen2.5-instruct", **given}))
    assert "hunter2" not in str(caught.value)


def test_gpu_indices_that_are_as_many_as_the_replicas_take():
    for per in ("2", "auto", "none", None):
        assert wanted(declared(gpu_indices=[0, 1, 2, 3], replicas=2, gpus_per_replica=per))


def test_a_path_that_is_not_there_is_refused():
    with pytest.raises(ModelopsError, match="path /m does not exist on this machine"):
        wanted(declared(path="/m"), exists=False)


def test_a_path_on_a_named_worker_is_not_looked_for_here():
    assert wanted(declared(path="/m", worker="10.0.0.2"), exists=False)[0].body["model_path"] == "/m"


def test_an_absent_model_needs_nothing_but_its_uid():
    assert not wanted(declared(engine=None, path="/gone", state="absent"), exists=False)[0].present


def test_two_definitions_of_one_name_are_refused():
    first = declared(uid="a", name="n", path="/m", size="1", definition={"family": "f"})
    second = declared(uid="b", name="n", path="/m", size="2", definition={"family": "f"})
    with pytest.raises(ModelopsError, match="a and b define the custom model 'n' differently"):
        wanted(first, second)
    assert len(wanted(first, {**first, "uid": "b"})) == 2


def test_the_launch_request_holds_what_was_given_and_nothing_else():
    body = wanted(
        declared(
            uid="q", name="qwen3", format="awq", size="32", quantization="Int4", replicas=2, gpus_per_replica="2",
            gpu_indices=[0, 1, 2, 3], worker="10.0.0.2", n_worker=1, virtual_env=True, virtual_env_packages=["vllm==1"],
            envs={"A": "b"}, download_hub="modelscope", request_limits=8, thinking=False,
            lora=[{"name": "l", "path": "/l", "scale": 1.0}], engine_options={"max_model_len": 4096}, tags=["x"],
            priority=1, source={"url": "u"}, dify={"y": 1},
        )
    )[0].body  # fmt: skip
    assert body == {
        "model_name": "qwen3",
        "model_type": "LLM",
        "model_uid": "q",
        "model_engine": "vLLM",
        "model_format": "awq",
        "model_size_in_billions": 32,
        "quantization": "Int4",
        "replica": 2,
        "n_gpu": 2,
        "gpu_idx": [0, 1, 2, 3],
        "worker_ip": "10.0.0.2",
        "n_worker": 1,
        "enable_virtual_env": True,
        "virtual_env_packages": ["vllm==1"],
        "envs": {"A": "b"},
        "download_hub": "modelscope",
        "request_limits": 8,
        "enable_thinking": False,
        "peft_model_config": {"lora_list": [{"lora_name": "l", "local_path": "/l", "lora_scale": 1.0}]},
        "max_model_len": 4096,
    }
    assert set(wanted(declared())[0].body) == {"model_name", "model_type", "model_uid", "model_engine", "replica"}


@pytest.mark.parametrize(("given", "sent"), [("auto", "auto"), ("none", None), ("0", None), ("4", 4)])
def test_gpus_per_replica(given, sent):
    assert wanted(declared(gpus_per_replica=given))[0].body["n_gpu"] == sent


def test_local_weights_need_no_environment_of_their_own():
    assert wanted(declared(path="/m"))[0].body["enable_virtual_env"] is False
    assert wanted(declared(path="/m", virtual_env=True))[0].body["enable_virtual_env"] is True
    assert "enable_virtual_env" not in wanted(declared())[0].body


def test_the_definition_of_a_custom_llm():
    model = wanted(
        declared(
            uid="tiny",
            engine="llama.cpp",
            path="/m/tiny.gguf",
            size="0.27",
            quantization="Q4_K_M",
            definition={
                "family": "gemma-3-it",
                "context_length": 2048,
                "stop_token_ids": [1],
                "extra": {"virtualenv": {}},
            },
        )
    )[0]
    assert model.definition.body == {
        "version": 2,
        "model_name": "tiny",
        "model_lang": ["en"],
        "model_ability": ["chat"],
        "model_family": "gemma-3-it",
        "context_length": 2048,
        "stop_token_ids": [1],
        "virtualenv": {},
        "model_specs": [
            {
                "model_format": "ggufv2",
                "quantization": "Q4_K_M",
                "model_id": None,
                "model_uri": "file:///m/tiny.gguf",
                "model_revision": None,
                "model_size_in_billions": "0_27",
                "model_file_name_template": "tiny.gguf",
            }
        ],
    }
    assert "model_path" not in model.body
    # A replica that is added later takes what is registered then.
    assert not {"model_format", "quantization", "model_size_in_billions"} & set(model.body)


def test_the_definition_of_a_custom_image_model():
    model = wanted(declared(type="image", path="/m", definition={"family": "sd", "extra": {"controlnet": None}}))[0]
    assert model.definition.body == {
        "version": 2,
        "model_name": "m",
        "model_family": "sd",
        "controlnet": None,
        "model_uri": "file:///m",
    }


# -- decisions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actual", "action"),
    [
        (server_state.ServerState({}, {}), model_plan.LAUNCH),
        (instance("CREATING"), model_plan.WAIT),
        (instance("LOADING"), model_plan.WAIT),
        (instance("UPDATING"), model_plan.WAIT),
        (instance("TERMINATED"), model_plan.LAUNCH),
        (instance("ERROR"), model_plan.LAUNCH),
        (instance("READY"), model_plan.NONE),
        (running(), model_plan.NONE),
    ],
)
def test_what_is_done_with_a_model_that_is_to_be_present(actual, action):
    assert decide(declared(), actual).action == action


@pytest.mark.parametrize(
    ("actual", "action"),
    [
        (server_state.ServerState({}, {}), model_plan.NONE),
        (instance("CREATING"), model_plan.TERMINATE),
        (instance("ERROR"), model_plan.TERMINATE),
        (server_state.ServerState({}, instance("ERROR").instances, gone=frozenset(["m"])), model_plan.NONE),
        (running(), model_plan.TERMINATE),
    ],
)
def test_what_is_done_with_a_model_that_is_to_be_absent(actual, action):
    assert decide(declared(state="absent"), actual).action == action


@pytest.mark.parametrize(
    ("given", "reported", "line"),
    [
        ({"quantization": "Q8_0"}, {"quantization": "Q4_0"}, "quantization Q4_0 -> Q8_0"),
        ({"replicas": 2}, {"replica": 1}, "replicas 1 -> 2"),
        ({"name": "other"}, {}, "name m -> other"),
        ({"size": "8"}, {"model_size_in_billions": 7}, "size 7 -> 8"),
        ({"size": "1.7"}, {"model_size_in_billions": "0_6"}, "size 0_6 -> 1_7"),
        ({"format": "awq"}, {"model_format": "gptq"}, "format gptq -> awq"),
        ({"engine": "SGLang"}, {}, "engine vLLM -> SGLang"),
        ({"worker": "10.0.0.2"}, {}, "worker 10.0.0.1:5000 -> 10.0.0.2"),
    ],
)
def test_a_field_that_differs_replaces_only_when_told(given, reported, line):
    kept, replaced = (decide(declared(**given), running(**reported), replace) for replace in (False, True))
    assert (kept.action, [str(f) for f in kept.fields]) == (model_plan.DIFFERS, [line])
    assert replaced.action == model_plan.REPLACE
    assert model_plan.plan_of([replaced]).lines == [f"~ replace m ({line})"]
    assert model_plan.plan_of([kept]).lines == []


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        ({"engine": "vllm"}, {"model_engine": "vLLM"}),
        ({"size": "0.6"}, {"model_size_in_billions": "0_6"}),
        ({"size": "7"}, {"model_size_in_billions": 7}),
        ({"size": "7"}, {"model_size_in_billions": "7"}),
        ({"format": "awq"}, {"model_format": None}),
        ({"quantization": None}, {"quantization": "Int4"}),
        ({"engine_options": {"max_model_len": 1}}, {}),
        ({"worker": "10.0.0.1"}, {}),
        ({"worker": "10.0.0.1:5000"}, {}),
        ({"worker": "192.0.2.1"}, {}),  # not one of the cluster's: a server in local mode ignores it
    ],
)
def test_what_is_the_same_or_not_reported_does_not_differ(given, reported):
    assert decide(declared(**given), running(**reported), True).action == model_plan.NONE


def test_an_older_release_reports_no_engine():
    actual = running()
    del actual.models["m"]["model_engine"]
    assert decide(declared(engine="SGLang"), actual, True).action == model_plan.NONE


# -- what the server does not tell ---------------------------------------------------------------------------------


def body(**options):
    return wanted(declared(**options))[0].body


@pytest.mark.parametrize(
    ("before", "now", "line"),
    [
        ({"engine_options": {"n_ctx": 2048}}, {"engine_options": {"n_ctx": 1024}}, "engine_options.n_ctx 2048 -> 1024"),
        ({}, {"engine_options": {"n_ctx": 1024}}, "engine_options.n_ctx none -> 1024"),
        ({"gpu_indices": [0]}, {"gpu_indices": [1]}, "gpu_indices [0] -> [1]"),
        ({"gpu_memory": "6 GiB"}, {"gpu_memory": "8 GiB"}, "gpu_memory 6 GiB -> 8 GiB"),
        ({"context_length": 8192}, {"context_length": 4096}, "context_length 8192 -> 4096"),
        ({"envs": {"A": "secret1"}}, {"envs": {"A": "secret2"}}, "envs (hidden)"),
        ({"draft_model": {"path": None, "quantization": None, "tokens": 3}}, {}, "draft_model 3 -> none"),
    ],
)
def test_what_is_remembered_of_a_launch_is_compared(before, now, line):
    actual = running(launched=body(**before))
    assert decide(declared(**before), actual, True).action == model_plan.NONE
    decision = decide(declared(**now), actual, True)
    assert decision.action == model_plan.REPLACE and line in [str(f) for f in decision.fields]


def test_what_somebody_else_launched_under_the_uid_since_is_not_compared():
    actual = running(launched=body(engine_options={"n_ctx": 1}))
    actual.instances["m"]["instance_created_ts"] = 8
    assert decide(declared(), actual, True).action == model_plan.NONE
    actual.autostart = {"m": {}}  # the server itself launched it again, from our entry
    assert decide(declared(), actual, True).action == model_plan.REPLACE


@pytest.mark.parametrize("name", ["context_length", "n_worker", "request_limits", "launch_timeout"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ModelopsError, match=f"m: {name} must be at least 1, not -5"):
        wanted(declared(**{name: -5}))


# -- how it is replaced --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "declared_more", "running_more", "replace", "action"),
    [
        ("4.1.0", {"replicas": 2}, {}, model_plan.KEEP, model_plan.SCALE),
        ("3.2.0", {"replicas": 2}, {}, model_plan.SURGE, model_plan.SCALE),
        ("3.1.0", {"replicas": 2}, {}, model_plan.KEEP, model_plan.DIFFERS),
        ("2.12.0", {"replicas": 2}, {}, model_plan.GAP, model_plan.REPLACE),
        ("4.1.0", {"replicas": 2, "n_worker": 2}, {}, model_plan.KEEP, model_plan.DIFFERS),
        ("4.1.0", {"worker": "10.0.0.2"}, {}, model_plan.KEEP, model_plan.DIFFERS),
        ("4.1.0", {"worker": "10.0.0.2"}, {}, model_plan.GAP, model_plan.REPLACE),
        ("4.1.0", {"worker": "10.0.0.2"}, {}, model_plan.SURGE, model_plan.ROLL),
        ("4.1.0", {"worker": "10.0.0.2", "replicas": 2}, {"replica": 2}, model_plan.GAP, model_plan.ROLL),
        (
            "4.1.0",
            {"quantization": "Int4", "replicas": 2},
            {"replica": 2, "quantization": "Int8"},
            model_plan.GAP,
            model_plan.REPLACE,
        ),
    ],
)
def test_how_a_difference_is_mended(version, declared_more, running_more, replace, action):
    decision = decide(declared(**declared_more), running(version=version, **running_more), replace)
    assert decision.action == action
    assert decision.surge == (action == model_plan.ROLL and replace == model_plan.SURGE)


def test_a_definition_changes_replica_by_replica():
    actual = with_definition(running(version="4.1.0"), registered(context_length=1))
    assert decide(custom(), actual, model_plan.SURGE).action == model_plan.ROLL
    assert decide(custom(), actual, model_plan.GAP).action == model_plan.REPLACE


@pytest.mark.parametrize(
    ("version", "why"),
    [("4.1.0", "quantization cannot change without an interruption"), ("2.12.0", "needs Xinference 3.2")],
)
def test_a_surge_that_cannot_be_is_refused(version, why):
    with pytest.raises(ModelopsError, match=why):
        decide(declared(quantization="Int4"), running(version=version, quantization="Int8"), model_plan.SURGE)


@pytest.mark.parametrize(
    ("ready", "broken", "old", "wanted", "surge", "steps"),
    [
        ([0], [], [0], 1, True, ["add", "remove 0"]),
        ([0, 1], [], [0, 1], 2, False, ["remove 0", "add", "remove 1", "add"]),
        ([0, 1], [], [0, 1], 2, True, ["add", "remove 0", "add", "remove 1"]),
        ([0, 1], [], [0, 1], 1, False, ["remove 0", "add", "remove 1"]),
        ([0], [], [], 3, False, ["add", "add"]),
        ([0, 1, 2], [], [], 1, False, ["remove 2", "remove 1"]),
        ([0], [1], [0, 1], 2, False, ["remove 1", "add", "remove 0", "add"]),
    ],
)
def test_the_steps_from_old_replicas_to_new_ones(ready, broken, old, wanted, surge, steps):
    ready, broken, done = list(ready), list(broken), []
    highest = max(ready + broken)
    while (step := operations.next_step(ready, broken, old, wanted, surge)) is not None:
        what, number = step
        done.append(what if number is None else f"{what} {number}")
        if what == "add":
            highest += 1
            ready.append(highest)
        else:
            (broken if number in broken else ready).remove(number)
        assert ready, "one serves all the time"
    assert done == steps


def test_a_new_replica_takes_the_cards_that_no_other_has():
    model = wanted(declared(gpu_indices=[4, 5, 6, 7], replicas=2))[0]
    place = operations.replica_place(model, [{"gpu_idx": [4, 5]}], ["10.0.0.1:5000"])
    assert place == {"replica_config": {"devices": [{"worker_ip": "10.0.0.1:5000", "gpu_idx": [6, 7], "n_gpu": 2}]}}
    assert operations.replica_place(wanted(declared())[0], [], ["10.0.0.1:5000"]) == {}
    there = operations.replica_place(wanted(declared(worker="10.0.0.2"))[0], [], ["10.0.0.1:5000", "10.0.0.2:5000"])
    assert there == {"replica_config": {"devices": [{"worker_ip": "10.0.0.2:5000"}]}}


# -- what is not declared any more ---------------------------------------------------------------------------------


def test_only_what_this_collection_launched_is_undeclared():
    actual = running(launched=body())
    actual.models["by-hand"] = actual.models["m"]
    actual.instances["by-hand"] = {"status": "READY"}
    assert model_plan.undeclared(wanted(declared()), actual) == []
    left = model_plan.undeclared(wanted(declared(uid="other")), actual)
    assert [(m.uid, m.name, m.present) for m in left] == [("m", "m", False)]
    assert model_plan.plan_of(model_plan.decide(left, actual, model_plan.KEEP)).lines == ["- terminate m"]
    actual.models, actual.instances = {}, {}
    assert model_plan.undeclared([], actual) == []


# -- definitions ---------------------------------------------------------------------------------------------------


def custom(**changed):
    definition = {"family": "gemma-3-it", "context_length": 2048, **changed.pop("definition", {})}
    return declared(path="/m/m.gguf", size="0.27", quantization="Q4", definition=definition, **changed)


def registered(**changed):
    """The definition as a server tells it: normalised."""
    body = {**wanted(custom())[0].definition.body, "model_ability": ["chat", "vision"], "chat_template": "{{ x }}"}
    spec = {**body["model_specs"][0], "model_metadata": None, "model_hub": "huggingface"}
    return {**body, "model_specs": [spec], "stop": ["<eos>"], "is_builtin": False, **changed}


def with_definition(actual, body, name="m"):
    actual.definitions[("LLM", name)] = body
    return actual


def test_a_definition_that_the_server_normalised_is_the_same():
    assert decide(custom(), with_definition(running(), registered()), True).action == model_plan.NONE


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"definition": {"context_length": 4096}}, "definition.context_length 2048 -> 4096"),
        (
            {"definition": {"abilities": ["chat", "tools"]}},
            "definition.abilities ['chat', 'vision'] -> ['chat', 'tools']",
        ),
        ({"definition": {"abilities": ["generate"]}}, "definition.abilities ['chat', 'vision'] -> ['generate']"),
        ({"definition": {"chat_template": "{{ y }}"}}, "definition.chat_template one text -> another text"),
        (
            {"definition": {"stop": ["</s>"], "chat_template": "{{ x }}"}},
            "definition.stop ['<eos>'] -> ['</s>']",
        ),
    ],
)
def test_a_given_key_of_a_definition_that_differs(given, line):
    decision = decide(custom(**given), with_definition(running(), registered()), True)
    assert (decision.action, decision.register, [str(f) for f in decision.fields]) == (
        model_plan.REPLACE,
        "change",
        [line],
    )
    assert model_plan.plan_of([decision]).lines == [f"~ register definition m ({line})", f"~ replace m ({line})"]


@pytest.mark.parametrize(
    "given",
    [
        {"definition": {"chat_template": "gemma-3-it"}},  # a name, which the server replaces by its text
        {"definition": {"abilities": ["chat", "vision"]}},
        {"definition": {"stop": None}},
        {"definition": {"stop": ["</s>"]}},  # comes with the template that the server looks up
    ],
)
def test_a_key_of_a_definition_that_cannot_differ(given):
    assert decide(custom(**given), with_definition(running(), registered()), True).action == model_plan.NONE


def test_other_weights_are_another_definition():
    spec = {**registered()["model_specs"][0], "model_uri": "file:///old/m.gguf"}
    decision = decide(custom(), with_definition(running(), registered(model_specs=[spec])))
    assert decision.action == model_plan.DIFFERS
    assert [str(f) for f in decision.fields] == ["definition.model_uri file:///old/m.gguf -> file:///m/m.gguf"]


def test_a_definition_of_what_does_not_run_changes_without_replace():
    decision = decide(custom(), with_definition(server_state.ServerState({}, {}), registered(context_length=1)))
    assert (decision.action, decision.register) == (model_plan.LAUNCH, "change")


def test_a_definition_that_another_model_runs_from_changes_only_with_replace():
    actual = with_definition(running("other", model_name="m"), registered(context_length=1))
    with pytest.raises(ModelopsError, match="m: other runs from another definition of 'm'"):
        decide(custom(), actual)
    assert decide(custom(), actual, True).action == model_plan.LAUNCH


def test_a_definition_that_is_gone_is_put_back_without_touching_the_model():
    decision = decide(custom(), with_definition(running(), None), True)
    assert (decision.action, decision.register) == (model_plan.NONE, "add")
    assert model_plan.plan_of([decision]).lines == ["+ register definition m"]


def test_an_embedding_definition_is_the_same_although_its_ability_was_dropped():
    options = declared(
        type="embedding", path="/m", definition={"dimensions": 3, "max_tokens": 9, "abilities": ["embed"]}
    )
    definition = wanted(options)[0].definition
    assert registration.differences(definition, {**definition.body, "model_ability": []}) == []
    assert registration.differences(definition, {**definition.body, "model_ability": [], "dimensions": 4})


def test_one_definition_of_two_models_is_registered_once():
    both = wanted(custom(uid="a", name="m"), custom(uid="b", name="m"))
    actual = with_definition(server_state.ServerState({}, {}), None)
    assert model_plan.plan_of(model_plan.decide(both, actual, model_plan.KEEP)).lines == [
        "+ register definition m",
        "+ launch a",
        "+ launch b",
    ]


def test_environment_variables_do_not_show_in_the_diff():
    decision = decide(declared(envs={"HF_TOKEN": "hf_secret"}), server_state.ServerState({}, {}))
    assert "hf_secret" not in str(model_plan.plan_of([decision]).diff())


# -- lines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"progress": 0.8}, "m  loading on 10.0.0.1"),
        ({"stage": "loading"}, "m  loading on 10.0.0.1"),
        ({"stage": "downloading", "download_files": []}, "m  downloading"),
        (
            {
                "stage": "downloading",
                "download_files": [
                    {"total_bytes": 16_000_000_000, "downloaded_bytes": 6_700_000_000},
                    {"total_bytes": 400_000_000, "downloaded_bytes": 200_000_000},
                    {"total_bytes": None, "downloaded_bytes": 5},
                ],
            },
            "m  downloading 42 % (6.9 of 16.4 GB)",
        ),
        (
            {
                "stage": "installing_dependencies",
                "replicas": [{"dependency_install_total": 12, "dependency_install_completed": 3}],
            },
            "m  installing packages 3 of 12",
        ),
    ],
)
def test_the_line_of_a_model_on_its_way(told, line):
    assert progress.loading("m", running().instances["m"], told) == line


def test_a_line_of_a_model_that_has_no_place_yet():
    assert progress.loading("m", {"replica_statuses": []}, {}) == "m  starting"


def test_figures_are_no_change_of_state():
    assert progress.stage("m  downloading 42 % (6.9 of 16.4 GB)") == progress.stage(
        "m  downloading 7 % (1.1 of 16.4 GB)"
    )
    assert progress.stage("m  downloading 42 % (6.9 of 16.4 GB)") != progress.stage("m  loading on h")


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (12.3, "12 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s")])
def test_durations(seconds, text):
    assert progress.duration(seconds) == text
