# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bodies of Dify's answers, by profile."""

from __future__ import annotations

import typing as t

from .profiles import Profile
from .state import PLUGIN, Model, Packages, Plugin, Task, Workspace, now

MODEL_TYPES = ["llm", "text-embedding", "rerank", "speech2text", "tts"]
LABEL = {"zh_Hans": "Xorbits Inference", "en_US": "Xorbits Inference"}


def _text(text: str) -> dict[str, str]:
    return {"zh_Hans": text, "en_US": text}


def mask(value: str) -> str:
    return "*" * 20 if len(value) <= 8 else f"{value[:6]}{'*' * 12}{value[-2:]}"


def masked(values: dict[str, t.Any], profile: Profile) -> dict[str, t.Any]:
    secret = ("api_key", "server_url") if profile.secret_url else ("api_key",)
    return {key: mask(value) if key in secret else value for key, value in values.items()}


def icons(profile: Profile) -> dict[str, t.Any]:
    if profile.icon_large:
        return {"icon_small": _text("/icon_small"), "icon_large": _text("/icon_large")}
    return {"icon_small": _text("/icon_small"), "icon_small_dark": None}


def form_schemas(profile: Profile) -> list[dict[str, t.Any]]:
    url_type = "secret-input" if profile.secret_url else "text-input"
    fields = (
        ("server_url", url_type, True, None),
        ("model_uid", "text-input", True, None),
        ("api_key", "secret-input", False, None),
        ("invoke_timeout", "text-input", True, "60"),
        ("max_retries", "text-input", True, "3"),
    )
    return [
        {
            "variable": variable,
            "label": _text(variable),
            "type": kind,
            "required": required,
            "default": default,
            "options": [] if profile.plugins else None,
            "placeholder": _text(variable),
            "max_length": 0,
            "show_on": [],
        }
        for variable, kind, required, default in fields
    ]


def provider(profile: Profile, space: Workspace) -> dict[str, t.Any]:
    """The Xinference provider as the provider list has it."""
    body: dict[str, t.Any] = {"tenant_id": space.id} if profile.plugins else {}
    body.update(provider=profile.provider, label=LABEL, description=None, **icons(profile))
    body.update(
        background="#FAF5FF",
        help={"title": _text("Help"), "url": _text("https://example.com")},
        supported_model_types=MODEL_TYPES,
        configurate_methods=["customizable-model"],
        provider_credential_schema=None,
        model_credential_schema={
            "model": {"label": _text("Model Name"), "placeholder": _text("Model Name")},
            "credential_form_schemas": form_schemas(profile),
        },
        preferred_provider_type="custom",
        custom_configuration=custom_configuration(profile, space),
        system_configuration={"enabled": False, "current_quota_type": None, "quota_configurations": []},
    )
    return body


def custom_configuration(profile: Profile, space: Workspace) -> dict[str, t.Any]:
    status = "active" if space.listed() else "no-configure"
    if not profile.named:
        return {"status": status}
    known = [model for model in space.models.values() if model.listed or model.credentials]
    return {
        "status": status,
        "current_credential_id": None,
        "current_credential_name": None,
        "available_credentials": [],
        "custom_models": [custom_model(profile, model) for model in known],
        "can_added_models": [{"model": m.name, "model_type": m.type} for m in known if not m.listed],
    }


def custom_model(profile: Profile, model: Model) -> dict[str, t.Any]:
    active = model.credential(model.active)
    shown = dict(model.shown) if model.listed and profile.credentials_in_list else None
    order = reversed(model.credentials) if profile.newest_first_in_list else model.credentials
    return {
        "model": model.name,
        "model_type": model.type,
        "credentials": shown,
        "current_credential_id": active.id if active else None,
        "current_credential_name": active.name if active else None,
        "available_model_credentials": [{"credential_id": c.id, "credential_name": c.name} for c in order],
        "unadded_to_model_list": not model.listed,
    }


def model(profile: Profile, model: Model) -> dict[str, t.Any]:
    """A model as lists have it."""
    body = {
        "model": model.name,
        "label": _text(model.name),
        "model_type": model.type,
        "features": None,
        "fetch_from": "customizable-model",
        "model_properties": {},
        "deprecated": False,
        "status": model.status,
        "load_balancing_enabled": model.balanced,
    }
    if profile.balancing_flag:
        body["has_invalid_load_balancing_configs"] = False
    if model.type == "llm":
        features = {"support_function_call": "tool-call", "support_vision": "vision"}
        body["features"] = [name for key, name in features.items() if model.shown.get(key)]
        body["model_properties"] = {"mode": "chat", "context_size": model.shown.get("context_length", 4096)}
    if model.type == "text-embedding":
        body["model_properties"] = {"max_chunks": 1, "context_size": model.shown.get("max_tokens", 512)}
    return body


