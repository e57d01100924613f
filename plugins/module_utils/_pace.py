# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How fast bytes come, and when the last will have come. Pure. Private to the collection."""

from __future__ import annotations

# Seconds that are too few to measure.
_FEW = 1.0


def pace(came: int, seconds: float, left: int) -> str:
    """``, 85.1 MB/s, 2 min left``; "" where nothing is left or was measured.

    :param came: bytes that came in these seconds.
    """
    if came <= 0 or left <= 0 or seconds < _FEW:
        return ""
    rate = came / seconds
    return f", {rate / 1e6:.1f} MB/s, {_readable(left / rate)} left"


def _readable(seconds: float) -> str:
    """To what a person plans by: 40 s, 3 min, 2 h 10 min."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
