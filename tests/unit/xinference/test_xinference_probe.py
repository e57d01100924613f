# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_probe through its main(), against test servers of every recorded release."""

from __future__ import annotations

import struct

import pytest
from servers.xinference import PASSWORD


@pytest.fixture
def probe(run_module):
    def run(server, *, check=False, **options):
        if "api_key" not in options:
            options.setdefault("password", PASSWORD)
        return run_module("xinference_probe", {"endpoint": server.url, **options}, check=check)

    return run


NO_FFMPEG = "ffmpeg was not found but is required to load audio files from filename"


def wav(samples):
    """A WAV of floating point numbers, with a chunk of odd length before the samples and a length that nobody filled in."""
    parts = (
        b"fmt " + struct.pack("<IHHIIHH", 16, 3, 1, 12000, 48000, 4, 32) + b"fact\x03\0\0\0abc\0data\xff\xff\xff\xff"
    )
    return b"RIFF\xff\xff\xff\xffWAVE" + parts + samples


@pytest.fixture
def serving(xinference):
    """A server with a model of each kind."""
    xinference.serve("llm", model_name="qwen3", model_engine="llama.cpp")
    xinference.serve("base", model_name="base", model_engine="llama.cpp")
    xinference.models.definitions["LLM"]["base"] = {"model_name": "base", "model_ability": ["generate"]}
    xinference.serve("embed", model_name="bge-m3", model_type="embedding")
    xinference.serve("rank", model_name="bge-reranker-v2-m3", model_type="rerank")
    xinference.serve("draw", model_name="sd-turbo", model_type="image")
    xinference.serve("hear", model_name="whisper-tiny", model_type="audio")
    speaks = {"model_name": "kokoro", "model_ability": ["text2audio", "text2audio_zero_shot"]}
    xinference.models.definitions["audio"]["kokoro"] = speaks
    xinference.serve("speak", model_name="kokoro", model_type="audio")
    xinference.serve("film", model_name="film", model_type="video")
    return xinference


@pytest.mark.parametrize("check", [False, True])
def test_every_running_model_is_asked_what_it_is_for(probe, serving, check):
    result = probe(serving, check=check)
    assert not result.failed, result["msg"]
    assert result["ok"] and not result.changed and result["version"] == serving.profile.version
    assert {m["uid"]: m["kind"] for m in result["models"]} == {
        "llm": "chat",
        "base": "completion",
        "embed": "embedding",
        "rank": "rerank",
        "draw": "image",
        "hear": "transcription",
        "speak": "speech",
        "film": "describe",
    }
    assert all(m["ok"] and m["latency_ms"] is not None for m in result["models"])
    details = {m["uid"]: m["detail"] for m in result["models"]}
    assert (details["embed"], details["draw"]) == ("1024 dimensions", "painted 256x256 pixels")
    assert details["speak"] == "spoke for 0.5 s at 24000 Hz"
    assert details["hear"] == "transcribed a second of sound into 5 characters"
    assert serving.changes() == []


def test_only_the_named_ones_are_asked(probe, serving):
    result = probe(serving, uids=["rank", "llm"])
    assert [m["uid"] for m in result["models"]] == ["rank", "llm"]


def test_a_model_that_does_not_run(probe, serving):
    result = probe(serving, uids=["llm", "nope"])
    assert result.failed and "nope: does not run; running models: base, draw, embed" in result["msg"]
    assert [m["ok"] for m in result["models"]] == [True, False]
    reported = probe(serving, uids=["llm", "nope"], fail=False)
    assert not reported.failed and not reported["ok"]


@pytest.mark.parametrize(
    ("uid", "behaviour", "options", "why"),
    [
        ("llm", {"answers": False}, {}, "llm: chat proof failed: 500"),
        (
            "embed",
            {},
            {"dimensions": {"embed": 384}},
            "embed: embedding proof failed: the vector has 1024 dimensions, not 384",
        ),
        (
            "rank",
            {"order": (0, 1, 2)},
            {},
            "rank: rerank proof failed: the relevant document is not first: order [0, 1, 2]",
        ),
        ("rank", {"order": (1,)}, {}, "1 of 3 documents came back"),
        ("hear", {"answers": False}, {}, "hear: transcription proof failed: 500"),
        ("draw", {"picture": b"GIF89a"}, {}, "draw: image proof failed: the answer has no PNG or JPEG picture"),
        (
            "draw",
            {"picture": b"\x89PNG\r\n\x1a\n" + bytes(16)},
            {},
            "draw: image proof failed: the picture is empty: 0x0",
        ),
        ("speak", {"sound": b"ID3\x04" + bytes(60)}, {}, "speak: speech proof failed: the answer is not a WAV file"),
        ("speak", {"sound": wav(bytes(24000))}, {}, "speak: speech proof failed: 0.5 s of silence"),
        ("speak", {"sound": wav(b"")[:20]}, {}, "speak: speech proof failed: the answer is not a valid"),
        ("hear", {"refuses": NO_FFMPEG}, {}, f"{NO_FFMPEG}. Install it on the host of the model"),
    ],
)
def test_a_model_that_answers_wrongly(probe, serving, uid, behaviour, options, why):
    for name, value in behaviour.items():
        serving.models.models[uid].behaviour = type(serving.models.default)(**{name: value})
    result = probe(serving, uids=[uid], **options)
    assert result.failed and why in result["msg"]


def test_a_model_that_only_copies_voices_answers_that_it_needs_one(probe, serving):
    serving.models.models["speak"].behaviour = type(serving.models.default)(
        refuses="IndexTTS2 requires a reference audio for voice cloning."
    )
    (found,) = probe(serving, uids=["speak"])["models"]
    assert (found["ok"], found["detail"]) == (True, "requires a voice sample, which a proof does not have")


@pytest.mark.each_core("xinference_probe")
def test_a_client_key_is_enough(probe, newest):
    newest.serve("embed", model_name="bge-m3", model_type="embedding")
    key = newest.accounts.add_key("dify", 1)["key"]
    result = probe(newest, api_key=key)
    assert not result.failed and result["version"] is None
    assert newest.counts["POST"] == 1, "no login"
    refused = probe(newest, api_key="xf-wrong-key")
    assert refused.failed and "401" in refused["msg"] and "xf-wrong-key" not in refused["msg"]


def test_only_listed(probe, serving):
    """As before a registration: one request for all, no wait, no inference."""
    serving.requests.clear()
    key = {"api_key": serving.accounts.add_key("dify", 1)["key"]} if serving.profile.auth == "database" else {}
    result = probe(serving, uids=["embed", "nope"], infer=False, fail=False, **key)
    assert not result.failed and not result["ok"]
    assert [(m["kind"], m["ok"]) for m in result["models"]] == [("list", True), (None, False)]
    if key:
        assert serving.requests == [("GET", "/v1/models")]
    serving.stop()
    gone = probe(serving, uids=["embed"], infer=False, fail=False, api_key="xf-some-key")
    assert gone.failed and "models" not in gone and serving.url in gone["msg"]


def test_a_length_that_is_none(probe, newest):
    result = probe(newest, dimensions={"embed": "many"})
    assert result.failed and "dimensions: embed: 'many' must be the length of a vector" in result["msg"]
    assert newest.requests == []


def test_nothing_runs(probe, newest):
    result = probe(newest)
    assert not result.failed and result["ok"] and result["models"] == []
