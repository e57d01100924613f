# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle import plugin_file

DOCUMENTATION = r"""
name: bundled_plugin
short_description: Where a plugin file of Dify is taken from
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - That is the bundle on the machine that runs Ansible, where it has a file of this name, after it was compared with the bundle's
    manifest. Else it is the path as declared.
positional: _input, bundle
options:
  _input:
    description: The path as declared, such as in C(dify_targets[].plugin.package).
    type: path
    required: true
  bundle:
    description: Directory of the bundle; empty for none.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: The file of this name in the bundle
  ansible.builtin.debug:
    msg: "{{ '/home/me/xinference.difypkg' | modelops.inference.bundled_plugin('/srv/bundle') }}"
"""

RETURN = r"""
_value:
  description: Path on the machine that runs Ansible.
  type: str
"""


def bundled_plugin(declared: str, bundle: str) -> str:
    try:
        return plugin_file(bundle, declared) if declared and bundle else declared
    except ModelopsError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"bundled_plugin": bundled_plugin}
