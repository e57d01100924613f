# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tasks of the role accelerator, executed by ansible-playbook: its files below a directory, its programs (apt-get, dnf, modprobe)
and the modules that need a host's libraries (apt, dnf) in place of them, writing down what they were asked for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import emulated
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "accelerator"))
import machines

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import facts, plan
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import Wanted

PLAYBOOKS = Path(__file__).parent / "playbooks"
ENVIRONMENT = {
    **os.environ,
    **emulated.called_in_process(),
    "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
    "ANSIBLE_FORCE_COLOR": "0",
}
ROLE = Path(__file__).parents[3] / "roles" / "accelerator"
CUDA = "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/"
MODULES = ("apt", "dnf", "dpkg_selections", "get_url", "reboot", "systemd_service", "user")
# Says that it changed something, or fails where the host has a file failing/NAME. An action needs no process of its own.
MODULE = """
import json, os
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        given, place = dict(self._task.args), task_vars["place"]
        with open(place + "/log", "a") as log:
            log.write("NAME " + json.dumps(given, sort_keys=True) + "\\n")
        failing = os.path.exists(place + "/failing/NAME")
        if given.get("dest"):
            open(given["dest"], "w").write("a key")
        made = {"changed": True, "failed": failing, "msg": "NAME fails" if failing else "", "dest": given.get("dest"), "rebooted": True}
        return {**made, "name": given.get("name")}
"""
PROGRAM = '#!/bin/sh\necho "${0##*/} $*" >> "$PLACE/log"\n'
PROGRAMS = dict.fromkeys(("apt-get", "dnf", "dpkg-query", "rpm", "modprobe", "dkms", "systemd-tmpfiles"), "")
PROGRAMS |= {"update-initramfs": "", "dracut": "", "systemctl": "echo inactive; exit 3"}
ARCHIVE_LIST = """deb [signed-by=/k.gpg] http://mirror.example.com/debian-security bookworm-security main
deb http://mirror.example.com/debian/ bookworm main
"""
ARCHIVE = """Types: deb
URIs: http://mirror.example.com/debian-security
Suites: bookworm-security
Signed-By: /k.gpg

Types: deb
# Once http://old.example.com/
URIs: http://mirror.example.com/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
"""
HOLDS = {"held": ["nvidia-driver-cuda"], "packages": ["nvidia-driver-cuda"], "wanted": [], "files": []}
OLD = {"nvidia-driver-cuda": "570.86.15-1", "nvidia-persistenced": "570.86.15-1"}
NEW = {"nvidia-driver-cuda": "590.48.01-1"}
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
#: What remove.yml stops first.
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
        "h100_bare", ["packages_debian"],
        changes={"nvidia": BEFORE, "packages": {"installed": OLD, "held": ["nvidia-driver-cuda"]}, "record": json.dumps(HOLDS)},
        wanted={"branch": "580"},
        failing=["apt"], programs={"dpkg-query": "echo gcc; echo make"},
    ),
    "dead_stream": host(
        "h100_bare", ["packages_redhat"],
        changes={"system": {"os": "rocky9"}, "nvidia": BEFORE, "packages": {"installed": OLD}, "record": json.dumps(HOLDS)},
        wanted={"branch": "580"},
        files={"etc/dnf/plugins/versionlock.list": "kernel-5.14*\n" + LOCK},
        programs={"rpm": "echo gcc", "dnf": 'case "$*" in *enable*) exit 1;; esac'},
    ),
    "branch": host(
        "h100_bare", ["packages_redhat"],
        changes={"system": {"os": "rocky9"}, "nvidia": BEFORE, "packages": {"installed": OLD}, "record": json.dumps(HOLDS)},
        wanted={"branch": "580"},
        files={"etc/dnf/plugins/versionlock.list": "kernel-5.14*\n" + LOCK},
        programs={"rpm": 'test -e "$PLACE/listed" && echo nvidia-driver-cuda; touch "$PLACE/listed"; echo gcc'},
    ),
    # The driver of somebody's stays, under programs; the repository has newer ones.
    "fabric": host(
        "h100_sxm", ["repositories", "pin_debian", "packages_debian"],
        changes={"packages": {"installed": {"nvidia-fabricmanager": None}}}, failing=["apt"],
        programs={"dpkg-query": "echo gcc"},
    ),
    "exact": host("h100_bare", ["packages_debian"], wanted={"branch": "580.95.05"}, programs={"dpkg-query": "echo gcc"}),
    # Of the distribution, before which the vendor's was there, with a pin of the role's.
    "exact_ubuntu": host(
        "h100_bare", ["pin_debian", "packages_debian", "hold_debian"],
        changes={"system": {"os": "ubuntu2404"}, "record": json.dumps({**HOLDS, "held": []}),
                 "packages": {"installed": {"nvidia-utils-580-server": "580.95.05-0ubuntu0.24.04.1"}}},
        wanted={"branch": "580.95.05", "source": "distribution"}, files={PIN: "before\n"},
        programs={"dpkg-query": "echo gcc"},
    ),
    "branch_ubuntu": host(
        "h100_bare", ["pin_debian"], changes={"system": {"os": "ubuntu2404"}}, wanted={"branch": "580"}, files={PIN: "before\n"}
    ),
    "pin_goes": host(
        "h100_sxm", ["absent"], changes={"record": json.dumps({"files": ["{place}/" + PIN]})},
        variables={"accelerator_state": "absent"}, files={PIN: "Package: *nvidia*\n"},
    ),
    "persistence": host(
        "t4_vm", ["nvidia"],
        changes={
            "system": {"os": "ubuntu2404"}, "nvidia": {**machines.MACHINES["t4_vm"]["nvidia"], "persistence": True},
            "packages": {"installed": {"nvidia-dkms-580-server-open": "580.95.05-0ubuntu1"}},
            "record": json.dumps({"packages": ["nvidia-dkms-580-server-open"]}),
        },
        wanted={"hold": False},
    ),
    "lower": host(
        "v100", ["packages_debian"],
        changes={"system": {"os": "debian12"}, "nvidia": {"driver": "590.48.01"}, "packages": {"installed": NEW}},
        wanted={"source": "vendor"},
        programs={"dpkg-query": "echo gcc"},
    ),
    # NVIDIA's guide was followed before; its entry for containers names the architecture as apt does.
    "keyring": host(
        "h100_bare", ["repositories", "pin_debian"], wanted={"container_toolkit": True},
        files={
            "etc/apt/sources.list.d/cuda.list": f"deb [signed-by=/usr/share/keyrings/cuda-archive-keyring.gpg] {CUDA} /\n",
            "etc/apt/sources.list.d/toolkit.list":
                "# deb https://nvidia.github.io/none /\n"
                "deb [signed-by=/k.gpg] https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n",
        },
    ),
    "disabled": host(
        "h100_bare", ["repositories"],
        files={"etc/apt/sources.list.d/cuda.sources": f"Types: deb\nEnabled: no\nURIs: {CUDA}\nSuites: /\n"},
    ),
    "contradicts": host(
        "h100_bare", ["repositories"],
        files={"etc/apt/sources.list.d/modelops-nvidia.sources": "before\n"},
        programs={"apt-get": 'case "$*" in indextargets) echo "E: Conflicting values set for option Signed-By" >&2; exit 100;; esac'},
    ),
    # Debian's own archive is needed with other components: one source of it names its key, the other is in an old list.
    "archive": host(
        "rtx_nouveau", ["repositories"], changes={"system": {"os": "debian12"}}, wanted={"source": "distribution"},
        files={"etc/apt/sources.list.d/debian.sources": ARCHIVE},
    ),
    "archive_list": host(
        "rtx_nouveau", ["repositories"], changes={"system": {"os": "debian12"}}, wanted={"source": "distribution"},
        files={"etc/apt/sources.list": ARCHIVE_LIST},
    ),
    "mirror_is_gone": host(
        "h100_bare", ["repositories"], changes={"system": {"os": "rocky9"}},
        variables={"accelerator_repositories": {"nvidia": {"url": "https://mirror.example/", "key": "{place}/mirror.asc"}}},
        files={"etc/yum.repos.d/modelops-nvidia.repo": "before\n", "mirror.asc": "a key\n", "etc/pki/rpm-gpg/.keep": ""},
        programs={"dnf": 'echo "Error: Failed to download metadata" >&2; exit 1'},
    ),
    # Something that is no program of anybody's has the module: the console, or another module.
    "module_in_use": host(
        "h100_sxm", ["nvidia_load", "reboot"],
        changes={**BOARD, "processes": [{"pid": 901, "name": "nv-hostengine", "devices": ["nvidia0"], "unit": "nvidia-dcgm.service"}]},
        programs={"modprobe": 'case "$*" in --remove*) echo "modprobe: FATAL: Module nvidia is in use." >&2; exit 1;; esac'},
    ),
    "serves": host(
        "h100_sxm", ["nvidia_load", "reboot"],
        changes={**BOARD, "processes": [{"pid": 4711, "name": "python", "devices": ["nvidia0"]}]},
        variables={"accelerator_reboot_ok": True},
    ),
    "not_built": host(
        "h100_bare", ["nvidia_load"],
        programs={"dkms": "echo 'Error! Bad return status for module build' >&2; exit 10", "modprobe": "exit 1"},
    ),
    "not_built_after_release": host(
        "h100_bare", ["present"],
        changes={"packages": {"installed": {"nvidia-driver-cuda": "580.95.05-1"}}, "record": json.dumps(HOLDS)},
        wanted={"source": "vendor"},
        files={"etc/apt/sources.list.d/cuda.list": f"deb {CUDA} /\n"},
        programs={"dkms": "echo 'Error! Bad return status for module build' >&2; exit 10", "modprobe": "exit 1"},
    ),
    # Waits for a restart, and serves on its CPU until then.
    "worker_on_cpu": host(
        "rtx_nouveau", ["reboot"], variables={**RESTARTS, "xinference_service": "xinference-worker"},
        programs={"systemctl": "echo active"}, group="xinference_workers",
    ),
    "server_on_cpu": host(
        "rtx_nouveau", ["reboot"], variables=RESTARTS, programs={"systemctl": "echo activating"}, group="xinference_local"
    ),
    "not_asked": host("rtx_nouveau", ["reboot"], variables={**RESTARTS, "accelerator_reboot_ok": False}),
    "first_installation": host(
        "h100_sxm", ["reboot"], variables=RESTARTS,
        changes={"system": {"nouveau": True}, "processes": [], "files": [], "packages": {"held": []},
                 "record": json.dumps({**HOLDS, "packages": ["nvidia-fabricmanager"]})},
    ),
    "role_alone": host("rtx_nouveau", ["reboot"], variables={"accelerator_reboot_ok": True}),
    # Nothing is installed: the driver is somebody else's.
    "nouveau": host("h100_sxm", ["nouveau"], changes={"system": {"nouveau": True, "nouveau_off": False}}),
    "nouveau_back": host(
        "h100_sxm", ["absent"], changes={
            "system": {"os": "rocky9"}, "record": json.dumps({"files": ["{place}/" + NOUVEAU], "users": ["HwHiAiUser"]})
        },
        variables={"accelerator_state": "absent"}, files={NOUVEAU: "blacklist nouveau\n"},
    ),
    # Xinference is removed next, by systemd here and by supervisord there; what else uses the cards is in the way.
    "removable": host(
        "h100_sxm", ["removable"], changes={"processes": XINFERENCES, "record": json.dumps(HOLDS)},
        variables=LEAVES, files=SUPERVISED,
    ),
    "not_removable": host(
        "h100_sxm", ["removable"],
        changes={
            "processes": [*XINFERENCES, {"pid": 4711, "name": "trainer", "devices": ["nvidia1"], "unit": "theirs.service"}],
            "record": json.dumps(HOLDS),
        },
        variables=LEAVES, files=SUPERVISED,
    ),
    "installer_is_gone": host(
        "ascend_910b", ["removable"], changes={"record": json.dumps({"parts": ["driver"]})}, variables=LEAVES
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
    "held_by_others": host(
        "h100_sxm", ["hold_debian"],
        changes={"packages": {"held": ["libnvidia-ml1"]}, "record": json.dumps({**HOLDS, "held": ["nvidia-fabricmanager"]})},
    ),
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
    read["record_path"] = f"{place}/var/lib/modelops/accelerator.json"
    if row["changes"].get("system", {}).get("os") == "rocky9":
        read["packages"] |= {"manager": "rpm", "held": ["nvidia-driver-cuda"] if "record" in row["changes"] else []}
    # Who is not root reads another record.
    tree.file("x/etc/accelerator.json", row["changes"].get("record", "{}"))
    own = {"_accelerator_root": place, "_accelerator_kernel": "true", "_accelerator_record": read["record_path"]}
    role = base / "roles" / f"accelerator_{name}"
    shutil.copytree(ROLE, role)
    for file in [*role.glob("tasks/*.yml"), *role.glob("vars/*.yml")]:
        text = re.sub(r"/etc/(?=(apt|dnf|modprobe|pki|systemd|tmpfiles|yum)\b)", f"{place}/etc/", file.read_text())
        text = re.sub(r"/usr/s?bin/(?=(dracut|update-initramfs)\b)", f"{place}/bin/", text)
        text = text.replace("/var/tmp/", f"{place}/var/tmp/")
        for variable, value in own.items():
            text = re.sub(rf"^{variable}: .*$", f"{variable}: {value}", text, flags=re.MULTILINE)
        for module in MODULES:
            text = text.replace(f"ansible.builtin.{module}:", f"fake_{module}:")
        file.write_text(text)
    return {
        "place": str(place), "run": row["run"], "xinference_dir": "/x",
        "accelerator_found": {"facts": read, "plan": plan.plan(read, Wanted(**row["wanted"]))},
        **row["variables"],
    }  # fmt: skip


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
    for module in MODULES:
        (base / "action_plugins" / f"fake_{module}.py").write_text(MODULE.replace("NAME", module))
    shutil.copy(PLAYBOOKS / "accelerator_tasks.yml", base / "play.yml")
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (base / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": common, "children": groups}}))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", base / "inventory.json", base / "play.yml"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
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


def test_the_roles_own_locks_go_before_another_branch_comes(made):
    done = made["branch"]
    assert done.failed == ""
    assert done.text("etc/dnf/plugins/versionlock.list") == "kernel-5.14*\n"
    assert "nvidia-driver-cuda-580*" in done.asked("dnf")[0]["name"]
    assert done.record["packages"] == ["nvidia-driver-cuda"]


def test_a_lower_branch_is_named_by_its_version(made):
    (asked,) = [row for row in made["lower"].asked("apt") if "name" in row]
    assert "nvidia-driver-cuda=580.*" in asked["name"]
    assert (asked["state"], asked["allow_downgrade"]) == ("present", True)


def test_a_fabric_manager_comes_in_the_version_of_the_driver_that_stays(made):
    done = made["fabric"]
    assert done.told["steps"] == ["fabric_manager", "hold"]
    assert "Pin: version 580.95.05*" in done.text("etc/apt/preferences.d/modelops-accelerator")
    assert "nvidia-fabricmanager=580.95.05* could not be installed: apt fails." in done.failed
    assert "The driver 580.95.05 stays, and needs its fabric manager in that version." in done.failed


def test_an_exact_version_is_asked_for(made):
    (asked,) = [row for row in made["exact"].asked("apt") if "name" in row]
    assert {"nvidia-kernel-open-dkms=580.95.05*", "nvidia-driver-cuda=580.95.05*"} <= set(asked["name"])
    assert (asked["state"], asked["allow_downgrade"]) == ("present", True)


def test_an_exact_version_of_the_distribution_is_pinned_and_held(made):
    done = made["exact_ubuntu"]
    assert done.failed == ""
    (asked,) = [row for row in done.asked("apt") if "name" in row]
    assert {"nvidia-dkms-580-server-open=580.95.05*", "nvidia-utils-580-server=580.95.05*"} <= set(asked["name"])
    lines = done.text(PIN).splitlines()
    assert lines.index("Pin: release l=NVIDIA CUDA") < lines.index("Pin: version 580.95.05*")
    assert str(done.place / PIN) in done.record["files"]
    assert [row["name"] for row in done.asked("dpkg_selections")] == ["nvidia-utils-580-server"]
    assert made["pin_goes"].text(PIN) is None


def test_the_distributions_branch_has_no_pin(made):
    assert made["branch_ubuntu"].failed == "" and made["branch_ubuntu"].text(PIN) is None


def test_ubuntus_daemon_gets_persistence(made):
    done = made["persistence"]
    assert done.told["steps"] == ["persistence"] and done.failed == ""
    lines = done.text("etc/systemd/system/nvidia-persistenced.service.d/modelops.conf").splitlines()
    assert {"StopWhenUnneeded=false", "ExecStart=", "WantedBy=multi-user.target"} <= set(lines)
    assert "--no-persistence-mode" not in "".join(lines)
    # It ran before, without.
    (asked,) = done.asked("systemd_service")
    assert (asked["state"], asked["enabled"], asked["daemon_reload"]) == ("restarted", True, True)
    assert [path.rpartition("system/")[2] for path in done.record["files"]] == [
        "multi-user.target.wants/nvidia-persistenced.service", "nvidia-persistenced.service.d/modelops.conf",
    ]  # fmt: skip


def test_debians_own_source_is_signed_as_the_host_says(made):
    source = "etc/apt/sources.list.d/modelops-debian.sources"
    assert made["archive"].failed == made["archive_list"].failed == ""
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n" in made["archive"].text(source)
    assert "Signed-By" not in made["archive_list"].text(source)
    told = {name: made[name].text(source).splitlines()[2:4] for name in ("archive", "archive_list")}
    assert told == {
        "archive": ["URIs: http://mirror.example.com/debian", "Suites: bookworm bookworm-updates"],
        "archive_list": ["URIs: http://mirror.example.com/debian", "Suites: bookworm"],
    }


def test_a_source_that_is_there_already_is_not_written_twice(made):
    done = made["keyring"]
    assert done.failed == ""
    assert sorted(os.listdir(done.place / "etc/apt/sources.list.d")) == ["cuda.list", "toolkit.list"]
    assert done.asked("get_url") == []
    # The driver of that source is kept on its branch all the same.
    assert "Pin: version 580.*" in done.text("etc/apt/preferences.d/modelops-accelerator")
    assert CUDA in made["disabled"].text("etc/apt/sources.list.d/modelops-nvidia.sources")


def test_a_source_that_contradicts_another_is_taken_out_again(made):
    done = made["contradicts"]
    assert (
        "the sources with those of nvidia cannot be used: E: Conflicting values set for option Signed-By" in done.failed
    )
    assert done.text("etc/apt/sources.list.d/modelops-nvidia.sources") == "before\n"
    assert done.text("etc/apt/keyrings/modelops-nvidia.asc") is None
    assert done.ran("apt-get update") == []


def test_a_repository_of_dnf_that_is_gone_leaves_what_was_there(made):
    done = made["mirror_is_gone"]
    assert "repository nvidia (https://mirror.example/, key " in done.failed
    assert "cannot be used: Error: Failed to download metadata." in done.failed
    assert "accelerator_repositories.nvidia" in done.failed
    assert os.listdir(done.place / "etc/yum.repos.d") == ["modelops-nvidia.repo"]
    assert done.text("etc/yum.repos.d/modelops-nvidia.repo") == "before\n"
    assert os.listdir(done.place / "etc/pki/rpm-gpg") == [".keep"]


def test_a_key_that_is_named_replaces_the_one_that_is_there(made):
    assert [row["force"] for row in made["disabled"].asked("get_url")] == [True]


def test_a_module_that_cannot_be_unloaded_waits_for_a_restart(made):
    done = made["module_in_use"]
    assert done.failed == ""
    assert done.told["reasons"] == [
        "the kernel module of before could not be unloaded: modprobe: FATAL: Module nvidia is in use."
    ]
    # Who watches the driver is stopped and started, by the name of its unit.
    states = [(row["name"], row["state"]) for row in done.asked("systemd_service")]
    assert ("nvidia-dcgm", "stopped") in states and states[-1][1] == "started"


def test_a_host_that_serves_is_not_restarted(made):
    done = made["serves"]
    assert done.failed == "" and done.asked("reboot") == [] and done.ran("modprobe --remove") == []
    assert "It is in use by python 4711: stop it first." in done.told["left"]


def test_a_host_that_serves_on_its_cpu_is_not_restarted(made):
    worker, server = made["worker_on_cpu"], made["server_on_cpu"]
    assert worker.asked("reboot") == server.asked("reboot") == []
    assert worker.ran("systemctl") == ["systemctl is-active xinference-worker"]
    assert "in use by xinference-worker: drain it first (modelops.inference.drain), " in worker.told["left"]
    assert "in use by xinference: stop it first." in server.told["left"]


def test_the_service_is_asked_for_only_before_a_restart(made):
    assert made["not_asked"].log == made["role_alone"].ran("systemctl") == []
    assert len(made["role_alone"].asked("reboot")) == 1


def test_after_the_restart_the_drivers_services_are_up_before_it_is_looked_at(made):
    done = made["first_installation"]
    assert [line.split()[0] for line in done.log] == ["systemctl", "reboot", "systemd_service", "systemd_service"]
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
    assert made["removable"].failed == ""
    refused = made["not_removable"].failed
    assert "the driver is to be removed, and cards are in use by trainer 4711: stop these first" in refused
    assert "Nothing was changed; with -e accelerator_state=present the driver stays." in refused
    assert "driver of Huawei's is removed by its installer" in made["installer_is_gone"].failed
    for name in ("removable", "not_removable", "installer_is_gone"):
        assert made[name].log == []


def test_a_part_of_huaweis_is_recorded_when_it_is_there(made):
    done = made["firmware_fails"]
    assert "Huawei's installer of firmware failed" in done.failed
    assert (done.record["parts"], done.record["users"]) == (["driver"], ["HwHiAiUser"])
    assert made["firmware_stays"].record["parts"] == ["driver", "firmware"]


def test_a_module_that_was_not_built_is_no_reason_for_a_restart(made):
    assert (
        "the kernel module could not be built for 6.1.0-40-amd64: Error! Bad return status" in made["not_built"].failed
    )


def test_a_step_that_fails_after_the_packages_leaves_the_holds(made):
    done = made["not_built_after_release"]
    assert "could not be built" in done.failed
    assert done.asked("dpkg_selections")[-1] == {"name": "nvidia-driver-cuda", "selection": "hold"}


def test_huge_pages_that_the_kernel_did_not_reserve_are_said(made):
    done = made["short_of_memory"]
    assert done.ran("systemd-tmpfiles --create") and "of 1024 huge pages the kernel reserved 512" in done.failed


def test_holds_of_others_stay_theirs(made):
    done = made["held_by_others"]
    assert done.failed == ""
    # Held anew and of before; libnvidia-ml1 is somebody else's.
    assert done.record["held"] == ["nvidia-fabricmanager", "nvidia-kernel-open-dkms"]
