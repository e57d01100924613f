# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workers' downloads, and which of them are unused. Private to the collection.

Deleting is the server's own work, and it is final. What it deletes was read in the sources of 1.17.1, 2.12.0 and 4.1.0:
the entry in the cache and the files of the hub that it links to. 4.1 stays in its own directories and spares what another
entry links to, too. The releases up to 3.2 follow links without looking: for an entry that is itself a link, because a
custom model's definition names a path, they delete the weights there, and of a linked GGUF file the whole cache. Such
entries are never sent, to any release.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import engine_specs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    registration,
    server_state,
)


@dataclass
class CachedVersion:
    """One version of a model in one worker's cache.

    :param spec: format, size and quantization, each None where the server does not tell it.
    :param size: bytes on the disk; None before 4.x, which do not tell it.
    :param kept: why it stays; "" where nothing uses it.
    """

    name: str
    version: str
    worker: str
    path: str
    real_path: str
    spec: dict[str, str | None]
    size: int | None
    kept: str = ""
    removed: bool = False

    @property
    def home(self) -> str:
        """The server's own directory, by the place of its caches in it."""
        return self.path.partition("/cache/v2/")[0]


def entry(told: t.Mapping[str, t.Any]) -> CachedVersion:
    path = told["path"]
    return CachedVersion(
        name=told["model_name"],
        version=told["model_version"],
        worker=told["actor_ip_address"],
        path=path,
        # Left out where the directory is empty.
        real_path=told.get("real_path") or path,
        spec=engine_specs.spec_of(told),
        size=told.get("size_bytes"),
    )


@dataclass(frozen=True)
class ModelUse:
    """A use of a model: it runs, is declared, or is in the autostart.

    :param spec: format, size and quantization, None where any is meant.
    """

    what: str
    name: str
    spec: t.Mapping[str, str | None]

    def uses(self, item: CachedVersion) -> bool:
        return self.name == item.name and all(
            None in (self.spec.get(option), item.spec[option]) or self.spec[option] == item.spec[option]
            for option in engine_specs.SPEC_KEYS
        )


def model_uses(
    running: t.Mapping[str, t.Mapping[str, t.Any]],
    instances: t.Mapping[str, t.Mapping[str, t.Any]],
    autostart: t.Mapping[str, t.Mapping[str, t.Any]],
    declared: t.Sequence[t.Mapping[str, t.Any]],
) -> list[ModelUse]:
    """Everything that uses a model. Pure.

    :param running: rows of GET /v1/models.
    :param instances: rows of GET /v1/models/instances. Of a model that loads only the name is known, so all of it is used.
    :param autostart: entries of the server's autostart.
    :param declared: models as xinference_models takes them.
    :raises ModelopsError: one of them is none.
    """
    found = [ModelUse(f"{uid} runs", row["model_name"], engine_specs.spec_of(row)) for uid, row in running.items()]
    found += [
        ModelUse(f"{uid} is there", row["model_name"], {})
        for uid, row in instances.items()
        if uid not in running and row["status"] not in ("ERROR", "TERMINATED")
    ]
    found += [
        ModelUse(f"{uid} is in the autostart", row["launch"]["model_name"], engine_specs.spec_of(row["launch"]))
        for uid, row in autostart.items()
    ]
    for model in declared:
        if not model.get("uid"):
            raise ModelopsError("models: an item has no uid; the format is that of xinference_models")
        if model.get("state") != "absent":
            found.append(
                ModelUse(f"{model['uid']} is declared", model.get("name") or model["uid"], _declared_spec(model))
            )
    return found


def _declared_spec(model: t.Mapping[str, t.Any]) -> dict[str, str | None]:
    size = model.get("size")
    given = {**model, "size": registration.normal_size(f"models: {model['uid']}", None if size is None else str(size))}
    return {
        option: None if given.get(option) is None else server_state.comparable(option, given[option])
        for option in engine_specs.SPEC_KEYS
    }


def judge(entries: t.Sequence[CachedVersion], using: t.Sequence[ModelUse], keep: t.Sequence[str]) -> None:
    """Says of every entry why it stays, as far as that is known without its definition. Pure.

    :param keep: names of models, with * and ? for any characters.
    """
    for item in entries:
        item.kept = next((user.what for user in using if user.uses(item)), "")
        if item.kept:
            continue
        if any(fnmatchcase(item.name, name) for name in keep):
            item.kept = "keep names it"
        elif not item.version:
            item.kept = "the server has no version by which to delete it"
        elif os.path.basename(os.path.dirname(item.path)) != "v2" or not item.home:
            item.kept = "it is not in the server's cache"
        elif not (item.real_path + "/").startswith(item.home + "/"):
            item.kept = f"it links to {item.real_path} outside the server's directory"


def look_at_definitions(client: Client, entries: t.Sequence[CachedVersion]) -> None:
    """Keeps weights that a definition names: one request for each type and each remaining custom model."""
    left = {item.name for item in entries if not item.kept}
    if not left:
        return
    for model_type in registration.TYPES:
        custom = {row["model_name"] for row in client.registrations(model_type) if not row["is_builtin"]}
        read = definitions.read(client, ((model_type, name) for name in left & custom))
        for (_type, name), body in read.items():
            places = [body or {}, *((body or {}).get("model_specs") or [])]
            if any(place.get("model_uri") for place in places):
                for item in entries:
                    if item.name == name and not item.kept:
                        item.kept = "its definition names the path of its weights"


def keep_together(entries: t.Sequence[CachedVersion], version: str) -> None:
    """Keeps versions that the deletion of another would damage. Pure.

    :param version: the server's release.
    """
    # The server deletes by version, and a version may have several entries.
    groups: list[t.Callable[[CachedVersion], str]] = [lambda item: item.version]
    if not releases.spares_shared_files(version):
        groups.append(lambda item: item.real_path)
    for group in groups * 2:  # twice, because one of the second kind may be kept for one of the first
        kept = {(item.worker, group(item)): item for item in entries if item.kept}
        for item in entries:
            other = kept.get((item.worker, group(item)))
            if other and not item.kept:
                item.kept = f"it may share files with {other.version}, which stays ({other.kept})"


def plan_of(entries: t.Sequence[CachedVersion], header: str) -> Plan:
    plan = Plan(header)
    for item in entries:
        if not item.kept:
            why = "" if item.size is None else gib(item.size)
            fields = [Field("path", item.path, None), Field("bytes", item.size, None)]
            plan.add("remove", "delete", f"{item.version} on {item.worker}", fields, why=why)
    return plan


def gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def prune(client: Client, entries: t.Sequence[CachedVersion]) -> list[str]:
    """Deletes the versions that are not kept and checks the result; returns the errors."""
    problems = []
    for item in entries:
        if item.kept:
            continue
        try:
            if not client.remove_cached(item.version, item.worker):
                problems.append(f"{item.version} on {item.worker}: the server could not delete it; its log says why")
        except ModelopsError as exc:
            problems.append(str(exc))
    there = {(told["actor_ip_address"], told["path"]) for told in client.cached()}
    for item in entries:
        item.removed = not item.kept and (item.worker, item.path) not in there
        if not item.kept and not item.removed and not any(item.version in text for text in problems):
            problems.append(f"{item.version} on {item.worker}: the server reported its deletion, but still has it")
    return problems
