# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Xinference behind Dify, and what Dify's Xinference plugin makes of it when it validates a model."""

from __future__ import annotations

import json
import time
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Of an exception of the plugin that cannot be turned into text.
NO_TEXT = "__str__ returned non-string (type RuntimeError)"

EXTRAS_OF_LLM = {"completion_type": "chat", "context_length": 32768}


class CredentialsRefused(Exception):
    """The plugin says no, with a reason: Dify answers 400 with the text."""


class KeyRefused(CredentialsRefused):
    """Xinference does not take the key."""


class PluginBroke(Exception):
    """The plugin itself failed: what Dify makes of it depends on the release."""

    def __init__(self, error_type: str, message: str, *, builtin: str | None = None):
        super().__init__(message)
        self.error_type = error_type
        #: The refusal of the built-in provider of 0.x.
        self.builtin = builtin


@dataclass
class Served:
    """A model that an upstream serves. ``kind``: LLM, embedding, rerank, image, audio."""

    kind: str
    abilities: tuple[str, ...] = ()
    extras: dict[str, t.Any] = field(default_factory=dict)


@dataclass
class Upstream:
    """A Xinference at one URL: what it serves, and the key that it wants."""

    models: dict[str, Served]
    key: str | None = None

    def look_up(self, uid: str, key: str | None) -> Served | None:
        """A model, or None; PermissionError for another key."""
        if self.key and key != self.key:
            raise PermissionError
        return self.models.get(uid)


@dataclass
class LiveUpstream:
    """A real Xinference, asked each time."""

    url: str

    def look_up(self, uid: str, key: str | None) -> Served | None:
        """A model, or None; PermissionError for another key, ConnectionError where nobody answers."""
        request = urllib.request.Request(f"{self.url}/v1/models/{uid}")
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                told = json.load(response)
        except urllib.error.HTTPError as exc:
            if exc.code in (401, 403):
                raise PermissionError from exc
            return None
        except (OSError, ValueError) as exc:
            raise ConnectionError from exc
        extras = {"context_length": told.get("context_length")} if told.get("model_type") == "LLM" else {}
        return Served(told.get("model_type", ""), tuple(told.get("model_ability") or ()), extras)


def default_models() -> dict[str, Served]:
    return {
        "qwen2.5-instruct": Served("LLM", ("chat", "tools"), {**EXTRAS_OF_LLM, "support_function_call": True}),
        "qwen2-vl": Served("LLM", ("chat", "vision"), {**EXTRAS_OF_LLM, "support_vision": True}),
        "bge-m3": Served("embedding", (), {"max_tokens": 8192}),
        "bge-reranker-v2-m3": Served("rerank"),
        "whisper-large-v3": Served("audio", ("audio2text",)),
        "CosyVoice-300M-SFT": Served("audio", ("text2audio",), {"audio_model_name": "CosyVoice-300M-SFT"}),
        "sd-turbo": Served("image"),
    }


WANTED_KIND = {"llm": "LLM", "text-embedding": "embedding", "rerank": "rerank", "speech2text": "audio", "tts": "audio"}


