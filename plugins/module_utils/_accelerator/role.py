# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps of the role accelerator for a plan, as data for its tasks, decided from facts alone. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    products,
    role_driver,
    role_files,
    role_packages,
    role_removal,
    role_repositories,
    role_restart,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import NONE
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import CHANGED, Case


def role(case: Case, host: HostAccess) -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info, key ``role``.

    :param host: is asked whether Xinference runs, before a restart.
    """
    refused, planned = refusal(case), planned_changes(case)
    restart = role_restart.restart(case, planned, role_restart.running_servers(host, case))
    found = {
        "tasks": tasks(case, refused, planned),
        "refused": refused,
        "failed": failure(case),
        "text": text(case, planned),
        "would": planned if case.options.check_mode else [],
        "steps": {},
        "hold": {},
        "record": {
            "path": record_path(case, host),
            "planned": role_files.record(case),
            "list": role_packages.LIST.get(case.family, []),
        },
        "version_lock": case.etc(role_files.VERSION_LOCK),
        "carried": role_restart.carried(case),
        "restart": restart,
        "proof": {**proof(case), "due": proof_is_due(case, restart), "record": record_path(case, host)},
    }
    if not case.options.is_present:
        return {**found, "removal": role_removal.removal(case)}
    # Held packages are known once they are installed: a reading after that returns them, too.
    holds = (case.has_step("hold") or case.options.after) and not case.options.check_mode
    return {
        **found,
        "steps": steps(case),
        "hold": role_packages.hold(case) if holds else {},
    }


def tasks(case: Case, refused: str, planned: t.Sequence[str]) -> list[str]:
    """Files of tasks in the order of their execution; empty where there is nothing to do and nothing to say."""
    if refused:
        return ["refuse"]
    options = case.options
    if not options.is_present:
        found = ["plan"] if planned else []
        found += ["absent"] if case.record else []
    else:
        said = options.check_mode and planned or case.plan["steps"] or case.plan["warnings"]
        found = ["plan"] if said else []
        found += ["present"] if planned else []
    # A change may bring a reason of its own.
    changes = "present" in found or "absent" in found
    return found + (["restart"] if changes or role_restart.reasons(case) else [])


def steps(case: Case) -> dict[str, dict[str, t.Any]]:
    """Steps of tasks/present.yml by name, in the order of their execution, each with the data of its tasks."""
    found = {
        "repositories": role_repositories.step(case),
        "pin": role_files.pin_step(case),
        "packages": role_packages.step(case),
        "nouveau": role_files.nouveau_step(case),
        "persistence": role_files.persistence_step(case),
        "driver": role_driver.step(case),
        "ascend": role_driver.ascend_step(case),
        "settings": role_files.settings_step(case),
    }
    return {name: step for name, step in found.items() if step}


def record_path(case: Case, host: HostAccess) -> str:
    """The file of the record; empty where there is none for this user."""
    path = case.facts["record_path"]
    return f"{host.root}{path}" if path else ""


def planned_changes(case: Case) -> list[str]:
    """The changes, a line each."""
    if not case.options.is_present:
        return role_removal.planned_changes(case)
    said = ["set huge pages and governor as declared"] if role_files.settings_differ(case) else []
    return [step["text"] for step in case.plan["steps"]] + said


def text(case: Case, planned: t.Sequence[str]) -> str:
    """The plan for a person."""
    options = case.options
    first = options.host + (" would be changed" if options.check_mode and planned else "")
    lines = case.plan["lines"] if options.is_present else planned
    said = [first, *(f"  {line}" for line in lines)]
    if options.is_present and role_files.settings_differ(case):
        said.append("  step: set huge pages and governor as declared")
    return "\n".join(said)


def refusal(case: Case) -> str:
    """Why the host is left as it is; "" where it is not."""
    if not case.options.is_present:
        why = role_removal.refusal(case)
        return f"{case.options.host}: {why}" if why else ""
    found = refusals(case)
    return f"{case.options.host}: {'; '.join(found)}. Nothing was changed." if found else ""


def refusals(case: Case) -> list[str]:
    """Refusals of the plan in terms of the role's options, and refusals of the role's further variables."""
    options, system = case.options, case.system
    names = re.compile(r"\b(cuda|kernel_modules|manage|source): ")
    found = [names.sub(r"accelerator_\1: ", each["text"]) for each in case.plan["refusals"]]
    if case.settings_declared and system["container"]:
        found.append("a container has the huge pages and the governor of its host. Declare them there")
    if options.governor and not case.facts["cpu"]["governor"] and options.kernel:
        found.append(
            "accelerator_governor is set, but this host has no governor of its processors' frequency. Leave it empty"
        )
    # A tree of files belongs to whoever tests with it.
    if case.steps and not system["root"] and options.kernel:
        found.append("this needs root. Set become: true, or accelerator_manage: false")
    return found + _not_packaged(case)


def _not_packaged(case: Case) -> list[str]:
    """Why the driver's packages are not to be had."""
    name, found = case.system["distribution"]["name"], []
    if any(each.url == "" for each in role_repositories.repositories(case)):
        suite = next(iter(case.facts["archive"]["suites"]), "")
        found.append(
            "the driver comes from Debian's archive, and no source of this host (/etc/apt/sources.list, /etc/apt/sources.list.d) has its "
            f"suite {suite} with the component main. Add it there, or name a mirror in accelerator_repositories.debian.url"
        )
    if role_packages.package_names(case) and not case.family:
        found.append(f"{name} has no package manager that the role knows (dpkg, rpm)")
    if case.vendor != products.NVIDIA or not case.has_step("driver"):
        return found
    if not role_packages.set_name(case):
        found.append(f"the role has no packages of {name}. Install the driver by hand; a run then uses it")
    elif not role_packages.module_packages(case):
        driver = case.plan["driver"]
        found.append(
            f"{name} has no {driver['kernel_modules']} kernel modules ({case.wanted.modules_from}) in the source {driver['source']}. "
            "Change accelerator_modules_from, accelerator_kernel_modules or accelerator_source"
        )
    return found


