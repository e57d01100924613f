# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of Ansible as forks of a process that has imported Ansible and the collection: a start takes a third of the time.

What a program reads of its environment while it is imported is the same for all forks of one server, so there is a server for each
configuration. All else is a run's own: arguments, the other variables, directories, output.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

#: How variables begin that Ansible or Python reads as it starts.
READ_AT_START = ("ANSIBLE_", "PYTHON", "HOME", "PATH", "LANG", "LC_")
PROGRAMS = {"ansible-playbook": "ansible.cli.playbook", "ansible-inventory": "ansible.cli.inventory"}
#: Those that few tests run: a fork imports them.
MORE_PROGRAMS = {"ansible": "ansible.cli.adhoc", "ansible-doc": "ansible.cli.doc", "ansible-vault": "ansible.cli.vault"}
#: Modules that nearly every run also loads: plugins of ansible-core, and the collection.
ANSIBLE = (
    "action.include_vars",
    "action.set_fact",
    "callback.default",
    "connection.local",
    "inventory.auto",
    "inventory.yaml",
)
ANSIBLE += (
    "filter.core",
    "filter.mathstuff",
    "filter.urls",
    "filter.urlsplit",
    "lookup.file",
    "shell.sh",
    "strategy.linear",
    "test.core",
)
COLLECTION = "ansible_collections.modelops.inference.plugins"
SERVERS: dict[tuple, subprocess.Popen] = {}


def run(command, *, env, cwd=None):
    """The result of ``command``, a program of Ansible and its arguments; output is text."""
    words = [str(word) for word in command]
    server = _server(env)
    with tempfile.TemporaryDirectory() as folder:
        ask = {"words": words, "env": env, "cwd": str(cwd or Path.cwd()), "folder": folder}
        server.stdin.write(json.dumps(ask) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        out, err = (Path(folder, name).read_text() for name in ("out", "err"))
    return subprocess.CompletedProcess(words, code, out, err)


def _server(env):
    key = tuple(sorted(item for item in env.items() if item[0].startswith(READ_AT_START)))
    if key not in SERVERS:
        if len(SERVERS) == 4:
            _end(SERVERS.pop(next(iter(SERVERS))))
        command = [sys.executable, "-P", __file__]
        SERVERS[key] = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(_end, SERVERS[key])
    return SERVERS[key]


def _end(server):
    server.stdin.close()
    server.wait()


def _serve():
    asked, told = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    _import()
    for line in asked:
        child = os.fork()
        if not child:
            return _play(**json.loads(line))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, file=told, flush=True)


def _import():
    for name in PROGRAMS.values():
        importlib.import_module(name)
    from ansible import constants
    from ansible.plugins import loader

    loader.init_plugin_loader()
    if "in_process" in constants.CALLBACKS_ENABLED:
        loader.callback_loader.get("in_process")
    for name in ANSIBLE:
        with contextlib.suppress(ImportError):
            importlib.import_module(f"ansible.plugins.{name}")
    for room in ("action", "filter"):
        for path in Path(importlib.import_module(f"{COLLECTION}.{room}").__path__[0]).glob("[!_]*.py"):
            importlib.import_module(f"{COLLECTION}.{room}.{path.stem}")
    gc.collect()
    gc.freeze()


def _play(words, env, cwd, folder):
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    cli = importlib.import_module("ansible.cli")
    cli.init_plugin_loader = lambda *_: None  # it warns of a second time
    # A directory of this run's own, which it removes, and not the server's.
    constants, path = sys.modules["ansible.constants"], sys.modules["ansible.utils.path"]
    constants.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(dir=Path(constants.DEFAULT_LOCAL_TMP).parent)
    atexit.unregister(path.cleanup_tmp_file)
    atexit.register(path.cleanup_tmp_file, constants.DEFAULT_LOCAL_TMP)
    sys.argv = words
    importlib.import_module({**PROGRAMS, **MORE_PROGRAMS}[Path(words[0]).name]).main(words)


if __name__ == "__main__":
    _serve()
