# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Executions of modules, of which a step of a plan is made. Pure. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

Options = dict[str, t.Any]


@dataclass(frozen=True)
class Call:
    """One execution of a module.

    :param module: its name in the collection; empty where there is only something to tell.
    :param interpreter: Python that runs it; empty for the one that Ansible takes.
    :param told: what the result says, whatever the module returns: a host that somebody else controls returns anything.
    :param assumed: what the result says where the module does not.
    :param may_fail: whether the step goes on, and does not fail, where this one does.
    :param always: whether it is executed also where one before it failed.
    :param says: gives the text of its result for the person who runs the playbook; empty where there is none.
    :param delay: seconds to wait before.
    """

    module: str
    options: Options = field(default_factory=dict)
    interpreter: str = ""
    told: Options = field(default_factory=dict)
    assumed: Options = field(default_factory=dict)
    may_fail: bool = False
    always: bool = False
    says: t.Callable[[t.Mapping[str, t.Any]], str] | None = None
    delay: int = 0


#: A step whose next execution depends on the result of the one before: it gives calls, gets their results, and returns its own. Of that
#: ``said`` is shown to the person who runs the playbook.
Dialogue = t.Generator[Call, t.Mapping[str, t.Any], Options]


@dataclass(frozen=True)
class Run:
    """The variables of a play where a step runs.

    :param results: of steps that ran before, by the names under which the role registers them.
    :param check_mode: whether nothing is changed.
    :param secret: gives a random text by a name. All hosts have the same one in a run, and no variable has it.
    """

    results: t.Mapping[str, t.Any] = field(default_factory=dict)
    check_mode: bool = False
    secret: t.Callable[[str], str] = lambda name: ""

    def result(self, name: str) -> t.Mapping[str, t.Any]:
        return self.results.get(name) or {}

    @property
    def batch(self) -> t.Sequence[str]:
        """Hosts of the batch of the play that have not failed."""
        return self.results.get("ansible_play_batch") or ()

    def of(self, host: str, name: str) -> t.Any:
        """A variable of another host; None where it has none."""
        return self.result("hostvars").get(host, {}).get(name)

    def workers(self, members: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any]]:
        """The workers of a cluster that this run has brought up or found as they must be: host, address (with its port), started, and gpus.

        :param members: of the cluster, as clusters.members has them.
        """
        rows = (self._worker(row["host"]) for row in members.get("workers", ()))
        # Of a worker that failed, or stays stopped, there are no cards.
        return [row for row in rows if row and "gpus" in row]

    def _worker(self, host: str) -> t.Mapping[str, t.Any]:
        """The worker as the step ``worker`` returned it, or from its plan if that had no steps."""
        joined = self.of(host, "xinference_worker")
        found = self.of(host, "xinference_found") or {}
        plan = found.get("plan") or {}
        if joined or plan.get("step") != "site" or plan["changes"]:
            return joined or {}
        # A host whose driver changed has come back when the proof, which is next, told something.
        if plan["accelerator"] not in ("", "apply") and not self.of(host, "accelerator_proof"):
            return {}
        return {**(found.get("co_located") or found)["plan"]["worker"], "started": False}
