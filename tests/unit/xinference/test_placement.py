# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which replica goes on which card, and what is refused: pure, on sets of cards as people have them."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import checkpoints, footprint
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import ledger, placement
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement.cluster import (
    Card,
    Cluster,
    Worker,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs.models import MODEL_OPTIONS

GIB = footprint.GIB

# Memory that nvidia-smi reports for each card, in MiB (npu-smi for the 910B).
CARDS = {
    "RTX 4090": (24564, 8.9),
    "A100 40": (40960, 8.0),
    "A100 80": (81920, 8.0),
    "H100 80": (81559, 9.0),
    "L4": (23034, 8.9),
    "T4": (15360, 7.5),
    "P100": (16384, 6.0),
    "910B": (65536, None),
}

QWEN25 = {
    7: {
        "vocab_size": 152064,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "max_position_embeddings": 32768,
    },
    32: {
        "vocab_size": 152064,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "hidden_size": 5120,
        "intermediate_size": 27648,
        "num_hidden_layers": 64,
        "max_position_embeddings": 32768,
    },
    72: {
        "vocab_size": 152064,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "hidden_size": 8192,
        "intermediate_size": 29696,
        "num_hidden_layers": 80,
        "max_position_embeddings": 32768,
    },
}


def worker(*kinds, host="10.0.0.1", ram=128, free=None, driver="570.86.15", certain=True):
    """A worker with these cards; ``free`` GiB of each, unset all but 400 MiB."""
    cards = []
    for index, kind in enumerate(kinds):
        total, capability = CARDS[kind]
        left = total * 2**20 - 400 * 2**20 if free is None else free * GIB
        cards.append(Card(index, total * 2**20, left, kind, driver, capability))
    return Worker(f"{host}:5000", cards, ram * GIB, 16, "linux", certain)


def declare(uid="m", **options):
    given = {name: spec.get("default") for name, spec in MODEL_OPTIONS.items()}
    given.update(gpu_memory=None, context_length=None)
    if "gpus" in options:
        options["gpus_per_replica"] = options.pop("gpus")
    return {**given, "uid": uid, "engine": "vLLM", **options}


def qwen(uid="m", size=7, quantization=None, **options):
    """A model with its checkpoint, as the catalogue describes it."""
    model_format = {"Int4": "gptq", "Q4_K_M": "ggufv2"}.get(quantization, "pytorch")
    found = checkpoints.checkpoint(QWEN25[size], size, model_format, quantization or "none")
    return declare(uid, size=str(size), format=model_format, quantization=quantization, **options), found


def place(workers, *declared, actual=None, decisions=None, **cluster):
    """plan() of models that are all to be launched."""
    options = [model if isinstance(model, dict) else model[0] for model in declared]
    found = {m[0]["uid"]: m[1] for m in declared if not isinstance(m, dict)}
    wanted = models.desired(options, exists=lambda path: True)
    actual = actual or server_state.ServerState({}, {}, version="4.1.0")
    decisions = decisions or [model_plan.Decision(model, model_plan.LAUNCH) for model in wanted]
    cluster = {"local": False, **cluster}
    return placement.plan(wanted, decisions, actual, Cluster(list(workers), checkpoints=found, **cluster))


def cards_of(result, uid):
    return [row["card"] for row in result.rows if row["model"] == uid]


# -- fits, or does not -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "size", "quantization", "options", "fits"),
    [
        (["RTX 4090"], 7, None, {}, True),
        (["RTX 4090"], 32, "Int4", {"context_length": 4096}, True),
        (["RTX 4090"], 32, "Int4", {"context_length": 32768}, False),
        (["RTX 4090"], 32, None, {}, False),
        (["RTX 4090"] * 2, 32, "Int4", {"gpus": "2", "context_length": 32768}, True),
        (["RTX 4090"] * 2, 32, None, {"gpus": "2"}, False),
        (["RTX 4090"] * 2, 72, "Int4", {"gpus": "2", "context_length": 4096}, True),
        (["RTX 4090"] * 2, 72, "Int4", {"gpus": "2", "context_length": 32768}, False),
        (["A100 40"], 32, "Int4", {}, True),
        (["A100 40"], 32, None, {}, False),
        (["A100 40"] * 2, 32, None, {"gpus": "2", "context_length": 16384}, True),
        (["A100 80"], 32, None, {"context_length": 16384}, True),
        (["A100 80"], 72, "Int4", {}, True),
        (["A100 80"], 72, None, {}, False),
        (["A100 80"] * 2, 72, None, {"gpus": "2", "context_length": 8192}, True),
        (["H100 80"], 32, None, {"context_length": 16384}, True),
        (["H100 80"], 72, None, {}, False),
        (["H100 80"] * 4, 72, None, {"gpus": "4"}, True),
        (["L4"], 7, None, {"context_length": 16384}, True),
        (["L4"], 32, "Int4", {"context_length": 32768}, False),
        (["T4"], 7, "Int4", {}, True),
        (["T4"], 7, None, {}, False),
        (["910B"], 7, None, {}, True),
        (["910B"], 32, None, {}, False),
        (["910B"] * 2, 32, None, {"gpus": "2"}, True),
    ],
)
def test_a_model_fits_on_these_cards_or_it_does_not(kinds, size, quantization, options, fits):
    result = place([worker(*kinds)], qwen(size=size, quantization=quantization, **options))
    assert bool(result.problems) is not fits, result.problems
    if fits:
        assert len(result.rows) == int(options.get("gpus", 1))
        assert all(row["used_gib"] <= row["of_gib"] for row in result.rows)
    else:
        assert "needs at least" in result.problems[0]


