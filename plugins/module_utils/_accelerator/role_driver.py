# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps that load an installed driver into the kernel and start its services. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import plan_amd, products, role_files
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import ABSENT, Case

#: Huawei's driver belongs to this user and group, which its installer wants to find.
HUAWEIS_USER = "HwHiAiUser"
_UNLOADED = "the previous kernel module could not be unloaded"
_LOADED = "the kernel module could not be loaded"
_BUILD = "build"


def step(case: Case) -> dict[str, t.Any]:
    """The data of the steps ``driver`` and ``services``; empty where there is nothing to do."""
    if not case.steps or case.options.check_mode:
        return {}
    if case.vendor == products.NVIDIA:
        return _nvidia(case)
    if case.vendor == products.AMD:
        commands = [] if case.facts["amd"]["loaded"] else [_command("modprobe amdgpu", "amdgpu could not be loaded")]
        return _driver(case, commands, groups=list(plan_amd.GROUPS))
    return {}


def ascend_step(case: Case) -> dict[str, t.Any]:
    """The data of tasks/ascend.yml; empty where nothing of Huawei's is installed."""
    if not parts(case) or case.options.check_mode:
        return {}
    return {"user": HUAWEIS_USER, "installers": installers(case)}


def _driver(case: Case, commands: t.Sequence[t.Mapping[str, t.Any]], **more: t.Any) -> dict[str, t.Any]:
    empty: dict[str, t.Any] = {"groups": [], "stop": [], "start": [], "enable": []}
    found = {**empty, "commands": list(commands) if case.options.kernel else [], **more}
    # Before the restart services would only fail; after it they start by themselves.
    after_restart = not case.options.kernel or case.plan["reboot"] != []
    return {"after_restart": after_restart, **found} if any(found.values()) else {}


def _command(words: str, failure: str = "", name: str = "") -> dict[str, t.Any]:
    """:param failure: what a failure means for the next start; "" for nothing."""
    return {"argv": words.split(), "failure": failure, "name": name}


def _nvidia(case: Case) -> dict[str, t.Any]:
    runs = case.options.kernel
    changes = runs and case.has_step("driver", "load", "reload")
    # Where programs use a card, the module of before stays until the next restart.
    unloads = changes and case.facts["nvidia"]["loaded"] != "" and not case.card_users
    commands = []
    if unloads:
        commands.append(_command("modprobe --remove nvidia_uvm nvidia_drm nvidia_modeset nvidia", _UNLOADED))
    if changes and case.has_step("driver") and case.wanted.modules_from == "dkms":
        # Packages that were there already build nothing when they are installed once more.
        commands.append(_command(f"dkms autoinstall --kernelver {case.system['kernel']}", name=_BUILD))
    if changes and not case.system["nouveau"]["loaded"]:
        commands.append(_command("modprobe --all nvidia nvidia_uvm", _LOADED))
    services = case.driver_services
    enabled = []
    if case.has_step("persistence"):
        # Where it runs already, it runs without persistence.
        enabled.append({"name": "nvidia-persistenced", "state": "restarted"})
    if case.has_step("fabric_manager"):
        enabled.append({"name": "nvidia-fabricmanager", "state": "started"})
    return _driver(
        case,
        commands,
        stop=services[::-1] if unloads else [],
        # A daemon of another version than the module does not start: it waits for the restart, too.
        start=services if changes else [],
        enable=enabled,
    )


def not_loaded(case: Case) -> list[str]:
    """Why the next start of the host is needed, of the commands that failed.

    What else has a module open (another module, the console, a container's monitor) is not the role's to end.
    """
    failed = [each for each in case.options.commands if each.get("rc") and each["command"]["failure"]]
    return [f"{each['command']['failure']}: {_said(each.get('stderr_lines', []))}" for each in failed]


def not_built(case: Case) -> str:
    """Why a restart would not help: the module could neither be built nor loaded. "" where it could."""
    failed = [each for each in case.options.commands if each.get("rc")]
    builds = [each for each in failed if each["command"]["name"] == _BUILD]
    if not builds or not any(each["command"]["failure"] == _LOADED for each in failed):
        return ""
    said = _said([*builds[0].get("stderr_lines", []), *builds[0].get("stdout_lines", [])])
    return f"the kernel module could not be built for {case.system['kernel']}: {said}. See make.log in /var/lib/dkms/nvidia"


def _said(lines: t.Sequence[str]) -> str:
    return lines[-1] if lines else "unknown"


def parts(case: Case) -> list[str]:
    """Huawei's parts to install, in the order of their dependencies."""
    return [part for part in role_files.PARTS if case.vendor == products.ASCEND and case.has_step(part)]


def installers(case: Case) -> list[dict[str, t.Any]]:
    """Huawei's installers in the order of their execution; of a removal the last part first.

    ``then`` is what is there once it has run: the next may fail.
    """
    removes = case.options.state == ABSENT
    there = [part for part in role_files.PARTS if part in case.recorded("parts")]
    found = []
    for part in there[::-1] if removes else parts(case):
        there = [p for p in role_files.PARTS if (p in there or p == part) and not (removes and p == part)]
        place = f"/var/tmp/modelops-ascend-{part}.run"
        how = ["--uninstall"] if removes else ["--install" if part == "cann" else "--full"]
        how += ["--quiet"] if removes else ["--quiet", "--install-for-all"]
        about = f"{case.options.host}: Huawei's installer of {part} failed ({how[0]}"
        row = {
            "part": part,
            "place": place,
            "argv": [place, *how],
            "then": there,
            "failed": about,
        }
        found.append(row)
    return found
