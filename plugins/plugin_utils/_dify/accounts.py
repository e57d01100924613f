# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets by account, as the module dify_workspaces takes them, and its results by target. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.targets.registrations import calls

Mapping = t.Mapping[str, t.Any]

# Of a target, the Dify, the account and the way to it.
CONNECTION = ("url", "email", "password", "admin_key", "ca_path", "validate_certs", "proxy")


class Account(t.NamedTuple):
    """One execution of the module: its connection options and its workspaces' tasks."""

    connection: dict[str, t.Any]
    targets: list[dict[str, t.Any]]


def accounts(targets: t.Iterable[Mapping]) -> list[Account]:
    """The targets by Dify and account, in their order."""
    found: dict[tuple[t.Any, ...], Account] = {}
    for target in targets:
        connection = {name: target[name] for name in CONNECTION if target.get(name) is not None}
        wanted = {name: value for name, value in target.items() if name not in CONNECTION and value is not None}
        found.setdefault(tuple(connection.items()), Account(connection, [])).targets.append(wanted)
    return list(found.values())


def by_call(
    targets: t.Sequence[Mapping], answers: t.Iterable[tuple[Account, Mapping]], steps: t.Sequence[str]
) -> dict[str, list[dict[str, t.Any]]]:
    """The results of steps in each workspace, by step and in the order of the targets, each with its call as ``_call``.

    Of an execution that failed itself, each workspace has its reason.

    :param answers: of each account what the module returned.
    """
    rows: dict[tuple[str, str], Mapping] = {}
    broken: dict[str, str] = {}
    for account, answer in answers:
        rows.update({(row["target"], row["workspace"]): row for row in answer.get("workspaces") or ()})
        if "workspaces" not in answer:
            broken.update(dict.fromkeys((target["name"] for target in account.targets), _reason(answer)))
    found: dict[str, list[dict[str, t.Any]]] = {step: [] for step in steps}
    for call in calls(targets):
        row: Mapping = rows.get((call["name"], call["workspace"]), {})
        if call["name"] in broken:
            first = next((step for step in steps if call.get(step, True)), steps[0])
            row = {first: {"msg": broken[call["name"]]}}
        for step in steps:
            found[step].append({**row.get(step, {"skipped": True}), "_call": call})
    return found


def _reason(answer: Mapping) -> str:
    return str(answer.get("msg") or answer.get("module_stderr") or "the module ended without a result").strip()
