# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network of a cluster from one host: judging by tables, reaching with real sockets on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system import network
from ansible_collections.modelops.inference.plugins.module_utils._host.system.network import Meaning, Peer

OWN = ["127.0.0.1", "203.0.113.5", "10.1.0.5", "10.2.0.5"]


def ip(address):
    return Meaning(address, ipv4=(address,))


def name(text, *addresses, ipv6=()):
    return Meaning(text, name=True, ipv4=addresses, ipv6=ipv6)


ELSEWHERE = [Peer("w2", ip("10.1.0.6"))]


@pytest.mark.parametrize(
    ("wanted", "networks", "peers", "chosen"),
    [
        (None, [], ELSEWHERE, "10.1.0.5"),  # by the route
        (None, ["10.2.0.0/16"], ELSEWHERE, "10.2.0.5"),
        (None, ["192.168.0.0/16", "10.0.0.0/8"], ELSEWHERE, "10.1.0.5"),
        (ip("10.2.0.5"), ["10.1.0.0/16"], ELSEWHERE, "10.2.0.5"),
        (name("w1", "10.1.0.5"), [], ELSEWHERE, "10.1.0.5"),
        (name("w1", "10.9.0.1", "10.1.0.5"), [], ELSEWHERE, "10.1.0.5"),
        (name("w1", "127.0.1.1", "10.1.0.5"), [], ELSEWHERE, "10.1.0.5"),
        (ip("127.0.0.1"), [], [], "127.0.0.1"),
        (ip("127.0.0.1"), [], [Peer("w2", ip("127.0.0.1")), Peer("w3", ip("10.1.0.5"))], "127.0.0.1"),
        (name("localhost", "127.0.0.1"), [], [Peer("w2", name("localhost", "127.0.0.1"))], "127.0.0.1"),
    ],
)
def test_an_address_is_chosen(wanted, networks, peers, chosen):
    assert network.choose(wanted, network.parse_networks(networks), OWN, "10.1.0.5", peers) == (chosen, "")


@pytest.mark.parametrize(
    ("wanted", "networks", "route", "reasons"),
    [
        (None, ["192.168.0.0/16"], "10.1.0.5", ["192.168.0.0/16", "203.0.113.5, 10.1.0.5"]),
        (None, [], "", ["neither a route"]),
        (ip("10.1.0.77"), [], "", ["10.1.0.77 is not an address of this host", "NAT", "bind to the address"]),
        (name("w1", "10.1.0.77"), [], "", ["w1 resolves to 10.1.0.77", "belongs to another host"]),
        (name("w1", "127.0.1.1"), [], "", ["w1 resolves to 127.0.1.1", "means the machine itself", "/etc/hosts"]),
        (ip("127.0.0.1"), [], "", ["means the machine itself"]),
        (ip("0.0.0.0"), [], "", ["the wildcard address"]),
        (Meaning("fd00::5", ipv6=("fd00::5",)), [], "", ["fd00::5 is IPv6", "colon"]),
        (name("w1", ipv6=("fd00::5",)), [], "", ["IPv6"]),
        (Meaning("w1", name=True, error="Name or service not known"), [], "", ["w1 does not resolve: Name or service"]),
    ],
)
def test_an_address_that_cannot_be_is_refused_with_the_reason(wanted, networks, route, reasons):
    address, problem = network.choose(wanted, network.parse_networks(networks), OWN, route, ELSEWHERE)
    assert address == "" and all(reason in problem for reason in reasons), problem


def test_a_name_that_is_loopback_is_refused_even_where_all_peers_are_this_host():
    address, problem = network.choose(name("w1", "127.0.1.1"), [], OWN, "", [])
    assert address == "" and "127.0.1.1" in problem


@pytest.mark.parametrize("text", ["10.1.0.0/33", "lan", "10.1.0.5/16", "fd00::/8"])
def test_a_network_that_is_none_is_refused(text):
    with pytest.raises(ModelopsError, match=text.split("/")[0]):
        network.parse_networks([text])


