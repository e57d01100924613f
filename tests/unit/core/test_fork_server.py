# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run of ansible-playbook by the fork server of tests/emulated is as one by a process of its own."""

from __future__ import annotations

import json

import emulated


def test_each_run_has_its_own_arguments_environment_directory_and_status(tmp_path):
    told = "{{ inventory_hostname }} {{ lookup('env', 'NUMBER') }} {{ extra }}"
    tasks = [{"ansible.builtin.debug": {"msg": told}}, {"ansible.builtin.assert": {"that": "extra == 'x1'"}}]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    for number, status in ((1, 0), (2, 2), (1, 0)):
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        (folder / "hosts").write_text(f"host{number}")
        words = ("-i", "hosts", "-c", "local", tmp_path / "play.yml", "-e", f"extra=x{number}")
        done = emulated.play(*words, cwd=folder, NUMBER=str(number), ANSIBLE_HOME=str(tmp_path / "home"))
        assert done.returncode == status and f"host{number} {number} x{number}" in done.stdout, (
            done.stdout + done.stderr
        )
        # A run's files on the controller are removed with it; the server's directory stays.
        assert len([*(tmp_path / "home/tmp").iterdir()]) == 1
