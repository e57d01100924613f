# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives of every kind, and those that were made to write elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import archive


def member(name, data=b"x", **attributes):
    info = tarfile.TarInfo(name)
    for key, value in {"size": len(data), "mode": 0o600, **attributes}.items():
        setattr(info, key, value)
    return info, io.BytesIO(data)


def link(name, to, kind=tarfile.SYMTYPE):
    return member(name, b"", type=kind, linkname=to)


def tar(path, *members, mode="w"):
    with tarfile.open(path, mode) as made:
        for info, data in members:
            made.addfile(info, data)
    return str(path)


def unpack(path, tmp_path, kind="tar"):
    archive.unpack(str(path), kind, str(tmp_path / "out"), "a.tar")
    return {
        os.path.relpath(os.path.join(place, name), tmp_path / "out")
        for place, _folders, names in os.walk(tmp_path / "out")
        for name in names
    }


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar(tmp_path, mode):
    path = tar(tmp_path / "a", member("m/config.json"), member("m/deep/w.bin", b"y" * 3_000_000), mode=mode)
    assert unpack(path, tmp_path) == {"m/config.json", "m/deep/w.bin"}
    assert (tmp_path / "out/m/deep/w.bin").stat().st_size == 3_000_000


ZSTD = f"""#!{sys.executable}
import sys
data = open(sys.argv[-1], "rb").read()[4:]
sys.stdout.buffer.write(data)
if b"END" not in data[-3:]:
    sys.exit("zstd: premature end")
"""


@pytest.fixture
def compress(tmp_path, monkeypatch):
    """Compresses a file by the program zstd; where there is none, by one that only puts the mark before it."""
    if shutil.which("zstd"):
        return lambda path: subprocess.run(["zstd", "-q", path], check=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/zstd").write_text(ZSTD)
    (tmp_path / "bin/zstd").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return lambda path: Path(f"{path}.zst").write_bytes(b"\x28\xb5\x2f\xfd" + Path(path).read_bytes() + b"END")


def test_zstandard(tmp_path, compress):
    path = tar(tmp_path / "a", member("m/config.json"), member("w.bin", b"y" * 3_000_000))
    compress(path)
    assert unpack(f"{path}.zst", tmp_path) == {"m/config.json", "w.bin"}


@pytest.mark.parametrize("size", [1_000_000, 3_002_000])
def test_broken_zstandard(tmp_path, compress, size):
    path = tar(tmp_path / "a", member("w.bin", os.urandom(3_000_000)))
    compress(path)
    os.truncate(f"{path}.zst", size)
    with pytest.raises(ModelopsError, match="a.tar cannot be unpacked"):
        unpack(f"{path}.zst", tmp_path)


def test_zstandard_without_the_program(monkeypatch):
    monkeypatch.setattr(archive.shutil, "which", lambda name: None)
    with pytest.raises(ModelopsError, match="m.tar.zst needs the program zstd"):
        archive.check_tools("m.tar.zst")
    archive.check_tools("m.tar.gz")


def test_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("m/", "")
        made.writestr("m/config.json", "{}")
    assert unpack(tmp_path / "a.zip", tmp_path, "zip") == {"m/config.json"}


def test_links_inside_are_kept(tmp_path):
    path = tar(
        tmp_path / "a", member("blobs/1"), link("m/w.bin", "../blobs/1"), link("m/again", "blobs/1", tarfile.LNKTYPE)
    )
    assert unpack(path, tmp_path) == {"blobs/1", "m/w.bin", "m/again"}
    assert (tmp_path / "out/m/w.bin").read_text() == "x"


@pytest.mark.parametrize(
    "members",
    [
        [member("../evil")],
        [member("m/../../evil")],
        [member("/tmp/evil")],
        [link("m", "/etc"), member("m/evil")],
        [link("m", ".."), member("m/evil")],
        [link("evil", "../evil")],
        [link("evil", "/etc/passwd")],
        [link("evil", "../out/ok")],  # outside, once the tree has its own name
        [link("a", "b"), link("b", "../../evil")],
        [link("d", "."), link("d/e", "../evil")],
        [link("evil", "../evil", tarfile.LNKTYPE)],
        [link("evil", "/etc/passwd", tarfile.LNKTYPE)],
        [member("evil", b"", type=tarfile.FIFOTYPE)],
        [member("evil", b"", type=tarfile.CHRTYPE)],
    ],
)
def test_nothing_is_written_outside(tmp_path, members):
    (tmp_path / "evil").write_text("mine")
    path = tar(tmp_path / "a", member("ok"), *members)
    with pytest.raises(ModelopsError, match="a.tar: .*(outside|neither a file)"):
        unpack(path, tmp_path)
    assert (tmp_path / "evil").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["a", "evil", "out"]


def test_a_link_that_a_file_replaces_is_not_written_through(tmp_path):
    (tmp_path / "out.txt").write_text("mine")
    path = tar(tmp_path / "a", link("w", "../out.txt"), member("w", b"evil"))
    assert unpack(path, tmp_path) == {"w"}
    assert (tmp_path / "out.txt").read_text() == "mine" and (tmp_path / "out/w").read_text() == "evil"


@pytest.mark.parametrize("name", ["../evil", "/evil", "m/../../evil"])
def test_nothing_of_a_zip_is_written_outside(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(zipfile.ZipInfo(name), "x")
    with pytest.raises(ModelopsError, match="outside"):
        unpack(tmp_path / "a.zip", tmp_path, "zip")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_what_is_no_archive(tmp_path, kind):
    (tmp_path / "a").write_bytes(b"not an archive" * 100)
    with pytest.raises(ModelopsError, match=f"cannot be unpacked as {kind} archive"):
        unpack(tmp_path / "a", tmp_path, kind)


def test_an_archive_that_ends_early(tmp_path):
    path = tar(tmp_path / "a", member("w", os.urandom(100_000)), mode="w:gz")
    os.truncate(path, 50_000)
    with pytest.raises(ModelopsError, match="cannot be unpacked"):
        unpack(path, tmp_path)


def test_a_member_larger_than_the_disk(tmp_path, monkeypatch):
    path = tar(tmp_path / "a", member("w", b"x" * 1000))
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 1, 9))
    with pytest.raises(ModelopsError, match="w has 1000 bytes, but the disk has 9 free"):
        unpack(path, tmp_path)
