# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Users and keys of an Xinference.
    DOCUMENTATION = r"""
options:
  setup_token:
    description: Setup token of a server of 4.x that nobody has claimed yet.
    type: str
  setup_log:
    description: Log file of the server, on the machine that runs the module, to find the setup token in.
    type: path
  users:
    description: Users besides the administrator. Others are not touched.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      password:
        description: Password, used only when the user is made.
        type: str
      password_path:
        description:
          - File on the machine that runs the module with the password. Where it is missing, a password is made, the user's is
            changed to it, and it is written with mode 0600; the file belongs to whoever owns its directory, which must exist.
        type: path
      permissions:
        description:
          - Exactly these permissions, such as V(models:list), V(models:read), V(models:write), V(models:register) or V(admin).
          - Unset leaves those of an existing user alone.
        type: list
        elements: str
      state:
        description: Whether the user exists.
        type: str
        choices: [present, absent]
        default: present
  keys:
    description: API keys for clients. Others are not touched.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the key on the server.
        type: str
        required: true
      path:
        description:
          - File on the machine that runs the module that receives the key, with mode 0600. Its directory must exist.
          - Where the file holds a key that works, nothing is changed. Where it is missing, or its key no longer works, the key of
            this name is read back from the server, or made where the server has none.
        type: path
      key:
        description:
          - Text of a key that the server has already, such as one put in before its first start. It is only verified to work.
        type: str
      description:
        description: Text for people, used only when the key is made.
        type: str
      owner:
        description: Name of the user that owns the key, used only when the key is made. Unset is the administrator.
        type: str
      state:
        description: Whether the key exists. V(absent) removes its file, too.
        type: str
        choices: [present, absent]
        default: present
"""
