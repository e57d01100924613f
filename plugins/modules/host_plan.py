#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_plan
short_description: Read a host and plan its steps
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Runs M(modelops.inference.xinference_host_info) once with the variables of the roles, compares the result with the declaration, and
    returns the differences and the ordered steps. M(modelops.inference.host_step) runs the steps.
  - Fails with all validation errors in one message before anything changes.
  - With C(--check) and C(--diff), the module prints each step with its reason.
  - The plan contains no secrets and no contents of files.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  playbook:
    description: Playbook whose variables the module validates first, as M(modelops.inference.validate_variables) does.
    type: str
    choices: [bundle, capture, decommission, drain, reload, remove, restart, rollback, rotate, site, undrain, upgrade]
  part:
    description:
      - Part of the host to plan. Empty plans all parts of the host according to its groups, with one reading.
      - V(last) plans the last part, which is the worker on a host that is both supervisor and worker.
    type: str
    choices: ["", local, supervisor, worker, last]
    default: ""
  step:
    description:
      - Action of the play. The module checks only the requirements of this action. V(other) plans nothing and checks nothing.
      - V(bundle) continues if the host does not answer.
      - If empty, the module uses the action that a playbook such as C(rollback) set at its beginning, otherwise V(other).
    type: str
    choices: ["", site, build, upgrade, rollback, restart, return, undrain, bundle, other]
    default: site
  release:
    description:
      - Release on the host to use instead of the release in the inventory.
      - If empty, the module uses the release that a playbook set at its beginning, if any.
    type: str
    default: ""
  accelerator:
    description:
      - Whether to also read the state for the role accelerator, so that the role does not read the host again. C(accelerator) in RV(plan)
        is true if the role has changes to make.
    type: bool
    default: false
  in_role:
    description:
      - Whether a task of the role xinference runs the module. If V(true), the part, step and release come from the variables
        C(_xinference_part), C(_xinference_step) and C(_xinference_release) of the surrounding tasks.
    type: bool
    default: false
  reuse:
    description: Whether to return the variable C(xinference_found) of an earlier task unchanged, if it exists.
    type: bool
    default: false
  log_lines:
    description: Number of lines of the service's log to return.
    type: int
    default: 0
  found:
    description:
      - Result of an earlier task of this module. With this option, the module does not read the host, and it reuses the part, step and
        release of that task.
    type: dict
    default: {}
  again:
    description:
      - Whether the host was planned before in this play and has changed since. In check mode nothing has changed, so the module uses the
        variable C(xinference_found) as O(found) and does not read the host again.
    type: bool
    default: false
  built:
    description: Record of the release that the run has built since, RV(modelops.inference.xinference_release#module:release).
    type: dict
    default: {}
  weights:
    description:
      - Weights that were fetched since, RV(modelops.inference.xinference_weights#module:weights). If unset, the weights in O(found) apply.
    type: dict
"""

EXAMPLES = r"""
- name: Read the host and plan its steps
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
    - Plan of the host, in addition to all values that M(modelops.inference.xinference_host_info) returns.
    - C(steps) contains the ordered steps, each with its reason. It is empty if nothing differs.
    - C(part), C(cluster), C(bind), C(endpoint), C(api) (host and directory through which the cluster's API is called), C(release),
      C(weights), C(service), C(drained), C(upgrading), C(authentication), C(claimed) and C(gpus) are the inputs of the plan.
    - C(changes) is true if a step changes the host. C(worker) contains the address and the cards of a worker.
    - On a host that is both supervisor and worker, this is the plan of the supervisor, and C(plan) in C(co_located) is the plan of the
      worker.
    - C(declared) contains the declared models of the host's cluster if the play has the role models.
  returned: success
  type: dict
  sample: {part: local, cluster: gpu01, steps: {service: it is stopped}, release: {id: 4.1.0-1f0a9c33d2ab}}
"""
