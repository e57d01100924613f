# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection sheet: entries for a person who adds a cluster's models in Dify, and where they are. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._address import is_loopback
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import DIALOG_TYPES
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets.registrations import (
    NO_KEY,
    choices,
    dify_type,
    name_of,
    present,
    served,
    url_of,
    why_not,
)
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo

_HOW = [
    "Settings > Model Providers > Xinference > Add Model (owner or admin of the workspace; from Dify 1.0 on install",
    "the plugin langgenius/xinference first). One entry for each model:",
]


def connection_sheet(
    source: t.Mapping[str, t.Any],
    *,
    key_place: str,
    results: t.Iterable[t.Mapping[str, t.Any]] = (),
    targets: t.Iterable[t.Mapping[str, t.Any]] = (),
) -> list[str]:
    """The lines that name the values to enter in Dify for one cluster, and where it is; never the key itself.

    :param source: ``xinference_served`` of the cluster.
    :param key_place: where its key is kept, as a person finds it; "" where it needs none.
    :param results: ``dify_results``, the rows of ``summary``.
    :param targets: ``dify_targets``, of which is told what is other than the entry says.
    """
    models = [model for model in source.get("models") or () if present(model)]
    entries = [(model, dify_type(model)) for model in models]
    lines = [f"Xinference cluster {source['cluster']}: values to enter in Dify", ""]
    lines += _HOW if any(kind for _model, kind in entries) else ["The cluster declares no model that Dify can use."]
    places: dict[str, list[str]] = {}
    for row in results:
        if row.get("cluster") == source["cluster"]:
            here = f"  In {row['dify']}, {row['workspace'] or 'its workspace'}: {row['state']} (as {row['model']})"
            places.setdefault(row["uid"], []).append(here)
    for model, kind in entries:
        if kind is None:
            continue
        lines += [
            "",
            *(f"  {field}   {value}" for field, value in _entry(source, model, kind).items()),
            f"  Model uid    {model['uid']}",
            f"  API key      {key_place or _no_key(kind)}",
            *_other_entries(source, model, targets),
            *places.get(model["uid"], ()),
        ]
        if not served(model):
            lines.append("  (Xinference does not serve it now; Dify tries it before it stores it.)")
    left_out = [model for model, kind in entries if kind is None]
    if left_out:
        lines += ["", "Not for Dify:"]
    for model in left_out:
        lines += [f"  {model['uid']}: {why_not(model)}", *_other_entries(source, model, targets)]
    if source["loopback"]:
        lines += [
            "",
            "This server listens on loopback only. A Dify on the same machine outside containers can use it as it is.",
            "For any other Dify set xinference_host to an address that it reaches (or 0.0.0.0), run site.yml again, and",
            "take the address from the new sheet.",
        ]
    elif is_loopback(source["url"]):
        lines += [
            "",
            "This server listens on every address of its host. Enter one that Dify reaches in place of loopback.",
        ]
    return lines


def _entry(
    source: t.Mapping[str, t.Any],
    model: t.Mapping[str, t.Any],
    kind: str | None,
    target: t.Mapping[str, t.Any] | None = None,
) -> dict[str, str]:
    """The entries of a model, in any Dify or in a target's, by field of the dialog."""
    return {
        "Model Type": DIALOG_TYPES[kind] if kind else "",
        "Model Name": name_of(source, model, target or {}),
        "Server url": without_userinfo(url_of(source, target or {}, model)),
    }


def _no_key(kind: str) -> str:
    """The entry for the key of a model of a server that needs none."""
    return f"{NO_KEY} (Dify before 1.0 wants one)" if kind == "tts" else "leave empty: this server needs none"


def _other_entries(
    source: t.Mapping[str, t.Any], model: t.Mapping[str, t.Any], targets: t.Iterable[t.Mapping[str, t.Any]]
) -> list[str]:
    """The targets that take the model, with what is entered there otherwise than in any Dify."""
    usual = _entry(source, model, dify_type(model))
    lines = []
    for target in targets:
        for choice in choices([{**source, "models": [model]}], target):
            here = _entry(source, choice.model, choice.kind, target)
            other = [f"{field} {value}" for field, value in here.items() if value != usual[field]]
            if choice.must_exist and choice.kind and other:
                lines.append(f"  For {target['name']}: {', '.join(other)}")
    return lines
