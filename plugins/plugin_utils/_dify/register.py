# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Registers the served models of the play's clusters with every Dify, and writes the connection sheets. Private to the collection."""

from __future__ import annotations

import importlib.util
import sys
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.targets.registrations import dify_type, present
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._dify import keys, sheet, summary
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.accounts import by_call
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.clusters import UNKNOWN, Sight, sight
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.table import failed_difys, table
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.task import Task, native
from ansible_collections.modelops.inference.plugins.plugin_utils._local_file import written
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify, dify_targets

Result = dict[str, t.Any]
# The variable that the step ``cluster`` leaves on the host of each cluster.
CLUSTER = "dify_cluster_result"
# Of a model, what the module needs.
_OF_MODEL = ("uid", "type", "abilities", "tags", "context_length", "declared", "state", "dify")


def cluster(task: Task) -> Result:
    """On the host of each cluster: keeps its key for the step ``register``; without targets writes its connection sheet."""
    served = task.get("xinference_served")
    if not served:
        return {"changed": False}
    path = task.get("dify_connection_sheet")
    if not task.get("dify_targets"):
        source = _as_launched(served) if task.check else served
        return {**_sheets(task, {task.host: (source, path)}, [], []), "sheet": path}
    if served["api_key_file"] and served["models"]:
        try:
            keys.keep(task.host, keys.fetch(task.action, served["api_key_file"]))
        except ModelopsError:
            if not task.check:  # which comes here before there is a key
                raise
    return {"changed": False, "cluster": served["cluster"], "sheet": path}


