# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accelerators in site.yml on emulated hosts: the order and number of executions, and the resulting PyTorch."""

from __future__ import annotations

import json
import shutil

import pytest
from emulated import Hosts

#: A supervisor only, a supervisor that is its own worker, another one that waits for a restart, a worker, and servers of their own: one
#: without a GPU, one that waits for a restart.
GROUPS = {
    "xinference_supervisors": {
        "head": {"xinference_cluster": "one"}, "both": {"xinference_cluster": "two"}, "night": {"xinference_cluster": "three"}
    },
    "xinference_workers": {"both": {}, "night": {}, "far": {"xinference_cluster": "one"}},
    "xinference_local": {"solo": {}, "dark": {}},
}  # fmt: skip
GPUS = ("head", "both", "night", "far", "dark")
WAIT = ("night", "dark")
#: Of a host that may load modules, and whose kernel still has its own driver.
DARK = {
    "proc/sys/kernel/osrelease": "6.1.0",
    "proc/self/status": "CapBnd: 000001ffffffffff",
    "lib/modules/6.1.0/modules.dep": "",
    "sys/module/nouveau/initstate": "live",
    "etc/modprobe.d/off.conf": "blacklist nouveau\noptions nouveau modeset=0\n",
}


class Site(Hosts):
    def run(self, *words):
        """Executions [module, arguments] of a run, in their order."""
        (self.folder / "calls").write_text("")
        self.env["EMULATED_CALLS"] = str(self.folder / "calls")
        code, self.said = self.play("playbooks/site.yml", *words)
        assert code == 0, self.said
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


def names(calls, host):
    return [
        name for name, given in calls if any(f"{part}/{host}" in json.dumps(given) for part in ("hosts", "machines"))
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The site, and the executions of its runs: installed, with nothing to do, after another driver came to `far`."""
    folder = tmp_path_factory.mktemp("site")
    model = {"name": "bge-m3", "type": "embedding", "uid": "m"}
    children = {group: {"hosts": hosts} for group, hosts in GROUPS.items()}
    variables = {"xinference_models": [model], "models_reconcile": False}
    (folder / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "children": children}}))
    site = Site(folder, folder / "hosts.json", gpus=GPUS)
    for host in WAIT:
        for path, text in DARK.items():
            place = folder / "machines" / host / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    made = {"check": site.run("--check")}
    site.checked = site.said
    made |= {"first": site.run(), "again": site.run()}
    site.summary = site.said
    (folder / "machines" / "far" / "sys/module/nvidia/version").write_text("580.105.08")
    return site, {**made, "driver": site.run("--limit", "far")}


def test_a_host_is_read_once_with_its_accelerators_and_without_them_where_no_model_runs(runs):
    for calls in runs[1].values():
        hosts = {"far": 1} if calls is runs[1]["driver"] else dict.fromkeys(("both", "far", "solo", "head"), 1)
        assert {host: names(calls, host).count("xinference_host_info") for host in hosts} == hosts
        assert not any("accelerator_info" in names(calls, host) for host in hosts)
        roles = [given["accelerator"]["role"] for name, given in calls if name == "xinference_host_info"]
        assert "head" not in [role["host"] for role in roles if role]
        assert "accelerator_proof" not in names(calls, "head")


def test_what_is_there_is_read_before_anything_else_of_the_host(runs):
    for host in ("both", "far", "solo"):
        assert names(runs[1]["check"], host)[0] == "xinference_host_info"


def test_the_proof_comes_between_environment_and_models_and_not_in_check_mode(runs):
    assert not [name for name, _given in runs[1]["check"] if name == "accelerator_proof"]
    calls = [name for name, _given in runs[1]["first"]]
    assert max(n for n, name in enumerate(calls) if name == "accelerator_proof") < calls.index("xinference_serve")


def test_what_was_proven_is_proven_again_only_where_it_changed(runs):
    def proven(run):
        return {
            given["record"].split("machines/")[1].split("/")[0]: given
            for name, given in runs[1][run]
            if name == "accelerator_proof"
        }

    first = proven("first")
    assert {host: (given["kind"], given["devices"]) for host, given in first.items()} == {
        "both": ("cuda", 1), "far": ("cuda", 1), "solo": ("cpu", 1)
    }  # fmt: skip
    assert proven("again") == {}
    again = proven("driver")
    assert list(again) == ["far"] and again["far"]["proves"]["driver"] == "580.105.08"


def test_a_run_with_nothing_to_do_costs_no_execution_more(runs):
    for host in ("both", "far", "solo"):
        assert [name for name in names(runs[1]["again"], host) if name.startswith("accelerator")] == []


def test_the_build_of_pytorch_follows_from_the_facts(runs):
    def build(host):
        calls = [
            given
            for name, given in runs[1]["check"]
            if name == "xinference_release" and f"hosts/{host}" in given["path"]
        ]
        return {given["torch"] for given in calls if given["build"]}

    # A supervisor runs no model, whatever card it has.
    assert {host: build(host) for host in ("head", "both", "far", "solo")} == {
        "head": {"cpu"}, "both": {"default"}, "far": {"default"}, "solo": {"cpu"}
    }  # fmt: skip


def test_who_waits_for_a_restart_is_not_proven_and_stands_in_the_summary(runs):
    site, made = runs
    assert "accelerator_proof" not in names(made["first"] + made["again"], "dark")
    for said in (site.summary, site.checked):
        summary = said.rpartition("\nAccelerators\n")[2]
        lines = [line for line in summary.splitlines() if line.startswith("  dark")]
        assert lines[-1] == (
            "  dark must restart (nouveau is loaded). Restart it by hand, or set accelerator_reboot_ok: true; "
            "then run this again, which launches its models."
        )


def test_no_model_is_launched_on_a_server_whose_cards_answer_only_after_a_restart(runs):
    site, made = runs
    for run in ("first", "again"):
        launches = [given for name, given in made[run] if name == "xinference_serve"]
        # A cluster goes on, whichever of its hosts wait.
        assert len(launches) == len(("one", "two", "three", "solo"))
    assert "\ndark: Xinference" not in site.summary
    solo = site.summary.partition("\nsolo: Xinference")[2].splitlines()
    assert solo[2] == "  computes with      its CPU (there is no card here to compute with)"
    # The table of models that check mode makes, too.
    assert [line.split()[0] for line in site.checked.splitlines() if "  embedding  " in line] == [
        "one",
        "two",
        "three",
        "solo",
    ]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Servers of their own with a GPU each, installed; the executions are in ``calls``."""
    folder = tmp_path_factory.mktemp("servers")
    variables = {"xinference_models": [], "models_reconcile": False}
    hosts = {"gone": {}, "kept": {"xinference_torch": "cu126"}, "without": {"accelerator_state": "absent"}}
    children = {"xinference_local": {"hosts": hosts}}
    (folder / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "children": children}}))
    site = Site(folder, folder / "hosts.json", gpus=[*hosts])
    site.calls = site.run("--check") + site.run()
    return site


