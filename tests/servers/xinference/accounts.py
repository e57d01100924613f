# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users, tokens and keys of the test server."""

from __future__ import annotations

import base64
import json
import secrets
import time
import typing as t
from collections import Counter
from dataclasses import dataclass, field

from .models import Refused

ADMIN_PERMISSIONS = [
    "admin",
    "keys:create",
    "keys:manage",
    "models:list",
    "models:read",
    "models:write",
    "users:manage",
]
# Names of before 2.x, which later releases still take.
OLD_PERMISSIONS = {
    "models:start": "models:write",
    "models:stop": "models:write",
    "models:add": "models:register",
    "models:unregister": "models:register",
}
PASSWORD_MIN_LENGTH = 8
# Permissions of an API key since 3.0: query models and infer.
KEY_PATHS = (
    "/v1/models",
    "/v1/engines",
    "/v1/model_registrations",
    "/v1/chat",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/audio",
    "/v1/images",
)


@dataclass
class Accounts:
    """Who may do what.

    :param token_life: seconds that an access token is valid.
    :param failures: failed logins and requests with a bad token or key.
    """

    kind: str
    setup_token: str | None
    token_life: float = 1800
    users: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    keys: list[dict[str, t.Any]] = field(default_factory=list)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    banned: bool = False
    made: Counter[str] = field(default_factory=Counter)

    def _id(self, what: str) -> int:
        self.made[what] += 1
        return self.made[what]

    def add_user(self, name: str, password: str, permissions: list[str]) -> dict[str, t.Any]:
        user = {"id": self._id("user"), "username": name, "password": password, "permissions": permissions}
        self.users[name] = user
        return user

    def add_key(self, name: str, owner: int, value: str | None = None, **more: t.Any) -> dict[str, t.Any]:
        row = {"id": self._id("key"), "name": name, "user_id": owner, "key": value or f"xf-{secrets.token_urlsafe(24)}"}
        row.update({"description": None, "enabled": True, "expires_at": None, "revealable": True})
        row.update({"model_permissions": [{"permission_type": "all", "permission_value": None}], **more})
        self.keys.append(row)
        return row

    # -- who is asking ---------------------------------------------------------------------------------------------

    def authorize(self, header: str | None, verb: str, path: str) -> None:
        """Refuses a request that its token or key may not make."""
        if not header:
            raise Refused(
                401, "Not authenticated" if self.kind == "legacy" else "Could not validate credentials", plain=True
            )
        if self.banned:
            raise Refused(429, "Too many failed attempts. Try again later.", plain=True)
        token = header.partition(" ")[2]
        user, until = self.tokens.get(token, (None, 0.0))
        if user and until > time.time():
            self._check(self.users[user]["permissions"], verb, path)
            return
        key = next((row for row in self.keys if row["key"] == token and row["enabled"]), None)
        if key is None:
            self._failed()
            raise Refused(401, "Could not validate credentials", plain=True)
        if self.kind == "legacy":
            owner = next(u for u in self.users.values() if u["id"] == key["user_id"])
            self._check(owner["permissions"], verb, path)
        elif not path.startswith(KEY_PATHS) or (verb != "GET" and path.startswith(("/v1/models", "/v1/model_reg"))):
            raise Refused(403, "API keys can only access model query and inference endpoints", plain=True)

    @staticmethod
    def _check(permissions: list[str], verb: str, path: str) -> None:
        held = {OLD_PERMISSIONS.get(name, name) for name in permissions}
        if "admin" not in held and _permission(verb, path) not in held:
            raise Refused(403, "Not enough permissions", plain=True)

    def _failed(self) -> None:
        self.failures += 1
        self.banned = self.failures >= 10

    # -- tokens ----------------------------------------------------------------------------------------------------

    def login(self, body: t.Any) -> dict[str, t.Any]:
        if not isinstance(body, dict):
            raise Refused(400, "Request body must be a JSON object", plain=True)
        if self.banned:
            raise Refused(429, "Too many failed attempts. Try again later.", plain=True)
        user = self.users.get(body.get("username", ""))
        if user is None or user["password"] != body.get("password"):
            self._failed()
            raise Refused(401, "Incorrect username or password", plain=True)
        return self._tokens(user["username"])

    def refresh(self, body: dict[str, t.Any]) -> dict[str, t.Any]:
        name = self.refresh_tokens.pop(body.get("refresh_token", ""), None)
        if name is None:
            raise Refused(401, "Invalid or expired refresh token", plain=True)
        return self._tokens(name)

    def _tokens(self, name: str) -> dict[str, t.Any]:
        ends = time.time() + self.token_life
        payload = base64.urlsafe_b64encode(json.dumps({"sub": name, "exp": ends}).encode()).decode().rstrip("=")
        access = f"head.{payload}.{secrets.token_hex(8)}"
        self.tokens[access] = (name, ends)
        if self.kind == "legacy":
            return {"access_token": access, "token_type": "bearer"}
        refresh = secrets.token_urlsafe(32)
        self.refresh_tokens[refresh] = name
        return {"access_token": access, "refresh_token": refresh, "token_type": "bearer"}

    # -- setup, users and keys -------------------------------------------------------------------------------------

    @property
    def needs_setup(self) -> bool:
        return not self.users

    def setup_status(self) -> dict[str, t.Any]:
        return {
            "needs_setup": self.needs_setup,
            "initialized": not self.needs_setup,
            "password_min_length": PASSWORD_MIN_LENGTH,
        }

    def setup(self, body: dict[str, t.Any]) -> dict[str, t.Any]:
        if not self.needs_setup:
            raise Refused(403, "Setup already completed; an account already exists.", plain=True)
        if self.setup_token and body.get("setup_token") != self.setup_token:
            raise Refused(403, "Invalid setup token.", plain=True)
        _check_password(body)
        user = self.add_user(body["username"], body["password"], list(ADMIN_PERMISSIONS))
        return {"id": user["id"], "username": user["username"]}

    def user_rows(self) -> list[dict[str, t.Any]]:
        return [
            {
                "id": user["id"],
                "username": user["username"],
                "source": "local",
                "enabled": True,
                "must_change_password": False,
                "permissions": user["permissions"],
                "created_at": "2026-11-22 10:47:05",
            }
            for user in self.users.values()
        ]

    def create_user(self, body: dict[str, t.Any]) -> dict[str, t.Any]:
        _check_password(body)
        if body["username"] in self.users:
            raise Refused(409, "User already exists", plain=True)
        user = self.add_user(body["username"], body["password"], body.get("permissions", []))
        return {"id": user["id"], "username": user["username"]}

    def user(self, user_id: int) -> dict[str, t.Any]:
        for user in self.users.values():
            if user["id"] == user_id:
                return user
        raise Refused(404, "User not found", plain=True)

    def change_password(self, user_id: int, body: dict[str, t.Any], caller: str) -> dict[str, t.Any]:
        user = self.user(user_id)
        own = user["username"] == caller
        if own and body.get("current_password", user["password"]) != user["password"]:
            raise Refused(403, "Current password is incorrect", plain=True)
        _check_password({"username": "", "password": body.get("new_password")})
        user["password"] = body["new_password"]
        # All logins of the user end with it.
        self.tokens = {token: row for token, row in self.tokens.items() if row[0] != user["username"]}
        self.refresh_tokens = {token: name for token, name in self.refresh_tokens.items() if name != user["username"]}
        return {"ok": True}

    def delete_user(self, user_id: int) -> None:
        del self.users[self.user(user_id)["username"]]

    def create_key(self, body: dict[str, t.Any] | None, caller: str) -> dict[str, t.Any]:
        if not (body or {}).get("name"):
            raise Refused(400, "API key name is required", plain=True)
        if any(row["name"] == body["name"] for row in self.keys):
            raise Refused(409, "API key name already exists", plain=True)
        owner = body.get("owner") or self.users[caller]["id"]
        row = self.add_key(body["name"], owner, description=body.get("description"))
        row["model_permissions"] = body.get("model_permissions") or row["model_permissions"]
        return {"id": row["id"], "key": row["key"], "prefix": row["key"][:7], "name": row["name"]}

    def key_rows(self) -> list[dict[str, t.Any]]:
        return [
            {
                "id": row["id"],
                "user_id": row["user_id"],
                "owner_username": next((u["username"] for u in self.users.values() if u["id"] == row["user_id"]), None),
                "key_prefix": row["key"][:7],
                "name": row["name"],
                "description": row["description"],
                "enabled": row["enabled"],
                "expires_at": row["expires_at"],
                "model_permissions": [{"id": 1, "api_key_id": row["id"], **each} for each in row["model_permissions"]],
                "created_at": "2026-11-22 10:47:06",
            }
            for row in self.keys
        ]

    def key(self, key_id: int) -> dict[str, t.Any]:
        for row in self.keys:
            if row["id"] == key_id:
                return row
        raise Refused(404, "API key not found", plain=True)

    def change_key(self, key_id: int, body: dict[str, t.Any]) -> dict[str, t.Any]:
        row = self.key(key_id)
        if any(other["name"] == body.get("name") for other in self.keys if other is not row):
            raise Refused(409, "API key name already exists", plain=True)
        row.update({name: body[name] for name in ("name", "description", "enabled", "expires_at") if name in body})
        return {"ok": True}

    def reveal(self, key_id: int) -> dict[str, t.Any]:
        row = self.key(key_id)
        if not row["revealable"]:
            raise Refused(404, "API key not found", plain=True)
        return {"key": row["key"]}

    def caller(self, header: str | None) -> str:
        return self.tokens[(header or "").partition(" ")[2]][0]


def _permission(verb: str, path: str) -> str:
    """The permission that a request needs."""
    if path.startswith(("/v1/cluster", "/v1/admin", "/v1/workers")):
        return "admin"
    if path.startswith("/v1/model_registrations"):
        return "models:list" if verb == "GET" else "models:register"
    if path.startswith("/v1/autostart/models") and not path.endswith("/summary"):
        return "models:write"
    if path.endswith(("/progress", "/events")) or not path.startswith(("/v1/models", "/v1/engines", "/v1/autostart")):
        return "models:read"
    return "models:list" if verb == "GET" else "models:write"


def _check_password(body: dict[str, t.Any]) -> None:
    if not isinstance(body.get("username"), str) or not isinstance(body.get("password"), str):
        raise Refused(400, "username and password must be strings", plain=True)
    if len(body["password"]) < PASSWORD_MIN_LENGTH:
        raise Refused(400, f"Password must be at least {PASSWORD_MIN_LENGTH} characters", plain=True)
