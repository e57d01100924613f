# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over a whole server or cluster, with one login: accounts, definitions, models and their proof. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions as declared_definitions,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.runs import accounts, definitions, models
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import admin

OPTIONS = {**accounts.OPTIONS, "definitions": definitions.DEFINITIONS, **models.OPTIONS}

Result = dict[str, t.Any]
_NOTHING: Result = {"changed": False, "plan": [], "diff": []}
# Keys of `resume` beside those of the models' run: what came of the accounts and the definitions.
_EARLIER = "earlier"


def run(client: Client, p: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> Result:
    """The module's result.

    :param p: the options above, and the administrator's username.
    :raises ModelopsError: naming the part that failed and those that were not begun, with what was done until then.
    """
    resume = dict(p["resume"] or {})
    found: Result = resume.pop(_EARLIER, None) or _before_the_models(client, p, warn)
    if found.get("needs_setup"):
        warn(
            f"{client.endpoint} has no administrator yet, and check mode does not claim it: its definitions and models cannot be compared"
        )
        return {**found, "pending": False, "progress": []}
    done = _part(found, "models", (), lambda: models.run(client, {**p, "resume": resume or None}, warn))
    if done["pending"]:
        done["resume"] = {**done["resume"], _EARLIER: found}
    return done


def _before_the_models(client: Client, p: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> Result:
    # Before anything is sent, each part refuses what cannot be meant.
    admin.desired(p["users"], p["keys"], p["username"])
    declared_definitions.desired(p["definitions"])
    models.desired(p, client.session.check_mode)
    left = ("definitions", "models") if p["definitions"] else ("models",)
    found = _part(
        {**_NOTHING, "definitions": []},
        "administrator, users and keys",
        left,
        lambda: accounts.run(client, p, warn),
    )
    if not p["definitions"] or found["needs_setup"]:
        return found
    # A server in local mode has no other worker that might lack one.
    remember = p["remember"] if models.of_cluster(p) else None
    options = {**p, "replace": False, "remember": remember}
    return _part(found, "definitions", ("models",), lambda: definitions.run(client, options, warn))


def _part(before: Result, name: str, left: t.Sequence[str], work: t.Callable[[], Result]) -> Result:
    """The earlier results together with the result of a part.

    :param left: parts that cannot follow where this one fails.
    """
    try:
        return _together(before, work())
    except ModelopsError as exc:
        follows = f"\nThis was {name} of the run. Not started because of it: {', '.join(left)}." if left else ""
        raise ModelopsError(f"{exc}{follows}", **_together(before, exc.result)) from exc


def _together(before: Result, result: Result) -> Result:
    diff = result.get("diff") or {}
    shown = [diff] if diff.get("before") or diff.get("after") else []
    return {
        **before,
        **result,
        "changed": before["changed"] or bool(result.get("changed")),
        "plan": before["plan"] + result.get("plan", []),
        "diff": before["diff"] + shown,
    }
