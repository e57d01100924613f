# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rerank, a speech and an image model on a real server, each from its definition to its entry in a Dify.

The models are of toy size (toy_models.py), and know the right answers to what is asked here.
"""

from __future__ import annotations

import base64
import json
import struct
import subprocess
from pathlib import Path

import pytest
import requests
from real_server import PASSWORD, TESTED, environment, row
from servers.dify import DifyServer
from servers.dify.server import EMAIL
from servers.dify.server import PASSWORD as DIFY_PASSWORD
from servers.dify.xinference import Backend

QUESTION = ("How does the sea taste?", ["Bread is baked from flour and water.", "The sea is salty."])


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    command = [
        environment(TESTED) / "python",
        Path(__file__).with_name("toy_models.py"),
        tmp_path_factory.mktemp("toys"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def server(start):
    return start(TESTED)


@pytest.fixture
def ask(claimed):
    """``ask("/v1/rerank", json={...})`` -> the answer to a client, such as Dify."""

    def run(path, **sent):
        key = claimed.key_file.read_text().strip()
        answer = requests.post(claimed.url + path, headers={"Authorization": f"Bearer {key}"}, timeout=120, **sent)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return run


def ranks(ask, uid, _toy):
    found = ask("/v1/rerank", json={"model": uid, "query": QUESTION[0], "documents": QUESTION[1]})["results"]
    assert [result["index"] for result in found] == [1, 0]
    assert found[0]["relevance_score"] > 0.9 > 0.1 > found[1]["relevance_score"]


def hears(ask, uid, toy):
    for name, text in (("low", "hello"), ("high", "bye")):
        file = (f"{name}.wav", (Path(toy) / f"{name}.wav").read_bytes(), "audio/wav")
        assert ask("/v1/audio/transcriptions", data={"model": uid}, files={"file": file})["text"].strip() == text


def paints(ask, uid, _toy):
    body = {"model": uid, "prompt": "a cat", "size": "96*64", "response_format": "b64_json"}
    (picture,) = ask("/v1/images/generations", json={**body, "kwargs": json.dumps({"num_inference_steps": 2})})["data"]
    data = base64.b64decode(picture["b64_json"])
    frame = next(place for place in range(len(data)) if data[place : place + 2] == b"\xff\xc0")
    assert struct.unpack(">HH", data[frame + 5 : frame + 9]) == (64, 96)


TYPES = {
    "rerank": ("reranker", {"max_tokens": 64}, ranks, ("rerank", "the relevant document is first"), "rerank"),
    "audio": (
        "whisper",
        {"family": "whisper", "abilities": ["audio2text"]},
        hears,
        ("transcription", "transcribed a second of sound"),
        "speech2text",
    ),
    # Dify's plugin has no type for it.
    "image": (
        "painter",
        {"family": "stable_diffusion", "abilities": ["text2image"]},
        paints,
        ("image", "painted 256x256 pixels"),
        None,
    ),
}


@pytest.mark.parametrize("model_type", TYPES)
def test_from_the_definition_to_dify(apply, claimed, ask, toys, run_module, model_type):
    toy, definition, check, proof, dify_type = TYPES[model_type]
    model = {"uid": f"toy-{toy}", "type": model_type, "path": toys[toy], "definition": definition}

    result = apply([model], prove="always")
    assert not result.failed, result["msg"]
    assert result["plan"] == [f"+ register definition toy-{toy}", f"+ launch toy-{toy}"]
    found = row(result, model["uid"])
    assert (found["state"], found["proof"]["kind"], found["proof"]["ok"]) == ("ready", proof[0], True)
    assert found["proof"]["detail"].startswith(proof[1])
    check(ask, model["uid"], toys[toy])

    again = apply([model], prove="always")
    assert not again.failed and not again.changed and again["plan"] == []
    captured = run_module("xinference_capture", {"endpoint": claimed.url, "password": PASSWORD})
    assert not captured.failed, captured["msg"]
    same = apply(captured["models"], check=True)
    assert not same.failed and not same.changed, same

    if dify_type:
        key = claimed.key_file.read_text().strip()
        entry = {
            "name": model["uid"],
            "type": dify_type,
            "server_url": claimed.url,
            "model_uid": model["uid"],
            "api_key": key,
        }
        with DifyServer("1.16.0-rc1", backend=Backend({}, live=True)) as dify:
            login = {"url": dify.url, "email": EMAIL, "password": DIFY_PASSWORD, "daemon_timeout": 0}
            for changed in (True, False):
                registered = run_module("dify_models", {**login, "models": [entry], "allow_loopback": True})
                assert not registered.failed, registered["msg"]
                assert registered.changed == changed
            assert [(m.name, m.type) for m in dify.workspace.models.values()] == [(model["uid"], dify_type)]
