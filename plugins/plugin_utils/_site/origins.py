# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file and line of an inventory value, if Ansible knows it (since ansible-core 2.19). Private to the collection."""

from __future__ import annotations

import importlib
import re
import typing as t

from ansible.module_utils.common.yaml import yaml_load
from yaml import YAMLError


def place(value: t.Any) -> str:
    """File and line of a value; empty where nobody knows."""
    found = _origin(value)
    path = getattr(found, "path", None)
    if path:
        return f"{path}:{found.line_num}" if getattr(found, "line_num", None) else str(path)
    return str(getattr(found, "description", None) or "")


def written(value: t.Any, keys: t.Sequence[str] = ()) -> tuple[str, str]:
    """A plain scalar as it is written in its file, which YAML may read as another one, and its place; empty where nobody knows.

    :param keys: under which it stands. Before ansible-core 2.19 only texts have a place, so a number has that of its key.
    """
    for of in (value, *keys):
        found, key = _origin(of), str((keys or [""])[0])
        try:
            with open(found.path, encoding="utf-8") as file:
                line = file.read().splitlines()[found.line_num - 1]
            column = getattr(found, "col_num", None)
            rest = line[column - 1 :] if column else line  # of an INI file only the line is known
            if of is not value or not column:
                rest = re.split(rf"(?<![\w.-]){re.escape(key)}[\"']?\s*[:=]\s*", rest, maxsplit=1)[1]
            text = re.match(r"[^\s,}\]#]*", rest)[0]  # type: ignore[index]
            read = yaml_load(text)
        except (AttributeError, IndexError, OSError, TypeError, ValueError, YAMLError):
            continue
        # The key of a variable that several files have may be of another one than the value.
        if (type(read), read) == (type(value + 0), value):
            return text, f"{found.path}:{found.line_num}"
    return "", ""


def _origin(value: t.Any) -> t.Any:
    old = getattr(value, "ansible_pos", None)  # before 2.19, of texts
    if isinstance(old, tuple) and len(old) == 3 and old[0]:
        return _Position(*old)
    try:
        return importlib.import_module("ansible._internal._datatag._tags").Origin.get_tag(value)
    except (ImportError, AttributeError, TypeError):
        return None


class _Position(t.NamedTuple):
    path: str
    line_num: int
    col_num: int
