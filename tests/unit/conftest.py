# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of tests of several subjects."""

from __future__ import annotations

import pytest
from servers.dify.server import EMAIL, PASSWORD


@pytest.fixture
def of_dify(run_module):
    """``of_dify("dify_models", server, {option: value}, check=False)`` -> Result of a module that speaks to the test Dify."""

    def run(name, server, options, *, check=False):
        server.strict_check = check
        server.log.clear()
        login = {"url": server.url, "email": EMAIL, "password": PASSWORD, "daemon_timeout": 0}
        given = {option: value for option, value in {**login, **options}.items() if value is not None}
        result = run_module(name, given, check=check)
        server.strict_check = False
        assert not server.violations, "a mutating request in check mode"
        return result

    return run


@pytest.fixture
def dify_models(of_dify):
    """``dify_models(server, [model, ...], check=False, **options)`` -> Result of the module."""

    def run(server, models, *, check=False, **options):
        return of_dify("dify_models", server, {"allow_loopback": True, "models": models, **options}, check=check)

    return run
