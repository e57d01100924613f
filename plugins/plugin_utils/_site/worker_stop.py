# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refusals of playbooks that stop a worker: it must be named, and it must be one. Pure. Private to the collection."""

from __future__ import annotations

import re

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

# A limit that only leaves out hosts names none.
_NAMES = re.compile(r"(^|[,:])[^!,:]")


def refusals(settings: Settings) -> Refusals:
    host = settings.inventory.host
    if not settings.has("xinference_drain_hosts") and not _NAMES.search(str(settings.raw("ansible_limit") or "")):
        yield (
            "no worker is named. Name the workers with --limit or -e xinference_drain_hosts=...; the playbook never drains all of them by "
            "default. Nothing was changed."
        )
    elif "worker" not in settings.inventory.parts:
        yield (
            "the host is not a worker of a cluster (group xinference_workers), so its models cannot move elsewhere. To remove a server "
            f"with all its data: ansible-playbook modelops.inference.remove --limit {host}. Nothing was changed."
        )
