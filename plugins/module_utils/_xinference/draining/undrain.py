# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Returns to an undrained worker its former models, except those that moved elsewhere. Private to the collection.

Where nothing comes back to it, one of the models that it had is launched there under a UID that nobody uses (`client.TRY`),
asked, and ended again.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    models,
    server_state,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.drain_run import DrainRun
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.plan_drain import (
    is_on,
    model_of,
    row_of,
    unlisted,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.draining.plan_undrain import (
    Return,
    Trial,
    return_of,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import (
    launch,
    operations,
    proof,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching.outcomes import (
    FAILED,
    QUEUED,
    Outcome,
)


class Undrain(DrainRun):
    """The steps when a worker is back."""

    def undrained(self) -> dict[str, t.Any]:
        """Returns a worker's models to it, verifies that it serves, and removes its drained state.

        Declared models that were stopped for it are launched again, and replicas that went with it are added. Where it gets nothing
        back, one of the models that it had tries it.

        :raises ModelopsError: the worker is not back, or a model does not come up or answer there; run again, it goes on.
        """
        client, worker = self.client, self.settings.worker
        with self.store.lock():
            record = Record(self.store)
            plan = Plan(f"drained workers of {client.endpoint}")
            note, noted = record.drained.get(worker), record.had(worker)
            drained = note is not None or record.left(worker)
            back = _stopped(note or {}, record)
            asks = drained and bool(back or noted)
            actual, gets = self._find(back, noted, record) if asks else (server_state.ServerState({}, {}), Return(back))
            self._plan_return(plan, gets, noted)
            if drained:
                plan.add("remove", "forget that it is drained", worker)
            rows = [row_of(move) for move in gets.moves]
            result = {**plan.result(), "version": client.version if asks else "", "models": rows}
            if not client.session.check_mode:
                if asks:
                    self._come_back(gets, actual, record)
                if plan.changes:
                    record.undrain(worker, self._grown(noted) if asks else {})
            return self.result(result)

    def _find(
        self, back: list[models.Model], noted: t.Mapping[str, t.Mapping[str, t.Any]], record: Record
    ) -> tuple[server_state.ServerState, Return]:
        """The server's state once the worker is registered, and the models that the worker gets.

        :param back: declared models that were stopped for it.  :param noted: what it had.
        """
        client, worker = self.client, self.settings.worker
        client.wait_ready(self.settings.ready_timeout, declared=[] if client.session.check_mode else [worker])
        client.login()
        if not record.left(worker):
            self._refuse_taken_out()
        actual = self._settled(noted, record)
        back = [model for model in back if not server_state.replicas(actual.instances.get(model.uid) or {})]
        live = [uid for uid in noted if server_state.replicas(actual.instances.get(uid) or {})]
        wanted = {uid: model_of(uid, actual) for uid in live if actual.state(uid) in ("ready", "loading")}
        found = self.read_cluster(wanted, actual)
        return actual, return_of(actual, found, back, wanted, worker, noted, record.left(worker))

    def _refuse_taken_out(self) -> None:
        """Of a worker that never left: replicas that get no requests any more keep new ones from their numbers."""
        if self.client.session.check_mode or not releases.takes_out(self.client.version):
            return
        worker = self.settings.worker
        try:
            with self.calls() as calls:
                out = sorted(unlisted(calls.held(), self.client.instances()))
        except ModelopsError:  # then nothing was taken out
            return
        if out:
            raise ModelopsError(
                f"{worker} of {self.client.endpoint} did not leave, but gets no more requests for {', '.join(out)}: its drain was "
                "interrupted. Drain it again (ansible-playbook modelops.inference.drain), then undrain it."
            )

    def _settled(self, noted: t.Iterable[str], record: Record) -> server_state.ServerState:
        """The server's state once none of the worker's models loads; before that no replica can be added."""
        begun = time.monotonic()
        while True:
            actual = self.read_models(record)
            loading = [model_of(uid, actual) for uid in noted if actual.state(uid) == "loading"]
            timeouts = [self.timeout(model) for model in loading]
            if time.monotonic() - begun >= max(timeouts, default=0):
                return actual
            time.sleep(1)

    def _plan_return(self, plan: Plan, gets: Return, noted: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
        worker = self.settings.worker
        for model in gets.launches:
            plan.add("add", "launch", model.uid, why="it was stopped for the worker")
        for move in gets.moves:
            for _place in move.places:
                plan.add("add", "add replica", move.uid, why=f"on {worker}, which had it")
            if move.why:
                count = move.elsewhere + len(move.places)
                self.warnings.append(
                    f"{move.uid} continues with {count} of {noted[move.uid]['of']} replicas: {move.why}"
                )
        if gets.trial:
            plan.add("add", "try", gets.trial.model.uid, why=f"on {worker} under a temporary UID, and terminate it")
        if gets.why:
            self.warnings.append(f"{worker} is back, but no model verifies it: {gets.why}")

    def _come_back(self, gets: Return, actual: server_state.ServerState, record: Record) -> None:
        """Launches, adds and proves."""
        trial = [gets.trial.model] if gets.trial else []
        self._tell([*gets.launches, *(move.model for move in gets.moves), *trial], record)
        self._launch(gets.launches, record)
        if gets.launches:
            actual = self.read_models(record)
        self._prove_returned(gets, actual)
        if gets.trial:
            self._try(gets.trial, actual)

    def _prove_returned(self, gets: Return, actual: server_state.ServerState) -> None:
        """Adds the removed replicas, and verifies the worker's models."""
        worker = self.settings.worker
        adds = {move.uid: move for move in gets.moves if move.places}
        for uid, model in {**{model.uid: model for model in gets.launches}, **gets.proves}.items():
            try:
                if uid in adds:
                    self.add_proven(adds[uid], actual)
                elif is_on(worker, self.client.instances().get(uid) or {}):
                    self.prove(model, actual)
            except ModelopsError as exc:
                # Of what was there already nobody knows which of its replicas does not answer.
                what = "does not serve there" if uid in adds else "has replicas there and does not answer"
                raise ModelopsError(
                    f"{worker} is back at {self.client.endpoint}, but {uid} {what}: {exc}. "
                    "Correct the cause and run this again: it continues with the rest."
                ) from exc

    def _tell(self, wanted: t.Sequence[models.Model], record: Record) -> None:
        """Registers again what was registered while the worker was away; a run of the site does so with what nothing waits for."""
        for definition in (model.definition for model in wanted if model.definition):
            key = (definition.model_type, definition.name)
            if record.untold(key, [self.settings.worker]):
                problem = definitions.put(self.client, definition, self.client.registration(*key) is not None)
                if problem:
                    raise ModelopsError(f"{definition.name} cannot be registered on {self.settings.worker}: {problem}")
                record.tell(key, self.client.workers)

    def _launch(self, wanted: t.Sequence[models.Model], record: Record) -> None:
        outcomes = []
        for model in wanted:
            placed = (record.declared.launched.get(model.uid) or {}).get("placed") or {}
            outcomes.append(Outcome(model.uid, "launched", QUEUED, timeout=self.timeout(model), placed=dict(placed)))
        work = launch.Work(self.client, wanted, outcomes, record)
        work.run(None)
        self.lines += work.lines
        failed = [f"{outcome.uid}: {outcome.error}" for outcome in outcomes if outcome.phase == FAILED]
        if failed:
            raise ModelopsError(
                f"{self.settings.worker} is back at {self.client.endpoint}, but not all its stopped models:\n"
                + "\n".join(failed)
                + "\nCorrect the cause and run this again."
            )
        if wanted:
            record.became({uid: row.get("instance_created_ts") for uid, row in self.client.instances().items()})

    def _try(self, trial: Trial, actual: server_state.ServerState) -> None:
        worker, uid, tried = self.settings.worker, trial.model.uid, trial.copied.uid
        started = time.monotonic()
        problem, end = "", "It was terminated"
        try:
            self._launch_trial(trial, actual)
        except ModelopsError as exc:
            problem = str(exc)
        try:
            operations.remove(self.client, tried)
        except ModelopsError as exc:  # the next drain, undrain or run of the site ends it
            problem, end = problem or "it does not terminate", f"It may still run: {exc}"
        if problem:
            raise ModelopsError(
                f"{worker} is back at {self.client.endpoint}, but does not serve: {uid}, launched there as {tried} to verify it, "
                f"failed: {problem}. {end}. Correct the cause and run this again."
            )
        took = progress.duration(time.monotonic() - started)
        self.lines.append(f"{uid}  answered on {worker} under another UID, terminated after {took}")

    def _launch_trial(self, trial: Trial, actual: server_state.ServerState) -> None:
        """:raises ModelopsError: it does not come up there, or does not answer."""
        client, model, copied = self.client, trial.model, trial.copied
        outcome = Outcome(copied.uid, "launched", QUEUED, timeout=self.timeout(model), placed=trial.placed)
        # Nothing is remembered of it, and the autostart does not know it.
        launch.Work(client, [copied], [outcome]).run(None)
        if outcome.error:
            raise ModelopsError(outcome.error)
        row = client.instances().get(copied.uid) or {}
        if not is_on(self.settings.worker, row):
            raise ModelopsError(f"the server placed it on {', '.join(progress.workers(row)) or 'an unknown worker'}")
        abilities = (actual.models.get(model.uid) or {}).get("model_ability") or []
        proven = proof.prove(client, copied.uid, model.type, abilities, None, self.settings.prove_timeout)
        if not proven.ok:
            raise ModelopsError(f"{proven.kind} proof failed: {proven.detail}")

    def _grown(self, noted: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
        """Of what the worker had, the models that have more replicas now than they had, as a drain that failed leaves them: the next
        one goes by what they had."""
        instances = self.client.instances()
        return {
            uid: dict(row)
            for uid, row in noted.items()
            if (instances.get(uid) or {}).get("instance_created_ts") == row["created"]
            and len(server_state.replicas(instances[uid])) > row["of"]
        }


def _stopped(note: t.Mapping[str, int], record: Record) -> list[models.Model]:
    """The declared models that were stopped for a worker.  :param note: `Memory.drained` of it."""
    found = [record.model(uid) for uid, count in sorted(note.items()) if not count]
    return models.desired([model for model in found if model], exists=lambda path: True)
