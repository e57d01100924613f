# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pwd
import random
import stat
import sys
import tarfile

import attacker
import pytest

from ansible_collections.modelops.inference.plugins.module_utils._directory import Directory
from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.release import uv_tools
from ansible_collections.modelops.inference.plugins.module_utils._host.release.index import IndexSettings
from ansible_collections.modelops.inference.plugins.module_utils._host.system import probe, shell, tree
from ansible_collections.modelops.inference.plugins.module_utils._host.weights import download, weights
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.download import Clock, Part, Web
from ansible_collections.modelops.inference.plugins.module_utils._host.weights.sources import Source

ASSEMBLE = """
from pathlib import Path
MODEL_NAME = "model.gguf"
def assemble(path):
    Path(path).write_bytes(b"gguf")
    return Path(path)
"""
EXPORT = """
from pathlib import Path
def export_model(target):
    Path(target, "config.json").write_text("{}")
    return Path(target)
"""
LINK = """
import os
from pathlib import Path
def export_model(target):
    Path(target, "blobs").mkdir()
    Path(target, "blobs", "1").write_text("w")
    os.symlink("blobs/1", Path(target, "link"))
    return Path(target)
"""
ODD = """
import os
from pathlib import Path
def export_model(target):
    Path(target, "folder").mkdir()
    os.chdir(target)
    {}
    return Path(target)
"""
WHERE = """
from pathlib import Path
def get_model_path():
    return Path(__file__).parent / "data"
"""


class FakeTools:
    """Installs a package by writing its module into the target directory."""

    def __init__(self, source):
        self.source = source

    def call(self, settings, words, what, **kwargs):
        library = words[words.index("--target") + 1]
        package = os.path.join(library, words[-1].partition("==")[0].replace("-", "_"))
        os.makedirs(os.path.join(package, "data"))
        with open(os.path.join(package, "__init__.py"), "w") as file:
            file.write(self.source)
        with open(os.path.join(package, "data", "weights.bin"), "w") as file:
            file.write("w")
        return ""


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def fetch(tmp_path, source, requirement="my-model"):
    def package():
        return weights.IndexPackage(FakeTools(source), IndexSettings(), sys.executable)

    return weights.Fetcher(str(tmp_path), Web(), Clock(), package).fetch(Source.of({"package": requirement}))


@pytest.mark.parametrize(
    "source, path, file",
    [
        (ASSEMBLE, "my-model-1.0/model.gguf", "model.gguf"),
        (EXPORT, "my-model-1.0", "config.json"),
        (WHERE, "my-model-1.0", "weights.bin"),
    ],
)
def test_every_kind_of_package(tmp_path, source, path, file):
    found = fetch(tmp_path, source, "my-model==1.0")
    assert found == {"source": {"package": "my-model==1.0"}, "path": str(tmp_path / path)}
    assert (tmp_path / "my-model-1.0" / file).exists()
    assert weights.records(str(tmp_path)) == {"my-model-1.0": dict(found, directory=str(tmp_path / "my-model-1.0"))}
    assert os.listdir(tmp_path) == ["my-model-1.0"]


def test_a_package_without_weights_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ModelopsError, match="my-model returned no weights.*no assemble"):
        fetch(tmp_path, "")
    assert os.listdir(tmp_path) == []


def test_half_made_weights_do_not_count(tmp_path):
    (tmp_path / "my-model").mkdir()
    assert weights.records(str(tmp_path)) == {}


def test_lost_weights_do_not_count(tmp_path):
    found = fetch(tmp_path, ASSEMBLE)
    os.unlink(found["path"])
    assert weights.records(str(tmp_path)) == {}


def test_what_others_put_beside_the_weights_is_told_apart(tmp_path):
    for path in ("a/source.json", ".fetching-b/part", ".seed.json", "llama-of-ann/model.gguf", "notes.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    assert weights.entries(str(tmp_path)) == {
        "own": [".fetching-b", ".seed.json", "a"],
        "foreign": ["link", "llama-of-ann", "notes.txt"],
    }
    assert weights.entries(str(tmp_path / "none")) == {"own": [], "foreign": []}


def test_several_packages(tmp_path, run_module, monkeypatch):
    monkeypatch.setattr(FakeTools, "make", lambda self, index: IndexSettings(), raising=False)
    monkeypatch.setattr(uv_tools, "Tools", lambda base, uv, cache: FakeTools(ASSEMBLE))
    args = dict(path=str(tmp_path / "models"), sources=[{"package": "one"}, {"package": "two"}], python=sys.executable)
    result = run_module("xinference_weights", dict(args, base=str(tmp_path), uv="uv==1", cache=str(tmp_path / "cache")))
    assert not result.failed, result["msg"]
    assert result["plan"] == ["+ fetch one", "+ fetch two"] and set(result["weights"]) == {"one", "two"}


