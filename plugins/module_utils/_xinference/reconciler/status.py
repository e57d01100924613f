# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last turn for others: status.json, metrics of Prometheus, a person's screen, and the log. Private to the collection."""

from __future__ import annotations

import os
import sys
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import write_file
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import repairs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.options import Options
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.state import (
    ReconcilerState,
    paused,
    read,
    write,
    written_at,
)

# Seconds beyond the interval after which the last turn says nothing of now.
_LATE = 30.0
#: Result of a turn -> exit status. 1 is an error that nobody expected, 2 a wrong command line.
RESULTS = {
    "as declared": 0,
    "as declared, but for what differs": 0,
    "paused": 0,
    "nothing is declared": 0,
    "a run of Ansible is at work": 0,
    "on the way": 3,
    "the server does not answer": 4,
    "gave up": 5,
    "login refused": 6,
    "error": 1,
}


@dataclass(frozen=True)
class Report:
    """The end of a turn, or where it is.

    :param message: why it ended so; may be empty.  :param release: of the server.
    :param fresh: whether the models were looked at in this turn.
    """

    result: str
    message: str
    release: str
    state: ReconcilerState
    fresh: bool


def report(options: Options, turn: Report) -> None:
    """Writes the status file and the metrics, and logs the changes."""
    models = sorted(turn.state.models.items())
    status = {
        "format": 1,
        "time": time.time(),
        "result": turn.result,
        "exit": RESULTS[turn.result],
        "message": turn.message,
        "release": turn.release,
        "endpoint": options.endpoint,
        "paused": paused(options),
        "interval": options.interval,
        "models": {uid: shown(known, turn.state.looked, turn.fresh) for uid, known in models},
    }
    last = read(options.path("status.json"))
    last = last if isinstance(last, dict) else {}
    if (last.get("result"), last.get("message")) != (turn.result, turn.message):
        say(turn.result + (f": {turn.message}" if turn.message else ""))
    write(options, "status.json", status, 0o644)
    text = metrics(status)
    write(options, "metrics.prom", text, 0o644)
    if options.metrics_dir:
        try:
            write_file(os.path.join(options.metrics_dir, "modelops_reconcile.prom"), text, 0o644)
        except OSError as exc:
            say(f"{options.metrics_dir} cannot be written: {exc.strerror}")


_SHOWN = ("state", "since", "attempts", "next_try", "error", "differs", "launches", "serves")
_OLD = {"state": repairs.UNKNOWN, "serves": None}


def shown(known: repairs.Known, looked: float | None, fresh: bool) -> dict[str, t.Any]:
    """A model in the status file.

    :param looked: when it was looked at last.  :param fresh: whether that was in this turn; otherwise its state is unknown, and
        ``last`` what it was.
    """
    ready, wanted = known.replicas
    row = {**{key: getattr(known, key) for key in _SHOWN}, "last": known.state, "seen": looked}
    # The error before it was ready is kept for a while, for the next failure.
    row["error"] = None if known.state == repairs.READY else row["error"]
    return {**row, **({} if fresh else _OLD), "replicas": {"wanted": wanted, "ready": ready if fresh else None}}


def _number(value: t.Any) -> str:
    """A sample's value: NaN where it is unknown."""
    return "NaN" if value is None else str(value + 0)


def metrics(status: t.Mapping[str, t.Any]) -> str:
    """The status as Prometheus' text format, for node_exporter's textfile collector. Pure."""
    rows = status["models"].items()
    families: list[tuple[str, str, str, list[tuple[str, t.Any]]]] = [
        ("time_seconds", "gauge", "When the last turn ended.", [("", status["time"])]),
        (
            "exit_status",
            "gauge",
            "Exit status of the last turn, see modelops-reconcile --help.",
            [("", status["exit"])],
        ),
        ("paused", "gauge", "Whether it is paused.", [("", bool(status["paused"]))]),
        ("model_ready", "gauge", "Whether the model serves, NaN where unknown.", [(u, r["serves"]) for u, r in rows]),
        ("model_seen_seconds", "gauge", "When the model was looked at last.", [(u, r["seen"]) for u, r in rows]),
        ("model_replicas_wanted", "gauge", "Replicas declared.", [(u, r["replicas"]["wanted"]) for u, r in rows]),
        ("model_replicas_ready", "gauge", "Replicas that serve.", [(u, r["replicas"]["ready"]) for u, r in rows]),
        (
            "model_differs",
            "gauge",
            "Whether it runs otherwise than declared.",
            [(u, None if r["state"] == repairs.UNKNOWN else bool(r["differs"])) for u, r in rows],
        ),
        (
            "model_gave_up",
            "gauge",
            "Whether it is no longer tried.",
            [(u, r["last"] == repairs.GAVE_UP) for u, r in rows],
        ),
        ("model_attempts", "gauge", "Launches since it was last stable.", [(u, r["attempts"]) for u, r in rows]),
        (
            "model_launches_total",
            "counter",
            "Launches by the reconciler, of the model or of another replica.",
            [(u, r["launches"]) for u, r in rows],
        ),
    ]
    lines = []
    for name, kind, text, samples in families:
        lines += [f"# HELP modelops_reconcile_{name} {text}", f"# TYPE modelops_reconcile_{name} {kind}"]
        for uid, value in samples:
            label = uid.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            lines.append(f"modelops_reconcile_{name}" + (f'{{uid="{label}"}}' if uid else "") + f" {_number(value)}")
    return "\n".join(lines) + "\n"


