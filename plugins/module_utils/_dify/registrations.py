# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what clusters serve to what a Dify is to have, or what a person is to enter. Pure. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.modelops.inference.plugins.module_utils._address import is_loopback
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

# As Dify's dialog spells the types of models.
DIALOG_TYPES = {
    "llm": "LLM",
    "text-embedding": "TEXT EMBEDDING",
    "rerank": "RERANK",
    "speech2text": "SPEECH2TEXT",
    "tts": "TTS",
}

_BY_TYPE = {"LLM": "llm", "embedding": "text-embedding", "rerank": "rerank"}
_BY_ABILITY = {"audio2text": "speech2text", "text2audio": "tts"}

# What a model's ``dify`` may override.
OVERRIDES = ("name", "type", "server_url", "invoke_timeout", "max_retries", "credential_name")


def dify_type(model: t.Mapping[str, t.Any]) -> str | None:
    """The type that a model of Xinference has in Dify; None where Dify has none for it.

    :raises ModelopsError: it is given one that Dify does not have.
    """
    given = _override(model, "type")
    if given is not None:
        if given not in DIALOG_TYPES:
            raise ModelopsError(f"model '{model['uid']}': dify.type is one of {', '.join(DIALOG_TYPES)}; not '{given}'")
        return str(given)
    if model["type"] in _BY_TYPE:
        return _BY_TYPE[model["type"]]
    if model["type"] != "audio":
        return None
    return next((kind for ability, kind in _BY_ABILITY.items() if ability in (model.get("abilities") or ())), None)


def why_not(model: t.Mapping[str, t.Any]) -> str:
    """Why a model without a type in Dify is left out."""
    if model["type"] == "audio":
        return "an audio model that neither transcribes nor speaks has no type in Dify"
    return f"Dify has no type for {model['type']} models"


def selected(model: t.Mapping[str, t.Any], selector: t.Mapping[str, t.Any] | None) -> bool:
    """Whether a target wants a model: by any of its tags, by UID, by type in Xinference's or Dify's spelling."""
    chosen = {name: wanted for name, wanted in (selector or {}).items() if wanted}
    types = {str(model["type"]).lower(), dify_type(model)}
    return all(
        (
            not chosen.get("tags") or bool(set(chosen["tags"]) & set(model.get("tags") or ())),
            not chosen.get("uids") or model["uid"] in chosen["uids"],
            not chosen.get("types") or bool({str(name).lower() for name in chosen["types"]} & types),
        )
    )


def registrations(
    sources: t.Iterable[t.Mapping[str, t.Any]], target: t.Mapping[str, t.Any], *, not_ready: bool
) -> dict[str, list[dict[str, t.Any]]]:
    """What one target is to have.

    :param sources: ``xinference_served`` of each cluster, with the key as ``api_key`` where there is one.
    :param target: an item of ``dify_targets``.
    :param not_ready: True also takes models that Xinference does not serve yet, as check mode has to.
    :returns: ``models`` as dify_models takes them, and ``skipped`` with the reasons.
    """
    chosen = [(source, *choice) for source in sources for choice in _chosen(source, target)]
    # A model that moved to another cluster is declared absent where it was, and is not gone from Dify.
    taken = {(name, kind) for _source, model, name, kind in chosen if _present(model)}
    models: list[dict[str, t.Any]] = []
    skipped: list[dict[str, t.Any]] = []
    for source, model, name, kind in chosen:
        if not _present(model):
            if kind is not None and (name, kind) not in taken:
                taken.add((name, kind))
                models.append({"name": name, "type": kind, "state": "absent"})
            continue
        why = ""
        if kind is None:
            why = why_not(model)
        elif not not_ready and not _served(model):
            why = f"Xinference ({source['cluster']}) does not serve it now"
        if why:
            skipped.append({"cluster": source["cluster"], "model": name, "type": model["type"], "why": why})
        else:
            models.append(_registration(source, target, model, name, str(kind)))
    return {"models": models, "skipped": skipped}


