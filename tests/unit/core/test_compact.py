# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback compact leaves out what changed nothing, and nothing else, of plays of any kind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PLAYBOOK = """
- name: Play with results
  hosts: all
  gather_facts: false
  tasks:
    - name: Change nothing
      ansible.builtin.command: "true"
      changed_when: false
    - name: Skip
      ansible.builtin.command: "true"
      when: false
    - name: Include
      ansible.builtin.include_tasks: included.yml
    - name: Loop over items
      ansible.builtin.command: test {{ item }} = right
      loop: [right, wrong]
      changed_when: false
      ignore_errors: true
    - name: Talk to a host that is away
      ansible.builtin.command: "true"
      ignore_unreachable: true
      vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
    - name: Write a secret file
      ansible.builtin.copy: {dest: "{{ folder }}/secret", content: "{{ 'S3CRET\\n' * 9 }}"}
      no_log: true
    - name: Write secret files
      ansible.builtin.copy: {dest: "{{ folder }}/{{ item }}", content: "{{ 'S3CRET\\n' * 9 }}"}
      no_log: true
      loop: [S3CRET]
    - name: Write a file
      ansible.builtin.copy: {dest: "{{ folder }}/new", content: "{{ 'line\\n' * 9 }}"}
    - name: Return a plan
      plans:
- name: Play without tasks
  hosts: all
  gather_facts: false
- name: Play without hosts
  hosts: nobody
  gather_facts: false
"""
NO_TASKS = "[{name: Play without tasks, hosts: all, gather_facts: false}]"
PLANS = """
from ansible.module_utils.basic import AnsibleModule

def main():
    AnsibleModule({}, supports_check_mode=True).exit_json(
        changed=True, plan="basic", diff={"before": {"a": 1}, "after": {"a": 2}}, warnings=["Watch out"])

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def play(tmp_path):
    (tmp_path / "included.yml").write_text("[{name: Say something, ansible.builtin.debug: {msg: said}}]")
    (tmp_path / "library").mkdir()
    (tmp_path / "library/plans.py").write_text(PLANS)
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "ansible.cfg").write_text("[defaults]\nstdout_callback = modelops.inference.compact\n")

    def run(playbook, *words, **env):
        (tmp_path / "play.yml").write_text(playbook)
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", "one,", "-c", "local", "play.yml", *words]
        command += ["-e", f"ansible_python_interpreter={sys.executable}", "-e", f"folder={tmp_path}"]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "callback" not in done.stderr, done.stderr
        return done.stdout, done.stderr

    return run


@pytest.mark.each_core("compact")
def test_everything_is_shown_but_what_changed_nothing(play):
    out, err = play(PLAYBOOK, "--diff")
    assert re.findall(r"^(?:PLAY|TASK) \[(.*?)\]", out, re.MULTILINE) == [
        "Play with results",
        "Say something",
        "Loop over items",
        "Talk to a host that is away",
        "Write a secret file",
        "Write secret files",
        "Write a file",
        "Return a plan",
    ]
    assert "failed: [one] (item=wrong)" in out and out.count("...ignoring") == 2 and "UNREACHABLE" in out
    assert "S3CRET" not in out + err
    assert "\n+ write /" in out and "+line" not in out
    # `plan` of another collection's module is none of ours.
    assert '-    "a": 1' in out and "\nb\n" not in out
    assert "Watch out" in out + err
    assert "No host matched" not in out


@pytest.mark.each_core("compact")
def test_quiet_leaves_failures_and_warnings(play):
    out, err = play(PLAYBOOK, MODELOPS_QUIET="1")
    assert re.findall(r"^(?:PLAY|TASK) \[(.*?)\]", out, re.MULTILINE) == [
        "Say something",
        "Loop over items",
        "Talk to a host that is away",
        "Return a plan",
    ]
    assert "Watch out" in out + err


def test_a_play_without_tasks_had_hosts(play):
    assert "No host matched" not in play(NO_TASKS)[0]
    assert "No host matched: nothing was done." in play(NO_TASKS.replace("all", "nobody"))[0]


# As that of ansible-runner does it.
BASE = """
from ansible.plugins.loader import callback_loader

DOCUMENTATION = '''
name: based
type: stdout
short_description: of another program
extends_documentation_fragment: [default_callback]
'''

class CallbackModule(callback_loader.get("modelops.inference.compact").__class__):
    CALLBACK_NAME = "based"
"""


@pytest.mark.each_core("compact")
def test_another_callback_has_it_as_its_base(play, tmp_path):
    (tmp_path / "callbacks/based.py").write_text(BASE)
    chosen = {"ANSIBLE_STDOUT_CALLBACK": "based", "ANSIBLE_CALLBACK_PLUGINS": str(tmp_path / "callbacks")}
    out, _err = play(PLAYBOOK, "--diff", **chosen)
    assert "TASK [Write a file]" in out and "Change nothing: ok" not in out


def test_a_message_has_no_quotes_of_yaml_and_an_empty_plan_is_left_out(play, tmp_path):
    # A message with a colon, or that begins with a quote, is one that YAML quotes.
    msg = "model 'qwen33': there is none of this name in the catalog of Xinference 4.1.0, whose nearest is 'qwen3'"
    task = {"name": "Fail", "modelops_fails": {}, "ignore_errors": True}
    text = (
        PLANS.partition("    AnsibleModule")[0] + f"    AnsibleModule({{}}).fail_json(msg={msg!r}, plan=[])\n\nmain()\n"
    )
    (tmp_path / "library/modelops_fails.py").write_text(text)
    out = play(
        json.dumps([{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": [task]}]),
        ANSIBLE_CALLBACK_RESULT_FORMAT="yaml",
    )
    assert f"    msg: |-\n        {msg}\n" in out[0] and "plan" not in out[0]
