#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_variables
short_description: Validate the variables of the collection's roles
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Validates the host's variables for the roles before the play connects to a host or changes anything. It fails with one line for each
    error. The line contains the host and its cluster, the variable, the problem and its remedy.
  - The module rejects variable names that closely resemble a known name, values of the wrong type or outside the choices, and unknown or
    missing keys. It also rejects values of the right type that cannot work. Examples are an invalid port, nested directories, an
    environment variable name with a space, and a UID that is invalid in a URL. Other examples are an invalid definition that the server
    would silently accept, and an Xinference URL that Dify cannot reach.
  - If a template needs an undefined variable, the error names that variable. With ansible-core 2.19 and later, it also names the file and
    line of the template.
  - Ansible's own validation at the start of a role also rejects values of the wrong type, but it prints the whole argument spec for each
    host.
  - The module does not validate default values, or templates whose variables the roles set later. For a secret, a list or a dictionary, the
    error contains the type and not the value.
  - The module runs on the controller only. It checks that files exist if a variable names a file on the controller.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  playbook:
    description:
      - Playbook of this collection to validate for. The module validates only the variables that this playbook needs, so an invalid list of
        models does not block the drain of a worker. See the table in docs/fleet.md.
    type: str
    choices: [bundle, capture, decommission, drain, reload, remove, restart, rollback, rotate, site, undrain, upgrade]
  roles:
    description: Roles of this collection whose variables the module validates, as an alternative to O(playbook).
    type: list
    elements: str
    choices: [accelerator, xinference, models, dify]
  installs:
    description:
      - Whether the play installs a release. If V(true), the module rejects requirements that are known to be malicious, with O(roles).
    type: bool
    default: false
  users:
    description: Whether the play creates the users of C(xinference_users). If V(true), the module validates these users, with O(roles).
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Validate the variables before the play connects to a host
  modelops.inference.validate_variables:
    playbook: site

- name: Validate the variables of one role
  modelops.inference.validate_variables:
    roles: [xinference]
"""

RETURN = r"""
models:
  description: One row for each declared model, if the module validates the role C(models) and the host declares the models of its cluster.
  returned: success
  type: list
  elements: dict
  sample: [{uid: bge-m3, type: embedding, declared: present, state: unknown, abilities: [], tags: [chat], dify: {}}]
"""
