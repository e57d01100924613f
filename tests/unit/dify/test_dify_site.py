# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the role dify against the test servers, in this process."""

from __future__ import annotations

import re

import pytest
import yaml
from servers.dify import DifyServer
from servers.dify.server import EMAIL, PASSWORD
from servers.dify.site import CHAT, EMBEDDING, Cluster, Site, target
from servers.dify.xinference import Backend, Upstream, default_models
from servers.xinference import XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._dify.plugin import workspace_plugin


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(workspace_plugin, "POLL", 0.05)


@pytest.fixture
def cluster(tmp_path):
    with XinferenceServer() as server:
        yield Cluster(server, tmp_path / "client_key")


@pytest.fixture
def newest(cluster):
    with DifyServer("1.16.0-rc1", backend=cluster.backend) as server:
        yield server


@pytest.fixture
def site(tmp_path, run_module):
    return Site(tmp_path, run_module)


def test_every_workspace_of_every_dify(newest, cluster, site):
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
        check = site(hosts, check=True, dify_targets=targets)
        assert not check.error
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
            ("office", "Research", "qwen2.5-instruct@one", "default not compared", "unknown"),
            ("office", "Research", "bge-m3@two", "default not compared", "unknown"),
        ]
        assert check.rows("dify", "workspace", "model", "state", "action") == wanted
        assert not list(site.folder.glob("sheet-*"))

        newest.log.clear()
        first = site(hosts, dify_targets=targets)
        assert not first.error and first.result["changed"] and first.executed == 2
        # The screen shows a person only what the run has not registered: nothing of cluster one.
        assert first.result["to_enter"]["gpu01"] == [] and "bge-m3" not in str(first.result["to_enter"]["gpu02"])
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
        assert len(newest.sent("POST", "/login")) == 1
        assert "  For office: Model Name qwen2.5-instruct@one" in (site.folder / "sheet-gpu01.txt").read_text()

        again = site(hosts, dify_targets=targets)
        assert not again.error and not again.result["changed"] and again.executed == 2
        for run in (check, first, again):
            assert cluster.key not in str(vars(run)) and PASSWORD not in str(vars(run))


def test_a_target_names_its_workspace_once(newest, cluster, site):
    research = newest.state.add_workspace("Research", admin="owner")
    hosts = {"gpu01": cluster.served("one", [CHAT])}
    file = site.folder / "dify-workspaces.txt"
    for named in ({"workspace": "Research"}, {}):
        run = site(hosts, dify_targets=[target(newest, **named)])
        assert run.rows("workspace", "model", "state") == [("Research", CHAT["uid"], "active")]
        assert research.id in file.read_text() and PASSWORD not in file.read_text()
    assert not newest.workspace.models
    assert newest.state.accounts[EMAIL].current == newest.workspace.id


@pytest.mark.parametrize("unseen", ["nothing", "limit", "another play", "no source", "not served"])
def test_only_a_run_that_sees_every_cluster_removes(newest, cluster, site, dify_models, unseen):
    """A run that sees one of two clusters owns nothing that both registered."""
    mine = {"server_url": cluster.url, "api_key": cluster.key, "type": "llm", "model_uid": "qwen2.5-instruct"}
    assert not dify_models(newest, [{**mine, "name": name} for name in ("old", "chat@one")]).failed
    gone = {**CHAT, "declared": "absent", "state": "absent"}
    one, two = cluster.served("one", [gone]), cluster.served("two", [EMBEDDING])
    others = {"gpu02": {"xinference_models": [{"uid": "bge-m3"}]}} if unseen == "another play" else {}
    if unseen == "not served":
        one["xinference_declared"] = one["xinference_served"]
        two = {"xinference_declared": two["xinference_served"]}
    elif unseen == "no source":
        one, two = {}, {}
    office = target(newest, prune=True, overrides={CHAT["uid"]: {"name": "chat@one"}})
    hosts = {"gpu01": one} if others else {"gpu01": one, "gpu02": two}
    run = site(hosts, others=others, limited=unseen == "limit", dify_targets=[office])
    assert not run.error
    left = {
        name for name, kind in newest.workspace.models if newest.workspace.models[name, kind].listed and kind == "llm"
    }
    assert left == (set() if unseen == "nothing" else {"old", "chat@one"})
    assert ("does not see the models of all clusters" in run.out) == (unseen != "nothing")


