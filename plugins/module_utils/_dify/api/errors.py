# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dify's answers that are errors: their shapes, what they mean and what to do. Private to the collection."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._dify.api.releases import DifyRelease
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer

# The daemon does not answer, died while it was at it, or was started a moment ago and has not started the plugin yet.
_DAEMON_DOWN = (
    r"Failed to request plugin daemon|Request to Plugin Daemon Service failed|no proper instance|no available node|"
    r"plugin runtime not found|^PluginDaemonInternalServerError: Server error '5"
)
_NO_PROVIDER = r"^Provider \S+ does not exist"


@dataclass(frozen=True)
class Failure:
    """An error reported by Dify.

    :param code: Dify's own code ("invalid_param", "unauthorized", ...); "" where there is none.
    :param text: its message, without the request IDs and wrappings that differ from call to call.
    :param of_daemon: the list of plugins, which the plugin daemon alone has, fails in the same way.
    """

    status: int
    code: str
    text: str
    of_daemon: bool = False

    @property
    def daemon_down(self) -> bool:
        """Whether Dify itself is well and what runs its plugins is not, so that trying again can help."""
        return self.of_daemon or bool(re.search(_DAEMON_DOWN, self.text))

    @property
    def overtaken(self) -> bool:
        """Whether a credential is no longer as it was read: another run or a person was faster."""
        return bool(re.search(r"already exists for |Credential record not found|Can't add same credential", self.text))

    @property
    def silent(self) -> bool:
        """Whether Dify failed without a reason, as it does if its database refuses what another run has just stored."""
        return self.status >= 500 and self.code == "unknown" and not self.of_daemon

    @property
    def of_every_model(self) -> bool:
        """Whether the next model would be answered the same: no login, no plugin daemon or no provider."""
        return self.status == 401 or self.daemon_down or bool(re.search(_NO_PROVIDER, self.text))

    def __str__(self) -> str:
        return f"{self.text} ({self.status}{' ' + self.code if self.code else ''})"


class DifyError(ModelopsError):
    """Dify refused a request.

    :param found: what it said.
    """

    def __init__(self, message: str, found: Failure):
        super().__init__(message)
        self.found = found


def refusal(answer: Answer) -> Failure | None:
    """The error that an answer is; None where it is none. A 200 may be one."""
    told = isinstance(answer.json, dict) and answer.json.get("result") == "fail"
    if answer.status in (200, 201) and answer.json is not None and not told or answer.status == 204:
        return None
    return failure(answer)


def failure(answer: Answer) -> Failure:
    """Reads any of the shapes in which Dify's releases tell an error."""
    body = answer.json
    if answer.headers.get("Location"):
        return Failure(answer.status, "not_json", f"the answer is a redirect to {answer.headers['Location']}")
    if not isinstance(body, dict):
        html = answer.text.lstrip()[:1] == "<"
        return Failure(answer.status, "not_json", "the answer is an HTML page" if html else answer.detail)
    if isinstance(body.get("errors"), dict):  # 1.8 to 1.10, parameters
        text = "; ".join(f"{name}: {why}" for name, why in body["errors"].items())
        return Failure(answer.status, "invalid_param", text)
    if isinstance(body.get("error"), dict):  # 1.12 and later: setup, init and version
        return Failure(answer.status, str(body["error"].get("type", "")), str(body["error"].get("message", "")))
    if body.get("result") == "fail":  # with status 200, too
        return Failure(answer.status, "fail", str(body.get("data") or body.get("message") or "no reason given"))
    return Failure(answer.status, str(body.get("code", "")), _unwrap(str(body.get("message") or "no reason given")))


def _unwrap(text: str) -> str:
    """The plugin's own words out of "req_id: 3a7b PluginInvokeError: {"error_type": ..., "message": ...}"."""
    text = re.sub(r"^req_id: \w+ ", "", text)
    match = re.match(r"\w+: (\{.*\})$", text, re.DOTALL)
    if match:
        try:
            return str(json.loads(match.group(1))["message"])
        except (ValueError, KeyError, TypeError):
            pass
    return text


