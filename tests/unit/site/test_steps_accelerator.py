# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of the role accelerator as executions of modules: pure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.modelops.inference.plugins.plugin_utils._calls import CallingAction
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Run
from ansible_collections.modelops.inference.plugins.plugin_utils._site.steps_accelerator import (
    LOADED,
    RELEASED,
    UNNEEDED,
    HostSteps,
    calls,
    failure,
)

LOCK = "/etc/dnf/plugins/versionlock.list"
FILE = {
    "path": "/etc/a.conf", "content": "a\n", "directory": "", "record": True,
    "commands": [{"argv": ["/sbin/apply", "-u"], "needs": "/sbin/apply"}],
}  # fmt: skip
PACKAGES = {
    "family": "debian", "names": ["nvidia-smi"], "state": "latest", "allow_downgrade": False, "streams": [],
    "release": ["nvidia-driver"], "failed": "gpu01: nvidia-smi could not be installed", "advice": "See apt-get.",
}  # fmt: skip
OF_DNF = {**PACKAGES, "family": "redhat", "streams": [["dnf", "-y", "module", "reset", "nvidia-driver"]]}
LOAD = {"argv": ["modprobe", "nvidia"], "failure": "the kernel module could not be loaded", "name": ""}
DRIVER = {
    "groups": ["render"], "stop": ["nvidia-fabricmanager"], "start": ["nvidia-fabricmanager"], "commands": [LOAD],
    "enable": [{"name": "nvidia-persistenced", "state": "restarted"}], "after_restart": False,
}  # fmt: skip
INSTALLER = {"part": "firmware", "place": "/var/tmp/f.run", "argv": ["/var/tmp/f.run", "--full"], "then": ["firmware"],
             "failed": "npu01: Huawei's installer of firmware failed (--full"}  # fmt: skip
REMOVAL = {
    "family": "debian", "release": ["nvidia-smi"], "requested": ["nvidia-smi"], "packages": ["nvidia-smi", "libnvidia-ml1"],
    "stream": True, "users": ["HwHiAiUser"], "files": ["/etc/a.conf"], "initramfs": FILE["commands"], "installers": [INSTALLER],
}  # fmt: skip


def made(step, data=None, results=None, check_mode=False, installers=None, **role):
    """Each call as its module and the options that the test names."""
    steps = {} if data is None else {step: data}
    host = HostSteps({"steps": steps, "version_lock": LOCK, **role}, installers or {}, Run(results or {}, check_mode))
    return [(call.module.rpartition(".")[2], call.options) for call in calls(step, host)]


def modules(found):
    return [module for module, _options in found]


def test_a_file_is_written_recorded_and_applied():
    assert made("nouveau", FILE) == [
        ("copy", {"content": "a\n", "dest": "/etc/a.conf", "mode": "0644"}),
        ("accelerator_record", {}),
        ("command", {"argv": ["/sbin/apply", "-u"], "removes": "/sbin/apply"}),
    ]
    assert modules(made("nouveau", FILE, check_mode=True)) == ["copy", "accelerator_record"]
    assert modules(made("persistence", {**FILE, "directory": "/etc/d"}))[:2] == ["file", "copy"]


def test_a_file_without_content_is_removed():
    assert made("pin", {**FILE, "content": "", "record": False, "commands": []}) == [
        ("file", {"path": "/etc/a.conf", "state": "absent"})
    ]


def test_holds_are_released_and_restored():
    steps = {"packages": PACKAGES}
    selected = {"name": "nvidia-driver"}
    assert made("release", steps=steps) == [("dpkg_selections", {**selected, "selection": "install"})]
    assert made("restore", steps=steps) == [("dpkg_selections", {**selected, "selection": "hold"})]
    [(module, options)] = made("release", steps={"packages": OF_DNF})
    assert module == "blockinfile" and options["path"] == LOCK and options["backup"] is True
    [(_module, options)] = made("restore", steps={"packages": OF_DNF}, results={RELEASED: {"backup_file": "/b"}})
    assert (options["src"], options["dest"], options["remote_src"]) == ("/b", LOCK, True)
    assert made("restore", steps={"packages": OF_DNF}) == [] == made("remove_backup", steps=steps)
    [(_module, options)] = made("release", steps={}, removal={**REMOVAL, "family": "redhat"})
    assert options["backup"] is False


def test_packages_of_each_family():
    [(module, options)] = made("packages", PACKAGES)
    assert module == "apt" and options["install_recommends"] is False and options["name"] == ["nvidia-smi"]
    found = made("packages", OF_DNF)
    assert modules(found) == ["command", "dnf"] and found[1][1]["install_weak_deps"] is False
    assert modules(made("index", steps={"packages": PACKAGES})) == ["apt"] and not made(
        "index", steps={"packages": OF_DNF}
    )


def test_the_driver_is_loaded_between_its_services():
    assert modules(made("driver", DRIVER)) == ["group", "systemd_service", "command", "systemd_service"]


