# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress lines of an action plugin. Private to the collection.

In a terminal one line moves, where one host is in the play: lines of several hosts would overwrite one another. Elsewhere there is
a line for each change of state. All of it goes through Ansible's Display, which workers write to in the order of their results, so
the line is gone before the result is shown.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
import typing as t

from ansible.utils.display import Display

from ansible_collections.modelops.inference.plugins.module_utils import _secrets
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.progress import duration
from ansible_collections.modelops.inference.plugins.plugin_utils._terminal import WIDTH, lines_may_move, quiet, setting

display = Display()
# Seconds: between two looks of the moving line, until it appears, until a log says that a task goes on, and that it still does.
_TICK, _SOON, _LONG, _AGAIN = 1.0, 2.0, 15.0, 300.0
# States of a thing on its way. Others are news, and stay on the screen.
_DOING = re.compile(r"(?:downloading|copying|installing|loading on|starting|verifying)\b")
_FIGURES = re.compile(r" \d.*")
_CLEAR = "\x1b[K"


class Progress:
    """The progress of one task on one host; a context in which it is shown.

    :param name: of the task.
    :param host: before each line; "" where the play has no other.
    :param shown: whether anything is shown.
    """

    def __init__(self, name: str, host: str, shown: bool = True):
        self.moves = shown and not host and lines_may_move()
        self._name, self._prefix, self._shown = name, f"{host}: " if host else "", shown
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._doing: dict[str, str] = {}
        self._said: dict[str, tuple[str, float]] = {}
        self._painted = False
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Progress:
        if self._shown:
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._clear()

    def show(self, lines: t.Iterable[str]) -> None:
        """:param lines: ``THING  STATE``, with two spaces between them; or other texts."""
        if not self._shown:
            return
        with self._lock:
            for line in lines:
                self._line(_secrets.redacted(line))
            if self.moves and self._doing:
                self._paint()

    def _line(self, line: str) -> None:
        thing, _spaces, state = line.partition("  ")
        doing = bool(_DOING.match(state))
        self._doing.pop(thing, None)
        if doing and self.moves:
            self._doing[thing] = state
        if doing and not self._is_news(thing, _FIGURES.sub("", state)):
            return
        if doing and self.moves:
            display.display(f"  {line}", log_only=True)
            return
        self._clear()
        failed = state.startswith("failed")
        display.display(f"  {self._prefix}{line}", **({"color": setting("COLOR_ERROR")} if failed else {}))

    def _is_news(self, thing: str, state: str) -> bool:
        """Whether the state is another than before, or is so for long."""
        now = time.monotonic()
        before, since = self._said.get(thing, ("", 0.0))
        if state == before and now - since < _AGAIN:
            return False
        self._said[thing] = (state, now)
        return True

    def _tick(self) -> None:
        while not self._ended.wait(_TICK):
            passed = time.monotonic() - self._begun
            with self._lock:
                if self.moves and passed >= _SOON:
                    self._paint()
                elif not self.moves and passed >= _LONG and not self._said:
                    display.display(f"  {self._prefix}{self._name}: still running after {duration(passed)}")
                    self._said[""] = ("", 0.0)

    def _paint(self) -> None:
        """Writes the moving line, and leaves the cursor at its beginning: whatever comes next overwrites it."""
        doing = ", ".join(f"{thing}  {state}" for thing, state in self._doing.items()) or self._name
        took = f"  {duration(time.monotonic() - self._begun)}"
        room = min(WIDTH, int(display.columns or WIDTH)) - len(took) - 3
        text = doing if len(doing) <= room else f"{doing[: room - 3]}..."
        display.display(f"\r  {text}{took}{_CLEAR}\r", screen_only=True, newline=False)
        self._painted = True

    def _clear(self) -> None:
        if self._painted:
            display.display(f"\r{_CLEAR}", screen_only=True, newline=False)
            self._painted = False


_current: list[Progress] = []


@contextlib.contextmanager
def progress(task: t.Any, known: t.Mapping[str, t.Any] | None) -> t.Iterator[Progress]:
    """The progress of a task; within a step's that of the step.

    :param known: variables of the task.
    """
    if _current:
        yield _current[-1]
        return
    name = str(task.get_name()).rpartition(" : ")[2]
    with Progress(name, _host(known), shown=not task.no_log and not quiet()) as mine:
        _current.append(mine)
        try:
            yield mine
        finally:
            _current.remove(mine)


def moves(known: t.Mapping[str, t.Any] | None) -> bool:
    """Whether a person sees a line that moves, and wants it to move often."""
    return not _host(known) and not quiet() and lines_may_move()


def _host(known: t.Mapping[str, t.Any] | None) -> str:
    """The host, where the play has others."""
    known = known or {}
    return str(known.get("inventory_hostname")) if len(known.get("ansible_play_hosts") or ()) > 1 else ""
