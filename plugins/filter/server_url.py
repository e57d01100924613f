# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _address

DOCUMENTATION = r"""
name: server_url
short_description: URL of a server as other machines call it
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Takes the address that a server listens on where that names one. Of a server that listens on every address of its host
    (V(0.0.0.0), V(::)) it takes the first name of the host that is no loopback address.
positional: _input, port, names
options:
  _input:
    description: Address that the server listens on.
    type: str
    required: true
  port:
    description: Its port.
    type: int
    required: true
  names:
    description: What else its host is known by, best first. Empty ones do not count.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Where the server is
  ansible.builtin.debug:
    msg: "{{ '0.0.0.0' | modelops.inference.server_url(9997, ['localhost', '10.1.2.3']) }}"  # http://10.1.2.3:9997
"""

RETURN = r"""
_value:
  description: The URL, with the brackets that an IPv6 address needs.
  type: str
  sample: http://10.1.2.3:9997
"""


def server_url(bind: str, port: int | str, names: t.Sequence[str]) -> str:
    return _address.server_url(bind, port, names)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"server_url": server_url}
