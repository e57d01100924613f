# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xinference_password: the steps of a rotation, wherever an earlier run broke off, and the reconciler beside it."""

from __future__ import annotations

import json
import stat
import threading
from dataclasses import replace

import pytest
from servers.xinference import PASSWORD, XinferenceServer

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._xinference.declaration.declared import Store
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import reconcile, repairs
from ansible_collections.modelops.inference.plugins.module_utils._xinference.reconciler import turn as one_turn
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users import secret_files
from ansible_collections.modelops.inference.plugins.module_utils._xinference.users.passwords import (
    PasswordState,
    plan_of,
)

OLD, NEW, OWN = "old-password-1", "new-password-2", "reconciler-pass-1"
SCOPES = ["models:list", "models:write", "models:register"]


def found(given=False, works=False, noted=False, in_file=OLD):
    return PasswordState("http://gpu01:9997", "admin", "/secrets/admin_password", given, works, noted, NEW, in_file)


@pytest.mark.parametrize(
    ("there", "steps"),
    [
        (found(), ["note", "change", "write", "forget"]),
        (found(in_file=None), ["note", "change", "write", "forget"]),
        # A run broke off after it had noted the new one, changed it, and written the file.
        (found(noted=True), ["change", "write", "forget"]),
        (found(noted=True, works=True), ["write", "forget"]),
        (found(noted=True, works=True, in_file=NEW), ["forget"]),
        # Whoever gives it keeps it, so nothing is noted, and no file is made.
        (found(given=True), ["change", "write"]),
        (found(given=True, works=True), ["write"]),
        (found(given=True, works=True, in_file=NEW), []),
        (found(given=True, in_file=None), ["change"]),
        (found(given=True, works=True, in_file=None), []),
        # A rotation to one that was made broke off, and then somebody gave one.
        (found(given=True, noted=True), ["change", "write", "forget"]),
    ],
)
def test_the_steps_follow_from_what_is_there(there, steps):
    assert [change.data for change in plan_of(there)] == steps


@pytest.fixture
def server():
    with XinferenceServer() as server:
        server.accounts.add_user("reconciler", OWN, SCOPES)
        yield server


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "admin_password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def password(run_module, server, file):
    def run(*, check=False, **options):
        options = {name: value for name, value in options.items() if value is not None}
        given = {"endpoint": server.url, "path": str(file), **options}
        result = run_module("xinference_password", given, check=check)
        for secret in (PASSWORD, OLD, NEW, OWN, *(user["password"] for user in server.accounts.users.values())):
            assert secret not in json.dumps(result)
        return result

    return run


@pytest.fixture
def directory(tmp_path):
    """The reconciler's, with its password."""
    path = tmp_path / "reconciler"
    path.mkdir()
    (path / "password").write_text(OWN + "\n")
    return path


@pytest.fixture
def of_reconciler(directory, file):
    """Options for the password of the reconciler."""
    own = {"user": "reconciler", "path": str(directory / "password"), "remember": str(directory / "declared.json")}
    return {**own, "password_file": str(file)}


def in_force(server, name):
    return server.accounts.users[name]["password"]


@pytest.mark.each_core("xinference_password")
def test_the_administrator_gets_a_password_that_is_made(password, server, file):
    server.strict_check = True
    predicted = password(check=True)
    assert predicted["plan"] == [
        f"+ write file {file}.next",
        "~ change user admin (password (hidden))",
        f"~ write file {file} (content (hidden))",
        f"- delete file {file}.next",
    ]
    assert not server.violations and in_force(server, "admin") == file.read_text().strip() == PASSWORD
    server.strict_check = False

    done = password()
    assert not done.failed and done["plan"] == predicted["plan"] and done["since"]
    made = in_force(server, "admin")
    assert made == file.read_text().strip() != PASSWORD and len(made) > 30
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and [path.name for path in file.parent.iterdir()] == [file.name]
    # Another one each time.
    assert password().changed and in_force(server, "admin") not in (made, PASSWORD)


def test_the_administrator_gets_the_password_of_the_inventory(password, server, file):
    assert password(new_password="short").failed and in_force(server, "admin") == PASSWORD
    done = password(new_password=NEW)
    assert done["plan"] == ["~ change user admin (password (hidden))", f"~ write file {file} (content (hidden))"]
    assert in_force(server, "admin") == file.read_text().strip() == NEW
    assert not password(new_password=NEW).changed

    # The old one is in no file: an earlier inventory gave it.
    file.unlink()
    refused = password(new_password=OLD)
    assert refused.failed and "accepts no known password of 'admin'" in refused["msg"]
    assert "rotate_old_admin_password" in refused["msg"] and in_force(server, "admin") == NEW
    done = password(new_password=OLD, password=NEW)
    assert done["plan"] == ["~ change user admin (password (hidden))"] and in_force(server, "admin") == OLD
    assert not password(new_password=OLD, password=NEW).changed and not file.exists()
    # No header carries it, so that it may have any character.
    assert (
        password(new_password="p\u00e4ss word\n", password=OLD).changed
        and in_force(server, "admin") == "p\u00e4ss word"
    )


def failing(*_args):
    raise ModelopsError("the disk is full")


