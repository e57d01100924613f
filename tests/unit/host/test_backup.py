# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups of a server's state: made before another release changes it, restored if the old one cannot read it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.service import backup, database


def sql(path, *statements):
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as database:
        rows = [list(database.execute(statement)) for statement in statements]
    database.close()
    return rows[-1]


@pytest.fixture
def server(tmp_path):
    home = tmp_path / "home"
    sql(home / "auth/auth.db", "CREATE TABLE users (name)", "INSERT INTO users VALUES ('admin')")
    sql(home / "launch_history.db", "CREATE TABLE launches (uid)")
    (home / "auth/encryption_key").write_text("k")
    (home / "model/v2/llm").mkdir(parents=True)
    (home / "model/v2/llm/a.json").write_text("{}")
    (home / "logs").mkdir()
    (home / "logs/xinference.log").write_text("x")
    declared = tmp_path / "declared.json"
    declared.write_text("[]")
    return home, declared


def keep(home, declared, directory):
    backup.make(str(directory), str(home), [str(declared), str(declared) + "-missing"])
    return str(directory)


def test_only_what_cannot_be_had_again_is_kept_and_nobody_else_reads_it(server, tmp_path):
    home, declared = server
    directory = tmp_path / "backups" / "1"
    keep(home, declared, directory)
    kept = {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}
    assert sorted(kept) == [
        "declared.json",
        "home/auth/auth.db",
        "home/auth/encryption_key",
        "home/launch_history.db",
        "home/model/v2/llm/a.json",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.values()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (directory, directory.parent)} == {0o700}
    assert sql(directory / "home/auth/auth.db", "SELECT name FROM users") == [("admin",)]


