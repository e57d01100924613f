# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of several subjects share."""

from __future__ import annotations

import pytest
from servers.dify.server import EMAIL, PASSWORD


@pytest.fixture
def dify_models(run_module):
    """``dify_models(server, [model, ...], check=False, **options)`` -> Result of the module."""

    def run(server, models, *, check=False, **options):
        server.strict_check = check
        server.log.clear()
        params = {"url": server.url, "email": EMAIL, "password": PASSWORD, "daemon_timeout": 0, "allow_loopback": True}
        params = {**params, "models": models, **options}
        given = {name: value for name, value in params.items() if value is not None}
        result = run_module("dify_models", given, check=check)
        server.strict_check = False
        assert not server.violations, "a mutating request in check mode"
        return result

    return run
