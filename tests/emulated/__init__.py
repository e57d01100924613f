# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of any inventory without a machine for each: playbooks, roles, filters and action plugins are the real ones.

Emulated is what would touch a host, a server or a Dify: every module of the collection checks its arguments, and then answers by
run.py instead of doing its work. Modules are called in Ansible's worker (callback_plugins/in_process.py). The connection is local.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from emulated import fork_server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLLECTION = "ansible_collections/modelops/inference"
PROBE = COLLECTION.replace("/", ".") + ".plugins.modules.xinference_host_info"
# Where the inventory says how a host is reached, and where things are there.
HERE_INSTEAD = {
    "ansible_connection": "local",
    "ansible_become": False,
    "ansible_python_interpreter": sys.executable,
    "ansible_remote_tmp": "{{ emulated }}/tmp",
    "xinference_dir": "{{ emulated }}/hosts/{{ inventory_hostname }}",
    "xinference_home": "{{ xinference_dir }}/home",
    "xinference_models_dir": "{{ xinference_dir }}/models",
    "dify_connection_sheet": "{{ emulated }}/sheet-{{ xinference_cluster }}.txt",
    "dify_workspace_file": "{{ emulated }}/dify-workspaces.txt",
    "_accelerator_root": "{{ emulated }}/machines/{{ inventory_hostname }}",
    "_accelerator_kernel": True,
}
# Of a host with a GPU: its card, and a driver that runs.
GPU = {
    "sys/bus/pci/devices/0000:1b:00.0/class": "0x030200",
    "sys/bus/pci/devices/0000:1b:00.0/vendor": "0x10de",
    "sys/bus/pci/devices/0000:1b:00.0/device": "0x26b9",
    "sys/module/nvidia/version": "580.95.05",
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build",
    "dev/nvidia0": "",
    "dev/nvidiactl": "",
    "run/nvidia-persistenced/socket": "",
}


def called_in_process(callbacks: str = "") -> dict[str, str]:
    """Environment variables by which a program of Ansible calls modules in its worker instead of sending them."""
    enabled = ",".join(filter(None, [callbacks, "in_process"]))
    return {"ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"), "ANSIBLE_CALLBACKS_ENABLED": enabled}


def play(*words, cwd=None, **variables):
    """The result of ansible-playbook with these arguments and environment variables, with the unchanged collection.

    All tests play by one configuration, tests/unit/roles/playbooks/ansible.cfg, and so by one server.
    """
    collections = next(path for path in sys.path if (Path(path) / "ansible_collections" / "modelops").is_dir())
    env = {**os.environ, **called_in_process(), "ANSIBLE_COLLECTIONS_PATH": collections, "NO_COLOR": "1", **variables}
    env["ANSIBLE_CONFIG"] = str(ROOT / "tests/unit/roles/playbooks/ansible.cfg")
    return fork_server.run([Path(sys.executable).parent / "ansible-playbook", *words], env=env, cwd=cwd)


def environment() -> dict[str, str]:
    """Variables for the programs of Ansible, by which they find the collection that answers by run.py."""
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORKS": "50", "NO_COLOR": "1"}
    env.update(ANSIBLE_COLLECTIONS_PATH=str(_collections()), ANSIBLE_HOME=str(_collections() / "home"))
    return {**env, **called_in_process(os.environ.get("ANSIBLE_CALLBACKS_ENABLED", ""))}


class Hosts:
    """The hosts of an inventory, which have nothing yet but a service user, below a directory of their own.

    :param gpus: names of those with a GPU.
    """

    def __init__(self, folder: Path, inventory: Path, gpus=()):
        self.folder, self.inventory = folder, inventory
        self.env = environment()
        found = json.loads(_found())
        for host, variables in self.listed["_meta"]["hostvars"].items():
            top = folder / "hosts" / host
            for name in ("secrets", "etc"):
                (top / name).mkdir(parents=True)
            (top / "secrets" / "client_key").write_text("sk-emulated0000")
            for path, text in (GPU if host in gpus else {"proc/version": ""}).items():
                place = folder / "machines" / host / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
            cards = [
                {"vendor": "nvidia", "index": 0, "name": "emulated", "memory_bytes": 80 << 30, "free_bytes": 80 << 30}
            ]
            found["gpus"] = cards if host in gpus else []
            found["system"].update(
                accelerators=["nvidia"] if host in gpus else [], root=True, kernel="Linux", lacks={"apt": [], "dnf": []}
            )
            made = {str(path): {"sha256": "", "mode": mode, "uid": 990} for path, mode in self._directories(top)}
            about = {"found": found, "files": made, "services": {}, "weights": {}}
            about["address"] = variables.get("ansible_host", host)
            Path(f"{top}.json").write_text(json.dumps(about))

    def install(self):
        """Every host gets what the roles would bring about in check mode; the modules note it."""
        return self.play("playbooks/site.yml", "--check")

    def play(self, playbook, *words):
        """Runs ansible-playbook: (return code, output)."""
        done = self._run("ansible-playbook", playbook, *words)
        return done.returncode, done.stdout + done.stderr

    @functools.cached_property
    def listed(self):
        """The output of `ansible-inventory --list`."""
        return json.loads(self._run("ansible-inventory", "--list").stdout)

    def sheets(self):
        return sorted(self.folder.glob("sheet-*"))

    def command(self, program, *words):
        """A program of Ansible on these hosts, with a playbook of the collection, say."""
        words = [
            str(_collections() / COLLECTION / word) if str(word).startswith("playbooks/") else word for word in words
        ]
        extra = json.dumps({**HERE_INSTEAD, "emulated": str(self.folder)})
        return [Path(sys.executable).parent / program, "-i", self.inventory, *words, "-e", extra]

    def _run(self, *words):
        return fork_server.run(self.command(*words), env=self.env)

    @staticmethod
    def _directories(top):
        return [(top, "0755"), (top / "models", "0755"), (top / "home", "0750"), (top / "reconciler", "0755")]


@functools.cache
def _collections():
    """A collection of links to the real one, in which `run` is another."""
    top = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, top)
    new, old = top / COLLECTION, ROOT
    frame = Path("plugins/module_utils/_module.py")
    for part in [*frame.parts]:
        new.mkdir(parents=True)
        for path in old.iterdir():
            if path.name != part and not path.name.startswith(".") or part == frame.name and path.name != part:
                (new / path.name).symlink_to(path)
        new, old = new / part, old / part
    new.write_text(
        old.read_text() + "\n" + (HERE / "run.py").read_text().replace("from __future__", "# from __future__")
    )
    return top


@functools.cache
def _found():
    """The real probe's answer for a missing directory of this machine."""
    nothing = str(_collections() / "nothing")
    given = dict(
        path=nothing, home=nothing, models_dir=nothing, service_manager="supervisord", _ansible_remote_tmp="/tmp"
    )
    with tempfile.TemporaryDirectory() as top:
        Path(top, COLLECTION).parent.mkdir(parents=True)
        Path(top, COLLECTION).symlink_to(ROOT)
        done = subprocess.run(
            [sys.executable, "-m", PROBE],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
            env={**os.environ, "PYTHONPATH": top},
            capture_output=True,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout)
    found["user"]["id"] = 990
    found["disk"].update(free_bytes=1 << 40, writable=True)
    return json.dumps(found)
