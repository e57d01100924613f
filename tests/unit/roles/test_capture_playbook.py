# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook capture against the test server, as one that this collection installed and as another one."""

from __future__ import annotations

import sys

import emulated
import pytest
import yaml
from servers.xinference import PASSWORD, XinferenceServer


@pytest.fixture
def newest():
    with XinferenceServer("4.1.0") as server:
        yield server


@pytest.fixture
def site(tmp_path):
    """An inventory, as a directory."""
    inventory = tmp_path / "inventory"
    inventory.mkdir()
    (inventory / "hosts.yml").write_text("all: {hosts: {theirs: {ansible_connection: local}}}\n")
    return inventory


@pytest.fixture
def play(site):
    def run(server, *more, playbook="modelops.inference.capture"):
        values = {"capture_hosts": "theirs", "capture_endpoint": server.url, "capture_password": PASSWORD}
        given = [part for name, value in values.items() for part in ("-e", f"{name}={value}")]
        return emulated.play("-i", site, playbook, *given, *more)

    return run


@pytest.mark.each_core("capture.yml", "site_capture")
def test_it_is_written_once_and_a_following_run_finds_it_unchanged(newest, play, site):
    newest.serve("q", model_name="qwen3", model_engine="llama.cpp", envs={"HF_TOKEN": "hf_abcdefgh"})
    predicted = play(newest, "--check", "--diff")
    assert predicted.returncode == 0, predicted.stdout + predicted.stderr
    assert "+xinference_models:" in predicted.stdout and not (site / "host_vars").exists()
    done = play(newest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Its engine options" in done.stdout
    path = site / "host_vars" / "theirs" / "xinference_models.yml"
    assert f"1 models of {newest.url} are in {path}." in done.stdout
    assert yaml.safe_load(path.read_text())["xinference_models"][0]["uid"] == "q"
    assert "changed=0" in play(newest).stdout
    text = path.read_text()
    path.write_text(text + "# edited\n")
    refused = play(newest)
    assert refused.returncode and "differs from the running models" in " ".join(refused.stdout.split())
    assert play(newest, "-e", "capture_replace=true").returncode == 0 and path.read_text() == text
    follow = site.parent / "follow.yml"
    task = {"endpoint": newest.url, "password": PASSWORD, "models": "{{ xinference_models }}"}
    play_of = {"hosts": "theirs", "gather_facts": False, "tasks": [{"modelops.inference.xinference_models": task}]}
    play_of["vars"] = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    follow.write_text(yaml.safe_dump([play_of]))
    after = play(newest, playbook=str(follow))
    assert after.returncode == 0 and "changed=0" in after.stdout, after.stdout + after.stderr


def test_a_wrong_variable_is_refused_before_anything_is_asked(newest, play):
    refused = play(newest, "-e", "capture_replac=true", "-e", "capture_replace=perhaps")
    said = " ".join(refused.stdout.split())
    assert refused.returncode and "did you mean capture_replace?" in said
    assert "capture_replace must be true or false, not 'perhaps'." in said and not newest.requests


def test_a_server_of_this_collection_is_found_by_its_plan(newest, site, installed):
    """With the defaults of the role, which the play does not have."""
    newest.serve("q", model_name="qwen3", model_engine="llama.cpp")
    given = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "xinference_dir": installed(1)["xinference_dir"],
        "xinference_port": int(newest.url.rpartition(":")[2]),
        "xinference_admin_password": PASSWORD,
        "xinference_service_manager": "supervisord",
    }
    (site / "hosts.yml").write_text(yaml.safe_dump({"xinference_local": {"hosts": {"ours": given}}}))
    done = emulated.play("-i", site, "modelops.inference.capture")
    assert done.returncode == 0, done.stdout + done.stderr
    path = site / "host_vars" / "ours" / "xinference_models.yml"
    assert yaml.safe_load(path.read_text())["xinference_models"][0]["uid"] == "q"
    assert PASSWORD not in done.stdout + path.read_text()
