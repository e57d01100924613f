# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which models need the program that decodes sound, and what a host without it is told."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import ffmpeg

WHISPER = {"uid": "hear", "name": "whisper-large-v3", "type": "audio"}
DEFINED = {
    "uid": "ours",
    "type": "audio",
    "path": "/m",
    "definition": {"family": "whisper", "abilities": ["audio2text"]},
}


@pytest.mark.parametrize(
    "model, needs",
    [
        (WHISPER, True),
        ({**WHISPER, "name": "Belle-whisper-large-v3-zh"}, True),
        ({"uid": "whisper-tiny", "type": "audio"}, True),
        (DEFINED, True),
        ({**WHISPER, "worker": "here"}, True),
        ({**WHISPER, "worker": "there"}, False),
        ({**WHISPER, "state": "absent"}, False),
        ({**WHISPER, "name": "SenseVoiceSmall"}, False),
        ({"uid": "whisper-of-ours", "type": "audio", "definition": {"family": "funasr"}}, False),
        ({"uid": "whisper", "name": "qwen3", "engine": "vLLM"}, False),
    ],
)
def test_what_needs_ffmpeg(model, needs):
    assert ffmpeg.needs(model, "here") is needs


def test_the_refusal_names_models_place_and_remedy():
    assert ffmpeg.refusal([WHISPER, DEFINED], "here", "/usr/bin:/bin") == (
        "hear, ours need ffmpeg, with which Xinference decodes every sound, WAV too, and this host has none in /usr/bin:/bin. Install "
        "it on the host of the model (on Debian and Ubuntu: apt-get install ffmpeg). If ffmpeg is in another directory, add that to PATH "
        "in xinference_environment."
    )
    assert ffmpeg.refusal([{"uid": "llm", "engine": "vLLM"}], "here", "/bin") == ""
