# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the role accelerator for a host, and the host with its plan. Private to the collection."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._accelerator import versions
from ansible_collections.modelops.inference.plugins.module_utils._accelerator.draft import PlanOptions

PRESENT, ABSENT = "present", "absent"
DEBIAN, REDHAT = "debian", "redhat"
#: Values of RoleOptions.after.
CHANGED, RESTARTED = "changed", "restarted"


@dataclasses.dataclass(frozen=True)
class RoleOptions:
    """The option ``role`` of the module accelerator_info, see there."""

    host: str = ""
    groups: t.Sequence[str] = ()
    state: str = PRESENT
    check_mode: bool = False
    kernel: bool = True
    etc: str = "/etc"
    repositories: t.Mapping[str, t.Mapping[str, t.Any]] = dataclasses.field(default_factory=dict)
    packages: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    ascend_files: t.Sequence[t.Mapping[str, str]] = ()
    huge_pages: int = 0
    governor: str = ""
    reboot_ok: bool = False
    controller: str = ""
    service: str = ""
    user: str = ""
    directory: str = "/opt/xinference"
    server_stops: bool = False
    after: str = ""
    carried: t.Sequence[str] = ()
    commands: t.Sequence[t.Mapping[str, t.Any]] = ()

    @property
    def is_present(self) -> bool:
        return self.state == PRESENT


@dataclasses.dataclass(frozen=True)
class Case:
    """A host: its facts, its plan and the role's options.

    :ivar facts: and ``plan``, see RETURN of the module accelerator_info.
    """

    facts: t.Mapping[str, t.Any]
    plan: t.Mapping[str, t.Any]
    wanted: PlanOptions = dataclasses.field(default_factory=PlanOptions)
    options: RoleOptions = dataclasses.field(default_factory=RoleOptions)

    @property
    def steps(self) -> list[str]:
        return [step["name"] for step in self.plan["steps"]]

    def has_step(self, *names: str) -> bool:
        """Whether the plan has one of these steps."""
        return not set(names).isdisjoint(self.steps)

    def etc(self, path: str) -> str:
        """A path below /etc."""
        return f"{self.options.etc}/{path}"

    @property
    def vendor(self) -> str:
        return t.cast(str, self.plan["accelerator"])

    @property
    def record(self) -> t.Mapping[str, t.Any]:
        return t.cast("t.Mapping[str, t.Any]", self.facts["record"])

    def recorded(self, key: str) -> list[str]:
        return list(self.record.get(key, []))

    @property
    def system(self) -> t.Mapping[str, t.Any]:
        return t.cast("t.Mapping[str, t.Any]", self.facts["system"])

    @property
    def distribution(self) -> str:
        """The vendors' name of it, such as debian12."""
        return t.cast(str, self.system["distribution"]["repository"])

    @property
    def is_ubuntu(self) -> bool:
        return self.distribution.startswith("ubuntu")

    @property
    def family(self) -> str:
        """The package family; "" for an unknown package manager."""
        return {"dpkg": DEBIAN, "rpm": REDHAT}.get(self.facts["packages"]["manager"], "")

    @property
    def source(self) -> str:
        """The source of NVIDIA's packages."""
        return t.cast(str, self.plan["driver"].get("source") or "vendor")

    @property
    def branch(self) -> int:
        return t.cast(int, self.plan["driver"].get("branch", 0))

    @property
    def version(self) -> str:
        """The exact version of NVIDIA's driver, or its branch for the newest of it."""
        return str(self.plan["driver"].get("version") or self.branch)

    @property
    def is_exact(self) -> bool:
        return "." in self.version

    @property
    def modules(self) -> str:
        """NVIDIA's kernel modules: open or proprietary."""
        return t.cast(str, self.plan["driver"].get("kernel_modules") or "open")

    @property
    def is_downgrade(self) -> bool:
        """Whether the driver's branch is lower than the installed one."""
        there = self.facts["nvidia"]["installed"] or self.facts["nvidia"]["loaded"]
        return self.has_step("driver") and bool(there) and versions.branch(there) > self.branch

    @property
    def card_programs(self) -> list[t.Mapping[str, t.Any]]:
        """Programs that use the cards, except the driver's services and those that the run stops first."""
        stopped = self.server_units if self.options.server_stops else []
        return [each for each in self.facts["processes"] if not each["of_driver"] and each["unit"] not in stopped]

    @property
    def card_users(self) -> list[str]:
        return [f"{each['name']} {each['pid']}" for each in self.card_programs]

    @property
    def xinference_services(self) -> list[str]:
        """Services of Xinference that this host has, where the role xinference is applied, too."""
        named = [self.options.service] if self.options.service else []
        both = {"xinference_supervisors", "xinference_workers"} <= set(self.options.groups)
        return named + (["xinference-worker"] if both else [])

    @property
    def directory(self) -> str:
        """The directory of this installation."""
        return self.options.directory.rstrip("/")

    @property
    def server_units(self) -> list[str]:
        """Services that keep their processes running, as the facts say it."""
        return [
            *(f"{name}.service" for name in self.xinference_services),
            f"{self.directory}/supervisor/supervisord.conf",
        ]

    @property
    def driver_services(self) -> list[str]:
        """Services that run and use the driver's module, in the order of their start."""
        nvidia = self.facts["nvidia"]
        found = ["nvidia-persistenced"] if nvidia["persistence_daemon"] else []
        found += ["nvidia-fabricmanager"] if nvidia["fabric_manager"] else []
        units = [each["unit"] for each in self.facts["processes"] if each["of_driver"]]
        found += [re.sub(r"[.]service$", "", unit) for unit in units if unit.endswith(".service")]
        return unique(found)

    @property
    def settings_declared(self) -> bool:
        """Whether the role sets huge pages or the governor."""
        return self.options.huge_pages > 0 or self.options.governor != ""


def unique(names: t.Iterable[str]) -> list[str]:
    """Each once, in their order."""
    return list(dict.fromkeys(names))
