# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a worker was upgraded its cluster's models serve: against the test server; no service is installed on the hosts."""

from __future__ import annotations

import json
import sys

import emulated
import pytest
import yaml
from servers.xinference import PASSWORD, XinferenceServer

SECOND, THIRD = "127.0.0.2:9998", "127.0.0.3:9998"
EMBEDDING = {"name": "bge-m3", "type": "embedding", "engine": "sentence_transformers"}


@pytest.fixture
def server():
    with XinferenceServer("4.1.0", workers=(SECOND,)) as server:
        yield server


@pytest.fixture
def watched(server, tmp_path, installed):
    """``watched(supervisors={...}, workers={...})``: tasks watch_models.yml of the worker gpu2, and what they said.

    The worker gpu3 is drained. There is no service, which is what the last task fails for.
    """

    role = "ansible.builtin.include_role"
    tasks = [
        {role: {"name": "modelops.inference.xinference", "tasks_from": "preflight"}},
        {"modelops.inference.host_plan": {"in_role": True}, "register": "xinference_found"},
        {"modelops.inference.host_step": {"step": "worker"}, "register": "xinference_worker"},
        {role: {"name": "modelops.inference.xinference", "tasks_from": "watch_models"}},
    ]
    play = {"hosts": "gpu2", "gather_facts": False, "vars": {"_xinference_part": "worker"}, "tasks": tasks}
    remember = {"format": 1, "settings": {"drained": {THIRD: {}}}}

    def run(supervisors, workers, *more):
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "xinference_port": int(server.url.rpartition(":")[2]),
            "xinference_user": "",
            "xinference_service_manager": "supervisord",
            "xinference_start_timeout": 20,
            "xinference_upgrade_window": 0,
        }
        groups = {
            "xinference_supervisors": {"hosts": {"gpu1": installed(1)}, "vars": supervisors},
            "xinference_workers": {"hosts": {"gpu2": installed(2), "gpu3": installed(3)}, "vars": workers},
        }
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": variables, "children": groups}}))
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        (tmp_path / "host1" / "reconciler" / "declared.json").write_text(json.dumps(remember))
        done = emulated.play("-i", tmp_path / "hosts.yml", tmp_path / "play.yml", *more)
        said = " ".join((done.stdout + done.stderr).split())
        assert "service xinference-worker of gpu2 did not stay up" in said, said
        return said

    return run


def declared(tmp_path):
    return json.loads((tmp_path / "host1" / "reconciler" / "declared.json").read_text())


def test_what_the_supervisor_says_is_served_whatever_its_workers_say(server, watched, tmp_path):
    server.serve("hand", model_name="bge-m3", model_type="embedding", model_engine="x")
    supervisors = {
        "xinference_models": [{"uid": "emb", **EMBEDDING}],
        "xinference_admin_password": "{{ vault_password }}",
        "vault_password": PASSWORD,
        "models_parallel": 1,
    }
    workers = {"xinference_models": [], "models_prune": True, "xinference_admin_password": "another one"}
    said = watched(supervisors, workers)
    assert sorted(server.models.models) == ["emb", "hand"]
    assert [model["uid"] for model in declared(tmp_path)["models"]] == ["emb"]
    assert PASSWORD not in said


def test_what_waits_for_another_worker_fails_nobody(server, watched, tmp_path):
    models = [{"uid": "emb", **EMBEDDING}, {"uid": "there", **EMBEDDING, "worker": "gpu3"}]
    everybody = {"xinference_models": models, "xinference_admin_password": PASSWORD}
    said = watched(everybody, everybody)
    assert f"there is skipped because its worker {THIRD}" in said
    assert list(server.models.models) == ["emb"]
    assert [model["uid"] for model in declared(tmp_path)["models"]] == ["emb", "there"]
    assert declared(tmp_path)["settings"]["drained"] == {THIRD: {}}
