# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import denied

DOCUMENTATION = r"""
name: denied_packages
short_description: Which of some requirements name a release that is known to be malicious
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Compares requirements that name a version with the releases that this collection never installs, because somebody put malicious code
    into them.
positional: _input, added
options:
  _input:
    description: Requirements, as pip writes them. Those without C(==) name no version.
    type: list
    elements: str
    required: true
  added:
    description: What the inventory adds to the table, C(name==version), or C(name) for every version.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Whether a release may be installed
  ansible.builtin.debug:
    msg: "{{ ['xinference==2.6.1'] | modelops.inference.denied_packages(['requests==2.99.0']) }}"
"""

RETURN = r"""
_value:
  description: A sentence of what is denied, with its source, or of an entry of O(added) that cannot be read; empty where nothing is.
  type: str
  sample: "xinference 2.6.1 (known to be malicious: https://github.com/xorbitsai/inference/issues/4828) is not installed. Take another
    version."
"""


def denied_packages(requirements: t.Iterable[t.Any], added: t.Iterable[t.Any] = ()) -> str:
    try:
        found = denied.hits(denied.pins(map(str, requirements)), added)
    except ModelopsError as exc:
        return f"{exc}."
    return f"{denied.told(found)} is not installed. Take another version." if found else ""


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"denied_packages": denied_packages}
