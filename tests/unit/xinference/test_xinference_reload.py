# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A supervisor or an API that replaces its own process, as the server's answers tell it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from servers.xinference import PASSWORD, XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import releases
from ansible_collections.modelops.inference.plugins.modules import xinference_reload


class Server:
    """Answers the begin of a relaunch, and then each look at it, from a list; an exception is raised."""

    endpoint = "http://s:9997"

    def __init__(self, begins, looks=()):
        self.begins, self.looks, self.asked = list(begins), list(looks), []

    def post(self, path, json, expect):
        self.asked.append(path)
        status = self.begins.pop(0)
        return SimpleNamespace(
            status=status, detail="busy", json={"operation_id": "o", "status": "starting", "source_pid": 1}
        )

    def get(self, path):
        self.asked.append(path)
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return SimpleNamespace(json={"operation_id": "o", "source_pid": 1, "target_pid": 2, **look})


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(xinference_reload, "PAUSE", 0.01)


def test_it_waits_until_the_old_process_has_ended_though_the_api_is_away_for_a_moment():
    server = Server([409, 202], [{"status": "switching"}, Unreachable("gone", sent=False), {"status": "succeeded"}])
    done = xinference_reload.reload(server, "api", 5)
    assert (done["status"], done["source_pid"], done["target_pid"]) == ("succeeded", 1, 2)
    assert server.asked == ["/v1/api/relaunch"] * 2 + ["/v1/api-relaunches/o"] * 3


def test_one_that_failed_says_why_and_that_the_old_one_goes_on():
    server = Server([202], [{"status": "failed", "error": "no memory"}])
    with pytest.raises(ModelopsError, match="the supervisor was not replaced, and the old one continues: no memory"):
        xinference_reload.reload(server, "supervisor", 5)


def test_a_server_that_is_busy_for_too_long_is_named():
    with pytest.raises(ModelopsError, match="s:9997: the supervisor cannot be replaced now: busy"):
        xinference_reload.reload(Server([409] * 99), "supervisor", 0.05)


def test_only_releases_since_4_1_can():
    assert [releases.relaunches(version) for version in ("3.5.0", "4.0.1", "4.1.0", "5.0")] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.each_core("xinference_reload")
def test_check_mode_asks_only_for_the_release(run_module):
    options = {"password": PASSWORD, "parts": ["api"]}
    with XinferenceServer("4.1.0") as server:
        result = run_module("xinference_reload", {"endpoint": server.url, **options}, check=True)
        assert result.changed and result["plan"] == ["~ reload api"] and server.changes() == []
    with XinferenceServer("2.12.0") as server:
        result = run_module("xinference_reload", {"endpoint": server.url, **options})
        assert result.failed and "cannot replace its own processes" in result["msg"] and server.changes() == []
