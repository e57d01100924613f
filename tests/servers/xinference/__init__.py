# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An Xinference of a given release to test against: ``XinferenceServer("4.1.0")``, or ``python -m servers.xinference``.

It plays what the recordings under tests/contract/recordings/xinference show, and the contract test holds it to them.
Models "load" for as long as it is told. It shares no code with the collection, so that a mistake there cannot hide here.
"""

from __future__ import annotations

from .actors import package
from .behaviour import Behaviour
from .profiles import PROFILES, Profile
from .server import PASSWORD, SETUP_TOKEN, USERNAME, Fault, XinferenceServer

__all__ = [
    "Behaviour",
    "Fault",
    "PASSWORD",
    "PROFILES",
    "Profile",
    "SETUP_TOKEN",
    "USERNAME",
    "XinferenceServer",
    "package",
]
