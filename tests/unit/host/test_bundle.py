# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle's manifest: what fits a host, what it needs, what is refused; files in pieces."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys

import pytest

from ansible_collections.modelops.inference.plugins.module_utils._errors import ModelopsError
from ansible_collections.modelops.inference.plugins.module_utils._host.bundle import bundle
from ansible_collections.modelops.inference.plugins.module_utils._host.system import probe
from ansible_collections.modelops.inference.plugins.modules import xinference_bundle, xinference_bundle_files
from ansible_collections.modelops.inference.plugins.plugin_utils._dify.task import packed
from ansible_collections.modelops.inference.plugins.plugin_utils._site import dify as of_site

DECLARED = {
    "version": "4.1.0",
    "extras": ["llama-cpp"],
    "packages": [],
    "constraints": [],
    "python": ">=3.10,<3.14",
    "torch": "cpu",
}
HERE = bundle.minor(platform.python_version())


def environment(**more):
    return {
        "id": "4.1.0-x",
        "declared": DECLARED,
        "python": HERE,
        "platform": f"{platform.machine()}-manylinux_2_17",
        "lock": "locks/x.txt",
        "wheels": ["wheels/a.whl", "wheels/b.whl"],
        "tools": ["wheels/uv.whl"],
        "packages": {"tiny-gguf": ["wheels/tiny.whl"]},
        **more,
    }


def system(python="3.11.2", architecture="x86_64"):
    return {"python": python, "architecture": architecture}


def fits(*pythons, **more):
    return [environment(python=python, platform="x86_64-manylinux_2_28", **more) for python in pythons]


@pytest.fixture
def made(tmp_path):
    """A bundle on disk; its directory."""
    directory = tmp_path / "made"
    weights = {"house-0123": {"source": {"url": "https://m/house.gguf"}, "path": "house.gguf", "several": []}}
    files = {path: path.encode() * 999 for path in [f"wheels/{name}.whl" for name in ("a", "b", "uv", "tiny")]}
    files.update({"locks/x.txt": b"a==1\n", "weights/house-0123/house.gguf": b"gguf" * 5000, "wheels/empty.whl": b""})
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
    about = {path: bundle.about(str(directory), path) for path in files}
    weights["house-0123"]["files"] = [{"path": "house.gguf", **about["weights/house-0123/house.gguf"]}]
    manifest = {
        "format": 1,
        "environments": [environment(wheels=["wheels/a.whl", "wheels/empty.whl", "wheels/b.whl"])],
        "weights": weights,
        "dify": [],
        "collection": "",
        "files": about,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def test_a_host_takes_the_environment_for_its_own_python():
    assert bundle.choose(fits("3.10", "3.11"), "4.1.0-x", DECLARED, system())["python"] == "3.11"


def test_another_python_may_be_beside_the_hosts_own():
    assert bundle.choose(fits("3.12"), "4.1.0-x", DECLARED, system("3.9.2"))["python"] == "3.12"


def test_another_declaration_is_refused_by_what_differs():
    wanted = {**DECLARED, "version": "4.2.0", "extras": ["all"]}
    with pytest.raises(ModelopsError) as refused:
        bundle.choose(fits("3.11"), "4.2.0-y", wanted, system())
    assert str(refused.value) == (
        "it has no release 4.2.0-y: version 4.1.0 in the bundle, 4.2.0 declared; extras llama-cpp in the bundle, all declared"
    )


def test_another_architecture_is_refused():
    with pytest.raises(ModelopsError, match="for x86_64-manylinux_2_28, and this host is aarch64"):
        bundle.choose(fits("3.11"), "4.1.0-x", DECLARED, system(architecture="aarch64"))


def test_what_a_host_needs_of_a_bundle(made):
    manifest = bundle.load(str(made))
    (entry,) = manifest["environments"]
    weights = {"house-0123": ("url", "https://m/house.gguf"), "tiny-gguf": ("package", "tiny-gguf")}
    assert bundle.needed(manifest, entry, {}, False) == ["wheels/uv.whl"]
    assert bundle.needed(manifest, entry, weights, True) == [
        "wheels/uv.whl",
        "locks/x.txt",
        "wheels/a.whl",
        "wheels/empty.whl",
        "wheels/b.whl",
        "weights/house-0123/house.gguf",
        "wheels/tiny.whl",
    ]


def test_weights_that_the_bundle_has_not_are_named(made):
    manifest = bundle.load(str(made))
    with pytest.raises(ModelopsError, match="it has no weights other-9 .https://m/other.gguf., big .big-gguf."):
        sources = {"other-9": ("url", "https://m/other.gguf"), "big": ("package", "big-gguf")}
        bundle.needed(manifest, manifest["environments"][0], sources, True)


@pytest.mark.parametrize("path", ["../etc/passwd", "wheels/../../x", "/etc/passwd", "bin/x"])
def test_a_manifest_that_names_files_outside_is_refused(made, path):
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["files"][path] = {"sha256": "", "bytes": 0}
    (made / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelopsError, match="is altered: it names"):
        bundle.load(str(made))


@pytest.mark.parametrize(
    "text, message", [(None, "is not a bundle"), ("{", "cannot be read"), ('{"format": 2}', "has format 2")]
)
def test_a_directory_that_is_no_bundle_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelopsError, match=message):
        bundle.load(str(tmp_path))


