# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options of module_utils/_connection.py: DIFY_ACCOUNT.
    DOCUMENTATION = r"""
options:
  url:
    description: Dify's address, as the machine that runs the module reaches it, without C(/console/api) and without a login in it.
    type: str
    required: true
  email:
    description:
      - E-mail address of an owner or administrator of the workspace.
      - Either this and O(password), or O(admin_key), which works in workspaces that are named by their ID.
    type: str
  password:
    description:
      - Its password. The task makes one attempt and never repeats it, because six failures lock the account for a day.
    type: str
  admin_key:
    description:
      - Key that Dify's container C(api) has in C(ADMIN_API_KEY), with C(ADMIN_API_KEY_ENABLE=true). It acts as the owner of
        a workspace, without a login and without switching the workspace of an account.
      - Dify 1.9.2 to 1.10 do not accept it, which is told before it is sent.
    type: str
  workspace_file:
    description:
      - File, on the machine that runs the module, that remembers by Dify and account, without any secret, which workspace
        was named as the default one, and to which one the account belongs while the module has switched it to another.
      - A run that was killed meanwhile leaves the account switched. The next one with the same file puts it back, except in
        check mode, which fails. Keep the file between plays.
      - It is made where there is something to remember.
    type: path
  daemon_timeout:
    description:
      - Seconds that a run waits while Dify's plugin daemon is down (from 1.0 on), as after a restart of Dify. Requests that
        may be repeated are, with pauses. Before 1.4 Dify answers then with a 500 that says nothing; where its list of plugins
        ends in one, too, it is taken for that.
    type: float
    default: 60
notes:
  - The module needs C(requests) and runs well on the controller (C(delegate_to=localhost)).
"""

    # Those that DIFY_OPTIONS has beside them.
    WORKSPACE = r"""
options:
  workspace:
    description:
      - Name or ID of the workspace. Unset takes O(default_workspace), else the one that O(workspace_file) remembers, else the
        account's current one.
      - With O(admin_key) its ID, which is required.
      - Which one is current Dify keeps for the account. Two runs at a time with one account must work in the same one; a
        run that changed something fails where it finds the account in another one afterwards.
    type: str
  default_workspace:
    description:
      - Name or ID of the workspace that an unset O(workspace) means, wherever the account is at the moment.
      - It is named once. O(workspace_file) then remembers its ID, also where it gets another name in Dify or this is unset
        again. Another name here is looked up anew.
      - Of an account, and not with O(admin_key).
    type: str
  session_file:
    description:
      - File, on the machine that runs the module, that keeps the login for other tasks, so that a play logs in once at
        each Dify. It is made with mode 0600 where it does not exist, and holds tokens; put it into a directory of your
        own that the play removes at its end.
      - Content that cannot be used, that is older than 50 minutes or that Dify refuses is replaced. Tasks that run at the
        same time wait for each other's login. Unused with O(admin_key).
      - It also tells of an attempt that was refused, or whose answer was lost, and none is made with the same password for ten
        minutes after it; without the file each task makes its own. Without O(workspace_file) it remembers the same, too.
    type: path
"""
