# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The number of a model's parameters, and their type in a checkpoint. Private to the collection. Pure.

The catalogue tells neither for certain: its shapes know no experts, some of its sizes count only the active parameters, and
"unquantized" means whatever type the publisher trained in.
"""

from __future__ import annotations

import re
import typing as t

# Checkpoints that are published in fewer than 16 bits and that the catalogue calls unquantized -> bits of a weight of the
# layers. By the model cards of deepseek-ai (FP8), moonshotai (Kimi-K2 in FP8, Kimi-K2-Thinking and K2.5 in INT4), MiniMaxAI
# (FP8) and openai (MXFP4).
_NATIVE = (
    (r"deepseek-(r1|v3)(\.\d|-\d{4}|-zero|-base|-exp|-terminus|-speciale)*", 8.0),
    (r"deepseek-prover-v2-671b", 8.0),
    (r"kimi-k2-(base|instruct)(-\d{4})?", 8.0),
    (r"kimi-k2(-thinking|\.\d\w*)", 4.5),
    (r"minimax-m2(\.[125])?", 8.0),
    (r"gpt-oss-\d+b", 4.5),
)
# Suffixes of names that tell the type.
_NAMED = ((r".*-(nv|mx)?fp4|.*-(bnb-)?(int4|4bit|w4a16)", 4.5), (r".*-(fp8|int8|8bit|w8a8)", 8.2), (r".*-bf16", 16.0))
# Families whose plain checkpoints are in 16 bits: smaller ones have names of their own.
_PLAIN = re.compile(r"(meta-)?llama-|code-?llama|qwen|mi[sx]tral|deepseek-v2|glm-4|ernie-4")
# Sizes as they are written. A definition that somebody registered may have any text.
_SPELLED = re.compile(r"([0-9]{1,6}(?:[._][0-9]{1,9})?)[ ]?([bBmM]?)")
# From this size on a checkpoint of an unknown family may be in 16, 8 or 4 bits.
_LARGE = 100.0
# Parameters of models whose names and catalogue tell only how many are active (model cards of Qwen).
_TOTALS = {"qwen1.5-moe-a2.7b": 14.3}


def billions(size: t.Any) -> float | None:
    """Billions of parameters of Xinference's spelling ("1_7"), or of a person's in a definition ("0.5b", "500M"); None where it is none."""
    found = _SPELLED.fullmatch(str(size).strip())
    return float(found[1].replace("_", ".")) * (0.001 if found[2] in ("m", "M") else 1) if found else None


def same(left: t.Any, right: t.Any) -> bool:
    """Whether two spellings mean the same size."""
    known = billions(left)
    return known == billions(right) if known is not None else str(left) == str(right)


def total(size: t.Any, model_id: str | None) -> t.Any:
    """The nominal size of a model, which counts all experts; what the catalogue says where its name does not say otherwise."""
    name, known = _base(model_id), billions(size)
    found = re.search(r"(\d+(?:\.\d+)?)b-a\d+(?:\.\d+)?b", name)
    said = float(found.group(1)) if found else next((b for text, b in _TOTALS.items() if name.startswith(text)), None)
    # 30 and 30.5 are the same; 14 and 57 are not.
    return said if said is not None and known is not None and said > 1.5 * known else size


def stored(model_id: str | None, size: t.Any, formats: t.Collection[str]) -> float | None:
    """Bits of a weight of a checkpoint that is called unquantized; None where nobody knows.

    :param formats: that the family has in this size.
    """
    name, known = _base(model_id), billions(size)
    for text, bits in (*_NATIVE, *_NAMED):
        if re.fullmatch(text, name):
            return bits
    # A plain checkpoint beside one in FP8 is in 16 bits.
    certain = _PLAIN.match(name) or "fp8" in formats or known is None or known < _LARGE
    return 16.0 if certain else None


def _base(model_id: str | None) -> str:
    return str(model_id or "").rpartition("/")[2].lower()


def agree(parameters: float, nominal: float | None) -> bool:
    """Whether the parameters of a shape may be those of a model of this nominal size.

    Shapes without their experts come to a small part of it. Small models' nominal sizes are rounded more than large ones'.
    """
    if nominal is None:
        return True
    ratio = parameters / (nominal * 1e9)
    return 0.6 <= ratio <= (1.5 if nominal >= 4 else 1.9)
