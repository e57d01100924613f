#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_step
short_description: Do one step of a host's plan
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs the module of the step with options that follow from the variables of the roles and from the plan that
    M(modelops.inference.host_plan) made, which is registered as C(xinference_found).
  - The options may hold secrets. They are in no variable and in no result.
  - A step may run several modules, and one after another's result. Some steps return only what others need to know, such as V(worker).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  step:
    description: The step. There may be steps that no plan has, such as V(stop).
    type: str
    required: true
  options:
    description: Options of the step's module beside those that follow from the plan, or instead of them.
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
  description: What the step's module returns, of which this is what most of them have.
  returned: success
  type: list
  elements: str
  sample: ["+ create the service xinference"]
"""
