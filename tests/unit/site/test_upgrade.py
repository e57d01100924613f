# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upgrades, rollbacks and restarts: which release a host gets, why it is refused, and what a failure returns to. Pure."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Inventory, Settings
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import calls
from ansible_collections.modelops.inference.plugins.plugin_utils._site.upgrade import (
    Links,
    emptied,
    on_host,
    refusals,
    rollback_targets,
)

NEW, OLD, OLDER = "4.1.0-aaaaaaaaaaaa", "4.0.1-bbbbbbbbbbbb", "3.5.0-cccccccccccc"
# As a host without a GPU names the same versions.
NEW_CPU, OLD_CPU, OLDER_CPU = "4.1.0-dddddddddddd", "4.0.1-eeeeeeeeeeee", "3.5.0-ffffffffffff"


def targets(*links, cluster="one"):
    rows = [Links(f"h{number}", cluster, *link) for number, link in enumerate(links)]
    return [*rollback_targets(rows).values()]


@pytest.mark.parametrize(
    "links, expected",
    [
        ([(NEW, OLD)], [OLD]),
        ([(NEW_CPU, OLD_CPU), (NEW, OLD)], [OLD_CPU, OLD]),
        # Back already: again is no change.
        ([(OLD, OLD), (OLD, OLD)], [OLD, OLD]),
        # A rollback that broke off after the first.
        ([(OLD_CPU, OLD_CPU), (OLD, OLD), (NEW, OLD)], [OLD_CPU, OLD, OLD]),
        # ... that failed at the second, which returned to where it had come from.
        ([(OLD, OLD), (NEW, OLD)], [OLD, OLD]),
        # An upgrade that failed at the second; the third it never came to.
        ([(NEW, OLD), (OLD, OLD), (OLD, OLDER), (OLD, "")], [OLD, OLD, OLD, OLD]),
        # Nobody knows.
        ([(OLD, "")], [""]),
        ([(NEW, OLD), (NEW, "")], [OLD, ""]),
    ],
)
def test_hosts_go_back_to_what_their_cluster_came_from(links, expected):
    assert targets(*links) == expected


@pytest.mark.parametrize(
    "links",
    [
        [(NEW, OLD), (NEW, OLDER)],
        # The supervisor has not been upgraded, and its release is called otherwise than those of its workers.
        [(NEW, OLD), (OLD, OLD), (OLD_CPU, OLDER_CPU)],
    ],
)
def test_what_would_mix_versions_is_to_be_named(links):
    with pytest.raises(ModelopsError, match="cluster 'one'.*h0 from 4.0.1-.*xinference_rollback_to"):
        targets(*links)


def test_clusters_have_nothing_to_do_with_each_other():
    rows = [Links(name, name, NEW, old) for name, old in (("a", OLD), ("b", OLDER))]
    assert rollback_targets(rows) == {"a": OLD, "b": OLDER}


CLUSTERS = {
    "two": {"workers": [{"host": "a"}, {"host": "b"}]},
    "three": {"workers": [{"host": "c"}, {"host": "d"}, {"host": "e"}]},
    "one": {"workers": [{"host": "f"}]},
}


@pytest.mark.parametrize(
    "batch, names",
    [
        (1, []),
        ("1", []),
        ("2", ["two"]),
        ("20%", []),
        ("40%", ["two"]),
        ("100%", ["two", "three"]),
        ("0", ["two", "three"]),
    ],
)
def test_a_batch_that_takes_all_workers_of_a_cluster_is_told(batch, names):
    assert emptied(CLUSTERS, list("abcdef"), batch) == names


def test_some_of_its_workers_leave_the_others():
    assert emptied(CLUSTERS, ["a", "c", "d"], "3") == []


# --- before any host changes ---------------------------------------------------------------------------------------------

MARKS = {
    "upgrading": "/opt/xinference/etc/xinference-worker.upgrading",
    "drained": "/opt/xinference/etc/xinference-worker.drained",
}
COMMANDS = {"commands": {"log": "journalctl -u x"}}


