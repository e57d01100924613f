# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's log and files with secrets, where the service's user swaps them for links to root's files."""

from __future__ import annotations

import contextlib
import os

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.module_utils import _connection, _log
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "logs" / "xinference.log"
    path.parent.mkdir()
    path.write_text("started\nSetup token: 123\n")
    attacker.owns(path.parent)
    return path


def test_a_log_of_the_services_user(log):
    assert _log.tail(str(log)).endswith("started\nSetup token: ********")
    assert _log.setup_token(str(log)) == "123"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_stands_in_the_place_of_a_log_is_not_read(log, tmp_path, kind):
    log.unlink()
    if kind == "link":
        log.symlink_to(attacker.secret(tmp_path / "outside"))
    else:
        os.mkfifo(log)
    assert _log.tail(str(log)) == ""
    for read in (_log.setup_token, lambda path: _connection.secret(None, path, "password_file")):
        with pytest.raises(ModelopsError, match="cannot be read [(]it is"):
            read(str(log))


def test_a_user_who_swaps_the_log_all_the_time(log, tmp_path):
    told = set()
    with attacker.swaps(log, attacker.secret(tmp_path / "outside"), "well"):
        for _number in attacker.times(0.9):
            told.add(_log.tail(str(log)))
            with contextlib.suppress(ModelopsError):
                told.add(_connection.secret(None, str(log), "password_file"))
    assert told and not any(attacker.SECRET in text for text in told)
