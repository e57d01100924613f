# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes of common embedding, rerank and audio models. Private to the collection. Pure.

Xinference's catalogue tells the size of LLMs only, and the names of these models seldom do. The table goes by the catalogue of 4.1.0.
"""

from __future__ import annotations

import re

from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import models
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs import checkpoints, engines

# Name in Xinference's catalogue -> millions of parameters: the column "Model Size (Million Parameters)" of the MTEB leaderboard
# (huggingface.co/spaces/mteb/leaderboard) for embedding models, the model cards on Hugging Face for rerank models, and the table of
# sizes in openai/whisper's README for whisper.
MILLIONS: dict[str, float] = {
    "bge-m3": 567, "bge-large-en": 335, "bge-large-en-v1.5": 335, "bge-large-zh": 326, "bge-large-zh-v1.5": 326,
    "bge-base-en": 109, "bge-base-en-v1.5": 109, "bge-base-zh": 102, "bge-base-zh-v1.5": 102, "bge-small-en-v1.5": 33,
    "bge-small-zh": 24, "bge-small-zh-v1.5": 24, "bce-embedding-base_v1": 279, "e5-large-v2": 335, "multilingual-e5-large": 560,
    "gte-base": 109, "gte-large": 335, "gte-Qwen2": 7613, "jina-clip-v2": 865, "jina-embeddings-v2-small-en": 33,
    "jina-embeddings-v2-base-en": 137, "jina-embeddings-v2-base-zh": 161, "jina-embeddings-v3": 572, "jina-embeddings-v4": 3755,
    "m3e-small": 24, "m3e-base": 102, "m3e-large": 326, "text2vec-base-chinese": 102, "text2vec-base-chinese-paraphrase": 118,
    "text2vec-base-multilingual": 118, "text2vec-large-chinese": 326,
    "bge-reranker-base": 278, "bge-reranker-large": 560, "bge-reranker-v2-m3": 568, "bge-reranker-v2-gemma": 2510,
    "bge-reranker-v2-minicpm-layerwise": 2720, "bce-reranker-base_v1": 278, "jina-reranker-v2": 278, "jina-reranker-v3": 597,
    "jina-reranker-m0": 2440, "minicpm-reranker": 2720,
    "whisper-tiny": 39, "whisper-tiny.en": 39, "whisper-base": 74, "whisper-base.en": 74, "whisper-small": 244,
    "whisper-small.en": 244, "whisper-medium": 769, "whisper-medium.en": 769, "whisper-large-v3": 1550,
    "whisper-large-v3-turbo": 809, "Belle-whisper-large-v3-zh": 1550, "SenseVoiceSmall": 234,
}  # fmt: skip
# These encoders are published in 32 bits and loaded so, unless torch_dtype or the engine says otherwise.
_ENCODERS = re.compile(r"^(bge-(?!reranker-v2-(gemma|mini))|bce-|e5-|multilingual-e5|m3e-|text2vec-)")
_IN_NAME = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)M(?![a-zA-Z])")


def checkpoint(model: models.Model) -> checkpoints.Checkpoint | None:
    """The data of a model known by its name alone; None for an unknown name.

    A custom model goes by its repository on the hub, because its own name may be any.
    """
    options = model.options
    definition = options["definition"]
    name = str((definition or {}).get("hub_id") or "").rpartition("/")[2] if definition else model.name
    named = _IN_NAME.search(name)
    millions = MILLIONS.get(name) or (float(named.group(1)) if named else None)
    if model.type == "LLM" or millions is None:
        return None
    found = checkpoints.checkpoint({}, millions / 1000, options["format"], options["quantization"])
    wide = _ENCODERS.match(name) and engines.of(model) == "sentence_transformers"
    if (
        found
        and wide
        and options["format"] in (None, "pytorch")
        and not (options["engine_options"] or {}).get("torch_dtype")
    ):
        return checkpoints.Checkpoint(2 * found.weights, checkpoints.COARSE)
    return found