# -- the build of llama.cpp ------------------------------------------------------------------------------------------

WHEELS = "https://wheels.example.org/cu132"
CPU_BUILD = {"build": "cpu", "index": WHEELS, "virtual_env": True}


def with_llama_cpp(built, *kinds, host="10.0.0.1"):
    found = worker(*kinds, host=host)
    found.llama_cpp = built
    return found


def gguf(uid="m", **options):
    return qwen(uid, quantization="Q4_K_M", engine="llama.cpp", context_length=1024, **options)


@pytest.mark.parametrize(
    ("change", "options", "on_card"),
    [
        ({}, {"path": "/m.gguf"}, False),  # the server's own environment
        ({}, {}, True),  # Xinference fetches a build for GPUs into the model's
        ({}, {"path": "/m.gguf", "virtual_env": True}, True),
        ({"virtual_env": False}, {}, False),
        ({"index": ""}, {}, False),  # PyTorch for CUDA 12.6, or ROCm
        ({"index": ""}, {"virtual_env_packages": ["xllamacpp @ https://wheels.example.org/x.whl"]}, True),
        ({"index": ""}, {"virtual_env_packages": ["numpy<3"]}, False),
        ({"build": "cuda"}, {"path": "/m.gguf"}, True),
        ({"build": "rocm", "index": ""}, {}, True),
        ({"build": "", "index": ""}, {}, False),  # the package index has the one for the CPU
        ({"build": None}, {"path": "/m.gguf"}, True),  # nobody knows
    ],
)
def test_a_llama_cpp_for_the_cpu_takes_no_card_and_says_so(change, options, on_card):
    result = place([with_llama_cpp({**CPU_BUILD, **change}, "RTX 4090")], gguf(**options))
    assert result.problems == [] and cards_of(result, "m") == [0 if on_card else "cpu"]
    said = "m: it runs on the CPU: the llama.cpp on 10.0.0.1:5000 is built for the CPU and does not use the GPUs there"
    assert [said in warning for warning in result.warnings] == ([] if on_card else [True])


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        (
            {},
            f"(xllamacpp @ URL of its wheel, such as one of {WHEELS}), or set virtual_env: true, so Xinference installs one",
        ),
        ({"virtual_env": False}, f"(xllamacpp @ URL of its wheel, such as one of {WHEELS})"),
        ({"index": ""}, "name a build for GPUs in xinference_packages (xllamacpp @ URL of its wheel)"),
    ],
)
def test_the_remedy_is_what_this_host_can_do(change, remedy):
    result = place([with_llama_cpp({**CPU_BUILD, **change}, "L4")], gguf(path="/m.gguf"))
    assert result.warnings[0].endswith(remedy)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus": "1"}, "it asks for GPUs, and the llama.cpp on 10.0.0.1:5000 is built for the CPU"),
        ({"gpu_indices": [0]}, "it asks for GPUs, and the llama.cpp on 10.0.0.1:5000 is built for the CPU"),
        ({"gpu_memory": "8GiB"}, "gpu_memory needs a GPU, but the llama.cpp on 10.0.0.1:5000 is built for the CPU"),
    ],
)
def test_who_names_gpus_for_a_llama_cpp_for_the_cpu_is_refused(options, said):
    workers = [with_llama_cpp(CPU_BUILD, "L4")]
    [problem] = place(workers, gguf(path="/m.gguf", **options)).problems
    assert said in problem
    warned = place(workers, gguf(path="/m.gguf", check_placement=False, **options))
    assert warned.problems == [] and said in warned.warnings[0]


def test_who_wants_the_cpu_is_not_warned_and_other_engines_take_cards():
    workers = [with_llama_cpp(CPU_BUILD, "RTX 4090")]
    result = place(workers, gguf("a", path="/m.gguf", gpus="none"), qwen("b", quantization="Int4"))
    assert (cards_of(result, "a"), cards_of(result, "b"), result.warnings) == (["cpu"], [0], [])