@pytest.mark.parametrize(
    ("rc", "failure_of_load", "after_restart", "state"),
    [(0, "", False, "restarted"), (1, "", False, "restarted"), (1, "not loaded", False, None), (0, "", True, None)],
)
def test_services_start_with_their_module_only(rc, failure_of_load, after_restart, state):
    results = {LOADED: {"commands": [{"rc": rc, "command": {**LOAD, "failure": failure_of_load}}]}}
    [(_module, options)] = made(
        "services", results=results, steps={"driver": {**DRIVER, "after_restart": after_restart}}
    )
    assert options.get("state") == state and options["enabled"] and options["daemon_reload"]


def test_huaweis_installer_is_the_one_that_the_inventory_names():
    found = made(
        "installers", installers={"firmware": "/controller/f.run"}, steps={"ascend": {"installers": [INSTALLER]}}
    )
    assert modules(found) == ["copy", "command", "file", "accelerator_record"]
    assert found[0][1]["src"] == "/controller/f.run" and found[3][1] == {"parts": ["firmware"]}
    # A source that the host tells is none.
    told = {**INSTALLER, "src": "/root/.ssh/id_ed25519"}
    assert made("installers", steps={"ascend": {"installers": [told]}})[0][1]["src"] == ""


def test_holds_are_set_and_recorded():
    hold = {"family": "debian", "names": ["nvidia-smi"], "locks": "", "held": ["nvidia-smi"]}
    assert made("hold", hold=hold) == [
        ("dpkg_selections", {"name": "nvidia-smi", "selection": "hold"}),
        ("accelerator_record", {"held": ["nvidia-smi"]}),
    ]
    [(module, options), _record] = made("hold", hold={**hold, "family": "redhat", "locks": "nvidia-smi-1.*"})
    assert module == "blockinfile" and options["block"] == "nvidia-smi-1.*"


def test_only_recorded_packages_are_removed():
    lines = ["Reading package lists...", "Remv libnvidia-ml1 [580]", "Remv python3-theirs [1]"]
    results = {UNNEEDED: {"stdout_lines": lines}}
    [(_module, options)] = made("remove_unneeded", results=results, removal=REMOVAL)
    assert options["name"] == ["libnvidia-ml1"] and options["purge"] is True
    assert made("remove_unneeded", results={UNNEEDED: {"stdout_lines": lines[2:]}}, removal=REMOVAL) == []
    [(_module, options)] = made("remove_packages", removal=REMOVAL)
    assert options["name"] == ["nvidia-smi"]
    found = made("remove_packages", removal={**REMOVAL, "family": "redhat"})
    assert modules(found) == ["dnf", "command"] and found[0][1]["autoremove"] is False


def test_files_are_removed_before_the_initial_file_system_is_made():
    assert modules(made("remove_files", removal=REMOVAL)) == ["file", "command"]
    assert modules(made("remove_files", removal=REMOVAL, check_mode=True)) == ["file"]
    assert made("remove_users", removal=REMOVAL) == [("user", {"name": "HwHiAiUser", "state": "absent"})]


def test_the_message_of_a_failure():
    host = HostSteps({"steps": {"packages": PACKAGES}})
    assert failure("packages", host, {"msg": "No space left. "}) == (
        "gpu01: nvidia-smi could not be installed: No space left. See apt-get."
    )
    told = {"installer": INSTALLER["failed"], "rc": 1, "stdout_lines": ["a", "b", "c"], "stderr_lines": ["d"]}
    assert failure("installers", host, told) == (
        "npu01: Huawei's installer of firmware failed (--full, 1): b c d. Its log is in /var/log/ascend_seclog."
    )
    assert failure("driver", host, {"msg": "systemd_service fails"}) == ""


TASK = SimpleNamespace(copy=SimpleNamespace, delegate_to=None, no_log=False, get_name=lambda: "Run the steps")


class Executed(CallingAction):
    """Executes nothing; modules named "fails" fail."""

    def __init__(self):
        self._task = TASK

    def run(self, tmp=None, task_vars=None):
        raise NotImplementedError

    def _executed(self, call, known):
        return {"failed": call.module == "fails", "module": call.module}


def test_a_call_that_may_fail_does_not_end_its_step():
    asked = [Call("fails", may_fail=True), Call("one"), Call("fails"), Call("two"), Call("last", always=True)]
    results = Executed().executed(asked, {})
    assert [(each["module"], each["failed"]) for each in results] == [
        ("fails", False), ("one", False), ("fails", True), ("last", False)
    ]  # fmt: skip


class Answers(CallingAction):
    """An action whose host answers whatever it likes."""

    def __init__(self):
        self._task = TASK
        self._connection = self._play_context = self._loader = self._templar = None
        self._shared_loader_obj = SimpleNamespace(action_loader=SimpleNamespace(get=lambda name, **options: None))

    def run(self, tmp=None, task_vars=None):
        raise NotImplementedError

    def _execute_module(self, *args, **options):
        return {"cluster": "another", "api_key_file": "/tmp/mine", "version": "4.2.0", "changed": True}


def test_no_host_says_what_the_step_tells():
    """Role dify registers keys by the cluster of such a result."""
    told, assumed = {"cluster": "own", "api_key_file": "/opt/key"}, {"version": "4.1.0", "models": []}
    (result,) = Answers().executed([Call("xinference_key", told=told, assumed=assumed)], {})
    assert result == {**told, "version": "4.2.0", "models": [], "changed": True}
