#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_plan
short_description: Read a host's accelerators, and plan what the role accelerator does
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs M(modelops.inference.accelerator_info) with what the host's variables say, for the role C(accelerator), which registers the
    result as C(accelerator_found). In other plays use M(modelops.inference.accelerator_info).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  after:
    description: Event in the same run that this reading follows, a change or a restart of the host.
    type: str
    choices: ["", changed, restarted]
    default: ""
  server_stops:
    description: Whether Xinference is stopped before the driver is removed, so that its processes are in nobody's way.
    type: bool
    default: false
  fail:
    description: Whether the task fails where the reading shows that a change does not work.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Read the host and plan the changes
  modelops.inference.accelerator_plan:
  register: accelerator_found
"""

RETURN = r"""
role:
  description: Steps of the role, beside the facts and the plan that M(modelops.inference.accelerator_info) returns.
  returned: success
  type: dict
  sample: {tasks: [], refused: ""}
"""
