# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models registered in Difys, as ``dify_targets`` declares them. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._address import is_loopback
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    INVOKE_TIMEOUT,
    MASK,
    MAX_RETRIES,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets.registrations import url_of
from ansible_collections.modelops.inference.plugins.module_utils._log import USERINFO, without_userinfo

# Defaults of dify_models.
_DEFAULTS = {"invoke_timeout": INVOKE_TIMEOUT, "max_retries": MAX_RETRIES}
# Of a target, what the capture replaces.
_REPLACED = (
    "workspaces",
    "workspace",
    "models",
    "overrides",
    "model_name",
    "update_secret",
    "defaults",
    "plugin",
    "prune",
    "clean_credentials",
)


class Captured(t.NamedTuple):
    """The targets, their variables with contents, and the models that could not be captured."""

    targets: list[dict[str, t.Any]]
    variables: dict[str, str]
    notes: list[str]


def capture(
    results: t.Sequence[t.Mapping[str, t.Any]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
    sources: t.Sequence[t.Mapping[str, t.Any]],
) -> Captured:
    """The targets for each workspace that has models of ours: one, or one for each cluster where several declare one UID
    of it, and further ones for a UID that is there more than once.

    :param results: of dify_info with its credentials, each with its call as ``_call``. Of what check mode did not read only
        the reason is noted.
    :param sources: ``cluster``, ``url`` and ``uids`` of each; what other servers have is not ours.
    """
    found = Captured([], {}, [])
    found.notes.extend(result["not_read"] for result in results if result["models"] is None)
    results = [result for result in results if result["models"] is not None]
    declaring = _declaring(sources)
    known = _clusters_at(results, targets, sources, declaring)
    for result in results:
        key, space = result["_call"]["key"], result["workspace"]
        target = targets[key]
        groups = _groups(result, target, declaring, known, found.notes)
        single = sum(1 for call in results if call["_call"]["key"] == key) == 1
        for (cluster, number), overrides in groups.items():
            words = [target["name"], "" if single else space["name"], cluster, str(number + 1) if number else ""]
            name = " ".join(word for word in words if word)
            found.targets.append(_target(target, name, space, cluster, overrides, found.variables))
    return found


# (cluster, "" where it need not be named; number of the target) -> UID -> override. An override is by UID alone, so a target
# has each UID of a cluster once.
_Groups = dict[tuple[str, int], dict[str, dict[str, t.Any]]]


def _groups(
    result: t.Mapping[str, t.Any],
    target: t.Mapping[str, t.Any],
    declaring: t.Mapping[str, set[str]],
    known: t.Mapping[tuple[int, str], set[str]],
    notes: list[str],
) -> _Groups:
    """The models of a workspace that are ours, by the target that declares them; of the others it is noted why they are not."""
    models, key = result["models"], result["_call"]["key"]
    shared = any(len(declaring.get(_uid(model), ())) > 1 for model in models)
    groups: _Groups = {}
    for model in models:
        uid, url = _uid(model), _url(model)
        what = f"{target['name']}, {result['workspace']['name']}: {model['type']} {model['name']}"
        clusters = declaring.get(uid, set())
        here = clusters & known.get((key, url), set())
        if len(here) != 1:
            notes.append(_left_alone(what, uid, url, clusters, target))
            continue
        of = min(here)
        cluster = of if shared else ""
        number = sum(1 for (other, _number), taken in groups.items() if other == cluster and uid in taken)
        given = (target.get("server_urls") or {}).get(of) or target.get("server_url") or ""
        groups.setdefault((cluster, number), {})[uid] = _entry(model, what, given, notes)
    return groups


def _left_alone(what: str, uid: str, url: str, clusters: set[str], target: t.Mapping[str, t.Any]) -> str:
    """The reason that a model is not assigned to a cluster, and the declaration that assigns it."""
    if not clusters:
        return f"{what} has the UID {uid}, which no cluster declares. It was left unchanged."
    step = (
        "This Dify hides the address: look it up there, and add the model to overrides."
        if MASK in url
        else f"If it is, declare it in server_urls of {target['name']} (cluster: address), and capture again."
    )
    return (
        f"{what} has the UID {uid} at {url}, and nothing shows that this is cluster {' or '.join(sorted(clusters))}. "
        f"It was left unchanged. {step}"
    )


def _target(
    target: t.Mapping[str, t.Any],
    name: str,
    space: t.Mapping[str, t.Any],
    cluster: str,
    overrides: dict[str, dict[str, t.Any]],
    variables: dict[str, str],
) -> dict[str, t.Any]:
    """A target of one workspace and these models.

    :param target: the declared one that it comes from.
    """
    connection = _connection(target, variables)
    if any(is_loopback(entry.get("server_url", "")) for entry in overrides.values()):
        connection["allow_loopback"] = True  # it is in use
    return {
        "name": name,
        **connection,
        "workspaces": [space["id"] if target.get("admin_key") else space["name"]],
        # Nobody can read a key from Dify, so the one that is there stays.
        "update_secret": "on_create",
        "models": {**({"clusters": [cluster]} if cluster else {}), "uids": list(overrides)},
        "overrides": _referred(overrides, (name, "overrides"), variables),
    }


def _declaring(sources: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, set[str]]:
    """UID -> clusters that declare it."""
    found: dict[str, set[str]] = {}
    for source in sources:
        for uid in source["uids"]:
            found.setdefault(uid, set()).add(source["cluster"])
    return found


def _clusters_at(
    results: t.Iterable[t.Mapping[str, t.Any]],
    targets: t.Iterable[t.Mapping[str, t.Any]],
    sources: t.Sequence[t.Mapping[str, t.Any]],
    declaring: t.Mapping[str, set[str]],
) -> dict[tuple[int, str], set[str]]:
    """(number of the target, address that its Dify uses, as it may be shown) -> clusters there: as is declared, and by UIDs
    that one cluster declares and that this Dify has at one address."""
    found: dict[tuple[int, str], set[str]] = {}
    for key, target in enumerate(targets):
        for source in sources:
            found.setdefault((key, without_userinfo(url_of(source, target, {}))), set()).add(source["cluster"])
    addresses: dict[tuple[int, str], set[str]] = {}
    for result in results:
        for model in result["models"]:
            addresses.setdefault((result["_call"]["key"], _uid(model)), set()).add(_url(model))
    for (key, uid), urls in addresses.items():
        clusters = declaring.get(uid, set())
        if len(clusters) == len(urls) == 1:
            found.setdefault((key, min(urls)), set()).update(clusters)
    return found


def _uid(model: t.Mapping[str, t.Any]) -> str:
    return str(model["fields"].get("model_uid"))


def _url(model: t.Mapping[str, t.Any]) -> str:
    """The URL without its login, as dify_info returns it."""
    return without_userinfo(str(model["fields"].get("server_url") or "").rstrip("/"))


def _connection(target: t.Mapping[str, t.Any], variables: dict[str, str]) -> dict[str, t.Any]:
    """The connection of the target as it is declared, with references in place of secrets."""
    return {
        key: _referred(value, (target["name"], key), variables, secret=key in ("password", "admin_key"))
        for key, value in target.items()
        if key != "name" and key not in _REPLACED and value is not None
    }


def _referred(value: t.Any, place: tuple[t.Any, ...], variables: dict[str, str], *, secret: bool = False) -> t.Any:
    """The value with a reference in place of each secret in it; a URL with a user in it is one.

    :param place: the target's name and the keys that lead to the value.
    """
    if isinstance(value, dict):
        return {key: _referred(item, (*place, key), variables) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_referred(item, (*place, number), variables) for number, item in enumerate(value)]
    if not (secret and value or USERINFO.search(str(value))):
        return value
    name = re.sub(r"[^a-z0-9]+", "_", "_".join(str(part) for part in ("vault_dify", *place)).lower())
    variables[name] = f"{'.'.join(str(part) for part in place[1:])} of {place[0]}"
    if not secret:
        variables[name] += f", {without_userinfo(str(value))}"
    return "{{ " + name + " }}"


def _entry(model: t.Mapping[str, t.Any], what: str, given: str, notes: list[str]) -> dict[str, t.Any]:
    """The override of a model that this Dify has otherwise.

    :param given: the server URL that the target has for it.
    """
    fields = model["fields"]
    entry: dict[str, t.Any] = {"name": model["name"], "type": model["type"]}
    url = _url(model)
    if MASK in url:
        step = (
            f"Check there whether it is {without_userinfo(given)}, as the target says." if given else "Add server_url."
        )
        notes.append(f"{what}: this Dify hides the server URL ({url}). {step}")
    elif url:
        entry["server_url"] = url
    for name, default in _DEFAULTS.items():
        given = str(fields.get(name, default))
        if not re.fullmatch("[0-9]+", given):
            notes.append(
                f"{what}: its {name} is '{given}', which is not a whole number. A run sets it to {default}; add {name} for another value."
            )
        elif int(given) != default:
            entry[name] = int(given)
    if model["state"] == "disabled":
        entry["enabled"] = False
    return entry
