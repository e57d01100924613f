# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Typed proof that a model serves: a request of its kind. Private to the collection."""

from __future__ import annotations

import base64
import io
import json
import struct
import time
import typing as t
import wave
from dataclasses import asdict, dataclass
from urllib.parse import quote

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer, Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import ffmpeg

# Seconds between two tries while the server does not see a new model yet.
_PAUSE = 1.0
# The relevant document is neither first nor last, so that keeping the order given proves nothing.
_QUERY = "What is the capital of France?"
_DOCUMENTS = ["Bread is baked from flour and water.", "The capital of France is Paris.", "The sea is salty."]
_RELEVANT = 1
# Pixels. One step of a small picture shows that the pipeline computes; a whole one takes minutes on some cards.
_PICTURE = (256, 256)
_STEPS = {"num_inference_steps": 1}
# So MegaTTS3, IndexTTS2 and Confucius4-TTS of 4.1.0 refuse a request without a voice, although they have the ability.
_WANTS_A_VOICE = "reference audio"
# Times the time of other proofs: the first picture warms up a pipeline whose parts are moved to the card one by one.
_PATIENCE = 5


@dataclass
class Proof:
    """A model's answer.

    :param kind: chat, completion, embedding, rerank, transcription, speech, image, or describe for what cannot be asked cheaply;
        None for a model that was not asked, because it does not run.
    :param latency_ms: of the request that was answered, without the wait before it.
    """

    uid: str
    kind: str | None
    ok: bool
    latency_ms: int | None
    detail: str

    def result(self) -> dict[str, t.Any]:
        """The result in the modules' form, without the UID."""
        return {key: value for key, value in asdict(self).items() if key != "uid"}


def kind_of(model_type: str, abilities: t.Collection[str]) -> str:
    if model_type == "LLM":
        return "chat" if "chat" in abilities else "completion"
    if model_type == "audio" and "audio2text" in abilities:
        return "transcription"
    # A voice of its own: the others only copy one that a request brings.
    if model_type == "audio" and "text2audio_zero_shot" in abilities:
        return "speech"
    if model_type == "image" and "text2image" in abilities:
        return "image"
    return {"embedding": "embedding", "rerank": "rerank"}.get(model_type, "describe")


def prove(
    client: Client, uid: str, model_type: str, abilities: t.Collection[str], dimensions: int | None, timeout: float
) -> Proof:
    """Asks one model, and waits up to `timeout` seconds for an answer, for a picture or speech five times as long.

    :param dimensions: length that an embedding must have; None accepts any.
    """
    kind = kind_of(model_type, abilities)
    path, sent = _request(kind, uid)
    end = time.monotonic() + timeout * (_PATIENCE if kind in ("image", "speech") else 1)
    while True:
        started = time.monotonic()
        left = max(1.0, end - started)
        try:
            answer = client.request("POST" if sent else "GET", path, expect=(), reads=True, timeout=left, **sent)
        except Unreachable as exc:
            return Proof(uid, kind, False, None, str(exc))
        latency = round((time.monotonic() - started) * 1000)
        if answer.status == 200:
            problem, detail = _judge(kind, answer, dimensions)
            return Proof(uid, kind, not problem, latency, problem or detail)
        if not releases.not_yet_visible(answer) or time.monotonic() + _PAUSE >= end:
            detail = _secrets.redacted(f"{answer.status}: {answer.detail}")
            if kind == "speech" and _WANTS_A_VOICE in detail:
                return Proof(uid, kind, True, latency, "requires a voice sample, which a proof does not have")
            if ffmpeg.MISSING in detail:
                detail = f"{detail}. {ffmpeg.REMEDY}"
            return Proof(uid, kind, False, latency, detail)
        time.sleep(_PAUSE)


def _request(kind: str, uid: str) -> tuple[str, dict[str, t.Any]]:
    """Path, and what is sent: `json` or `files`; nothing for a GET."""
    if kind == "transcription":
        return "/v1/audio/transcriptions", {"files": {"model": (None, uid), "file": ("tone.wav", _tone(), "audio/wav")}}
    bodies: dict[str, tuple[str, dict[str, t.Any]]] = {
        "chat": (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8},
        ),
        "completion": ("/v1/completions", {"prompt": "Hello", "max_tokens": 8}),
        "embedding": ("/v1/embeddings", {"input": ["Hello"]}),
        "rerank": ("/v1/rerank", {"query": _QUERY, "documents": _DOCUMENTS}),
        "speech": ("/v1/audio/speech", {"input": "Hello.", "voice": "", "response_format": "wav"}),
        "image": (
            "/v1/images/generations",
            {
                "prompt": "a house",
                "n": 1,
                "size": "{}*{}".format(*_PICTURE),
                "response_format": "b64_json",
                "kwargs": json.dumps(_STEPS),
            },
        ),
    }
    if kind not in bodies:
        return f"/v1/models/{quote(uid, safe='')}", {}
    path, body = bodies[kind]
    return path, {"json": {"model": uid, **body}}


