# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Digests of files, read in blocks. Private to the collection."""

from __future__ import annotations

import hashlib
import typing as t

BLOCK = 1 << 20


def digest(path: str, algorithm: str = "sha256") -> str:
    with open(path, "rb") as file:
        return digest_of(file, algorithm)


def digest_of(file: t.BinaryIO, algorithm: str = "sha256") -> str:
    value = hashlib.new(algorithm)
    for block in iter(lambda: file.read(BLOCK), b""):
        value.update(block)
    return value.hexdigest()
