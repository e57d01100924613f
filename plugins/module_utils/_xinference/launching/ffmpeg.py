# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models that need ffmpeg on their host, and the error if it is missing. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

#: How the server ends a transcription on a host without the program (transformers, pipelines/audio_utils.py).
MISSING = "ffmpeg was not found"
REMEDY = "Install it on the host of the model (on Debian and Ubuntu: apt-get install ffmpeg)."
# The engine of this family hands each file to ffmpeg, whatever its format (read in 4.1.0, model/audio/whisper.py). The other families
# of speech to text decode with packages of their own.
_FAMILY = "whisper"


def needs(model: t.Mapping[str, t.Any], host: str) -> bool:
    """Whether a declared model that may run on this host decodes sound by ffmpeg."""
    if model.get("type") != "audio" or model.get("state", "present") == "absent":
        return False
    # One for a worker that is named runs there; an address is compared nowhere, and is another host's.
    if model.get("worker") not in (None, "", host):
        return False
    definition = model.get("definition")
    if definition:
        return definition.get("family") == _FAMILY
    return _FAMILY in str(model.get("name") or model.get("uid")).lower()


def refusal(declared: t.Iterable[t.Mapping[str, t.Any]], host: str, search_path: str) -> str:
    """Why a host without ffmpeg cannot carry these models, with the remedy; "" where it can.

    :param search_path: where the server looks for programs (PATH).
    """
    uids = [str(model.get("uid")) for model in declared if needs(model, host)]
    if not uids:
        return ""
    return (
        f"{', '.join(uids)} {'needs' if len(uids) == 1 else 'need'} ffmpeg, with which Xinference decodes every sound, WAV too, and "
        f"this host has none in {search_path}. {REMEDY} If ffmpeg is in another directory, add that to PATH in xinference_environment."
    )
