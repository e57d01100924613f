# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role dify, run by ansible-playbook against the test server."""

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
from servers.dify.server import EMAIL, PASSWORD
from servers.dify.xinference import Backend, Upstream, default_models
from servers.xinference import XinferenceServer

from ansible_collections.modelops.inference.plugins.plugin_utils._site import kinds
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import SPECS

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


class Cluster:
    """A test Xinference that serves what the Difys' default backend has, and wants a key."""

    def __init__(self, server):
        self.server, self.url = server, server.url
        self.key = server.accounts.add_key("dify", 1)["key"]
        server.serve("qwen2.5-instruct", model_engine="llama.cpp")
        server.serve("bge-m3", model_type="embedding")
        server.serve("whisper-large-v3", model_type="audio")
        server.serve("sd-turbo", model_type="image")

    def served(self, name, models=(CHAT, EMBEDDING, SPEECH, IMAGE), **more):
        """What the role models leaves on the cluster's host."""
        served = {"cluster": name, "url": self.url, "loopback": False, "api_key_file": self.key_file}
        return {"xinference_served": {**served, "models": list(models), **more}}

    @property
    def backend(self):
        return Backend({self.url: Upstream(default_models(), key=self.key)})


@pytest.fixture
def cluster(tmp_path):
    with XinferenceServer() as server:
        found = Cluster(server)
        file = tmp_path / "client_key"
        file.write_text(found.key + "\n")
        found.key_file = str(file)
        yield found


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


def target(server, **more):
    named = {"name": "office", "url": server.url, "email": EMAIL, "password": PASSWORD, "allow_loopback": True}
    return {**named, **more}


@pytest.mark.each_core("dify")
def test_registers_once_and_then_changes_nothing(newest, cluster, play):
    first = play({"gpu01": cluster.served("one")}, dify_targets=[target(newest)])
    assert first.rc == 0, first.out
    assert first.changed == 3  # the registration, the sheet, and this test's own note
    assert first.rows("dify", "workspace", "model", "type", "state") == [
        ("office", "admin's Workspace", "qwen2.5-instruct", "llm", "active"),
        ("office", "admin's Workspace", "bge-m3", "text-embedding", "active"),
        ("office", "admin's Workspace", "whisper-large-v3", "speech2text", "active"),
        ("office", "admin's Workspace", "sd-turbo", "image", "skipped"),
    ]
    assert "Dify has no type for image models" in str(first.outcome)
    sheet = (play.directory / "inventory" / "connection-sheet-one.txt").read_text()
    assert "  In office, admin's Workspace: active (as bge-m3)" in sheet
    newest.log.clear()
    cluster.server.forget()
    again = play({"gpu01": cluster.served("one")}, dify_targets=[target(newest)], note=False)
    assert again.rc == 0 and again.changed == 0
    assert again.executed == ["slurp", "xinference_probe", "dify_models"]
    assert len(newest.sent("POST", "/login")) == 1
    assert dict(cluster.server.counts) == {"GET": 1}
    for run in (first, again):
        assert cluster.key not in run.out and PASSWORD not in run.out