def read(*marks, current=NEW, previous=OLD, **more):
    """The reading of a host with two releases, of which files of the worker say how it is."""
    files = {MARKS[mark]: {"mode": "0644"} for mark in marks}
    service = {"active": "running", "pid": 7, "release": current, **COMMANDS, **more.pop("service", {})}
    found = {"current": current, "previous": previous, "releases": [OLDER, OLD, NEW], "log": "its last line"}
    return {**found, "files": files, "service": service, **more}


def told(step, host, check_mode=False, **results):
    """Result of a step that executes no module."""
    (call,) = calls(step, HostPlan.of(host), Run(results, check_mode), {})
    assert not call.module
    return {**call.told, **({"shown": call.says({})} if call.says and call.says({}) else {})}


@pytest.mark.parametrize(
    ("found", "wanted", "release"),
    [
        ({"releases": [OLDER, OLD]}, OLD, OLD),
        ({"releases": [OLDER, OLD]}, "4.0.1", OLD),
        ({"releases": [OLDER, OLD]}, "4.0", ""),
        ({"releases": [OLDER, OLD]}, "4x0.1", ""),
        ({"releases": ["4.1-0a", "4.1.0-0b"], "previous": "4.1-0a"}, "4.1.0", "4.1-0a"),
        ({"releases": ["4.1.0-0b", "4.10.0-0c"]}, "4.1", "4.1.0-0b"),
        ({"releases": [OLD, OLD_CPU]}, "4.0.1", OLD_CPU),
        ({"releases": [OLD, OLD_CPU], "current": OLD}, "4.0.1", OLD),
        ({"releases": [OLD, OLD_CPU], "current": OLD_CPU, "previous": OLD}, "4.0.1", OLD),
        ({"releases": []}, "4.0.1", ""),
    ],
)
def test_a_release_is_named_by_itself_or_by_its_version(found, wanted, release):
    assert on_host({"current": "", "previous": "", **found}, wanted) == release


def test_who_tells_where_the_others_go_back_to(host):
    """A worker that was drained by hand tells nothing. One that a run has drained, which broke off, does."""

    def targets(*marks):
        found = {**read(*marks), "plan": HostPlan.of(host(None, "worker", read(*marks))).data}
        known = {
            "ansible_play_hosts": ["gpu01", "away"],
            "hostvars": {"gpu01": {"xinference_found": found}, "away": {}},
        }
        return told("rollback_targets", host(None, "worker", read(*marks), step="rollback"), **known)

    assert targets() == targets("drained", "upgrading") == {"targets": {"gpu01": OLD}}
    assert targets("drained") == {"targets": {}}
    named = host({"xinference_rollback_to": "3.5.0"}, "worker", read(), step="rollback")
    assert told("rollback_targets", named) == {}


@pytest.mark.parametrize(
    ("step", "variables", "asked"),
    [
        ("build", {}, {"step": "upgrade", "release": ""}),
        ("restart", {}, {"step": "restart", "release": NEW}),
        ("rollback", {}, {"step": "rollback", "release": OLD}),
        ("rollback", {"xinference_rollback_to": "3.5.0"}, {"step": "rollback", "release": OLDER}),
    ],
)
def test_the_request_of_a_playbook_to_a_host(host, step, variables, asked):
    known = {"__xinference_rollback_targets": {"targets": {"gpu01": OLD}}}
    assert told("change_request", host(variables, found=read(), step=step), **known) == asked


STATUS = {"__xinference_status": {"json": {"workers": {}}}}
DENIED = {"denied": [{"release": NEW, "text": "/x has litellm 1.82.7."}]}
AWAY = (
    "gpu01 (cluster default) is currently not a worker of http://10.1.1.1:9997: 10.1.1.2:9998 is not registered there"
)


