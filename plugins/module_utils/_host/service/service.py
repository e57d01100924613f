# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service managers of a host, one class each, with the same verbs. Private to the collection.

systemd where it is PID 1: system scope as root, the user's own scope otherwise. supervisord from PyPI, in an
environment of its own, where there is no systemd: rented GPU containers, CI machines, laptops.
"""

from __future__ import annotations

import os

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.service.service_manager import ServiceManager
from ansible_collections.modelops.inference.plugins.module_utils._host.service.supervisord_service import Supervisord
from ansible_collections.modelops.inference.plugins.module_utils._host.service.systemd_service import (
    Systemd,
    user_environment,
)


def detect() -> tuple[str, str]:
    """(manager, scope) for this host and user."""
    if os.path.isdir("/run/systemd/system"):
        if os.geteuid() == 0:
            return "systemd", "system"
        if os.path.exists(os.path.join(user_environment()["XDG_RUNTIME_DIR"], "systemd", "private")):
            return "systemd", "user"
    return "supervisord", "system"


def manager(kind: str, name: str, supervisor_directory: str) -> ServiceManager:
    """The manager of a service.  :param kind: "auto", "systemd" or "supervisord"."""
    detected, scope = detect()
    if kind == "systemd" and detected != "systemd":
        raise ModelopsError(
            "xinference_service_manager is systemd, but systemd does not manage this host (it is not PID 1, or this user "
            "has no systemd session). Use auto or supervisord."
        )
    if (detected if kind == "auto" else kind) == "systemd":
        return Systemd(name, scope)
    return Supervisord(name, supervisor_directory)
