# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of the playbook rotate, which replaces secrets of a server that runs. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Dialogue, Options, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.rotation import (
    ADMIN_PASSWORD,
    CLIENT_KEY,
    RECONCILER,
    Rotation,
)
from ansible_collections.modelops.inference.plugins.plugin_utils._site.serve import login

# Names under which the playbook registers the steps.
PASSWORD_RESULT, KEY_RESULT, DIFY_RESULT = "xinference_password_result", "xinference_key_result", "dify_key_result"

Result = t.Mapping[str, t.Any]


def _login(plan: HostPlan, run: Run) -> Options:
    """In check mode the server still has the old password, which a real run has replaced before."""
    told = login(plan.host.settings)
    if not run.check_mode or not run.result(PASSWORD_RESULT).get("changed"):
        return told
    old = plan.host.value("rotate_old_admin_password")
    file = None if old else f"{plan.host.secrets}/admin_password"
    return {**told, "password": old or None, "password_file": file}


def admin_password(plan: HostPlan, run: Run) -> list[Call]:
    host, value = plan.host, plan.host.value
    if ADMIN_PASSWORD not in Rotation.of(host.settings).secrets:
        return []

    def says(result: Result) -> str:
        what = "is already the one of the inventory"
        if result.get("changed"):
            what = "would be replaced" if run.check_mode else "was replaced"
        since = f" (on the host since {result['since']} UTC)" if result.get("since") else ""
        return f"{host.name}: the administrator's password of cluster {host.cluster} {what}{since}"

    options = {
        "endpoint": host.endpoint,
        "username": value("xinference_admin_user"),
        "password": value("rotate_old_admin_password") or None,
        "new_password": value("xinference_admin_password") or None,
        "path": f"{host.secrets}/admin_password",
    }
    return [Call("xinference_password", options, host.interpreter, says=says)]


def reconciler_password(plan: HostPlan, run: Run) -> list[Call]:
    """Replaces the reconciler's password; it reads the file at each turn, so nothing is restarted."""
    host = plan.host
    if RECONCILER not in Rotation.of(host.settings).secrets:
        return []
    who = f"{host.name}: the reconciler of cluster {host.cluster}"
    # A host whose models nobody brings back has no such user.
    if host.reconciler_password not in host.found["files"]:
        none = f"{who} has no password: models_reconcile is off, or the server has no users"
        return [Call("", says=lambda result: none)]

    def says(result: Result) -> str:
        what = "would get a new password; its current one" if run.check_mode else "got a new password, which"
        return f"{who} {what} exists since {result['since']} (UTC)"

    options = {
        "endpoint": host.endpoint,
        **_login(plan, run),
        "user": "reconciler",
        "path": host.reconciler_password,
        "remember": f"{host.directory}/reconciler/declared.json",
    }
    return [Call("xinference_password", options, host.interpreter, says=says)]


def _key(plan: HostPlan, run: Run) -> Options:
    host = plan.host
    return {"endpoint": host.endpoint, **_login(plan, run), "path": f"{host.secrets}/client_key"}


def key_begun(plan: HostPlan, run: Run) -> list[Call]:
    """The new client key beside the old one. The role dify reads it by ``cluster`` and ``api_key_file`` of the result."""
    host = plan.host
    if CLIENT_KEY not in Rotation.of(host.settings).secrets:
        return []
    options = {**_key(plan, run), "state": "begun"}
    told = {"cluster": host.cluster, "api_key_file": options["path"]}
    return [Call("xinference_key", options, host.interpreter, told)]


def key_waits(plan: HostPlan, run: Run) -> Dialogue:
    """Waits once for all hosts of the play, for the longest of their times."""
    readings = [run.of(name, "xinference_found") or {} for name in run.results["ansible_play_hosts"]]
    longest = max((found["plan"]["rotation"]["wait"] for found in readings if "plan" in found), default=0)
    if longest and not run.check_mode:
        yield Call("", delay=longest)
    return {"changed": False}


def key_finished(plan: HostPlan, run: Run) -> list[Call]:
    """The old client key ends, unless somebody may have it.

    :raises ModelopsError: a Dify may have it.
    """
    host, rotation, begun = plan.host, Rotation.of(plan.host.settings), run.result(KEY_RESULT)
    if CLIENT_KEY not in rotation.secrets:
        return []
    held = (run.result(DIFY_RESULT).get("holders") or {}).get(host.name)
    if held:
        raise ModelopsError(held)

    def says(result: Result) -> str:
        if not result.get("since"):
            return ""
        what = "would be replaced; it exists" if run.check_mode else "exists"
        old = " and the old one is still valid" if result.get("old") and not run.check_mode else ""
        return f"{host.name}: the client key of cluster {host.cluster} {what} since {result['since']} (UTC){old}"

    if run.check_mode or not rotation.revokes:
        return [Call("", told={name: begun[name] for name in ("since", "old") if name in begun}, says=says)]
    return [Call("xinference_key", {**_key(plan, run), "state": "finished"}, host.interpreter, says=says)]


STEPS: dict[str, t.Callable[[HostPlan, Run], list[Call]]] = {
    "admin_password": admin_password,
    "key_begun": key_begun,
    "key_finished": key_finished,
    "reconciler_password": reconciler_password,
}
DIALOGUES: dict[str, t.Callable[[HostPlan, Run], Dialogue]] = {"key_waits": key_waits}