def test_of_two_workers_the_one_with_a_build_for_gpus_is_taken():
    workers = [with_llama_cpp(CPU_BUILD, "A100 80"), with_llama_cpp({"build": "cuda"}, "L4", host="10.0.0.2")]
    result = place(workers, gguf(path="/m.gguf"))
    assert result.problems == result.warnings == []
    assert [(row["worker"], row["card"]) for row in result.rows] == [("10.0.0.2:5000", 0)]


def test_the_refusal_says_what_is_needed_where_and_what_to_do():
    [problem] = place([worker("RTX 4090")], qwen("big", 32, "Int4", context_length=32768)).problems
    assert problem.startswith("models: big: it needs at least ")
    assert "weights 18.0 GiB, KV cache for 32768 tokens 8.0 GiB" in problem
    assert "vLLM allows 21.6 GiB of the 24.0 GiB of card 0 of 10.0.0.1:5000" in problem
    assert "lower context_length" in problem and "raise gpus_per_replica" in problem


def test_mixed_workers_each_model_finds_the_card_that_is_large_enough():
    small, large = worker("L4", "L4"), worker("A100 80", host="10.0.0.2")
    result = place([small, large], qwen("seven"), qwen("seventy", 72, "Int4"))
    assert result.problems == []
    rows = {row["model"]: row for row in result.rows}
    assert rows["seventy"]["worker"] == "10.0.0.2:5000" and rows["seven"]["worker"] == "10.0.0.1:5000"
    assert result.launch_keys["seventy"] == {"gpu_idx": [0], "worker_ip": "10.0.0.2:5000"}


# -- what is impossible ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["vLLM", "SGLang", "TRT-LLM"])
def test_an_engine_for_gpus_is_refused_without_one(engine):
    [problem] = place([worker()], declare(engine=engine)).problems
    assert problem.startswith(f"models: m: {engine} needs a GPU, but would run on the CPU of 10.0.0.1:5000")


def test_an_engine_for_gpus_is_refused_on_the_cpu_of_a_worker_with_one():
    assert "vLLM needs a GPU" in place([worker("L4")], declare(gpus="none")).problems[0]


def test_mlx_is_refused_on_anything_but_a_mac():
    assert "Apple silicon only" in place([worker("L4")], declare(engine="MLX", format="mlx")).problems[0]
    assert "Apple silicon only" in place([worker()], declare(engine="MLX", format="mlx")).problems[0]
    elsewhere = Worker("10.0.0.9:5000", [], 64 * GIB)
    assert place([elsewhere], declare(engine="MLX", format="mlx")).problems == []
    mac = Worker("10.0.0.9:5000", [], 64 * GIB, platform="darwin")
    assert place([mac], declare(engine="MLX", format="mlx")).problems == []


@pytest.mark.parametrize(
    ("engine", "model_format", "reads"),
    [
        ("llama.cpp", "pytorch", False),
        ("llama.cpp", "gptq", False),
        ("llama.cpp", "ggufv2", True),
        ("Transformers", "ggufv2", False),
        ("Transformers", "mlx", False),
        ("Transformers", "awq", True),
        ("SGLang", "ggufv2", False),
        ("SGLang", "fp8", True),
        ("vLLM", "mlx", False),
        ("vllm", "ggufv2", True),
        ("vLLM", "fp8", True),
        ("TRT-LLM", "awq", False),
        ("MLX", "pytorch", False),
        ("some-engine", "pytorch", True),
    ],
)
def test_a_format_that_the_engine_cannot_read(engine, model_format, reads):
    problems = place([worker("A100 80")], declare(engine=engine, format=model_format)).problems
    found = [p for p in problems if f"{engine} cannot read format {model_format}" in p]
    assert bool(found) is not reads


def test_the_refusal_of_a_format_names_who_reads_it():
    problems = place([worker("A100 80")], declare(engine="Transformers", format="ggufv2")).problems
    assert "ggufv2 is read by vllm, llama.cpp" in problems[0]


def test_an_embedding_model_cannot_be_read_by_an_engine_of_another_format():
    problems = place([worker()], declare(type="embedding", engine=None, format="ggufv2")).problems
    assert "sentence_transformers cannot read format ggufv2" in problems[0]
    assert "is read by vllm, llama.cpp" in problems[0]


def test_a_driver_that_is_too_old():
    old = worker("A100 80", driver="470.199.02")
    [problem] = place([old], qwen(), cuda="12.8").problems
    assert "built for CUDA 12.8, which needs NVIDIA driver 525 or later" in problem and "has 470.199.02" in problem
    assert place([old], qwen(), cuda="11.8").problems == []
    assert place([old], qwen(), cuda="").problems == []
    assert place([worker("A100 80", driver="")], qwen(), cuda="12.8").problems == []
    assert place([worker("A100 80", driver="570.86.15")], qwen(), cuda="13.0").problems != []
    assert place([old], declare(engine="llama.cpp", format="ggufv2"), cuda="12.8").problems == []


