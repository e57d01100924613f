# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of a no-op run of site.yml for each host: results of tasks, skipped ones included, and module executions.

A result costs the controller 20 to 30 ms and a module execution half a second or more of each run, on every host. Who adds one says so
in the table, and why in the commit.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest
from emulated import Hosts

MODELS = [
    {"uid": "chat", "name": "qwen3", "type": "LLM", "engine": "llama.cpp", "size": "0_6", "quantization": "Q4_K_M"},
    {"uid": "vectors", "name": "bge-m3", "type": "embedding"},
]
LOGIN = {"email": "ops@example.com", "password": "Orange-7-Kettle"}
TARGETS = [
    {"name": "office", "url": "http://dify.example.com", **LOGIN},
    {"name": "lab", "url": "http://lab.example.com", **LOGIN, "workspaces": ["one", "two"]},
]
LAN = {"xinference_host": "10.1.0.1", "xinference_models": MODELS}
FIREWALL = {"xinference_firewall": True, "xinference_api_networks": ["10.0.0.0/8"]}

#: Groups and variables of each host, by run. A Dify is registered once a run, so it has a run of its own.
HOSTS = {
    "all": {
        "head": (["xinference_supervisors"], {"xinference_models": MODELS}),
        "worker": (["xinference_workers"], {}),
        "local": (["xinference_local"], LAN),
        "both": (
            ["xinference_supervisors", "xinference_workers"],
            {"xinference_cluster": "b", "xinference_models": MODELS},
        ),
        "walled_head": (
            ["xinference_supervisors"],
            {"xinference_cluster": "w", "xinference_models": MODELS, **FIREWALL},
        ),
        "walled_worker": (["xinference_workers"], {"xinference_cluster": "w", **FIREWALL}),
    },
    "dify": {"dify": (["xinference_local"], {**LAN, "dify_targets": TARGETS})},
}

#: Host -> results of tasks; module executions on it, and for it on the machine that runs Ansible. They may only get fewer.
#: Work that a run does once (clusters, targets of Difys, summary) counts on its first host.
BUDGET = {
    "head": (10, 2, 0),
    "worker": (4, 1, 0),
    "local": (7, 2, 0),
    "both": (7, 2, 0),
    "walled_head": (7, 2, 0),
    "walled_worker": (4, 1, 0),
    "dify": (11, 2, 2),
}


class Counted(Hosts):
    def count(self):
        """Results and module executions of a run without a change."""
        results, modules = self.folder / "results", self.folder / "modules"
        code, out = self.play("playbooks/site.yml")
        assert code == 0, out
        self.env.update(RESULTS_FILE=str(results), MODULES_FILE=str(modules))
        self.env["ANSIBLE_CALLBACKS_ENABLED"] += ",count_results"
        code, out = self.play("playbooks/site.yml")
        assert code == 0, out
        return [[json.loads(line) for line in file.read_text().splitlines()] for file in (results, modules)]


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Results, as [host, what became of it, task], and module executions, as [where, host, module], of all runs."""
    found = [[], []]
    for run, hosts in HOSTS.items():
        groups = defaultdict(dict)
        for host, (names, variables) in hosts.items():
            for name in names:
                groups[name][host] = variables
        folder = tmp_path_factory.mktemp(run)
        children = {name: {"hosts": members} for name, members in groups.items()}
        (folder / "hosts.json").write_text(json.dumps({"all": {"children": children}}))
        for known, new in zip(found, Counted(folder, folder / "hosts.json", gpus=hosts).count()):
            known += new
    return found


def listed(names):
    return ", ".join(f"{name} ({count} times)" if count > 1 else name for name, count in Counter(names).items())


@pytest.mark.parametrize("host", BUDGET)
def test_a_run_without_a_change_stays_in_its_budget(counted, host):
    results, modules = counted
    assert not [each for each in results if each[1] not in ("ok", "skipped")]
    tasks = [f"{task} [{status}]" for name, status, task in results if name == host]
    here, elsewhere = (
        [name for at, of, name in modules if of == host and (at == host) == own] for own in (True, False)
    )
    found = {"results of tasks": tasks, "module executions": here, "module executions elsewhere": elsewhere}
    for (what, names), most in zip(found.items(), BUDGET[host]):
        assert len(names) <= most, (
            f"{host}: {len(names)} {what} in a run without a change; the budget is {most}. Have a plan in Python tell what a task only "
            "computes, include a step only where the plan has it, and read the host with the one module. If it must be, raise BUDGET in "
            f"tests/unit/roles/test_budget.py and say why in the commit. They are: {listed(names)}"
        )
