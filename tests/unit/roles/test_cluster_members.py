# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who belongs to which cluster, and models on workers by their hosts' names."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.filter.cluster_members import cluster_members

GROUPS = {
    "xinference_supervisors": ["a1", "b1"],
    "xinference_workers": ["a1", "a2", "b2"],
    "all": ["a1", "a2", "b1", "b2"],
}
HOSTVARS = {
    "a1": {"xinference_cluster": "a", "ansible_host": "10.0.0.1"},
    "a2": {"xinference_cluster": "a", "xinference_host": "192.168.0.2", "ansible_host": "10.0.0.2"},
    "b1": {"xinference_port": 8000, "xinference_supervisor_port": "8002"},
    "b2": {"xinference_worker_port": "8001"},
}


def test_several_clusters_and_a_host_that_is_both():
    clusters = cluster_members(GROUPS, HOSTVARS)
    assert clusters["a"] == {
        "supervisor": {"host": "a1", "address": "10.0.0.1", "port": 9997},
        "workers": [
            {"host": "a1", "address": "10.0.0.1", "port": 9998},
            {"host": "a2", "address": "192.168.0.2", "port": 9998},
        ],
        "hosts": [
            {"name": "a1", "address": "10.0.0.1", "ports": [9997, 9999, 9998]},
            {"name": "a2", "address": "192.168.0.2", "ports": [9998]},
        ],
    }
    assert clusters["default"] == {
        "supervisor": {"host": "b1", "address": "b1", "port": 8000},
        "workers": [{"host": "b2", "address": "b2", "port": 8001}],
        "hosts": [
            {"name": "b1", "address": "b1", "ports": [8000, 8002]},
            {"name": "b2", "address": "b2", "ports": [8001]},
        ],
    }
    assert cluster_members({"xinference_local": ["c"]}, {"c": {}}) == {}


@pytest.mark.parametrize(
    ("groups", "hostvars", "why"),
    [
        ({"xinference_supervisors": ["a", "b"]}, {"a": {}, "b": {}}, "cluster 'default' has two supervisors, a and b"),
        ({"xinference_workers": ["a"]}, {"a": {}}, "a: its cluster 'default' has no supervisor"),
        (
            {"xinference_supervisors": ["a"], "xinference_workers": ["b"]},
            {"a": {"xinference_cluster": "x"}, "b": {"xinference_cluster": "y"}},
            "b: its cluster 'y' has no supervisor.*clusters with a supervisor: x",
        ),
        (
            {"xinference_local": ["a"], "xinference_workers": ["a"], "xinference_supervisors": ["a"]},
            {"a": {}},
            "a: in xinference_local and in xinference_supervisors or xinference_workers, too",
        ),
        (
            {"xinference_supervisors": ["a"], "xinference_workers": ["b"]},
            {"a": {"xinference_supervisor_port": "http"}, "b": {}},
            "a: xinference_supervisor_port is 'http', which is not a port",
        ),
    ],
)
def test_what_is_no_cluster_is_refused(groups, hostvars, why):
    with pytest.raises(AnsibleFilterError, match=why):
        cluster_members(groups, hostvars)
    assert cluster_members(groups, hostvars, strict=False) == {}


def test_variables_that_nobody_validated_yet_may_be_wrong():
    hostvars = {**HOSTVARS, "a1": {"xinference_cluster": "a", "xinference_port": "http"}}
    with pytest.raises(AnsibleFilterError, match="a1: xinference_port is 'http', which is not a port"):
        cluster_members(GROUPS, hostvars)
    assert cluster_members(GROUPS, hostvars, strict=False) == {}


@pytest.mark.parametrize("strict", [True, False])
def test_two_hosts_that_are_one_machine(strict):
    one = {"ansible_host": "10.0.0.1"}
    for group in ("xinference_local", "xinference_supervisors"):
        with pytest.raises(
            AnsibleFilterError,
            match="a and b are the same machine .ansible_host 10.0.0.1. with the same xinference_dir",
        ):
            cluster_members({group: ["a", "b"]}, {"a": one, "b": dict(one)}, strict=strict)
    for other in ({"xinference_dir": "/srv/b"}, {"ansible_port": 2222}, {"ansible_host": "10.0.0.2"}):
        assert cluster_members({"xinference_local": ["a", "b"]}, {"a": one, "b": {**one, **other}}) == {}


def test_a_cluster_that_is_named_by_a_number():
    hostvars = {**HOSTVARS, "a1": {"xinference_cluster": 7}, "a2": {"xinference_cluster": "7"}}
    assert [worker["host"] for worker in cluster_members(GROUPS, hostvars)["7"]["workers"]] == ["a1", "a2"]
    with pytest.raises(
        AnsibleFilterError, match="b2: its cluster 'default' has no supervisor.*clusters with a supervisor: 7"
    ):
        cluster_members({**GROUPS, "xinference_supervisors": ["a1"]}, hostvars)
