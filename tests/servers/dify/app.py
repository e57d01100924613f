# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dify's console API: every route that the recordings have and the collection may use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
import secrets
import typing as t
import uuid
import zipfile
from dataclasses import dataclass, field

from . import entities
from .profiles import Profile
from .state import (
    HIDDEN,
    MAX_FAILURES,
    PLUGIN,
    REQUIRED,
    SCHEMA,
    Account,
    Credential,
    Model,
    Plugin,
    State,
    Task,
    Workspace,
    new_id,
)
from .xinference import Backend, CredentialsRefused, PluginBroke

API = "/console/api"
TYPES = ("llm", "text-embedding", "rerank", "speech2text", "moderation", "tts")


@dataclass
class Request:
    verb: str
    path: str
    query: dict[str, str]
    headers: t.Mapping[str, str]
    json: t.Any = None
    #: The uploaded package's name and content.
    file: tuple[str, bytes] | None = None

    @property
    def cookies(self) -> dict[str, str]:
        parts = (part.strip().split("=", 1) for part in (self.headers.get("Cookie") or "").split(";") if "=" in part)
        return dict(parts)


@dataclass
class Reply:
    """``body`` None is an empty answer; a string is HTML."""

    status: int = 200
    body: t.Any = None
    cookies: list[str] = field(default_factory=list)


class Refused(Exception):
    """An answer that ends the handling."""

    def __init__(self, reply: Reply):
        super().__init__(reply.status)
        self.reply = reply


NOT_FOUND = Reply(404, "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n")


def refuse(status: int, code: str, message: str) -> Refused:
    return Refused(Reply(status, {"code": code, "message": message, "status": status}))


def invalid(message: str) -> Refused:
    return refuse(400, "invalid_param", message)


def forbidden() -> Refused:
    return refuse(
        403,
        "forbidden",
        "You don't have the permission to access the requested resource. "
        "It is either read-protected or not readable by the server.",
    )


def zipped(content: bytes) -> bool:
    return zipfile.is_zipfile(io.BytesIO(content))


