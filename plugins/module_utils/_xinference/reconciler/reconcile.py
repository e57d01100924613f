# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""modelops-reconcile: brings back the declared models, and replicas of them, that are missing from an Xinference.

It runs on the supervisor's host in the environment of Xinference, without Ansible, as the user of the service: after each
start of the service and once a minute (systemd's timer), or all the time (supervisord). One turn looks, does what repairs.py
says, and goes on looking while something loads. Private to the collection.

The directory holds, beside declared.json (declared.py): state.json (what it knows), status.json and metrics.prom (what
others read), password (of its own user on the server) and paused.json.
"""

from __future__ import annotations

import os
import sys
import time
import typing as t

from ansible_collections.modelops.inference.plugins.module_utils import _disk, _session
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._session import Session
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Record, Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import repairs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.options import Options, parser
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.state import (
    file_identity,
    load_state,
    read,
    save_state,
    write,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.status import (
    RESULTS,
    is_late,
    lines_of,
    put,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.turn import (
    JITTER,
    Turn,
)

# Seconds between two looks at what ends the pause between turns.
_WATCH = 5.0


def loop(options: Options) -> int:
    """A turn at each interval, and soon after a restart of the server or a run of Ansible.

    Ends where its environment was replaced by that of another release: its service starts it anew, with that one's Python.
    """
    declared, environment = options.path("declared.json"), os.path.realpath(sys.prefix)
    while os.path.realpath(sys.prefix) == environment:
        Turn(options).run()
        known = file_identity(declared)
        started, end = load_state(options).started, time.monotonic() + options.interval
        while time.monotonic() < end and file_identity(declared) == known and not _restarted(options, started):
            time.sleep(_WATCH)
            if os.path.realpath(sys.prefix) != environment:
                break
    return 0


def _restarted(options: Options, started: float | None) -> bool:
    try:
        status = Session(options.endpoint, proxy="", retries=0).get("/status").json
        return started is not None and time.time() - status["uptime"] - started > JITTER
    except (ModelopsError, TypeError, KeyError):
        return False


def show(options: Options) -> int:
    """Prints the last turn for a person."""
    path = options.path("status.json")
    status = read(path)
    if status is None and not os.path.lexists(path):
        put(f"It has not run yet: {path} does not exist")
        return 1
    try:
        now = time.time()
        lines, code = lines_of(options, status, now), int(status["exit"])
        late = is_late(status, now)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ModelopsError(
            f"{path} is not in the format of this program. Remove it; the next turn rewrites it."
        ) from None
    for line in lines:
        put(line)
    return code or (RESULTS["the server does not answer"] if late else 0)


def pause(options: Options, seconds: float | None, reason: str) -> int:
    until = None if seconds is None else time.time() + seconds
    write(options, "paused.json", {"until": until, "reason": reason}, 0o644)
    put("paused" + (f" for {progress.duration(seconds)}" if seconds is not None else ", until resume"))
    return 0


def hold(options: Options, seconds: float) -> int:
    """Holds the reconciler, as a run of Ansible does before it restarts the server or declares other models."""
    store = Store(options.path("declared.json"))
    with store.lock():
        Record(store).busy(seconds)
    put(f"on hold for {progress.duration(seconds)}, or until the next run of xinference_models")
    return 0


def resume(options: Options) -> int:
    """Ends a pause, and retries the models that were given up."""
    with Store(options.path("declared.json")).lock():
        state = load_state(options)
        state.models = {uid: repairs.retry(known) for uid, known in state.models.items()}
        state.refused = None
        save_state(options, state)
    with Directory.at(options.directory) as directory:
        directory.unlink("paused.json")
    put("resumed; the next turn retries the models that were given up")
    return 0


def main(argv: t.Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = vars(parser().parse_args(argv))
    command, seconds, reason = given.pop("command"), given.pop("seconds", None), given.pop("reason", "")
    options = Options(**given)
    try:
        if command in ("run", "loop") and _session.REQUESTS_IMPORT_ERROR is not None:
            raise ModelopsError(f"{sys.executable} has no 'requests': run it with the environment of Xinference")
        if command == "run":
            return Turn(options).run()
        if command == "loop":
            return loop(options)
        if command == "status":
            return show(options)
        if command == "hold":
            return hold(options, seconds)
        return pause(options, seconds, reason) if command == "pause" else resume(options)
    except (ModelopsError, OSError) as exc:
        put(f"modelops-reconcile: {exc}{_disk.advice(str(exc), [options.directory], here=True)}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
