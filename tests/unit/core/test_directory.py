# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in directories that another user can change at any moment."""

from __future__ import annotations

import ast
import contextlib
import os
import stat
from pathlib import Path

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.module_utils import _directory
from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory, Refused, opened
from ansible_collections.modelops.inference.plugins.module_utils._host.system.shell import read_file, write_file

ROOT = os.geteuid() == 0


@pytest.fixture
def theirs(tmp_path):
    """A directory of another user, with a file, a directory and a link to each outside."""
    directory = tmp_path / "theirs"
    (directory / "d").mkdir(parents=True)
    (directory / "f").write_text("file")
    outside = attacker.secret(tmp_path / "outside")
    (directory / "link").symlink_to(outside)
    (directory / "up").symlink_to(outside.parent)
    attacker.owns(directory)
    return directory


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_a_link_of_another_user_is_not_followed(theirs):
    assert read_file(str(theirs / "f")) == "file"
    for path in (theirs / "link", theirs / "up" / "secret"):
        assert read_file(str(path)) is None
        with pytest.raises(Refused, match="symbolic link in a directory of the user"):
            opened(str(path))
        with pytest.raises(Refused):
            _directory.examine(str(path))
    with pytest.raises(Refused):
        write_file(str(theirs / "up" / "new"), "x", 0o600)
    with pytest.raises(Refused, match="points outside"):
        Directory.at(str(theirs / ".." / "outside"))


def test_a_link_of_our_own_is_followed(theirs, tmp_path):
    (tmp_path / "disk").symlink_to("theirs")
    (tmp_path / "again").symlink_to(tmp_path / "disk")
    assert read_file(str(tmp_path / "again" / "f")) == "file"
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(OSError, match="symbolic links"):
        opened(str(tmp_path / "one"))
    assert read_file("/proc/self/mounts") and read_file("/etc/os-release")


def test_a_link_in_a_directory_for_everybody_counts_by_its_owner(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "f").write_text("file")
    (shared / "link").symlink_to(tmp_path / "f")
    assert read_file(str(shared / "link")) == "file"
    shared.chmod(0o777)
    assert read_file(str(shared / "link")) is None


def test_who_became_root_by_sudo_may_have_links(theirs, monkeypatch):
    monkeypatch.setenv("SUDO_UID", str(attacker.UID))
    # Where everybody can change the directory, it may be anybody's.
    assert read_file(str(theirs / "link")) == (attacker.SECRET if ROOT else None)


def test_root_reads_nothing_that_the_directorys_owner_cannot_read(theirs):
    # As by a hard link, where the kernel does not protect them, or moved here out of another directory of this user's.
    (theirs / "secret").write_text(attacker.SECRET)
    (theirs / "secret").chmod(0o640)
    if ROOT:
        with pytest.raises(Refused, match="belongs to the user 0"):
            opened(str(theirs / "secret"))
    else:
        assert read_file(str(theirs / "secret")) == attacker.SECRET
    (theirs / "secret").chmod(0o644)
    assert read_file(str(theirs / "secret")) == attacker.SECRET
    with Directory.at(str(theirs)) as directory, pytest.raises(Refused):
        directory.open("secret", owners=(attacker.UID,))


def test_what_is_no_regular_file_is_not_waited_for(theirs):
    os.mkfifo(theirs / "pipe")
    for name in ("pipe", "d"):
        with pytest.raises(Refused, match="not a regular file"):
            opened(str(theirs / name))
    assert read_file("/dev/zero") is None


def test_a_file_is_replaced_with_its_mode_and_owner(theirs):
    other = theirs / "f.new"
    other.symlink_to("link")
    (theirs / "link").unlink()
    (theirs / "link").symlink_to("../outside/secret")
    old = os.umask(0o077)
    try:
        write_file(str(theirs / "f"), "new", 0o644, (attacker.UID, attacker.UID))
    finally:
        os.umask(old)
    assert (theirs / "f").read_text() == "new" and mode(theirs / "f") == 0o644
    assert (theirs / "f").stat().st_uid == (attacker.UID if ROOT else os.geteuid())
    assert (theirs.parent / "outside" / "secret").read_text() == attacker.SECRET
    assert not os.path.lexists(other)


@pytest.fixture
def umask():
    """That of a careful administrator."""
    old = os.umask(0o077)
    yield
    os.umask(old)


def test_directories_have_their_modes_whatever_the_umask(tmp_path, umask):
    made = tmp_path / "a" / "b" / "c"
    _directory.make_directory(str(made), 0o750)
    assert [mode(path) for path in (tmp_path / "a", made.parent, made)] == [0o755, 0o755, 0o750]
    # Another's directory, such as of a firewall's rules, stays.
    (tmp_path / "a").chmod(0o711)
    _directory.make_directory(str(tmp_path / "a"))
    assert mode(tmp_path / "a") == 0o711
    _directory.make_directory(str(tmp_path / "a"), mend=True)
    assert mode(tmp_path / "a") == 0o755