def short_provider(profile: Profile, space: Workspace) -> dict[str, t.Any]:
    body: dict[str, t.Any] = {"provider": profile.provider}
    if not profile.icon_large:
        body["provider_name"] = ""
    body.update(label=LABEL, **icons(profile), supported_model_types=MODEL_TYPES, models=[])
    if profile.plugins:
        body["tenant_id"] = space.id
    return body


def provider_of_type(profile: Profile, space: Workspace, models: list[Model]) -> dict[str, t.Any]:
    body: dict[str, t.Any] = {"tenant_id": space.id} if profile.plugins else {}
    body.update(provider=profile.provider, label=LABEL, **icons(profile), status="active")
    body["models"] = [model(profile, item) for item in models]
    return body


def credentials(profile: Profile, item: Model | None, credential_id: str | None = None) -> dict[str, t.Any]:
    """The visible values of a model's credentials; of another than the active one if requested by ID."""
    balancing = load_balancing(profile, item)
    if not profile.named:
        shown = masked(item.shown, profile) if item and item.listed else None
        return {"credentials": shown, "load_balancing": balancing}
    chosen = (item.credential(credential_id) or item.credential(item.active)) if item else None
    values = item.shown if item and item.listed else {}
    if chosen and credential_id:
        values = chosen.values
    return {
        "credentials": masked(values, profile),
        "current_credential_id": chosen.id if chosen else None,
        "current_credential_name": chosen.name if chosen else None,
        "load_balancing": balancing,
        "available_credentials": [
            {"credential_id": c.id, "credential_name": c.name} for c in reversed(item.credentials if item else [])
        ],
    }


def load_balancing(profile: Profile, item: Model | None) -> dict[str, t.Any]:
    if item is None:
        return {"enabled": False, "configs": []}
    configs = []
    for config in item.balancing:
        shown = {"id": config["id"], "name": config["name"], "credentials": masked(config["values"], profile)}
        if profile.named:
            shown["credential_id"] = config.get("credential_id")
        configs.append({**shown, "enabled": config["enabled"], "in_cooldown": False, "ttl": 0})
    return {"enabled": item.balanced, "configs": configs}


def workspace(profile: Profile, space: Workspace, *, plan: str = "basic") -> dict[str, t.Any]:
    return {
        "id": space.id,
        "name": space.name,
        "plan": plan,
        "status": "normal",
        "created_at": space.created_at,
    }


def own_workspace(profile: Profile, space: Workspace, role: str) -> dict[str, t.Any]:
    body = {**workspace(profile, space), "role": role, "in_trial": None, "trial_end_reason": None}
    body["custom_config"] = None
    if profile.rich_tasks:
        body.update(trial_credits=None, trial_credits_used=None, next_credit_reset_date=None)
    return body


def manifest(profile: Profile, version: str) -> dict[str, t.Any]:
    """A plugin's declaration."""
    rich = profile.rich_tasks
    more = {"datasources": None} if profile.datasources else {}
    if rich:
        more["triggers"] = None
    names = {**LABEL, "pt_BR": "Xorbits Inference", "ja_JP": "Xorbits Inference"}
    permission = {
        "tool": {"enabled": True},
        "model": dict.fromkeys(
            ("enabled", "llm", "text_embedding", "rerank", "tts", "speech2text", "moderation"), True
        ),
        "node": None,
        "endpoint": None,
        "storage": None,
    }
    model_part: dict[str, t.Any] = {"provider": "xinference"}
    if rich:
        model_part["provider_name"] = ""
    model_part.update(label=LABEL, description=None, **icons(profile))
    if not rich:
        model_part.update(icon_small_dark=None, icon_large_dark=None)
    model_part.update(
        background="#FAF5FF",
        help={"title": _text("Help"), "url": _text("https://example.com")},
        supported_model_types=MODEL_TYPES,
        configurate_methods=["customizable-model"],
        models=[],
        provider_credential_schema=None,
        model_credential_schema={
            "model": {"label": _text("Model Name"), "placeholder": _text("Model Name")},
            "credential_form_schemas": form_schemas(profile),
        },
        position={},
    )
    body = {
        "version": version,
        "author": "langgenius",
        "name": "xinference",
        "description": names,
        "icon": "icon.svg",
        "icon_dark": "",
        "label": names,
        "category": "model",
        "created_at": now(),
        "resource": {"memory": 268435456, "permission": permission},
        "plugins": {"tools": None, "models": ["provider/xinference.yaml"], "endpoints": None, **more},
        "tags": [],
        "repo": None,
        "verified": False,
        "tool": None,
        "model": model_part,
        "endpoint": None,
        "agent_strategy": None,
        "meta": {"minimum_dify_version": None, "version": "0.0.1"},
    }
    if profile.datasources:
        body["datasource"] = None
    if rich:
        body["trigger"] = None
    return body


