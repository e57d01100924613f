# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_connection.py: DIFY_ACCOUNT.
    DOCUMENTATION = r"""
options:
  url:
    description: URL of Dify as the machine that runs the module reaches it, without C(/console/api) and without credentials.
    type: str
    required: true
  email:
    description:
      - Email address of an owner or admin of the workspace.
      - Set either this option with O(password), or O(admin_key). An admin key requires the IDs of workspaces.
    type: str
  password:
    description:
      - Password of the account. The task makes one login attempt and never repeats it, because six failures lock the account for a day.
    type: str
  admin_key:
    description:
      - Value of C(ADMIN_API_KEY) in Dify's container C(api), with C(ADMIN_API_KEY_ENABLE=true). The key acts as the owner of a workspace.
        It needs no login and does not switch the workspace of an account.
      - Dify 1.9.2 to 1.10 do not accept an admin key. The module reports this before it sends the key.
    type: str
  workspace_file:
    description:
      - Path of a file on the machine that runs the module. For each Dify and account, the file stores the default workspace. While the
        module has switched the account to another workspace, the file also stores the account's original workspace. It contains no secret.
      - If a run is killed in that state, the account stays switched. The next run with the same file restores the workspace. In check mode
        that run fails instead. Keep the file between plays.
      - The module creates the file when it has data to store.
    type: path
  daemon_timeout:
    description:
      - Time in seconds that a run waits while Dify's plugin daemon is down, such as after a restart of Dify (1.0 and later). The module
        repeats idempotent requests with pauses. Dify before 1.4 answers such requests with status 500 and no reason. If its list of plugins
        also fails with 500, the module concludes that the daemon is down.
    type: float
    default: 60
notes:
  - The module needs C(requests). Run it on the controller (C(delegate_to=localhost)).
"""

    # The options of DIFY_OPTIONS in addition to those of DIFY_ACCOUNT.
    WORKSPACE = r"""
options:
  workspace:
    description:
      - Name or ID of the workspace. The default is O(default_workspace), or else the workspace that O(workspace_file) stores, or else the
        account's current workspace.
      - With O(admin_key) this option is required and must be an ID.
      - Dify stores the current workspace for the account. Two simultaneous runs with one account must use the same workspace. A run that
        made a change fails if it finds the account in another workspace afterwards.
    type: str
  default_workspace:
    description:
      - Name or ID of the workspace to use if O(workspace) is unset, regardless of the account's current workspace.
      - The file O(workspace_file) stores its ID. Later runs use the stored ID even if the workspace is renamed in Dify or this option is
        unset. If this option names another workspace, the module looks it up again.
      - It applies to an account and cannot be combined with O(admin_key).
    type: str
  session_file:
    description:
      - Path of a file, on the machine that runs the module, that shares one login per Dify between the tasks of a play. The module creates
        the file with mode 0600. The file contains tokens, so put it into a private directory that the play removes at its end.
      - The module replaces content that is invalid, older than 50 minutes, or rejected by Dify. Tasks that run at the same time wait for
        each other's login. The module ignores this option with O(admin_key).
      - The file also records a login attempt that was rejected or whose answer was lost. For ten minutes after that, the module does not
        try the same password again. Without the file, each task makes its own attempt. Without O(workspace_file), this file also stores the
        workspaces.
    type: path
"""
