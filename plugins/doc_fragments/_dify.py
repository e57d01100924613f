# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_connection.py: DIFY_OPTIONS.
    DOCUMENTATION = r"""
options:
  url:
    description: Dify's address, as the machine that runs the module reaches it, without C(/console/api).
    type: str
    required: true
  email:
    description: E-mail address of an owner or administrator of the workspace.
    type: str
    required: true
  password:
    description:
      - Its password. One attempt is made and never repeated, because six failures lock the account for a day.
    type: str
    required: true
  workspace:
    description: Name or ID of the workspace. Unset takes the account's current one.
    type: str
notes:
  - The module needs C(requests) and runs well on the controller (C(delegate_to=localhost)).
"""
