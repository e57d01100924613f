# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the role dify, without a playbook: which clusters a run sees, how targets become calls, what people read."""

from __future__ import annotations

import os
import sys
import types

import pytest
import yaml
from ansible import constants

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._dify import capture, keys, register, rotate
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.accounts import accounts, by_call
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.captured_targets import Captured
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.clusters import Play, sight
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.table import failed_difys, table
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.task import Task, native
from ansible_collections.modelops.inference.plugins.plugin_utils._local_file import written

# -- which clusters are seen -----------------------------------------------------------------------------------------

MODELS = {"xinference_models": [{"uid": "bge-m3"}]}


class Broken(dict):
    """The variables of a host one of which cannot be rendered."""

    def get(self, name, default=None):
        raise ValueError("undefined")


def play_of(hosts, *, batch=None, groups=None, limited=False, others=None):
    """A play of these hosts, by name their variables; ``others`` are in the inventory only."""
    everyone = {**hosts, **(others or {})}
    return Play(
        list(hosts), batch or list(hosts), {"all": [*everyone], **(groups or {})}, limited, everyone.__getitem__
    )


@pytest.mark.parametrize(
    ("play", "seen", "unseen"),
    [
        (play_of({"a": MODELS, "b": {}}), ["a"], []),
        (play_of({"a": MODELS, "b": MODELS}), ["a"], ["b"]),
        (play_of({"a": MODELS, "b": {"xinference_models": []}}), ["a"], []),
        # One that another play serves, or that declares and has not been served.
        (play_of({"a": MODELS}, others={"c": MODELS}), ["a"], ["c"]),
        (play_of({"a": MODELS}, others={"c": {"xinference_declared": {}}}), ["a"], ["c"]),
        (play_of({"a": MODELS, "b": MODELS}, batch=["a"]), ["a", "b"], ["b"]),
        (play_of({"a": MODELS}, others={"c": Broken(MODELS)}), ["a"], ["c"]),
        # Where clusters have groups, other hosts may see the same group_vars.
        (play_of({"a": MODELS}, others={"c": MODELS}, groups={"xinference_local": ["a"]}), ["a"], []),
        (play_of({"a": MODELS}, others={"c": MODELS}, groups={"xinference_local": ["a", "c"]}), ["a"], ["c"]),
        (
            play_of(
                {"a": MODELS, "w": MODELS}, groups={"xinference_supervisors": ["a"], "xinference_workers": ["a", "w"]}
            ),
            ["a"],
            [],
        ),
        (play_of({"a": MODELS}, groups={"xinference_supervisors": ["a", "gone"]}), ["a"], []),
    ],
)
def test_a_run_sees_every_cluster_or_names_those_that_it_does_not(play, seen, unseen):
    found = sight(play, play.cluster_hosts(), seen)
    assert found.unseen == unseen and found.complete == (not unseen)
    assert found.reason == ", ".join(unseen) or found.complete


def test_a_limited_run_and_one_without_a_cluster_are_not_complete():
    limited = sight(play_of({"a": MODELS}, limited=True), ["a"], ["a"])
    assert (limited.complete, limited.reason) == (False, "it is limited")
    none = sight(play_of({"a": {}}), [], [])
    assert (none.complete, none.reason) == (False, "it sees no cluster")


def test_a_host_is_read_once():
    reads = []
    play = play_of({"a": MODELS})
    read = play.read
    play.read = lambda host: reads.append(host) or read(host)
    sight(play, ["a"], [])
    assert play.having("xinference_models") == {"a": MODELS["xinference_models"]} and reads == ["a"]


# -- targets and results ---------------------------------------------------------------------------------------------

OFFICE = {"name": "office", "url": "http://office", "email": "a", "password": "Orange-7", "proxy": None, "prune": True}


def test_targets_of_one_account_are_one_execution():
    lab = {**OFFICE, "name": "lab", "workspaces": ["R"]}
    found = accounts([OFFICE, {**OFFICE, "name": "other", "email": "b"}, lab])
    assert [[target["name"] for target in account.targets] for account in found] == [["office", "lab"], ["other"]]
    assert found[0].connection == {"url": "http://office", "email": "a", "password": "Orange-7"}
    assert "Orange-7" not in str([account.targets for account in found])


def test_results_are_by_step_and_in_the_order_of_the_targets():
    targets = [
        {**OFFICE, "workspaces": ["R", "S"], "plugin": {"state": "present"}},
        {**OFFICE, "name": "lab", "email": "b"},
    ]
    office, lab = accounts(targets)
    rows = [
        {"target": "office", "workspace": space, "plugin": {"action": "none"}, "models": {"models": [space]}}
        for space in "SR"
    ]
    answers = [(lab, {"failed": True, "msg": "no requests"}), (office, {"workspaces": rows})]
    found = by_call(targets, answers, ("plugin", "models", "defaults"))
    assert [result["_call"]["workspace"] for result in found["models"]] == ["R", "S", ""]
    assert [result.get("models") for result in found["models"]] == [["R"], ["S"], None]
    # Of an execution that failed the first step has the reason.
    assert found["plugin"][2]["skipped"] and found["models"][2]["msg"] == "no requests"
    assert all(result["skipped"] for result in found["defaults"])


