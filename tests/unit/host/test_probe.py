# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._host.system import probe


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


def test_directories_that_differ_and_those_that_the_services_user_could_swap(tmp_path):
    top, home = tmp_path / "x", tmp_path / "x" / "home"
    home.mkdir(parents=True)
    top.chmod(0o755)
    home.chmod(0o750)
    root = os.geteuid() == 0
    wanted = [
        {"path": str(top), "mode": "0755", "service_owns": False},
        {"path": str(top / "etc"), "mode": "0755", "service_owns": False},
        {"path": str(home), "mode": "0750", "service_owns": True},
    ]
    missing = [str(top / "etc")]
    assert probe.directories(wanted, "", os.geteuid()) == {"differ": missing, "refused": []}
    # Whose service it was, and is.
    differ = [*missing, str(home)] if root else missing
    assert probe.directories(wanted, "xinference", attacker.UID) == {"differ": differ, "refused": []}
    attacker.owns(home)
    assert probe.directories(wanted, "xinference", attacker.UID) == {"differ": missing, "refused": []}
    home.chmod(0o755)
    assert str(home) in probe.directories(wanted, "xinference", attacker.UID)["differ"]
    attacker.owns(top)
    refused = probe.directories(wanted, "xinference", attacker.UID)["refused"]
    assert len(refused) == (1 if root else 0)
    for text in refused:
        assert text.startswith(f"{top} belongs to xinference, the service's user") and f"chown root {top})" in text
    # A directory above is not ours to give away.
    above = [{**each, "path": f"{each['path']}/deeper"} for each in wanted[:1]]
    assert all("chown" not in text for text in probe.directories(above, "xinference", attacker.UID)["refused"])
    beside = tmp_path / "x-models"
    beside.mkdir()
    attacker.owns(beside)
    wanted.insert(0, {"path": str(beside), "mode": "0755", "service_owns": False})
    refused = probe.directories(wanted, "xinference", attacker.UID)["refused"]
    assert [text.split()[0] for text in refused] == ([str(beside), str(top)] if root else [])


def test_disk_of_a_directory_that_is_not_there_yet(tmp_path):
    found = probe.disk(str(tmp_path / "a" / "b"))
    assert found["path"] == str(tmp_path)
    assert 0 < found["free_bytes"] <= found["total_bytes"]


def test_a_user_who_swaps_all_the_time_is_told_nothing_of_roots(tmp_path):
    """Digests of files in the reconciler's directory."""
    secret, theirs = attacker.secret(tmp_path / "outside"), tmp_path / "reconciler"
    theirs.mkdir()
    (theirs / "password").write_text("{}")
    attacker.owns(theirs)
    seen = set()
    with attacker.swaps(theirs / "password", secret):
        for _number in attacker.times(0.9):
            seen |= {about["sha256"] for about in probe.files([str(theirs / "password")]).values()}
    assert hashlib.sha256(attacker.SECRET.encode()).hexdigest() not in seen
    (theirs / "password").unlink()
    os.mkfifo(theirs / "password")
    assert probe.files([str(theirs / "password")])[str(theirs / "password")]["sha256"] == ""


def test_variable_of_a_process():
    code = "print(flush=True); input()"
    env = {"MODELOPS_CONFIG": "abc"}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        assert probe.environment_of(child.pid, "MODELOPS_CONFIG") == "abc"
        assert probe.environment_of(child.pid, "OTHER") == ""
        assert probe.release_of(child.pid) == ""
        child.communicate(b"\n")


def test_only_a_user_as_the_role_makes_it_is_ours():
    assert probe.user("", "/x")["id"] == os.geteuid()
    assert probe.user("no-such-user", "/x") == {"id": -1, "made_here": False}
    assert probe.user("root", "/root")["made_here"] is False
    assert probe.user("nobody", "/nonexistent")["made_here"] is True
    assert probe.user("nobody", "/opt/xinference/home")["made_here"] is False


def test_address_is_one():
    assert probe.address() == "" or len(probe.address().split(".")) == 4


def test_since_when_secrets_are_there(tmp_path):
    (tmp_path / "client_key").write_text("sk-0123456789abc")
    os.utime(tmp_path / "client_key", (0, 1796083200))
    assert probe.written(str(tmp_path)) == {"client_key": "2026-12-01"}
    assert probe.written(str(tmp_path / "none")) == {}


