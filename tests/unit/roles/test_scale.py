# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster of N workers must not cost N times N: benchmarks/fleet.py in small, with a count instead of a clock.

What makes a run worse than linear are hosts that each read the variables of all others. So those reads are counted.
"""

from __future__ import annotations

import json

import emulated
import pytest

SMALL, LARGE = 2, 4


def inventory(folder, count):
    """One cluster with a firewall, for which each host has to know all others."""
    names = [f"host{n}" for n in range(count)]
    model = {"name": "bge-m3", "type": "embedding", "uid": "m", "worker": names[-1]}
    variables = {"xinference_models": [model], "xinference_firewall": True, "xinference_api_networks": ["10.0.0.0/8"]}
    hosts = {name: {"ansible_host": f"10.1.0.{n + 1}"} for n, name in enumerate(names)}
    groups = {"xinference_supervisors": names[:1], "xinference_workers": names[1:]}
    children = {group: {"hosts": dict.fromkeys(members, {})} for group, members in groups.items()}
    file = folder / "hosts.json"
    file.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables, "children": children}}))
    return file


@pytest.fixture
def reads(tmp_path, monkeypatch):
    """How many reads the first run and one without a change take for so many hosts."""
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "count_reads")
    monkeypatch.setenv("READS_FILE", str(tmp_path / "reads"))

    def run(count):
        folder = tmp_path / str(count)
        folder.mkdir()
        hosts = emulated.Hosts(folder, inventory(folder, count))
        found = []
        for playing in (hosts.install, lambda: hosts.play("playbooks/site.yml")):
            (tmp_path / "reads").write_bytes(b"")
            code, out = playing()
            assert code == 0, out
            found.append((tmp_path / "reads").stat().st_size)
        return found

    return run


def test_reads_of_other_hosts_grow_as_the_hosts_do(reads):
    for small, large in zip(reads(SMALL), reads(LARGE)):
        # Each worker reads its supervisor: their number grows threefold, its square ninefold.
        assert 0 < large <= small * (LARGE - 1) / (SMALL - 1)
