# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server remembers: kept before another release may change it, and put back where the old one cannot read it."""

from __future__ import annotations

import sqlite3
import stat

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host import backup


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
    backup.make(str(directory), backup.sources(str(home), [str(declared), str(declared) + "-missing"]))
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
    assert backup.unreadable(directory, str(home), [str(declared)]) == {}


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
    assert sorted(lost.values()) == sorted(places)
    for kept, place in lost.items():
        backup.put_back(kept, place)
    assert backup.unreadable(directory, str(home), [str(declared)]) == {}
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
    with pytest.raises(ModelopsError, match="reached by a symbolic link"):
        backup.unreadable(directory, str(home), [str(declared)])
    assert not list((tmp_path / "cron.d").iterdir())


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
