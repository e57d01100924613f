# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""modelops-reconcile: brings back the declared models, and replicas of them, that are missing from an Xinference.

It runs on the supervisor's host in the environment of Xinference, without Ansible, as the user of the service: after each
start of the service and once a minute (systemd's timer), or all the time (supervisord). One turn looks, does what heal.py
says, and goes on looking while something loads. Private to the collection.

The directory holds, beside declared.json (declared.py): state.json (what it knows), status.json and metrics.prom (what
others read), password (of its own user on the server) and paused.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import time
import traceback
import typing as t
from dataclasses import asdict, dataclass, field, replace

from ansible_collections.modelops.inference.plugins.module_utils import _disk, _json, _session
from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils import _log as log
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, opened
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import installed
from ansible_collections.modelops.inference.plugins.module_utils._host.shell import write_file
from ansible_collections.modelops.inference.plugins.module_utils._session import Answer, ApiError, Session, Unreachable
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api import progress, releases
from ansible_collections.modelops.inference.plugins.module_utils._xinference.api.client import NEXT, Client
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration import (
    definitions,
    models,
    registration,
)
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Memory, Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.launching import launch
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import heal

USERNAME = "reconciler"
# Seconds between two looks while something loads, and between two at what ends the pause between turns.
_LOOK, _WATCH = 2.0, 5.0
# Seconds to wait for workers that were there before the server was restarted.
_WORKERS = 60.0
# Seconds beyond the interval after which the last turn says nothing of now.
_LATE = 30.0
# A restart moves the server's start by more than the seconds by which its clock may be off.
_JITTER = 5.0
# Seconds for which Xinference bans an address after ten failed logins.
_BAN = 3600.0
# Launches at the same time, as XINFERENCE_MAX_CONCURRENT_LAUNCHES of a worker.
_PARALLEL = 5
# Seconds to wait for another replica, whose request is answered when it is ready: long enough for a refusal. It loads on.
_ADDED = 5.0


class Refused(ModelopsError):
    """The server does not take the password, which is not tried again."""


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
STATUSES = """\
exit status of run, and of status for the last turn:
  0  as declared, also where a model runs otherwise and is left alone; or nothing to do (paused, nothing declared, Ansible is at work)
  1  an error that nobody expected
  3  a model is missing and will be launched, or is loading, or has fewer replicas and will get another one
  4  the server does not answer; of status also where the last turn is too long ago
  5  gave up on a model, see status: fix the cause, then resume
  6  the server refuses the login: fix the password file
"""


@dataclass(frozen=True)
class Settings:
    """What the command line says.

    :param release: Xinference's release, which decides how a launch request is written; "" is that of this environment.
    """

    directory: str
    endpoint: str = ""
    release: str = ""
    username: str = USERNAME
    password_file: str = ""
    attempts: int = 5
    ready_timeout: float = 300
    return_timeout: float = heal.RETURNS
    metrics_dir: str = ""
    interval: float = 60

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)


@dataclass
class State:
    """What is kept between two turns.

    :param started: when the server started.  :param workers: how many it had.
    :param looked: when the models were looked at last.
    :param refused: {"file": which password files, "until": when to try again or null, "why"}.
    :param by_next: which password files there were when the second one was the right one; "" where it was the first.
    """

    started: float | None = None
    workers: int = 0
    looked: float | None = None
    refused: dict[str, t.Any] | None = None
    by_next: str = ""
    models: dict[str, heal.Known] = field(default_factory=dict)


# -- files -----------------------------------------------------------------------------------------------------------


def _write(settings: Settings, name: str, content: t.Any, mode: int) -> None:
    """Replaces a file at once; it belongs to whoever owns the directory, whether root or the service writes it."""
    with Directory.at(settings.directory) as directory:
        text = content if isinstance(content, str) else json.dumps(content, indent=1) + "\n"
        directory.write(name, text, mode, directory.owner)


def _read(path: str) -> t.Any:
    """The content of a JSON file; None where there is none, or none that can be read."""
    try:
        with opened(path) as file:
            return _json.load(file)
    except (OSError, ValueError):
        return None