@pytest.mark.parametrize(
    ("peer", "reasons"),
    [
        (Peer("w2", ip("10.1.0.6")), []),
        (Peer("w2", name("w2", "127.0.1.1")), ["w1: the address of w2", "127.0.1.1", "only w1 itself"]),
        (Peer("w2", ip("127.0.0.1")), ["only w1 itself"]),
        (Peer("w2", Meaning("fd00::6", ipv6=("fd00::6",))), ["w2, fd00::6, is IPv6"]),
        (Peer("w2", Meaning("w2", True, error="unknown")), ["w2, w2, does not resolve: unknown", "DNS"]),
        (Peer("w1", ip("10.1.0.99")), ["not an address of this host", "NAT"]),
        # Debian's own name, which other hosts read elsewhere.
        (Peer("w1", name("w1", "127.0.1.1")), []),
        (Peer("w1", ip("10.1.0.5")), []),
    ],
)
def test_a_peer_s_address_is_judged(peer, reasons):
    problems = network.judge("w1", OWN, [peer, Peer("w3", ip("10.1.0.7"))], [], 3)
    assert len(problems) == bool(reasons) and all(reason in problems[0] for reason in reasons), problems


def test_what_is_not_reached_names_the_pair_and_the_ports():
    peers = [
        Peer("w2", ip("10.1.0.6"), (9999, 30001, 30002)),
        Peer("w3", ip("10.1.0.7"), (9999,)),
        Peer("w4", name("x")),
    ]
    states = {
        ("10.1.0.6", 9999): "open",
        ("10.1.0.6", 30001): "filtered",
        ("10.1.0.6", 30002): "filtered",
        ("10.1.0.7", 9999): "unreachable",
    }
    rows = network.rows_of(peers, states)
    assert rows[0] == {"peer": "w2", "address": "10.1.0.6", "port": 9999, "state": "open"}
    two, three = network.judge("w1", OWN, peers[:2], rows, 3)
    assert two.startswith("w1 does not reach w2 at 10.1.0.6, TCP ports 30001, 30002: no answer within 3 s.")
    assert three.startswith("w1 does not reach w3 at 10.1.0.7, TCP port 9999: no route")
    assert network.judge("w1", OWN, peers[:2], [{**row, "state": "refused"} for row in rows], 3) == []


def test_a_peer_without_an_address_is_unresolved():
    assert network.rows_of([Peer("w4", name("x"), (1,))], {}) == [
        {"peer": "w4", "address": "", "port": 1, "state": "unresolved"}
    ]


# Real sockets


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed():
    with socket.socket() as server:
        # Bound and not listening: it refuses, and nobody else can take it.
        server.bind(("127.0.0.1", 0))
        yield server.getsockname()[1]


