# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network between the hosts of a cluster, as one of them sees it; nothing is changed. Private to the collection.

Reading: ``own_addresses``, ``source_address``, ``resolve``, ``reach``, ``time_synchronised``, ``ephemeral_range``.
Judging, pure: ``choose`` this host's address, ``judge`` what was read.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import itertools
import os
import queue
import resource
import selectors
import socket
import struct
import threading
import time
import typing as t
from collections import defaultdict
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file

IPV6_REASON = "Xinference joins address and port with a colon, so only IPv4 works"
# Documentation addresses (RFC 5737): connecting a datagram socket to one sends nothing, it only chooses the route.
SOMEWHERE = "192.0.2.1"
EPHEMERAL_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
RESOLVERS = 64

OPEN, REFUSED, FILTERED, UNREACHABLE, UNRESOLVED = "open", "refused", "filtered", "unreachable", "unresolved"
# Anything that the peer itself answers proves the way to it; a host or firewall on the way answers that there is none.
STATES = {
    0: OPEN,
    errno.ECONNREFUSED: REFUSED,
    errno.ECONNRESET: REFUSED,
    errno.ETIMEDOUT: FILTERED,
    errno.EACCES: FILTERED,
    errno.EPERM: FILTERED,
}


@dataclass(frozen=True)
class Meaning:
    """The meaning of an address or host name on this host.

    :ivar name: True for a host name, False for an address.  :ivar error: why it means nothing.
    """

    text: str
    name: bool = False
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    error: str = ""

    @property
    def address(self) -> str:
        return self.ipv4[0] if self.ipv4 else ""

    @property
    def stray_loopback(self) -> bool:
        """A name that was meant for the network and is loopback here, such as Debian's 127.0.1.1."""
        return self.name and self.text.lower() != "localhost" and is_loopback(self.address)


@dataclass(frozen=True)
class Peer:
    name: str
    meaning: Meaning
    ports: tuple[int, ...] = ()


def is_loopback(address: str) -> bool:
    return address.startswith("127.")


# Reading


def own_addresses() -> list[dict[str, str]]:
    """All IPv4 addresses of this host: ``{address, interface}``, in the kernel's order."""
    # netdevice(7): SIOCGIFCONF fills an array of struct ifreq, whose size depends on the width of a pointer.
    size = 16 + (24 if struct.calcsize("P") == 8 else 16)
    room = 64
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        while True:
            rows = array.array("B", bytes(room * size))
            request = struct.pack("iP", len(rows), rows.buffer_info()[0])
            length = struct.unpack("iP", fcntl.ioctl(any_socket.fileno(), 0x8912, request))[0]
            if length < len(rows):
                break
            room *= 2
    data = rows.tobytes()[:length]
    found = []
    for at in range(0, length, size):
        interface = data[at : at + 16].partition(b"\0")[0].decode(errors="replace")
        found.append({"address": socket.inet_ntoa(data[at + 20 : at + 24]), "interface": interface})
    return found


def source_address(target: str = SOMEWHERE) -> str:
    """This host's address on the way to another one; "" where there is no route. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def ephemeral_range() -> tuple[int, int]:
    """The ports that the kernel gives to whoever asks for any; Xinference's actors listen on such."""
    words = (read_file(EPHEMERAL_RANGE) or "").split()
    if len(words) != 2:
        raise ModelopsError(f"{EPHEMERAL_RANGE} cannot be read: a cluster's hosts must run Linux with /proc mounted.")
    return int(words[0]), int(words[1])


class _Timex(ctypes.Structure):
    """The head of struct timex, adjtimex(2), and room for the rest."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    ]


STA_UNSYNC = 0x40


def time_synchronised() -> bool | None:
    """Whether something keeps this host's clock right, as the kernel knows it; None where it may not be asked."""
    if os.path.exists("/run/systemd/timesync/synchronized"):
        return True
    timex = _Timex()  # modes 0: only read, which needs no root
    with contextlib.suppress(OSError, AttributeError):
        if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) >= 0:
            return not timex.status & STA_UNSYNC
    return None