def test_a_card_that_is_too_old():
    [problem] = place([worker("P100")], declare()).problems
    assert "vLLM needs compute capability 7.0, and P100 of 10.0.0.1:5000 has 6.0" in problem
    assert place([worker("P100")], qwen(quantization="Int4", engine="Transformers")).problems == []
    assert place([worker("P100", "T4")], declare()).problems == []


def test_gpu_indices_that_do_not_exist():
    [problem] = place([worker("L4", "L4")], declare(gpu_indices=[0, 7])).problems
    assert "gpu_indices [0, 7] are not all on one worker: 10.0.0.1:5000 has [0, 1]" in problem
    counted = worker("L4", "L4", certain=False)  # the server may number its two cards 2 and 3
    assert place([counted], qwen(gpu_indices=[3])).problems == []
    assert "gpu_indices" in place([counted], declare(gpu_indices=[0, 1, 2])).problems[0]


def test_a_worker_that_is_not_in_the_cluster():
    two = [worker("L4"), worker("L4", host="10.0.0.2")]
    [problem] = place(two, declare(worker="10.0.0.9")).problems
    assert "worker 10.0.0.9 is not in the cluster, which has 10.0.0.1:5000, 10.0.0.2:5000" in problem
    assert place([worker("L4")], qwen(worker="10.0.0.9"), local=True).problems == []


def test_more_gpus_than_a_worker_has():
    two = [worker("L4", "L4"), worker("L4", host="10.0.0.2")]
    [problem] = place(two, qwen(gpus="4")).problems
    assert "a replica needs 4 GPUs, and 10.0.0.1:5000 has 2, 10.0.0.2:5000 has 1" in problem
    assert "on each of 3 workers" in place(two, qwen(gpus="1", n_worker=3)).problems[0]
    assert place(two, qwen(gpus="1", n_worker=2)).problems == []


def test_more_replicas_than_places():
    two = [worker("L4", "L4")]
    small = qwen(quantization="Int4", replicas=3, engine="Transformers")
    assert place(two, small).problems == []  # replicas may share a card
    [problem] = place(two, small, sharing=False).problems
    assert "3 replicas of 1 GPUs need more GPUs than the cluster has" in problem
    assert "XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU=0" in problem
    [problem] = place(two, qwen(quantization="Int4", replicas=3)).problems
    assert problem.startswith("models: m: replica 3 of 3: vLLM takes 90% of a card")


def test_without_sharing_a_card_that_holds_a_model_is_taken():
    result = place(
        [worker("A100 80", "A100 80")], qwen("a", gpu_memory="20 GiB"), qwen("b", gpu_memory="20 GiB"), sharing=False
    )
    assert result.problems == [] and cards_of(result, "a") != cards_of(result, "b")
    result = place([worker("A100 80")], qwen("a", gpu_memory="20 GiB"), qwen("b", gpu_memory="20 GiB"), sharing=False)
    assert "do not allow models to share a card" in result.problems[0]


def test_attention_heads_that_vllm_cannot_divide():
    [problem] = place([worker(*["L4"] * 8)], qwen(size=7, gpus="8")).problems
    assert "28 attention heads among its GPUs, which 8 does not allow: 1, 2, 4, 7 would" in problem
    assert place([worker(*["L4"] * 8)], qwen(size=72, quantization="Int4", gpus="8")).problems == []


def test_memory_of_a_model_on_the_cpu():
    result = place([worker(ram=8)], qwen(size=7, quantization="Q4_K_M", engine="llama.cpp", context_length=1024))
    assert result.problems == [] and result.rows[0]["card"] == "cpu"
    [problem] = place([worker(ram=8)], qwen(size=32, quantization="Q4_K_M", engine="llama.cpp")).problems
    assert "of memory" in problem and "8.0 GiB are available on 10.0.0.1:5000" in problem


def test_a_second_model_on_the_cpu_does_not_get_the_memory_of_the_first():
    one, two = (qwen(uid, quantization="Q4_K_M", engine="llama.cpp", context_length=1024) for uid in "ab")
    assert place([worker(ram=16)], one, two).problems == []
    assert len(place([worker(ram=8)], one, two).problems) == 1


def on_the_cpu(replicas, *there, rams=(16, 15.9, 15.8)):
    """Workers that get replicas of a model, of which it has some already on the workers with these numbers."""
    workers = [worker(host=f"10.0.0.{number}", ram=ram) for number, ram in enumerate(rams, 1)]
    given = qwen(quantization="Q4_K_M", engine="llama.cpp", context_length=1024, replicas=replicas)
    rows = [{"worker_address": f"10.0.0.{n}:5000", "status": "READY"} for n in there]
    rows.append({"worker_address": "10.0.0.3:5000", "status": "TERMINATED"})
    instances = {"m": {"status": "READY", "replica_statuses": rows}} if there else {}
    running = {"m": {"replica": len(there)}} if there else {}
    actual = server_state.ServerState(running, instances, version="4.1.0")
    [model] = models.desired([given[0]], exists=lambda path: True)
    decision = model_plan.Decision(model, model_plan.SCALE if there else model_plan.LAUNCH)
    result = place(workers, given, actual=actual, decisions=[decision])
    assert result.problems == []
    return [row["worker"].partition(":")[0][-1] for row in result.rows if row["source"] not in ledger.RUNNING_SOURCES]


