# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All workspaces of an account of one Dify, with one login. Private to the collection.

Failures are reported beside changes: a failed workspace does not block the others.
"""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _secrets
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.workspace_switch import (
    Interrupted,
    WorkspaceSwitch,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs import asking
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.defaults_step import DefaultsStep
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.info_step import InfoStep
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.key_step import KeyStep
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.models_step import ModelsStep
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.plugin_step import PluginStep
from ansible_collections.modelops.inference.plugins.module_utils._dify.runs.workspace_step import WorkspaceStep
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets import proof
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets.registrations import calls, registrations
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Mapping = t.Mapping[str, t.Any]
Result = dict[str, t.Any]
#: Does a step with these options in the workspace that was entered.
Do = t.Callable[[type[WorkspaceStep], Mapping], Result]

OPTIONS: dict[str, t.Any] = dict(
    task=dict(type="str", choices=["register", "read", "replace_keys"], default="register"),
    targets=dict(type="list", elements="dict", required=True),
    clusters=dict(
        type="list",
        elements="dict",
        default=[],
        options=dict(
            cluster=dict(type="str", required=True),
            url=dict(type="str", default=""),
            api_key_file=dict(type="str", default="", no_log=False),
            api_key=dict(type="str", no_log=True),
            models=dict(type="list", elements="dict", default=[]),
            old=dict(type="list", elements="str", default=[]),
        ),
    ),
    complete=dict(type="bool", default=False),
    asked_on=dict(type="str", default="localhost"),
    **_connection.DIFY_ACCOUNT,
)

# A shorter part of a URL would blot out what has nothing to do with it.
_SHORTEST = 4

# Of a step that was not wanted, or that another one kept from being tried.
SKIPPED: Result = {"skipped": True}


class SharedLogin:
    """One login for all workspaces, made when the first is entered; where it fails, once for all of them."""

    def __init__(self, module: AnsibleModule):
        self.module = module
        self._session: DifySession | None = None
        self._failed = ""

    def switch(self, workspace: str, default: str | None) -> WorkspaceSwitch:
        """The way into a workspace.

        :param default: what an unset workspace means.
        """
        p = self.module.params
        dify = self._logged_in()
        if p["admin_key"]:
            dify.use_admin_key(p["admin_key"], workspace)
        return WorkspaceSwitch(dify, p["workspace_file"], default)

    def _logged_in(self) -> DifySession:
        p = self.module.params
        if self._failed:
            raise ModelopsError(self._failed)
        try:
            if self._session is None:
                found = DifySession.connected(self.module)
                if not p["admin_key"]:
                    found.log_in(p["email"], p["password"])
                self._session = found
        except ModelopsError as exc:
            self._failed = str(exc)
            raise
        return self._session


class WorkspacesRun:
    """A run of the module."""

    def __init__(self, module: AnsibleModule):
        self.module, self.p, self.check = module, module.params, module.check_mode
        self.login = SharedLogin(module)
        self.targets: list[Mapping] = self.p["targets"]
        self.sources: list[Mapping] = self.p["clusters"]
        self.proofs: list[Result] = []
        self.rows: list[Result] = []
        self.did: list[Result] = []  # results of steps, with their plan and diff

    def run(self) -> Result:
        if self.p["task"] == "register":
            self.proofs = self._prove()
        for call in calls(self.targets):
            target = self.targets[call["key"]]
            done = self._workspace(target, call)
            self.rows.append({"target": target["name"], "workspace": call["workspace"], **done})
        diffs = [one["diff"] for one in self.did if one.get("plan") and "diff" in one]
        return {
            "changed": any(one.get("changed") for one in self.did),
            "plan": [line for one in self.did for line in one.get("plan") or ()],
            **({"diff": diffs} if diffs else {}),
            "proofs": self.proofs,
            "workspaces": self.rows,
        }

    def _prove(self) -> list[Result]:
        """Asks Xinference at the addresses that this Dify uses. Dify's own try proves none."""
        asked = proof.questions(self.sources, self.targets)
        keys = {source["cluster"]: source["api_key"] or "" for source in self.sources}
        probed = [asking.from_this_machine(self.module, one, keys[one["cluster"]]) for one in asked["probes"]]
        hooked = [asking.from_dify(one, keys[one["cluster"]]) for one in asked["hooks"]]
        return proof.verdicts(self.sources, self.targets, probed, hooked, self.p["asked_on"])

    def _workspace(self, target: Mapping, call: Mapping) -> dict[str, Result]:
        """The results of the steps by name, of one workspace."""
        done: dict[str, Result] = {}
        try:
            switch = self.login.switch(call["workspace"], target.get("workspace"))
            with switch.entered(call["workspace"]) as comparable:

                def do(kind: type[WorkspaceStep], options: Mapping) -> Result:
                    return self._step(kind, options, switch, comparable)

                _TASKS[self.p["task"]](self, target, call, do, done)
        except Interrupted:
            raise
        except ModelopsError as exc:
            self._not_entered(call, done, exc)
        return done

    def _not_entered(self, call: Mapping, done: dict[str, Result], exc: ModelopsError) -> None:
        """Notes why a workspace could not be entered, or left, with the step that it is told of."""
        tried = [name for name, result in done.items() if not result.get("skipped")]
        wanted = _steps_of(self.p["task"], call)
        name = tried[-1] if tried else wanted[0]
        before = done.get(name, {})
        said = [before["msg"], str(exc)] if before.get("msg") else [str(exc)]
        for other in wanted:
            done.setdefault(other, SKIPPED)
        done[name] = {**{key: value for key, value in before.items() if key != "skipped"}, "msg": " ".join(said)}

    def _step(self, kind: type[WorkspaceStep], options: Mapping, switch: WorkspaceSwitch, comparable: bool) -> Result:
        """The result of one step; where it fails, with the reason as ``msg``."""
        given = {name: value for name, value in options.items() if value is not None}
        try:
            checked = ArgumentSpecValidator(kind.OPTIONS).validate(given)
            if checked.error_messages:
                raise ModelopsError("; ".join(checked.error_messages))
            step = kind(checked.validated_parameters, self.check, self.module.warn)
            result = step.run(switch.dify, switch.staying(comparable, kind.to_change))
        except ModelopsError as exc:
            if isinstance(exc, Interrupted):
                raise
            result = {**exc.result, "msg": str(exc)}
        except Exception as exc:  # what nobody expected of one workspace is no reason to leave out the others
            result = {"msg": f"An error that modelops.inference did not expect: {type(exc).__name__}: {exc}"}
        self.did.append(result)
        return {name: value for name, value in result.items() if name not in ("changed", "plan", "diff", "requests")}

    # -- the tasks ---------------------------------------------------------------------------------------------

    def _register(self, target: Mapping, call: Mapping, do: Do, done: dict[str, Result]) -> None:
        """Plugin, models and defaults; without the plugin there are no models, and without the workspace no defaults."""
        wanted = registrations(
            self.sources, target, not_ready=self.check, proofs=self.proofs, complete=self.p["complete"]
        )
        prune = boolean(target.get("prune") or False) and self.p["complete"]
        done.update(dict.fromkeys(_STEPS["register"], SKIPPED))
        if call["plugin"]:
            done["plugin"] = do(PluginStep, target["plugin"])
        if done["plugin"].get("msg"):
            return
        coming = self.check and done["plugin"].get("action") == "install"
        if call["models"] and (wanted["models"] or prune) and not coming:
            done["models"] = do(
                ModelsStep,
                {
                    "models": wanted["models"],
                    **{name: target.get(name) for name in ("allow_loopback", "update_secret", "clean_credentials")},
                    "prune": prune,
                    "prune_prefix": target.get("credential_name") or None,
                    "prune_server_urls": wanted["server_urls"],
                },
            )
        if call["defaults"] and ("models" in done["models"] or not done["models"].get("msg")):
            pending = [
                {"name": model["name"], "type": model["type"]} for model in wanted["models"] if "model_uid" in model
            ]
            done["defaults"] = do(DefaultsStep, {"defaults": wanted["defaults"], "pending": pending})

    def _read(self, target: Mapping, call: Mapping, do: Do, done: dict[str, Result]) -> None:
        done["read"] = do(InfoStep, {"credentials": True})

    def _replace_keys(self, target: Mapping, call: Mapping, do: Do, done: dict[str, Result]) -> None:
        """Replaces the keys of the plugin's models; without the plugin no model has a key."""
        keys = [
            {"cluster": source["cluster"], "old": source["old"], "new": source["api_key"]} for source in self.sources
        ]
        done["keys"] = do(KeyStep, {"keys": keys}) if call["models"] else SKIPPED


