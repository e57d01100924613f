# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof by computation: an interpreter whose torch is a stand-in, and what each of its answers means."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest

# Enough of PyTorch for the program: numbers instead of matrices, and devices that do what the test says.
TORCH = """
import os, time
__version__ = "2.15.0"
class version:
    cuda, hip = "13.0", None
class Matrix:
    def __init__(self, value): self.value = value
    def __matmul__(self, other): return Matrix(self.value * other.value)
    def __sub__(self, other): return Matrix(self.value - other.value)
    def double(self): return self
    def cpu(self): return self
    def abs(self): return Matrix(abs(self.value))
    def max(self): return self
    def __truediv__(self, other): return Matrix(self.value / other.value)
    def item(self): return self.value
    def to(self, device):
        fault = dict(pair.split("=") for pair in os.environ.get("FAULTS", "").split(",") if pair).get(device)
        if fault == "hang": time.sleep(60)
        if fault == "fail": raise RuntimeError("CUDA error: uncorrectable ECC error encountered\\nmore")
        if fault == "full": raise RuntimeError("CUDA out of memory. Tried to allocate 4.00 MiB")
        if fault == "busy": raise RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable")
        if fault == "nan": return Matrix(float("nan"))
        return Matrix(self.value * (1.5 if fault == "wrong" else 1))
def manual_seed(seed): pass
def randn(*size): return Matrix(2.0)
class cuda:
    @staticmethod
    def device_count(): return int(os.environ.get("COUNT", "2"))
    @staticmethod
    def init(): raise RuntimeError("Found no NVIDIA driver on your system")
    @staticmethod
    def get_device_name(index): return "NVIDIA H100 80GB HBM3"
npu = cuda
"""


@pytest.fixture
def prove(tmp_path, run_module, monkeypatch):
    """``prove(COUNT="8", FAULTS="cuda:1=wrong", devices=8)``"""
    (tmp_path / "torch.py").write_text(textwrap.dedent(TORCH))
    (tmp_path / "torch_npu.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(kind="cuda", devices=2, timeout=30, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return run_module(
            "accelerator_proof", {"python": sys.executable, "kind": kind, "devices": devices, "timeout": timeout}
        )

    return run


@pytest.mark.parametrize(
    ("kind", "devices", "first"),
    [("cuda", 2, "cuda:0"), ("rocm", 2, "cuda:0"), ("ascend", 2, "npu:0"), ("cpu", 1, "cpu")],
)
def test_all_devices_compute(prove, kind, devices, first):
    result = prove(kind, devices)
    assert not result.failed, result
    assert [row["device"] for row in result["devices"]][0] == first
    assert len(result["devices"]) == devices and result["torch"] == "2.15.0" and not result.changed


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"FAULTS": "cuda:1=wrong"},
            "cuda:1 (NVIDIA H100 80GB HBM3) computes wrongly: the product of two matrices is off by 1.2",
        ),
        (
            {"FAULTS": "cuda:0=nan"},
            "cuda:0 (NVIDIA H100 80GB HBM3) computes wrongly: the product of two matrices is no number",
        ),
        ({"FAULTS": "cuda:1=fail"}, "cuda:1 failed: RuntimeError: CUDA error: uncorrectable ECC error encountered."),
        ({"FAULTS": "cuda:1=hang", "timeout": 2}, "cuda:1 took too long"),
        ({"COUNT": "1"}, "PyTorch 2.15.0 (build 13.0) finds 1 of 2 devices"),
        ({"COUNT": "0"}, "PyTorch failed: RuntimeError: Found no NVIDIA driver on your system"),
    ],
)
def test_what_does_not(prove, environment, words):
    result = prove(**environment)
    assert result.failed and words in result["msg"], result["msg"]


def test_the_others_are_told_of_too(prove):
    result = prove(FAULTS="cuda:0=fail")
    assert [row["device"] for row in result["devices"]] == ["cuda:0", "cuda:1"]


def test_a_card_that_serves_is_not_broken_for_having_no_room(run_module, prove, tmp_path, monkeypatch):
    record = tmp_path / "record.json"
    given = {"python": sys.executable, "kind": "cuda", "devices": 2, "record": str(record)}
    # A card that no program has open has no reason to be full.
    assert prove(FAULTS="cuda:0=full,cuda:1=busy").failed
    result = run_module("accelerator_proof", {**given, "used": True})
    assert not result.failed and result["taken"] == ["cuda:0", "cuda:1"] and not record.exists()
    # The others are still asked.
    monkeypatch.setenv("FAULTS", "cuda:0=full,cuda:1=wrong")
    result = run_module("accelerator_proof", {**given, "used": True})
    assert (
        result.failed
        and "cuda:1 (NVIDIA H100 80GB HBM3) computes wrongly" in result["msg"]
        and "cuda:0" not in result["msg"]
    )


def test_no_environment(run_module, tmp_path):
    result = run_module("accelerator_proof", {"python": str(Path(tmp_path) / "python"), "kind": "cpu"})
    assert result.failed and "install the environment first (role xinference)" in result["msg"]


@pytest.mark.each_core("accelerator_proof")
def test_what_was_proven_is_remembered_beside_what_was_installed(run_module, prove, tmp_path):
    record = tmp_path / "lib" / "record.json"
    given = {"python": sys.executable, "kind": "cuda", "devices": 2, "record": str(record), "proves": {"driver": "580"}}
    prove()  # its torch is on the path now
    assert not run_module("accelerator_proof", given).failed
    assert json.loads(record.read_text()) == {"proven": {"driver": "580"}}
    record.write_text('{"packages": ["nvidia-smi"], "proven": {}}')
    assert run_module("accelerator_proof", {**given, "devices": 9}).failed
    assert json.loads(record.read_text())["proven"] == {}
    assert not run_module("accelerator_proof", given, check=True).failed
    assert json.loads(record.read_text())["proven"] == {}
    assert not run_module("accelerator_proof", given).changed
    assert json.loads(record.read_text()) == {"packages": ["nvidia-smi"], "proven": {"driver": "580"}}
