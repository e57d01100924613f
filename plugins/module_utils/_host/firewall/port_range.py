# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The range of ports that Xinference's actors listen on."""

from __future__ import annotations

import functools
import re

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.manager import OURS, Steps
from ansible_collections.modelops.inference.plugins.module_utils._host.firewall.rules import Range, ports_text
from ansible_collections.modelops.inference.plugins.module_utils._host.system.network import (
    EPHEMERAL_RANGE,
    ephemeral_range,
)
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan


def file_text(before: Range, wanted: Range) -> str:
    """The file; it remembers what was before, for when it goes. Pure."""
    return f"# {OURS}\n# Before: {before[0]} {before[1]}\nnet.ipv4.ip_local_port_range = {wanted[0]} {wanted[1]}\n"


def before_of(text: str | None) -> Range | None:
    """The previous range recorded in this collection's file. Pure."""
    match = re.search(r"^# Before: (\d+) (\d+)$", text or "", re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else None


class PortRange(Steps):
    """net.ipv4.ip_local_port_range in a file of our own and in the kernel.

    :param asked: None gives back what was before.
    """

    directory = "/etc/sysctl.d"

    def __init__(self, name: str, asked: Range | None):
        super().__init__(name)
        self.path = f"{self.directory}/90-modelops-{name}.conf"
        self.asked = asked
        self.now = ephemeral_range()
        self._before = before_of(read_file(self.path)) or self.now

    @property
    def after(self) -> Range:
        """The range in force after the plan was applied."""
        return self.asked or self._before

    def plan(self) -> Plan:
        plan = Plan("sysctl")
        self._file(plan, self.path, file_text(self._before, self.asked) if self.asked else None)
        if self.after != self.now:
            fields = [Field("ports", ports_text([self.now]), ports_text([self.after]))]
            set_now = functools.partial(self._set, self.after)
            plan.add("change", "set", "net.ipv4.ip_local_port_range", fields, data=set_now)
        return plan

    @staticmethod
    def _set(value: Range) -> None:
        try:
            with open(EPHEMERAL_RANGE, "w", encoding="ascii") as file:
                file.write(f"{value[0]} {value[1]}\n")
        except OSError as exc:
            raise ModelopsError(
                f"{EPHEMERAL_RANGE} cannot be written: {exc.strerror}. Run as root (become: true); in a container, set "
                "net.ipv4.ip_local_port_range where it is started, and leave port_range out."
            ) from exc
