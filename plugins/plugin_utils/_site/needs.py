# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables that each playbook validates: those that it needs, so that a wrong one of another subject does not stop it.

A host can be drained or removed while its lists of models and users are half edited. Pure. Private to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.modelops.inference.plugins.plugin_utils._site import rotation, worker_stop
from ansible_collections.modelops.inference.plugins.plugin_utils._site.settings import Refusals, Settings


class PlaybookNeeds(t.NamedTuple):
    """
    :param roles: whose variables are validated, and their names.
    :param also: variables of other roles, of which name, type and choice are validated.
    :param users: whether users of the inventory are made.
    :param installs: whether a release is installed that the inventory names.
    :param own: refusals of the playbook itself.
    """

    roles: tuple[str, ...]
    also: tuple[str, ...] = ()
    installs: bool = False
    users: bool = True
    own: t.Callable[[Settings], Refusals] | None = None

    def names(self, roles: t.Mapping[str, str]) -> list[str]:
        """
        :param roles: of each variable its role.
        """
        left_out = () if self.users else ("xinference_users",)
        return [
            name for name, role in roles.items() if (role in self.roles or name in self.also) and name not in left_out
        ]


_HOST = PlaybookNeeds(("xinference",), users=False)
# They may remove a driver.
_REMOVAL = PlaybookNeeds(("xinference",), ("accelerator_state", "accelerator_reboot_ok"), users=False)
# They launch the declared models again, and must not find out after a server has stopped that its list is wrong.
_SERVES = PlaybookNeeds(("xinference", "models"))

PLAYBOOKS: dict[str, PlaybookNeeds] = {
    "site": PlaybookNeeds(("accelerator", "xinference", "models", "dify"), installs=True),
    "bundle": PlaybookNeeds(("accelerator", "xinference", "models", "dify"), installs=True),
    "upgrade": PlaybookNeeds(("accelerator", "xinference", "models"), installs=True),
    "rollback": _SERVES,
    "restart": _SERVES,
    # The new key goes to the Difys.
    "rotate": PlaybookNeeds(("xinference", "dify"), users=False, own=rotation.refusals),
    # The models of a server are captured, whatever the inventory declares. Of dify_targets the connection is enough.
    "capture": PlaybookNeeds(("xinference",), ("dify_capture_dest",), users=False),
    "drain": _HOST._replace(own=worker_stop.refusals),
    "undrain": _HOST._replace(own=worker_stop.refusals),
    "reload": _HOST,
    "decommission": _REMOVAL._replace(own=worker_stop.refusals),
    "remove": _REMOVAL,
}
