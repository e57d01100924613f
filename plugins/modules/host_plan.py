#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_plan
short_description: Read a host, and plan its steps
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs M(modelops.inference.xinference_host_info) once with what the variables of the roles say, compares, and returns what differs and
    its steps in their order. M(modelops.inference.host_step) runs them.
  - Fails with all refusals in one message, before anything is changed.
  - With C(--check) and C(--diff) it prints each step with its reason.
  - The plan holds no secret, and no text of a file.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  playbook:
    description: Playbook whose variables are validated first, as M(modelops.inference.validate_variables) does.
    type: str
    choices: [bundle, capture, decommission, drain, reload, remove, restart, rollback, rotate, site, undrain, upgrade]
  part:
    description:
      - The part of the host. Empty takes all that the host's groups give it, of which one reading tells.
      - V(last) takes the last one, which of a supervisor that is its own worker is the worker.
    type: str
    choices: ["", local, supervisor, worker, last]
    default: ""
  step:
    description:
      - Action of the play. The host is refused only for what this action needs. V(other) plans and refuses nothing.
      - V(bundle) goes on where the host does not answer.
      - Empty takes what a playbook such as C(rollback) asked for at its beginning, and V(other) where it asked for nothing.
    type: str
    choices: ["", site, build, upgrade, rollback, restart, return, undrain, bundle, other]
    default: site
  release:
    description:
      - A release that is on the host and is taken instead of the one that the inventory names.
      - Empty takes the one that a playbook asked for at its beginning, where it did.
    type: str
    default: ""
  accelerator:
    description:
      - Also read what role accelerator needs, so that it asks the host nothing. RV(plan) says with C(accelerator) whether it has something
        to do.
    type: bool
    default: false
  log_lines:
    description: Number of lines of the service's log to return.
    type: int
    default: 0
  found:
    description:
      - Result of an earlier task of this module. Then the host is not read, and part, step and release are those of that task.
    type: dict
    default: {}
  again:
    description: Whether the host was planned before in this play and has changed since. In check mode nothing has, so that it is not read
      again, and the variable C(xinference_found) is taken as O(found).
    type: bool
    default: false
  built:
    description: Record of the release that the run built since, RV(modelops.inference.xinference_release#module:release).
    type: dict
    default: {}
  weights:
    description: Weights that came since, RV(modelops.inference.xinference_weights#module:weights). Unset keeps those of O(found).
    type: dict
"""

EXAMPLES = r"""
- name: Read the host and plan the changes
  modelops.inference.host_plan:
    playbook: site
  register: xinference_found

- name: Install the release
  modelops.inference.host_step:
    step: release
  when: "'release' in xinference_found.plan.steps"
"""

RETURN = r"""
plan:
  description:
    - The steps, beside all that M(modelops.inference.xinference_host_info) returns.
    - C(steps) has the steps in their order, each with its reason. It is empty where nothing differs.
    - C(part), C(cluster), C(bind), C(endpoint), C(api) (host and directory by which the cluster's API is asked), C(release), C(weights),
      C(service), C(drained), C(upgrading), C(authentication), C(claimed) and C(gpus) say what it was made from.
    - C(changes) says whether something is done on the host, C(worker) has the address and the cards of a worker.
    - Of a supervisor that is its own worker it is the plan of the supervisor, and C(plan) in C(beside) that of the worker.
    - C(declared) has the models that the host's cluster declares, where the play has role models.
  returned: success
  type: dict
  sample: {part: local, cluster: gpu01, steps: {service: it is stopped}, release: {id: 4.1.0-1f0a9c33d2ab}}
"""
