# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over the declared models: read, plan, apply, prove, report. Private to the collection.

Where nothing differs it sends, whatever the number of models: GET /status, GET /v1/cluster/auth, POST /token where
there is authentication, GET /v1/cluster/version, GET /v1/models, GET /v1/models/instances and GET /v1/autostart/models;
up to three requests for each type with custom models; and one for each model that is proven.
"""

from __future__ import annotations

import time
import typing as t
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import engine_specs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    autostart,
    model_plan,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import (
    Record,
    SlicedRun,
    Store,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import (
    engine_options,
    launch,
    operations,
    proof,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching.outcomes import (
    ABSENT,
    DIFFERS,
    FAILED,
    READY,
    Outcome,
    begin,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching.report import (
    _abilities,
    cells,
    failures,
    left_alone,
    row_of,
    unasked_vision,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.placement import cluster, placement

# Seconds within which the next slice of a run begins; until then the reconciler leaves the server alone.
_NEXT_SLICE = 60.0
# Seconds after which a person reads what the run waits for.
_FIRST_WORD = 3.0


@dataclass(frozen=True)
class RunOptions:
    """Options of a run; the module has the same names."""

    replace: str = model_plan.KEEP
    prune: bool = False
    parallel: int = 5
    devices: t.Sequence[t.Mapping[str, t.Any]] | None = None
    downloads: str | None = None
    gpu_sharing: bool = True
    launch_timeout: float = 1800
    ready_timeout: float = 300
    workers: t.Sequence[str] = ()
    new_workers: t.Sequence[str] = ()
    cluster: bool = False
    prove: str = "always"
    prove_timeout: float = 60
    wait: float | None = None

    def __post_init__(self) -> None:
        if self.parallel < 1:
            raise ModelopsError(f"parallel (models_parallel) must be at least 1, not {self.parallel}")


def converge(
    client: Client,
    wanted: t.Sequence[models.Model],
    settings: RunOptions,
    store: Store | None = None,
    resume: dict[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Makes the server serve `wanted`; returns the module's result.

    :param store: where it is remembered what this collection launched.
    :param resume: what an earlier execution of the same run returned under that name.
    :raises ModelopsError: with the table of what happened, after everything that could be done was done.
    """
    store = store or Store(None)
    pending, since = SlicedRun(store, (resume or {}).get("path")), (resume or {}).get("since")
    end = (since or time.time()) + locks.WAIT
    timeout = locks.WAIT if settings.wait is None else min(settings.wait, locks.WAIT if since else _FIRST_WORD)
    try:
        return _converge(client, wanted, settings, store, pending, timeout)
    except locks.Held as exc:
        if time.time() >= end or settings.wait is None:
            pending.drop()
            raise
        # A person reads it, and the next execution waits on.
        return {
            **Plan("models").result(),
            "pending": True,
            "progress": [exc.line],
            "resume": {"path": pending.path, "since": end - locks.WAIT},
            "requests": dict(client.session.counts),
            "warnings": [],
        }


def _converge(
    client: Client,
    wanted: t.Sequence[models.Model],
    settings: RunOptions,
    store: Store,
    pending: SlicedRun,
    timeout: float,
) -> dict[str, t.Any]:
    """:param timeout: seconds to wait for somebody else who holds the lock."""
    with store.lock(timeout):
        client.wait_ready(settings.ready_timeout, declared=settings.workers)
        client.ensure_login()
        run = _Run(client, wanted, settings, Record(store), alone=store.path is not None)
        try:
            result = run.result(pending)
        except ModelopsError:
            pending.drop()
            raise
        if not result["pending"]:
            pending.drop()
        return {**result, "warnings": run.warnings + left_alone(result)}


