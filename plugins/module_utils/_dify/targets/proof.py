# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions to Xinference at the address that a Dify uses, before Dify is asked. Pure. Private to the collection.

Dify's Xinference plugin remembers for five minutes, by the model's UID alone, that a model works, so what Dify says of
an address proves nothing.
"""

from __future__ import annotations

import json
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.modelops.inference.plugins.module_utils._dify.targets import registrations
from ansible_collections.modelops.inference.plugins.module_utils._log import without_userinfo


def questions(
    sources: t.Sequence[t.Mapping[str, t.Any]], targets: t.Sequence[t.Mapping[str, t.Any]]
) -> dict[str, list[dict[str, t.Any]]]:
    """The questions: ``probes`` from the machine that speaks to Dify, one for each address and cluster, and ``hooks`` from
    the Difys' own networks, with the command as ``argv``. Only of what Xinference serves."""
    probes: dict[tuple[str, str], set[str]] = {}
    hooks = []
    for key, target in enumerate(targets):
        asked = _asked(sources, target)
        for place, uids in asked.items():
            probes.setdefault(place, set()).update(uids)
            if target.get("prove_from"):
                hooks.append({"key": key, "argv": argv(target["prove_from"]), **_question(place, uids)})
    return {"probes": [_question(place, uids) for place, uids in probes.items()], "hooks": hooks}


def _asked(
    sources: t.Sequence[t.Mapping[str, t.Any]], target: t.Mapping[str, t.Any]
) -> dict[tuple[str, str], set[str]]:
    """(address, cluster) -> UIDs that one target registers there."""
    asked: dict[tuple[str, str], set[str]] = {}
    plugin = target.get("plugin") or {}
    if boolean(target.get("prove", True)) and plugin.get("state") != "absent":
        for choice in registrations.choices(sources, target):
            if choice.must_exist and choice.kind and registrations.served(choice.model):
                place = (registrations.url_of(choice.source, target, choice.model), choice.source["cluster"])
                asked.setdefault(place, set()).add(choice.model["uid"])
    return asked


def _question(place: tuple[str, str], uids: t.Iterable[str]) -> dict[str, t.Any]:
    return {"url": place[0], "cluster": place[1], "uids": sorted(uids)}


def argv(prove_from: t.Mapping[str, t.Any]) -> list[str]:
    """The command that runs a Python program given on its standard input, so that the key in it is in no argument."""
    if prove_from.get("docker"):
        prefix = ["docker", "exec", "-i", str(prove_from["docker"])]
    elif prove_from.get("kubectl"):
        options = {"-n": prove_from.get("namespace"), "-c": prove_from.get("container")}
        given = [str(word) for pair in options.items() if pair[1] for word in pair]
        prefix = ["kubectl", "exec", "-i", *given, str(prove_from["kubectl"]), "--"]
    elif prove_from.get("ssh"):
        prefix = ["ssh", "-o", "BatchMode=yes", str(prove_from["ssh"])]
    else:
        prefix = [str(word) for word in prove_from["command"]]
    return [*prefix, "python3", "-"]


def verdicts(
    sources: t.Sequence[t.Mapping[str, t.Any]],
    targets: t.Sequence[t.Mapping[str, t.Any]],
    probed: t.Iterable[t.Mapping[str, t.Any]],
    hooked: t.Iterable[t.Mapping[str, t.Any]],
    asked_on: str,
) -> list[dict[str, t.Any]]:
    """One row for each target, address (as it may be shown) and UID: ``ok``, and ``why`` not, or what a person should know all the same.

    :param probed: results of xinference_probe, each with its question as ``_question``.
    :param hooked: results of the commands, too.
    :param asked_on: the machine that asked the probes.
    """
    near = {_place(result["_question"]): _of_probe(result) for result in probed}
    far = {(result["_question"]["key"], *_place(result["_question"])): _of_hook(result) for result in hooked}
    rows = []
    for key, target in enumerate(targets):
        for place, uids in _asked(sources, target).items():
            hook = (key, *place)
            for uid in sorted(uids):
                here = near[place](uid)
                there = far[hook](uid) if hook in far else None
                rows.append(
                    {
                        "dify": target["name"],
                        "url": without_userinfo(place[0]),
                        "cluster": place[1],
                        "uid": uid,
                        **_verdict(here, there, asked_on),
                    }
                )
    return rows


#: The problem found with a UID; "" if it is served.
Finding = t.Callable[[str], str]


def _place(question: t.Mapping[str, t.Any]) -> tuple[str, str]:
    return question["url"], question["cluster"]


def _verdict(here: str, there: str | None, asked_on: str) -> dict[str, t.Any]:
    if there is None:
        hint = (
            ". Nothing was registered, because Dify's own check proves no address. Correct server_url; if only Dify reaches it, "
            "give prove_from (or prove: false, to trust Dify)"
        )
        return {"ok": not here, "why": f"asked on {asked_on}: {here}{hint}" if here else ""}
    if there:
        return {"ok": False, "why": f"asked from Dify's network: {there}"}
    return {"ok": True, "why": f"proven from Dify's network only; asked on {asked_on}: {here}" if here else ""}


def _of_probe(result: t.Mapping[str, t.Any]) -> Finding:
    rows = {row["uid"]: row for row in result.get("models") or ()}
    url = without_userinfo(result["_question"]["url"])

    def find(uid: str) -> str:
        if uid not in rows:
            return without_userinfo(str(result.get("msg") or "no answer"))
        return "" if rows[uid]["ok"] else f"{url} does not serve the model UID '{uid}': it {rows[uid]['detail']}"

    return find


def _of_hook(result: t.Mapping[str, t.Any]) -> Finding:
    question = result["_question"]
    lines = str(result.get("stdout") or "").splitlines()
    try:
        told = json.loads(lines[-1])
    except (IndexError, ValueError):
        told = {}
    wrong = "server_url"
    if not isinstance(told, dict) or not {"served", "error"} & set(told):
        # The program tells whatever it finds, so that it did not run.
        wrong = "prove_from, so that its command runs python3 in Dify's network"
        said = without_userinfo(str(result.get("stderr") or result.get("msg") or "nothing")).strip()[-300:]
        told = {"error": f"the command {without_userinfo(' '.join(question['argv']))} said: {said}"}
    url = without_userinfo(question["url"])

    def find(uid: str) -> str:
        if "error" not in told and uid in told["served"]:
            return ""
        found = f": {told['error']}" if "error" in told else f" does not serve the model UID '{uid}'"
        return f"{url}{without_userinfo(found)}. Nothing was registered. Correct {wrong}"

    return find
