# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions as numbers: as text, '10' is less than '8'. Private to the collection."""

from __future__ import annotations

import re


def numbers(version: str) -> tuple[int, ...]:
    """580.95.05 as (580, 95, 5). An epoch before it and what stands behind the numbers do not count; () where there is none."""
    found = re.match(r"(?:\d+:)?\D{0,2}(\d+(?:\.\d+)*)", version.strip())
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def branch(version: str) -> int:
    """The driver branch: 580 of 580.95.05; 0 of no version."""
    return (numbers(version) or (0,))[0]


def same(one: str, other: str) -> bool:
    """Whether two versions are the same as far as the shorter one goes: 580 and 580.95.05 are."""
    left, right = numbers(one), numbers(other)
    length = min(len(left), len(right))
    return length > 0 and left[:length] == right[:length]
