# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test server against the recordings: the same requests, in order, and the answers compared.

Compared are the status, the header X-Version, the names of the cookies, every key and the type of every value, and of
errors also the code and the text, without the IDs that differ from call to call. IDs and tokens that the recorded
answers hand out are replaced in later requests by those that the test server handed out.
"""

from __future__ import annotations

import http.client
import json
import re
import typing as t
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest
from servers.dify import PROFILES, Credential, DifyServer, Model
from servers.dify.server import EMAIL, PASSWORD

INIT_PASSWORD = "initpw"
RECORDINGS = Path(__file__).parent / "recordings" / "dify"

# Recordings that the server does not play, by name, with the reason.
OUT_OF_SCOPE = {
    "account-profile": "the person's own settings; nothing here reads them",
    "features": "the console's own switches; nothing here reads them",
    "parameter-rules": "forms of the app editor; nothing here reads them",
    "invite-editor": "inviting people is not automated here",
    "invite-editor2": "inviting people is not automated here",
    "members": "inviting people is not automated here",
    "activate-check": "inviting people is not automated here",
    "activate": "inviting people is not automated here",
    "real-login": "a real Xinference was behind it; the stub is held to the other recordings",
    "real-validate-missing": "a real Xinference was behind it; its error has an address in it",
    "real-models": "a real Xinference was behind it; its models were left over from earlier recordings",
}


class Part(t.NamedTuple):
    """Recordings made against one start of Dify: the first number, and what was different then."""

    first: int
    prepare: t.Callable[[DifyServer], None] | None


def _unlock(server: DifyServer) -> None:
    """Dify was restarted, the lockout was cleared and an editor was added."""
    server.state.accounts[EMAIL].failures = 0
    server.state.add_account("ed2@example.com", PASSWORD, "editor")


def _https(server: DifyServer) -> None:
    server.state.https = True
    server.state.admin_key = "adminkey-123"
    server.state.packages.online = False


def _daemon_down(server: DifyServer) -> None:
    server.state.https = False
    server.state.admin_key = None
    server.state.daemon_up = False


def _other_database(server: DifyServer) -> None:
    """Dify with a database that has one embedding model."""
    server.state.https = False
    server.state.admin_key = None
    server.state.daemon_up = True
    server.state.packages.online = True
    server.state.packages.tells_latest = True
    values = {
        "server_url": "http://127.0.0.1:19997",
        "model_uid": "bge-m3",
        "invoke_timeout": "60",
        "max_retries": "3",
        "max_tokens": 8192,
    }
    model = Model("bge-m3", "text-embedding", listed=True, shown=values)
    if server.profile.named:
        model.credentials.append(Credential("API KEY 1", values))
        model.active = model.credentials[0].id
    if server.workspace.plugin:
        server.workspace.plugin.source = "package"
    server.workspace.models.clear()
    server.workspace.models["bge-m3", "text-embedding"] = model


PARTS = (
    Part(1, None),
    Part(201, _unlock),
    Part(301, _https),
    Part(501, _daemon_down),
    Part(701, _other_database),
    Part(801, _other_database),
)

# How often a plugin task is looked at until it is done; the recordings have pauses between.
POLLS = {"plugin-upgrade-marketplace": 1, "reinstall-marketplace": 4}


def recorded(version: str) -> list[dict[str, t.Any]]:
    return [json.loads(text) for text in (RECORDINGS / f"{version}.jsonl").read_text().splitlines()]


class Replay:
    """Sends recorded requests to a server, with the names that the server gave instead of the recorded ones."""

    def __init__(self, server: DifyServer):
        parts = urlsplit(server.url)
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=20)
        self.names: dict[str, str] = {}

    def send(self, request: dict[str, t.Any]) -> tuple[http.client.HTTPResponse, t.Any]:
        headers = {name: self._translate(value) for name, value in request.get("headers", {}).items()}
        body: str | bytes | None = None
        if "json" in request:
            body = self._translate(json.dumps(request["json"]))
            headers["Content-Type"] = "application/json"
        elif "raw" in request:
            body = request["raw"]
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif "files" in request:
            (field, name), *rest = request["files"].items()
            body = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\nx\r\n--b--\r\n'
            headers["Content-Type"] = "multipart/form-data; boundary=b"
        path = quote(self._translate(request["path"]))
        if "query" in request:
            path += "?" + urlencode({key: self._translate(str(value)) for key, value in request["query"].items()})
        self.connection.request(request["method"], path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        kind = answer.headers.get("Content-Type") or ""
        return answer, json.loads(data) if data and kind.startswith("application/json") else None

    def _translate(self, text: str) -> str:
        return re.sub(NAME, lambda m: self.names.get(m.group(0), m.group(0)), text)

    def learn(self, theirs: t.Any, ours: t.Any) -> None:
        """Notes what the server calls the things that the recorded answer names."""
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for key in theirs.keys() & ours.keys():
                self.learn(theirs[key], ours[key])
        elif isinstance(theirs, list) and isinstance(ours, list):
            for one, other in zip(in_order(theirs), in_order(ours)):
                self.learn(one, other)
        elif isinstance(theirs, str) and isinstance(ours, str) and re.fullmatch(NAME, theirs):
            self.names[theirs] = ours

    def learn_cookies(self, theirs: list[str], ours: list[str]) -> None:
        values = {line.split("=", 1)[0]: line.split("=", 1)[1].split(";")[0] for line in ours}
        for line in theirs:
            name, value = line.split(";")[0].split("=", 1)
            if value and values.get(name):
                self.names[value] = values[name]


# Values issued by Dify: UUIDs, and placeholders of tokens in the recordings.
NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|JWT-\d+|REFRESH-\d+|SESSION-\d+")


def in_order(items: list[t.Any]) -> list[t.Any]:
    """Lists of models in the order of their names: 0.15.3 gives them as its database pleases."""
    if items and all(isinstance(item, dict) and "model" in item and "model_type" in item for item in items):
        return sorted(items, key=lambda item: (item["model_type"], item["model"]))
    return items


def unlike(theirs: t.Any, ours: t.Any, where: str = "answer") -> t.Iterator[str]:
    """Where two bodies differ in their keys, the type of a value or the length of a list."""
    if type(theirs) is not type(ours):
        yield f"{where} is a {type(ours).__name__} instead of a {type(theirs).__name__}"
    elif isinstance(theirs, dict):
        if theirs.keys() != ours.keys():
            yield f"{where} lacks {sorted(theirs.keys() - ours.keys())}, has more {sorted(ours.keys() - theirs.keys())}"
        for key in theirs.keys() & ours.keys():
            yield from unlike(theirs[key], ours[key], f"{where}.{key}")
    elif isinstance(theirs, list):
        if len(theirs) != len(ours):
            yield f"{where} has {len(ours)} items instead of {len(theirs)}"
        for number, (one, other) in enumerate(zip(in_order(theirs), in_order(ours))):
            yield from unlike(one, other, f"{where}[{number}]")


def wording(body: t.Any) -> t.Any:
    """An error's code and text, without what differs from call to call."""
    text = json.dumps(body, sort_keys=True)
    text = re.sub(NAME, "ID", text)
    text = re.sub(r"req_id: \w+", "req_id: X", text)
    text = re.sub(
        r"NewConnectionError\(.*?refused\\*[\"')]+", "NewConnectionError(refused)", text
    )  # Python's own words
    text = re.sub(r"(validation error for )\w+", r"\1X", text)  # the name of an internal class
    text = re.sub(r" \[type=[^\"]*", "", text)  # the words of pydantic
    text = re.sub(r"for URL \S+", "for URL X", text)
    return text


