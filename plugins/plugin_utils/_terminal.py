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

# Ansible loads an action plugin before it makes the worker that runs it. A worker of ansible-core 2.19 and later has no terminal.
TERMINAL = bool(getattr(sys.stdout, "isatty", bool)()) and os.environ.get("TERM") != "dumb"
WIDTH = shutil.get_terminal_size().columns


def quiet() -> bool:
    """Whether the person wants to read of failures only: bin/site -q says so."""
    return os.environ.get("MODELOPS_QUIET", "").lower() in ("1", "true", "yes", "on")


def setting(name: str) -> t.Any:
    """A setting of Ansible."""
    return C.config.get_config_value(name)
