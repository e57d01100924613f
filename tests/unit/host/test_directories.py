# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of the service's user are made, handed over and removed, whatever that user puts there meanwhile."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._host.system import tree

ROOT = os.geteuid() == 0
OLD = (attacker.UID, attacker.UID) if ROOT else (os.geteuid(), os.getegid())
NEW = (attacker.UID + 1, attacker.UID + 1) if ROOT else (os.geteuid(), os.getegid())


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def owner(path):
    return path.lstat().st_uid


@pytest.fixture
def directory(run_module):
    def run(*paths, check=False, **options):
        return run_module("xinference_directory", {"paths": [str(path) for path in paths], **options}, check=check)

    return run


@pytest.fixture
def home(tmp_path):
    """A server's home of another user, and root's files beside it."""
    home = tmp_path / "home"
    (home / "auth" / "deep").mkdir(parents=True)
    for path in (home / "auth" / "auth.db", home / "auth" / "deep" / "key", home / "file"):
        path.write_text("{}")
        path.chmod(0o600)
    attacker.secret(tmp_path / "outside").parent.chmod(0o700)
    attacker.owns(home)
    return home


def untouched(outside):
    about = (outside / "secret").stat()
    return (
        mode(outside),
        owner(outside),
        stat.S_IMODE(about.st_mode),
        about.st_uid,
        (outside / "secret").read_text(),
    ) == (
        0o700,
        os.geteuid(),
        0o600,
        os.geteuid(),
        attacker.SECRET,
    )


@pytest.mark.each_core("xinference_directory")
def test_directories_are_made_set_and_removed(directory, tmp_path):
    user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    paths = [tmp_path / "a" / "b" / "home", tmp_path / "c"]
    wanted = dict(mode="0750", owner=user, group=group)
    assert directory(*paths, check=True, **wanted)["plan"] == [f"+ make {path}" for path in paths]
    assert not os.listdir(tmp_path)
    old = os.umask(0o077)
    try:
        assert directory(*paths, **wanted).changed
    finally:
        os.umask(old)
    assert [mode(path) for path in (*paths, tmp_path / "a", tmp_path / "a" / "b")] == [0o750, 0o750, 0o755, 0o755]
    assert not directory(*paths, **wanted).changed
    paths[1].chmod(0o700)
    assert directory(*paths, **wanted)["plan"] == [f"~ set {paths[1]} (mode 0700 -> 0750)"]
    assert mode(paths[1]) == 0o750
    (paths[1] / "file").write_text("x")
    absent = [tmp_path / "a", tmp_path / "c", tmp_path / "none", tmp_path / "none" / "x"]
    assert directory(*absent, state="absent", check=True)["plan"] == [f"- remove {path}" for path in absent[:2]]
    assert directory(*absent, state="absent").changed and not os.listdir(tmp_path)
    assert not directory(*absent, state="absent").changed


def test_a_link_of_roots_is_followed_and_one_of_the_user_is_not(directory, home, tmp_path):
    (tmp_path / "link").symlink_to("home")
    assert directory(tmp_path / "link", mode="0711").changed and mode(home) == 0o711
    (home / "link").symlink_to(tmp_path / "outside")
    attacker.owns(home)
    result = directory(home / "link", mode="0777")
    assert result.failed and f"{home}/link: it is a symbolic link in a directory of the user" in result["msg"]
    assert directory(home / "link" / "secret", state="absent").failed
    assert directory(home / "link", state="absent").changed and not os.path.lexists(home / "link")
    assert untouched(tmp_path / "outside")


def test_what_cannot_be(directory, tmp_path):
    assert "no user nobody-has-this" in directory(tmp_path, owner="nobody-has-this")["msg"]
    assert directory(tmp_path / "x", owner="nobody-has-this", check=True)["plan"] == [f"+ make {tmp_path / 'x'}"]
    (tmp_path / "file").write_text("")
    assert f"{tmp_path}/file: it is not a directory" in directory(tmp_path / "file", mode="0755")["msg"]


def test_all_of_another_user_is_handed_over_and_modes_and_links_stay(home, tmp_path):
    (home / "link").symlink_to(tmp_path / "outside")
    (home / "auth").chmod(0o2770)
    with Directory.at(str(home)) as top:
        assert tree.hand_over(top, NEW) == []
    assert {owner(path) for path in (home, *home.rglob("*")) if not path.is_symlink()} == {NEW[0]}
    assert (mode(home / "auth"), mode(home / "auth" / "auth.db")) == (0o2770, 0o600)
    assert untouched(tmp_path / "outside")


def test_a_file_of_roots_is_not_handed_over(directory, home, tmp_path):
    """Linked where the kernel does not protect it, or moved out of another directory of this user's."""
    os.link(tmp_path / "outside" / "secret", home / "auth" / "linked")
    (home / "auth" / "moved").write_text("root's")
    (home / "auth" / "moved").chmod(0o600)
    (home / "auth" / "public").write_text("root's")
    (home / "auth" / "public").chmod(0o644)
    with Directory.at(str(home)) as top:
        left = tree.hand_over(top, NEW)
    assert left == ([str(home / "auth" / name) for name in ("linked", "moved")] if ROOT else [])
    assert owner(home / "auth" / "public") == owner(home) == NEW[0] and untouched(tmp_path / "outside")


def test_a_hand_over_that_broke_off_goes_on(home, monkeypatch):
    fchown, calls = os.fchown, []

    def breaks(*given):
        calls.append(given)
        if len(calls) == 3:
            raise OSError("killed")
        fchown(*given)

    monkeypatch.setattr(os, "fchown", breaks)
    if ROOT:
        with pytest.raises(OSError, match="killed"), Directory.at(str(home)) as top:
            tree.hand_over(top, NEW)
        assert owner(home) != NEW[0]
    with Directory.at(str(home)) as top:
        assert tree.hand_over(top, NEW) == []
    assert {owner(path) for path in (home, *home.rglob("*"))} == {NEW[0]}


@pytest.mark.parametrize("what", ["hand over", "remove"])
def test_a_user_who_swaps_all_the_time(home, tmp_path, what):
    outside = tmp_path / "outside"
    (outside / "key").write_text("root's")
    (outside / "key").chmod(0o600)
    with attacker.swaps(home / "file", outside / "secret"), attacker.swaps(home / "auth/deep", outside):
        for number in attacker.times(0.9):
            with contextlib.suppress(OSError), Directory.at(str(tmp_path)) as holder:
                if what == "remove":
                    (home / "auth").mkdir(exist_ok=True)
                    with holder.enter("home") as top:
                        top.remove("auth")
                else:
                    with holder.enter("home") as top:
                        tree.hand_over(top, (NEW, OLD)[number % 2])
    assert untouched(outside) and (mode(outside / "key"), owner(outside / "key")) == (0o600, os.geteuid())
