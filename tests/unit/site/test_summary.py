# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text at the end of a run of site.yml."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.action import site_summary as action
from ansible_collections.modelops.inference.plugins.plugin_utils._site.cards import different_cards
from ansible_collections.modelops.inference.plugins.plugin_utils._site.summary import summary, undo_command

H100, L40S = "NVIDIA H100 80GB HBM3", "NVIDIA L40S"
MODEL = {
    "uid": "tiny",
    "type": "LLM",
    "state": "ready",
    "replicas": {"ready": 1, "wanted": 2},
    "proof": {"ok": True, "detail": "answers", "latency_ms": 12},
}
SERVED = {
    "cluster": "one",
    "version": "4.1.0",
    "url": "http://10.0.0.1:9997",
    "directory": "/opt/xinference",
    "admin_user": "admin",
    "admin_password": "/opt/xinference/secrets/admin_password",
    "api_key_file": "/opt/xinference/secrets/client_key",
    "reconciler": "/opt/xinference/tools/modelops-reconcile",
    "models": [MODEL],
    "plan": [],
}
FOUND = {
    "service": {"manager": "systemd", "commands": {word: f"systemctl {word} x" for word in ("stop", "start", "log")}},
    "secrets_since": {"admin_password": "2026-11-30", "client_key": "2026-12-01"},
}
ONE = {"xinference_served": SERVED, "xinference_found": FOUND}


def cards(*names, accelerator="nvidia"):
    found = [{"vendor": "nvidia", "id": "10de:26b9", "name": name, "computes": True} for name in names]
    console = {"vendor": "amd", "id": "1002:164e", "name": "", "computes": False}
    return {"plan": {"accelerator": accelerator}, "facts": {"cards": [*found, console]}}


def told(servers, computing=None, check=False, **how):
    """The sections of the text, each a list of lines."""
    lines = summary(servers, computing or {}, check=check, undo="undo it", **how)
    assert lines[-1] == "  undo               undo it, with the same inventory and variables"
    return [section.splitlines() for section in "\n".join(lines[:-1]).split("\n\n")]


def test_where_a_server_is_and_how_to_use_it():
    [models, server] = told({"one": ONE})
    assert models == [
        "cluster  model UID  type  state  replicas  proof",
        "one      tiny       LLM   ready  1/2       answers, 12 ms",
    ]
    assert server == [
        "one: Xinference 4.1.0 on http://10.0.0.1:9997, under systemd",
        "  everything is in   /opt/xinference",
        "  administrator      admin, password in /opt/xinference/secrets/admin_password, since 2026-11-30",
        "  key for clients    in /opt/xinference/secrets/client_key, since 2026-12-01",
        "  stop               systemctl stop x",
        "  start              systemctl start x",
        "  log                systemctl log x",
        "  missing models     /opt/xinference/tools/modelops-reconcile status (or pause, resume)",
    ]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"admin_password": "the inventory"}, "  administrator      admin, password in the inventory"),
        ({"admin_user": ""}, "  stop               systemctl stop x"),
    ],
)
def test_what_is_told_of_the_administrator(changed, line):
    server = told({"one": {**ONE, "xinference_served": {**SERVED, **changed}}})[-1]
    assert server[2] == line


def test_what_was_done_stands_first_in_the_order_of_the_run():
    known = {
        **ONE,
        "xinference_served": {**SERVED, "plan": ["+ launch tiny"]},
        "xinference_release_result": {"plan": ["+ build 4.1.0"]},
    }
    assert told({"one": known, "two": ONE})[0] == ["Done on one", "  + build 4.1.0", "  + launch tiny"]
    assert told({"one": known}, check=True)[0][0] == "Would be done on one"


