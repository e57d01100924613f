# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from weights_server import FileServer

from ansible_collections.modelops.inference.plugins.module_utils._host.weights import download


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between attempts, not waited for."""
    taken = []
    monkeypatch.setattr(download, "pause", taken.append)
    return taken
