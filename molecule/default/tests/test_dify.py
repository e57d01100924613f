# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registrations in Dify after site.yml, read from Dify; and that a refused run did not change them."""

from __future__ import annotations

import json

import pytest

testinfra_hosts = ["ansible://modelops-dify"]

URL = "http://modelops-systemd:9997"

# Run in Dify's container: logs in as the console does, and asks for what is given.
ASK = """
import base64, json, sys, urllib.request
api = "http://127.0.0.1:8080/console/api"
headers = {"Content-Type": "application/json"}
def call(verb, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(api + path, data, headers, method=verb), timeout=30) as answer:
        return answer.headers.get_all("Set-Cookie") or [], json.load(answer)
password = base64.b64encode(b"Passw0rd!xyz").decode()
cookies, _ = call("POST", "/login", {"email": "admin@example.com", "password": password})
pairs = dict(cookie.split(";")[0].split("=", 1) for cookie in cookies)
headers["Cookie"] = "; ".join("=".join(pair) for pair in pairs.items())
headers["X-CSRF-Token"] = pairs["csrf_token"]
answers = []
for space in call("GET", "/workspaces")[1]["workspaces"]:
    call("POST", "/workspaces/switch", {"tenant_id": space["id"]})
    answers.append([call("GET", path)[1] for path in sys.argv[1:]])
print(json.dumps(answers))
"""

MODELS = "/workspaces/current/model-providers/langgenius/xinference/xinference/models"


@pytest.fixture
def ask(host):
    """``ask(path, ...)`` -> the answers of each of the two workspaces."""

    def run(*paths: str):
        answers = json.loads(host.check_output("python3 -c %s" + " %s" * len(paths), ASK, *paths))
        assert len(answers) == 2
        return answers

    return run


def test_models_are_active(ask):
    for (answer,) in ask(MODELS):
        found = {(model["model"], model["model_type"]): model["status"] for model in answer["data"]}
        assert found == {("gemma3-270m", "llm"): "active", ("minilm", "text-embedding"): "active"}


@pytest.mark.parametrize(("name", "kind"), [("gemma3-270m", "llm"), ("minilm", "text-embedding")])
def test_address_is_the_right_one_and_the_key_is_there(ask, name, kind):
    for (answer,) in ask(f"{MODELS}/credentials?model={name}&model_type={kind}"):
        stored = answer["credentials"]
        assert stored["server_url"] == URL and stored["model_uid"] == name
        assert "*" in stored["api_key"]
        assert len(answer["available_credentials"]) == 1


def test_defaults(ask):
    for llm, embedding in ask(
        *(f"/workspaces/current/default-model?model_type={k}" for k in ("llm", "text-embedding"))
    ):
        assert llm["data"]["model"] == "gemma3-270m" and embedding["data"]["model"] == "minilm"