@pytest.mark.parametrize("given", [None, NEW])
@pytest.mark.parametrize("user", ["admin", "reconciler"])
def test_a_run_that_broke_off_goes_on(password, server, file, of_reconciler, directory, monkeypatch, user, given):
    options = {**(of_reconciler if user == "reconciler" else {}), "new_password": given}
    path, old = (file, PASSWORD) if user == "admin" else (directory / "password", OWN)
    noted = path.with_name(path.name + ".next")
    server.fault("status", verb="PUT", status=500)
    broken = password(**options)
    assert broken.failed and in_force(server, user) == path.read_text().strip() == old
    assert broken["changed"] is noted.exists() is (given is None)

    kept = secret_files.write

    def writes(what, where, value):
        return failing() if where == str(path) else kept(what, where, value)

    with monkeypatch.context() as patch:
        patch.setattr(secret_files, "write", writes)
        broken = password(**options)
    assert broken.failed and broken["changed"] and "disk is full" in broken["msg"]
    made = in_force(server, user)
    assert made not in (old, None) and path.read_text().strip() == old
    assert given == made or noted.read_text().strip() == made

    done = password(**options)
    assert not done.failed and f"~ write file {path} (the rotation continues, content (hidden))" in done["plan"]
    assert in_force(server, user) == path.read_text().strip() == made and not noted.exists()


def test_an_answer_that_is_lost_leaves_a_password_that_somebody_knows(password, server, file):
    """The server has changed it, and the run hears nothing of that."""
    server.fault("reset_after", verb="PUT")
    assert password().failed and file.read_text().strip() == PASSWORD
    made = in_force(server, "admin")
    assert made != PASSWORD
    assert password()["plan"][0].startswith("~ write file") and file.read_text().strip() == made


def test_a_user_that_is_not_there(password, of_reconciler, server):
    server.accounts.users.pop("reconciler")
    refused = password(**of_reconciler)
    assert refused.failed and "has no user 'reconciler'" in refused["msg"] and "site.yml" in refused["msg"]


@pytest.mark.parametrize(
    ("options", "why"), [({"auth": False}, "no authentication"), ({"profile": "2.12.0"}, "older than 3.0")]
)
def test_servers_without_users_of_their_own(run_module, file, options, why):
    options = {**options, "auth": options.get("auth", True)}
    with XinferenceServer(**options) as server:
        refused = run_module("xinference_password", {"endpoint": server.url, "path": str(file)})
    assert refused.failed and why in refused["msg"] and file.read_text().strip() == PASSWORD


# -- the reconciler beside it ----------------------------------------------------------------------------------------


@pytest.fixture
def declared(directory, apply, server, embedding):
    """A model runs and is remembered."""
    result = apply(server, [embedding()], remember=str(directory / "declared.json"), prove="never")
    assert not result.failed, result["msg"]


@pytest.fixture
def turn(directory, server):
    def run():
        command = ["--directory", str(directory), "run", "--endpoint", server.url, "--release", "4.1.0"]
        return reconcile.main([*command, "--password-file", str(directory / "password"), "--ready-timeout", "1"])

    return run


def test_no_turn_of_the_reconciler_meets_an_invalid_password(declared, password, of_reconciler, turn, server):
    # Its first report about models would appear among the module's results.
    assert turn() == 0
    results, ends = [], threading.Event()

    def turns():
        while not ends.is_set():
            results.append(turn())

    thread = threading.Thread(target=turns)
    thread.start()
    try:
        made = set()
        for _number in range(5):
            done = password(**of_reconciler)
            assert not done.failed, done["msg"]
            made.add(in_force(server, "reconciler"))
    finally:
        ends.set()
        thread.join()
    assert len(made) == 5 and len(results) >= 5 and set(results) == {0}
    assert server.accounts.failures == 0


def test_while_server_and_file_differ_the_reconciler_does_not_log_in(declared, turn, directory, server):
    with Store(str(directory / "declared.json")).lock():
        server.accounts.users["reconciler"]["password"] = NEW
        server.forget()
        assert turn() == 0 and ("POST", "/token") not in server.requests
        (directory / "password").write_text(NEW)
    assert turn() == 0 and server.accounts.failures == 0


def test_a_rotation_that_broke_off_does_not_stop_the_reconciler(declared, turn, directory, server):
    """The server has the new password, and the file the old one."""
    (directory / "password.next").write_text(NEW)
    assert turn() == 0 and server.accounts.failures == 0
    server.accounts.users["reconciler"]["password"] = NEW
    assert [turn(), turn()] == [0, 0] and server.accounts.failures == 1
    # One that nobody takes is not tried again.
    server.accounts.users["reconciler"]["password"] = OLD
    assert [turn(), turn()] == [6, 6] and server.accounts.failures == 3
    (directory / "password.next").unlink()
    (directory / "password").write_text(OLD)
    assert turn() == 0


def test_a_turn_in_which_the_password_is_replaced_logs_in_anew(declared, turn, directory, server, monkeypatch):
    """With the password the server ends the token of a turn that waits for a model."""
    monkeypatch.setattr(one_turn, "_LOOK", 0.05)
    looked = one_turn.Turn._look
    states = []

    def look(self, memory):
        looked(self, memory)
        if not states:
            states.append(next(iter(self.state.models)))
            # As while it loads: there is another look in this turn.
            known = self.state.models[states[0]]
            self.state.models[states[0]] = replace(known, state=repairs.LOADING)
            user = server.accounts.users["reconciler"]
            server.accounts.change_password(user["id"], {"new_password": NEW}, "admin")
            (directory / "password").write_text(NEW)

    monkeypatch.setattr(one_turn.Turn, "_look", look)
    server.forget()
    assert turn() == 0 and server.requests.count(("POST", "/token")) == 2 and server.accounts.failures == 0
