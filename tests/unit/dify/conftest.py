# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace

import pytest
from dify_examples import PROFILES_IN_ORDER
from servers.dify import DifyServer
from servers.dify.server import EMAIL, PASSWORD

from ansible_collections.modelops.inference.plugins.module_utils import _connection
from ansible_collections.modelops.inference.plugins.module_utils._dify.api.session import DifySession


@pytest.fixture(params=PROFILES_IN_ORDER)
def dify(request):
    """A set-up Dify of each recorded release."""
    with DifyServer(request.param) as server:
        yield server


@pytest.fixture
def newest():
    with DifyServer("1.16.0-rc1") as server:
        yield server


@pytest.fixture
def opened():
    """``opened(server, **options)`` -> DifySession, as a module opens it."""

    def run(server, *, check=False, **options):
        spec = _connection.DIFY_OPTIONS
        given = {"url": server.url, "email": EMAIL, "password": PASSWORD, "daemon_timeout": 0, **options}
        params = {name: given.get(name, option.get("default")) for name, option in spec.items()}
        return DifySession.open(SimpleNamespace(params=params, check_mode=check))

    return run
