#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check_names
short_description: Refuse misspelled variables of the collection's roles
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Compares the host's variables with those that the roles know, and fails where one is close to a known name but not it.
  - It runs on the controller only.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  roles:
    description: Roles of this collection whose variables are known.
    type: list
    elements: str
    required: true
  ignore:
    description: Variables that are meant.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: A wrong name would silently mean the default
  modelops.inference.check_names:
    roles: [xinference, models, dify]
"""

RETURN = r""" # """
