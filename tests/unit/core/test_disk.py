# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Advice for a full or read-only file system."""

from __future__ import annotations

import errno
import os
import types

import pytest

from ansible_collections.modelops.inference.plugins.module_utils import _directory, _disk, _module
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError

FULL = "making /srv/none/x: error: No space left on device (os error 28)"


@pytest.fixture
def usage(monkeypatch):
    """A file system of 2 GiB, with nothing free."""
    found = types.SimpleNamespace(f_bavail=0, f_frsize=1024, f_blocks=2 << 20, f_files=9, f_favail=9, f_flag=0)
    monkeypatch.setattr(_disk.os, "statvfs", lambda path: found)
    return found


def test_a_full_one_is_told_with_what_is_free(usage):
    said = _disk.advice(FULL, ["/"])
    assert said.startswith("\nThe file system of /") and "has 0.0 of 2.0 GiB free. Make room there (du -xh /" in said
    assert "xinference_dir" in said
    usage.f_favail = 0
    assert "has 0.0 of 2.0 GiB and no inode free" in _disk.advice(FULL, ["/"])


def test_a_read_only_one_is_told_with_its_mount(usage):
    usage.f_flag = os.ST_RDONLY
    said = _disk.advice("/srv/x: Read-only file system")
    assert "is mounted read-only" in said and "mount -o remount,rw /" in said


def test_where_there_is_room_by_now_it_was_full_if_it_happened_here(usage):
    usage.f_bavail = 1 << 20
    assert _disk.advice(FULL, ["/"]) == "", "a server elsewhere may have said so"
    assert "has 1.0 of 2.0 GiB free. Make room there" in _disk.advice(FULL, ["/"], here=True)


@pytest.mark.parametrize("text", ["", "/srv/x: Permission denied", "no GPU of that name"])
def test_other_errors_stay_as_they_are(text):
    assert _disk.advice(text, ["/"]) == ""


@pytest.mark.parametrize(
    "exc",
    [
        ModelopsError("/srv/x cannot be written: Read-only file system"),
        OSError(errno.EROFS, os.strerror(errno.EROFS), "/srv/x"),
        OSError(errno.EACCES, os.strerror(errno.EACCES), "/srv/x"),
    ],
)
def test_every_module_says_so(usage, exc):
    usage.f_flag = os.ST_RDONLY
    said = {}

    class Ended(Exception):
        pass

    def fail(msg, **more):
        said.update(more, msg=msg)
        raise Ended

    def work(module):
        raise exc

    module = types.SimpleNamespace(
        no_log_values=set(), params={"path": "/srv"}, argument_spec={}, warn=print, fail_json=fail
    )
    with pytest.raises(Ended):
        _module.run(module, work)
    if getattr(exc, "errno", None) == errno.EACCES:
        assert "did not expect: PermissionError" in said["msg"] and "exception" in said
    else:
        assert said["msg"].startswith("/srv/x cannot be written: Read-only file system")
        assert "is mounted read-only" in said["msg"] and "exception" not in said


def test_a_write_to_a_full_disk_names_its_file(tmp_path):
    with _directory.Directory.at(str(tmp_path)) as directory, pytest.raises(OSError) as info:
        with directory.create("x", 0o600):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert info.value.filename == str(tmp_path / "x") and list(tmp_path.iterdir()) == []
