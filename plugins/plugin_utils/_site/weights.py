# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weights that the declared models need, against those on the host. Pure. Private to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import Source, missing, unused

Models = t.Sequence[t.Mapping[str, t.Any]]
Found = t.Mapping[str, t.Mapping[str, t.Any]]


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
        named = {Source.of_model(model).name: model["source"] for model in wanted if model.get("source")}
        return cls(
            sources=tuple(model["source"] for model in wanted if model.get("source")),
            paths=tuple(paths),
            lacking={name: named[name] for name in missing(named, found)},
            unused=tuple(unused(named, paths, found)),
        )
