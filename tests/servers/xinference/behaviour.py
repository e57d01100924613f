# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a model of the test server loads and answers."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass
class Behaviour:
    """Of one UID, from the next launch on.

    :param seconds: how long it loads.
    :param apart: seconds by which each further replica is ready later; the instance is with the first one.
    :param added: how long a replica that is added loads.
    :param full: whether no worker has room for a replica that is added.
    :param error: the launch ends with this text.
    :param hangs: it never gets ready, until it is cancelled.
    :param deaf: seconds after the launch for which a cancel is taken and does nothing.
    :param download: bytes that it downloads in the first half of that time.
    :param forgets: the server forgets the launch, as after a restart.
    :param hidden: seconds for which inference answers 404 although the model is ready.
    :param answers: whether inference works; else it is a 500.
    :param dimensions: length of its vectors, instead of the defined one.
    :param order: the order in which it ranks documents.
    :param picture: the file that it paints, instead of a JPEG of the wanted size.
    :param sound: what it speaks, instead of half a second of noise.
    :param refuses: inference ends with this text.
    :param once: only of the next launch.
    """

    seconds: float = 0.1
    apart: float = 0
    added: float = 0
    full: bool = False
    error: str | None = None
    hangs: bool = False
    deaf: float = 0
    download: int = 0
    forgets: bool = False
    hidden: float = 0
    answers: bool = True
    dimensions: int | None = None
    order: t.Sequence[int] = (1, 0, 2)
    picture: bytes = b""
    sound: bytes = b""
    refuses: str = ""
    once: bool = False
