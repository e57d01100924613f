#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dify_step
short_description: Run one step of the role dify
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - The role P(modelops.inference.dify#role) consists of these steps. They read the variables of the role and the variables that other roles
    set.
  - Steps that connect to Dify call M(modelops.inference.dify_workspaces) once for each Dify, on the host to which the task is delegated.
    The other steps run on the controller.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
options:
  step:
    description:
      - Step to run. V(check) validates the targets against the declarations of the play's clusters, without a connection.
      - V(cluster) stores the client key of the host's cluster for V(register), in a private file of the run on the controller. If there are
        no targets, it writes the connection sheet.
      - V(register) registers the declared models in every workspace of every Dify, and writes the connection sheets.
      - V(declared) records the declaration of the host's cluster for V(capture), which writes the content of the Difys as C(dify_targets).
      - V(new_key) stores the new key of the host's cluster for V(rotate), which updates the Difys with it.
    type: str
    choices: [check, cluster, register, declared, capture, new_key, rotate]
    required: true
"""

EXAMPLES = r"""
- name: Validate the targets
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
  description: Reason by host why the old key of its cluster must stay valid. Hosts whose old key can be revoked are not listed.
  returned: for V(rotate)
  type: dict
plan:
  description: One line for each change in a Dify.
  returned: where something changed
  type: list
  elements: str
"""
