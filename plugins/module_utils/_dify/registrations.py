# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what clusters serve to what a Dify is to have. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.modelops.inference.plugins.module_utils._address import is_loopback
from ansible_collections.modelops.inference.plugins.module_utils._dify.models import OWN_NAME, owns
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

# What a model's ``dify``, or a target's ``overrides`` of its UID, may say.
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

STATES = ("present", "present_with_defaults", "absent")

# Before 1.0 Dify refuses a tts model without a key. A server without authentication takes any; what release a Dify is,
# nobody knows here, and later ones take it, too.
NO_KEY = "none-needed"

# What the name of a model in Dify may be made of (model_name of a target).
PLACES = ("uid", "cluster")


# How a request is made from Dify's network (prove_from of a target).
HOOKS = ("docker", "kubectl", "ssh", "command")


class Choice(t.NamedTuple):
    """A model of a cluster that a target wants: its name and type in Dify (None where Dify has none for it)."""

    source: t.Mapping[str, t.Any]
    model: t.Mapping[str, t.Any]
    name: str
    kind: str | None

    @property
    def wanted(self) -> bool:
        """Whether it is to be in Dify, as far as anybody declared."""
        return present(self.model) and _state(self.model) != "absent"


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
    return _override(model, "name") or re.sub(r"{(\w+)}", lambda match: str(places[match.group(1)]), template)


def url_of(source: t.Mapping[str, t.Any], target: t.Mapping[str, t.Any], model: t.Mapping[str, t.Any]) -> str:
    """Xinference's address as this Dify is to use it for a model."""
    given = (target.get("server_urls") or {}).get(source["cluster"]) or target.get("server_url")
    return str(_override(model, "server_url") or given or source["url"]).rstrip("/")


def registrations(
    sources: t.Sequence[t.Mapping[str, t.Any]],
    target: t.Mapping[str, t.Any],
    *,
    not_ready: bool,
    proofs: t.Iterable[t.Mapping[str, t.Any]] = (),
    complete: bool = True,
) -> dict[str, t.Any]:
    """What one target is to have.

    :param sources: ``xinference_served`` of each cluster, with the key as ``api_key`` where there is one.
    :param target: an item of ``dify_targets``.
    :param not_ready: True also takes models that Xinference does not serve yet, as check mode has to.
    :param proofs: what was asked at the URLs (``proof.verdicts``); a model that was not found there is left alone.
    :param complete: whether ``sources`` are all clusters. One that is not among them may serve now what another declares
        absent, so that then nothing is removed.
    :returns: ``models``, ``server_urls`` and ``defaults`` as the modules take them, and ``skipped`` with the reasons.
    """
    chosen = choices(sources, target)
    unproven = {
        (row["cluster"], row["uid"]): row["why"] for row in proofs if row["dify"] == target["name"] and not row["ok"]
    }
    # A model that moved to another cluster is declared absent where it was, and is not gone from Dify.
    given = {(choice.name, choice.kind) for choice in chosen if choice.wanted}
    taken = {(choice.name, kind) for choice in chosen if choice.wanted for kind in _kinds(choice.model, choice.kind)}
    models: list[dict[str, t.Any]] = []
    skipped: list[dict[str, t.Any]] = []
    for choice in chosen:
        source, model, name, kind = choice
        row = {"cluster": source["cluster"], "uid": model["uid"], "model": name, "type": kind or model["type"]}
        if not choice.wanted:
            going = [gone for gone in _kinds(model, kind) if (name, gone) not in taken]
            taken.update((name, gone) for gone in going)
            models += [{"name": name, "type": gone, "state": "absent" if complete else "ignored"} for gone in going]
            if going and not complete:
                why = "not removed: this run does not see every cluster, and another one may serve it"
                skipped.append({**row, "state": "skipped", "why": why})
            continue
        why = unproven.get((source["cluster"], model["uid"]))
        if kind is None and model["type"] == "audio" and not served(model):
            why = f"Xinference ({source['cluster']}) does not serve it now, and tells only then whether it transcribes or speaks"
            skipped.append({**row, "state": "skipped", "why": why})
            # As whichever it is registered, it stays.
            staying = [kept for kept in _kinds(model, kind) if (name, kept) not in given]
            given.update((name, kept) for kept in staying)
            models += [{"name": name, "type": kept, "state": "ignored"} for kept in staying]
        elif kind is None:
            skipped.append({**row, "state": "skipped", "why": why_not(model)})
        elif why:
            skipped.append({**row, "state": "failed", "why": why})
        elif not not_ready and not served(model):
            why = f"Xinference ({source['cluster']}) does not serve it now"
            skipped.append({**row, "state": "skipped", "why": why})
        else:
            models.append(_registration(target, choice))
            continue
        if kind is not None:  # not registered now, and not to be pruned either
            models.append({"name": name, "type": kind, "state": "ignored"})
    return {
        "models": models,
        "skipped": skipped,
        "server_urls": sorted({url_of(source, target, {}) for source in sources}),
        "defaults": _defaults(target, chosen),
    }


