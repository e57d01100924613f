#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_plan
short_description: Read the accelerators of a host and plan the steps of the role accelerator
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs M(modelops.inference.accelerator_info) with the variables of the host, for the role C(accelerator), which registers the result as
    C(accelerator_found). In other plays, use M(modelops.inference.accelerator_info).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  after:
    description: Event of the same run after which the module reads the host again, either a change or a restart.
    type: str
    choices: ["", changed, restarted]
    default: ""
  server_stops:
    description: Whether Xinference is stopped before the driver is removed, so that its processes do not block the removal.
    type: bool
    default: false
  fail:
    description: Whether the task fails if the reading shows that a change did not work.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Read the accelerators and plan their driver
  modelops.inference.accelerator_plan:
  register: accelerator_found
"""

RETURN = r"""
role:
  description: Steps of the role, in addition to the facts and the plan that M(modelops.inference.accelerator_info) returns.
  returned: success
  type: dict
  sample: {tasks: [], refused: ""}
"""
