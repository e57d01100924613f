# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of results for each model in each Dify, for people. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

_HEAD = ("Dify", "workspace", "model", "type", "state", "done", "why")


def table(rows: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """The lines, in which each reason stands once.

    :param rows: ``dify_results``.
    """
    reasons = list(dict.fromkeys(row["why"] for row in rows if row["why"]))
    cells = [_HEAD]
    for row in rows:
        reason = f"({reasons.index(row['why']) + 1})" if row["why"] else ""
        told = (row[name] or "" for name in ("dify", "workspace", "model", "type", "state", "action"))
        cells.append((*told, reason))  # type: ignore[arg-type]
    widths = [max(len(each[column]) for each in cells) + 2 for column in range(len(_HEAD) - 1)]
    lines = ["".join([*(f"{text:<{width}}" for text, width in zip(each, widths)), each[-1]]) for each in cells]
    return [*lines, *(line for number, reason in enumerate(reasons, 1) for line in ("", f"({number}) {reason}"))]


def failed_difys(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """The Difys at which something failed."""
    return list(dict.fromkeys(row["dify"] for row in rows if row["state"] == "failed"))
