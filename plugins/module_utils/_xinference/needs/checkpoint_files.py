# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts from the files of a checkpoint: a directory of Hugging Face, or a GGUF file. Private to the collection."""

from __future__ import annotations

import os
import re
import struct
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _json
from ansible_collections.modelops.inference.plugins.module_utils._directory import followed
from ansible_collections.modelops.inference.plugins.module_utils._xinference.needs.checkpoints import (
    Checkpoint,
    checkpoint,
)


def read_checkpoint(
    path: str, size: t.Any = None, model_format: str | None = None, quantization: str | None = None
) -> Checkpoint | None:
    """From the files at a path: a directory of Hugging Face, or a GGUF file. None where they tell nothing."""
    try:
        if os.path.isfile(path):
            with followed(path) as file:
                shape = gguf_shape(file)
            # A split file is named by its first part.
            stem = re.sub(r"-00001-of-\d{5}\.gguf$", "", path)
            parts = [path] if stem == path else _listed(os.path.dirname(path), os.path.basename(stem), ".gguf")
            return checkpoint(shape, size, "ggufv2", quantization, sum(map(os.path.getsize, parts)))
        weights = _listed(path, "", ".safetensors") or _listed(path, "", ".bin") or _listed(path, "", ".gguf")
        config = os.path.join(path, "config.json")
        shape = {}
        if os.path.exists(config):
            with followed(config) as text:
                shape = _json.load(text)
        return checkpoint(shape, size, model_format, quantization, sum(map(os.path.getsize, weights)))
    except (OSError, ValueError, struct.error, TypeError):
        return checkpoint({}, size, model_format, quantization)


def _listed(directory: str, start: str, end: str) -> list[str]:
    return [
        os.path.join(directory, name)
        for name in os.listdir(directory or ".")
        if name.startswith(start) and name.endswith(end)
    ]


# GGUF's types of a value -> how struct reads it; 8 is a string, 9 an array (the format's specification).
_GGUF_TYPES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_LONGEST = 2**26
_GGUF_NAMES = {
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "expert_count": "num_experts",
    "full_attention_interval": "full_attention_interval",
}


def gguf_shape(file: t.BinaryIO) -> dict[str, t.Any]:
    """The shape that the head of a GGUF file tells, by Hugging Face's names.

    :raises ValueError: it is no GGUF file.
    """
    if file.read(4) != b"GGUF":
        raise ValueError("not a GGUF file")

    def number(code: str) -> t.Any:
        return struct.unpack("<" + code, file.read(struct.calcsize("<" + code)))[0]

    def value(kind: int) -> t.Any:
        if kind == 8:
            size = number("Q")
            if size > _LONGEST:
                raise ValueError("a text in a GGUF file that is longer than any")
            return file.read(size).decode("utf-8", "replace")
        if kind == 9:
            element, length = number("I"), number("Q")
            if element in (8, 9):
                return [value(element) for _item in range(length)]
            if element not in _GGUF_TYPES or length > _LONGEST:
                raise ValueError("a list in a GGUF file that cannot be read")
            return list(struct.unpack(f"<{length}{_GGUF_TYPES[element]}", file.read(length * _width(element))))
        if kind not in _GGUF_TYPES:
            raise ValueError(f"unknown type {kind} in a GGUF file")
        return number(_GGUF_TYPES[kind])

    number("I")  # the format's version
    number("Q")  # number of tensors
    shape: dict[str, t.Any] = {}
    for _pair in range(number("Q")):
        key = value(8)
        found = value(number("I"))
        name = _GGUF_NAMES.get(key.partition(".")[2])
        if name and isinstance(found, list):  # differs by layer: the largest is safe
            found = max(found) if found and not isinstance(found[0], bool) else None
        if name:
            shape[name] = found
        elif key == "tokenizer.ggml.tokens":
            shape.setdefault("vocab_size", len(found))
            break  # what describes the model comes first
    return shape


def _width(kind: int) -> int:
    return struct.calcsize("<" + _GGUF_TYPES[kind])