@pytest.mark.parametrize(
    ("changed", "end"),
    [
        ({"proof": {"ok": False, "detail": "answered nothing"}}, "1/2       answered nothing"),
        ({"proof": None}, "1/2"),
        # As it is declared, where the server was not asked.
        ({"proof": None, "replicas": None, "state": "unknown"}, "to launch"),
        ({"proof": None, "replicas": None, "state": "unknown", "declared": "absent"}, "absent"),
        ({"uid": "u" * 40}, f"{'u' * 40}LLM   ready  1/2       answers, 12 ms"),
    ],
)
def test_models_of_every_state(changed, end):
    served = {**SERVED, "models": [{**MODEL, **changed}]}
    assert told({"one": {**ONE, "xinference_served": served}})[0][1].endswith(end)


def test_registrations_of_several_hosts_are_told_once():
    row = {"dify": "d", "workspace": None, "model": "tiny", "type": "llm", "state": "present", "action": "none"}
    rows = [{**row, "why": ""}, {**row, "workspace": "w", "action": "failed", "why": "no such model"}]
    known = {**ONE, "dify_result": {"rows": rows}}
    assert told({"one": known, "two": known})[1] == [
        "Dify  workspace  model  type  state    done",
        "d                tiny   llm   present  none",
        "d     w          tiny   llm   present  failed: no such model",
    ]


def test_many_servers_are_not_told_one_by_one():
    lines = ["Enter in Dify:", "  a URL"]
    known = {
        **ONE,
        "dify_result": {"skipped": True},
        "dify_cluster_result": {"changed": True, "sheets": {"one": lines}},
    }
    registered = {
        **ONE,
        "dify_result": {"changed": True, "sheets": {"one": lines, "two": ["other"]}},
        "dify_cluster_result": {"cluster": "c"},
    }
    assert told({"one": known})[1] == told({"one": registered})[1] == lines
    several = told({str(number): known for number in range(6)})
    assert (
        several[-1] == ["Xinference runs on 6 hosts; --limit HOST shows the address and the service of one."]
        and len(several) == 2
    )


@pytest.mark.parametrize(
    ("check", "how", "shown", "fields"),
    [
        (False, {}, False, ["missing models", "enter in Dify"]),
        (False, {"every": True}, True, ["missing models"]),
        (True, {}, False, ["key for clients"]),
        (True, {"every": True}, True, ["missing models"]),
    ],
)
def test_a_sheet_that_is_not_new_is_named_and_check_mode_tells_no_commands(check, how, shown, fields):
    sheet = {"changed": check, "sheet": "/x/sheet.txt", "sheets": {"one": ["Enter in Dify:"]}}
    sections = told({"one": {**ONE, "dify_cluster_result": sheet}}, check=check, **how)
    assert (["Enter in Dify:"] in sections) is shown
    assert [line[2:21].strip() for line in sections[-1][-len(fields) :]] == fields


def test_models_that_the_run_registered_are_not_for_a_person_to_enter():
    known = {**ONE, "dify_cluster_result": {"cluster": "c", "sheet": "/x/sheet.txt"}}
    sheets = {"changed": True, "sheets": {"one": ["Enter in Dify:", "  all"]}}
    for left, shown in (([], False), (["Enter in Dify:", "  the rest"], True)):
        text = str(told({"one": {**known, "dify_result": {**sheets, "to_enter": {"one": left}}}}))
        assert ("the rest" in text) is shown and "  all" not in text and "/x/sheet.txt" not in text


def test_what_several_hosts_did_alike_is_told_once_and_not_where_diff_has_told_it():
    done = {"xinference_release_result": {"plan": ["+ build 4.1.0", "+ build 4.1.0"]}}
    servers, workers = {"one": {**ONE, **done}}, {"w1": done, "w2": {}}
    assert told(servers, workers)[0] == ["Done on w1, one", "  + build 4.1.0"]
    assert told(servers, workers, plans=False)[0][0].startswith("cluster ")


