# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the role accelerator as executions of modules, whose options follow from the host's plan. Pure. Private to the collection.

The plan comes from the host: it chooses no module, and no file of the controller.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import DEBIAN
from ansible_collections.modelops.inference.plugins.plugin_utils._site.calls import Call, Run

Row = t.Mapping[str, t.Any]
#: Results of tasks that steps read, by the names under which the role registers them.
RELEASED, LOADED, UNNEEDED = "_accelerator_released", "_accelerator_loaded", "_accelerator_unneeded"
REGISTERED = (RELEASED, LOADED, UNNEEDED)
# Seconds that apt and dnf wait for another run of theirs.
_LOCK = {"lock_timeout": 300}


@dataclass(frozen=True)
class HostSteps:
    """
    :param role: data of the steps, see RETURN of the module accelerator_info.
    :param installers: Huawei's installers on the controller, as the inventory names them, by their parts.
    """

    role: Row
    installers: t.Mapping[str, str] = field(default_factory=dict)
    run: Run = Run()

    def data(self, name: str) -> Row:
        return t.cast(Row, self.role["steps"][name])

    @property
    def removal(self) -> Row:
        return t.cast(Row, self.role.get("removal", {}))

    def record(self, **entries: t.Any) -> Call:
        return Call("accelerator_record", entries)


def calls(step: str, host: HostSteps) -> list[Call]:
    """The executions of a step, in their order."""
    return list(STEPS[step](host))


def failure(step: str, host: HostSteps, result: Row) -> str:
    """The message of a step that failed; empty for that of its module."""
    if "installer" in result:
        said = [*result.get("stdout_lines", []), *result.get("stderr_lines", [])][-3:]
        return f"{result['installer']}, {result.get('rc')}): {' '.join(said)}. Its log is in /var/log/ascend_seclog."
    if step in ("release", "index", "packages") and "packages" in host.role["steps"]:
        data = host.data("packages")
        return f"{data['failed']}: {str(result.get('msg', '')).strip(' .')}. {data['advice']}"
    return ""


def _file(name: str) -> t.Callable[[HostSteps], t.Iterator[Call]]:
    def step(host: HostSteps) -> t.Iterator[Call]:
        file = host.data(name)
        if file["directory"]:
            yield Call("ansible.builtin.file", {"path": file["directory"], "state": "directory", "mode": "0755"})
        if file["content"]:
            yield Call("ansible.builtin.copy", {"content": file["content"], "dest": file["path"], "mode": "0644"})
        else:
            yield Call("ansible.builtin.file", {"path": file["path"], "state": "absent"})
        if file["record"]:
            yield host.record()
        yield from _commands(file["commands"], host.run)

    return step


def _commands(commands: t.Iterable[Row], run: Run) -> t.Iterator[Call]:
    """Commands that apply files, each where its program or file is there."""
    if not run.check_mode:
        yield from (Call("ansible.builtin.command", {"argv": c["argv"], "removes": c["needs"]}) for c in commands)


def _release(host: HostSteps) -> t.Iterator[Call]:
    """Releases the role's own holds, which would keep back another version."""
    installs = "packages" in host.role["steps"]
    data = host.data("packages") if installs else host.removal
    if data["family"] == DEBIAN:
        yield from _selections(data["release"], "install")
    elif data["release"]:
        # The backup is for ``restore``.
        yield Call("ansible.builtin.blockinfile", {**_locks(host), "state": "absent", "backup": installs})


def _selections(names: t.Iterable[str], selection: str) -> t.Iterator[Call]:
    yield from (Call("ansible.builtin.dpkg_selections", {"name": name, "selection": selection}) for name in names)


def _locks(host: HostSteps) -> dict[str, t.Any]:
    """The role's block in the file of dnf's plugin that locks versions."""
    marker = "# {mark} modelops accelerator"
    return {"path": host.role["version_lock"], "marker": marker, "create": True, "mode": "0644"}


def _restore(host: HostSteps) -> t.Iterator[Call]:
    """Restores the holds that ``release`` released, after a failed installation."""
    data, backup = host.data("packages"), host.run.result(RELEASED).get("backup_file")
    if data["family"] == DEBIAN:
        yield from _selections(data["release"], "hold")
    elif backup:
        copied = {"src": backup, "dest": host.role["version_lock"], "remote_src": True, "mode": "0644"}
        yield Call("ansible.builtin.copy", copied)


def _remove_backup(host: HostSteps) -> t.Iterator[Call]:
    backup = host.run.result(RELEASED).get("backup_file")
    if backup:
        yield Call("ansible.builtin.file", {"path": backup, "state": "absent"})


def _index(host: HostSteps) -> t.Iterator[Call]:
    """Updates the index; only a run that installs something needs it. It also brings python3-apt, which is not the role's to remove."""
    if host.data("packages")["family"] == DEBIAN:
        yield Call("ansible.builtin.apt", {"update_cache": True, **_LOCK})


