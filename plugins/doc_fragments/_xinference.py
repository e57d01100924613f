# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_connection.py: XINFERENCE_OPTIONS.
    DOCUMENTATION = r"""
options:
  endpoint:
    description: URL of the Xinference API, as the machine that runs the module reaches it, without a login in it.
    type: str
    default: http://127.0.0.1:9997
  username:
    description: Administrator's name. Not used where the server has no authentication.
    type: str
    default: admin
  password:
    description:
      - Administrator's password. Managing needs it, an API key of 3.0 and later can only list, describe and infer.
      - One attempt is made and never repeated, because ten bad tokens ban the address for an hour.
    type: str
  password_file:
    description: File that holds the password, on the machine that runs the module. Used where O(password) is unset.
    type: path
notes:
  - The module needs C(requests). On a host, run it with the interpreter of the Xinference environment,
    C(<xinference_dir>/current/bin/python); on the controller with the one that runs Ansible.
"""