def load_state(settings: Settings) -> State:
    """What was kept; a file that cannot be read, or of another release, starts anew."""
    try:
        found = dict(_read(settings.path("state.json")) or {})
        known = {uid: _known(row) for uid, row in found.pop("models", {}).items()}
        _json.check("refused", found.get("refused") or {}, dict)
        _json.number_or_none("started", found.get("started"))
        return _json.like(State(models=known), found)
    except (TypeError, ValueError, AttributeError):
        return State()


def _known(row: t.Mapping[str, t.Any]) -> heal.Known:
    for name in ("launched", "next_try"):
        _json.number_or_none(name, row.get(name))
    known: heal.Known = _json.like(heal.Known(), row)
    serving, declared = known.replicas
    _json.check("replicas", [serving, declared], list, int)
    return known


def save_state(settings: Settings, state: State) -> None:
    _write(settings, "state.json", asdict(state), 0o600)


def paused(settings: Settings) -> dict[str, t.Any] | None:
    """{"until": seconds since the epoch or null, "reason"} while it is paused."""
    found = _read(settings.path("paused.json"))
    if not isinstance(found, dict):
        return None
    until = found.get("until") if isinstance(found.get("until"), (int, float)) else None
    if until is not None and until <= time.time():
        return None
    return {"until": until, "reason": str(found.get("reason") or "")}


def _file(path: str) -> str:
    """Which file this is: another text in it makes it another one; "" where there is none."""
    try:
        about = os.stat(path)
        return f"{about.st_ino}-{about.st_size}-{about.st_mtime_ns}"
    except OSError:
        return ""


