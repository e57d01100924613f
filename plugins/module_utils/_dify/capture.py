# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Difys have registered, as ``dify_targets`` declares it. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._dify.models import MASK

# What dify_models takes where nothing is said.
_DEFAULTS = {"invoke_timeout": 60, "max_retries": 3}
# Of a target, what the capture replaces.
_REPLACED = ("workspaces", "models", "overrides", "model_name", "update_secret", "defaults", "plugin", "prune")


# A URL with a user, and maybe a password, in it.
_USERINFO = re.compile(r"\w://[^/\s]*@")


class Captured(t.NamedTuple):
    """The targets, the variables that they refer to and what those hold, and what could not be written down."""

    targets: list[dict[str, t.Any]]
    variables: dict[str, str]
    notes: list[str]


def capture(
    results: t.Iterable[t.Mapping[str, t.Any]], targets: t.Sequence[t.Mapping[str, t.Any]], uids: t.Collection[str]
) -> Captured:
    """One target for each workspace that has models of ours.

    :param results: of dify_info with its credentials, each with its call as ``_call``.
    :param uids: those that the clusters declare; what other servers have is not ours.
    """
    found = Captured([], {}, [])
    for result in results:
        target = targets[result["_call"]["key"]]
        space = result["workspace"]
        where = f"{target['name']}, {space['name']}"
        overrides: dict[str, dict[str, t.Any]] = {}
        for model in result["models"] or ():
            uid = str(model["fields"].get("model_uid"))
            what = f"{where}: {model['type']} {model['name']}"
            if uid not in uids:
                found.notes.append(f"{what} has the UID {uid}, which no cluster declares. It is left alone.")
            elif uid in overrides:
                found.notes.append(f"{what} is the UID {uid} once more, under another name. It is left alone.")
            else:
                overrides[uid] = _entry(model, what, found.notes)
        if overrides:
            single = sum(1 for call in results if call["_call"]["key"] == result["_call"]["key"]) == 1
            name = target["name"] if single else f"{target['name']} {space['name']}"
            workspace = space["id"] if target.get("admin_key") else space["name"]
            found.targets.append(
                {
                    "name": name,
                    **_connection(target, found.variables),
                    "workspaces": [workspace],
                    # Nobody can read a key from Dify, so the one that is there stays.
                    "update_secret": "on_create",
                    "models": {"uids": list(overrides)},
                    "overrides": _referred(overrides, (name, "overrides"), found.variables),
                }
            )
    return found


def _connection(target: t.Mapping[str, t.Any], variables: dict[str, str]) -> dict[str, t.Any]:
    """What the target says already, with references in place of secrets."""
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
    if not (secret and value or _USERINFO.search(str(value))):
        return value
    name = re.sub(r"[^a-z0-9]+", "_", "_".join(str(part) for part in ("vault_dify", *place)).lower())
    variables[name] = f"{'.'.join(str(part) for part in place[1:])} of {place[0]}"
    return "{{ " + name + " }}"


def _entry(model: t.Mapping[str, t.Any], what: str, notes: list[str]) -> dict[str, t.Any]:
    """What is different of a model in this Dify."""
    fields = model["fields"]
    entry: dict[str, t.Any] = {"name": model["name"], "type": model["type"]}
    url = fields.get("server_url") or ""
    if MASK in url:
        notes.append(f"{what}: this Dify hides the server URL ({url}). Add server_url.")
    elif url:
        entry["server_url"] = url.rstrip("/")
    for name, default in _DEFAULTS.items():
        if str(fields.get(name, default)) != str(default):
            entry[name] = int(fields[name])
    if model["state"] == "disabled":
        entry["enabled"] = False
    return entry
