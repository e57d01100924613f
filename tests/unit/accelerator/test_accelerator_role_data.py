# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data that the role accelerator derives from facts and plans: packages, repository files, pins, holds, refusals and words."""

from __future__ import annotations

import functools
import itertools
import json

import machines
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    facts,
    plan,
    role,
    role_driver,
    role_files,
    role_packages,
    role_removal,
    role_repositories,
    role_restart,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import PlanOptions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import Case, RoleOptions

NVIDIA = "https://developer.download.nvidia.com/compute/cuda/repos"

SERVER_580 = {
    **dict.fromkeys(machines.MACHINES["h100_sxm"]["packages"]["installed"]),
    "nvidia-dkms-580-server-open": "580.95.05-0ubuntu0.24.04.1",
}

#: Host: machine of machines.yml, its changes, options of the module, and of those its option ``role``.
HOSTS = {
    "debian12": ("h100_bare", {}, {}, {}),
    "debian12_mirror": (
        "h100_bare",
        {},
        {"container_toolkit": True},
        {"repositories": {"nvidia": {"url": "https://mirror.example/cuda/", "key": __file__}}},
    ),
    "debian12_own": ("rtx_nouveau", {"system": {"os": "debian12"}}, {"source": "distribution"}, {}),
    "debian12_own_mirror": (
        "rtx_nouveau",
        {"system": {"os": "debian12"}},
        {"source": "distribution"},
        {"repositories": {"debian": {"url": "https://cache.example.com/debian/"}}},
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
    "no_governor": ("none", {}, {}, {"governor": "performance"}),
    "ubuntu": ("h100_bare", {"system": {"os": "ubuntu2404", "kernel": "6.8.0-85-generic"}}, {}, {}),
    "ubuntu_signed": (
        "h100_bare",
        {"system": {"os": "ubuntu2404", "kernel": "6.8.0-1040-aws", "secure_boot": 1}},
        {"modules_from": "precompiled"},
        {},
    ),
    "ubuntu_vendor": ("v100", {"system": {"os": "ubuntu2404"}}, {"source": "vendor"}, {}),
    "ubuntu_hwe": (
        "h100_bare",
        {
            "system": {"os": "ubuntu2404", "kernel": "7.0.0-43-generic"},
            "packages": {"installed": {"linux-image-7.0.0-43-generic": "1", "linux-image-virtual-hwe-24.04": "1"}},
        },
        {"modules_from": "precompiled"},
        {},
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
        {},
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
        {"huge_pages": 1024, "governor": "performance"},
    ),
    "cpu_as_declared": ("none", {}, {}, {"huge_pages": 512}),
    "container_cpu": ("container_blind", {}, {}, {"huge_pages": 512}),
    "user": ("h100_bare", {}, {}, {}),
    "controller": ("rtx_nouveau", {"system": {"nouveau_off": True}}, {}, {}),
    "by_cpu": ("rtx_nouveau", {"system": {"nouveau_off": True}}, {"torch": "cpu"}, {}),
    "absent": ("none", {}, {}, {"state": "absent"}),
}
RELEASES = {
    "debian13": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n',
    "rocky10": 'PRETTY_NAME="Rocky Linux 10.0"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"\n',
    "opensuse": 'PRETTY_NAME="openSUSE Leap 15.6"\nID="opensuse-leap"\nVERSION_ID="15.6"\n',
}


def case_of(root, name, machine, changes, wanted, options):
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
        read["system"]["boot_id"] = "the controller's"
    if name == "absent":
        read["record_path"] = facts.RECORD
        read["record"] = {"packages": ["nvidia-smi"], "files": ["/etc/one"], "held": [], "wanted": ["nvidia-smi"]}
    if name == "cpu":
        read["cpu"]["governor"] = "powersave"
    asked = PlanOptions(**wanted)
    declared = RoleOptions(host=name, controller="the controller's", **options)
    return Case(read, plan.plan(read, asked), asked, declared)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """``case(host)``."""
    base = tmp_path_factory.mktemp("accelerator")
    releases = machines.OS_RELEASES
    machines.OS_RELEASES = {**releases, **RELEASES}
    yield functools.cache(lambda name: case_of(base / name, name, *HOSTS[name]))
    machines.OS_RELEASES = releases


def sources(host):
    return "".join(role_repositories.source_text(host, each) for each in role_repositories.missing_repositories(host))


def text(host):
    return role.text(host, role.planned_changes(host))


def next_action(host):
    return role_restart.next_action(host, role.planned_changes(host), [])


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
def test_packages_of_a_host(case, host, needs, packages):
    assert role.refusals(case(host)) == []
    assert (role_repositories.required_names(case(host)), role_packages.requested_names(case(host))) == (
        needs,
        packages,
    )


@pytest.mark.parametrize(
    ("host", "stream"), [("rocky9", "580-open"), ("rocky9_old", "580-dkms"), ("rocky10", ""), ("ubuntu", "")]
)
def test_stream_of_a_branch(case, host, stream):
    assert role_packages.stream(case(host)) == stream


def test_a_vendors_repository_and_its_key(case):
    assert sources(case("debian12")).splitlines()[1:] == [
        "Types: deb", f"URIs: {NVIDIA}/debian12/x86_64/", "Suites: /", "Signed-By: /etc/apt/keyrings/modelops-nvidia.asc",
    ]  # fmt: skip
    (of_13,) = role_repositories.missing_repositories(case("debian13"))
    assert of_13.key.rpartition("/")[2] == "8793F200.pub"
    assert role_files.written_files(case("debian12")) == [
        "/etc/apt/sources.list.d/modelops-nvidia.sources", "/etc/apt/keyrings/modelops-nvidia.asc",
        "/etc/apt/preferences.d/modelops-accelerator", "/etc/modprobe.d/modelops-nouveau.conf",
    ]  # fmt: skip


def test_debians_archive_is_the_hosts_own_unless_one_is_named(case):
    assert "URIs: http://mirror.example.com/debian\nSuites: bookworm\n" in sources(case("debian12_own"))
    named = sources(case("debian12_own_mirror"))
    assert "URIs: https://cache.example.com/debian/\nSuites: bookworm\n" in named
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in named
    assert role.refusals(case("debian12_own_mirror")) == []
    (refused,) = role.refusals(case("debian12_no_source"))
    assert (
        "has its suite bookworm with the component main" in refused and "accelerator_repositories.debian.url" in refused
    )


def test_a_mirror_takes_the_place_of_one_repository_only(case):
    rows = {row.name: row for row in role_repositories.missing_repositories(case("debian12_mirror"))}
    assert (rows["nvidia"].url, rows["nvidia"].key) == ("https://mirror.example/cuda/", __file__)
    assert rows["container_toolkit"].url == "https://nvidia.github.io/libnvidia-container/stable/deb/amd64"
    assert "nvidia-container-toolkit" in role_packages.requested_names(case("debian12_mirror"))


def test_a_repository_of_dnf(case):
    assert sources(case("rocky9")).splitlines()[1:] == [
        "[modelops-nvidia]", "name=nvidia (modelops.inference)", f"baseurl={NVIDIA}/rhel9/x86_64/", "enabled=1", "gpgcheck=1",
        f"gpgkey={NVIDIA}/rhel9/x86_64/D42D0685.pub",
    ]  # fmt: skip


def test_amds_repositories_name_ubuntus_release(case):
    lines = sources(case("mi300x")).splitlines()
    assert [line for line in lines if line.startswith(("URIs", "Components"))] == [
        "URIs: https://repo.radeon.com/amdgpu/30.20/ubuntu", "Components: main",
        "URIs: https://repo.radeon.com/rocm/apt/7.1", "Components: main",
    ]  # fmt: skip


def test_a_pin_names_a_branch_or_a_version(case):
    # apt compares with the package's whole version, 580.95.05-1.
    assert "Pin: version 580.*" in role_files.pin(case("debian12")).splitlines()
    assert "Pin: version 580.95.05*" in role_files.pin(case("debian12_exact")).splitlines()
    # Before it: of the vendor's packages alone.
    ubuntu = role_files.pin(case("ubuntu_595")).splitlines()
    assert ubuntu.index("Pin: release o=Ubuntu") < ubuntu.index("Pin: version 595.*")
    assert "Pin: release o=Debian" in role_files.pin(case("debian12")).splitlines()
    assert "nvidia-driver-cuda-580.95.05*" in role_packages.requested_names(case("rocky9_exact"))
    # The distribution's, too, and of its packages alone; but not of a branch, which its packages keep by their names.
    own = role_files.pin(case("ubuntu_exact")).splitlines()
    assert own.index("Pin: release l=NVIDIA CUDA") < own.index("Pin: version 580.95.05*")
    pinned = {
        host
        for host in ("ubuntu_exact", "ubuntu", "ubuntu_595")
        if any("preferences" in f for f in role_files.written_files(case(host)))
    }
    assert pinned == {"ubuntu_exact", "ubuntu_595"}


def test_headers_come_with_the_next_kernel_too(case):
    headers = [name for name in role_packages.requested_names(case("next_kernel")) if "headers" in name]
    assert headers == ["linux-headers-6.1.0-40-amd64", "linux-headers-generic-hwe-24.04"]


def test_locks_of_dnf_name_the_version(case):
    assert role_packages.hold(case("rocky9"))["locks"].splitlines() == [
        "nvidia-driver-cuda-3:580.95.05-1.el9.*",
        "kmod-nvidia-open-dkms-3:580.95.05-1.el9.*",
    ]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("wrong_cuda", "set accelerator_cuda: 12"),
        ("debian_precompiled", "has no open kernel modules (precompiled) in the source vendor"),
        ("opensuse", "this collection has no packages of NVIDIA for openSUSE Leap 15.6 on x86_64"),
        ("container_cpu", "a container has the huge pages and the governor of its host"),
        ("user", "this needs root. Set become: true"),
        ("no_governor", "this host has no governor of its processors' frequency"),
    ],
)
def test_what_is_refused(case, host, words):
    assert any(words in text for text in role.refusals(case(host))), role.refusals(case(host))