def _packages(host: HostSteps) -> t.Iterator[Call]:
    data = host.data("packages")
    options = {name: data[name] for name in ("state", "allow_downgrade")} | {"name": data["names"], **_LOCK}
    # A branch is a module stream of dnf; another one must be reset first.
    yield from (Call("ansible.builtin.command", {"argv": argv}) for argv in data["streams"])
    if data["family"] == DEBIAN:
        yield Call("ansible.builtin.apt", {**options, "install_recommends": False})
    else:
        yield Call("ansible.builtin.dnf", {**options, "install_weak_deps": False})


def _driver(host: HostSteps) -> t.Iterator[Call]:
    """Makes the kernel run the installed driver. What failed of it, the next reading judges."""
    data = host.data("driver")
    yield from (Call("ansible.builtin.group", {"name": name, "system": True}) for name in data["groups"])
    yield from (_service(name, "stopped") for name in data["stop"])
    for command in data["commands"]:
        yield Call("ansible.builtin.command", {"argv": command["argv"]}, told={"command": command}, may_fail=True)
    yield from (_service(name, "started", may_fail=True) for name in data["start"])


def _service(name: str, state: str, may_fail: bool = False) -> Call:
    return Call("ansible.builtin.systemd_service", {"name": name, "state": state}, may_fail=may_fail)


def _services(host: HostSteps) -> t.Iterator[Call]:
    """Enables the driver's services. Without its kernel module they would fail to start."""
    data = host.data("driver")
    failed = [
        each for each in host.run.result(LOADED).get("commands", []) if each.get("rc") and each["command"]["failure"]
    ]
    for service in data["enable"]:
        state = {} if data["after_restart"] or failed else {"state": service["state"]}
        options = {"name": service["name"], "enabled": True, "daemon_reload": True, **state}
        yield Call("ansible.builtin.systemd_service", options)


def _installers(host: HostSteps) -> t.Iterator[Call]:
    """Runs Huawei's installers, which install and remove. Each is recorded before the next, which may fail."""
    rows = host.removal["installers"] if host.removal else host.data("ascend")["installers"]
    for row in rows:
        src = host.installers.get(row["part"], "")
        yield Call("ansible.builtin.copy", {"src": src, "dest": row["place"], "mode": "0700"})
        yield Call("ansible.builtin.command", {"argv": row["argv"]}, told={"installer": row["failed"]})
        yield Call("ansible.builtin.file", {"path": row["place"], "state": "absent"}, always=True)
        yield host.record(parts=row["then"])


def _hold(host: HostSteps) -> t.Iterator[Call]:
    data = host.role["hold"]
    if data["family"] == DEBIAN:
        yield from _selections(data["names"], "hold")
    else:
        yield Call("ansible.builtin.blockinfile", {**_locks(host), "block": data["locks"]})
    yield host.record(held=data["held"])


def _remove_users(host: HostSteps) -> t.Iterator[Call]:
    yield from (Call("ansible.builtin.user", {"name": name, "state": "absent"}) for name in host.removal["users"])


def _remove_packages(host: HostSteps) -> t.Iterator[Call]:
    """Removes the packages that the role requested; of dnf's also those that came with them."""
    data = host.removal
    if data["family"] == DEBIAN:
        yield _purge(data["requested"])
        return
    yield Call("ansible.builtin.dnf", {"name": data["packages"], "state": "absent", "autoremove": False})
    if data["stream"]:
        yield Call("ansible.builtin.command", {"argv": ["dnf", "-y", "module", "reset", "nvidia-driver"]})


def _remove_unneeded(host: HostSteps) -> t.Iterator[Call]:
    """Removes the packages that came with those, and that nothing else needs today."""
    lines = host.run.result(UNNEEDED).get("stdout_lines", [])
    unneeded = [found.group(1) for found in (re.match(r"Remv (\S+)", line) for line in lines) if found]
    names = [name for name in unneeded if name in host.removal["packages"]]
    if names:
        yield _purge(names)


def _purge(names: t.Sequence[str]) -> Call:
    return Call("ansible.builtin.apt", {"name": list(names), "state": "absent", "purge": True, **_LOCK})


def _remove_files(host: HostSteps) -> t.Iterator[Call]:
    for path in host.removal["files"]:
        yield Call("ansible.builtin.file", {"path": path, "state": "absent"})
    yield from _commands(host.removal["initramfs"], host.run)


def _start_services(host: HostSteps) -> t.Iterator[Call]:
    """SSH answers before they run. A start waits for one in progress; the proof tells of one that fails."""
    yield from (_service(name, "started", may_fail=True) for name in host.role["restart"]["awaited"])


STEPS: dict[str, t.Callable[[HostSteps], t.Iterator[Call]]] = {
    **{name: _file(name) for name in ("pin", "nouveau", "persistence", "settings")},
    "release": _release,
    "index": _index,
    "packages": _packages,
    "restore": _restore,
    "remove_backup": _remove_backup,
    "driver": _driver,
    "services": _services,
    "installers": _installers,
    "hold": _hold,
    "remove_users": _remove_users,
    "remove_packages": _remove_packages,
    "remove_unneeded": _remove_unneeded,
    "remove_files": _remove_files,
    "start_services": _start_services,
}
