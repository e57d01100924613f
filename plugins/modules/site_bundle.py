#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_bundle
short_description: Gather a bundle for the hosts of a play
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Calls M(modelops.inference.xinference_weights) and M(modelops.inference.xinference_bundle) on the controller, with the variables of all
    hosts of the play and the results that M(modelops.inference.host_plan) with C(step=bundle) registered as C(xinference_found).
  - Fails if a host of the play failed before, because the bundle would lose the files that an earlier run gathered for that host.
  - Run it once, delegated to C(localhost).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
"""

EXAMPLES = r"""
- name: Gather the bundle
  modelops.inference.site_bundle:
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["+ gather 4.1.0-1f0a9c33d2ab for Python 3.11 on x86_64-manylinux_2_28"]
files:
  description: Number of files in the bundle.
  returned: success
  type: int
bytes:
  description: Size of the files in bytes.
  returned: success
  type: int
"""
