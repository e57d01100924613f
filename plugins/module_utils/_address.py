# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a server is, as others see it. Pure. Private to the collection."""

from __future__ import annotations

import ipaddress
import typing as t
from urllib.parse import urlsplit

# Binding to these is binding to every address of the host, so they name none.
_EVERY = ("0.0.0.0", "::", "*", "")


def is_loopback(url: str) -> bool:
    """True for an address that only means the machine (or container) itself."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost") or host.startswith("127."):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any(item.is_loopback or item.is_unspecified for item in (address, mapped) if item is not None)


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
