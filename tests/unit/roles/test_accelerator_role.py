# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role accelerator's preflight, its check mode and what a run without a change costs, by ansible-playbook."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import emulated

sys.path.insert(0, str(Path(__file__).parent.parent / "accelerator"))
import machines

PLAYBOOKS = Path(__file__).parent / "playbooks"

#: Host: variables, and what is said of them after its name.
WRONG = {
    "file_is_another": (
        {"accelerator_ascend_files": [{"part": "driver", "path": "{file}", "checksum": "0" * 64}]},
        "accelerator_ascend_files, driver: {file} has the SHA-256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    "url_and_key": (
        {"accelerator_repositories": {"nvidia": {"url": "mirror.local/x", "key": "/nope/key.asc"}}},
        "accelerator_repositories: the url of nvidia must begin with https://, http:// or file:///. url_and_key: "
        "accelerator_repositories: the key of nvidia is neither a URL nor a file on the controller.",
    ),
}
#: By the role's argument specification, which names no host.
NO_CHOICE = {
    "cuda": ({"accelerator_cuda": 11}, "accelerator_cuda must be one of: 0, 12, 13, got: 11"),
}


def test_variables_that_cannot_be_right(tmp_path):
    file = tmp_path / "driver.run"
    file.write_text("test")
    hosts = {name: variables for name, (variables, _words) in {**WRONG, **NO_CHOICE}.items()}
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}).replace("{file}", str(file)))
    done = emulated.play("-i", inventory, PLAYBOOKS / "accelerator.yml")
    # ansible-core 2.18 may show it as JSON.
    output = " ".join((done.stdout + done.stderr).replace("\\n", " ").split())
    assert len(re.findall(r" : ok=\d+ \S+ unreachable=0 failed=1 ", output)) == len(hosts), output
    for name, (_variables, words) in WRONG.items():
        assert f"{name}: {words}".replace("{file}", str(file)) in output, output
    for _variables, words in NO_CHOICE.values():
        assert words in output, output
    assert "secret" not in output


def played(folder, *words, hosts):
    """The role's output for machines that are directory trees, each (machine, variables)."""
    for name, (machine, _variables) in hosts.items():
        machines.build(folder / name, machine)
    # Facts that a play has after the role, whose variables are not public.
    msg = "{{ inventory_hostname }} requires a restart: {{ accelerator_reboot_required }}, {{ accelerator_waits }}"
    told = {"ansible.builtin.debug": {"msg": msg}}
    include = {"ansible.builtin.include_role": {"name": "modelops.inference.accelerator"}}
    tasks = [include, {"tags": "told", **told}]
    play = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
    (folder / "play.yml").write_text(json.dumps(play))
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "_accelerator_root": f"{folder}/{{{{ inventory_hostname }}}}",
        "_accelerator_etc": f"{folder}/etc",
    }
    for place in ("apt/preferences.d", "apt/sources.list.d", "modprobe.d", "tmpfiles.d"):
        (folder / "etc" / place).mkdir(parents=True)
    variables = {name: variables for name, (_machine, variables) in hosts.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": variables}}))
    done = emulated.play("-i", folder / "hosts.json", *words, folder / "play.yml", "-e", json.dumps(common))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_check_mode_says_what_would_be_done_and_writes_nothing(tmp_path):
    mirror = {"nvidia": {"url": "https://mirror.example/"}}
    hosts = {
        "loaded": ("rtx_nouveau", {}),
        # A driver that may take the place of the one before without a restart.
        "other": ("a100_mig", {"accelerator_driver_branch": "580"}),
        "bare": ("h100_bare", {"accelerator_huge_pages": 64, "accelerator_repositories": mirror}),
    }
    said = played(tmp_path, "--check", "--diff", hosts=hosts)
    assert "loaded would have to restart (nouveau is loaded)." in said
    assert "loaded requires a restart: True, True" in said and "other requires a restart: False, False" in said
    assert "in place of 535.183.01" in said and "other must" not in said and "other would have" not in said
    for line in (
        "+URIs: https://mirror.example/",
        "+Pin: version 580.*",
        "+blacklist nouveau",
        "+w /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages - - - - 64",
        "  step: install NVIDIA's driver branch 580 with open kernel modules",
    ):
        assert f"\n{line}\n" in said
    assert not [path for path in (tmp_path / "etc").rglob("*") if path.is_file()]


#: Whoever adds a task to a run without a change says so here: argument spec, preflight, reading, facts, and the steps that are none.
BUDGET = 5


def test_a_run_without_a_change_has_few_tasks(tmp_path):
    said = played(tmp_path, "--skip-tags", "told", hosts={"none": ("none", {}), "settled": ("h100_sxm", {})})
    for host in ("none", "settled"):
        assert len(re.findall(rf"^(?:ok|skipping|changed): \[{host}\]", said, re.MULTILINE)) <= BUDGET, said