def test_cards_and_drivers_that_people_should_know_of():
    clusters = {"paris": {"workers": [{"host": "a"}, {"host": "b"}]}}
    a, b = cards(H100), cards(L40S)
    a["plan"]["warnings"] = [{"text": "an old driver"}]
    b["role"] = {"restart": {"required": True, "left": "b waits"}}
    hosts = {
        "a": {"accelerator_found": a, "xinference_clusters": clusters},
        "b": {
            # As a reading of the whole host has it.
            "xinference_found": {"accelerator": b},
            "xinference_clusters": clusters,
        },
        "unread": {},
    }
    section = told({"one": ONE}, hosts)[1]
    assert section[:3] == ["Accelerators", "  a: an old driver", "  b waits"]
    assert section[3].startswith("  cluster paris has different cards (a: 1 x ")


@pytest.mark.parametrize(
    ("accelerator", "torch", "text"),
    [
        ("nvidia", {"kind": "cuda", "reason": "cu128"}, f"1 x {H100}, 2 x {L40S}, PyTorch cu128"),
        ("none", {"kind": "cpu", "reason": "no card"}, "its CPU (accelerator is none)"),
        ("nvidia", {"kind": "cpu", "reason": "too old"}, "its CPU (too old)"),
    ],
)
def test_what_a_server_computes_with(accelerator, torch, text):
    found = cards(L40S, H100, L40S, accelerator=accelerator)
    found["plan"].update(torch=torch, reason="accelerator is none")
    server = told({"one": {**ONE, "accelerator_found": found}})[-1]
    assert server[2] == f"  computes with      {text}"


def test_how_everything_is_undone():
    assert undo_command("/x/playbooks", True) == "bin/site playbooks/remove.yml"
    elsewhere = undo_command("/x/playbooks", True, "/srv/my models")
    assert elsewhere == "MODELOPS_DIR='/srv/my models' bin/site playbooks/remove.yml"
    assert undo_command("/x/playbooks", False) == "ansible-playbook /x/playbooks/remove.yml"
    of_collection = "/home/me/ansible_collections/modelops/inference/playbooks"
    assert undo_command(of_collection, False) == "ansible-playbook modelops.inference.remove"


@pytest.mark.each_core("site_summary")
def test_the_text_is_shown_as_it_is(monkeypatch):
    shown = []
    monkeypatch.setattr(action.display, "display", shown.append)
    monkeypatch.setattr(action.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    plugin = action.ActionModule.__new__(action.ActionModule)
    plugin._task = type("Task", (), {"args": {}, "check_mode": False, "diff": False})()
    variables = {
        "hostvars": {"one": ONE, "worker": {}},
        "groups": {"xinference_workers": ["worker"]},
        "ansible_play_hosts": ["one", "gone"],
        "playbook_dir": "/p",
    }
    assert plugin.run(task_vars=variables) == {"changed": False}
    assert shown[3] == "one: Xinference 4.1.0 on http://10.0.0.1:9997, under systemd"


@pytest.mark.parametrize(
    "hosts, expected",
    [
        ([cards(H100, H100), cards(H100)], None),
        ([cards(H100, H100), cards(L40S)], "h0: 2 x NVIDIA H100 80GB HBM3; h1: 1 x NVIDIA L40S"),
        (
            [cards(H100, L40S), cards(H100)],
            "h0: 1 x NVIDIA H100 80GB HBM3, 1 x NVIDIA L40S; h1: 1 x NVIDIA H100 80GB HBM3",
        ),
        # Cards that are not used count as none; without a driver they have no name.
        ([cards(""), cards(H100, accelerator="none")], "h0: 1 x nvidia 10de:26b9; h1: none"),
        ([cards(accelerator="none"), cards(accelerator="none")], None),
        ([cards(H100)], None),
        ([], None),
    ],
)
def test_a_cluster_with_different_cards_is_named(hosts, expected):
    clusters = {"paris": {"workers": [{"host": f"h{number}"} for number in range(3)]}, "other": {"workers": []}}
    lines = different_cards(clusters, {f"h{number}": about for number, about in enumerate(hosts)})
    assert bool(lines) is bool(expected)
    if expected:
        assert (
            lines[0].startswith(f"cluster paris has different cards ({expected}). ")
            and "must name its worker" in lines[0]
        )
