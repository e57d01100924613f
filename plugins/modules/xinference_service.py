#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_service
short_description: Manage a service under systemd or supervisord
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Installs the file that describes the service, after it has validated the file, and starts, restarts or stops the service. The behavior
    is the same under both managers.
  - After a start, the module waits until the port answers. If the process ends instead, the module fails and returns the end of the log.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._index
options:
  name:
    description: Name of the service.
    type: str
    required: true
  manager:
    description: Service manager. V(auto) selects systemd if it is PID 1, otherwise supervisord.
    type: str
    choices: [auto, systemd, supervisord]
    default: auto
  unit:
    description: Text of the systemd unit or of the supervisord program. Required unless the service is stopped or removed.
    type: str
  timer:
    description:
      - Text of a systemd timer with the same name, for a service that ends by itself and that the timer starts. In that case, the module
        starts, restarts and enables the timer.
    type: str
  files:
    description:
      - Files that the service reads, such as its environment file. The module replaces them before the service starts and never shows their
        content.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path of the file.
        type: path
        required: true
      content:
        description: Text of the key.
        type: str
        required: true
      mode:
        description: Mode of the file, in octal digits.
        type: str
        default: "0600"
      owner:
        description: User that owns the file. The default is the user that runs the module.
        type: str
  config:
    description:
      - Digest of the configuration with which the process must run. The module restarts a running process if its environment variable
        C(MODELOPS_CONFIG) has another value.
    type: str
    default: ""
  state:
    description: State of the service. V(disabled) stops the service and disables its automatic start.
    type: str
    choices: [started, restarted, stopped, disabled, absent]
    default: started
  leaves:
    description:
      - Whether a worker of a cluster deregisters from its supervisor before it is stopped or restarted. Otherwise the supervisor routes
        requests to the worker until it detects the loss.
    type: bool
    default: false
  host:
    description: Address on which the service listens.
    type: str
    default: 127.0.0.1
  port:
    description: Port that must answer after a start. V(0) disables the check.
    type: int
    default: 0
  listens:
    description:
      - Port that the service opens, if it differs from O(port) or opens later. The module does not start a service whose port another
        program uses.
    type: int
    default: 0
  timeout:
    description: Time in seconds to wait for the port.
    type: int
    default: 300
  base:
    description: Directory of the installation. Its subdirectory C(supervisor) contains supervisord in a separate environment.
    type: path
    required: true
  supervisor:
    description: Requirement for supervisord. Required to install a service under supervisord.
    type: str
  uv:
    description: Requirement for the installer of supervisord. Required to install a service under supervisord.
    type: str
  cache:
    description: Cache directory of that installer. The default is C(cache/uv) below O(base).
    type: path
"""

EXAMPLES = r"""
- name: Run the server with this configuration
  modelops.inference.xinference_service:
    name: xinference
    base: /opt/xinference
    unit: "{{ lookup('ansible.builtin.template', 'xinference.service.j2') }}"
    config: "{{ my_config_digest }}"
    port: 9997
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["~ install service xinference (unit 9c1185a5c5e9 -> 51bb3cf3a4a8)", "~ restart xinference (configuration changed)"]
service:
  description: Manager, scope, file and state of the service.
  returned: success
  type: dict
  sample: {manager: systemd, scope: system, path: /etc/systemd/system/xinference.service, active: running, enabled: true, pid: 4711}
seconds:
  description: Time in seconds from the start until the port answered.
  returned: when it was started
  type: float
  sample: 21.4
