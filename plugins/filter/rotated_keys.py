# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

DOCUMENTATION = r"""
name: rotated_keys
short_description: The new keys of clusters, as dify_key takes them
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Puts together what the tasks C(rotate) of the role xinference left of each host.
options:
  _input:
    description:
      - Variables of hosts. Those with C(__xinference_rotation) have C(__xinference_key), the file with the new key as
        M(ansible.builtin.slurp) returns it; in check mode they do not.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Give a Dify the new keys
  modelops.inference.dify_key:
    url: http://dify.example.com
    email: ops@example.com
    password: "{{ vault_dify_password }}"
    keys: "{{ ansible_play_hosts | map('extract', hostvars) | modelops.inference.rotated_keys }}"
"""

RETURN = r"""
_value:
  description: As the option C(keys) of M(modelops.inference.dify_key).
  type: list
  elements: dict
"""


def rotated_keys(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    return [
        {**host["__xinference_rotation"], "new": _text(host["__xinference_key"])}
        for host in hosts
        if "__xinference_rotation" in host
    ]


def _text(slurped: t.Mapping[str, t.Any]) -> str:
    content = base64.b64decode(slurped.get("content") or "")
    try:
        return _secrets.decoded(content, f"client key: {slurped.get('source')}").strip()
    except ModelopsError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotated_keys": rotated_keys}
