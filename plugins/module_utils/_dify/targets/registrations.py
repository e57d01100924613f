# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registrations of a Dify, derived from the served models of clusters. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    DIALOG_TYPES,
    STATES,
)
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

_BY_TYPE = {"LLM": "llm", "embedding": "text-embedding", "rerank": "rerank"}
_BY_ABILITY = {"audio2text": "speech2text", "text2audio": "tts"}

# Keys of a model's ``dify``, and of a target's ``overrides`` of its UID.
OVERRIDES = (
    "name",
    "type",
    "server_url",
    "invoke_timeout",
    "max_retries",
    "credential_name",
    "enabled",
    "state",
)
# Those that dify_models takes as they are.
_PASSED_ON = ("invoke_timeout", "max_retries", "credential_name", "enabled")

# Before 1.0 Dify refuses a tts model without a key. A server without authentication takes any; what release a Dify is,
# nobody knows here, and later ones take it, too.
NO_KEY = "none-needed"

# Placeholders of a target's model_name.
PLACES = ("uid", "cluster")


class Choice(t.NamedTuple):
    """A model of a cluster that a target wants: its name and type in Dify (None where Dify has none for it)."""

    source: t.Mapping[str, t.Any]
    model: t.Mapping[str, t.Any]
    name: str
    kind: str | None

    @property
    def must_exist(self) -> bool:
        """Whether it must be in Dify, as far as anybody declared."""
        return present(self.model) and _state(self.model) != "absent"


def dify_type(model: t.Mapping[str, t.Any]) -> str | None:
    """The type that a model of Xinference has in Dify; None where Dify has none for it.

    :raises ModelopsError: it is given one that Dify does not have.
    """
    given = override(model, "type")
    if given is not None:
        if given not in DIALOG_TYPES:
            raise ModelopsError(
                f"model '{model['uid']}': dify.type must be one of {', '.join(DIALOG_TYPES)}, not '{given}'"
            )
        return str(given)
    if model["type"] in _BY_TYPE:
        return _BY_TYPE[model["type"]]
    if model["type"] != "audio":
        return None
    return next((kind for ability, kind in _BY_ABILITY.items() if ability in (model.get("abilities") or ())), None)


def why_not(model: t.Mapping[str, t.Any]) -> str:
    """Why a model without a type in Dify is left out."""
    if model["type"] == "audio":
        return "Dify has no type for an audio model that neither transcribes nor speaks"
    return f"Dify has no type for {model['type']} models"


def selected(source: t.Mapping[str, t.Any], model: t.Mapping[str, t.Any], target: t.Mapping[str, t.Any]) -> bool:
    """Whether a target wants a model: by cluster, any of its tags, UID, and type in Xinference's or Dify's spelling."""
    chosen = {name: wanted for name, wanted in (target.get("models") or {}).items() if wanted}
    types = {str(model["type"]).lower(), dify_type(model)}
    return all(
        (
            not chosen.get("clusters") or source["cluster"] in chosen["clusters"],
            not chosen.get("tags") or bool(set(chosen["tags"]) & set(model.get("tags") or ())),
            not chosen.get("uids") or model["uid"] in chosen["uids"],
            not chosen.get("types") or bool({str(name).lower() for name in chosen["types"]} & types),
        )
    )


def choices(sources: t.Iterable[t.Mapping[str, t.Any]], target: t.Mapping[str, t.Any]) -> list[Choice]:
    """The models that a target wants; their ``dify`` is what the target overrides, then their own."""
    overrides = target.get("overrides") or {}
    found = []
    for source in sources:
        for given in source.get("models") or ():
            model = {**given, "dify": {**(given.get("dify") or {}), **(overrides.get(given["uid"]) or {})}}
            if selected(source, model, target):
                found.append(Choice(source, model, name_of(source, model, target), dify_type(model)))
    return found


def name_of(source: t.Mapping[str, t.Any], model: t.Mapping[str, t.Any], target: t.Mapping[str, t.Any]) -> str:
    """The model's own name in Dify, or by the target's template, or its UID."""
    places = {"uid": model["uid"], "cluster": source["cluster"]}
    template = str(target.get("model_name") or "{uid}")
    return override(model, "name") or re.sub(r"{(\w+)}", lambda match: str(places[match.group(1)]), template)


