# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a text to a file on the controller, where it differs. Private to the collection."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


def content(path: str) -> str:
    """The text of the file; "" without one."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as exc:
        raise ModelopsError(f"{path} cannot be read ({exc.strerror}).") from exc


def written(path: str, text: str, *, check: bool, mode: int = 0o644) -> dict[str, t.Any]:
    """Writes it, as a whole or not at all; in check mode tells only whether it would.

    :returns: ``changed`` and ``diff``, as results have them.
    """
    before = content(path)
    if before == text and os.path.exists(path):
        return {"changed": False}
    if not check:
        try:
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", newline="", dir=os.path.dirname(path) or ".", delete=False
            ) as file:
                file.write(text)
            os.chmod(file.name, mode)
            os.replace(file.name, path)
        except OSError as exc:
            raise ModelopsError(f"{path} cannot be written ({exc.strerror}).") from exc
    return {"changed": True, "diff": {"before": before, "after": text, "before_header": path, "after_header": path}}
