#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_summary
short_description: Print the changes of a run of the playbook site and the served models
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Prints one summary for all hosts of the play. It contains the changes, a table of the models and their registrations in Dify, and for
    each server its address and the command that stops it. The module reads variables that the roles C(xinference), C(models), C(dify) and
    C(accelerator) set, and runs on the controller only.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
"""

EXAMPLES = r"""
- name: Print the summary
  modelops.inference.site_summary:
  run_once: true
"""

RETURN = r""" # """