_TASKS: dict[str, t.Callable[[WorkspacesRun, Mapping, Mapping, Do, dict[str, Result]], None]] = {
    "register": WorkspacesRun._register,
    "read": WorkspacesRun._read,
    "replace_keys": WorkspacesRun._replace_keys,
}
# The steps of each task.
_STEPS = {"register": ("plugin", "models", "defaults"), "read": ("read",), "replace_keys": ("keys",)}


def _steps_of(task: str, call: Mapping) -> list[str]:
    """The steps that a task tries in a workspace, at least one."""
    return [name for name in _STEPS[task] if call.get(name, True)] or list(_STEPS[task])


def work(module: AnsibleModule) -> Result:
    p = module.params
    module.no_log_values.update(_logins([p["targets"], p["clusters"], p["proxy"]]))
    _secrets.hide(*module.no_log_values)
    return WorkspacesRun(module).run()


def _logins(value: t.Any) -> set[str]:
    """The logins in the URLs of a value, at any depth, and their passwords."""
    if isinstance(value, dict):
        return {found for item in value.values() for found in _logins(item)}
    if isinstance(value, (list, tuple)):
        return {found for item in value for found in _logins(item)}
    logins = re.findall(r"://([^/\s]*)@", value) if isinstance(value, str) else []
    passwords = [login.partition(":")[2] for login in logins]
    return {found for found in [*logins, *passwords, *map(unquote, passwords)] if len(found) >= _SHORTEST}
