# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of custom models on a server: read, put in place of each other, removed. Private to the collection.

registration.py says what a definition is; this is the one place that changes one on a server.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._session import ApiError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import registration
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record

#: (type, name) of a definition.
Key = tuple[str, str]
# Above this many custom models of one type, their definitions are read by one list (a second) instead of one by one.
_SINGLE_READS = 3


def read(client: Client, keys: t.Iterable[Key]) -> dict[Key, dict[str, t.Any] | None]:
    """The registered definitions, None where there is none: at most three requests for each type."""
    result: dict[Key, dict[str, t.Any] | None] = {}
    keys = set(keys)
    for model_type in sorted({key[0] for key in keys}):
        names = sorted(name for other, name in keys if other == model_type)
        if len(names) <= _SINGLE_READS:
            rows = {name: client.registration(model_type, name) for name in names}
        else:
            rows = {row["model_name"]: row for row in client.registrations(model_type, detailed=True)}
        result.update({(model_type, name): rows.get(name) for name in names})
    return result


def untold(workers: t.Sequence[str]) -> list[Field]:
    """The reason to register an unchanged definition again: a new worker; empty for none. Pure.

    A worker has what it read from its own disk when it started, and what was registered since: nobody tells one that comes later,
    or was away, what it missed (read in 4.1.0, core/supervisor.py: add_worker, _sync_register_model). Nor does the API say which
    worker has what.

    :param workers: addresses of workers that may lack it.
    """
    return [Field("definition.workers", None, ", ".join(workers))] if workers else []


def is_builtin(client: Client, key: Key, registered: t.Mapping[str, t.Any] | None) -> bool:
    """Whether the registered model of this name is the server's own; of some types and releases only the list says so."""
    if registered is None:
        return False
    if "is_builtin" in registered:
        return bool(registered["is_builtin"])
    return key[1] in builtin_names(client, key[0])


def builtin_names(client: Client, model_type: str) -> set[str]:
    return {row["model_name"] for row in client.registrations(model_type) if row["is_builtin"]}


def put(
    client: Client, definition: registration.Definition, replace: bool = False, worker: str | None = None
) -> str | None:
    """Registers a definition; returns the error. It does not affect a running model.

    :param replace: whether there is one of this name. It survives a new one that the server refuses.
    """
    key = (definition.model_type, definition.name)
    before = client.registration(*key) if replace else None
    try:
        if before is not None:
            client.unregister(*key)
        try:
            client.register(definition.model_type, definition.body, worker)
        except ApiError as exc:
            # A supervisor may have one that none of its workers has, as where all of them are new: then nobody is told of it.
            if before is not None or "conflicts with existing model" not in str(exc):
                raise
            client.unregister(*key)
            client.register(definition.model_type, definition.body, worker)
        return None
    except ModelopsError as exc:
        try:
            _put_back(client, definition, before, worker, theirs="already registered" in str(exc))
        except ModelopsError as more:
            return f"{exc}. The previous definition could not be restored either:  {more}"
        return str(exc)


def _put_back(
    client: Client,
    definition: registration.Definition,
    before: dict[str, t.Any] | None,
    worker: str | None,
    theirs: bool,
) -> None:
    """After a registration that failed: a server whose worker or disk refuses it keeps it all the same.

    :param theirs: somebody else was faster.
    """
    key = (definition.model_type, definition.name)
    now = client.registration(*key)
    if now is not None and not theirs and not registration.differences(definition, now):
        if before is not None and not registration.differences(definition, before):
            return
        client.unregister(*key)
        now = None
    if before is not None and now is None:
        client.register_again(definition.model_type, before, worker)


# -- a list of definitions, as the module xinference_registration takes it -------------------------------------------

NONE, REGISTER, REPLACE, UNREGISTER = "none", "registered", "replaced", "unregistered"


@dataclass
class DefinitionStep:
    """One declared definition and its action.

    :param definition: None where it must be absent.
    :param registered: what the server has.
    :param users: UIDs of the models that run or load under its name.
    :param action: NONE, REGISTER, REPLACE or UNREGISTER.
    :param differs: what is otherwise than declared and is left alone because of the users.
    """

    options: dict[str, t.Any]
    definition: registration.Definition | None
    registered: dict[str, t.Any] | None = None
    users: list[str] = field(default_factory=list)
    action: str = NONE
    fields: list[Field] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def key(self) -> Key:
        return self.options["type"], self.options["name"]