def _chosen(
    source: t.Mapping[str, t.Any], target: t.Mapping[str, t.Any]
) -> t.Iterator[tuple[t.Mapping[str, t.Any], str, str | None]]:
    """The models of a cluster that a target wants, with their names and types in Dify."""
    for model in source.get("models") or ():
        if selected(model, target.get("models")):
            yield model, _override(model, "name") or model["uid"], dify_type(model)


def refusals(sources: t.Sequence[t.Mapping[str, t.Any]], targets: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """What cannot work, as sentences; known before anything is installed or launched.

    :param sources: ``xinference_declared`` of each cluster.
    :param targets: ``dify_targets``.
    """
    found = []
    for target in targets:
        # Of an audio model Xinference tells only later which of Dify's types it has.
        chosen = [
            (source, model, name, kind or model["type"])
            for source in sources
            for model, name, kind in _chosen(source, target)
            if _present(model) and (kind or model["type"] == "audio")
        ]
        found += _loopback_refusals(target, [(source, model) for source, model, _name, _kind in chosen])
        found += _twice_refusals(target, chosen)
    return found


def _loopback_refusals(
    target: t.Mapping[str, t.Any], chosen: t.Sequence[tuple[t.Mapping[str, t.Any], t.Mapping[str, t.Any]]]
) -> list[str]:
    if boolean(target.get("allow_loopback") or False):
        return []
    urls = target.get("server_urls") or {}
    given = {"server_url": target.get("server_url")}
    given.update({f"server_urls of {cluster}": url for cluster, url in urls.items()})
    given.update({f"dify.server_url of {model['uid']}": _override(model, "server_url") for _source, model in chosen})
    wrong = [f"{where} is a loopback address ({url})" for where, url in given.items() if url and is_loopback(url)]
    by_default = {
        source["cluster"]
        for source, model in chosen
        if source["loopback"]
        and not (_override(model, "server_url") or urls.get(source["cluster"]) or target.get("server_url"))
    }
    wrong += [
        f"there is no server_url, and cluster {cluster} listens on loopback only (xinference_host)"
        for cluster in sorted(by_default)
    ]
    if not wrong:
        return []
    return [
        f"{target['name']}: {'; '.join(wrong)}. Dify tries a model from its own container (plugin_daemon, or api before 1.0), "
        "where a loopback address means the container. Let Xinference listen on an address that Dify reaches and give that "
        "as server_url, or, where Dify runs on the same machine outside containers, say allow_loopback: true."
    ]


def _twice_refusals(
    target: t.Mapping[str, t.Any], chosen: t.Sequence[tuple[t.Mapping[str, t.Any], t.Mapping[str, t.Any], str, str]]
) -> list[str]:
    origins: dict[tuple[str, str], list[str]] = {}
    for source, model, name, kind in chosen:
        origins.setdefault((name, kind), []).append(f"{model['uid']} of cluster {source['cluster']}")
    return [
        f"{target['name']}: {' and '.join(of)} would both be the {kind} model '{name}' in Dify, where name and type are a "
        "model's identity. Give each a name of its own (dify.name), or select by tags (models of the target)."
        for (name, kind), of in origins.items()
        if len(of) > 1
    ]


def _registration(
    source: t.Mapping[str, t.Any],
    target: t.Mapping[str, t.Any],
    model: t.Mapping[str, t.Any],
    name: str,
    kind: str,
) -> dict[str, t.Any]:
    urls = target.get("server_urls") or {}
    entry = {
        "name": name,
        "type": kind,
        "server_url": urls.get(source["cluster"]) or target.get("server_url") or source["url"],
        "model_uid": model["uid"],
    }
    if source.get("api_key"):
        entry["api_key"] = source["api_key"]
    entry.update({key: _override(model, key) for key in OVERRIDES[2:] if _override(model, key) is not None})
    return entry


def _override(model: t.Mapping[str, t.Any], name: str) -> t.Any:
    overrides = model.get("dify") or {}
    unknown = sorted(set(overrides) - set(OVERRIDES))
    if unknown:
        raise ModelopsError(f"model '{model['uid']}': dify has no '{unknown[0]}'; it may give {', '.join(OVERRIDES)}")
    return overrides.get(name)


def _present(model: t.Mapping[str, t.Any]) -> bool:
    declared = model.get("declared", "present")
    if declared not in ("present", "absent"):
        raise ModelopsError(f"model '{model['uid']}': declared is present or absent; not '{declared}'")
    return declared == "present"


def _served(model: t.Mapping[str, t.Any]) -> bool:
    """Whether Xinference serves the model, maybe with other fields than declared."""
    return model.get("state") in ("ready", "differs")


def connection_sheet(source: t.Mapping[str, t.Any], *, kept: str) -> list[str]:
    """The lines that tell a person what to enter in Dify for one cluster; never the key itself.

    :param source: ``xinference_served`` of the cluster.
    :param kept: where its key is kept, as a person finds it; "" where it needs none.
    """
    models = [model for model in source.get("models") or () if _present(model)]
    entries = [(model, dify_type(model)) for model in models]
    lines = [
        f"Xinference cluster {source['cluster']}: what to enter in Dify",
        "",
        "Settings > Model Providers > Xinference > Add Model (owner or admin of the workspace; from Dify 1.0 on install",
        "the plugin langgenius/xinference first). One entry for each model:",
    ]
    for model, kind in entries:
        if kind is None:
            continue
        url = _override(model, "server_url") or source["url"]
        lines += [
            "",
            f"  Model Type   {DIALOG_TYPES[kind]}",
            f"  Model Name   {_override(model, 'name') or model['uid']}",
            f"  Server url   {url}",
            f"  Model uid    {model['uid']}",
            f"  API key      {kept or 'leave it empty: this server needs none'}",
        ]
        if not _served(model):
            lines.append("  (Xinference does not serve it now; Dify tries it before it stores it.)")
    left_out = [f"  {model['uid']}: {why_not(model)}" for model, kind in entries if kind is None]
    if left_out:
        lines += ["", "Not for Dify:", *left_out]
    if source["loopback"]:
        lines += [
            "",
            "This server listens on loopback only. A Dify on the same machine outside containers can use it as it is.",
            "For any other Dify set xinference_host to an address that it reaches (or 0.0.0.0), run the site again, and",
            "take the address from the new sheet.",
        ]
    elif is_loopback(source["url"]):
        lines += [
            "",
            "This server listens on every address of its host. Enter one that Dify reaches in place of loopback.",
        ]
    return lines


def summary(
    results: t.Iterable[t.Mapping[str, t.Any]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Sequence[t.Mapping[str, t.Any]],
    *,
    not_ready: bool,
) -> list[dict[str, t.Any]]:
    """One row for each Dify, workspace and model.

    :param results: of the calls of dify_models, each with ``_call``: ({"key": number of its target}, workspace).
    """
    rows: list[dict[str, t.Any]] = []
    for result in results:
        target, workspace = targets[result["_call"][0]["key"]], result["_call"][1]
        place = {"dify": target["name"], "workspace": (result.get("workspace") or {}).get("name") or workspace}
        models = result.get("models") or ()
        for model in models:
            why = model.get("error", "")
            outcome = {"state": "failed" if why else model["state"], "action": model["action"], "why": why}
            rows.append({**place, "model": model["name"], "type": model["type"], **outcome})
        if result.get("failed") and not models:
            why = result.get("msg", "")
            rows.append({**place, "model": "", "type": "", "state": "failed", "action": "none", "why": why})
        for model in registrations(sources, target, not_ready=not_ready)["skipped"]:
            outcome = {"state": "skipped", "action": "none", "why": model["why"]}
            rows.append({**place, "model": model["model"], "type": model["type"], **outcome})
    return rows