def test_a_shell_can_check_a_bundle(made):
    (made / bundle.SUMS).write_text(bundle.sums(bundle.load(str(made))["files"]))
    command = ["sha256sum", "--quiet", "-c", bundle.SUMS]
    assert subprocess.run(command, cwd=made, check=False).returncode == 0
    (made / "wheels/a.whl").write_text("x")
    assert subprocess.run(command, cwd=made, check=False, capture_output=True).returncode != 0


def test_missing_and_altered_files_are_named(made):
    files = bundle.load(str(made))["files"]
    (made / "wheels/a.whl").unlink()
    (made / "wheels/b.whl").write_bytes(b"x" * files["wheels/b.whl"]["bytes"])
    wrong = bundle.wrong(str(made), files)
    assert wrong == {"wheels/a.whl": "missing", "wheels/b.whl": "altered"}
    with pytest.raises(
        ModelopsError, match="nothing of it was used:\n  wheels/a.whl is missing\n  wheels/b.whl is alt"
    ):
        bundle.refuse(str(made), wrong)


@pytest.mark.parametrize("size", [7, 1000, 10**6])
def test_files_come_in_pieces_of_any_size(made, tmp_path, size):
    files = bundle.load(str(made))["files"]
    stream = b"".join((made / path).read_bytes() for path in files)
    target = tmp_path / "host"
    bundle.Taker(str(target), files, list(files)).begin()
    for start in range(0, len(stream), size) if size > 7 else [0]:
        (tmp_path / "piece").write_bytes(stream[start : start + size] if size > 7 else stream)
        # A new one each time, as each module execution has.
        taker = bundle.Taker(str(target), files, list(files))
        taker.take(str(tmp_path / "piece"))
    assert bundle.wrong(str(target), files) == {}


def test_a_broken_transfer_goes_on_where_it_was(made, tmp_path):
    files = bundle.load(str(made))["files"]
    lacking = ["wheels/a.whl", "wheels/b.whl"]
    stream = (made / "wheels/a.whl").read_bytes() + (made / "wheels/b.whl").read_bytes()
    (tmp_path / "piece").write_bytes(stream[:-10])
    target = str(tmp_path / "host")
    bundle.Taker(target, files, lacking).take(str(tmp_path / "piece"))
    again = bundle.Taker(target, files, list(bundle.wrong(target, {path: files[path] for path in lacking})))
    again.begin()
    assert (again.left, again.bytes_left) == (["wheels/b.whl"], 10)
    assert again.offset == files["wheels/b.whl"]["bytes"] - 10


