# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test server against the recordings: the same requests, in order, and the answers compared.

Compared are the status, the keys and the types of the values, and of errors the text without the actor's address.
Tokens and keys that the recorded answers hand out are replaced in later requests by those of the test server.
"""

from __future__ import annotations

import http.client
import json
import re
import typing as t
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from servers.xinference import PROFILES, XinferenceServer
from servers.xinference.accounts import ADMIN_PERMISSIONS

RECORDINGS = Path(__file__).parent / "recordings" / "xinference"
# Answers of which the test server tells less than the real one, because nothing of the collection reads the rest.
TELLS_LESS = re.compile(r"^/v1/(chat|completions|embeddings|model_registrations/\w+/)")
# Handed out by an answer and used later.
HANDED_OUT = ("access_token", "refresh_token", "key")
# Errors whose text is made by a validation library, or lists every model that there is.
OPEN_TEXT = re.compile(r"validation error|available models|Available model uids|Internal Server Error")
# Seconds, longer than a replay takes on any machine.
LOADING = 3600
# Texts that name what the recording machine had.
ADDRESS = re.compile(r"\[address=[^\]]*\] ?|\d+\.\d+\.\d+\.\d+:\d+")


def scenario(version: str) -> t.Iterator[list[dict[str, t.Any]]]:
    """The recorded requests of one release, a list for each server that they were sent to."""
    rows: list[dict[str, t.Any]] = []
    for line in (RECORDINGS / f"{version}.jsonl").read_text().splitlines():
        row = json.loads(line)
        if "server" in row and row["server"] != "same":
            if rows:
                yield rows
            rows = [row]
        elif "server" not in row:
            rows.append(row)
    yield rows


def server_of(version: str, kind: str) -> XinferenceServer:
    """A server as the recorded one was set up."""
    if kind == "plain":
        server = XinferenceServer(version, auth=False)
        # Loading for as long as the recordings say so. That of 2.12.0 still was when it was told to end.
        server.behave("embasync", seconds=LOADING, hangs=version == "2.12.0")
        return server
    if kind == "unclaimed":
        return XinferenceServer(version, claimed=False, setup_token="SETUPTOKEN-001")
    server = XinferenceServer(version, auth=True, claimed=False)
    admin = server.accounts.add_user("admin", "secret1", list(ADMIN_PERMISSIONS))
    viewer = server.accounts.add_user("viewer", "secret2", ["models:list", "models:read"])
    server.accounts.add_key("admin", admin["id"], "sk-recorded00001")
    server.accounts.add_key("viewer", viewer["id"], "sk-recorded00002")
    return server


class Replay:
    """Sends recorded requests to a test server and compares."""

    def __init__(self, server: XinferenceServer):
        self.server = server
        self.known: dict[str, str] = {}
        self.differences: list[str] = []

    def run(self, rows: list[dict[str, t.Any]]) -> None:
        for row in rows:
            if re.search(r"/(launch_(embedding|llm)|terminate_async)$", row["name"]):
                self._settle()
            status, answer = self._send(row)
            self._compare(row, status, answer)
            self._learn(row["answer"], answer)

    def _settle(self) -> None:
        """Waits until loading models are ready, as they were in the recording."""
        for model in self.server.models.models.values():
            model.launched -= LOADING

    def _send(self, row: dict[str, t.Any]) -> tuple[int, t.Any]:
        text = json.dumps([row["path"], row["authorization"], row["body"]])
        for recorded, played in self.known.items():
            text = text.replace(recorded, played)
        path, authorization, body = json.loads(text)
        headers = {"Authorization": authorization} if authorization else {}
        if row["name"].endswith("login_form"):
            data = urlencode(body)
        elif isinstance(body, str):
            data = body
        else:
            data = json.dumps(body) if body is not None else None
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=10)
        connection.request(row["method"], path, body=data, headers=headers)
        response = connection.getresponse()
        raw = response.read()
        connection.close()
        try:
            return response.status, json.loads(raw)
        except ValueError:
            return response.status, raw.decode()

    def _learn(self, recorded: t.Any, played: t.Any) -> None:
        if isinstance(recorded, dict) and isinstance(played, dict):
            for name in HANDED_OUT:
                if isinstance(recorded.get(name), str) and isinstance(played.get(name), str):
                    self.known[recorded[name]] = played[name]

    def _compare(self, row: dict[str, t.Any], status: int, answer: t.Any) -> None:
        found: list[str] = []
        if status != row["status"]:
            found.append(f"status {row['status']}, played {status}: {str(answer)[:200]}")
        elif status >= 400:
            found += text_differences(row["answer"], answer)
        elif not row["path"].startswith("/v1/engines"):  # which engines there are depends on what is installed
            found += shape_differences("", row["answer"], answer, bool(TELLS_LESS.match(row["path"])))
        else:
            found += shape_differences("", type(row["answer"]).__name__, type(answer).__name__, False)
        self.differences += [f"{row['name']} ({row['method']} {row['path']}): {text}" for text in found]


def text_differences(recorded: t.Any, played: t.Any) -> list[str]:
    if isinstance(recorded, dict) != isinstance(played, dict):
        return [f"error {recorded!r}, played {played!r}"]
    before, now = (str(x["detail"] if isinstance(x, dict) else x) for x in (recorded, played))
    if OPEN_TEXT.search(before):
        start = OPEN_TEXT.search(before)
        same = bool(OPEN_TEXT.search(now)) and start is not None
    else:
        same = ADDRESS.sub("", before) == ADDRESS.sub("", now)
    return [] if same else [f"error {before!r}, played {now!r}"]


def shape_differences(where: str, recorded: t.Any, played: t.Any, less: bool) -> list[str]:
    """Keys and types that differ; null stands for any type.

    :param less: the played answer may lack keys.
    """
    if recorded is None or played is None:
        return []
    if isinstance(recorded, dict) and isinstance(played, dict):
        if where == ".workers":  # by address
            recorded, played = ({"worker": next(iter(x.values()), None)} for x in (recorded, played))
        missing = set() if less else set(recorded) - set(played)
        found = [f"{where}: lacks {sorted(missing)}"] if missing else []
        found += [f"{where}: adds {sorted(set(played) - set(recorded))}"] if set(played) - set(recorded) else []
        for key in sorted(set(recorded) & set(played)):
            found += shape_differences(f"{where}.{key}", recorded[key], played[key], less)
        return found
    if isinstance(recorded, list) and isinstance(played, list):
        return shape_differences(f"{where}[]", recorded[0], played[0], less) if recorded and played else []
    numbers = (int, float)
    if isinstance(recorded, numbers) and isinstance(played, numbers):
        return []
    if type(recorded) is type(played) or "size_in_billions" in where:
        return []
    return [f"{where}: {type(recorded).__name__}, played {type(played).__name__}"]


@pytest.mark.parametrize("version", sorted(PROFILES))
def test_server_answers_as_recorded(version):
    differences = []
    for kind, *rows in scenario(version):
        with server_of(version, kind["server"]) as server:
            replay = Replay(server)
            replay.run(rows)
            differences += replay.differences
    assert differences == []


def test_the_recordings_cover_what_the_collection_sends():
    """Every request that the collection knows is in the recordings of 4.1.0, or noted here with the reason."""
    recorded = {
        (row["method"], re.sub(r"/(emb1|llm1|nope|embasync|bge-m3|minilm-local|\d+)(?=/|$)", "/X", row["path"]))
        for part in scenario("4.1.0")
        for row in part
        if "method" in row
    }
    for method, path in [
        ("GET", "/status"),
        ("GET", "/v1/cluster/auth"),
        ("GET", "/v1/cluster/version"),
        ("POST", "/token"),
        ("POST", "/v1/auth/refresh"),
        ("GET", "/v1/admin/setup/status"),
        ("POST", "/v1/admin/setup"),
        ("GET", "/v1/admin/users"),
        ("POST", "/v1/admin/users"),
        ("GET", "/v1/admin/keys"),
        ("POST", "/v1/admin/keys"),
        ("GET", "/v1/admin/keys/X/reveal"),
        ("GET", "/v1/models"),
        ("POST", "/v1/models?wait_ready=false"),
        ("GET", "/v1/models/instances"),
        ("GET", "/v1/models/X"),
        ("DELETE", "/v1/models/X"),
        ("GET", "/v1/models/X/progress"),
        ("POST", "/v1/models/X/cancel"),
        ("GET", "/v1/engines/embedding/X"),
        ("GET", "/v1/model_registrations/embedding/X"),
        ("POST", "/v1/model_registrations/embedding"),
        ("DELETE", "/v1/model_registrations/embedding/X"),
        ("GET", "/v1/autostart/models"),
        ("GET", "/v1/launch_history"),
        ("GET", "/v1/cache/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
    ]:
        assert (method, path) in recorded, f"{method} {path}"