class _Run:
    """One execution.

    :ivar wanted: what is declared, but for what waits until its worker is undrained, and, with prune, what goes because it is
        not declared any more.
    :ivar tries: models that try a worker, which a drain that broke off left: it would hold the lock while it is at work.
    """

    def __init__(
        self,
        client: Client,
        wanted: t.Sequence[models.Model],
        settings: RunOptions,
        record: Record,
        alone: bool = False,
    ):
        """:param alone: whether no drain is at work."""
        self.client, self.settings, self.record, self.alone = client, settings, record, alone
        self.tries: list[str] = []
        self.declared = list(wanted)
        self.wanted = list(wanted)
        self.actual = server_state.ServerState({}, {})
        #: Warnings that skip no model.
        self.warnings: list[str] = []

    def result(self, pending: SlicedRun) -> dict[str, t.Any]:
        client, settings = self.client, self.settings
        resumed = pending.path is not None
        if resumed:
            state = pending.load()
            result, decisions = state["result"], []
            self._leave(state["waiting"])
            self.wanted += [model_plan.undeclared_model(**row) for row in state["undeclared"]]
            work = self._work([Outcome(**row) for row in state["outcomes"]])
            client.session.counts.update(Counter(result["requests"]))
        else:
            self._leave(self._waiting())
            self.actual = replace(self._read(), untold=self._untold())
            self._end_tries()
            if settings.prune:
                self.wanted += model_plan.undeclared(self.declared, self.actual)
            decisions = model_plan.decide(self.wanted, self.actual, settings.replace)
            engine_specs.check(client, decisions, self.actual)
            placed = self._place(decisions)
            result = {"version": client.version, "pending": False, **self._plan(decisions).result()}
            result["placement"] = placed.rows
            work = self._work(begin(decisions, self.actual, placed.launch_keys, settings.launch_timeout))
            if any(cluster.new_replicas(decision, self.actual) for decision in decisions):
                work.lines += placement.table(placed.rows)
            if client.session.check_mode:
                return {**result, **self._report(work, {})}
        try:
            if not resumed:
                self._remember(decisions)
                work.prepare(decisions, self.actual)
            if not work.run(settings.wait):
                self.record.busy(_NEXT_SLICE)
                result.update(pending=True, requests=dict(client.session.counts))
                declared = {m.uid for m in self.declared}
                rows = [
                    {"uid": m.uid, "name": m.name, "model_type": m.type} for m in self.wanted if m.uid not in declared
                ]
                waiting = sorted(declared - {m.uid for m in self.wanted})
                state = {"outcomes": work.written(), "undeclared": rows, "waiting": waiting, "result": result}
                path = pending.save(state)
                return {**result, "progress": work.lines, "resume": {"path": path}}
            result["pending"] = False
            # A load that was adopted, came to nothing, and was launched again is no part of the plan.
            result["changed"] |= any(o.action == "launched" for o in work.outcomes)
            if result["changed"] or any(o.action == "adopted" for o in work.outcomes):
                self.actual = self._read()
                self._notice_differences(work)
            self._finish(work)
        except ModelopsError as exc:
            # The error also reports the finished steps.
            self.actual = server_state.ServerState({}, {})
            text = "\n".join([*failures(work), str(exc)])
            raise ModelopsError(self._explained(work, text), **{**result, **self._report(work, {})}) from exc
        proofs = self._prove(work)
        result.update(self._report(work, proofs))
        self._raise_failures(work, proofs, result)
        return result

    def _waiting(self) -> list[str]:
        """UIDs of models that are declared for a worker that is drained, or were stopped for it."""
        found = []
        for model in self.declared:
            worker = self.record.waits(model.uid, model.options["worker"], back=self.settings.workers)
            if worker and model.present:
                found.append(model.uid)
                self.warnings.append(
                    f"{model.uid} is skipped because its worker {worker} is drained; undrain it (playbook undrain.yml), "
                    "or declare another worker for the model (worker)"
                )
        return found

    def _leave(self, waiting: t.Container[str]) -> None:
        self.wanted = [model for model in self.wanted if model.uid not in waiting]

    def _untold(self) -> dict[tuple[str, str], list[str]]:
        """The workers that may lack each definition."""
        keys = {(model.type, model.name) for model in self.wanted if model.definition}
        there = self.client.workers if self.settings.cluster else []
        return {key: sorted({*self.settings.new_workers, *self.record.untold(key, there)}) for key in keys}

    def _read(self) -> server_state.ServerState:
        return server_state.read(self.client, self.wanted, self.record.declared)

    def _end_tries(self) -> None:
        """Terminates trials of earlier runs: only the collection knows them, and they use memory that the placement counts."""
        client = self.client
        # A launch that failed stays listed.
        self.tries = [uid for uid in client.tries if self.alone and client.presence(uid) != releases.UNKNOWN]
        for uid in self.tries if not client.session.check_mode else []:
            operations.remove(client, uid)

    def _place(self, decisions: t.Sequence[model_plan.Decision]) -> placement.Placement:
        """The placement of all models.

        :raises ModelopsError: naming everything that fits nowhere.
        """
        settings = self.settings
        engine_options.check(decisions)
        found = cluster.read(
            self.client, decisions, self.actual, settings.devices, settings.downloads, settings.gpu_sharing
        )
        placed = placement.plan(self.wanted, decisions, self.actual, found)
        if placed.problems:
            raise ModelopsError("\n".join([*placed.problems, _ALL_THE_SAME, "", *placement.table(placed.rows)]).strip())
        self.warnings += placed.warnings
        return placed

    def _work(self, outcomes: list[Outcome]) -> launch.Work:
        parallel = self.settings.parallel * max(1, len(self.client.workers))
        return launch.Work(self.client, self.wanted, outcomes, self.record, parallel)

    # -- what is remembered ------------------------------------------------------------------------------------

    def _remember(self, decisions: t.Sequence[model_plan.Decision]) -> None:
        present = [model.declared for model in self.declared if model.present]
        kept = {d.model.uid for d in decisions if d.action == model_plan.DIFFERS}
        settings = {"launch_timeout": self.settings.launch_timeout, "cluster": self.settings.cluster}
        self.record.declare(present, settings, kept)
        for worker in set(self.settings.workers) & set(self.record.drained):
            self.record.undrain(worker)
        if self.settings.cluster:
            registered = {key for key, row in self.actual.definitions.items() if row is not None}
            again = {(d.model.type, d.model.name) for d in decisions if d.register}
            self.record.adopt(registered - again, self.client.workers)

    def _autostart(
        self, uids: t.Collection[str], placed: t.Mapping[str, dict[str, t.Any]] | None = None
    ) -> dict[str, dict[str, t.Any] | None]:
        """The autostart entries to add and to remove, for models that are as declared.

        In a cluster, those to drop of what this collection launched, as declared or not.

        :param placed: what this run added to launch requests.
        """
        if self.actual.autostart is None:
            return {}
        wanted = {}
        if self.settings.cluster:
            wanted = {uid: autostart.DeclaredEntry(None) for uid in self.record.declared.launched}
        for model in self.wanted:
            if model.uid not in uids:
                continue
            known = self.record.declared.launched.get(model.uid)
            added = (placed or {}).get(model.uid) or (known or {}).get("placed") or {}
            request = releases.launch_request(self.client.version, model.body, added) if model.present else {}
            wants = model.present and model.options["autostart"]
            if wants and self.settings.cluster:
                continue
            entry = autostart.entry(request, model.options["priority"]) if wants else None
            whole = known is not None or model.uid in (placed or {})
            wanted[model.uid] = autostart.DeclaredEntry(entry, whole, (known or {}).get("entry"))
        return autostart.changes(wanted, self.actual.autostart)

    def _plan(self, decisions: t.Sequence[model_plan.Decision]) -> Plan:
        plan = model_plan.plan_of(decisions, f"models on {self.client.endpoint}")
        for uid in self.tries:
            plan.add("remove", "terminate", uid, why="left by an interrupted drain")
        # Of a model that is launched or terminated the entry goes without saying.
        as_declared = {d.model.uid for d in decisions if d.action == model_plan.NONE}
        terminated = {d.model.uid for d in decisions if d.action == model_plan.TERMINATE}
        for uid, entry in self._autostart(as_declared).items():
            if uid in terminated:
                continue
            if entry is None:
                plan.add("remove", "remove from autostart", uid)
            else:
                plan.add("change" if uid in (self.actual.autostart or {}) else "add", "add to autostart", uid)
        return plan

    def _finish(self, work: launch.Work) -> None:
        """Records the results of the launches, here and in the server's autostart."""
        as_declared = {o.uid for o in work.outcomes if o.phase in (READY, ABSENT)}
        created = {uid: self.actual.created(uid) for uid in self.actual.instances}
        rolled = {o.uid for o in work.outcomes if o.roll}
        self.record.became(created, trusted={*rolled, *(self.actual.autostart or {})})
        self.record.busy(None)
        placed = {o.uid: o.placed for o in work.outcomes if o.action not in ("none", "terminated", "adopted")}
        for uid, entry in self._autostart(as_declared, placed).items():
            if entry is None:
                self.client.drop_autostart(uid)
            else:
                self.client.put_autostart(entry)
                self.record.entered(uid, entry)

    # -- what came of it ---------------------------------------------------------------------------------------

    def _notice_differences(self, work: launch.Work) -> None:
        """A model that was loading when the run came can be compared only now."""
        for model, outcome in zip(self.wanted, work.outcomes):
            if outcome.action == "adopted" and outcome.phase == READY:
                fields = model_plan.running_differences(model, self.actual)
                if fields:
                    outcome.phase, outcome.differs = DIFFERS, [str(f) for f in fields]
            elif outcome.action not in ("none", "terminated"):
                self.warnings += unasked_vision(model, self.actual)

    def _prove(self, work: launch.Work) -> dict[str, proof.Proof]:
        """One proof for each model that serves; several at a time, because each waits for another process."""
        settings = self.settings
        if settings.prove == "never":
            return {}
        asked = []
        for model, outcome in zip(self.wanted, work.outcomes):
            serves = model.present and outcome.phase in (READY, DIFFERS)
            if serves and (settings.prove == "always" or outcome.action != "none"):
                asked.append(model)

        def prove(model: models.Model) -> proof.Proof:
            dimensions = (model.options["definition"] or {}).get("dimensions")
            abilities = _abilities(model.uid, self.actual)
            return proof.prove(self.client, model.uid, model.type, abilities, dimensions, settings.prove_timeout)

        with ThreadPoolExecutor(max_workers=settings.parallel) as pool:
            return {found.uid: found for found in pool.map(prove, asked)}

    def _report(self, work: launch.Work, proofs: t.Mapping[str, proof.Proof]) -> dict[str, t.Any]:
        rows = [row_of(m, o, self.actual, proofs.get(m.uid)) for m, o in zip(self.wanted, work.outcomes)]
        return {"progress": work.lines, "models": rows, "requests": dict(self.client.session.counts)}

    def _raise_failures(self, work: launch.Work, proofs: t.Mapping[str, proof.Proof], result: dict[str, t.Any]) -> None:
        failed = failures(work)
        unproven = proof.failures(list(proofs.values()))
        if not failed and not unproven:
            return
        bad = {o.uid for o in work.outcomes if o.phase == FAILED} | {p.uid for p in proofs.values() if not p.ok}
        head = (
            f"{len(bad)} of {len(work.outcomes)} models on {self.client.endpoint} failed; the others are as declared:"
        )
        table = progress.table([_TABLE, *(cells(row, bad) for row in result["models"])])
        raise ModelopsError(self._explained(work, "\n".join([head, *failed, *unproven, "", *table])), **result)

    def _explained(self, work: launch.Work, message: str) -> str:
        """The error with the log's reasons of failed launches."""
        failed = [(m, o) for m, o in zip(self.wanted, work.outcomes) if o.phase == FAILED]
        names = {name for model, _outcome in failed for name in (model.uid, model.name)}
        return self.client.explain(message, names, min((o.begun for _model, o in failed), default=0))


# The way past every refusal of the placement.
_ALL_THE_SAME = "To launch a model regardless, with a warning, set its check_placement: false."
_TABLE = ["model UID", "type", "state", "done", "replicas", "seconds"]
