# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role dify without ansible-playbook: its steps are called as its tasks call them, and its module in this process."""

from __future__ import annotations

import subprocess
import types
from pathlib import Path

from servers.dify.server import EMAIL, PASSWORD
from servers.dify.xinference import Backend, Upstream, default_models

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.plugin_utils._dify import capture, register, rotate
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.task import Task

ABOUT = {"tags": [], "abilities": [], "declared": "present", "state": "ready"}
CHAT = {**ABOUT, "uid": "qwen2.5-instruct", "type": "LLM", "abilities": ["chat"], "tags": ["chat"]}
EMBEDDING = {**ABOUT, "uid": "bge-m3", "type": "embedding", "tags": ["rag"]}
SPEECH = {**ABOUT, "uid": "whisper-large-v3", "type": "audio", "abilities": ["audio2text"]}
IMAGE = {**ABOUT, "uid": "sd-turbo", "type": "image", "abilities": ["text2image"]}


class Cluster:
    """A test Xinference that serves what the Difys' default backend has, and wants a key."""

    def __init__(self, server, key_file: Path):
        self.server, self.url = server, server.url
        self.key = server.accounts.add_key("dify", 1)["key"]
        key_file.write_text(self.key + "\n")
        self.key_file = str(key_file)
        server.serve("qwen2.5-instruct", model_engine="llama.cpp")
        server.serve("bge-m3", model_type="embedding")
        server.serve("whisper-large-v3", model_type="audio")
        server.serve("sd-turbo", model_type="image")

    def served(self, name, models=(CHAT, EMBEDDING, SPEECH, IMAGE), **more):
        """The facts that the role models sets on the cluster's host."""
        served = {"cluster": name, "url": self.url, "loopback": False, "api_key_file": self.key_file}
        return {"xinference_served": {**served, "models": list(models), **more}}

    @property
    def backend(self):
        return Backend({self.url: Upstream(default_models(), key=self.key)})


def target(server, **more):
    named = {"name": "office", "url": server.url, "email": EMAIL, "password": PASSWORD, "allow_loopback": True}
    return {**named, **more}


class Run:
    """How the steps ended: what they returned by host, what was said, and why the last one failed."""

    def __init__(self):
        self.results, self.said, self.error, self.executed = {}, [], "", 0

    @property
    def out(self):
        return "\n".join([*self.said, self.error])

    @property
    def result(self):
        """Of the last step."""
        return self.results["last"]

    def rows(self, *keys):
        return [tuple(row[key] for key in keys) for row in self.result["rows"]]


class Site:
    """Hosts of an inventory beside which files are written."""

    def __init__(self, folder: Path, run_module):
        self.folder, self.run_module = folder, run_module

    def __call__(
        self, hosts, *, check=False, task="register", others=None, groups=None, limited=False, **variables
    ) -> Run:
        """Runs the steps of one of the role's files of tasks.

        :param hosts: of the play, with the variables of each.  :param others: of the inventory only.
        """
        run = Run()
        everyone = {name: {**variables, **given} for name, given in {**hosts, **(others or {})}.items()}
        try:
            for host in hosts if task != "register" else ():
                self._step(run, _FIRST[task], everyone, host, check, hosts, groups, limited)
            if task == "register":
                first = next(iter(hosts))
                self._step(run, register.check, everyone, first, check, hosts, groups, limited)
                for host in hosts:
                    self._step(run, register.cluster, everyone, host, check, hosts, groups, limited)
            if task != "register" or variables.get("dify_targets"):
                run.results["last"] = self._step(
                    run, _LAST[task], everyone, next(iter(hosts)), check, hosts, groups, limited
                )
        except ModelopsError as exc:
            run.error = _secrets.redacted(str(exc))
        return run

    def _step(self, run, step, everyone, host, check, hosts, groups, limited):
        def execute(module_name, module_args, task_vars):
            run.executed += 1
            known = set(_secrets._known)  # the module's own process forgets them
            result = self.run_module(module_name.rpartition(".")[2], {"daemon_timeout": 0, **module_args}, check=check)
            _secrets._known.update(known)
            run.said += map(str, result.get("warnings") or ())
            return result

        def low_level(command, **options):
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
            return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

        action = types.SimpleNamespace(
            _task=types.SimpleNamespace(check_mode=check),
            _templar=types.SimpleNamespace(template=lambda value: value),
            _execute_module=execute,
            _connection=types.SimpleNamespace(_play_context=types.SimpleNamespace(no_log=False)),
            _low_level_execute_command=low_level,
        )
        about = {
            "inventory_hostname": host,
            "ansible_play_hosts_all": list(hosts),
            "ansible_play_batch": list(hosts),
            "groups": {"all": list(everyone), **(groups or {})},
            "hostvars": everyone,
            "dify_run_on": "localhost",
            "dify_workspace_file": str(self.folder / "dify-workspaces.txt"),
            "dify_connection_sheet": str(self.folder / f"sheet-{host}.txt"),
            "dify_capture_dest": str(self.folder / "dify_targets-captured.txt"),
            "dify_capture_url": "",
            "dify_capture_uids": [model["uid"] for model in everyone[host].get("xinference_models", [])],
            **({"ansible_limit": host} if limited else {}),
        }
        _secrets.forget()
        task = Task(action, {**about, **everyone[host]})
        task.say = lambda *lines: run.said.extend(_secrets.redacted(line) for line in lines)
        result = _secrets.cleaned(step(task))
        name = {register.cluster: "dify_cluster_result", capture.declared: "__dify_declared"}.get(step)
        if name:
            everyone[host][name] = result
            run.results[host] = result
        return result


_FIRST = {"capture": capture.declared, "rotate": rotate.new_key}
_LAST = {"register": register.register, "capture": capture.capture, "rotate": rotate.rotate}
