# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of site.yml on emulated hosts with few differences: required and forbidden changes."""

from __future__ import annotations

import json

import pytest
from emulated import Hosts

MODEL = {"name": "bge-m3", "type": "embedding", "uid": "m"}
OFFICE = {"name": "office", "url": "https://dify.example.org", "email": "a@example.org", "password": "Secret123"}


class Site(Hosts):
    def run(self, *words, playbook="site"):
        """(return code, output, names and arguments of the modules that were executed)"""
        calls = self.folder / "calls"
        calls.write_text("")
        self.env["EMULATED_CALLS"] = str(calls)
        code, out = self.play(f"playbooks/{playbook}.yml", *words)
        return code, " ".join(out.split()), [json.loads(line) for line in calls.read_text().splitlines()]


FIREWALL = {"xinference_firewall": True, "xinference_api_networks": ["10.0.0.0/8"]}
GROUPS = {
    "xinference_supervisors": {"hosts": {"head": FIREWALL}},
    "xinference_workers": {"hosts": {"w1": FIREWALL}},
    "xinference_local": {"hosts": {"paris": {}, "lyon": {}}},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Hosts on which all of it is installed."""
    folder = tmp_path_factory.mktemp("site")
    variables = {"xinference_models": [MODEL], "models_reconcile": False}
    (folder / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "children": GROUPS}}))
    made = Site(folder, folder / "hosts.json")
    code, out, _calls = made.run("--check")
    assert code == 0, out
    return made


def test_a_drained_worker_gets_the_new_release_and_stays_stopped(site):
    (site.folder / "hosts/w1/etc/xinference-worker.drained").touch()
    code, out, calls = site.run("-e", "xinference_version=4.0.1", "--limit", "w1")
    assert code == 0 and "w1 is drained: it stays stopped" in out, out
    names = [name for name, given in calls if "hosts/w1" in json.dumps(given)]
    assert "xinference_release" in names and "xinference_service" not in names


def test_a_firewall_is_applied_where_nothing_else_differs(site):
    # Other networks than the cluster's: the emulated firewall knows one by its options, not by its host.
    walled = {**FIREWALL, "xinference_api_networks": ["10.9.0.0/16"]}
    code, out, calls = site.run("-e", json.dumps(walled), "--limit", "lyon")
    assert code == 0 and [name for name, _given in calls].count("xinference_firewall") == 1, out


def test_a_removal_is_shown_step_by_step_and_does_nothing_in_check_mode(site):
    code, out, calls = site.run("--check", "--diff", "--limit", "lyon", playbook="remove")
    assert code == 0 and "lyon (cluster lyon), remove_services: xinference is installed" in out, out
    top = f"{site.folder}/hosts/lyon"
    assert f"lyon (cluster lyon), remove_directories: {top}/current, {top}/etc, {top}/secrets" in out
    done = [(name, given["state"]) for name, given in calls if "state" in given]
    assert done == [("xinference_service", "absent"), ("xinference_directory", "absent")]
    assert (site.folder / "hosts/lyon/secrets").is_dir()


def test_by_batches_a_target_that_names_no_cluster_is_refused_when_all_are_seen(site):
    target = {**OFFICE, "prune": True, "models": {"clusters": ["lyom"]}}
    code, out, calls = site.run("-e", "xinference_serial=2", "-e", json.dumps({"dify_targets": [target]}))
    assert code and "lyom" in out and "did you mean" in out.lower(), out
    assert "dify_models" not in [name for name, _given in calls]


@pytest.fixture
def found(site):
    """``found(**facts)`` has the probe of paris say that, too; -> its release."""
    file = site.folder / "hosts/paris.json"
    before = file.read_text()

    def say(**facts):
        about = json.loads(before)
        about["found"].update(facts)
        file.write_text(json.dumps(about))
        return about["found"]["current"]

    yield say
    file.write_text(before)


@pytest.mark.parametrize("playbook", ["site", "restart"])
def test_a_server_whose_users_cannot_be_read_is_not_stopped(site, found, playbook):
    found(auth_users=-1, auth_unreadable="auth.db cannot be read, so the server was left unchanged.")
    code, out, calls = site.run("--limit", "paris", playbook=playbook)
    assert code and "paris (cluster paris): auth.db cannot be read, so the server was left unchanged." in out, out
    assert not {name for name, _given in calls} - {"xinference_host_info", "accelerator_info", "validate_variables"}


DENIED = "/x/4.1.0-a has litellm 1.82.7 (known to be malicious: https://h.example)."


def test_a_release_that_is_known_to_be_malicious_is_refused(site):
    for words in (["xinference_version=2.6.1"], [json.dumps({"xinference_packages": ["litellm==1.82.8"]})]):
        code, out, calls = site.run("-e", *words, "--limit", "paris")
        assert code and "(known to be malicious: https://github.com/" in out and "paris (cluster paris): " in out, out
        assert not {name for name, _given in calls} - {"validate_variables"}
    words = json.dumps({"xinference_denied_packages": ["xinference==4.1.0"]})
    code, out, calls = site.run("-e", words, "--limit", "paris")
    assert code and "xinference 4.1.0 (denied by xinference_denied_packages) is not installed" in out, out


def test_a_host_that_has_one_is_named_and_does_not_start_it_again(site, found):
    current = found(denied=[{"release": "4.1.0-a", "text": DENIED}])
    code, out, calls = site.run("--limit", "paris")
    assert code == 0 and f"paris (cluster paris): {DENIED} Treat all secrets that this host can read" in out, out
    found(denied=[{"release": current, "text": DENIED}])
    # Whatever the inventory still says.
    code, out, calls = site.run("-e", "xinference_version=2.6.1", "--limit", "paris", playbook="restart")
    assert code and f"the release {current} must not be started. {DENIED}" in out, out
    assert "xinference_service" not in [name for name, _given in calls]


def test_a_release_that_is_on_the_host_needs_no_index(site, found):
    words = ("-e", "xinference_version=4.0.1", "--limit", "paris", "--check")
    code, out, calls = site.run(*words)
    names = [name for name, _given in calls]
    built = [given["id"] for name, given in calls if name == "xinference_release" and given["build"]]
    assert code == 0 and names.count("xinference_python_info") == len(built) == 1, out
    found(releases=[found(), *built])
    code, out, calls = site.run(*words)
    assert code == 0 and "xinference_python_info" not in [name for name, _given in calls], out


@pytest.mark.parametrize(("index", "extras"), [({}, ["all"]), ({"find_links": ["/srv"], "no_index": True}, [])])
def test_a_host_that_takes_wheels_only_needs_no_compiler(site, index, extras):
    code, out, calls = site.run("-e", json.dumps({"xinference_index": index}), "--limit", "paris", "--check")
    probed = [given["extras"] for name, given in calls if name == "xinference_host_info"]
    assert code == 0 and probed and all(each == extras for each in probed), out


def test_a_host_for_whose_python_there_are_no_packages_is_refused_before_it_is_changed(site, found):
    found(user={"id": -1, "made_here": False}, directories={"differ": [str(site.folder / "x")], "refused": []})
    (site.folder / "calls.fails").write_text(json.dumps(['"xinference_python_info"', "4.0.1"]))
    code, out, calls = site.run("-e", "xinference_version=4.0.1", "--limit", "paris")
    assert code and "emulated failure" in out, out
    names = [name for name, _given in calls]
    assert names.count("xinference_python_info") == 1
    assert not set(names) - {"xinference_python_info", "xinference_host_info", "accelerator_info", "validate_variables"}
