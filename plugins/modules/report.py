#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Print a text unchanged
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Prints lines for people, such as the table at the end of a playbook run. It runs on the controller only.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  text:
    description: Text to print, with its line breaks.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Print the changes
  modelops.inference.report:
    text: "{{ lookup('ansible.builtin.template', 'summary.txt.j2') }}"
"""

RETURN = r""" # """