def test_check_says_what_would_be_done(case):
    assert "step: install NVIDIA's driver branch 580 with open kernel modules" in text(case("debian12"))
    assert role.planned_changes(case("debian12"))[0] == "install NVIDIA's driver branch 580 with open kernel modules"
    assert role.planned_changes(case("service")) == []
    assert role.planned_changes(case("absent")) == ["remove nvidia-smi, /etc/one, /var/lib/modelops/accelerator.json"]


def test_a_card_that_is_gone_is_warned_of_with_the_code(case):
    assert "xid 79" in text(case("off_the_bus")) and "no longer answers on the bus" in text(case("off_the_bus"))


def test_what_a_restart_is_asked_for(case):
    assert role_restart.reasons(case("nouveau")) == ["nouveau is loaded"]
    assert "nouveau must restart (nouveau is loaded)." in next_action(case("nouveau"))
    assert "accelerator_reboot_ok: true" in next_action(case("nouveau"))


def test_who_computes_on_the_cpu_waits_for_no_card(case):
    assert {host: role_restart.without_cards(case(host)) for host in ("nouveau", "by_cpu", "service", "absent")} == {
        "nouveau": True, "by_cpu": False, "service": False, "absent": False
    }  # fmt: skip
    assert role_restart.reasons(case("by_cpu")) == ["nouveau is loaded"]


