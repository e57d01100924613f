# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task of the role dify, as its steps see it: variables, the play, and the module that speaks to Dify. Private to the collection."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle.bundle import plugin_file
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.accounts import Account, accounts
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.clusters import Play
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.play_targets import union
from ansible_collections.modelops.inference.plugins.plugin_utils._site import kinds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import say

MODULE = "modelops.inference.dify_workspaces"
# Of a target, what nobody may read.
SECRETS = ("password", "admin_key")


class Task:
    """
    :param action: the action plugin.
    """

    def __init__(self, action: t.Any, task_vars: dict[str, t.Any]):
        self.action, self._vars = action, task_vars
        self.host: str = task_vars["inventory_hostname"]
        self.check = bool(action._task.check_mode)
        self.play = Play(
            list(task_vars["ansible_play_hosts_all"]),
            list(task_vars["ansible_play_batch"]),
            task_vars["groups"],
            "ansible_limit" in task_vars,
            lambda host: task_vars["hostvars"][host],
        )
        self.warnings: list[t.Any] = []

    def get(self, name: str) -> t.Any:
        """A variable as its role's option has it; the default where it is not given."""
        if name not in self._vars:
            return self.play.cluster_hosts() if name == "dify_cluster_hosts" else SPECS.defaults.get(name)
        value = native(self.action._templar.template(self._vars[name]))
        return kinds.typed(value, SPECS.options[name]) if name in SPECS.options else value

    def targets(self) -> list[dict[str, t.Any]]:
        """The variable ``dify_targets`` of every cluster's host of the play, each target once."""
        named, everyone = self._targets_of_hosts(), self.play.servers()
        for target in (each for targets in named.values() for each in targets):
            _secrets.hide(*(target.get(name) for name in SECRETS))
        return union(named, everyone, self.play.cluster_of)

    def who_names(self, targets: t.Iterable[str], sentence: str) -> str:
        """The host, with its cluster, whose inventory names the target that a sentence begins with; else the first one.

        :param targets: names of all targets.
        """
        about = [name for name in targets if sentence.startswith(f"{name}: ")]
        hosts = [
            host
            for host, named in self._targets_of_hosts().items()
            if not about or about[0] in [target["name"] for target in named]
        ]
        host = next(iter(hosts), self.host)
        return f"{host} (cluster {self.play.cluster_of(host)})"

    def _targets_of_hosts(self) -> dict[str, list[dict[str, t.Any]]]:
        own, option = self.get("dify_targets"), SPECS.options["dify_targets"]
        found = {
            host: kinds.typed(native(value), option) or [] for host, value in self.play.having("dify_targets").items()
        }
        # The play itself may give the variable, or a role's parameter; then it is that of all hosts.
        shared = own and found.get(self.host) != own
        return {host: own if shared else found[host] for host in self.play.servers() if shared or host in found}

    @property
    def bundle(self) -> str:
        """The bundle that plugins' files are taken from, where it lies on the machine that speaks to Dify; else empty."""
        here = self.get("dify_run_on") == "localhost" and not self.get("xinference_bundle_on_host")
        return str(self.get("xinference_bundle") or "") if here else ""

    def say(self, *lines: str) -> None:
        say(*lines)

    def in_workspaces(
        self,
        task: str,
        targets: t.Sequence[t.Mapping[str, t.Any]],
        clusters: t.Sequence[t.Mapping[str, t.Any]] = (),
        **more: t.Any,
    ) -> tuple[list[tuple[Account, dict[str, t.Any]]], dict[str, t.Any]]:
        """Runs the module once for each Dify and account.

        :returns: its answers, and what the task returns of them.
        """
        told: dict[str, t.Any] = {"changed": False, "plan": [], "diff": [], "warnings": []}
        answers = []
        for account in accounts(packed(targets, self.bundle)):
            args = {
                **account.connection,
                "task": task,
                "targets": account.targets,
                "clusters": [*clusters],
                "workspace_file": self.get("dify_workspace_file"),
                **more,
            }
            answer = self.action._execute_module(module_name=MODULE, module_args=args, task_vars=self._vars)
            answers.append((account, answer))
            told["changed"] = told["changed"] or bool(answer.get("changed"))
            for name in ("plan", "diff", "warnings"):
                told[name] += answer.get(name) or []
        return answers, {name: value for name, value in told.items() if value or name == "changed"}


def packed(targets: t.Iterable[t.Mapping[str, t.Any]], bundle: str) -> t.Iterator[dict[str, t.Any]]:
    """The targets, with the files of plugins from the bundle where it has them."""
    for target in targets:
        plugin = target.get("plugin") or {}
        if bundle and plugin.get("package"):
            yield {
                **target,
                "plugin": {**plugin, "package": plugin_file(bundle, os.path.expanduser(plugin["package"]))},
            }
        else:
            yield {**target}


def native(value: t.Any) -> t.Any:
    """A template's result in Python's own types."""
    if isinstance(value, t.Mapping):
        return {str(key): native(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [native(item) for item in value]
    return json.loads(json.dumps(value, default=str))
