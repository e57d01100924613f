#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_preflight
short_description: Refuse variables of the role accelerator that cannot be right
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Fails with a line for each mistake, before any host is asked for anything.
  - It runs on the controller only.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  accelerator:
    description: The variable C(accelerator).
    type: str
    default: auto
  branch:
    description: The variable C(accelerator_driver_branch), which must be a text.
    type: raw
    default: ""
  huge_pages:
    description: The variable C(accelerator_huge_pages).
    type: int
    default: 0
  reboot_timeout:
    description: The variable C(accelerator_reboot_timeout).
    type: int
    default: 900
  proof_timeout:
    description: The variable C(accelerator_proof_timeout).
    type: int
    default: 120
  repositories:
    description: The variable C(accelerator_repositories). A key that is not a URL must be a file on the controller.
    type: dict
    default: {}
  ascend_files:
    description: The variable C(accelerator_ascend_files). Each file must be on the controller, with its checksum.
    type: list
    elements: dict
    default: []
    suboptions:
      part:
        description: What the file installs.
        type: str
        required: true
      path:
        description: The file on the controller.
        type: path
        required: true
      checksum:
        description: Its SHA-256 in hexadecimal digits.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Validate the branch of the driver
  modelops.inference.accelerator_preflight:
    branch: "{{ accelerator_driver_branch }}"
"""

RETURN = r""" # """