@pytest.mark.parametrize(
    ("step", "part", "found", "known", "refused"),
    [
        (
            "build",
            "local",
            read(current=""),
            {},
            "gpu01 (cluster gpu01) has no Xinference of this collection. Install it",
        ),
        (
            "rollback",
            "local",
            read(),
            {},
            "(cluster gpu01) has no release from before. It runs 4.1.0-aaaaaaaaaaaa, available releases: 3.5.0-",
        ),
        ("rollback", "worker", read("drained", "upgrading"), {}, "has no release from before."),
        ("rollback", "worker", read("drained"), {}, ""),
        (
            "restart",
            "local",
            read(**DENIED),
            {},
            f"the release {NEW} must not be started. /x has litellm 1.82.7. Treat all secrets",
        ),
        ("build", "local", read(**DENIED), {}, ""),
        (
            "restart",
            "local",
            read(auth_unreadable="auth.db cannot be read."),
            {},
            "auth.db cannot be read. Nothing was changed.",
        ),
        ("restart", "worker", read(), STATUS, AWAY),
        ("restart", "worker", read(), {"__xinference_status": {"json": {"workers": {"10.1.1.2:9998": {}}}}}, ""),
        # A supervisor that does not answer knows nobody.
        ("restart", "worker", read(), {"__xinference_status": {"status": -1}}, ""),
    ],
)
def test_why_a_host_must_not_change(host, step, part, found, known, refused):
    result = told("change_request", host(None, part, found, step=step), **known)
    assert refused in result.get("msg", "") and bool(result.get("failed")) == bool(refused)


@pytest.mark.parametrize(
    ("name", "batch", "tells"), [("gpu01", "2", True), ("gpu02", "2", False), ("gpu01", "1", False)]
)
def test_one_worker_tells_of_a_batch_that_takes_all(host, name, batch, tells):
    """Also where a standalone server is the first host of the play."""
    groups = {"xinference_local": ["solo"], "xinference_workers": ["other", "gpu01", "gpu02"]}
    inventory = Inventory(name, ("xinference_workers",), groups, ("solo", "gpu01", "gpu02"))
    clusters = {"default": {"workers": [{"host": "gpu01"}, {"host": "gpu02"}], "supervisor": {"host": "head"}}}
    settings = Settings({"xinference_upgrade_batch": batch}, inventory, part="worker")
    of = dataclasses.replace(host(None, "worker", read(), step="restart"), settings=settings, clusters=clusters)
    said = "\n".join(refusals(of, NEW, {}))
    assert ("xinference_upgrade_batch=2 changes all workers of cluster default at once" in said) == tells


def test_a_standalone_server_is_a_cluster_of_its_own(host):
    found = {**read(), "plan": HostPlan.of(host(None, found=read())).data}
    assert Links.of(found) == ("gpu01", "gpu01", NEW, OLD)
    found["plan"] = {**found["plan"], "distributed": True, "cluster": "paris"}
    assert Links.of(found).cluster == "paris"


def test_a_worker_is_asked_for_where_no_run_has_taken_it(host):
    (call,) = calls("registered_workers", HostPlan.of(host(None, "worker", read())), Run(), {})
    assert call.module == "ansible.builtin.uri" and call.options == {
        "url": "http://10.1.1.1:9997/status",
        "use_proxy": False,
    }
    for each in (
        host(None, "worker", read("drained")),
        host(None, "worker", read("upgrading")),
        host(None, found=read()),
    ):
        assert calls("registered_workers", HostPlan.of(each), Run(), {}) == []


# --- one part of a host --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "release", "marks", "due"),
    [
        ("rollback", OLD, (), True),
        ("restart", NEW, (), True),
        ("restart", NEW, ("drained",), False),
        # It is the current one, and its service is as it must be, but a run broke off before its end.
        ("rollback", NEW, ("drained", "upgrading"), True),
    ],
)
def test_whether_a_part_changes(host, step, release, marks, due):
    found = host(None, "worker", read(*marks), step=step, release=release)
    result = told("change_due", found)
    assert result["due"] == due and result["on_host"] and result["backs_up"] == (release == OLD)
    assert ("is drained and stays as it is" in result.get("shown", "")) == (marks == ("drained",))