def installation(profile: Profile, space: Workspace, plugin: Plugin, *, listed: bool) -> dict[str, t.Any]:
    with_meta = profile.rich_tasks or plugin.source == "marketplace"
    body = {
        "id": plugin.id,
        "created_at": plugin.created_at,
        "updated_at": plugin.created_at,
        "tenant_id": space.id,
        "endpoints_setups": 0,
        "endpoints_active": 0,
        "runtime_type": "local",
        "source": plugin.source,
        "meta": {"plugin_unique_identifier": plugin.identifier} if with_meta else {},
        "plugin_id": PLUGIN,
        "plugin_unique_identifier": plugin.identifier,
        "version": plugin.version,
        "checksum": plugin.identifier.rsplit("@", 1)[1],
        "declaration": manifest(profile, plugin.version),
    }
    if listed:
        body.update(name="xinference", installation_id=plugin.id)
    return body


def task(profile: Profile, item: Task) -> dict[str, t.Any]:
    done = item.polls <= 0
    status, message = ("success", "Installed") if done else ("running", "launching")
    if done and item.failure is not None:
        status, message = "failed", item.failure
    plugin = {
        "plugin_unique_identifier": item.identifier,
        "plugin_id": PLUGIN,
        "status": status,
        "message": message,
        "icon": "icon.svg",
        "labels": {**LABEL, "pt_BR": "Xorbits Inference", "ja_JP": "Xorbits Inference"},
    }
    if profile.rich_tasks:
        plugin["source"] = item.source
    return {
        "id": item.id,
        "created_at": item.created_at,
        "updated_at": now(),
        "status": plugin["status"],
        "total_plugins": 1,
        "completed_plugins": int(done),
        "plugins": [plugin],
    }


def system_features(profile: Profile, packages: Packages) -> dict[str, t.Any]:
    number = tuple(int(part) for part in profile.version.split("-")[0].split("."))
    license_body: dict[str, t.Any] = {"status": "none", "expired_at": ""}
    body: dict[str, t.Any] = dict.fromkeys(
        (
            "sso_enforced_for_signin",
            "enable_email_code_login",
            "enable_social_oauth_login",
            "is_allow_register",
            "is_allow_create_workspace",
            "is_email_setup",
        ),
        False,
    )
    body.update(sso_enforced_for_signin_protocol="", enable_email_password_login=True, license=license_body)
    if not profile.plugins:
        body.update(sso_enforced_for_web=False, sso_enforced_for_web_protocol="", enable_web_sso_switch_component=False)
        return body
    license_body["workspaces"] = {"enabled": False, "size": 0, "limit": 0}
    images = dict.fromkeys(("application_title", "login_page_logo", "workspace_logo", "favicon"), "")
    body.update(
        enable_marketplace=packages.enabled,
        max_plugin_package_size=packages.limit,
        branding={"enabled": False, **images},
        webapp_auth={
            "enabled": False,
            "allow_sso": False,
            "sso_config": {"protocol": ""},
            "allow_email_code_login": False,
            "allow_email_password_login": False,
        },
        plugin_installation_permission={
            "plugin_installation_scope": packages.scope,
            "restrict_to_marketplace_only": packages.marketplace_only,
        },
        enable_change_email=True,
    )
    if number >= (1, 9):
        body["plugin_manager"] = {"enabled": False}
    if number >= (1, 15):
        body["rbac_enabled"] = False
    if number >= (1, 16):
        more = ("app_deploy", "collaboration_mode", "creators_platform", "trial_app", "explore_banner", "learn_app")
        body.update({f"enable_{name}": False for name in more})
    return body
