# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refusals between the hosts of a cluster before any change, run by ansible-playbook."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import emulated
import pytest

PLAYBOOKS = Path(__file__).parent / "playbooks"
# This machine.
HERE = {"xinference_host": "127.0.0.1"}


def port_of(number):
    return {
        "xinference_worker_port": 1 + number,
        "xinference_port": 11 + number,
        "xinference_supervisor_port": 21 + number,
    }


@pytest.fixture
def play(tmp_path):
    """``play(supervisors, workers)`` -> (return code, output on one line, what each host found); variables by host."""

    def run(supervisors, workers, *options):
        for number, variables in enumerate({**workers, **supervisors}.values()):
            variables.update({**port_of(number), "probed": {"bind": {"address": "127.0.0.1"}}, **variables})
        inventory = tmp_path / "hosts.json"
        groups = {"xinference_supervisors": {"hosts": supervisors}, "xinference_workers": {"hosts": workers}}
        inventory.write_text(json.dumps(groups))
        common = {"outcome": str(tmp_path), "ansible_python_interpreter": sys.executable}
        words = ["-i", inventory, "-c", "local", "-e", json.dumps(common), PLAYBOOKS / "network.yml", *options]
        done = emulated.play(*words)
        found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json") if path != inventory}
        return done.returncode, " ".join((done.stdout + done.stderr).split()), found

    return run


@pytest.mark.each_core("xinference_peers")
def test_two_clusters_and_a_host_that_is_both(play):
    supervisors = {"a": {**HERE, "xinference_cluster": "one"}, "b": {**HERE, "xinference_cluster": "two"}}
    workers = {"a": {}, "a1": {**HERE, "xinference_cluster": "one"}, "b1": {**HERE, "xinference_cluster": "two"}}
    code, output, found = play(supervisors, workers)
    assert code == 0, output
    assert {host: set(row["addresses"]) for host, row in found.items()} == {
        "a": {"a", "a1"},
        "a1": {"a", "a1"},
        "b": {"b", "b1"},
        "b1": {"b", "b1"},
    }


#: Worker: its variables, and what is said of it.
WRONG = {
    "abroad": (
        {"ansible_host": "203.0.113.9"},
        "abroad: the address of abroad, 203.0.113.9, is not an address of this host: the other",
    ),
    "ipv6": (
        {"ansible_host": "fd00::5"},
        "the address of ipv6, fd00::5, is IPv6, and Xinference joins address and port with a colon",
    ),
    "nameless": (
        {"ansible_host": "no-such-host.invalid"},
        "the address of nameless, no-such-host.invalid, does not resolve",
    ),
    # Of several addresses it tells one, and the others know it by another.
    "several": (
        {"ansible_host": "127.0.0.1", "probed": {"bind": {"address": "127.0.0.2"}}},
        "s-several would reach several at 127.0.0.1, by xinference_host, ansible_host or its name, but the address announced to cluster "
        "several is several at 127.0.0.2. Set xinference_host",
    ),
}


def test_an_address_that_cannot_be_is_refused_with_the_reason(play):
    supervisors = {f"s-{name}": {**HERE, "xinference_cluster": name} for name in WRONG}
    workers = {name: {**variables, "xinference_cluster": name} for name, (variables, _words) in WRONG.items()}
    code, output, _found = play(supervisors, workers)
    assert code != 0
    for _variables, words in WRONG.values():
        assert words in output, output