def failure(case: Case) -> str:
    """Failure that a reading after a change finds; "" for none."""
    options = case.options
    if not options.after or options.check_mode or not options.is_present:
        return ""
    if options.after == CHANGED:
        found = role_driver.not_built(case)
        if not found and options.kernel:
            # Before a restart the driver need not answer.
            found = _not_set(case) or ("" if role_restart.reasons(case) else _does_not_answer(case))
    else:
        found = _does_not_answer(case)
    return f"{options.host}: {found}." if found else ""


def _not_set(case: Case) -> str:
    """The kernel answers 0 whatever it could do."""
    if not role_files.settings_differ(case):
        return ""
    return (
        f"the kernel reserved {role_files.huge_pages_now(case)} of {case.options.huge_pages} huge pages, and the governor is "
        f"'{case.facts['cpu']['governor']}'. Its memory is scarce or fragmented, or it lacks that governor: restart the host, "
        "which reserves them early, or declare others"
    )


def _does_not_answer(case: Case) -> str:
    tool = case.facts[case.vendor]["tool_error"] if case.vendor != NONE else ""
    still = [step["text"] for step in case.plan["steps"] if step["name"] not in ("hold", "persistence")]
    still += [each["text"] for each in case.plan["refusals"]]
    if not still and not tool:
        return ""
    todo = f" (still to be done: {'; '.join(still)})" if still else ""
    return (
        f"the driver was installed and does not answer{f': {tool}' if tool else ''}{todo}. See the kernel's log (dmesg)"
    )


def proof(case: Case) -> dict[str, t.Any]:
    """Options of the proof; ``proves`` is what it holds for: with another of these it is made again."""
    # Who takes a build for the CPU by hand computes on that.
    kind = "cpu" if case.wanted.torch == "cpu" else case.plan["torch"].get("kind", "")
    cards = [
        card
        for card in case.facts["cards"]
        if card["vendor"] == case.vendor
        and card["computes"]
        and not card["driver"].startswith("vfio")
        and card["answers"] is not False
    ]
    # A program sees one MIG instance only.
    one = kind == "cpu" or any(card["mig"]["enabled"] for card in cards)
    return {
        "kind": kind,
        "devices": 1 if one else len(cards),
        "used": any(not each["of_driver"] for each in case.facts["processes"]),
        "user": case.options.user if case.system["root"] else "",
        "groups": case.plan["groups"],
        "proves": {
            "kind": kind,
            "driver": case.facts[case.vendor]["driver"] if case.vendor != NONE else "",
            "cards": [card["address"] for card in cards],
        },
    }


def proof_is_due(case: Case, restart: t.Mapping[str, t.Any]) -> bool:
    """Whether the cards can be proven in this run."""
    return case.options.is_present and not restart["required"] and not case.options.check_mode