def offered(body: t.Any) -> list[tuple[str, ...]]:
    """The content of a list of active models: providers, models and their status."""
    providers = body.get("data") or ()
    return sorted((p["provider"], m["model"], m["model_type"], m["status"]) for p in providers for m in p["models"])


def compare(version: str, entry: dict[str, t.Any], answer: http.client.HTTPResponse, body: t.Any) -> list[str]:
    told = entry["response"]
    found = []
    if answer.status != told["status"]:
        return [f"status {answer.status} instead of {told['status']}: {json.dumps(body)[:200]}"]
    if answer.headers.get("X-Version") != told["headers"].get("X-Version"):
        found.append("X-Version")
    names = [line.split("=", 1)[0] for line in told.get("set_cookie", [])]
    if sorted(names) != sorted(line.split("=", 1)[0] for line in answer.headers.get_all("Set-Cookie") or []):
        found.append(f"cookies instead of {names}: {answer.headers.get_all('Set-Cookie')}")
    found += unlike(told.get("json"), body)
    if "/models/model-types/" in entry["request"]["path"] and offered(body) != offered(told["json"]):
        found.append(f"offered {offered(body)} instead of {offered(told['json'])}")
    if answer.status >= 400 or (isinstance(told.get("json"), dict) and told["json"].get("result") in ("error", "fail")):
        if wording(body) != wording(told.get("json")):
            found.append(f"words\n   recorded {wording(told.get('json'))}\n   served   {wording(body)}")
    return found


@pytest.mark.parametrize("version", sorted(PROFILES))
def test_server_answers_as_dify_did(version):
    entries = [entry for entry in recorded(version) if not 401 <= entry["number"] < 500]  # those are played below
    wrong: list[str] = []
    played = 0
    with DifyServer(version, fresh=True) as server:
        replay = Replay(server)
        parts = list(PARTS)
        for entry in entries:
            number = entry["number"]
            while parts and parts[0].first <= number:
                part = parts.pop(0)
                if part.prepare:
                    part.prepare(server)
            if entry["name"].rstrip("?") in OUT_OF_SCOPE:
                continue
            server.state.task_polls = POLLS.get(entry["name"], server.state.task_polls)
            answer, body = replay.send(entry["request"])
            replay.learn(entry["response"].get("json"), body)
            replay.learn_cookies(entry["response"].get("set_cookie", []), answer.headers.get_all("Set-Cookie") or [])
            wrong += [f"{number}-{entry['name']}: {text}" for text in compare(version, entry, answer, body)]
            played += 1
    assert not wrong, f"{len(wrong)} of {played}\n" + "\n".join(wrong)
    assert played >= 0.9 * len(entries)


@pytest.mark.parametrize("version", [v for v in sorted(PROFILES) if any(e["number"] == 401 for e in recorded(v))])
def test_server_asks_for_the_init_password_as_dify_did(version):
    wrong: list[str] = []
    with DifyServer(version, fresh=True) as server:
        server.state.init_password = INIT_PASSWORD
        replay = Replay(server)
        for entry in recorded(version):
            if 401 <= entry["number"] < 500:
                answer, body = replay.send(entry["request"])
                replay.learn_cookies(
                    entry["response"].get("set_cookie", []), answer.headers.get_all("Set-Cookie") or []
                )
                wrong += [f"{entry['name']}: {text}" for text in compare(version, entry, answer, body)]
    assert not wrong, "\n".join(wrong)


def test_out_of_scope_names_are_recorded_somewhere():
    names = {entry["name"].rstrip("?") for version in PROFILES for entry in recorded(version)}
    assert set(OUT_OF_SCOPE) <= names