"""

import contextlib
import os
import pwd
import socket
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._directory import make_directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import environments, uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import INDEX_OPTIONS
from ansible_collections.modelops.inference.plugins.module_utils._host.service import (
    service,
    service_manager,
    supervisord_service,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.system import probe
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import (
    CommandFailed,
    read_file,
    write_file,
)
from ansible_collections.modelops.inference.plugins.module_utils._plan import Change, Field, Plan

# Seconds for which the process of before may still have the port.
_LETS_GO = 5.0


def make_plan(
    name: str,
    wanted: t.Mapping[str, t.Any],
    state: service_manager.ServiceState,
    unit: str | None,
    files: t.Mapping[str, str | None],
    running_config: str,
    timer: str | None = None,
    there: t.Mapping[str, t.Mapping[str, str]] | None = None,
) -> Plan:
    """The actions for a service. Pure.

    :param wanted: the module's options.  :param unit: its file as installed, or None.  :param timer: the timer's.
    :param files: text of each of the wanted files as it is, or None.
    :param there: mode and owner of those that are there.
    :param running_config: MODELOPS_CONFIG of the running process.
    """
    plan = Plan("service")
    up = state.active in ("running", "starting")
    if wanted["state"] == "absent":
        _plan_removal(plan, name, unit is not None or state.installed, files)
        return plan
    if wanted["state"] in ("stopped", "disabled"):
        if up:
            plan.add("change", "stop", name, why="running")
        if wanted["state"] == "disabled" and state.enabled:
            plan.add("change", "disable", name)
        return plan
    _plan_files(plan, name, wanted, unit, files, timer, there)
    if not state.enabled:
        plan.add("change", "enable", name)
    if not up:
        plan.add("change", "start", name, why=state.active)
    elif wanted["state"] == "restarted":
        plan.add("change", "restart", name, why="asked for")
    elif wanted["config"] and running_config != wanted["config"]:
        plan.add("change", "restart", name, why="it runs with another configuration")
    return plan


def _plan_removal(plan: Plan, name: str, installed: bool, files: t.Mapping[str, str | None]) -> None:
    if installed:
        plan.add("remove", "remove service", name)
    for path, text in files.items():
        if text is not None:
            plan.add("remove", "remove file", path)


def _plan_files(
    plan: Plan,
    name: str,
    wanted: t.Mapping[str, t.Any],
    unit: str | None,
    files: t.Mapping[str, str | None],
    timer: str | None,
    there: t.Mapping[str, t.Mapping[str, str]] | None,
) -> None:
    """Adds the files to write, then the unit that reads them."""
    for file in wanted["files"]:
        before = files[file["path"]]
        fields = [Field("content", before, file["content"], secret=True)] if before != file["content"] else []
        if before is not None:
            fields += [
                Field(key, is_, file[key])
                for key, is_ in (there or {}).get(file["path"], {}).items()
                if file[key] not in (None, is_)
            ]
        if fields:
            plan.add("add" if before is None else "change", "write file", file["path"], fields, data=file)
    if unit is None:
        plan.add("add", "install service", name)
    else:
        texts = {"unit": (unit, wanted["unit"]), "timer": (timer, wanted["timer"])}
        changed = [
            Field(key, _digest(before), _digest(after)) for key, (before, after) in texts.items() if before != after
        ]
        if changed:
            plan.add("change", "install service", name, changed)


def _digest(text: str | None) -> str | None:
    return None if text is None else environments.short_hash(text)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    manager = service.manager(p["manager"], p["name"], os.path.join(p["base"], "supervisor"))
    needed = ["unit", *(["supervisor", "uv"] if manager.kind == "supervisord" else [])]
    missing = [option for option in needed if not p[option]]
    if missing and p["state"] in ("started", "restarted"):
        raise ModelopsError(f"service {p['name']}: state {p['state']} needs {', '.join(missing)} under {manager.kind}")
    state = manager.state()
    unit = read_file(manager.path)
    if manager.refusal():
        raise ModelopsError(manager.refusal())
    config = probe.environment_of(state.pid, "MODELOPS_CONFIG") if state.pid else ""
    files = {file["path"]: read_file(file["path"]) for file in p["files"]}
    # supervisord knows no timers.
    timer = read_file(manager.timer_path) if manager.timer_path else p["timer"]
    there = {path: _owned(about) for path, about in probe.files(files).items()}
    plan = make_plan(p["name"], p, state, unit, files, config, timer, there)
    result = plan.result()
    if unit is not None and p["unit"] and unit != p["unit"]:
        result["diff"] = [result["diff"], {"before": unit, "after": p["unit"], "before_header": manager.path}]
    starts = bool(plan.changes) and plan.changes[-1].verb in ("start", "restart")
    if not module.check_mode:
        started = time.monotonic()
        if starts and (p["listens"] or p["port"]):
            taken = _taken(manager, p["host"], p["listens"] or p["port"])
            if taken:
                raise ModelopsError(f"service {p['name']} was not started, and nothing was changed: {taken}")
        manager.mark()
        for change in plan:
            try:
                _apply(module, manager, change)
            except CommandFailed as exc:
                if change.verb not in ("start", "restart"):
                    raise
                raise ModelopsError(f"{exc}\n{_log(manager)}") from exc
        if starts and p["port"]:
            _wait(manager, p["host"], p["port"], p["timeout"])
            result["seconds"] = round(time.monotonic() - started, 1)
    for warning in manager.warnings:
        module.warn(warning)
    state = manager.state()
    result["service"] = dict(
        manager=manager.kind,
        scope=manager.scope,
        path=manager.path,
        active=state.active,
        enabled=state.enabled,
        pid=state.pid,
    )
    return result


def _owned(about: t.Mapping[str, t.Any]) -> dict[str, str]:
    try:
        owner = pwd.getpwuid(about["uid"]).pw_name
    except KeyError:
        owner = str(about["uid"])
    return {"mode": about["mode"], "owner": owner}


def _apply(module: AnsibleModule, manager: service_manager.ServiceManager, change: Change) -> None:
    p = module.params
    verb = change.verb
    if verb in ("stop", "restart") and p["leaves"] and manager.state().pid:
        supervisord_service.leave(manager.state().pid)
    if verb == "write file":
        make_directory(os.path.dirname(change.name))
        owner = pwd.getpwnam(change.data["owner"]) if change.data["owner"] else None
        ids = (owner.pw_uid, owner.pw_gid) if owner else None
        write_file(change.name, change.data["content"], int(change.data["mode"], 8), ids)
    elif verb == "remove file":
        os.unlink(change.name)
    elif verb == "install service":
        if isinstance(manager, supervisord_service.Supervisord):
            tools = uv_tools.Tools(p["base"], p["uv"], p["cache"] or os.path.join(p["base"], "cache", "uv"))
            manager.make(tools, p["index"], p["supervisor"])
        manager.install(p["unit"], p["timer"])
    elif verb == "enable":
        manager.enable()
    elif verb == "start":
        manager.start()
    elif verb == "restart":
        manager.restart()
    elif verb == "stop":
        manager.stop()
    elif verb == "disable":
        manager.disable()
    else:
        manager.remove()


def _wait(manager: service_manager.ServiceManager, host: str, port: int, timeout: int) -> None:
    """Until the port answers; a service that dies on the way, or whose port is another program's, fails at once."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    deadline = time.monotonic() + timeout
    first = manager.state().restarts
    # supervisord restarts a process that exited within a second; systemd tells a restart that is due from a failure.
    grace = 3 if manager.kind == "supervisord" else 0
    down, downs = 0.0, 0
    while True:
        taken = _taken(manager, host, port)
        if taken:
            # It would be started again and again.
            with contextlib.suppress(ModelopsError):
                manager.stop()
            raise ModelopsError(f"service {manager.name} was stopped: {taken}. {_log(manager)}")
        try:
            with socket.create_connection((here, port), timeout=2):
                return
        except OSError:
            pass
        state = manager.state()
        if state.active not in ("failed", "stopped"):
            down = 0.0
        elif not down:
            down, downs = time.monotonic(), downs + 1
        if (down and time.monotonic() - down >= grace) or max(downs, state.restarts - first) > 1:
            raise ModelopsError(f"service {manager.name} does not stay up ({state.active}). {_log(manager)}")
        if time.monotonic() > deadline:
            raise ModelopsError(
                f"service {manager.name} runs, but {here}:{port} did not answer within {timeout} s. {_log(manager)}"
            )
        time.sleep(0.5)


