# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The placement's requests to a server: none if nothing starts."""

from __future__ import annotations

import sys

import pytest
from servers.xinference import PASSWORD, USERNAME, XinferenceServer
from test_placement import declare

from ansible_collections.modelops.inference.plugins.module_utils._session import Session
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import checkpoints, footprint
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import cluster as clusters
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import placement

GIB = footprint.GIB
HERE, FAR = "127.0.0.1:51954", "10.9.9.9:30000"


@pytest.fixture
def cluster():
    """Two workers; the test's own host has two cards, the other one."""
    with XinferenceServer("4.1.0", workers=(HERE, FAR), cards={HERE: [24, 24], FAR: [80]}) as server:
        yield server


def read(server, *declared, action=model_plan.LAUNCH, **options):
    client = Client(Session(server.url, check_mode=True), USERNAME, PASSWORD)
    client.wait_ready(1)
    client.login()
    wanted = models.desired(list(declared), exists=lambda path: True)
    actual = server_state.read(client, wanted)
    server.forget()
    found = clusters.read(client, [model_plan.Decision(model, action) for model in wanted], actual, **options)
    return found, wanted, actual


def test_where_nothing_starts_nothing_is_asked(xinference):
    for action in (model_plan.NONE, model_plan.DIFFERS, model_plan.WAIT, model_plan.TERMINATE):
        found, wanted, actual = read(xinference, declare("qwen3"), action=action, downloads="/")
        assert found.workers == [] and not xinference.requests
        decisions = [model_plan.Decision(model, action) for model in wanted]
        assert placement.plan(wanted, decisions, actual, found) == placement.Placement()


def test_what_llama_cpp_computes_on_comes_with_the_cards(cluster):
    built = {"build": "cpu", "index": "", "virtual_env": True}
    card = {"worker": FAR, "index": 0, "memory_bytes": 80 * GIB, "llama_cpp": built}
    found, _wanted, _actual = read(cluster, declare("qwen3", engine="Transformers"), devices=[card])
    assert {worker.address: worker.llama_cpp for worker in found.workers} == {HERE: None, FAR: built}


def test_workers_and_their_cards_of_every_release(xinference):
    xinference.models.cards[HERE] = [24, 24]
    found, _wanted, _actual = read(xinference, declare("qwen3", engine="Transformers"))
    [worker] = found.workers
    assert [(card.index, card.total, card.free) for card in worker.cards] == [
        (0, 24 * GIB, 24 * GIB),
        (1, 24 * GIB, 24 * GIB),
    ]
    assert worker.ram == 22 * GIB and worker.platform == sys.platform and found.local
    assert [path for _verb, path in xinference.requests] == ["/v1/cluster/info", "/v1/model_registrations/LLM/qwen3"]
    assert {verb for verb, _path in xinference.requests} == {"GET"}


def test_the_catalogue_of_4_tells_the_shape_and_older_ones_the_size(xinference):
    found, _wanted, _actual = read(xinference, declare("qwen3", engine="Transformers"))
    checkpoint = found.checkpoints["qwen3"]
    if xinference.profile.version == "4.1.0":
        assert checkpoint.source == checkpoints.CATALOGUE and checkpoint.layers == 28 and checkpoint.context == 32768
    else:
        assert checkpoint.source == checkpoints.COARSE and checkpoint.weights == pytest.approx(1.2e9)


def test_the_spec_is_the_one_that_is_launched(cluster):
    declared = [
        declare("a", name="qwen3", engine="llama.cpp"),
        declare("b", name="qwen3", engine="llama.cpp", format="ggufv2", quantization="q8_0"),
        declare("c", name="qwen3", engine="Transformers", size="0.6"),
    ]
    found, _wanted, _actual = read(cluster, *declared)
    four, eight, full = (found.checkpoints[uid].weights for uid in "abc")
    assert four < eight < full
    assert len([r for r in cluster.requests if "registrations" in r[1]]) == 1  # one name, asked once


def test_cards_that_the_host_tells_replace_those_of_its_own_worker(cluster):
    devices = [
        {
            "index": 1,
            "name": "L4",
            "memory_bytes": 23 * GIB,
            "free_bytes": 2 * GIB,
            "driver": "570",
            "compute_capability": "8.9",
        },
        {
            "index": 0,
            "name": "L4",
            "memory_bytes": 23 * GIB,
            "free_bytes": 22 * GIB,
            "driver": "570",
            "compute_capability": "",
        },
    ]
    found, _wanted, _actual = read(cluster, declare("qwen3", engine="Transformers"), devices=devices)
    here, far = sorted(found.workers, key=lambda worker: worker.address != HERE)
    assert [(card.index, card.free / GIB, card.capability) for card in here.cards] == [(0, 22, None), (1, 2, 8.9)]
    assert here.certain and not far.certain and far.cards[0].total == 80 * GIB and far.platform == ""
    assert not found.local
    # The server sees fewer of them (CUDA_VISIBLE_DEVICES): then its own figures are taken.
    found, _wanted, _actual = read(cluster, declare("qwen3", engine="Transformers"), devices=devices[:1])
    assert [worker.certain for worker in found.workers] == [False, False]


