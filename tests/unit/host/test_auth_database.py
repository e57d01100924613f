# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users in the server's database: only a missing file is a missing database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._host.service import auth_database


@pytest.fixture(params=["home", "a#b?c%20d"])
def home(request, tmp_path):
    made = tmp_path / request.param
    made.mkdir()
    return made


def fill(home, users):
    (home / "auth").mkdir(exist_ok=True)
    with sqlite3.connect(home / "auth" / "auth.db") as database:
        database.execute("CREATE TABLE users (id INTEGER)")
        database.executemany("INSERT INTO users VALUES (?)", [(number,) for number in range(users)])
    database.close()


def test_users_are_counted(home):
    assert auth_database.users(str(home)) is None
    fill(home, 2)
    assert auth_database.users(str(home)) == 2


def test_a_database_without_users_has_none(home):
    fill(home, 0)
    assert auth_database.users(str(home)) == 0


def test_no_home_is_no_database(tmp_path):
    assert auth_database.users(str(tmp_path / "none")) is None


def text(path):
    path.write_text("no database" * 1000)


BROKEN = {
    "no database": (text, "file is not a database"),
    "empty": (Path.touch, "no such table: users"),
    "a directory": (Path.mkdir, "not a regular file"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "symbolic link"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_anything_else_is_an_error_that_names_the_file(home, what):
    make, why = BROKEN[what]
    (home / "auth").mkdir()
    make(home / "auth" / "auth.db")
    with pytest.raises(auth_database.UnreadableDatabase) as caught:
        auth_database.users(str(home))
    assert str(home / "auth" / "auth.db") in str(caught.value) and why in str(caught.value)


def test_a_file_in_the_place_of_its_directory_is_an_error(home):
    (home / "auth").touch()
    with pytest.raises(auth_database.UnreadableDatabase, match="Not a directory"):
        auth_database.users(str(home))


@pytest.fixture
def anybodys():
    """A directory that every user reaches."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user's rights to take")
def test_root_reads_with_the_rights_of_the_directorys_owner(anybodys):
    home, secret = anybodys / "home", anybodys / "secret"
    for directory in (home, secret):
        directory.mkdir()
        fill(directory, 3)
    secret.chmod(0o700)
    for path in (home, home / "auth", home / "auth" / "auth.db"):
        os.chown(path, 65534, 65534)
    assert auth_database.users(str(home)) == 3
    (home / "auth" / "auth.db").unlink()
    (home / "auth" / "auth.db").symlink_to(secret / "auth" / "auth.db")
    with pytest.raises(auth_database.UnreadableDatabase):
        auth_database.users(str(home))


def test_a_server_that_writes_is_read(home):
    """As Xinference has it: a write-ahead log, which holds what is not in the file yet."""
    fill(home, 1)
    writer = sqlite3.connect(home / "auth" / "auth.db")
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("INSERT INTO users VALUES (7)")
    writer.commit()
    assert auth_database.users(str(home)) == 2
    writer.close()


def test_the_remedy_names_the_last_backup_and_works(home, tmp_path):
    backups = tmp_path / "backups"
    for name, users in (("20260101T000000Z-4.0.1-a", 1), ("20260201T000000Z-4.0.1-a", 2)):
        kept = backups / name / "home"
        kept.mkdir(parents=True)
        fill(kept, users)
    # One of another part of the host.
    (backups / "20260301T000000Z-4.0.1-a").mkdir()
    (home / "auth").mkdir()
    text(home / "auth" / "auth.db")
    said = auth_database.remedy(str(home), str(backups), "true")
    assert f"the last backup, {backups}/20260201T000000Z-4.0.1-a/home/auth/auth.db: true && install" in said
    subprocess.run(["/bin/sh", "-c", said[said.index("true && ") :]], check=True)
    assert auth_database.users(str(home)) == 2
    assert (home / "auth" / "auth.db").stat().st_mode & 0o777 == 0o600


def test_without_a_backup_the_remedy_makes_the_administrator_anew(home, tmp_path):
    (home / "auth").mkdir()
    text(home / "auth" / "auth.db")
    said = auth_database.remedy(str(home), str(tmp_path / "backups"), "true")
    assert f"{tmp_path}/backups has no backup of it" in said
    subprocess.run(["/bin/sh", "-c", said[said.index("true && ") :]], check=True)
    assert auth_database.users(str(home)) is None


def test_the_probe_says_it_and_does_not_fail(home, tmp_path, run_module):
    (home / "auth").mkdir()
    text(home / "auth" / "auth.db")
    options = dict(path=str(tmp_path), home=str(home), models_dir=str(tmp_path / "m"), service_manager="supervisord")
    result = run_module("xinference_host_info", options)
    assert not result.failed and result["auth_users"] == -1
    assert (
        "auth.db, the server's database of users, cannot be read (file is not a database)" in result["auth_unreadable"]
    )
    assert "stop xinference" in result["auth_unreadable"]


def test_nothing_is_bootstrapped_over_it(home, tmp_path, run_module):
    (home / "auth").mkdir()
    text(home / "auth" / "auth.db")
    for check in (True, False):
        result = run_module("xinference_bootstrap", dict(home=str(home), secrets=str(tmp_path / "s")), check=check)
        assert result.failed and "cannot be read (file is not a database)" in result["msg"]
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"user_config": 7}', '{"user_config": [{}]}'])
def test_nor_over_a_file_of_users_that_is_none(tmp_path, run_module, content):
    path = tmp_path / "auth.json"
    path.write_text(content)
    options = dict(home=str(tmp_path), secrets=str(tmp_path / "s"), auth_config=str(path))
    result = run_module("xinference_bootstrap", {**options, "reconciler_password": str(tmp_path / "p")}, check=True)
    assert result.failed and f"{path}, the server's file of users, cannot be read" in result["msg"]