def test_a_directory_that_another_process_makes_meanwhile_is_taken(tmp_path, monkeypatch):
    make = Directory.make

    def late(self, name, mode):
        make(self, name, 0o700)
        make(self, name, mode)

    monkeypatch.setattr(Directory, "make", late)
    _directory.make_directory(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_no_other_function_makes_a_directory():
    plugins = Path(__file__).resolve().parents[3] / "plugins"
    for path in plugins.rglob("*.py"):
        if path.name == "_directory.py":
            continue
        calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        assert not names & {"makedirs", "mkdir"}, f"{path}: use make_directory()"


def test_a_lock_that_only_root_could_open_is_mended(theirs, umask):
    (theirs / "lock").touch()
    assert mode(theirs / "lock") == 0o600
    with Directory.at(str(theirs)) as directory, directory.lasting("lock", 0o644):
        pass
    assert mode(theirs / "lock") == 0o644
    assert (theirs / "lock").stat().st_uid == theirs.stat().st_uid


def test_where_a_user_could_swap_what_root_runs(theirs):
    theirs_uid = theirs.stat().st_uid
    expected = str(theirs) if ROOT else ""
    for path in (theirs, theirs / "d", theirs / "new" / "deeper"):
        assert _directory.swappable_by(str(path), theirs_uid) == expected
    assert _directory.swappable_by(str(theirs.parent / "new"), theirs_uid) == ""
    assert _directory.swappable_by(str(theirs), -1) == "" == _directory.swappable_by(str(theirs), 0)


def test_a_draft_that_cannot_be_made_gets_another_name(theirs):
    (theirs / "f.new").mkdir()
    write_file(str(theirs / "f"), "new", 0o600)
    assert (theirs / "f").read_text() == "new" and sorted(os.listdir(theirs)) == ["d", "f", "f.new", "link", "up"]
    (theirs / "d" / "x").mkdir()
    with pytest.raises(OSError):
        write_file(str(theirs / "d"), "a file in the place of a directory", 0o600)
    assert sorted(os.listdir(theirs)) == ["d", "f", "f.new", "link", "up"]


def test_a_tree_is_walked_and_removed_without_what_links_lead_to(theirs, tmp_path):
    (theirs / "d" / "e").mkdir()
    (theirs / "d" / "e" / "deep").write_text("x")
    with Directory.at(str(tmp_path)) as holder:
        with holder.below("theirs") as top:
            found = [os.path.join(inside, name) for inside, _directory, names in top.walk() for name in names]
        assert found == ["f", "link", "up", "d/e/deep"]
        holder.remove("theirs")
        holder.remove("theirs")
    assert sorted(os.listdir(tmp_path)) == ["outside"] and (tmp_path / "outside" / "secret").exists()


def test_directories_without_an_end_are_given_up(tmp_path):
    top = tmp_path / "top"
    place = top
    for _level in range(120):
        place.mkdir()
        place = place / "d"
    with Directory.at(str(tmp_path)) as holder, pytest.raises(OSError, match="more than 100 directories"):
        holder.remove("top")


def test_what_is_made_belongs_to_whoever_owns_the_directory(theirs):
    with Directory.at(str(theirs)) as directory, directory.below("d/new/er", make=0o750) as made:
        assert made.path == str(theirs / "d" / "new" / "er")
    for path in (theirs / "d" / "new", theirs / "d" / "new" / "er"):
        assert mode(path) == 0o750 and path.stat().st_uid == (theirs / "d").stat().st_uid
    with Directory.at(str(theirs)) as directory, pytest.raises(Refused):
        directory.below("up/new", make=0o750)


def test_paths_inside_are_compared_by_component(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree-evil").mkdir()
    (tmp_path / "link").symlink_to("tree")
    assert _directory.relative(str(tmp_path / "link" / "a"), str(tmp_path / "tree")) == "a"
    assert _directory.relative(str(tmp_path / "tree"), str(tmp_path / "link")) == "."
    assert _directory.relative(str(tmp_path / "tree-evil"), str(tmp_path / "tree")) is None
    assert _directory.relative(str(tmp_path / "tree" / "..x"), str(tmp_path / "tree")) == "..x"


def test_no_descriptor_is_left_open(theirs):
    before = len(os.listdir("/proc/self/fd"))
    for path in (theirs / "f", theirs / "link", theirs / "none", theirs / "f" / "x", theirs / "d"):
        with contextlib.suppress(OSError), opened(str(path)):
            pass
        with contextlib.suppress(OSError), Directory.at(str(path)) as directory, directory.below("d/none"):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_user_who_swaps_all_the_time(theirs, tmp_path):
    """Files and directories, read and written."""
    outside = tmp_path / "outside"
    (theirs / "d" / "secret").write_text("inside")
    with attacker.swaps(theirs / "f", outside / "secret", "file"), attacker.swaps(theirs / "d", outside):
        read = {text for _n in attacker.times(0.5) for text in (read_file(str(theirs / n)) for n in ("f", "d/secret"))}
        for _n in attacker.times(0.4):
            for name in ("f", "d/written"):
                with contextlib.suppress(OSError):
                    write_file(str(theirs / name), "new", 0o644)
    assert read <= {"file", "inside", "new", None}
    assert os.listdir(outside) == ["secret"] and mode(outside / "secret") == 0o600
    assert (outside / "secret").read_text() == attacker.SECRET