def test_a_new_template_for_names_empties_no_dify(newest, cluster, site, dify_models):
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
    run = site(hosts, dify_targets=[{**moved, "server_url": "http://127.0.0.1:9"}])
    assert run.error and "not pruned: llm qwen2.5-instruct@one cannot be registered yet" in run.out
    assert [model.name for model in newest.workspace.listed()] == [CHAT["uid"]]
    assert not site(hosts, dify_targets=[moved]).error
    assert [model.name for model in newest.workspace.listed()] == ["qwen2.5-instruct@one"]


def test_what_fails_does_not_keep_the_rest_from_being_done(newest, cluster, site):
    """A wrong password; an address that serves something else; a model that is not served."""
    with DifyServer("1.8.1", backend=cluster.backend) as other:
        newest.state.add_workspace("Research", admin="owner")
        nosuch, down = {**CHAT, "uid": "nosuch"}, {**EMBEDDING, "state": "failed"}
        hosts = {"gpu01": cluster.served("one", [CHAT, nosuch, down])}
        more = {"workspaces": ["", "Research"], "plugin": {"state": "present"}, "defaults": {"llm": "nosuch"}}
        wrong = target(newest, password="Wrong1234567", **more)
        lab = target(other, name="lab", prune=True, defaults={"llm": CHAT["uid"], "rerank": "nosuch"})
        run = site(hosts, dify_targets=[wrong, lab])
        assert "2 of 2 Dify targets failed (office, lab): see the table above." in run.error
        assert other.workspace.defaults == {"llm": CHAT["uid"]}
        assert newest.state.accounts[EMAIL].failures == 1
        assert list(other.workspace.models) == [("qwen2.5-instruct", "llm")]
        table = run.out[run.out.index("Dify    workspace") :]
        for words in (
            "password is wrong",
            "does not serve the model UID 'nosuch': it does not run; running models: bge-m3, qwen2.5-instruct",
            "Nothing was registered",
            "is not an active rerank model of the workspace",
            "Xinference (one) does not serve it now",
            "active",
        ):
            assert words in table
        assert cluster.key not in run.out and "Wrong1234567" not in run.out
        assert (site.folder / "sheet-gpu01.txt").exists()


@pytest.mark.parametrize(("plugin", "check"), [({"plugin": {"state": "present"}}, False), ({}, True)])
def test_a_dify_that_does_not_answer_is_told_once(newest, cluster, site, plugin, check):
    """Not for each of its workspaces, steps and models."""
    more = {"workspaces": ["Research", "Support"], "defaults": {"llm": CHAT["uid"]}, **plugin}
    dead = target(newest, name="dead", url="http://127.0.0.1:9", **more)
    run = site({"gpu01": cluster.served("one")}, check=check, dify_targets=[dead, target(newest)])
    assert "1 of 2 Dify targets failed (dead)" in run.error
    assert run.out.count("Connection refused") == 1
    row, *untried = re.findall(r"^dead .*", run.out, re.M)
    assert row.split() == ["dead", "Research,", "Support", *(["plugin"] if plugin else []), "failed", "none", "(1)"]
    # Three models, and the default of one.
    assert len(untried) == 4 and all("not tried" in each and each.endswith("(1)") for each in untried)
    assert len(newest.workspace.models) == (0 if check else 3)


def test_without_the_plugin_nothing_else_is_done(newest, cluster, site):
    assert not site({"gpu01": cluster.served("one")}, dify_targets=[target(newest)]).error
    run = site({"gpu01": cluster.served("one")}, dify_targets=[target(newest, plugin={"state": "absent"})])
    assert not run.error and newest.workspace.plugin is None and len(newest.workspace.models) == 3
    assert run.rows("type", "state") == [("plugin", "absent")]


# -- what is refused -------------------------------------------------------------------------------------------------


def declared(name, **more):
    return {
        "xinference_declared": {
            "cluster": name,
            "url": f"http://{name}:9997",
            "loopback": False,
            **more,
            "models": [CHAT],
        }
    }