def meaning_of(text: str) -> Meaning:
    """Asks the resolver, unless it is an address."""
    try:
        literal = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        pass
    else:
        return Meaning(text, ipv4=(text,)) if literal.version == 4 else Meaning(text, ipv6=(text,))
    try:
        found = socket.getaddrinfo(text, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        return Meaning(text, name=True, error=getattr(exc, "strerror", None) or str(exc))
    by_family = {
        family: tuple(dict.fromkeys(str(row[4][0]) for row in found if row[0] == family))
        for family in (socket.AF_INET, socket.AF_INET6)
    }
    return Meaning(text, True, by_family[socket.AF_INET], by_family[socket.AF_INET6])


def resolve(texts: t.Iterable[str], timeout: float) -> dict[str, Meaning]:
    """The meaning of each address, resolved in parallel; a resolver that is slower than ``timeout`` seconds has not answered."""
    wanted = list(dict.fromkeys(texts))
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    answers: queue.SimpleQueue[Meaning] = queue.SimpleQueue()
    for text in wanted:
        waiting.put(text)

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                answers.put(meaning_of(waiting.get_nowait()))

    # getaddrinfo cannot be interrupted, and a daemon is not waited for when the module ends.
    for _number in range(min(RESOLVERS, len(wanted))):
        threading.Thread(target=work, daemon=True).start()
    error = f"the resolver did not answer within {timeout:g} s"
    found = {text: Meaning(text, name=True, error=error) for text in wanted}
    deadline = time.monotonic() + timeout
    with contextlib.suppress(queue.Empty):
        for _text in wanted:
            answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            found[answer.text] = answer
    return found


def reach(targets: t.Iterable[tuple[str, int]], timeout: float) -> dict[tuple[str, int], str]:
    """Tries a TCP connection to each (IPv4, port), all at the same time; what came of each.

    More targets than this process may have files open wait for their turn.
    """
    waiting = iter(dict.fromkeys(targets))
    states: dict[tuple[str, int], str] = {}
    pending: dict[socket.socket, tuple[tuple[str, int], float]] = {}
    room = _open_files() - 64  # what Python itself needs
    with selectors.DefaultSelector() as selector:

        def end(connection: socket.socket, state: str) -> None:
            states[pending.pop(connection)[0]] = state
            selector.unregister(connection)
            connection.close()

        while True:
            for target in itertools.islice(waiting, room - len(pending)):
                connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                connection.setblocking(False)
                code = connection.connect_ex(target)
                if code == errno.EINPROGRESS:
                    pending[connection] = target, time.monotonic() + timeout
                    selector.register(connection, selectors.EVENT_WRITE)
                else:
                    states[target] = STATES.get(code, UNREACHABLE)
                    connection.close()
            if not pending:
                return states
            # They were started in this order, so the first one's time is over first.
            deadline = next(iter(pending.values()))[1]
            for key, _events in selector.select(max(0.0, deadline - time.monotonic())):
                connection = t.cast(socket.socket, key.fileobj)
                code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                end(connection, STATES.get(code, UNREACHABLE))
            now = time.monotonic()
            for connection in [item for item, (_target, until) in pending.items() if until <= now]:
                end(connection, FILTERED)


def _open_files() -> int:
    """The limit of open files of this process, after raising it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


# Judging


def parse_networks(texts: t.Iterable[str]) -> list[ipaddress.IPv4Network]:
    """:raises ModelopsError: one is not an IPv4 network."""
    found = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as exc:
            raise ModelopsError(f"networks: {text} is not a network ({exc}). Write it like 10.1.0.0/16.") from None
        if not isinstance(network, ipaddress.IPv4Network):
            raise ModelopsError(f"networks: {text} is IPv6, and {IPV6_REASON}. Give the hosts' IPv4 network.")
        found.append(network)
    return found


def alone(own: t.Collection[str], peers: t.Iterable[Peer]) -> bool:
    """Whether all known peers are this host, so that they share its loopback."""
    known = [peer.meaning for peer in peers if peer.meaning.address]
    return not any(peer.stray_loopback for peer in known) and all(
        is_loopback(peer.address) or peer.address in own for peer in known
    )


def usable(wanted: Meaning, own: t.Collection[str]) -> list[str]:
    """A name's addresses that belong to this host and that others can call."""
    return [address for address in wanted.ipv4 if address in own and not is_loopback(address)]


def choose(
    wanted: Meaning | None,
    networks: t.Sequence[ipaddress.IPv4Network],
    own: t.Sequence[str],
    route: str,
    peers: t.Sequence[Peer],
) -> tuple[str, str]:
    """This host's address in the cluster, and what is wrong with it: one of both is "".

    :param wanted: the address or host name that was asked for; None where there is none.
    :param own: this host's addresses.  :param route: its address on the way to the others.
    """
    others = ", ".join(address for address in own if not is_loopback(address)) or "none but loopback"
    have = f"(this host has {others})"
    if wanted is None and networks:
        for network in networks:
            for address in own:
                if ipaddress.IPv4Address(address) in network:
                    return address, ""
        text = ", ".join(map(str, networks))
        return "", f"no address of this host is in {text} {have}. Correct networks, or name the address."
    if wanted is None:
        if not route:
            return (
                "",
                f"it has neither a route to the other hosts nor a default route {have}. Name its address or its network.",
            )
        wanted = Meaning(route, ipv4=(route,))
    what = f"its address {wanted.text}"
    if wanted.error:
        return "", f"{what} does not resolve: {wanted.error}. Correct the name, or give the IPv4 address {have}."
    if not wanted.ipv4:
        return "", f"{what} is IPv6, and {IPV6_REASON}. Give an IPv4 address {have}."
    address = (usable(wanted, own) or wanted.ipv4)[0]
    is_what = f"{what} resolves to {address}, which" if wanted.name else f"{what}"
    if ipaddress.IPv4Address(address).is_unspecified:
        return (
            "",
            f"{what} is the wildcard address, which the other hosts cannot call. Give one address of this host {have}.",
        )
    if is_loopback(address):
        if not wanted.stray_loopback and alone(own, peers):
            return address, ""
        fix = f"Correct /etc/hosts or DNS for {wanted.text}, or give" if wanted.name else "Give"
        return (
            "",
            f"{is_what} means the machine itself, but other hosts must reach it. {fix} an address {have}.",
        )
    if address not in own:
        return "", (
            f"{is_what} is not an address of this host. It belongs to another host, is a floating IP or is behind NAT; "
            f"Xinference's actors bind to the address that they advertise, so it must be the host's own {have}."
        )
    return address, ""


def rows_of(peers: t.Iterable[Peer], states: t.Mapping[tuple[str, int], str]) -> list[dict[str, t.Any]]:
    """A row for each peer and port: ``{peer, address, port, state}``."""
    return [
        {
            "peer": peer.name,
            "address": peer.meaning.address,
            "port": port,
            "state": states[peer.meaning.address, port] if peer.meaning.address else UNRESOLVED,
        }
        for peer in peers
        for port in peer.ports
    ]


def judge(
    me: str,
    own: t.Collection[str],
    peers: t.Sequence[Peer],
    rows: t.Iterable[t.Mapping[str, t.Any]],
    timeout: float,
    about: t.Collection[str] | None = None,
) -> list[str]:
    """The problems between this host and each peer, one or two sentences each.

    :param peers: may contain this host itself, by its name.  :param about: the peers that are meant; None is all.
    """
    about = {peer.name for peer in peers} if about is None else about
    here = alone(own, [peer for peer in peers if peer.name != me])
    meant = [peer for peer in peers if peer.name in about]
    problems = [f"{me}: {text}" for peer in meant for text in [_wrong_address(me, own, peer, here)] if text]
    failed: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row["peer"] in about and row["state"] in (FILTERED, UNREACHABLE):
            failed[row["peer"], row["address"], row["state"]].append(str(row["port"]))
    for (peer, address, state), ports in failed.items():
        happened, advice = {
            FILTERED: (
                f"no answer within {timeout:g} s",
                f"Allow TCP from {me} through the firewalls of {peer} and between the two, and check that {peer} is up",
            ),
            UNREACHABLE: (
                "no route, or a firewall rejects it",
                f"Correct the route from {me}, the address of {peer}, or the firewall of {peer}",
            ),
        }[state]
        where = f"{'port' if len(ports) == 1 else 'ports'} {', '.join(ports)}"
        problems.append(f"{me} does not reach {peer} at {address}, TCP {where}: {happened}. {advice}.")
    return problems


def _wrong_address(me: str, own: t.Collection[str], peer: Peer, here: bool) -> str:
    """The problem of a peer's address.   :param here: all peers are this host."""
    meaning = peer.meaning
    what = f"the address of {peer.name}, {meaning.text},"
    if meaning.error:
        return f"{what} does not resolve: {meaning.error}. Add it to DNS or to /etc/hosts, or give an IPv4 address."
    if not meaning.ipv4:
        return f"{what} is IPv6, and {IPV6_REASON}. Give the IPv4 address of {peer.name}."
    is_what = f"resolves to {meaning.address}, which is" if meaning.name else "is"
    if is_loopback(meaning.address):
        # Debian gives a host its own name as 127.0.1.1; what counts is what that name means on the other hosts.
        if peer.name == me or (here and not meaning.stray_loopback):
            return ""
        return f"{what} {is_what} only {me} itself. Correct /etc/hosts or DNS, or give an IPv4 address of {peer.name}."
    if peer.name == me and meaning.address not in own:
        return (
            f"{what} {is_what} not an address of this host: the other hosts would call another host, or an address behind "
            f"NAT. Give one that it has ({', '.join(own)})."
        )
    return ""