def test_every_workspace_of_every_dify(newest, cluster, play):
    """Plugin, models and defaults; two clusters with the same models; an absent model; in check mode first."""
    with DifyServer("0.15.3", backend=cluster.backend) as old:
        newest.state.add_workspace("Research", plugin=False, admin="owner")
        newest.state.packages.tells_latest = True
        gone = {**CHAT, "uid": "old-model", "declared": "absent"}
        hosts = {
            "gpu01": cluster.served("one", [CHAT, gone]),
            "gpu02": cluster.served("two", [EMBEDDING, {**CHAT, "dify": {"state": "absent"}}]),
            "gpu03": {},  # a worker
        }
        targets = [
            target(
                newest,
                workspaces=["admin's Workspace", "Research"],
                plugin={"state": "present"},
                model_name="{uid}@{cluster}",
                defaults={"llm": "qwen2.5-instruct", "text-embedding": "bge-m3@two"},
                prune=True,
            ),
            target(old, name="lab", models={"tags": ["rag"], "types": ["text-embedding"]}),
        ]
        check = play(hosts, check=True, dify_targets=targets)
        assert check.rc == 0, check.out
        assert not newest.workspace.models and not old.workspace.models
        wanted = [
            ("office", "admin's Workspace", "langgenius/xinference", "installed 0.0.15", "none"),
            ("office", "Research", "langgenius/xinference", "unknown", "unknown"),
            ("office", "admin's Workspace", "qwen2.5-instruct@one", "absent", "register"),
            ("office", "admin's Workspace", "old-model@one", "absent", "none"),
            ("office", "admin's Workspace", "bge-m3@two", "absent", "register"),
            ("office", "admin's Workspace", "qwen2.5-instruct@two", "absent", "none"),
            ("office", "Research", "qwen2.5-instruct@one", "unknown", "unknown"),
            ("office", "Research", "old-model@one", "unknown", "unknown"),
            ("office", "Research", "bge-m3@two", "unknown", "unknown"),
            ("office", "Research", "qwen2.5-instruct@two", "unknown", "unknown"),
            ("lab", "admin's Workspace", "bge-m3", "absent", "register"),
            ("office", "admin's Workspace", "qwen2.5-instruct@one", "default", "set"),
            ("office", "admin's Workspace", "bge-m3@two", "default", "set"),
            ("office", "Research", "qwen2.5-instruct@one", "not compared", "unknown"),
            ("office", "Research", "bge-m3@two", "not compared", "unknown"),
        ]
        assert check.rows("dify", "workspace", "model", "state", "action") == wanted
        assert len(newest.sent("POST", "/login")) == 1

        newest.log.clear()
        first = play(hosts, dify_targets=targets)
        assert first.rc == 0, first.out
        assert set(first.rows("type", "state")) == {
            ("plugin", "installed 0.0.15"),
            ("llm", "active"),
            ("llm", "absent"),
            ("text-embedding", "active"),
            ("llm", "default"),
            ("text-embedding", "default"),
        }
        assert [("bge-m3", "text-embedding")] == list(old.workspace.models)
        for space in newest.state.workspaces.values():
            assert [model.shown["api_key"] for model in space.models.values()] == [cluster.key] * 2
            assert space.defaults == {"llm": "qwen2.5-instruct@one", "text-embedding": "bge-m3@two"}
        assert len(newest.sent("POST", "/login")) == 1  # of six modules
        sheet = (play.directory / "inventory" / "connection-sheet-one.txt").read_text()
        assert "  For office: Model Name qwen2.5-instruct@one" in sheet
        assert sorted(first.outcome) == ["gpu01", "gpu02", "gpu03"]

        again = play(hosts, dify_targets=targets, note=False)
        assert again.rc == 0 and again.changed == 0
        wanted = ["dify_default_models"] * 2 + ["dify_models"] * 3 + ["dify_plugin"] * 2
        assert sorted(again.executed) == [*wanted, "file", *["slurp"] * 2, "tempfile", *["xinference_probe"] * 2]
        assert not list(play.temp.glob("modelops-dify-*"))
        for run in (check, first, again):
            assert cluster.key not in run.out and PASSWORD not in run.out


def test_a_target_names_its_workspace_once(newest, cluster, play):
    research = newest.state.add_workspace("Research", admin="owner")
    hosts = {"gpu01": cluster.served("one", [CHAT])}
    file = play.directory / "inventory" / "dify-workspaces.txt"
    for named in ({"workspace": "Research"}, {}):
        run = play(hosts, dify_targets=[target(newest, **named)])
        assert run.rc == 0 and "Unable to parse" not in run.out, run.out
        assert run.rows("workspace", "model", "state") == [("Research", CHAT["uid"], "active")]
        assert research.id in file.read_text() and PASSWORD not in file.read_text()
    assert not newest.workspace.models
    assert newest.state.accounts[EMAIL].current == newest.workspace.id


