#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_prove
short_description: Prove the accelerators once for each driver, set of cards and environment
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs M(modelops.inference.accelerator_proof) with the plan and the variables of the role C(accelerator). The module skips the proof if
    the role's record already contains it, in check mode, and while the host waits for a restart.
  - Only the role C(accelerator) uses this module. The role registers its plan as C(accelerator_found).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options: {}
"""

EXAMPLES = r"""
- name: Compute on every device
  modelops.inference.accelerator_prove:
"""

RETURN = r""" # """