def test_replicas_on_the_cpu_are_spread_while_there_is_room():
    assert on_the_cpu(1) == ["1"]
    assert on_the_cpu(3) == ["1", "2", "3"]
    assert on_the_cpu(2, 1) == ["2"] and on_the_cpu(3, 1, 2) == ["3"]
    assert on_the_cpu(2, 1, rams=(30, 1, 1)) == ["1"], "where no other worker has room"


def test_a_download_that_does_not_fit_on_the_disk():
    big = qwen("big", 72, engine="Transformers", gpus="2")
    cards = [worker("A100 80", "A100 80")]
    [problem] = place(cards, big, disk=100 * GIB).problems
    assert problem.startswith("models: big: their download takes at least ") and "100.0 GiB are free" in problem
    assert place(cards, big, disk=200 * GIB).problems == []
    assert place(cards, big, disk=100 * GIB, cached=frozenset({"big"})).problems == []


# -- several models on one card ----------------------------------------------------------------------------------------


def test_two_vllm_models_on_one_card_without_budgets_are_refused():
    [problem] = place([worker("A100 80")], qwen("a"), qwen("b")).problems
    assert "vLLM takes 90% of a card, 72.0 GiB, unless gpu_memory says otherwise" in problem
    assert "beside a" in problem and "give gpu_memory to it and to the others" in problem


def test_with_budgets_they_share_it_and_each_gets_its_share():
    result = place([worker("A100 80")], qwen("a", gpu_memory="40%"), qwen("b", gpu_memory="32 GiB"))
    assert result.problems == []
    assert result.launch_keys["a"] == {"gpu_memory_utilization": 0.4, "gpu_idx": [0]}
    assert result.launch_keys["b"] == {"gpu_memory_utilization": 0.4, "gpu_idx": [0]}
    assert [row["used_gib"] for row in result.rows] == [32.0, 32.0]


def test_budgets_that_are_more_than_the_card_are_refused():
    [problem] = place([worker("A100 80")], qwen("a", gpu_memory="60%"), qwen("b", gpu_memory="50%")).problems
    assert "models: b: gpu_memory is 40.0 GiB, and 31.6 GiB of 80.0 GiB are left on card 0 of" in problem


def test_a_budget_that_the_model_does_not_fit_in_is_refused():
    [problem] = place([worker("A100 80")], qwen(gpu_memory="12 GiB")).problems
    assert "gpu_memory allows 12.0 GiB" in problem and "raise gpu_memory" in problem


def test_two_models_on_two_cards_do_not_depend_on_the_order():
    for order in (("a", "b"), ("b", "a")):
        result = place([worker("RTX 4090", "RTX 4090")], *(qwen(uid) for uid in order))
        assert result.problems == []
        assert sorted(cards_of(result, "a") + cards_of(result, "b")) == [0, 1]
        assert all(keys.keys() == {"gpu_idx"} for keys in result.launch_keys.values())


def test_cards_are_filled_up_where_spreading_would_leave_no_room():
    # Spread, the pair would take the large card, and nothing would be left for the large model.
    pair, large = qwen("pair", gpu_memory="10 GiB", gpus="2"), qwen("large", gpu_memory="20 GiB")
    result = place([worker("L4", "T4", "T4")], pair, large)
    assert result.problems == []
    assert cards_of(result, "large") == [0] and sorted(cards_of(result, "pair")) == [1, 2]


def running(uid="old", held=20, index=0, **row):
    """An Actual with a model that holds GiB of a card, as 4.1 tells it."""
    address = "10.0.0.1:5000"
    row = {"model_name": uid, "model_type": "LLM", "model_engine": "vLLM", "replica": 1, **row}
    if held:
        row["gpu_memory"] = {address: {str(index): held * GIB}}
    replica = {"replica_id": 0, "worker_address": address, "status": "READY", "gpu_idx": [index]}
    instance = {"model_uid": uid, "status": "READY", "replica_statuses": [replica]}
    return server_state.ServerState({uid: row}, {uid: instance}, workers=[address], version="4.1.0")


def test_what_runs_already_counts():
    actual = running(held=20)
    [problem] = place([worker("RTX 4090", free=3)], qwen("new"), actual=actual).problems
    assert "3.0 GiB of 24.0 GiB are left on card 0 of 10.0.0.1:5000 beside old" in problem
    two = worker("RTX 4090", "RTX 4090")
    two.cards[0].free = 3 * GIB
    result = place([two], qwen("new"), actual=actual)
    assert result.problems == [] and cards_of(result, "new") == [1]
    assert [(row["model"], row["used_gib"], row["of_gib"]) for row in result.rows if row["model"] == "old"] == [
        ("old", 20.0, 24.0)
    ]


