# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A clone runs with any ansible-core on PATH: no variable, no installed collection and no bin/site."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from checkout import check_out

BIN = Path(sys.executable).parent
COLLECTION = "playbooks/collections/ansible_collections/modelops/inference"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    target = tmp_path_factory.mktemp("clone") / "modelops"
    check_out(target)
    return target


def run(words, folder, home):
    """Runs a program of Ansible with the environment of a login shell; returns (exit code, output in one line)."""
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(home), "MODELOPS_DIR": str(home / "data"), "LANG": "C.UTF-8"}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_the_links_stay_in_the_clone_and_end(clone):
    """A program that follows links, as ansible-lint does, comes to an end here."""
    seen = [Path(top, name) for top, folders, _files in os.walk(clone, followlinks=True) for name in folders]
    links = {str(path.relative_to(clone)): os.readlink(path) for path in seen if path.is_symlink()}
    wanted = {f"{COLLECTION}/{name}": f"../../../../../{name}" for name in ("meta", "plugins", "roles")}
    through = {name.replace("playbooks/", "", 1): target for name, target in wanted.items()}
    assert links == {"collections": "playbooks/collections", **wanted, **through}


@pytest.mark.each_core("site.yml", "compact")
def test_site_runs_against_this_machine(clone, tmp_path):
    words = ["ansible-playbook", "site.yml", "--check", "-e", "xinference_verison=4.1.0"]
    code, out = run(words, clone, tmp_path)
    # The collection's own action refuses it, on the host of inventories/local, and its own callback shows it.
    assert code == 2 and "TASK [Find the hosts" not in out, out
    assert "localhost (cluster local): xinference_verison is not a variable of this collection" in out


@pytest.mark.each_core("site.yml")
@pytest.mark.parametrize("where", ["site.yml", "playbooks"])
def test_every_playbook_finds_the_collection(clone, tmp_path, where):
    names = [
        path.relative_to(clone) for path in sorted((clone / "playbooks").glob("*.yml")) if path.suffixes == [".yml"]
    ]
    named = names if where == "playbooks" else [where]
    code, out = run(["ansible-playbook", "--list-tasks", *named], clone, tmp_path)
    assert code == 0, out
    assert out.count("playbook: ") == len(named)
    assert "modelops.inference.dify : " in out


def test_another_directory_needs_only_an_inventory(clone, tmp_path):
    words = ["ansible-playbook", clone / "site.yml", "--list-hosts"]
    code, out = run([*words, "-i", clone / "inventories/local"], tmp_path, tmp_path)
    assert code == 0 and "hosts (1): localhost" in out, out


@pytest.mark.each_core("compact")
def test_a_playbook_of_another_directory_finds_the_callback(clone, tmp_path):
    (tmp_path / "mine.yml").write_text("[{hosts: localhost, gather_facts: false, tasks: [{debug: {msg: said}}]}]")
    code, out = run(["ansible-playbook", tmp_path / "mine.yml"], clone, tmp_path)
    assert code == 0 and "msg: said" in out and "callback" not in out and "PLAY RECAP" in out, out


@pytest.mark.each_core("site.yml")
def test_an_inventory_without_hosts_for_xinference_is_refused(clone, tmp_path):
    code, out = run(["ansible-playbook", clone / "site.yml"], tmp_path, tmp_path)
    assert code in (1, 4), out
    assert "The inventory has none of the groups xinference_supervisors, xinference_workers, xinference_local" in out
    assert f"-i {clone}/inventories/local" in out


def test_the_archive_has_the_collection_alone(clone, tmp_path):
    words = ["ansible-galaxy", "collection", "build", "--output-path", tmp_path]
    code, out = run(words, clone, tmp_path)
    assert code == 0, out
    with tarfile.open(next(tmp_path.glob("modelops-inference-*.tar.gz"))) as archive:
        members = archive.getmembers()
    names = {member.name for member in members}
    assert {"playbooks/site.yml", "plugins/action/validate_variables.py", "meta/runtime.yml"} <= names
    assert not [member.name for member in members if not (member.isfile() or member.isdir())]
    assert not names & {"site.yml", "ansible.cfg", "bin", "collections", "playbooks/collections"}