@pytest.mark.parametrize("unseen", ["nothing", "serial", "limit", "another play", "no source", "not served"])
def test_only_a_run_that_sees_every_cluster_removes(newest, cluster, play, dify_models, unseen):
    """What two clusters registered is nobody's to a run that sees one of them."""
    mine = {"server_url": cluster.url, "api_key": cluster.key, "type": "llm", "model_uid": "qwen2.5-instruct"}
    assert not dify_models(newest, [{**mine, "name": name} for name in ("old", "chat@one")]).failed
    declared = {"xinference_models": [{"uid": "bge-m3"}]}
    gone = {**CHAT, "declared": "absent", "state": "absent"}
    one, two = cluster.served("one", [gone]), cluster.served("two", [EMBEDDING])
    others = {}
    if unseen == "another play":
        others = {"gpu02": {**declared}}
    elif unseen == "not served":
        one["xinference_declared"] = one["xinference_served"]
        two = {"xinference_declared": two["xinference_served"]}
    elif unseen == "no source":
        one, two = {}, {}
    options = {"serial": {"serial": 1}, "limit": {"ansible_limit": "gpu01"}}.get(unseen, {})
    office = target(newest, prune=True, overrides={CHAT["uid"]: {"name": "chat@one"}})
    hosts = {"gpu01": one} if others else {"gpu01": one, "gpu02": two}
    run = play(hosts, others=others, note=False, dify_targets=[office], **options)
    assert run.rc == 0, run.out
    left = {
        name for name, kind in newest.workspace.models if kind == "llm" and newest.workspace.models[name, kind].listed
    }
    assert left == (set() if unseen == "nothing" else {"old", "chat@one"})
    assert ("does not see what every cluster" in run.out) == (unseen != "nothing")


@pytest.mark.parametrize(
    ("groups", "removed"),
    [
        ({"xinference_local": ["gpu01"]}, True),
        ({"xinference_local": ["gpu01", "other"]}, False),
        ({}, False),
        ({"xinference_supervisors": ["gpu01"], "xinference_workers": ["gpu01", "gpu02", "other"]}, True),
        ({"xinference_supervisors": ["gpu01", "other"], "xinference_workers": ["gpu02"]}, False),
    ],
    ids=["bastion", "gpu02", "no group", "workers", "two clusters"],
)
def test_only_hosts_of_clusters_keep_models(newest, cluster, play, dify_models, groups, removed):
    """Another host, which sees the group_vars of all, is in the group of the clusters or not, or there is none."""
    old = {"server_url": cluster.url, "api_key": cluster.key, "type": "llm", "model_uid": CHAT["uid"], "name": "old"}
    assert not dify_models(newest, [old]).failed
    shared = {"xinference_models": [{"uid": "bge-m3"}], "dify_targets": [target(newest, prune=True)]}
    hosts = {"gpu01": cluster.served("one", [EMBEDDING]), **({"gpu02": {}} if "xinference_workers" in groups else {})}
    run = play(hosts, others={"other": {}}, groups=groups, note=False, **shared)
    assert run.rc == 0, run.out
    assert newest.workspace.models["old", "llm"].listed != removed
    assert ("does not see what every cluster" in run.out) != removed


def test_a_new_template_for_names_empties_no_dify(newest, cluster, play, dify_models):
    """Xinference is not where the target says, so that nothing can be registered under the new names."""
    old = {
        "server_url": cluster.url,
        "api_key": cluster.key,
        "type": "llm",
        "model_uid": CHAT["uid"],
        "name": CHAT["uid"],
    }
    assert not dify_models(newest, [old]).failed
    hosts = {"gpu01": cluster.served("one", [CHAT])}
    moved = target(newest, prune=True, model_name="{uid}@{cluster}")
    wrong = {**moved, "server_url": "http://127.0.0.1:9"}
    run = play(hosts, note=False, dify_targets=[wrong])
    assert run.rc != 0 and "not pruned: llm qwen2.5-instruct@one cannot be registered yet" in run.out
    assert [model.name for model in newest.workspace.listed()] == [CHAT["uid"]]
    run = play(hosts, note=False, dify_targets=[moved])
    assert run.rc == 0, run.out
    assert [model.name for model in newest.workspace.listed()] == ["qwen2.5-instruct@one"]


