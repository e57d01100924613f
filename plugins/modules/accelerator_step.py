#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_step
short_description: Run one step of the plan of the role accelerator
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs the modules of the step, most of which belong to ansible-core, with options derived from the plan.
  - Only the role C(accelerator) uses this module. The role registers its plan as C(accelerator_found).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  step:
    description: Name of the step, such as V(packages).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Pin the driver's packages
  modelops.inference.accelerator_step:
    step: pin
"""

RETURN = r"""
commands:
  description: Results of the commands that load the kernel module.
  returned: success
  type: list
  elements: dict
  sample: []
"""