def test_table_tells_each_reason_once():
    row = {
        "dify": "office",
        "workspace": None,
        "model": "",
        "type": "",
        "state": "failed",
        "action": "none",
        "why": "refused",
    }
    rows = [
        row,
        {**row, "workspace": "R", "model": "m", "type": "llm", "state": "not tried"},
        {**row, "dify": "lab", "why": ""},
    ]
    assert table(rows) == [
        "Dify    workspace  model  type  state      done  why",
        "office                          failed     none  (1)",
        "office  R          m      llm   not tried  none  (1)",
        "lab                             failed     none  ",
        "",
        "(1) refused",
    ]
    assert failed_difys(rows) == ["office", "lab"]


# -- keys ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def run_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


def action(answer):
    """An action plugin whose connection answers a command."""
    context = types.SimpleNamespace(no_log=False)

    def execute(command, **options):
        assert context.no_log  # else -vvv shows the answer
        return answer

    return types.SimpleNamespace(
        _connection=types.SimpleNamespace(_play_context=context), _low_level_execute_command=execute
    )


def test_a_key_is_kept_for_the_run_and_nobody_else(run_directory):
    told = {"rc": 0, "stdout": f"Welcome\r\n{keys.BEGIN}\r\nsk-0123\r\n{keys.END}\r\n"}
    connection = action(told)
    assert (
        keys.fetch(connection, "/secrets/client_key") == "sk-0123" and not connection._connection._play_context.no_log
    )
    assert keys.read("gpu01") == ""
    keys.keep("gpu01", "sk-0123")
    assert keys.read("gpu01") == "sk-0123" and keys.read("gpu02") == ""
    (directory,) = run_directory.iterdir()
    assert [path.stat().st_mode & 0o777 for path in (directory, *directory.iterdir())] == [0o700, 0o600]


def test_a_key_that_cannot_be_read_is_named():
    with pytest.raises(ModelopsError, match=r"in /secrets/client_key cannot be read \(cat: Permission denied\)"):
        keys.fetch(
            action({"rc": 1, "stdout": f"{keys.BEGIN}\n", "stderr": "x\ncat: Permission denied\n"}),
            "/secrets/client_key",
        )


class Site:
    """A task of the role."""

    host, action = "gpu01", None

    def __init__(self, check=False, **variables):
        self.check, self.get = check, variables.get


SERVED = {
    "cluster": "one",
    "url": "http://one:9997",
    "loopback": False,
    "api_key_file": "/k",
    "models": [{"uid": "m", "type": "LLM"}],
}


def test_the_key_is_read_where_a_dify_needs_it(run_directory, monkeypatch):
    read = []
    monkeypatch.setattr(keys, "fetch", lambda action, path: read.append(path) or "sk-0123")
    wanted = {"dify_targets": [OFFICE], "dify_connection_sheet": "/sheet"}
    assert register.cluster(Site(xinference_served=SERVED, **wanted)) == {
        "changed": False,
        "cluster": "one",
        "sheet": "/sheet",
    }
    assert read == ["/k"] and keys.read("gpu01") == "sk-0123"
    for served in (None, {**SERVED, "api_key_file": ""}, {**SERVED, "models": []}):
        register.cluster(Site(xinference_served=served, **wanted))
    assert read == ["/k"]


def test_check_mode_comes_before_there_is_a_key(run_directory, monkeypatch):
    def nowhere(action, path):
        raise ModelopsError("no such file")

    monkeypatch.setattr(keys, "fetch", nowhere)
    wanted = {"dify_targets": [OFFICE], "dify_connection_sheet": "/sheet", "xinference_served": SERVED}
    assert register.cluster(Site(check=True, **wanted))["cluster"] == "one" and keys.read("gpu01") == ""
    with pytest.raises(ModelopsError):
        register.cluster(Site(**wanted))


# -- files on the controller -----------------------------------------------------------------------------------------


def test_without_targets_the_sheet_is_written_once(tmp_path):
    sheet = tmp_path / "sheet.txt"
    variables = {"xinference_served": SERVED, "dify_targets": [], "dify_connection_sheet": str(sheet)}
    check = register.cluster(Site(check=True, **variables))
    assert check["changed"] and check["sheets"]["gpu01"] and not sheet.exists()
    first = register.cluster(Site(**variables))
    assert (
        first["changed"]
        and first["diff"][0]["after"] == sheet.read_text() == "\n".join(first["sheets"]["gpu01"]) + "\n"
    )
    assert "  API key      stored on gpu01 in /k" in sheet.read_text()
    again = register.cluster(Site(**variables))
    assert not again["changed"] and "diff" not in again and again["sheets"] == first["sheets"]


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    assert written(str(path), "a\n", check=False)["changed"] and path.stat().st_mode & 0o777 == 0o644
    assert not written(str(path), "a\n", check=False)["changed"]
    assert written(str(path), "b\n", check=True)["changed"] and path.read_text() == "a\n"
    with pytest.raises(ModelopsError, match=r"nosuch/file cannot be written \(No such file or directory\)"):
        written(str(tmp_path / "nosuch" / "file"), "a", check=False)
    assert os.listdir(tmp_path) == ["file"]