def _tone(rate: int = 16000) -> bytes:
    """A second of a square wave of 400 Hz, as WAV (16 bits, mono)."""
    half = rate // 800
    period = struct.pack("<h", 8000) * half + struct.pack("<h", -8000) * half
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(period * 400)
    return out.getvalue()


def _judge(kind: str, answer: Answer, dimensions: int | None) -> tuple[str, str]:
    """(what is wrong with the answer, what it says); one of them is empty."""
    try:
        return _JUDGES[kind](answer.content if kind == "speech" else answer.json, dimensions)
    except (KeyError, IndexError, TypeError, ValueError, struct.error) as exc:
        return f"the answer is not a valid {kind} answer ({type(exc).__name__}: {exc})", ""


def _text(body: t.Any, _dimensions: int | None) -> tuple[str, str]:
    choice = body["choices"][0]
    message = choice.get("message") or {}
    text = choice.get("text") or message.get("content") or message.get("reasoning_content") or ""
    tokens = (body.get("usage") or {}).get("completion_tokens")
    if not text.strip() and not tokens:
        return "the answer is empty", ""
    return "", f"answered {tokens if tokens is not None else len(text.split())} tokens"


def _embedding(body: t.Any, dimensions: int | None) -> tuple[str, str]:
    length = len(body["data"][0]["embedding"])
    if not length or (dimensions and length != dimensions):
        return f"the vector has {length} dimensions, not {dimensions}", ""
    return "", f"{length} dimensions"


def _rerank(body: t.Any, _dimensions: int | None) -> tuple[str, str]:
    results = body["results"]
    scores = [row["relevance_score"] for row in results]
    if len(results) != len(_DOCUMENTS) or scores != sorted(scores, reverse=True):
        return f"{len(results)} of {len(_DOCUMENTS)} documents came back, or out of order: {scores}", ""
    if results[0]["index"] != _RELEVANT:
        return f"the relevant document is not first: order {[row['index'] for row in results]}", ""
    return "", "the relevant document is first"


def _transcription(body: t.Any, _dimensions: int | None) -> tuple[str, str]:
    text = body["text"]
    if not isinstance(text, str):
        return f"the transcription is {type(text).__name__}, not text", ""
    return "", f"transcribed a second of sound into {len(text)} characters"


def _speech(body: bytes, _dimensions: int | None) -> tuple[str, str]:
    sound_of = _wav(body)
    if sound_of is None:
        return "the answer is not a WAV file", ""
    rate, seconds, silent = sound_of
    if silent:
        return f"{seconds:.1f} s of silence", ""
    return "", f"spoke for {seconds:.1f} s at {rate} Hz"


def _wav(data: bytes) -> tuple[int, float, bool] | None:
    """Rate, seconds, and whether it is silent; None for what is no WAV. The module wave takes no floating point."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    rate, a_second, place = 0, 0, 12
    while place + 8 <= len(data):
        name, length = struct.unpack("<4sI", data[place : place + 8])
        # One that was written as a stream does not know its length.
        part = data[place + 8 : place + 8 + length]
        if name == b"fmt ":
            rate, a_second = struct.unpack("<II", part[4:12])
        elif name == b"data" and a_second:
            return rate, len(part) / a_second, not any(part)
        place += 8 + length + length % 2
    return None


def _image(body: t.Any, _dimensions: int | None) -> tuple[str, str]:
    size = _picture_size(base64.b64decode(body["data"][0]["b64_json"]))
    if size is None:
        return "the answer has no PNG or JPEG picture", ""
    if 0 in size:
        return f"the picture is empty: {size[0]}x{size[1]}", ""
    return "", f"painted {size[0]}x{size[1]} pixels"


def _picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG (ISO/IEC 15948, 11.2.2; ITU-T T.81, B.2.2); None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    place = 2
    while data.startswith(b"\xff\xd8") and place + 9 <= len(data) and data[place] == 0xFF:
        # Start of frame; C4, C8 and CC are tables.
        if 0xC0 <= data[place + 1] <= 0xCF and data[place + 1] not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _describe(body: t.Any, _dimensions: int | None) -> tuple[str, str]:
    return "", f"described as {body['model_type']} {body['model_name']}"


_JUDGES = {
    "chat": _text,
    "completion": _text,
    "embedding": _embedding,
    "rerank": _rerank,
    "transcription": _transcription,
    "speech": _speech,
    "image": _image,
    "describe": _describe,
}


def failures(proofs: t.Sequence[Proof]) -> list[str]:
    """One line for each model that does not serve."""
    return [f"{p.uid}: {p.kind + ' proof failed: ' if p.kind else ''}{p.detail}" for p in proofs if not p.ok]