def test_a_change_is_noted_in_a_file(host):
    for part, name in (("worker", "xinference-worker"), ("local", "xinference")):
        plan = HostPlan.of(host(None, part, read(), step="restart", release=NEW))
        (begins,), (ends,) = (calls(step, plan, Run(), {}) for step in ("change_begins", "change_ends"))
        assert begins.options["dest"] == ends.options["path"] == f"/opt/xinference/etc/{name}.upgrading"
        assert "ansible-playbook modelops.inference.restart" in begins.options["content"]
        assert (begins.module, ends.module, ends.options["state"]) == (
            "ansible.builtin.copy",
            "ansible.builtin.file",
            "absent",
        )


@pytest.mark.parametrize(
    ("service", "before", "failed"),
    [
        ({}, 7, ""),
        ({"pid": 8}, 7, "did not stay up for 5 s: it is running, its process was 7 and is 8."),
        ({"active": "failed", "pid": 0}, 7, "did not stay up for 5 s: it is failed, its process was 7 and is 0."),
    ],
)
def test_a_service_stays_the_same_process(host, service, before, failed):
    found = host({"xinference_upgrade_window": 5}, found=read(service=service), step="restart", release=NEW)
    result = told("stayed_up", found, xinference_watched={"pid": before})
    assert result == ({"failed": True, "msg": f"service xinference of gpu01 {failed}"} if failed else {})


def test_a_worker_that_comes_back_is_waited_for(host):
    """Its port is open as soon as its supervisor answers. In a site run, and in a return, that may be later."""

    def port(**known):
        (call,) = calls("service", HostPlan.of(host(None, "worker", read(), step="undrain")), Run(known), {})
        return call.options["port"]

    change = {"xinference_change": {"due": True}}
    assert (port(), port(**change), port(**change, xinference_return={"to": OLD})) == (0, 9998, 0)


# --- after a failure -----------------------------------------------------------------------------------------------------

FAILED = {
    "ansible_failed_task": {"name": "Start the service"},
    "ansible_failed_result": {"msg": "it does not start"},
    "xinference_change": {"step": "upgrade", "release": NEW, "return_to": OLD, "current": OLD},
}


@pytest.mark.parametrize(
    ("part", "found", "returns"),
    [
        # Before it was stopped.
        ("worker", read(current=OLD), ["untouched", "returns", "stays"]),
        ("local", read(current=OLD), ["untouched", "returns"]),
        # Drained, and not started again; then with its old release still, and with the new one.
        ("worker", read("drained", current=OLD), ["returns", "worker"]),
        ("worker", read(current=OLD, service={"active": "failed"}), ["returns", "worker"]),
        ("worker", read(), ["returns", "drains", "stops", "worker"]),
        ("local", read(service={"active": "failed"}), ["returns", "stops", "server"]),
        # The other part of the host has changed the link.
        ("worker", read(service={"release": OLD}), ["returns", "drains", "stops", "worker"]),
    ],
)
def test_what_a_failure_returns_to(host, part, found, returns):
    result = told("return_plan", host(None, part, found, step="return", release=OLD), **FAILED)
    assert [
        result[name] if name == "starts" else name for name in result if name in RETURNS and result[name]
    ] == returns
    assert (
        f"(cluster {'default' if part == 'worker' else 'gpu01'}): the upgrade of its {part} to {NEW} failed at"
        in result["problem"]
    )
    assert result["problem"].endswith("'Start the service': it does not start") and "its last line" in result["log"]


RETURNS = ("untouched", "returns", "drains", "stops", "starts", "stays")


