# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weights that the declared models need, against those on the host, and how one host gives them to others.

Pure. Private to the collection.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import Source, missing, unused
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host import Host

Option = t.Mapping[str, t.Any]
Models = t.Sequence[Option]
Found = t.Mapping[str, t.Mapping[str, t.Any]]
# Such a server listens where no other host reaches it, or everywhere.
_NO_ADDRESS = re.compile(r"127[.]|0[.]0[.]0[.]0$|localhost$")


def by_name(models: Models) -> dict[str, Option]:
    """Sources of the models by the names of their weights. Models with state absent do not count.

    :raises ModelopsError: a source can mean no one thing; naming the model.
    """
    wanted = [model for model in models if model.get("state", "present") != "absent" and model.get("source")]
    return {Source.of_model(model).name: model["source"] for model in wanted}


@dataclass(frozen=True)
class Weights:
    """
    :param sources: of the models. Their headers may hold a token, so they are in no plan.
    :param paths: that models name themselves.
    :param lacking: names of weights that are not on the host, each with its source.
    :param unused: names of weights on the host that no model names.
    """

    sources: tuple[t.Mapping[str, t.Any], ...]
    paths: tuple[str, ...]
    lacking: t.Mapping[str, t.Mapping[str, t.Any]]
    unused: tuple[str, ...]

    @classmethod
    def of(cls, models: Models, found: Found) -> Weights:
        """
        :param models: as they are declared. Models with state absent do not count.
        :param found: complete weights by name.
        :raises ModelopsError: a source can mean no one thing; naming the model.
        """
        wanted = [model for model in models if model.get("state", "present") != "absent"]
        paths = [item["path"] for model in wanted for item in [model, *(model.get("lora") or [])] if item.get("path")]
        named = by_name(models)
        return cls(
            sources=tuple(model["source"] for model in wanted if model.get("source")),
            paths=tuple(paths),
            lacking={name: named[name] for name in missing(named, found)},
            unused=tuple(unused(named, paths, found)),
        )


def seed(host: Host) -> str:
    """The host that gives weights to others, itself included; empty where each fetches for itself.

    It may be left out of the play (--limit). Of a bundle each host takes its own.
    """
    named = str(host.value("xinference_weights_seed"))
    return named if named in host.settings.inventory.play_hosts and not host.value("xinference_bundle") else ""


def lost_files(host: Host, weights: Weights, there: t.Callable[[str], bool]) -> t.Iterator[str]:
    """Refusals of files that the host lacks and the controller has not.

    :param there: whether the controller has a file of this name.
    """
    if given_by(host, weights) or host.value("xinference_bundle"):
        return
    for source in weights.lacking.values():
        if source.get("file") and not there(source["file"]):
            yield (
                f"xinference_models: source.file {source['file']} is not on the controller, and this host lacks the "
                "weights. Put the file there, or correct its path."
            )


def given_by(host: Host, weights: Weights) -> str:
    """The other host that gives this one the weights that it lacks; empty where none does."""
    named = seed(host)
    return named if weights.lacking and named != host.name else ""


def asked(host: Host, run: Run) -> dict[str, Option]:
    """Weights that other hosts of the batch lack and get from this one, each with its source."""
    if seed(host) != host.name:
        return {}
    found: dict[str, Option] = {}
    for other in run.batch:
        theirs = _planned(run, other)
        if other != host.name and theirs.get("seed") == host.name:
            # A play may declare models for all its hosts, which the variables of another host do not have.
            known = {**by_name(host.declared), **by_name(host.others(other).value("xinference_models") or [])}
            # Others come from their sources.
            found.update({name: known[name] for name in theirs["names"] if name in known})
    return found


def _planned(run: Run, host: str) -> t.Mapping[str, t.Any]:
    found: t.Mapping[str, t.Any] = (run.of(host, "xinference_found") or {}).get("plan", {}).get("weights", {})
    return found


def address(host: Host) -> str:
    """The seed's address for other hosts: its server's, or its own if the server listens on all addresses."""
    return str(host.found["system"]["address"] if _NO_ADDRESS.match(host.bind) else host.bind)
