#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_capture
short_description: Write the running models of an Xinference server to an inventory file
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Calls M(modelops.inference.xinference_capture_info) and writes its result to a file on the controller, with the variables of the
    playbook C(modelops.inference.capture). The module overwrites a file with different content only with C(capture_replace).
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
"""

EXAMPLES = r"""
- name: Write the running models
  modelops.inference.site_capture:
"""

RETURN = r"""
uids:
  description: UIDs of the models in the file.
  returned: success
  type: list
  elements: str
url:
  description: URL of the server as other machines reach it.
  returned: success
  type: str
  sample: http://10.1.2.3:9997
"""