def test_nothing_returns_in_check_mode_or_without_an_old_release(host):
    found = host(None, found=read(), step="return", release=OLD)
    assert not told("return_plan", found, check_mode=True, **FAILED)["returns"]
    first = {**FAILED["xinference_change"], "return_to": ""}
    assert not told("return_plan", found, **{**FAILED, "xinference_change": first})["returns"]


@pytest.mark.parametrize(
    ("known", "step", "check_mode", "words"),
    [
        (
            {"untouched": True},
            "upgrade",
            False,
            f"It was not stopped, and serves with {OLD}, and no other host of its cluster was",
        ),
        ({}, "upgrade", False, f"It serves with {OLD} again, and no other host"),
        ({}, "upgrade", True, f"It was not stopped, and serves with {OLD}"),
        (
            {},
            "upgrade",
            False,
            "; or roll back the others with ansible-playbook modelops.inference.rollback -e xinference_rollback_to=4.0.1.",
        ),
        ({}, "rollback", False, "skips finished hosts.\nx wrote last:"),
        ({"to": ""}, "upgrade", False, "P There is no other release to roll back to. To continue: correct the cause"),
        ({"to": ""}, "upgrade", False, "skips finished hosts.\nx wrote last:"),
    ],
)
def test_the_message_of_a_change_that_failed(host, known, step, check_mode, words):
    known = {"problem": "P", "to": OLD, "untouched": False, "log": "\nx wrote last:\nline", **known}
    change = {**FAILED["xinference_change"], "step": step}
    found = host(None, found=read(), step="return", release=OLD)
    result = told("change_failed", found, check_mode, xinference_return=known, xinference_change=change)
    assert result["failed"] and words in result["msg"]


def test_the_message_of_a_return_that_failed_names_both_failures(host):
    found = host(None, found=read(), step="return", release=OLD)
    known = {"xinference_return": {"problem": "P", "to": OLD, "log": "\nx wrote last:\nline"}}
    message = told("return_failed", found, **FAILED, **known)["msg"]
    assert message.startswith(
        f"P The rollback to {OLD} also failed at 'Start the service': it does not start gpu01 does not serve"
    )
    assert "(journalctl -u x)" in message and message.endswith(
        f"(available releases: {OLDER}, {OLD}, {NEW}).\nx wrote last:\nline"
    )
    shown = told("return_undrained", found, **FAILED)["shown"]
    assert shown == "gpu01: its models may stop until it is back, because 'Start the service' failed: it does not start"


def test_a_return_restores_what_the_old_release_cannot_read(host):
    def restores(found, **request):
        return [
            call.options["release"]
            for call in calls("restore", HostPlan.of(host(None, found=found, **request)), Run(), {})
        ]

    assert restores(read(), step="rollback", release=OLD) == [OLD]
    assert restores(read(), step="restart", release=NEW) == []
    assert restores(read(current=OLD), step="return", release=OLD) == [OLD]


def test_a_return_is_not_refused_for_the_release_that_failed(host):
    """Its environment filled the disk, say."""
    found = read(current=OLD, previous="", releases=[OLD], disk={"free_bytes": 1 << 30}, service={"active": "failed"})
    assert "has 1.0 GiB free" in str(HostPlan.of(host(None, found=found, step="upgrade")).refusals)
    assert HostPlan.of(host(None, found=found, step="return", release=OLD)).refusals == ()


def test_a_rollback_that_returns_still_knows_where_to(host):
    """By the link ``previous``, which a rollback that is run again goes by."""

    def previous(to, **asked):
        plan = HostPlan.of(host(None, found=read(), step="return", release=to))
        (call,) = calls("activate", plan, Run({"xinference_upgrade_request": asked} if asked else {}), {})
        return call.options.get("previous")

    assert previous(OLD) == previous(OLD, step="upgrade", release="") == OLD
    assert previous(NEW, step="rollback", release=OLD) == OLD
    assert previous("") is None
