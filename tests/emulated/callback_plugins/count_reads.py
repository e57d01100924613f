# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a byte to $READS_FILE whenever an expression reads the variables of a host by hostvars, which is what grows."""

from __future__ import annotations

import os

from ansible.plugins.callback import CallbackBase
from ansible.vars.hostvars import HostVars

DOCUMENTATION = """
name: count_reads
type: aggregate
short_description: Counts reads of hostvars
description: Writes a byte to $READS_FILE for each.
"""


def counted(raw_get):
    """Workers are forks of the process that loads this plugin; what they append is never lost."""
    file = os.open(os.environ["READS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def read(self, host_name):
        os.write(file, b".")
        return raw_get(self, host_name)

    return read


if "READS_FILE" in os.environ:
    HostVars.raw_get = counted(HostVars.raw_get)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "count_reads"