def test_a_database_is_kept_whole_while_it_is_written(server, tmp_path):
    home, declared = server
    writer = sqlite3.connect(home / "auth/auth.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("INSERT INTO users VALUES ('late')")
    keep(home, declared, tmp_path / "b")
    writer.close()
    assert sql(tmp_path / "b/home/auth/auth.db", "SELECT name FROM users") == [("admin",), ("late",)]


def test_what_was_only_written_to_stays(server, tmp_path):
    home, declared = server
    directory = keep(home, declared, tmp_path / "b")
    sql(home / "auth/auth.db", "INSERT INTO users VALUES ('new')")
    declared.write_text("[1]")
    assert backup.unreadable(directory, str(home), [str(declared)]) == []


def test_other_tables_and_what_is_gone_are_put_back(server, tmp_path):
    home, declared = server
    directory = keep(home, declared, tmp_path / "b")
    sql(home / "auth/auth.db", "ALTER TABLE users ADD COLUMN age")
    (home / "auth/auth.db-wal").write_text("stale")
    (home / "model/v2/llm/a.json").unlink()
    (home / "model/v2/llm").rmdir()
    declared.unlink()
    lost = backup.unreadable(directory, str(home), [str(declared)])
    places = [str(home / "auth/auth.db"), str(home / "model/v2/llm/a.json"), str(declared)]
    assert [one.place for one in lost] == sorted(places)
    for one in lost:
        backup.put_back(one)
    assert backup.unreadable(directory, str(home), [str(declared)]) == []
    assert sql(home / "auth/auth.db", "SELECT * FROM users") == [("admin",)]
    assert (home / "model/v2/llm/a.json").read_text() == "{}"


def test_links_of_the_services_user_are_not_followed(server, tmp_path):
    home, declared = server
    secret = tmp_path / "shadow"
    secret.write_text("root")
    for link in ("model/v2/llm/x.json", "y.db", "auth/z.json"):
        (home / link).symlink_to(secret)
    (tmp_path / "elsewhere").mkdir()
    (home / "model/v2/dir").symlink_to(tmp_path / "elsewhere")
    found = backup.sources(str(home), [str(declared)])
    assert sorted(found) == [
        "declared.json",
        "home/auth/auth.db",
        "home/auth/encryption_key",
        "home/launch_history.db",
        "home/model/v2/llm/a.json",
    ]
    declared.unlink()
    declared.symlink_to(secret)
    assert "declared.json" not in backup.sources(str(home), [str(declared)])
    # A home that is a link itself is the operator's.
    (tmp_path / "link").symlink_to(home)
    assert {*found} - {"declared.json"} == {*backup.sources(str(tmp_path / "link"), [])}


def test_nothing_is_put_back_through_a_link(server, tmp_path):
    home, declared = server
    directory = keep(home, declared, tmp_path / "b")
    (home / "model").rename(tmp_path / "model")
    (tmp_path / "cron.d").mkdir()
    (home / "model").symlink_to(tmp_path / "cron.d")
    assert "home/model/v2/llm/a.json" not in backup.sources(str(home), [])
    with pytest.raises(ModelopsError, match="is a symbolic link or not a directory"):
        backup.unreadable(directory, str(home), [str(declared)])
    assert not list((tmp_path / "cron.d").iterdir())


def everything_in(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.mark.parametrize("name", ["..%2F..%2Felsewhere%2Fapp.db", "x.db?mode=rwc&z.db", "#.db", "%00.db"])
def test_a_name_means_nothing_to_sqlite(server, tmp_path, name):
    home, declared = server
    sql(
        tmp_path / "elsewhere" / "app.db",
        "CREATE TABLE secret (x)",
        "INSERT INTO secret VALUES ('only root reads this')",
    )
    (home / "auth" / name).write_text("not a database")
    before = everything_in(home)
    keep(home, declared, tmp_path / "b")
    assert (tmp_path / "b/home/auth" / name).read_text() == "not a database"
    assert everything_in(home) == before
    assert not any(attacker.SECRET.encode() in text for text in everything_in(tmp_path / "b").values())


def test_a_home_with_signs_of_a_url_in_its_path(server, tmp_path):
    home, _declared = server
    odd = home.rename(tmp_path / "100%25 #1?mode=rwc")
    directory = tmp_path / "b?x"
    backup.make(str(directory), str(odd), [])
    assert sql(directory / "home/auth/auth.db", "SELECT name FROM users") == [("admin",)]
    assert backup.unreadable(str(directory), str(odd), []) == []


def test_a_journal_of_the_services_user_deletes_no_file(server, tmp_path):
    """SQLite deletes the super-journal that a journal names, once it has rolled that back."""
    home, declared = server
    victim = tmp_path / "victim"
    victim.write_text("root needs this\n")
    path = home / "auth/auth.db"
    page = path.read_bytes()[:4096]
    name = os.fsencode(victim)
    header = bytes.fromhex("d9d505f920a163d7") + b"".join(n.to_bytes(4, "big") for n in (1, 7, 2, 512, 4096))
    nonce = (7 + sum(page[at] for at in range(4096 - 200, 0, -200))) & 0xFFFFFFFF
    record = (1).to_bytes(4, "big") + page + nonce.to_bytes(4, "big")
    lock_page = (0x40000000 // 4096 + 1).to_bytes(4, "big")
    end = lock_page + name + len(name).to_bytes(4, "big") + (sum(name) & 0xFFFFFFFF).to_bytes(4, "big") + header[:8]
    (home / "auth/auth.db-journal").write_bytes(header.ljust(512, b"\0") + record + end)
    shutil.copytree(home / "auth", tmp_path / "in its place")
    with contextlib.closing(sqlite3.connect(tmp_path / "in its place" / "auth.db")) as database:
        database.execute("SELECT * FROM users").fetchall()
    assert not victim.exists(), "the attack itself"
    victim.write_text("root needs this\n")
    directory = keep(home, declared, tmp_path / "b")
    assert backup.unreadable(directory, str(home), [str(declared)]) == []
    assert victim.exists() and sql(tmp_path / "b/home/auth/auth.db", "SELECT name FROM users") == [("admin",)]


def test_a_view_without_an_end_is_given_up(server):
    home, _declared = server
    sql(home / "auth/auth.db", "DROP TABLE users")
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    sql(home / "auth/auth.db", f"CREATE VIEW users AS {numbers}")
    with Directory.at(str(home / "auth")) as directory, pytest.raises(sqlite3.OperationalError, match="interrupted"):
        with database.copied(directory, "auth.db", timeout=0.3) as copy:
            copy.execute("SELECT count(*) FROM users").fetchone()


WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
database.execute("PRAGMA journal_mode=" + sys.argv[2])
database.execute("CREATE TABLE IF NOT EXISTS pairs (a, b, padding)")
database.execute("PRAGMA wal_autocheckpoint=5")
number = 0
while True:
    number += 1
    database.execute("BEGIN IMMEDIATE")
    database.execute("DELETE FROM pairs")
    for row in range(20):
        database.execute("INSERT INTO pairs VALUES (?, ?, ?)", (number, row, "x" * 2000))
    database.execute("COMMIT")
    if number == 1:
        print(flush=True)
"""


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_database_is_kept_as_of_one_moment_under_a_writer(server, tmp_path, mode):
    home, declared = server
    words = [sys.executable, "-c", WRITER, str(home / "auth/auth.db"), mode]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        for number in attacker.times(0.9):
            keep(home, declared, tmp_path / f"b{number}")
            kept = tmp_path / f"b{number}/home/auth/auth.db"
            assert sql(kept, "PRAGMA integrity_check") == [("ok",)]
            ((moments, rows),) = sql(kept, "SELECT count(DISTINCT a), count(*) FROM pairs")
            assert (moments, rows) == (1, 20)
        assert writer.poll() is None
        writer.terminate()


def test_a_database_that_stays_locked_is_named(server, monkeypatch):
    home, _declared = server
    holder = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", holder, str(home / "auth/auth.db")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with (
            Directory.at(str(home / "auth")) as directory,
            pytest.raises(ModelopsError, match="auth.db cannot be read: another"),
        ):
            with database.copied(directory, "auth.db", timeout=0.2):
                pass
        process.stdin.close()


def test_a_user_who_swaps_files_gets_nothing_of_roots(server, tmp_path):
    home, declared = server
    secret = attacker.secret(tmp_path / "outside")
    shown = sql(
        tmp_path / "outside" / "app.db", "CREATE TABLE secret (x)", f"INSERT INTO secret VALUES ('{attacker.SECRET}')"
    )
    assert shown == []
    for path in (home, declared.parent / "reconciler"):
        path.mkdir(exist_ok=True)
    declared = declared.rename(tmp_path / "reconciler" / "declared.json")
    attacker.owns(home)
    attacker.owns(declared.parent)
    with contextlib.ExitStack() as stack:
        for path, target in (
            (home / "auth/encryption_key", secret),
            (home / "auth/auth.db", tmp_path / "outside/app.db"),
            (home / "model/v2", tmp_path / "outside"),
            (declared, secret),
        ):
            stack.enter_context(attacker.swaps(path, target))
        for number in attacker.times(1):
            keep(home, declared, tmp_path / "backups" / f"{number}")
    found = everything_in(tmp_path / "backups")
    assert found and not any(attacker.SECRET.encode() in text for text in found.values())


def test_a_user_who_swaps_directories_has_nothing_put_elsewhere(server, tmp_path):
    home, declared = server
    directory = keep(home, declared, tmp_path / "b")
    outside = tmp_path / "cron.d"
    (outside / "llm").mkdir(parents=True)
    attacker.owns(home)
    with attacker.swaps(home / "model/v2", outside):
        for _number in attacker.times(1):
            with contextlib.suppress(FileNotFoundError):
                (home / "model/v2/llm/a.json").unlink()
            with contextlib.suppress(ModelopsError):
                for one in backup.unreadable(directory, str(home), [str(declared)]):
                    backup.put_back(one)
    assert [path.name for path in outside.rglob("*")] == ["llm"]


def test_a_file_that_the_services_user_could_not_read_is_not_given_to_him(server, tmp_path):
    """By a hard link, where the kernel does not protect them, to a file of root's."""
    home, declared = server
    attacker.owns(home)
    os.link(attacker.secret(tmp_path / "outside"), home / "auth/x.json")
    keep(home, declared, tmp_path / "b")
    kept = (tmp_path / "b/home/auth/x.json").exists()
    assert kept is (os.geteuid() != 0)


@pytest.mark.each_core("xinference_backup")
def test_the_newest_of_each_release_stays(run_module, server, tmp_path):
    home, _declared = server
    path = tmp_path / "backups"
    old = [f"2026010{number}T000000Z-{release}" for number, release in enumerate("abbcc", 1)]
    for name in old:
        (path / name).mkdir(parents=True)
    given = {"path": str(path), "home": str(home), "release": "c", "releases": ["a", "b", "c", "d"], "keep": 2}
    result = run_module("xinference_backup", given)
    assert result["plan"][1:] == [f"- remove backup {old[number]}" for number in (3, 1)]
    assert {entry.name for entry in path.iterdir()} == {old[0], old[2], old[4], result["backup"].rpartition("/")[2]}


def test_the_newest_is_first_and_a_broken_off_one_is_none(tmp_path):
    for name in ("20260101T000000Z-a", "20260102T000000Z-a", "20260103T000000Z-a.part"):
        (tmp_path / name).mkdir()
    assert backup.backups(str(tmp_path)) == ["20260102T000000Z-a", "20260101T000000Z-a"]
    assert backup.backups(str(tmp_path / "none")) == []
