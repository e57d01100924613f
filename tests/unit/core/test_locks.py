# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks that are waited for with a bound, and who holds one."""

from __future__ import annotations

import fcntl
import os
import threading

import pytest

from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks


@pytest.fixture
def held(tmp_path):
    """A locked file, and another descriptor of it."""
    path = tmp_path / "lock"
    with open(path, "w") as one, open(path) as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        yield one, other.fileno(), str(path)


def test_who_holds_it_is_named_after_the_bound(held):
    _one, other, path = held
    with pytest.raises(
        locks.Held, match=rf"{path} is locked by .+ \(process {os.getpid()}\).*ps -fp {os.getpid()}"
    ) as info:
        locks.take(other, path, 0.2)
    assert info.value.line.endswith(f"(process {os.getpid()}), which holds {path}")


def test_it_is_taken_as_soon_as_it_is_free(held):
    one, other, path = held
    threading.Timer(0.3, lambda: fcntl.flock(one, fcntl.LOCK_UN)).start()
    locks.take(other, path, 30)


def test_somebody_who_cannot_be_seen_is_found_by_a_command(held, monkeypatch):
    _one, other, path = held
    monkeypatch.setattr(locks, "_read", lambda path: "")
    assert locks.holder(other, path) == ("another process", f"fuser -v {path}")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/opt/x/bin/python", "/opt/x/tools/modelops-reconcile", "run", "--secret", "s3cret"], "modelops-reconcile"),
        (["python3", "-c", "s3cret"], "python3"),
        (["python3"], "python3"),
        (["/usr/bin/flock", "/tmp/lock"], "flock"),
    ],
)
def test_arguments_of_a_process_are_not_shown(monkeypatch, words, name):
    monkeypatch.setattr(locks, "_read", lambda path: "".join(f"{word}\0" for word in words))
    assert locks._name(1) == name


def test_who_only_waits_for_it_does_not_hold_it(monkeypatch):
    lines = ["1: FLOCK ADVISORY WRITE 12 fd:01:77 0 EOF", "1: -> FLOCK ADVISORY WRITE 13 fd:01:78 0 EOF"]
    text = "\n".join([*lines, "2: POSIX ADVISORY WRITE 14 fd:01:78 0 EOF"])
    monkeypatch.setattr(locks, "_read", lambda path: text)
    assert (locks._locker(77), locks._locker(78)) == (12, 0)
