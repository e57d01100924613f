# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of servers, as other hosts use them. Pure. Private to the collection."""

from __future__ import annotations

import ipaddress
import re
import socket
import typing as t
from urllib.parse import urlsplit

#: Schemes of a proxy.
PROXIES = ("http", "https", "socks5", "socks5h", "socks4", "socks4a")
_NOBODYS = int(ipaddress.IPv4Address("224.0.0.0"))
# Binding to these is binding to every address of the host, so they name none.
_EVERY = ("0.0.0.0", "::", "*", "")


def is_loopback(url: str) -> bool:
    """True for an address that only means the machine (or container) itself."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:  # no URL at all
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        # The system's resolver takes 127.0.0.1 as 2130706433 and 0x7f.1, too.
        address = ipaddress.ip_address(socket.inet_aton(host) if numeric(host) else host)
    except (OSError, ValueError):
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any(item.is_loopback or item.is_unspecified for item in (address, mapped) if item is not None)


def numeric(host: str) -> bool:
    """Whether a host is read as an IPv4 address, in any of the forms that a resolver takes; a name never ends in a number."""
    last = host.rstrip(".").rpartition(".")[2]
    return ":" not in host and re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", last) is not None


def host_problem(host: str) -> str:
    """The problem of a host (an IPv4 address or a name); empty for none."""
    if numeric(host):
        try:
            address = ipaddress.IPv4Address(host)
        except ValueError:
            return "is not an IPv4 address; write four numbers, such as 10.1.2.3"
        # Of multicast, of no use yet, or everybody's.
        return (
            "is an IPv4 address that no host can have; write the host's own address" if int(address) >= _NOBODYS else ""
        )
    labels = (host[:-1] if host.endswith(".") else host).split(".")
    if len(host) > 253 or not all(re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", label) for label in labels):
        return "is neither an IPv4 address nor a host name"
    return ""


def url_problem(url: str) -> str:
    """The problem of a server's URL (scheme, host and port, and nothing after them); empty for none.

    The text never holds the URL, which may hold a login.
    """
    problem = address_problem(url, example="http://10.1.2.3:9997")
    if problem:
        return problem
    parts = urlsplit(url)
    if parts.path.rstrip("/").endswith("/v1"):
        return "ends in /v1, which Dify adds itself; leave it out"
    if parts.path.strip("/") or parts.query or parts.fragment or "?" in url or "#" in url:
        return "must be an address such as http://10.1.2.3:9997: remove everything after the port"
    return ""


def address_problem(
    url: str, schemes: t.Sequence[str] = ("http", "https"), example: str = "https://host.example/path"
) -> str:
    """The problem of a URL's scheme, host and port; empty for none.

    The text never holds the URL, which may hold a login.

    :param schemes: that it may have.
    """
    no_address = f"is not an address such as {example}"
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return f"contains a space or a line break, so it {no_address}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError:  # a bracket that is not closed, a port that is none
        return f"{no_address}: its host or its port (1 to 65535) is invalid"
    if parts.scheme not in schemes or not re.match("[^:]*://", url):
        words = [f"{scheme}://" for scheme in schemes]
        return f"{no_address}: it must begin with {', '.join(words[:-1])}{' or ' * (len(words) > 1)}{words[-1]}"
    if not host:
        return f"{no_address}: it has no host"
    if port is not None and not 0 < port < 65536 or parts.netloc.endswith(":"):
        return f"{no_address}: a port is 1 to 65535"
    problem = _ipv6_problem(host) if ":" in host else host_problem(host)
    # A loopback address is refused as that, in whatever form, where it is not allowed.
    return f"{no_address}: its host {problem}" if problem and not is_loopback(url) else ""


def login_problem(url: str) -> str:
    """The problem of a login in a server's URL; empty for none."""
    return "contains a login, which everybody who sees the model in Dify can read. Remove it" if "@" in url else ""


def _ipv6_problem(host: str) -> str:
    try:
        ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return "is not an IPv6 address"
    return ""


def server_url(bind: str, port: int | str, names: t.Sequence[str]) -> str:
    """The URL of a server as other machines call it.

    :param bind: the address that it listens on; 0.0.0.0 and :: are every address of its host.
    :param names: what else its host is known by, best first; empty ones do not count.
    :returns: by ``bind`` where that names an address, else by the first name that means more than the machine itself,
        else by any.
    """
    hosts = [bind] if bind not in _EVERY else [name for name in names if name] or ["localhost"]
    urls = [f"http://{_bracketed(host)}:{port}" for host in hosts]
    return next((url for url in urls if not is_loopback(url)), urls[0])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
