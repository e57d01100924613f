# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Command lines that select no host or no task, for which Ansible ends well."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible import context
from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.filter.known_hosts import known_hosts
from ansible_collections.modelops.inference.plugins.plugin_utils._site.needs import PLAYBOOKS

ROOT = Path(__file__).resolve().parents[3]
GROUPS = {
    "xinference_supervisors": ["a1", "b1"],
    "xinference_workers": ["a1", "a2", "b2"],
    "databases": ["db01"],
    "eu": ["a1", "a2", "db01"],
    "ungrouped": ["spare"],
    "all": ["a1", "a2", "b1", "b2", "db01", "spare"],
}
SERVERS = ["xinference_supervisors", "xinference_local"]
EVERY = [*SERVERS, "xinference_workers"]


@pytest.fixture
def said(monkeypatch):
    """``said("drain", pattern, subset="a1")``: the refusal of a command line, or the pattern."""

    def of(playbook, pattern, groups=None, **given):
        groups = GROUPS if groups is None else groups
        words = {"args": (f"modelops.inference.{playbook}",), "tags": ("all",), "skip_tags": (), **given}
        monkeypatch.setattr(context, "CLIARGS", words)
        try:
            return known_hosts(pattern, groups, playbook)
        except AnsibleFilterError as exc:
            return str(exc)

    return of


@pytest.mark.parametrize(
    "pattern", ["a2", "a2,b2", "xinference_workers:!b2", "&xinference_workers,a*", "b[1:2]", "~a.|b.", ["a2", "b2"]]
)
def test_a_pattern_of_hosts_that_are_there(pattern):
    assert known_hosts(pattern, GROUPS) == (pattern if isinstance(pattern, str) else "a2,b2")


@pytest.mark.parametrize("pattern", ["a22", "a2,a22", "xinference_workers:!a22", ["a2", "a22"]])
def test_a_pattern_that_names_a_host_that_is_not_there(pattern):
    with pytest.raises(AnsibleFilterError, match="^a22: the inventory has no host or group of that name") as told:
        known_hosts(pattern, GROUPS)
    assert "Did you mean a2? The inventory has the hosts a1, a2, b1, b2, db01, spare; groups: databases, eu," in str(
        told.value
    )


def test_groups_of_this_collection_that_the_inventory_lacks_are_left_out():
    assert known_hosts(["xinference_canaries", *EVERY], GROUPS) == "xinference_supervisors,xinference_workers"
    assert known_hosts(SERVERS, {"all": []}) == "xinference_supervisors"
    assert known_hosts("localhost", {"all": []}) == "localhost"


def test_what_selects_a_host_runs(said):
    assert said("drain", "xinference_workers", subset="a2") == "xinference_workers"
    assert said("drain", "xinference_workers", subset="eu") == "xinference_workers"
    assert said("drain", "xinference_workers", subset="!a1") == "xinference_workers"
    assert said("drain", "xinference_workers", subset="a*:&eu") == "xinference_workers"
    assert said("upgrade", EVERY, subset="a2,b1") == "xinference_supervisors,xinference_workers"
    assert said("site", EVERY, tags=("untagged",)) == said("site", EVERY) == "xinference_supervisors,xinference_workers"
    assert said("capture", "localhost", groups={"all": []}) == "localhost"


@pytest.mark.parametrize(
    ("playbook", "pattern", "limit", "words"),
    [
        (
            "drain",
            "xinference_workers",
            "b1",
            ["drain does not run on b1, which --limit names. b1 is in xinference_superv"],
        ),
        (
            "decommission",
            "xinference_workers",
            "b1",
            ["To remove it", "ansible-playbook modelops.inference.remove --limit b1"],
        ),
        ("undrain", "xinference_workers", "a2,b1", ["undrain does not run on b1", "undrain runs on a1, a2, b2."]),
        ("drain", "xinference_workers", "spare", ["spare is in no group", "add spare to the group xinference_workers"]),
        ("drain", "a2", "b2", ["drain does not run on b2", "drain runs on a2."]),
        (
            "drain",
            "xinference_workers",
            "databases",
            ["no host that --limit databases selects. It runs on a1, a2, b2."],
        ),
        (
            "drain",
            "xinference_workers",
            "a2,b22",
            ["--limit b22: the inventory has no host or group", "Did you mean b2?"],
        ),
        ("reload", SERVERS, "b2", ["modelops.inference.restart --limit b2", "reload runs on a1, b1."]),
        ("rotate", SERVERS, "b2", ["name its supervisor", "rotate runs on a1, b1."]),
        (
            "site",
            EVERY,
            "db01",
            ["db01 is in databases, eu", "add db01 to one of the groups xinference_supervisors, xinf"],
        ),
        ("capture", "xinference_local", None, ["The group xinference_local has no host", "-e capture_hosts=a1"]),
        ("capture", "a1", "b1", ["-e capture_hosts=b1"]),
    ],
)
def test_a_limit_without_a_host_of_the_playbook_is_refused(said, playbook, pattern, limit, words):
    text = said(playbook, pattern, subset=limit)
    assert all(each in text for each in words) and text.endswith("Nothing was changed."), text


