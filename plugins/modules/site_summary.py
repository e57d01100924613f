#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_summary
short_description: Show what a run of the playbook site did and what serves
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Prints, once for all hosts of the play, what was done, a table of models and of their registrations with Dify, and for each server
    where it is and how to stop it. It reads variables that the roles C(xinference), C(models), C(dify) and C(accelerator) leave, and runs
    on the controller only.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
"""

EXAMPLES = r"""
- name: Summary
  modelops.inference.site_summary:
  run_once: true
"""

RETURN = r""" # """