def url_of(source: t.Mapping[str, t.Any], target: t.Mapping[str, t.Any], model: t.Mapping[str, t.Any]) -> str:
    """Xinference's address for a model, as this Dify reaches it."""
    given = (target.get("server_urls") or {}).get(source["cluster"]) or target.get("server_url")
    return str(override(model, "server_url") or given or source["url"]).rstrip("/")


def registrations(
    sources: t.Sequence[t.Mapping[str, t.Any]],
    target: t.Mapping[str, t.Any],
    *,
    not_ready: bool,
    proofs: t.Iterable[t.Mapping[str, t.Any]] = (),
    complete: bool = True,
) -> dict[str, t.Any]:
    """The registrations of one target.

    :param sources: ``xinference_served`` of each cluster, with the key as ``api_key`` where there is one.
    :param target: an item of ``dify_targets``.
    :param not_ready: True also takes models that Xinference does not serve yet, as check mode must.
    :param proofs: what was asked at the URLs (``proof.verdicts``); a model that was not found there is left alone.
    :param complete: whether ``sources`` are all clusters. One that is not among them may serve now what another declares
        absent, so that then nothing is removed.
    :returns: ``models``, ``server_urls`` and ``defaults`` as the modules take them, and ``skipped`` with the reasons.
    """
    chosen = choices(sources, target)
    wanted = [choice for choice in chosen if choice.must_exist]
    unproven = _unproven(proofs, target)
    registered = {(choice.name, choice.kind) for choice in wanted}
    # A model that moved to another cluster is declared absent where it was, and is not gone from Dify.
    taken = {(choice.name, kind) for choice in wanted for kind in _kinds(choice)}
    models: list[dict[str, t.Any]] = []
    skipped: list[dict[str, t.Any]] = []
    for choice in chosen:
        if choice.must_exist:
            skip = _skip(choice, unproven, not_ready)
            models += (
                _entries(choice, _staying(choice, registered), "pending") if skip else [_registration(target, choice)]
            )
        else:
            going = _claim(choice, taken)
            models += _entries(choice, going, "absent" if complete else "ignored")
            skip = _MAY_BE_SERVED if going and not complete else None
        if skip:
            skipped.append(_skipped(choice, skip))
    return {
        "models": models,
        "skipped": skipped,
        "server_urls": sorted({url_of(source, target, {}) for source in sources}),
        "defaults": _defaults(target, chosen),
    }


class _Skip(t.NamedTuple):
    """The reason that a model is not registered: ``skipped`` if it is impossible, ``failed`` if something is broken."""

    state: str
    why: str


_MAY_BE_SERVED = _Skip("skipped", "not removed: this run does not see every cluster, and another one may serve it")


def _unproven(proofs: t.Iterable[t.Mapping[str, t.Any]], target: t.Mapping[str, t.Any]) -> dict[tuple[str, str], str]:
    """(cluster, UID) -> why the model was not found at its URL."""
    return {
        (row["cluster"], row["uid"]): row["why"] for row in proofs if row["dify"] == target["name"] and not row["ok"]
    }


def _skip(choice: Choice, unproven: t.Mapping[tuple[str, str], str], not_ready: bool) -> _Skip | None:
    """Why a wanted model is not registered now; None where it is."""
    source, model = choice.source, choice.model
    away = f"Xinference ({source['cluster']}) does not serve it now"
    if choice.kind is None:
        if model["type"] == "audio" and not served(model):
            return _Skip("skipped", f"{away}, and its task (transcription or speech) is unknown until then")
        return _Skip("skipped", why_not(model))
    problem = unproven.get((source["cluster"], model["uid"]))
    if problem:
        return _Skip("failed", problem)
    return None if not_ready or served(model) else _Skip("skipped", away)


def _skipped(choice: Choice, skip: _Skip) -> dict[str, t.Any]:
    source, model, name, kind = choice
    row = {"cluster": source["cluster"], "uid": model["uid"], "model": name, "type": kind or model["type"]}
    return {**row, **skip._asdict()}


def _entries(choice: Choice, kinds: t.Iterable[str], state: str) -> list[dict[str, t.Any]]:
    """The entries of a model that dify_models does not register."""
    return [{"name": choice.name, "type": kind, "state": state} for kind in kinds]