class Backend:
    """Every Xinference that the plugin can reach.

    :param live: really ask a URL that is not in the table.
    :param cache_seconds: how long the plugin remembers a model by its UID alone, as the real one does.
    """

    def __init__(self, upstreams: dict[str, Upstream] | None = None, *, live: bool = False, cache_seconds: float = 300):
        self.upstreams = (
            {
                "http://127.0.0.1:19997": Upstream(default_models()),
                "http://127.0.0.1:19998": Upstream(default_models(), key="sk-xinf"),
            }
            if upstreams is None
            else upstreams
        )
        self.live = live
        self.cache_seconds = cache_seconds
        self._cache: dict[str, tuple[float, Served]] = {}

    def validate(
        self, model: str, model_type: str, credentials: dict[str, t.Any], *, builtin: bool
    ) -> dict[str, t.Any]:
        """The values that the plugin adds to the credentials; raises if it refuses them."""
        if model_type not in WANTED_KIND:
            raise PluginBroke("ValueError", f"Model `{model_type}` not found for provider `xinference`")
        if builtin and model_type == "tts" and not credentials.get("api_key"):
            raise CredentialsRefused("api_key is required")
        url, uid, key = credentials["server_url"].rstrip("/"), credentials["model_uid"], credentials.get("api_key")
        if any(char in uid for char in "/?#"):
            raise CredentialsRefused("model_uid should not contain /, ?, or #")
        if model_type == "llm":
            return self._validate_llm(url, uid, key)
        if model_type == "text-embedding":
            self._describe(url, uid, key)
        try:
            return dict(self._invoke(model, url, uid, key, model_type).extras)
        except KeyRefused:
            # While the model is remembered; seen on 1.4.3 to 1.15.0 with an embedding model. Others were not tried.
            if model_type == "text-embedding" and not builtin:
                raise PluginBroke("TypeError", NO_TEXT) from None
            raise

    def _validate_llm(self, url: str, uid: str, key: str | None) -> dict[str, t.Any]:
        """Only looked up, and that only once in a while."""
        prefix = "Xinference credentials validate failed: "
        try:
            served = self._describe(url, uid, key)
        except CredentialsRefused as exc:
            raise CredentialsRefused(f"{prefix}{exc}") from exc
        if served.kind == "image":
            raise CredentialsRefused(f"{prefix}xinference model handle type is not supported")
        if not {"chat", "generate"} & set(served.abilities):
            raise PluginBroke(
                "ValueError",
                f"xinference model ability {list(served.abilities)} is not supported, "
                "check if you have the right model type",
            )
        return dict(served.extras)

    def _invoke(self, model: str, url: str, uid: str, key: str | None, model_type: str) -> Served:
        """The other types are really invoked, past the cache."""
        try:
            served = self._upstream(url).look_up(uid, key)
        except ConnectionError:
            if url.endswith("/v1") and url[: -len("/v1")] in self.upstreams:
                not_found = "Failed to get the model description, detail: Not Found"
                raise PluginBroke(
                    "TypeError",
                    NO_TEXT,
                    builtin=f"Failed to validate credentials for model {model}: {not_found}",
                ) from None
            raise PluginBroke("ConnectionError", _refused(url, "/v1/cluster/auth")) from None
        except PermissionError:
            told = "Failed to get the model description, detail: Could not validate credentials"
            raise KeyRefused(told) from None
        if served is None:
            detail = f"Model not found in the model list, uid: {uid}"
            raise CredentialsRefused(f"Failed to get the model description, detail: {detail}")
        if served.kind != WANTED_KIND[model_type]:
            raise CredentialsRefused(
                f"please check model type, the model you want to invoke is not a {model_type} model"
            )
        return served

    def _describe(self, url: str, uid: str, key: str | None) -> Served:
        cached = self._cache.get(uid)
        if cached and time.monotonic() - cached[0] < self.cache_seconds:
            return cached[1]
        failed = "get xinference model extra parameter failed"
        try:
            served = self._upstream(url).look_up(uid, key)
        except ConnectionError:
            asked = f"/v1/models/{uid}"
            raise CredentialsRefused(f"{failed}, url: {url}{asked}, error: {_refused(url, asked)}") from None
        except PermissionError:
            detail = json.dumps({"detail": "Could not validate credentials"})
            raise CredentialsRefused(f"{failed}, status code: 401, response: {detail}") from None
        if served is None:
            detail = json.dumps({"detail": f"Model not found in the model list, uid: {uid}"})
            raise CredentialsRefused(f"{failed}, status code: 400, response: {detail}")
        self._cache[uid] = (time.monotonic(), served)
        return served

    def _upstream(self, url: str) -> Upstream | LiveUpstream:
        if url in self.upstreams:
            return self.upstreams[url]
        if self.live:
            return LiveUpstream(url)
        raise ConnectionError


def _refused(url: str, path: str) -> str:
    parts = urlsplit(url)
    where = f"host='{parts.hostname}', port={parts.port or 80}"
    return (
        f"HTTPConnectionPool({where}): Max retries exceeded with url: {path} (Caused by NewConnectionError("
        f'"HTTPConnection({where}): Failed to establish a new connection: [Errno 111] Connection refused"))'
    )
