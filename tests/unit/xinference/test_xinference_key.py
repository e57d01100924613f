# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_key: the steps of a rotation, wherever an earlier run broke off."""

from __future__ import annotations

import json
import stat

import pytest
from servers.xinference import PASSWORD, XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users.rotation import (
    KeyState,
    begin,
    finish,
)

OLD, NEW = "sk-old4567890123", "xf-new4567890123"
OLD_ROW = {"id": 1, "name": "client", "key_prefix": OLD[:7]}
NEW_ROW = {"id": 2, "name": "client-next", "key_prefix": NEW[:7]}


def found(there=True, next=None, text=None, in_file=OLD):
    current = OLD_ROW if there else None
    return KeyState("http://gpu01:9997", "client", "/secrets/client_key", current, next, text, in_file)


@pytest.mark.parametrize(
    ("there", "begins", "ends"),
    [
        (found(), ["create", "write"], []),
        (found(in_file=None), ["create", "write"], []),
        # A run broke off after it had made the key, or somebody restored the file since.
        (found(next=NEW_ROW, text=NEW), ["write"], None),
        (found(next=NEW_ROW, text=NEW, in_file=None), ["write"], None),
        # ... after it had written the file.
        (found(next=NEW_ROW, text=NEW, in_file=NEW), [], ["revoke", "rename"]),
        (found(next=NEW_ROW, in_file=NEW), [], ["revoke", "rename"]),
        # ... after it had revoked the old one.
        (found(there=False, next=NEW_ROW, text=NEW, in_file=NEW), [], ["rename"]),
        # Nobody could say what clients have.
        (found(next=NEW_ROW), "cannot show again", None),
        (found(there=False), "Run site.yml", []),
        (found(in_file="sk-another890123"), "has another key", []),
    ],
)
def test_the_steps_follow_from_what_is_there(there, begins, ends):
    if isinstance(begins, str):
        with pytest.raises(ModelopsError, match=begins):
            begin(there)
    else:
        assert [change.data for change in begin(there)] == begins
    if ends is None:
        with pytest.raises(ModelopsError, match="is not revoked"):
            finish(there)
    else:
        assert [change.data for change in finish(there)] == ends


@pytest.fixture
def server(tmp_path):
    with XinferenceServer() as server:
        owner = server.accounts.add_user("client", "x" * 12, ["models:list", "models:read"])
        limited = [{"permission_type": "model", "permission_value": "qwen3"}]
        server.accounts.add_key("client", owner["id"], OLD, description="for Dify", model_permissions=limited)
        yield server


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "client_key"
    path.write_text(OLD + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def key(run_module, server, file):
    def run(state, *, check=False, **options):
        given = {"endpoint": server.url, "password": PASSWORD, "path": str(file), "state": state}
        return run_module("xinference_key", {**given, **options}, check=check)

    return run


def names(server):
    return {row["name"]: row["key"] for row in server.accounts.keys}


@pytest.mark.each_core("xinference_key")
def test_a_rotation_from_its_begin_to_its_end(key, server, file):
    server.strict_check = True
    predicted = key("begun", check=True)
    assert predicted["plan"] == ["+ create key client-next", f"~ write file {file} (content (hidden))"]
    assert predicted["old"] == [OLD[:7]] and names(server) == {"client": OLD} and not server.violations
    server.strict_check = False

    begun = key("begun")
    assert not begun.failed and begun["plan"] == predicted["plan"] and begun["old"] == [OLD[:7]]
    keys = names(server)
    assert keys["client"] == OLD and file.read_text().strip() == keys["client-next"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    old, new = server.accounts.keys
    assert (new["user_id"], new["description"]) == (old["user_id"], old["description"])
    assert [row["permission_value"] for row in new["model_permissions"]] == ["qwen3"]
    again = key("begun")
    assert not again.changed and again["old"] == [OLD[:7]]

    finished = key("finished")
    assert finished["plan"] == ["- revoke key client", "~ rename key client-next (name client-next -> client)"]
    assert names(server) == {"client": keys["client-next"]} and finished["old"] == []
    assert finished["since"] == "2026-11-22 10:47:06"
    assert not key("finished").changed
    for result in (predicted, begun, again, finished):
        assert OLD not in json.dumps(result) and keys["client-next"] not in json.dumps(result)


def test_a_run_that_broke_off_goes_on(key, server, file, monkeypatch):
    from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import secret_files

    def failing(*_args):
        raise ModelopsError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(secret_files, "write", failing)
        broken = key("begun")
    assert broken.failed and broken["changed"] and "disk is full" in broken["msg"]
    made = names(server)["client-next"]
    assert key("finished").failed and names(server)["client"] == OLD
    assert key("begun")["plan"] == [f"~ write file {file} (the rotation continues, content (hidden))"]
    assert file.read_text().strip() == made

    server.fault("status", verb="PUT", status=500)
    broken = key("finished")
    assert broken.failed and broken["changed"] and list(names(server)) == ["client-next"]
    assert not key("begun").changed
    assert key("finished").changed and names(server) == {"client": made}


@pytest.mark.parametrize(
    ("options", "why"), [({"auth": False}, "no authentication"), ({"profile": "2.12.0"}, "older than 3.0")]
)
def test_servers_without_keys_of_their_own(run_module, file, options, why):
    options = {**options, "auth": options.get("auth", True)}
    with XinferenceServer(**options) as server:
        given = {"endpoint": server.url, "password": PASSWORD, "path": str(file), "state": "begun"}
        refused = run_module("xinference_key", given)
    assert refused.failed and why in refused["msg"] and file.read_text().strip() == OLD
