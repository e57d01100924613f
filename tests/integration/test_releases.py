# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What releases before 3.0 answer otherwise: the way of both demo models on each of them, in one order.

They have no authentication by default, one replica count for a model's life, other names of replicas, and of 1.x no
autostart; their launches take longer.
"""

from __future__ import annotations

import pytest
from real_server import OLD, row

from ansible_collections.modelops.inference.plugins.module_utils import _session


@pytest.fixture(scope="module", params=OLD)
def server(request, start):
    started = start(request.param)
    started.wait()
    yield started
    started.stop()


@pytest.fixture
def claimed(server):
    """Nobody claims a server without authentication."""
    return server


def test_both_models_are_launched_and_serve(server, apply, models):
    predicted = apply(models, check=True)
    assert not predicted.failed, predicted["msg"]
    result = apply(models)
    assert not result.failed, result["msg"]
    assert result["version"] == server.version
    assert result["plan"] == predicted["plan"]
    assert [m["state"] for m in result["models"]] == ["ready", "ready"]
    assert row(result, "gemma3-270m")["proof"]["kind"] == "chat"
    assert row(result, "minilm")["proof"]["detail"] == "384 dimensions"


def test_a_second_run_changes_nothing(apply, models):
    for check in (False, True):
        result = apply(models, check=check)
        assert not result.failed, result["msg"]
        assert not result.changed and result["plan"] == []
