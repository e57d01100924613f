# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run over the models of a workspace: read, plan, apply, and see what people get. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.modelops.inference.plugins.module_utils import _plan
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.errors import DifyError
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.workspace_switch import Moved
from ansible_collections.modelops.inference.plugins.module_utils._dify.models import model_plan, ownership
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    UNUSABLE,
    ActualModel,
    DeclaredModel,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.model_plan import (
    ModelOperation,
    Policy,
    must_be_listed,
    must_be_offered,
    stale_context,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.provider_models import ProviderModels
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

ACTIONS = {"create": "register", "attach": "register", "update": "update", "keep": "update", "remove": "remove"}


@dataclass(frozen=True)
class ModelsOptions:
    """Options of dify_models beside the models, as it documents them."""

    provider: str | None
    policy: Policy
    prune: bool
    prune_prefix: str
    prune_server_urls: t.Sequence[str]


class ModelsRun:
    """A run; ``result`` tells what was done until then, also where it failed in the middle.

    :param wanted: the models that Dify has a type for.
    :param warn: is told what a person must know and no model fails for.
    """

    def __init__(
        self,
        dify: DifySession,
        wanted: t.Sequence[DeclaredModel],
        options: ModelsOptions,
        *,
        check: bool,
        warn: t.Callable[[str], None],
    ):
        self.dify = dify
        self.wanted = list(wanted)
        self.options = options
        self.check = check
        self.warn = warn
        self.models = ProviderModels(dify, options.provider)
        self.actual: list[ActualModel] = []
        self.errors: dict[str, str] = {}  # by title
        self.unread: set[str] = set()  # titles of the models that could not be read
        self.not_pruned: dict[str, str] = {}  # by title why nobody's model was not pruned
        self.operations: dict[str, ModelOperation] = {}  # by title
        self._plan: _plan.Plan | None = None
        self._not_compared = ""

    def converge(self) -> None:
        """Reads, plans, and outside check mode applies; a failed model is noted and the next one is tried.

        What nobody declared goes at last, when it is known that people have what was declared.
        """
        statuses = self.models.statuses()
        self.actual = self._read(self.wanted, statuses)
        expected = self._must_be_listed()
        if expected - statuses.keys():
            statuses = self.models.statuses(expected)
            self.actual = self._with_statuses(statuses)
        declared = list(self.wanted)
        if self.options.prune:
            pruned = self._to_prune(statuses)
            self.wanted += [model for model, _now in pruned]
            self.actual += [now for _model, now in pruned]
        self.unread = set(self.errors)
        self._plan = self._planned(declared)
        unlisted = [model for model in declared if (model.name, model.type) in expected - statuses.keys()]
        if not self.check:
            self._apply(self._plan)
            unlisted = []  # by now an error
        for model in unlisted:
            self.warn(self._unlisted(model))
        if self.options.prune:
            self._prune(declared, [model.title for model in unlisted])

    def compare_nothing(self) -> None:
        """In check mode, of a workspace that is not the account's current one."""
        self._not_compared = self.dify.not_compared()
        self.warn(self._not_compared)

    def doubt(self) -> None:
        """After the account was switched by others: what was read at the end may be of the other workspace."""
        self.actual = [
            replace(now, status=None, stored=now.stored or {}) if model.title in self.operations else now
            for model, now in zip(self.wanted, self.actual)
        ]

    def result(self) -> dict[str, t.Any]:
        """changed, plan and diff of what was done, with a row for each model; empty where nothing was read."""
        if self._not_compared:
            nothing = dict(action="unknown", state="unknown", credential_id=None, credential_name=None)
            rows = [_row(model, **nothing) for model in self.wanted]
            return dict(_plan.Plan().result(), not_compared=self._not_compared, models=rows)
        if self._plan is None:
            return {}
        return dict(self._plan.result(), models=[self._told(*pair) for pair in zip(self.wanted, self.actual)])

    def _planned(self, models: t.Collection[DeclaredModel]) -> _plan.Plan:
        """The plan for some of the models, but for those that could not be read."""
        known = [
            pair for pair in zip(self.wanted, self.actual) if pair[0] in models and pair[0].title not in self.unread
        ]
        plan = model_plan.plan(
            [model for model, _now in known],
            [now for _model, now in known],
            self.dify.release,
            self.options.policy,
            f"{self.dify.url} {self.dify.workspace.name}",
        )
        self.operations.update({change.data.wanted.title: change.data for change in plan})
        return plan

    def _told(self, model: DeclaredModel, now: ActualModel) -> dict[str, t.Any]:
        unread = model.title in self.unread
        action = "unknown" if unread else "none"
        if model.title in self.operations:
            action = ACTIONS[self.operations[model.title].kind]
        return _row(
            model,
            action=action,
            state=now.status or ("unknown" if unread or now.stored is not None else "absent"),
            credential_id=now.credential_id,
            credential_name=now.credential_name,
            **({"error": self.errors[model.title]} if model.title in self.errors else {}),
            **({"why": self.not_pruned[model.title]} if model.title in self.not_pruned else {}),
        )

    # -- reading -----------------------------------------------------------------------------------------------

    def _read(self, wanted: t.Iterable[DeclaredModel], statuses: t.Mapping[tuple[str, str], str]) -> list[ActualModel]:
        """Every model as Dify has it, but for those left alone; notes why some cannot be read."""
        actual = []
        for model in wanted:
            now = ActualModel(status=statuses.get((model.name, model.type)))
            try:
                actual.append(now if model.left_alone else self.models.read(model, now.status))
            except DifyError as exc:
                if exc.found.of_every_model:
                    raise
                self.errors[model.title] = str(exc)
                actual.append(now)
        return actual

    def _must_be_listed(self) -> t.AbstractSet[tuple[str, str]]:
        return must_be_listed(self.wanted, self.actual, self.dify.release)

    def _with_statuses(self, statuses: t.Mapping[tuple[str, str], str]) -> list[ActualModel]:
        """The models with the statuses of a newer list."""
        return [
            replace(now, status=statuses.get((model.name, model.type))) for model, now in zip(self.wanted, self.actual)
        ]

    def _to_prune(self, statuses: t.Mapping[tuple[str, str], str]) -> list[tuple[DeclaredModel, ActualModel]]:
        """The models that nobody declared and that the collection has registered, and those that cannot be read."""
        known = {(model.name, model.type) for model in self.wanted}
        urls = [*self.options.prune_server_urls, *(model.server_url for model in self.wanted if model.server_url)]
        undeclared = [DeclaredModel(*key, state="absent") for key in statuses if key not in known]
        others = list(zip(undeclared, self._read(undeclared, statuses)))
        release = self.dify.release
        hidden = [model.title for model, now in others if ownership.hides_owner(now, release)]
        if hidden:
            self.warn(
                f"{self.dify.where()}: this Dify hides the server URLs of models, so their owner is unknown. "
                f"Not pruned: {', '.join(hidden)}. Set state: absent for the ones to remove."
            )
        ours = [pair for pair in others if ownership.owned(pair[1], release, self.options.prune_prefix, urls)]
        renamed = [pair[0].title for pair in others if pair not in ours and ownership.at_one_of(pair[1], urls)]
        if renamed:
            self.warn(
                f"{self.dify.where()}: Not pruned, although they use a server URL of this site: {', '.join(renamed)}. Their "
                "credentials have names that are not this site's: a person added them, or Dify's upgrade to 1.8 named "
                "those that were there. Set state: absent for the ones to remove, and state: ignored for the others."
            )
        return ours + [pair for pair in others if pair[0].title in self.errors]

    # -- applying ----------------------------------------------------------------------------------------------

    def _apply(self, plan: _plan.Plan) -> None:
        planned = bool(plan)
        self._carry_out(plan)
        if planned:
            self.actual = self._with_statuses(self.models.statuses(self._must_be_listed()))
            self._enable_again()
        self._look_at_what_people_get()

    def _carry_out(self, plan: _plan.Plan) -> None:
        """Does each change, notes which one failed, and leaves in the plan what was done."""
        done: list[_plan.Change] = []
        try:
            for change in plan:
                model = change.data.wanted
                before = self.models.changes
                try:
                    self.actual[self.wanted.index(model)] = self.models.apply(change.data, self.options.policy)
                    done.append(change)
                except ModelopsError as exc:
                    self.errors[model.title] = str(exc)
                    if self.models.changes != before:  # it got half way
                        done.append(change)
                    if isinstance(exc, Moved):
                        raise
        finally:
            plan.changes = done

    def _prune(self, declared: t.Sequence[DeclaredModel], unlisted: t.Sequence[str]) -> None:
        """Removes what nobody declared, but for what people may still need: the declared model that takes its place is not
        there yet, or it is not known whether all are.

        :param unlisted: titles of models that Dify has and does not list.
        """
        unfinished = _unfinished(
            [*self.errors, *unlisted], [model.title for model in declared if model.state == "pending"]
        )
        going = []
        for model, now in list(zip(self.wanted, self.actual))[len(declared) :]:
            if model.title in self.unread:
                continue
            why = unfinished or self._awaited(now, declared)
            if why:
                self.not_pruned[model.title] = f"not pruned: {why}"
            else:
                going.append(model)
        if self.not_pruned:
            reasons = ". ".join(dict.fromkeys(why.replace("not pruned: ", "", 1) for why in self.not_pruned.values()))
            self.warn(
                f"{self.dify.where()}: Not pruned: {', '.join(self.not_pruned)}. {reasons}. Correct the cause and run this again; "
                "they are removed in a run in which every declared model is registered and active."
            )
        plan = self._planned(going)
        planned = bool(plan)
        try:
            if not self.check:
                self._carry_out(plan)
        finally:
            if self._plan is not None:
                self._plan.changes += plan.changes
        if planned and not self.check:
            self.actual = self._with_statuses(self.models.statuses(self._must_be_listed()))

    def _awaited(self, now: ActualModel, declared: t.Iterable[DeclaredModel]) -> str:
        """The reason to keep a model: the declared model of its UID cannot be used yet; "" for none."""
        uid = (now.stored or {}).get("model_uid")
        late = [
            model.title
            for model, found in zip(declared, self.actual)
            if model.present and model.model_uid == uid and not self._in_use(model, found.status)
        ]
        return f"{', '.join(late)} with the same model UID '{uid}' is not active" if late else ""

    def _in_use(self, model: DeclaredModel, status: str | None) -> bool:
        """Whether a declared model is as declared for people; in check mode, whether it would be."""
        operation = self.operations.get(model.title)
        if self.check and operation is not None and (status is None or operation.enable is not None):
            return True
        return status == "disabled" if model.enabled is False else status not in (None, *UNUSABLE)

    def _enable_again(self) -> None:
        """Enables what was registered anew and is disabled at once: Dify keeps that of a model that was removed."""
        for number, (model, now) in enumerate(zip(self.wanted, self.actual)):
            operation = self.operations.get(model.title)
            anew = operation is not None and operation.kind in ("create", "attach") and operation.actual.status is None
            if anew and model.enabled is None and now.status == "disabled" and model.title not in self.errors:
                try:
                    self.models.enable(model)
                    self.actual[number] = replace(now, status="active")
                except ModelopsError as exc:
                    self.errors[model.title] = str(exc)

    def _look_at_what_people_get(self) -> None:
        """Reads the active models of each changed type."""
        pairs = [pair for pair in zip(self.wanted, self.actual) if pair[0].title not in self.errors]
        proven = [model for model, now in pairs if model.title in self.operations and must_be_offered(model, now)]
        offered = {kind: self.models.offered(kind) for kind in sorted({model.type for model in proven})}
        for model, now in pairs:
            if model.present:
                error = self._doubts(model, now, model.name in offered[model.type] if model in proven else None)
                self.errors.update({model.title: error} if error else {})

    def _doubts(self, model: DeclaredModel, now: ActualModel, offered: bool | None) -> str:
        """Warns of unexpected states; returns an error if people cannot use the model.

        :param offered: whether Dify has it among the active models of its type; None where that was not asked.
        """
        if now.status is None:
            return self._unlisted(model)
        if offered is False:
            return (
                f"{self.dify.where()}: {model.title}: it is registered, the provider's list has it as {now.status}, and "
                f"Dify does not offer it among the active {model.type} models. Look at it in Dify's settings, under Model "
                "Provider: is its credential readable (not after a change of SECRET_KEY), is it enabled, is it also "
                "listed under another provider? If all that is correct, see the log of the container "
                f"{self.dify.release.validator}."
            )
        if not offered and now.status != ("disabled" if model.enabled is False else "active"):
            self.warn(
                f"{self.dify.where()} lists {model.title} as {now.status}: it is registered, but cannot be used in this state"
            )
        if model.state == "present" and stale_context(model, now.stored or {}):
            self.warn(
                f"{self.dify.where()}: {model.title} was saved, and Dify still has the context length "
                f"{(now.stored or {})['context_length']} instead of {model.context_length}: its plugin remembers for "
                "five minutes what a model UID can do. A later run corrects it."
            )
        return ""

    def _unlisted(self, model: DeclaredModel) -> str:
        """The warning about a model that is missing in Dify's list."""
        return (
            f"{self.dify.where()}: {model.title}: it is registered, and Dify does not list it among the provider's models, "
            f"not even within daemon_timeout ({self.dify.daemon_timeout:g} s). Check the Xinference plugin, and see the "
            f"log of the container {self.dify.release.validator}."
        )


def _unfinished(failed: t.Sequence[str], pending: t.Sequence[str]) -> str:
    """Why nothing at all may be pruned: not every declared model is known to be there. "" where that is known."""
    said = [f"{_some(failed)} failed"] if failed else []
    said += [f"{_some(pending)} cannot be registered yet"] if pending else []
    return " and ".join(said)


def _some(titles: t.Sequence[str]) -> str:
    few = list(dict.fromkeys(titles))
    return ", ".join(few[:3]) + (f" and {len(few) - 3} more" if len(few) > 3 else "")


def _row(model: DeclaredModel, **outcome: t.Any) -> dict[str, t.Any]:
    return dict(name=model.name, type=model.type, **outcome)
