# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role accelerator makes of facts and plans: packages, repository files, pins, holds and words, run by ansible-playbook."""

from __future__ import annotations

import json
import os
import re
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
NVIDIA = "https://developer.download.nvidia.com/compute/cuda/repos"

SERVER_580 = {
    **dict.fromkeys(machines.MACHINES["h100_sxm"]["packages"]["installed"]),
    "nvidia-dkms-580-server-open": "580.95.05-0ubuntu0.24.04.1",
}

#: Host: machine of machines.yml, its changes, options of the module, variables of the role.
HOSTS = {
    "debian12": ("h100_bare", {}, {}, {}),
    "debian12_mirror": (
        "h100_bare",
        {},
        {"container_toolkit": True},
        {"accelerator_repositories": {"nvidia": {"url": "https://mirror.example/cuda/", "key": __file__}}},
    ),
    "debian12_own": ("rtx_nouveau", {"system": {"os": "debian12"}}, {"source": "distribution"}, {}),
    "debian12_own_mirror": (
        "rtx_nouveau",
        {"system": {"os": "debian12"}},
        {"source": "distribution"},
        {"accelerator_repositories": {"debian": {"url": "https://cache.example.com/debian/"}}},
    ),
    "debian12_no_source": ("rtx_nouveau", {"system": {"os": "debian12"}}, {"source": "distribution"}, {}),
    "debian13": ("h100_bare", {"system": {"os": "debian13"}}, {}, {}),
    "debian12_exact": ("h100_bare", {}, {"branch": "580.95.05"}, {}),
    "rocky9_exact": ("h100_bare", {"system": {"os": "rocky9"}}, {"branch": "580.95.05"}, {}),
    "ubuntu_exact": (
        "h100_bare",
        {"system": {"os": "ubuntu2404", "kernel": "6.8.0-85-generic"}},
        {"branch": "580.95.05", "source": "distribution"},
        {},
    ),
    "next_kernel": (
        "l40s",
        {"packages": {"installed": {"linux-image-6.8.0-85-generic": "1", "linux-image-generic-hwe-24.04": "1"}}},
        {},
        {},
    ),
    "no_governor": ("none", {}, {}, {"accelerator_governor": "performance"}),
    "ubuntu": ("h100_bare", {"system": {"os": "ubuntu2404", "kernel": "6.8.0-85-generic"}}, {}, {}),
    "ubuntu_signed": (
        "h100_bare",
        {"system": {"os": "ubuntu2404", "kernel": "6.8.0-1040-aws", "secure_boot": 1}},
        {"modules_from": "precompiled"},
        {"accelerator_modules_from": "precompiled"},
    ),
    "ubuntu_vendor": ("v100", {"system": {"os": "ubuntu2404"}}, {"source": "vendor"}, {}),
    "ubuntu_hwe": (
        "h100_bare",
        {
            "system": {"os": "ubuntu2404", "kernel": "7.0.0-43-generic"},
            "packages": {"installed": {"linux-image-7.0.0-43-generic": "1", "linux-image-virtual-hwe-24.04": "1"}},
        },
        {"modules_from": "precompiled"},
        {"accelerator_modules_from": "precompiled"},
    ),
    "ubuntu_595": ("h100_bare", {"system": {"os": "ubuntu2404"}}, {"source": "vendor", "branch": "595"}, {}),
    "ubuntu_lower": (
        "l40s",
        {
            "system": {"os": "ubuntu2404", "headers": True},
            "nvidia": {"driver": "580.105.08"},
            "packages": {"installed": {"nvidia-dkms-580-open": "580.105.08-1ubuntu1"}},
        },
        {"source": "vendor", "branch": "580.95.05"},
        {},
    ),
    "fabric_rocky": (
        "h100_sxm",
        {"system": {"os": "rocky9"}, "packages": {"installed": {"nvidia-fabricmanager": None}}, "processes": []},
        {},
        {},
    ),
    "rocky9": ("h100_bare", {"system": {"os": "rocky9"}}, {}, {}),
    "rocky9_old": ("v100", {"system": {"os": "rocky9"}}, {}, {}),
    "rocky10": ("b200", {"system": {"os": "rocky10"}}, {}, {}),
    "debian_precompiled": (
        "h100_bare",
        {},
        {"modules_from": "precompiled"},
        {"accelerator_modules_from": "precompiled"},
    ),
    "opensuse": ("h100_bare", {"system": {"os": "opensuse"}}, {}, {}),
    "mi300x": ("mi300x", {"amd": {"kfd": False}}, {}, {}),
    "service": ("h100_sxm", {}, {}, {}),
    # The driver stays, and lacks its fabric manager.
    "fabric_ubuntu": (
        "h100_sxm",
        {"system": {"os": "ubuntu2404"}, "packages": {"installed": SERVER_580, "held": []}, "processes": []},
        {},
        {},
    ),
    "fabric_vendor": (
        "h100_sxm",
        {"packages": {"installed": {"nvidia-fabricmanager": None}}, "processes": []},
        {},
        {},
    ),
    "nouveau": ("rtx_nouveau", {"system": {"nouveau_off": True}}, {}, {}),
    "wrong_cuda": ("v100", {}, {"cuda": 13}, {}),
    "off_the_bus": ("off_the_bus", {}, {}, {}),
    "mig": ("a100_mig", {}, {"manage": False, "cuda": 12}, {}),
    "cpu": (
        "none",
        {},
        {},
        {"accelerator_huge_pages": 1024, "accelerator_governor": "performance"},
    ),
    "cpu_as_declared": ("none", {}, {}, {"accelerator_huge_pages": 512}),
    "container_cpu": ("container_blind", {}, {}, {"accelerator_huge_pages": 512}),
    "user": ("h100_bare", {}, {}, {}),
    "controller": ("rtx_nouveau", {"system": {"nouveau_off": True}}, {}, {}),
    "by_cpu": ("rtx_nouveau", {"system": {"nouveau_off": True}}, {}, {"xinference_torch": "cpu"}),
    "absent": ("none", {}, {}, {"accelerator_state": "absent"}),
}
RELEASES = {
    "debian13": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n',
    "rocky10": 'PRETTY_NAME="Rocky Linux 10.0"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"\n',
    "opensuse": 'PRETTY_NAME="openSUSE Leap 15.6"\nID="opensuse-leap"\nVERSION_ID="15.6"\n',
}


