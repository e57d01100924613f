#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_variables
short_description: Refuse variables of the collection's roles that cannot be right
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Validates the host's variables for the roles, before anything is asked or changed. Fails with a line for each mistake, with the host and
    its cluster, the variable, what is wrong and what to do.
  - Refused are names that are one letter away from a known one, or close to it; values of another type, and those that are none of the
    choices; unknown and missing keys; and values of the right type that cannot work, such as a port that is none, a directory in another
    one, a name of an environment variable with a blank, a UID that no URL can carry, a definition that the server would take without a
    word, or an address at which no Dify finds Xinference.
  - A template that needs a variable which is defined nowhere is refused with the name of that variable and, where Ansible tells it (since
    ansible-core 2.19), file and line of the template.
  - Ansible's own validation, where a role begins, would refuse values of another type, too, but prints the whole argument spec for each
    host.
  - Defaults are not judged, nor templates of what the roles find out later. Of a secret, a list or a dict the type is printed, not the
    value.
  - It runs on the controller only. Files that variables name there are looked for.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
options:
  playbook:
    description:
      - The playbook of this collection that runs. Only the variables that it needs are validated, so a wrong list of models does not keep a
        worker from being drained. docs/fleet.md has the table.
    type: str
    choices: [bundle, capture, decommission, drain, reload, remove, restart, rollback, rotate, site, undrain, upgrade]
  roles:
    description: Roles of this collection whose variables are validated, in the place of O(playbook).
    type: list
    elements: str
    choices: [accelerator, xinference, models, dify]
  installs:
    description: With O(roles), whether the play installs a release, so that requirements are refused that are known to be malicious.
    type: bool
    default: false
  users:
    description: With O(roles), whether the play makes the users of C(xinference_users), so that these are validated.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Refuse what cannot be right, before a host is touched
  modelops.inference.validate_variables:
    playbook: site

- name: Validate the variables of one role
  modelops.inference.validate_variables:
    roles: [xinference]
"""

RETURN = r"""
models:
  description: A row for each declared model, where the role C(models) is judged and the host says what its cluster serves.
  returned: success
  type: list
  elements: dict
  sample: [{uid: bge-m3, type: embedding, declared: present, state: unknown, abilities: [], tags: [chat], dify: {}}]
"""
