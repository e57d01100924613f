# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets that only some hosts of a run name."""

from __future__ import annotations

import json

from emulated import Hosts

MODELS = [{"uid": "vectors", "name": "bge-m3", "type": "embedding"}]
TARGET = {"name": "office", "url": "http://dify.example.com", "email": "ops@example.com", "password": "Orange-7-Kettle"}


def installed(folder, hosts):
    """The output of a first run on standalone servers."""
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"all": {"children": {"xinference_local": {"hosts": hosts}}}}))
    (folder / "run").mkdir()
    code, out = Hosts(folder / "run", inventory).install()
    assert code == 0, out
    return out


def test_targets_of_a_host_that_is_not_the_first_of_the_play(tmp_path):
    hosts = {
        "first": {"xinference_models": MODELS},
        "second": {"xinference_models": MODELS, "xinference_host": "10.1.0.2", "dify_targets": [TARGET]},
    }
    out = installed(tmp_path, hosts)
    rows = [line.split()[:4] for line in out.splitlines() if line.startswith("office")]
    assert rows and all("vectors" in row for row in rows), out


def test_hosts_that_name_different_targets(tmp_path):
    """Each Dify gets the models of the hosts that name it."""
    lab = {**TARGET, "name": "lab", "url": "http://lab.example.com"}
    other = [{**MODELS[0], "uid": "words"}]
    hosts = {
        "first": {"xinference_models": other, "xinference_host": "10.1.0.1", "dify_targets": [TARGET]},
        "second": {"xinference_models": MODELS, "xinference_host": "10.1.0.2", "dify_targets": [lab]},
    }
    out = installed(tmp_path, hosts)
    rows = [line.split() for line in out.splitlines()]
    told = {
        (row[0], word) for row in rows for word in ("vectors", "words") if word in row and row[0] in ("office", "lab")
    }
    assert told == {("office", "words"), ("lab", "vectors")}, out
