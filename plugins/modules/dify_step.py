#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_step
short_description: Do a step of the role dify
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - The role P(modelops.inference.dify#role) consists of these steps, which read its variables and those that other roles leave.
  - Steps that speak to Dify call M(modelops.inference.dify_workspaces) once for each Dify, on the host that the task is delegated to.
    The others run on the controller.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  step:
    description:
      - V(check) refuses targets that cannot be right by what the clusters of the play declare, and asks nobody.
      - V(cluster) keeps the client key of the host's cluster for V(register), in a file of the run's own on the controller. Where
        there are no targets, it writes the connection sheet.
      - V(register) registers the declared models in every workspace of every Dify, and writes the connection sheets.
      - V(declared) notes what the host's cluster declares, for V(capture), which writes what the Difys have as C(dify_targets).
      - V(new_key) keeps the new key of the host's cluster for V(rotate), which gives it to the Difys.
    type: str
    choices: [check, cluster, register, declared, capture, new_key, rotate]
    required: true
"""

EXAMPLES = r"""
- name: Refuse targets that cannot be right
  modelops.inference.dify_step:
    step: check
  run_once: true
"""

RETURN = r"""
cluster:
  description: Name of the host's cluster.
  returned: for V(cluster) and V(declared)
  type: str
  sample: gpu01
holders:
  description: By host why the old key of its cluster must stay valid. A host whose old key can be revoked is not in it.
  returned: for V(rotate)
  type: dict
plan:
  description: One line for each change in a Dify.
  returned: where something changed
  type: list
  elements: str
"""