def test_the_controller_is_known_by_its_kernel_and_never_restarted(case):
    assert role_restart.is_controller(case("controller")) is True
    assert "Ansible runs on this host" in next_action(case("controller"))
    assert not any(role_restart.is_controller(case(host)) for host in HOSTS if host != "controller")


def test_devices_that_have_to_compute(case):
    devices = {host: role.proof(case(host))["devices"] for host in ("service", "mig", "cpu", "off_the_bus")}
    # The one that is gone is not waited for.
    assert devices == {"service": 8, "mig": 1, "cpu": 1, "off_the_bus": 1}


def test_settings_of_memory_and_processors(case):
    assert role_files.settings_differ(case("cpu")) and not role_files.settings_differ(case("cpu_as_declared"))
    assert role_files.settings(case("cpu")).splitlines()[1:] == [
        "w /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages - - - - 1024",
        "w /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor - - - - performance",
    ]


HOLDS = {"held": ["nvidia-driver-cuda"], "packages": ["nvidia-driver-cuda"], "wanted": [], "files": []}
CUDA = f"{NVIDIA}/debian12/x86_64/"
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
SERVES = [{"pid": 4711, "name": "python", "devices": ["nvidia0"]}]
#: Services that remove.yml stops first, with systemd and with supervisord.
XINFERENCES = [
    {"pid": 10, "name": "python", "devices": ["nvidia0"], "unit": "xinference.service"},
    {"pid": 11, "name": "VLLM::EngineCor", "devices": ["nvidia0"]},
    {"pid": 13, "name": "nv-hostengine", "devices": ["nvidia0"], "unit": "nvidia-dcgm.service"},
]
SUPERVISED = {
    "proc/11/status": "PPid:\t12\n",
    "proc/12/cmdline": "/x/bin/python\0/x/bin/supervisord\0-c\0/x/supervisor/supervisord.conf\0",
}
TRAINER = {"pid": 4711, "name": "trainer", "devices": ["nvidia1"], "unit": "theirs.service"}


