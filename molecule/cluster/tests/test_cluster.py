# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of the cluster after all that happened to them, and what the client counted meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import testinfra

SUPERVISOR = "modelops-cluster-s"
testinfra_hosts = [f"ansible://{SUPERVISOR}"]
WORKERS = [f"modelops-cluster-w{number}" for number in (2, 3)]
COUNTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "traffic", "counts.json")
# Seconds within which what was killed answers again; a bound against waiting forever, not a promise, because these machines are slow.
BACK = 300

# Run on the supervisor's host: the key goes from its file into the request, never into a command line.
CALL = f"""
import json, urllib.request
request = urllib.request.Request("http://{SUPERVISOR}:9997/v1/models")
request.add_header("Authorization", "Bearer " + open("/opt/xinference/secrets/client_key").read().strip())
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


@pytest.fixture(scope="module")
def counts():
    return json.loads(COUNTS.read_text())


def test_the_supervisor_runs_no_model(host):
    assert host.service("xinference-supervisor").is_running and host.service("xinference-supervisor").is_enabled
    assert host.run("pgrep --full '^Model:'").rc == 1


def test_both_models_have_their_replicas(host):
    rows = json.loads(host.check_output("python3 -c %s", CALL))["data"]
    replicas = {row["id"]: row["replica"] for row in rows}
    # The worker that stayed away brings back its own beside the restored one, unless the server gave that one its number.
    assert replicas in ({"gemma3-270m": 2, "minilm": 1}, {"gemma3-270m": 3, "minilm": 1})


def test_the_workers_that_are_left_are_registered(host):
    status = json.loads(host.check_output("python3 -c %s", CALL.replace("/v1/models", "/status")))
    assert len(status["workers"]) == len(WORKERS)


def test_the_firewall_is_loaded_at_boot(host):
    assert host.service("modelops-firewall-inference").is_enabled
    assert "modelops_inference" in host.check_output("nft list tables")


@pytest.mark.parametrize("model", ["gemma3-270m", "minilm"])
def test_nothing_fails_while_nothing_happens(counts, model):
    row = counts["quiet"][model]
    assert (row["failed"], row["errors"]) == (0, {}) and row["answered"] > 0


def test_a_model_on_two_workers_answers_while_one_of_them_is_away(counts):
    """The worker that is killed has the only replica of the other model, which is away for as long as its worker."""
    killed = counts["worker killed"]
    assert killed["gemma3-270m"]["answered"] > killed["gemma3-270m"]["failed"]
    # How soon the other is back depends on the machine: 68 s beside light work, 243 s beside two other jobs.
    # The server gives a worker up after some missed reports. Until then every second request goes there.
    assert killed["gemma3-270m"]["longest_gap"] < killed["minilm"]["longest_gap"] < BACK
    # This phase ends before the network is back. Nobody refuses the requests that go to the other side, so they wait.
    assert counts["network cut"]["gemma3-270m"]["answered"] > 0


@pytest.mark.parametrize("model", ["gemma3-270m", "minilm"])
def test_models_answer_again_when_their_supervisor_does(counts, model):
    assert counts["supervisor killed"][model]["longest_gap"] < BACK


@pytest.mark.parametrize("model", ["gemma3-270m", "minilm"])
def test_nothing_fails_when_the_network_is_back(counts, model):
    assert counts["network back"][model]["failed"] == 0


@pytest.mark.parametrize("phase", ["a worker joins", "a worker is drained", "a worker leaves"])
@pytest.mark.parametrize("model", ["gemma3-270m", "minilm"])
def test_nothing_fails_while_workers_come_and_go(counts, model, phase):
    row = counts[phase][model]
    assert (row["failed"], row["errors"]) == (0, {}) and row["answered"] > 0


def test_what_a_worker_had_that_stays_away_is_restored_while_the_rest_serves(counts):
    away = counts["a worker stays away"]
    assert away["minilm"]["failed"] == 0
    # Its worker is away for longer than models_reconcile_return_timeout, after which the replica is restored.
    assert away["gemma3-270m"]["longest_gap"] < 120 and away["gemma3-270m"]["answered"] > away["gemma3-270m"]["failed"]


@pytest.mark.parametrize("worker", WORKERS)
def test_every_worker_runs(worker):
    host = testinfra.get_host(f"ansible://{worker}", ansible_inventory=os.environ["MOLECULE_INVENTORY_FILE"])
    assert host.service("xinference-worker").is_running and host.service("xinference-worker").is_enabled
