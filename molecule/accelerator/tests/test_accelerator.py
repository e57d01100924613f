# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Debian 12 and a Debian 13 with the distribution's driver, as far as packages go."""

from __future__ import annotations

import json

import pytest

RECORD = "/var/lib/modelops/accelerator.json"
SOURCES = "/etc/apt/sources.list.d/modelops-debian.sources"
# The packages that the role requests on a real host.
REST = "firmware-nvidia-gsp libcuda1 libnvidia-ptxjitcompiler1 nvidia-modprobe nvidia-persistenced nvidia-smi".split()


@pytest.fixture
def branch(host):
    return {"12": "535", "13": "550"}[host.system_info.release.split(".")[0]]


@pytest.fixture
def record(host):
    return json.loads(host.file(RECORD).content_string)


def test_the_distributions_driver_is_installed_and_held(host, branch):
    for name in ("nvidia-smi", "libnvidia-ml1"):
        assert host.package(name).version.startswith(branch + ".")
    assert {"nvidia-smi", "libnvidia-ml1"} <= set(host.check_output("apt-mark showhold").split())


def test_a_held_package_stays_in_an_upgrade(host):
    assert "nvidia-smi" not in host.check_output("apt-get --simulate dist-upgrade | grep ^Inst || true")


def test_the_source_is_one_file_like_the_hosts_own(host, branch):
    # As debootstrap wrote it, the mirror of whoever built the image.
    url, suite = host.file("/etc/apt/sources.list").content_string.split()[1:3]
    assert suite == {"535": "bookworm", "550": "trixie"}[branch]
    assert host.file(SOURCES).content_string.splitlines()[1:] == [
        "Types: deb",
        f"URIs: {url.rstrip('/')}",
        f"Suites: {suite}",
        "Components: contrib non-free non-free-firmware",
    ]
    # Keys for everything, as apt-key writes them.
    assert not host.file("/etc/apt/trusted.gpg").exists


@pytest.mark.parametrize("modules", ["nvidia-kernel-dkms", "nvidia-open-kernel-dkms"])
def test_the_whole_set_can_be_installed(host, modules, branch):
    done = host.run("apt-get --simulate --no-install-recommends install " + " ".join([modules, *REST]))
    assert done.rc == 0, done.stderr
    assert f"Inst {modules} ({branch}." in done.stdout


def test_nouveau_is_kept_from_loading(host):
    assert "blacklist nouveau" in host.file("/etc/modprobe.d/modelops-nouveau.conf").content_string


def test_the_persistence_daemon_starts_with_the_host(host):
    assert host.service("nvidia-persistenced").is_enabled


def test_the_record_has_what_came_and_nothing_that_was_there(record):
    assert {"nvidia-smi", "nvidia-persistenced", "libnvidia-ml1"} <= set(record["packages"])
    assert not {"python3", "python3-apt", "systemd", "apt"} & set(record["packages"])
    assert record["files"] == [
        "/etc/apt/sources.list.d/modelops-debian.sources",
        "/etc/modprobe.d/modelops-nouveau.conf",
    ]
    assert "libnvidia-ml1" in record["held"]
