# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers: time-outs, intervals, attempts, limits and sizes. Pure. Private to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings

#: Variable -> the least that it can be.
LEAST: dict[str, float] = {
    "xinference_keep_releases": 1,
    "xinference_free_gib": 0,
    "xinference_start_timeout": 1,
    "xinference_stop_timeout": 1,
    "xinference_limit_nofile": 1,
    "xinference_upgrade_window": 0,
    "xinference_drain_timeout": 1,
    "xinference_drain_requests_timeout": 0,
    "rotate_wait": 0,
    "models_parallel": 1,
    "models_launch_timeout": 1,
    "models_reconcile_interval": 1,
    "models_reconcile_attempts": 1,
    "models_reconcile_return_timeout": 1,
}
# How many hosts are taken at a time: a number of them, or percent.
_BATCHES = ("xinference_serial", "xinference_upgrade_batch")
# As systemd reads a size.
_SIZE = re.compile(r"[0-9]+([.][0-9]+)?[KMGTPE]?|[0-9]+([.][0-9]+)?%|infinity")


def refusals(settings: Settings, names: t.Container[str]) -> Refusals:
    """Refusals of the given variables."""
    for name, least in LEAST.items():
        number = settings.get(name) if name in names else None
        if isinstance(number, (int, float)) and number < least:
            yield f"{name} must be at least {least} (it is {number})."
    percent = settings.get("xinference_max_fail_percentage") if "xinference_max_fail_percentage" in names else None
    if isinstance(percent, (int, float)) and not 0 <= percent <= 100:
        yield f"xinference_max_fail_percentage must be between 0 and 100 (it is {percent})."
    for name in _BATCHES:
        yield from batches(name, settings.get(name) if name in names else None)
    size = settings.get("xinference_memory_max") if "xinference_memory_max" in names else None
    if isinstance(size, str) and size and not _is_size(size):
        yield f"xinference_memory_max must be a size as systemd writes it, such as 64G or 80% (it is '{size}')."
    timeout = (settings.get("xinference_index") or {}).get("timeout") if "xinference_index" in names else None
    if isinstance(timeout, int) and timeout < 1:
        yield f"xinference_index, timeout must be at least 1 (it is {timeout})."


def batches(name: str, given: t.Any) -> Refusals:
    """Of a variable that says how many hosts are taken at a time."""
    for batch in given if isinstance(given, list) else [given]:
        if isinstance(batch, (str, int)) and not re.fullmatch(
            r"[1-9][0-9]*|(100|[1-9][0-9]?)(\.[0-9]+)?%", str(batch).strip()
        ):
            yield f"{name} must be a number or a percentage of hosts, such as 2 or 25% (it is '{batch}')."


def _is_size(text: str) -> bool:
    """Whether a size is a valid memory limit: more than 0, and at most what systemd accepts."""
    found = _SIZE.fullmatch(text)
    number = float(text.rstrip("%KMGTPE")) if found and text != "infinity" else 1
    return found is not None and number > 0 and not (text.endswith("%") and number > 100)