def test_what_fails_does_not_keep_the_rest_from_being_done(newest, cluster, play):
    """A wrong password, tried once for six modules; an address that serves something else; a model that is not served."""
    with DifyServer("1.8.1", backend=cluster.backend) as other:
        newest.state.add_workspace("Research", admin="owner")
        nosuch, down = {**CHAT, "uid": "nosuch"}, {**EMBEDDING, "state": "failed"}
        hosts = {"gpu01": cluster.served("one", [CHAT, nosuch, down])}
        more = {"workspaces": ["", "Research"], "plugin": {"state": "present"}, "defaults": {"llm": "nosuch"}}
        wrong = target(newest, password="Wrong1234567", **more)
        lab = target(other, name="lab", prune=True, defaults={"llm": CHAT["uid"], "rerank": "nosuch"})
        run = play(hosts, dify_targets=[wrong, lab], dify_run_on="gpu01")
        assert run.rc != 0
        assert other.workspace.defaults == {"llm": CHAT["uid"]}
        assert newest.state.accounts[EMAIL].failures == 1
        assert list(other.workspace.models) == [("qwen2.5-instruct", "llm")]
        assert "Something failed at 2 of 2 Difys (office, lab)" in run.out
        table = run.out[run.out.index("Dify    workspace") :]
        for words in (
            "password is wrong",
            "does not serve the model UID 'nosuch': it does not run; running are: bge-m3, qwen2.5-instruct",
            "Nothing was registered",
            "is no active rerank model of the workspace",
            "Xinference (one) does not serve it now",
            "active",
        ):
            assert words in table
        assert not list(play.temp.glob("modelops-dify-*"))
        assert cluster.key not in run.out and "Wrong1234567" not in run.out


def test_a_dify_that_does_not_answer_is_told_once(newest, cluster, play):
    """Not for each of its workspaces, modules and models."""
    newest.state.add_workspace("Research", admin="owner")
    more = {"workspaces": ["Research", "Support"], "defaults": {"llm": CHAT["uid"]}}
    dead = target(newest, name="dead", url="http://127.0.0.1:9", **more)
    for plugin, check in (({"plugin": {"state": "present"}}, False), ({}, True)):
        hosts = {"gpu01": cluster.served("one")}
        run = play(hosts, check=check, dify_targets=[{**dead, **plugin}, target(newest)], verbose=False)
        assert run.rc != 0 and "Something failed at 1 of 2 Difys (dead)" in run.out
        assert run.out.count("Connection refused") == 1
        row, *untried = re.findall(r"^dead .*", run.out, re.M)
        shown = ["plugin"] if plugin else []
        assert row.split() == ["dead", "Research,", "Support", *shown, "failed", "none", "(1)"]
        # Three models, and the default of one.
        assert len(untried) == 4 and all("not tried" in each and each.endswith("(1)") for each in untried)
        assert "What does not depend on it was done." in " ".join(run.out.split())
    assert len(newest.workspace.models) == 3


def test_proven_from_where_dify_is(cluster, play):
    """An address that only Dify's network knows; here its only way is a proxy, which the test Xinference plays."""
    inside = "http://xinference.invalid:9997"
    upstream = Upstream(default_models(), key=cluster.key)
    with DifyServer("1.16.0-rc1", backend=Backend({inside: upstream})) as server:
        hosts = {"gpu01": cluster.served("one", [CHAT])}
        office = target(server, server_url=inside, allow_loopback=False)
        refused = play(hosts, dify_targets=[office])
        assert refused.rc != 0 and "give prove_from" in refused.out and not server.workspace.models
        hook = {"command": ["env", f"http_proxy={cluster.url}"]}
        proven = play(hosts, dify_targets=[{**office, "prove_from": hook}])
        assert proven.rc == 0, proven.out
        assert proven.rows("model", "state") == [("qwen2.5-instruct", "active")]
        assert "proven from Dify's network only" in str(proven.outcome)
        broken = {"command": ["env", "http_proxy=http://127.0.0.1:9"]}
        run = play(hosts, dify_targets=[{**office, "prove_from": broken}])
        assert run.rc != 0 and "asked from Dify's network: http://xinference.invalid:9997: URLError" in run.out
        for each in (refused, proven, run):
            assert cluster.key not in each.out


def test_nothing_tells_a_user_in_a_server_url(newest, cluster, play):
    """Asked from both sides, which this Xinference refuses, as it knows no such user."""
    url = cluster.url.replace("://", "://svc:hunter2@")
    office = target(newest, server_url=url, prove_from={"command": ["env"]})
    run = play({"gpu01": cluster.served("one", [CHAT])}, dify_targets=[office], verbose=False, note=False)
    assert run.rc != 0 and "hunter2" not in run.out, run.out
    shown = url.replace("svc:hunter2", "***")
    assert f"asked from Dify's network: {shown}: it answers 401 to GET /v1/models" in run.out


