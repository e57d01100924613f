#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_step
short_description: Run one step of a host's plan
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs the module of the step. The options derive from the variables of the roles and from the plan of M(modelops.inference.host_plan),
    which is registered as C(xinference_found).
  - The options may contain secrets. They are not stored in variables or results.
  - A step may run several modules, where one uses the result of another. Some steps only return data for other steps, such as V(worker).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  step:
    description: Name of the step. It can be a step that no plan contains, such as V(stop).
    type: str
    required: true
  options:
    description: Options of the step's module that extend or override the options derived from the plan.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Start the service
  modelops.inference.host_step:
    step: service
"""

RETURN = r"""
plan:
  description: Return value that most modules of steps share. Other return values depend on the module.
  returned: success
  type: list
  elements: str
  sample: ["+ create the service xinference"]
"""
