# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a server is, as others see it: pure."""

from __future__ import annotations

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._address import (
    host_problem,
    is_loopback,
    server_url,
    url_problem,
)


@pytest.mark.parametrize(
    ("bind", "names", "expected"),
    [
        ("10.1.2.3", ["gpu01", "10.9.9.9"], "http://10.1.2.3:9997"),
        ("127.0.0.1", ["gpu01", "10.9.9.9"], "http://127.0.0.1:9997"),
        ("xinference.example.com", ["gpu01", ""], "http://xinference.example.com:9997"),
        ("0.0.0.0", ["gpu01", "10.9.9.9"], "http://gpu01:9997"),
        ("0.0.0.0", ["localhost", "10.9.9.9"], "http://10.9.9.9:9997"),
        ("::", ["127.0.1.1", "10.9.9.9"], "http://10.9.9.9:9997"),
        ("0.0.0.0", ["::1", "fd00::1"], "http://[fd00::1]:9997"),
        ("0.0.0.0", ["localhost", ""], "http://localhost:9997"),
        ("0.0.0.0", ["", ""], "http://localhost:9997"),
        ("fd00::1", ["gpu01"], "http://[fd00::1]:9997"),
        ("[fd00::1]", ["gpu01"], "http://[fd00::1]:9997"),
    ],
)
def test_url_of_a_server(bind, names, expected):
    assert server_url(bind, 9997, names) == expected


@pytest.mark.parametrize(
    "host", ["gpu01", "10.1.2.3", "my_host", "a.b-c.example.com", "a.example.com.", "localhost", "1a", "3com.example"]
)
def test_a_host(host):
    assert host_problem(host) == ""


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "a;b",
        "$(id)",
        "a\nb",
        "-a",
        "a..b",
        "10.1.2",
        "10.1.2.300",
        "2130706433",
        "0x7f.1",
        "a.0x1",
        "::1",
        "a/b",
        "x" * 254,
    ],
)
def test_no_host(host):
    assert host_problem(host)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.1.2.3:9997",
        "https://gpu01.example.com",
        "http://gpu01:1/",
        "http://[fd00::1]:9997",
        "http://svc:hunter2@lan:1",
        "http://127.1:9997",
    ],
)
def test_the_url_of_a_server(url):
    assert url_problem(url) == ""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("10.1.2.3:9997", "must begin with http:// or https://"),
        ("gpu01", "must begin with http:// or https://"),
        ("", "must begin with http:// or https://"),
        ("ftp://gpu01", "must begin with http:// or https://"),
        ("file:///etc/passwd", "must begin with http:// or https://"),
        ("http://", "it has no host"),
        ("http:///x", "it has no host"),
        ("http://:9997", "it has no host"),
        ("http://gpu01:0", "a port is 1 to 65535"),
        ("http://gpu01:", "a port is 1 to 65535"),
        ("http://gpu01:65536", "its host or its port (1 to 65535) is invalid"),
        ("http://gpu01:http", "its host or its port (1 to 65535) is invalid"),
        ("http://[fd00::1:9997", "its host or its port (1 to 65535) is invalid"),
        ("http://gpu01:9997/v1", "ends in /v1"),
        ("http://gpu01:9997/v1/", "ends in /v1"),
        ("http://gpu01:9997/xinference", "remove everything after the port"),
        ("http://gpu01:9997/?a=1", "remove everything after the port"),
        ("http://gpu01:9997#x", "remove everything after the port"),
        ("http://gpu01:9997?", "remove everything after the port"),
        ("http://gpu 01:9997", "a space or a line break"),
        ("http://gpu01:9997\n", "a space or a line break"),
        ("http://167772161:9997", "not an IPv4 address"),
        ("http://0x0a.1:9997", "not an IPv4 address"),
        ("http://10.1.2:9997", "not an IPv4 address"),
        ("http://$(id):9997", "neither an IPv4 address nor a host name"),
        ("http://{{host}}:9997", "neither an IPv4 address nor a host name"),
    ],
)
def test_no_url_of_a_server(url, words):
    assert words in url_problem(url)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0x7f000001", "127.1", "017700000001", "0"])
def test_a_loopback_address_in_the_other_forms_that_a_resolver_takes(host):
    assert is_loopback(f"http://{host}:9997")


@pytest.mark.parametrize("url", ["http://[", "http://10.1.2:9997", "http://99999999999:1", "http://0xzz:1", ""])
def test_what_is_no_url_is_no_loopback_address(url):
    assert not is_loopback(url)