def test_what_runs_is_not_counted_twice():
    # 40 GiB are in use, all of it by the model that has them as its budget.
    old = qwen("old", gpu_memory="40 GiB")
    wanted = models.desired([old[0], qwen("new", gpu_memory="39 GiB")[0]], exists=lambda path: True)
    decisions = [model_plan.Decision(wanted[0], model_plan.NONE), model_plan.Decision(wanted[1], model_plan.LAUNCH)]
    cluster = Cluster([worker("A100 80", free=40)], local=False, checkpoints={"new": qwen()[1]})
    result = placement.plan(wanted, decisions, running(held=40), cluster)
    assert result.problems == []
    # Where it has taken less of its budget so far, the rest is kept for it.
    cluster.workers[0].cards[0].free = 60 * GIB
    assert placement.plan(wanted, decisions, running(held=20), cluster).problems == []
    wanted[1].options["gpu_memory"] = "45 GiB"
    assert "40.0 GiB of 80.0 GiB are left" in placement.plan(wanted, decisions, running(held=20), cluster).problems[0]


@pytest.mark.parametrize("held", [20, 0])
def test_a_model_that_is_replaced_in_place_frees_what_it_used(held):
    wanted = models.desired([qwen("old")[0]], exists=lambda path: True)
    decisions = [model_plan.Decision(wanted[0], model_plan.REPLACE)]
    cluster = Cluster([worker("RTX 4090", free=2)], local=False, checkpoints={"old": qwen()[1]})
    result = placement.plan(wanted, decisions, running(held=held), cluster)
    assert result.problems == []
    assert [row["source"] for row in result.rows] == ["90% of the card, as vLLM takes it"]


def test_a_model_that_is_replaced_without_a_gap_frees_nothing_before():
    wanted = models.desired([qwen("old")[0]], exists=lambda path: True)
    cluster = Cluster([worker("RTX 4090", free=2)], local=False, checkpoints={"old": qwen()[1]})
    surge = [model_plan.Decision(wanted[0], model_plan.ROLL, surge=True)]
    assert "beside old" in placement.plan(wanted, surge, running(held=20), cluster).problems[0]
    rolling = [model_plan.Decision(wanted[0], model_plan.ROLL)]
    assert placement.plan(wanted, rolling, running(held=20), cluster).problems == []


def test_a_model_that_is_terminated_makes_room():
    wanted = models.desired([declare("old", state="absent"), qwen("new")[0]], exists=lambda path: True)
    decisions = [
        model_plan.Decision(wanted[0], model_plan.TERMINATE),
        model_plan.Decision(wanted[1], model_plan.LAUNCH),
    ]
    cluster = Cluster([worker("RTX 4090", free=2)], local=False, checkpoints={"new": qwen()[1]})
    assert placement.plan(wanted, decisions, running(held=20), cluster).problems == []


def test_more_replicas_of_a_running_model_need_places_too():
    wanted = models.desired([qwen("old", replicas=2)[0]], exists=lambda path: True)
    decisions = [model_plan.Decision(wanted[0], model_plan.SCALE)]
    cluster = Cluster([worker("RTX 4090", free=2)], local=False, checkpoints={"old": qwen()[1]})
    assert "vLLM takes 90%" in placement.plan(wanted, decisions, running(held=20), cluster).problems[0]
    two = worker("RTX 4090", "RTX 4090")
    two.cards[0].free = 2 * GIB
    result = placement.plan(wanted, decisions, running(held=20), Cluster([two], checkpoints={"old": qwen()[1]}))
    assert result.problems == [] and result.launch_keys == {}
    assert sorted(cards_of(result, "old")) == [0, 1]
    assert sorted(row["replica"] for row in result.rows) == [0, 1]
    wanted[0].options["gpu_indices"] = [0, 1]  # the second replica's is the second
    result = placement.plan(wanted, decisions, running(held=20), Cluster([two], checkpoints={"old": qwen()[1]}))
    assert result.problems == [] and sorted(cards_of(result, "old")) == [0, 1]


# -- budgets -----------------------------------------------------------------------------------------------------------


def test_the_budget_of_sglang_is_a_share_of_what_is_free():
    result = place([worker("A100 80")], qwen(engine="SGLang", gpu_memory="40 GiB", context_length=8192))
    fraction = result.launch_keys["m"]["mem_fraction_static"]
    free = 80 - 400 / 1024
    assert result.problems == [] and 0.4 < fraction < 40 / free


