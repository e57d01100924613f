# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_connection.py: XINFERENCE_OPTIONS.
    DOCUMENTATION = r"""
options:
  endpoint:
    description: URL of the Xinference API as the machine that runs the module reaches it, without credentials.
    type: str
    default: http://127.0.0.1:9997
  username:
    description: User name of the administrator. The module ignores it if the server has no authentication.
    type: str
    default: admin
  password:
    description:
      - Password of the administrator. Management requires it, because an API key of Xinference 3.0 and later can only list, describe and
        infer.
      - The module makes one login attempt and never repeats it, because the server bans an address for an hour after ten invalid tokens.
    type: str
  password_file:
    description: Path of a file with the password, on the machine that runs the module. The module uses it if O(password) is unset.
    type: path
notes:
  - The module needs C(requests). On a managed host, run it with the interpreter of the Xinference environment,
    C(<xinference_dir>/current/bin/python). On the controller, run it with the Python that runs Ansible.
"""
