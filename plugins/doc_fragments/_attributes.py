# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description:
      - Can run in check mode and return the changes that it would make, without sending or running anything that changes the target.
    support: full
  diff_mode:
    description: Returns the differences. Secret values are hidden.
    support: full
  platform:
    description: Platforms on which the module can run.
    support: full
    platforms: posix
"""

    # A module whose second run changes nothing.
    IDEMPOTENT = r"""
options: {}
attributes:
  idempotent:
    description: A second run with the same options changes nothing and reports no change.
    support: full
"""

    # A module that only reads.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Never changes anything, so check mode behaves the same.
    support: full
  diff_mode:
    description: Never changes anything, so it returns no differences.
    support: N/A
  idempotent:
    description: Never changes anything.
    support: full
  platform:
    description: Platforms on which the module can run.
    support: full
    platforms: posix
"""

    ACTIONGROUP_XINFERENCE = r"""
options: {}
attributes:
  action_group:
    description: Reads its connection options from C(module_defaults) of the group.
    support: full
    membership: [modelops.inference.xinference]
"""

    ACTIONGROUP_DIFY = r"""
options: {}
attributes:
  action_group:
    description: Reads its connection options from C(module_defaults) of the group.
    support: full
    membership: [modelops.inference.dify]
"""
