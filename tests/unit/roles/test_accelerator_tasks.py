# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tasks of the role accelerator, executed by ansible-playbook: its files below a directory, its programs (apt-get, dnf, modprobe)
and the modules that need a host's libraries (apt, dnf) in place of them, writing down what they were asked for."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import emulated
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "accelerator"))
import machines

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import facts, plan, role
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import PlanOptions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import Case, RoleOptions

PLAYBOOKS = Path(__file__).parent / "playbooks"
ROLE = Path(__file__).parents[3] / "roles" / "accelerator"
CUDA = "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/"
MODULES = ("apt", "dnf", "dpkg_selections", "systemd_service", "user")
# Says that it changed something, or fails where the host has a file failing/NAME.
MODULE = """
import json, os
from ansible.module_utils import basic

def main():
    given = json.loads(basic._ANSIBLE_ARGS)["ANSIBLE_MODULE_ARGS"]
    given = {key: value for key, value in given.items() if not key.startswith("_ansible_")}
    with open(os.environ["PLACE"] + "/log", "a") as log:
        log.write("NAME " + json.dumps(given, sort_keys=True) + "\\n")
    failing = os.path.exists(os.environ["PLACE"] + "/failing/NAME")
    print(json.dumps({"changed": True, "failed": failing, "msg": "NAME fails" if failing else "", "name": given.get("name")}))
"""
# By which Ansible chooses a backend for dnf.
SETUP = """
def main():
    print('{"ansible_facts": {"ansible_pkg_mgr": "dnf4"}}')
"""
REBOOT = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        with open(task_vars["place"] + "/log", "a") as log:
            log.write("reboot\\n")
        return {"changed": True, "rebooted": True}
"""
# A task file with one step of the role.
ONLY = """
- name: Step
  modelops.inference.accelerator_step:
    step: "{{ step }}"
  register: _accelerator_loaded