def test_the_budget_of_llama_cpp_is_layers_and_a_context():
    result = place([worker("RTX 4090")], qwen(quantization="Q4_K_M", engine="llama.cpp", gpu_memory="12 GiB"))
    assert result.launch_keys["m"] == {"n_gpu_layers": 29, "n_ctx": 32768}
    small = place([worker("RTX 4090")], qwen(quantization="Q4_K_M", engine="llama.cpp", gpu_memory="6.5 GiB"))
    assert small.launch_keys["m"]["n_gpu_layers"] == 29 and small.launch_keys["m"]["n_ctx"] < 32768
    tiny = place([worker("RTX 4090")], qwen(quantization="Q4_K_M", engine="llama.cpp", gpu_memory="3 GiB"))
    assert 0 < tiny.launch_keys["m"]["n_gpu_layers"] < 29 and "run on the CPU" in tiny.warnings[0]


def test_a_declared_context_is_kept_by_the_budget_of_llama_cpp():
    options = {"quantization": "Q4_K_M", "engine": "llama.cpp", "gpu_memory": "6 GiB"}
    keys = place([worker("RTX 4090")], qwen(**options, engine_options={"n_ctx": 16384})).launch_keys["m"]
    assert "n_ctx" not in keys and keys["n_gpu_layers"] < 29


def test_the_budget_of_transformers_is_accelerates():
    model = qwen(quantization="Int4", engine="Transformers", gpu_memory="12 GiB", envs={"A": "b"})
    envs = place([worker("RTX 4090")], model).launch_keys["m"]["envs"]
    limits = json.loads(envs["ACCELERATE_MAX_MEMORY"])
    assert envs["A"] == "b" and set(limits) == {"0", "cpu"}
    assert 6 * 1024 < int(limits["0"].rstrip("MiB")) < 12 * 1024


def test_an_embedding_model_with_vllm():
    model = declare("e", type="embedding", engine="vLLM", gpu_memory="4 GiB")
    result = place([worker("RTX 4090")], qwen("llm", gpu_memory="19 GiB"), model)
    assert result.problems == [] and result.launch_keys["e"]["gpu_memory_utilization"] == 0.166
    assert (
        "vLLM takes 90%"
        in place([worker("RTX 4090")], qwen("llm", gpu_memory="19 GiB"), {**model, "gpu_memory": None}).problems[0]
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"gpu_memory": "lots"}, "'lots' is not an amount of memory"),
        ({"gpu_memory": "6"}, "'6' is not a share of a card: give a unit, such as '6 GiB'"),
        ({"gpu_memory": "140%"}, "'140%' is not a share of a card"),
        ({"gpu_memory": "6 GiB", "engine_options": {"gpu_memory_utilization": 0.5}}, "which engine_options also sets"),
        ({"gpu_memory": "6 GiB", "gpus": "none", "engine": "Transformers"}, "it would run on the CPU"),
    ],
)
def test_a_budget_that_cannot_be_meant(options, why):
    assert why in place([worker("RTX 4090")], declare(**options)).problems[0]


# -- what is not certain is not refused ----------------------------------------------------------------------------------


def test_llama_cpp_leaves_on_the_cpu_what_does_not_fit():
    result = place(
        [worker("L4")], qwen(size=32, quantization="Q4_K_M", engine="llama.cpp", engine_options={"n_ctx": 32768})
    )
    assert result.problems == [] and "run on the CPU" in result.warnings[0]
    assert result.rows[0]["used_gib"] <= 22.5


def test_llama_cpp_that_is_told_its_layers_takes_that_part():
    options = {"size": 32, "quantization": "Q4_K_M", "engine": "llama.cpp", "context_length": 1024}
    told = place([worker("T4")], qwen(**options, engine_options={"n_gpu_layers": 20}))
    assert told.problems == [] and 6 < told.rows[0]["used_gib"] < 9
    [problem] = place([worker("T4")], qwen(**options, engine_options={"n_gpu_layers": 65})).problems
    assert "it needs at least" in problem


def test_weights_that_shrink_or_stay_outside_are_not_refused():
    assert "needs at least" in place([worker("RTX 4090")], qwen(size=32)).problems[0]
    for options in (
        {"model_quantization": "fp8", "max_model_len": 1024},
        {"cpu_offload_gb": 48, "max_model_len": 1024},
    ):
        assert place([worker("RTX 4090")], qwen(size=32, engine_options=options)).problems == []


@pytest.mark.parametrize("value", ["auto", None, [], -1, {}])
def test_engine_options_that_are_no_numbers_are_the_engines_business(value):
    options = dict.fromkeys(
        ["max_model_len", "max_num_seqs", "gpu_memory_utilization", "max_num_batched_tokens", "n_parallel"], value
    )
    assert place([worker("RTX 4090")], qwen(engine_options=options)).problems == []


def test_transformers_leaves_on_the_cpu_what_does_not_fit():
    result = place([worker("L4")], qwen(size=32, engine="Transformers"))
    assert result.problems == [] and "part of it runs on the CPU" in result.warnings[0]
    assert (
        "more than the card and the memory"
        in place([worker("L4", ram=16)], qwen(size=32, engine="Transformers")).problems[0]
    )
    assert (
        "needs at least" in place([worker("T4")], qwen(size=32, quantization="Int4", engine="Transformers")).problems[0]
    )


