# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of what the role accelerator installed on a host, kept for the removal. Private to the collection."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._host.system import shell

#: Keys of the record that tasks extend beyond the plan.
EXTENDED = ("parts", "users", "packages", "held")


def read(path: str) -> dict[str, t.Any]:
    """The record; empty where there is none, or one that was cut off: then nothing is known to be the role's."""
    try:
        found = json.loads(shell.read_file(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def text(record: t.Mapping[str, t.Any]) -> str:
    return json.dumps(record, indent=4, sort_keys=True) + "\n"


def extended(
    planned: t.Mapping[str, t.Any],
    there: t.Mapping[str, t.Any],
    *,
    before: t.Collection[str] = (),
    now: t.Collection[str] = (),
    users: t.Collection[str] = (),
    parts: t.Sequence[str] | None = None,
    held: t.Sequence[str] | None = None,
) -> dict[str, t.Any]:
    """The record after one more step of the run. Pure.

    :param planned: as far as the plan determines it.  :param there: as an earlier step of the run left it.
    :param before: packages before the installation, and ``now`` after it; the difference came with it.
    :param parts: of Huawei's that are there now; None where no installer ran.
    :param held: packages whose hold is the role's own; None where none was set.
    """
    found = {**planned, **{key: there[key] for key in EXTENDED if key in there}}
    found["packages"] = sorted({*found["packages"], *(set(now) - set(before))})
    found["users"] = list(dict.fromkeys([*found["users"], *users]))
    found["parts"] = found["parts"] if parts is None else list(parts)
    found["held"] = found["held"] if held is None else list(held)
    return found