def test_cards_of_another_worker_are_named_by_its_address(cluster):
    devices = [{"worker": "10.9.9.9", "index": 0, "memory_bytes": 48 * GIB, "free_bytes": 40 * GIB}]
    found, _wanted, _actual = read(cluster, declare("qwen3", engine="Transformers"), devices=devices)
    far = next(worker for worker in found.workers if worker.address == FAR)
    assert far.cards[0].free == 40 * GIB and far.certain


def test_what_models_are_known_to_hold_is_not_shared_by_all_cards(cluster):
    cluster.serve("old", model_type="LLM", model_name="qwen3", model_engine="Transformers", gpu_idx=[1], worker_ip=HERE)
    cluster.models.held["old"] = {HERE: {"1": 20 * GIB}}
    found, wanted, actual = read(cluster, declare("new", name="qwen3", gpu_memory="20 GiB"))
    here = next(worker for worker in found.workers if worker.address == HERE)
    assert [card.free / GIB for card in here.cards] == [24, 4]
    found.workers.remove(next(worker for worker in found.workers if worker.address == FAR))
    result = placement.plan(wanted, [model_plan.Decision(wanted[0], model_plan.LAUNCH)], actual, found)
    assert result.problems == []
    assert [(row["model"], row["card"]) for row in result.rows] == [("new", 0), ("old", 1)]


def test_the_driver_of_another_vendor_is_not_measured_by_nvidias():
    card = clusters._card({"vendor": "ascend", "index": 0, "driver": "24.1.rc2", "compute_capability": "1"})
    assert card.driver == "" and card.capability is None


def test_figures_that_are_none():
    # Ascend is told in MiB, ROCm and cards without a driver library as 1.
    assert clusters._share(65536 * 8, 8) == 64 * GIB
    assert clusters._share(8, 8) is None and clusters._share(0, 0) is None and clusters._share("24564MiB", 1) is None
    assert clusters._share(24 * GIB, 1) == 24 * GIB


def test_weights_on_this_host_are_measured(cluster, gguf, weights):
    with open(gguf, "wb") as file:
        file.write(b"\0" * 4096)
    declared = [
        declare("a", engine="llama.cpp", path=gguf, size="0.27", definition=None, name="qwen3"),
        declare("b", type="embedding", engine="sentence_transformers", path=weights, name="bge-m3"),
        declare("c", type="embedding", engine="sentence_transformers", name="bge-small-en-v1.5"),
        declare("d", type="image", engine=None, name="sd-turbo"),
    ]
    found, _wanted, _actual = read(cluster, *declared)
    assert found.checkpoints["a"].source == checkpoints.COARSE  # no GGUF file
    assert found.checkpoints["b"] is None and found.checkpoints["d"] is None
    assert found.checkpoints["c"].weights == pytest.approx(0.133e9, rel=0.02)


def test_a_size_in_the_name_is_better_than_none(cluster):
    found, _wanted, _actual = read(cluster, declare("Qwen3-Embedding-0.6B", type="embedding", engine="vllm"))
    assert found.checkpoints["Qwen3-Embedding-0.6B"].weights == pytest.approx(1.2e9)


def test_the_disk_is_read_only_where_downloads_go_to_this_host(newest, cluster, tmp_path):
    found, _wanted, _actual = read(
        newest, declare("qwen3", engine="Transformers"), downloads=str(tmp_path / "not" / "yet")
    )
    assert found.disk > 0 and ("GET", "/v1/cache/models") in newest.requests
    found, _wanted, _actual = read(cluster, declare("qwen3", engine="Transformers"), downloads=str(tmp_path))
    assert found.disk is None  # one of the workers is elsewhere


def test_a_server_that_does_not_tell_is_not_judged(newest):
    newest.fault("status", path="/v1/cluster/info", status=403)
    found, wanted, actual = read(newest, declare("qwen3"))
    result = placement.plan(wanted, [model_plan.Decision(wanted[0], model_plan.LAUNCH)], actual, found)
    assert result.problems == [] and "does not report its devices" in result.warnings[0]


def test_cuda_of_this_environment_without_importing_pytorch(tmp_path, monkeypatch):
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(clusters.glob, "glob", lambda pattern: [])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for line, cuda in (
        ("cuda: Optional[str] = '12.8'", "12.8"),
        ("cuda = '13.0'", "13.0"),
        ("cuda: Optional[str] = None", ""),
    ):
        (package / "version.py").write_text(f"__version__ = '2.9.0'\n{line}\n")
        assert clusters._torch_cuda() == cuda
    monkeypatch.setattr(clusters.glob, "glob", lambda pattern: ["/usr/local/cuda/compat/libcuda.so.1"])
    assert clusters._torch_cuda() == ""
