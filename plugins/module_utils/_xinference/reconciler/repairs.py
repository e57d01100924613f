# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's decision for one model, from its observation and its memory. Pure. Private to the collection.

A model that is missing is launched. One that loads is waited for, whoever launched it. One that is broken is ended after
a while and launched anew. One that serves with fewer replicas than declared gets another one, when its worker does not
bring back what it had. After each failure the pause doubles, and after a number of them it stops. It never ends a model
that serves, nor any of its replicas.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

# States of a model, as status file and metrics tell them.
READY, LOADING, MISSING, BROKEN, WAITING, GAVE_UP = "ready", "loading", "missing", "broken", "waiting", "gave up"
FEWER = "fewer replicas"  # than declared; it serves with those
UNKNOWN = "unknown"  # not looked at since its server was started
# Actions: none, a launch, another replica, or the termination of a broken or hanging model.
NOTHING, LAUNCH, ADD, CLEAR = "nothing", "launch", "add", "clear"

# Seconds for which a model must be missing before it is launched: a worker that comes back reports its models only then.
SETTLE = 5.0
# Seconds for which a model must have fewer replicas before another one is added, unless configured otherwise: a worker may take as
# long to restart. Then it brings back its own, and may take as long for them as for a launch: it lists them when all have loaded
# (seen on 4.1.0).
RETURNS = 120.0
# Seconds for which a model may be broken before it is ended: a worker needs ten to bring back a process that died.
BROKEN_FOR = 60.0
# Seconds after which a launch must be listed.
LISTED = 15.0
# Seconds after the first failure, doubled with each further one.
BACKOFF, BACKOFF_MAX = 30.0, 900.0
# Seconds for which a model must serve until its failures are forgotten.
STABLE = BACKOFF_MAX


@dataclass(frozen=True)
class Seen:
    """One model on the server.

    :param state: absent, loading, ready, failed, or unlisted (it says that it is ready, but is not among those that run).
    :param error: the server's words, where it failed.
    :param differs: what runs otherwise than declared.
    :param replicas: how many of them serve, and how many are declared.
    :param coming: how many are not over, and do not serve.
    :param lost: how many went with a worker.
    :param returning: whether such a worker is registered again.
    :param grows: whether replicas that are missing can be added.
    """

    state: str
    error: str = ""
    differs: t.Sequence[str] = ()
    replicas: tuple[int, int] = (0, 0)
    coming: int = 0
    lost: int = 0
    returning: bool = False
    grows: bool = False


@dataclass(frozen=True)
class Known:
    """The reconciler's memory of one model; kept in its state file. Times are seconds since the epoch.

    :param digest: of the declaration; another one starts anew.
    :param since: when the state began.
    :param attempts: launches, of the model or of another replica, since it was last stable.
    :param launched: when the reconciler launched it, or another replica, while that launch is on its way.
    :param next_try: when it is launched next, after a failure.
    :param launches: launches so far, for the metrics.
    :param replicas: how many serve, and how many are declared.
    """

    digest: str = ""
    state: str = UNKNOWN
    since: float = 0
    attempts: int = 0
    launched: float | None = None
    next_try: float | None = None
    error: str | None = None
    differs: list[str] = field(default_factory=list)
    launches: int = 0
    replicas: list[int] = field(default_factory=lambda: [0, 0])

    @property
    def serves(self) -> bool:
        return self.state == READY or self.restores

    @property
    def restores(self) -> bool:
        """Whether it serves, and its state is that of replicas that are missing."""
        return self.state == FEWER or (self.state in (WAITING, GAVE_UP) and self.replicas[0] > 0)


@dataclass(frozen=True)
class Limits:
    """The reconciler's settings.

    :param attempts: launches after which it gives up.
    :param timeout: seconds that a launch may take.
    :param returns: seconds that a lost worker may take to register again.
    """

    attempts: int
    timeout: float
    returns: float = RETURNS


def forget(known: Known) -> Known:
    """Starts anew: another declaration, or a restart of the server."""
    return Known(known.digest, launches=known.launches)


def retry(known: Known) -> Known:
    """Forgets failures, whose cause may be gone: a person says so, or there is another worker. What serves or loads goes on."""
    if known.state in (WAITING, GAVE_UP):
        return forget(known)
    return replace(known, attempts=0, next_try=None, error=None)


def restarted(known: Known, now: float, limits: Limits) -> Known:
    """After a restart of the server, which a launch of ours that was on its way may have brought down."""
    if known.launched is None or known.restores:
        return forget(known)
    return failed(known, "the server was restarted while it was being launched", now, limits)