@pytest.fixture
def of(tmp_path):
    """``of(machine, changes, wanted, files, option=value)`` -> the Case and the Machine."""

    roots = (tmp_path / str(number) for number in itertools.count())

    def made(machine, changes=None, wanted=None, files=None, **options):
        changes, root = changes or {}, next(roots)
        built, tree = machines.build(root, machine, changes), machines.Tree(root)
        for path, content in (files or {}).items():
            tree.file(path, content)
        for process in changes.get("processes", []):
            tree.file(f"proc/{process['pid']}/cgroup", f"0::/system.slice/{process.get('unit', 'python.scope')}\n")
        read, asked = facts.read(built.host), PlanOptions(**(wanted or {}))
        read["system"]["root"] = True
        read["record"] = json.loads(changes.get("record", "{}"))
        return Case(read, plan.plan(read, asked), asked, RoleOptions(host="host", **options)), built

    return made


@pytest.mark.parametrize(
    ("machine", "changes", "wanted", "name"),
    [
        ("h100_bare", {}, {"branch": "580.95.05"}, "nvidia-driver-cuda=580.95.05*"),
        # A lower branch is named by its version.
        (
            "v100",
            {"nvidia": {"driver": "590.48.01"}, "packages": {"installed": {"nvidia-driver-cuda": "590.48.01-1"}}},
            {"source": "vendor"},
            "nvidia-driver-cuda=580.*",
        ),
    ],
)
def test_what_is_not_the_newest_is_asked_for_by_its_version(of, machine, changes, wanted, name):
    step = role_packages.step(of(machine, {"system": {"os": "debian12"}, **changes}, wanted)[0])
    assert name in step["names"] and (step["state"], step["allow_downgrade"]) == ("present", True)


def test_a_fabric_manager_comes_in_the_version_of_the_driver_that_stays(of):
    case, _built = of("h100_sxm", {"packages": {"installed": {"nvidia-fabricmanager": None}}})
    assert case.steps == ["fabric_manager", "hold"]
    assert "Pin: version 580.95.05*" in role_files.pin_step(case)["content"]
    step = role_packages.step(case)
    assert step["names"] == ["nvidia-fabricmanager=580.95.05*"] and step["release"] == []
    assert step["advice"].startswith("The driver 580.95.05 stays, and needs its fabric manager in that version.")


def test_the_roles_own_holds_are_released_before_another_branch_comes(of):
    before = {
        "nvidia": {"driver": "570.86.15", "persistence": True},
        "packages": {
            "installed": {"nvidia-driver-cuda": "570.86.15-1", "nvidia-persistenced": "570.86.15-1"},
            "held": ["nvidia-driver-cuda"],
        },
        "record": json.dumps({**HOLDS, "held": ["nvidia-driver-cuda", "nvidia-smi"]}),
    }
    assert role_packages.step(of("h100_bare", before, {"branch": "580"})[0])["release"] == ["nvidia-driver-cuda"]


