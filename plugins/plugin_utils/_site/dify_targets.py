# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets that cannot work, refused before anything is installed or launched. Pure. Private to the collection."""

from __future__ import annotations

import difflib
import re
import typing as t
from urllib.parse import urlsplit

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.modelops.inference.plugins.module_utils._address import (
    PROXIES,
    address_problem,
    is_loopback,
    url_problem,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models import defaults
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.declared_models import (
    DIALOG_TYPES,
    NAME_LIMIT,
    OWN_NAME,
    STATES,
)
from ansible_collections.modelops.inference.plugins.module_utils._dify.models.ownership import owns
from ansible_collections.modelops.inference.plugins.module_utils._dify.targets.registrations import (
    OVERRIDES,
    PLACES,
    Choice,
    choices,
    override,
)
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.models import TYPES

# How a request is made from Dify's network (prove_from of a target).
HOOKS = ("docker", "kubectl", "ssh", "command")

# Paths of Dify itself: of its APIs, and of the pages from which a person copies an address. A proxy's prefix may be before them.
_PAGES = re.compile(
    r"/(console/api(/.*)?|api|v1|apps|app/[0-9a-f-]{36}(/.*)?|explore(/apps)?|datasets|signin|install|init)/*$"
)
LOOPBACK = (
    "A loopback address is no server_url for a Dify in containers: its container plugin_daemon (api before 1.0) would call "
    "itself. Set server_url to an address of Xinference that Dify reaches, and xinference_host to listen on it. For a Dify on "
    "the same machine outside containers, set allow_loopback: true."
)


def refusals(sources: t.Sequence[t.Mapping[str, t.Any]], targets: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Why targets cannot work, as sentences.

    :param sources: ``xinference_declared`` of each cluster.
    :param targets: ``dify_targets``.
    """
    names = [target["name"] for target in targets]
    blank = [number for number, name in enumerate(names, start=1) if not str(name).strip()]
    if blank:
        return [f"target {blank[0]} has a blank name. Name it, for the summary and for errors."]
    found = [f"{name}: is the name of more than one target." for name in dict.fromkeys(names) if names.count(name) > 1]
    looped = False
    for target in targets:
        wrong = list(_target_refusals(target))
        if not wrong:
            try:
                chosen = _coming(sources, target)
                loops = list(_loopback_refusals(target, chosen))
                wrong = [*loops, *_twice_refusals(chosen)]
                looped = looped or bool(loops)
            except ModelopsError as exc:
                wrong = [f"{exc}."]
        wrong += _override_refusals(target)
        found += [f"{target['name']}: {sentence}" for sentence in wrong]
    found += _shared_account_refusals(targets)
    for target in targets:
        found += [
            f"{target['name']}: prune would remove what {other['name']} registers, in the same workspace under the same "
            "credential name. Merge the two targets (models, overrides), or give each its own credential_name."
            for other in targets
            if other is not target and _prunes(target, other)
        ]
    return [*found, LOOPBACK] if looped else found


def _shared_account_refusals(targets: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Targets of one account that name different workspaces as the one that is remembered."""
    first: dict[tuple[str, str], t.Mapping[str, t.Any]] = {}
    found = []
    for target in targets:
        account = (str(target.get("url") or "").rstrip("/"), str(target.get("email") or ""))
        if not target.get("workspace") or not account[1]:
            continue
        other = first.setdefault(account, target)
        if other["workspace"] != target["workspace"]:
            found.append(
                f"{target['name']}: workspace is '{target['workspace']}', and '{other['workspace']}' in {other['name']}, of the "
                "same account, which can remember only one. List them as workspaces."
            )
    return found


def unknown(sources: t.Sequence[t.Mapping[str, t.Any]], targets: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Names in targets that none of these clusters declares, as sentences: values of selectors, UIDs of overrides, defaults.

    A run that does not see every cluster cannot refuse for it.
    """
    models = [model for source in sources for model in source.get("models") or ()]
    known = {
        "clusters": [source["cluster"] for source in sources],
        "tags": [tag for model in models for tag in model.get("tags") or ()],
        "uids": [model["uid"] for model in models],
    }
    found = []
    for target in targets:
        wrong = list(_undeclared(target, known)) or list(_default_refusals(sources, target))
        found += [f"{target['name']}: {sentence}" for sentence in wrong]
    return found


def _undeclared(target: t.Mapping[str, t.Any], known: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[str]:
    """Values of a target's selectors and overrides that no cluster declares.

    :param known: selector -> the declared values.
    """
    chosen = target.get("models") or {}
    for key, declared in known.items():
        of = "cluster" if key == "clusters" else "model"
        for value in _values(chosen, key):
            if value not in declared:
                yield f"models.{key} has {value!r}, which no declared {of} has{_near(value, declared)}"
    for uid in target.get("overrides") or {}:
        if uid not in known["uids"]:
            yield f"overrides has {uid!r}, which is not the UID of a declared model{_near(uid, known['uids'])}"


def _values(chosen: t.Mapping[str, t.Any], key: str) -> t.Sequence[t.Any]:
    """The values of a selector; a value that is not a list is refused elsewhere."""
    found = chosen.get(key) or ()
    return () if isinstance(found, str) else found


def _near(value: t.Any, known: t.Iterable[str]) -> str:
    near = difflib.get_close_matches(str(value), [str(name) for name in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def _coming(sources: t.Sequence[t.Mapping[str, t.Any]], target: t.Mapping[str, t.Any]) -> list[Choice]:
    """The models that a target registers, without overrides that are wrong.

    Of an audio model Xinference tells only later which of Dify's types it has: its type here is ``audio``.
    """
    fit = {uid: given for uid, given in (target.get("overrides") or {}).items() if not override_problems(given)}
    return [
        choice._replace(kind=choice.kind or choice.model["type"])
        for choice in choices(sources, {**target, "overrides": fit})
        if choice.must_exist and (choice.kind or choice.model["type"] == "audio")
    ]


def _prunes(target: t.Mapping[str, t.Any], other: t.Mapping[str, t.Any]) -> bool:
    """Whether a target takes another one's models for its own. A workspace that is not named may be any."""
    spaces = [_spaces(each) for each in (target, other)]
    names = [each.get("credential_name") or OWN_NAME for each in (target, other)]
    return (
        boolean(target.get("prune") or False)
        and target.get("url", "").rstrip("/") == other.get("url", "").rstrip("/")
        and ("" in spaces[0] | spaces[1] or bool(spaces[0] & spaces[1]))
        and owns(names[0], names[1])
    )


def _spaces(target: t.Mapping[str, t.Any]) -> set[str]:
    """The workspaces of a target, as they are named; "" is the account's current one."""
    return {space or target.get("workspace") or "" for space in target.get("workspaces") or [""]}


def _target_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Errors of a target itself."""
    for check in (
        _url_refusals,
        _login_refusals,
        _workspace_refusals,
        _model_name_refusals,
        _selector_refusals,
        _credential_name_refusals,
        _server_url_refusals,
        _declared_default_refusals,
        _proof_refusals,
    ):
        yield from check(target)


def _url_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    url = str(target.get("url") or "")
    if "@" in url:
        yield "url contains a login, which is not sent. Remove it, and give email and password, or admin_key."
    elif not re.match("https?://[^/]", url):
        yield f"url must start with http:// or https:// (it is '{without_userinfo(url)}')."
    elif address_problem(url) or "?" in url or "#" in url:
        problem = address_problem(url) or "must be Dify's address, with nothing after ? or #"
        yield f"url '{without_userinfo(url)}' {problem}."
    elif of := _PAGES.search(urlsplit(url).path):
        yield f"url must be Dify's address without {of[0].rstrip('/')} (it is '{without_userinfo(url)}')."
    proxy = str(target.get("proxy") or "")
    problem = address_problem(proxy, PROXIES, "http://proxy.example:3128") if proxy else ""
    if problem:
        yield f"proxy '{without_userinfo(proxy)}' {problem}."


def _login_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    email = target.get("email")
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+", str(email)):
        yield f"email must be an account's address, such as ops@example.com (it is '{email}')."
    account = [name for name in ("email", "password") if target.get(name)]
    if len(account) == 1 or bool(account) == bool(target.get("admin_key")):
        empty = [name for name in ("email", "password", "admin_key") if target.get(name) == ""]
        told = f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty: " if empty else ""
        yield f"{told}give email and password, or admin_key and the workspaces' IDs."
    if target.get("admin_key") and not any(target.get("workspaces") or ()):
        yield "an admin_key works in workspaces that are named by their ID: give workspaces."


def _workspace_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Refusals of the option workspace, used without workspaces."""
    if not target.get("workspace"):
        return
    if target.get("admin_key"):
        yield "workspace needs an account; with an admin_key give the ID as workspaces."
    elif any(target.get("workspaces") or ()):
        yield "workspace and workspaces cannot be given together: give one of the two."


def _model_name_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    template = str(target.get("model_name") or "")
    if template and not template.strip():
        yield "model_name is blank; remove it, or write one such as {uid}@{cluster}."
    if re.search("[{}]", re.sub(r"{[^{}]*}", "", template)):
        yield f"model_name has an unmatched brace (it is '{template}'); it may have {{uid}} and {{cluster}}."
    named = re.findall(r"{([^{}]*)}", template)
    unknown_place = next((name for name in named if name not in PLACES), None)
    if unknown_place is not None:
        yield f"model_name has no {{{unknown_place}}}; it may have {{uid}} and {{cluster}}."


def _selector_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    chosen = target.get("models") or {}
    for key, values in chosen.items():
        if isinstance(values, str):
            yield f"models.{key} must be a list, such as [{values}]."
    types = [*TYPES, *DIALOG_TYPES]
    known = {name.lower() for name in types}
    for name in _values(chosen, "types"):
        if str(name).lower() not in known:
            yield f"models.types has {name!r}, which is not a type of Xinference or of Dify{_near(name, types)}"


def _credential_name_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    name = target.get("credential_name")
    if name is None:
        return
    if not isinstance(name, (str, int)) or isinstance(name, bool) or re.search(r"[\x00-\x1f\x7f]", str(name)):
        yield f"credential_name must be one line of text (it is {name!r})."
        return
    name = str(name)
    if len(name) > NAME_LIMIT:
        yield f"credential_name has {len(name)} characters; Dify allows {NAME_LIMIT}: '{name}'."


def _server_url_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for where, url in _given_urls(target, ()).items():
        if url not in (None, ""):
            yield from _server_url_problem(where, url)


def _server_url_problem(where: str, url: t.Any) -> t.Iterator[str]:
    problem = url_problem(url) if isinstance(url, str) else "is no text"
    if problem:
        yield f"{where} '{without_userinfo(str(url))}' {problem}."


def _declared_default_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Refusals of the declared defaults; _default_refusals checks that the target has these models."""
    given = target.get("defaults") or {}
    if given and (target.get("plugin") or {}).get("state") == "absent":
        yield "plugin.state is absent, so there are no models for defaults. Remove defaults."
    for sentence in defaults.refusals(given):
        yield f"defaults: {sentence}."


def _proof_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    given = target.get("prove_from") or {}
    if given and sum(1 for hook in HOOKS if given.get(hook)) != 1:
        yield f"prove_from takes one of {', '.join(HOOKS)}."
    if any(not str(word).strip() for word in given.get("command") or ()):
        yield "prove_from.command has a blank word. Remove it."


def _override_refusals(target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for uid, given in (target.get("overrides") or {}).items():
        for problem in override_problems(given):
            yield f"overrides of {uid}: {problem}"


def override_problems(given: t.Any) -> list[str]:
    """Errors in ``dify`` of a model, or in a target's override of it, as sentences."""
    if not isinstance(given, dict):
        return [f"must be a dictionary with {', '.join(OVERRIDES)}."]
    found = [f"no key {key}{_near(key, OVERRIDES)}" for key in given if key not in OVERRIDES]
    for key, known in (("type", tuple(DIALOG_TYPES)), ("state", STATES)):
        if given.get(key) not in (None, "", *known):
            found.append(f"{key} must be one of {', '.join(known)}, not {given[key]!r}.")
    name = given.get("name")
    if (
        not isinstance(name, (str, int, type(None)))
        or isinstance(name, bool)
        or re.search(r"[\x00-\x1f\x7f]", str(name))
    ):
        found.append(f"name must be one line of text (it is {name!r}).")
    if given.get("enabled") is not None and not _boolean(given["enabled"]):
        found.append(f"enabled must be true or false (it is {given['enabled']!r}).")
    found += _credential_name_refusals(given)
    if given.get("server_url"):
        found += _server_url_problem("server_url", given["server_url"])
    for key, least in (("invoke_timeout", 1), ("max_retries", 0)):
        number = given.get(key)
        if number is not None and not (re.fullmatch("[0-9]{1,9}", str(number)) and int(number) >= least):
            found.append(f"{key} must be a number, at least {least} (it is '{number}').")
    return found


def _boolean(value: t.Any) -> bool:
    try:
        boolean(value)
    except TypeError:
        return False
    return True


def _default_refusals(sources: t.Sequence[t.Mapping[str, t.Any]], target: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Defaults that are none of the target's models, by name in Dify or UID. One with a provider is another provider's."""
    try:
        coming = _coming(sources, target)
    except (ModelopsError, KeyError):  # refused already
        return
    for kind, given in (target.get("defaults") or {}).items():
        if not isinstance(given, str):
            continue
        names = {
            name
            for choice in coming
            if choice.kind == kind or choice.kind == "audio" and kind in ("speech2text", "tts")
            for name in (choice.name, choice.model["uid"])
        }
        if given not in names:
            yield (
                f"the default {kind} {given!r} is not one of this target's {kind} models"
                + (_near(given, names).rstrip(".") or f" (it has {', '.join(sorted(names)) or 'none'}).")
                + " For a model of another provider give name and provider."
            )


def _loopback_refusals(target: t.Mapping[str, t.Any], chosen: t.Sequence[Choice]) -> t.Iterator[str]:
    """One sentence, without the reason, which is every target's."""
    if boolean(target.get("allow_loopback") or False):
        return
    wrong = [
        f"{where} is a loopback address ({without_userinfo(url)})"
        for where, url in _given_urls(target, chosen).items()
        if url and is_loopback(url)
    ]
    wrong += [
        f"there is no server_url, and cluster {cluster} listens on loopback only (xinference_host)"
        for cluster in sorted(_loopback_clusters(target, chosen))
    ]
    if wrong:
        yield f"{'; '.join(wrong)}."


def _given_urls(target: t.Mapping[str, t.Any], chosen: t.Iterable[Choice]) -> dict[str, t.Any]:
    """The addresses of Xinference that are declared: where -> URL."""
    return {
        "server_url": target.get("server_url"),
        **{f"server_urls of {cluster}": url for cluster, url in (target.get("server_urls") or {}).items()},
        **{f"dify.server_url of {choice.model['uid']}": override(choice.model, "server_url") for choice in chosen},
    }


def _loopback_clusters(target: t.Mapping[str, t.Any], chosen: t.Iterable[Choice]) -> set[str]:
    """The clusters whose own address is a loopback one, and that no declared address replaces."""
    if target.get("server_url"):
        return set()
    urls = target.get("server_urls") or {}
    return {
        choice.source["cluster"]
        for choice in chosen
        if choice.source["loopback"]
        and not (override(choice.model, "server_url") or urls.get(choice.source["cluster"]))
    }


def _twice_refusals(chosen: t.Sequence[Choice]) -> t.Iterator[str]:
    origins: dict[tuple[str, str | None], list[str]] = {}
    for source, model, name, kind in chosen:
        origins.setdefault((name, kind), []).append(f"{model['uid']} of cluster {source['cluster']}")
    for (name, kind), of in origins.items():
        if len(of) > 1:
            yield (
                f"{' and '.join(of)} would both be the {kind} model '{name}' in Dify, where name and type are a model's "
                'identity. Add the cluster to the names (the target\'s model_name: "{uid}@{cluster}"), give each its own name '
                "(dify.name), or select (models of the target, by clusters or tags)."
            )