def test_an_altered_file_stays_until_the_right_one_has_come(made, tmp_path):
    files, target = bundle.load(str(made))["files"], tmp_path / "host"
    (target / "wheels").mkdir(parents=True)
    (target / "wheels/a.whl").write_text("of an earlier bundle")
    taker = bundle.Taker(str(target), files, ["wheels/a.whl"])
    taker.begin()
    assert (target / "wheels/a.whl").read_text() == "of an earlier bundle"
    taker.take(str(made / "wheels/a.whl"))
    assert (target / "wheels/a.whl").read_bytes() == (made / "wheels/a.whl").read_bytes()


def test_a_file_that_came_altered_is_refused_and_not_kept(made, tmp_path):
    files = bundle.load(str(made))["files"]
    (tmp_path / "piece").write_bytes(b"x" * files["wheels/a.whl"]["bytes"])
    target = tmp_path / "host"
    with pytest.raises(ModelopsError, match="wheels/a.whl of the bundle is altered"):
        bundle.Taker(str(target), files, ["wheels/a.whl"]).take(str(tmp_path / "piece"))
    assert os.listdir(target / "wheels") == []


def test_what_the_bundle_has_no_more_goes_from_the_host(tmp_path):
    for path in ("wheels/a.whl", "weights/old/x"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("")
    bundle.prune(str(tmp_path), {"wheels/a.whl"})
    assert os.listdir(tmp_path) == ["wheels"]


def files_args(made, tmp_path, **more):
    args = dict(bundle=str(made), path=str(tmp_path / "host"), release="4.1.0-x", declared=DECLARED)
    return {**args, **more}


def test_a_bundle_on_the_host_is_used_where_it_lies(made, tmp_path, run_module):
    sources = [{"package": "tiny-gguf"}]
    result = run_module("xinference_bundle_files", files_args(made, tmp_path, on_host=True, sources=sources))
    assert not result.changed
    assert result["index"] == {"find_links": [str(made / "wheels")], "no_index": True}
    assert result["lock"] == str(made / "locks/x.txt")
    assert result["weights"]["url"] == str(made / "weights") and result["weights"]["keep"]
    assert bundle.minor(os.popen(f"{result['python']} -V").read().split()[1]) == HERE


def test_a_missing_file_of_a_bundle_on_the_host_is_refused(made, tmp_path, run_module):
    (made / "wheels/b.whl").unlink()
    result = run_module("xinference_bundle_files", files_args(made, tmp_path, on_host=True))
    assert result.failed and "wheels/b.whl is missing" in result["msg"]


def test_a_host_asks_for_the_files_that_it_lacks(made, tmp_path, run_module):
    manifest = bundle.load(str(made))
    result = run_module("xinference_bundle_files", files_args(made, tmp_path, manifest=manifest))
    assert result["pending"]
    assert result["send"] == {
        "files": ["wheels/uv.whl", "locks/x.txt", *manifest["environments"][0]["wheels"]],
        "offset": 0,
    }
    assert result["plan"] == [f"+ bring 5 files of {made} (0.0 MB)"]


@pytest.mark.each_core("xinference_bundle_files")
def test_check_mode_brings_nothing(made, tmp_path, run_module):
    manifest = bundle.load(str(made))
    result = run_module("xinference_bundle_files", files_args(made, tmp_path, manifest=manifest), check=True)
    assert result.changed and not result["pending"]
    assert not (tmp_path / "host").exists()


def test_a_host_without_the_python_is_refused_before_anything_comes(made, tmp_path, run_module):
    manifest = bundle.load(str(made))
    manifest["environments"][0]["python"] = "3.7"
    result = run_module("xinference_bundle_files", files_args(made, tmp_path, manifest=manifest))
    assert result.failed and "it is for Python 3.7, which this host lacks" in result["msg"]
    assert "xinference_bundle_python" in result["msg"]
    assert not (tmp_path / "host").exists()


def test_a_host_without_the_python_takes_that_of_the_bundle(made, tmp_path, run_module):
    path = "python/20261110/cpython-3.7.1.tar.gz"
    manifest = bundle.load(str(made))
    manifest["environments"][0].update(python="3.7", interpreter=path)
    manifest["files"][path] = {"sha256": "0", "bytes": 1}
    result = run_module("xinference_bundle_files", files_args(made, tmp_path, manifest=manifest))
    assert path in result["lacking"]
    entry = manifest["environments"][0]
    assert path in bundle.needed(manifest, entry, {}, True) and path not in bundle.needed(manifest, entry, {}, False)


def test_a_host_with_an_older_glibc_is_refused(made, tmp_path, run_module):
    manifest = bundle.load(str(made))
    manifest["environments"][0]["platform"] = f"{platform.machine()}-manylinux_2_99"
    result = run_module("xinference_bundle_files", files_args(made, tmp_path, manifest=manifest))
    assert result.failed and "and this host has glibc" in result["msg"]


def test_the_interpreter_may_be_named():
    assert xinference_bundle_files.interpreter({"python": HERE}, sys.executable) == sys.executable


@pytest.mark.parametrize(
    "libc, version, name",
    [
        ("glibc", "2.36", "x86_64-manylinux_2_36"),
        ("glibc", "2.30", "x86_64-manylinux_2_28"),
        ("glibc", "2.27", "x86_64-manylinux_2_17"),
        ("glibc", "2.43", "x86_64-manylinux_2_40"),
        ("glibc", "2.5", ""),
        ("", "", ""),
    ],
)
def test_platform_of_a_host(libc, version, name):
    assert probe.platform_of("x86_64", libc, version) == name


def test_an_environment_of_several_hosts_has_the_weights_of_all():
    one = {"id": "r", "python": "3.11", "platform": "p", "weights": ["b"]}
    merged = xinference_bundle.merged([one, {**one, "weights": ["a"]}, {**one, "python": "3.12"}])
    assert [(each["python"], each["weights"]) for each in merged] == [("3.11", ["a", "b"]), ("3.12", ["b"])]


def test_plan_of_a_bundle():
    row = {"sha256": hashlib.sha256().hexdigest(), "bytes": 2_000_000}
    before = {"files": {"a": row, "b": row, "c": row}}
    after = {"files": {"a": row, "b": {**row, "sha256": "0"}, "d": row}}
    lines = xinference_bundle.make_plan(before, after).result()["plan"]
    assert lines == ["~ replace b (2.0 MB)", "+ add d (2.0 MB)", "- remove c"]
    assert not xinference_bundle.make_plan(before, before)


def bundle_args(made, tmp_path, **more):
    """As the bundle ``made`` was asked for."""
    one = {**{key: DECLARED[key] for key in ("version", "torch")}, "extras": [], "range": DECLARED["python"]}
    one.update(id="4.1.0-x", python=HERE, platform=environment()["platform"], weights=["tiny-gguf"])
    args = dict(path=str(made), work=str(tmp_path / "work"), uv="uv==1", environments=[one], weights=["house-0123"])
    return {**args, **more}


@pytest.mark.each_core("xinference_bundle")
def test_check_mode_says_that_a_bundle_is_as_it_was_made(made, tmp_path, run_module):
    result = run_module("xinference_bundle", bundle_args(made, tmp_path), check=True)
    assert (result.changed, result["plan"], result["files"]) == (False, [], 7)
    assert not (tmp_path / "work").exists()


def test_check_mode_compares_every_file_and_what_is_asked_for(made, tmp_path, run_module):
    (made / "wheels/a.whl").unlink()
    (made / "weights/house-0123/house.gguf").write_bytes(b"x")
    args = bundle_args(made, tmp_path, weights=["other-9"], dify=["/home/me/x.difypkg"])
    args["environments"][0].update(id="4.2.0-y")
    result = run_module("xinference_bundle", args, check=True)
    target = f"for Python {HERE} on {environment()['platform']}"
    assert result["plan"] == [
        "~ mend weights/house-0123/house.gguf (altered)",
        "~ mend wheels/a.whl (missing)",
        f"+ gather 4.2.0-y {target}",
        f"- remove 4.1.0-x {HERE} {environment()['platform']}",
        "+ take along other-9",
        "- remove weights/house-0123",
        "+ take along dify/x.difypkg",
    ]


def test_only_what_an_earlier_run_gathered_goes(made):
    before = bundle.load(str(made))
    (made / "weights/house-0123" / xinference_bundle.seed.RECORD).write_text("{}")
    (made / "weights/theirs").mkdir()
    (made / "weights/theirs/big.gguf").write_text("theirs")
    (made / "wheels/theirs.whl").write_text("theirs")
    kept = {path: about for path, about in before["files"].items() if path not in ("wheels/a.whl", "locks/x.txt")}
    kept.pop("weights/house-0123/house.gguf")
    xinference_bundle.prune(str(made), before, {"files": kept, "weights": {}})
    assert not (made / "wheels/a.whl").exists() and not (made / "locks").exists()
    assert os.listdir(made / "weights") == ["theirs"] and (made / "weights/theirs/big.gguf").exists()
    assert (made / "wheels/theirs.whl").exists() and (made / "wheels/b.whl").exists()
    xinference_bundle.prune(str(made), {}, {"files": {}})
    assert (made / "weights/theirs/big.gguf").exists() and (made / "wheels/b.whl").exists()


def test_two_plugin_files_of_one_name_are_refused(made, tmp_path, run_module):
    args = bundle_args(made, tmp_path, dify=["/a/x.difypkg", "/b/x.difypkg", "/a/x.difypkg"])
    result = run_module("xinference_bundle", args)
    assert result.failed and "two plugin files x.difypkg: /a/x.difypkg and /b/x.difypkg" in result["msg"]


@pytest.fixture
def with_plugin(made):
    """A bundle with Dify's x.difypkg."""
    (made / "dify").mkdir()
    (made / "dify/x.difypkg").write_text("plugin")
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["files"]["dify/x.difypkg"] = bundle.about(str(made), "dify/x.difypkg")
    (made / "manifest.json").write_text(json.dumps(manifest))
    return made


@pytest.mark.parametrize(
    ("package", "bundled", "taken"),
    [
        ("/home/me/x.difypkg", True, "dify/x.difypkg"),
        ("/home/me/y.difypkg", True, ""),
        ("/x.difypkg", False, ""),
        (None, True, ""),
    ],
)
def test_a_plugin_file_of_its_name_is_taken_from_the_bundle(with_plugin, package, bundled, taken):
    target = {"name": "office", "plugin": {"state": "present", "package": package}}
    (found,) = packed([target], str(with_plugin) if bundled else "")
    assert found["plugin"] == {"state": "present", "package": str(with_plugin / taken) if taken else package}


@pytest.mark.parametrize("content, what", [("plugim", "altered"), (None, "missing")])
def test_an_altered_plugin_file_of_the_bundle_is_refused_before_anything_changes(with_plugin, content, what):
    (with_plugin / "dify/x.difypkg").unlink() if content is None else (with_plugin / "dify/x.difypkg").write_text(
        content
    )
    targets = [{"name": "office", "plugin": {"package": "/home/me/x.difypkg"}}]
    with pytest.raises(ModelopsError, match=f"dify/x.difypkg is {what}"):
        list(packed(targets, str(with_plugin)))
    assert any(f"dify/x.difypkg is {what}" in line for line in of_site.wrong([], targets, True, str(with_plugin)))


def test_a_plugin_file_in_the_bundle_needs_no_other(with_plugin):
    targets = [{"name": "office", "plugin": {"package": "/nosuch/x.difypkg"}}]
    lines = of_site.wrong([], targets, True, str(with_plugin))
    assert not any("plugin.package" in line for line in lines)
    assert any("/nosuch/x.difypkg cannot be read" in line for line in of_site.wrong([], targets, True, ""))