def test_holds_of_others_stay_theirs(of):
    record = {**HOLDS, "held": ["nvidia-fabricmanager"]}
    case, _built = of("h100_sxm", {"packages": {"held": ["libnvidia-ml1"]}, "record": json.dumps(record)})
    # Held anew and of before; libnvidia-ml1 is somebody else's.
    assert role_packages.hold(case)["held"] == ["nvidia-fabricmanager", "nvidia-kernel-open-dkms"]


@pytest.mark.parametrize(
    ("path", "text", "suites", "key"),
    [
        ("sources.list.d/debian.sources", ARCHIVE, "bookworm bookworm-updates", "/usr/share/keyrings/debian-archive-keyring.pgp"),
        ("sources.list", ARCHIVE_LIST, "bookworm", ""),
    ],
)  # fmt: skip
def test_debians_own_source_is_signed_as_the_host_says(of, path, text, suites, key):
    case, _built = of(
        "rtx_nouveau", {"system": {"os": "debian12"}}, {"source": "distribution"}, {f"etc/apt/{path}": text}
    )
    (source,) = role_repositories.step(case)["sources"]
    lines = source["content"].splitlines()
    assert lines[2:4] == ["URIs: http://mirror.example.com/debian", f"Suites: {suites}"]
    assert [line for line in lines if line.startswith("Signed-By")] == ([f"Signed-By: {key}"] if key else [])


def test_a_source_that_is_there_already_is_not_written_twice(of):
    # NVIDIA's guide was followed before; its entry for containers names the architecture as apt does.
    files = {
        "etc/apt/sources.list.d/cuda.list": f"deb [signed-by=/usr/share/keyrings/cuda-archive-keyring.gpg] {CUDA} /\n",
        "etc/apt/sources.list.d/toolkit.list": "# deb https://nvidia.github.io/none /\n"
        "deb [signed-by=/k.gpg] https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n",
    }
    case, _built = of("h100_bare", wanted={"container_toolkit": True}, files=files)
    assert role_repositories.step(case) == {}
    # The driver of that source is kept on its branch all the same.
    assert "Pin: version 580.*" in role_files.pin_step(case)["content"]


def test_check_mode_asks_for_no_key_and_installs_nothing(of):
    case, built = of("h100_bare", check_mode=True)
    step = role_repositories.step(case)
    assert step["keys"] == [] and step["check"] == [] and len(step["sources"]) == 1
    made = role.role(case, built.host)
    assert [*made["steps"]] == ["repositories", "pin", "nouveau"]
    assert made["hold"] == {} and made["would"] and made["restart"]["left"] == ""


def failed(argv, **said):
    return {"rc": 1, "command": {"argv": argv, **said}, "stderr_lines": ["", f"{argv[0]} fails"], "stdout_lines": []}


def test_a_module_that_cannot_be_unloaded_waits_for_a_restart(of):
    board = {"nvidia": {"driver": "570.86.15", "installed": "580.95.05", "library": "580.95.05"}, "processes": []}
    case, _built = of("h100_sxm", board)
    step = role_driver.step(case)
    assert [command["argv"][:2] for command in step["commands"]] == [["modprobe", "--remove"], ["modprobe", "--all"]]
    again, _built = of("h100_sxm", after="changed", commands=[failed(**step["commands"][0])])
    assert role_restart.reasons(again) == ["the previous kernel module could not be unloaded: modprobe fails"]
    assert role.failure(again) == ""


def test_a_module_that_was_not_built_is_no_reason_for_a_restart(of):
    case, _built = of("h100_bare")
    commands = role_driver.step(case)["commands"]
    assert [command["argv"][0] for command in commands] == ["dkms", "modprobe"]
    both, _built = of("h100_bare", after="changed", commands=[failed(**command) for command in commands])
    assert "the kernel module could not be built for 6.1.0-40-amd64: dkms fails. See make.log" in role.failure(both)
    # Another kernel has it.
    one, _built = of("h100_sxm", after="changed", commands=[failed(**commands[0])])
    assert role.failure(one) == "" and role_restart.reasons(one) == []


