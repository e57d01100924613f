# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook bundle, run by ansible-playbook, as far as it asks no index."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import emulated
import pytest

HERE = Path(__file__).parent
SAID = {
    "xinference_bundle_python": "3.11",
    "xinference_bundle_platform": "x86_64-manylinux_2_28",
    "xinference_torch": "cpu",
}


@pytest.fixture
def gather(tmp_path):
    """``gather(hosts, *options)`` -> (return code, output)."""

    def run(hosts, *options):
        everywhere = {
            "ansible_python_interpreter": sys.executable,
            "xinference_version": "4.1.0",
            "xinference_bundle": f"{tmp_path}/bundle",
            "xinference_models": [],
        }
        inventory = {"xinference_local": {"hosts": hosts, "vars": everywhere}}
        (tmp_path / "hosts.json").write_text(json.dumps(inventory))
        done = emulated.play("-i", tmp_path / "hosts.json", "modelops.inference.bundle", *options)
        return done.returncode, done.stdout + done.stderr

    return run


def test_nothing_is_gathered_where_a_host_does_not_say_what_it_needs(gather, tmp_path):
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    code, output = gather({"gpu01": {"ansible_connection": "local", **SAID}, "gpu02": away})
    assert code != 0
    assert "gpu02 (cluster gpu02): the host does not answer, so its requirements are unknown" in output
    assert "The bundle was not built, because gpu02 failed above" in output
    assert not list(tmp_path.glob("bundle*"))


@pytest.mark.each_core("bundle.yml", "site_bundle")
def test_check_mode_says_what_differs(gather, tmp_path):
    local = {"ansible_connection": "local", **SAID}
    code, output = gather({"gpu01": local, "gpu02": {**local, "xinference_bundle_python": "3.12"}}, "--check")
    assert code == 0, output
    assert "0 files, 0 MB; what differs:\n  + gather 4.1.0-" in output
    assert "for Python 3.11 on x86_64-manylinux_2_28" in output and "for Python 3.12 on" in output
    assert not list(tmp_path.glob("bundle*"))