def test_the_captured_file_is_yaml_with_its_notes():
    found = Captured(
        [{"name": "office", "url": "http://office"}], {"vault_x": "password of office"}, ["It was left unchanged."]
    )
    text = capture.file_text(found)
    assert yaml.safe_load(text) == {"dify_targets": [{"name": "office", "url": "http://office"}]}
    assert "# Define vault_x: password of office, with ansible-vault.\n# It was left unchanged.\n" in text


def test_plain_values():
    class Text(str):
        pass

    found = native({Text("a"): (Text("b"), {"c": Text("d")})})
    assert found == {"a": ["b", {"c": "d"}]} and type(found["a"][0]) is type(found["a"][1]["c"]) is str


def test_why_an_old_key_stays():
    said = rotate.refusal("gpu1", "one", ["Dify lab: down.", "Dify office: down."])
    assert said.startswith(
        "gpu1: the old key of cluster one stays valid beside the new one: Dify lab: down. | Dify office: down. Correct"
    )


MAIN = {"name": "office", "url": "https://office", "email": "ops@example.org", "password": "Orange-7-Kettle"}
SIDE = {**MAIN, "name": "lab", "url": "https://lab"}


def task_of(hosts, first, **task_vars):
    """A task on the first host of a play."""
    known = {"inventory_hostname": first, "ansible_play_hosts_all": [*hosts], "ansible_play_batch": [*hosts]}
    known.update(groups={"all": [*hosts], "xinference_workers": ["worker"]}, hostvars=hosts)
    action = types.SimpleNamespace(
        _task=types.SimpleNamespace(check_mode=False), _templar=types.SimpleNamespace(template=lambda value: value)
    )
    return Task(action, {**known, **hosts[first], **task_vars})


def test_the_targets_of_a_play_are_those_of_all_its_hosts():
    """rotate gave new keys to the Difys of the first host only, and site.yml registered there only."""
    hosts = {"none": {"dify_targets": []}, "a": {"dify_targets": [MAIN]}, "b": {"dify_targets": [SIDE, MAIN]}}
    hosts.update(c={"xinference_cluster": "third", "dify_targets": [SIDE]}, worker={"dify_targets": [SIDE]})
    for first in ("none", "a"):
        office, lab = task_of(hosts, first).targets()
        assert (office["name"], office["models"]["clusters"]) == ("office", ["a", "b"])
        assert (lab["name"], lab["models"]["clusters"]) == ("lab", ["b", "third"])


def test_targets_that_every_host_names_stay_as_they_are():
    same = {"dify_targets": [MAIN]}
    (office,) = task_of({"a": same, "b": same, "worker": {}}, "a").targets()
    assert not (office.get("models") or {}).get("clusters")
    chosen = {**SIDE, "models": {"clusters": ["b"], "tags": []}}
    _office, lab = task_of({"a": {"dify_targets": [MAIN, chosen]}, "b": same}, "a").targets()
    assert lab["models"]["clusters"] == ["b"]
    # Variables of the play are those of all its hosts.
    assert [each["name"] for each in task_of({"a": same, "b": same}, "a", dify_targets=[SIDE]).targets()] == ["lab"]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("url", "https://elsewhere", "url of office is https://office for a, and https://elsewhere for b. Give each"),
        ("workspaces", ["Research"], r"workspaces of office is not set for a, and \['Research'\] for b"),
        ("models", {"clusters": ["b"]}, "models of office is not set for a, and .*clusters.* for b"),
    ],
)
def test_two_targets_with_one_name_are_refused(option, value, words):
    """Only those of the first host were registered."""
    other = {**MAIN, option: value}
    with pytest.raises(ModelopsError, match=words):
        task_of({"a": {"dify_targets": [MAIN]}, "b": {"dify_targets": [other]}}, "a").targets()


def test_a_controller_without_requests_is_told_before_anything_changes(monkeypatch):
    assert register.lacks_requests("localhost", sys.executable) == ""
    monkeypatch.setattr(register.importlib.util, "find_spec", lambda name: None)
    for python in (sys.executable, "The interpreter of Ansible itself"):
        assert f"{sys.executable} -m pip install requests" in register.lacks_requests("localhost", python)
    # Another machine or interpreter is asked when it runs.
    assert register.lacks_requests("gpu01", "auto") == register.lacks_requests("localhost", "/opt/python") == ""
