# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of programs that the collection brings, pinned once. Private to the collection."""

from __future__ import annotations

#: The installer, and the service manager of hosts without systemd.
UV = "uv==0.13.9"
SUPERVISOR = "supervisor==4.3.0"