def _changed(path: str) -> float:
    """When the file was written last, in seconds since the epoch; 0 where there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0


def _release(settings: Settings) -> str:
    """The server's release; "" where this environment has no Xinference.

    Both run in it. A rollback or an upgrade changes the link that leads to it, also while this program runs.
    """
    return settings.release or installed(os.path.realpath(sys.prefix)).get("xinference", "")


# -- one turn --------------------------------------------------------------------------------------------------------


class Turn:
    """One turn of the reconciler."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.state = load_state(settings)
        self.release = _release(settings)
        self.store = Store(settings.path("declared.json"))
        session = Session(settings.endpoint, proxy="")
        self.client = Client(session, settings.username, None, settings.password_file or None)
        self.looked = False  # in this turn, and to the end
        self._known_by: str | None = None  # which password files there were at the login

    def run(self) -> int:
        """Does the turn, writes status and metrics, and returns the exit status."""
        try:
            result, why = self._run(), ""
        except Refused as exc:
            result, why = "login refused", str(exc)
        except Unreachable as exc:
            result, why = "the server does not answer", str(exc)
        except ModelopsError as exc:
            # A server whose worker goes down answers 500 for a while.
            troubled = isinstance(exc, ApiError) and exc.status >= 500
            result, why = ("the server does not answer" if troubled else "error"), str(exc)
        except Exception as exc:
            traceback.print_exc()
            result, why = "error", f"{type(exc).__name__}: {exc}"
        self._report(result, why)
        return RESULTS[result]

    def _run(self) -> str:
        if paused(self.settings):
            return "paused"
        if not self.store.load().models:
            return "nothing is declared"
        self._wait()
        while True:
            if paused(self.settings):
                return "paused"
            try:
                with self.store.lock(timeout=0):
                    memory = Memory(self.store)
                    if memory.declared.busy:
                        return "a run of Ansible is at work"
                    # Under the lock: who replaces the password holds it until server and file have the same one.
                    self._login()
                    self._look(memory)
                    save_state(self.settings, self.state)
            except locks.Held:
                return "a run of Ansible is at work"
            states = {known.state for known in self.state.models.values()}
            if not states & {heal.LOADING, heal.MISSING}:
                break
            self._report("on the way", "")
            time.sleep(_LOOK)
        if heal.GAVE_UP in states:
            return "gave up"
        if not states <= {heal.READY}:
            return "on the way"
        differs = any(known.differs for known in self.state.models.values())
        return "as declared, but for what differs" if differs else "as declared"

    # -- the server ------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Until the server answers and its workers are back; what had failed before a restart, or without them, is forgotten."""
        try:
            status = self._status(0)
        except Unreachable as exc:
            self._report("the server does not answer", str(exc))
            status = self._status(self.settings.ready_timeout)
        end = time.monotonic() + _WORKERS
        while len(self.client.workers) < self.state.workers and time.monotonic() < end:
            time.sleep(_LOOK)
            status = self._status(self.settings.ready_timeout)
        started = time.time() - status["uptime"]
        restarted = self.state.started is None or abs(started - self.state.started) > _JITTER
        known = self.state.models
        if restarted:
            limits = heal.Limits(self.settings.attempts, 0)
            self.state.models = {uid: heal.restarted(one, time.time(), limits) for uid, one in known.items()}
            self.state.started = started
        elif len(self.client.workers) > self.state.workers:
            self.state.models = {uid: one if one.launched else heal.retry(one) for uid, one in known.items()}
        self.state.workers = len(self.client.workers)

    def _status(self, timeout: float) -> dict[str, t.Any]:
        try:
            return t.cast("dict[str, t.Any]", self.client.wait_ready(timeout).json)
        except ModelopsError as exc:
            raise Unreachable(str(exc), sent=False) from exc

    def _login(self) -> None:
        """Once with the same password files. After a refusal not, until they are others; after a ban, for an hour."""
        client, path = self.client, self.settings.password_file
        which = f"{_file(path)} {_file(path + NEXT)}".strip()
        if which == self._known_by:
            return
        if client.needs_auth():
            refused = self.state.refused
            if refused and refused["file"] == which and (refused["until"] or time.time() + 1) > time.time():
                raise Refused(refused["why"])
            answer = self._enter(which)
            self.state.refused = None
            if answer.status != 200:
                self.state.refused = self._refusal(which, answer)
            save_state(self.settings, self.state)
            if self.state.refused:
                raise Refused(self.state.refused["why"])
        self._known_by = which

    def _enter(self, which: str) -> Answer:
        """One attempt; and where a rotation broke off before the file had the new password, one with that, first or second."""
        path = self.settings.password_file
        files = [path, path + NEXT] if _file(path + NEXT) else [path]
        if self.state.by_next == which:
            files.reverse()
        answer = self._attempt(files[0])
        if answer.status == 401 and len(files) > 1:
            files.reverse()
            answer = self._attempt(files[0])
        self.state.by_next = which if answer.status == 200 and files[0] != path else ""
        return answer

    def _attempt(self, path: str) -> Answer:
        self.client.use_password(None, path)
        try:
            self.client.check_password()
        except ModelopsError as exc:
            raise Refused(str(exc)) from exc
        return self.client.take_token()

    def _refusal(self, which: str, answer: Answer) -> dict[str, t.Any]:
        client, path = self.client, self.settings.password_file
        banned = answer.status == 429
        why = (
            f"{client.endpoint} refused the password of {client.username!r} in {path} ({answer.status}: {answer.detail}). "
            + (
                "Too many logins failed; it is tried again in an hour."
                if banned
                else "It is not tried again until that file is another one. Remove the file and run the site, which makes a new one."
            )
        )
        return {"file": which, "until": time.time() + _BAN if banned else None, "why": why}

    # -- the models ------------------------------------------------------------------------------------------------

    def _look(self, memory: Memory) -> None:
        """Reads once, decides for each model, and does it."""
        self.looked = False
        self.release = _release(self.settings)
        if not self.release:
            raise ModelopsError(f"{sys.executable} has no 'xinference': run it with the environment of Xinference")
        declared = memory.declared
        there = [m for m in self._wanted(declared.models) if not memory.waits(m.uid, m.options["worker"])]
        wanted = sorted(there, key=lambda model: model.options["priority"])
        actual = self._actual(wanted, declared.launched)
        known = self.state.models = {m.uid: self._known(self.state.models.get(m.uid), m) for m in wanted}
        clock = time.time()
        loading = sum(1 for model in wanted if actual.state(model.uid) == "loading")
        for model in wanted:
            was, seen = known[model.uid], self._seen(model, actual, memory)
            if was.launched is not None and seen.state == "ready":
                memory.became({model.uid: actual.created(model.uid)})
            timeout = model.options["launch_timeout"] or declared.settings.get("launch_timeout") or 1800
            limits = heal.Limits(self.settings.attempts, timeout, self.settings.return_timeout)
            now, action = heal.decide(was, seen, clock, limits)
            if action in (heal.LAUNCH, heal.ADD) and loading >= _PARALLEL:
                now = replace(was, state=heal.MISSING if action == heal.LAUNCH else heal.FEWER)
            elif action in (heal.LAUNCH, heal.ADD):
                loading += 1
                # Kept before it is sent, because it may bring down the server, and this program with it.
                known[model.uid] = now
                save_state(self.settings, self.state)
                try:
                    now = (self._launch if action == heal.LAUNCH else self._add)(model, actual, memory, now, limits)
                except Unreachable:  # it was not sent
                    known[model.uid] = was
                    save_state(self.settings, self.state)
                    raise
            elif action == heal.CLEAR:
                now = self._clear(model, was, now, limits)
            # The server's own words, which may repeat what it was given.
            now = replace(now, error=now.error and self.client.session.redact(log.redacted(now.error)))
            _tell(model.uid, was, now)
            known[model.uid] = now
        self.looked, self.state.looked = True, clock

    def _wanted(self, declared: t.Sequence[t.Mapping[str, t.Any]]) -> list[models.Model]:
        # Whether weights are there is the server's to say: they may be on another worker, or on a share that comes late.
        try:
            wanted = [model for model in models.desired(declared, exists=lambda path: True) if model.present]
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise ModelopsError(
                f"{self.store.path}: its models are not what this release writes ({type(exc).__name__}: {exc}). Remove it; "
                "the next run writes it anew."
            ) from exc
        for model in wanted:
            # A short value, such as the 0 of CUDA_VISIBLE_DEVICES, would mask every 0.
            envs = {str(name): str(value) for name, value in (model.options["envs"] or {}).items()}
            self.client.session.hide(*(v for n, v in envs.items() if len(v) >= 8 or log.SECRET_NAME.search(n)))
        return wanted

    def _actual(self, wanted: t.Sequence[models.Model], launched: t.Mapping[str, t.Any]) -> models.Actual:
        client = self.client
        # In this order: what gets ready in between is in both.
        instances, running = client.instances(), client.models()
        failed = [m.uid for m in wanted if (instances.get(m.uid) or {}).get("status") == "ERROR"]
        gone = frozenset(uid for uid in failed if client.presence(uid) == releases.UNKNOWN)
        return models.Actual(
            running, instances, gone=gone, workers=client.workers, launched=launched, version=self.release
        )

    @staticmethod
    def _known(known: heal.Known | None, model: models.Model) -> heal.Known:
        """What is known of this declaration; of another one nothing."""
        text = json.dumps(model.options, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return known if known is not None and known.digest == digest else heal.Known(digest)

    def _seen(self, model: models.Model, actual: models.Actual, memory: Memory) -> heal.Seen:
        state, instance = actual.state(model.uid), actual.instances.get(model.uid) or {}
        wanted, rows = model.options["replicas"], models.replicas(instance)
        ready = sum(1 for row in rows if row.get("status") == "READY")
        # A replica that is added is none of the model's until it is ready; those of a launch are from its beginning on.
        loads = state == "loading" and not 0 < instance.get("replica", 0) <= ready
        if loads or state not in ("ready", "loading"):
            return heal.Seen(state, progress.reason(instance), replicas=(0, wanted))
        if model.uid not in actual.models:
            error = "its instance is READY, but the server does not list it among the running models"
            return heal.Seen("failed", error, replicas=(0, wanted))
        lost = [
            row["worker_address"]
            for row in instance.get("replica_statuses") or []
            if row.get("status") == "TERMINATED" and row.get("worker_address") not in (None, *memory.drained)
        ]
        back = {*map(models.host, lost)} & {*map(models.host, actual.workers)}
        fields = models.running_differences(model, actual)
        others = [field for field in fields if field.name != "replicas"]
        grows = not others and self._grows(model, actual, memory)
        # That some are lost is told by the state, and the list of models lags behind that of the instances.
        differs = [str(field) for field in (others if ready == wanted or (grows and lost) else fields)]
        return heal.Seen("ready", "", differs, (ready, wanted), len(rows) - ready, len(lost), bool(back), grows)

    @staticmethod
    def _grows(model: models.Model, actual: models.Actual, memory: Memory) -> bool:
        """Whether replicas can be added, and no drained worker gets them."""
        if not models.can_roll(model, actual):
            return False
        free = _free(actual.workers, memory)
        named = model.options["worker"]
        if named and memory.declared.settings.get("cluster"):
            return any(named in (address, models.host(address)) for address in free)
        # Where nothing is declared the server chooses among all that have not left.
        return bool(free) and (len(free) == len(actual.workers) or bool(launch.replica_place(model, [], free)))

    def _launch(
        self, model: models.Model, actual: models.Actual, memory: Memory, now: heal.Known, limits: heal.Limits
    ) -> heal.Known:
        client, last = self.client, memory.declared.launched.get(model.uid) or {}
        # The placement of the last run holds for the same declaration.
        placed = (last.get("placed") or {}) if last.get("body") == model.body else {}
        try:
            self._register(model, actual, memory)
            memory.launched(model.uid, model.body, placed)
            client.launch(releases.launch_request(self.release, model.body, placed))
        except Unreachable as exc:
            if not exc.sent:
                raise
            # The next look tells whether it arrived.
        except ModelopsError as exc:
            if isinstance(exc, ApiError) and "already in the model list" in str(exc):
                # Somebody was faster, such as the server's autostart: it is waited for, and was no attempt of ours.
                return replace(now, launched=None, attempts=now.attempts - 1, launches=now.launches - 1)
            return heal.failed(now, str(exc), time.time(), limits)
        return now

    def _add(
        self, model: models.Model, actual: models.Actual, memory: Memory, now: heal.Known, limits: heal.Limits
    ) -> heal.Known:
        """Starts another replica, and does not wait for it longer than for a refusal."""
        instance = actual.instances[model.uid]
        place = launch.replica_place(model, models.replicas(instance), _free(actual.workers, memory))
        try:
            self._register(model, actual, memory)
            launch.add_replica(self.client, model.uid, instance, place, _ADDED)
        except Unreachable as exc:
            if not exc.sent:
                raise
            # The next look tells what became of it.
        except ModelopsError as exc:
            return heal.failed(now, f"another replica: {exc}", time.time(), limits)
        return now

    def _register(self, model: models.Model, actual: models.Actual, memory: Memory) -> None:
        """Puts back the definition of a custom model, also for a worker of a cluster that came later."""
        definition = model.definition
        if definition is None:
            return
        key = (model.type, model.name)
        registered = self.client.registration(*key)
        lacking = memory.untold(key, self.client.workers) if memory.declared.settings.get("cluster") else []
        differs = registered is not None and registration.differences(definition, registered)
        if registered is not None and not differs and not lacking:
            return
        if differs:
            others = [
                uid
                for uid, row in actual.models.items()
                if (row.get("model_name"), row.get("model_type")) == (model.name, model.type)
            ]
            if others:
                raise ModelopsError(
                    f"another definition of {model.name!r} is registered, from which {', '.join(others)} runs"
                )
        problem = definitions.put(self.client, definition, registered is not None)
        if problem:
            raise ModelopsError(problem)
        memory.tell(key, self.client.workers)

    def _clear(self, model: models.Model, was: heal.Known, now: heal.Known, limits: heal.Limits) -> heal.Known:
        """Ends what is broken or hangs; the launch follows when the UID is free."""
        client, uid = self.client, model.uid
        try:
            if was.state == heal.BROKEN and time.time() - was.since < limits.timeout:
                # Where its worker is about to bring the process back, which may take as long as a launch, the server refuses.
                if client.terminate(uid).status == 400 and client.presence(uid) != releases.UNKNOWN:
                    return heal.mending(was, time.time())
            launch.remove(client, uid)
            return now
        except Unreachable:
            raise
        except ModelopsError as exc:
            now = replace(now, attempts=now.attempts + 1)
            return heal.failed(now, f"{now.error}; it could not be ended: {exc}", time.time(), limits)

    # -- what others read ------------------------------------------------------------------------------------------

    def _report(self, result: str, why: str) -> None:
        settings, state = self.settings, self.state
        # A server that went away after the look has other states by now.
        fresh = self.looked and result in ("as declared", "as declared, but for what differs", "on the way", "gave up")
        status = {
            "format": 1,
            "time": time.time(),
            "result": result,
            "exit": RESULTS[result],
            "message": self.client.session.redact(why),
            "release": self.release,
            "endpoint": settings.endpoint,
            "paused": paused(settings),
            "interval": settings.interval,
            "models": {uid: _shown(known, state.looked, fresh) for uid, known in sorted(state.models.items())},
        }
        last = _read(settings.path("status.json"))
        last = last if isinstance(last, dict) else {}
        if (last.get("result"), last.get("message")) != (result, status["message"]):
            _say(result + (f": {status['message']}" if why else ""))
        _write(settings, "status.json", status, 0o644)
        text = metrics(status)
        _write(settings, "metrics.prom", text, 0o644)
        if settings.metrics_dir:
            try:
                write_file(os.path.join(settings.metrics_dir, "modelops_reconcile.prom"), text, 0o644)
            except OSError as exc:
                _say(f"{settings.metrics_dir} cannot be written: {exc.strerror}")


_SHOWN = ("state", "since", "attempts", "next_try", "error", "differs", "launches", "serves")
_OLD = {"state": heal.UNKNOWN, "serves": None}


def _free(workers: t.Sequence[str], memory: Memory) -> list[str]:
    """Those that are not drained."""
    return [address for address in workers if address not in memory.drained]


def _shown(known: heal.Known, looked: float | None, fresh: bool) -> dict[str, t.Any]:
    """A model in the status file.

    :param looked: when it was looked at last.  :param fresh: whether that was in this turn; otherwise its state is unknown, and
        ``last`` what it was.
    """
    ready, wanted = known.replicas
    row = {**{key: getattr(known, key) for key in _SHOWN}, "last": known.state, "seen": looked}
    # What it had before it was ready is kept for a while, for the next failure.
    row["error"] = None if known.state == heal.READY else row["error"]
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
            [(u, None if r["state"] == heal.UNKNOWN else bool(r["differs"])) for u, r in rows],
        ),
        (
            "model_gave_up",
            "gauge",
            "Whether it is no longer tried.",
            [(u, r["last"] == heal.GAVE_UP) for u, r in rows],
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


def _tell(uid: str, was: heal.Known, now: heal.Known) -> None:
    """One line in the log for each change of a model's state."""
    same = (was.state, was.error, was.differs) == (now.state, now.error, now.differs)
    if same and (now.state != heal.FEWER or (was.launched, was.replicas) == (now.launched, now.replicas)):
        return
    line = f"{uid}  {now.state}"
    if now.state == heal.FEWER:
        line += f": {now.replicas[0]} of {now.replicas[1]}" + (", another one loads" if now.launched else "")
    if now.state in (heal.LOADING, heal.FEWER) and now.launched is not None:
        line += f" (launch {now.attempts})"
    if now.state == heal.READY and was.state != heal.UNKNOWN:
        line += f" after {progress.duration(now.since - was.since)}"
    if now.state in (heal.WAITING, heal.BROKEN, heal.GAVE_UP):
        line += f": {now.error}"
    if now.differs:
        line += f", runs otherwise than declared: {', '.join(now.differs)}"
    _say(line)


def _put(line: str, to: t.TextIO | None = None) -> None:
    """A line on the screen, or in the journal."""
    to = to or sys.stdout
    to.write(f"{line}\n")
    to.flush()


def _say(line: str) -> None:
    # The journal has the time; a log of supervisord has not.
    stamp = "" if "JOURNAL_STREAM" in os.environ else time.strftime("%Y-%m-%dT%H:%M:%S%z ")
    _put(f"{stamp}{line}")


# -- commands --------------------------------------------------------------------------------------------------------


def loop(settings: Settings) -> int:
    """A turn at each interval, and soon after a restart of the server or a run of Ansible.

    Ends where its environment was replaced by that of another release: its service starts it anew, with that one's Python.
    """
    declared, environment = settings.path("declared.json"), os.path.realpath(sys.prefix)
    while os.path.realpath(sys.prefix) == environment:
        Turn(settings).run()
        known = _file(declared)
        started, end = load_state(settings).started, time.monotonic() + settings.interval
        while time.monotonic() < end and _file(declared) == known and not _restarted(settings, started):
            time.sleep(_WATCH)
            if os.path.realpath(sys.prefix) != environment:
                break
    return 0


def _restarted(settings: Settings, started: float | None) -> bool:
    try:
        status = Session(settings.endpoint, proxy="", retries=0).get("/status").json
        return started is not None and time.time() - status["uptime"] - started > _JITTER
    except (ModelopsError, TypeError, KeyError):
        return False


def show(settings: Settings) -> int:
    """Prints the last turn for a person."""
    path = settings.path("status.json")
    status = _read(path)
    if status is None and not os.path.lexists(path):
        _put(f"It has not run yet: there is no {path}")
        return 1
    try:
        now = time.time()
        lines, code = _lines(settings, status, now), int(status["exit"])
        late = _late(status, now)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ModelopsError(
            f"{path} is not what this program writes. Remove it; the next turn writes it anew."
        ) from None
    for line in lines:
        _put(line)
    return code or (RESULTS["the server does not answer"] if late else 0)


def _lines(settings: Settings, status: t.Any, now: float) -> list[str]:
    """The last turn in words."""
    lines = [
        f"{status['result']}, {progress.duration(now - status['time'])} ago, Xinference {status['release']} on {status['endpoint']}"
    ]
    if status["message"]:
        lines.append(f"  {status['message']}")
    if _changed(settings.path("declared.json")) > status["time"]:
        lines.append("  a run of Ansible, or a drain, was at work since then: the next turn looks at what it left")
    late = _late(status, now)
    if late:
        lines.append("  since then it did not run, or waits for the server: what the models do now is unknown")
    hold = paused(settings)
    if hold:
        until = (
            time.strftime("until %Y-%m-%d %H:%M:%S %Z", time.localtime(hold["until"]))
            if hold["until"]
            else "until resume"
        )
        lines.append(f"paused {until}" + (f": {hold['reason']}" if hold["reason"] else ""))
    width = max(map(len, status["models"]), default=0)
    for uid, row in status["models"].items():
        lines.append(f"  {uid:{width}}  {_state(row, now, late)}")
        for text in [row["error"] or "", *(f"differs: {item}" for item in row["differs"])]:
            if text:
                lines.append(f"  {'':{width}}    {text.splitlines()[0]}")
    return lines


def _late(status: t.Mapping[str, t.Any], now: float) -> bool:
    """Whether the last turn is too long ago to tell of now."""
    return bool(now - status["time"] > status.get("interval", 60) + _LATE)


def _state(row: t.Mapping[str, t.Any], now: float, late: bool) -> str:
    """A model of the status file for a person. Pure.

    :param late: whether the turn that wrote it is too long ago to tell of now.
    """
    counts = row["replicas"]
    if late or row["state"] == heal.UNKNOWN:
        seen: t.Any = row.get("seen")
        last = row.get("last")
        never = seen is None or last == heal.UNKNOWN
        line = "unknown, " + ("not looked at yet" if never else f"{last} {progress.duration(now - seen)} ago")
    else:
        line = f"{row['state']} for {progress.duration(now - row['since'])}"
    if row["next_try"]:
        line += f", next launch in {progress.duration(max(0, row['next_try'] - now))}"
    if row["attempts"] and row["state"] != heal.READY:
        line += f", {row['attempts']} launches"
    if not late and 0 < (counts["ready"] or 0) < counts["wanted"]:
        line += f", {counts['ready']} of {counts['wanted']} replicas serve"
    return line


def pause(settings: Settings, seconds: float | None, reason: str) -> int:
    until = None if seconds is None else time.time() + seconds
    _write(settings, "paused.json", {"until": until, "reason": reason}, 0o644)
    _put("paused" + (f" for {progress.duration(seconds)}" if seconds is not None else ", until resume"))
    return 0


def hold(settings: Settings, seconds: float) -> int:
    """As a run of Ansible that is about to restart the server and to declare other models."""
    store = Store(settings.path("declared.json"))
    with store.lock():
        Memory(store).busy(seconds)
    _put(f"on hold for {progress.duration(seconds)}, or until the next run of xinference_models")
    return 0


def resume(settings: Settings) -> int:
    """Ends a pause, and tries anew what it had given up."""
    with Store(settings.path("declared.json")).lock():
        state = load_state(settings)
        state.models = {uid: heal.retry(known) for uid, known in state.models.items()}
        state.refused = None
        save_state(settings, state)
    with Directory.at(settings.directory) as directory:
        directory.unlink("paused.json")
    _put("resumed; what was given up is tried again by the next turn")
    return 0


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 30m, 2h or 1d")
    return int(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match.group(2)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelops-reconcile",
        description="Brings back the declared models, and replicas of them, that are missing from an Xinference.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(sys.argv[0]))), "reconciler")
    parser.add_argument("--directory", default=beside, help="where its files are (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("run", "one turn"), ("loop", "one turn after the other, until it is ended")):
        command = commands.add_parser(name, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        command.add_argument("--endpoint", required=True, help="URL of the server")
        command.add_argument(
            "--release", default="", help="release of the server, where it is not that of this environment"
        )
        command.add_argument("--username", default=USERNAME, help="user of the server")
        command.add_argument("--password-file", default="", help="file with its password, where the server wants one")
        command.add_argument(
            "--attempts", type=int, default=5, help="failed launches of a model after which it gives up"
        )
        command.add_argument("--ready-timeout", type=float, default=300, help="seconds to wait for the server")
        command.add_argument(
            "--return-timeout",
            type=float,
            default=heal.RETURNS,
            help="seconds to wait for a lost worker before its replicas are restored on another one",
        )
        command.add_argument("--metrics-dir", default="", help="directory of node_exporter's textfile collector")
        command.add_argument("--interval", type=float, default=60, help="seconds between two turns")
    commands.add_parser("status", help="what the last turn found")
    command = commands.add_parser("pause", help="launch nothing until resume")
    command.add_argument("--for", dest="seconds", type=_duration, metavar="DURATION", help="such as 30m or 2h")
    command.add_argument("--reason", default="", help="for whoever reads the status")
    commands.add_parser("resume", help="end a pause, and try anew what was given up")
    command = commands.add_parser("hold", help="launch nothing until the next run of Ansible, or the time is up")
    command.add_argument("seconds", type=_duration, metavar="DURATION", help="such as 900, 30m or 2h")
    return parser


def main(argv: t.Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = vars(_parser().parse_args(argv))
    command, seconds, reason = given.pop("command"), given.pop("seconds", None), given.pop("reason", "")
    settings = Settings(**given)
    try:
        if command in ("run", "loop") and _session.REQUESTS_IMPORT_ERROR is not None:
            raise ModelopsError(f"{sys.executable} has no 'requests': run it with the environment of Xinference")
        if command == "run":
            return Turn(settings).run()
        if command == "loop":
            return loop(settings)
        if command == "status":
            return show(settings)
        if command == "hold":
            return hold(settings, seconds)
        return pause(settings, seconds, reason) if command == "pause" else resume(settings)
    except (ModelopsError, OSError) as exc:
        _put(f"modelops-reconcile: {exc}{_disk.advice(str(exc), [settings.directory], here=True)}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
