# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._host import probe


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    assert probe.port("127.0.0.1", number, 0)["listening"] is False


def test_a_port_that_another_program_holds_is_named(listener):
    found = probe.port("127.0.0.1", listener, 0)
    assert found["listening"] and not found["ours"]
    assert found["by"].startswith(f"process {os.getpid()} (")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_our_own_port_is_ours(listener, host):
    assert probe.port(host, listener, os.getpid())["ours"] is True


def test_a_childs_port_is_ours():
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        number = int(child.stdout.readline())
        assert probe.port("127.0.0.1", number, os.getpid())["ours"] is True
        child.communicate("\n")


@pytest.fixture
def stranger():
    """A process of a user who is not root, and its port."""
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    user = 65534 if os.geteuid() == 0 else None
    command = ["/usr/bin/python3", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=user) as child:
        yield child.pid, int(child.stdout.readline())
        child.communicate("\n")


def test_whose_port_it_is_where_root_may_not_look_into_processes(stranger, monkeypatch):
    """As in a container without CAP_SYS_PTRACE: the socket's user decides."""
    monkeypatch.setattr(probe, "_holds", lambda process, inodes: False)
    pid, port = stranger
    assert probe.port("127.0.0.1", port, pid)["ours"] is True
    found = probe.port("127.0.0.1", port, 0)
    assert found["ours"] is False and found["by"].startswith("a process of ")


def test_another_address_does_not_count(listener):
    assert probe.port("127.0.0.9", listener, 0)["listening"] is False


@pytest.mark.parametrize(
    "text, family, expected",
    [
        ("0100007F", socket.AF_INET, "127.0.0.1"),
        ("00000000000000000000000001000000", socket.AF_INET6, "::1"),
        ("B80D01200000000000000000340A0000", socket.AF_INET6, "2001:db8::a34"),
    ],
)
def test_addresses_of_the_kernels_tables(text, family, expected, monkeypatch):
    # As a little-endian host prints them.
    monkeypatch.setattr(probe.sys, "byteorder", "little")
    assert probe._address(text, family) == expected


