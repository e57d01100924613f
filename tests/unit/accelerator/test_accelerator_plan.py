# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refusals, warnings and choices, each by one change to a machine of machines.yml."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import machines
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import facts, plan, products, versions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import PlanOptions
from ansible_collections.modelops.inference.plugins.modules import accelerator_info

# apt knows bash, and no headers.
INDEX = {
    "apt-cache policy": "bash:\n  Candidate: 5.2\n *** 5.2 500\n        500 http://mirror.example.com/debian bookworm/main amd64 Packages\n"
}
LOOSE = {"installed": {"nvidia-kernel-open-dkms": "580.95.05-1"}, "held": []}
ON_570 = {
    "nvidia": {"driver": "570.172.08"},
    "packages": {"installed": {"nvidia-dkms-570-server-open": "570.172.08-0ubuntu1"}},
}
HELD_570 = {"installed": {"nvidia-dkms-570-open": "570.172.08-0ubuntu1"}, "held": ["nvidia-dkms-570-open"]}
VGPU_550 = {"driver": "550.163.01", "smi": {"virtual": "VGPU"}}
PASCAL, BLACKWELL, GB300 = (
    {"id": f"10de:{device}", "at": at} for device, at in (("1b80", 1), ("2b85", 9), ("31c2", 9))
)


@pytest.fixture
def planned(tmp_path):
    roots = (tmp_path / str(number) for number in itertools.count())

    def plan_machine(name, changes=None, **wanted):
        return plan.plan(facts.read(machines.build(next(roots), name, changes).host), PlanOptions(**wanted))

    return plan_machine


def codes(rows):
    return [row["code"] for row in rows]