def found_of(root, name, machine, changes, wanted):
    made = machines.build(root, machine, changes)
    if name in ("debian12_own", "debian12_own_mirror"):
        machines.Tree(root).file("etc/apt/sources.list", "deb http://mirror.example.com/debian bookworm main\n")
    read = facts.read(made.host)
    read["system"]["root"] = name != "user"
    if "rocky" in name:
        read["packages"]["manager"] = "rpm"
    if name == "rocky9":
        read["packages"]["driver"] = {
            "nvidia-driver-cuda": "3:580.95.05-1.el9",
            "kmod-nvidia-open-dkms": "3:580.95.05-1.el9",
        }
    if name == "controller":
        read["system"]["boot_id"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if name == "absent":
        read["record_path"] = facts.RECORD
        read["record"] = {"packages": ["nvidia-smi"], "files": ["/etc/one"], "held": [], "wanted": ["nvidia-smi"]}
    if name == "cpu":
        read["cpu"]["governor"] = "powersave"
    return {"facts": read, "plan": plan.plan(read, Wanted(**wanted))}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made[host]``: what the playbook wrote of it. One run for all."""
    base = tmp_path_factory.mktemp("accelerator")
    releases = machines.OS_RELEASES
    machines.OS_RELEASES = {**releases, **RELEASES}
    hosts = {
        name: {**variables, "accelerator_found": found_of(base / name, name, machine, changes, wanted)}
        for name, (machine, changes, wanted, variables) in HOSTS.items()
    }
    machines.OS_RELEASES = releases
    inventory = base / "inventory.json"
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "out": str(base)}
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, PLAYBOOKS / "accelerator.yml"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((base / "made.json").read_text())


@pytest.mark.parametrize(
    ("host", "needs", "packages"),
    [
        (
            "debian12",
            ["nvidia"],
            ["nvidia-kernel-open-dkms", "nvidia-driver-cuda", "nvidia-persistenced", "nvidia-fabricmanager"],
        ),
        (
            "debian12_own",
            ["debian"],
            ["nvidia-kernel-dkms", "firmware-nvidia-gsp", "libcuda1", "libnvidia-ptxjitcompiler1", "nvidia-modprobe",
             "nvidia-persistenced", "nvidia-smi"],
        ),
        (
            "ubuntu",
            [],
            ["nvidia-dkms-580-server-open", "nvidia-headless-no-dkms-580-server-open", "nvidia-utils-580-server",
             "nvidia-fabricmanager-580"],
        ),
        (
            "ubuntu_signed",
            [],
            ["linux-modules-nvidia-580-server-open-aws", "nvidia-headless-no-dkms-580-server-open", "nvidia-utils-580-server",
             "nvidia-fabricmanager-580"],
        ),
        (
            "rocky9",
            ["nvidia"],
            ["kmod-nvidia-open-dkms-580*", "nvidia-driver-cuda-580*", "nvidia-persistenced-580*", "nvidia-fabricmanager-580*"],
        ),
        (
            "rocky10",
            ["nvidia"],
            ["kmod-nvidia-open-dkms-580*", "nvidia-driver-cuda-580*", "nvidia-persistenced-580*", "nvidia-fabricmanager-580*",
             "nvlsm"],
        ),
        ("mi300x", ["amdgpu", "rocm"], ["amdgpu-dkms", "amd-smi-lib", "rocminfo"]),
        ("service", [], []),
        ("fabric_ubuntu", [], ["nvidia-fabricmanager-580=580.95.05*"]),
        ("fabric_vendor", ["nvidia"], ["nvidia-fabricmanager=580.95.05*"]),
        ("fabric_rocky", ["nvidia"], ["nvidia-fabricmanager-580.95.05*"]),
        (
            "ubuntu_hwe",
            [],
            ["linux-modules-nvidia-580-server-open-generic-hwe-24.04", "nvidia-headless-no-dkms-580-server-open",
             "nvidia-utils-580-server", "nvidia-fabricmanager-580"],
        ),
        (
            "ubuntu_595",
            ["nvidia"],
            ["nvidia-dkms-open", "libnvidia-compute", "nvidia-persistenced", "nvidia-fabricmanager"],
        ),
        (
            "ubuntu_lower",
            ["nvidia"],
            ["nvidia-dkms-580-open=580.95.05*", "nvidia-headless-no-dkms-580-open=580.95.05*", "nvidia-utils-580=580.95.05*"],
        ),
        ("cpu", [], []),
    ],
)  # fmt: skip
def test_packages_of_a_host(made, host, needs, packages):
    assert made[host]["refusals"] == []
    assert (made[host]["needs"], made[host]["packages"]) == (needs, packages)


@pytest.mark.parametrize(
    ("host", "stream"), [("rocky9", "580-open"), ("rocky9_old", "580-dkms"), ("rocky10", ""), ("ubuntu", "")]
)
def test_stream_of_a_branch(made, host, stream):
    assert made[host]["stream"] == stream


def test_a_vendors_repository_and_its_key(made):
    assert made["debian12"]["sources"].splitlines()[1:] == [
        "Types: deb", f"URIs: {NVIDIA}/debian12/x86_64/", "Suites: /", "Signed-By: /etc/apt/keyrings/modelops-nvidia.asc",
    ]  # fmt: skip
    assert [row["value"]["key"].rpartition("/")[2] for row in made["debian13"]["repositories"]] == ["8793F200.pub"]
    assert made["debian12"]["files"] == [
        "/etc/apt/sources.list.d/modelops-nvidia.sources", "/etc/apt/keyrings/modelops-nvidia.asc",
        "/etc/apt/preferences.d/modelops-accelerator", "/etc/modprobe.d/modelops-nouveau.conf",
    ]  # fmt: skip


def test_debians_archive_is_the_hosts_own_unless_one_is_named(made):
    assert "URIs: http://mirror.example.com/debian\nSuites: bookworm\n" in made["debian12_own"]["sources"]
    named = made["debian12_own_mirror"]["sources"]
    assert "URIs: https://cache.example.com/debian/\nSuites: bookworm\n" in named
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in named
    assert made["debian12_own_mirror"]["refusals"] == []
    (refused,) = made["debian12_no_source"]["refusals"]
    assert (
        "has its suite bookworm with the component main" in refused and "accelerator_repositories.debian.url" in refused
    )


def test_a_mirror_takes_the_place_of_one_repository_only(made):
    rows = {row["key"]: row["value"] for row in made["debian12_mirror"]["repositories"]}
    assert (rows["nvidia"]["url"], rows["nvidia"]["key"]) == ("https://mirror.example/cuda/", __file__)
    assert rows["container_toolkit"]["url"] == "https://nvidia.github.io/libnvidia-container/stable/deb/amd64"
    assert "nvidia-container-toolkit" in made["debian12_mirror"]["packages"]


def test_a_repository_of_dnf(made):
    assert made["rocky9"]["sources"].splitlines()[1:] == [
        "[modelops-nvidia]", "name=nvidia (modelops.inference)", f"baseurl={NVIDIA}/rhel9/x86_64/", "enabled=1", "gpgcheck=1",
        f"gpgkey={NVIDIA}/rhel9/x86_64/D42D0685.pub",
    ]  # fmt: skip


def test_amds_repositories_name_ubuntus_release(made):
    lines = made["mi300x"]["sources"].splitlines()
    assert [line for line in lines if line.startswith(("URIs", "Components"))] == [
        "URIs: https://repo.radeon.com/amdgpu/30.20/ubuntu", "Components: main",
        "URIs: https://repo.radeon.com/rocm/apt/7.1", "Components: main",
    ]  # fmt: skip


def test_a_pin_names_a_branch_or_a_version(made):
    # apt compares with the package's whole version, 580.95.05-1.
    assert "Pin: version 580.*" in made["debian12"]["pin"].splitlines()
    assert "Pin: version 580.95.05*" in made["debian12_exact"]["pin"].splitlines()
    # Before it: of the vendor's packages alone.
    ubuntu = made["ubuntu_595"]["pin"].splitlines()
    assert ubuntu.index("Pin: release o=Ubuntu") < ubuntu.index("Pin: version 595.*")
    assert "Pin: release o=Debian" in made["debian12"]["pin"].splitlines()
    assert "nvidia-driver-cuda-580.95.05*" in made["rocky9_exact"]["packages"]
    # The distribution's, too, and of its packages alone; but not of a branch, which its packages keep by their names.
    own = made["ubuntu_exact"]["pin"].splitlines()
    assert own.index("Pin: release l=NVIDIA CUDA") < own.index("Pin: version 580.95.05*")
    pinned = {
        host
        for host in ("ubuntu_exact", "ubuntu", "ubuntu_595")
        if any("preferences" in f for f in made[host]["files"])
    }
    assert pinned == {"ubuntu_exact", "ubuntu_595"}


def test_headers_come_with_the_next_kernel_too(made):
    headers = [name for name in made["next_kernel"]["packages"] if "headers" in name]
    assert headers == ["linux-headers-6.1.0-40-amd64", "linux-headers-generic-hwe-24.04"]


def test_locks_of_dnf_name_the_version(made):
    assert made["rocky9"]["locks"] == [
        "nvidia-driver-cuda-3:580.95.05-1.el9.*",
        "kmod-nvidia-open-dkms-3:580.95.05-1.el9.*",
    ]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("wrong_cuda", "say accelerator_cuda: 12"),
        ("debian_precompiled", "has no open kernel modules (precompiled) in the source vendor"),
        ("opensuse", "no packages of NVIDIA's for openSUSE Leap 15.6 on x86_64 are known here"),
        ("container_cpu", "huge pages and governor are those of this container's host"),
        ("user", "this needs root. Set become: true"),
        ("no_governor", "the frequency of this host's processors is not to be governed"),
    ],
)
def test_what_is_refused(made, host, words):
    assert any(words in text for text in made[host]["refusals"]), made[host]["refusals"]


def test_check_says_what_would_be_done(made):
    assert "step: install NVIDIA's driver branch 580 with open kernel modules" in made["debian12"]["plan"]
    assert made["debian12"]["would"][0] == "install NVIDIA's driver branch 580 with open kernel modules"
    assert made["service"]["would"] == []
    assert made["absent"]["would"] == ["remove nvidia-smi, /etc/one, /var/lib/modelops/accelerator.json"]


def test_a_card_that_is_gone_is_warned_of_with_the_code(made):
    assert "xid 79" in made["off_the_bus"]["plan"] and "does not answer on the bus" in made["off_the_bus"]["plan"]


def test_what_a_restart_is_asked_for(made):
    assert made["nouveau"]["reasons"] == ["nouveau is loaded"]
    assert "nouveau has to start again (nouveau is loaded)." in made["nouveau"]["left"]
    assert "accelerator_reboot_ok: true" in made["nouveau"]["left"]


def test_who_computes_on_the_cpu_waits_for_no_card(made):
    assert {host: made[host]["waits"] for host in ("nouveau", "by_cpu", "service", "absent")} == {
        "nouveau": True, "by_cpu": False, "service": False, "absent": False
    }  # fmt: skip
    assert made["by_cpu"]["reasons"] == ["nouveau is loaded"]


def test_the_controller_is_known_by_its_kernel_and_never_restarted(made):
    assert made["controller"]["controller"] is True
    assert "Ansible runs on this host" in made["controller"]["left"]
    assert not any(row["controller"] for host, row in made.items() if host != "controller")


def test_devices_that_have_to_compute(made):
    assert {host: int(made[host]["devices"]) for host in ("service", "mig", "cpu", "mi300x")} == {
        "service": 8, "mig": 1, "cpu": 1, "mi300x": int(made["mi300x"]["devices"]),
    }  # fmt: skip
    # The one that is gone is not waited for.
    assert int(made["off_the_bus"]["devices"]) == 1


def test_settings_of_memory_and_processors(made):
    assert made["cpu"]["cpu"] is True and made["cpu_as_declared"]["cpu"] is False
    assert made["cpu"]["tmpfiles"].splitlines()[1:] == [
        "w /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages - - - - 1024",
        "w /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor - - - - performance",
    ]


#: Host: variables, and what is said of them after its name.
WRONG = {
    "file_is_another": (
        {"accelerator_ascend_files": [{"part": "driver", "path": "{file}", "checksum": "0" * 64}]},
        "accelerator_ascend_files, driver: {file} has the SHA-256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    "file_is_missing": (
        {"accelerator_ascend_files": [{"part": "cann", "path": "/nowhere.run", "checksum": "0" * 64}]},
        "accelerator_ascend_files, cann: /nowhere.run is not on the controller.",
    ),
    "login": (
        {"accelerator_repositories": {"nvidia": {"url": "https://me:secret@mirror.example/", "key": "/a@b.asc"}}},
        "accelerator_repositories: the url or key of nvidia has a login in it",
    ),
    "word": (
        {"accelerator_driver_branch": "latest"},
        "accelerator_driver_branch must be a branch such as 580, or a version such as 580.95.05",
    ),
    "number": (
        {"accelerator_driver_branch": 580.10},
        "accelerator_driver_branch is the number 580.1: a version stands in quotes",
    ),
    "url_and_key": (
        {"accelerator_repositories": {"nvidia": {"url": "mirror.local/x", "key": "/nope/key.asc"}}},
        "accelerator_repositories: the url of nvidia must begin with https://, http:// or file:///. url_and_key: "
        "accelerator_repositories: the key of nvidia is neither a URL nor a file on the controller.",
    ),
    "seconds": (
        {"accelerator_proof_timeout": 0},
        "accelerator_reboot_timeout and accelerator_proof_timeout are seconds, at least 1",
    ),
}
#: By the role's argument specification, which names no host.
NO_CHOICE = {
    "cuda": ({"accelerator_cuda": 11}, "accelerator_cuda must be one of: 0, 12, 13, got: 11"),
    "governor": ({"accelerator_governor": "performnce"}, "accelerator_governor must be one of"),
}


def test_variables_that_cannot_be_right(tmp_path):
    file = tmp_path / "driver.run"
    file.write_text("test")
    hosts = {name: variables for name, (variables, _words) in {**WRONG, **NO_CHOICE}.items()}
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}).replace("{file}", str(file)))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, PLAYBOOKS / "accelerator.yml"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    # ansible-core 2.18 may show it as JSON.
    output = " ".join((done.stdout + done.stderr).replace("\\n", " ").split())
    assert len(re.findall(r" : ok=\d+ \S+ unreachable=0 failed=1 ", output)) == len(hosts), output
    for name, (_variables, words) in WRONG.items():
        assert f"{name}: {words}".replace("{file}", str(file)) in output, output
    for _variables, words in NO_CHOICE.values():
        assert words in output, output
    assert "secret" not in output


def checked(folder, places, **hosts):
    """What the role says in check mode of machines that are trees; of each (machine, variables).

    :param places: variables of the role that are paths.
    """
    for name, (machine, _variables) in hosts.items():
        machines.build(folder / name, machine)
    play = [{"hosts": "all", "gather_facts": False, "roles": ["modelops.inference.accelerator"]}]
    (folder / "play.yml").write_text(json.dumps(play))
    # Whoever runs the tests need not be root.
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "_accelerator_own_refusals": [],
    }
    common |= {"_accelerator_root": f"{folder}/{{{{ inventory_hostname }}}}", **places}
    variables = {name: variables for name, (_machine, variables) in hosts.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": variables}}))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", folder / "hosts.json", "--check", "--diff"]
    done = subprocess.run(
        [*command, folder / "play.yml", "-e", json.dumps(common)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_check_mode_says_what_waits_for_a_restart(tmp_path):
    said = checked(
        tmp_path,
        {"_accelerator_nouveau": str(tmp_path / "nouveau")},
        loaded=("rtx_nouveau", {}),
        # A driver that may take the place of the one before without a restart.
        other=("a100_mig", {"accelerator_driver_branch": "580"}),
    )
    assert "loaded would have to start again (nouveau is loaded)." in said
    assert "in place of 535.183.01" in said and "other has to" not in said and "other would have" not in said


def test_check_mode_shows_the_files_and_writes_none(tmp_path):
    places = {f"_accelerator_{name}": str(tmp_path / "etc" / name) for name in ("tmpfiles", "nouveau", "preferences")}
    mirror = {"nvidia": {"url": "https://mirror.example/"}}
    (tmp_path / "etc").mkdir()
    bare = {"accelerator_huge_pages": 64, "accelerator_repositories": mirror}
    said = checked(tmp_path, places, bare=("h100_bare", bare))
    for line in (
        "+URIs: https://mirror.example/",
        "+Pin: version 580.*",
        "+blacklist nouveau",
        "+w /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages - - - - 64",
        "  step: install NVIDIA's driver branch 580 with open kernel modules",
    ):
        assert f"\n{line}\n" in said
    assert not any(Path(place).exists() for place in places.values())