# Before Dify wrapped the errors of its plugin daemon (1.0 to 1.3), and where the daemon answers 5xx (up to 1.13).
_SILENT_DAEMON = (
    "Dify gives no reason, and its list of plugins fails in the same way: its plugin daemon does not answer; daemon_timeout is "
    "{waited} s. Check that its container (plugin_daemon) runs (docker compose ps plugin_daemon), then run this again. If it runs, "
    "see the log of the container api."
)

# Advice for messages of Dify and of the Xinference plugin; the first that matches counts.
_ADVICE: tuple[tuple[str, str], ...] = (
    (
        _DAEMON_DOWN,
        "Dify's plugin daemon does not answer, or has not started the plugin; daemon_timeout is {waited} s. Check that "
        "its container (plugin_daemon) runs, then run this again.",
    ),
    (
        r"killed by timeout",
        "Dify's plugin daemon gave up on the plugin after its own limit (PLUGIN_MAX_EXECUTION_TIMEOUT of the container "
        "plugin_daemon, in seconds): Xinference at {server_url} took the request and did not answer in time. See there "
        "whether '{model_uid}' still loads or has too much to do, then run this again.",
    ),
    (
        r"bad signature",
        "The package is not signed by the marketplace, or was changed afterwards. Use the file from the marketplace; for "
        "your own plugin set FORCE_VERIFYING_SIGNATURE=false in the container plugin_daemon, or give the daemon "
        "your key (THIRD_PARTY_SIGNATURE_VERIFICATION_PUBLIC_KEYS).",
    ),
    (
        r"exceeds the maximum allowed size|size is too large",
        "The package is larger than this Dify allows: raise PLUGIN_MAX_PACKAGE_SIZE of the container api and "
        "MAX_PLUGIN_PACKAGE_SIZE of plugin_daemon (the latter limits the uncompressed content).",
    ),
    (
        r"PluginUniqueIdentifier|from_identifier",
        "The container plugin_daemon does not fit this release of the container api. Run the two versions that "
        "belong together (the plugin_daemon image in the docker-compose.yaml of Dify's release), then run this again.",
    ),
    (
        r"not a valid (zip|difypkg) file",
        "The file is not a plugin package, or was truncated in transit. Check whether a proxy before Dify limits the body size.",
    ),
    (
        r"^file not found",
        "Dify's marketplace has no {plugin} of this identifier. Copy it from the marketplace's page of the plugin, or "
        "give the file as package.",
    ),
    (
        r"^Reached maximum retries .*URL|^marketplace is not enabled",
        "Dify's container api cannot reach the marketplace (MARKETPLACE_API_URL). Allow the connection, or give the "
        "plugin's file as package.",
    ),
    (
        _NO_PROVIDER,
        "The workspace has no Xinference provider {provider}. From Dify 1.0 on it is a plugin: install "
        "langgenius/xinference in this workspace (Plugins > Marketplace, or a .difypkg file), then run this again.",
    ),
    (
        r"Model not found in the model list",
        "Xinference at {server_url} does not serve the model UID '{model_uid}'. Launch it, or correct model_uid.",
    ),
    (
        r"status code: 40[13]\b|Could not validate credentials|Invalid API key",
        "Xinference at {server_url} requires an API key, or refuses the given one. Set api_key to a key that it accepts.",
    ),
    (
        r"refused|Max retries exceeded|timed? ?out|Name or service not known|unreachable|resolve|"
        r"Invalid URL|Connection aborted|Bad Gateway|status code: 50\d",
        "Dify cannot reach Xinference at {server_url}. Dify tries it from its container {validator}: the address must "
        "work from there (not a loopback one), Xinference must listen on it (--host 0.0.0.0), and no firewall "
        "or HTTP proxy of that container may be in between.",
    ),
    (
        r"check if you have the right model type|check model type|handle type is not supported|ability \[",
        "Xinference serves '{model_uid}' with another type than {type}. Correct the type or the UID.",
    ),
    (
        r"returned non-string",  # the plugin's error cannot be turned into text
        "Dify's plugin failed and gives no reason. Most often Xinference at {server_url} refuses the api_key for '{model_uid}' (the "
        "plugin remembers a model for five minutes and does not look at the key first); else it serves the model as another type than "
        "{type}, or server_url is not its address alone. See Xinference's log.",
    ),
    (
        r"Not Found",
        "Xinference has nothing at {server_url}/v1/models/{model_uid}. server_url is the address alone, without /v1.",
    ),
    (
        r"already exists for ",
        "Somebody else made a credential of that name at the same time. Run this again.",
    ),
    (
        r"Credential record not found",
        "Somebody else removed the credential at the same time. Run this again.",
    ),
    (
        r"Can't add same credential",
        "Somebody else made the credential the active one at the same time. Run this again.",
    ),
    (
        r"api_key is required",
        "Dify's built-in provider requires an API key for tts models: set api_key to any value if Xinference needs none.",
    ),
)