def test_the_packages_own_code_runs_with_the_services_rights(tmp_path, run_module, monkeypatch):
    monkeypatch.setattr(FakeTools, "make", lambda self, index: IndexSettings(), raising=False)
    monkeypatch.setattr(uv_tools, "Tools", lambda base, uv, cache: FakeTools(LINK))
    user, runs, given = pwd.getpwuid(os.geteuid()).pw_name, [], []

    def run(argv, what, *, env, timeout, user):
        # Only root may choose another user.
        runs.append((user, env["HOME"], list(given)))
        return shell.run(argv, what, env=env, timeout=timeout)

    def own(directory, mode=None, owner=None):
        given.append((os.path.basename(directory.path), mode, owner))
        hand_over(directory, mode, owner)

    hand_over = Directory.own
    monkeypatch.setattr(weights, "run", run)
    monkeypatch.setattr(Directory, "own", own)
    args = dict(path=str(tmp_path / "models"), sources=[{"package": "one"}], python=sys.executable, user=user)
    result = run_module("xinference_weights", dict(args, base=str(tmp_path), uv="uv==1", cache=str(tmp_path / "cache")))
    assert not result.failed, result["msg"]
    own = ("tree", 0o755, (os.geteuid(), os.getegid()))
    # The tree is the user's while its code runs, and afterwards root's again.
    [(as_user, home, before)] = runs
    assert (as_user, home, before[-1]) == (user, "/nonexistent", own)
    assert given[len(before) :][:2] == [own, ("blobs", *own[1:])], given
    assert (tmp_path / "models" / "one" / "link").read_text() == "w"


@pytest.mark.parametrize(
    "does, why",
    [
        ('os.symlink("/etc/hostname", "folder/x")', "folder/x: it links to a place outside"),
        ('os.symlink("../../one/x", "folder/x")', "folder/x: it links to a place outside"),
        ('os.symlink("../tree/folder", "x")', "x: it links to a place outside"),
        ('os.symlink("..", "x"); os.symlink("x/y", "y")', "x: it links to a place outside"),
        ('Path("x").write_text("w"); os.link("x", "folder/x")', "it is a hard link"),
        ('os.mkfifo("folder/x")', "folder/x: it is not a regular file"),
        ('Path("../tree-evil").mkdir(); target = "../tree-evil"', "wrote its weights to ../tree-evil, outside"),
    ],
)
def test_what_a_package_must_not_leave(tmp_path, does, why):
    with pytest.raises(ModelopsError, match=f"the package my-model.*{why}"):
        fetch(tmp_path, ODD.format(does))
    assert os.listdir(tmp_path) == []


def test_weights_in_a_directory_that_is_reached_by_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "models").symlink_to("disk")
    found = fetch(tmp_path / "models", ASSEMBLE)
    assert found["path"] == str(tmp_path / "models" / "my-model" / "model.gguf")
    assert set(weights.records(str(tmp_path / "models"))) == {"my-model"}


def test_a_user_who_swaps_what_a_package_left(tmp_path):
    outside = attacker.secret(tmp_path / "outside").parent
    outside.chmod(0o700)
    for number in attacker.times(0.9):
        top = tmp_path / f"{number}" / "tree"
        (top / "folder").mkdir(parents=True)
        (top / "folder" / "file").write_text("w")
        (top / "file").write_text("w")
        attacker.owns(top)
        giver = top.stat().st_uid
        with attacker.swaps(top / "file", outside / "secret"), attacker.swaps(top / "folder", outside):
            with contextlib.suppress(OSError, ModelopsError):
                tree.take(str(top), giver, "the package")
    assert mode(outside / "secret") == 0o600 and mode(outside) == 0o700
    assert outside.stat().st_uid == os.geteuid()


def test_files_of_others_are_not_taken(tmp_path):
    """Moved into the tree, by the user who owns both directories."""
    (tmp_path / "tree").mkdir()
    secret = attacker.secret(tmp_path / "tree")
    with pytest.raises(ModelopsError, match=f"secret: it belongs to the user {os.geteuid()}"):
        tree.take(str(tmp_path / "tree"), attacker.UID, "the package")
    assert mode(secret) == 0o600


