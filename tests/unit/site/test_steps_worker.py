# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps whose executions follow from results: a worker that joins, a Python that is looked for. And those of the network: pure."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import DIALOGUES, Run, calls

UNIT = "/etc/systemd/system/xinference.service"
STARTED = {"xinference_service_result": {"changed": True, "service": {"path": UNIT}}, "ansible_play_hosts_all": []}
ADDRESS = "10.1.1.2:9998"
MARKED = {"/opt/xinference/etc/xinference-worker.drained": {"mode": "0644"}}


def answered(step, host, answers, **run):
    """The result of a step that gets these answers, and its calls."""
    asked, dialogue = [], DIALOGUES[step](HostPlan.of(host), Run(**run))
    try:
        call = next(dialogue)
        for answer in answers:
            asked.append(call)
            call = dialogue.send(answer)
        raise AssertionError(f"it asks further: {call}")
    except StopIteration as stop:
        return stop.value, asked


def supervisor(*workers):
    return {"status": 200, "json": {"workers": {name: {} for name in workers}}}


@pytest.fixture
def worker(host):
    return host({"xinference_start_timeout": 10}, "worker", {"gpus": [{"index": 0}]})


def test_nobody_is_asked_where_nothing_was_started(worker):
    for results in ({}, {"xinference_service_result": {"changed": False}}):
        told, asked = answered("worker", worker, [], results=results)
        assert asked == [] and (told["host"], told["address"], told["started"]) == ("gpu01", ADDRESS, False)
        assert told["gpus"][0]["index"] == 0 and told["gpus"][0]["worker"] == ADDRESS
    other_part = {"xinference_service_result": {"changed": True, "service": {"path": "another"}}}
    assert answered("worker", worker, [], results=other_part)[0]["started"] is False
    told, asked = answered("worker", worker, [], results=STARTED, check_mode=True)
    assert asked == [] and told["started"]


def test_a_worker_that_was_started_is_waited_for(worker):
    told, asked = answered("worker", worker, [supervisor(), supervisor("10.1.1.9:9998", ADDRESS)], results=STARTED)
    assert told["started"] and not told.get("failed")
    assert [call.options["url"] for call in asked] == ["http://10.1.1.1:9997/status"] * 2
    assert [call.delay for call in asked] == [0, 5]


def test_a_supervisor_that_is_down_or_comes_later_is_not_waited_for(worker):
    told, asked = answered("worker", worker, [{"status": -1, "failed": True}], results=STARTED)
    assert "waits for the supervisor at http://10.1.1.1:9997, which does not answer" in told["said"] and told["started"]
    later = {**STARTED, "ansible_play_hosts_all": ["head", "gpu01"], "hostvars": {"head": {}}}
    assert answered("worker", worker, [], results=later)[1] == []
    here = {**later, "hostvars": {"head": {"xinference_found": {}}}}
    assert len(answered("worker", worker, [supervisor(ADDRESS)], results=here)[1]) == 1


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (supervisor("10.1.1.9:9998"), "knows 10.1.1.9:9998"),
        (supervisor(), "knows no worker"),
        ({"status": -1, "failed": True}, "no longer answers"),
        ({"status": 200, "json": ["odd"]}, "knows no worker"),
    ],
)
def test_a_worker_that_stays_away_is_named_with_its_log(worker, last, said):
    found = {"service": {"active": "stopped", "commands": {"log": "journalctl"}}, "log": "no route"}
    told, asked = answered("worker", worker, [supervisor(), last, last, found], results=STARTED)
    assert asked[-1].options["log_lines"] == 15 and told["failed"]
    assert f"gpu01 (cluster default): its worker at {ADDRESS} did not join within 10 s." in told["msg"]
    assert f"http://10.1.1.1:9997 {said}, and service xinference-worker is stopped." in told["msg"]
    assert told["msg"].endswith("xinference-worker wrote last:\nno route")


def test_a_worker_that_is_drained_has_no_cards_for_the_cluster(host):
    told, asked = answered("worker", host(None, "worker", {"files": MARKED}), [], results=STARTED)
    assert asked == [] and told == {"changed": False}
    assert Run({"hostvars": {"gpu01": {"xinference_worker": told}}}).workers({"workers": [{"host": "gpu01"}]}) == []


def test_the_worker_of_a_host_that_is_both_stays_known(host):
    before = {"xinference_worker": {"changed": False, "host": "gpu01", "gpus": []}}
    told, _asked = answered("worker", host(None, "supervisor"), [], results=before)
    assert told == before["xinference_worker"]
    assert answered("worker", host(), [])[0] == {"changed": False}


# --- drained -----------------------------------------------------------------------------------------------------------


def test_a_worker_is_marked_as_drained_where_something_is_installed(host):
    marked = calls("mark_drained", HostPlan.of(host(None, "worker", {"entries": ["etc"]})), Run(), {})[0].options
    assert marked["dest"] == next(iter(MARKED)) and "modelops.inference.undrain --limit gpu01" in marked["content"]
    assert calls("mark_drained", HostPlan.of(host(None, "worker")), Run(), {}) == []
    gone = calls("unmark_drained", HostPlan.of(host(None, "worker")), Run(), {})[0].options
    assert gone == {"paths": [marked["dest"]], "state": "absent"}


