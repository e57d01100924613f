# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reconciler's action on a model: every state that it can know, against everything that it can see."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import repairs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler.repairs import (
    Known,
    Limits,
    Seen,
)

NOW = 100_000.0
LIMITS = Limits(attempts=3, timeout=600)
STATES = (
    repairs.UNKNOWN,
    repairs.READY,
    repairs.LOADING,
    repairs.MISSING,
    repairs.BROKEN,
    repairs.WAITING,
    repairs.GAVE_UP,
)


def known(state=repairs.UNKNOWN, ago=0.0, **fields):
    return Known("d", state, NOW - ago, **fields)


def decide(before, state, error=""):
    return repairs.decide(before, Seen(state, error), NOW, LIMITS)


# Each combination of them is checked by one test per observed state: 756 runs of a function that takes microseconds.
EVERY = list(product(STATES, (0, 1, 3), (None, NOW - 5, NOW - 50), (None, NOW - 1, NOW + 100), (0, 10, 100, 10_000)))


@pytest.mark.parametrize(
    "seen, actions",
    [
        # Only a missing model is launched, only a broken or hanging one is ended: never one that serves.
        ("ready", (repairs.NOTHING,)),
        ("loading", (repairs.NOTHING, repairs.CLEAR)),
        ("absent", (repairs.NOTHING, repairs.LAUNCH)),
        ("failed", (repairs.NOTHING, repairs.CLEAR)),
        ("unlisted", (repairs.NOTHING, repairs.CLEAR)),
    ],
)
def test_what_always_holds(seen, actions):
    for case in EVERY:
        state, attempts, launched, next_try, ago = case
        before = known(state, ago, attempts=attempts, launched=launched, next_try=next_try)
        now, action = decide(before, seen)
        assert action in actions, case
        if action == repairs.LAUNCH:
            assert (now.state, now.launched, now.attempts) == (repairs.LOADING, NOW, attempts + 1), case
            assert state != repairs.GAVE_UP and (next_try is None or next_try <= NOW), case
        if action == repairs.CLEAR:
            assert now.error and now.launched is None and now.state in (repairs.WAITING, repairs.GAVE_UP), case
        if now.state == repairs.WAITING and before.state != repairs.WAITING:
            assert now.next_try == NOW + repairs.backoff(attempts), case
        if now.state == repairs.GAVE_UP and state != repairs.GAVE_UP:
            assert attempts >= LIMITS.attempts and now.error, case


def test_what_is_missing_is_launched_when_it_stays_missing():
    first, action = decide(known(), "absent")
    assert (first.state, first.since, action) == (repairs.MISSING, NOW, repairs.NOTHING)
    assert repairs.decide(first, Seen("absent"), NOW + repairs.SETTLE - 0.1, LIMITS)[1] == repairs.NOTHING
    launched, action = repairs.decide(first, Seen("absent"), NOW + repairs.SETTLE, LIMITS)
    assert action == repairs.LAUNCH and launched.launches == 1


def test_a_launch_of_somebody_else_is_waited_for():
    now, action = decide(known(repairs.MISSING, 3), "loading")
    assert (now.state, now.launched, now.attempts, action) == (repairs.LOADING, None, 0, repairs.NOTHING)
    assert decide(known(repairs.LOADING, 599), "loading")[1] == repairs.NOTHING
    now, action = decide(known(repairs.LOADING, 601), "loading")
    assert (now.state, now.error, action) == (repairs.WAITING, "not ready within 600 s", repairs.CLEAR)


def test_a_launch_that_fails_is_tried_again_later_and_later_and_then_given_up():
    state = known(repairs.LOADING, 20, attempts=1, launched=NOW - 20)
    pauses = []
    while True:
        state, action = decide(state, "absent", "no such file")
        assert (state.error, action) == ("no such file", repairs.NOTHING)
        if state.state == repairs.GAVE_UP:
            break
        pauses.append(state.next_try - NOW)
        assert decide(state, "absent") == (state, repairs.NOTHING)
        state, action = repairs.decide(state, Seen("absent"), state.next_try, LIMITS)
        assert action == repairs.LAUNCH
    assert pauses == [30, 60] and state.attempts == 3
    assert repairs.decide(state, Seen("absent"), NOW + 1e6, LIMITS) == (state, repairs.NOTHING)
    assert repairs.decide(repairs.forget(state), Seen("absent"), NOW, LIMITS)[0].state == repairs.MISSING


