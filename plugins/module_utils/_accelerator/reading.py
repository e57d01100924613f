# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accelerators, their plan and the role's steps from one reading, as modules take and return them. Private to the collection."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import facts, plan
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import NONE, PlanOptions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.host import HostAccess
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.role_options import Case, RoleOptions

ROLE: dict[str, dict[str, t.Any]] = dict(
    host=dict(type="str", required=True),
    groups=dict(type="list", elements="str", default=[]),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    kernel=dict(type="bool", default=True),
    etc=dict(type="path", default="/etc"),
    repositories=dict(type="dict", default={}),
    packages=dict(type="dict", default={}),
    ascend_files=dict(type="list", elements="dict", default=[]),
    huge_pages=dict(type="int", default=0),
    governor=dict(type="str", default=""),
    reboot_ok=dict(type="bool", default=False),
    controller=dict(type="str", default=""),
    service=dict(type="str", default=""),
    user=dict(type="str", default=""),
    directory=dict(type="path", default="/opt/xinference"),
    server_stops=dict(type="bool", default=False),
    after=dict(type="str", choices=["", "changed", "restarted"], default=""),
    carried=dict(type="list", elements="str", default=[]),
    commands=dict(type="list", elements="dict", default=[]),
)

#: Documented in doc_fragments/_accelerator.py.
OPTIONS: dict[str, dict[str, t.Any]] = dict(
    accelerator=dict(type="str", choices=["auto", "nvidia", "amd", "ascend", "none"], default="auto"),
    branch=dict(type="str", default=""),
    kernel_modules=dict(type="str", choices=["auto", "open", "proprietary"], default="auto"),
    modules_from=dict(type="str", choices=["dkms", "precompiled"], default="dkms"),
    cuda=dict(type="int", default=0),
    torch=dict(type="str", default="auto"),
    manage=dict(type="bool", default=True),
    source=dict(type="str", choices=["auto", "distribution", "vendor"], default="auto"),
    container_is_host=dict(type="bool", default=False),
    container_toolkit=dict(type="bool", default=False),
    hold=dict(type="bool", default=True),
    ascend_files=dict(type="list", elements="str", choices=["driver", "firmware", "cann"], default=[]),
    record=dict(type="path", default=""),
    root=dict(type="path", default="/"),
    role=dict(type="dict", options=ROLE),
)
_NOT_OF_PLAN = ("record", "root", "role")


def read(options: t.Mapping[str, t.Any], *, check_mode: bool, host: HostAccess | None = None) -> dict[str, t.Any]:
    """See RETURN of the module accelerator_info.

    :param options: see OPTIONS.
    """
    host = host or HostAccess(options["root"])
    found, wanted = facts.read(host, options["record"]), plan_options(options)
    planned = plan.plan(found, wanted)
    result = {"facts": found, "plan": planned}
    if options["role"] is None:
        return result
    # Compiled on the host at every run: only where it is asked for.
    from ansible_collections.modelops.inference.plugins.module_utils._accelerator import role

    declared = RoleOptions(check_mode=check_mode, **options["role"])
    return {**result, "role": role.role(Case(found, planned, wanted, declared), host)}


def plan_options(options: t.Mapping[str, t.Any]) -> PlanOptions:
    return PlanOptions(**{name: value for name, value in options.items() if name not in _NOT_OF_PLAN})


def of_environment(
    options: t.Mapping[str, t.Any], *, check_mode: bool, host: HostAccess | None = None
) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The cards, as far as facts.base reads them, and what an environment and its service need of the plan.

    With the option role the same reading has everything that ``read`` returns.
    """
    host = host or HostAccess(options["root"])
    read_all = read(options, check_mode=check_mode, host=host) if options["role"] is not None else {}
    cards, wanted = read_all["facts"] if read_all else facts.base(host), plan_options(options)
    if read_all and options["role"]["state"] == "absent":
        # Nothing computes on cards whose driver is removed.
        wanted = dataclasses.replace(wanted, accelerator=NONE)
    return cards, {**plan.torch(cards, wanted), **read_all}