def tell(uid: str, was: repairs.Known, now: repairs.Known) -> None:
    """One line in the log for each change of a model's state."""
    same = (was.state, was.error, was.differs) == (now.state, now.error, now.differs)
    if same and (now.state != repairs.FEWER or (was.launched, was.replicas) == (now.launched, now.replicas)):
        return
    line = f"{uid}  {now.state}"
    if now.state == repairs.FEWER:
        line += f": {now.replicas[0]} of {now.replicas[1]}" + (", another one loads" if now.launched else "")
    if now.state in (repairs.LOADING, repairs.FEWER) and now.launched is not None:
        line += f" (launch {now.attempts})"
    if now.state == repairs.READY and was.state != repairs.UNKNOWN:
        line += f" after {progress.duration(now.since - was.since)}"
    if now.state in (repairs.WAITING, repairs.BROKEN, repairs.GAVE_UP):
        line += f": {now.error}"
    if now.differs:
        line += f", runs otherwise than declared: {', '.join(now.differs)}"
    say(line)


def put(line: str, to: t.TextIO | None = None) -> None:
    """A line on the screen, or in the journal."""
    to = to or sys.stdout
    to.write(f"{line}\n")
    to.flush()


def say(line: str) -> None:
    # The journal has the time; a log of supervisord has not.
    stamp = "" if "JOURNAL_STREAM" in os.environ else time.strftime("%Y-%m-%dT%H:%M:%S%z ")
    put(f"{stamp}{line}")


def lines_of(options: Options, status: t.Any, now: float) -> list[str]:
    """The last turn in words."""
    lines = [
        f"{status['result']}, {progress.duration(now - status['time'])} ago, Xinference {status['release']} on {status['endpoint']}"
    ]
    if status["message"]:
        lines.append(f"  {status['message']}")
    if written_at(options.path("declared.json")) > status["time"]:
        lines.append("  a run of Ansible, or a drain, was at work since then: the next turn looks at what it left")
    late = is_late(status, now)
    if late:
        lines.append("  since then it did not run, or waits for the server: what the models do now is unknown")
    hold = paused(options)
    if hold:
        until = (
            time.strftime("until %Y-%m-%d %H:%M:%S %Z", time.localtime(hold["until"]))
            if hold["until"]
            else "until resume"
        )
        lines.append(f"paused {until}" + (f": {hold['reason']}" if hold["reason"] else ""))
    width = max(map(len, status["models"]), default=0)
    for uid, row in status["models"].items():
        lines.append(f"  {uid:{width}}  {state_line(row, now, late)}")
        for text in [row["error"] or "", *(f"differs: {item}" for item in row["differs"])]:
            if text:
                lines.append(f"  {'':{width}}    {text.splitlines()[0]}")
    return lines


def is_late(status: t.Mapping[str, t.Any], now: float) -> bool:
    """Whether the last turn is too long ago to tell of now."""
    return bool(now - status["time"] > status.get("interval", 60) + _LATE)


def state_line(row: t.Mapping[str, t.Any], now: float, late: bool) -> str:
    """A model of the status file for a person. Pure.

    :param late: whether the turn that wrote it is too long ago to tell of now.
    """
    counts = row["replicas"]
    if late or row["state"] == repairs.UNKNOWN:
        seen: t.Any = row.get("seen")
        last = row.get("last")
        never = seen is None or last == repairs.UNKNOWN
        line = "unknown, " + ("not looked at yet" if never else f"{last} {progress.duration(now - seen)} ago")
    else:
        line = f"{row['state']} for {progress.duration(now - row['since'])}"
    if row["next_try"]:
        line += f", next launch in {progress.duration(max(0, row['next_try'] - now))}"
    if row["attempts"] and row["state"] != repairs.READY:
        line += f", {row['attempts']} launches"
    if not late and 0 < (counts["ready"] or 0) < counts["wanted"]:
        line += f", {counts['ready']} of {counts['wanted']} replicas serve"
    return line
