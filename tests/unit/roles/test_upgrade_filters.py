# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which batches would leave a cluster nobody who serves."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.filter.emptied_clusters import emptied_clusters

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
