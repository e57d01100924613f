# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role dify, run by ansible-playbook against the test server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import KEY, LOCKED_XINFERENCE, XINFERENCE
from servers.dify import DifyServer
from servers.dify.server import EMAIL, PASSWORD

HERE = Path(__file__).parent
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"

CHAT = {
    "uid": "qwen2.5-instruct",
    "type": "LLM",
    "abilities": ["chat"],
    "tags": ["chat"],
    "declared": "present",
    "state": "ready",
}
EMBEDDING = {
    "uid": "bge-m3",
    "type": "embedding",
    "abilities": [],
    "tags": ["rag"],
    "declared": "present",
    "state": "ready",
}
SPEECH = {
    "uid": "whisper-large-v3",
    "type": "audio",
    "abilities": ["audio2text"],
    "tags": [],
    "declared": "present",
    "state": "ready",
}
IMAGE = {
    "uid": "sd-turbo",
    "type": "image",
    "abilities": ["text2image"],
    "tags": [],
    "declared": "present",
    "state": "ready",
}


def cluster(name, url=XINFERENCE, models=(CHAT, EMBEDDING, SPEECH, IMAGE), **more):
    served = {"cluster": name, "url": url, "loopback": False, "api_key_file": ""}
    return {"xinference_served": {**served, "models": list(models), **more}}


class Run:
    """How a run of the playbook ended."""

    def __init__(self, done: subprocess.CompletedProcess, outcome: Path):
        self.rc = done.returncode
        self.out = done.stdout + done.stderr
        self.outcome = {path.stem: json.loads(path.read_text()) for path in outcome.glob("*.json")}
        recap = self.out[self.out.index("PLAY RECAP") :] if "PLAY RECAP" in self.out else ""
        self.changed = sum(int(number) for number in re.findall(r"changed=(\d+)", recap))
        #: Names of the modules that were really executed.
        self.executed = [Path(path).stem for path in re.findall(r"^Using module file (\S+)", self.out, re.M)]

    def rows(self, *keys):
        first = next(iter(self.outcome.values()))
        return [tuple(row[key] for key in keys) for row in first["results"]]


