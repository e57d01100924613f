# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Users and keys of an Xinference server.
    DOCUMENTATION = r"""
options:
  setup_token:
    description: Setup token of a server of Xinference 4.x that has no administrator yet.
    type: str
  setup_log:
    description: Path of the server's log file that contains the setup token, on the machine that runs the module.
    type: path
  users:
    description: Users in addition to the administrator. The module does not change other users.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      password:
        description: Password of the user. The module uses it only when it creates the user.
        type: str
      password_path:
        description:
          - Path of a file with the password on the machine that runs the module. If the file is missing, the module generates a password,
            sets it on the server and writes the file with mode 0600. The directory must exist. The file belongs to the owner of the
            directory.
        type: path
      permissions:
        description:
          - Complete list of the user's permissions, such as V(models:list), V(models:read), V(models:write), V(models:register) or
            V(admin).
          - If unset, the permissions of an existing user stay unchanged.
        type: list
        elements: str
      state:
        description: Whether the user exists.
        type: str
        choices: [present, absent]
        default: present
  keys:
    description: API keys for clients. The module does not change other keys.
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
          - Path of a file, on the machine that runs the module, to which the module writes the key with mode 0600. The directory must
            exist.
          - If the file contains a valid key, nothing changes. If the file is missing or its key is no longer valid, the module reads the
            key of this name from the server. If the server has no such key, the module creates one.
        type: path
      key:
        description:
          - Text of a key that already exists on the server, such as a key that was added before the first start. The module only verifies
            that the key is valid.
        type: str
      description:
        description: Free-text description. The module uses it only when it creates the key.
        type: str
      owner:
        description: Name of the user that owns the key. The module uses it only when it creates the key. The default is the administrator.
        type: str
      state:
        description: Whether the key exists. V(absent) also removes its file.
        type: str
        choices: [present, absent]
        default: present
"""