@pytest.mark.parametrize(
    ("hosts", "targets", "words"),
    [
        (
            {"one": {}},
            [{"url": "dify.example.com"}, {"server_url": "http://localhost:9997"}],
            ["office: url must start with http", "loopback address", "office: is the name of more than one target"],
        ),
        (
            {"one": {"loopback": True}},
            [{}],
            ["office: there is no server_url, and cluster one listens on loopback only"],
        ),
        ({"one": {}, "two": {}}, [{}], ["of cluster one and qwen2.5-instruct of cluster two would both be"]),
        (
            {"one": {}},
            [{"models": {"tags": ["chatt"]}}],
            ["models.tags has 'chatt', which no declared model has; did you"],
        ),
        ({"one": {}}, [{"overrides": {CHAT["uid"]: {"nam": "x"}}}], [f"overrides of {CHAT['uid']}: no key nam"]),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(site, newest, hosts, targets, words):
    known = {name: declared(name, **more) for name, more in hosts.items()}
    run = site(known, dify_targets=[target(newest, **{"allow_loopback": False, **each}) for each in targets])
    lines = run.error.splitlines()
    assert all(re.match(r"\S+ \(cluster \S+\): dify_targets: ", line) for line in lines), lines
    assert all(each in run.error for each in words)
    assert newest.log == [] and not run.executed and PASSWORD not in run.out


def test_a_run_that_does_not_see_every_cluster_warns_of_what_matches_nothing(newest, cluster, site, dify_models):
    mine = {
        "server_url": cluster.url,
        "api_key": cluster.key,
        "type": "llm",
        "model_uid": CHAT["uid"],
        "name": CHAT["uid"],
    }
    assert not dify_models(newest, [mine]).failed
    host = cluster.served("one", [CHAT])
    host["xinference_declared"] = host["xinference_served"]
    run = site({"gpu01": host}, limited=True, dify_targets=[target(newest, models={"tags": ["chatt"]}, prune=True)])
    assert (
        not run.error
        and "office: models.tags has 'chatt', which no declared model has; did you mean 'chat'?" in run.out
    )
    assert newest.workspace.models[CHAT["uid"], "llm"].listed


# -- capture ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def adopt(site):
    """``adopt(server, hosts, [target], declared by host)`` -> (text of the captured file, Run with it): captures, and runs the
    role with what that wrote, in check mode and then for real, neither of which may send a change to Dify."""

    def run(server, hosts, targets, uids):
        captured = {
            name: {
                "xinference_models": [{"uid": uid} for uid in uids[name]],
                "dify_capture_url": known["xinference_served"]["url"],
                "xinference_cluster": known["xinference_served"]["cluster"],
            }
            for name, known in hosts.items()
        }
        server.log.clear()
        done = site(captured, task="capture", dify_targets=targets)
        assert not done.error, done.out
        assert len(server.sent("POST", "/login")) == 1  # of one for each workspace
        text = (site.folder / "dify_targets-captured.txt").read_text()
        for note in re.findall(r"^# (.*)", text, re.M)[1:]:
            assert note.rstrip(".").removesuffix(", with ansible-vault") in done.out
        assert PASSWORD not in text + done.out
        server.log.clear()
        known = yaml.safe_load(text.replace("{{ vault_dify_office_password }}", PASSWORD))["dify_targets"]
        for check in (True, False):
            again = site(hosts, check=check, dify_targets=known)
            assert not again.error, again.out
            assert {row["action"] for row in again.result["rows"]} <= {"none", "unknown"}
        quiet = ("/login", "/switch", "/current")
        assert {verb for verb, path, _body in server.log if not path.endswith(quiet)} == {"GET"}
        return text, again

    return run


def test_what_people_registered_is_adopted_without_a_change(cluster, site, adopt, dify_models):
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
        uids = {"gpu01": [CHAT["uid"], EMBEDDING["uid"]]}
        office = target(server, workspaces=["", "Research"], clean_credentials=True)
        text, run = adopt(server, hosts, [office], uids)
        names = ["office admin's Workspace", "office admin's Workspace 2", "office Research"]
        assert [item["name"] for item in yaml.safe_load(text)["dify_targets"]] == names
        assert "x has the UID theirs, which no cluster declares" in text
        assert "Define vault_dify_office_password: password of office" in text
        assert cluster.key not in text
        sheet = "\n".join(run.result["sheets"]["gpu01"])
        assert all(words in sheet for words in ("active (as Chat)", "active (as Chat 2)", "disabled (as bge-m3)"))
        file = site.folder / "dify_targets-captured.txt"
        known = {"gpu01": {"xinference_models": [{"uid": uid} for uid in uids["gpu01"]], "xinference_cluster": "one"}}
        assert not site(known, task="capture", dify_targets=[office]).result["changed"]
        file.write_text("# edited\n" + text)
        refused = site(known, task="capture", dify_targets=[office])
        assert "exists and differs" in refused.error and file.read_text() != text
        replaced = site(known, task="capture", dify_targets=[office], capture_replace="true")
        assert not replaced.error and file.read_text() == text


@pytest.mark.parametrize("known_by", ["server_urls", "url", "nothing"])
def test_one_dify_with_models_of_several_clusters_is_adopted(cluster, adopt, dify_models, tmp_path, known_by):
    """Both declare the same UIDs; one address of theirs is Dify's own (localhost)."""
    with XinferenceServer() as server:
        second = Cluster(server, tmp_path / "second_key")
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
                assert text.count("nothing shows that this is cluster one or two") == 2 and f"at {theirs}" in text
            else:
                wanted["office two"] = {"clusters": ["two"], "uids": both}
                assert "  In office two, admin's Workspace: active (as Chat@two)" in run.result["sheets"]["gpu02"]
            assert captured == wanted


def test_capture_in_check_mode_compares_only_what_it_can_read(newest, cluster, site, dify_models):
    """Not a workspace that is not the account's current one: what it has is no deletion."""
    mine = {"server_url": cluster.url, "api_key": cluster.key, "type": "llm", "model_uid": CHAT["uid"], "name": "Chat"}
    newest.state.add_workspace("Research", admin="owner")
    assert not dify_models(newest, [mine], workspace="Research").failed
    hosts = {"gpu01": {"xinference_models": [{"uid": CHAT["uid"]}], "xinference_cluster": "one"}}
    known = {"task": "capture", "dify_targets": [target(newest, workspaces=["", "Research"])]}
    for check in (False, True):
        run = site(hosts, check=check, **known)
        assert not run.error and run.result["changed"] == (not check)
        for words in ("'Research' is not the account's current workspace", "was neither compared nor written"):
            assert (words in run.out) == check
    (site.folder / "dify_targets-captured.txt").write_text("# edited\n")
    assert not site(hosts, check=True, **known).error  # not refused


def test_a_capture_names_each_dify_that_it_cannot_read(newest, cluster, site):
    targets = [target(newest, workspaces=["", "nosuch"]), target(newest, name="down", url="http://127.0.0.1:9")]
    run = site({"gpu01": cluster.served("one")}, task="capture", dify_targets=targets)
    assert "'nosuch'" in run.error and "Connection refused" in run.error and "neither compared nor written" in run.error
    assert len(newest.sent("POST", "/login")) == 1 and not (site.folder / "dify_targets-captured.txt").exists()


# -- rotation --------------------------------------------------------------------------------------------------------


def test_a_dify_that_is_down_keeps_the_old_key_of_its_clusters(newest, cluster, site, dify_models):
    mine = {"server_url": cluster.url, "api_key": cluster.key, "type": "llm", "model_uid": CHAT["uid"], "name": "Chat"}
    assert not dify_models(newest, [mine]).failed
    old, new = cluster.key, "sk-another-567890"
    newest.backend.upstreams[cluster.url] = Upstream(default_models(), key=new)
    (site.folder / "client_key").write_text(new)
    rotated = {"cluster": "one", "old": [old[:7]], "api_key_file": cluster.key_file}
    hosts = {"gpu01": {"xinference_key_result": rotated}, "gpu02": {}}
    down = target(newest, name="lab", url="http://127.0.0.1:9", plugin={"state": "present"})
    for targets, held in (([target(newest), down], ["gpu01"]), ([target(newest)], [])):
        run = site(hosts, task="rotate", dify_targets=targets)
        assert list(run.result["holders"]) == held and not run.error
        assert {model.shown["api_key"] for model in newest.workspace.models.values()} == {new}
        assert new not in str(vars(run)) and old not in str(vars(run))
    check = site(hosts, task="rotate", check=True, dify_targets=[target(newest)])
    assert check.result["holders"] == {} and not check.error