def test_with_an_admin_key_and_the_plugin_removed(newest, cluster, play):
    newest.state.admin_key = "dify-admin-key-0123456789"
    space = newest.workspace
    lab = {"name": "lab", "url": newest.url, "admin_key": newest.state.admin_key, "workspaces": [space.id]}
    run = play({"gpu01": cluster.served("one")}, dify_targets=[{**lab, "allow_loopback": True}])
    assert run.rc == 0, run.out
    assert len(space.models) == 3 and not newest.sent("POST", "/login")
    run = play({"gpu01": cluster.served("one")}, dify_targets=[{**lab, "plugin": {"state": "absent"}}], note=False)
    assert run.rc == 0 and space.plugin is None
    assert "dify_models" not in run.executed and "xinference_probe" not in run.executed
    assert newest.state.admin_key not in run.out


@pytest.fixture
def adopt(play):
    """``adopt(server, hosts, [target], declared by host)`` -> (text of the captured file, Run with it): captures, and runs the
    role with what that wrote, in check mode and then for real, neither of which may send a change to Dify."""

    def run(server, hosts, targets, declared, **variables):
        more = {name: {"xinference_models": [{"uid": uid} for uid in uids]} for name, uids in declared.items()}
        captured = {
            name: {**more[name], "dify_capture_url": known["xinference_served"]["url"]} for name, known in hosts.items()
        }
        for name, known in hosts.items():
            captured[name]["xinference_cluster"] = known["xinference_served"]["cluster"]
        server.log.clear()
        done = play(captured, playbook="dify_capture.yml", note=False, dify_targets=targets, **variables)
        assert done.rc == 0, done.out
        assert len(server.sent("POST", "/login")) == 1  # of one for each workspace
        assert not list(play.temp.glob("modelops-dify-*"))
        text = (play.directory / "inventory" / "dify_targets-captured.txt").read_text()
        for note in re.findall(r"^# (.*)", text, re.M)[1:]:
            assert note.rstrip(".").removesuffix(", with ansible-vault") in done.out
        assert PASSWORD not in text + done.out
        server.log.clear()
        known = {"dify_targets": yaml.safe_load(text)["dify_targets"], "vault_dify_office_password": PASSWORD}
        for check in (True, False):
            again = play(hosts, check=check, note=False, **known)
            assert again.rc == 0, again.out
            assert '"action": "none"' in again.out and "failed" not in set(re.findall('"state": "([a-z]+)"', again.out))
            for done_to in ("register", "update", "switch", "remove", "enable", "disable"):
                assert f'"action": "{done_to}"' not in again.out
        quiet = ("/login", "/switch", "/current")
        assert {verb for verb, path, _body in server.log if not path.endswith(quiet)} == {"GET"}
        return text, again

    return run