def test_a_host_whose_driver_is_absent_computes_on_its_cpu_and_proves_nothing(servers):
    calls = [
        given for name, given in servers.calls if name == "xinference_release" and "hosts/without" in given["path"]
    ]
    assert {given["torch"] for given in calls if given["build"]} == {"cpu"}
    assert "accelerator_proof" not in names(servers.calls, "without")


def planned_for(calls):
    """The builds of PyTorch that plans are made for."""
    return {given["accelerator"]["torch"] for name, given in calls if name == "xinference_host_info"}


def test_remove_leaves_the_driver_unless_it_is_to_go(servers):
    site, tmp_path = servers, servers.folder
    records = {host: tmp_path / "machines" / host / "var/lib/modelops/accelerator.json" for host in ("gone", "kept")}
    assert all(record.exists() for record in records.values())
    assert planned_for(site.calls) == {"auto", "cu126"}
    (tmp_path / "calls").write_text("")
    code, out = site.play("playbooks/remove.yml", "--limit", "kept")
    assert code == 0 and "accelerator_info" not in (tmp_path / "calls").read_text(), out
    # A driver of the role's is there: a program of somebody's stops the run before it removes anything, the server itself does not.
    recorded, process = records["gone"].read_text(), tmp_path / "machines" / "gone" / "proc" / "4711"
    records["gone"].write_text(json.dumps({**json.loads(recorded), "packages": ["nvidia-driver-cuda"]}))
    (process / "fd").mkdir(parents=True)
    (process / "fd" / "3").symlink_to("/dev/nvidia0")
    (process / "comm").write_text("trainer\n")
    (tmp_path / "calls").write_text("")
    goes = ("playbooks/remove.yml", "--limit", "gone", "-e", "accelerator_state=absent")
    code, out = site.play(*goes)
    assert code and "cards are in use by trainer 4711: stop them first" in " ".join(out.split()), out
    assert "xinference_service" not in (tmp_path / "calls").read_text()
    (process / "cgroup").write_text("0::/system.slice/xinference.service\n")
    unit = tmp_path / "machines" / "gone" / "etc/systemd/system/demo.service"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(
        "# Managed by modelops.inference\n[Service]\nExecStart=/srv/demo/current/bin/xinference-local --port 9999\n"
    )
    code, out = site.play(*goes)
    assert code and "another installation of this collection in /srv/demo" in " ".join(out.split()), out
    assert "xinference_service" not in (tmp_path / "calls").read_text()
    unit.unlink()
    code, out = site.play(*goes, "--check")
    assert code == 0 and "remove nvidia-driver-cuda, " in out, out
    shutil.rmtree(process)
    records["gone"].write_text(recorded)
    code, out = site.play(*goes)
    assert code == 0, out
    assert records["kept"].exists() and not records["gone"].parent.exists()
