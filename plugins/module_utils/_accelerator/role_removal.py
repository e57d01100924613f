# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The removal of a driver that the role installed. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import (
    role_driver,
    role_files,
    role_packages,
)
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import Case


def refusal(case: Case) -> str:
    """Why nothing is removed; "" where it can be."""
    installed = case.recorded("packages") or case.recorded("parts")
    others = [path for path in case.facts["installations"] if path != case.directory]
    if installed and others:
        return (
            "the driver cannot be removed, because the host has another installation of this collection in "
            f"{', '.join(others)}. Remove that one first (modelops.inference.remove with its inventory), or keep the driver with -e "
            f"accelerator_state=present. {'Nothing was changed.' if case.options.server_stops else 'The driver stays.'}"
        )
    files = [file["part"] for file in case.options.ascend_files]
    missing = [part for part in case.recorded("parts") if part not in files]
    if missing:
        return (
            f"only Huawei's installers remove {', '.join(missing)}. Name them in accelerator_ascend_files. "
            "Nothing was changed."
        )
    # In check mode what would be stopped before (remove.yml) still runs.
    if not installed or not case.card_users or (case.options.check_mode and not case.options.server_stops):
        return ""
    stays = (
        "Nothing was changed; with -e accelerator_state=present the driver stays."
        if case.options.server_stops
        else "The driver stays until then."
    )
    programs = ", ".join(case.card_users)
    return f"the driver cannot be removed while cards are in use by {programs}: stop them first, and run this again. {stays}"


def reasons(case: Case) -> list[str]:
    """Why the host must start again afterwards."""
    loaded = case.recorded("packages") != [] and case.facts["nvidia"]["loaded"] != ""
    return ["the kernel still runs the module that was removed"] if loaded else []


def planned_changes(case: Case) -> list[str]:
    """The removal, as a line; empty where there is nothing of the role's."""
    if not case.record:
        return []
    names = [name for key in ("parts", "users", "packages", "files") for name in case.recorded(key)]
    return [f"remove {', '.join([*names, case.facts['record_path']])}"]


def removal(case: Case) -> dict[str, t.Any]:
    """The data of tasks/absent.yml."""
    packages, acts = case.recorded("packages"), not case.options.check_mode
    files = case.recorded("files")
    return {
        "installers": role_driver.installers(case) if acts else [],
        "users": case.recorded("users"),
        "packages": packages,
        # Dependencies that nothing else needs go after these.
        "requested": [name for name in case.recorded("wanted") if name in packages],
        "family": case.family if packages and acts else "",
        "release": role_packages.own_holds(case),
        "stream": case.distribution in ("rhel8", "rhel9"),
        "files": files,
        "initramfs": role_files.initramfs(case) if case.etc(role_files.NOUVEAU) in files else [],
    }
