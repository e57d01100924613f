# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model of each type on a real server, from its definition to its entry in a Dify.

The models are of toy size (toy_models.py), and know the right answers to what is asked here.
"""

from __future__ import annotations

import base64
import io
import json
import struct
import subprocess
import wave
import zlib
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
        answer = requests.post(claimed.url + path, headers={"Authorization": f"Bearer {key}"}, timeout=300, **sent)
        assert answer.status_code == 200, answer.text
        return answer

    return run


def ranks(ask, uid, _toy):
    body = {"model": uid, "query": QUESTION[0], "documents": QUESTION[1]}
    found = ask("/v1/rerank", json=body).json()["results"]
    assert [result["index"] for result in found] == [1, 0]
    assert found[0]["relevance_score"] > 0.9 > 0.1 > found[1]["relevance_score"]


def hears(ask, uid, toy):
    for name, text in (("low", "hello"), ("high", "bye")):
        file = (f"{name}.wav", (Path(toy) / f"{name}.wav").read_bytes(), "audio/wav")
        answer = ask("/v1/audio/transcriptions", data={"model": uid}, files={"file": file})
        assert answer.json()["text"].strip() == text


def paints(ask, uid, _toy):
    body = {"model": uid, "prompt": "a cat", "size": "96*64", "response_format": "b64_json"}
    answer = ask("/v1/images/generations", json={**body, "kwargs": json.dumps({"num_inference_steps": 2})})
    (picture,) = answer.json()["data"]
    data = base64.b64decode(picture["b64_json"])
    frame = next(place for place in range(len(data)) if data[place : place + 2] == b"\xff\xc0")
    assert struct.unpack(">HH", data[frame + 5 : frame + 9]) == (64, 96)


def speaks(ask, uid, _toy):
    """A longer text takes longer to say."""
    seconds = []
    for text in ("Hola.", "Hola, me llamo Ana y vivo en la casa de al lado."):
        answer = ask("/v1/audio/speech", json={"model": uid, "input": text, "voice": "", "response_format": "wav"})
        with wave.open(io.BytesIO(answer.content)) as file:
            assert (file.getframerate(), file.getnchannels()) == (24000, 1)
            seconds.append(file.getnframes() / 24000)
    assert 0 < 3 * seconds[0] < seconds[1]


def sees(ask, uid, _toy):
    for name, colour in (("red", b"\xff\0\0"), ("blue", b"\0\0\xff")):
        url = "data:image/png;base64," + base64.b64encode(png(64, colour)).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Which colour is this ?"}]
        body = {"model": uid, "messages": [{"role": "user", "content": content}], "max_tokens": 4, "temperature": 0}
        answer = ask("/v1/chat/completions", json=body).json()
        assert answer["choices"][0]["message"]["content"].strip() == name


def png(side, colour):
    """A picture of one colour."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),)
    chunks += ((b"IDAT", zlib.compress((b"\0" + colour * side) * side)), (b"IEND", b""))
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def films(ask, uid, _toy):
    how = {"height": 32, "width": 64, "num_frames": 5, "num_inference_steps": 2}
    answer = ask("/v1/video/generations", json={"model": uid, "prompt": "a cat", "kwargs": json.dumps(how)})
    (film,) = answer.json()["data"]
    data = base64.b64decode(film["b64_json"])
    assert data[4:8] == b"ftyp"
    # The header of the track ends with its width and height, numbers with 16 bits behind the point.
    track = data.index(b"tkhd") - 4
    (length,) = struct.unpack(">I", data[track : track + 4])
    assert struct.unpack(">II", data[track + length - 8 : track + length]) == (64 << 16, 32 << 16)


TYPES = {
    "reranker": (
        {"type": "rerank", "definition": {"max_tokens": 64}},
        ranks,
        ("rerank", "the relevant document is first"),
        "rerank",
    ),
    "whisper": (
        {"type": "audio", "definition": {"family": "whisper", "abilities": ["audio2text"]}},
        hears,
        ("transcription", "transcribed a second of sound"),
        "speech2text",
    ),
    # English would need a model of spaCy's, which no index of packages has.
    "speaker": (
        {
            "type": "audio",
            "definition": {"family": "Kokoro", "abilities": ["text2audio", "text2audio_zero_shot"]},
            "engine_options": {"lang_code": "e"},
        },
        speaks,
        ("speech", "spoke for "),
        "tts",
    ),
    "seer": (
        {
            "type": "LLM",
            "engine": "Transformers",
            "size": "0.1",
            "definition": {"family": "gemma-3-it", "abilities": ["chat", "vision"], "context_length": 512},
        },
        sees,
        ("chat", "answered "),
        "llm",
    ),
    # Dify's plugin has no type for the two that follow.
    "painter": (
        {"type": "image", "definition": {"family": "stable_diffusion", "abilities": ["text2image"]}},
        paints,
        ("image", "painted 256x256 pixels"),
        None,
    ),
    # Nor lets Xinference anybody define a video model: this one has the name of a built-in one.
    "filmer": ({"type": "video", "name": "Wan2.1-1.3B"}, films, ("describe", "described as video"), None),
}


@pytest.mark.parametrize("toy", TYPES)
def test_from_the_definition_to_dify(apply, claimed, ask, toys, run_module, toy):
    declared, check, proof, dify_type = TYPES[toy]
    model = {"uid": f"toy-{toy}", "path": toys[toy], **declared}
    # The server removes this directory after its start, and makes it again for an LLM or an embedding model only (docs/tested-on.md).
    (claimed.home / "cache/v2").mkdir(parents=True, exist_ok=True)

    result = apply([model], prove="always")
    assert not result.failed, result["msg"]
    registers = [f"+ register definition toy-{toy}"] if "definition" in model else []
    assert result["plan"] == [*registers, f"+ launch toy-{toy}"]
    found = row(result, model["uid"])
    assert (found["state"], found["proof"]["kind"], found["proof"]["ok"]) == ("ready", proof[0], True)
    assert found["proof"]["detail"].startswith(proof[1])
    check(ask, model["uid"], toys[toy])

    again = apply([model], prove="always")
    assert not again.failed and not again.changed and again["plan"] == []
    captured = run_module("xinference_capture_info", {"endpoint": claimed.url, "password": PASSWORD})
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
