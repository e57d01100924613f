#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check_names
short_description: Refuse misspelled and mistyped variables of the collection's roles
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Compares the host's variables with those that the roles know. Fails where one is close to a known name but not it, where a value
    is not of its type or not one of its choices, and where a key in it is unknown or missing, with a line for each mistake and the
    host and its cluster in each.
  - Ansible's own validation, where a role begins, would refuse the same values, but prints the whole argument spec for each host.
  - Defaults are not judged, nor templates of what is not known yet, templates of secrets, and what is encrypted. Of a secret, a list
    or a dict the type is printed, not the value.
  - It runs on the controller only.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  roles:
    description: Roles of this collection whose variables are known, from their argument specs.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: A wrong name would silently mean the default, a wrong value be told in hundreds of lines
  modelops.inference.check_names:
    roles: [xinference, models, dify]
"""

RETURN = r""" # """
