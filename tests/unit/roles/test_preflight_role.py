# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles refuse, and in which words, run by ansible-playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLAYBOOKS = Path(__file__).parent / "playbooks"


@pytest.fixture
def play():
    """``play(playbook, variables)`` -> (return code, output on one line)."""

    def run(playbook, **variables):
        done = subprocess.run(
            [
                Path(sys.executable).parent / "ansible-playbook",
                *("-i", "localhost,", "-c", "local", "-e", json.dumps(variables), PLAYBOOKS / playbook),
            ],
            env={**os.environ, "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


@pytest.mark.parametrize(
    "name, words", [("models_replace", "false or true or surge"), ("models_prove", "never or changed or always")]
)
def test_a_word_that_means_nothing_is_refused_without_a_dump_of_all_variables(play, name, words):
    code, output = play("models_preflight.yml", **{name: "banana"})
    assert code != 0 and f"localhost: {name} must be {words} (it is 'banana')." in output
    assert "argument_spec_data" not in output and "models_reconcile_attempts" not in output


@pytest.mark.parametrize("value", ["false", "true", "surge", True, False])
def test_words_that_mean_something(play, value):
    code, output = play("models_preflight.yml", models_replace=value)
    assert code == 0, output


FOR_A_GPU = {"uid": "big", "engine": "vLLM", "gpu_memory": "6 GiB"}


def test_a_memory_budget_on_a_host_without_a_gpu_is_refused_before_anything_is_installed(play):
    code, output = play("preflight.yml", xinference_models=[FOR_A_GPU, {"uid": "small", "engine": "llama.cpp"}])
    assert code != 0
    assert "localhost: gpu_memory is of a GPU, this host has none, and model big would run on the CPU." in output


@pytest.mark.parametrize(
    "variables",
    [
        {"accelerators": ["nvidia"], "xinference_models": [FOR_A_GPU]},
        {"xinference_models": [{**FOR_A_GPU, "worker": "10.1.2.3"}, {**FOR_A_GPU, "state": "absent"}]},
        {"xinference_models": [{"uid": "small", "engine": "llama.cpp", "state": "present"}]},
    ],
)
def test_a_memory_budget_with_a_gpu_elsewhere_or_of_nothing_is_none_of_the_hosts_business(play, variables):
    code, output = play("preflight.yml", **variables)
    assert code == 0, output
