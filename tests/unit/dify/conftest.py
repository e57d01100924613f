# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace

import pytest
from servers.dify import PROFILES, DifyServer
from servers.dify.server import EMAIL, PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils import _connection
from ansible_collections.modelops.inference.plugins.module_utils._dify.session import DifySession

XINFERENCE = "http://127.0.0.1:19997"  # the test server's backend answers for it; nobody listens there
LOCKED_XINFERENCE = "http://127.0.0.1:19998"
KEY = "sk-xinf"

PROFILES_IN_ORDER = list(PROFILES)
NAMED = [version for version, profile in PROFILES.items() if profile.named]


@pytest.fixture(params=PROFILES_IN_ORDER)
def dify(request):
    """A set-up Dify of each recorded release."""
    with DifyServer(request.param) as server:
        yield server


@pytest.fixture
def newest():
    with DifyServer("1.16.0-rc1") as server:
        yield server


def model(**changed):
    return {
        "name": "my-llm",
        "type": "llm",
        "server_url": XINFERENCE,
        "model_uid": "qwen2.5-instruct",
        **changed,
    }


EMBEDDING = model(name="bge-m3", type="text-embedding", model_uid="bge-m3")


@pytest.fixture
def opened():
    """``opened(server, **options)`` -> DifySession, as a module opens it."""

    def run(server, *, check=False, **options):
        spec = _connection.DIFY_OPTIONS
        given = {"url": server.url, "email": EMAIL, "password": PASSWORD, "daemon_timeout": 0, **options}
        params = {name: given.get(name, option.get("default")) for name, option in spec.items()}
        return DifySession.open(SimpleNamespace(params=params, check_mode=check))

    return run