def test_what_people_registered_is_adopted_without_a_change(cluster, play, adopt, dify_models):
    """Two workspaces of a Dify, clicked together: other names, other timeouts, one model under two names, a disabled model, a
    model of another server."""
    with DifyServer("1.12.1", backend=cluster.backend) as server:
        server.state.add_workspace("Research", admin="owner")
        server.backend.upstreams["http://127.0.0.1:19997"] = Upstream({"theirs": default_models()["bge-m3"]})
        mine = {"server_url": cluster.url, "api_key": cluster.key, "credential_name": "API KEY 1"}
        chat = {**mine, "name": "Chat", "type": "llm", "model_uid": "qwen2.5-instruct", "invoke_timeout": 90}
        twice = {**chat, "name": "Chat 2"}
        embed = {**mine, "name": "bge-m3", "type": "text-embedding", "model_uid": "bge-m3", "enabled": False}
        theirs = {"name": "x", "type": "text-embedding", "server_url": "http://127.0.0.1:19997", "model_uid": "theirs"}
        assert not dify_models(server, [chat, twice, theirs]).failed
        assert not dify_models(server, [embed], workspace="Research").failed
        hosts = {"gpu01": cluster.served("one", [CHAT, EMBEDDING])}
        declared = {"gpu01": [CHAT["uid"], EMBEDDING["uid"]]}
        office = target(server, workspaces=["", "Research"], clean_credentials=True)
        text, run = adopt(server, hosts, [office], declared)
        names = ["office admin's Workspace", "office admin's Workspace 2", "office Research"]
        assert [item["name"] for item in yaml.safe_load(text)["dify_targets"]] == names
        assert "x has the UID theirs, which no cluster declares" in text
        assert "Define vault_dify_office_password: password of office" in text
        assert cluster.key not in text
        for words in ("active (as Chat)", "active (as Chat 2)", "disabled (as bge-m3)"):
            assert words in run.out
        file = play.directory / "inventory" / "dify_targets-captured.txt"
        uids = {"xinference_models": [{"uid": uid} for uid in declared["gpu01"]], "xinference_cluster": "one"}
        known = {"playbook": "dify_capture.yml", "note": False, "dify_targets": [office], **uids}
        again = play(hosts, **known)
        assert again.rc == 0 and again.changed == 0
        file.write_text("# edited\n" + text)
        refused = play(hosts, **known)
        assert refused.rc != 0 and "says something else" in refused.out and file.read_text() != text
        run = play(hosts, capture_replace=True, **known)
        assert run.rc == 0 and file.read_text() == text


@pytest.mark.parametrize("known_by", ["server_urls", "url", "nothing"])
def test_one_dify_with_models_of_several_clusters_is_adopted(cluster, adopt, dify_models, tmp_path, known_by):
    """Both declare the same UIDs; one address of theirs is Dify's own (localhost)."""
    with XinferenceServer() as server:
        second = Cluster(server)
        second.key_file = str(tmp_path / "second_key")
        Path(second.key_file).write_text(second.key)
        theirs = second.url.replace("127.0.0.1", "localhost") if known_by != "url" else second.url
        backend = Backend({**cluster.backend.upstreams, theirs: Upstream(default_models(), key=second.key)})
        with DifyServer("1.16.0-rc1", backend=backend) as server:
            one = {"server_url": cluster.url, "api_key": cluster.key, "credential_name": "API KEY 1"}
            two = {"server_url": theirs, "api_key": second.key, "credential_name": "API KEY 1"}
            chat = {"type": "llm", "model_uid": CHAT["uid"]}
            embed = {"type": "text-embedding", "model_uid": EMBEDDING["uid"]}
            models = [
                {**one, **chat, "name": "Chat"},
                {**two, **chat, "name": "Chat@two"},
                {**two, **embed, "name": "E"},
            ]
            assert not dify_models(server, models).failed
            hosts = {
                "gpu01": cluster.served("one", [CHAT, EMBEDDING]),
                "gpu02": second.served("two", [CHAT, EMBEDDING]),
            }
            both = [CHAT["uid"], EMBEDDING["uid"]]
            urls = {"server_urls": {"two": theirs}} if known_by == "server_urls" else {}
            text, run = adopt(server, hosts, [target(server, **urls)], {"gpu01": both, "gpu02": both})
            captured = {item["name"]: item["models"] for item in yaml.safe_load(text)["dify_targets"]}
            wanted = {"office one": {"clusters": ["one"], "uids": [CHAT["uid"]]}}
            if known_by == "nothing":
                assert text.count("nothing tells that this is cluster one or two") == 2 and f"at {theirs}" in text
            else:
                wanted["office two"] = {"clusters": ["two"], "uids": both}
                assert "active (as Chat@two)" in run.out
            assert captured == wanted


def test_capture_in_check_mode_compares_only_what_it_can_read(newest, cluster, play, dify_models):
    """Not a workspace that is not the account's current one: what it has is no deletion."""
    mine = {"server_url": cluster.url, "api_key": cluster.key, "type": "llm", "model_uid": CHAT["uid"], "name": "Chat"}
    newest.state.add_workspace("Research", admin="owner")
    assert not dify_models(newest, [mine], workspace="Research").failed
    hosts = {"gpu01": {"xinference_models": [{"uid": CHAT["uid"]}], "xinference_cluster": "one"}}
    known = {
        "playbook": "dify_capture.yml",
        "note": False,
        "dify_targets": [target(newest, workspaces=["", "Research"])],
    }
    for check in (False, True):
        run = play(hosts, check=check, **known)
        assert run.rc == 0, run.out
        assert run.changed == (not check)
        for words in ("'Research' is not the account's current workspace", "was neither compared nor written"):
            assert (words in run.out) == check
    file = play.directory / "inventory" / "dify_targets-captured.txt"
    file.write_text("# edited\n")
    run = play(hosts, check=True, **known)
    assert run.rc == 0, run.out  # not refused


