# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work that repeats while a test does something else: clients that ask, turns of a reconciler."""

from __future__ import annotations

import contextlib
import threading


@contextlib.contextmanager
def repeated(do, pause: float):
    """Calls ``do`` in a thread until the end, with pauses in seconds, and yields the list of what it returns."""
    done, ends = [], threading.Event()

    def work():
        while not ends.wait(pause):
            done.append(do())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        ends.set()
        thread.join()
