# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The claim of a real server, its users and its client key."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

from real_server import PASSWORD


def test_a_fresh_server_is_claimed_and_has_a_client_key(server, admin):
    predicted = admin(check=True)
    assert not predicted.failed, predicted["msg"]
    assert predicted["needs_setup"] and not server.key_file.exists()
    done = admin()
    assert not done.failed, done["msg"]
    assert done["plan"] == predicted["plan"] == ["+ claim administrator admin", "+ create key client"]
    assert (done["auth"], done["claimed"], done["needs_setup"]) == ("database", True, False)
    assert done["version"].startswith("4.")
    assert stat.S_IMODE(server.key_file.stat().st_mode) == 0o600
    token = re.findall(r"Setup token: (\S+)", Path(server.log).read_text())[-1]
    for secret in (token, PASSWORD, server.key_file.read_text().strip()):
        assert secret not in json.dumps(done)
    again = admin()
    assert not again.changed and again["requests"] == {"GET": 4, "POST": 1}


def test_a_lost_key_file_is_written_again(claimed, admin):
    key = claimed.key_file.read_text()
    claimed.key_file.unlink()
    assert admin().changed
    assert claimed.key_file.read_text() == key


def test_users_are_made_changed_and_removed(claimed, admin):
    viewer = {"name": "viewer", "password": "viewer-pass-1", "permissions": ["models:list"]}
    assert admin(users=[viewer])["plan"] == ["+ create user viewer"]
    assert not admin(users=[viewer]).changed
    more = {**viewer, "permissions": ["models:list", "models:read"]}
    assert admin(users=[more])["plan"] == [
        "~ change user viewer (permissions ['models:list'] -> ['models:list', 'models:read'])"
    ]
    assert not admin(users=[more]).changed
    assert admin(users=[{"name": "viewer", "state": "absent"}])["plan"] == ["- delete user viewer"]


def test_a_wrong_password_is_reported_after_one_attempt(claimed, admin, apply):
    result = admin(password="another-password")
    assert result.failed and "claimed by someone else, or with another password" in result["msg"]
