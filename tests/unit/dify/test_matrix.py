# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a workspace, step by step, the same for every release: what each step changes, and what it may cost.

Every step but one shares a login. A step that changes nothing sends
  dify_models          3 requests and one for each model; with prune one more for each that is not declared
  dify_plugin          3 requests (2 where the provider is built in), two more for the latest version
  dify_default_models  2 requests and two for each type
and no step in check mode sends a request that changes anything.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from dify_examples import model
from servers.dify import Credential, DifyServer, Upstream
from servers.dify.server import EMAIL, PASSWORD
from servers.dify.xinference import Backend, default_models

from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin import workspace_plugin

ONE, TWO = "http://10.1.2.3:9997", "http://10.1.2.4:9998"
OLD_KEY, NEW_KEY = "sk-xinference-of-2025-aa", "sk-xinference-of-2026-bb"

CHAT = model(name="chat", server_url=ONE)
VISION = model(name="vision", server_url=ONE, model_uid="qwen2-vl")
EMBED = model(name="embed", server_url=ONE, type="text-embedding", model_uid="bge-m3")
THREE = [CHAT, VISION, EMBED]


def moved(models, key=OLD_KEY, **changed):
    return [{**item, "server_url": TWO, "api_key": key, **changed} for item in models]


def absent(*models):
    return [{"name": item["name"], "type": item["type"], "state": "absent"} for item in models]


# --- what people and servers do between two steps -------------------------------------------------------------------


def rotate(server):
    server.backend.upstreams[TWO].key = NEW_KEY


def edit(server):
    """A person gives a model more time."""
    found = server.workspace.models["chat", "llm"]
    found.shown["invoke_timeout"] = "300"
    for credential in found.credentials:
        credential.values["invoke_timeout"] = "300"


def pile_up(server):
    """A script posts the same model twice more. Before 1.8 that leaves no trace."""
    found = server.workspace.models["embed", "text-embedding"]
    for number in (1, 2) if server.profile.named else ():
        found.credentials.append(Credential(f"API KEY {number}", dict(found.shown)))


# --- the steps ----------------------------------------------------------------------------------------------------


@dataclass
class Step:
    """One task of a playbook.

    :param change: whether it changes something, or by what the release has: "plugins", "named" (credentials), "owned" (it
        shows by what a model is known to be ours).
    :param requests: how many it sends where it changes nothing; None does not count them.
    :param before: what happens before it.
    """

    title: str
    module: str
    options: dict[str, t.Any]
    change: bool | str
    requests: int | None = None
    check: bool = False
    before: t.Callable[[DifyServer], None] = field(default=lambda server: None)


def models(title, wanted, change, *, check=False, before=None, **options):
    others = 1 if options.get("prune") else 0
    step = Step(title, "dify_models", {"models": wanted, **options}, change, 3 + len(wanted) + others, check)
    step.before = before or step.before
    return step


def plugin(title, change, *, requests=3, check=False, **options):
    return Step(title, "dify_plugin", options, change, requests, check)


def defaults(title, change, *, check=False):
    # Check mode asks for the active models alone.
    return Step(title, "dify_default_models", {"defaults": {"llm": "vision"}}, change, 3 if check else 4, check)


def steps(identifier):
    now = moved(THREE, NEW_KEY)
    slow = [{**now[0], "invoke_timeout": 120}, *now[1:]]
    off = [{**slow[0], "enabled": False}, *slow[1:]]
    on = [{**slow[0], "enabled": True}, *slow[1:]]
    kept = [{**slow[0], "state": "present_with_defaults"}, *slow[1:]]
    return [
        plugin("plugin, check mode", "plugins", check=True, identifier=identifier),
        plugin("plugin", "plugins", identifier=identifier),
        plugin("plugin again", False, identifier=identifier),
        models("register, check mode", THREE, True, check=True),
        models("register", THREE, True),
        models("register again", THREE, False),
        models("another URL and a key, check mode", moved(THREE), True, check=True),
        models("another URL and a key", moved(THREE), True),
        models("another URL again", moved(THREE), False),
        models("a new key", now, True, before=rotate),
        models("a new key again", now, False),
        models("another timeout", slow, True),
        models("another timeout again", slow, False),
        models("disable", off, True),
        models("disable again", off, False),
        models("enable, check mode", on, True, check=True),
        models("enable", on, True),
        models("enable again", on, False),
        defaults("default, check mode", False, check=True),
        defaults("default", True),
        defaults("default again", False),
        models("a person's edit is kept", kept, False, before=edit),
        models("a person's edit is declared away", slow, True),
        models("duplicates of others are left", slow, False, before=pile_up),
        models("duplicates are cleaned", slow, "named", clean_credentials=True),
        models("duplicates are cleaned again", slow, False, clean_credentials=True),
        plugin("plugin upgrade, check mode", "plugins", state="latest", check=True, requests=5),
        plugin("plugin upgrade", "plugins", state="latest", requests=5),
        plugin("plugin upgrade again", False, state="latest", requests=5),
        models("nothing is lost by the upgrade", slow, False),
        models("absent, check mode", absent(CHAT), True, check=True),
        models("absent", absent(CHAT), True),
        models("absent again", absent(CHAT), False),
        models("prune, check mode", slow[1:2], "owned", check=True, prune=True),
        models("prune", slow[1:2], "owned", prune=True),
        models("absent, what is left", absent(VISION, EMBED), True),
        models("absent, what is left, again", absent(VISION, EMBED), False),
    ]


def test_matrix(dify, run_module, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace_plugin, "POLL", 0.01)
    profile = dify.profile
    dify.backend = dify.app.backend = Backend(
        {ONE: Upstream(default_models()), TWO: Upstream(default_models(), key=OLD_KEY)}, cache_seconds=0
    )
    dify.workspace.plugin = None
    dify.state.packages.tells_latest = True
    identifier = dify.state.packages.by_version("0.0.9")
    changes = {
        "plugins": profile.plugins,
        "named": profile.named,
        "owned": profile.named or not profile.secret_url,
        True: True,
        False: False,
    }
    account = {"url": dify.url, "email": EMAIL, "password": PASSWORD, "session_file": str(tmp_path / "session")}
    logins = 0
    for step in steps(identifier):
        step.before(dify)
        dify.strict_check = step.check
        dify.log.clear()
        result = run_module(step.module, {**account, "daemon_timeout": 0, **step.options}, check=step.check)
        where = f"{profile.version}: {step.title}"
        assert not result.failed, f"{where}: {result['msg']}"
        assert not dify.violations, f"{where}: {dify.violations}"
        assert result.changed == changes[step.change], f"{where}: {result['plan']}"
        assert bool(result["plan"]) == result.changed, where
        assert sum(result["requests"].values()) == len(dify.log), where
        login = len(dify.sent("POST", "/login"))
        logins += login
        if not result.changed:
            built_in = step.module == "dify_plugin" and not profile.plugins
            assert len(dify.log) - login == (2 if built_in else step.requests), where
    assert logins == 1
    assert not dify.workspace.models or not any(item.listed for item in dify.workspace.models.values())
