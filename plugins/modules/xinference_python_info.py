#!/usr/bin/python
# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xinference_python_info
short_description: Find the Python for an environment with Xinference
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Finds the Python with which M(modelops.inference.xinference_release) builds an environment. It fails if no Python exists for which
    packages are available. A host that cannot have the environment is therefore rejected before it changes.
  - If the host does not have the installer (uv) yet, the module installs it in a temporary directory.
extends_documentation_fragment:
  - modelops.inference._attributes
  - modelops.inference._attributes.info
  - modelops.inference._environment
  - modelops.inference._index
attributes:
  check_mode:
    description: Finds the Python without a separate installer, if possible.
    support: partial
    details: If the host does not have the installer yet, check mode returns O(python) and O(python_source) unchanged.
options:
  torch:
    description: PyTorch build, as in O(modelops.inference.xinference_release#module:torch).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Find the Python of a CPU environment
  modelops.inference.xinference_python_info:
    path: /opt/xinference
    version: 4.1.0
    torch: cpu
    uv: uv==0.13.9
    cache: /opt/xinference/cache/uv
  register: found

- name: Build the environment with that Python
  modelops.inference.xinference_release:
    path: /opt/xinference
    id: 4.1.0-1f0a9c33
    version: 4.1.0
    torch: cpu
    python: "{{ found.python }}"
    python_source: "{{ found.python_source }}"
    uv: uv==0.13.9
    cache: /opt/xinference/cache/uv
"""

RETURN = r"""
python:
  description:
    - Python of the environment, either the path of a Python on the host or the version of a Python that uv fetches. If the host does not
      have uv yet, the module fetches that Python to a temporary directory to prove that the download works.
  returned: success
  type: str
  sample: /usr/bin/python3.11
python_source:
  description: V(uv) if uv fetches that Python, otherwise O(python_source). Pass both return values to the build.
  returned: success
  type: str
  sample: auto
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.modelops.inference.plugins.module_utils import _module
from ansible_collections.modelops.inference.plugins.module_utils._host.release import interpreters, uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import CommandFailed, run


def work(module: AnsibleModule) -> dict[str, t.Any]:
    p = module.params
    tools, base = uv_tools.Tools(p["path"], p["uv"], p["cache"]), p["path"]
    unknown = dict(changed=False, plan=[], python=p["python"], python_source=p["python_source"])
    if not tools.ready:
        base = module.tmpdir
        tools = uv_tools.Tools(base, p["uv"], os.path.join(base, "cache"))
        if module.check_mode:
            return unknown
    settings = tools.make(p["index"])
    try:
        run([tools.uv, "--version"], "starting uv")
    except CommandFailed:
        # No program may run in a temporary directory (noexec). The build asks again.
        return unknown
    packages = interpreters.Packages(tools, settings, p, module.tmpdir)
    choice = interpreters.pick(tools, settings, p["python"], p["python_source"], packages)
    interpreters.refuse_unknown(tools, settings, p, choice, module.tmpdir)
    if choice.fetched and not module.check_mode:
        interpreters.path_of(tools, settings, choice, interpreters.directory_of(base))
    return dict(unknown, python=choice.python, **({"python_source": "uv"} if choice.fetched else {}))


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(torch=dict(type="str", required=True), **interpreters.OPTIONS),
        supports_check_mode=True,
    )
    _module.run(module, work)


if __name__ == "__main__":
    main()