@pytest.mark.each_core("xinference_host_info")
def test_info_module_on_an_empty_host(tmp_path, run_module):
    path = str(tmp_path / "x")
    (tmp_path / "x").symlink_to("disk")
    options = dict(path=path, home=f"{path}/home", models_dir=f"{path}/models", resolve=["", "/proc/self/.."])
    options["search_path"] = f"/none:{tmp_path}"
    result = run_module("xinference_host_info", options)
    disk = f"{tmp_path}/disk"
    assert result["resolved"] == {
        path: disk,
        f"{path}/home": f"{disk}/home",
        f"{path}/models": f"{disk}/models",
        "/proc/self/..": "/proc",
    }
    assert not result.failed and not result.changed
    assert result["current"] == "" and result["releases"] == [] and result["lock_drift"] == []
    assert (
        (result["auth_users"], result["auth_unreadable"]) == (-1, "")
        and result["secrets"] == []
        and result["weights"] == {}
    )
    assert result["service"]["active"] == "stopped" and result["ffmpeg"] == ""
    assert result["system"]["root"] is (os.geteuid() == 0)


def test_another_service_of_the_host_is_told_beside_the_first(tmp_path, run_module):
    path = str(tmp_path)
    options = dict(path=path, home=path, models_dir=path, service_manager="supervisord", services=["reconcile"])
    found = run_module("xinference_host_info", {**options, "co_located": {"service": "worker", "port": 1}})
    assert found["co_located"]["service"]["path"].endswith("/worker.conf") and [*found["services"]] == ["reconcile"]
    assert (found["co_located"]["port"]["number"], found["co_located"]["port"]["listening"]) == (1, False)
    assert "co_located" not in run_module("xinference_host_info", options)


def test_ffmpeg_is_found_where_the_server_looks_for_programs(tmp_path, run_module):
    (tmp_path / "ffmpeg").write_text("#!/bin/sh")
    (tmp_path / "ffmpeg").chmod(0o755)
    path = str(tmp_path)
    result = run_module(
        "xinference_host_info", dict(path=path, home=path, models_dir=path, search_path=f"/none:{path}")
    )
    assert result["ffmpeg"] == f"{path}/ffmpeg"


@pytest.mark.parametrize(
    "wanted, kind", [({"accelerator": "none"}, "cpu"), ({"accelerator": "none", "cuda": 12}, "cpu"), ({}, None)]
)
def test_info_has_the_build_of_pytorch_that_the_accelerators_plan_says(tmp_path, run_module, wanted, kind):
    path = str(tmp_path)
    result = run_module("xinference_host_info", dict(path=path, home=path, models_dir=path, accelerator=wanted))
    made = result["accelerator"]
    assert made["refusals"] or made["torch"]["kind"] == (kind or made["torch"]["kind"])
    if kind:
        assert (made["accelerator"], made["torch"]["backend"], made["groups"], result["gpus"]) == (
            "none",
            "cpu",
            [],
            [],
        )


def test_the_release_of_a_process_is_the_one_that_it_was_started_from(tmp_path):
    python = tmp_path / "releases" / "4.1.0-x" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([python, "-c", "print(flush=True); input()"], **pipes) as child:
        child.stdout.readline()  # the kernel shows no command while it starts
        assert probe.release_of(child.pid) == "4.1.0-x"
        child.stdin.close()


def test_a_long_command_line_is_told_from_both_ends_without_secrets(monkeypatch, listener):
    words = ["python", "-m", "xinference." + "x" * 300, "--api_key", "API_KEY=s3cret", "--port", "9997"]
    monkeypatch.setattr(
        probe, "read_file", lambda path, read=probe.read_file: "\0".join(words) if "cmdline" in path else read(path)
    )
    by = probe.port("127.0.0.1", listener, 0)["by"]
    assert "(python -m xinference." in by and by.endswith("--port 9997)") and "s3cret" not in by and len(by) < 300


@pytest.mark.parametrize(
    "families, extras, venv, compiler, apt, dnf",
    [
        (["debian"], ["llama-cpp"], True, False, [], []),
        (["debian"], ["llama-cpp"], False, False, ["python3-venv"], []),
        (["ubuntu", "debian"], ["all"], False, False, ["python3-venv", "g++", "python3-dev"], []),
        (["debian"], ["all"], True, True, [], []),
        (["rocky", "rhel", "centos", "fedora"], ["audio"], True, False, [], ["gcc-c++", "python3-devel"]),
        (["rocky", "rhel", "centos", "fedora"], ["vllm"], True, False, [], []),
        (["arch"], ["all"], True, False, [], []),
    ],
)
def test_packages_that_an_environment_is_made_with(families, extras, venv, compiler, apt, dnf):
    assert probe.lacks(families, extras, root=True, venv=venv, compiler=compiler) == {"apt": apt, "dnf": dnf}
    assert probe.lacks(families, extras, root=False, venv=venv, compiler=compiler) == {"apt": [], "dnf": []}
