# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON files that another user can write: read up to a limit, and validated. Private to the collection."""

from __future__ import annotations

import dataclasses
import json
import typing as t

# Bytes. The largest file that is written here, of a thousand models, has two million.
LIMIT = 16 << 20
_NUMBER = (int, float)


def load(file: t.BinaryIO) -> t.Any:
    """The content of an open file.

    :raises ValueError: it is no JSON, or too large.
    """
    content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise ValueError(f"it is larger than {LIMIT >> 20} MiB")
    try:
        return json.loads(content)
    except RecursionError as exc:
        raise ValueError("its values are nested too deeply") from exc


def check(name: str, value: t.Any, *kinds: t.Any) -> t.Any:
    """The value, where it and all in it are of these types.

    :param kinds: of the value, of what is in it, and so on.
    :raises TypeError: with the name of the value and its type.
    """
    kind, below = kinds[0], kinds[1:]
    if not isinstance(value, kind) or (kind == _NUMBER and isinstance(value, bool)):
        raise TypeError(f"{name} is of the type {type(value).__name__}")
    items = value.items() if isinstance(value, dict) else enumerate(value) if below else ()
    for key, item in items if below else ():
        check(f"{name}.{key}", item, *below)
    return value


def like(example: t.Any, row: t.Mapping[str, t.Any]) -> t.Any:
    """A dataclass like the example, of values of the types that its fields have there; where that is None, any plain one.

    :raises TypeError: a value is of another type, or has no field.
    """
    for field in dataclasses.fields(example):
        if field.name not in row:
            continue
        default = getattr(example, field.name)
        if default is not None:
            check(field.name, row[field.name], _NUMBER if isinstance(default, _NUMBER) else type(default))
    return dataclasses.replace(example, **row)


def number_or_none(name: str, value: t.Any) -> t.Any:
    return None if value is None else check(name, value, _NUMBER)