def _kinds(model: t.Mapping[str, t.Any], kind: str | None) -> tuple[str, ...]:
    """The types under which a model may be registered: both of an audio model that does not run, as nobody knows."""
    if kind is None:
        return tuple(_BY_ABILITY.values()) if model["type"] == "audio" else ()
    return (kind,)


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
    entry.update({key: _override(model, key) for key in _PASSED_ON if _override(model, key) is not None})
    return entry


def _defaults(target: t.Mapping[str, t.Any], chosen: t.Iterable[Choice]) -> dict[str, t.Any]:
    """The target's defaults, a model's UID replaced by its name in Dify; a name goes before a UID."""
    wanted = [choice for choice in chosen if choice.wanted]
    names = {(choice.kind, choice.name) for choice in wanted}
    by_uid = {(choice.kind, choice.model["uid"]): choice.name for choice in wanted}
    given = target.get("defaults") or {}
    return {
        kind: by_uid.get((kind, name), name) if isinstance(name, str) and (kind, name) not in names else name
        for kind, name in given.items()
    }


# --- refused before anything changes --------------------------------------------------------------------------------


def refusals(sources: t.Sequence[t.Mapping[str, t.Any]], targets: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """What cannot work, as sentences; known before anything is installed or launched.

    :param sources: ``xinference_declared`` of each cluster.
    :param targets: ``dify_targets``.
    """
    found = []
    for target in targets:
        wrong = list(_target_refusals(target))
        if not wrong:
            # Of an audio model Xinference tells only later which of Dify's types it has.
            chosen = [
                choice._replace(kind=choice.kind or choice.model["type"])
                for choice in choices(sources, target)
                if choice.wanted and (choice.kind or choice.model["type"] == "audio")
            ]
            wrong = [*_loopback_refusals(target, chosen), *_twice_refusals(chosen)]
        found += [f"{target['name']}: {sentence}" for sentence in wrong]
    for target in targets:
        found += [
            f"{target['name']}: prune would remove what {other['name']} registers, in the same workspace under the same "
            "credential name. Make one target of both (models, overrides), or give each a credential_name of its own."
            for other in targets
            if other is not target and _prunes(target, other)
        ]
    return found


def _prunes(target: t.Mapping[str, t.Any], other: t.Mapping[str, t.Any]) -> bool:
    """Whether a target takes another one's models for its own. A workspace that is not named may be any."""
    spaces = [set(each.get("workspaces") or [""]) for each in (target, other)]
    names = [each.get("credential_name") or OWN_NAME for each in (target, other)]
    return (
        boolean(target.get("prune") or False)
        and target.get("url", "").rstrip("/") == other.get("url", "").rstrip("/")
        and ("" in spaces[0] | spaces[1] or bool(spaces[0] & spaces[1]))
        and owns(names[0], names[1])
    )


def _target_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """What is wrong with a target itself."""
    account = [name for name in ("email", "password") if target.get(name)]
    if len(account) == 1 or bool(account) == bool(target.get("admin_key")):
        yield "give email and password, or admin_key and the workspaces' IDs."
    if target.get("admin_key") and not [name for name in target.get("workspaces") or () if name]:
        yield "an admin_key works in workspaces that are named by their ID: give workspaces."
    unknown = [place for place in re.findall(r"{(.*?)}", str(target.get("model_name") or "")) if place not in PLACES]
    if unknown:
        yield f"model_name has no {{{unknown[0]}}}; it may have {{uid}} and {{cluster}}."
    if (target.get("plugin") or {}).get("state") == "absent" and target.get("defaults"):
        yield "with plugin.state absent there are no models that could be defaults."
    asked_by = [name for name, value in (target.get("prove_from") or {}).items() if value and name in HOOKS]
    if target.get("prove_from") and len(asked_by) != 1:
        yield f"prove_from takes one of {', '.join(HOOKS)}."


def _loopback_refusals(target: t.Mapping[str, t.Any], chosen: t.Sequence[Choice]) -> t.Iterator[str]:
    if boolean(target.get("allow_loopback") or False):
        return
    urls = target.get("server_urls") or {}
    given = {"server_url": target.get("server_url")}
    given.update({f"server_urls of {cluster}": url for cluster, url in urls.items()})
    given.update({f"dify.server_url of {c.model['uid']}": _override(c.model, "server_url") for c in chosen})
    wrong = [
        f"{where} is a loopback address ({shown(url)})" for where, url in given.items() if url and is_loopback(url)
    ]
    by_default = {
        source["cluster"]
        for source, model, _name, _kind in chosen
        if source["loopback"]
        and not (_override(model, "server_url") or urls.get(source["cluster"]) or target.get("server_url"))
    }
    wrong += [
        f"there is no server_url, and cluster {cluster} listens on loopback only (xinference_host)"
        for cluster in sorted(by_default)
    ]
    if wrong:
        yield (
            f"{'; '.join(wrong)}. Dify tries a model from its own container (plugin_daemon, or api before 1.0), "
            "where a loopback address means the container. Let Xinference listen on an address that Dify reaches and give "
            "that as server_url, or, where Dify runs on the same machine outside containers, say allow_loopback: true."
        )


def _twice_refusals(chosen: t.Sequence[Choice]) -> t.Iterator[str]:
    origins: dict[tuple[str, str | None], list[str]] = {}
    for source, model, name, kind in chosen:
        origins.setdefault((name, kind), []).append(f"{model['uid']} of cluster {source['cluster']}")
    for (name, kind), of in origins.items():
        if len(of) > 1:
            yield (
                f"{' and '.join(of)} would both be the {kind} model '{name}' in Dify, where name and type are a model's "
                'identity. Name them by their clusters (the target\'s model_name: "{uid}@{cluster}"), give each a name of its '
                "own (dify.name), or select (models of the target, by clusters or tags)."
            )


def _override(model: t.Mapping[str, t.Any], name: str) -> t.Any:
    overrides = model.get("dify") or {}
    unknown = sorted(set(overrides) - set(OVERRIDES))
    if unknown:
        raise ModelopsError(f"model '{model['uid']}': dify has no '{unknown[0]}'; it may give {', '.join(OVERRIDES)}")
    return overrides.get(name)


def present(model: t.Mapping[str, t.Any]) -> bool:
    declared = model.get("declared", "present")
    if declared not in ("present", "absent"):
        raise ModelopsError(f"model '{model['uid']}': declared is present or absent; not '{declared}'")
    return declared == "present"


def _state(model: t.Mapping[str, t.Any]) -> str:
    """What is declared of the model in Dify."""
    state = _override(model, "state") or "present"
    if state not in STATES:
        raise ModelopsError(f"model '{model['uid']}': dify.state is one of {', '.join(STATES)}; not '{state}'")
    return str(state)


def served(model: t.Mapping[str, t.Any]) -> bool:
    """Whether Xinference serves the model, maybe with other fields than declared."""
    return model.get("state") in ("ready", "differs")


def shown(text: str) -> str:
    """A text as it may be shown, without the user and the password that may be in its URLs."""
    return re.sub(r"(?<=://)[^/\s]*@", "***@", text)


# --- what a play calls ----------------------------------------------------------------------------------------------


def calls(targets: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """What is called for each workspace of each target: ``plugin``, ``models``, ``defaults``, and how many of them log in (``logins``).

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
                    "logins": (bool(plugin) + (plugin != "absent") + bool(target.get("defaults")))
                    * bool(target.get("email")),
                }
            )
    return found
