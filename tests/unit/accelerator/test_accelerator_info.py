# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts and the plan of each machine in machines.yml."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path

import machines
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    ascend,
    facts,
    installations,
    pci,
    plan,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import PlanOptions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess, ProgramOutput


def holds(whole, part):
    """The differences of ``part`` from ``whole``."""
    return {key: (whole[key], value) for key, value in part.items() if whole[key] != value}


@pytest.fixture
def read(tmp_path):
    roots = itertools.chain([tmp_path], (tmp_path / f"another{number}" for number in itertools.count()))

    def read_machine(name, **changes):
        machine = machines.build(next(roots), name, changes)
        return facts.read(machine.host), machine

    return read_machine


@pytest.mark.parametrize("name", machines.MACHINES)
def test_a_machine(read, name):
    expect = machines.MACHINES[name]["expect"]
    found, _machine = read(name)
    planned = plan.plan(found, PlanOptions())
    cards = found["cards"]
    assert found["vendors"] == expect.get("vendors", found["vendors"])
    assert len(cards) == expect.get("cards", len(cards))
    assert sum(card["computes"] for card in cards) == expect.get("computing", len(cards) if found["vendors"] else 0)
    assert not holds(cards[0], expect.get("card", {})) if cards else "card" not in expect
    if "instance" in expect:
        assert not holds(cards[0]["mig"]["instances"][0], expect["instance"])
    for vendor in ("nvidia", "amd", "ascend"):
        assert not holds(found[vendor], expect.get(vendor, {}))
    assert [refusal["code"] for refusal in planned["refusals"]] == expect.get("refusals", [])
    assert [warning["code"] for warning in planned["warnings"]] == expect.get("warnings", [])
    assert planned["mode"] == expect.get("mode", planned["mode"])
    assert [step["name"] for step in planned["steps"]] == expect.get("steps", [])
    assert len(planned["reboot"]) == expect.get("reboot", 0)
    assert planned["accelerator"] == expect.get("accelerator", planned["accelerator"])
    for part in ("driver", "torch"):
        assert not holds(planned[part], expect.get(part, {}))


def test_no_program_is_started_where_there_is_no_device(read):
    found, machine = read("none", cards=[], amd=None)
    assert machine.started == [] and found["log"] == {"readable": False, "events": []}


def test_a_vendors_tool_is_asked_only_where_its_driver_runs(read):
    _found, machine = read("h100_bare", answers={"apt-cache policy": ""})
    assert sorted(set(machine.started)) == ["dmesg", "modinfo"]


def test_another_root_starts_no_program(tmp_path, run_module):
    machines.build(tmp_path, "h100_sxm")
    result = run_module("accelerator_info", {"root": str(tmp_path)})
    assert not result.failed and not result.changed
    assert result["facts"]["nvidia"]["driver"] == "580.95.05" and result["facts"]["cards"][0]["answers"] is None


def test_one_reading_of_the_host_has_all_of_it_where_the_role_asks(tmp_path, run_module):
    machines.build(tmp_path / "machine", "h100_sxm")
    options = {"root": str(tmp_path / "machine"), "container_toolkit": True}
    of_role = {**options, "role": {"host": "gpu01", "groups": ["xinference_local"], "huge_pages": 8, "kernel": False}}
    places = dict.fromkeys(["path", "home", "models_dir"], str(tmp_path))
    for check in (False, True):
        alone = run_module("accelerator_info", of_role, check=check)
        found = run_module("xinference_host_info", {**places, "accelerator": of_role}, check=check)["accelerator"]
        changing = ("processes", "memory", "cpu", "date")
        for read_at in (alone["facts"], found["facts"]):
            for key in changing:
                read_at.pop(key)
        assert {key: found[key] for key in ("facts", "plan", "role")} == {
            key: alone[key] for key in ("facts", "plan", "role")
        }
        assert found["torch"] == alone["plan"]["torch"] and found["refusals"] == []
        assert (alone["role"]["would"] != []) is check
    brief = run_module("xinference_host_info", {**places, "accelerator": options})["accelerator"]
    assert sorted(brief) == ["accelerator", "groups", "refusals", "torch"] and brief["torch"] == found["torch"]


@pytest.mark.each_core("accelerator_info")
def test_the_module_reads_and_plans_for_this_machine(run_module):
    result = run_module("accelerator_info", {"accelerator": "none"})
    assert result["plan"]["torch"]["kind"] == "cpu"
    assert result["facts"]["memory"]["total_bytes"] > 0 and result["facts"]["cpu"]["threads"] > 0