def test_what_waits_for_the_restart_is_not_started(of):
    waits, _built = of("h100_sxm", {"system": {"nouveau": True}, "nvidia": None, "packages": {"installed": None}})
    runs, _built = of("h100_bare")
    assert role_driver.step(waits)["after_restart"] and not role_driver.step(runs)["after_restart"]
    assert [each["name"] for each in role_driver.step(runs)["enable"]] == [
        "nvidia-persistenced",
        "nvidia-fabricmanager",
    ]
    assert role_driver.step(of("h100_bare", kernel=False)[0])["commands"] == []


def test_a_driver_that_stays_has_no_step(of):
    case, _built = of("h100_sxm", wanted={"container_toolkit": True})
    assert case.steps == ["container_toolkit"] and role_driver.step(case) == {}


def test_huge_pages_that_the_kernel_did_not_reserve_are_said(of):
    case, _built = of("none", huge_pages=1024, after="changed")
    assert "host: the kernel reserved 512 of 1024 huge pages" in role.failure(case)


def test_a_driver_that_does_not_answer_is_refused(of):
    bare, _built = of("h100_bare", after="restarted")
    assert "host: the driver was installed and does not answer (still to be done: install NVIDIA's" in role.failure(
        bare
    )
    for after in ("changed", "restarted"):
        assert role.failure(of("h100_sxm", after=after)[0]) == ""


def restart_of(of, answer="inactive", **options):
    case, built = of("rtx_nouveau", {"answers": {"systemctl is-active": answer}}, **options)
    return role.role(case, built.host)["restart"], built.started.count("systemctl")


def test_a_host_that_serves_on_its_cpu_is_not_restarted(of):
    asks = {"reboot_ok": True, "service": "xinference-worker"}
    worker, asked = restart_of(of, "active", groups=["xinference_workers"], **asks)
    assert not worker["allowed"] and asked == 1
    assert "in use by xinference-worker: drain it first (modelops.inference.drain), " in worker["left"]


def test_a_server_that_starts_is_in_use(of):
    server, _asked = restart_of(of, "activating", reboot_ok=True, service="xinference", groups=["xinference_local"])
    assert not server["allowed"] and "in use by xinference: stop it first." in server["left"]
    assert server["left"].endswith("then run this again, which launches its models.")


@pytest.mark.parametrize(
    ("options", "allowed", "asked"),
    [
        ({"service": "xinference"}, False, 0),
        ({"reboot_ok": True}, True, 0),
        ({"reboot_ok": True, "service": "xinference"}, True, 1),
        ({"reboot_ok": True, "service": "x", "groups": ["xinference_supervisors", "xinference_workers"]}, True, 2),
    ],
)
def test_the_service_is_asked_for_only_before_a_restart(of, options, allowed, asked):
    restart, questions = restart_of(of, **options)
    assert (restart["allowed"], questions) == (allowed, asked)


def test_a_host_whose_cards_are_used_is_not_restarted(of):
    board = {"nvidia": {"driver": "570.86.15", "installed": "580.95.05", "library": "580.95.05"}, "processes": SERVES}
    case, built = of("h100_sxm", board, reboot_ok=True)
    restart = role.role(case, built.host)["restart"]
    assert not restart["allowed"] and "It is in use by python 4711: stop it first." in restart["left"]
    # The module of before stays until the next restart.
    assert role_driver.step(case) == {} or "--remove" not in str(role_driver.step(case)["commands"])


def test_what_comes_back_with_the_host_is_waited_for(of):
    changes = {"system": {"nouveau": True}, "processes": [], "files": [], "packages": {"held": []}}
    case, built = of("h100_sxm", {**changes, "record": json.dumps({**HOLDS, "packages": ["nvidia-fabricmanager"]})})
    assert role.role(case, built.host)["restart"]["awaited"] == ["nvidia-persistenced", "nvidia-fabricmanager"]


def test_reasons_of_other_vendors_hold_after_the_run(of):
    case, _built = of("ascend_910b", {"ascend": {"firmware": None}}, {"ascend_files": ["firmware"]})
    assert role_restart.carried(case) == ["the firmware runs after the next restart"]
    again, _built = of("ascend_910b", after="changed", carried=role_restart.carried(case))
    assert role_restart.reasons(again) == ["the firmware runs after the next restart"]


