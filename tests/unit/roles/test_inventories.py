# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventories that users copy: what they say of hosts, and the whole site on them, on emulated hosts (tests/emulated)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from emulated import Hosts

INVENTORIES = Path(__file__).resolve().parents[3] / "inventories"
#: The hosts of each, with the parts that they play; "gpu" where the emulated host has one.
EXPECTED = {
    "local": {"localhost": {"local"}},
    "single_gpu": {"gpu01": {"local", "gpu"}},
    "cluster": {"gpu01": {"supervisor"}, "gpu02": {"worker", "gpu"}, "gpu03": {"worker", "gpu"}},
    "fleet": {
        "par-head": {"supervisor"},
        "par-gpu01": {"worker", "gpu"},
        "par-gpu02": {"worker", "gpu"},
        "par-gpu03": {"worker", "gpu", "canary"},
        "fra-gpu01": {"supervisor", "worker", "gpu"},
        "fra-gpu02": {"worker", "gpu"},
        "edge-lyon": {"local"},
        "edge-mainz": {"local", "canary"},
    },
}
GROUPS = {
    "local": "xinference_local",
    "supervisor": "xinference_supervisors",
    "worker": "xinference_workers",
    "canary": "xinference_canaries",
}


#: On these hosts of it an inventory is run a second time: every part, and two parts on one host, is among them.
AGAIN = {"local": "localhost", "fleet": "frankfurt"}


def test_each_is_checked():
    assert {path.name for path in INVENTORIES.iterdir()} == set(EXPECTED)


def members(listed, group):
    """Hosts of a group, those of its children included."""
    about = listed.get(group, {})
    return {*about.get("hosts", ())}.union(*(members(listed, child) for child in about.get("children", ())))


@pytest.mark.parametrize("name", EXPECTED)
def test_an_inventory_is_installed_and_then_nothing_is_left_to_do(tmp_path, name):
    expected = EXPECTED[name]
    hosts = Hosts(tmp_path, INVENTORIES / name, gpus=[host for host, parts in expected.items() if "gpu" in parts])
    listed = hosts.listed
    for part, group in GROUPS.items():
        assert members(listed, group) == {host for host, parts in expected.items() if part in parts}
    secrets = re.compile(r"(password|token|key)$")
    for variables in listed["_meta"]["hostvars"].values():
        for key, value in variables.items():
            assert not secrets.search(key) or key.startswith("vault_") or "{{ vault_" in value

    code, out = hosts.install()
    assert code == 0, out
    changed = dict(re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", out, re.MULTILINE))
    assert {*changed} == {*expected} and "0" not in changed.values(), out

    if name not in AGAIN:
        return
    # Check mode left out what only a run that serves knows: the sheets of the clusters.
    code, out = hosts.play("playbooks/site.yml", "--limit", AGAIN[name])
    assert code == 0, out
    assert sum(map(int, re.findall(r"changed=(\d+)", out))) == len(hosts.sheets()) > 0, out
