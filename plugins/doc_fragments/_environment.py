# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_host/release/interpreters.py: OPTIONS.
    DOCUMENTATION = r"""
options:
  path:
    description: Directory that holds the releases.
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
    description: Further requirements, as pip writes them.
    type: list
    elements: str
    default: []
  constraints:
    description: Constraints, as pip writes them, beside those that the release of Xinference is known to need.
    type: list
    elements: str
    default: []
  python:
    description: Python to use, a range such as V(>=3.10,<3.14), a version such as V(3.11), or the path of an interpreter.
    type: str
    default: ">=3.10,<3.14"
  python_source:
    description:
      - V(auto) takes the first Python of the host in the range O(python) for which a build of O(torch) exists where packages come
        from. Where there is none uv fetches one into C(python) below O(path).
      - V(host) fetches none, V(uv) takes none of the host. The path of an interpreter is taken whatever this says.
    type: str
    choices: [auto, host, uv]
    default: auto
  uv:
    description: Requirement of the installer itself.
    type: str
    required: true
  cache:
    description: Directory of uv's cache.
    type: path
    required: true
"""