def test_a_package_needs_an_installer(tmp_path, run_module):
    result = run_module("xinference_weights", dict(path=str(tmp_path), sources=[{"package": "a"}]))
    assert result.failed and "needs the options base, python, uv, cache" in result["msg"]


@pytest.mark.each_core("xinference_weights")
def test_check_mode(tmp_path, run_module):
    args = dict(path=str(tmp_path / "m"), sources=[{"package": "a"}, {"package": "A"}, {"package": "b==2"}])
    assert run_module("xinference_weights", args, check=True)["plan"] == ["+ fetch a", "+ fetch b-2"]
    assert os.listdir(tmp_path) == []


def test_check_mode_tells_a_dead_source(apply, server, tmp_path):
    gone = {"url": server.url + "/gone.gguf", "checksum": sha(b"")}
    result = apply([gone], check=True)
    assert (
        result.failed and result["msg"] == f"{server.url}/gone.gguf: the server answered 404 Not Found. Check the URL."
    )
    server.files["/a.gguf"] = b"gguf"
    unsure = {"url": server.url + "/a.gguf", "checksum": f"sha256:{server.url}/SUMS"}
    assert f"{server.url}/SUMS: the server answered 404" in apply([unsure], check=True)["msg"]
    assert not os.path.exists(tmp_path / "m")


def test_check_mode_waits_a_bounded_time_for_a_source(apply, server, pauses, monkeypatch):
    asked = []

    def silent(self, url, *_args):
        asked.append(self.timeout)
        raise download.ConnectionLost("Connection refused")

    monkeypatch.setattr(Web, "open", silent)
    result = apply([{"url": "http://mirror.invalid/a.gguf", "checksum": sha(b"")}], check=True)
    assert result.failed and "mirror.invalid/a.gguf: Connection refused, 2 times in a row." in result["msg"]
    assert asked == [10, 10] and pauses == [1]


def test_check_mode_tells_a_full_disk(apply, server, monkeypatch):
    server.files["/a.gguf"] = b"gguf"
    monkeypatch.setattr(probe, "disk", lambda path: {"path": path, "free_bytes": 3})
    assert "Make room" in apply(["/a.gguf"], check=True)["msg"]


# -- from a URL ------------------------------------------------------------------------------------------------------