def _as_launched(served: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """With the models that the run would launch on a server that check mode could not ask."""
    models = [
        {**model, **({"state": "ready"} if model.get("state") == "unknown" else {})} for model in served["models"]
    ]
    return {**served, "models": models}


def check(task: Task, hosts: t.Container[str] | None = None) -> Result:
    """Refuses targets that contradict the declared models of the play's clusters. Sends no request.

    :param hosts: hosts of the clusters that are registered; None for all.
    """
    targets = task.targets()
    lacking = lacks_requests(task.get("dify_run_on"), task.get("dify_python")) if targets else ""
    if lacking:
        raise ModelopsError(lacking)
    found = {host: task.play.declared(host) for host in task.play.hosts if hosts is None or host in hosts}
    declared = {host: native(value) for host, value in found.items() if value is not None and value is not UNKNOWN}
    sources = list(declared.values())
    wrong = dify.wrong(sources, targets, task.get("dify_run_on") == "localhost", task.bundle)
    unknown = dify_targets.unknown(sources, targets) if sources else []
    complete = sight(task.play, task.get("dify_cluster_hosts"), declared).complete
    if wrong or unknown and complete:
        named = [target["name"] for target in targets]
        lines = [*wrong, *(unknown if complete else [])]
        raise ModelopsError("\n".join(f"{task.who_names(named, each)}: dify_targets: {each}" for each in lines))
    if unknown:
        task.say(
            "Warning: this run does not see the declarations of all clusters of the inventory, and no visible cluster declares this: "
            + " ".join(unknown)
        )
    return {"changed": False}


def lacks_requests(run_on: str, python: str) -> str:
    """Why Dify's modules cannot run in this process's own interpreter; empty where they can, or another one runs them.

    :param run_on: the variable ``dify_run_on``.  :param python: ``dify_python``.
    """
    # Its default is told in words where the role's variables are not those of the play.
    own = run_on == "localhost" and (python == sys.executable or not python.startswith("/"))
    if not own or importlib.util.find_spec("requests"):
        return ""
    return (
        f"dify_targets: the Python of this Ansible ({sys.executable}) has no package requests, which the connection to Dify needs. "
        f"Install it ({sys.executable} -m pip install requests), or name a Python that has it as dify_python. Nothing was changed."
    )


def register(task: Task) -> Result:
    """Registers the declared models in every workspace of every Dify, and reports the result."""
    targets = task.targets()
    # Of a cluster whose host names no targets nothing is registered.
    left = {host: value for host, value in task.play.having(CLUSTER).items() if value.get("cluster")}
    check(task, left)
    served = {host: native(task.play.value(host, "xinference_served")) for host in left}
    seen = sight(task.play, task.get("dify_cluster_hosts"), left)
    if not seen.complete:
        task.say(_incomplete(seen))
    sources = list(served.values())
    answers, told = task.in_workspaces(
        "register",
        targets,
        [_cluster(host, source) for host, source in served.items()],
        complete=seen.complete,
        asked_on=task.get("dify_run_on"),
    )
    proofs = [row for _account, answer in answers for row in answer.get("proofs") or ()]
    rows = summary.summary(
        by_call(targets, answers, ("plugin", "models", "defaults")),
        targets,
        sources,
        not_ready=task.check,
        proofs=proofs,
        complete=seen.complete,
    )
    # Where check mode could not compare, a sheet would tell less than the one that is there.
    places = {} if task.check else {host: (source, str(left[host]["sheet"])) for host, source in served.items()}
    sheets = _sheets(task, places, rows, targets)
    broken = failed_difys(rows)
    if broken:
        task.say("", *table(rows), "")
        rest = "Check mode changed nothing." if task.check else "All steps that do not depend on them were done."
        raise ModelopsError(
            f"{len(broken)} of {len(targets)} Dify targets failed ({', '.join(broken)}): see the table above. {rest}"
        )
    told["changed"] = told["changed"] or sheets["changed"]
    diff = [*told.get("diff", ()), *sheets.get("diff", ())]
    left_over = {host: _unregistered(served[host], rows) for host in places}
    to_enter = {host: _lines(host, each, rows, targets) if each["models"] else [] for host, each in left_over.items()}
    return {**told, **({"diff": diff} if diff else {}), "rows": rows, "sheets": sheets["sheets"], "to_enter": to_enter}


def _unregistered(source: t.Mapping[str, t.Any], rows: t.Iterable[t.Mapping[str, t.Any]]) -> Result:
    """What a cluster serves, with only the models for Dify that are registered in none, which a person may enter."""
    there = {row.get("uid") for row in rows if row.get("cluster") == source["cluster"] and row["state"] == "active"}
    left = [model for model in source["models"] if present(model) and dify_type(model) and model["uid"] not in there]
    return {**source, "models": left}


def _cluster(host: str, source: t.Mapping[str, t.Any]) -> Result:
    """A cluster as an option of the module."""
    models = [{name: model[name] for name in _OF_MODEL if name in model} for model in source["models"]]
    about = {name: source[name] for name in ("cluster", "url", "api_key_file")}
    return {**about, "models": models, "api_key": keys.read(host)}


def _incomplete(seen: Sight) -> str:
    return (
        f"Warning: this run does not see the models of all clusters of the inventory ({seen.reason}), so it removes no model from a "
        "Dify, neither by prune nor as absent. Run all clusters in one play with the roles models and dify, without --limit and serial."
    )


def _sheets(
    task: Task,
    places: t.Mapping[str, tuple[t.Mapping[str, t.Any], str]],
    rows: t.Sequence[t.Mapping[str, t.Any]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
) -> Result:
    """Writes the connection sheets.

    :param places: by host what its cluster serves, and the file.
    """
    lines, done = {}, []
    for host, (source, path) in places.items():
        lines[host] = _lines(host, source, rows, targets)
        done.append(written(path, "\n".join(lines[host]) + "\n", check=task.check))
    diff = [one["diff"] for one in done if "diff" in one]
    changed = any(one["changed"] for one in done)
    plan = [
        f"{'~' if one['diff']['before'] else '+'} write {one['diff']['after_header']}" for one in done if "diff" in one
    ]
    return {"changed": changed, "plan": plan, **({"diff": diff} if diff else {}), "sheets": lines}


def _lines(
    host: str,
    source: t.Mapping[str, t.Any],
    rows: t.Sequence[t.Mapping[str, t.Any]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
) -> list[str]:
    key_place = f"stored on {host} in {source['api_key_file']}" if source["api_key_file"] else ""
    return sheet.connection_sheet(source, key_place=key_place, results=rows, targets=targets)