def test_a_misspelt_option_names_the_nearest(run_module):
    assert "accelerator" in run_module("accelerator_info", {"acelerator": "nvidia"})["msg"]


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"virtual_function": True}, {"virtual_function": True}),
        ({"driver": "vfio-pci"}, {"driver": "vfio-pci"}),
        ({"gone": True}, {"alive": False}),
        ({"domain": 0x10000}, {"address": "10000:1b:00.0"}),
    ],
)
def test_what_the_bus_says_of_a_card(read, card, expected):
    found, _machine = read("h100_bare", cards=[{"id": "10de:2330", **card}])
    assert not holds(found["cards"][0], expected)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:1B:00.0", "0000:1b:00.0"),
        ("0000:1b:00", "0000:1b:00.0"),
        ("1b:00.0", "0000:1b:00.0"),
        ("nothing", ""),
    ],
)
def test_an_address_as_a_tool_writes_it(text, address):
    assert pci.address(text) == address


def test_memory_that_is_the_hosts_is_not_a_number(read):
    smi = {"name": "NVIDIA GB10", "memory": None}
    found, _machine = read("t4_vm", cards=[{"id": "10de:2e12", "driver": "nvidia"}], nvidia={"smi": smi})
    assert found["cards"][0]["memory_bytes"] is None and found["cards"][0]["capability"] == "12.1"


def test_the_capability_of_a_card_newer_than_the_table_is_asked_for(read):
    smi = {"name": "NVIDIA R200", "memory": 294912}
    answers = {"nvidia-smi --query-gpu=compute_cap": "14.0\n"}
    found, _machine = read(
        "t4_vm", cards=[{"id": "10de:3500", "driver": "nvidia"}], nvidia={"smi": smi}, answers=answers
    )
    assert (found["cards"][0]["generation"], found["cards"][0]["capability"]) == ("newer", "14.0")


@pytest.mark.parametrize(
    "answer", ["Unable to determine the device handle for GPU0000:43:00.0: Unknown Error\n", "<nvidia_smi_log>"]
)
def test_nvidia_smi_that_answers_with_a_sentence(read, answer):
    found, _machine = read("off_the_bus", answers={"nvidia-smi -q -x": answer})
    assert found["nvidia"]["tool_error"] == answer.strip()
    assert [card["answers"] for card in found["cards"]] == [None, None]
    assert [card["alive"] for card in found["cards"]] == [True, False]


def test_a_card_that_the_driver_gave_up_is_silent(read):
    cards = [
        {"id": "10de:2330", "driver": "nvidia"},
        {"id": "10de:2330", "driver": "nvidia", "at": 0x43, "silent": True},
    ]
    found, _machine = read("off_the_bus", cards=cards, log="")
    assert [(card["alive"], card["answers"]) for card in found["cards"]] == [(True, True), (True, False)]
    assert "card_silent" in [warning["code"] for warning in plan.plan(found, PlanOptions())["warnings"]]


def test_rocm_smi_where_there_is_no_amd_smi(read):
    rows = {"card0": {"Card series": "AMD Instinct MI300X OAM", "Unique ID": "0x1", "PCI Bus": "0000:1B:00.0",
                      "VRAM Total Memory (B)": "206141652992"}, "system": {"Driver version": "6.14.14"}}  # fmt: skip
    found, _machine = read("mi300x", amd={"name": None}, answers={"rocm-smi --showproductname": json.dumps(rows)})
    assert not holds(found["cards"][0], {"name": "AMD Instinct MI300X OAM", "uuid": "0x1", "index": 0, "answers": True})
    assert found["cards"][1]["answers"] is False


def test_amd_smi_of_an_older_release_answers_with_a_list(read):
    rows = [{"gpu": 0, "asic": {"market_name": "MI210"}, "bus": {"bdf": "0000:1b:00.0"}, "vram": {"size": "N/A"}}]
    answer = "WARNING: User is missing the following required groups: render\n" + json.dumps(rows)
    found, _machine = read("mi300x", answers={"amd-smi static": answer})
    assert not holds(found["cards"][0], {"name": "MI210", "memory_bytes": 206141652992})


@pytest.mark.parametrize("answer", ["ERROR: no permission", '[{"gpu": 0}]', "{"])
def test_amd_smi_that_does_not_answer_as_documented(read, answer):
    found, _machine = read("mi300x", answers={"amd-smi static": answer})
    assert "did not answer in JSON" in found["amd"]["tool_error"] and found["vendors"] == ["amd"]


