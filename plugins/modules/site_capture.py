#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_capture
short_description: Write what an Xinference runs as an inventory file
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Calls M(modelops.inference.xinference_capture_info), and writes what it returns to a file on the controller, with the variables of the
    playbook C(modelops.inference.capture). A file that says something else is only overwritten where C(capture_replace) says so.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
"""

EXAMPLES = r"""
- name: Write what runs
  modelops.inference.site_capture:
"""

RETURN = r"""
uids:
  description: UIDs of the models that were written.
  returned: success
  type: list
  elements: str
url:
  description: Address of the server as other machines call it.
  returned: success
  type: str
  sample: http://10.1.2.3:9997
"""
