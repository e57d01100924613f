# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dify_info through main(), against every recorded release of Dify."""

from __future__ import annotations

import json

import pytest
from servers.dify import Credential, Model
from servers.dify.server import EMAIL, PASSWORD

SECRET = "sk-a-long-secret-key"
STORED = {
    "server_url": "http://10.1.2.3:9997",
    "model_uid": "qwen3",
    "api_key": SECRET,
    "invoke_timeout": "60",
    "max_retries": "3",
    "context_length": 32768,
}


@pytest.fixture
def dify(dify):
    """A Dify with an active and a disabled model, the first with a key."""
    for name, model_type, values, enabled in (
        ("qwen3", "llm", STORED, True),
        ("bge-m3", "text-embedding", {key: STORED[key] for key in STORED if key != "api_key"}, False),
    ):
        model = Model(name, model_type, listed=True, shown=values, enabled=enabled)
        if dify.profile.named:
            model.credentials.append(Credential("modelops.inference", values))
            model.active = model.credentials[0].id
        dify.workspace.models[name, model_type] = model
    return dify


@pytest.fixture
def dify_info(of_dify):
    """``dify_info(server, check=False, **options)`` -> Result of the module."""

    def run(server, *, check=False, **options):
        result = of_dify("dify_info", server, options, check=check)
        assert not result.changed
        return result

    return run


@pytest.mark.each_core("dify_info")
def test_everything_in_one_login(dify, dify_info):
    other = dify.state.add_workspace("Research", admin="editor")
    result = dify_info(dify)
    assert not result.failed, result["msg"]
    profile = dify.profile
    assert result["version"] == profile.version
    assert result["auth"] == {
        "session": "cookies" if profile.cookies else "bearer",
        "password": "base64" if profile.base64_password else "plain",
        "admin_key": profile.admin_key == "yes",
    }
    assert result["workspaces"] == [
        {"id": dify.workspace.id, "name": "admin's Workspace", "current": True},
        {"id": other.id, "name": "Research", "current": False},
    ]
    assert result["workspace"] == {"id": dify.workspace.id, "name": "admin's Workspace", "role": "owner"}
    assert result["models"] == [
        {"name": "qwen3", "type": "llm", "state": "active"},
        {"name": "bge-m3", "type": "text-embedding", "state": "disabled"},
    ]
    assert "defaults" not in result
    if profile.plugins:
        plugin = dify.workspace.plugin
        assert result["plugin"] == {
            "id": "langgenius/xinference",
            "state": "installed",
            "version": plugin.version,
            "identifier": plugin.identifier,
            "source": plugin.source,
        }
    else:
        assert result["plugin"] == {"id": "langgenius/xinference", "state": "built_in"}
    # The documented number of requests.
    assert sum(result["requests"].values()) == len(dify.log) == (6 if profile.plugins else 5)
    assert len(dify.sent("POST", "/login")) == 1
    check = dify_info(dify, check=True)
    assert {**check, "invocation": None} == {**result, "invocation": None}


def test_credentials_without_what_is_secret(dify, dify_info):
    result = dify_info(dify, credentials=True)
    assert not result.failed, result["msg"]
    model, keyless = result["models"]
    url = "http:/************97" if dify.profile.secret_url else STORED["server_url"]
    assert model["fields"] == {
        "server_url": url,
        "model_uid": "qwen3",
        "invoke_timeout": "60",
        "max_retries": "3",
        "context_length": 32768,
    }
    assert model["has_api_key"] and not keyless["has_api_key"]
    if dify.profile.named:
        assert model["credential_id"] == dify.workspace.models["qwen3", "llm"].active
        assert model["credential_name"] == "modelops.inference"
        assert model["credential_names"] == ["modelops.inference"]
    else:
        assert model["credential_id"] is model["credential_name"] is None and model["credential_names"] == []
    text = json.dumps({key: value for key, value in result.items() if key != "invocation"})
    for secret in (SECRET, SECRET[:6], PASSWORD, *dify.state.tokens):
        assert secret not in text


def test_a_user_in_a_server_url_is_not_told(newest, dify_info):
    values = {**STORED, "server_url": "http://svc:hunter2@10.1.2.3:9997"}
    model = Model("qwen3", "llm", listed=True, shown=values, credentials=[Credential("modelops.inference", values)])
    model.active = model.credentials[0].id
    newest.workspace.models["qwen3", "llm"] = model
    result = dify_info(newest, credentials=True)
    assert result["models"][0]["fields"]["server_url"] == "http://********@10.1.2.3:9997"
    assert "hunter2" not in str(result)


def test_defaults(dify, dify_info):
    dify.workspace.defaults["llm"] = "qwen3"
    result = dify_info(dify, defaults=True)
    assert result["defaults"]["llm"] == {"name": "qwen3", "provider": dify.profile.provider}
    assert result["defaults"]["tts"] is None
    check = dify_info(dify, defaults=True, check=True)
    assert not check.failed and "defaults" not in check and "defaults were not read" in check["not_read"]
    assert check["models"] == result["models"]


def test_an_editor_may_read(dify, dify_info):
    dify.state.add_account("ed@example.com", PASSWORD, "editor")
    result = dify_info(dify, email="ed@example.com")
    assert not result.failed, result["msg"]
    assert result["workspace"]["role"] == "editor" and len(result["models"]) == 2


def test_other_workspace(dify, dify_info):
    dify.state.add_workspace("Research", plugin=False, admin="editor")
    home = dify.state.accounts[EMAIL].current
    result = dify_info(dify, workspace="Research")
    assert not result.failed, result["msg"]
    assert result["workspace"]["name"] == "Research" and result["workspace"]["role"] == "editor"
    assert result["plugin"]["state"] == ("absent" if dify.profile.plugins else "built_in")
    assert result["models"] == []
    assert dify.state.accounts[EMAIL].current == home
    check = dify_info(dify, workspace="Research", defaults=True, check=True)
    assert check["plugin"] is check["models"] is None
    assert "not the account's current workspace" in check["not_read"] and "defaults" in check["not_read"]


def test_plugin_daemon_is_down(dify, dify_info):
    dify.state.daemon_up = False
    result = dify_info(dify)
    assert result.failed == dify.profile.plugins
    if dify.profile.plugins:
        assert "plugin_daemon" in result["msg"]


def test_every_module_takes_the_same_login(dify, run_module, tmp_path):
    dify.workspace.models["bge-m3", "text-embedding"].enabled = True
    params = {"url": dify.url, "email": EMAIL, "password": PASSWORD, "session_file": str(tmp_path / "session")}
    for name, options in (
        ("dify_plugin", {}),
        ("dify_models", {"models": []}),
        ("dify_default_models", {"defaults": {"text-embedding": "bge-m3"}}),
        ("dify_info", {}),
    ):
        result = run_module(name, {**params, **options})
        assert not result.failed, result["msg"]
    assert len(dify.sent("POST", "/login")) == 1


def test_every_module_takes_an_admin_key(dify, run_module):
    dify.state.admin_key = "adminkey-123"
    params = {"url": dify.url, "admin_key": "adminkey-123", "workspace": dify.workspace.id}
    for name, options in (
        ("dify_plugin", {}),
        ("dify_default_models", {"defaults": {"llm": "qwen3"}}),
        ("dify_info", {"credentials": True}),
    ):
        result = run_module(name, {**params, **options})
        if dify.profile.admin_key == "yes":
            assert not result.failed, result["msg"]
            assert result["workspace"]["name"] == "admin's Workspace"
        else:
            assert result.failed and "1.9.2 to 1.10" in result["msg"]
    assert dify.sent("POST", "/login") == []