@pytest.mark.parametrize(
    ("machine", "changes", "wanted", "code", "words"),
    [
        ("none", {}, {"accelerator": "nvidia"}, "no_device", "no device of nvidia is in this host"),
        ("mi300x", {}, {"accelerator": "nvidia"}, "no_device", "there is amd"),
        ("mixed", {}, {}, "several_vendors", "accelerator: amd or nvidia"),
        ("k80", {"cards": [{"id": "10de:102d"}]}, {}, "card_unsupported", "its last driver was 470"),
        ("v100", {}, {"cuda": 13}, "card_too_old_for_cuda", "set cuda: 12"),
        ("v100", {}, {"kernel_modules": "open"}, "modules", "too old for the open kernel modules"),
        ("b200", {}, {"kernel_modules": "proprietary"}, "modules", "needs the open kernel modules"),
        ("v100", {}, {"branch": "595"}, "branch_too_new", "their last is 580"),
        ("h100_bare", {"cards": [PASCAL, BLACKWELL]}, {}, "modules_conflict", "does not run with them"),
        ("h100_bare", {}, {"branch": "latest"}, "branch", "'latest' is neither a driver branch"),
        ("h100_bare", {}, {"branch": "58"}, "branch", "is neither a driver branch"),
        ("h100_bare", {}, {"cuda": 14}, "cuda_unknown", "set cuda: 12 or 13"),
        ("h100_bare", {}, {"branch": "550", "cuda": 13}, "branch_too_old", "CUDA 13 needs driver 580"),
        ("h100_bare", {}, {"branch": "470"}, "branch_too_old", "CUDA 12 needs driver 525"),
        ("b200", {}, {"branch": "550.163.01", "torch": "cpu"}, "branch_too_old", "driven since 570"),
        ("v100", {}, {"torch": "cu130"}, "card_too_old_for_cuda", "name a build for CUDA 12, or none"),
        # The last build for CUDA 12 has no code for Blackwell.
        ("b200", {}, {"branch": "570"}, "branch_too_old", "has code for from CUDA 13 on; CUDA 13 needs driver 580"),
        ("b200", {}, {"cuda": 12}, "card_too_new_for_cuda", "is blackwell, which PyTorch's build cu126 does not support: set cuda: 13"),
        ("b200", {}, {"torch": "cu126"}, "card_too_new_for_cuda", "build cu126 does not support: name a build for CUDA 13"),
        ("newer", {}, {"torch": "cu118"}, "card_too_new_for_cuda", "build cu118 does not support"),
        ("h100_bare", {"cards": [GB300]}, {"torch": "cu128"}, "card_too_new_for_cuda", "build cu128 does not support"),
        ("b200", {"system": {"os": "debian12"}}, {"source": "distribution"}, "not_offered", "has code for from CUDA 13 on"),
        ("container_gpu", {"cards": [BLACKWELL], "nvidia": {"driver": "570.172.08"}}, {}, "driver_too_old", "on the host"),
        ("h100_bare", {"system": {"os": "suse"}}, {}, "distribution", "for SUSE Linux Enterprise Server 15 SP7 on x86_64 (only for"),
        ("h100_bare", {}, {"branch": "620", "kernel_modules": "proprietary"}, "modules", "no longer has proprietary kernel modules"),
        ("h100_bare", {"cards": [{"id": "10de:2330", "driver": "vfio-pci"}]}, {}, "passed_through", "virtual machines"),
        ("h100_bare", {"system": {"os": "arch"}}, {}, "distribution", "no packages of NVIDIA for Arch Linux on x86_64"),
        ("h100_bare", {"files": ["lib/ld-linux-aarch64.so.1"]}, {}, "distribution", "on aarch64"),
        ("h100_bare", {"system": {"headers": False}, "answers": INDEX}, {}, "no_headers", "linux-headers-6.1.0-40-amd64"),
        ("h100_bare", {"system": {"secure_boot": 1}}, {}, "secure_boot", "make a key"),
        ("h100_bare", {"system": {"secure_boot": 1, "key": "not"}}, {}, "secure_boot", "mokutil --import /var/lib/dkms/mok.pub"),
        ("h100_sxm", {"packages": LOOSE}, {"branch": "595"}, "in_use", "in use by python (4711): stop"),
        ("h100_sxm", {}, {"branch": "595"}, "held", "libnvidia-ml1 580.95.05"),
        # NVIDIA's installer, or a container of drivers.
        ("h100_sxm", {"packages": {"installed": None, "held": []}, "processes": []}, {"branch": "595"}, "not_packaged",
         "driver 580.95.05 was not installed from packages"),
        ("a100_old", {"packages": None}, {}, "not_packaged", "branch 580 over it would leave parts of both (CUDA 13 needs"),
        ("t4_vm", {"nvidia": VGPU_550}, {"cuda": 13}, "driver_too_old", "the card is a virtual one (vGPU)"),
        ("l40s", {"packages": HELD_570}, {}, "held", "nvidia-dkms-570-open 570.172.08"),
        ("l40s", {"packages": {"pins": ["575.57.08-1"]}}, {}, "held", "*nvidia* 575.57.08"),
        ("h100_bare", {"packages": {"installed": {"nginx": "1.2"}, "states": {"nginx": "half-configured"}}}, {},
         "package_broken", "nginx is half-configured"),
        ("h100_bare", {"packages": {"interrupted": True}}, {}, "dpkg_interrupted", "dpkg --configure -a"),
        ("container_blind", {}, {"accelerator": "nvidia"}, "no_driver", "install one (branch 580 or later) on the host"),
        ("container_gpu", {"nvidia": {"nodes": 0}}, {"accelerator": "nvidia"}, "no_nodes", "docker run --gpus all"),
        ("container_gpu", {}, {"cuda": 13}, "driver_too_old", "or set cuda: 12"),
        ("container_gpu", {"nvidia": {"driver": "470.256.02"}}, {}, "driver_too_old", "CUDA 12 needs driver 525"),
        ("container_gpu", {"cards": [BLACKWELL]}, {}, "driver_too_old", "CUDA 13 needs driver 580"),
        ("a100_mig", {}, {"manage": False, "cuda": 13}, "driver_too_old", "manage is false. Update the driver, or set cuda: 12"),
        ("mismatch", {}, {"manage": False}, "mismatch", "Load the new module, or restart the host"),
        ("h100_bare", {}, {"manage": False}, "no_driver", "no driver of NVIDIA's is loaded, and manage is false"),
        ("mi300x", {"cards": [{"id": "1002:66a1", "driver": "amdgpu", "target": 90006}]}, {}, "card_unsupported", "gfx906"),
        ("mi300x", {"amd": {"kfd": False}, "system": {"container": "docker"}}, {"accelerator": "amd"}, "no_nodes", "--device /dev/kfd"),
        ("mi300x", {"amd": {"kfd": False}, "system": {"os": "arch"}}, {}, "distribution", "no packages of AMD"),
        ("ascend_910b", {"ascend": {"cann": None}}, {}, "files_missing", "distributes cann to its customers"),
        ("ascend_910b", {"ascend": {"driver": None}, "system": {"container": "docker"}}, {"accelerator": "ascend"}, "no_nodes",
         "/dev/davinci_manager"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(planned, machine, changes, wanted, code, words):
    result = planned(machine, changes, **wanted)
    [text] = [refusal["text"] for refusal in result["refusals"] if refusal["code"] == code]
    assert words in text
    assert f"refused: {text}" in result["lines"]
    assert (result["mode"], result["steps"], result["reboot"]) == ("refused", [], [])


@pytest.mark.parametrize(
    ("machine", "changes", "wanted", "code"),
    [
        ("h100_bare", {"nvidia": {"driver": "", "compat": "610.43.02"}}, {}, "compat"),
        ("h100_bare", {}, {"branch": "610"}, "branch_ended"),
        ("a100_mig", {}, {"manage": False}, "branch_ended"),
        ("h100_sxm", {"nvidia": {"driver": "590.48.01"}, "packages": None}, {}, "branch_ended"),
        ("h100_sxm", {"nvidia": {"smi": {"fabric": "In Progress", "fabric_status": "N/A"}}}, {}, "fabric"),
        ("h100_sxm", {"nvidia": {"smi": {"reset": "Yes"}}}, {}, "reset_required"),
        ("h100_bare", {"cards": [{"id": "10de:2330"}, {"id": "10de:2330", "at": 9, "driver": "vfio-pci"}]}, {}, "passed_through"),
        # A card for the console beside those that compute: their driver ignores it.
        ("h100_bare", {"cards": [{"id": "10de:2330"}, {"id": "10de:128b", "code": "0300", "at": 9}]}, {}, "card_unsupported"),
        ("off_the_bus", {"log": "nvidia-nvswitch0: SXid (PCI:0000:84:00.0): 20034, LTSSM Fault Up\n"}, {}, "sxid"),
        ("off_the_bus", {"log": "NVRM: GPU 0000:43:00.0: RmInitAdapter failed! (0x62:0x40:2477)\n"}, {}, "start_failed"),
        ("mi300x", {"log": "amdgpu 0000:1b:00.0: amdgpu: 3 uncorrectable hardware errors detected in umc block\n"}, {}, "amdgpu"),
        ("mi300x", {"failing": {"amd-smi static": "cannot open /dev/kfd"}}, {}, "amd_smi"),
        ("mi300x", {"cards": [{"id": "1002:7777", "code": "1200", "target": 130000}]}, {}, "card_unknown"),
        ("ascend_910b", {"cards": [{"id": "19e5:d802", "code": "1200", "health": "Alarm"}]}, {}, "unhealthy"),
        ("h100_bare", {"system": {"secure_boot": 1, "key": "enrolled"}}, {}, None),
    ],
)  # fmt: skip
def test_a_warning_keeps_nobody_from_working(planned, machine, changes, wanted, code):
    result = planned(machine, changes, **wanted)
    assert code is None or code in codes(result["warnings"])
    assert result["refusals"] == []


def test_an_unreadable_list_of_keys_is_no_refusal(planned, tmp_path):
    """Firmware variables that only root may read."""
    machine = machines.build(tmp_path, "h100_bare", {"system": {"secure_boot": 1, "key": "enrolled"}})
    next(tmp_path.glob("sys/firmware/efi/efivars/MokListRT-*")).unlink()
    result = plan.plan(facts.read(machine.host), PlanOptions())
    assert result["refusals"] == [] and "secure_boot" in codes(result["warnings"])


def test_a_module_that_its_distribution_signed_needs_no_key_of_the_hosts(planned):
    changes = {"system": {"os": "ubuntu2404", "secure_boot": 1, "headers": False}}
    assert planned("h100_bare", changes, modules_from="precompiled")["refusals"] == []


def test_shim_that_does_not_check_is_no_secure_boot(tmp_path):
    machine = machines.build(tmp_path, "h100_bare", {"system": {"secure_boot": 1}})
    (tmp_path / f"sys/firmware/efi/efivars/MokSBStateRT-{machines.SHIM}").write_bytes(b"\x06\x00\x00\x00\x01")
    assert facts.read(machine.host)["system"]["secure_boot"] is False


@pytest.mark.parametrize(
    ("machine", "changes", "wanted", "driver", "torch"),
    [
        # A driver that is new enough stays, whatever is newer.
        ("h100_sxm", {}, {}, {"branch": 580, "change": False}, {"cuda": 13}),
        ("h100_sxm", {"nvidia": {"driver": "595.58.03"}, "packages": None}, {}, {"branch": 595, "change": False}, {"cuda": 13}),
        # Packages beside it must have its version, not only its branch.
        ("h100_sxm", {}, {"branch": "580"}, {"change": False, "version": "580.95.05"}, {}),
        ("h100_sxm", {"processes": [], "packages": LOOSE}, {"branch": "580.82.07"}, {"version": "580.82.07", "change": True}, {}),
        # An older CUDA asks for less, and then an older driver may stay.
        # PyTorch follows a driver that works or is asked for, and only an explicit CUDA changes one.
        ("a100_mig", {}, {"torch": "default"}, {"branch": 580, "change": True}, {"cuda": 13}),
        ("h100_sxm", {}, {"torch": "cu126"}, {"branch": 580, "change": False}, {"cuda": 12}),
        ("h100_bare", {}, {"torch": "cpu", "branch": "535"}, {"branch": 535}, {"cuda": 12}),
        ("a100_mig", {}, {"cuda": 13}, {"branch": 580, "change": True}, {"cuda": 13, "backend": ""}),
        ("a100_mig", {"cards": [BLACKWELL]}, {}, {"branch": 580, "change": True}, {"cuda": 13, "backend": ""}),
        ("h100_bare", {}, {"branch": "550"}, {"branch": 550, "change": True}, {"cuda": 12, "backend": "cu126"}),
        ("a100_mig", {}, {"cuda": 12}, {"branch": 535, "change": False, "kernel_modules": "proprietary"}, {"backend": "cu126"}),
        ("a100_mig", {}, {"manage": False}, {"found": "535.183.01", "change": False}, {"cuda": 12, "backend": "cu126"}),
        ("a100_mig", {}, {"cuda": 12, "branch": "535", "kernel_modules": "open"}, {"branch": 535, "kernel_modules": "open"}, {}),
        ("h100_bare", {}, {"branch": "535", "cuda": 12}, {"branch": 535, "kernel_modules": "proprietary"}, {"backend": "cu126"}),
        ("h100_bare", {"cards": [GB300]}, {}, {"branch": 580, "floor": 580}, {"cuda": 13}),
        # A build that is named has its own CUDA, and asks for the driver of its major.
        ("a100_mig", {}, {"torch": "cu118"}, {"branch": 535, "change": False, "floor": 450}, {"cuda": 11}),
        ("b200", ON_570, {"torch": "cu128"}, {"branch": 570, "change": False}, {"cuda": 12}),
        # That of the driver is none for Blackwell: the driver follows, where it may, and PyTorch for the CPU asks for nothing.
        ("b200", ON_570, {}, {"branch": 580, "change": True}, {"cuda": 13, "backend": ""}),
        ("b200", ON_570, {"torch": "cpu"}, {"branch": 570, "change": False}, {}),
        # Pre-Turing cards: the last branch for them, without open modules.
        ("h100_bare", {"cards": [PASCAL]}, {}, {"branch": 580, "kernel_modules": "proprietary"}, {"backend": "cu126"}),
        ("wsl2", {"nvidia": {"driver": "551.23"}}, {}, {"found": "551.23"}, {"cuda": 12, "backend": "cu126"}),
        # A guest's driver is not a data centre's, whose driver would lose the card.
        ("t4_vm", {"nvidia": VGPU_550}, {}, {"change": False, "found": "550.163.01"}, {"cuda": 12, "backend": "cu126"}),
        ("a100_mig", {"packages": None}, {"cuda": 12}, {"change": False, "branch": 535}, {"cuda": 12}),
        ("gb200", {}, {}, {"fabric": "imex"}, {"backend": ""}),
        # One SXM card given to a virtual machine has no fabric of its own.
        ("b200", {"cards": [{"id": "10de:2901"}]}, {}, {"fabric": ""}, {}),
    ],
)  # fmt: skip
def test_what_is_chosen(planned, machine, changes, wanted, driver, torch):
    result = planned(machine, changes, **wanted)
    assert result["refusals"] == []
    assert {key: result["driver"][key] for key in driver} == driver
    assert {key: result["torch"][key] for key in torch} == torch


def test_none_leaves_alone_what_is_there(planned):
    result = planned("h100_sxm", accelerator="none")
    assert (result["accelerator"], result["mode"], result["steps"]) == ("none", "none", [])
    assert result["torch"]["kind"] == "cpu" and "nvidia here is left alone" in result["reason"]


def test_one_of_several_vendors_may_be_named(planned):
    assert planned("mixed", accelerator="nvidia")["refusals"] == []
    assert planned("mixed", accelerator="amd")["torch"]["kind"] == "rocm"


def test_a_container_may_be_planned_as_a_host(planned):
    result = planned("container_blind", container_is_host=True)
    assert result["refusals"] == [] and "driver" in [step["name"] for step in result["steps"]]


def test_a_container_has_the_cards_that_it_was_given_not_those_of_its_neighbours(planned):
    cards = [
        {"id": "10de:26b9"},
        {"id": "10de:1b80", "at": 9, "silent": True},
        {"id": "10de:102d", "at": 1, "silent": True},
    ]
    result = planned("container_gpu", {"cards": cards, "nvidia": {"driver": "580.95.05", "nodes": 1}})
    assert (result["refusals"], result["warnings"]) == ([], []) and result["torch"]["cuda"] == 13


def test_a_container_without_nodes_on_a_host_with_cards_computes_on_the_cpu(planned):
    """As a pod that asked for no GPU."""
    for machine, changes in (("container_gpu", {"nvidia": {"nodes": 0}}), ("container_blind", {})):
        result = planned(machine, changes)
        assert (result["accelerator"], result["refusals"], codes(result["warnings"])) == ("none", [], ["no_nodes"])


def test_an_old_card_for_the_console_does_not_decide_and_is_no_silent_one(planned):
    cards = [{"id": "10de:1eb8", "driver": "nvidia"}, {"id": "10de:128b", "code": "0300", "at": 9, "silent": True}]
    result = planned("t4_vm", {"cards": cards})
    assert (result["mode"], codes(result["warnings"]), result["torch"]["cuda"]) == ("none", ["card_unsupported"], 13)


@pytest.mark.parametrize(
    ("nvidia", "steps", "branch"),
    [
        # The module of the new driver was never built for this kernel: its packages have to do it again.
        ({"installed": "570.172.08"}, ["driver", "persistence", "hold"], 580),
        # Only the module of the kernel itself is not loaded.
        ({"driver": "", "installed": "580.95.05"}, ["load"], 580),
    ],
)
def test_library_and_module_that_differ(planned, nvidia, steps, branch):
    result = planned("mismatch", {"nvidia": {**nvidia, "persistence": True}, "failing": {}})
    assert [step["name"] for step in result["steps"]] == steps
    assert result["driver"]["branch"] == branch


def test_the_driver_is_not_taken_from_under_a_process_but_its_own_services_do_not_count(planned):
    service = [{"pid": 9, "name": "nvidia-persiste", "devices": ["nvidia0"]}]
    assert planned("a100_old", {"processes": service})["refusals"] == []
    user = [*service, {"pid": 10, "name": "vllm", "devices": ["nvidia1"]}]
    [refusal] = planned("a100_old", {"processes": user})["refusals"]
    assert refusal["code"] == "in_use" and "vllm (10)" in refusal["text"] and "persist" not in refusal["text"]


def test_a_module_in_use_is_not_reloaded_but_waits_for_the_next_start(planned):
    result = planned("mismatch", {"processes": [{"pid": 10, "name": "vllm", "devices": ["nvidia0"]}]})
    assert (result["refusals"], result["steps"]) == ([], [])
    assert "vllm (10) use it" in result["reboot"][0]


@pytest.mark.parametrize(
    ("system", "installed", "source"),
    [
        ({"os": "ubuntu2404"}, {"nvidia-dkms-580-server-open": "580.95.05-0ubuntu0.24.04.1"}, "distribution"),
        ({"os": "ubuntu2404"}, {"nvidia-dkms-580-open": "580.95.05-0ubuntu1"}, "vendor"),
        ({}, {"nvidia-kernel-open-dkms": "580.95.05-1"}, "vendor"),
        # One of another version of the branch does not count.
        ({}, {"nvidia-kernel-open-dkms": "580.95.05-1", "nvidia-fabricmanager": "580.178.04-1"}, "vendor"),
    ],
)
@pytest.mark.parametrize("branch", ["", "580"])
def test_a_fabric_manager_comes_from_where_the_driver_that_stays_is(planned, system, installed, source, branch):
    gone = {"nvidia-kernel-open-dkms": None, "libnvidia-ml1": None, "nvidia-fabricmanager": None}
    changes = {"system": system, "packages": {"installed": {**gone, **installed}, "held": []}, "processes": []}
    result = planned("h100_sxm", changes, branch=branch)
    assert (result["refusals"], result["driver"]["change"]) == ([], False)
    assert [step["name"] for step in result["steps"]] == ["fabric_manager", "hold"]
    assert (result["driver"]["source"], result["driver"]["version"]) == (source, "580.95.05")


def test_the_subnet_manager_of_nvlink5_is_nvidias_alone(planned):
    server = {
        "nvidia": {"driver": "580.95.05"},
        "packages": {"installed": {"nvidia-dkms-580-server-open": "580.95.05-0ubuntu1"}},
    }
    for changes in ({}, server):
        result = planned("b200", changes)
        assert "fabric_manager" in [step["name"] for step in result["steps"]]
        assert (result["refusals"], result["driver"]["source"]) == ([], "vendor")


def test_a_driver_of_no_package_gets_no_fabric_manager_by_packages(planned):
    result = planned("h100_sxm", {"packages": {"installed": None, "held": []}})
    assert result["steps"] == [] and "fabric" in codes(result["warnings"])


def test_precompiled_modules_for_a_newer_kernel_wait_for_its_start(planned):
    modules = {f"linux-modules-nvidia-580-server-open-6.8.0-{number}-generic": "6.8.0-85.1" for number in (79, 85)}
    changes = {
        "system": {"kernel": "6.8.0-79-generic"},
        "nvidia": {"driver": "580.82.07", "installed": "580.82.07"},
        "packages": {
            "installed": {"nvidia-dkms-580-open": None, "nvidia-utils-580-server": "580.95.05-0ubuntu1", **modules},
            "held": [],
        },
    }
    result = planned("mismatch", changes)
    assert (result["refusals"], result["steps"]) == ([], [])
    assert result["reboot"] == [
        "the libraries are 580.95.05, and their modules are installed for kernel 6.8.0-85-generic"
    ]
    assert result["driver"]["version"] == "580.95.05"
    # Without modules for another kernel a start changes nothing.
    changes["packages"]["installed"]["linux-modules-nvidia-580-server-open-6.8.0-85-generic"] = None
    assert planned("mismatch", changes)["steps"][0]["name"] == "driver"


def test_a_process_is_in_nobodys_way_while_the_driver_stays(planned):
    assert planned("h100_sxm")["refusals"] == []


def test_amd_without_its_compute_interface_is_installed(planned):
    result = planned("mi300x", {"amd": {"kfd": False, "name": None}})
    assert [step["name"] for step in result["steps"]] == ["driver", "hold"]
    assert result["driver"]["repository"] == "ubuntu2404"


def test_ascend_takes_the_files_that_are_given_in_their_order(planned):
    bare = {"ascend": {"driver": None, "firmware": None, "cann": None}}
    result = planned("ascend_910b", bare, ascend_files=["cann", "driver", "firmware"])
    assert [step["name"] for step in result["steps"]] == ["driver", "firmware", "cann"]
    assert len(result["reboot"]) == 1


def test_the_roles_own_holds_move_along_with_the_branch(planned):
    own = {"record": json.dumps({"held": machines.MACHINES["h100_sxm"]["packages"]["held"]}), "processes": []}
    result = planned("h100_sxm", own, branch="595")
    assert result["refusals"] == [] and result["driver"]["change"] is True
    [refusal] = planned("h100_sxm", {**own, "record": '{"held": ['}, branch="595")["refusals"]
    assert refusal["code"] == "held"


class TestMistakesOfOthers:
    """Mistakes of roles that people use today."""

    def test_versions_are_not_compared_as_text(self):
        assert versions.numbers("1010.1") > versions.numbers("580.95.05")
        assert versions.numbers("10") > versions.numbers("8")
        assert versions.numbers("580.95.05") > versions.numbers("580.9.5")
        assert versions.branch("1:580.95.05-1") == 580 and versions.numbers("") == ()

    def test_a_branch_of_four_digits_is_newer(self, planned):
        result = planned("h100_sxm", {"nvidia": {"driver": "1010.12.01"}, "packages": None})
        assert result["refusals"] == [] and result["driver"]["change"] is False

    def test_the_default_is_the_branch_that_lives_longest(self):
        newest_end = max(branch.end for branch in products.NVIDIA_BRANCHES.values())
        assert products.NVIDIA_BRANCHES[products.NVIDIA_DEFAULT] == ("long-term", newest_end)
        assert products.NVIDIA_DEFAULT >= products.CUDA_FLOORS[products.CUDA_DEFAULT]

    def test_what_is_there_is_not_replaced_for_being_older_than_the_newest(self, planned):
        assert planned("t4_vm")["driver"]["change"] is False


def test_the_table_of_cards_has_no_range_that_a_range_before_it_hides():
    seen = []
    for card in products.NVIDIA_CARDS:
        assert card.first <= card.last and card.generation in products.GENERATIONS
        assert not any(first <= card.first and card.last <= last for first, last in seen), hex(card.first)
        seen.append((card.first, card.last))


@pytest.mark.parametrize(
    ("device", "generation"),
    [
        ("102d", "kepler"), ("1db6", "volta"), ("1eb8", "turing"), ("2182", "turing"), ("20f1", "ampere"), ("2236", "ampere"),
        ("25b6", "ampere"), ("2342", "grace-hopper"), ("2335", "hopper"), ("27b8", "ada"), ("2901", "blackwell"),
        ("2bb5", "blackwell"), ("2e12", "blackwell-ultra"), ("3182", "blackwell-ultra"), ("3fff", "newer"), ("0a20", "fermi"),
    ],
)  # fmt: skip
def test_the_generation_of_a_card(device, generation):
    assert products.nvidia_card(device).generation == generation


@pytest.mark.parametrize("kind", ["refuse", "step"])
def test_every_code_is_documented(kind):
    sources = "".join(path.read_text() for path in Path(products.__file__).parent.glob("*.py"))
    codes = set(re.findall(rf"\.{kind}\(\s*\"(\w+)\"", sources))
    assert codes and [code for code in codes if f"V({code})" not in accelerator_info.RETURN] == []
    if kind == "refuse":
        page = (Path(__file__).parents[3] / "docs" / "accelerators.md").read_text()
        assert (
            set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]+) \|", page.partition("| code |")[2], re.M))))
            == codes
        )


@pytest.mark.parametrize("name", machines.MACHINES)
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"accelerator": "none"},
        {"accelerator": "nvidia"},
        {"manage": False},
        {"cuda": 12},
        {"source": "distribution"},
    ],
)
def test_playbooks_without_the_role_get_the_same_build_of_pytorch(tmp_path, name, wanted):
    host = machines.build(tmp_path, name).host
    whole = plan.plan(facts.read(host), PlanOptions(**wanted))
    brief = plan.torch(facts.base(host), PlanOptions(**wanted))
    assert brief["accelerator"] == whole["accelerator"] and brief["groups"] == whole["groups"]
    # Without a build there is a reason.
    assert brief["torch"] == whole["torch"] if whole["torch"] else brief["refusals"]