def _staying(choice: Choice, registered: set[tuple[str, t.Any]]) -> list[str]:
    """The types under which a model that is not registered now may be there already: as those it is not pruned."""
    if choice.kind is not None:
        return [choice.kind]
    return [] if served(choice.model) else _claim(choice, registered)


def _claim(choice: Choice, claimed: set[tuple[str, t.Any]]) -> list[str]:
    """The types under which the model may be registered and that are not claimed under its name; they are from now on."""
    free = [kind for kind in _kinds(choice) if (choice.name, kind) not in claimed]
    claimed.update((choice.name, kind) for kind in free)
    return free


def _kinds(choice: Choice) -> tuple[str, ...]:
    """The types under which a model may be registered: both of an audio model that does not run, as nobody knows."""
    if choice.kind is None:
        return tuple(_BY_ABILITY.values()) if choice.model["type"] == "audio" else ()
    return (choice.kind,)


def _registration(target: t.Mapping[str, t.Any], choice: Choice) -> dict[str, t.Any]:
    source, model, name, kind = choice
    entry = {"name": name, "type": kind, "server_url": url_of(source, target, model), "model_uid": model["uid"]}
    if source.get("api_key"):
        entry["api_key"] = source["api_key"]
    elif kind == "tts" and not source.get("api_key_file"):
        entry["api_key"] = NO_KEY
    if target.get("credential_name"):
        entry["credential_name"] = target["credential_name"]
    if kind == "llm" and model.get("context_length"):
        entry["context_length"] = model["context_length"]
    if _state(model) != "present":
        entry["state"] = _state(model)
    entry.update({key: override(model, key) for key in _PASSED_ON if override(model, key) is not None})
    return entry


def _defaults(target: t.Mapping[str, t.Any], chosen: t.Iterable[Choice]) -> dict[str, t.Any]:
    """The target's defaults, a model's UID replaced by its name in Dify; a name goes before a UID."""
    wanted = [choice for choice in chosen if choice.must_exist]
    names = {(choice.kind, choice.name) for choice in wanted}
    by_uid = {(choice.kind, choice.model["uid"]): choice.name for choice in wanted}
    given = target.get("defaults") or {}
    return {
        kind: by_uid.get((kind, name), name) if isinstance(name, str) and (kind, name) not in names else name
        for kind, name in given.items()
    }


def override(model: t.Mapping[str, t.Any], name: str) -> t.Any:
    overrides = model.get("dify") or {}
    unknown = sorted(set(overrides) - set(OVERRIDES))
    if unknown:
        raise ModelopsError(
            f"model '{model['uid']}': dify has no key '{unknown[0]}'; its keys are {', '.join(OVERRIDES)}"
        )
    return overrides.get(name)


def present(model: t.Mapping[str, t.Any]) -> bool:
    declared = model.get("declared", "present")
    if declared not in ("present", "absent"):
        raise ModelopsError(f"model '{model['uid']}': declared must be present or absent, not '{declared}'")
    return declared == "present"


def _state(model: t.Mapping[str, t.Any]) -> str:
    """The declared state of the model in Dify."""
    state = override(model, "state") or "present"
    if state not in STATES:
        raise ModelopsError(f"model '{model['uid']}': dify.state must be one of {', '.join(STATES)}, not '{state}'")
    return str(state)


def served(model: t.Mapping[str, t.Any]) -> bool:
    """Whether Xinference serves the model, maybe with other fields than declared."""
    return model.get("state") in ("ready", "differs")


# --- what a play calls ----------------------------------------------------------------------------------------------


def calls(targets: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The calls for each workspace of each target: ``plugin``, ``models``, ``defaults``.

    Each names its target by number (``key``) and name only, so that it can be shown: targets hold passwords.
    """
    found = []
    for key, target in enumerate(targets):
        plugin = (target.get("plugin") or {}).get("state") or ("present" if target.get("plugin") else "")
        for workspace in target.get("workspaces") or [""]:
            found.append(
                {
                    "key": key,
                    "name": target["name"],
                    "workspace": workspace,
                    "plugin": plugin,
                    "models": plugin != "absent",
                    "defaults": bool(target.get("defaults")),
                }
            )
    return found
