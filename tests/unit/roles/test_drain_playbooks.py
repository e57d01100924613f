# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks drain, undrain and decommission against the test server; no service is installed on the hosts."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import emulated
import pytest
import yaml
from servers.xinference import PASSWORD, XinferenceServer

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
SECOND, THIRD = "127.0.0.2:9998", "127.0.0.3:9998"


@pytest.fixture
def server():
    with XinferenceServer("4.1.0", workers=(SECOND, THIRD)) as server:
        yield server


@pytest.fixture
def hosts(server, tmp_path, installed):
    """A supervisor and two workers, each with a directory of its own."""

    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "xinference_port": int(server.url.rpartition(":")[2]),
        "xinference_admin_password": PASSWORD,
        "xinference_user": "",
        "xinference_service_manager": "supervisord",
        "xinference_start_timeout": 20,
    }
    groups = {
        "xinference_supervisors": {"hosts": {"gpu1": installed(1)}},
        "xinference_workers": {"hosts": {"gpu2": installed(2), "gpu3": installed(3)}},
    }
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": groups}}))
    return path


@pytest.fixture
def play(hosts):
    def run(name, *more):
        done = emulated.play("-i", hosts, f"modelops.inference.{name}", *more)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "host3" / "etc" / "xinference-worker.drained"


@pytest.fixture
def leaves(server, marker):
    """The worker leaves as its service is stopped, which comes after the marker."""

    def watch():
        end = time.monotonic() + 600
        while time.monotonic() < end and not marker.exists():
            time.sleep(0.05)
        time.sleep(0.5)
        server.leave(THIRD)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield
    thread.join(1)


def test_nobody_is_drained_by_itself(play, server):
    for name in ("drain", "undrain", "decommission"):
        status, said = play(name)
        assert status and "Name the workers" in said and "Nothing was changed" in said
    status, said = play("drain", "--limit", "!gpu1")
    assert status and "Name the workers" in said
    status, said = play("drain", "--limit", "gpu1", "-e", "xinference_drain_hosts=gpu1")
    assert status and "gpu1 (cluster default): the host is not a worker of a cluster" in said
    status, said = play("drain", "-e", "xinference_drain_hosts=gpu3,gpu33")
    assert status and "gpu33: the inventory has no host or group of that name" in said
    status, said = play("drain", "--limit", "gpu1")
    assert status and "drain does not run on gpu1, which --limit names." in said
    assert not server.requests


def test_each_play_is_of_the_hosts_that_drain_asks_for():
    plays = {
        name: yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text()) for name in ("drain", "undrain", "decommission")
    }
    asked = plays["drain"][0]["hosts"]
    assert "known_hosts" in asked
    assert {each["hosts"].replace(name, "drain") for name in plays for each in plays[name]} == {asked}


def test_a_wrong_variable_is_refused_of_every_host_before_the_first_is_drained(play, server):
    wrong = '{"xinference_drain_timout": 5, "xinference_drain_force": "{{ inventory_hostname }}"}'
    status, said = play("drain", "-e", wrong, "-e", "xinference_drain_host=gpu2")
    assert status and "changed: [" not in said and not server.requests, said
    for host in ("gpu2", "gpu3"):
        assert f"{host} (cluster default): xinference_drain_timout is not a variable of this collection" in said
        assert "did you mean xinference_drain_timeout?" in said and "did you mean xinference_drain_hosts?" in said
        assert f"xinference_drain_force must be true or false, not '{host}' (the default is false)." in said
    status, said = play("drain", "-e", "xinference_drain_hosts=gpu2,gpu1")
    assert status and "gpu1 (cluster default): the host is not a worker of a cluster" in said and not server.requests, (
        said
    )


def test_an_unreachable_worker_keeps_the_others_from_being_begun(play, server, tmp_path):
    away = json.dumps({"ansible_connection": "{{ 'ssh' if inventory_hostname == 'gpu3' else 'local' }}"})
    for name in ("drain", "decommission"):
        status, said = play(name, "--limit", "gpu2,gpu3", "-e", away)
        assert status and "fatal: [gpu3]: UNREACHABLE!" in said and "changed: [" not in said, said
        assert "TASK [Drain the worker]" not in said and (tmp_path / "host2" / "current").exists()
    assert not server.requests


def test_a_worker_is_drained_once_and_comes_back(play, server, marker, leaves):
    server.serve("emb", model_name="bge-m3", model_type="embedding", model_engine="x", worker_ip=THIRD)
    status, said = play("drain", "--limit", "gpu3", "--check")
    assert not status and not marker.exists(), said
    half_edited = '{"xinference_users": [{"name": "ann", "permissions": "banana"}], "xinference_models": {"uid": 7}}'
    status, said = play("drain", "--limit", "gpu3", "-e", half_edited)
    assert not status and "gpu3 is drained" in said, said
    model = server.models.models["emb"]
    assert [model.worker_of(number) for number in model.replicas] == [SECOND]
    status, said = play("drain", "-e", "xinference_drain_hosts=gpu3")
    assert not status and "changed=0" in said, said
    status, said = play("undrain", "--limit", "gpu3", "--check")
    assert not status and "changed: [gpu3]" in said.partition("service xinference-worker]")[2]


def test_a_card_that_the_server_does_not_share_is_no_place(play):
    cards = {SECOND: [24], THIRD: [24]}
    llm = {"model_name": "qwen3", "model_engine": "vLLM", "model_size_in_billions": "0_6", "model_format": "pytorch"}
    sharing = "-e", '{"xinference_environment": {"XINFERENCE_ALLOW_MULTI_REPLICA_PER_GPU": "0"}}'
    with XinferenceServer("4.1.0", workers=(SECOND, THIRD), cards=cards) as server:
        for uid, place in (("a", SECOND), ("b", THIRD)):
            spread = [{"devices": [{"worker_ip": place, "gpu_idx": [0]}]}]
            server.serve(uid, **llm, replica_config=spread)
            server.models.held[uid] = {place: {"0": 2 * 1024**3}}
        server_port = server.url.rpartition(":")[2]
        status, said = play("drain", "--limit", "gpu3", "--check", "-e", f"xinference_port={server_port}")
        assert not status, said
        status, said = play("drain", "--limit", "gpu3", "--check", "-e", f"xinference_port={server_port}", *sharing)
        assert status and "b stops" in said, said


def test_what_would_stop_is_refused_by_name(play, server, marker):
    server.leave(SECOND)
    server.serve("emb", model_name="bge-m3", model_type="embedding", model_engine="x")
    status, said = play("drain", "--limit", "gpu3")
    assert status and "emb stops: there is no other worker" in said and not marker.exists(), said


def test_a_worker_is_decommissioned(play, server, leaves, tmp_path):
    (tmp_path / "host3" / "models").mkdir()
    status, said = play("decommission", "--limit", "gpu3", "-e", "xinference_keep_models=true")
    assert not status and "Remove it from the inventory" in said, said
    assert [path.name for path in (tmp_path / "host3").iterdir()] == ["models"]
    status, said = play("decommission", "--limit", "gpu3")
    assert not status and not (tmp_path / "host3").exists(), said