GGUF = random.Random(2).randbytes(2_500_000)


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tgz(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            made.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture
def apply(tmp_path, run_module, server):
    """``apply([source, ...])`` -> result of the module; a str is a path on the server, with its right checksum."""

    def run(sources, check=False, **more):
        full = [
            {"url": server.url + source, "checksum": sha(server.files[source])} if isinstance(source, str) else source
            for source in sources
        ]
        return run_module("xinference_weights", dict(path=str(tmp_path / "m"), sources=full, **more), check=check)

    return run


def only(result):
    (found,) = result["weights"].values()
    return found


@pytest.mark.each_core("xinference_weights")
def test_a_file(apply, server, tmp_path):
    server.files["/a/Tiny.gguf"] = GGUF
    result = apply(["/a/Tiny.gguf"])
    name = f"tiny-{sha(GGUF)[7:19]}"
    assert result.changed and result["plan"] == [f"+ fetch {name}"] and not result["pending"]
    assert result["progress"] == [f"{name}  fetched, 2.5 MB"]
    assert only(result) == {
        "source": {"url": f"{server.url}/a/Tiny.gguf", "checksum": sha(GGUF)},
        "path": str(tmp_path / "m" / name / "Tiny.gguf"),
        "directory": str(tmp_path / "m" / name),
    }
    with open(only(result)["path"], "rb") as file:
        assert file.read() == GGUF
    assert os.stat(only(result)["path"]).st_mode & 0o777 == 0o644 and os.listdir(tmp_path / "m") == [name]
    server.requests.clear()
    again = apply(["/a/Tiny.gguf"])
    assert not again.changed and again["plan"] == [] and server.requests == []


@pytest.mark.parametrize(
    "files, path",
    [
        ({"m/config.json": b"{}", "m/w.bin": b"w"}, "m"),
        ({"config.json": b"{}", "w.bin": b"w"}, ""),
        ({"README": b"", "deep/er/tiny.gguf": b"g"}, "deep/er/tiny.gguf"),
        ({"a-00001-of-00002.gguf": b"g", "a-00002-of-00002.gguf": b"g"}, "a-00001-of-00002.gguf"),
        ({"m/n/voice.onnx": b"v"}, "m/n/voice.onnx"),
    ],
)
def test_what_a_model_uses_of_an_archive(apply, server, files, path):
    server.files["/m.tar.gz"] = tgz(files)
    found = only(apply(["/m.tar.gz"]))
    assert found["path"] == os.path.normpath(os.path.join(found["directory"], path))
    assert not os.path.exists(os.path.join(found["directory"], "part"))


def test_several_files_that_could_be_meant(apply, server):
    server.files["/m.tar.gz"] = tgz({"a.gguf": b"a", "mmproj.gguf": b"b"})
    result = apply(["/m.tar.gz"])
    assert result.failed and "a.gguf, mmproj.gguf" in result["msg"] and "source.member" in result["msg"]
    named = {"url": f"{server.url}/m.tar.gz", "checksum": sha(server.files["/m.tar.gz"])}
    server.requests.clear()
    assert not apply([dict(named, member="a.gguf"), dict(named, member="mmproj.gguf")]).changed
    assert server.requests == [], "the archive is there, only what to use of it was not told"
    assert "have no b.gguf" in apply([dict(named, member="b.gguf")])["msg"]


def test_a_bad_archive_leaves_nothing_in_place(apply, server, tmp_path):
    server.files["/m.tar.gz"] = tgz({"../evil": b"x"})
    result = apply(["/m.tar.gz"])
    assert result.failed and "../evil would be written outside" in result["msg"]
    assert weights.records(str(tmp_path / "m")) == {} and not (tmp_path / "evil").exists()


def test_a_wrong_checksum(apply, server, tmp_path):
    server.files["/m.gguf"] = GGUF
    result = apply([{"url": f"{server.url}/m.gguf", "checksum": "sha256:" + "0" * 64}])
    assert result.failed and not result.changed and "0" * 64 in result["msg"] and sha(GGUF)[7:] in result["msg"]
    assert weights.size(str(tmp_path / "m")) == 0 and weights.records(str(tmp_path / "m")) == {}


def test_a_url_without_a_checksum_is_refused(run_module, tmp_path):
    result = run_module("xinference_weights", dict(path=str(tmp_path / "m"), sources=[{"url": "http://a/b.gguf"}]))
    assert result.failed and "checksum" in result["msg"] and not (tmp_path / "m").exists()


def test_a_misspelled_option_names_the_near_one(run_module, tmp_path):
    result = run_module("xinference_weights", dict(path="/m", sources=[{"url": "http://a/b.gguf", "cheksum": "x"}]))
    assert result.failed and result["msg"] == "sources[0]: no option 'cheksum'; nearest: checksum"


def test_a_broken_run_is_finished_by_the_next(apply, server, pauses, tmp_path):
    server.files["/m.gguf"] = GGUF
    server.break_after, server.statuses = [None, 2_000_000], [None, None] + [500] * 6
    failed = apply(["/m.gguf"])
    assert failed.failed and "The downloaded part is kept (80 % (2.0 of 2.5 MB)); run this again" in failed["msg"]
    assert weights.records(str(tmp_path / "m")) == {}
    result = apply(["/m.gguf"])
    assert not result.failed and server.asked("Range")[-1] == "bytes=2000000-"
    assert os.path.getsize(only(result)["path"]) == len(GGUF)


def test_slices(apply, server, tmp_path):
    """As the action plugin calls it: each execution goes on, and the plan stays what it was."""
    server.files.update({"/m.gguf": GGUF, "/n.gguf": GGUF[::-1]})
    lines, resume, count = [], None, 0
    result = {"pending": True}
    while result["pending"]:
        result = apply(["/m.gguf", "/n.gguf"], wait=0, resume=resume)
        assert not result.failed, result["msg"]
        assert [line[:9] for line in result["plan"]] == ["+ fetch m", "+ fetch n"] and result.changed
        resume, count = result.get("resume"), count + 1
        lines += result["progress"]
    assert count > 3 and any("  downloading " in line and " of 2.5 MB)" in line for line in lines)
    assert [line.split("  ")[1] for line in lines if "fetched" in line] == ["fetched, 2.5 MB"] * 2
    assert any(line.endswith("verifying") for line in lines) and len(result["weights"]) == 2


def test_a_full_disk_is_refused_with_figures_before_anything_comes(apply, server, monkeypatch, tmp_path):
    server.files.update({"/m.tar.gz": tgz({"w": GGUF}), "/n.gguf": GGUF})
    monkeypatch.setattr(probe, "disk", lambda path: {"path": "/srv", "free_bytes": 7_000_000})
    result = apply(["/m.tar.gz", "/n.gguf"])
    assert result.failed and "need 7.5 MB on /srv" in result["msg"] and "7.0 MB are free" in result["msg"]
    assert "an archive counts twice" in result["msg"] and "m-" in result["msg"]
    assert weights.size(str(tmp_path / "m")) == 0
    monkeypatch.setattr(probe, "disk", lambda path: {"path": "/srv", "free_bytes": 7_600_000})
    assert not apply(["/m.tar.gz", "/n.gguf"]).failed


def test_headers_are_sent_and_never_shown(apply, server, tmp_path):
    server.files["/m.gguf"], server.need = GGUF, "Bearer s3cret-token"
    source = {"url": f"{server.url}/m.gguf?sig=s1gnature", "checksum": sha(GGUF)}
    assert "401" in apply([source])["msg"]
    result = apply([dict(source, headers={"Authorization": "Bearer s3cret-token"})])
    assert not result.failed, result["msg"]
    shown = json.dumps({key: value for key, value in result.items() if key != "invocation"})
    with open(os.path.join(only(result)["directory"], "source.json")) as file:
        shown += file.read()
    assert "s3cret-token" not in shown + json.dumps(result.get("invocation")) and "s1gnature" not in shown


def test_what_failed_does_not_hide_what_was_fetched(apply, server):
    server.files.update({"/m.gguf": GGUF, "/n.gguf": b"n"})
    result = apply(["/m.gguf", {"url": f"{server.url}/n.gguf", "checksum": "sha256:" + "0" * 64}])
    assert result.failed and result.changed and len(result["progress"]) == 1


# -- pruning ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def old(apply, server, tmp_path):
    server.files.update({"/old.gguf": b"o" * 2_000_000, "/path.gguf": b"p", "/m.gguf": GGUF})
    apply(["/old.gguf", "/path.gguf"])
    (tmp_path / "m/.fetching-left-1").mkdir()
    (tmp_path / "m/.fetching-left-1/part").write_bytes(b"x" * 1_000_000)
    (tmp_path / "m/mine").mkdir()
    (tmp_path / "m/mine/w.bin").write_text("not fetched by us")
    return {name.rpartition("-")[0]: found for name, found in weights.records(str(tmp_path / "m")).items()}


def test_nothing_is_removed_unless_asked(apply, old, tmp_path):
    apply(["/m.gguf"])
    assert len(os.listdir(tmp_path / "m")) == 5


@pytest.mark.each_core("xinference_weights")
def test_prune(apply, old, tmp_path):
    args = dict(prune=True, paths=[old["path"]["path"]])
    checked = apply(["/m.gguf"], check=True, **args)
    name = os.path.basename(old["old"]["directory"])
    assert checked["plan"][1:] == [f"- remove {name} (2.0 MB)", "- remove left-1 (1.0 MB)"]
    assert checked["diff"]["before"][name]["bytes"] > 2_000_000 and os.path.exists(old["old"]["path"])
    result = apply(["/m.gguf"], **args)
    assert result["plan"] == checked["plan"] and len(result["weights"]) == 2
    assert sorted(name.rpartition("-")[0] or name for name in os.listdir(tmp_path / "m")) == ["m", "mine", "path"]
    assert not apply(["/m.gguf"], **args).changed


def test_nothing_is_removed_before_all_has_come(apply, old, server):
    result = apply([{"url": f"{server.url}/no.gguf", "checksum": sha(b"")}], prune=True)
    assert result.failed and os.path.exists(old["old"]["path"])


# -- from the controller, see also test_weights_action.py ------------------------------------------------------------


def listing(files, total):
    return {"listings": {"d": {"total": total, "validator": "1", "files": files}}}


def test_what_the_controller_does_not_have(apply):
    result = apply([{"file": "d"}], controller={"listings": {}})
    assert result.failed and "the controller has no file d" in result["msg"]


def test_a_directory_has_no_checksum(apply):
    result = apply([{"file": "d", "checksum": sha(b"")}], controller=listing([], 0))
    assert result.failed and "is a directory, so it cannot have a checksum" in result["msg"]


def test_a_piece_that_was_changed_on_its_way(apply, tmp_path):
    args = dict(controller=listing(None, 5))
    asked = apply([{"file": "d"}], **args)
    assert asked["pending"] and asked["send"] == {"file": "d", "offset": 0}
    (tmp_path / "piece").write_bytes(b"evil!")
    args["controller"]["piece"] = {"file": "d", "offset": 0, "path": str(tmp_path / "piece"), "sha256": "0" * 64}
    assert "differs from the controller's" in apply([{"file": "d"}], resume=asked["resume"], **args)["msg"]
    assert Part(str(tmp_path / "m" / ".fetching-") + next(iter(asked["resume"]["fetch"]))).size == 0
