# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the hosts of clusters go back to, and which batches would leave a cluster nobody who serves."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.filter.came_from import came_from
from ansible_collections.modelops.inference.plugins.filter.emptied_clusters import emptied_clusters

NEW, OLD, OLDER = "4.1.0-aaaaaaaaaaaa", "4.0.1-bbbbbbbbbbbb", "3.5.0-cccccccccccc"
# As a host without a GPU names the same versions.
NEW_CPU, OLD_CPU, OLDER_CPU = "4.1.0-dddddddddddd", "4.0.1-eeeeeeeeeeee", "3.5.0-ffffffffffff"


def targets(*links, cluster="one"):
    rows = [
        {"host": f"h{number}", "cluster": cluster, "current": current, "previous": previous}
        for number, (current, previous) in enumerate(links)
    ]
    return [*came_from(rows).values()]


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
    with pytest.raises(AnsibleFilterError, match="cluster 'one'.*h0 from 4.0.1-.*xinference_rollback_to"):
        targets(*links)


def test_clusters_have_nothing_to_do_with_each_other():
    rows = [
        {"host": name, "cluster": name, "current": NEW, "previous": old} for name, old in (("a", OLD), ("b", OLDER))
    ]
    assert came_from(rows) == {"a": OLD, "b": OLDER}


CLUSTERS = {
    "two": {"workers": [{"host": "a"}, {"host": "b"}]},
    "three": {"workers": [{"host": "c"}, {"host": "d"}, {"host": "e"}]},
    "one": {"workers": [{"host": "f"}]},
}


@pytest.mark.parametrize(
    "batch, emptied",
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
def test_a_batch_that_takes_all_workers_of_a_cluster_is_told(batch, emptied):
    assert emptied_clusters(CLUSTERS, list("abcdef"), batch) == emptied


def test_some_of_its_workers_leave_the_others():
    assert emptied_clusters(CLUSTERS, ["a", "c", "d"], "3") == []
