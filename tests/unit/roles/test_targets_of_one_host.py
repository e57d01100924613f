# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets that only one host of a run names, and not its first one."""

from __future__ import annotations

import json

from emulated import Hosts

MODELS = [{"uid": "vectors", "name": "bge-m3", "type": "embedding"}]
TARGET = {"name": "office", "url": "http://dify.example.com", "email": "ops@example.com", "password": "Orange-7-Kettle"}


def test_targets_of_a_host_that_is_not_the_first_of_the_play(tmp_path):
    hosts = {
        "first": {"xinference_models": MODELS},
        "second": {"xinference_models": MODELS, "xinference_host": "10.1.0.2", "dify_targets": [TARGET]},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"children": {"xinference_local": {"hosts": hosts}}}}))
    folder = tmp_path / "run"
    folder.mkdir()
    code, out = Hosts(folder, inventory).install()
    assert code == 0, out
    rows = [line.split()[:4] for line in out.splitlines() if line.startswith("office")]
    assert rows and all("vectors" in row for row in rows), out
