# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a host of a cluster needs, whom its firewall lets in, and what is refused of the others: pure."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._site.peers import Peers

HOSTS = [
    {"name": "s", "address": "10.1.0.1", "ports": [9997, 9999]},
    {"name": "w", "address": "w.example", "ports": [9998]},
    {"name": "gone", "address": "gone.example", "ports": [9998]},
]
RESOLVED = {"s": "10.1.0.1", "w": "10.1.0.2", "gone": "10.1.0.3"}


def peers(binds=("s", "w"), play_hosts=("s", "w"), **resolved):
    told = {name: RESOLVED[name] for name in binds} if isinstance(binds, tuple) else binds
    return Peers("w", "two", HOSTS, "s", told, play_hosts, {**RESOLVED, **resolved})


@pytest.mark.parametrize(
    ("known", "needed"),
    [
        (peers(), ["s", "w"]),
        # A supervisor of another run serves, and so it is needed; a worker may be down.
        (peers(("w",), ("w",)), ["s", "w"]),
        # One that this run did not reach is no reason to stop.
        (peers(("w",), ("s", "w")), ["w"]),
        (peers(("s", "w", "gone"), ("s", "w", "gone")), ["s", "w", "gone"]),
    ],
)
def test_whom_a_host_needs(known, needed):
    assert [row["name"] for row in known.asked() if row["needed"]] == needed
    assert [row["name"] for row in known.asked()][: len(needed)] == needed
    assert {row["name"]: row["ports"] for row in known.asked()} == {row["name"]: row["ports"] for row in HOSTS}
    assert not any(row["ports"] for row in known.asked(ports=False))


def test_what_a_host_tells_itself_counts_more_than_its_name():
    known = peers({"s": "10.1.0.9", "w": "10.1.0.2"}, w="127.0.1.1", gone="")
    assert known.addresses == {"s": "10.1.0.9", "w": "10.1.0.2", "gone": ""}
    assert known.let_in == ["10.1.0.2", "10.1.0.9"]
    assert peers(("w",), s="127.0.0.1", gone="").let_in == ["10.1.0.2"]


def test_an_address_that_others_know_by_another_is_refused():
    assert peers().other_address() == ""
    # A host's own name may be loopback on the host itself.
    assert peers(w="127.0.1.1").other_address() == ""
    assert peers({"s": "10.2.0.1", "w": "10.1.0.2"}).other_address() == (
        "w would reach s at 10.1.0.1, by xinference_host, ansible_host or its name, but the address announced to "
        "cluster two is s at 10.2.0.1. Set xinference_host of that host to an address that both can use. Nothing was changed on w."
    )
    assert "w would reach w at 10.1.0.2" in peers({"s": "10.1.0.1", "w": "10.2.0.2"}).other_address()
    # Who is not in the run tells nothing.
    assert peers(("w",), s="10.9.9.9").other_address() == ""


@pytest.mark.parametrize(
    ("known", "bind", "names"),
    [
        (peers(), "10.1.0.2", ""),
        (peers(gone=""), "10.1.0.2", "gone"),
        (peers(gone="127.0.1.1"), "10.1.0.2", "gone"),
        (peers(gone="", s=""), "10.1.0.2", "gone"),
        (peers(("w",), s="", gone=""), "10.1.0.2", "s, gone"),
        # All of them on one host.
        (peers({"s": "127.0.0.1", "w": "127.0.0.1"}, gone="127.0.0.1"), "127.0.0.1", ""),
        (peers(w=""), "10.1.0.2", ""),
    ],
)
def test_no_firewall_is_closed_to_a_host_whose_name_means_nothing_just_now(known, bind, names):
    refused = known.closed(bind)
    assert refused.startswith(f"w (cluster two): the address of {names} is unknown, so the") if names else refused == ""


def test_who_is_not_in_the_run_is_told_behind_a_firewall():
    assert peers().behind([]) == ""
    assert (
        peers()
        .behind(["w: it.", "w: that."])
        .startswith("w (cluster two), behind its firewall: w: it. w: that. Not in this run: gone. ")
    )
    everybody = peers(play_hosts=("s", "w", "gone"))
    assert everybody.behind(["w: it."]) == "w (cluster two), behind its firewall: w: it."
