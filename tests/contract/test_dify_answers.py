# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test server against the answers that were seen on releases of which there is no recording.

The table says which release gives which answer where something goes wrong. What the collection makes of each is in
tests/unit/dify/test_real_releases.py.
"""

from __future__ import annotations

import base64
import json
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest
from servers.dify import UNRECORDED, DifyServer, Fault
from servers.dify.server import EMAIL, PASSWORD

MODELS = "/workspaces/current/model-providers/langgenius/xinference/xinference/models"
BROKEN = {"message": "Internal Server Error", "code": "unknown"}
NO_TEXT = "__str__ returned non-string (type RuntimeError)"


class Client:
    """A browser that is logged in, without a line of the collection's."""

    def __init__(self, server: DifyServer):
        self.base = f"{server.url}/console/api"
        self.named = server.profile.named
        self.headers = {"Content-Type": "application/json"}
        password = base64.b64encode(PASSWORD.encode()).decode() if server.profile.base64_password else PASSWORD
        request = self._request("POST", "/login", {"email": EMAIL, "password": password})
        with urllib.request.urlopen(request) as answer:
            cookies = [line.split(";")[0] for line in answer.headers.get_all("Set-Cookie") or ()]
            body = json.load(answer)
        if cookies:
            self.headers["Cookie"] = "; ".join(cookies)
            self.headers["X-CSRF-Token"] = dict(line.split("=", 1) for line in cookies)["csrf_token"]
        else:
            self.headers["Authorization"] = f"Bearer {body['data']['access_token']}"

    def _request(self, verb: str, path: str, body: t.Any) -> urllib.request.Request:
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.Request(self.base + path, data, self.headers, method=verb)

    def send(self, verb: str, path: str, body: t.Any = None) -> tuple[int, t.Any]:
        try:
            with urllib.request.urlopen(self._request(verb, path, body)) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as exc:
            return exc.code, json.load(exc)

    def register(self, name: str, kind: str, uid: str, **changed: str) -> tuple[int, t.Any]:
        """As the browser adds a model: a plain POST before 1.8, a credential from then on."""
        fields = {"server_url": "http://127.0.0.1:19998", "model_uid": uid, "api_key": "sk-xinf"}
        credentials = {**fields, "invoke_timeout": "60", "max_retries": "3", **changed}
        body = {"model": name, "model_type": kind, "credentials": credentials}
        return self.send("POST", MODELS + ("/credentials" if self.named else ""), body)


@dataclass
class Seen:
    """An answer, and the releases that give it."""

    on: tuple[str, ...]
    status: int
    told: str
    act: t.Callable[[DifyServer, Client], tuple[int, t.Any]]


def daemon_down(path: str) -> t.Callable[[DifyServer, Client], tuple[int, t.Any]]:
    def act(server: DifyServer, client: Client) -> tuple[int, t.Any]:
        server.state.daemon_up = False
        return client.send("GET", path)

    return act


def wrong_key(server: DifyServer, client: Client) -> tuple[int, t.Any]:
    """Within the five minutes in which the plugin remembers the model."""
    status, _body = client.register("bge-m3", "text-embedding", "bge-m3")
    assert status in (200, 201)
    return client.register("bge-m3-again", "text-embedding", "bge-m3", api_key="sk-of-nobody")


def slower_of_two(server: DifyServer, client: Client) -> tuple[int, t.Any]:
    server.faults = [Fault("overtaken", "POST", r"/models(/credentials)?$")]
    answer = client.register("my-llm", "llm", "qwen2.5-instruct")
    assert server.workspace.models["my-llm", "llm"].listed
    return answer


ALL = tuple(UNRECORDED)
WRAPPED = tuple(version for version in ALL if version != "1.0.1")

SEEN = {
    "models, plugin daemon down": Seen(("1.0.1",), 500, "unknown", daemon_down(MODELS)),
    "providers, plugin daemon down": Seen(
        ("1.0.1",), 500, "unknown", daemon_down("/workspaces/current/model-providers")
    ),
    "active models, plugin daemon down": Seen(
        ("1.0.1",), 500, "unknown", daemon_down("/workspaces/current/models/model-types/llm")
    ),
    "default, plugin daemon down": Seen(
        ("1.0.1",), 500, "unknown", daemon_down("/workspaces/current/default-model?model_type=llm")
    ),
    "plugins, plugin daemon down": Seen(("1.0.1",), 500, "unknown", daemon_down("/workspaces/current/plugin/list")),
    "models, plugin daemon down, later": Seen(
        WRAPPED, 400, "Failed to request plugin daemon, url: ", daemon_down(MODELS)
    ),
    "default, plugin daemon down, later": Seen(
        WRAPPED, 200, "null", daemon_down("/workspaces/current/default-model?model_type=llm")
    ),
    "wrong key of an embedding model": Seen(("1.10.1", "1.12.1", "1.15.0"), 400, NO_TEXT, wrong_key),
    "wrong key of an embedding model, before": Seen(("1.4.3",), 500, "unknown", wrong_key),
    "two runs at once": Seen(ALL, 500, "unknown", slower_of_two),
}

CASES = [(name, version) for name, seen in SEEN.items() for version in seen.on]


@pytest.mark.parametrize(("name", "version"), CASES, ids=[f"{name} ({version})" for name, version in CASES])
def test_server_answers_as_that_release_was_seen_to(name, version):
    seen = SEEN[name]
    with DifyServer(version) as server:
        status, body = seen.act(server, Client(server))
    assert (status, seen.told in json.dumps(body)) == (seen.status, True), body
    if status == 500:
        assert {key: body[key] for key in BROKEN} == BROKEN
