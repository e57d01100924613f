# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of what is declared, as programs of different releases of the collection read it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.module_utils import _locks as locks
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import (
    Declared,
    SlicedRun,
    Store,
)


def test_what_a_later_release_added_is_left_out(tmp_path):
    store = Store(str(tmp_path / "declared.json"))
    store.save(Declared(told={"LLM tiny": ["127.0.0.2:9998"]}))
    content = json.loads((tmp_path / "declared.json").read_text())
    (tmp_path / "declared.json").write_text(json.dumps({**content, "later": 1}))
    assert store.load() == Declared(told={"LLM tiny": ["127.0.0.2:9998"]})


def test_another_format_is_refused(tmp_path):
    (tmp_path / "declared.json").write_text('{"format": 2}')
    with pytest.raises(ModelopsError, match="another release"):
        Store(str(tmp_path / "declared.json")).load()


# -- the directory is the service's ------------------------------------------------------------------------------------


@pytest.fixture
def theirs(tmp_path):
    """declared.json in a directory of another user, and one of root's elsewhere."""
    directory = tmp_path / "reconciler"
    directory.mkdir()
    store = Store(str(directory / "declared.json"))
    store.save(Declared(models=[{"uid": "a"}]))
    attacker.owns(directory)
    other = attacker.secret(tmp_path / "outside")
    other.write_text(json.dumps({"format": 1, "models": [{"uid": attacker.SECRET}]}))
    return directory, store, other


def test_a_user_who_swaps_what_is_declared(theirs):
    directory, store, other = theirs
    before, read = other.read_text(), []
    with attacker.swaps(directory / "declared.json", other, '{"format": 1}'):
        for _number in attacker.times(0.9):
            with contextlib.suppress(ModelopsError):
                read.append(store.load())
                with store.lock():
                    store.save(read[-1])
    assert attacker.SECRET not in str(read)
    assert other.read_text() == before and stat.S_IMODE(other.stat().st_mode) == 0o600
    store.save(Declared())
    about = (directory / "declared.json").lstat()
    assert stat.S_ISREG(about.st_mode) and stat.S_IMODE(about.st_mode) == 0o600
    assert about.st_uid == directory.stat().st_uid


@pytest.mark.parametrize("kind", ["none", "link", "pipe", "root's"])
def test_the_lock_is_a_file_that_both_can_open(theirs, kind):
    directory, store, other = theirs
    lock = directory / "declared.json.lock"
    if kind == "link":
        lock.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(lock)
    elif kind == "root's":
        lock.write_text("")
        lock.chmod(0o600)
    old = os.umask(0o077)
    try:
        with store.lock(), pytest.raises(locks.Held), Store(store.path).lock(timeout=0):
            pass
    finally:
        os.umask(old)
    about = lock.lstat()
    assert stat.S_ISREG(about.st_mode)
    if os.geteuid() == 0 or kind != "root's":
        assert (stat.S_IMODE(about.st_mode), about.st_uid) == (0o644, directory.stat().st_uid)
    with open(other) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_another_request_in_the_place_of_one_that_waits_is_not_sent(theirs):
    directory, store, other = theirs
    pending = SlicedRun(store)
    path = pending.save({"body": "ours"})
    assert os.path.dirname(path) == str(directory) and stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert SlicedRun(store, path).load() == {"body": "ours"}
    assert pending.save({"body": "next"}) == path and SlicedRun(store, path).load() == {"body": "next"}
    os.unlink(path)
    os.symlink(other, path)
    with pytest.raises(ModelopsError, match="cannot be read"):
        SlicedRun(store, path).load()
    if os.geteuid() == 0:
        os.unlink(path)
        (directory / "theirs").write_text('{"body": "theirs"}')
        os.chown(directory / "theirs", attacker.UID, attacker.UID)
        os.rename(directory / "theirs", path)
        with pytest.raises(ModelopsError, match="cannot be read"):
            SlicedRun(store, path).load()
    SlicedRun(store, path).drop()
    assert not os.path.lexists(path) and other.exists()
