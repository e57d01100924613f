# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles refuse, and in which words, run by ansible-playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import emulated
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
            env={
                **os.environ,
                **emulated.called_in_process(),
                "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
                "ANSIBLE_FORCE_COLOR": "0",
            },
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


def test_all_mistakes_of_a_host_come_at_once_and_what_is_right_prints_nothing(play):
    code, output = play("models_preflight.yml", models_replace="banana", models_prove="pear")
    assert code != 0 and "(item=" not in output
    assert output.count("localhost: models_replace must be false or true or surge (it is 'banana').") == output.count(
        "localhost: models_prove must be never or changed or always (it is 'pear')."
    )
    assert "(it is 'pear')" in output


def test_values_of_another_type_are_told_in_a_line_each_before_the_argument_spec(play):
    code, output = play(
        "names.yml",
        xinference_port="{{ my_port }}",
        my_port="http",
        xinference_firewall="maybe",
        xinference_models={},
        xinference_users=[{"name": "ann", "state": "{{ 'go' ~ 'ne' }}", "password": "{{ secret }}"}],
        secret="Orange-7-Kettle",
    )
    assert code != 0 and "argument_spec_data" not in output and "Orange-7-Kettle" not in output
    for line in (
        "localhost (cluster localhost): xinference_port is 'http', which is no int (the default is 9997).",
        "localhost (cluster localhost): xinference_firewall is 'maybe', which is no bool (the default is false).",
        "localhost (cluster localhost): xinference_models is of type dict, which is no list.",
        "localhost (cluster localhost): xinference_users, ann, state is 'gone', not one of present, absent.",
    ):
        assert line in output


def test_templates_of_what_nobody_knows_yet_are_left_to_the_role(play):
    code, output = play(
        "names.yml",
        xinference_port="{{ nowhere.port }}",
        xinference_firewall="{{ 1 / 0 }}",
        xinference_users=[{"name": "ann", "permissions": "{{ nowhere.permissions }}", "password": "{{ nowhere }}"}],
        xinference_worker_port="{{ 9000 + 998 }}",
    )
    assert code == 0, output


@pytest.mark.parametrize("value", ["false", "true", "surge", True, False])
def test_words_that_mean_something(play, value):
    code, output = play("models_preflight.yml", models_replace=value)
    assert code == 0, output


FOR_A_GPU = {"uid": "big", "engine": "vLLM", "gpu_memory": "6 GiB"}


def test_a_memory_budget_on_a_host_without_a_gpu_is_refused_before_anything_is_installed(play):
    code, output = play("preflight.yml", xinference_models=[FOR_A_GPU, {"uid": "small", "engine": "llama.cpp"}])
    assert code != 0
    assert (
        "localhost (cluster localhost): gpu_memory is of a GPU, this host has none to use, and model big would run on the CPU."
        in output
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"accelerator": "nvidia", "xinference_models": [FOR_A_GPU]},
        {"xinference_models": [{**FOR_A_GPU, "worker": "10.1.2.3"}, {**FOR_A_GPU, "state": "absent"}]},
        {"xinference_models": [{"uid": "small", "engine": "llama.cpp", "state": "present"}]},
    ],
)
def test_a_memory_budget_with_a_gpu_elsewhere_or_of_nothing_is_none_of_the_hosts_business(play, variables):
    code, output = play("preflight.yml", **variables)
    assert code == 0, output


def test_a_host_whose_build_of_pytorch_nobody_knows_is_refused_unless_it_is_named(play):
    why = "this host has cards of amd and nvidia"
    code, output = play("preflight.yml", refusals=[why])
    assert (
        code != 0
        and f"which build of PyTorch it takes is not known: {why}. Or name the build as xinference_torch." in output
    )
    code, output = play("preflight.yml", refusals=[why], xinference_torch="rocm7.2")
    assert code == 0, output


def test_a_server_whose_users_cannot_be_read_is_left_as_it_is(play):
    code, output = play("preflight.yml", auth_unreadable="/x/auth.db cannot be read.")
    assert code != 0 and "localhost (cluster localhost): /x/auth.db cannot be read." in output
    # Nobody asks for its users.
    for variables in ({"xinference_auth": False}, {"xinference_version": "2.12.0"}, {"_xinference_part": "worker"}):
        code, output = play("preflight.yml", auth_unreadable="/x/auth.db cannot be read.", **variables)
        assert code == 0, output


@pytest.mark.parametrize("port", [0, 20001])
def test_weights_through_a_firewall_of_another_cluster_need_a_port(play, port):
    code, output = play("preflight_seed.yml", seed_port=port)
    if port:
        assert code == 0, output
    else:
        assert (
            code != 0
            and "edge (cluster edge): it gets its weights from head, whose firewall (xinference_firewall) lets only its own"
            in output
        )


def test_one_name_for_the_services_of_both_parts_of_a_host_is_refused(play):
    code, output = play("preflight_cluster.yml", xinference_service="xinf")
    assert (
        code != 0
        and "both (cluster default): xinference_service is xinf, and this host is supervisor and worker" in output
    ), output
    code, output = play("preflight_cluster.yml")
    assert code == 0, output


def test_a_cluster_whose_name_is_no_name_of_a_file_is_refused(play):
    code, output = play("preflight_cluster.yml", xinference_cluster="berlin/../x")
    assert code != 0 and "both (cluster berlin/../x): xinference_cluster must be a name without blanks, '/'" in output
    code, output = play("preflight_cluster.yml", xinference_cluster=7)
    assert code == 0, output
