# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.module_utils.basic import AnsibleModule
from servers.xinference import PASSWORD, PROFILES, XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import access
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import launch, operations, proof


@pytest.fixture(params=list(PROFILES))
def xinference(request):
    """A running Xinference of each recorded release, with the authentication that it has by itself."""
    with XinferenceServer(request.param) as server:
        yield server


@pytest.fixture
def newest():
    with XinferenceServer("4.1.0") as server:
        yield server


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Nothing here takes seconds, so nobody waits for them."""
    monkeypatch.setattr(access, "_READY_PAUSE", 0.05)
    monkeypatch.setattr(launch, "_QUICK", 0.02)
    monkeypatch.setattr(operations, "_PAUSE", 0.02)
    monkeypatch.setattr(launch, "_SLICE", 0.1)
    monkeypatch.setattr(proof, "_PAUSE", 0.05)


@pytest.fixture
def gguf(tmp_path):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    return str(path)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "minilm"
    path.mkdir()
    return str(path)


@pytest.fixture
def llm(gguf):
    """A custom LLM, as a user declares it."""

    def make(**changed):
        model = {
            "uid": "tiny",
            "engine": "llama.cpp",
            "size": "0.27",
            "quantization": "Q4_K_M",
            "path": gguf,
            "definition": {"family": "gemma-3-it", "context_length": 2048, "abilities": ["chat"]},
            "engine_options": {"n_ctx": 2048},
        }
        return {**model, **changed}

    return make


@pytest.fixture
def embedding(weights):
    """A custom embedding model, as a user declares it."""

    def make(**changed):
        model = {
            "uid": "minilm",
            "type": "embedding",
            "engine": "sentence_transformers",
            "path": weights,
            "definition": {"dimensions": 384, "max_tokens": 256},
        }
        return {**model, **changed}

    return make


@pytest.fixture
def memory(tmp_path):
    """Where a run remembers what it launched."""
    return str(tmp_path / "declared.json")


@pytest.fixture
def apply(run_module):
    """``apply(server, [models], check=True, replace=True, ...)`` -> result of xinference_models."""

    def run(server, models, *, check=False, **options):
        options.setdefault("password", PASSWORD)
        return run_module("xinference_models", {"endpoint": server.url, "models": models, **options}, check=check)

    return run


@pytest.fixture
def warned(monkeypatch):
    """The warnings of modules. In a process that has also imported the controller's side they are not in the result."""
    texts = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda self, text, **_kwargs: texts.append(text))
    return texts
