# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Dify of a given release to test against: ``DifyServer("1.9.2")``, or ``python -m servers.dify --profile 1.9.2``.

It plays what the recordings under tests/contract/recordings/dify show, and the contract test holds it to them. It
shares no code with the collection, so that a mistake there cannot hide here.
"""

from __future__ import annotations

from .profiles import PROFILES, UNRECORDED, Profile
from .server import DifyServer, Fault
from .state import Credential, Model, Workspace
from .xinference import Backend, Served, Upstream

__all__ = [
    "Backend",
    "Credential",
    "DifyServer",
    "Fault",
    "Model",
    "PROFILES",
    "Profile",
    "Served",
    "UNRECORDED",
    "Upstream",
    "Workspace",
]
