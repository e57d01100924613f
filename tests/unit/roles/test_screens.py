# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Screens of playbook runs as files in screens/, so that a review sees each change.

Of an emulated host, whose modules say "emulated" where they would name a change. SCREENS=write pytest tests/unit/roles/test_screens.py
writes the files anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import emulated
import pytest
from emulated import ROOT, Hosts

SCREENS = Path(__file__).parent / "screens"
MODELS = [
    {"uid": "chat", "name": "qwen3", "type": "LLM", "engine": "llama.cpp", "size": "0_6", "quantization": "Q4_K_M"},
    {"uid": "vectors", "name": "bge-m3", "type": "embedding"},
]
NOBODY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
#: The reconciler's program is not there.
COMMAND = """
from ansible.module_utils.basic import AnsibleModule

def main():
    AnsibleModule({"argv": {"type": "list"}, "_raw_params": {}, "_uses_shell": {"type": "bool"}}).exit_json(changed=True)
"""
SITE = "playbooks/site.yml"
#: In this order, on one host that has nothing at first: name, most lines, failure, playbook and arguments.
RUNS = [
    ("refused", 20, True, SITE, "-e", "xinference_verison=4.1.0"),
    ("unreachable", 25, True, SITE),
    ("first", 80, False, SITE),
    ("noop", 25, False, SITE),
    ("noop_quiet", 4, False, SITE),
    ("failed_launch", 60, True, SITE),
    ("upgrade", 60, False, "playbooks/upgrade.yml", "-e", "xinference_version=4.0.1"),
    ("check_of_change", 60, False, SITE, "--check", "--diff"),
    ("remove", 60, False, "playbooks/remove.yml"),
]


def masked(text, folder):
    text = text.replace(str(folder), "/emulated").replace(str(ROOT), "/clone")
    text = re.sub(r"/\S+/ansible_collections/modelops/inference/", "/collection/", text)
    text = re.sub(r"\b(\d\.\d\.\d)-[0-9a-f]{12}", r"\1-0123456789ab", text)
    # How many tasks there are is a matter of test_budget.py.
    text = re.sub(r"\b(ok|skipped)=\d+ *", r"\1=N ", text)
    return re.sub(r" +$", "", text, flags=re.MULTILINE)


def hosts(folder):
    local = {"here": {"xinference_models": MODELS}}
    (folder / "hosts.json").write_text(json.dumps({"xinference_local": {"hosts": local}}))
    return Hosts(folder, folder / "hosts.json")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Of each run whether it failed, and what it showed."""
    found = {}
    one = hosts(tmp_path_factory.mktemp("first"))
    found["first_check"] = (*one.play(SITE, "--check", "--diff"), one.folder)
    one = hosts(tmp_path_factory.mktemp("screens"))
    one.env.update(EMULATED_CALLS=str(one.folder / "calls"), INSTEAD=str(one.folder))
    (one.folder / "command.py").write_text(COMMAND)
    for name, _most, _fails, *words in RUNS:
        if name == "failed_launch":
            (one.folder / "calls.fails").write_text(json.dumps(['"xinference_serve"']))
        one.env["MODELOPS_QUIET"] = str("quiet" in name)
        with pytest.MonkeyPatch.context() as patch:
            if name == "unreachable":
                patch.setattr(emulated, "HERE_INSTEAD", {**emulated.HERE_INSTEAD, **NOBODY})
            found[name] = (*one.play(*words), one.folder)
    return {name: (bool(code), masked(text, folder)) for name, (code, text, folder) in found.items()}


@pytest.mark.parametrize(("name", "most", "fails"), [("first_check", 80, False), *(run[:3] for run in RUNS)], ids=str)
def test_screen(shown, name, most, fails):
    failed, text = shown[name]
    file = SCREENS / f"{name}.txt"
    if os.environ.get("SCREENS") == "write":
        SCREENS.mkdir(exist_ok=True)
        file.write_text(text)
    assert (failed, text) == (fails, file.read_text())
    assert len(text.splitlines()) <= most