def test_files_report_mode_and_digest(tmp_path):
    file = tmp_path / "f"
    file.write_text("x")
    file.chmod(0o600)
    found = probe.files([str(file), str(tmp_path), str(tmp_path / "none")])
    assert found[str(file)]["mode"] == "0600"
    assert found[str(file)]["sha256"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert found[str(tmp_path)]["sha256"] == ""
    assert str(tmp_path / "none") not in found


def test_disk_of_a_directory_that_is_not_there_yet(tmp_path):
    found = probe.disk(str(tmp_path / "a" / "b"))
    assert found["path"] == str(tmp_path)
    assert 0 < found["free_bytes"] <= found["total_bytes"]


def test_users_of_the_servers_database(tmp_path):
    assert probe.auth_users(str(tmp_path)) is None
    (tmp_path / "auth").mkdir()
    with sqlite3.connect(tmp_path / "auth" / "auth.db") as connection:
        connection.execute("CREATE TABLE users (id INTEGER)")
        assert probe.auth_users(str(tmp_path)) == 0
        connection.execute("INSERT INTO users VALUES (1)")
    assert probe.auth_users(str(tmp_path)) == 1


def test_variable_of_a_process():
    code = "print(flush=True); input()"
    env = {"MODELOPS_CONFIG": "abc"}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        assert probe.environment_of(child.pid, "MODELOPS_CONFIG") == "abc"
        assert probe.environment_of(child.pid, "OTHER") == ""
        child.communicate(b"\n")


def test_pci_devices_name_the_vendor(tmp_path, monkeypatch):
    for name, vendor, kind in (("a", "0x10de", "0x030200"), ("b", "0x1002", "0x030000"), ("c", "0x10de", "0x040300")):
        device = tmp_path / name
        device.mkdir()
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")
    devices = [str(tmp_path / name) for name in "abc"]
    monkeypatch.setattr(probe.glob, "glob", lambda pattern: devices if "pci" in pattern else [])
    # A display controller of AMD is not a device that computes.
    assert probe.accelerators() == ["nvidia"]
    monkeypatch.setattr(probe.glob, "glob", lambda pattern: devices[2:] if "pci" in pattern else [])
    assert probe.accelerators() == []
    monkeypatch.setattr(probe.glob, "glob", lambda pattern: [pattern] if pattern == "/dev/kfd" else [])
    assert probe.accelerators() == ["amd"]


def test_only_a_user_as_the_role_makes_it_is_ours():
    assert probe.user("", "/x")["id"] == os.geteuid()
    assert probe.user("no-such-user", "/x") == {"id": -1, "made_here": False}
    assert probe.user("root", "/root")["made_here"] is False
    assert probe.user("nobody", "/nonexistent")["made_here"] is True
    assert probe.user("nobody", "/opt/xinference/home")["made_here"] is False


def test_address_is_one():
    assert probe.address() == "" or len(probe.address().split(".")) == 4


def test_info_module_on_an_empty_host(tmp_path, run_module):
    path = str(tmp_path / "x")
    result = run_module("xinference_host_info", dict(path=path, home=f"{path}/home", models_dir=f"{path}/models"))
    assert not result.failed and not result.changed
    assert result["current"] == "" and result["releases"] == [] and result["lock_drift"] == []
    assert result["auth_users"] == -1 and result["secrets"] == [] and result["weights"] == {}
    assert result["service"]["active"] == "stopped"
    assert result["system"]["root"] is (os.geteuid() == 0)


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """``nvidia_smi(script)`` puts a program of that name first on the path, on a host whose driver is loaded."""
    monkeypatch.setattr(probe, "NVIDIA_DRIVER", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{script}\n')
        program.chmod(0o755)
        return tmp_path / "calls"

    return make


def test_the_cards_of_this_host_are_read_by_one_call(nvidia_smi):
    rows = ["0, NVIDIA L4, 23034, 22570, 570.86.15, 8.9", "1, NVIDIA A100-SXM4-80GB, 81920, 1, 570.86.15, 8.0"]
    calls = nvidia_smi(f"printf '%s\\n' '{rows[0]}' '{rows[1]}'")
    first, second = probe.gpus()
    assert first == {
        "vendor": "nvidia",
        "index": 0,
        "name": "NVIDIA L4",
        "memory_bytes": 23034 * 2**20,
        "free_bytes": 22570 * 2**20,
        "driver": "570.86.15",
        "compute_capability": "8.9",
    }
    assert (second["index"], second["name"], second["free_bytes"]) == (1, "NVIDIA A100-SXM4-80GB", 2**20)
    assert calls.read_text().splitlines() == [
        "--query-gpu=index,name,memory.total,memory.free,driver_version,compute_cap --format=csv,noheader,nounits"
    ]


def test_a_driver_that_does_not_know_the_compute_capability(nvidia_smi):
    nvidia_smi('case "$1" in *compute_cap*) exit 2;; esac; echo "0, Tesla V100-PCIE-16GB, 16160, 16000, 470.199.02"')
    [card] = probe.gpus()
    assert card["driver"] == "470.199.02" and card["compute_capability"] == ""


def test_a_card_without_memory_of_its_own(nvidia_smi):
    nvidia_smi('echo "0, NVIDIA GB10, [N/A], [N/A], 580.95.05, 12.1"')
    assert probe.gpus()[0]["memory_bytes"] is None


@pytest.mark.parametrize("script", ["exit 9", "echo 'No devices were found'", "echo; true"])
def test_a_driver_that_tells_of_no_card(nvidia_smi, script):
    nvidia_smi(script)
    assert probe.gpus() == []


def test_no_program_is_started_on_a_host_without_the_driver(nvidia_smi, monkeypatch):
    calls = nvidia_smi("echo '0, x, 1, 1, 1, 1'")
    monkeypatch.setattr(probe, "NVIDIA_DRIVER", "/nowhere")
    assert probe.gpus() == [] and not calls.exists()