def test_pauses_have_an_end():
    assert [repairs.backoff(n) for n in range(8)] == [0, 30, 60, 120, 240, 480, 900, 900]


def test_a_launch_may_take_a_while_until_it_is_listed():
    assert decide(known(repairs.LOADING, 10, attempts=1, launched=NOW - 10), "absent")[1] == repairs.NOTHING
    now, _action = decide(known(repairs.LOADING, 16, attempts=1, launched=NOW - 16), "absent")
    assert (now.state, now.error) == (repairs.WAITING, "the server no longer knows the launch")


def test_what_dies_soon_after_it_was_brought_back_counts_as_a_failure():
    now, action = decide(known(repairs.READY, 40, attempts=1), "absent")
    assert (now.state, now.next_try, now.error, action) == (
        repairs.WAITING,
        NOW + 30,
        "gone 40 s after it was ready",
        repairs.NOTHING,
    )
    assert decide(known(repairs.READY, 40, attempts=3), "absent")[0].state == repairs.GAVE_UP
    assert decide(known(repairs.READY, 40), "absent")[0].state == repairs.MISSING


def test_failures_are_forgotten_when_the_model_serves_for_long():
    assert decide(known(repairs.READY, repairs.STABLE - 1, attempts=2, error="x"), "ready")[0].attempts == 2
    now, _action = decide(known(repairs.READY, repairs.STABLE, attempts=2, error="x"), "ready")
    assert (now.attempts, now.error) == (0, None)


def test_what_is_broken_is_ended_after_a_while_and_launched_anew():
    first, action = decide(known(repairs.READY, 5000), "failed", "stuck")
    assert (first.state, first.error, action) == (repairs.BROKEN, "stuck", repairs.NOTHING)
    # Its worker mends it.
    assert repairs.decide(first, Seen("ready"), NOW + 10, LIMITS)[0].state == repairs.READY
    cleared, action = repairs.decide(first, Seen("failed", "stuck"), NOW + repairs.BROKEN_FOR, LIMITS)
    assert (cleared.state, action) == (repairs.WAITING, repairs.CLEAR)
    assert repairs.decide(cleared, Seen("absent"), NOW + repairs.BROKEN_FOR, LIMITS)[1] == repairs.LAUNCH


def test_an_own_launch_that_fails_and_stays_is_cleared_at_once():
    now, action = decide(known(repairs.LOADING, 20, attempts=1, launched=NOW - 20), "failed", "out of memory")
    assert (now.state, now.error, action) == (repairs.WAITING, "out of memory", repairs.CLEAR)


def test_a_launch_that_is_ready_and_not_listed_yet_is_waited_for():
    now, action = decide(known(repairs.LOADING, 20, attempts=1, launched=NOW - 20), "unlisted")
    assert (now.state, action) == (repairs.LOADING, repairs.NOTHING)
    assert decide(known(repairs.READY, 20), "unlisted")[0].state == repairs.BROKEN


def test_what_was_given_up_and_runs_again_is_ready():
    gave_up = known(repairs.GAVE_UP, 100, attempts=3, error="x")
    assert decide(gave_up, "failed") == (gave_up, repairs.NOTHING)
    assert decide(gave_up, "ready")[0].state == repairs.READY


def test_what_runs_otherwise_is_left_alone_and_told():
    now, action = repairs.decide(known(), Seen("ready", differs=["quantization q4 -> q8"]), NOW, LIMITS)
    assert (now.state, now.differs, action) == (repairs.READY, ["quantization q4 -> q8"], repairs.NOTHING)


def test_forgetting_keeps_the_count_of_launches():
    assert repairs.forget(known(repairs.GAVE_UP, attempts=3, launches=7)) == replace(Known("d"), launches=7)


@pytest.mark.parametrize("state", [repairs.READY, repairs.LOADING, repairs.MISSING, repairs.BROKEN])
def test_another_try_does_not_touch_the_clock_of_what_goes_on(state):
    before = known(state, 500, attempts=2, launches=7, error="x")
    assert repairs.retry(before) == replace(before, attempts=0, error=None)