"""
PROGRAM = '#!/bin/sh\necho "${0##*/} $*" >> "$PLACE/log"\n'
PROGRAMS = dict.fromkeys(("apt-get", "dnf", "dpkg-query", "rpm", "modprobe", "dkms", "systemd-tmpfiles"), "")
PROGRAMS |= {"update-initramfs": "", "dracut": "", "systemctl": "echo inactive; exit 3"}
HOLDS = {"held": ["nvidia-driver-cuda"], "packages": ["nvidia-driver-cuda"], "wanted": [], "files": []}
OLD = {"nvidia-driver-cuda": "570.86.15-1", "nvidia-persistenced": "570.86.15-1"}
LOCK = "# BEGIN modelops accelerator\nnvidia-driver-cuda-3:570.86.15-1.el9.*\n# END modelops accelerator\n"
BEFORE = {"driver": "570.86.15", "persistence": True}
NOUVEAU = "etc/modprobe.d/modelops-nouveau.conf"
PIN = "etc/apt/preferences.d/modelops-accelerator"
RESTARTS = {"accelerator_reboot_ok": True, "xinference_service": "xinference"}
#: Of Huawei's installers the second one fails.
PARTS = [
    {"part": part, "path": f"{{place}}/{part}.run", "checksum": "0" * 64} for part in ("driver", "firmware", "cann")
]
INSTALLERS = {"driver.run": "#!/bin/sh\n", "firmware.run": "#!/bin/sh\nexit 1\n", "cann.run": "#!/bin/sh\n"}
BOARD = {"nvidia": {"driver": "570.86.15", "installed": "580.95.05", "library": "580.95.05"}, "processes": []}
#: Services that remove.yml stops first.
LEAVES = {"accelerator_state": "absent", "xinference_service": "xinference"}
XINFERENCES = [
    {"pid": 10, "name": "python", "devices": ["nvidia0"], "unit": "xinference.service"},
    {"pid": 11, "name": "VLLM::EngineCor", "devices": ["nvidia0"]},
    {"pid": 13, "name": "nv-hostengine", "devices": ["nvidia0"], "unit": "nvidia-dcgm.service"},
]
SUPERVISED = {
    "proc/11/status": "PPid:\t12\n",
    "proc/12/cmdline": "/x/bin/python\0/x/bin/supervisord\0-c\0/x/supervisor/supervisord.conf\0",
}


def host(machine, run, changes=None, wanted=None, variables=None, files=None, failing=(), programs=None, group="all"):
    """:param run: task files.
    :param files: what is below the host's directory before.
    :param failing: modules that fail.
    :param programs: shell behind the name of a program.
    :param group: of the inventory.
    """
    return dict(
        machine=machine, run=run, changes=changes or {}, wanted=wanted or {}, variables=variables or {}, files=files or {},
        failing=failing, programs={**PROGRAMS, **(programs or {})}, group=group,
    )  # fmt: skip


HOSTS = {
    # The index of a source that somebody else has is dead.
    "dead_source": host(
        "h100_bare", ["packages"],
        changes={"nvidia": BEFORE, "packages": {"installed": OLD, "held": ["nvidia-driver-cuda"]}, "record": json.dumps(HOLDS)},
        wanted={"branch": "580"},
        failing=["apt"], programs={"dpkg-query": "echo gcc; echo make"},
    ),
    "dead_stream": host(
        "h100_bare", ["packages"],
        changes={"system": {"os": "rocky9"}, "nvidia": BEFORE, "packages": {"installed": OLD}, "record": json.dumps(HOLDS)},
        wanted={"branch": "580"},
        files={"etc/dnf/plugins/versionlock.list": "kernel-5.14*\n" + LOCK},
        programs={"rpm": "echo gcc", "dnf": 'case "$*" in *enable*) exit 1;; esac'},
    ),
    "branch": host(
        "h100_bare", ["packages"],
        changes={"system": {"os": "rocky9"}, "nvidia": BEFORE, "packages": {"installed": OLD}, "record": json.dumps(HOLDS)},
        wanted={"branch": "580"},
        files={"etc/dnf/plugins/versionlock.list": "kernel-5.14*\n" + LOCK},
        programs={"rpm": 'test -e "$PLACE/listed" && echo nvidia-driver-cuda; touch "$PLACE/listed"; echo gcc'},
    ),
    # Of the distribution, before which the vendor's was there, with a pin of the role's.
    "exact_ubuntu": host(
        "h100_bare", ["only:pin", "packages", "hold"],
        changes={"system": {"os": "ubuntu2404"}, "record": json.dumps({**HOLDS, "held": []}),
                 "packages": {"installed": {"nvidia-utils-580-server": "580.95.05-0ubuntu0.24.04.1"}}},
        wanted={"branch": "580.95.05", "source": "distribution"}, files={PIN: "before\n"},
        programs={"dpkg-query": "echo gcc"},
    ),
    "branch_ubuntu": host(
        "h100_bare", ["only:pin"], changes={"system": {"os": "ubuntu2404"}}, wanted={"branch": "580"}, files={PIN: "before\n"}
    ),
    "persistence": host(
        "t4_vm", ["only:persistence", "only:driver", "only:services"],
        changes={
            "system": {"os": "ubuntu2404"}, "nvidia": {**machines.MACHINES["t4_vm"]["nvidia"], "persistence": True},
            "packages": {"installed": {"nvidia-dkms-580-server-open": "580.95.05-0ubuntu1"}},
            "record": json.dumps({"packages": ["nvidia-dkms-580-server-open"]}),
        },
        wanted={"hold": False},
    ),
    # Something that is no program of anybody's has the module: the console, or another module.
    "module_in_use": host(
        "h100_sxm", ["only:driver"],
        changes={**BOARD, "processes": [{"pid": 901, "name": "nv-hostengine", "devices": ["nvidia0"], "unit": "nvidia-dcgm.service"}]},
        programs={"modprobe": 'case "$*" in --remove*) echo "modprobe: FATAL: Module nvidia is in use." >&2; exit 1;; esac'},
    ),
    "not_built_after_release": host(
        "h100_bare", ["present"],
        changes={"packages": {"installed": {"nvidia-driver-cuda": "580.95.05-1"}}, "record": json.dumps(HOLDS)},
        wanted={"source": "vendor"},
        files={"etc/apt/sources.list.d/cuda.list": f"deb {CUDA} /\n"},
        programs={"dkms": "echo 'Error! Bad return status for module build' >&2; exit 10", "modprobe": "exit 1"},
    ),
    # A step after the packages fails.
    "no_daemon": host(
        "h100_bare", ["present"], failing=["systemd_service"],
        changes={"packages": {"installed": {"nvidia-driver-cuda": "580.95.05-1"}}, "record": json.dumps(HOLDS)},
        wanted={"source": "vendor"},
        files={"etc/apt/sources.list.d/cuda.list": f"deb {CUDA} /\n"},
    ),
    "first_installation": host(
        "h100_sxm", ["restart"], variables=RESTARTS,
        changes={"system": {"nouveau": True}, "processes": [], "files": [], "packages": {"held": []},
                 "record": json.dumps({**HOLDS, "packages": ["nvidia-fabricmanager"]})},
    ),
    # Nothing is installed: the driver is somebody else's.
    "nouveau": host("h100_sxm", ["only:nouveau"], changes={"system": {"nouveau": True, "nouveau_off": False}}),
    "nouveau_back": host(
        "h100_sxm", ["absent"], changes={
            "system": {"os": "rocky9"}, "record": json.dumps({"files": ["{place}/" + NOUVEAU], "users": ["HwHiAiUser"]})
        },
        variables={"accelerator_state": "absent"}, files={NOUVEAU: "blacklist nouveau\n"},
    ),
    # Xinference is removed next, by systemd here and by supervisord there; what else uses the cards is in the way.
    "not_removable": host(
        "h100_sxm", ["removable"],
        changes={
            "processes": [*XINFERENCES, {"pid": 4711, "name": "trainer", "devices": ["nvidia1"], "unit": "theirs.service"}],
            "record": json.dumps(HOLDS),
        },
        variables=LEAVES, files=SUPERVISED,
    ),
    "firmware_fails": host(
        "ascend_910b", ["ascend"], changes={"ascend": None},
        wanted={"ascend_files": ["driver", "firmware", "cann"]},
        variables={"accelerator_ascend_files": PARTS}, files=INSTALLERS,
    ),
    "firmware_stays": host(
        "ascend_910b", ["absent"], changes={"record": json.dumps({"parts": ["driver", "firmware", "cann"]})},
        variables={"accelerator_ascend_files": PARTS, "accelerator_state": "absent"}, files=INSTALLERS,
    ),
    "short_of_memory": host("none", ["present"], variables={"accelerator_huge_pages": 1024}),
}  # fmt: skip


def prepared(base, name, row):
    """The host's directory, its copy of the role, and its variables."""
    place = base / name
    tree = machines.Tree(place)
    row = json.loads(json.dumps(row).replace("{place}", str(place)))
    made = machines.build(place, row["machine"], row["changes"])
    for path, content in row["files"].items():
        tree.file(path, content)
    for process in row["changes"].get("processes", []):
        tree.file(f"proc/{process['pid']}/cgroup", f"0::/system.slice/{process.get('unit', 'python.scope')}\n")
    for program, shell in row["programs"].items():
        tree.file(f"bin/{program}", PROGRAM + shell + "\n")
        (place / "bin" / program).chmod(0o755)
    for module in row["failing"]:
        tree.file(f"failing/{module}")
    for directory in (
        "etc/apt/sources.list.d",
        "etc/apt/preferences.d",
        "etc/yum.repos.d",
        "etc/dnf/plugins",
        "etc/tmpfiles.d",
        "etc/modprobe.d",
        "var/tmp",
    ):
        tree.directory(directory)
    tree.file("log")
    read = facts.read(made.host)
    read["system"]["root"] = True
    read["record_path"] = facts.RECORD
    if row["changes"].get("system", {}).get("os") == "rocky9":
        read["packages"] |= {"manager": "rpm", "held": ["nvidia-driver-cuda"] if "record" in row["changes"] else []}
    # Who is not root reads another record.
    tree.file("x/etc/accelerator.json", row["changes"].get("record", "{}"))
    copy = base / "roles" / f"accelerator_{name}"
    shutil.copytree(ROLE, copy)
    for file in copy.glob("tasks/**/*.yml"):
        file.write_text(file.read_text().replace("ansible.builtin.reboot:", "fake_reboot:"))
    (copy / "tasks" / "only.yml").write_text(ONLY)
    return {
        "place": str(place), "run": row["run"], "xinference_dir": "/x",
        "xinference_found": {"accelerator": found(place, name, row, read, made.host)},
        "_accelerator_root": str(place), "_accelerator_kernel": True, "_accelerator_etc": f"{place}/etc",
        **row["variables"],
    }  # fmt: skip