def advice(found: Failure, release: DifyRelease, **about: t.Any) -> str:
    """Advice after a failure.

    :param about: server_url, model_uid and type of the model, and the provider, where the failure is about one; plugin,
        where it is about that; role (of the account in the workspace), admin_key (True where one is used), waited
        (seconds for the daemon).
    """
    if found.status == 413:
        return "A proxy before Dify rejects a body of that size: raise its limit (nginx: client_max_body_size)."
    if found.code == "not_json" and found.status == 504:
        return (
            "A proxy before Dify timed out (nginx: proxy_read_timeout), and Dify may still be working. Let it wait "
            "longer, and run this again later; nothing is added twice."
        )
    if found.code == "not_json":
        return "A reverse proxy answered instead of Dify. See the proxy's log."
    if found.code == "account_not_link_tenant":
        return "The account is no longer in this workspace. Add it there, or give another one."
    if found.status == 403:
        role = f"; it is {about['role']}" if about.get("role") else ""
        return f"The account must be owner or admin of the workspace{role}."
    if found.status == 401 and about.get("admin_key"):
        return (
            "Dify does not accept the admin_key for this workspace. Check that it is the ADMIN_API_KEY of the container api, that "
            "ADMIN_API_KEY_ENABLE=true is set there, and that this Dify has a workspace of that ID."
        )
    if found.status == 401 and "CSRF" in found.text:
        return (
            "A proxy before Dify drops the cookies or the header X-CSRF-Token, which Dify requires with every request."
        )
    if found.status == 401:
        return "Dify does not accept the new session. Check whether a proxy before Dify drops cookies or headers."
    if found.of_daemon:
        return _SILENT_DAEMON.format_map(_About(**about))
    for pattern, text in _ADVICE:
        if re.search(pattern, found.text):
            return text.format_map(_About(validator=release.validator, **about))
    return _unexplained(found, release, "plugin" in about)


def _unexplained(found: Failure, release: DifyRelease, of_plugin: bool) -> str:
    """Where the reason stands of a failure that Dify does not explain."""
    if found.status >= 500 and of_plugin:
        return (
            "Dify gives no reason; see the logs of its containers (docker compose logs plugin_daemon api). Common causes are a plugin that "
            "its plugin_installation_scope excludes, and an api and a plugin_daemon of releases that do not belong "
            "together."
        )
    if found.status >= 500 and release.silent_plugin_errors:
        return (
            "This release of Dify gives no reason for the plugin's failure. See its logs (docker compose logs plugin_daemon "
            "api). Most often Xinference refuses the api_key, serves the model as another type, or is not at server_url."
        )
    if found.status >= 500:
        return "See the log of Dify's container api."
    return f"See the log of Dify's container {release.validator}."


def not_initialised(url: str) -> str:
    return (
        f"Dify {url} waits for its INIT_PASSWORD. Open {url}/init, enter it, create the administrator, "
        "then run this again."
    )


class _About(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"
