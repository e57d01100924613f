# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests that a session really sends, independent of the process's environment."""

from __future__ import annotations

import types

import pytest
import requests
from requests.adapters import HTTPAdapter

from ansible_collections.modelops.inference.plugins.module_utils import _connection
from ansible_collections.modelops.inference.plugins.module_utils._session import Session

URL = "https://xinference.example.com:9997"


@pytest.fixture
def sent(monkeypatch, tmp_path):
    """``sent(**options)`` -> (request, transport options) of one GET; the environment is empty but for the test's."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    seen = []

    def send(self, request, **options):
        seen.append((request, options))
        response = requests.Response()
        response.status_code, response.url, response._content = 200, request.url, b"{}"
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)

    def get(**options):
        session = Session(URL, **options)
        session.headers["Authorization"] = "Bearer ours"
        session.get("/status")
        return seen[-1]

    return get


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "/environment.pem"),
        ({"ca_path": "/given.pem"}, "/given.pem"),
        ({"ca_path": "/given.pem", "proxy": ""}, "/given.pem"),
        ({"validate_certs": False}, False),
        ({"validate_certs": False, "ca_path": "/given.pem"}, False),
    ],
)
def test_what_certificates_are_checked_against(sent, monkeypatch, variable, options, expected):
    monkeypatch.setenv(variable, "/environment.pem")
    assert sent(**options)[1]["verify"] == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "http://environment:3128"),
        ({"ca_path": "/given.pem"}, "http://environment:3128"),
        ({"validate_certs": False}, "http://environment:3128"),
        ({"proxy": "http://given:3128"}, "http://given:3128"),
        ({"proxy": ""}, ""),
    ],
)
def test_which_proxy_is_used(sent, monkeypatch, options, expected):
    monkeypatch.setenv("HTTPS_PROXY", "http://environment:3128")
    monkeypatch.setenv("ALL_PROXY", "http://environment:3129")
    assert requests.utils.select_proxy(URL, sent(**options)[1]["proxies"]) == expected


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:9997", True),
        ("http://localhost:9997/x", True),
        ("http://192.0.2.1:9997", False),
        ("http://no-such-name.invalid", False),
        ("http://", False),
    ],
)
@pytest.mark.parametrize("given", [None, "http://given:3128"])
def test_requests_to_this_host_use_no_proxy_that_was_not_declared(monkeypatch, url, own, given):
    params = dict(ca_path=None, validate_certs=True, proxy=given, connect_timeout=1, request_timeout=1)
    module = types.SimpleNamespace(params=params, check_mode=False)
    monkeypatch.setenv("http_proxy", "http://environment:3128")
    made = _connection.session(module, url)
    expected = given if given else "" if own else None
    assert made._options.get("proxies", {}).get("http") == expected


def test_a_netrc_entry_does_not_replace_the_token(sent, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine xinference.example.com login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert sent()[0].headers["Authorization"] == "Bearer ours"