@pytest.fixture
def silent():
    """A port whose backlog is full: the kernel drops what opens a further connection, as a firewall does."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("0.0.0.0", 0))  # so that it is the same for each address of loopback
        server.listen(0)
        for _number in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", server.getsockname()[1]))
        yield server.getsockname()[1]


def test_open_refused_and_filtered(listening, closed, silent):
    targets = [("127.0.0.1", port) for port in (listening, closed, silent)]
    started = time.monotonic()
    assert list(network.reach([*targets, *targets], 0.4).items()) == [
        (targets[0], "open"),
        (targets[1], "refused"),
        (targets[2], "filtered"),
    ]
    assert 0.3 < time.monotonic() - started < 2


def test_no_route_is_unreachable():
    # TCP to a multicast address: the kernel refuses it as it does where there is no route, and sends nothing.
    assert network.reach([("224.0.0.1", 9)], 1) == {("224.0.0.1", 9): "unreachable"}


def test_two_hundred_silent_peers_take_one_timeout(silent):
    targets = [(f"127.0.{high}.{low}", silent) for high in range(2) for low in range(1, 101)]
    started = time.monotonic()
    states = network.reach(targets, 0.5)
    assert states == dict.fromkeys(targets, "filtered")
    assert time.monotonic() - started < 2


def test_more_peers_than_files_wait_for_their_turn(monkeypatch, listening):
    monkeypatch.setattr(network, "_open_files", lambda: 64 + 3)
    targets = [(f"127.0.0.{low}", port) for low in range(1, 6) for port in (listening, 1)]
    states = network.reach(targets, 1)
    assert set(states) == set(targets) and states["127.0.0.1", listening] == "open"


def test_names_are_asked_at_the_same_time_and_no_longer_than_the_timeout(monkeypatch):
    never = threading.Event()

    def getaddrinfo(text, *_args, **_kwargs):
        if text.startswith("slow"):
            never.wait(5)
        if text == "nowhere":
            raise socket.gaierror(-2, "Name or service not known")
        rows = [(socket.AF_INET6, 1, 6, "", ("fd00::1", 0, 0, 0)), (socket.AF_INET, 1, 6, "", ("10.1.0.6", 0))]
        return rows[:1] if text == "six" else rows

    monkeypatch.setattr(network.socket, "getaddrinfo", getaddrinfo)
    started = time.monotonic()
    found = network.resolve(["w2", "10.1.0.7", "nowhere", "six", "fd00::9", *(f"slow{at}" for at in range(20))], 0.3)
    assert time.monotonic() - started < 2
    never.set()
    assert found["w2"] == name("w2", "10.1.0.6", ipv6=("fd00::1",)) and found["10.1.0.7"] == ip("10.1.0.7")
    assert found["nowhere"].error == "Name or service not known" and found["slow3"].error.endswith("within 0.3 s")
    assert not found["six"].ipv4 and found["six"].ipv6 and found["fd00::9"].ipv6 == ("fd00::9",)


def test_this_machine_is_read():
    rows = network.own_addresses()
    assert {"address": "127.0.0.1", "interface": "lo"} in rows
    assert network.source_address("127.0.0.1") == "127.0.0.1"
    low, high = network.ephemeral_range()
    assert 0 < low < high < 65536
    assert network.time_synchronised() in (True, False, None)


# The module


@pytest.mark.each_core("xinference_network_info")
def test_the_module_reads_and_changes_nothing(run_module, listening, closed):
    params = {
        "name": "w1",
        "address": "127.0.0.1",
        "peers": [{"name": "w1", "address": "127.0.0.1", "ports": [listening, closed]}],
    }
    result = run_module("xinference_network_info", params)
    assert not result.failed and not result.changed and result["problems"] == [] and result["address"] == "127.0.0.1"
    assert [row["state"] for row in result["reached"]] == ["open", "refused"] and result["resolved"] == {
        "w1": "127.0.0.1"
    }
    assert abs(result["now"] - time.time()) < 5 and 0 <= result["seconds"] < 5
    assert result["firewall"] in ("firewalld", "ufw", "nftables", "none")
    again = run_module("xinference_network_info", params, check=True)
    assert again["reached"] == result["reached"]


def test_the_module_returns_problems(run_module, silent):
    peers = [{"name": "sup", "address": "127.0.0.1", "ports": [silent]}]
    result = run_module("xinference_network_info", {"address": "192.0.2.9", "peers": peers, "timeout": 0.3})
    assert not result.failed and result["address"] == ""
    assert "this host: its address 192.0.2.9 is not an address of this host" in result["problems"][0]
    assert f"this host does not reach sup at 127.0.0.1, TCP port {silent}" in result["problems"][1]


def test_a_port_that_is_none_is_refused(run_module):
    result = run_module(
        "xinference_network_info", {"peers": [{"name": "sup", "address": "127.0.0.1", "ports": [70000]}]}
    )
    assert result.failed and "sup: 70000" in result["msg"]


# A host that is read: no port is asked.


def read(run_module, path, own, peers):
    options = dict(path=path, home=path, models_dir=path, host=own)
    return run_module("xinference_host_info", {**options, "network": {"name": "w1", "peers": peers}})["network"]


def test_a_reading_tells_what_the_names_of_the_cluster_mean(run_module, tmp_path):
    own = network.source_address()
    peers = [{"name": "w1", "address": own}, {"name": "w2", "address": "192.0.2.9"}]
    found = read(run_module, str(tmp_path), own, peers)
    assert found == {"resolved": {"w1": own, "w2": "192.0.2.9"}, "problems": {}}


def test_a_reading_tells_what_is_wrong_with_each_host(run_module, tmp_path):
    own = network.source_address()
    peers = [
        {"name": "w1", "address": "192.0.2.8"},
        {"name": "w2", "address": "fd00::9"},
        {"name": "w3", "address": "192.0.2.9"},
        {"name": "w4", "address": "127.0.0.1"},
    ]
    found = read(run_module, str(tmp_path), own, peers)
    same = run_module("xinference_network_info", {"name": "w1", "address": own, "peers": peers})
    assert found["resolved"] == same["resolved"] and list(found["problems"].values()) == same["problems"]
    assert sorted(found["problems"]) == ["w1", "w2", "w4"] and "not an address of this host" in found["problems"]["w1"]


def test_a_reading_without_an_address_leaves_that_to_where_the_host_binds(run_module, tmp_path):
    options = dict(path=str(tmp_path), home=str(tmp_path), models_dir=str(tmp_path), host="192.0.2.8")
    found = run_module("xinference_host_info", {**options, "network": {"name": "w1"}})
    assert found["network"] == {"resolved": {}, "problems": {}} and "192.0.2.8" in found["bind"]["why_not"]