@pytest.mark.parametrize("state", [repairs.WAITING, repairs.GAVE_UP])
def test_another_try_starts_what_failed_anew(state):
    before = known(state, 500, attempts=3, launches=7, next_try=NOW + 9)
    assert repairs.decide(repairs.retry(before), Seen("absent"), NOW, LIMITS)[0].state == repairs.MISSING


def test_a_launch_that_was_on_its_way_when_the_server_was_restarted_has_failed():
    now = repairs.restarted(known(repairs.LOADING, 20, attempts=2, launched=NOW - 20), NOW, LIMITS)
    assert (now.state, now.attempts, now.launched, now.next_try) == (repairs.WAITING, 2, None, NOW + repairs.backoff(2))
    assert repairs.restarted(replace(now, launched=NOW, attempts=3), NOW, LIMITS).state == repairs.GAVE_UP
    # Everything else starts anew.
    assert repairs.restarted(known(repairs.GAVE_UP, 20, attempts=3), NOW, LIMITS) == Known("d")


def short(before, now=NOW, serving=1, **seen):
    return repairs.decide(
        before, Seen("ready", replicas=(serving, 2), **{"grows": True, "lost": 1, **seen}), now, LIMITS
    )


@pytest.mark.parametrize("state", [*STATES, repairs.FEWER])
@pytest.mark.parametrize("coming", [0, 1])
def test_what_always_holds_of_a_model_with_fewer_replicas(state, coming):
    launches, tries, ages = (None, NOW - 5, NOW - 50, NOW - 700), (None, NOW - 1, NOW + 100), (0, 100, 10_000)
    for case in product((0, 1, 3), launches, tries, ages):
        attempts, launched, next_try, ago = case
        before = known(state, ago, attempts=attempts, launched=launched, next_try=next_try, replicas=[1, 2])
        now, action = short(before, coming=coming)
        # Never ended, never launched anew; and no two replicas are added at once.
        assert action in (repairs.NOTHING, repairs.ADD) and now.replicas == [1, 2], case
        if action == repairs.ADD:
            assert (now.state, now.launched, now.attempts) == (repairs.FEWER, NOW, attempts + 1), case
            assert not coming and launched is None and state != repairs.GAVE_UP, case
            assert next_try is None or next_try <= NOW, case
        # Nothing is added, and no failure counted, where replicas are not to be added.
        for no in ({"grows": False}, *([] if attempts and before.restores else [{"lost": 0}])):
            unchanged, action = short(before, coming=coming, **no)
            assert (unchanged.state, action) == (repairs.READY, repairs.NOTHING), (case, no)


def test_a_lost_replica_is_restored_when_its_worker_does_not_bring_it_back():
    lost, action = short(known(repairs.READY, 5000))
    assert (lost.state, lost.since, lost.serves, action) == (repairs.FEWER, NOW, True, repairs.NOTHING)
    assert short(lost, NOW + repairs.RETURNS - 1) == (lost, repairs.NOTHING)
    assert short(lost, NOW + 60, serving=2)[0].state == repairs.READY, "its worker was back in time"
    added, action = short(lost, NOW + repairs.RETURNS)
    assert (added.state, added.attempts, added.launches, action) == (repairs.FEWER, 1, 1, repairs.ADD)
    loading, action = short(added, NOW + 300, coming=1)
    assert (loading, action) == (added, repairs.NOTHING)
    assert short(loading, NOW + 300, serving=2)[0] == replace(
        loading, state=repairs.READY, since=NOW + 300, launched=None, replicas=[2, 2]
    )