def test_groups_of_the_device_nodes_are_amds(planned):
    assert planned("mi300x")["groups"] == ["render", "video"]
    # Where amdgpu is still to come, the role makes them.
    assert planned("mi300x", {"amd": {"kfd": False}})["groups"] == ["render", "video"]
    assert planned("mi300x", accelerator="none")["groups"] == planned("h100_sxm")["groups"] == []


def test_a_working_driver_of_somebody_elses_is_left_alone_and_the_roles_own_is_kept(planned):
    loose = {"packages": {"installed": {"nvidia-kernel-dkms": "580.95.05-1"}, "held": []}}
    assert planned("t4_vm", loose)["mode"] == "none"
    own = planned("t4_vm", {**loose, "record": json.dumps({"packages": ["nvidia-kernel-dkms"]})})
    assert codes([{"code": step["name"]} for step in own["steps"]]) == ["persistence", "hold"]
    # Nor is a driver the role's that brought its headers or the container toolkit only.
    assert planned("t4_vm", {**loose, "record": json.dumps({"packages": ["nvidia-container-toolkit"]})})["steps"] == []
    # A proof records no package.
    assert planned("t4_vm", {**loose, "record": json.dumps({"proven": {"driver": "580.95.05"}})})["steps"] == []


def test_a_daemon_that_runs_without_persistence_does_not_count(planned):
    # Ubuntu's: its socket is there, and nvidia-smi says Disabled.
    machine = {
        "packages": {"installed": {"nvidia-kernel-dkms": "580.95.05-1"}, "held": ["nvidia-kernel-dkms"]},
        "record": json.dumps({"packages": ["nvidia-kernel-dkms"]}),
        "nvidia": {**machines.MACHINES["t4_vm"]["nvidia"], "persistence": True},
    }
    assert codes([{"code": step["name"]} for step in planned("t4_vm", machine)["steps"]]) == ["persistence"]