def test_after_a_failed_capture_no_login_stays(newest, cluster, play):
    office = target(newest, workspaces=["", "nosuch"])
    run = play({"gpu01": cluster.served("one")}, playbook="dify_capture.yml", note=False, dify_targets=[office])
    assert run.rc != 0 and "nosuch" in run.out and "tempfile" in run.executed
    assert len(newest.sent("POST", "/login")) == 1
    assert not list(play.temp.glob("modelops-dify-*"))


def test_connection_sheet(cluster, play):
    key = Path(cluster.key_file)
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
        assert cluster.key not in run.out


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        # By the role's rules, all of them at once.
        (
            [{"url": "dify.example.com"}, {"server_url": "http://localhost:9997", "allow_loopback": False}],
            ["office: url starts with http", "loopback address", "office: is the name of more than one target"],
        ),
        # By its argument specification.
        ([{"update_secret": "sometimes"}, {"worksapces": ["Research"]}], ["update_secret", "worksapces"]),
    ],
)
def test_refused_before_anything_is_asked(newest, cluster, play, wrong, words):
    run = play({"gpu01": cluster.served("one")}, dify_targets=[target(newest, **changed) for changed in wrong])
    assert run.rc != 0 and all(each in run.out for each in words), run.out
    assert newest.log == [] and run.executed == []


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
        ({"plugin": "x"}, "dify_targets, office, plugin is of type str, which is no dict."),
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


def test_what_cannot_work_is_refused_before_anything_is_asked(newest, cluster, play):
    """By what the preflight of the role models left of each cluster."""

    def declared(name, **more):
        served = {"cluster": name, "url": f"http://{name}:9997", "loopback": False, **more}
        return {"xinference_declared": {**served, "models": [{**CHAT, "state": "unknown"}]}}

    office = target(newest, allow_loopback=False)
    run = play({"gpu01": {**cluster.served("one"), **declared("one", loopback=True)}}, dify_targets=[office])
    assert run.rc != 0 and "office: there is no server_url, and cluster one listens on loopback only" in run.out
    both = {name: {**cluster.served(name), **declared(name)} for name in ("one", "two")}
    run = play(both, dify_targets=[office])
    assert run.rc != 0 and "of cluster one and qwen2.5-instruct of cluster two would both be" in run.out
    assert newest.log == [] and run.executed == [] and PASSWORD not in run.out


@pytest.mark.parametrize("limited", [False, True])
def test_a_selector_that_matches_nothing(newest, cluster, play, dify_models, limited):
    """Is refused; in a run that does not see every cluster told, and then nothing is removed."""
    mine = {
        "server_url": cluster.url,
        "api_key": cluster.key,
        "type": "llm",
        "model_uid": CHAT["uid"],
        "name": CHAT["uid"],
    }
    assert not dify_models(newest, [mine]).failed
    newest.log.clear()
    host = cluster.served("one", [CHAT])
    host["xinference_declared"] = host["xinference_served"]
    office = target(newest, models={"tags": ["chatt"]}, prune=True)
    options = {"ansible_limit": "gpu01"} if limited else {}
    run = play({"gpu01": host}, dify_targets=[office], note=False, **options)
    assert "office: models.tags has 'chatt', which no declared model has; did you mean 'chat'?" in run.out
    assert newest.workspace.models[CHAT["uid"], "llm"].listed
    assert (run.rc == 0) == limited, run.out
    if not limited:
        wrong = {**office, "overrides": {CHAT["uid"]: {"nam": "x"}}}
        run = play({"gpu01": host}, dify_targets=[wrong], note=False)
        assert f"office: overrides of {CHAT['uid']}: no key nam; did you mean 'name'?" in run.out
        assert newest.log == [] and run.executed == []