@pytest.fixture
def play(tmp_path):
    """``play({"gpu01": host variables}, **variables)`` -> Run; the inventory stays the same directory."""

    def run(hosts, *, check=False, note=True, **variables):
        inventory = tmp_path / "inventory"
        inventory.mkdir(exist_ok=True)
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        data = {
            "all": {
                "vars": variables,
                "children": {"clusters": {"hosts": {n: {**local, **v} for n, v in hosts.items()}}},
            }
        }
        (inventory / "hosts.json").write_text(json.dumps(data))
        outcome = tmp_path / "outcome"
        outcome.mkdir(exist_ok=True)
        for old in outcome.glob("*"):
            old.unlink()
        command = [str(PLAYBOOK), "-i", str(inventory / "hosts.json"), "-e", f"outcome={outcome}", "--diff"]
        command += ["--tags", "all,outcome"] if note else []
        command += ["--check"] if check else []
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(HERE / "playbooks" / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": collections_path(),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        }
        done = subprocess.run(
            [*command, "-vvv", str(HERE / "playbooks" / "dify.yml")],
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Run(done, outcome)

    run.directory = tmp_path
    return run


def collections_path() -> str:
    import ansible_collections.modelops.inference as collection

    return str(Path(next(iter(collection.__path__))).parents[2])


def target(server, **more):
    named = {"name": "office", "url": server.url, "email": EMAIL, "password": PASSWORD, "allow_loopback": True}
    return {**named, **more}


def test_registers_once_and_then_changes_nothing(newest, play):
    first = play({"gpu01": cluster("one")}, dify_targets=[target(newest)])
    assert first.rc == 0, first.out
    assert first.changed == 2  # the registration, and this test's own note
    assert first.rows("dify", "workspace", "model", "type", "state") == [
        ("office", "admin's Workspace", "qwen2.5-instruct", "llm", "active"),
        ("office", "admin's Workspace", "bge-m3", "text-embedding", "active"),
        ("office", "admin's Workspace", "whisper-large-v3", "speech2text", "active"),
        ("office", "admin's Workspace", "sd-turbo", "image", "skipped"),
    ]
    assert "Dify has no type for image models" in str(first.outcome)
    assert PASSWORD not in first.out
    newest.log.clear()
    again = play({"gpu01": cluster("one")}, dify_targets=[target(newest)], note=False)
    assert again.rc == 0 and again.changed == 0
    assert again.executed == ["dify_models"]
    assert len(newest.sent("POST", "/login")) == 1


def test_every_workspace_of_every_dify(newest, play):
    """Two clusters with a key each, three calls, an absent model; in check mode first."""
    with DifyServer("0.15.3") as old:
        newest.state.add_workspace("Research", admin="owner")
        gone = {**CHAT, "uid": "old-model", "declared": "absent"}
        key = play.directory / "client_key"
        key.write_text(KEY + "\n")
        hosts = {
            "gpu01": cluster("one", LOCKED_XINFERENCE, [CHAT, gone], api_key_file=str(key)),
            "gpu02": cluster("two", LOCKED_XINFERENCE, [EMBEDDING], api_key_file=str(key)),
            "gpu03": {},  # a worker
        }
        targets = [
            target(newest, workspaces=["admin's Workspace", "Research"]),
            target(old, name="lab", models={"tags": ["rag"], "types": ["text-embedding"]}),
        ]
        check = play(hosts, check=True, dify_targets=targets)
        assert check.rc == 0, check.out
        assert not newest.workspace.models and not old.workspace.models
        wanted = [
            ("office", "admin's Workspace", "qwen2.5-instruct", "absent", "register"),
            ("office", "admin's Workspace", "old-model", "absent", "none"),
            ("office", "admin's Workspace", "bge-m3", "absent", "register"),
            ("office", "Research", "qwen2.5-instruct", "unknown", "unknown"),
            ("office", "Research", "old-model", "unknown", "unknown"),
            ("office", "Research", "bge-m3", "unknown", "unknown"),
            ("lab", "admin's Workspace", "bge-m3", "absent", "register"),
        ]
        assert check.rows("dify", "workspace", "model", "state", "action") == wanted

        first = play(hosts, dify_targets=targets)
        assert first.rc == 0, first.out
        assert set(first.rows("model", "state")) == {
            ("qwen2.5-instruct", "active"),
            ("bge-m3", "active"),
            ("old-model", "absent"),
        }
        assert [("bge-m3", "text-embedding")] == list(old.workspace.models)
        for space in newest.state.workspaces.values():
            assert [model.shown["api_key"] for model in space.models.values()] == [KEY, KEY]
        assert sorted(first.outcome) == ["gpu01", "gpu02", "gpu03"]

        again = play(hosts, dify_targets=targets, note=False)
        assert again.rc == 0 and again.changed == 0
        assert sorted(again.executed) == ["dify_models"] * 3 + ["slurp"] * 2
        for run in (check, first, again):
            assert KEY not in run.out and PASSWORD not in run.out


def test_one_dify_that_fails_does_not_hide_the_others(newest, play):
    with DifyServer("1.8.1") as other:
        broken = {**CHAT, "uid": "nosuch"}
        not_served = {**EMBEDDING, "state": "failed"}
        hosts = {"gpu01": cluster("one", models=[CHAT, broken, not_served])}
        targets = [target(newest, password="Wrong1234567"), target(other, name="lab")]
        run = play(hosts, dify_targets=targets, dify_run_on="gpu01")
        assert run.rc != 0
        assert "password is wrong" in run.out and "does not serve the model UID 'nosuch'" in run.out
        assert newest.state.accounts[EMAIL].failures == 1
        assert ("qwen2.5-instruct", "llm") in other.workspace.models
        assert ("bge-m3", "text-embedding") not in other.workspace.models
        assert {"failed", "active", "skipped"} <= set(re.findall(r'"state": "(\w+)"', run.out))


def test_connection_sheet(play):
    key = play.directory / "client_key"
    key.write_text(KEY + "\n")
    hosts = {
        "gpu01": cluster(
            "one", "http://10.1.2.3:9997", [{**CHAT, "dify": {"name": "Chat"}}, IMAGE], api_key_file=str(key)
        ),
        "gpu02": cluster("two", "http://127.0.0.1:9997", [EMBEDDING], loopback=True),
        "gpu03": {},
    }
    sheet = play.directory / "inventory" / "connection-sheet-one.txt"
    check = play(hosts, check=True)
    assert check.rc == 0, check.out
    assert check.outcome["gpu01"]["sheet"] and not sheet.exists()
    first = play(hosts)
    assert first.rc == 0, first.out
    text = sheet.read_text()
    assert text.splitlines() == first.outcome["gpu01"]["sheet"] == check.outcome["gpu01"]["sheet"]
    for line in (
        "  Model Type   LLM",
        "  Model Name   Chat",
        "  Server url   http://10.1.2.3:9997",
        "  Model uid    qwen2.5-instruct",
        f"  API key      kept on gpu01 in {key}",
        "  sd-turbo: Dify has no type for image models",
    ):
        assert line in text.splitlines()
    assert "loopback" not in text
    two = (play.directory / "inventory" / "connection-sheet-two.txt").read_text()
    assert "listens on loopback only" in two and "leave it empty" in two
    assert first.outcome["gpu03"]["sheet"] == []
    again = play(hosts, note=False)
    assert again.rc == 0 and again.changed == 0 and again.executed == []
    for run in (check, first, again):
        assert KEY not in run.out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"url": "dify.example.com"}, "every url starts with http"),
        ({"server_url": "http://localhost:9997", "allow_loopback": None}, "loopback address"),
        ({"server_url": "http://localhost:9997", "allow_loopback": False}, "loopback address"),
        ({"update_secret": "sometimes"}, "update_secret"),
        ({"worksapces": ["Research"]}, "worksapces"),
        ({"email": None}, "email"),
    ],
)
def test_refused_before_anything_is_asked(newest, play, changed, words):
    wrong = {name: value for name, value in target(newest, **changed).items() if value is not None}
    run = play({"gpu01": cluster("one")}, dify_targets=[wrong])
    assert run.rc != 0 and words in run.out
    assert newest.log == [] and run.executed == []


def test_what_cannot_work_is_refused_before_anything_is_asked(newest, play):
    """By what the preflight of the role models left of each cluster."""

    def declared(name, **more):
        served = {"cluster": name, "url": f"http://{name}:9997", "loopback": False, **more}
        return {"xinference_declared": {**served, "models": [{**CHAT, "state": "unknown"}]}}

    office = target(newest, allow_loopback=False)
    run = play({"gpu01": {**cluster("one"), **declared("one", loopback=True)}}, dify_targets=[office])
    assert run.rc != 0 and "office: there is no server_url, and cluster one listens on loopback only" in run.out
    both = {name: {**cluster(name), **declared(name)} for name in ("one", "two")}
    run = play(both, dify_targets=[office])
    assert run.rc != 0 and "of cluster one and qwen2.5-instruct of cluster two would both be" in run.out
    assert newest.log == [] and run.executed == [] and PASSWORD not in run.out


def test_names_of_targets_are_unique(newest, play):
    run = play({"gpu01": cluster("one")}, dify_targets=[target(newest), target(newest)])
    assert run.rc != 0 and "every name may be given once" in run.out and newest.log == []
