# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import program

DOCUMENTATION = r"""
name: reconciler_digest
short_description: Digest of the reconciler's program as this collection would install it
version_added: 0.1.0
author: The modelops.inference maintainers (@modelops)
description:
  - Compared with the file on a host, it says whether M(modelops.inference.xinference_reconciler) would change anything.
options:
  _input:
    description: Directory of the installation on the host.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The program is another one
  ansible.builtin.debug:
    msg: modelops-reconcile would be replaced
  when: my_found.files[my_program].sha256 != '/opt/xinference' | modelops.inference.reconciler_digest
"""

RETURN = r"""
_value:
  description: SHA-256 of the file.
  type: str
"""


def reconciler_digest(base: str) -> str:
    return hashlib.sha256(program.reconciler(base)).hexdigest()


class FilterModule:
    @staticmethod
    def filters() -> dict[str, t.Any]:
        return {"reconciler_digest": reconciler_digest}
