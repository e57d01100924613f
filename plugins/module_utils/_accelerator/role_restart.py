# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host must restart, and the message about it. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    products,
    role_driver,
    role_removal,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import (
    CHANGED,
    RESTARTED,
    Case,
    unique,
)


def carried(case: Case) -> list[str]:
    """Reasons that hold after this run, too: of NVIDIA's driver the next reading tells whether it waits; firmware does not."""
    own = case.plan["reboot"] if case.options.is_present and case.vendor != products.NVIDIA else []
    return unique([*case.options.carried, *own])


def reasons(case: Case) -> list[str]:
    """Why the host must start again; empty where it need not."""
    options = case.options
    if not options.is_present:
        return role_removal.reasons(case)
    # In check mode the driver's own reason may go with its installation, which unloads the module of before; nouveau stays.
    would_load = options.check_mode and case.vendor == products.NVIDIA and case.has_step("driver")
    planned = [] if would_load and not case.system["nouveau"]["loaded"] else case.plan["reboot"]
    commands = role_driver.not_loaded(case) if options.after == CHANGED else []
    return unique([*planned, *options.carried, *commands])


def is_controller(case: Case) -> bool:
    """Whether Ansible runs on the same kernel, whatever the connection: also from a container on the host."""
    return case.system["boot_id"] != "" and case.system["boot_id"] == case.options.controller


def may_restart(case: Case) -> bool:
    return reasons(case) != [] and case.options.reboot_ok and not is_controller(case)


def running_servers(host: HostAccess, case: Case) -> list[str]:
    """Services of Xinference that run, asked only before a restart.

    A process that serves on the CPU has no card open: where the cards wait for their driver, only its service tells of it.
    """
    if not may_restart(case):
        return []
    states = {name: host.run("systemctl", "is-active", name).text for name in case.xinference_services}
    return [name for name, said in states.items() if said.split()[-1:] in _RUNNING]


_RUNNING = (["active"], ["activating"], ["reloading"])


def without_cards(case: Case) -> bool:
    """Whether no card answers before the restart. Who computes on the CPU waits for none."""
    answers = any(card["answers"] for card in case.facts["cards"])
    on_cpu = "cpu" in (case.wanted.torch, case.plan["torch"].get("kind", ""))
    return case.options.is_present and reasons(case) != [] and not answers and not on_cpu


def next_action(case: Case, would: t.Sequence[str], served: t.Sequence[str]) -> str:
    """The next action, for who reads the end of the run.

    :param would: what check mode says would be done.
    :param served: see running_servers.
    """
    options, in_use = case.options, [*case.card_users, *served]
    verb = "would have to" if options.check_mode and would else "must"
    said = [f"{options.host} {verb} restart ({'; '.join(reasons(case))})."]
    if in_use:
        drain = "drain it first (modelops.inference.drain), then stop those that still run."
        worker = "xinference_workers" in options.groups
        said.append(f"It is in use by {', '.join(in_use)}: {drain if worker else 'stop it first.'}")
    who = (
        "Ansible runs on this host, and never restarts it: restart it by hand"
        if is_controller(case)
        else "Restart it by hand, or set accelerator_reboot_ok: true"
    )
    again = "; then run this again" if options.is_present else ""
    launches = without_cards(case) and "xinference_local" in options.groups
    return " ".join([*said, f"{who}{again}{', which launches its models' if launches else ''}."])


def restart(case: Case, would: t.Sequence[str], served: t.Sequence[str]) -> dict[str, t.Any]:
    """The data of tasks/restart.yml. One at a time, never the kernel that Ansible runs on, and never from under a program."""
    why = [] if case.options.after == RESTARTED else reasons(case)
    allowed = why != [] and may_restart(case) and not case.card_users and not served
    # Check mode does not wait for the restart that it tells of.
    required = why != [] and not (allowed and case.options.check_mode)
    awaited = [*case.driver_services]
    awaited += ["nvidia-persistenced"] if case.has_step("persistence") else []
    awaited += ["nvidia-fabricmanager"] if case.has_step("fabric_manager") else []
    return {
        "required": required,
        "reasons": why,
        "message": f"modelops.inference, role accelerator: {'; '.join(why)}",
        "left": next_action(case, would, served) if why else "",
        "waits": required and without_cards(case),
        "allowed": allowed,
        # Those that come back with the host: those that ran, and those of the steps that waited for the restart.
        "awaited": unique(awaited) if case.options.is_present else [],
    }