def test_a_replica_that_does_not_come_up_is_tried_later_and_given_up_while_the_others_serve():
    state = known(repairs.FEWER, repairs.RETURNS)
    for attempt, pause in ((1, 30), (2, 60)):
        state, action = short(state, NOW)
        assert (state.attempts, action) == (attempt, repairs.ADD)
        assert short(state, NOW + repairs.LISTED - 1) == (state, repairs.NOTHING)
        state, action = short(state, NOW + repairs.LISTED)
        assert (state.state, state.next_try, action) == (repairs.WAITING, NOW + repairs.LISTED + pause, repairs.NOTHING)
        assert state.serves and "see the server's log" in state.error
        assert short(state, state.next_try - 1) == (state, repairs.NOTHING), "no storm of requests"
        state = replace(state, next_try=NOW)
    state, _action = short(state, NOW)
    gave_up, action = short(state, NOW + repairs.LISTED)
    assert (gave_up.state, gave_up.serves, action) == (repairs.GAVE_UP, True, repairs.NOTHING)
    assert short(gave_up, NOW + 1e6) == (gave_up, repairs.NOTHING)
    assert short(repairs.retry(gave_up), NOW)[0].state == repairs.FEWER


@pytest.mark.parametrize("state", [repairs.FEWER, repairs.WAITING, repairs.GAVE_UP])
@pytest.mark.parametrize("launched", [None, NOW - 5])
@pytest.mark.parametrize(
    "end, wants", [("absent", (repairs.MISSING, repairs.LAUNCH)), ("failed", (repairs.BROKEN, repairs.CLEAR))]
)
def test_what_then_ends_altogether_is_launched_anew_whatever_became_of_its_replicas(state, launched, end, wants):
    before = known(state, 50, attempts=3, launched=launched, next_try=NOW + 900, error="no room", replicas=[1, 2])
    gone, action = repairs.decide(before, Seen(end, replicas=(0, 2)), NOW, LIMITS)
    assert (gone.state, gone.attempts, gone.serves, action) == (wants[0], 0, False, repairs.NOTHING)
    assert repairs.decide(gone, Seen(end, replicas=(0, 2)), NOW + 100, LIMITS)[1] == wants[1]
    # So it is at a restart of the server, which is not the replica's doing.
    assert repairs.restarted(replace(before, launched=NOW), NOW, LIMITS) == Known("d")


def several(serving):
    return Seen("ready", replicas=(serving, 8), lost=8 - serving, grows=True)


def test_each_of_several_replicas_that_comes_up_is_a_success():
    now = NOW
    state, action = repairs.decide(known(repairs.READY, 5000), several(4), now, LIMITS)
    assert (state.state, action) == (repairs.FEWER, repairs.NOTHING)
    now += repairs.RETURNS
    for serving in range(4, 8):
        state, action = repairs.decide(state, several(serving), now, LIMITS)
        assert (state.state, state.attempts, state.error, action) == (repairs.FEWER, 1, None, repairs.ADD), serving
        now += 60
        state, action = repairs.decide(state, replace(several(serving), coming=1), now, LIMITS)
        assert action == repairs.NOTHING
        now += 60
    state, action = repairs.decide(state, Seen("ready", replicas=(8, 8)), now, LIMITS)
    assert (state.state, action) == (repairs.READY, repairs.NOTHING)


def test_a_worker_that_is_back_may_take_as_long_as_a_launch_for_what_it_had():
    lost = known(repairs.FEWER, repairs.RETURNS + 1)
    assert short(lost, returning=True) == (replace(lost, replicas=[1, 2]), repairs.NOTHING)
    assert short(lost, NOW + LIMITS.timeout, returning=True)[1] == repairs.ADD


def test_a_replica_that_hangs_is_a_failure_and_no_other_one_is_added_beside_it():
    before = known(repairs.FEWER, 700, attempts=1, launched=NOW - LIMITS.timeout - 1, replicas=[1, 2])
    hangs, action = short(before, coming=1)
    assert (hangs.state, hangs.error, action) == (
        repairs.WAITING,
        "another replica is not ready within 600 s",
        repairs.NOTHING,
    )
    assert short(hangs, NOW + 1e6, coming=1) == (hangs, repairs.NOTHING)


def test_a_restored_replica_that_is_gone_again_counts_as_a_failure_and_its_worker_may_still_return():
    now, action = short(known(repairs.READY, 40, attempts=1))
    assert (now.state, now.error, action) == (
        repairs.WAITING,
        "a replica is gone 40 s after it was ready",
        repairs.NOTHING,
    )
    assert now.next_try == NOW + repairs.RETURNS, "a pause that is shorter than a worker takes to come back"
    assert short(known(repairs.READY, 40, attempts=3))[0].state == repairs.GAVE_UP
