# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role dify, run by ansible-playbook against the test server: what tests/unit/dify/test_dify_site.py cannot see without it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import emulated
import pytest
import yaml
from servers.dify import DifyServer
from servers.dify.server import PASSWORD
from servers.dify.site import CHAT, EMBEDDING, IMAGE, Cluster, target
from servers.xinference import XinferenceServer

from ansible_collections.modelops.inference.plugins.plugin_utils._site import kinds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS

HERE = Path(__file__).parent
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"


@pytest.fixture
def cluster(tmp_path):
    with XinferenceServer() as server:
        yield Cluster(server, tmp_path / "client_key")


@pytest.fixture
def newest(cluster):
    with DifyServer("1.16.0-rc1", backend=cluster.backend) as server:
        yield server


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

    def run(
        hosts,
        *,
        check=False,
        note=True,
        playbook="dify.yml",
        others=None,
        serial=0,
        verbose=True,
        groups=None,
        **variables,
    ):
        inventory = tmp_path / "inventory"
        inventory.mkdir(exist_ok=True)
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        data = {
            "all": {
                "vars": variables,
                "children": {
                    "clusters": {"hosts": {n: {**local, **v} for n, v in hosts.items()}},
                    "others": {"hosts": others or {}},
                },
            }
        }
        for group, members in (groups or {}).items():
            data["all"]["children"][group] = {"hosts": dict.fromkeys(members, {})}
        (inventory / "hosts.json").write_text(json.dumps(data))
        outcome = tmp_path / "outcome"
        outcome.mkdir(exist_ok=True)
        for old in outcome.glob("*"):
            old.unlink()
        command = [str(PLAYBOOK), "-i", str(inventory / "hosts.json"), "-e", f"outcome={outcome}", "--diff"]
        command += ["--tags", "all,outcome"] if note else []
        command += ["--check"] if check else []
        command += ["-e", f"serial_batch={serial}"] if serial else []
        env = {
            **os.environ,
            **emulated.called_in_process(),
            "ANSIBLE_CONFIG": str(HERE / "playbooks" / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": collections_path(),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
            "TMPDIR": str(run.temp),
        }
        done = subprocess.run(
            [*command, *(["-vvv"] if verbose else []), str(HERE / "playbooks" / playbook)],
            env=env,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        return Run(done, outcome)

    run.directory = tmp_path
    # A short path: ansible-core makes sockets below it, whose paths hold 107 characters.
    with tempfile.TemporaryDirectory(prefix="d-") as short:
        run.temp = Path(short)
        yield run


def collections_path() -> str:
    import ansible_collections.modelops.inference as collection

    return str(Path(next(iter(collection.__path__))).parents[2])


@pytest.mark.each_core("dify", "dify_step")
def test_registers_once_and_then_changes_nothing(newest, cluster, play):
    first = play({"gpu01": cluster.served("one"), "worker": {}}, dify_targets=[target(newest)])
    assert first.rc == 0, first.out
    assert first.changed == 3  # the registration with the sheet, and this test's own note on both hosts
    assert first.rows("dify", "workspace", "model", "type", "state") == [
        ("office", "admin's Workspace", "qwen2.5-instruct", "llm", "active"),
        ("office", "admin's Workspace", "bge-m3", "text-embedding", "active"),
        ("office", "admin's Workspace", "whisper-large-v3", "speech2text", "active"),
        ("office", "admin's Workspace", "sd-turbo", "image", "skipped"),
    ]
    assert "Dify has no type for image models" in str(first.outcome)
    sheet = (play.directory / "inventory" / "connection-sheet-one.txt").read_text()
    assert "  In office, admin's Workspace: active (as bge-m3)" in sheet
    assert sheet.splitlines() == first.outcome["gpu01"]["sheet"] and not first.outcome["worker"]["sheet"]
    newest.log.clear()
    cluster.server.forget()
    again = play({"gpu01": cluster.served("one")}, dify_targets=[target(newest)], note=False)
    assert again.rc == 0 and again.changed == 0
    assert again.executed == ["dify_workspaces"]
    # Each task costs a run of the site on each host: who adds one says so here.
    tasks = re.findall(r"^TASK \[modelops.inference.dify : (.*)\]", again.out, re.M)
    assert tasks[-2:] == ["Register the models with Dify", "Register the models with every Dify"] and len(tasks) == 6
    assert len(newest.sent("POST", "/login")) == 1
    assert dict(cluster.server.counts) == {"GET": 1}
    for run in (first, again):
        assert cluster.key not in run.out and PASSWORD not in run.out
    # The directory of a run, which had the key, is gone.
    assert not list((play.directory / "local").iterdir())


def test_on_another_host_and_with_a_dify_that_fails(newest, cluster, play):
    """In batches, so that no run sees every cluster; the reason is in the table alone, once."""
    hosts = {"gpu01": cluster.served("one", [CHAT]), "gpu02": {"xinference_models": [{"uid": "bge-m3"}]}}
    dead = target(newest, name="dead", url="http://127.0.0.1:9")
    more = {"dify_run_on": "gpu02", "serial": 1, "verbose": False, "note": False}
    run = play(hosts, dify_targets=[target(newest), dead], **more)
    assert run.rc != 0 and "1 of 2 Dify targets failed (dead): see the table above." in run.out
    assert run.out.count("Connection refused") == 1 and "gpu01 -> gpu02" in run.out
    assert "does not see the models of all clusters of the inventory (gpu02)" in run.out
    assert list(newest.workspace.models) == [(CHAT["uid"], "llm")]


def test_capture(newest, cluster, play):
    assert play({"gpu01": cluster.served("one", [CHAT])}, dify_targets=[target(newest)], note=False).rc == 0
    hosts = {"gpu01": {"xinference_models": [{"uid": CHAT["uid"]}], "dify_capture_url": cluster.url}}
    for changed in (1, 0):
        run = play(hosts, playbook="dify_capture.yml", note=False, dify_targets=[target(newest)])
        assert run.rc == 0 and run.changed == changed, run.out
        assert run.executed == ["dify_workspaces"] and PASSWORD not in run.out
    file = play.directory / "inventory" / "dify_targets-captured.txt"
    (captured,) = yaml.safe_load(file.read_text())["dify_targets"]
    assert captured["models"] == {"uids": [CHAT["uid"]]} and captured["password"] == "{{ vault_dify_office_password }}"
    assert "Define vault_dify_office_password: password of office." in run.out


def test_connection_sheets_without_a_dify(cluster, play):
    chat = {**CHAT, "dify": {"name": "Chat"}}
    hosts = {
        "gpu01": cluster.served("one", [chat, IMAGE], url="http://10.1.2.3:9997"),
        "gpu02": cluster.served("two", [EMBEDDING], url="http://127.0.0.1:9997", loopback=True, api_key_file=""),
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
        f"  API key      stored on gpu01 in {cluster.key_file}",
        "  sd-turbo: Dify has no type for image models",
    ):
        assert line in text.splitlines()
    assert "loopback" not in text
    two = (play.directory / "inventory" / "connection-sheet-two.txt").read_text()
    assert "listens on loopback only" in two and "leave empty" in two
    assert first.outcome["gpu03"]["sheet"] == []
    again = play(hosts, note=False)
    assert again.rc == 0 and again.changed == 0 and again.executed == []
    for run in (check, first, again):
        assert cluster.key not in run.out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"serverurl": "http://lan:1"}, "dify_targets, office: no key serverurl; did you mean server_url?"),
        ({"models": {"tag": ["chat"]}}, "dify_targets, office, models: no key tag; did you mean tags?"),
        ({"plugin": {"pakage": "x"}}, "dify_targets, office, plugin: no key pakage; did you mean package?"),
        ({"prove_from": {"dokcer": "x"}}, "dify_targets, office, prove_from: no key dokcer; did you mean docker?"),
        ({"zzz": 1}, "dify_targets, office: no key zzz; there are name, url,"),
        (
            {"update_secret": "sometimes"},
            "dify_targets, office, update_secret is 'sometimes', not one of on_create, always,",
        ),
        ({"plugin": "x"}, "dify_targets, office, plugin must be a mapping, not a text: write keys with values."),
        ({"models": {"tags": ["chat"]}, "overrides": {"m": {"name": "x"}}}, None),
    ],
)
def test_a_target_that_its_option_does_not_allow(changed, words):
    option = SPECS.options["dify_targets"]
    target = {"name": "office", "url": "http://dify", **changed}
    found = kinds.mistakes([target], option, "dify_targets", lambda value, option: value)
    assert len(found) == bool(words) and all(line.startswith(words) for line in found)


def test_a_wrong_key_is_told_before_the_argument_spec(newest, cluster, play):
    wrong = target(newest, serverurl="{{ nowhere }}", password="{{ secret }}")
    run = play(
        {"gpu01": cluster.served("one")}, playbook="dify_names.yml", dify_targets=[wrong], secret=PASSWORD, note=False
    )
    assert run.rc != 0 and "dify_targets, office: no key serverurl; did you mean server_url?" in run.out
    assert "admin_key" not in run.out and PASSWORD not in run.out and newest.log == []
