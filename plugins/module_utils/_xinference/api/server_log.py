# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reasons of failed launches in the server's log. Private to the collection. Pure.

The end of the log holds the answers to this collection's own looks, each with a traceback of some fifty lines; the cause stands
above them. So the errors of a launch are found by the model and by the server's number of the request.
"""

from __future__ import annotations

import calendar
import contextlib
import re
import time
import typing as t
from dataclasses import dataclass, field

# Lines that are told, and characters of each.
_LINES, _WIDTH = 20, 400
# Seconds by which the clocks of the server and of this process may differ.
_CLOCKS = 2.0

# Of 2.12.0 and later: 2026-11-22T10:49:35.860Z ERROR xinference.core.worker pid:1 role:local address:127.0.0.1:1 node:vm TEXT
# Of 1.17.1: 2026-11-22 10:49:35,860 xinference.core.worker 1 ERROR    TEXT
_HEAD = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d)[.,]\d+(?P<utc>Z?) "
    r"(?:(?P<level>[A-Z]+) \S+ pid:\S* role:\S* address:\S* node:\S* |\S+ +\d+ (?P<old>[A-Z]+)\s+)(?P<text>.*)"
)
_REQUEST = re.compile(r"\[request ([\w-]+)\]")
_ADDRESS = re.compile(r"\[address=[^\]]*\] ")
# Wrappings that parts of the server put around the same reason.
_AROUND = re.compile(
    r"^(?:\[request [\w-]+\] |\[address=[^\]]*\] |Leave \w+, error: |Failed to launch replica \S+: )+|, elapsed time: .*$"
)
# Answers to looks and to the end of what does not run.
_LOOKS = re.compile(
    r"Leave (?:describe\w*|get_\w+|list_\w+|terminate\w*|cancel\w*), error: |Model not found in the model list|not yet ready for inference"
)
# The line of a traceback that names its error. The first one of a chain is the cause.
_RAISED = re.compile(r"[A-Za-z_][\w.]*(?i:error|exception|timeout|exit|interrupt)\w*(?::.*)?$")


@dataclass
class LogMessage:
    """One message of the log, with the lines below it."""

    when: float | None
    level: str
    text: str
    more: list[str] = field(default_factory=list)

    @property
    def looks(self) -> bool:
        """Whether it only answers a look."""
        return self.level == "ERROR" and bool(_LOOKS.search(self.text))


def entries(text: str) -> list[LogMessage]:
    """The messages of a log; lines before the first one, and of another form, are one without a time."""
    found: list[LogMessage] = []
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            found.append(LogMessage(_when(head), head["level"] or head["old"], head["text"]))
        elif found:
            found[-1].more.append(line)
        else:
            found.append(LogMessage(None, "", line))
    return found


def _when(head: re.Match[str]) -> float | None:
    """The time since the epoch; None for text that is not a time: models print to the log, too."""
    with contextlib.suppress(ValueError, OverflowError):
        moment = time.strptime(f"{head['date']} {head['time']}", "%Y-%m-%d %H:%M:%S")
        return calendar.timegm(moment) if head["utc"] else time.mktime(moment)
    return None


def of_launches(text: str, names: t.Collection[str], since: float) -> list[str]:
    """The errors of launches without duplicates.

    :param names: UIDs and names of the models.  :param since: when the first launch began, in seconds since the epoch.
    """
    recent = [entry for entry in entries(text) if entry.when is not None and entry.when >= since - _CLOCKS]
    # A replica has the name of its model with a number.
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    named = re.compile(rf"(?<![\w.-])(?:{words})(?:-(?:rep)?\d+)*(?![\w-])")
    requests = {
        match[1] for entry in recent if named.search(entry.text) for match in [_REQUEST.search(entry.text)] if match
    }
    lines: list[str] = []
    told: list[str] = []

    def tell(line: str) -> None:
        line = _ADDRESS.sub("", line)
        if line and not any(line in known for known in told):
            told.append(line)
            lines.append(f"  {line[:_WIDTH]}")

    for entry in recent:
        request = _REQUEST.search(entry.text)
        ours = named.search(entry.text) or (request and request[1] in requests)
        if entry.level not in ("ERROR", "CRITICAL") or entry.looks or not ours:
            continue
        for line in entry.more:
            if _RAISED.match(line):
                tell(line)
        tell(_AROUND.sub("", entry.text))
    return lines[:_LINES]


def without_looks(text: str) -> str:
    """The log without the answers to looks and their tracebacks, for the end of it."""
    kept: list[str] = []
    skips = False
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            skips = LogMessage(None, head["level"] or head["old"], head["text"]).looks
        if not skips:
            kept.append(line)
    return "\n".join(kept)
