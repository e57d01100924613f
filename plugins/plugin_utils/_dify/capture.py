# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the registrations of Difys as ``dify_targets``. Only reads them. Private to the collection."""

from __future__ import annotations

import typing as t

import yaml
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._dify import captured_targets
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.accounts import by_call
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.task import Task, native
from ansible_collections.modelops.inference.plugins.plugin_utils._local_file import content, written

# The variable that the step ``declared`` leaves on the host of each cluster.
DECLARED = "__dify_declared"


def declared(task: Task) -> dict[str, t.Any]:
    """The declared models of each cluster, by its host."""
    cluster = task.get("xinference_cluster") or task.host
    return {
        "changed": False,
        "cluster": cluster,
        "url": task.get("dify_capture_url"),
        "uids": task.get("dify_capture_uids"),
    }


def capture(task: Task) -> dict[str, t.Any]:
    """Reads each workspace, and writes the file where it is not there, is the same or may be replaced."""
    targets, dest = task.targets(), task.get("dify_capture_dest")
    answers, told = task.in_workspaces("read", targets)
    results = by_call(targets, answers, ("read",))["read"]
    failures = list(dict.fromkeys(result["msg"] for result in results if result.get("msg")))
    if failures:
        raise ModelopsError("\n".join([*failures, f"{dest} was neither compared nor written."]))
    unread = list(dict.fromkeys(result["not_read"] for result in results if "not_read" in result))
    if unread:
        task.say(*unread, f"{dest} was neither compared nor written.")
        return told
    sources = [native(value) for value in task.play.having(DECLARED).values()]
    found = captured_targets.capture(results, targets, sources)
    text = file_text(found)
    if content(dest) not in ("", text) and not boolean(task.get("capture_replace") or False, strict=False):
        raise ModelopsError(
            f"{dest} exists and differs from the models in Dify. Compare:  --check --diff -e capture_replace=true. Then "
            "name another file (dify_capture_dest), or overwrite it with -e capture_replace=true."
        )
    done = written(dest, text, check=task.check)
    number = sum(len(target["overrides"]) for target in found.targets)
    defines = [f"Define {name}: {what}." for name, what in found.variables.items()]
    task.say(f"{number} models of Dify are in {dest}.", *defines, *found.notes)
    return {**told, **done}


def file_text(found: captured_targets.Captured) -> str:
    """The file: YAML for ``-e @FILE``."""
    lines = [
        "---",
        "# Models registered in Dify. Pass this file with -e @FILE, or replace the inventory's dify_targets with its content.",
    ]
    lines += [f"# Define {name}: {what}, with ansible-vault." for name, what in found.variables.items()]
    lines += [f"# {note}" for note in found.notes]
    targets = yaml.safe_dump(
        native(found.targets), indent=2, allow_unicode=True, default_flow_style=False, sort_keys=False
    )
    return "\n".join([*lines, "dify_targets:", targets])