def test_partitions_of_an_mi300x_are_one_card(read, tmp_path):
    _found, machine = read("mi300x")
    nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
    (nodes / "90").mkdir()
    (nodes / "90/properties").write_text((nodes / "1/properties").read_text())
    assert facts.amd.targets(machine.host)["0000:1b:00.0"]["partitions"] == 2


@pytest.mark.parametrize(
    ("version", "name"), [(90402, "gfx942"), (90010, "gfx90a"), (120001, "gfx1201"), (110501, "gfx1151"), (0, "")]
)
def test_the_llvm_target_of_a_version(version, name):
    assert facts.amd.gfx_name(version) == name


NPU_910B = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc3.7               Version: 24.1.rc3.7                                           |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     Ascend910           | OK            | 178.9       36                0    / 0             |
| 0     0                   | 0000:9D:00.0  | 0           0    / 0          3412 / 65536         |
+------------------------------------------------------------------------------------------------+
| 0     Ascend910           | Warning       | -           36                0    / 0             |
| 1     1                   | 0000:9F:00.0  | 0           0    / 0          3189 / 65536         |
+===========================+===============+====================================================+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
| 0       0                 | 3331          | python                   | 3389                    |
"""
NPU_310P = """\
| npu-smi 22.0.0                       Version:22.0.2                                        |
| NPU     Name      | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device    | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
| 0       310P3     | OK              | 16.2         42                0    / 0              |
| 0       0         | 0000:86:00.0    | 0            994  / 21534                            |
"""


@pytest.mark.parametrize(
    ("text", "version", "rows"),
    [
        (
            NPU_910B,
            "24.1.rc3.7",
            {"0000:9d:00.0": ("Ascend 910", True, 65536), "0000:9f:00.0": ("Ascend 910", False, 65536)},
        ),
        (NPU_310P, "22.0.2", {"0000:86:00.0": ("Ascend 310P3", True, 21534)}),
    ],
)
def test_tables_of_npu_smi(text, version, rows):
    said = ascend.query(HostAccess("/nowhere", lambda argv, timeout: ProgramOutput(True, text)))
    assert said["driver"] == version
    assert {a: (c["name"], c["healthy"], c["memory_bytes"] // 1024**2) for a, c in said["cards"].items()} == rows


def test_the_kernels_log_names_what_happened_and_leaves_out_applications_faults(read):
    found, _machine = read("off_the_bus")
    events = found["log"]["events"]
    assert [(event["code"], event["count"], event["serious"]) for event in events] == [
        (13, 1, False),
        (79, 2, True),
        (63, 1, True),
    ]
    assert events[1]["address"] == "0000:43:00.0" and events[1]["text"] == "the GPU fell off the bus"


def test_the_journal_is_asked_where_the_kernels_ring_has_lost_its_start(read):
    xid = "NVRM: Xid (PCI:0000:1b:00): 48, pid='<unknown>', name=<unknown>, DBE\n"
    found, _machine = read("h100_bare", answers={"dmesg": "usb 1-1: new device\n", "journalctl -k": xid})
    assert [event["code"] for event in found["log"]["events"]] == [48]
    found, _machine = read("l40s", failing={"dmesg": "dmesg: read kernel buffer failed: Operation not permitted"})
    assert found["log"] == {"readable": False, "events": []}


@pytest.mark.parametrize(
    ("release", "repository"),
    [("debian12", "debian12"), ("ubuntu2404", "ubuntu2404"), ("mint", "ubuntu2404"), ("rocky9", "rhel9"), ("arch", "")],
)
def test_what_vendors_call_a_distribution(read, release, repository):
    found, _machine = read("h100_bare", system={"os": release})
    assert found["system"]["distribution"]["repository"] == repository


def test_packages_by_rpm(tmp_path):
    machine = machines.build(tmp_path, "v100")
    (tmp_path / "var/lib/dpkg/status").unlink()
    machine.answers["rpm -qa"] = (
        "kmod-nvidia-open-dkms 3:580.95.05-1.el9\nbash 5.1.8-9.el9\nkernel-devel 5.14.0-570.el9\n"
    )
    tree = machines.Tree(tmp_path)
    tree.file("etc/dnf/plugins/versionlock.list", "kmod-nvidia-open-dkms-3:580.95.05-1.el9.*\n")
    found = facts.read(machine.host)["packages"]
    assert found["manager"] == "rpm" and found["held"] == ["kmod-nvidia-open-dkms"]
    assert found["installed"] == {"kernel-devel": "5.14.0-570.el9", "kmod-nvidia-open-dkms": "3:580.95.05-1.el9"}
    assert found["driver"] == {"kmod-nvidia-open-dkms": "3:580.95.05-1.el9"}


POLICY = (
    "linux-headers-6.1.0-40-amd64:\n  Installed: (none)\n  Candidate: {}\n  Version table:\n"
    "bash:\n  Installed: 5.2.15-2+b8\n  Candidate: 5.2.15-2+b8\n  Version table:\n *** 5.2.15-2+b8 {}\n        100 /var/lib/dpkg/status\n"
)
INDEXED = "500\n        500 http://mirror.example.com/debian bookworm/main amd64 Packages"


@pytest.mark.parametrize(
    ("release", "program", "answer", "candidate"),
    [
        ("debian12", "apt-cache policy", POLICY.format("6.1.153-1", INDEXED), "6.1.153-1"),
        ("debian12", "apt-cache policy", POLICY.format("(none)", INDEXED), ""),
        (
            "debian12",
            "apt-cache policy",
            POLICY.partition("bash:")[1] + POLICY.partition("bash:")[2].format(INDEXED),
            "",
        ),
        # An image without an index: apt knows only what is installed.
        ("debian12", "apt-cache policy", POLICY.format("(none)", "100"), None),
        ("debian12", "apt-cache policy", "", None),
        ("rocky9", "dnf -q", "bash-0:5.1.8-9.el9.x86_64\nkernel-devel-0:6.1.0-40-amd64\n", machines.KERNEL),
        ("rocky9", "dnf -q", "bash-0:5.1.8-9.el9.x86_64\n", ""),
        ("rocky9", "dnf -q", "", None),
    ],
)
def test_headers_that_are_to_be_had(read, release, program, answer, candidate):
    found, _machine = read("h100_bare", system={"os": release, "headers": False}, answers={program: answer})
    assert found["system"]["headers_candidate"] == candidate
    planned = plan.plan(found, PlanOptions())
    # Where no index says it, the package manager does.
    assert ("headers" in [step["name"] for step in planned["steps"]]) == (candidate != "")
    assert [refusal["code"] for refusal in planned["refusals"]] == (["no_headers"] if candidate == "" else [])


def test_dnf_without_its_cache_knows_nothing_of_headers(read):
    failing = {"dnf -q": "Error: Cache-only enabled but no cache for 'baseos'"}
    found, _machine = read("h100_bare", system={"os": "rocky9", "headers": False}, failing=failing)
    assert found["system"]["headers_candidate"] is None


@pytest.mark.parametrize("flavor, module", [("proprietary", "nvidia-current"), ("open", "nvidia-current-open")])
def test_the_module_of_debians_own_packages(read, flavor, module):
    found, machine = read("debian_own", nvidia={"module": module, "flavor": flavor})
    assert (found["nvidia"]["installed"], found["nvidia"]["installed_flavor"]) == ("535.261.03", flavor)
    # Where both are there, modprobe's configuration chooses; without it the one that is there counts.
    both = {
        **machine.answers,
        "modinfo nvidia-current": machine.answers[f"modinfo {module}"].replace("Dual MIT/GPL", "NVIDIA"),
    }
    machine.answers.update(both)
    assert facts.read(machine.host)["nvidia"]["installed_flavor"] == flavor
    (Path(machine.host.root) / "etc/modprobe.d/nvidia.conf").unlink()
    assert facts.read(machine.host)["nvidia"]["installed"] == "535.261.03"


@pytest.mark.parametrize(
    ("lock", "held"),
    [
        ("nvidia-driver-libs-3:580.95.05-1.el9.*", ["nvidia-driver-libs"]),
        ("nvidia-driver-580*", ["nvidia-driver"]),
        ("!nvidia-driver-3:580.95.05-1.el9.*", []),
        ("3:nvidia-driver-580.95.05-1.el9.*", ["nvidia-driver"]),
    ],
)
def test_a_lock_of_dnf_is_that_of_one_package(tmp_path, lock, held):
    machine = machines.build(tmp_path, "h100_bare", {"system": {"os": "rocky9"}})
    (tmp_path / "var/lib/dpkg/status").unlink()
    machine.answers["rpm -qa"] = "nvidia-driver 3:580.95.05-1.el9\nnvidia-driver-libs 3:580.95.05-1.el9\n"
    machines.Tree(tmp_path).file("etc/dnf/plugins/versionlock.list", lock + "\n")
    assert facts.read(machine.host)["packages"]["held"] == held


def test_the_unit_of_a_process(read, tmp_path):
    cgroups = {900: "0::/system.slice/nvidia-fabricmanager.service\n", 4711: "0::/system.slice/docker-1.scope\n"}
    _found, machine = read("h100_sxm")
    for pid, text in cgroups.items():
        machines.Tree(Path(machine.host.root)).file(f"proc/{pid}/cgroup", text)
    units = {process["pid"]: process["unit"] for process in facts.read(machine.host)["processes"]}
    assert units == {900: "nvidia-fabricmanager.service", 4711: ""}


def test_the_supervisord_of_a_process(read):
    """It may have been started by another service, of which its programs then are, too: that is not what keeps them running."""
    _found, machine = read("h100_sxm")
    tree = machines.Tree(Path(machine.host.root))
    tree.file("proc/4711/cgroup", "0::/system.slice/cron.service\n")
    tree.file("proc/4711/cmdline", "VLLM::EngineCore\0")
    for pid, parent in ((4711, 4000), (4000, 3000), (3000, 1)):
        tree.file(f"proc/{pid}/status", f"Name:\tpython\nPPid:\t{parent}\n")
    words = ("/opt/x/bin/python", "/opt/x/bin/supervisord", "-c", "/opt/x/supervisord.conf", "")
    tree.file("proc/3000/cmdline", "\0".join(words))
    units = {process["pid"]: process["unit"] for process in facts.read(machine.host)["processes"]}
    assert units[4711] == "/opt/x/supervisord.conf"


def test_removed_packages_do_not_count(read):
    states = {"nvidia-kernel-open-dkms": "config-files", "libnvidia-ml1": "half-installed"}
    found, _machine = read("h100_sxm", packages={"states": states})
    assert "nvidia-kernel-open-dkms" not in found["packages"]["installed"]
    assert found["packages"]["broken"] == [{"name": "libnvidia-ml1", "state": "half-installed"}]


def test_the_host_itself(read):
    found, _machine = read("gb200")
    assert found["system"]["architecture"] == "aarch64"
    assert found["cpu"]["features"] == ["asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"]
    assert [node["cpus"] for node in found["cpu"]["numa_nodes"]] == ["0-71", "72-143", "", ""]
    assert (found["cpu"]["threads"], found["cpu"]["cores"], found["cpu"]["sockets"]) == (4, 4, 2)
    assert found["memory"]["huge_pages"] == [{"size_bytes": 2097152, "total": 512, "free": 500}]
    assert found["memory"]["transparent_huge_pages"] == "madvise"


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("run/systemd/container", "lxc\n", "lxc"),
        ("run/.containerenv", "", "podman"),
        (".dockerenv", "", "docker"),
        ("proc/1/environ", "PATH=/bin\0container=systemd-nspawn\0", "systemd-nspawn"),
        ("var/run/secrets/kubernetes.io/x", "", "kubernetes"),
        ("etc/motd", "", ""),
    ],
)
def test_the_kind_of_a_container(read, tmp_path, path, content, kind):
    machine = machines.build(tmp_path, "h100_bare")
    machines.Tree(tmp_path).file(path, content)
    assert facts.read(machine.host)["system"]["container"] == kind


def test_reading_a_large_machine_is_quick(tmp_path):
    machine = machines.build(
        tmp_path, "h100_sxm", {"packages": {"installed": {f"package-{n}": "1.0" for n in range(2500)}}}
    )
    start = time.monotonic()
    facts.read(machine.host)
    assert time.monotonic() - start < 1  # about 0.05 s on one quiet core


def test_cards_as_the_placement_takes_them(read):
    found, machine = read(
        "a100_mig", cards=[{"id": "10de:20b2", "driver": "nvidia"}], nvidia={"smi": {"mig_instances": []}}
    )
    assert facts.gpus(facts.devices(machine.host)) == [
        {"vendor": "nvidia", "index": 0, "name": "NVIDIA A100-SXM4-80GB", "memory_bytes": 81920 * 2**20,
         "free_bytes": 81319 * 2**20, "driver": "535.183.01", "compute_capability": "8.0"}
    ]  # fmt: skip
    assert machine.started.count("nvidia-smi") == 2  # once for the facts, once here
    assert facts.gpus(read("h100_bare")[0]) == []
    assert [card["vendor"] for card in facts.gpus(read("mi300x")[0])] == ["amd"] * 8


def test_a_container_that_hides_the_bus_tells_by_its_nodes(read):
    found, _machine = read("container_gpu", cards=[], nvidia={"nodes": 1, "smi": None})
    assert found["vendors"] == ["nvidia"] and found["cards"] == []
    planned = plan.plan(found, PlanOptions())
    assert (planned["mode"], planned["refusals"], planned["torch"]["backend"]) == ("check", [], "cu126")


def test_a_graphics_processor_that_rocm_has_code_for_computes(read):
    found, _machine = read("none", cards=[{"id": "1002:1586", "code": "0380", "driver": "amdgpu", "target": 110501}])
    assert found["vendors"] == ["amd"] and found["cards"][0]["generation"] == "gfx1151"


@pytest.mark.parametrize(
    ("counters", "errors"),
    [
        ({"sram_uncorrectable_parity": 2, "sram_uncorrectable_secded": 4, "dram_uncorrectable": 1}, 7),
        ({"sram_uncorrectable": 6, "sram_uncorrectable_parity": 2, "sram_uncorrectable_secded": 4}, 6),
        ({"sram_uncorrectable": "N/A", "dram_uncorrectable": "N/A"}, 0),
        ({"double_bit": "<total>3</total>"}, 3),
    ],
)
def test_uncorrectable_errors_of_each_generation_of_drivers(read, counters, errors):
    volatile = "".join(f"<{name}>{count}</{name}>" for name, count in counters.items())
    ecc = f"<ecc_errors><volatile>{volatile}</volatile></ecc_errors>"
    answer = f'<nvidia_smi_log><gpu id="00000000:1B:00.0">{ecc}</gpu></nvidia_smi_log>'
    found, _machine = read("off_the_bus", answers={"nvidia-smi -q -x": answer})
    assert found["cards"][0]["uncorrected_errors"] == errors


def test_every_installation_of_this_collection_is_found(tmp_path):
    managed = "# Managed by modelops.inference\n[Service]\n"
    texts = {
        "etc/systemd/system/xinference.service": managed
        + "ExecStart=/opt/xinference/current/bin/xinference-local --port 9997\n",
        "etc/systemd/system/xinference-reconcile.service": managed
        + "ExecStart=/opt/xinference/current/bin/python /opt/xinference/x\n",
        "etc/systemd/system/xinference-worker.service": managed
        + "ExecStart=/bin/sh /srv/a b/etc/xinference-worker.sh\n",
        "home/me/.config/systemd/user/xinference.service": managed
        + "ExecStart=/home/me/x/current/bin/xinference-local\n",
        "etc/systemd/system/theirs.service": "[Service]\nExecStart=/opt/theirs/current/bin/xinference-local\n",
        "proc/12/cmdline": "/d/bin/python\0/d/bin/supervisord\0-c\0/d/supervisor/supervisord.conf\0",
        "proc/13/cmdline": "/usr/bin/supervisord\0-c\0/e/supervisor/supervisord.conf\0",
        "d/supervisor/supervisord.conf": "; Managed by modelops.inference\n[supervisord]\n",
        "e/supervisor/supervisord.conf": "[supervisord]\n",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / "current").symlink_to("releases/4.1.0-0123456789ab")
    found = installations.installations(HostAccess(str(tmp_path)), ["/stopped/", "/gone"])
    assert found == ["/d", "/home/me/x", "/opt/xinference", "/srv/a b", "/stopped"]


def test_a_user_who_is_not_root_has_a_record_of_his_own(tmp_path, monkeypatch):
    host = machines.build(
        tmp_path, "none", {"record": '{"held": ["a"]}', "files": ["home/me/etc/accelerator.json"]}
    ).host
    (tmp_path / "home/me/etc/accelerator.json").write_text('{"proven": {"kind": "cpu"}}')
    for user, path, record in (
        (0, facts.RECORD, {"held": ["a"]}),
        (1000, "/home/me/etc/accelerator.json", {"proven": {"kind": "cpu"}}),
    ):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        read = facts.read(host, "/home/me/etc/accelerator.json")
        assert (read["record_path"], read["record"]) == (path, record)
    assert (facts.read(host)["record_path"], facts.read(host)["record"]) == ("", {})
