# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_host/release/interpreters.py: OPTIONS.
    DOCUMENTATION = r"""
options:
  path:
    description: Directory that contains the releases.
    type: path
    required: true
  version:
    description: Version of Xinference on the package index.
    type: str
    required: true
  extras:
    description: Extras of the C(xinference) package.
    type: list
    elements: str
    default: []
  packages:
    description: Additional requirements, in pip's syntax.
    type: list
    elements: str
    default: []
  constraints:
    description: Constraints in pip's syntax, in addition to the known constraints of the Xinference release.
    type: list
    elements: str
    default: []
  python:
    description: Python of the environment, as a range such as V(>=3.10,<3.14), a version such as V(3.11), or the path of an interpreter.
    type: str
    default: ">=3.10,<3.14"
  python_source:
    description:
      - Source of the environment's Python. V(auto) selects the first Python of the host in the range O(python) for which the package
        sources have a build of O(torch). If none exists, uv fetches a Python into C(python) below O(path).
      - V(host) never fetches a Python. V(uv) never uses a Python of the host. If O(python) is the path of an interpreter, the module
        ignores this option.
    type: str
    choices: [auto, host, uv]
    default: auto
  uv:
    description: Requirement that installs the installer (uv).
    type: str
    required: true
  cache:
    description: Cache directory of uv.
    type: path
    required: true
"""