def desired(declared: t.Sequence[dict[str, t.Any]]) -> list[DefinitionStep]:
    """The declared definitions, checked as far as that goes without the server.

    :raises ModelopsError: naming every one that cannot be meant.
    """
    problems = [
        f"definitions: the {model_type} model {name!r} is declared {count} times"
        for (model_type, name), count in Counter((o["type"], o["name"]) for o in declared).items()
        if count > 1
    ]
    entries = []
    for options in declared:
        where = f"definitions: {options['name']}"
        try:
            entries.append(
                DefinitionStep(options, _definition(options, where) if options["state"] == "present" else None)
            )
        except ModelopsError as exc:
            problems.append(str(exc))
    if problems:
        raise ModelopsError("\n".join(problems))
    return entries


def _definition(options: dict[str, t.Any], where: str) -> registration.Definition:
    def sized(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {**item, "size": registration.normal_size(where, item["size"])}

    if options["specs"]:
        alone = [key for key in ("path", "format", "size", "quantization") if options[key] is not None]
        if alone:
            raise ModelopsError(f"{where}: {' and '.join(alone)} belongs in each of specs, not beside them")
    return registration.build({**sized(options), "specs": [sized(spec) for spec in options["specs"] or []]}, where)


def look(client: Client, entries: t.Sequence[DefinitionStep]) -> None:
    """Adds the server's definitions.

    :raises ModelopsError: a name is one of the server's own models.
    """
    registered = read(client, (entry.key for entry in entries))
    running, instances = client.models(), client.instances()
    loading = {
        uid: row for uid, row in instances.items() if uid not in running and row["status"] in ("CREATING", "LOADING")
    }
    unmarked = {key[0] for key, row in registered.items() if row is not None and "is_builtin" not in row}
    builtin = {model_type: builtin_names(client, model_type) for model_type in unmarked}
    problems = []
    for entry in entries:
        model_type, name = entry.key
        entry.registered = registered[entry.key]
        if (entry.registered or {}).get("is_builtin", name in builtin.get(model_type, ())):
            problems.append(
                f"definitions: {name}: it is a built-in {model_type} model of {client.endpoint}, which cannot be "
                "changed or removed; give the custom model another name"
            )
        entry.users = sorted(
            [uid for uid, row in running.items() if (row["model_type"], row["model_name"]) == entry.key]
            # The state of a model that loads does not tell its type.
            + [uid for uid, row in loading.items() if row["model_name"] == name]
        )
    if problems:
        raise ModelopsError("\n".join(problems))


def decide(
    entries: t.Sequence[DefinitionStep], replace: bool, lacking: t.Mapping[Key, t.Sequence[str]] | None = None
) -> None:
    """The action for each definition; a running model keeps its definition unless `replace`. Pure.

    :param lacking: addresses of workers that may lack a definition.
    """
    for entry in entries:
        if entry.definition is None:
            entry.action = UNREGISTER if entry.registered is not None else NONE
        elif entry.registered is None:
            entry.action = REGISTER
        else:
            entry.fields = registration.differences(entry.definition, entry.registered)
            entry.action = REPLACE if entry.fields else NONE
        if entry.action in (REPLACE, UNREGISTER) and entry.users and not replace:
            entry.differs = [str(item) for item in entry.fields] or ["it is registered"]
            entry.action = NONE
        elif (
            entry.action == NONE and entry.definition and not entry.options["worker"] and (lacking or {}).get(entry.key)
        ):
            entry.action, entry.fields = REPLACE, untold((lacking or {})[entry.key])


def plan_of(entries: t.Sequence[DefinitionStep], header: str) -> Plan:
    plan = Plan(header)
    for entry in entries:
        name = " ".join(entry.key)
        if entry.action == REGISTER and entry.definition:
            shown = sorted(entry.definition.body.items())
            plan.add("add", "register", name, [Field(key, None, value) for key, value in shown])
        elif entry.action == REPLACE:
            plan.add("change", "register", name, entry.fields)
        elif entry.action == UNREGISTER:
            plan.add("remove", "unregister", name, [Field("registered", True, None)])
    return plan


def apply(client: Client, entries: t.Sequence[DefinitionStep], record: Record) -> None:
    """Applies the decisions; one failure does not stop the others."""
    record.adopt(
        (e.key for e in entries if e.definition and e.action == NONE and not e.options["worker"]), client.workers
    )
    for entry in entries:
        try:
            if entry.action == UNREGISTER:
                client.unregister(*entry.key)
            elif entry.action != NONE and entry.definition:
                entry.error = put(client, entry.definition, entry.action == REPLACE, entry.options["worker"])
                if not entry.error and not entry.options["worker"]:
                    record.tell(entry.key, client.workers)
        except ModelopsError as exc:
            entry.error = str(exc)
