# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import (
    IndexSettings,
    parse_pip_config,
)

CONFIG = """\
:env:.cert='/etc/ssl/ca.pem'
:env:.default-timeout='180'
global.extra-index-url='https://one.example/simple https://two.example/simple'
global.find-links='/srv/wheels\\n/srv/more'
global.index-url='https://user:pass@mirror.example/simple'
global.no-index='false'
install.constraint='/etc/constraints.txt'
list.format='json'
"""


def test_pip_config_is_read_in_its_own_words():
    found = parse_pip_config(CONFIG)
    assert found.index_url == "https://user:pass@mirror.example/simple"
    assert found.extra_index_urls == ["https://one.example/simple", "https://two.example/simple"]
    assert found.find_links == ["/srv/wheels", "/srv/more"]
    assert found.constraints == ["-c /etc/constraints.txt"]
    assert found.ca_path == "/etc/ssl/ca.pem"
    assert found.timeout == 180
    assert found.no_index is False


def test_no_configuration_means_the_default_index():
    assert parse_pip_config("") == IndexSettings()
    assert IndexSettings().environment() == {}


def test_what_is_given_wins_over_pip(tmp_path, monkeypatch):
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://mirror.example/simple\nproxy = http://proxy.example:3128\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    for name in ("PIP_INDEX_URL", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    given = {"index_url": "https://given.example/simple", "find_links": None}
    found = IndexSettings.of_host(given, [sys.executable, "-m", "pip"])
    assert found.index_url == "https://given.example/simple"
    assert found.proxy == "http://proxy.example:3128"


def test_uv_gets_everything_through_variables():
    env = parse_pip_config(CONFIG).environment()
    assert env["UV_DEFAULT_INDEX"] == "https://user:pass@mirror.example/simple"
    assert env["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert env["UV_FIND_LINKS"] == "/srv/wheels,/srv/more"
    assert env["SSL_CERT_FILE"] == "/etc/ssl/ca.pem"
    assert env["UV_HTTP_TIMEOUT"] == "180"


def test_without_an_index_none_is_named():
    settings = IndexSettings(index_url="https://mirror.example/simple", find_links=["/srv/wheels"], no_index=True)
    assert "UV_DEFAULT_INDEX" not in settings.environment()
    assert settings.pip_environment()["PIP_NO_INDEX"] == "1"
    assert "PIP_INDEX_URL" not in settings.pip_environment()


def test_proxy_reaches_both():
    settings = IndexSettings(proxy="http://proxy.example:3128", no_proxy="10.0.0.0/8")
    for env in (settings.environment(), settings.pip_environment()):
        assert env["HTTPS_PROXY"] == "http://proxy.example:3128"
        assert env["NO_PROXY"] == "10.0.0.0/8"
