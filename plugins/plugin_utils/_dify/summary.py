# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result for each plugin, model and default in each Dify. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import LEFT_ALONE
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets.registrations import (
    Choice,
    choices,
    registrations,
)


def summary(
    results: t.Mapping[str, t.Iterable[t.Mapping[str, t.Any]]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Sequence[t.Mapping[str, t.Any]],
    *,
    not_ready: bool,
    proofs: t.Sequence[t.Mapping[str, t.Any]] = (),
    complete: bool = True,
) -> list[dict[str, t.Any]]:
    """One row for each Dify, workspace and plugin, model or default. Where nothing could be done in several workspaces of a
    Dify, for one reason, it is one row of them all.

    :param results: by ``plugin``, ``models`` and ``defaults`` the results in each workspace, each with its ``_call``.
    """
    rows: list[dict[str, t.Any]] = []
    spaces = {
        (result["_call"]["key"], result["_call"]["workspace"]): result["workspace"]["name"]
        for each in results.values()
        for result in each or ()
        if result.get("workspace")
    }
    known = [
        registrations(sources, target, not_ready=not_ready, proofs=proofs, complete=complete) for target in targets
    ]
    # Why nothing more was tried in a workspace: by target and workspace the reason.
    stopped: dict[tuple[int, str], str] = {}
    for what, row_of in (("plugin", _plugin_rows), ("models", _model_rows), ("defaults", _default_rows)):
        for result in results.get(what) or ():
            call = result["_call"]
            space = spaces.get((call["key"], call["workspace"])) or call["workspace"]
            place = {"dify": call["name"], "workspace": space}
            found = row_of(result)
            chosen = choices(sources, targets[call["key"]])
            why = stopped.get((call["key"], call["workspace"]))
            if result.get("skipped"):
                if why and call[what]:
                    _merge(rows, _untried(what, known[call["key"]], chosen, why), place)
                if not (what == "models" and call["models"] and not_ready) or why:
                    continue
                # Check mode cannot ask for the models of a plugin that it did not install.
                coming = known[call["key"]]["models"]
                told = {"action": "register", "why": "after the plugin is installed"}
                found = [_row({**model, **told}, "absent") for model in coming if "model_uid" in model]
            if failed(result) and not any(row["state"] == "failed" for row in found):
                about = {"model": "", "type": "" if what == "models" else what, "state": "failed", "action": "none"}
                _merge(rows, [{**about, "why": result["msg"]}], place)
                if not found:
                    stopped[call["key"], call["workspace"]] = result["msg"]
                    if what != "plugin":
                        _merge(rows, _untried(what, known[call["key"]], chosen, result["msg"]), place)
                    continue
            if what == "models":
                target = targets[call["key"]]
                found = _with_origin(found, known[call["key"]], chosen)
                found = _with_warnings(found, [row for row in proofs if row["dify"] == target["name"]])
            rows += [{**place, **row} for row in found]
    return rows


def _untried(what: str, known: t.Mapping[str, t.Any], chosen: t.Iterable[Choice], why: str) -> list[dict[str, t.Any]]:
    """Rows of the models or defaults of a target that something else kept from being tried.

    :param known: ``registrations`` of the target.
    :param chosen: its ``choices``.
    """
    if what == "defaults":
        about = {"state": "default not tried", "action": "none", "why": why}
        names = {kind: given["name"] if isinstance(given, dict) else given for kind, given in known["defaults"].items()}
        return [{"model": name, "type": kind, **about} for kind, name in names.items()]
    about = {"state": "not tried", "action": "none", "why": why}
    coming = [model for model in known["models"] if model.get("state") not in LEFT_ALONE]
    origins = _origins(chosen)
    return [
        {"model": model["name"], "type": model["type"], **about, **origins.get((model["name"], model["type"]), {})}
        for model in coming
    ]


def _merge(rows: list[dict[str, t.Any]], found: t.Iterable[dict[str, t.Any]], place: t.Mapping[str, t.Any]) -> None:
    """Adds rows of a workspace; to one that says the same of another workspace only the workspace."""
    for row in found:
        new = {"dify": place["dify"], "workspace": place["workspace"], **row}
        # A failure of everything says by its type only what was tried first.
        same = [
            each
            for each in rows
            if {**each, "workspace": "", "type": each["type"] if row["model"] else row["type"]}
            == {**new, "workspace": ""}
        ]
        for each in same:
            spaces = [name or "the current one" for name in (each["workspace"], place["workspace"])]
            each["workspace"] = ", ".join(dict.fromkeys(spaces))
        rows += [] if same else [new]


def failed(result: t.Mapping[str, t.Any]) -> bool:
    """Whether a step failed. All failures are told at the end."""
    return bool(result.get("msg"))


def _plugin_rows(result: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    plugin = result.get("plugin")
    if not isinstance(plugin, dict) or failed(result):
        return []
    state = " ".join(str(word) for word in (plugin["state"], plugin.get("version")) if word)
    return [{"model": plugin["id"], "type": "plugin", "state": state, "action": result["action"], "why": ""}]


def _model_rows(result: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    return [_row(model, "failed" if model.get("error") else model["state"]) for model in result.get("models") or ()]


def _default_rows(result: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    told = result.get("defaults")
    rows = told if isinstance(told, list) else []
    states = {"unknown": "default not compared"}
    return [_row(row, "failed" if row.get("error") else states.get(row["action"], "default")) for row in rows]


def _row(told: t.Mapping[str, t.Any], state: str) -> dict[str, t.Any]:
    about = {"model": told["name"], "type": told["type"], "state": state, "action": told["action"]}
    return {**about, "why": told.get("error") or told.get("why") or ""}


def _with_origin(
    rows: t.Iterable[dict[str, t.Any]], known: t.Mapping[str, t.Any], chosen: t.Iterable[Choice]
) -> list[dict[str, t.Any]]:
    """The models' rows with their cluster and UID, and those that were skipped.

    :param known: ``registrations`` of the target.
    :param chosen: its ``choices``.
    """
    left_out = {(row["model"], row["type"]): {**row, "action": "none"} for row in known["skipped"]}
    # Of an audio model that does not run, the types under which Dify has none.
    ignored = {(model["name"], model["type"]) for model in known["models"] if model.get("state") in LEFT_ALONE}
    told = {
        (row["model"], row["type"]): row
        for row in rows
        if row["state"] != "absent" or (row["model"], row["type"]) not in ignored
    }
    origins = _origins(chosen)
    return [{**row, **origins.get(key, {})} for key, row in {**told, **left_out}.items()]


def _origins(chosen: t.Iterable[Choice]) -> dict[tuple[str, str], dict[str, str]]:
    """By name and type in Dify the cluster and the UID of each wanted model."""
    return {
        (choice.name, choice.kind or choice.model["type"]): {
            "cluster": choice.source["cluster"],
            "uid": choice.model["uid"],
        }
        for choice in chosen
        if choice.must_exist
    }


def _with_warnings(
    rows: t.Iterable[dict[str, t.Any]], proofs: t.Iterable[t.Mapping[str, t.Any]]
) -> list[dict[str, t.Any]]:
    """The rows, where they say nothing else with what a person should know of the proof."""
    warnings = {(row["cluster"], row["uid"]): row["why"] for row in proofs}
    return [{**row, "why": row["why"] or warnings.get((row.get("cluster"), row.get("uid")), "")} for row in rows]