def found(place, name, row, read, host):
    """The module's result, with its programs below the host's directory."""
    given = {
        key.replace("accelerator_", "").replace("xinference_", ""): value for key, value in row["variables"].items()
    }
    wanted = PlanOptions(**row["wanted"])
    planned = plan.plan(read, wanted)
    options = RoleOptions(host=name, groups=[row["group"]], directory="/x", etc=f"{place}/etc", **given)
    made = json.dumps(role.role(Case(read, planned, wanted, options), host))
    made = re.sub(r"/usr/s?bin/(?=(dracut|update-initramfs)\b)", f"{place}/bin/", made)
    return {"facts": read, "plan": planned, "role": json.loads(made.replace("/var/tmp/", f"{place}/var/tmp/"))}


class Made:
    def __init__(self, place):
        self.place = place
        self.log = (place / "log").read_text().splitlines()
        self.told = json.loads((place / "made.json").read_text())
        self.failed = self.told["failed"]

    def text(self, path):
        file = self.place / path
        return file.read_text() if file.exists() else None

    @property
    def record(self):
        return json.loads(self.text("var/lib/modelops/accelerator.json"))

    def asked(self, module):
        return [json.loads(line.partition(" ")[2]) for line in self.log if line.startswith(f"{module} {{")]

    def ran(self, *words):
        return [line for line in self.log if all(word in line for word in words)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made[host]``, a Made. One run for all."""
    base = tmp_path_factory.mktemp("accelerator")
    hosts = {name: prepared(base, name, row) for name, row in HOSTS.items()}
    groups = {row["group"]: {"hosts": {}} for row in HOSTS.values() if row["group"] != "all"}
    for name, row in HOSTS.items():
        groups.get(row["group"], {"hosts": {}})["hosts"][name] = {}
    (base / "action_plugins").mkdir()
    (base / "action_plugins" / "fake_reboot.py").write_text(REBOOT)
    (base / "instead").mkdir()
    (base / "instead" / "setup.py").write_text(SETUP)
    for module in MODULES:
        (base / "instead" / f"{module}.py").write_text(MODULE.replace("NAME", module))
    shutil.copy(PLAYBOOKS / "accelerator_tasks.yml", base / "play.yml")
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (base / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": common, "children": groups}}))
    words = ("-i", base / "inventory.json", base / "play.yml")
    done = emulated.play(*words, INSTEAD=str(base / "instead"))
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: Made(base / name) for name in HOSTS}


def test_a_run_that_broke_off_before_it_knew_what_was_there_records_no_package(made):
    assert "apt fails" in made["dead_source"].failed
    # Those of before; nothing of dpkg-query's list.
    assert made["dead_source"].record["packages"] == ["nvidia-driver-cuda"]
    assert made["dead_stream"].record["packages"] == ["nvidia-driver-cuda"]


def test_a_run_that_broke_off_leaves_the_holds(made):
    selections = [(row["name"], row["selection"]) for row in made["dead_source"].asked("dpkg_selections")]
    assert selections == [("nvidia-driver-cuda", "install"), ("nvidia-driver-cuda", "hold")]
    assert made["dead_stream"].text("etc/dnf/plugins/versionlock.list") == "kernel-5.14*\n" + LOCK
    assert os.listdir(made["dead_stream"].place / "etc/dnf/plugins") == ["versionlock.list"]


@pytest.mark.each_core("accelerator_step")
def test_the_roles_own_locks_go_before_another_branch_comes(made):
    done = made["branch"]
    assert done.failed == ""
    assert done.text("etc/dnf/plugins/versionlock.list") == "kernel-5.14*\n"
    assert "nvidia-driver-cuda-580*" in done.asked("dnf")[0]["name"]
    assert done.record["packages"] == ["nvidia-driver-cuda"]


def test_an_exact_version_of_the_distribution_is_pinned_and_held(made):
    done = made["exact_ubuntu"]
    assert done.failed == ""
    (asked,) = [row for row in done.asked("apt") if "name" in row]
    assert {"nvidia-dkms-580-server-open=580.95.05*", "nvidia-utils-580-server=580.95.05*"} <= set(asked["name"])
    lines = done.text(PIN).splitlines()
    assert lines.index("Pin: release l=NVIDIA CUDA") < lines.index("Pin: version 580.95.05*")
    assert str(done.place / PIN) in done.record["files"]
    assert [row["name"] for row in done.asked("dpkg_selections")] == ["nvidia-utils-580-server"]


def test_the_distributions_branch_has_no_pin(made):
    assert made["branch_ubuntu"].failed == "" and made["branch_ubuntu"].text(PIN) is None


def test_ubuntus_daemon_gets_persistence(made):
    done = made["persistence"]
    assert done.failed == ""
    lines = done.text("etc/systemd/system/nvidia-persistenced.service.d/modelops.conf").splitlines()
    assert {"StopWhenUnneeded=false", "ExecStart=", "WantedBy=multi-user.target"} <= set(lines)
    assert "--no-persistence-mode" not in "".join(lines)
    # It ran before, without.
    (asked,) = done.asked("systemd_service")
    assert (asked["state"], asked["enabled"], asked["daemon_reload"]) == ("restarted", True, True)
    assert [path.rpartition("system/")[2] for path in done.record["files"]] == [
        "multi-user.target.wants/nvidia-persistenced.service", "nvidia-persistenced.service.d/modelops.conf",
    ]  # fmt: skip


def test_a_module_that_cannot_be_unloaded_fails_nothing(made):
    done = made["module_in_use"]
    assert done.failed == "" and done.told["commands"] == [1, 0]
    # Who watches the driver is stopped and started, by the name of its unit.
    states = [(row["name"], row["state"]) for row in done.asked("systemd_service")]
    assert ("nvidia-dcgm", "stopped") in states and states[-1][1] == "started"


def test_after_the_restart_the_drivers_services_are_up_before_it_is_looked_at(made):
    done = made["first_installation"]
    assert [line.split()[0] for line in done.log] == ["reboot", "systemd_service", "systemd_service"]
    assert [(row["name"], row["state"]) for row in done.asked("systemd_service")] == [
        ("nvidia-persistenced", "started"), ("nvidia-fabricmanager", "started")
    ]  # fmt: skip


def test_a_file_that_came_without_packages_is_recorded(made):
    done = made["nouveau"]
    assert done.failed == "" and done.record["files"] == [str(done.place / NOUVEAU)]
    assert done.ran("update-initramfs -u")


def test_nouveau_comes_back_into_the_initial_file_system(made):
    done = made["nouveau_back"]
    assert done.failed == "" and done.text(NOUVEAU) is None
    assert done.log == ['user {"name": "HwHiAiUser", "state": "absent"}', "dracut --force --regenerate-all"]


def test_what_a_driver_cannot_be_removed_for_is_said_before_anything_is(made):
    refused = made["not_removable"].failed
    assert "the driver cannot be removed while cards are in use by trainer 4711: stop them first" in refused
    assert "Nothing was changed; with -e accelerator_state=present the driver stays." in refused
    assert made["not_removable"].log == []


def test_a_part_of_huaweis_is_recorded_when_it_is_there(made):
    done = made["firmware_fails"]
    assert "Huawei's installer of firmware failed" in done.failed
    assert (done.record["parts"], done.record["users"]) == (["driver"], ["HwHiAiUser"])
    assert made["firmware_stays"].record["parts"] == ["driver", "firmware"]


def test_a_step_that_fails_after_the_packages_leaves_the_holds(made):
    for name, words in {
        "not_built_after_release": "could not be built for 6.1.0-40-amd64: Error! Bad return status",
        "no_daemon": "systemd_service fails",
    }.items():
        assert words in made[name].failed
        assert made[name].asked("dpkg_selections")[-1] == {"name": "nvidia-driver-cuda", "selection": "hold"}


def test_huge_pages_that_the_kernel_did_not_reserve_are_said(made):
    done = made["short_of_memory"]
    assert done.ran("systemd-tmpfiles --create") and "the kernel reserved 512 of 1024 huge pages" in done.failed