def _taken(manager: service_manager.ServiceManager, host: str, port: int) -> str:
    """The other process on the port; "" for none or an invisible one."""
    end = time.monotonic() + _LETS_GO
    while True:
        found = probe.port(host, port, manager.state().pid)
        if found["ours"] or not found["pid"]:
            return ""
        if time.monotonic() > end:
            return (
                f"port {port} of {host} is in use by {found['by']}. Stop it, or choose another port (xinference_port, or for a worker "
                "xinference_worker_port)"
            )
        time.sleep(0.5)


def _log(manager: service_manager.ServiceManager) -> str:
    return f"Last lines of its log ({manager.commands()['log']}):\n{log.redacted(manager.log_tail())}"


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            name=dict(type="str", required=True),
            manager=dict(type="str", choices=["auto", "systemd", "supervisord"], default="auto"),
            unit=dict(type="str"),
            timer=dict(type="str"),
            files=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(
                    path=dict(type="path", required=True),
                    content=dict(type="str", required=True, no_log=True),
                    mode=dict(type="str", default="0600"),
                    owner=dict(type="str"),
                ),
            ),
            config=dict(type="str", default=""),
            state=dict(
                type="str", choices=["started", "restarted", "stopped", "disabled", "absent"], default="started"
            ),
            leaves=dict(type="bool", default=False),
            host=dict(type="str", default="127.0.0.1"),
            port=dict(type="int", default=0),
            listens=dict(type="int", default=0),
            timeout=dict(type="int", default=300),
            base=dict(type="path", required=True),
            supervisor=dict(type="str"),
            uv=dict(type="str"),
            cache=dict(type="path"),
            index=INDEX_OPTIONS,
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