def decoded(content: bytes) -> tuple[str, str, bool]:
    """A package's identifier and version as the daemon finds them, and whether it carries a signature."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        manifest = dict(
            line.split(": ", 1) for line in archive.read("manifest.yaml").decode().splitlines() if ": " in line
        )
        files = sorted(item.filename for item in archive.infolist() if not item.is_dir())
        parts = b"".join(
            hashlib.sha256(name.encode()).digest() + hashlib.sha256(archive.read(name)).digest() for name in files
        )
        signed = b"signature" in archive.comment
    name = f"{manifest['author']}/{manifest['name']}:{manifest['version']}"
    return f"{name}@{hashlib.sha256(parts).hexdigest()}", manifest["version"], signed


class App:
    """Answers requests. ``profile`` says how, ``state`` is what it knows, ``backend`` the Xinference behind it."""

    def __init__(self, profile: Profile, state: State, backend: Backend):
        self.profile = profile
        self.state = state
        self.backend = backend
        p = re.escape(API)
        w = f"{p}/workspaces/current"
        # Plugins brought provider names with slashes in the path.
        mp = rf"{w}/model-providers/(?P<provider>{'.+?' if profile.plugins else '[^/]+'})"
        routes: list[tuple[str, str, t.Callable[..., Reply]]] = [
            ("GET", f"{p}/setup", self.setup_status),
            ("POST", f"{p}/setup", self.setup),
            ("GET", f"{p}/init", self.init_status),
            ("POST", f"{p}/init", self.init),
            ("GET", f"{p}/version", self.version),
            ("GET", f"{p}/system-features", self.system_features),
            ("POST", f"{p}/login", self.login),
            (profile.logout_verb, f"{p}/logout", self.logout),
            ("POST", f"{p}/refresh-token", self.refresh),
            ("GET", f"{p}/workspaces", self.workspaces),
            ("POST", f"{p}/workspaces/switch", self.switch_workspace),
            (profile.workspace_verb, w, self.own_workspace),
            ("GET", f"{w}/model-providers", self.providers),
            ("GET", f"{mp}/models/credentials", self.get_credentials),
            ("POST", f"{mp}/models/credentials/validate", self.validate),
            ("POST", f"{mp}/models/load-balancing-configs/credentials-validate", self.validate_balancing),
            ("PATCH", f"{mp}/models/(?P<what>enable|disable)", self.enable),
            ("GET", f"{mp}/models", self.provider_models),
            ("POST", f"{mp}/models", self.save_model),
            ("DELETE", f"{mp}/models", self.delete_model),
            ("GET", f"{mp}/credentials", self.provider_credentials),
            ("POST", f"{mp}/preferred-provider-type", self.prefer),
            ("GET", f"{w}/models/model-types/(?P<model_type>[^/]+)", self.models_of_type),
            ("GET", f"{w}/default-model", self.get_default),
            ("POST", f"{w}/default-model", self.set_default),
        ]
        if profile.named:
            routes += [
                ("POST", f"{mp}/models/credentials", self.add_credential),
                ("PUT", f"{mp}/models/credentials", self.update_credential),
                ("DELETE", f"{mp}/models/credentials", self.delete_credential),
                ("POST", f"{mp}/models/credentials/switch", self.switch_credential),
            ]
        elif profile.plugins:
            # The path converter takes the rest for the provider's name.
            unknown = rf"{w}/model-providers/(?P<provider>.+/models/credentials)"
            routes += [(verb, unknown, self.unknown_provider) for verb in ("POST", "DELETE")]
        if profile.plugins:
            routes += [
                ("GET", f"{w}/plugin/list", self.plugin_list),
                ("POST", f"{w}/plugin/list/installations/ids", self.plugin_installations),
                ("POST", f"{w}/plugin/upload/pkg", self.plugin_upload),
                ("POST", f"{w}/plugin/install/pkg", self.plugin_install_package),
                ("POST", f"{w}/plugin/install/marketplace", self.plugin_install_marketplace),
                ("POST", f"{w}/plugin/upgrade/marketplace", self.plugin_upgrade),
                ("POST", f"{w}/plugin/uninstall", self.plugin_uninstall),
                ("GET", f"{w}/plugin/tasks", self.plugin_tasks),
                ("GET", f"{w}/plugin/tasks/(?P<task>[^/]+)", self.plugin_task),
                ("POST", f"{w}/plugin/tasks/(?P<task>[^/]+)/delete", self.plugin_task_delete),
                ("GET", f"{w}/plugin/fetch-manifest", self.plugin_manifest),
                ("GET", f"{w}/plugin/marketplace/pkg", self.plugin_marketplace_manifest),
            ]
        if profile.plugins and profile.latest_versions:
            routes.append(("POST", f"{w}/plugin/list/latest-versions", self.plugin_latest))
        if profile.preferences:
            routes.append(("GET", f"{w}/plugin/preferences/fetch", self.plugin_preferences))
        self.routes = [(verb, re.compile(pattern), handler) for verb, pattern, handler in routes]

    def answer(self, request: Request) -> Reply:
        """Dispatches a request; a Refused becomes its answer."""
        matching = [
            (verb, handler, m) for verb, pattern, handler in self.routes if (m := pattern.fullmatch(request.path))
        ]
        if not matching:
            return NOT_FOUND
        for verb, handler, match in matching:
            if verb == request.verb:
                try:
                    if handler.__name__ not in _OPEN:
                        self._need_setup(request)
                    return handler(request, **match.groupdict())
                except Refused as exc:
                    return exc.reply
        message = "The method is not allowed for the requested URL."
        return refuse(405, "method_not_allowed", message).reply

    # --- errors --------------------------------------------------------------------------------------------------

    def param_error(self, name: str, message: str, pydantic: str | None = None, model: str = "Payload") -> Refused:
        """A parameter that does not pass, in the shape of the release."""
        shape = self.profile.param_errors
        if shape == "plain":
            return Refused(Reply(400, {"code": "invalid_param", "message": message, "params": name}))
        if shape == "errors":
            body = {"errors": {name: message}, "message": "Input payload validation failed"}
            return Refused(Reply(400, body))
        return invalid(f"1 validation error for {model}\n{name}\n  {pydantic or message}")

    def setup_error(self, status: int, code: str, message: str, kind: str, wrapped: str) -> Refused:
        """An error of setup, init and version."""
        if not self.profile.wrapped_setup_errors:
            return refuse(status, code, message)
        error = {"type": kind, "message": wrapped, "status": status}
        if status == 422:
            error["details"] = wrapped
        return Refused(Reply(status, {"error": error}))

    def internal_error(self) -> Refused:
        body: dict[str, t.Any] = {"message": "Internal Server Error", "code": "unknown"}
        if self.profile.status_in_500:
            body["status"] = 500
        return Refused(Reply(500, body))

    def plugin_broke(self, exc: PluginBroke) -> Refused:
        """A plugin's own exception."""
        if self.profile.plugin_exceptions == "text" and (exc.builtin or exc.error_type == "ValueError"):
            return invalid(exc.builtin or str(exc))
        if self.profile.plugin_exceptions != "invoke":
            return self.internal_error()
        told = {"error_type": exc.error_type, "message": str(exc), "args": {"description": str(exc)}}
        return invalid(f"req_id: {secrets.token_hex(5)} PluginInvokeError: {json.dumps(told)}")

    # --- who asks ------------------------------------------------------------------------------------------------

    def _need_setup(self, request: Request) -> None:
        if self.state.setup:
            return
        self._need_init(request)
        raise refuse(
            401,
            "not_setup",
            "Dify has not been initialized and installed yet. "
            "Please proceed with the initialization and installation process first.",
        )

    def _initialised(self, request: Request) -> bool:
        return not self.state.init_password or request.cookies.get("session") in self.state.init_sessions

    def _need_init(self, request: Request) -> None:
        if not self._initialised(request):
            raise (
                self.setup_error(
                    401,
                    "not_init_validated",
                    "Init validation has not been completed yet. Please proceed with the init validation process first.",
                    "unauthorized",
                    "Unauthorized",
                )
                if request.path == f"{API}/setup"
                else refuse(
                    401,
                    "not_init_validated",
                    "Init validation has not been completed yet. Please proceed with the init validation process first.",
                )
            )

    def who(self, request: Request) -> tuple[Account, Workspace]:
        """The account and its workspace; Refused where the request carries no valid login."""
        bearer = (request.headers.get("Authorization") or "").removeprefix("Bearer ").strip()
        if self.state.admin_key and bearer == self.state.admin_key:
            return self._admin(request)
        prefix = "__Host-" if self.state.https else ""
        token = bearer
        if self.profile.cookies:
            token = request.cookies.get(f"{prefix}access_token") or bearer
        if not token:
            raise refuse(401, "unauthorized", "Invalid Authorization token.")
        known = self.state.tokens.get(token)
        if known is None:
            raise refuse(401, "unauthorized", "Invalid token.")
        email, csrf = known
        if self.profile.cookies:
            header = request.headers.get("X-CSRF-Token")
            if not header or header != csrf or request.cookies.get(f"{prefix}csrf_token") != csrf:
                raise refuse(401, "unauthorized", "CSRF token is missing or invalid.")
        account = self.state.accounts[email]
        return account, self.state.workspaces[account.current or ""]

    def _admin(self, request: Request) -> tuple[Account, Workspace]:
        wanted = request.headers.get("X-WORKSPACE-ID")
        if wanted:
            try:
                uuid.UUID(wanted)
            except ValueError:
                raise self.internal_error() from None
        space = self.state.workspaces.get(wanted or "")
        if space is None:
            raise refuse(401, "unauthorized", "Invalid token.")
        if self.profile.admin_key == "csrf":
            raise refuse(401, "unauthorized", "CSRF token is missing or invalid.")
        owner = next(a for a in self.state.accounts.values() if a.roles.get(space.id) == "owner")
        return owner, space

    def who_may_change(self, request: Request) -> Workspace:
        account, space = self.who(request)
        if account.roles.get(space.id) not in ("owner", "admin"):
            raise forbidden()
        return space

    # --- setup, login, workspaces ------------------------------------------------------------------------------------

    def setup_status(self, request: Request) -> Reply:
        body: dict[str, t.Any] = {"step": "finished" if self.state.setup else "not_started"}
        if self.state.setup:
            body["setup_at"] = "2026-11-22T11:11:39"
        elif self.profile.wrapped_setup_errors:
            body["setup_at"] = None
        return Reply(body=body)

    def setup(self, request: Request) -> Reply:
        if self.state.setup:
            message = (
                "Dify has been successfully installed. Please refresh the page or return to the dashboard homepage."
            )
            raise self.setup_error(403, "already_setup", message, "authorization_error", "Forbidden")
        self._need_init(request)
        email, password = request.json["email"], request.json["password"]
        if "@" not in email:
            raise self._setup_param("email", f"{email} is not a valid email.")
        if not (re.search("[a-zA-Z]", password) and re.search(r"\d", password) and len(password) >= 8):
            message = "Password must contain letters and numbers, and the length must be greater than 8."
            raise self._setup_param("password", message)
        self.state.setup = True
        space = Workspace(f"{request.json['name']}'s Workspace")
        self.state.workspaces[space.id] = space
        self.state.accounts[email] = Account(email, password, {space.id: "owner"}, space.id, name=request.json["name"])
        return Reply(201, {"result": "success"})

    def _setup_param(self, name: str, message: str) -> Refused:
        if self.profile.wrapped_setup_errors:
            return self.setup_error(422, "", "", "validation_error", "Validation error for parameter 'payload'")
        return self.param_error(name, message)

    def init_status(self, request: Request) -> Reply:
        done = self.state.setup or self._initialised(request)
        return Reply(body={"status": "finished" if done else "not_started"})

    def init(self, request: Request) -> Reply:
        if request.json.get("password") != self.state.init_password:
            message = "Init validation failed. Please check the password and try again."
            refused = self.setup_error(401, "init_validate_failed", message, "unauthorized", "Unauthorized")
            refused.reply.cookies.append("session=no; HttpOnly; Path=/")
            raise refused
        session = secrets.token_hex(8)
        self.state.init_sessions.add(session)
        return Reply(201, {"result": "success"}, [f"session={session}; HttpOnly; Path=/; SameSite=Lax"])

    def version(self, request: Request) -> Reply:
        if "current_version" not in request.query:
            if self.profile.wrapped_setup_errors:
                raise self.setup_error(422, "", "", "validation_error", "Validation error for parameter 'query'")
            raise self.param_error("current_version", "Missing required parameter in the query string")
        return Reply(
            body={
                "version": self.profile.version,
                "release_date": "",
                "release_notes": "",
                "can_auto_update": False,
                "features": {"can_replace_logo": False, "model_load_balancing_enabled": False},
            }
        )

    def system_features(self, request: Request) -> Reply:
        return Reply(body=entities.system_features(self.profile, self.state.packages))

    def login(self, request: Request) -> Reply:
        if request.json is None:
            if self.profile.form_is_415:
                raise refuse(
                    415,
                    "unsupported_media_type",
                    "Did not attempt to load JSON data because the request Content-Type was not 'application/json'.",
                )
            raise self.param_error("email", "Missing required parameter in the JSON body")
        for name in ("email", "password"):
            if name not in request.json:
                raise self.param_error(
                    name, "Missing required parameter in the JSON body", "Field required", "LoginPayload"
                )
        email, password = request.json["email"], request.json["password"]
        if self.profile.base64_password:
            try:
                password = base64.b64decode(password, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise refuse(401, "authentication_failed", "Invalid encrypted data") from None
        if not self.profile.email_case:
            email = email.lower()
        account = self.state.accounts.get(email)
        if account is None:
            if self.profile.tells_unknown_email:
                raise refuse(400, "account_not_found", "Account not found.")
            raise refuse(401, "authentication_failed", "Invalid email or password.")
        if account.failures >= MAX_FAILURES:
            message = "Too many incorrect password attempts. Please try again later."
            raise refuse(429, "email_code_login_limit", message)
        if account.password != password:
            account.failures += 1
            status, code = self.profile.wrong_password
            told = "The email or password is mismatched." if status == 400 else "Invalid email or password."
            raise refuse(status, code, told)
        account.failures = 0
        if account.current is None:
            told = "workspace not found, please contact system admin to invite you to join in a workspace"
            return Reply(body={"result": "fail", "data": told})
        return self._tokens(email)

    def _tokens(self, email: str) -> Reply:
        access, csrf, refresh = (f"{kind}-{secrets.token_hex(12)}" for kind in ("access", "csrf", "refresh"))
        self.state.tokens[access] = (email, csrf)
        self.state.refresh_tokens[refresh] = email
        if not self.profile.cookies:
            return Reply(body={"result": "success", "data": {"access_token": access, "refresh_token": refresh}})
        prefix, secure = ("__Host-", "Secure; ") if self.state.https else ("", "")
        cookies = [
            f"{prefix}access_token={access}; Max-Age=3600; {secure}HttpOnly; Path=/; SameSite=Lax",
            f"{prefix}refresh_token={refresh}; Max-Age=2592000; {secure}HttpOnly; Path=/; SameSite=Lax",
            f"{prefix}csrf_token={csrf}; Max-Age=3600; {secure}Path=/; SameSite=Lax",
        ]
        return Reply(body={"result": "success"}, cookies=cookies)

    def logout(self, request: Request) -> Reply:
        self.who(request)
        if not self.profile.cookies:
            return Reply(body={"result": "success"})
        names = ("access_token", "refresh_token", "csrf_token")
        return Reply(body={"result": "success"}, cookies=[f"{name}=; Max-Age=0; Path=/" for name in names])

    def refresh(self, request: Request) -> Reply:
        if self.profile.cookies:
            prefix = "__Host-" if self.state.https else ""
            email = self.state.refresh_tokens.pop(request.cookies.get(f"{prefix}refresh_token", ""), None)
            if email is None:
                return Reply(401, {"result": "fail", "message": "No refresh token provided"})
        else:
            email = self.state.refresh_tokens.pop(request.json.get("refresh_token"), None)
            if email is None:
                return Reply(401, {"result": "fail", "data": "Invalid refresh token"})
        return self._tokens(email)

    def workspaces(self, request: Request) -> Reply:
        account, current = self.who(request)
        listed = []
        for id in account.roles:
            body = entities.workspace(self.profile, self.state.workspaces[id], plan="sandbox")
            if self.profile.rich_tasks:
                body["last_opened_at"] = body["created_at"]
            listed.append({**body, "current": id == current.id})
        return Reply(body={"workspaces": listed})

    def switch_workspace(self, request: Request) -> Reply:
        account, current = self.who(request)
        wanted = request.json["tenant_id"]
        if wanted not in account.roles:
            raise refuse(403, "account_not_link_tenant", "Account not link tenant")
        account.current = wanted
        space = self.state.workspaces[wanted]
        told = entities.own_workspace(self.profile, space, account.roles[wanted])
        return Reply(body={"result": "success", "new_tenant": told})

    def own_workspace(self, request: Request) -> Reply:
        account, space = self.who(request)
        return Reply(body=entities.own_workspace(self.profile, space, account.roles[space.id]))

    # --- providers and models ------------------------------------------------------------------------------------

    def _need_daemon(self, space: Workspace, what: str = "models") -> None:
        if not self.profile.plugins or self.state.daemon_up:
            return
        # Seen on 1.0.1, whose source does not catch what it raises where the daemon does not answer.
        if self.profile.silent_daemon:
            raise self.internal_error()
        # Recorded on 1.8.1, 1.12.1 and 1.16.
        raise invalid(f"Failed to request plugin daemon, url: plugin/{space.id}/management/{what}")

    def _has_provider(self, space: Workspace) -> bool:
        return not self.profile.plugins or space.plugin is not None

    def _need_provider(self, space: Workspace, provider: str) -> None:
        self._need_daemon(space)
        names = (self.profile.provider, "xinference")
        if provider not in names or not self._has_provider(space):
            raise invalid(f"Provider {provider} does not exist.")

    def unknown_provider(self, request: Request, provider: str) -> Reply:
        self.who_may_change(request)
        raise invalid(f"Provider {provider} does not exist.")

    def providers(self, request: Request) -> Reply:
        space = self.who(request)[1]
        self._need_daemon(space)
        return Reply(body={"data": [entities.provider(self.profile, space)] if self._has_provider(space) else []})

    def provider_models(self, request: Request, provider: str) -> Reply:
        space = self.who(request)[1]
        self._need_daemon(space)
        listed = space.listed() if self._has_provider(space) else []
        short = entities.short_provider(self.profile, space)
        return Reply(body={"data": [{**entities.model(self.profile, m), "provider": short} for m in listed]})

    def get_credentials(self, request: Request, provider: str) -> Reply:
        space = self.who(request)[1]
        self._need_provider(space, provider)
        found = space.models.get((request.query["model"], request.query["model_type"]))
        return Reply(body=entities.credentials(self.profile, found, request.query.get("credential_id")))

    def provider_credentials(self, request: Request, provider: str) -> Reply:
        self._need_provider(self.who(request)[1], provider)
        return Reply(body={"credentials": {} if self.profile.named else None})

    def prefer(self, request: Request, provider: str) -> Reply:
        self.who_may_change(request)
        return Reply(body={"result": "success"})

    def _type(self, value: str, parser: str, field: str = "model_type") -> str:
        if self.profile.legacy_types and value == "embeddings":
            return "text-embedding"
        if value in TYPES or value == "text2img" and not self.profile.plugins:
            return value
        if self.profile.param_errors == "plain":
            raise self.param_error("model_type", f"{value} is not a valid choice")
        choices = "'llm', 'text-embedding', 'rerank', 'speech2text', 'moderation' or 'tts'"
        raise self.param_error(
            field,
            f"The value '{value}' is not a valid choice for 'model_type'.",
            f"Input should be {choices} [type=enum, input_value='{value}', input_type=str]",
            parser,
        )

    def _check_schema(self, credentials: dict[str, t.Any]) -> dict[str, t.Any]:
        for name in SCHEMA:
            value = credentials.get(name)
            if not value and name in REQUIRED:
                raise invalid(f"Variable {name} is required")
            if value is not None and not isinstance(value, str):
                if self.profile.numbers_break:
                    raise self.internal_error()
                raise invalid(f"Variable {name} should be string")
        return {name: credentials[name] for name in SCHEMA if credentials.get(name)}

    def _validated(
        self, space: Workspace, provider: str, body: dict[str, t.Any], stored: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        """The credentials as they are to be stored; "keep" stands for the stored secret."""
        self._need_provider(space, provider)
        values = self._check_schema(body["credentials"])
        for name, value in values.items():
            if value == HIDDEN and stored and name in stored:
                values[name] = stored[name]
        model_type = self._type(body["model_type"], "Parser")
        extras = self.backend.validate(body["model"], model_type, values, builtin=not self.profile.plugins)
        return {**values, **extras}

    def _stored(self, *args: t.Any, **kwargs: t.Any) -> dict[str, t.Any]:
        try:
            return self._validated(*args, **kwargs)
        except CredentialsRefused as exc:
            raise invalid(str(exc)) from exc
        except PluginBroke as exc:
            raise self.plugin_broke(exc) from exc

    def validate(self, request: Request, provider: str) -> Reply:
        space = self.who(request)[1]
        self._type(request.json["model_type"], "ParserValidate")
        try:
            self._validated(space, provider, request.json)
        except CredentialsRefused as exc:
            return Reply(body={"result": "error", "error": str(exc)})
        except PluginBroke as exc:
            raise (
                self.internal_error() if self.profile.plugin_exceptions == "text" else self.plugin_broke(exc)
            ) from exc
        return Reply(body={"result": "success", **({"error": None} if self.profile.rich_tasks else {})})

    def validate_balancing(self, request: Request, provider: str) -> Reply:
        self._stored(self.who_may_change(request), provider, request.json)
        return Reply(body={"result": "success"})

    def save_model(self, request: Request, provider: str) -> Reply:
        """Before 1.8 this stores a model, or balances its load; from then on it attaches a credential."""
        space = self.who_may_change(request)
        body = request.json
        if not self.profile.named:
            model_type = self._type(body["model_type"], "Parser")
        else:
            model_type = body["model_type"]
        key = (body["model"], model_type)
        model = space.models.get(key) or Model(*key)
        balancing = body.get("load_balancing") or {}
        if balancing.get("enabled") if not self.profile.named else balancing.get("configs"):
            self._need_provider(space, provider)
            self._balance(model, balancing)
        elif not self.profile.named:
            model.balanced = False  # also where the credentials are refused then
            model.shown = self._stored(space, provider, body, model.shown)
            model.listed = True
            space.models[key] = model
        elif body.get("config_from") == "custom-model":
            self._need_provider(space, provider)
            credential = model.credential(body.get("credential_id"))
            if credential is None:
                raise invalid("Credential record not found.")
            model.listed, model.active, model.shown = True, credential.id, credential.values
        return Reply(body={"result": "success"})

    @staticmethod
    def _balance(model: Model, wanted: dict[str, t.Any]) -> None:
        """Makes a model's load balancing what a request says; a configuration without credentials keeps its own."""
        known = {config["id"]: config for config in model.balancing}
        kept = []
        for config in wanted["configs"]:
            if not config.get("name") or not config.get("id") and config["name"] == "__inherit__":
                raise invalid("Invalid load balancing config name")
            if config.get("enabled") is None:
                raise invalid("Invalid load balancing config enabled")
            if config.get("id") and config["id"] not in known:
                raise invalid(f"Invalid load balancing config id: {config['id']}")
            if not config.get("id") and not config.get("credentials"):
                raise invalid("Invalid load balancing config credentials")
            old = known.get(config.get("id"), {"id": new_id(), "values": {}})
            sent = config.get("credentials") or old["values"]
            values = {
                name: old["values"].get(name, value) if value == HIDDEN else value for name, value in sent.items()
            }
            kept.append({**old, "name": config["name"], "enabled": config["enabled"], "values": values})
        model.balancing = kept
        if wanted.get("enabled") and len(kept) < 2:
            raise invalid("Model load balancing configuration must be more than 1.")
        model.balanced = bool(wanted.get("enabled"))

    def delete_model(self, request: Request, provider: str) -> Reply:
        space = self.who_may_change(request)
        self._need_provider(space, provider)
        model = space.models.get((request.json["model"], request.json["model_type"]))
        if model is not None:
            # Whether it is enabled is kept elsewhere, and is there again when the model comes back.
            model.listed, model.active, model.shown = False, None, {}
        return Reply(204)

    def enable(self, request: Request, provider: str, what: str) -> Reply:
        space = self.who(request)[1]  # not protected in any release recorded
        self._need_provider(space, provider)
        model = space.models.get((request.json["model"], request.json["model_type"]))
        if model is not None:
            model.enabled = what == "enable"
        return Reply(body={"result": "success"})

    def add_credential(self, request: Request, provider: str) -> Reply:
        space = self.who_may_change(request)
        body = request.json
        model_type = self._type(body["model_type"], "ParserCreateCredential")
        name = body.get("name")
        if name and len(name) > 30:
            raise self.param_error(
                "name",
                f"Invalid argument: {name}. argument cannot exceed length 30",
                "String should have at most 30 characters",
                "ParserCreateCredential",
            )
        key = (body["model"], model_type)
        self._need_provider(space, provider)
        model = space.models.get(key) or Model(*key)
        self._need_free_name(model, name)
        values = self._stored(space, provider, body)
        credential = Credential(name or self._free_name(model), values)
        space.models[key] = model
        model.credentials.append(credential)
        if model.active is None and not model.listed:
            model.listed, model.active, model.shown = True, credential.id, values
        return Reply(201, {"result": "success"})

    @staticmethod
    def _free_name(model: Model) -> str:
        taken = {c.name for c in model.credentials}
        return next(name for number in range(1, 1000) if (name := f"API KEY {number}") not in taken)

    @staticmethod
    def _need_free_name(model: Model, name: str | None, own: str | None = None) -> None:
        if name and any(c.name == name and c.id != own for c in model.credentials):
            raise invalid(f"Model credential with name '{name}' already exists for {model.name}.")

    def _credential(self, space: Workspace, body: dict[str, t.Any], parser: str) -> tuple[Model, Credential]:
        try:
            uuid.UUID(body["credential_id"])
        except ValueError:
            told = f"{body['credential_id']} is not a valid uuid."
            raise self.param_error("credential_id", told, f"Value error, {told}", parser) from None
        model = space.models.get((body["model"], body["model_type"]))
        credential = model.credential(body["credential_id"]) if model else None
        if model is None or credential is None:
            raise invalid("Credential record not found.")
        return model, credential

    def update_credential(self, request: Request, provider: str) -> Reply:
        space = self.who_may_change(request)
        body = request.json
        self._need_provider(space, provider)
        model, credential = self._credential(space, body, "ParserUpdateCredential")
        self._need_free_name(model, body.get("name"), credential.id)
        values = self._stored(space, provider, body, credential.values)
        credential.values = values
        credential.name = body.get("name") or credential.name
        if model.active == credential.id:
            model.shown = values
        return Reply(body={"result": "success"})

    def delete_credential(self, request: Request, provider: str) -> Reply:
        space = self.who_may_change(request)
        self._need_provider(space, provider)
        model, credential = self._credential(space, request.json, "ParserDeleteCredential")
        model.credentials.remove(credential)
        model.balancing = [config for config in model.balancing if config.get("credential_id") != credential.id]
        if model.active == credential.id:
            model.active = None
            if not model.credentials or not self.profile.zombies:
                model.listed, model.shown = False, {}
        elif not model.credentials:
            model.listed, model.shown = False, {}
        return Reply(204)

    def switch_credential(self, request: Request, provider: str) -> Reply:
        space = self.who_may_change(request)
        self._need_provider(space, provider)
        model, credential = self._credential(space, request.json, "ParserSwitch")
        if model.active == credential.id:
            raise invalid("Can't add same credential")
        if not (self.profile.stale_after_switch and model.listed):
            model.shown = credential.values
        model.listed, model.active = True, credential.id
        return Reply(body={"result": "success"})

    # --- models by type, defaults --------------------------------------------------------------------------------

    def models_of_type(self, request: Request, model_type: str) -> Reply:
        space = self.who(request)[1]
        if model_type not in TYPES:
            if self.profile.param_errors == "pydantic":
                raise invalid(f"'{model_type}' is not a valid ModelType")
            raise invalid(f"invalid origin model type {model_type}")
        self._need_daemon(space)
        active = [m for m in space.listed(model_type) if m.status == "active"] if self._has_provider(space) else []
        return Reply(body={"data": [entities.provider_of_type(self.profile, space, active)] if active else []})

    def get_default(self, request: Request) -> Reply:
        space = self.who(request)[1]
        model_type = self._type(request.query["model_type"], "ParserGetDefault")
        if self.profile.silent_daemon:
            self._need_daemon(space)
        reachable = self._has_provider(space) and (self.state.daemon_up or not self.profile.plugins)
        chosen = space.default(model_type) if reachable else None
        if chosen is None:
            return Reply(body={"data": None})
        provider = entities.short_provider(self.profile, space)
        return Reply(body={"data": {"model": chosen.name, "model_type": model_type, "provider": provider}})

    def set_default(self, request: Request) -> Reply:
        space = self.who_may_change(request)
        settings = request.json["model_settings"]
        for number, setting in enumerate(settings):
            if setting["model_type"] not in TYPES:
                if self.profile.param_errors == "pydantic":
                    self._type(setting["model_type"], "ParserPostDefault", f"model_settings.{number}.model_type")
                raise invalid("invalid model type")
        for setting in settings:
            if "provider" not in setting:
                continue
            provider = setting["provider"]
            names = (self.profile.provider, "xinference") if self.profile.short_default else (self.profile.provider,)
            if provider not in names or not self._has_provider(space):
                raise invalid(f"Provider {provider} does not exist.")
            model = space.models.get((setting["model"], setting["model_type"]))
            if model is None or not model.listed or model.status != "active":
                raise invalid(f"Model {setting['model']} does not exist.")
            space.defaults[setting["model_type"]] = model.name
        return Reply(body={"result": "success"})

    # --- plugins -------------------------------------------------------------------------------------------------

    def plugin_list(self, request: Request) -> Reply:
        space = self.who(request)[1]
        self._need_daemon(space, "list")
        for task in space.tasks.values():
            self._poll(space, task)
        plugins = self._installations(space, listed=True)
        return Reply(body={"plugins": plugins, **({"total": len(plugins)} if self.profile.list_total else {})})

    def _installations(self, space: Workspace, *, listed: bool) -> list[dict[str, t.Any]]:
        if space.plugin is None:
            return []
        return [entities.installation(self.profile, space, space.plugin, listed=listed)]

    def plugin_installations(self, request: Request) -> Reply:
        space = self.who(request)[1]
        self._need_daemon(space, "list")
        wanted = PLUGIN in request.json["plugin_ids"]
        return Reply(body={"plugins": self._installations(space, listed=False) if wanted else []})

    def plugin_latest(self, request: Request) -> Reply:
        self.who(request)
        packages = self.state.packages
        if not packages.online or not packages.tells_latest:
            return Reply(body={"versions": {}})
        latest = {
            "plugin_id": PLUGIN,
            "version": packages.known[packages.latest],
            "unique_identifier": packages.latest,
            "status": "active",
            "deprecated_reason": "",
            "alternative_plugin_id": "",
        }
        ids = request.json["plugin_ids"]
        return Reply(body={"versions": {id: latest if id == PLUGIN else None for id in ids}})

    def _installer(self, request: Request) -> Workspace:
        account, space = self.who(request)
        permission = self.state.packages.permission
        if permission == "noone" or permission == "admins" and account.roles.get(space.id) not in ("owner", "admin"):
            raise forbidden()
        return space

    def daemon_refused(self, told: str) -> Refused:
        """The daemon's own refusal of a package."""
        if self.profile.daemon_errors_bare:
            return Refused(Reply(400, {"code": "plugin_error", "message": told}))
        return invalid(f"req_id: {secrets.token_hex(5)} PluginDaemonBadRequestError: {told}")

    def plugin_upload(self, request: Request) -> Reply:
        self._installer(request)
        packages = self.state.packages
        name, content = request.file or ("", b"")
        if packages.scope == "none" or packages.marketplace_only:
            raise self.internal_error()
        if len(content) > packages.limit:
            raise invalid("File size exceeds the maximum allowed size")
        recorded = re.search(r"(\d+\.\d+\.\d+)\.difypkg", name)
        identifier = packages.by_version(recorded.group(1)) if recorded and not zipped(content) else None
        if zipped(content):
            identifier, version, signed = decoded(content)
            if packages.signed_only and not signed:
                raise self.daemon_refused(
                    "plugin verification has been enabled, and the plugin you want to install has a bad signature"
                )
            packages.known[identifier] = version
        if identifier is None:
            raise self.daemon_refused("zip: not a valid zip file")
        body = entities.manifest(self.profile, packages.known[identifier])
        return Reply(body={"unique_identifier": identifier, "manifest": body, "verification": None})

    def plugin_install_package(self, request: Request) -> Reply:
        space = self._installer(request)
        if not self.state.packages.daemon_fits:
            raise self.daemon_refused(
                "Key: 'PluginUniqueIdentifier' Error:Field validation for 'PluginUniqueIdentifier' failed on the "
                "'required' tag"
            )
        return self._install(space, request.json["plugin_unique_identifiers"][0], "package")

    def plugin_install_marketplace(self, request: Request) -> Reply:
        space = self._installer(request)
        identifier = request.json["plugin_unique_identifiers"][0]
        self._need_marketplace(space, identifier)
        return self._install(space, identifier, "marketplace")

    def _need_marketplace(self, space: Workspace, identifier: str) -> None:
        packages = self.state.packages
        if not packages.enabled:
            raise invalid("marketplace is not enabled")
        if not packages.online and not (space.plugin and space.plugin.identifier == identifier):
            raise invalid(
                f"Reached maximum retries (3) for URL http://marketplace/download?unique_identifier={identifier}"
            )
        if identifier not in packages.known:
            raise invalid("file not found")

    def _install(self, space: Workspace, identifier: str, source: str) -> Reply:
        if space.plugin is not None:  # also where another version is installed
            return Reply(body=self._task_body(None))
        return Reply(body=self._task_body(self._start(space, identifier, source)))

    def _start(self, space: Workspace, identifier: str, source: str) -> Task:
        fate = self.state.task_fate
        polls = 10**6 if fate == "stuck" else 0 if fate == "cleared" else self.state.task_polls
        task = Task(identifier, source, polls, self.state.task_message if fate == "failed" else None)
        if fate == "cleared":
            self._poll(space, task)
        elif fate != "lost":
            space.tasks[task.id] = task
        return task

    def _task_body(self, task: Task | None) -> dict[str, t.Any]:
        body: dict[str, t.Any] = {"all_installed": task is None, "task_id": task.id if task else ""}
        if self.profile.rich_tasks:
            body["task"] = None
        return body

    def plugin_upgrade(self, request: Request) -> Reply:
        space = self._installer(request)
        original, new = (request.json[f"{which}_plugin_unique_identifier"] for which in ("original", "new"))
        if original == new:
            raise invalid("you should not upgrade plugin with the same plugin")
        self._need_marketplace(space, new)
        if space.plugin is None or space.plugin.identifier != original:
            raise self.internal_error()
        return Reply(body=self._task_body(self._start(space, new, "marketplace")))

    def plugin_uninstall(self, request: Request) -> Reply:
        space = self._installer(request)
        if space.plugin is not None and space.plugin.id == request.json["plugin_installation_id"]:
            space.plugin = None
        return Reply(body={"success": True})

    def _poll(self, space: Workspace, task: Task) -> dict[str, t.Any]:
        task.polls -= 1
        if task.polls <= 0 and task.failure is None and not task.done:
            task.done = True
            version = self.state.packages.known[task.identifier]
            id = space.plugin.id if space.plugin else new_id()
            space.plugin = Plugin(version, task.identifier, task.source, id)
        return entities.task(self.profile, task)

    def plugin_tasks(self, request: Request) -> Reply:
        space = self.who(request)[1]
        return Reply(body={"tasks": [entities.task(self.profile, task) for task in space.tasks.values()]})

    def plugin_task(self, request: Request, task: str) -> Reply:
        space = self.who(request)[1]
        found = space.tasks.get(task)
        if found is None:
            raise self.internal_error()
        return Reply(body={"task": self._poll(space, found)})

    def plugin_task_delete(self, request: Request, task: str) -> Reply:
        self.who(request)[1].tasks.pop(task, None)
        return Reply(body={"success": True})

    def plugin_manifest(self, request: Request) -> Reply:
        space = self.who(request)[1]
        identifier = request.query["plugin_unique_identifier"]
        if space.plugin is None or space.plugin.identifier != identifier:
            raise self.internal_error()
        return Reply(body={"manifest": entities.manifest(self.profile, space.plugin.version)})

    def plugin_marketplace_manifest(self, request: Request) -> Reply:
        self.who(request)
        version = self.state.packages.known[request.query["plugin_unique_identifier"]]
        return Reply(body={"manifest": entities.manifest(self.profile, version)})

    def plugin_preferences(self, request: Request) -> Reply:
        self.who(request)
        return Reply(
            body={
                "permission": {"install_permission": "everyone", "debug_permission": "everyone"},
                "auto_upgrade": {
                    "strategy_setting": "disabled",
                    "upgrade_time_of_day": 0,
                    "upgrade_mode": "exclude",
                    "exclude_plugins": [],
                    "include_plugins": [],
                },
            }
        )


# Handlers that answer before Dify is set up.
_OPEN = frozenset({"setup_status", "setup", "init_status", "init", "version", "system_features"})
