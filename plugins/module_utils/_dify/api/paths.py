# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of Dify's console API. Private to the collection."""

from __future__ import annotations

API = "/console/api"
CURRENT = f"{API}/workspaces/current"
PLUGIN_LIST = f"{CURRENT}/plugin/list"
