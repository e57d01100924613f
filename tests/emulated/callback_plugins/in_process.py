# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls a module in the worker that is about to send it to this machine, which takes 20 times as long.

Its arguments and its environment are those that would be sent, and so is what it does: modules of ansible-core work on this machine
as they would after they were sent. That a module of the collection can be sent is tested by tests/unit/host/test_reconciler.py.

Workers are forks of a process that has loaded none of the collection, so each compiles what it needs of its Python and its templates
anew. Below $PYTHONPYCACHEPREFIX that is kept.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib
import importlib.util
import io
import json
import marshal
import os
import sys
from pathlib import Path

import jinja2
from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as ansible_version
from ansible.utils.collection_loader import _collection_finder
from ansible.utils.display import Display

try:
    from ansible._internal._templating import _jinja_bits
    from ansible.module_utils import _internal
except ImportError:  # before ansible-core 2.19
    _jinja_bits = _internal = None

DOCUMENTATION = """
name: in_process
type: aggregate
short_description: Calls modules of the collection without sending them
description: Ansible loads a callback before it forks its workers, which is what this needs to be one for.
"""
COLLECTION = "modelops.inference."

KEPT = Path(os.environ.get("PYTHONPYCACHEPREFIX", "/nonexistent"), "in_process")


def kept(key, compiled):
    """The code that ``compiled`` makes, from a file where another process has made it."""
    file = KEPT / hashlib.sha256(repr((sys.version, ansible_version, jinja2.__version__, key)).encode()).hexdigest()
    try:
        return marshal.loads(file.read_bytes())
    except (OSError, EOFError, ValueError):
        code = compiled()
    with contextlib.suppress(OSError):
        KEPT.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(f".{os.getpid()}")
        new.write_bytes(marshal.dumps(code))
        new.rename(file)
    return code


def code_of(self, fullname):
    source = self.get_source(fullname)
    if source is not None and not self._compiled_code:
        key = (os.path.realpath(self.get_filename(fullname)), source)
        self._compiled_code = kept(key, lambda: get_code(self, fullname))
    return get_code(self, fullname)


get_code = _collection_finder._AnsibleCollectionPkgLoaderBase.get_code
_collection_finder._AnsibleCollectionPkgLoaderBase.get_code = code_of


def template_of(self, source, *how, **more):
    if not isinstance(source, str) or how or more:
        return compile_template(self, source, *how, **more)
    context = _jinja_bits._TemplateCompileContext.current(optional=True)
    marks = [getattr(self, name) for name in dir(self) if name.endswith(("_start_string", "_blocks", "_newline"))]
    key = (str(source), marks, context and context.escape_backslashes)
    return kept(key, lambda: compile_template(self, source))


if _jinja_bits:
    compile_template = _jinja_bits.AnsibleEnvironment.compile
    _jinja_bits.AnsibleEnvironment.compile = template_of

display = Display()
send = ActionBase._execute_module


def imported(name):
    """The module of that name, of the collection or of ansible-core; None for others, which are sent, as are those of $SENT.

    In place of those of ansible-core the files of the directory $INSTEAD are called.
    """
    if name.startswith(os.environ.get("SENT", "none of them")):
        return None
    if name.startswith(COLLECTION):
        return importlib.import_module(
            f"ansible_collections.{COLLECTION}plugins.modules.{name.removeprefix(COLLECTION)}"
        )
    if name.startswith(("ansible.builtin.", "ansible.legacy.")):
        short = name.rpartition(".")[2]
        instead = Path(os.environ.get("INSTEAD", "/nonexistent"), f"{short}.py")
        return from_file(instead) if instead.exists() else importlib.import_module(f"ansible.modules.{short}")
    return None


def from_file(path):
    spec = importlib.util.spec_from_file_location(f"instead_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def as_sent(environment):
    """A process of its own, as far as a module can tell: its environment, directory and what it does as it ends."""
    before, directory, umask = dict(os.environ), os.getcwd(), os.umask(0)
    os.umask(umask)
    os.environ.update(environment)
    atexit._clear()  # what the controller registered; a worker never runs it
    try:
        yield
    finally:
        atexit._run_exitfuncs()
        os.environ.clear()
        os.environ.update(before)
        os.chdir(directory)
        os.umask(umask)


def note(name, task, task_vars):
    """Writes a line to $MODULES_FILE: where a module is executed, for which host, and which one."""
    if "MODULES_FILE" in os.environ:
        host = (task_vars or {}).get("inventory_hostname", "")
        with open(os.environ["MODULES_FILE"], "a", encoding="utf-8") as file:
            file.write(json.dumps([task.delegate_to or host, host, name]) + "\n")


def call(self, module_name=None, module_args=None, tmp=None, task_vars=None, **options):
    name = module_name or self._task.action
    note(name, self._task, task_vars)
    module = None if options.get("wrap_async") or self._connection.transport != "local" else imported(name)
    if module is None:
        return send(self, module_name, module_args, tmp, task_vars, **options)
    given = dict(self._task.args if module_args is None else module_args)
    unknown = {key: value for key, value in options.items() if key == "ignore_unknown_opts"}
    self._update_module_args(name, given, task_vars or {}, **unknown)
    environment = {}
    self._compute_environment_string(environment)
    display.vvv(f"Using module file {module.__file__}")
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": given}, default=str).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    controller = getattr(_internal, "is_controller", None)
    with contextlib.redirect_stdout(io.StringIO()) as said, as_sent(environment):
        try:
            if controller:  # otherwise it would show warnings instead of returning them
                _internal.is_controller = False
            module.main()
        except SystemExit:
            pass
        finally:
            if controller:
                _internal.is_controller = controller
    told = json.loads(said.getvalue().splitlines()[-1])
    for stream in {"stdout", "stderr"} & {*told}:
        told.setdefault(f"{stream}_lines", told[stream].splitlines())
    return {**told, "_ansible_parsed": True}


ActionBase._execute_module = call


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "in_process"
    CALLBACK_NEEDS_ENABLED = True