@pytest.mark.parametrize(
    ("step", "state"),
    [("drain", "drained"), ("drain_requests", "leaving"), ("forget_worker", "left"), ("undrain", "undrained")],
)
def test_the_supervisor_is_told_of_each_step(host, step, state):
    plan = HostPlan.of(host(None, "worker"))
    options = calls(step, plan, Run(), {})[0].options
    assert (options["state"], options["returns"]) == (state, False)
    assert calls(step, plan, Run({"_xinference_returns": True}), {})[0].options["returns"]


@pytest.mark.parametrize(
    ("step", "parts", "words"),
    [
        ("tell_drained", ["worker"], "gpu01 is drained. To undrain it: ansible-playbook"),
        ("tell_undrained", ["worker"], "gpu01 is back in its cluster"),
        ("tell_decommissioned", ["worker"], "Remove it from the inventory, correct models"),
        (
            "tell_decommissioned",
            ["supervisor", "worker"],
            "Remove it from the group xinference_workers, correct models",
        ),
    ],
)
def test_a_person_is_told_how_to_go_on(host, step, parts, words):
    plan = HostPlan.of(host(None, "worker", parts=parts))
    assert words in calls(step, plan, Run(), {})[0].says({})
    assert calls(step, plan, Run(check_mode=True), {}) == []


# --- Python and the user -----------------------------------------------------------------------------------------------

LACKS = {"system": {"lacks": {"apt": ["python3-venv"], "dnf": []}}}
FOUND = {"changed": False, "python": "3.12", "python_source": "host"}


def test_packages_of_the_distribution_come_before_the_python_is_looked_for(host):
    told, asked = answered("python", host(found=LACKS), [{"changed": True}, FOUND])
    assert [call.module for call in asked] == ["ansible.builtin.apt", "xinference_python_info"]
    assert asked[0].options["name"] == ["python3-venv"]
    assert told == {**FOUND, "changed": True, "said": ""}


def test_a_run_goes_on_without_packages_that_cannot_be_installed(host):
    told, _asked = answered("python", host(found=LACKS), [{"failed": True, "msg": "no index"}, FOUND])
    assert told["python"] == "3.12" and not told.get("failed")
    assert (
        told["said"]
        == "gpu01 (cluster gpu01): python3-venv could not be installed: no index. The run continues without them."
    )


def test_apt_is_not_called_in_check_mode_or_for_nothing(host):
    assert len(answered("python", host(found=LACKS), [FOUND], check_mode=True)[1]) == 1
    assert len(answered("python", host(), [FOUND])[1]) == 1


def test_the_user_is_made_before_its_directories(host):
    steps = calls("directories", HostPlan.of(host(found={"user": {"id": -1}})), Run(), {})
    made = [call.module for call in steps]
    assert steps[1].assumed == {"plan": [f"+ create user {steps[1].options['name']}"]}
    assert made[:2] == ["ansible.builtin.group", "ansible.builtin.user"] and set(made[2:]) == {"xinference_directory"}
    assert {call.module for call in calls("directories", HostPlan.of(host()), Run(), {})} == {"xinference_directory"}


# --- network -----------------------------------------------------------------------------------------------------------


def found(address):
    return {"xinference_found": {"bind": {"address": address}}}


def test_addresses_are_those_of_the_hosts_that_have_come_as_far(host):
    known = {"head": {**found("10.1.1.1"), "xinference_firewall_result": {}}, "gpu01": found("10.1.1.2"), "gpu02": {}}
    run = Run({"ansible_play_hosts": list(known), "hostvars": known})
    plan = HostPlan.of(host(None, "worker"))
    assert calls("addresses", plan, run, {})[0].told == {"addresses": {"head": "10.1.1.1", "gpu01": "10.1.1.2"}}
    assert calls("addresses_behind", plan, run, {})[0].told == {"addresses": {"head": "10.1.1.1"}}


def test_the_network_is_tried_again_behind_the_firewalls(host):
    plan = HostPlan.of(host({"xinference_firewall": True}, "worker"))
    run = Run({"xinference_addresses_known": {"addresses": {"gpu01": "10.1.1.2"}}})
    before, behind = (calls(step, plan, run, {})[0].options for step in ("network", "network_behind"))
    assert before["announced"] == {"gpu01": "10.1.1.2"} and before["address"] == "10.1.1.2" and before["firewall"]
    assert "behind" not in before and behind == {**before, "behind": True}
    assert calls("network_behind", plan, Run(run.results, check_mode=True), {}) == []
    assert calls("network_behind", HostPlan.of(host({"xinference_firewall": True})), run, {}) == []


def test_the_firewall_lets_in_whom_the_network_has(host):
    run = Run({"xinference_network_found": {"let_in": ["10.1.1.1"]}})
    assert calls("firewall", HostPlan.of(host(None, "worker")), run, {})[0].options["peers"] == ["10.1.1.1"]
    assert calls("firewall", HostPlan.of(host()), run, {})[0].options["peers"] == []
