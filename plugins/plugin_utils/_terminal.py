# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a person reads: a terminal, a log, or nowhere. Private to the collection."""

from __future__ import annotations

import os
import shutil
import sys
import typing as t

from ansible import constants as C
from ansible.utils.display import Display

display = Display()
# Ansible loads an action plugin before it makes the worker that runs it. A worker of ansible-core 2.19 and later has no terminal.
TERMINAL = bool(getattr(sys.stdout, "isatty", bool)()) and os.environ.get("TERM", "dumb") != "dumb"
WIDTH = shutil.get_terminal_size().columns
# Callbacks that write one line after another. Others move lines themselves, or make an event of each write (that of ansible-runner).
_PLAIN = ("default", "ansible.builtin.default", "modelops.inference.compact")
# Callbacks whose output a program reads.
_DATA = ("json", "jsonl")


def lines_may_move() -> bool:
    """Whether a line that is overwritten looks to a person as it should."""
    return TERMINAL and setting("DEFAULT_STDOUT_CALLBACK") in _PLAIN and display.verbosity < 3


def quiet() -> bool:
    """Whether the person wants to read of failures only, as bin/site -q says, or a program reads."""
    return os.environ.get("MODELOPS_QUIET", "").lower() in ("1", "true", "yes", "on") or _writes_data()


def _writes_data() -> bool:
    """Whether the callback writes data, among which no other line may be."""
    return str(setting("DEFAULT_STDOUT_CALLBACK")).rpartition(".")[2] in _DATA


def say(*lines: str) -> None:
    """Shows lines, which a person needs with -q, too."""
    for line in lines:
        display.display(line.rstrip(), **({"stderr": True} if _writes_data() else {}))


def setting(name: str) -> t.Any:
    """A setting of Ansible."""
    return C.config.get_config_value(name)
