# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources about the running models: the server and its host. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils import _json
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.catalog import catalog, engine_specs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import registration
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Declared


@dataclass
class Sources:
    """The answers of the server and its host.

    :param workers: replica's UID -> the launch arguments that its worker keeps.
    :param history: UID -> the last launch of the web interface.
    :param custom: (type, name) -> definition of each custom model.
    :param families: name -> definition of the built-in LLMs that custom ones derive from.
    :param gone: UIDs of instances in ERROR that the server no longer knows.
    """

    version: str
    addresses: t.Sequence[str]
    models: dict[str, dict[str, t.Any]]
    instances: dict[str, dict[str, t.Any]]
    autostart: dict[str, dict[str, t.Any]] | None
    custom: dict[tuple[str, str], dict[str, t.Any]]
    families: dict[str, dict[str, t.Any]]
    engines: dict[str, list[str]]
    history: dict[str, dict[str, t.Any]]
    declared: Declared
    workers: dict[str, dict[str, t.Any]]
    gone: frozenset[str] = frozenset()


def read(client: Client, declared: Declared, workers: dict[str, dict[str, t.Any]]) -> Sources:
    """Six requests, one for each type that can be defined, and one for each custom model and each family of them."""
    running = client.models()
    custom: dict[tuple[str, str], dict[str, t.Any]] = {}
    families: dict[str, dict[str, t.Any]] = {}
    for model_type in registration.TYPES:
        names = {row["model_name"]: row["is_builtin"] for row in client.registrations(model_type)}
        for name in sorted(name for name, builtin in names.items() if not builtin):
            body = client.registration(model_type, name)
            if body is None:
                continue
            custom[(model_type, name)] = body
            family = body.get("model_family")
            if model_type == "LLM" and family and names.get(family) and family not in families:
                families[family] = client.registration(model_type, family) or {}
    instances = client.instances()
    broken = [uid for uid, row in instances.items() if row.get("status") == "ERROR"]
    return Sources(
        version=client.version,
        addresses=client.workers,
        models=running,
        instances=instances,
        gone=frozenset(uid for uid in broken if client.presence(uid) == releases.UNKNOWN),
        autostart=client.autostart(),
        custom=custom,
        families=families,
        engines={uid: _engines(client, row) for uid, row in running.items() if _lacks_engine(row)},
        history=client.launch_history(),
        declared=declared,
        workers=workers,
    )


def _lacks_engine(row: t.Mapping[str, t.Any]) -> bool:
    return row["model_type"] == "LLM" and not row.get("model_engine")


def _engines(client: Client, row: t.Mapping[str, t.Any]) -> list[str]:
    """The installed engines that can run an LLM as it runs."""
    told = catalog.engines_of(client.engines("LLM", row["model_name"]) or {})
    wanted = {option: next(iter(engine_specs.values(row, option)), None) for option in engine_specs.SPEC_KEYS}
    return [name for name, engine in told.items() if engine["installed"] and wanted in engine["specs"]]


def launch_arguments(home: str | None) -> dict[str, dict[str, t.Any]]:
    """The launches that the workers with this XINFERENCE_HOME keep: replica's UID -> arguments.

    :raises ModelopsError: a file is there and cannot be read.
    """
    found: dict[str, dict[str, t.Any]] = {}
    if not home:
        return found
    place = os.path.join(home, "worker_recovery")
    try:
        # The server's user owns it, and could have root show another file by a link.
        with Directory.at(place) as workers:
            for name in workers.names():
                place = os.path.join(workers.path, name, "models.json")
                about = workers.stat(name)
                if about is not None and not stat.S_ISREG(about.st_mode):
                    with contextlib.suppress(FileNotFoundError), workers.enter(name) as worker:
                        with worker.open("models.json") as file:
                            found.update(_json.check("its content", _json.load(file), dict, dict))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ModelopsError(
            f"home: {place} cannot be read ({why}). Run the module as root or as the server's user, or leave home unset"
        ) from exc
    return found