def test_what_a_driver_cannot_be_removed_for_is_said_before_anything_is(of):
    leaves = {"state": "absent", "service": "xinference", "directory": "/x", "server_stops": True}
    record = json.dumps(HOLDS)
    removable, _built = of("h100_sxm", {"processes": XINFERENCES, "record": record}, files=SUPERVISED, **leaves)
    assert role.refusal(removable) == ""
    alone, _built = of("h100_sxm", {"processes": XINFERENCES, "record": record}, state="absent")
    assert role.refusal(alone).endswith("and run this again. The driver stays until then.")
    # Check mode sees what would be stopped before.
    checked, _built = of("h100_sxm", {"processes": XINFERENCES, "record": record}, state="absent", check_mode=True)
    assert role.refusal(checked) == ""


def test_a_program_is_in_the_way_of_a_removal(of):
    leaves = {"state": "absent", "service": "xinference", "directory": "/x", "server_stops": True}
    processes = {"processes": [*XINFERENCES, TRAINER], "record": json.dumps(HOLDS)}
    case, built = of("h100_sxm", processes, files=SUPERVISED, **leaves)
    refused = role.refusal(case)
    assert "host: the driver cannot be removed while cards are in use by trainer 4711: stop them first" in refused
    assert refused.endswith("Nothing was changed; with -e accelerator_state=present the driver stays.")
    assert role.role(case, built.host)["tasks"] == ["refuse"]


def test_the_driver_of_another_installation_is_not_removed(of):
    unit = "# Managed by modelops.inference\n[Service]\nExecStart=/srv/demo/current/bin/xinference-local --port 9999\n"
    files = {"etc/systemd/system/demo.service": unit}
    changes = {"processes": [], "record": json.dumps(HOLDS)}
    case, built = of("h100_sxm", changes, files=files, state="absent", server_stops=True)
    refused = role.refusal(case)
    assert role.role(case, built.host)["tasks"] == ["refuse"]
    assert "because the host has another installation of this collection in /srv/demo. Remove that one first" in refused
    assert refused.endswith("or keep the driver with -e accelerator_state=present. Nothing was changed.")
    own, _built = of("h100_sxm", changes, files=files, state="absent", directory="/srv/demo/")
    assert role.refusal(own) == "" and role_files.record(own)["asked"] == ["/srv/demo"]


def test_a_part_of_huaweis_needs_its_installer(of):
    record = {"record": json.dumps({"parts": ["driver", "cann"]})}
    refused = role.refusal(of("ascend_910b", record, state="absent")[0])
    assert refused.startswith(
        "host: only Huawei's installers remove driver, cann. Name them in accelerator_ascend_files."
    )
    files = [{"part": part, "path": f"/{part}.run"} for part in ("driver", "cann")]
    case, _built = of("ascend_910b", record, state="absent", ascend_files=files)
    parts = role_removal.removal(case)["installers"]
    assert [(part["part"], part["argv"][1], part["then"]) for part in parts] == [
        ("cann", "--uninstall", ["driver"]), ("driver", "--uninstall", []),
    ]  # fmt: skip


def test_what_is_removed(of):
    record = {**HOLDS, "files": ["/etc/modprobe.d/modelops-nouveau.conf"], "wanted": ["nvidia-driver-cuda", "gcc"]}
    case, built = of("h100_sxm", {"record": json.dumps(record), "processes": []}, state="absent")
    made = role.role(case, built.host)
    assert made["tasks"] == ["plan", "absent", "restart"]
    assert made["removal"]["requested"] == ["nvidia-driver-cuda"] and made["removal"]["family"] == "debian"
    assert made["removal"]["initramfs"][0]["needs"] == "/usr/sbin/update-initramfs"
    assert made["restart"]["reasons"] == ["the kernel still runs the module that was removed"]


def test_a_host_with_nothing_to_do_has_no_tasks(of):
    for machine in ("none", "h100_sxm"):
        case, built = of(machine, {"processes": []})
        made = role.role(case, built.host)
        assert (made["tasks"], made["steps"], made["hold"]) == ([], {}, {})