def test_a_coarse_estimate_refuses_only_beyond_doubt():
    coarse = checkpoints.checkpoint({}, 14, "pytorch", "none")
    assert coarse.source == checkpoints.COARSE
    result = place([worker("RTX 4090")], (declare(size="14"), coarse))
    assert (
        result.problems == []
        and result.rows[0]["source"].startswith("90%")
        and "may fail to start" in result.warnings[0]
    )
    huge = checkpoints.checkpoint({}, 32, "pytorch", "none")
    assert "needs at least" in place([worker("RTX 4090")], (declare(size="32"), huge)).problems[0]


def test_a_model_of_which_nothing_is_known_is_placed_and_says_so():
    result = place([worker("L4")], declare(engine="Transformers", type="image"))
    assert result.problems == [] and result.rows[0]["used_gib"] is None
    assert "its size is unknown" in result.warnings[0]


def test_cards_of_which_nothing_is_known_are_not_judged():
    blind = Worker("10.0.0.1:5000", [Card(0)], 64 * GIB)
    share = place([blind], qwen(size=72, gpu_memory="40%"))
    assert share.problems == [] and "gpu_memory has no effect" in share.warnings[-1]
    result = place([blind], qwen(size=72))
    assert result.problems == [] and result.launch_keys == {}
    assert "devices" in place([], qwen()).warnings[0]


# -- pins --------------------------------------------------------------------------------------------------------------


def test_one_model_on_one_card_needs_no_pin():
    assert place([worker("RTX 4090")], qwen()).launch_keys == {}


def test_replicas_on_one_worker_are_pinned_in_their_order():
    result = place(
        [worker(*["RTX 4090"] * 4)], qwen(size=32, quantization="Int4", gpus="2", replicas=2, context_length=4096)
    )
    assert sorted(result.launch_keys["m"]["gpu_idx"]) == [0, 1, 2, 3]
    assert [(row["replica"], row["card"]) for row in result.rows] == list(
        zip([0, 0, 1, 1], result.launch_keys["m"]["gpu_idx"])
    )


def test_replicas_on_several_workers_are_pinned_one_by_one_where_the_release_can():
    two = [worker("RTX 4090"), worker("RTX 4090", host="10.0.0.2")]
    keys = place(two, qwen(replicas=2)).launch_keys["m"]
    assert keys["n_gpu"] == "auto"
    assert sorted(r["devices"][0]["worker_ip"] for r in keys["replica_config"]) == ["10.0.0.1:5000", "10.0.0.2:5000"]
    result = place(two, qwen(replicas=2), actual=server_state.ServerState({}, {}, version="2.12.0"))
    assert result.launch_keys == {} and "since Xinference 3.2" in result.warnings[0]


def test_declared_indices_are_kept():
    result = place([worker("RTX 4090", "RTX 4090")], qwen("a", gpu_indices=[1]), qwen("b"))
    assert cards_of(result, "a") == [1] and cards_of(result, "b") == [0]
    assert result.launch_keys == {"b": {"gpu_idx": [0]}}


# -- properties ----------------------------------------------------------------------------------------------------------

BUDGETS = st.lists(st.floats(min_value=1, max_value=30), min_size=1, max_size=8)
KINDS = st.lists(st.sampled_from(["RTX 4090", "A100 40", "L4", "T4"]), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(BUDGETS, KINDS)
def test_no_card_is_ever_promised_beyond_its_memory(budgets, kinds):
    there = worker(*kinds, free=None)
    declared = [declare(f"m{i}", gpu_memory=f"{size:.2f} GiB") for i, size in enumerate(budgets)]
    result = place([there], *declared)
    for card in there.cards:
        used = sum(row["used_gib"] for row in result.rows if row["card"] == card.index)
        assert used <= card.total / GIB * 1.01 + 0.1 * len(budgets)
    placed = {row["model"] for row in result.rows}
    refused = {problem.split(": ")[1] for problem in result.problems}
    assert placed | refused == {model["uid"] for model in declared} and not placed & refused


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_the_list_does_not_decide_who_fits(order):
    sizes = {"a": "20 GiB", "b": "12 GiB", "c": "11 GiB", "d": "3 GiB"}
    result = place([worker("RTX 4090", "RTX 4090")], *(declare(uid, gpu_memory=sizes[uid]) for uid in order))
    assert result.problems == []


def test_the_table_is_aligned():
    lines = placement.table(place([worker("RTX 4090")], qwen("a-long-name")).rows)
    assert lines == [
        "MODEL        REPLICA  WORKER         CARD   GiB  OF GiB  BY",
        "a-long-name  0        10.0.0.1:5000  0     21.6    24.0  90% of the card, as vLLM takes it",
    ]
    assert placement.table([]) == []
