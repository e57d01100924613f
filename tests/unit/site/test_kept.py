# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the hosts of clusters go back to, and which releases no host starts: pure."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._site import kept
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.host_plan import HostPlan
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps import calls

NEW, OLD, OLDER = "4.1.0-aaaaaaaaaaaa", "4.0.1-bbbbbbbbbbbb", "3.5.0-cccccccccccc"
# As a host without a GPU names the same versions.
NEW_CPU, OLD_CPU, OLDER_CPU = "4.1.0-dddddddddddd", "4.0.1-eeeeeeeeeeee", "3.5.0-ffffffffffff"


def targets(*links, cluster="one"):
    rows = [kept.Link(f"h{number}", cluster, current, previous) for number, (current, previous) in enumerate(links)]
    return [*kept.came_from(rows).values()]


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
    rows = [kept.Link(name, name, NEW, old) for name, old in (("a", OLD), ("b", OLDER))]
    assert kept.came_from(rows) == {"a": OLD, "b": OLDER}


# --- by their readings -------------------------------------------------------------------------------------------------


def reading(current=NEW, previous=OLD, releases=(OLD, NEW), denied=(), **plan):
    about = {
        "cluster": "one",
        "distributed": True,
        "drained": False,
        "upgrading": False,
        "auth_unreadable": "",
        "denied": "",
    }
    found = {"current": current, "previous": previous, "releases": list(releases)}
    return {**found, "denied": [{"release": each} for each in denied], "plan": {**about, **plan}}


@pytest.mark.parametrize(
    ("found", "wanted", "release"),
    [
        (reading(), OLD, OLD),
        (reading(), "4.0.1", OLD),
        (reading(), "4.0", ""),
        (reading(), "4x0.1", ""),
        # Of a version the one that ran before, the one that runs, or the newest.
        (reading(releases=["4.0.1-a", OLD, "4.0.1-c", NEW]), "4.0.1", OLD),
        (reading(current=OLD, previous=NEW, releases=["4.0.1-a", OLD, "4.0.1-c"]), "4.0.1", OLD),
        (reading(previous="", releases=["4.0.1-a", "4.0.1-c", NEW]), "4.0.1", "4.0.1-c"),
    ],
)
def test_a_release_is_named_by_its_version(found, wanted, release):
    assert kept.named(found, wanted) == release


def test_a_host_that_is_drained_is_left_alone():
    assert kept.back({"a": reading(), "b": reading(drained=True, current=OLD)}, "") == {"a": OLD, "b": ""}
    with pytest.raises(ModelopsError, match=r"b \(cluster one\) has no release from before"):
        kept.back({"a": reading(), "b": reading(drained=True, upgrading=True)}, "")


def test_servers_of_their_own_are_clusters_of_their_own():
    own = {"distributed": False, "cluster": "default"}
    found = {"a": reading(**own), "b": reading(previous=OLDER, releases=[OLDER, NEW], **own)}
    assert kept.back(found, "") == {"a": OLD, "b": OLDER}


@pytest.mark.parametrize(
    ("found", "wanted", "words"),
    [
        (
            reading(previous="", releases=[NEW]),
            "",
            f"gpu01 (cluster one) has no release from before. It runs {NEW}, kept are {NEW}: name one of them with "
            "-e xinference_rollback_to=..., or install another with upgrade.yml. Nothing was changed.",
        ),
        (reading(), "2.0", "gpu01 (cluster one) has no release 2.0."),
        (reading(current="", previous="", releases=[]), "", "ansible-playbook modelops.inference.site --limit gpu01."),
        (
            reading(auth_unreadable="x cannot be read."),
            "",
            "gpu01 (cluster one): x cannot be read. Nothing was changed.",
        ),
        (reading(denied=[OLD]), "", f"the release {OLD} must not be started."),
    ],
)
def test_a_host_that_cannot_roll_back_is_told_with_the_remedy(found, wanted, words):
    with pytest.raises(ModelopsError) as refused:
        kept.back({"gpu01": found, **({} if wanted else {"gpu02": reading()})}, wanted)
    assert words in str(refused.value) and len(str(refused.value).splitlines()) == 1


def test_every_host_that_is_refused_is_told_at_once():
    with pytest.raises(ModelopsError) as refused:
        kept.again({"a": reading(current=""), "b": reading(denied=[NEW]), "c": reading()})
    assert [line.partition(" ")[0] for line in str(refused.value).splitlines()] == ["a", "b"]
    assert kept.again({"c": reading()}) == {"c": NEW}


def test_the_steps_are_of_all_hosts_of_the_play(host):
    readings = {"hostvars": {"gpu01": {"xinference_found": reading()}}, "ansible_play_hosts": ["gpu01"]}
    plan = HostPlan.of(host({"xinference_rollback_to": "4.0.1"}))
    assert calls("rollback", plan, Run(readings), {})[0].told == {"releases": {"gpu01": OLD}}
    assert calls("restart", plan, Run(readings), {})[0].told == {"releases": {"gpu01": NEW}}