def decide(known: Known, seen: Seen, now: float, limits: Limits) -> tuple[Known, str]:
    """The new memory and the next action."""
    if known.restores and seen.state != "ready":
        # Those that served are gone, too: this is another trouble.
        known = forget(known)
    before = known
    known = replace(known, differs=list(seen.differs), replicas=list(seen.replicas))
    if seen.state == "ready":
        serving, declared = seen.replicas
        # The row of a lost one may be gone when a failure is repaired.
        begun = before.restores and before.attempts > 0
        if serving >= declared or not seen.grows or not (seen.lost or begun):
            return _ready(known, now), NOTHING
        if begun and serving > before.replicas[0]:
            known = replace(_enter(known, FEWER, now), attempts=0, launched=None, next_try=None, error=None)
        return _fewer(known, seen, now, limits)
    if seen.state == "loading" or (seen.state == "unlisted" and known.state == LOADING):
        known = _enter(known, LOADING, now)
        if now - known.since <= limits.timeout:
            return known, NOTHING
        return failed(known, f"not ready within {limits.timeout:.0f} s", now, limits), CLEAR
    if seen.state in ("failed", "unlisted"):
        return _broken(known, seen, now, limits)
    return _absent(known, seen, now, limits)


def failed(known: Known, error: str, now: float, limits: Limits) -> Known:
    """After a launch that came to nothing, or a model that died."""
    if known.attempts >= limits.attempts:
        return replace(known, state=GAVE_UP, since=now, launched=None, next_try=None, error=error)
    return replace(known, state=WAITING, since=now, launched=None, next_try=now + backoff(known.attempts), error=error)


def mending(known: Known, now: float) -> Known:
    """Of what is broken and cannot be ended, because its worker is about to bring it back."""
    return replace(known, next_try=now + BROKEN_FOR)


def backoff(attempts: int) -> float:
    """Seconds until the next launch; none before the first."""
    return min(BACKOFF * 2.0 ** (attempts - 1), BACKOFF_MAX) if attempts else 0.0


def _enter(known: Known, state: str, now: float) -> Known:
    return known if known.state == state else replace(known, state=state, since=now)


def _ready(known: Known, now: float) -> Known:
    known = replace(_enter(known, READY, now), launched=None, next_try=None)
    return replace(known, attempts=0, error=None) if now - known.since >= STABLE else known


def _broken(known: Known, seen: Seen, now: float, limits: Limits) -> tuple[Known, str]:
    error = seen.error or "it is broken; see the server's log"
    if known.launched is not None:
        return failed(known, error, now, limits), CLEAR
    if known.state == GAVE_UP or (known.next_try is not None and now < known.next_try):
        return known, NOTHING
    known = replace(_enter(known, BROKEN, now), error=error)
    if now - known.since < BROKEN_FOR:
        return known, NOTHING
    return failed(known, error, now, limits), CLEAR


def _fewer(known: Known, seen: Seen, now: float, limits: Limits) -> tuple[Known, str]:
    if seen.coming:
        if known.launched is not None and now - known.launched > limits.timeout:
            return failed(known, f"another replica is not ready within {limits.timeout:.0f} s", now, limits), NOTHING
        return known if known.state in (WAITING, GAVE_UP) else _enter(known, FEWER, now), NOTHING
    if known.launched is not None:
        if now - known.launched < LISTED:
            return known, NOTHING
        return failed(known, "another replica did not start; see the server's log", now, limits), NOTHING
    return _lacking(known, seen, now, limits, FEWER, limits.timeout if seen.returning else limits.returns)


def _absent(known: Known, seen: Seen, now: float, limits: Limits) -> tuple[Known, str]:
    if known.launched is not None:
        if not seen.error and now - known.launched < LISTED:
            return known, NOTHING
        return failed(known, seen.error or "the server no longer knows the launch", now, limits), NOTHING
    return _lacking(known, seen, now, limits, MISSING, SETTLE)


def _lacking(known: Known, seen: Seen, now: float, limits: Limits, state: str, settle: float) -> tuple[Known, str]:
    """A model that is missing, or has fewer replicas: launched when it stays so.

    :param state: which of the two.  :param settle: seconds for which it must stay so.
    """
    if known.attempts and known.state in (READY, LOADING, BROKEN):
        # It died soon after it was brought back.
        what = "a replica is gone" if state == FEWER else "gone"
        error = seen.error or f"{what} {now - known.since:.0f} s after it was {known.state}"
        known = failed(known, error, now, limits)
        return replace(known, next_try=known.next_try and max(known.next_try, now + settle)), NOTHING
    if known.state == GAVE_UP or (known.next_try is not None and now < known.next_try):
        return known, NOTHING
    if known.state != WAITING:
        known = _enter(known, state, now)
        if now - known.since < settle:
            return known, NOTHING
    attempts = known.attempts + 1
    known = replace(known, attempts=attempts, launched=now, next_try=None, launches=known.launches + 1)
    return (_enter(known, FEWER, now), ADD) if state == FEWER else (replace(known, state=LOADING, since=now), LAUNCH)