def test_inventories_without_hosts_for_the_playbook(said):
    local = {"xinference_local": ["solo"], "all": ["solo"]}
    text = said("drain", "xinference_workers", groups=local)
    assert "drain is for workers, and the inventory has none" in text and "such as solo" in text
    for playbook, pattern in (("site", EVERY), ("drain", "xinference_workers"), ("capture", "xinference_local")):
        text = said(playbook, pattern, groups={"all": [], "ungrouped": []}, subset="localhost")
        assert "has none of the groups xinference_supervisors, xinference_workers, xinference_local" in text
        assert f"-i {ROOT}/inventories/local" in text


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("xinference_locals", "xinference_local"),
        ("xinference_worker", "xinference_workers"),
        ("xinference_supervisor", "xinference_supervisors"),
        ("xinference-workers", "xinference_workers"),
        ("Xinference_Workers", "xinference_workers"),
        ("xinfrence_workers", "xinference_workers"),
        ("xinference_workers_old", ""),
        ("xinference_workers2", ""),
        ("databases", ""),
    ],
)
@pytest.mark.parametrize("others", [{}, {"xinference_supervisors": ["a1"]}], ids=["alone", "beside"])
def test_a_misspelled_group_is_refused_wherever_its_hosts_would_be_left_out(said, others, named, meant):
    text = said("site", EVERY, groups={**others, named: ["a2"], "all": ["a1", "a2"]})
    told = (
        f"{named}, a group of the inventory with the hosts a2, is not a group of this collection: did you mean {meant}?"
    )
    assert text.startswith(told) if meant else "did you mean" not in text
    # Its hosts are in the right group, too, or it has none.
    groups = {**GROUPS, named: ["a2"], "xinference_locale": []}
    assert "did you mean" not in said("site", EVERY, groups=groups)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"tags": ("models", "dify")},
            "--tags models,dify selects no task: the tasks of this collection have no tags.",
        ),
        ({"tags": ("always",)}, "--tags always selects no task"),
        ({"skip_tags": ("dify",)}, "--skip-tags dify leaves out no task"),
    ],
)
def test_tags_are_refused_because_no_task_has_one(said, given, words):
    assert words in said("site", EVERY, **given)
    assert words in said("drain", "xinference_workers", subset="a2", **given)


def test_only_the_playbook_of_the_command_line_refuses(said):
    """One that another playbook imports skips its plays, and one that is only listed runs nothing."""
    nothing = {"subset": "db01", "tags": ("os",)}
    for given in (
        {"args": ("fleet.yml",)},
        {"listtasks": True},
        {"listhosts": True},
        {"listtags": True},
        {"syntax": True},
    ):
        assert said("drain", "xinference_workers", **nothing, **given) == "xinference_workers"
    for path in ("site.yml", "playbooks/site.yml"):
        assert "does not run on db01" in said("site", EVERY, subset="db01", args=(str(ROOT / path),))


def test_the_first_play_of_each_playbook_refuses():
    for name in PLAYBOOKS:
        first = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text())[0]
        assert f"modelops.inference.known_hosts(groups, '{name}'" in first["hosts"]


@pytest.mark.parametrize("serial", ["abc", '[1,"100%"]', "0", [1, "200%"]])
def test_a_number_of_hosts_that_is_none_is_refused(serial):
    """Ansible ends with "Unexpected Exception, this is probably a bug"."""
    with pytest.raises(AnsibleFilterError, match="^xinference_serial must be a number or a percentage of hosts"):
        known_hosts(EVERY, GROUPS, "site", serial=serial)
    assert known_hosts("a2", GROUPS, "site", serial=[1, "25%"]) == known_hosts("a2", GROUPS, serial=2) == "a2"
